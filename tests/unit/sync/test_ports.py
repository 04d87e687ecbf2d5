"""Which of its ports a switch makes a matter of the policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.policy.loader import load
from op25b_app.policy.model import Switch
from op25b_app.sync.ports import (
    local_port_notes,
    port_numbers,
    ports_without_link,
    present_ports,
    strange_ports,
)

UP, DOWN = (0, 4), (1, 1)
"""Configuration and state as Open vSwitch describes them, the latter before ``ip link set BRIDGE up``."""


@dataclass
class Described:
    port_no: int
    config: int
    state: int
    name: bytes | str = b""


def switch(**ports: str) -> Switch:
    roles = ", ".join(f"{role}_ports: [{listed}]" for role, listed in ports.items())
    text = (
        "isp: {mail_destinations: [192.0.2.0/24]}\naddress_space: {dynamic: [100.64.0.0/10]}\n"
        f"switches: {{s: {{dpid: 1, {roles}}}}}\n"
    )
    loaded = load(Path("p"), 0, lambda path: text.encode())
    assert loaded.policy is not None, loaded.errors
    return loaded.policy.switches["s"]


@pytest.mark.parametrize(
    ("local", "is_there"), [(UP, True), (DOWN, False), ((1, 4), False), ((0, 1), False), ((0, 0), True)]
)
def test_the_local_port_is_there_while_it_is_up(local: tuple[int, int], is_there: bool) -> None:
    described = [Described(1, *UP), Described(2, *DOWN), Described(LOCAL_PORT, *local)]
    assert present_ports(described) == {1, 2, *([LOCAL_PORT] if is_there else [])}


def test_other_reserved_ports_are_none() -> None:
    assert present_ports([Described(number, *UP) for number in (0xFFFFFF00, 0xFFFFFFFD, 0xFFFFFFFF)]) == set()


def test_ports_have_names_up_to_their_0() -> None:
    described = [
        Described(1, *UP, b"eth1\0\0\0"),
        Described(2, *DOWN, "eth2"),
        Described(3, *UP, b"\xff"),
        Described(LOCAL_PORT, *DOWN, b"br0"),
        Described(0xFFFFFFFD, *UP, b"controller"),
    ]
    assert port_numbers(described) == {("eth1", 1), ("eth2", 2), ("\ufffd", 3), ("br0", LOCAL_PORT)}


def test_a_local_port_without_a_role_is_named_and_no_fault() -> None:
    assert [*strange_ports(switch(subscriber="1"), {1, LOCAL_PORT})] == []
    assert [*local_port_notes(switch(subscriber="1"), {1, LOCAL_PORT})] == [
        "LOCAL is up without a role and counts as a subscriber port: name it in s"
    ]
    assert [*local_port_notes(switch(subscriber="1"), {1})] == []


@pytest.mark.parametrize("role", ["subscriber", "uplink", "trusted"])
@pytest.mark.parametrize(
    "written", ["LOCAL", "0xfffffffe", "0xFFFFFFFE", "4294967294", '"LOCAL"', '"0xfffffffe"']
)
def test_a_local_port_can_have_a_role(role: str, written: str) -> None:
    found = switch(**{role: written})
    assert found.role_of(LOCAL_PORT).value == role
    assert found.has_role(LOCAL_PORT)
    assert [*local_port_notes(found, {LOCAL_PORT})] == []


def test_of_many_ports_without_a_role_the_first_are_named() -> None:
    (reason,) = strange_ports(switch(subscriber="1"), range(1, 1001))
    assert " 2, 3, 4, " in reason
    assert ", 20, 21 and 979 more, treated as subscriber ports" in reason


def test_a_port_that_is_down_at_either_end_has_no_link() -> None:
    described = [Described(1, *UP), Described(2, 0, 1), Described(3, *DOWN)]
    assert ports_without_link(described) == {2, 3}
