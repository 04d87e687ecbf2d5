"""The teeth of the proof: single mutations of a table of 1,000 rules.

``OP25B_MUTATIONS`` says how many; the campaign of 1,000 takes some minutes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import headers
from op25b_app.openflow.flow_rule import matches
from op25b_app.openflow.stored_rule import StoredRule
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy
from op25b_app.policy.packet import Packet
from op25b_app.verify.prove import Proven, prove
from tests.generated import NOW, edges, packet
from tests.property.test_proof import assert_right, mutate, stored_rules

pytestmark = pytest.mark.slow

MUTATIONS = int(os.environ.get("OP25B_MUTATIONS", "100"))
PACKETS_A_MUTANT = 150
SWITCH = "access-1"


def large_policy(folder: Path) -> Policy:
    """Pools and static customers scattered over an address plan, so that little can be merged."""
    generator = random.Random(25)
    dynamic = {f"100.{generator.randrange(64, 128)}.{generator.randrange(256)}.0/24" for _ in range(170)}
    static = {f"100.{generator.randrange(64, 128)}.{generator.randrange(256)}.16/28" for _ in range(170)}
    dynamic6 = {f"2001:db8:{generator.randrange(1 << 16):x}::/48" for _ in range(60)}
    mail = {f"198.51.100.{generator.randrange(64) * 4}/30" for _ in range(20)}
    path = folder / "policy.yaml"
    path.write_text(
        f"""\
isp: {{mail_destinations: [{", ".join(sorted(mail))}]}}
address_space:
  dynamic: [{", ".join(sorted(dynamic))}, {", ".join(f'"{prefix}"' for prefix in sorted(dynamic6))}]
  static: [{", ".join(sorted(static))}]
inbound: {{port_25: block}}
exceptions:
  - {{name: one, source: 100.64.3.7, destination: 203.0.113.0/24}}
  - {{name: two, source: {{switch: access-1, port: 2}}, destination: 203.0.113.128/25}}
switches:
  access-1: {{dpid: 1, subscriber_ports: [1, 2], uplink_ports: [3], trusted_ports: [4]}}
"""
    )
    loaded = load(path, NOW)
    assert loaded.policy is not None, loaded.errors
    return loaded.policy


def around(policy: Policy, rule: StoredRule | None, generator: random.Random) -> Iterator[Packet]:
    """Packets at the edges of all prefixes, most of them such that a rule matches them."""
    addresses = {version: edges(policy, version) for version in (4, 6)}
    found = 0
    for _ in range(200 * PACKETS_A_MUTANT):
        version = generator.choice((4, 6))
        frame = packet(
            generator.choice((1, 2, 3, 4, 9)),
            version,
            generator.choice(addresses[version]),
            generator.choice(addresses[version]),
            generator.choice((25, 40000)),
            generator.choice((25, 25, 0, 465, 40000)),
        )
        if rule is None or matches(rule.match, headers(frame)):
            found += 1
            yield frame
        if found == PACKETS_A_MUTANT:
            return


@pytest.mark.slow
def test_single_mutations_of_a_large_table(tmp_path: Path) -> None:
    policy = large_policy(tmp_path)
    rules = stored_rules(compile_rules(policy, policy.switches[SWITCH], NOW))
    assert len(rules) >= 1000
    assert isinstance(prove(policy, policy.switches[SWITCH], rules, NOW), Proven)
    proven = 0
    for seed in range(MUTATIONS):
        generator = random.Random(seed)
        mutant = mutate(rules, generator)
        changed = next((rule for rule in mutant if rule not in rules), None)
        proven += assert_right(policy, mutant, around(policy, changed, generator))
    print(f"{MUTATIONS} mutations of {len(rules)} rules: {MUTATIONS - proven} refuted, {proven} still proven")
    assert 0 < proven < 0.7 * MUTATIONS
