"""MAC flooding, which opens nothing on Open vSwitch: others' addresses stay in its table."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from op25b_app.policy.packet import ETH_IPV4, Packet
from testing.frames import ethernet
from testing.private_ovs import PrivateOvs

pytestmark = pytest.mark.slow

ROUTER, VICTIM, FLOODERS = 1, 2, (3, 4)
MAC_OF_ROUTER, MAC_OF_VICTIM = 0x02_25_00_00_00_01, 0x02_25_00_00_00_02
TABLE_SIZE = 64
"""Of the switch's table of MAC addresses, 8,192 by default: as full, sooner."""


@pytest.fixture
def switch() -> Iterator[PrivateOvs]:
    with PrivateOvs() as ovs:
        ovs.add_bridge("flooded", (ROUTER, VICTIM, *FLOODERS))
        ovs.vsctl("set", "Bridge", "flooded", f"other-config:mac-table-size={TABLE_SIZE}")
        ovs.add_flows("flooded", "actions=NORMAL")
        yield ovs


def frame(source: int, destination: int) -> bytes:
    return ethernet(Packet(1, ETH_IPV4, eth_source=source, eth_destination=destination), bytes(46))


@pytest.mark.parametrize("flooders", [FLOODERS[:1], FLOODERS])
def test_answers_to_a_neighbour_are_not_flooded(switch: PrivateOvs, flooders: tuple[int, ...]) -> None:
    """It makes room by forgetting an address of the port that has most of them."""
    to_victim = frame(MAC_OF_ROUTER, MAC_OF_VICTIM)
    assert is_flooded(switch, to_victim), "nobody knows the victim yet"
    switch.receive("flooded", VICTIM, frame(MAC_OF_VICTIM, MAC_OF_ROUTER))
    switch.appctl("revalidator/wait")
    assert not is_flooded(switch, to_victim)
    generator = random.Random(25)
    for port in flooders:
        for _ in range(20):
            macs = [0x02_00_00_00_00_00 | generator.randrange(1 << 32) for _ in range(40)]
            switch.receive("flooded", port, *(frame(mac, MAC_OF_ROUTER) for mac in macs))
            switch.appctl("revalidator/wait")
    learnt = switch.appctl("fdb/show", "flooded").splitlines()[1:]
    assert len(learnt) == TABLE_SIZE
    assert not is_flooded(switch, to_victim)


def is_flooded(switch: PrivateOvs, what: bytes) -> bool:
    """Whether a frame from the router would leave by all ports, or by a single one."""
    text = switch.trace("flooded", ROUTER, what)
    found = ["flooding" in text, "forwarding to learned port" in text]
    assert found.count(True) == 1, text
    return found[0]
