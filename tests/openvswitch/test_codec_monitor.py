"""Our flow monitor and a real Open vSwitch: every change is told, by whomever it is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from op25b_app.openflow import bundle, codec
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_monitor import (
    FlowEvent,
    FlowUpdate,
    decode_updates,
    encode_monitor_request,
    is_flow_update,
)
from op25b_app.openflow.flow_removed import FlowRemoved, RemovedReason, decode_flow_removed, is_flow_removed
from op25b_app.openflow.flow_rule import NORMAL, Action, FieldValue, FlowRule, Goto
from op25b_app.openflow.wire import OPENFLOW_13
from testing.openflow_client import OpenFlowClient
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs

PROTOCOLS = "OpenFlow13,OpenFlow14,OpenFlow15"
MATCH = (
    FieldValue("eth_type", 0x0800),
    FieldValue("ip_proto", 6),
    FieldValue("ipv4_src", 10 << 24, 0xFF000000),
)
COOKIE = 0x25B0_0000_0000_0007
OURS = FlowRule(2, 9, MATCH, Goto(4), COOKIE)
LINE = f"cookie={COOKIE:#x},table=2,priority=9,tcp,nw_src=10.0.0.0/8"
MANY = 10_000

versions = pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])


@contextmanager
def monitored(ovs: PrivateOvs, name: str, version: int, lines: str = "") -> Iterator[OpenFlowClient]:
    """A connection to a bridge with rules that is told of changes from now on."""
    ovs.add_bridge(name, range(1, 4), protocols=PROTOCOLS)
    ovs.add_flows(name, lines)
    with ovs.openflow(name, version) as switch:
        switch.send(encode_monitor_request(version=version, xid=9))
        (reply,) = switch.received()
        assert is_flow_update(reply), reply.hex()
        assert reply[4:8] == (9).to_bytes(4, "big")
        assert list(decode_updates(reply)) == [], "the initial contents were not asked for"
        yield switch


def updates(switch: OpenFlowClient) -> list[FlowUpdate]:
    messages = switch.received()
    assert all(is_flow_update(message) for message in messages)
    assert {message[4:8] for message in messages} <= {bytes(4)}, "later updates have no xid"
    return [update for message in messages for update in decode_updates(message)]


@versions
def test_what_others_do_is_reported_at_once(ovs: PrivateOvs, version: int) -> None:
    bridge = f"monitor{version}"
    with monitored(ovs, bridge, version, f"{LINE},actions=drop") as switch:

        def reported(event: FlowEvent, action: Action, reason: int = 0, cookie: int = COOKIE) -> FlowUpdate:
            return FlowUpdate(event, FlowRule(2, 9, MATCH, action, cookie), reason)

        ovs.ofctl("del-flows", bridge)
        assert updates(switch) == [reported(FlowEvent.REMOVED, None, RemovedReason.DELETE)]
        ovs.add_flows(bridge, f"{LINE},actions=goto_table:4")
        assert updates(switch) == [reported(FlowEvent.ADDED, Goto(4))]
        ovs.add_flows(bridge, f"{LINE},actions=NORMAL".replace(f"{COOKIE:#x}", "0x3"))
        assert updates(switch) == [reported(FlowEvent.ADDED, NORMAL, cookie=3)]
        ovs.ofctl("mod-flows", bridge, "table=2,actions=drop")
        assert updates(switch) == [reported(FlowEvent.MODIFIED, None, cookie=3)]
        ovs.ofctl("--strict", "del-flows", bridge, "table=2,priority=9,tcp,nw_src=10.0.0.0/8")
        assert updates(switch) == [reported(FlowEvent.REMOVED, None, RemovedReason.DELETE, cookie=3)]


@versions
def test_the_end_of_a_time_out_is_reported(ovs: PrivateOvs, version: int) -> None:
    bridge = f"monitor-end{version}"
    with monitored(ovs, bridge, version) as switch:
        ovs.add_flows(bridge, f"{LINE},hard_timeout=1,actions=drop")
        assert [(each.event, each.rule.hard_timeout) for each in updates(switch)] == [(FlowEvent.ADDED, 1)]
        (update,) = decode_updates(switch.await_message())
        assert (update.event, update.reason) == (FlowEvent.REMOVED, RemovedReason.HARD_TIMEOUT)


@versions
def test_changes_over_our_own_connection_are_reported_in_full_or_by_their_xids(
    ovs: PrivateOvs, version: int
) -> None:
    bridge = f"monitor-own{version}"
    with monitored(ovs, bridge, version) as switch:
        flow_mod = codec.encode_flow_mod(OURS, version=version, xid=0x501)
        switch.send(flow_mod)
        switch.send(codec.encode_flow_mod(OURS._replace(action=None), version=version, xid=0x502))
        deletion = codec.encode_flow_mod(
            OURS, command=FlowModCommand.DELETE_STRICT, version=version, xid=0x503
        )
        switch.send(deletion)
        reported = updates(switch)
        if version == OPENFLOW_13:
            assert [each.event for each in reported] == [FlowEvent.ADDED, FlowEvent.ADDED, FlowEvent.REMOVED]
            assert [each.rule for each in reported[:2]] == [OURS, OURS._replace(action=None)]
            assert reported[2].rule.key == OURS.key
        else:
            assert reported == [FlowUpdate(FlowEvent.OWN, xid=xid) for xid in (0x501, 0x502, 0x503)]

        switch.send(
            bundle.encode_open(version=version, bundle=1, xid=1),
            bundle.encode_add(flow_mod, bundle=1),
            bundle.encode_commit(version=version, bundle=1, xid=2),
        )
        reported = [
            each
            for message in switch.received()
            if is_flow_update(message)
            for each in decode_updates(message)
        ]
        if version == OPENFLOW_13:
            assert [(each.event, each.rule) for each in reported] == [(FlowEvent.ADDED, OURS)]
        else:
            assert [each.event for each in reported] == [FlowEvent.OWN]


@versions
def test_a_monitor_that_is_not_read_pauses_and_resumes(ovs: PrivateOvs, version: int) -> None:
    bridge = f"monitor-pause{version}"
    with monitored(ovs, bridge, version) as switch:
        lines = (
            f"table=3,ip,nw_src=10.{n >> 16}.{n >> 8 & 255}.{n & 255},actions=drop\n" for n in range(MANY)
        )
        ovs.add_flows(bridge, "".join(lines))
        reported: list[FlowUpdate] = []
        deadline = time.monotonic() + HANG_SECONDS
        while not reported or reported[-1].event is not FlowEvent.RESUMED:
            assert time.monotonic() < deadline
            reported += updates(switch)
        events = [each.event for each in reported]
        assert events.count(FlowEvent.PAUSED) == events.count(FlowEvent.RESUMED) > 0
        assert {each.rule.match for each in reported if each.event is FlowEvent.ADDED} == {
            each.rule.match for each in switch.read()
        }


@versions
def test_a_rule_of_ours_says_itself_that_it_is_gone(ovs: PrivateOvs, version: int) -> None:
    bridge = f"removed{version}"
    ovs.add_bridge(bridge, range(1, 4), protocols=PROTOCOLS)
    with ovs.openflow(bridge, version) as switch:
        switch.accept_events()
        flags = codec.SEND_FLOW_REMOVED
        switch.send(
            codec.encode_flow_mod(OURS, version=version, xid=1, flags=flags),
            codec.encode_flow_mod(
                OURS._replace(priority=8, hard_timeout=1), version=version, xid=2, flags=flags
            ),
        )
        assert switch.received() == []
        assert {each.flags for each in switch.read()} == {codec.SEND_FLOW_REMOVED}
        ovs.ofctl("--strict", "del-flows", bridge, "table=2,priority=9,tcp,nw_src=10.0.0.0/8")
        message = switch.await_message()
        assert is_flow_removed(message)
        gone = OURS._replace(action=None)
        assert decode_flow_removed(message) == FlowRemoved(gone, RemovedReason.DELETE, 0, 0)
        message = switch.await_message()
        gone = gone._replace(priority=8, hard_timeout=1)
        assert decode_flow_removed(message) == FlowRemoved(gone, RemovedReason.HARD_TIMEOUT, 0, 0)
