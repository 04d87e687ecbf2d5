"""What a session does on the reports of its switch: at once, and whatever else is under way."""

from __future__ import annotations

import pytest

from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow import codec, wire
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.sync.resync_schedule import RepairBudget
from op25b_app.sync.status import Job, Outcome, is_converged
from testing.fake_switch import Abilities
from testing.fake_switch.rules import put, remove
from testing.fake_switch.wire import Kind, pack
from tests.world import DIGEST, OURS, READ_BACK, RULES, TCP, THEIRS, World, desired

OPEN = FlowRule(0, 500, (*TCP, FieldValue("tcp_dst", 25)), NORMAL, cookie=7)
XID_OF_ANOTHER = 0x1234


class Watched(World):
    """A world whose jobs wait until they are done by hand, and that counts how often its table is read."""

    def __init__(self, version: int, **capabilities: bool) -> None:
        super().__init__(capabilities=Abilities(versions=(version,), **capabilities), version=version)  # type: ignore[arg-type]
        self.jobs: list[Job] = []
        self.by_hand = False
        self.read = 0
        self.channel.on_handled = self.count

    def count(self, message: object) -> None:
        self.read += getattr(message, "kind", None) == Kind.MULTIPART_REQUEST

    def do(self, job: Job) -> Outcome:
        if not self.by_hand:
            return super().do(job)
        self.jobs.append(job)
        return Outcome()

    def do_jobs(self) -> None:
        self.by_hand = False
        while self.jobs:
            self.run(self.do(self.jobs.pop(0)))


def protected(version: int = 4, **capabilities: bool) -> Watched:
    world = Watched(version, **capabilities)
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)
    world.now += 100
    world.read = 0
    world.switch.flow_mods.clear()
    return world


@pytest.mark.parametrize("monitor", [True, False])
def test_a_deleted_rule_is_sent_again_before_the_table_is_read(monitor: bool) -> None:
    world = protected(flow_monitor=monitor)
    remove(world.switch, RULES[0])
    world.run_told()
    assert set(world.rules) == set(RULES)
    assert (world.read, len(world.sent)) == (0, 1)
    assert world.status == ("checking", "a rule is gone: table 2 priority 10 everything")
    assert [event.text for event in world.events] == [
        "put right: missing: table 2 priority 10 everything -> drop"
    ]
    world.wait(1)
    assert world.status == ("protected", READ_BACK)
    assert len(world.events) == 1


@pytest.mark.parametrize(
    "theirs", [RULES[0]._replace(action=NORMAL), RULES[-1]._replace(action=NORMAL, cookie=7)]
)
def test_a_changed_or_overwritten_rule_is_sent_again_before_the_table_is_read(theirs: FlowRule) -> None:
    world = protected()
    put(world.switch, theirs)
    world.run_told()
    assert set(world.rules) == set(RULES)
    assert world.read == 0


def test_a_rule_with_a_cookie_of_ours_that_is_not_wanted_is_deleted_at_once() -> None:
    world = protected()
    put(world.switch, FlowRule(2, 700, TCP, NORMAL, OURS | 700))
    world.run_told()
    assert set(world.rules) == set(RULES)
    assert world.read == 0


def test_several_rules_are_put_back_in_a_safe_order_before_the_table_is_read() -> None:
    """In a bundle here: all at once."""
    world = protected()
    seen: set[int] = set()
    remove(world.switch, *RULES[-3:-1], RULES[0])
    reported = world.channel.due(world.now)
    world.switch.on_handled = lambda: seen.add(len(world.rules))
    world.run(world.deliver(in_one_message(reported)))
    assert set(world.rules) == set(RULES)
    assert seen == {len(RULES)}


def in_one_message(updates: list[bytes]) -> bytes:
    """As Open vSwitch tells what one flow-mod has done to several rules."""
    head = updates[0][: wire.MULTIPART_HEADER_SIZE + 8]
    body = head[8:] + b"".join(update[len(head) :] for update in updates)
    return pack(4, Kind.MULTIPART_REPLY, 0, body)


@pytest.mark.parametrize("version", [4, 5, 6])
def test_changes_of_another_application_over_the_same_connection_are_put_right(version: int) -> None:
    """Ryu's applications share the connection, so the switch calls its changes the controller's own.

    With OpenFlow 1.4 and 1.5 it tells no more of them than the xid.
    """
    world = protected(version=version)
    opening = RULES[0]._replace(action=NORMAL, cookie=0)
    piece = codec.encode_flow_mod(opening, command=FlowModCommand.ADD, version=version, xid=XID_OF_ANOTHER)
    for message in world.channel.receive(piece, world.now):
        world.run(world.deliver(message))
    world.run_told()
    assert world.status[0] == "checking"
    assert (set(world.rules) == set(RULES)) is (version == 4)
    world.wait(1)
    assert set(world.rules) == set(RULES)
    assert world.status == ("protected", READ_BACK)


def test_protected_ends_when_a_rule_of_others_may_change_a_verdict() -> None:
    world = protected()
    put(world.switch, OPEN)
    world.run_told()
    assert world.status == (
        "checking",
        "a rule was added or changed: table 0 priority 500 eth_type=0x800,ip_proto=6,tcp_dst=25 -> NORMAL",
    )
    put(world.switch, THEIRS)
    world.run_told()
    assert len(world.turns) == 4, "what is below the last rule of table 0 is not worth a check"


def test_a_check_that_finds_nothing_moves_no_time() -> None:
    world = protected()
    since = world.session.status.since
    put(world.switch, OPEN)
    remove(world.switch, OPEN)
    world.run_told()
    assert world.status[0] == "checking"
    world.wait(10)
    assert world.status == ("protected", READ_BACK)
    assert world.session.status.since == since
    remove(world.switch, RULES[0])
    world.run_told()
    repaired = world.now
    world.wait(10)
    assert world.session.status.since > repaired


@pytest.mark.parametrize("digest", [DIGEST, "beef" * 16], ids=["the same file", "another file"])
def test_a_policy_that_changes_nothing_here_moves_no_time(digest: str) -> None:
    world = protected()
    since = world.session.status.since
    world.run(world.session.assign(desired()._replace(digest=digest), world.now))
    assert world.read == 1
    assert world.status == ("protected", READ_BACK)
    assert world.session.status.since == since
    assert world.sent == []
    world.now += 5
    world.run(world.session.assign(desired(RULES[1:])._replace(digest="feed" * 16), world.now))
    assert world.session.status.since == world.now


def test_while_the_same_policy_is_put_in_force_again_repairs_go_on() -> None:
    world = protected()
    world.on_wire = lambda message: []
    world.run(world.session.assign(desired(), world.now))
    assert world.read == 1, "its answer does not come"
    remove(world.switch, RULES[0])
    for message in world.channel.due(world.now):
        world.run(world.deliver(message))
    assert set(world.rules) == set(RULES)
    assert world.status[0] == "checking"


@pytest.mark.parametrize("monitor", [True, False])
def test_a_proof_that_fails_stops_no_repair(monitor: bool) -> None:
    world = protected(flow_monitor=monitor)
    world.by_hand = True
    put(world.switch, OPEN)
    world.run_told()
    world.wait(400)
    while not (job := world.jobs.pop(0)).proves:
        world.run(job.then(job.work(), world.now))
    world.by_hand = False
    world.run(job.fail("internal error", world.now))
    assert world.status == ("degraded", "internal error")
    remove(world.switch, RULES[0])
    world.run_told()
    assert set(world.rules) == {*RULES, OPEN}
    remove(world.switch, RULES[1])
    remove(world.switch, RULES[3])
    world.run_told()
    world.wait(3)
    assert set(world.rules) == {*RULES, OPEN}


def test_a_repair_waits_for_no_proof() -> None:
    world = protected()
    world.run(world.session.assign(desired()._replace(digest="beef" * 16), world.now))
    world.by_hand = True
    put(world.switch, OPEN)
    world.run_told()
    world.wait(6)
    assert world.jobs, "a proof is under way"
    assert world.status[0] == "checking"
    remove(world.switch, RULES[0], OPEN)
    world.run_told()
    assert set(world.rules) == set(RULES)
    world.do_jobs()
    assert world.status[0] == "checking", "what was proven is not what is there now"
    world.wait(10)
    assert world.status == ("protected", READ_BACK)


def test_a_repair_waits_for_no_comparison() -> None:
    world = protected()
    put(world.switch, OPEN)
    world.run_told()
    world.by_hand = True
    remove(world.switch, OPEN)
    world.run_told()
    world.wait(10)
    remove(world.switch, RULES[0])
    world.run_told()
    assert set(world.rules) == set(RULES)


def test_the_result_for_a_policy_that_is_no_longer_meant_is_ignored() -> None:
    world = protected()
    world.by_hand = True
    world.run(world.session.assign(desired(RULES[1:]), world.now))
    [job] = world.jobs
    world.by_hand = False
    world.run(world.session.assign(desired(), world.now))
    assert job.then(job.work(), world.now) == Outcome()
    assert job.fail("it broke", world.now) == Outcome()
    assert set(world.rules) == set(RULES)


def test_who_undoes_every_repair_is_slowed_down() -> None:
    world = protected()
    for _ in range(1000):
        remove(world.switch, RULES[0])
        world.run_told()
    assert RepairBudget.MOST <= len(world.sent) <= RepairBudget.MOST + 1
    assert not is_converged(world.status[0])


def test_a_marker_of_another_controllers_policy_ends_repairs_on_the_news() -> None:
    world = protected()
    put(world.switch, marker_rule(Marker(7, "beef" * 16), 2))
    remove(world.switch, RULES[0])
    world.run_told()
    assert RULES[0] not in world.rules
    world.wait(2)
    assert RULES[0] not in world.rules
    assert world.status[0] == "degraded"


def test_an_audit_alone_ends_no_protection() -> None:
    world = protected()
    turns = len(world.turns)
    world.wait(1000)
    assert world.read >= 2
    assert len(world.turns) == turns


def test_what_an_install_and_its_proof_took_delays_no_check() -> None:
    world = Watched(4)
    world.by_hand = True
    world.connect(desired())
    for took in (100.0, 0.0, 100.0):
        job = world.jobs.pop()
        world.now += took
        world.run(job.then(job.work(), world.now))
    assert job.proves
    assert world.status[0] == "protected"
    world.by_hand = False
    remove(world.switch, RULES[0])
    world.run_told()
    world.wait(2)
    assert world.status == ("protected", READ_BACK)
