"""Leases that begin, move, end and are lost, at a switch that may be interrupted at every message.

At every message that the switch handles, each packet gets a verdict of ``decide`` under one of the policies
in effect since the switch was last as wanted; so TCP port 25 never opens for a dynamic address. Left in
peace, the switch ends with exactly the rules wanted, proven.

``python -m tests.property.lease_churn --sequences 10000`` does so at length.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.marker import is_marker
from op25b_app.compiler.simulate import headers
from op25b_app.lines.csv_leases import csv_leases
from op25b_app.lines.lease import Lease
from op25b_app.net.prefix import Prefix
from op25b_app.operate.line_learning import PUT_SOURCE, LineLearning
from op25b_app.policy.canonical import meaning
from op25b_app.policy.decide import decide
from op25b_app.policy.facts import after_change, are_felt_elsewhere, in_effect
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy, Verdict
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, TCP, Packet
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.session import Session
from op25b_app.sync.status import Outcome, State
from testing.fake_switch import Abilities, Channel, FakeSwitch
from testing.fake_switch.rules import rules_on
from testing.fake_switch.wire import Kind, Stream

SEQUENCES = 10_000
_NOW = 1_800_000_000.0
_SWITCH = "a"
_POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10, "2001:db8::/32"], static: [100.64.8.0/29]}
hardening: {source_validation: binding}
EXCEPTIONS
lines: {sources: [{file: leases.csv}], on_loss: ON_LOSS, stale: 60s}
switches:
  a: {dpid: 1, subscriber_ports: [1-2], uplink_ports: [9], vlans: {2: [untagged, 100]}}
  b: {dpid: 2, subscriber_ports: [1], uplink_ports: [9]}
"""
_EXCEPTION = "exceptions: [{name: x, source: {switch: a, port: 1}, destination: 203.0.113.25}]"
_LINES = ("a/1", "a/2/100", "a/2/untagged", "b/1")
_ADDRESSES = (
    *("100.64.0.1", "100.64.0.2", "100.64.0.0/30", "100.64.8.1", "100.64.8.2"),
    *("2001:db8:0:100::/56", "2001:db8:0:100::1"),
)
_PORTS = frozenset({1, 2, 9})
MAIL_PORT = 25
_STEPS = 12
_PROBES_AT_A_MESSAGE = 12
_CHANGING = frozenset({Kind.FLOW_MOD, Kind.EXPERIMENTER, Kind.BUNDLE_CONTROL})
"""Kinds of messages that may change a table."""
_QUIET_ROUNDS = 40


def _probes() -> list[Packet]:
    found = []
    for text in _ADDRESSES:
        prefix = Prefix.parse(text)
        version, eth_type, outside = 4, ETH_IPV4, Prefix.parse("203.0.113.25")
        if prefix.version == 6:
            version, eth_type, outside = 6, ETH_IPV6, Prefix.parse("2001:db9::25")
        for port, tags in ((1, ()), (2, ()), (2, (100,))):
            for tcp_port in (25, 587):
                packet = Packet(port, eth_type, version, prefix.first, outside.first, TCP, 40000, tcp_port)
                found.append(replace(packet, tags=tags))
    return found


_PROBES = _probes()
_HEADERS = [headers(packet) for packet in _PROBES]


class Churn:
    """One sequence, chosen by a number; ``done`` counts what happened."""

    def __init__(self, seed: int, done: Counter[str]) -> None:
        self._chance = random.Random(seed)
        self._done = done
        text = _POLICY.replace("ON_LOSS", self._chance.choice(("keep", "forget")))
        text = text.replace("EXCEPTIONS", self._chance.choice(("", _EXCEPTION)))
        loaded = load(Path("policy.yaml"), _NOW, lambda path: text.encode())
        assert loaded.policy is not None, loaded.errors
        self._written, self._now = loaded.policy, _NOW
        self._learning = LineLearning()
        self._learning.follow(self._written, self._now)
        self._policy = self._written
        self._desired_states = DesiredStates(self._policy, loaded.digest)
        abilities = Abilities(bundles=self._chance.random() < 0.5, flow_monitor=self._chance.random() < 0.5)
        self._switch = FakeSwitch(1, capabilities=abilities)
        self._session = Session(1, self._now)
        self._to_switch: deque[bytes] = deque()
        self._to_session: deque[bytes] = deque()
        self._channel: Channel | None = None
        self._possible = [_verdicts(self._policy, self._now)]
        """For each policy that may be in effect on the switch: which probes pass."""
        self._rows: dict[str, str] = {}
        self._is_filled = False

    def run(self) -> None:
        """Go through the sequence; AssertionError where a promise is broken."""
        self._send(self._session.assign(self._desired(), self._now))
        self._connect()
        self._settle()
        steps: tuple[Callable[[], list[str]], ...] = (
            *(self._join, self._join, self._release, self._write_file, self._write_file),
            *(self._lose_file, self._pass_time),
        )
        for _ in range(_STEPS):
            step = self._chance.choice(steps)
            self._done[step.__name__.strip("_")] += 1
            step()
            self._follow()
            self._carry(self._chance.choice((0, 1, 3, 8, 30)))
            if self._chance.random() < 0.15:
                self._done["interrupted"] += 1
                self._interrupt()
            if self._chance.random() < 0.3:
                self._settle()
        self._settle()

    def _join(self) -> list[str]:
        lease = Lease(
            Prefix.parse(self._chance.choice(_ADDRESSES)),
            self._chance.choice(_LINES),
            self._chance.choice((None, 0x020000000001)),
            None,
            self._chance.choice((None, int(self._now) + 30)),
            0,
        )
        return self._learning.learn(PUT_SOURCE, [lease], [], self._now)

    def _release(self) -> list[str]:
        return self._learning.learn(
            PUT_SOURCE, [], [Prefix.parse(self._chance.choice(_ADDRESSES))], self._now
        )

    def _write_file(self) -> list[str]:
        """Replace some rows; now and then by what is none, or only half of the file."""
        for address in self._chance.sample(_ADDRESSES, 3):
            switch, port, vlan = [*self._chance.choice(_LINES).split("/"), ""][:3]
            self._rows[address] = f"{switch},{port},{vlan},{address}\n"
        for address in self._chance.sample(_ADDRESSES, 2):
            self._rows.pop(address, None)
        text = "switch,port,vlan,address\n" + "".join(self._rows.values())
        text += self._chance.choice(("", "", "", "a,1,,nowhere\n", "a,9,,100.64.0.1\n", "a,1,,100.6"))
        cut = self._chance.choice((len(text), len(text), self._chance.randrange(len(text))))
        return self._learning.take("leases.csv", csv_leases("leases.csv", text[:cut]), self._now)

    def _lose_file(self) -> list[str]:
        return self._learning.fail("leases.csv", "it is gone", self._now)

    def _pass_time(self) -> list[str]:
        self._now += self._chance.choice((1.0, 10.0, 31.0, 61.0))
        self._switch.advance(self._now)
        return self._learning.tick(self._now)

    def _follow(self) -> None:
        """As the controller does: change the policy in effect, and tell the switch if that concerns it."""
        changed = [name for name in self._learning.take_changed() if name in self._written.switches]
        self._learning.take_news()
        if not changed:
            return
        before, facts = self._policy, self._learning.facts()
        policy = self._policy = after_change(before, facts, self._written, changed)
        assert meaning(policy) == meaning(in_effect(self._written, facts))
        if are_felt_elsewhere(before, policy, changed):
            digest = self._desired_states.digest
            self._desired_states = DesiredStates(policy, digest, self._desired_states)
        else:
            self._desired_states.change_lines(policy)
            if _SWITCH not in changed:
                return
        self._possible.append(_verdicts(policy, self._now))
        self._send(self._session.assign(self._desired(), self._now))

    def _desired(self) -> DesiredState:
        return self._desired_states.of(self._policy.switches[_SWITCH])

    def _connect(self) -> None:
        self._channel = self._switch.connect(4)
        self._send(self._session.connected(SwitchFeatures(4, 254, _PORTS), self._now))

    def _interrupt(self) -> None:
        self._channel = None
        self._to_switch.clear()
        self._to_session.clear()
        self._send(self._session.disconnected(self._now))
        self._connect()

    def _carry(self, count: int) -> bool:
        """Let the switch and the session hear some messages; return whether any were left."""
        assert self._channel is not None
        for _ in range(count):
            self._to_session += self._channel.due(self._now)
            if self._to_switch:
                message = self._to_switch.popleft()
                self._to_session += self._channel.receive(message, self._now)
                if message[1] in _CHANGING:
                    self._look(self._chance.sample(range(len(_PROBES)), _PROBES_AT_A_MESSAGE))
            elif self._to_session:
                self._send(self._session.receive(self._to_session.popleft(), self._now))
            else:
                return False
        return True

    def _settle(self) -> None:
        """Leave it in peace: it ends with exactly the rules wanted, and protected."""
        for _ in range(_QUIET_ROUNDS):
            while self._carry(50):
                pass
            if self._session.status.state is State.PROTECTED:
                break
            self._now = max(self._now, self._session.due_at)
            self._switch.advance(self._now)
            self._send(self._session.tick(self._now))
        assert self._session.status.state is State.PROTECTED, self._session.status
        held = {rule for rule in rules_on(self._switch) if not is_marker(rule)}
        assert held == {*compile_rules(self._policy, self._policy.switches[_SWITCH], self._now)}
        self._possible, self._is_filled = [_verdicts(self._policy, self._now)], True
        self._look(range(len(_PROBES)))

    def _look(self, numbers: Iterable[int]) -> None:
        """Hold what the switch does with some probes against what the policies say."""
        self._done["looks"] += 1
        for number in numbers:
            passes = self._switch.forward(_HEADERS[number]).passes
            is_right = any(verdicts[number] is passes for verdicts in self._possible)
            # A switch that is being filled may block more.
            assert is_right or not (passes or self._is_filled), (_PROBES[number], passes)

    def _send(self, outcome: Outcome) -> None:
        for piece in outcome.chunks:
            self._to_switch += (message.raw for message in Stream().feed(piece))
        if outcome.job:
            self._send(outcome.job.then(outcome.job.work(), self._now))


def _verdicts(policy: Policy, at: float) -> list[bool]:
    """Return which of the probes pass; none from a dynamic address to TCP port 25 does."""
    switch = policy.switches[_SWITCH]
    passes = [decide(policy, switch, packet, at).verdict is not Verdict.BLOCK for packet in _PROBES]
    for packet, passing in zip(_PROBES, passes, strict=True):
        excepted = policy.exceptions and packet.in_port == 1
        assert not (passing and packet.destination_port == MAIL_PORT and _is_dynamic(packet)) or excepted
    return passes


def _is_dynamic(packet: Packet) -> bool:
    return packet.version == 6 or packet.source >> 8 == Prefix.parse("100.64.0.0/24").network >> 8


def main() -> int:
    """Go through many sequences, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.property.lease_churn")
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--first", type=int, default=0, help="number of the first sequence")
    options = parser.parse_args()
    done: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.sequences):
        try:
            Churn(seed, done).run()
        except AssertionError as failure:
            print(f"sequence {seed}: {failure}")
            return 1
    print(f"{options.sequences:,} sequences: {dict(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
