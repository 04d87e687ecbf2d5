"""The policy of a regional ISP: each line is bound to an IPv4 address, an IPv6 /56 and a MAC address.

``python -m benchmarks.regional --switches 1000`` prints it, always the same 52,000 lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from op25b_app.net.prefix import format_address

LINES = 46
"""Lines of each switch, at ports from 1."""
UPLINK, TRUSTED = 47, 48

_FIRST_IPV4 = 0x64400000
_FIRST_IPV6 = 0x20010DB81 << 92
_FIRST_MAC = 0x020000000000
_SUBSCRIBER_BITS = 72
"""Bits of an IPv6 address behind the prefix of a line."""
_HEAD = """\
isp:
  name: Regional ISP
  mail_destinations: [192.0.2.25, "2001:db8:25::19"]
address_space:
  dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]
hardening: {source_validation: binding, tunnels: block}
switches:
"""


def regional_policy(switches: int) -> str:
    """Return the text of a policy for a number of switches."""
    return _HEAD + "\n".join(line for number in range(1, switches + 1) for line in _switch(number)) + "\n"


def addresses_of(switch: int, port: int) -> tuple[str, str, str]:
    """Return the IPv4 address, the IPv6 prefix and the MAC address of a line; both numbers count from 1."""
    line = (switch - 1) * LINES + port
    prefix = format_address(6, _FIRST_IPV6 + (line << _SUBSCRIBER_BITS))
    mac = f"{_FIRST_MAC + line:012x}"
    return (
        format_address(4, _FIRST_IPV4 + line),
        f"{prefix}/{128 - _SUBSCRIBER_BITS}",
        ":".join(mac[place : place + 2] for place in range(0, 12, 2)),
    )


def _switch(number: int) -> Iterator[str]:
    yield f"  access-{number}:"
    yield f"    dpid: {number:#x}"
    yield f"    subscriber_ports: [1-{LINES}]"
    yield f"    uplink_ports: [{UPLINK}]"
    yield f"    trusted_ports: [{TRUSTED}]"
    yield "    bindings:"
    for port in range(1, LINES + 1):
        ipv4, ipv6, mac = addresses_of(number, port)
        yield f'      - {{port: {port}, mac: "{mac}", addresses: [{ipv4}, "{ipv6}"]}}'


@click.command(help=__doc__)
@click.option("--switches", default=1000, show_default=True, type=click.IntRange(1, 20_000))
def main(switches: int) -> None:
    """Print the policy."""
    click.echo(regional_policy(switches), nl=False)


if __name__ == "__main__":
    main()
