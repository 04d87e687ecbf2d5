"""The controller's time: whatever becomes of the wall clock, no exception lasts longer."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.operate.clock import Clock
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

START = 1_800_000_000.0
LASTING = 3600.0


@dataclasses.dataclass
class Machine:
    """Both clocks of a machine that has been up for a while."""

    wall: float = START
    monotonic: float = 5000.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    path = tmp_path_factory.mktemp("clock") / "policy.yaml"
    path.write_text(
        "isp: {mail_destinations: [192.0.2.0/24]}\n"
        "address_space: {dynamic: [100.64.0.0/10]}\n"
        "exceptions: [{name: appliance, source: 100.64.3.7, expires: 2027-01-15T09:00:00Z}]\n"
        "switches: {access-1: {dpid: 1, subscriber_ports: [1], uplink_ports: [2]}}\n"
    )
    loaded = load(path, START)
    assert loaded.policy is not None, loaded.problems
    assert loaded.policy.exceptions[0].expires == START + LASTING
    return loaded.policy


def seconds_left(policy: Policy, now: float) -> int:
    """How long the rules of the exception are to stay, as a switch is told."""
    rules = compile_rules(policy, policy.switches["access-1"], now)
    return max((rule.hard_timeout for rule in rules), default=0)


def test_it_follows_the_wall_clock_that_runs() -> None:
    machine, clock = Machine(), Clock()
    assert clock.now(machine.wall, machine.monotonic) == START
    machine.passes(90.5)
    assert clock.now(machine.wall, machine.monotonic) == START + 90.5


def test_a_clock_that_is_set_back_does_not_prolong_an_exception(policy: Policy) -> None:
    machine, clock = Machine(), Clock()
    assert seconds_left(policy, clock.now(machine.wall, machine.monotonic)) == LASTING
    machine.wall -= 1800
    assert seconds_left(policy, clock.now(machine.wall, machine.monotonic)) == LASTING
    machine.passes(600)
    assert seconds_left(policy, clock.now(machine.wall, machine.monotonic)) == LASTING - 600
    machine.passes(LASTING - 600)
    assert seconds_left(policy, clock.now(machine.wall, machine.monotonic)) == 0


def test_a_clock_that_is_set_forward_and_back_ends_it_early_and_for_good(policy: Policy) -> None:
    machine, clock = Machine(), Clock()
    clock.now(machine.wall, machine.monotonic)
    machine.wall += LASTING + 1
    assert seconds_left(policy, clock.now(machine.wall, machine.monotonic)) == 0
    machine.wall -= LASTING + 1
    assert seconds_left(policy, clock.now(machine.wall, machine.monotonic)) == 0


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e9, 1e9))))
def test_it_never_runs_backwards_nor_slower_than_time(steps: list[tuple[float, float]]) -> None:
    machine, clock = Machine(), Clock()
    before = clock.now(machine.wall, machine.monotonic)
    for seconds, jump in steps:
        machine.passes(seconds)
        machine.wall += jump
        now = clock.now(machine.wall, machine.monotonic)
        assert now >= before + seconds - 1e-3
        assert now >= machine.wall - 1e-3
        before = now
