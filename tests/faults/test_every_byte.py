"""Connections that end at every byte of what a switch sends and gets until it is protected."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from op25b_app.compiler.marker import is_marker
from op25b_app.openflow.flow_rule import FlowRule
from testing.fake_switch import Abilities, FakeSwitch
from testing.fake_switch.dialler import FLAWLESS, Fault
from testing.fake_switch.rules import put, rules_on
from testing.patience import HANG_SECONDS
from tests.faults.rig import Rig

SWITCHES = 16
SMALL = """
hardening: {source_validation: off, encapsulation: permit, unreadable_tcp: permit}
inbound: {spoofed_replies: permit}
"""
TERSE = Abilities(tables=8, table_features=False)
GROWTH_KIB = 16_000
"""How much memory thousands of connections may leave behind."""
PROTECTED = re.compile(rb"^s(\d+) \(dpid \S+\): protected", re.MULTILINE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(2 * SWITCHES + 5, settings=SMALL) as rig:
        yield rig


class Course:
    """One switch that goes through many faults: a connection with the fault, then one without.

    Before each fault it holds ``start`` and nothing else; after each it has to become protected again.
    """

    def __init__(
        self, rig: Rig, switch: FakeSwitch, start: Sequence[FlowRule], faults: Sequence[Fault]
    ) -> None:
        self.protected = 0
        """How often the controller has called the switch protected."""
        self.survived = 0
        self.untouched = 0
        """How many faults did not come to pass, since the switch was protected before that."""
        self._rig = rig
        self._switch = switch
        self._start = start
        self._wanted = rig.controller.wanted(f"s{switch.dpid}")
        self._before = 0
        self._flawless = False
        self.over = False
        self.dialler = rig.dial(switch, faults=self._connections(faults))

    @property
    def dpid(self) -> int:
        return self._switch.dpid

    def go_on(self) -> None:
        """End a connection on which the switch has become protected."""
        if self.over or self.protected == self._before or not self._holds_what_is_wanted():
            return
        if self._flawless:
            self.survived += 1
        else:
            self.untouched += 1
        self._before = self.protected
        self.dialler.end()

    def _connections(self, faults: Sequence[Fault]) -> Iterator[Fault]:
        for fault in faults:
            self._switch.tables.clear()
            put(self._switch, *self._start)
            self._before, self._flawless = self.protected, False
            yield fault
            self._before, self._flawless = self.protected, True
            yield FLAWLESS
        self.over = True

    def _holds_what_is_wanted(self) -> bool:
        found = rules_on(self._switch)
        return self._wanted == {rule for rule in found if not is_marker(rule)}


def faults_of(sent: int, received: int) -> list[Fault]:
    """One at every byte of an exchange of so many bytes."""
    faults = [Fault(sends=number, reset=number % 2 == 1) for number in range(sent + 1)]
    return faults + [Fault(receives=number, reset=number % 2 == 1) for number in range(received + 1)]


def exchange_of(rig: Rig, start: Sequence[FlowRule]) -> tuple[int, int]:
    """How many bytes a switch sends and gets until it is protected."""
    switch = rig.new_switch(TERSE)
    put(switch, *start)
    dialler = rig.dial(switch)
    rig.wait_for_protection(dialler)
    return dialler.sent, dialler.received


@pytest.mark.parametrize("start", ["empty", "with some rules"])
def test_a_connection_that_ends_at_any_byte(rig: Rig, start: str) -> None:
    name = f"s{rig.steady.switch.dpid}"
    rules = [] if start == "empty" else sorted(rig.controller.wanted(name))[::2]
    faults = faults_of(*exchange_of(rig, rules))
    courses = {
        course.dpid: course
        for number in range(SWITCHES)
        for course in [Course(rig, rig.new_switch(TERSE), rules, faults[number::SWITCHES])]
    }
    early = 0
    end = time.monotonic() + 4 * HANG_SECONDS
    unread = b""
    with rig.controller.path.open("rb") as log:
        while not all(course.over for course in courses.values()):
            lines, _, unread = (unread + log.read()).rpartition(b"\n")
            for dpid, count in Counter(PROTECTED.findall(lines)).items():
                if course := courses.get(int(dpid)):
                    course.protected += count
            for course in courses.values():
                rig.diallers.do(course.go_on)
            survived = sum(course.survived for course in courses.values())
            if not early and survived > len(faults) / 4:
                early = rig.memory
            assert time.monotonic() < end, f"{survived} of {len(faults)}:\n{rig.log[-3000:]}"
            time.sleep(0.01)
    assert sum(course.survived for course in courses.values()) == len(faults)
    assert sum(course.untouched for course in courses.values()) <= len(faults) / 100
    assert rig.memory - early < GROWTH_KIB
    rig.assert_undisturbed()
    rig.end_test()
