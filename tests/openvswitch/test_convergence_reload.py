"""From one policy to another on real switches while packets flow: none is treated as neither policy says.

The bounds are counts. After a confirmed change a packet may still be treated by the old policy, until Open
vSwitch has looked through its cached flows; what is treated so later, though the tables are right, is counted
as stale (docs/convergence.md).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.convergence.channel import BUNDLE, CLOSED_FIRST, IN_PLACE, STAGED
from benchmarks.convergence.plans import LINES, UPLINK, Variant, two_plans
from benchmarks.convergence.probes import Probe, passing_frames, probes
from benchmarks.convergence.record import Kind, Record
from benchmarks.convergence.reload import Reload, hardening_variants, reloads
from benchmarks.convergence.traffic import Traffic
from benchmarks.convergence.world import (
    BUNDLES_13,
    BUNDLES_14,
    BUNDLES_15,
    CROWDED,
    PLAIN,
    PLAIN_15,
    World,
)
from testing.running import wait_until

pytestmark = pytest.mark.slow
LISTS = Path(__file__).parents[3] / "shared/data/isp-prefixes"
PLANS = two_plans(LISTS, ("AS2518", "AS2527"))
PACKETS_PER_SECOND, PROBES = 250, 600


@pytest.fixture(scope="module")
def between_plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reload]:
    first, second = (Variant(space.name, space) for space in PLANS)
    sites = (BUNDLES_13, BUNDLES_14, PLAIN, CROWDED)
    folder = tmp_path_factory.mktemp("plans")
    there_and_back = [first, second, first, second]
    found = reloads(sites, there_and_back, folder, rate=PACKETS_PER_SECOND, count=PROBES)
    return {reload.switch: reload for reload in found}


@pytest.fixture(scope="module")
def between_hardenings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reload]:
    variants, folder = hardening_variants(PLANS[0]), tmp_path_factory.mktemp("hardenings")
    found = reloads((BUNDLES_15, PLAIN_15), variants, folder, rate=PACKETS_PER_SECOND, count=PROBES)
    return {reload.switch: reload for reload in found}


def assert_no_wrong_verdict(reload: Reload) -> None:
    total = reload.total
    assert (total.leaked, total.lost) == (0, 0), reload
    assert min(total.blocked, total.permitted) > 100, "there were packets of both kinds"
    changing = reload.counts[Kind.CHANGING.value]
    assert min(changing.blocked, changing.permitted, changing.either) > 10, "also while policies changed"


@pytest.mark.parametrize(("switch", "order"), [(BUNDLES_13, BUNDLE), (BUNDLES_14, BUNDLE), (PLAIN, IN_PLACE)])
def test_from_one_address_plan_to_another_and_back(
    between_plans: dict[str, Reload], switch: object, order: str
) -> None:
    reload = between_plans[getattr(switch, "name")]  # noqa: B009
    assert reload.orders == {order}
    assert_no_wrong_verdict(reload)


def test_a_switch_without_room_for_both_plans_may_block_and_never_leaks(
    between_plans: dict[str, Reload],
) -> None:
    reload = between_plans[CROWDED.name]
    assert reload.orders == {CLOSED_FIRST}
    assert reload.total.leaked == 0, reload
    assert reload.total.blocked > 100


def test_changes_of_hardening_ports_and_modes(between_hardenings: dict[str, Reload]) -> None:
    with_bundles, plain = between_hardenings[BUNDLES_15.name], between_hardenings[PLAIN_15.name]
    assert BUNDLE in with_bundles.orders
    assert plain.orders == {STAGED, IN_PLACE}
    for reload in (with_bundles, plain):
        assert_no_wrong_verdict(reload)


def test_a_switch_that_stands_still_for_a_while_loses_nothing(tmp_path: Path) -> None:
    """As on a loaded machine: what is counted as lost was not lost in the buffers of sockets."""
    variant, names = Variant("defaults", PLANS[0]), [BUNDLES_13.name]
    policies, at = [variant.policy(tmp_path, names)], time.time()
    passing = passing_frames(policies, names[0], at, LINES, UPLINK)
    frames = [Probe(port, frame, (True,)) for port, frame in passing.items()]
    with World([BUNDLES_13], tmp_path) as world:
        world.connect()
        world.ovs.add_flows(names[0], "actions=NORMAL")
        record = Record(time.time())
        with Traffic(world.wires, frames, 2000, passing) as traffic:
            os.kill(world.ovs.switch_pid, signal.SIGSTOP)
            wait_until(lambda: traffic.sent > 400 * len(frames), lambda: f"sent {traffic.sent}")
            os.kill(world.ovs.switch_pid, signal.SIGCONT)
        assert world.dropped_frames() == 0
    [count] = traffic.counts(names[0], record).values()
    assert (count.permitted, count.lost) == (traffic.sent, 0)


def test_this_traffic_notices_rules_that_are_deleted_and_added_again(tmp_path: Path) -> None:
    """What a controller does that empties a table first; so the tests above can fail."""
    variant = Variant("defaults", PLANS[0])
    names = [BUNDLES_13.name]
    policies, at = [variant.policy(tmp_path, names)] * 2, time.time()
    frames = probes(policies, names[0], at, LINES, UPLINK, PROBES)
    passing = passing_frames(policies, names[0], at, LINES, UPLINK)
    with World([BUNDLES_13], tmp_path) as world:
        variant.write(world.policy, names)
        world.start()
        world.connect()
        world.wait_until_protected()
        record = Record(time.time())
        with Traffic(world.wires, frames, PACKETS_PER_SECOND, passing) as traffic:
            time.sleep(0.5)
            dump = "\n".join(world.ovs.dump_flows(names[0]))
            world.kill()
            world.ovs.ofctl("del-flows", names[0])
            time.sleep(0.2)
            world.ovs.add_flows(names[0], "priority=0,actions=NORMAL")
            time.sleep(0.2)
            world.ovs.add_flows(names[0], dump)
            time.sleep(0.2)
        count = traffic.counts(names[0], record)[Kind.STEADY.value]
    assert count.leaked > 5
    assert count.lost > 5
