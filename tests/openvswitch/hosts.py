"""Hosts at the ports of a bridge: what they send to each other, and what of it arrives."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from op25b_app.net.prefix import parse_address
from op25b_app.policy.packet import TCP, Packet
from testing.frames import frame_of
from testing.private_ovs import PrivateOvs

SETTLE_SECONDS = 0.2
"""In which a frame has crossed a bridge, and a controller if need be."""


class Host(NamedTuple):
    """A host at a port; its MAC address is made of its IP address."""

    port: int
    address: str

    @property
    def mac(self) -> int:
        return 0x0200_0000_0000 | parse_address(self.address)[1] & 0xFFFF_FFFF

    def to(self, other: Host, *, dport: int, sport: int = 40000) -> bytes:
        """A SYN to another host."""
        version, source = parse_address(self.address)
        return frame_of(
            Packet(
                in_port=self.port,
                eth_source=self.mac,
                eth_destination=other.mac,
                eth_type=0x0800 if version == 4 else 0x86DD,
                version=version,
                source=source,
                destination=parse_address(other.address)[1],
                protocol=TCP,
                source_port=sport,
                destination_port=dport,
            )
        )


def ports_reached(ovs: PrivateOvs, bridge: str, sender: Host, frames: Iterable[bytes]) -> dict[int, int]:
    """How many frames came out of which port after these came in."""
    before = ovs.sent(bridge)
    ovs.receive(bridge, sender.port, *frames)
    time.sleep(SETTLE_SECONDS)
    after = ovs.sent(bridge)
    return {port: after[port] - before[port] for port in after if after[port] != before[port]}
