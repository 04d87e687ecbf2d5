"""Copies of DHCP messages become changes of leases, in their order, whatever becomes of those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from ryu.lib import hub

from op25b_app.controller.dhcp_watcher import DhcpWatcher
from op25b_app.lines.dhcp_snooping import (
    MESSAGES_AT_ONCE,
    MUTE_AT,
    MUTE_SECONDS,
    LeaseChange,
    LeaseOutcome,
)
from testing import dhcp_frames as dhcp
from testing.patience import HANG_SECONDS
from tests.unit.lines.test_dhcp_snooping import ADDRESS, LINE, MAC, NEIGHBOUR, NOW, POLICY, TRUSTED
from tests.unit.openflow.test_packet_in import packet_in

DPID = 1


class Hearer:
    """Notes what it hears; ``fails`` so many times first."""

    def __init__(self) -> None:
        self.now = NOW
        self.heard: list[LeaseChange] = []
        self.fails = 0
        self.policy = POLICY
        self.muted: list[set[str]] = []
        self.events: list[str] = []
        self.watcher = DhcpWatcher(
            self.hear,
            lambda switches: self.muted.append({*switches}),
            lambda level, kind, text: self.events.append(text),
            lambda: self.policy,
            lambda: self.now,
        )

    def hear(self, changes: Sequence[LeaseChange]) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("for a test")
        self.heard += changes

    def lease(self, port: int = LINE, xid: int = 1) -> None:
        self.watcher.take(DPID, packet_in(port=port, frame=dhcp.request(MAC, xid=xid)))
        self.watcher.take(DPID, packet_in(port=TRUSTED, frame=dhcp.answer(MAC, ADDRESS, xid=xid)))

    def outcomes(self, number: int) -> list[LeaseOutcome]:
        """So many outcomes, as soon as they are heard."""
        with hub.Timeout(HANG_SECONDS):
            while len(self.heard) < number:
                hub.sleep(0.01)
        return [change.outcome for change in self.heard]


@pytest.fixture
def hearer() -> Hearer:
    made = Hearer()
    made.watcher.follow([])
    made.watcher.start()
    return made


def test_a_lease_is_heard_of_and_so_is_its_end(hearer: Hearer) -> None:
    hearer.lease()
    assert hearer.outcomes(1) == [LeaseOutcome.BEGUN]
    hearer.now += 600
    assert hearer.outcomes(2) == [LeaseOutcome.BEGUN, LeaseOutcome.ENDED]


def test_a_failure_loses_nothing_that_comes_later(hearer: Hearer) -> None:
    hearer.fails = 1
    hearer.lease()
    hub.sleep(0.05)
    hearer.lease(xid=2)
    assert hearer.outcomes(1) == [LeaseOutcome.RENEWED]


def test_a_customer_may_move_once_the_link_is_gone(hearer: Hearer) -> None:
    hearer.lease()
    hearer.watcher.links_changed(DPID, frozenset({LINE}))
    hearer.lease(NEIGHBOUR, xid=2)
    assert hearer.outcomes(3)[1:] == [LeaseOutcome.ENDED, LeaseOutcome.BEGUN]


def test_a_line_that_floods_is_muted_for_a_while(hearer: Hearer) -> None:
    for _ in range(MESSAGES_AT_ONCE + MUTE_AT):
        hearer.watcher.take(DPID, packet_in(port=LINE, frame=dhcp.request(MAC)))
    with hub.Timeout(HANG_SECONDS):
        while not hearer.muted:
            hub.sleep(0.01)
        assert hearer.watcher.muted == {"access-1": {(LINE, None)}}
        hearer.now += MUTE_SECONDS
        while len(hearer.muted) < 2:
            hub.sleep(0.01)
    assert hearer.muted == [{"access-1"}, {"access-1"}]
    assert hearer.watcher.muted == {}
    assert hearer.events == ["port 1 of access-1 sends too many DHCP messages: they are not copied for 60 s"]


def test_nothing_is_learned_for_a_policy_without_snooping(hearer: Hearer) -> None:
    hearer.policy = replace(POLICY, lines=None)
    hearer.watcher.follow([])
    hearer.lease()
    hearer.watcher.take(99, packet_in(frame=dhcp.request(MAC)))
    hearer.watcher.links_changed(DPID, frozenset({LINE}))
    hub.sleep(0.05)
    assert not hearer.heard


def test_what_was_kept_on_disk_is_known(hearer: Hearer) -> None:
    hearer.lease()
    hearer.outcomes(1)
    other = Hearer()
    other.watcher.follow([hearer.heard[0].claim])
    other.watcher.start()
    other.lease(xid=2)
    assert other.outcomes(1) == [LeaseOutcome.RENEWED]
