"""What a campaign of controller restarts measured, and how it is told."""

from __future__ import annotations

import datetime
import platform
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True)
class Stream:
    """What became of one host's attempts; ``failures`` holds up to five texts."""

    who: str
    to: str
    port: int
    attempts: int
    in_mailbox: int
    timed_out: int
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """What a campaign measured.

    ``forbidden_syns`` is how many SYNs the attempts sent that had to be blocked, ``block_packets`` how many
    packets the block rules counted meanwhile. ``recoveries`` are the seconds from each restart of the
    controller until every switch was protected again.
    """

    topology: str
    datapath: str
    seconds: float
    legitimate: tuple[Stream, ...]
    forbidden: tuple[Stream, ...]
    block_packets: int
    forbidden_syns: int
    recoveries: tuple[float, ...]

    @property
    def as_expected(self) -> bool:
        """All legitimate mail arrived; of the rest nothing, and block rules dropped every SYN of it."""
        delivered = all(each.attempts == each.in_mailbox > 0 for each in self.legitimate)
        stopped = all(each.attempts == each.timed_out > 0 == each.in_mailbox for each in self.forbidden)
        return delivered and stopped and self.block_packets == self.forbidden_syns


def as_markdown(figures: Figures) -> str:
    """The figures, with the date and the versions they belong to."""
    rounds = len(figures.recoveries)
    usual, longest = statistics.median(figures.recoveries), max(figures.recoveries)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return f"""\
Result: **{"nothing leaked, nothing stopped" if figures.as_expected else "NOT as expected"}**.

Within {figures.seconds:.0f} s the controller was killed {rounds} times with SIGKILL, and started again two
seconds later. From a start until every switch was protected again it took {usual:.1f} s (median; at most
{longest:.1f} s). The rules stayed in the switches meanwhile, and mail kept flowing:

| who | to whom | port | attempts | in the mailbox | timed out |
| --- | --- | ---: | ---: | ---: | ---: |
{_rows((*figures.legitimate, *figures.forbidden))}

The blocked attempts sent {figures.forbidden_syns} SYNs; block rules counted {figures.block_packets} packets.

Written by `mininet/campaign.py --topology {figures.topology} --rounds {rounds}` on {today}, with
{_versions()},
{figures.datapath}-space datapath.
"""


def _rows(streams: Iterable[Stream]) -> str:
    fields = ("who", "to", "port", "attempts", "in_mailbox", "timed_out")
    return "\n".join(f"| {' | '.join(str(getattr(each, name)) for name in fields)} |" for each in streams)


def _versions() -> str:
    vswitchd = _said("ovs-vswitchd", "--version").split()[3]
    postfix = _said("postconf", "-d", "-h", "mail_version").strip()
    return (
        f"op25b {version('op25b')}, Python {platform.python_version()}, Ryu {version('ryu')}, "
        f"eventlet {version('eventlet')}, Open vSwitch {vswitchd}, Postfix {postfix}, "
        f"Linux {platform.release().split('-')[0]}"
    )


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
