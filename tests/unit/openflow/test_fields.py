"""The registry of match fields holds together, and all that reads or writes fields is derived from it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from op25b_app.openflow.fields import (
    BY_NAME,
    HEADER_FIELDS,
    MATCH_FIELDS,
    OXM_ORDER,
    Masking,
    MatchField,
    Notation,
    Prerequisites,
)
from testing.fake_switch import match

WITH_A_TRIAL_FIELD = '''
import importlib.util
import sys

name = "op25b_app.openflow.fields"
spec = importlib.util.find_spec(name)
before = "MATCH_FIELDS = (\\n"
line = """    MatchField("trial", 16, 100, 95, Notation.HEX, Masking.OPENFLOW, _OF_UDP, "trial_port",
                aliases=("old_trial",), shared="tp_trial"),\\n"""
source = spec.loader.get_source(name)
assert source.count(before) == 1
fields = sys.modules[name] = importlib.util.module_from_spec(spec)
exec(compile(source.replace(before, before + line), "fields.py", "exec"), fields.__dict__)

from op25b_app.openflow.flow_rule import FieldValue, FlowRule, match_of
from op25b_app.openflow.ofctl import format_match, format_rule
from op25b_app.openflow.ofctl_parser import read_dump
from op25b_app.openflow.oxm import decode_match, encode_match
from op25b_app.verify.counterexample import openflow_fields
from op25b_app.verify.header import FIELDS, LEVELS, SIZES, intervals

masked, exact = FieldValue("trial", 0x1200, 0xFF00), FieldValue("ip_proto", 17)
match = match_of((masked, exact, FieldValue("eth_type", 0x800)))
assert [field.name for field in match] == ["eth_type", "ip_proto", "trial"]

encoded = encode_match(match)
assert bytes.fromhex("8000c904 1200ff00") in encoded
assert decode_match(encoded, 0) == (match, len(encoded))
for wrong in (FieldValue("trial", 1 << 16), FieldValue("trial", 1, 2)):
    try:
        encode_match((wrong,))
    except ValueError:
        continue
    raise AssertionError(wrong)

assert format_match(match).endswith("trial=0x1200/0xff00")
line = format_rule(FlowRule(1, 2, match, None, 0))
assert "trial_port=0x1200/0xff00" in line
for written in ("trial=", "trial_port=", "old_trial=", "tp_trial="):
    (rule,) = read_dump("dump", line.replace("trial_port=", written).replace("actions", " actions"))
    assert set(rule.match) == set(match), written

place = FIELDS.index("trial")
assert FIELDS[place - 1 : place + 2] == ("udp_dst", "trial", "udp_src")
assert SIZES[LEVELS["trial"]] == 1 << 16
assert intervals("trial", 0x1200, 0xFF00) == ((0x1200, 0x12FF),)

udp = dict.fromkeys(FIELDS, 0) | {"eth_type": 0x800, "ip_proto": 17, "trial": 5}
assert openflow_fields(udp)["trial"] == 5
assert "trial" not in openflow_fields(udp | {"ip_proto": 6})
'''


def test_a_new_field_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_TRIAL_FIELD], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_names_and_numbers_are_those_of_one_field() -> None:
    names = [written for field in MATCH_FIELDS for written in (field.name, *field.aliases)]
    assert len(names) == len(set(names)) >= len(MATCH_FIELDS)
    assert len(set(OXM_ORDER.values())) == len(OXM_ORDER)
    assert len({field.rank for field in HEADER_FIELDS}) == len(HEADER_FIELDS)
    shared = [(field.shared, field.needs.ip_proto) for field in MATCH_FIELDS if field.shared]
    assert len(shared) == len(set(shared))


@pytest.mark.parametrize("field", MATCH_FIELDS, ids=lambda field: field.name)
def test_an_entry_holds_together(field: MatchField) -> None:
    assert field.length * 8 >= field.bits
    assert len(field.flags) <= field.bits
    widths = {Notation.MAC: 48, Notation.IPV4: 32, Notation.IPV6: 128, Notation.PORT: 32}
    assert field.bits == widths.get(field.notation, field.bits)
    assert not (field.is_register and field.rank)


@pytest.mark.parametrize("other", match.FIELDS, ids=lambda other: other.name)
def test_the_fake_switch_reads_the_same_of_the_specification(other: match.OxmField) -> None:
    field, needs = BY_NAME[other.name], dict(other.needs)
    assert (field.oxm, field.bits, field.length) == (other.number, other.bits, other.octets)
    assert set(field.needs.eth_types) == needs.get("eth_type", set())
    assert ({field.needs.ip_proto} - {None}) == needs.get("ip_proto", set())
    masks = {Masking.NEVER: {"no", "Open vSwitch"}, Masking.OPENFLOW: {"yes"}}
    assert other.masks in masks.get(field.masking, {"Open vSwitch"})


def test_ports_are_read_by_protocol() -> None:
    for field in MATCH_FIELDS:
        if field.name.endswith(("_src", "_dst")) and field.needs.ip_proto is not None:
            assert field.shared == f"tp{field.name[-4:]}"


def test_prerequisites() -> None:
    tcp = {"eth_type": 0x86DD, "ip_proto": 6, "vlan_vid": 0}
    assert BY_NAME["tcp_dst"].needs.are_met(tcp)
    assert not BY_NAME["tcp_dst"].needs.are_met(tcp | {"ip_proto": 17})
    assert not BY_NAME["tcp_dst"].needs.are_met(tcp | {"eth_type": 0x0806})
    assert not BY_NAME["vlan_pcp"].needs.are_met(tcp)
    assert BY_NAME["vlan_pcp"].needs.are_met(tcp | {"vlan_vid": 0x1064})
    assert Prerequisites().are_met({})
