"""A session whose policy has ports by name: it waits for them, follows them, and tells what is wrong."""

from __future__ import annotations

import random
from dataclasses import replace
from types import MappingProxyType

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.net.port_number import PortNumbers
from op25b_app.net.prefix import Prefix
from op25b_app.policy.facts import Facts, after_change, are_felt_elsewhere, in_effect
from op25b_app.policy.model import MailException, NamedPorts, PortRole, Resolution, SubscriberPort
from op25b_app.sync import session as session_module
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.session import ANSWER_SECONDS, RETRY_SECONDS
from op25b_app.sync.status import Outcome, is_converged
from testing.fake_switch import Conduct
from testing.fake_switch.rules import remove, rules_on
from tests.unit.diff.test_every_field import BASE, NAME, PEER
from tests.unit.sync.test_transitions import FEW, STEPS, Taken, Walk, in_table
from tests.world import DIGEST, PORTS, READ_BACK, RULES, World, desired
from tests.written import AT, PLACE

NAMES: PortNumbers = frozenset({("eth1", 1), ("eth2", 2), ("eth25", 25)})
OTHERS: PortNumbers = frozenset({("eth1", 1), ("eth2", 2), ("eth26", 25)})
WAITING = "waiting for the ports that the policy has by name"


def named(names: PortNumbers | None, *problems: str, digest: str | None = None) -> DesiredState:
    """A desired state that was worked out for these ports."""
    found = desired()
    switch = replace(found.switch, resolution=Resolution(names, problems))
    return found._replace(switch=switch, digest=digest or found.digest, edition=len(names or ()))


def describe(world: World, names: PortNumbers) -> None:
    world.run(world.session.ports_changed(PORTS, world.now, names))


def test_nothing_is_read_or_sent_before_the_ports_are_known() -> None:
    world = World(ports=None)
    world.connect(named(None))
    assert world.status == ("connecting", WAITING)
    world.wait(ANSWER_SECONDS - 1)
    assert world.switch.flow_mods == []
    describe(world, NAMES)
    assert world.status == ("connecting", WAITING), "the policy is still to be worked out for them"
    world.run(world.session.assign(named(NAMES), world.now))
    assert set(world.rules) == set(RULES)
    assert world.status == ("protected", READ_BACK)


def test_known_ports_that_are_described_again_are_enough() -> None:
    world = World(ports=None)
    world.connect(named(NAMES))
    assert world.status == ("connecting", WAITING)
    assert world.switch.flow_mods == []
    describe(world, NAMES)
    assert world.status == ("protected", READ_BACK)


def test_a_switch_that_never_describes_its_ports_is_degraded_and_left_alone() -> None:
    world = World(ports=None)
    world.connect(named(None))
    world.wait(ANSWER_SECONDS + 2 * RETRY_SECONDS)
    missing = "it does not describe its ports, which the policy has by name: let it connect again"
    assert world.status == ("degraded", missing)
    assert world.states == ["connecting", "degraded"]
    assert world.switch.flow_mods == []
    describe(world, NAMES)
    world.run(world.session.assign(named(NAMES), world.now))
    assert world.status == ("protected", READ_BACK)


def test_a_switch_is_not_protected_by_what_other_ports_had() -> None:
    world = World(ports=None)
    world.connect(named(NAMES))
    describe(world, NAMES)
    describe(world, OTHERS)
    assert world.status == ("checking", "its ports have changed: looking up their names")
    world.wait(ANSWER_SECONDS)
    assert world.session.status.state.value == "checking"
    problem = "no port is called 'eth25': correct access-1 in the policy, or add the port"
    world.run(world.session.assign(named(OTHERS, problem), world.now))
    assert world.status == ("degraded", problem)
    describe(world, NAMES)
    world.run(world.session.assign(named(NAMES), world.now))
    assert world.status == ("protected", READ_BACK)


def test_ports_that_change_during_a_reading_are_noticed() -> None:
    world = World(ports=None)
    world.connect(named(NAMES))
    held: list[bytes] = []

    def hold(message: bytes) -> list[bytes]:
        held.append(message)
        return []

    world.on_wire = hold
    describe(world, NAMES)
    describe(world, OTHERS)
    world.on_wire = lambda message: [message]
    for message in held:
        world.run(world.deliver(message))
    assert world.session.status.state.value == "checking"
    assert world.session.status.reason == "looking up the names of its ports"


def test_a_policy_with_other_ports_than_the_switch_has_waits() -> None:
    world = World(ports=None)
    world.connect(named(NAMES))
    describe(world, NAMES)
    sent = len(world.sent)
    world.run(world.session.assign(named(OTHERS, digest="0" * 64), world.now))
    assert world.status == ("installing", WAITING)
    assert len(world.sent) == sent
    world.run(world.session.assign(named(NAMES, digest="0" * 64), world.now))
    assert world.session.status.state.value == "protected"


def test_without_names_in_the_policy_names_of_ports_mean_nothing() -> None:
    world = World(ports=None)
    world.connect(desired())
    describe(world, NAMES)
    describe(world, OTHERS)
    assert world.status == ("protected", READ_BACK)
    assert world.states == ["connecting", "installing", "protected"]


def test_what_is_wanted_follows_the_ports() -> None:
    """The rules are compiled again for the switch alone, and proven."""
    switch = replace(
        BASE.switches[NAME],
        uplink_ports=frozenset(),
        bindings=(replace(BASE.switches[NAME].bindings[0], port=0, port_name="eth2"),),
        by_name=(
            NamedPorts("eth25", PortRole.UPLINK, None, PLACE),
            NamedPorts("eth1", None, frozenset({7}), PLACE),
        ),
    )
    written = replace(BASE, switches=MappingProxyType({**BASE.switches, NAME: switch}))
    policy = in_effect(written, Facts())
    states = DesiredStates(policy, "5eed" * 16)
    seen = set()
    for ports in (NAMES, OTHERS, frozenset({("eth1", 2), ("eth2", 1), ("eth25", 9)}), NAMES):
        before = policy
        policy = after_change(before, Facts(ports={NAME: ports}), written, [NAME])
        assert not are_felt_elsewhere(before, policy, [NAME])
        states.change_lines(policy)
        state = states.of(policy.switches[NAME])
        seen.add(state.edition)
        wanted = state.wanted(AT, 254)
        assert set(wanted.rules) == set(compile_rules(policy, policy.switches[NAME], AT))
        assert state.violation(wanted, frozenset(), (), AT) is None
    assert len(seen) == 4
    peer = states.of(policy.switches[PEER])
    assert set(peer.wanted(AT, 254).rules) == set(compile_rules(written, written.switches[PEER], AT))


def test_an_exception_that_waits_or_no_longer_waits_is_felt_by_every_switch() -> None:
    waiting = MailException(
        "line", SubscriberPort(NAME, 0), Prefix.parse("203.0.113.0/24"), None, "", PLACE, port_name="eth1"
    )
    written = replace(BASE, exceptions_by_name=(waiting,))
    before = in_effect(written, Facts())
    gone: PortNumbers = frozenset({("eth2", 2)})
    for ports, is_felt in ((gone, False), (OTHERS, True), (gone, True), (frozenset(), False)):
        after = after_change(before, Facts(ports={NAME: ports}), written, [NAME])
        assert are_felt_elsewhere(before, after, [NAME]) is is_felt
        before = after


class NamedWalk(Walk):
    """A walk of a switch whose policy has ports by name: other rules for other ports."""

    def __init__(self, choice: random.Random) -> None:
        super().__init__(choice)
        self.names: PortNumbers | None = None
        """The ports that the switch has described over this connection."""
        self.edition = 0

    def connect(self) -> None:
        self.cut()
        self.names = None
        self.channel = self.switch.connect(4)
        self.send(self.session.connected(SwitchFeatures(4, 8), self.now))

    def report_ports(self) -> None:
        if self.channel is not None:
            self.names = self.choice.choice((NAMES, OTHERS))
            self.send(self.session.ports_changed(PORTS, self.now, self.names))

    def assign(self) -> None:
        """Assign what the controller has worked out, by what it knows of the ports, which may be old."""
        self.assign_for(self.choice.choice((None, NAMES, OTHERS)))

    def assign_for(self, names: PortNumbers | None) -> None:
        self.edition += 1
        rules = FEW if names == NAMES else RULES[1:2] + FEW[3:]
        switch = replace(desired().switch, resolution=Resolution(names))
        found = desired(rules)._replace(switch=switch, digest=DIGEST, edition=self.edition)
        self.send(self.session.assign(found, self.now))

    def settle(self) -> None:
        self.switch.conduct = Conduct()
        if self.channel is None:
            self.connect()
        if self.names is None:
            self.report_ports()
        self.carry_and_work()
        self.send(self.session.contested((), self.now))
        self.assign_for(self.names)
        if self.other in rules_on(self.switch):
            remove(self.switch, self.other)
        for _ in range(4):
            self.carry_and_work()
            self.wait_longer()
        self.carry_and_work()
        assert is_converged(self.session.status.state), self.session.status

    def send(self, outcome: Outcome) -> None:
        """Whatever happens: a switch that is as wanted is as wanted for the ports that it has."""
        super().send(outcome)
        state, followed = self.session.status.state, self.session.desired
        if is_converged(state):
            assert followed is not None
            assert followed.switch.resolution is not None
            assert followed.switch.resolution.described == self.names


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_whatever_happens_a_switch_is_as_wanted_for_the_ports_it_has(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Taken()
    monkeypatch.setattr(session_module, "next_state", taken.next_state)
    for number in range(first, first + 50):
        NamedWalk(random.Random(number)).go(STEPS)
    assert taken.inputs - in_table() == set()
