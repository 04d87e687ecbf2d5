"""Switches that report rules otherwise than they were sent."""

from __future__ import annotations

import itertools

import pytest

from op25b_app.openflow.flow_rule import NORMAL, Goto, OpaqueInstructions
from op25b_app.openflow.instruction_encoder import encode_action, meaning
from op25b_app.sync.session import AUDIT_SECONDS
from testing.fake_switch import Abilities
from testing.fake_switch.messages import actions, goto, output
from testing.fake_switch.oddities import CLEAR, OTHER_MEANING, SAME_MEANING
from testing.fake_switch.rules import put, remove
from tests.world import READ_BACK, RULES, World, desired

ABILITIES = pytest.mark.parametrize(
    ("version", "able"),
    [
        (4, Abilities()),
        (4, Abilities(bundles=False, flow_monitor=False, metadata=False)),
        (6, Abilities(versions=(6,))),
    ],
    ids=["bundles", "neither bundles nor metadata", "1.5"],
)
SUBMISSION = {"in_port": 1, "eth_type": 0x0800, "ip_proto": 6, "ipv4_src": 5, "ipv4_dst": 1, "tcp_dst": 587}
FEWER = desired(RULES[5:])._replace(digest="beef" * 16)


@ABILITIES
@pytest.mark.parametrize("keeps", [True, False], ids=["kept so", "told so"])
@pytest.mark.parametrize("odd", SAME_MEANING)
def test_what_means_the_same_is_not_sent_again(version: int, able: Abilities, odd: str, keeps: bool) -> None:
    """Neither when it is installed, nor at audits, nor for the marker."""
    world = World(version=version, capabilities=able)
    conduct = world.switch.conduct
    if keeps:
        conduct.keep = lambda flow: SAME_MEANING[odd](flow) if flow.command == 0 else flow
    else:
        conduct.report = SAME_MEANING[odd]
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)
    assert len(world.switch.flow_mods) <= 2 * (len(RULES) + 1)
    closed: list[bool] = []
    world.switch.on_handled = lambda: closed.append(not world.switch.forward(SUBMISSION).passes)
    world.wait(100)
    world.switch.flow_mods.clear()
    world.wait(3 * AUDIT_SECONDS)
    assert world.status == ("protected", READ_BACK)
    assert len(world.switch.flow_mods) <= 2, "the marker, and a rule of table 0 that may be another's"
    assert not any(closed)


@ABILITIES
@pytest.mark.parametrize("keeps", [True, False], ids=["kept so", "told so"])
@pytest.mark.parametrize("odd", SAME_MEANING)
def test_repair_and_other_policies_go_on(version: int, able: Abilities, odd: str, keeps: bool) -> None:
    world = World(version=version, capabilities=able)
    conduct = world.switch.conduct
    if keeps:
        conduct.keep = lambda flow: SAME_MEANING[odd](flow) if flow.command == 0 else flow
    else:
        conduct.report = SAME_MEANING[odd]
    world.connect(desired())
    remove(world.switch, world.rules[-1])
    world.run_told()
    world.wait(2 * AUDIT_SECONDS)
    assert {rule.key for rule in world.rules} == {rule.key for rule in RULES}
    world.run(world.session.assign(FEWER, world.now))
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected"
    assert {rule.key for rule in world.rules} == {rule.key for rule in RULES[5:]}
    assert len(world.markers) == 1
    put(world.switch, RULES[5]._replace(action=Goto(9), cookie=0xBAD))
    world.wait(2 * AUDIT_SECONDS)
    assert all(entry.flow.cookie != 0xBAD for entry in world.switch.entries()), "written over, and ours again"


@ABILITIES
@pytest.mark.parametrize("odd", OTHER_MEANING)
def test_what_means_something_else_is_sent_ever_more_seldom_and_said(
    version: int, able: Abilities, odd: str
) -> None:
    world = World(version=version, capabilities=able)
    world.switch.conduct.report = OTHER_MEANING[odd]
    closed: list[bool] = []
    world.connect(desired())
    world.switch.on_handled = lambda: closed.append(not world.switch.forward(SUBMISSION).passes)
    world.switch.flow_mods.clear()
    world.wait(100)
    assert world.status[0] == "degraded"
    assert world.status[1].startswith("its table is not as sent: has another ")
    assert world.status[1].endswith("the switch reports it in another form")
    assert len(world.switch.flow_mods) <= 3 * (len(RULES) + 4)
    world.switch.flow_mods.clear()
    world.wait(900)
    assert len(world.switch.flow_mods) <= 6 * (len(RULES) + 4), "30, 60, 120, 240 and 300 s"
    closings = sum(now and not before for before, now in itertools.pairwise(closed))
    assert closings <= (0 if odd == "an idle time-out" else 6)
    remove(world.switch, RULES[3])
    world.run_told()
    world.wait(AUDIT_SECONDS)
    assert RULES[3] in world.rules, "what had an effect before is not held back"
    world.switch.conduct.report = lambda flow: flow
    world.wait(4000)
    assert world.status == ("protected", READ_BACK)


def test_what_a_switch_does_not_do_once_is_done_at_once() -> None:
    """Somebody else may have undone it just then."""
    world = World()
    world.connect(desired())
    lost = [1]
    world.switch.conduct.swallow = lambda flow: bool(lost) and bool(lost.pop())
    remove(world.switch, RULES[0])
    world.run_told()
    world.wait(1)
    assert not lost
    assert set(world.rules) == set(RULES)


def test_a_rule_that_others_undo_again_and_again_is_put_back_each_time_they_are_seen_to() -> None:
    """Its change has an effect: it is not waited for as it is for a switch that does nothing."""
    world = World()
    world.connect(desired())
    for _ in range(5):
        remove(world.switch, RULES[0])
        world.run_told()
        world.wait(3)
        assert RULES[0] in world.rules


@pytest.mark.parametrize(
    ("instructions", "means"),
    [
        (CLEAR, None),
        (actions(), None),
        (actions(instruction=3) + CLEAR + actions(), None),
        (actions(output(0xFFFFFFFA), instruction=3), NORMAL),
        (CLEAR + actions(output(0xFFFFFFFA)), NORMAL),
        (actions() + goto(5), Goto(5)),
        (encode_action(NORMAL), NORMAL),
    ],
)
def test_instructions_are_compared_by_what_they_mean(instructions: bytes, means: object) -> None:
    assert meaning(OpaqueInstructions(instructions)) == means


@pytest.mark.parametrize(
    "instructions",
    [
        CLEAR + goto(5),
        actions(output(1), output(2)),
        actions(output(1), instruction=3) + goto(5),
        actions(output(1), instruction=3) + actions(output(2)),
        bytes(4) + CLEAR,
        b"\0\5",
    ],
)
def test_what_may_mean_more_stays_as_it_is(instructions: bytes) -> None:
    assert isinstance(meaning(OpaqueInstructions(instructions)), OpaqueInstructions)
