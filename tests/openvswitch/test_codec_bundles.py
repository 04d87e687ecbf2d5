"""Our bundles and a real Open vSwitch: all at once or not at all, and what it says when not."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest

from op25b_app.openflow import bundle, codec, errors
from op25b_app.openflow.bundle import BundleControlReply, BundleControlType
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from testing.openflow_client import ERROR, OpenFlowClient
from testing.private_ovs import PrivateOvs

PROTOCOLS = "OpenFlow13,OpenFlow14,OpenFlow15"
NUMBER = 25
OPEN, CLOSE, COMMIT, DISCARD = 1, 2, 3, 4
FIRST_CHANGE = 0x100
LIMIT = 3

versions = pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
Change = tuple[FlowModCommand, FlowRule]


def rule(number: int) -> FlowRule:
    return FlowRule(2, number, (FieldValue("in_port", number),), NORMAL, 0x25B0 << 48 | number)


def add_bridge(ovs: PrivateOvs, name: str, *, limit: int | None = None) -> None:
    ovs.add_bridge(name, range(1, 8), protocols=PROTOCOLS)
    if limit is not None:
        table = ("--", "--id=@table", "create", "Flow_Table", f"flow_limit={limit}")
        ovs.vsctl(*table, "--", "set", "Bridge", name, "flow_tables:2=@table")


def opened(switch: OpenFlowClient, changes: Iterable[Change]) -> list[bytes]:
    """A bundle with changes in it, opened and closed."""
    version = switch.version
    flow_mods = [
        codec.encode_flow_mod(each, command=command, version=version, xid=FIRST_CHANGE + number)
        for number, (command, each) in enumerate(changes)
    ]
    return [
        bundle.encode_open(version=version, bundle=NUMBER, xid=OPEN),
        *(bundle.encode_add(flow_mod, bundle=NUMBER) for flow_mod in flow_mods),
        bundle.encode_close(version=version, bundle=NUMBER, xid=CLOSE),
    ]


def committed(switch: OpenFlowClient, *changes: Change) -> list[bytes]:
    """What the switch answers to a bundle of changes."""
    commit = bundle.encode_commit(version=switch.version, bundle=NUMBER, xid=COMMIT)
    switch.send(*opened(switch, changes), commit)
    return switch.received()


def replies(messages: Iterable[bytes]) -> list[BundleControlReply]:
    return [reply for message in messages if (reply := bundle.decode_control_reply(message))]


def refusals(messages: Iterable[bytes]) -> list[tuple[int, str]]:
    """The xid and the words of each error."""
    found = [struct.unpack_from("!xBxxIHH", message) for message in messages]
    return [(xid, errors.explain(kind, code)) for type_, xid, kind, code in found if type_ == ERROR]


def rules_of(switch: OpenFlowClient) -> list[int]:
    return sorted(each.rule.priority for each in switch.read())


@versions
def test_a_bundle_is_committed(ovs: PrivateOvs, version: int) -> None:
    bridge = f"bundle{version}"
    add_bridge(ovs, bridge)
    with ovs.openflow(bridge, version) as switch:
        switch.load([rule(1)])
        messages = committed(
            switch,
            (FlowModCommand.ADD, rule(2)),
            (FlowModCommand.ADD, rule(3)._replace(action=None)),
            (FlowModCommand.DELETE_STRICT, rule(1)),
        )
        assert replies(messages) == [
            BundleControlReply(NUMBER, BundleControlType.OPENED, OPEN),
            BundleControlReply(NUMBER, BundleControlType.CLOSED, CLOSE),
            BundleControlReply(NUMBER, BundleControlType.COMMITTED, COMMIT),
        ]
        assert refusals(messages) == []
        assert sorted(each.rule for each in switch.read()) == [rule(2), rule(3)._replace(action=None)]


@versions
def test_nothing_of_a_bundle_holds_before_its_commit(ovs: PrivateOvs, version: int) -> None:
    bridge = f"bundle-open{version}"
    add_bridge(ovs, bridge)
    with ovs.openflow(bridge, version) as switch:
        switch.load([rule(1)])
        switch.send(*opened(switch, [(FlowModCommand.ADD, rule(2)), (FlowModCommand.DELETE_STRICT, rule(1))]))
        assert refusals(switch.received()) == []
        assert rules_of(switch) == [1]
        switch.send(bundle.encode_discard(version=version, bundle=NUMBER, xid=DISCARD))
        assert replies(switch.received()) == [
            BundleControlReply(NUMBER, BundleControlType.DISCARDED, DISCARD)
        ]
        assert rules_of(switch) == [1]
        switch.send(*opened(switch, [(FlowModCommand.ADD, rule(2)), (FlowModCommand.DELETE_STRICT, rule(1))]))
        switch.received()
    with ovs.openflow(bridge, version) as switch:
        assert rules_of(switch) == [1], "a bundle outlived its connection"


@versions
def test_a_bundle_that_does_not_fit_fails_whole(ovs: PrivateOvs, version: int) -> None:
    bridge = f"bundle-full{version}"
    add_bridge(ovs, bridge, limit=LIMIT)
    changes = [
        (FlowModCommand.DELETE_STRICT, rule(1)),
        *[(FlowModCommand.ADD, rule(number)) for number in range(2, 7)],
    ]
    with ovs.openflow(bridge, version) as switch:
        switch.load([rule(1)])
        messages = committed(switch, *changes)
        assert refusals(messages) == [
            (FIRST_CHANGE + 4, "no room in the table (FLOW_MOD_FAILED/TABLE_FULL)"),
            (COMMIT, "a message in the bundle failed, and none was applied (BUNDLE_FAILED/MSG_FAILED)"),
        ]
        assert [reply.kind for reply in replies(messages)] == [
            BundleControlType.OPENED,
            BundleControlType.CLOSED,
        ]
        flow_mod = codec.encode_flow_mod(rule(5), version=version, xid=FIRST_CHANGE + 4)
        (refused,) = (message for message in messages if message[4:8] == flow_mod[4:8])
        assert refused[12:] == bundle.encode_add(flow_mod, bundle=NUMBER)
        assert rules_of(switch) == [1]


@versions
def test_rules_change_places_in_a_full_table(ovs: PrivateOvs, version: int) -> None:
    """Deleted first and added later, no packet sees the table in between."""
    bridge = f"bundle-swap{version}"
    add_bridge(ovs, bridge, limit=LIMIT)
    additions = [(FlowModCommand.ADD, rule(number)) for number in (4, 5, 6)]
    deletions = [(FlowModCommand.DELETE_STRICT, rule(number)) for number in (1, 2, 3)]
    with ovs.openflow(bridge, version) as switch:
        switch.load([rule(1), rule(2), rule(3)])
        assert refusals(committed(switch, *additions, *deletions))
        assert rules_of(switch) == [1, 2, 3]
        assert refusals(committed(switch, *deletions, *additions)) == []
        assert rules_of(switch) == [4, 5, 6]


@versions
def test_a_commit_after_a_refused_addition_commits_the_rest(ovs: PrivateOvs, version: int) -> None:
    """Why a bundle is closed, and its errors awaited, before it is committed."""
    bridge = f"bundle-rest{version}"
    add_bridge(ovs, bridge)
    bad = rule(2)._replace(match=(FieldValue("tcp_dst", 25),))
    with ovs.openflow(bridge, version) as switch:
        switch.send(*opened(switch, [(FlowModCommand.ADD, rule(1)), (FlowModCommand.ADD, bad)]))
        messages = switch.received()
        refused = "a field of the rule needs another one (BAD_MATCH/BAD_PREREQ)"
        assert refusals(messages) == [(FIRST_CHANGE + 1, refused)]
        assert [message[1] == ERROR for message in messages] == [False, True, False], "CLOSED comes last"
        switch.send(bundle.encode_commit(version=version, bundle=NUMBER, xid=COMMIT))
        assert replies(switch.received()) == [BundleControlReply(NUMBER, BundleControlType.COMMITTED, COMMIT)]
        assert rules_of(switch) == [1]


@versions
def test_an_unknown_bundle_cannot_be_committed(ovs: PrivateOvs, version: int) -> None:
    bridge = f"bundle-none{version}"
    add_bridge(ovs, bridge)
    with ovs.openflow(bridge, version) as switch:
        switch.send(bundle.encode_commit(version=version, bundle=99, xid=COMMIT))
        (refusal,) = refusals(switch.received())
        assert refusal == (COMMIT, "it knows no such bundle, or has it already (BUNDLE_FAILED/BAD_ID)")
