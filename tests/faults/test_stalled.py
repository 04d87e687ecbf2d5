"""Switches that stop reading for longer than Ryu waits (5 s), with more rules for them than sockets hold."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from op25b_app.sync.status import is_transient
from tests.faults.rig import Rig

POOLS = [f"100.{64 + n // 65536}.{n // 256 % 256}.{n % 256}/32" for n in range(0, 120_000, 2)]
STALL_SECONDS = 8.0
"""Longer than Ryu's time-out for sending; ours is longer still here (testing/unhurried.py)."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(5, pools=POOLS) as rig:
        yield rig


@pytest.mark.parametrize("position", [0, 1 << 20], ids=["at once", "in the middle"])
def test_a_switch_that_stops_reading(rig: Rig, position: int) -> None:
    """Meanwhile others come and go; afterwards it is sent the rest, over the same connection.

    It has finished its handshake, for which there is a time limit of its own (test_strangers.py).
    """
    stalling = rig.dial(rig.new_switch(), receive_buffer=1 << 14)
    rig.wait_until(
        lambda: is_transient(rig.state(stalling)[0]) and stalling.received > position,
        lambda: f"{stalling.received} bytes sent, {rig.state(stalling)}",
    )
    rig.diallers.do(stalling.hang)
    began = time.monotonic()
    other = rig.dial(rig.new_switch())
    rig.wait_for_protection(other)
    assert rig.state(rig.steady)[0] == "protected"
    time.sleep(max(0.0, began + STALL_SECONDS - time.monotonic()))
    rig.diallers.do(stalling.go_on)
    rig.wait_for_protection(stalling)
    assert stalling.connections == 1
    rig.assert_undisturbed()
