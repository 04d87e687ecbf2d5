"""Ports of switches are remembered while they may be needed."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from op25b_app.net.port_number import PortNumbers
from op25b_app.operate.known_ports import KnownPorts
from op25b_app.policy.model import NamedPorts, PortRole
from tests.unit.diff.test_every_field import BASE, NAME, PEER
from tests.written import PLACE

PORTS: PortNumbers = frozenset({("eth1", 1)})
NAMED = replace(BASE.switches[NAME], by_name=(NamedPorts("eth1", PortRole.UPLINK, None, PLACE),))
POLICY = replace(BASE, switches=MappingProxyType({**BASE.switches, NAME: NAMED}))


def test_ports_are_known_by_the_name_of_the_switch_where_they_matter() -> None:
    known = KnownPorts()
    for dpid in (1, 2, 3):
        known.note(dpid, PORTS)
    assert POLICY.switches[PEER].dpid == 2
    assert known.of(POLICY) == {NAME: PORTS}
    assert known.of(BASE) == {}
    assert KnownPorts().of(POLICY) == {}


def test_other_ports_are_noticed() -> None:
    known = KnownPorts()
    assert known.note(1, PORTS)
    assert not known.note(1, PORTS)
    assert known.note(1, frozenset())
    assert known.of(POLICY) == {NAME: frozenset()}


def test_ports_are_forgotten() -> None:
    known = KnownPorts()
    known.note(1, PORTS)
    known.note(7, PORTS)
    known.keep_only({1})
    assert not known.note(1, PORTS)
    assert known.note(7, PORTS)
    known.forget(1)
    assert known.note(1, PORTS)
    known.forget(9)
