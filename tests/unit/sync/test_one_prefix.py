"""One prefix of 10,000 comes or goes: few messages, and no rule is away meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.policy.loader import load
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from testing.fake_switch import Abilities
from testing.fake_switch.wire import Kind
from tests.world import World

PREFIXES = [f"10.{number // 250}.{number % 250}.0/25" for number in range(10_000)]
AT = 1_800_000_000.0
MAX_MESSAGES = 10


def assigned(prefixes: list[str]) -> DesiredState:
    text = f"""
isp: {{mail_destinations: [192.0.2.0/24]}}
address_space: {{dynamic: [{", ".join(prefixes)}]}}
switches: {{access-1: {{dpid: 1, subscriber_ports: [1-2], uplink_ports: [25]}}}}
"""
    loaded = load(Path("policy.yaml"), AT, lambda path: text.encode())
    assert loaded.policy is not None, loaded.problems
    return DesiredStates(loaded.policy, loaded.digest).of(loaded.policy.switches["access-1"])


@pytest.mark.slow
@pytest.mark.parametrize("bundles", [True, False])
def test_a_prefix_more_and_less(bundles: bool) -> None:
    world = World(capabilities=Abilities(bundles=bundles, part_bytes=60_000))
    world.now = AT
    kinds: list[int] = []
    sizes: list[int] = []
    few, many = assigned(PREFIXES[1:]), assigned(PREFIXES)
    world.connect(few)
    assert world.status[0] == "protected"
    for after in (many, few):
        held = len(world.rules)
        kinds.clear()
        sizes.clear()
        world.channel.on_handled = lambda message: kinds.append(message.kind)
        world.switch.on_handled = lambda: sizes.append(len(world.switch.tables))
        world.run(world.session.assign(after, world.now))
        assert world.status[0] == "protected"
        assert len(world.rules) != held
        assert min(sizes) >= min(held, len(world.rules))
        assert len([kind for kind in kinds if kind != Kind.MULTIPART_REQUEST]) <= MAX_MESSAGES
