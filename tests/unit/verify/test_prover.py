"""Proofs of tables that change little: what is remembered of others, and how much."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pytest

from op25b_app.compiler.compiler import Compiler, compile_rules
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.policy.loader import load
from op25b_app.policy.model import LocatedPrefix, Policy
from op25b_app.verify.prefix_tree import difference
from op25b_app.verify.prove import Proven, prove
from op25b_app.verify.prover import Prover
from tests.generated import NOW

LINES = """
isp: {mail_destinations: [192.0.2.0/24, "2001:db8:25::/48"]}
address_space: {dynamic: [100.64.0.0/10, "2001:db8:1000::/36"], static: [100.96.0.0/11]}
hardening: {source_validation: binding}
switches:
"""
PORTS = 20


def policy_of(text: str) -> Policy:
    loaded = load(Path("policy.yaml"), NOW, lambda path: text.encode())
    assert loaded.policy is not None, loaded.errors
    return loaded.policy


def with_lines(switches: int) -> Policy:
    """Switches that differ in their lines only, each with addresses and a MAC address, in no order."""
    numbers = list(range(switches * PORTS))
    random.Random(25).shuffle(numbers)
    text = LINES
    for switch in range(switches):
        text += (
            f"  access-{switch}: {{dpid: {switch + 1}, subscriber_ports: [1-{PORTS}], uplink_ports: [50], "
        )
        lines = []
        for port in range(1, PORTS + 1):
            number = numbers.pop()
            high, low = divmod(number, 256)
            address = f"100.{64 if number % 3 else 96}.{high}.{low}"
            mac = f"02:00:00:00:{high:02x}:{low:02x}"
            prefix = f"2001:db8:1000:{number:x}00::/56"
            lines.append(f'{{port: {port}, mac: "{mac}", addresses: [{address}, "{prefix}"]}}')
        text += f"bindings: [{', '.join(lines)}]}}\n"
    return policy_of(text)


def shows(
    prover: Prover, policy: Policy, compiler: Compiler, name: str, others: Sequence[FlowRule] = ()
) -> bool:
    switch = policy.switches[name]
    return prover.proves(policy, switch, compiler.segments(switch, NOW), NOW, others)


def test_switches_that_differ_in_their_lines_share_the_proof() -> None:
    policy, prover = with_lines(8), Prover()
    compiler, sizes = Compiler(policy), []
    for name in policy.switches:
        assert shows(prover, policy, compiler, name)
        sizes.append(prover.size)
    assert sizes[-1] < 1.05 * sizes[0]


def test_a_line_with_the_address_of_another_is_not_shown() -> None:
    policy, prover = with_lines(2), Prover()
    compiler = Compiler(policy)
    one, other = policy.switches.values()
    assert prover.proves(policy, one, compiler.segments(one, NOW), NOW)
    assert not prover.proves(policy, one, compiler.segments(other, NOW), NOW)
    swapped = [replace(binding, port=PORTS + 1 - binding.port) for binding in one.bindings]
    wrong = replace(one, bindings=tuple(swapped))
    assert not prover.proves(policy, wrong, compiler.segments(one, NOW), NOW)


def test_rules_of_others_matter_where_a_packet_may_come_to_them() -> None:
    policy, prover = with_lines(1), Prover()
    compiler, name = Compiler(policy), "access-0"
    theirs = FlowRule(0, 1, (FieldValue("in_port", 1),), NORMAL, cookie=7)
    assert shows(prover, policy, compiler, name, [theirs, theirs._replace(table=77, priority=65535)])
    assert not shows(prover, policy, compiler, name, [theirs._replace(priority=65535)])


def test_what_is_remembered_is_bounded() -> None:
    """A space of some hundreds of prefixes, of which one comes or goes each time."""
    generator, bound = random.Random(25), 30_000
    policy = policy_of(LINES.replace("binding", "port-25") + "  one: {dpid: 1, uplink_ports: [2]}\n")
    place = policy.dynamic[0].place

    def any_prefix() -> LocatedPrefix:
        version = generator.choice((4, 6))
        start, bits = (100 << 24 | 64 << 16, 22) if version == 4 else (0x20010DB81 << 92, 92)
        host = WIDTH[version] - generator.randrange(12, 29) * WIDTH[version] // 32
        return LocatedPrefix(
            Prefix(version, (start | generator.getrandbits(bits)) >> host << host, WIDTH[version] - host),
            place,
        )

    policy = replace(policy, static=(), dynamic=tuple(any_prefix() for _ in range(100)))
    compiler, prover, sizes = None, Prover(bound), []
    for number in range(60):
        compiler = Compiler(policy, compiler)
        assert shows(prover, policy, compiler, "one")
        sizes.append(prover.size)
        dynamic = list(policy.dynamic)
        if number % 2:
            dynamic.pop(generator.randrange(len(dynamic)))
        dynamic.insert(generator.randrange(len(dynamic)), any_prefix())
        policy = replace(policy, dynamic=tuple(dynamic), space_before=policy.space)
    assert any(after < before for before, after in pairwise(sizes))
    assert max(sizes) < 2 * bound


def test_rules_that_are_equal_are_not_taken_for_the_same_objects() -> None:
    """Of those that are no longer alive, others may have the identity."""
    policy, prover = with_lines(1), Prover()
    (switch,) = policy.switches.values()
    for number in range(10):
        rules = [rule._replace() for rule in compile_rules(policy, switch, NOW)]
        assert prover.proves(policy, switch, [rules], NOW)
        missing = rules.pop(number * 3 % len(rules))
        held = prover.proves(policy, switch, [[rule._replace() for rule in rules]], NOW)
        table = [stored_rule(rule, "") for rule in rules]
        assert held == isinstance(prove(policy, switch, table, NOW), Proven), missing


def test_differences_of_long_sequences() -> None:
    generator = random.Random(25)
    before = list(range(20_000))
    for count in (0, 1, 5, 400):
        after = list(before)
        gone = {after.pop(generator.randrange(len(after))) for _ in range(count)}
        new = [20_000 + number for number in range(count)]
        for each in new:
            after.insert(generator.randrange(len(after)), each)
        removed, added = difference(before, after, lambda item: item)
        assert set(removed) == gone
        assert sorted(added) == new
    assert difference([1, 1, 2], [2, 1, 1, 1], lambda item: item) == ([], [1])
    assert difference([], [1], lambda item: item) == ([], [1])
    assert difference([1], [], lambda item: item) == ([1], [])


def test_lines_as_they_were_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come and go for months, and each has an address of its own."""
    room = 5_000
    monkeypatch.setattr("op25b_app.verify.prover.ROOM", room)
    policy, prover = with_lines(2), Prover()
    compiler, name = Compiler(policy), "access-0"
    assert shows(prover, policy, compiler, name)
    first, sizes = prover.size, []
    for number in range(150):
        switch = policy.switches[name]
        binding, *others = switch.bindings
        address = Prefix(4, (100 << 24) + (100 << 16) + number * 97, 32)
        moved = replace(binding, addresses=(binding.addresses[0]._replace(prefix=address),))
        switches = {**policy.switches, name: replace(switch, bindings=(moved, *others))}
        policy = replace(policy, switches=MappingProxyType(switches))
        compiler.change_lines(policy)
        assert shows(prover, policy, compiler, name)
        sizes.append(prover.size)
    assert any(after < before for before, after in pairwise(sizes))
    assert max(sizes) < 4 * first + 2 * room
