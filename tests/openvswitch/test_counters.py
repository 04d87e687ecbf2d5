"""The counters of a rule count what that rule did, and nothing that another one did in its place."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from op25b_app.policy.loader import load
from op25b_app.policy.model import Mode, Policy
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from testing.private_ovs import PrivateOvs
from testing.running import policy_text, wait_until
from tests.openvswitch.driven import Driven, driven
from tests.openvswitch.hosts import Host

PROTOCOLS = "OpenFlow13,OpenFlow14,OpenFlow15"
PORTS = frozenset({1, 2, 3, 4})
LINE, OUTSIDE = Host(1, "100.64.0.1"), Host(4, "203.0.113.9")
SPAM, SUBMISSION = LINE.to(OUTSIDE, dport=25), LINE.to(OUTSIDE, dport=587)
PACKETS = 14
MODES = {Mode.MONITOR: "monitoring", Mode.ENFORCE: "protected"}
LOOKS = pytest.mark.parametrize("bundles", [True, False], ids=["bundles", "steps"])
VERSIONS = pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])


class Counted:
    """A bridge, a session and a policy whose mode changes."""

    def __init__(self, ovs: PrivateOvs, bridge: str, drives: Driven, policy: Policy) -> None:
        self.ovs, self.bridge, self.drives, self.policy = ovs, bridge, drives, policy

    def desired(self, mode: Mode) -> DesiredState:
        switches = {name: replace(each, mode=mode) for name, each in self.policy.switches.items()}
        digest = {Mode.MONITOR: "5eed", Mode.ENFORCE: "beef"}[mode] * 16
        (switch,) = switches.values()
        return DesiredStates(replace(self.policy, switches=switches), digest).of(switch)

    def change_to(self, mode: Mode) -> None:
        self.drives.assign(self.desired(mode))
        self.drives.run_until_state(MODES[mode])

    def packets(self, *frames: bytes) -> None:
        """Let frames arrive, and wait until they are counted."""
        before = self.counted(0, 100)
        self.ovs.receive(self.bridge, LINE.port, *frames)
        wait_until(lambda: self.counted(0, 100) >= before + len(frames), lambda: str(self.counted(0, 100)))

    def counted(self, table: int, priority: int) -> int:
        """Packets of a rule, by its table and priority; several of one priority together."""
        self.ovs.appctl("revalidator/purge")
        rows = self.ovs.ofctl(
            "dump-flows", self.bridge, f"table={table}", protocols="OpenFlow13"
        ).splitlines()
        row = re.compile(rf"n_packets=(\d+), .* priority={priority}\b")
        return sum(int(found[1]) for found in map(row.search, rows) if found)


@VERSIONS
@LOOKS
def test_a_block_counts_nothing_that_monitor_mode_let_pass(
    ovs: PrivateOvs, tmp_path: Path, version: int, bundles: bool
) -> None:
    bridge = f"counted{version}{bundles:d}"
    ovs.add_bridge(bridge, sorted(PORTS), dpid=0x50 + version, protocols=PROTOCOLS)
    path = tmp_path / "policy.yaml"
    path.write_text(policy_text(f"access {0x50 + version:#x}"))
    policy = load(path, 0.0).policy
    assert policy is not None
    with driven(ovs, bridge, version, 0x50 + version) as drives:
        drives.bundles = bundles
        world = Counted(ovs, bridge, drives, policy)
        drives.begin(world.desired(Mode.MONITOR), PORTS)
        drives.run_until_state("monitoring")
        world.packets(*[SPAM] * PACKETS, SUBMISSION)
        assert world.counted(2, 10) == PACKETS, "they would be blocked"
        submission = world.counted(1, 100)
        assert submission == 1
        world.change_to(Mode.ENFORCE)
        assert world.counted(2, 10) == 0, "nothing was blocked as yet"
        assert world.counted(1, 100) == submission, "this rule goes on to do the same"
        world.packets(*[SPAM] * 3)
        assert world.counted(2, 10) == 3
        world.change_to(Mode.MONITOR)
        assert world.counted(2, 10) == 0, "nothing was let pass as yet"
        drives.run_for(1.5)
        assert world.counted(2, 10) == 0, "nor was it counted late"
    ovs.vsctl("del-br", bridge)
