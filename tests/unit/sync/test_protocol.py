"""The dialogue with a switch where an answer is late, odd, too long or never comes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.openflow import bundle
from op25b_app.openflow.codec import FlowModCommand, count_rules, is_flow_stats_reply
from op25b_app.openflow.flow_mods import Change, UpdateStep
from op25b_app.openflow.flow_rule import NORMAL
from op25b_app.sync import protocol
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.phases import Phase
from op25b_app.sync.protocol import (
    MAX_OF_OTHERS,
    MessageResult,
    ReadLimit,
    SwitchFeatures,
    SwitchProtocol,
    is_reply,
    is_report,
    is_request_xid,
    read_limit_for,
)
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.session import ANSWER_SECONDS, AUDIT_SECONDS, RETRY_SECONDS, SECONDS_PER_CHANGE
from op25b_app.sync.update_plan import UpdatePlan
from testing.fake_switch import Abilities, FakeSwitch, Refusal
from testing.fake_switch.rules import put, remove
from testing.fake_switch.wire import Kind, Message, Stream, pack
from tests.world import READ_BACK, RULES, THEIRS, World, desired

CLOSE, COMMIT, DISCARD = 2, 4, 6
FEWER = desired(RULES[5:])._replace(digest="beef" * 16)
FEWER_READ_BACK = f"{len(RULES) - 5} rules read back as wanted and proven"


def control_of(message: bytes) -> int | None:
    """What a bundle control message of OpenFlow 1.3, or the reply to one, is about."""
    if message[1] != Kind.EXPERIMENTER or struct.unpack_from("!I", message, 12) != (2300,):
        return None
    (kind,) = struct.unpack_from("!H", message, 20)
    return int(kind)


def protected() -> World:
    world = World()
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)
    return world


def bundles_open(world: World) -> int:
    return len(world.channel.bundles._flags)


def handled_by(world: World) -> list[Message]:
    handled: list[Message] = []
    world.channel.on_handled = handled.append
    return handled


def test_what_a_switch_can_do_is_known_though_another_policy_comes_while_it_is_asked() -> None:
    world = World()
    late: list[bytes] = []
    world.on_wire = lambda message: late.append(message) or []  # type: ignore[func-returns-value]
    world.connect(desired())
    world.on_wire = lambda message: [message]
    begun = world.session.assign(desired(), world.now)
    for message in late:
        world.run(world.deliver(message))
    world.run(begun)
    assert world.status == ("protected", READ_BACK)
    handled = handled_by(world)
    world.run(world.session.assign(FEWER, world.now))
    assert COMMIT in map(control_of, (message.raw for message in handled))


def test_the_question_for_bundles_touches_no_bundle_of_another_application() -> None:
    world = World()
    theirs = bundle.encode_open(version=4, bundle=0, xid=1)
    world.channel.receive(theirs, world.now)
    world.connect(desired())
    (answer,) = world.channel.receive(bundle.encode_close(version=4, bundle=0, xid=2), world.now)
    assert control_of(answer) == CLOSE + 1
    assert bundles_open(world) == 1


@pytest.mark.parametrize("control", [CLOSE, COMMIT])
def test_a_switch_that_never_answers_in_a_bundle_gets_its_rules_without(control: int) -> None:
    world = protected()
    world.on_wire = lambda message: [] if control_of(message) == control + 1 else [message]
    if control == COMMIT:
        world.switch.conduct.swallow = lambda flow: True
    world.run(world.session.assign(FEWER, world.now))
    assert world.session.status.state.value == "installing"
    world.wait(ANSWER_SECONDS + 2)
    assert world.status[0] == "degraded"
    assert "no answer for" in world.status[1]
    world.switch.conduct.swallow = lambda flow: False
    world.wait(RETRY_SECONDS)
    assert world.status == ("protected", FEWER_READ_BACK)


def test_a_late_answer_to_a_commit_does_no_harm() -> None:
    world = protected()
    late: list[bytes] = []

    def hold(message: bytes) -> list[bytes]:
        (late if control_of(message) == COMMIT + 1 else passed).append(message)
        return [passed.pop()] if passed else []

    passed: list[bytes] = []
    world.on_wire = hold
    world.run(world.session.assign(FEWER, world.now))
    world.wait(ANSWER_SECONDS + 2)
    assert (len(late), world.status[0]) == (1, "degraded")
    world.run(world.deliver(late[0]))
    assert world.status[0] == "degraded"
    world.wait(RETRY_SECONDS)
    assert world.status == ("protected", FEWER_READ_BACK)


@pytest.mark.parametrize("policy", [desired(), None])
def test_a_bundle_that_another_policy_overtakes_is_discarded(policy: DesiredState | None) -> None:
    world = protected()
    late: list[bytes] = []
    world.on_wire = lambda message: late.append(message) or []  # type: ignore[func-returns-value]
    world.run(world.session.assign(FEWER, world.now))
    assert bundles_open(world) == 1
    world.on_wire = lambda message: [message]
    begun = world.session.assign(policy, world.now)
    for message in late:
        world.run(world.deliver(message))
    world.run(begun)
    assert bundles_open(world) == 0
    assert set(world.rules) == set(RULES)
    assert world.status[0] == ("protected" if policy else "unknown")


def test_a_bundle_that_a_switch_opens_and_does_not_close_is_discarded() -> None:
    world = protected()
    world.switch.conduct.refuse_message = lambda message: (
        Refusal(0xFFFF, 2315, 0x4F4E4600) if control_of(message.raw) == CLOSE else None
    )
    world.run(world.session.assign(FEWER, world.now))
    assert world.status == ("protected", FEWER_READ_BACK)
    assert bundles_open(world) == 0


def test_a_connection_that_ends_in_a_commit_leaves_what_the_next_one_finds() -> None:
    for carried_out in (True, False):
        world = protected()
        world.switch.conduct.silent_about = lambda message: control_of(message.raw) == COMMIT
        world.switch.conduct.swallow = lambda flow, done=carried_out: not done  # type: ignore[misc]
        world.run(world.session.assign(FEWER, world.now))
        world.run(world.session.disconnected(world.now))
        assert (set(world.rules) == set(RULES[5:])) is carried_out
        world.switch.conduct.silent_about = lambda message: False
        world.switch.conduct.swallow = lambda flow: False
        world.channel.close()
        world.channel = world.switch.connect(4)
        world.connect(FEWER)
        assert world.status == ("protected", FEWER_READ_BACK)


def test_a_table_is_read_once_all_is_done_that_was_sent_before() -> None:
    world = protected()
    handled = handled_by(world)
    world.run(world.session.assign(desired(), world.now))
    kinds = [message.kind for message in handled]
    assert kinds[0] == Kind.BARRIER_REQUEST
    assert kinds[1] == Kind.MULTIPART_REQUEST


def test_a_switch_has_time_for_what_an_older_policy_has_sent_it() -> None:
    world = World()
    world.on_wire = lambda message: (
        [] if message[1] == Kind.BARRIER_REPLY and world.switch.flow_mods else [message]
    )
    world.connect(desired())
    unconfirmed = len(world.switch.flow_mods)
    assert unconfirmed > 10
    world.session.assign(FEWER, world.now)
    patience = world.session.due_at - world.now
    assert patience >= ANSWER_SECONDS + SECONDS_PER_CHANGE * unconfirmed


def answers(asked: bytes, **capabilities: object) -> Iterator[bytes]:
    """What a switch without rules says."""
    channel = FakeSwitch(capabilities=Abilities(**capabilities)).connect(4)  # type: ignore[arg-type]
    return iter(channel.receive(asked, 0.0))


def reading() -> tuple[SwitchProtocol, int]:
    """A dialogue in which the table is being read, and the xid of that request."""
    dialogue = SwitchProtocol(SwitchFeatures(4, 8))
    begun = dialogue.begin()
    for message in answers(begun):
        if not is_flow_stats_reply(message):
            dialogue.receive(message)
    *_, request = Stream().feed(begun)
    assert dialogue.phase is Phase.READING
    return dialogue, request.xid


def part_of_table(xid: int, body: bytes, *, more: bool) -> bytes:
    return pack(4, Kind.MULTIPART_REPLY, xid, struct.pack("!HHxxxx", 1, more) + body)


MATCHES_EVERYTHING = struct.pack("!H46xHH4x", 56, 1, 4)


@pytest.mark.parametrize(
    "bound", [ReadLimit(1_500, 1 << 30), ReadLimit(1 << 30, 100_000)], ids=["rules", "bytes"]
)
def test_of_a_table_without_end_the_rules_of_ours_are_read(bound: ReadLimit) -> None:
    dialogue, xid = reading()
    dialogue.bound = bound
    part = part_of_table(xid, MATCHES_EVERYTHING * 1_000, more=True)
    assert dialogue.receive(part).awaited
    (piece,) = dialogue.receive(part).chunks
    (request,) = Stream().feed(piece)
    assert request.raw.endswith(struct.pack("!QQHH4x", 0x25B0 << 48, 0xFFFF << 48, 1, 4))
    assert dialogue.receive(part) == MessageResult(awaited=True), "the rest of what was asked before"
    assert dialogue._parts == []
    own = part_of_table(request.xid, MATCHES_EVERYTHING * 1_000, more=True)
    assert dialogue.receive(own).awaited
    with pytest.raises(ValueError, match="under cookies of op25b alone"):
        dialogue.receive(own)


def test_a_table_of_the_size_of_two_policies_and_of_many_others_is_read() -> None:
    dialogue, xid = reading()
    dialogue.bound = read_limit_for(10_000)
    assert dialogue.bound.rules == 2 * 10_000 + MAX_OF_OTHERS
    part = part_of_table(xid, MATCHES_EVERYTHING * 1_000, more=True)
    for _ in range(dialogue.bound.rules // 1_000):
        answer = dialogue.receive(part)
        assert answer.awaited
        assert not answer.chunks
    assert dialogue.receive(part).chunks


@settings(deadline=None)
@given(st.lists(st.integers(2, 90), max_size=30), st.binary(max_size=1))
def test_rules_are_counted_by_their_lengths(lengths: list[int], rest: bytes) -> None:
    body = b"".join(length.to_bytes(2, "big") + bytes(length - 2) for length in lengths)
    assert count_rules(part_of_table(1, body + rest, more=False)) == len(lengths)
    assert count_rules(part_of_table(1, body + bytes(8), more=False)) == len(lengths) + 1


@pytest.mark.parametrize("bundles", [True, False])
def test_beside_a_huge_table_rules_of_ours_are_kept_right(
    monkeypatch: pytest.MonkeyPatch, bundles: bool
) -> None:
    monkeypatch.setattr(protocol, "MAX_OF_OTHERS", 100)
    world = World(capabilities=Abilities(bundles=bundles))
    world.connect(desired()._replace(prepared=lambda tables: Ruleset([RULES])))
    crowd = [THEIRS._replace(table=9, priority=number) for number in range(1_000, 1_200)]
    put(world.switch, *crowd, RULES[0]._replace(action=NORMAL, cookie=7))
    remove(world.switch, RULES[4])
    world.run_told()
    world.wait(2 * AUDIT_SECONDS)
    state, reason = world.status
    assert state == "degraded"
    assert "its table has more than 148 rules or 0 MB, and the rest is not read" in reason
    assert reason.endswith("rules of op25b are repaired, but nothing is proven; delete other rules")
    assert set(RULES) <= set(world.rules)
    remove(world.switch, RULES[-2])
    world.run_told()
    world.wait(2 * RETRY_SECONDS)
    assert set(RULES) <= set(world.rules)
    remove(world.switch, *crowd)
    world.wait(2 * AUDIT_SECONDS)
    assert world.status == ("protected", READ_BACK)


def test_a_part_without_rules_is_no_progress() -> None:
    dialogue, xid = reading()
    assert not dialogue.receive(part_of_table(xid, b"", more=True)).awaited
    first, last = part_of_table(xid, b"", more=True), part_of_table(xid, b"", more=False)
    assert dialogue.receive(last).table == [first, last]


def test_a_late_barrier_of_an_older_cycle_confirms_nothing() -> None:
    dialogue, _ = reading()
    barriers = []
    for rule in RULES[:2]:
        chunks = dialogue.carry_out(UpdatePlan([UpdateStep([Change(FlowModCommand.ADD, rule)])]))
        *_, barrier = Stream().feed(b"".join(chunks))
        barriers.append(pack(4, Kind.BARRIER_REPLY, barrier.xid))
    assert dialogue.receive(barriers[0]).chunks == ()
    (then,) = dialogue.receive(barriers[1]).chunks
    assert then[1] == Kind.MULTIPART_REQUEST


def test_requests_are_reported_from_those_of_others() -> None:
    dialogue, _ = reading()
    xids = []
    for _ in range(300):
        *_, request = Stream().feed(dialogue.read())
        xids.append(request.xid)
    assert all(map(is_request_xid, xids))
    assert len(set(xids[:250])) == 250
    assert not is_request_xid(0)


@pytest.mark.parametrize("version", [4, 5, 6])
def test_answers_are_reported_from_news_and_from_what_is_of_no_concern(version: int) -> None:
    mine, theirs = 0x25B0_2507, 0x1234
    paused = pack(4, Kind.EXPERIMENTER, 0, struct.pack("!II", 0x4F4E4600, 1871))
    update = (
        struct.pack("!HHxxxx", 16, 0)
        if version > 4
        else struct.pack("!HHxxxxII", 0xFFFF, 0, 0x4F4E4600, 1870)
    )
    reports = [
        pack(version, Kind.ERROR, theirs, bytes(4)),
        pack(version, Kind.FLOW_REMOVED, 0, bytes(40)),
        pack(version, Kind.MULTIPART_REPLY, 0, update),
        *([paused] if version == 4 else []),
    ]
    of_no_concern = [
        pack(version, Kind.PACKET_IN, 0, bytes(40)),
        pack(version, Kind.BARRIER_REPLY, theirs),
        pack(version, Kind.MULTIPART_REPLY, theirs, struct.pack("!HHxxxx", 1, 0)),
        pack(version, Kind.ECHO_REPLY, theirs),
    ]
    assert [(is_reply(each), is_report(each)) for each in reports] == [(False, True)] * len(reports)
    assert [(is_reply(each), is_report(each)) for each in of_no_concern] == [(False, False)] * 4
    assert is_reply(pack(version, Kind.BARRIER_REPLY, mine))
    assert is_reply(pack(version, Kind.MULTIPART_REPLY, mine, struct.pack("!HHxxxx", 1, 0)))


def test_a_table_that_says_it_takes_no_rules_has_said_nothing() -> None:
    dialogue, _ = reading()
    for message in answers(dialogue.ask_capacity(), room_of={1: 7, 2: 0}):
        dialogue.receive(message)
    assert dialogue.known.usable.capacity[1] == 7
    assert 2 not in dialogue.known.usable.capacity
