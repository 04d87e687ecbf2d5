"""A session and a switch in memory, speaking real bytes to each other."""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from collections.abc import Sequence

import pytest

from op25b_app.compiler.marker import Marker, marker_rule, newest_marker
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.policy.model import Mode
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.session import ANSWER_SECONDS, AUDIT_SECONDS, RETRY_SECONDS
from op25b_app.sync.status import State
from testing.fake_switch import Abilities, Command, Refusal
from testing.fake_switch.rules import put, remove, rules_on
from testing.fake_switch.wire import Kind
from tests.world import (
    DIGEST,
    OURS,
    PORTS,
    READ_BACK,
    RULES,
    TCP,
    THEIRS,
    Messages,
    World,
    at,
    desired,
)


@pytest.mark.parametrize("version", [4, 5, 6])
def test_a_new_switch_becomes_protected(version: int) -> None:
    world = World(version=version)
    assert world.status == ("lost", "never connected")
    world.connect(desired())
    assert world.states == ["connecting", "installing", "protected"]
    assert world.status == ("protected", READ_BACK)
    assert world.session.status.rules == len(RULES)
    assert set(world.rules) == set(RULES)
    assert [(flow.table, flow.priority) for flow in world.sent] == [
        (rule.table, rule.priority) for rule in RULES
    ]


def test_a_switch_that_has_its_rules_is_read_and_not_written() -> None:
    world = World()
    put(world.switch, *RULES, THEIRS)
    world.connect(desired())
    assert world.states == ["connecting", "protected"]
    assert world.sent == []


def test_a_switch_is_patched_and_rules_of_others_stay() -> None:
    world = World()
    surplus = FlowRule(2, 300, (FieldValue("in_port", 2),), NORMAL, OURS | 99)
    put(world.switch, *RULES[3:], surplus, THEIRS)
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)
    assert set(world.rules) == {*RULES, THEIRS}
    assert Counter(flow.command for flow in world.sent) == {Command.ADD: 3, Command.DELETE_STRICT: 1}


def test_monitor_mode_says_so() -> None:
    world = World()
    world.connect(desired(mode=Mode.MONITOR))
    assert world.status == ("monitoring", f"{READ_BACK}; blocks are counted and let through")


def test_a_barrier_is_not_acceptance() -> None:
    """A switch that drops a rule without a word is not protected, whatever it answers."""
    world = World()
    world.switch.conduct.swallow = lambda flow: at(flow) == (1, 200)
    world.connect(desired())
    assert world.status == (
        "degraded",
        "its table is not as sent: missing: "
        "table 1 priority 200 eth_type=0x800,ip_proto=6,tcp_dst=25 -> goto_table:2",
    )
    world.switch.conduct.swallow = lambda flow: False
    world.wait(RETRY_SECONDS)
    assert world.status == ("protected", READ_BACK)


def test_a_refused_rule_is_named_and_tried_again() -> None:
    world = World()
    world.switch.conduct.refuse = lambda flow: Refusal(4, 6) if at(flow) == (1, 200) else None
    world.connect(desired())
    assert world.status == (
        "degraded",
        "refused 1 rule: it cannot match on a field of the rule (BAD_MATCH/BAD_FIELD), "
        "first table 1 priority 200 eth_type=0x800,ip_proto=6,tcp_dst=25 -> goto_table:2; "
        "no more was sent, so that nothing opens, and everything is blocked",
    )
    assert set(world.rules) == {*RULES} - {RULES[-2], RULES[-1]}
    world.wait(3 * RETRY_SECONDS)
    assert world.states == ["connecting", "installing", "degraded"]
    assert len(world.sent) == len(RULES) - 1 + 3
    world.switch.conduct.refuse = lambda flow: None
    world.wait(RETRY_SECONDS)
    assert world.status == ("protected", READ_BACK)


def test_a_full_table_is_reported_with_numbers() -> None:
    """What blocks is there, and as much of what permits as fits."""
    world = World(capabilities=Abilities(room_of={2: 12}))
    world.connect(desired())
    assert world.status == (
        "degraded",
        "room for 10 of 21 rules in table 2: what the others would permit is blocked",
    )
    assert RULES[0] in world.rules
    assert len([rule for rule in world.rules if rule.table == 2]) == 10
    world.wait(3 * RETRY_SECONDS)
    assert world.states == ["connecting", "installing", "installing", "degraded"]


def test_a_switch_that_cannot_hold_the_rules_gets_nothing() -> None:
    def wanted(at: float, tables: int) -> Ruleset:
        raise ValueError(f"has {tables} tables and its rules need 3: nothing was sent")

    world = World(capabilities=Abilities(tables=2))
    world.connect(desired()._replace(wanted=wanted))
    assert world.status == ("degraded", "has 2 tables and its rules need 3: nothing was sent")
    assert world.switch.flow_mods == []


def test_ports_without_a_role_are_named_until_they_have_one() -> None:
    world = World(ports=PORTS | {7, 9})
    world.connect(desired())
    assert set(world.rules) == set(RULES)
    assert world.status == (
        "degraded",
        "no role in the policy for ports 7, 9, treated as subscriber ports: name them in access-1",
    )
    world.run(world.session.ports_changed(PORTS | {9}, world.now))
    assert "for port 9, treated" in world.session.status.reason
    world.run(world.session.ports_changed(PORTS, world.now))
    assert world.status == ("protected", READ_BACK)
    world.run(world.session.ports_changed(PORTS | {3}, world.now))
    assert world.session.status.state is State.DEGRADED


def test_while_another_claims_its_datapath_id_a_switch_is_degraded_and_kept_as_wanted() -> None:
    world = World()
    world.connect(desired())
    world.run(world.session.contested(["192.0.2.1:5", "192.0.2.2:6"], world.now))
    reason = (
        "two connections claim this datapath id, from 192.0.2.1:5 and 192.0.2.2:6: "
        "only 192.0.2.1:5 is used; give every switch a datapath id of its own"
    )
    assert world.status == ("degraded", reason)
    world.wait(AUDIT_SECONDS)
    assert world.status == ("degraded", reason), "an audit does not change that"
    world.connect(desired())
    assert world.status == ("degraded", reason), "nor does a connection that follows"
    assert set(world.rules) == set(RULES)
    world.run(world.session.contested(["192.0.2.1:5", "192.0.2.2:6", "192.0.2.3:7"], world.now))
    assert "3 connections" in world.status[1]
    world.run(world.session.contested([], world.now))
    assert world.status == ("protected", READ_BACK)


def test_other_lines_of_the_same_policy_are_sent_at_once() -> None:
    world = World()
    world.connect(desired())
    revision = world.session.revision
    other = desired(rules=[*RULES[:-1]])._replace(digest=desired().digest, edition=1)
    world.run(world.session.assign(other, world.now))
    assert set(world.rules) == set(RULES[:-1])
    assert world.session.revision == revision is not None
    assert world.session.status.state is State.PROTECTED


def test_other_lines_are_no_event_unless_something_goes_wrong() -> None:
    world = World()
    world.connect(desired())
    since, told = world.session.status.since, len(world.turns)
    world.now += 60
    other = desired(rules=[*RULES[:-1]])._replace(digest=desired().digest, edition=1)
    world.run(world.session.assign(other, world.now))
    assert world.session.status.state is State.PROTECTED
    assert world.session.status.since == since
    assert len(world.turns) == told
    wrong = desired()._replace(edition=2, violation=lambda *_: "not proven: port 25 is open")
    world.run(world.session.assign(wrong, world.now))
    assert [status.state for status in world.turns[told:]] == [State.DEGRADED]
    world.run(world.session.assign(desired()._replace(edition=3), world.now))
    assert world.turns[-1].state is State.PROTECTED


def test_what_is_desired_and_may_be_out_of_date_makes_a_switch_degraded() -> None:
    world = World()
    world.connect(desired())
    reason = "lines are not learned from leases.csv: it is empty"
    world.run(world.session.take_shortcomings([reason], world.now))
    assert world.status == ("degraded", reason)
    world.wait(AUDIT_SECONDS)
    assert world.session.status.state is State.DEGRADED
    world.run(world.session.take_shortcomings((), world.now))
    assert world.status == ("protected", READ_BACK)


def test_a_switch_gets_its_rules_before_it_describes_its_ports_and_is_not_protected_until_then() -> None:
    world = World(ports=None)
    world.connect(desired())
    assert set(world.rules) == set(RULES)
    assert world.status == ("installing", f"{READ_BACK}; it has not described its ports yet")
    world.run(world.session.ports_changed(PORTS, world.now))
    assert world.states == ["connecting", "installing", "protected"], "so soon that the log need not tell"


def test_a_table_that_was_read_before_the_ports_came_is_not_read_again_before_the_next_audit() -> None:
    world = World(ports=None)
    world.connect(desired())
    world.run(world.session.ports_changed(PORTS, world.now))
    due = world.session.due_at
    assert due - world.now > RETRY_SECONDS
    world.now += 1
    world.run(world.session.ports_changed(PORTS | {9}, world.now))
    assert world.session.due_at == due, "a port that comes and goes postpones nothing"


def test_a_switch_that_never_describes_its_ports_is_degraded_after_a_while() -> None:
    world = World(ports=None)
    world.connect(desired())
    world.wait(RETRY_SECONDS)
    remedy = "it does not describe its ports: let it connect again"
    assert world.status == ("degraded", f"{READ_BACK}; {remedy}")
    world.run(world.session.ports_changed(PORTS, world.now))
    assert world.status == ("protected", READ_BACK)


def test_what_is_wrong_is_reported_before_the_ports_are_known() -> None:
    world = World(ports=None)
    world.connect(desired()._replace(violation=lambda *_: "not proven"))
    assert world.status == ("degraded", "not proven")


def test_a_table_that_is_not_proven_is_never_called_protected() -> None:
    world = World()
    world.connect(desired()._replace(violation=lambda wanted, *_: f"not proven: {len(wanted)} rules"))
    assert world.status == ("degraded", f"not proven: {len(RULES)} rules")


def test_rules_of_others_that_change_a_verdict_degrade_and_stay() -> None:
    def violation(wanted: Ruleset, others: frozenset[FlowRule], *_: object) -> str | None:
        return "not proven: a rule of another application" if others else None

    world = World()
    intruder = FlowRule(1, 500, TCP, NORMAL, cookie=7)
    put(world.switch, intruder)
    world.connect(desired()._replace(violation=violation))
    assert world.status == ("degraded", "not proven: a rule of another application")
    assert set(world.rules) == {*RULES, intruder}
    remove(world.switch, intruder)
    world.run_told()
    world.wait(1)
    assert world.status == ("protected", READ_BACK)


def test_an_unknown_switch_is_left_alone_until_the_policy_names_it() -> None:
    world = World()
    world.connect(None)
    assert world.status == (
        "unknown",
        "not in the policy, left alone: to protect it, add a switch with dpid 0x1",
    )
    world.wait(AUDIT_SECONDS)
    assert world.sent == []
    world.run(world.session.assign(desired(), world.now))
    assert world.states == ["unknown", "installing", "installing", "protected"]
    world.run(world.session.assign(None, world.now))
    assert world.status == ("unknown", "no longer in the policy; its rules stay as they are")
    assert set(world.rules) == set(RULES)


def test_a_new_policy_changes_what_differs_and_no_more() -> None:
    world = World()
    world.connect(desired())
    world.switch.flow_mods.clear()
    new = FlowRule(2, 131, (*TCP, FieldValue("ipv4_src", 0x64400000, 0xFFFFFFFE)), NORMAL, OURS | 77)
    world.run(world.session.assign(desired([*RULES[1:], new]), world.now))
    assert world.states[3:] == ["checking", "installing", "protected"]
    assert len(world.sent) == 2
    assert set(world.rules) == {*RULES[1:], new}


def test_a_new_policy_in_the_middle_of_an_old_one_wins() -> None:
    """Also when the old one's answers, errors among them, come late."""
    world = World()
    late: list[bytes] = []

    def hold_back(message: bytes) -> Messages:
        if message[1] not in (1, 21):
            return [message]
        late.append(message)
        return []

    world.connect(desired(RULES[3:]))
    world.on_wire = hold_back
    world.switch.conduct.refuse = lambda flow: Refusal(5, 1) if at(flow) == (2, 10) else None
    world.run(world.session.assign(desired(), world.now))
    assert world.session.status.state is State.INSTALLING
    world.on_wire = lambda message: [message]
    world.switch.conduct.refuse = lambda flow: None
    begun = world.session.assign(desired(RULES[1:]), world.now)
    for message in late:
        world.run(world.deliver(message))
    world.run(begun)
    assert world.status == ("protected", f"{len(RULES) - 1} rules read back as wanted and proven")
    assert set(world.rules) == set(RULES[1:])


@pytest.mark.parametrize(
    ("silent", "doing"),
    [(19, "reading its table"), (21, "waiting for it to confirm changes")],
    ids=["read", "barrier"],
)
def test_a_silent_switch_is_degraded_and_tried_again(silent: int, doing: str) -> None:
    world = World()
    world.on_wire = lambda message: [] if message[1] == silent else [message]
    world.connect(desired())
    world.wait(ANSWER_SECONDS + 1)
    state, reason = world.status
    assert state == "degraded"
    assert re.fullmatch(rf"no answer for 1\d s while {doing}", reason)
    world.on_wire = lambda message: [message]
    world.wait(RETRY_SECONDS + 1)
    assert world.status == ("protected", READ_BACK)


def test_a_long_table_may_take_its_time_while_it_moves() -> None:
    world = World()
    put(world.switch, *RULES, marker_rule(Marker(1, DIGEST), 2))

    def slowly(message: bytes) -> Messages:
        world.now += ANSWER_SECONDS - 1
        assert world.session.due_at > world.now
        return [message]

    world.on_wire = slowly
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)


def test_unreadable_statistics_are_reported() -> None:
    world = World()
    put(world.switch, *RULES)
    world.on_wire = lambda message: [message[:-4]] if message[1] == 19 else [message]
    world.connect(desired())
    assert world.status[0] == "degraded"
    assert "unreadable flow statistics at byte" in world.status[1]
    assert world.sent == []


def test_a_refused_reading_is_reported() -> None:
    world = World()
    world.on_wire = lambda message: [
        struct.pack("!BBHIHH", 4, 1, 12, *struct.unpack_from("!I", message, 4), 1, 5)
    ]
    world.connect(desired())
    assert world.status == (
        "degraded",
        "refused while reading its table: the switch does not permit it (BAD_REQUEST/EPERM)",
    )


def test_errors_of_other_applications_are_theirs() -> None:
    """Xids are each application's own: the message that came back tells whose it was."""
    world = World()
    stranger = struct.pack("!BBHI", 4, 14, 56, 0x2500_0001) + bytes(48)
    error = struct.pack("!BBHIHH", 4, 1, 12 + len(stranger), 0x2500_0001, 5, 1) + stranger
    world.on_wire = lambda message: [error, message]
    world.switch.conduct.swallow = lambda flow: at(flow) == (1, 200)
    world.connect(desired())
    state, reason = world.status
    assert state == "degraded"
    assert reason.startswith("its table is not as sent: missing: table 1 priority 200")
    assert "refused" not in reason


def test_answers_to_other_applications_are_theirs() -> None:
    world = World()
    empty_table = struct.pack("!BBHIHHxxxx", 4, 19, 16, 0x1234, 1, 0)
    barrier = struct.pack("!BBHI", 4, 21, 8, 0x1234)
    world.on_wire = lambda message: [empty_table, barrier, message]
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)


def test_an_audit_repairs_what_somebody_broke_and_nobody_told_of() -> None:
    world = World(capabilities=Abilities(flow_monitor=False))
    world.on_wire = lambda message: [message] if message[1] != Kind.FLOW_REMOVED else []
    world.connect(desired())
    world.wait(2 * AUDIT_SECONDS)
    assert world.states == ["connecting", "installing", "protected"]
    remove(world.switch, RULES[0])
    world.wait(AUDIT_SECONDS)
    assert world.states[3:] == ["installing", "protected"]
    assert world.turns[3].reason == "sending 1 change: missing: table 2 priority 10 everything -> drop"
    assert set(world.rules) == set(RULES)


def test_exceptions_are_prolonged_before_they_end_and_end_in_time() -> None:
    expires = 1000 + 200_000
    block = FlowRule(2, 10, (), None, OURS | 1)

    def rules(now: float) -> Sequence[FlowRule]:
        left = int(expires - now)
        permit = FlowRule(2, 400, (FieldValue("in_port", 1),), NORMAL, OURS | 2, min(left, 65535))
        return [block, permit] if left > 0 else [block]

    world = World()
    world.connect(desired()._replace(wanted=lambda at, tables: Ruleset([rules(at)])))
    while world.now < expires - 1:
        world.wait(min(1000.0, expires - 1 - world.now))
        assert len(world.rules) == 2, world.now
    world.wait(2)
    assert world.rules == [block]
    world.wait(AUDIT_SECONDS)
    assert world.states == ["connecting", "installing", "protected", "checking", "protected"]
    assert len(world.sent) < 10


def test_an_exception_starts_in_time() -> None:
    start = 1000 + 20
    block = FlowRule(2, 10, (), None, OURS | 1)
    permit = FlowRule(2, 400, (FieldValue("in_port", 1),), NORMAL, OURS | 2)

    def wanted(at: float, tables: int) -> Ruleset:
        return Ruleset([[block]], changes=True) if at < start else Ruleset([[block, permit]])

    world = World()
    world.connect(desired()._replace(wanted=wanted, next_start=lambda at: start if at < start else math.inf))
    world.wait(start - 1 - world.now)
    assert world.rules == [block]
    world.wait(2)
    assert set(world.rules) == {block, permit}
    world.wait(AUDIT_SECONDS)
    assert world.states == ["connecting", "installing", "protected", "installing", "protected"]


def test_a_lost_switch_is_lost_and_comes_back() -> None:
    world = World()
    world.on_wire = lambda message: [] if message[1] == 19 else [message]
    world.connect(desired())
    world.run(world.session.disconnected(world.now))
    assert world.status == ("lost", "connection closed")
    world.wait(AUDIT_SECONDS)
    assert world.states == ["connecting", "lost"]
    world.on_wire = lambda message: [message]
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)


def test_many_rules_leave_in_pieces() -> None:
    many = [FlowRule(2, 32, (*TCP, FieldValue("ipv4_src", n)), None, OURS | n) for n in range(3000)]
    world = World()
    sizes: list[int] = []
    receive = world.channel.receive

    def measured(piece: bytes, now: float) -> Messages:
        sizes.append(len(piece))
        return [*receive(piece, now)]

    world.channel.receive = measured  # type: ignore[assignment, method-assign]
    world.connect(desired(many))
    assert world.status == ("protected", "3000 rules read back as wanted and proven")
    assert len(sizes) < 10
    assert max(sizes) < 1 << 17


def test_a_policy_has_a_revision_on_the_switch() -> None:
    world = World()
    world.connect(desired())
    assert newest_marker(world.markers) == Marker(1, DIGEST[:32])
    world.run(world.session.assign(desired(), world.now))
    assert (world.session.revision, len(world.markers)) == (1, 1)
    other = desired(RULES[1:])._replace(digest="beef" * 16)
    world.run(world.session.assign(other, world.now))
    assert world.markers == [marker_rule(Marker(2, "beef" * 16), 2)]
    assert world.session.revision == 2


def test_who_merely_follows_never_writes_over_a_newer_policy() -> None:
    world = World()
    newer = marker_rule(Marker(7, "beef" * 16), 2)
    put(world.switch, *RULES[2:], newer)
    world.connect(desired()._replace(revision=6))
    assert world.status[0] == "degraded"
    assert world.status[1].startswith("holds revision 7 of another policy, and this one is revision 6")
    assert set(rules_on(world.switch)) == {*RULES[2:], newer}
    assert world.switch.flow_mods == []
    world.run(world.session.assign(desired(), world.now))
    assert world.status == ("protected", READ_BACK)
    assert world.session.revision == 8


def test_a_policy_put_in_force_elsewhere_is_not_written_over() -> None:
    world = World()
    world.connect(desired())
    put(world.switch, marker_rule(Marker(2, "beef" * 16), 2))
    remove(world.switch, RULES[0])
    world.run_told()
    world.wait(2)
    assert world.status[0] == "degraded"
    assert RULES[0] not in world.rules


@pytest.mark.parametrize("version", [4, 5, 6])
@pytest.mark.parametrize("monitor", [True, False])
def test_a_rule_that_somebody_deletes_is_put_back_within_a_second(version: int, monitor: bool) -> None:
    world = World(version=version, capabilities=Abilities(versions=(version,), flow_monitor=monitor))
    world.connect(desired())
    remove(world.switch, RULES[0])
    world.run_told()
    world.wait(1)
    assert world.status == ("protected", READ_BACK)
    assert set(world.rules) == set(RULES)
    assert [event.text for event in world.events] == [
        "put right: missing: table 2 priority 10 everything -> drop"
    ]


def test_what_others_do_in_their_own_tables_is_no_disturbance() -> None:
    world = World()
    world.connect(desired())
    put(world.switch, FlowRule(9, 5, (), NORMAL, cookie=7))
    world.run_told()
    assert world.session.due_at - world.now > 60


def test_a_rule_written_over_is_taken_back_in_tables_of_ours_and_where_it_was_confirmed() -> None:
    world = World()
    put(world.switch, RULES[-1]._replace(action=NORMAL, cookie=7), RULES[0]._replace(action=NORMAL, cookie=7))
    world.connect(desired())
    assert {rule.cookie for rule in world.rules if rule.key in (RULES[-1].key, RULES[0].key)} == {
        7,
        RULES[0].cookie,
    }
    world = World()
    world.connect(desired())
    put(world.switch, RULES[-1]._replace(action=NORMAL, cookie=7))
    world.run_told()
    world.wait(1)
    assert set(world.rules) == set(RULES)
    assert "overwritten by a rule with cookie 0x7" in world.events[0].text


@pytest.mark.parametrize("version", [4, 5, 6])
def test_a_new_policy_comes_all_at_once_or_not_at_all(version: int) -> None:
    world = World(version=version, capabilities=Abilities(versions=(version,)))
    world.connect(desired())
    seen: set[frozenset[FlowRule]] = set()
    world.switch.on_handled = lambda: seen.add(frozenset(world.rules))
    new = [*RULES[5:], *(rule._replace(table=3) for rule in RULES[:3])]
    world.run(world.session.assign(desired(new), world.now))
    assert world.status[0] == "protected"
    assert seen <= {frozenset(RULES), frozenset(new)}


def test_a_bundle_that_does_not_fit_changes_nothing_and_what_fits_is_closed() -> None:
    world = World(capabilities=Abilities(room_of={2: 30}))
    world.connect(desired())
    more = [rule._replace(match=(FieldValue("in_port", n),)) for n, rule in enumerate(RULES[1:21])]
    world.run(world.session.assign(desired([*RULES, *more]), world.now))
    state, reason = world.status
    assert (state, reason) == (
        "degraded",
        "room for 28 of 41 rules in table 2: what the others would permit is blocked",
    )
    assert RULES[0] in world.rules


def test_ports_do_not_protect_a_switch_whose_next_policy_is_being_worked_out() -> None:
    """Its table is that of the policy before."""
    world = World()
    world.connect(desired())
    reported = world.session.assign(desired(RULES[:-4] + RULES[-3:]), world.now)
    assert reported.job is not None
    assert world.session.ports_changed(PORTS, world.now).new_status is None
    assert world.session.contested((), world.now).new_status is None
    assert world.session.status.state is State.CHECKING
    world.run(reported)
    assert world.status[0] == "protected"
