"""The policy of a regional ISP: each line is bound to an IPv4 address, an IPv6 /56 and a MAC address.

``python -m benchmarks.regional`` prints it, always the same 52,000 lines; with ``--measure``, what it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from benchmarks.policies import AT
from op25b_app.net.prefix import format_address
from op25b_app.operate import policy_cache
from op25b_app.policy.loader import load
from op25b_app.sync.desired_state import DesiredStates

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


def moved(policy: str) -> str:
    """Return the policy with another IPv4 address for one line."""
    first, _, _ = addresses_of(1, 1)
    return policy.replace(f"[{first},", "[100.127.0.1,")


class _Use(NamedTuple):
    """Processor time in seconds, and the most memory in MB, of a command; medians of several runs."""

    seconds: float
    megabytes: float


def commands(policy: Path, changed: Path) -> Mapping[str, Sequence[str]]:
    """Return the arguments of op25b by what is measured."""
    source, _, _ = addresses_of(1, 2)
    return {
        "`check`": ("check", str(policy)),
        "`explain` from an address": ("explain", str(policy), "--src", source, "--dst", "203.0.113.25"),
        "`rules` of one switch": ("rules", str(policy), "--switch", "access-1"),
        "`diff`, one line changed": ("diff", str(policy), str(changed)),
    }


def _used(arguments: Sequence[str], rounds: int) -> _Use:
    """Return what a command uses once its policy is remembered."""
    uses = []
    for _ in range(rounds + 1):
        process = subprocess.Popen(
            [Path(sys.executable).with_name("op25b"), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise click.ClickException(f"op25b {' '.join(arguments)} ended with {status}")
        uses.append(_Use(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    return _Use(median(use.seconds for use in uses[1:]), median(use.megabytes for use in uses[1:]))


def _prove(policy: Path, changed: Path) -> Iterator[tuple[str, float]]:
    """Yield what compiling and proving all switches take, in seconds, and one of them after a change."""
    old, new = (loaded.policy for loaded in (load(policy, AT), load(changed, AT)))
    assert old is not None
    assert new is not None
    states = DesiredStates(old, "old")
    for what, work in (("compile", states.prepare), ("prove", states.prove_ahead)):
        began = time.process_time()
        for switch in old.switches.values():
            work(switch, AT)
        yield f"{what} all switches", time.process_time() - began
    states, switch = DesiredStates(new, "new", states), new.switches["access-1"]
    states.prepare(switch, AT)
    began = time.process_time()
    states.prove_ahead(switch, AT)
    yield "prove one switch after one line changed", time.process_time() - began


def _measure(switches: int, rounds: int) -> Iterator[str]:
    with TemporaryDirectory() as folder:
        os.environ[policy_cache.VARIABLE] = f"{folder}/cache"
        policy, changed = Path(folder, "policy.yaml"), Path(folder, "changed.yaml")
        policy.write_text(regional_policy(switches))
        changed.write_text(moved(policy.read_text()))
        yield "| work | CPU | memory |"
        yield "| --- | ---: | ---: |"
        for what, arguments in commands(policy, changed).items():
            use = _used(arguments, rounds)
            yield f"| {what} | {use.seconds:.2f} s | {use.megabytes:.0f} MB |"
        for what, seconds in _prove(policy, changed):
            yield f"| {what} | {seconds:.3g} s | |"


@click.command(help=__doc__)
@click.option("--switches", default=1000, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--measure", is_flag=True, help="Print what commands take with this policy instead.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each command; medians are printed.")
def main(switches: int, measure: bool, rounds: int) -> None:
    """Print the policy, or what it takes."""
    if measure:
        for line in _measure(switches, rounds):
            click.echo(line)
    else:
        click.echo(regional_policy(switches), nl=False)


if __name__ == "__main__":
    main()
