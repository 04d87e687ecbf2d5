"""Hardware addresses as text, without netaddr.

Ryu reads a description of every port of a switch that connects, and 10 µs of that are its address: half a
millisecond for a switch with 48 ports, as long as everything else takes that Ryu does when it connects.
"""

from __future__ import annotations

from ryu.lib import addrconv


def write_quickly() -> None:
    """From now on Ryu writes them in a tenth of the time, as before."""
    converter = addrconv.mac
    by_netaddr = type(converter).bin_to_text

    def bin_to_text(packed: bytes) -> str:
        return packed.hex(":") if len(packed) == 6 else by_netaddr(converter, packed)

    converter.bin_to_text = bin_to_text
