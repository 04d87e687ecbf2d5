"""Leases with their lines: from a server's file by a pattern, or from a CSV file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.formats.dnsmasq import read_dnsmasq
from op25b_app.formats.isc import read_isc
from op25b_app.formats.kea import read_kea
from op25b_app.formats.lease_record import LeaseRecords
from op25b_app.formats.line_pattern import LinePattern
from op25b_app.lines.csv_leases import csv_leases
from op25b_app.lines.lease import Lease, LeaseFile
from op25b_app.lines.server_leases import server_leases
from op25b_app.net.prefix import Prefix
from tests.unit.formats.samples import DNSMASQ, ISC4, KEA4, KEA6

BY_RELAY = LinePattern.parse("{remote_id}/{circuit_id}")
CSV = """\
until,switch,Port,vlan,address,mac
2027-03-31T00:00:00Z,access-1,3,,100.64.0.10,02:00:00:00:00:01
1806451200,access-1,LOCAL,100,2001:db8:1::/56,
,"access 2",4,untagged,100.64.0.11,
"""


def lines(content: LeaseRecords, pattern: LinePattern) -> list[tuple[str, str]]:
    found = server_leases([("leases", content)], pattern)
    assert found.complete
    return [(str(lease.prefix), lease.line) for lease in found.leases]


@pytest.mark.parametrize("content", [read_kea(KEA4), read_isc(ISC4)])
def test_a_pattern_makes_lines_of_what_relays_say(content: LeaseRecords) -> None:
    found = server_leases([("leases", content)], BY_RELAY)
    assert [(str(lease.prefix), lease.line, lease.mac) for lease in found.leases] == [
        ("100.64.0.10/32", "access-1/3", 0x020000000001),
        ("100.64.0.12/32", "access-1/5", 0x020000000003),
    ]
    (problem,) = found.problems
    assert (problem.severity, problem.place.file) == ("warning", "leases")
    assert problem.message == (
        "100.64.0.11/32: '0006020000000099/000400010004' is not a line;"
        " write one like access-1/3, or access-1/3/100 by tag"
    )


def test_other_fields_make_lines_too() -> None:
    by_interface = LinePattern.parse("{remote_id}/{interface_id}/7")
    assert lines(read_kea(KEA6), by_interface)[-1] == ("2001:db8:100::/48", "access-1/3/7")
    by_name = server_leases([("d", read_dnsmasq(DNSMASQ))], LinePattern.parse("{hostname}/1"))
    assert [lease.line for lease in by_name.leases] == ["home/1"]
    assert {problem.message.partition(": ")[2] for problem in by_name.problems} == {
        "the lease has no hostname, of which its line is made; take another field"
    }


def test_a_later_file_has_the_last_word() -> None:
    moved = KEA4.replace("100.64.0.10,02:00:00:00:00:01", "100.64.0.10,02:00:00:00:00:07")
    ended = KEA4.replace(",ab,0,", ",ab,2,")
    found = server_leases([("k.2", read_kea(KEA4)), ("k", read_kea(moved + ended.split("\n")[3]))], BY_RELAY)
    assert [(str(lease.prefix), lease.mac) for lease in found.leases] == [
        ("100.64.0.10/32", 0x020000000007),
        ("100.64.0.12/32", 0x020000000003),
    ]
    assert not found.complete
    found = server_leases([("k.2", read_kea(KEA4)), ("k", read_kea(ended))], BY_RELAY)
    assert [str(lease.prefix) for lease in found.leases] == ["100.64.0.10/32"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'' is not a pattern; write one like {remote_id}/{circuit_id}"),
        ("{remote_id/3", "'{remote_id/3' is not a pattern;"),
        ("{remote}/3", "no lease has the field 'remote'; fields are remote_id, circuit_id, interface_id,"),
        ("{}/3", "no lease has the field ''; fields are"),
    ],
)
def test_what_is_wrong_in_a_pattern(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + expected.replace("{", r"\{").replace("}", r"\}")):
        LinePattern.parse(text)


def test_a_csv_file_has_its_columns_in_any_order() -> None:
    assert csv_leases("leases.csv", CSV) == LeaseFile(
        (
            Lease(Prefix.parse("100.64.0.10"), "access-1/3", 0x020000000001, None, 1806451200, 2),
            Lease(Prefix.parse("2001:db8:1::/56"), "access-1/LOCAL/100", None, None, 1806451200, 3),
            Lease(Prefix.parse("100.64.0.11"), "access 2/4/untagged", None, None, None, 4),
        ),
        (),
        True,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("switch,port\naccess-1,3\n", "1:1: error: the header has no column 'address'; write the names of"),
        (
            "switch,port,address,untill\na,3,192.0.2.1,\n",
            "2:1: error: the header has a column 'untill'; colu",
        ),
        ("switch,port,address,port\n", "1:1: error: two columns are called 'port'; keep one of them"),
        ("switch,port,address\na,3\n", "2:1: error: 2 values, and the header has 3 columns; write one value"),
        (
            "switch,port,address\na,x,192.0.2.1\n",
            "2:1: error: 'a/x' is not a line; write one like access-1/3",
        ),
        ("switch,port,address\na,3,192.0.2.300\n", "2:1: error: '192.0.2.300' is not an IPv4 or IPv6 prefix"),
        ('switch,port,address\n"a"b,3,192.0.2.3\n', "2:1: error: a value is not quoted as in a CSV file;"),
        ("switch,port,address,until\na,3,192.0.2.3,soon\n", "2:1: error: 'soon' is not a moment with a time"),
    ],
)
def test_what_is_wrong_in_a_csv_file(text: str, expected: str) -> None:
    found = csv_leases("l", text)
    assert found.leases == ()
    assert [str(problem)[: len(expected) + 2] for problem in found.problems] == [f"l:{expected}"]


@given(st.integers(0, len(CSV)))
def test_a_part_of_a_csv_file_gives_a_part_of_its_leases(length: int) -> None:
    found = csv_leases("l", CSV[:length])
    assert {*found.leases} <= {*csv_leases("l", CSV).leases}
    assert found.complete == (not CSV[:length] or CSV[length - 1] == "\n")
    assert found.problems == ()


@given(st.text())
def test_any_text_is_read_as_csv_without_an_exception(text: str) -> None:
    csv_leases("l", f"switch,port,address,until\n{text}\n")
