"""Switches that answer late, wrongly or not at all: each is degraded, says why, and recovers by itself."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from testing.fake_switch import Abilities, FlowMod, Kind, Message, Refusal
from testing.fake_switch.bundles import EXPERIMENTER_CONTROL, Control
from testing.fake_switch.conduct import Conduct
from testing.fake_switch.multipart import is_flow_request, is_port_description_request
from tests.faults.rig import LITTLE, Rig

pytestmark = pytest.mark.slow

WITHOUT_BUNDLES = Abilities(tables=8, bundles=False)
BAD_FIELD, EPERM = Refusal(4, 6), Refusal(5, 4)


def never(kind: Kind) -> Conduct:
    return Conduct(silent_about=lambda message: message.kind == kind)


def never_bundle(control: Control) -> Conduct:
    def silent(message: Message) -> bool:
        return message.kind == Kind.EXPERIMENTER and message.body[4:8] + message.body[12:14] == (
            struct.pack("!IH", EXPERIMENTER_CONTROL, control)
        )

    return Conduct(silent_about=silent)


def in_table(number: int) -> Callable[[FlowMod], bool]:
    return lambda flow: flow.table == number


FAULTS: dict[str, tuple[Abilities, Conduct, str]] = {
    "barriers": (
        WITHOUT_BUNDLES,
        never(Kind.BARRIER_REQUEST),
        "no answer for .* s while waiting for it to confirm changes",
    ),
    "reading": (LITTLE, Conduct(silent_about=is_flow_request), "no answer for .* s while reading its table"),
    "refused rule": (
        LITTLE,
        Conduct(refuse=lambda flow: BAD_FIELD if flow.table == 2 else None),
        "refused .*BAD_MATCH/BAD_FIELD",
    ),
    "refused rule, no bundles": (
        WITHOUT_BUNDLES,
        Conduct(refuse=lambda flow: BAD_FIELD if flow.table == 2 else None),
        "refused .*BAD_MATCH/BAD_FIELD",
    ),
    "refused rules": (LITTLE, Conduct(refuse=lambda flow: EPERM), "refused .*FLOW_MOD_FAILED/EPERM"),
    "swallowed": (LITTLE, Conduct(swallow=in_table(2)), "missing: table 2"),
    "refused reading": (
        LITTLE,
        Conduct(refuse_message=lambda message: EPERM if is_flow_request(message) else None),
        "refused while reading its table",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(rig: Rig, fault: str) -> None:
    capabilities, conduct, reason = FAULTS[fault]
    switch = rig.new_switch(capabilities)
    switch.conduct = conduct
    dialler = rig.dial(switch)
    rig.wait_for(dialler, "degraded", reason)
    rig.assert_undisturbed()
    switch.conduct = Conduct()
    rig.wait_for_protection(dialler)


@pytest.mark.parametrize("control", [Control.CLOSE, Control.COMMIT])
def test_a_bundle_without_an_answer(rig: Rig, control: Control) -> None:
    switch = rig.new_switch()
    rig.put_most_rules(switch)
    switch.conduct = never_bundle(control)
    dialler = rig.dial(switch)
    doing = {Control.CLOSE: "filling a bundle", Control.COMMIT: "waiting for it to confirm changes"}[control]
    rig.wait_for(dialler, "degraded", f"no answer for .* s while {doing}")
    switch.conduct = Conduct()
    rig.wait_for_protection(dialler)


def test_a_switch_that_does_not_describe_its_ports_has_its_rules_all_the_same(rig: Rig) -> None:
    switch = rig.new_switch()
    switch.conduct.silent_about = is_port_description_request
    dialler = rig.dial(switch)
    rig.wait_for(dialler, "installing", "it has not described its ports yet")
    assert rig.holds_all(dialler)
    rig.assert_undisturbed()
    switch.conduct = Conduct()
    rig.hang_up(dialler)
    rig.wait_for_protection(rig.dial(switch))


def test_slow_answers_are_answers(rig: Rig) -> None:
    switch = rig.new_switch()
    switch.conduct.delay = lambda message: 0.2
    rig.wait_for_protection(rig.dial(switch))


@pytest.mark.parametrize("capabilities", [LITTLE, WITHOUT_BUNDLES], ids=["bundles", "no bundles"])
def test_any_order_that_barriers_leave_open(rig: Rig, capabilities: Abilities) -> None:
    switch = rig.new_switch(capabilities)
    switch.conduct.shuffle = random.Random(25)
    rig.wait_for_protection(rig.dial(switch))
