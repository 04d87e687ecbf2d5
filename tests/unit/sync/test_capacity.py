"""Tables that have too little room: what is left out, what is learned, and how rules change places."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import Change
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, RuleRole
from op25b_app.openflow.table_features import is_table_features_reply
from op25b_app.policy.loader import load
from op25b_app.sync import protocol
from op25b_app.sync.capacity import fit
from op25b_app.sync.desired_state import DesiredStates
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.session import AUDIT_SECONDS, RETRY_SECONDS
from op25b_app.sync.target_rules import fitting
from op25b_app.sync.update_orders import DROP_ALL, behind_gate
from testing.fake_switch import Abilities
from testing.fake_switch.rules import put, remove, rules_on
from tests.world import OURS, RULES, STATIC, TCP, THEIRS, World, desired

EXAMPLE = Path(__file__).parents[3] / "example.yaml"

BLOCK = 0x25B0 << 48 | RuleRole.BLOCK << 40
BUNDLES = pytest.mark.parametrize("bundles", [True, False], ids=["bundles", "steps"])
TOLD = pytest.mark.parametrize("told", [True, False], ids=["told", "learned"])


def permits(first: int, count: int) -> list[FlowRule]:
    return [
        FlowRule(2, 132, (*TCP, FieldValue("ipv4_src", number)), NORMAL, STATIC | number)
        for number in range(first, first + count)
    ]


def blocks(first: int, count: int) -> list[FlowRule]:
    return [
        FlowRule(2, 132, (*TCP, FieldValue("ipv4_src", number)), None, BLOCK | number)
        for number in range(first, first + count)
    ]


def with_rules(*rules: FlowRule) -> list[FlowRule]:
    return [RULES[0], *rules, *RULES[-3:]]


class Crowded(World):
    """A switch whose table 2 has room for 30 rules."""

    def __init__(self, *, bundles: bool, told: bool, first: list[FlowRule]) -> None:
        super().__init__(capabilities=Abilities(room_of={2: 30}, bundles=bundles, table_features=told))
        self.connect(desired(first))
        self._policies = 0

    def change_to(self, rules: list[FlowRule]) -> None:
        self._policies += 1
        digest = f"{self._policies:064x}"
        self.run(self.session.assign(desired(rules)._replace(digest=digest), self.now))


@BUNDLES
@TOLD
@pytest.mark.parametrize("rules_of", [permits, blocks])
def test_a_full_table_takes_as_many_other_rules(bundles: bool, told: bool, rules_of: object) -> None:
    assert callable(rules_of)
    world = Crowded(bundles=bundles, told=told, first=with_rules(*rules_of(1, 27)))
    assert world.status[0] == "protected"
    for first in (101, 201):
        new = with_rules(*rules_of(first, 27))
        world.change_to(new)
        assert world.status[0] == "protected"
        assert set(world.rules) == set(new)


@BUNDLES
@TOLD
def test_a_table_is_not_thought_smaller_with_each_policy(bundles: bool, told: bool) -> None:
    world = Crowded(bundles=bundles, told=told, first=with_rules(*permits(1, 29)))
    for first in (11, 21, 3):
        world.change_to(with_rules(*permits(first, 40)))
        held = len([rule for rule in world.rules if rule.table == 2])
        assert held in ((28,) if told else (28, 29))
        assert world.status == (
            "degraded",
            f"room for {held} of 41 rules in table 2: what the others would permit is blocked",
        )
        assert len(world.markers) == 1
    world.change_to(with_rules(*permits(3, 27)))
    assert world.status[0] == "protected"


@BUNDLES
@pytest.mark.parametrize(("most", "capacity", "asked_after"), [(100, 30, None), (100, 8, 13), (13, 30, 0)])
def test_room_is_asked_for_before_many_rules_or_once_a_table_was_full(
    monkeypatch: pytest.MonkeyPatch, bundles: bool, most: int, capacity: int, asked_after: int | None
) -> None:
    """Counted in the rules that were sent when the switch answered first; then at audits, at most."""
    monkeypatch.setattr(protocol, "MAX_UNASKED", most)
    world = World(capabilities=Abilities(room_of={2: capacity}, bundles=bundles))
    counts: dict[float, int] = {}

    def count(message: bytes) -> list[bytes]:
        if is_table_features_reply(message):
            counts.setdefault(world.now, len(world.sent))
        return [message]

    world.on_wire = count
    world.connect(desired(with_rules(*permits(1, 10))))
    assert [*counts.values()] == ([] if asked_after is None else [asked_after])
    sent = len(world.sent)
    for _ in range(10):
        world.wait(AUDIT_SECONDS / 3)
    assert len(counts) <= (0 if asked_after is None else 5)
    assert len(world.sent) == sent


@BUNDLES
def test_room_that_others_make_is_used(bundles: bool) -> None:
    world = Crowded(bundles=bundles, told=False, first=RULES[-3:])  # type: ignore[arg-type]
    theirs = [THEIRS._replace(table=2, priority=number) for number in range(900, 915)]
    put(world.switch, *theirs)
    world.change_to(with_rules(*permits(1, 20)))
    assert world.status[1].startswith("room for 13 of 21 rules in table 2")
    remove(world.switch, *theirs)
    world.wait(RETRY_SECONDS)
    assert world.status[0] == "protected"


def test_room_that_was_too_little_is_tried_again_with_the_next_policy() -> None:
    world = Crowded(bundles=False, told=False, first=with_rules(*permits(1, 40)))
    assert world.status[0] == "degraded"
    world.switch.tables.room_of = {}
    world.change_to(with_rules(*permits(1, 40)))
    assert world.status[0] == "protected"


def test_a_switch_that_says_less_than_it_holds_keeps_what_it_holds() -> None:
    """But for two places, in which markers may come."""
    held = [FlowStats(rule, 0, 0) for rule in RULES]
    wanted, shortage = fitting(Ruleset([RULES]), held, {2: 12})
    assert wanted is not None
    assert len(wanted) == len(RULES) - 2
    assert shortage.startswith("room for 19 of 21 rules in table 2")


def test_a_repair_in_a_full_table_needs_no_gate() -> None:
    world = Crowded(bundles=False, told=False, first=with_rules(*permits(1, 40)))
    seen: list[bool] = []
    world.switch.on_handled = lambda: seen.append(DROP_ALL in world.rules)
    lost = [rule for rule in world.rules if rule.table == 0 or rule.priority == 200]
    remove(world.switch, *lost)
    world.run_told()
    world.wait(1)
    assert seen
    assert not any(seen)
    assert set(lost) <= set(world.rules)


def test_what_permits_is_left_out_in_order_and_what_blocks_or_leads_on_never() -> None:
    exception = FlowRule(2, 500, (FieldValue("in_port", 1),), NORMAL, 0x25B0 << 48 | RuleRole.EXCEPTION << 40)
    destination = exception._replace(priority=600, cookie=0x25B0 << 48 | RuleRole.MAIL_DESTINATION << 40)
    leading = FlowRule(2, 700, (), Goto(3), OURS)
    rules = [*permits(1, 2), exception, destination, leading, *blocks(1, 2)]
    whole = Ruleset([rules])
    assert fit(whole, {2: 7, 1: 0}) == (whole, "")
    for capacity, kept in ((6, rules[1:]), (5, rules[2:]), (4, rules[3:]), (3, rules[4:])):
        fitting, shortage = fit(whole, {2: capacity})
        assert fitting is not None
        assert set(fitting.rules) == set(kept)
        assert shortage
    too_little = "room for 2 of 7 rules in table 2, too little for those that block"
    assert fit(whole, {2: 2}) == (None, too_little)


class OneTable(World):
    """A switch with one table, and the single-table form of an example's rules."""

    def __init__(self, capacity: int, *, bundles: bool, told: bool) -> None:
        capabilities = Abilities(tables=1, room_of={0: capacity}, bundles=bundles, table_features=told)
        super().__init__(capabilities=capabilities, ports=frozenset(range(1, 27)))
        policy = load(EXAMPLE, 0.0).policy
        assert policy is not None
        self.assigned = DesiredStates(policy, "5eed" * 16).of(policy.switches["access-1"])
        self.wanted = self.assigned.wanted(self.now, 1)


@BUNDLES
@TOLD
@pytest.mark.parametrize("missing", [2, 6])
def test_a_full_single_table_holds_what_blocks_and_as_much_of_the_rest_as_fits(
    bundles: bool, told: bool, missing: int
) -> None:
    """Also where a marker, and a rule that blocks everything for a moment, need the last places."""
    size = len(OneTable(1, bundles=False, told=True).wanted)
    world = OneTable(size - missing, bundles=bundles, told=told)
    world.connect(world.assigned)
    world.wait(10)
    left = size - missing - 3
    reason = f"room for {left} of {size} rules in table 0: what the others would permit is blocked"
    assert world.status == ("degraded", reason)
    blocks = {rule for rule in world.wanted.rules if rule.action is None}
    assert blocks <= {*world.rules}
    assert {*world.rules} <= {*world.wanted.rules}
    assert len(world.rules) == left
    assert len(world.markers) == 1
    world.switch.flow_mods.clear()
    world.wait(10 * RETRY_SECONDS)
    assert len(world.switch.flow_mods) <= 2 * (missing + 3), "at most one more attempt, at an audit"
    assert world.status == ("degraded", reason)


@BUNDLES
@TOLD
def test_a_single_table_that_was_full_of_permits_gets_another_policy(bundles: bool, told: bool) -> None:
    """What only blocks more is deleted first, since not even the gate has a place."""

    def rules(first: int, count: int) -> list[FlowRule]:
        return [rule._replace(table=0) for rule in (RULES[0], *permits(first, count))]

    world = World(capabilities=Abilities(tables=1, room_of={0: 30}, bundles=bundles, table_features=told))
    world.connect(desired(rules(1, 28)))
    assert world.status[0] == "protected"
    assert len(rules_on(world.switch)) == 30
    for first in (101, 201):
        blocking = [rule._replace(table=0) for rule in blocks(first, 20)]
        new = [*rules(first + 50, 5), *blocking]
        world.run(world.session.assign(desired(new)._replace(digest=f"{first:064x}"), world.now))
        world.wait(3 * RETRY_SECONDS)
        assert set(blocking) <= set(world.rules), world.status
        assert RULES[0]._replace(table=0) in world.rules
        assert DROP_ALL not in world.rules


def test_what_makes_room_for_the_gate_goes_before_it() -> None:
    gone, blocking = permits(1, 3), blocks(1, 3)
    changes = [Change(FlowModCommand.DELETE_STRICT, rule, rule) for rule in (*gone, *blocking)]
    steps = behind_gate(changes, Ruleset([blocks(9, 1)]), lambda change: change.rule in gone)
    assert [[change.rule for change in step] for step in steps] == [gone, [DROP_ALL], blocking, [DROP_ALL]]


@pytest.mark.parametrize(("rule", "closed"), [(RULES[-1], False), (RULES[-2], True)])
def test_a_switch_on_which_nothing_passes_is_said_to_block_everything(rule: FlowRule, closed: bool) -> None:
    """Whatever else is said of it: no more was sent, so that nothing opens."""
    world = World(capabilities=Abilities(room_of={2: 0}))
    put(world.switch, rule)
    world.connect(desired())
    assert world.status[0] == "degraded"
    assert world.status[1].endswith(", and everything is blocked") is closed
    assert world.switch.forward({"in_port": 1}).passes is False


@TOLD
def test_a_policy_before_for_which_the_switch_has_too_few_tables_by_now_is_no_way_back(told: bool) -> None:
    """As after an update of the switch: it comes back with fewer tables, one of them too full."""
    has_tables = True
    first = desired(with_rules(*permits(1, 5)))

    def wanted(at: float, tables: int) -> Ruleset:
        if not has_tables:
            raise ValueError("the policy needs more tables")
        return first.wanted(at, tables)

    world = World(capabilities=Abilities(room_of={2: 30}, bundles=True, table_features=told))
    world.connect(first._replace(wanted=wanted))
    assert world.status[0] == "protected"
    has_tables = False
    second = desired(with_rules(*blocks(101, 40)))._replace(digest=f"{2:064x}")
    world.run(world.session.assign(second, world.now))
    world.wait(3 * RETRY_SECONDS)
    assert world.status[0] == "degraded"
    assert "too little for those that block" in world.status[1]


@BUNDLES
def test_a_capacity_that_was_raised_is_noticed_at_an_audit(bundles: bool) -> None:
    """As with Open vSwitch's flow-limit, on the same connection."""
    world = World(capabilities=Abilities(room_of={2: 10}, bundles=bundles, table_features=True))
    world.connect(desired(with_rules(*permits(1, 20))))
    assert world.status[0] == "degraded"
    world.switch.tables.room_of = {}
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected", world.status
    assert set(with_rules(*permits(1, 20))) == set(world.rules)
