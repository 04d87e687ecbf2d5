"""Format hardware addresses as text, without netaddr.

Ryu reads a description of each port of a connecting switch, and spends 10 µs on its address. For 48 ports
that is half a millisecond, as long as all else that Ryu does for the connection.
"""

from __future__ import annotations

from ryu.lib import addrconv


def write_quickly() -> None:
    """Patch Ryu to format them as before, in a tenth of the time."""
    converter = addrconv.mac
    by_netaddr = type(converter).bin_to_text

    def bin_to_text(packed: bytes) -> str:
        return packed.hex(":") if len(packed) == 6 else by_netaddr(converter, packed)

    converter.bin_to_text = bin_to_text
