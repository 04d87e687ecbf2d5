"""Flows that Open vSwitch cannot change in its cache: docs/convergence.md, "The cache of Open vSwitch"."""

from __future__ import annotations

import re
import struct

import pytest

from op25b_app.policy.packet import Packet
from testing.frames import ethernet
from testing.private_ovs import PrivateOvs
from testing.running import wait_until

MPLS, BOTTOM_OF_STACK = 0x8847, 1 << 8
LINE, UPLINK, COUNT = 1, 2, 5
REMOVED_FROM = (3, 5)
"""The release of Open vSwitch that was seen to remove such a flow; the one before that was tried is 3.1."""
CANNOT_CHANGE = "internal error parsing flow key"


def mpls_frame(*labels: int) -> bytes:
    header = Packet(LINE, MPLS, eth_source=0x020000000001, eth_destination=0x020000000002)
    return ethernet(header, b"".join(struct.pack("!I", label) for label in labels) + bytes(46))


def passing(ovs: PrivateOvs, bridge: str, frame: bytes) -> int:
    """How many of COUNT such frames leave the bridge."""
    received, sent = ovs.received(bridge)[LINE], ovs.sent(bridge)[UPLINK]
    ovs.receive(bridge, LINE, *[frame] * COUNT)
    wait_until(
        lambda: ovs.received(bridge)[LINE] == received + COUNT, lambda: f"{ovs.received(bridge)} received"
    )
    return ovs.sent(bridge)[UPLINK] - sent


def passing_after_a_change(ovs: PrivateOvs, bridge: str, frame: bytes) -> int:
    """How many pass once rules block them, and Open vSwitch has looked through its cache."""
    ovs.add_bridge(bridge, (LINE, UPLINK))
    ovs.add_flows(bridge, "priority=1,actions=NORMAL")
    assert passing(ovs, bridge, frame) == COUNT
    ovs.add_flows(bridge, f"priority=2,dl_type={MPLS:#x},actions=drop")
    ovs.appctl("version")
    for _ in range(2):
        ovs.appctl("revalidator/wait")
    assert "Datapath actions: drop" in ovs.trace(bridge, LINE, frame)
    return passing(ovs, bridge, frame)


@pytest.mark.parametrize("labels", [(16 << 12 | BOTTOM_OF_STACK,), (16 << 12, 17 << 12 | BOTTOM_OF_STACK)])
def test_a_flow_of_a_label_stack_follows_the_rules(labels: tuple[int, ...]) -> None:
    with PrivateOvs() as ovs:
        assert passing_after_a_change(ovs, "whole", mpls_frame(*labels)) == 0
        assert CANNOT_CHANGE not in ovs.log


def test_a_flow_of_a_label_stack_without_a_bottom_cannot_be_changed() -> None:
    """It stays in Open vSwitch 3.1, where the remedy of docs/convergence.md is one; 3.5 removes it."""
    frame = mpls_frame(0, 16 << 12)
    with PrivateOvs() as ovs:
        passed = passing_after_a_change(ovs, "cut", frame)
        assert CANNOT_CHANGE in ovs.log
        found = re.search(r"(\d+)\.(\d+)\.\d+", ovs.appctl("version"))
        assert found is not None
        assert passed == (0 if (int(found[1]), int(found[2])) >= REMOVED_FROM else COUNT)
        ovs.appctl("revalidator/purge")
        assert passing(ovs, "cut", frame) == 0
