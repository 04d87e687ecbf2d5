"""What was measured, as Markdown."""

from __future__ import annotations

import datetime
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from textwrap import fill

from pydantic import TypeAdapter

from benchmarks.convergence.kills import RESTART_EVERY, Kills
from benchmarks.convergence.record import Count, Kind
from benchmarks.convergence.reload import Reload
from benchmarks.convergence.repair import PATIENCE_SECONDS, Repairs

_WIDTH = 118
_REPAIRS = (
    "policy",
    "rules",
    "a drop rule is",
    "times",
    "back, median",
    "9 of 10",
    "longest",
    "protected again, median",
    "called protected meanwhile, median",
    "longest",
)
_BACK, _PROTECTED, _FALSE = attrgetter("back"), attrgetter("protected"), attrgetter("false")
_COUNTED = ("", "blocked", "leaked", "permitted", "lost", "stale", "either", "as by the old policy")


@dataclass(frozen=True)
class RepairRun:
    """One run of the measurement of repairs; ``about`` says when and with which versions it was made."""

    about: str
    repairs: tuple[Repairs, ...]

    @classmethod
    def read(cls, path: Path) -> RepairRun:
        """Return what :meth:`write` has kept."""
        return _REPAIR_RUN.validate_json(path.read_bytes())

    def with_measured(self, about: str, found: Iterable[Repairs]) -> RepairRun:
        """Return the same with other figures for some policies, by the number of their rules."""
        new = [*found]
        names = {each.policy for each in new}
        old = [each for each in self.repairs if each.policy not in names]
        return RepairRun(about, tuple(sorted([*old, *new], key=lambda each: each.rules)))

    def write(self, path: Path) -> None:
        """Keep the raw numbers in a file."""
        path.write_bytes(_REPAIR_RUN.dump_json(self, indent=1) + b"\n")


_REPAIR_RUN = TypeAdapter(RepairRun)


def repairs_text(run: RepairRun) -> str:
    """Return what a page says of a run."""
    return f"{repairs_table(run.repairs)}\n\n{run.about}\n"


def repairs_table(found: Iterable[Repairs]) -> str:
    """Return what was measured of repairs: a row for each policy and kind."""
    rows = []
    for each in found:
        tried = len(each.repairs) + each.given_up
        row = [each.policy, f"{each.rules:,}", each.kind.value, str(tried)]
        if each.given_up:
            row += [f"not back within {PATIENCE_SECONDS:.0f} s: {each.given_up} of {tried}", *[""] * 5]
        else:
            row += [_milliseconds(each.median(_BACK)), _milliseconds(each.nine_in_ten(_BACK))]
            row += [_milliseconds(each.longest(_BACK)), _milliseconds(each.median(_PROTECTED))]
            row += [_milliseconds(each.median(_FALSE)), _milliseconds(each.longest(_FALSE))]
        rows.append(row)
    return _table(_REPAIRS, rows)


def reload_tables(found: Sequence[Reload]) -> str:
    steps = [
        (each.switch, step.to, step.order, f"{step.flow_mods:,}", f"{step.seconds * 1000:.0f} ms")
        for each in found
        for step in each.steps
    ]
    packets = [(f"{each.switch}, {kind}", count) for each in found for kind, count in each.counts.items()]
    return (
        f"{_table(('switch', 'to', 'order', 'flow-mods', 'until confirmed'), steps)}\n\n{_packets(packets)}"
    )


def kills_page(found: Kills) -> str:
    """The figures of a campaign, with what they mean and the versions they belong to."""
    rounds = len(found.recoveries)
    moments = [(moment, str(number)) for moment, number in found.moments.items()]
    packets = [(kind.value, found.total(kind)) for kind in Kind if any(vars(found.total(kind)).values())]
    restarts = len(found.empty_seconds) // len(found.counts)
    paragraphs = (
        f"Result: **{'nothing leaked, nothing stopped' if found.as_expected else 'NOT as expected'}**, "
        f"{found.tracebacks} tracebacks.",
        f"Within {found.seconds / 60:.0f} minutes the controller of {len(found.counts)} switches was killed "
        f"{rounds} times with SIGKILL, and started again at once. Meanwhile {found.deletions:,} rules were "
        f"deleted with `ovs-ofctl`, and policies with {found.rules[0]:,} and {found.rules[1]:,} rules were "
        f"reloaded. Before every {RESTART_EVERY}th kill, ovs-vswitchd was killed as well, {restarts} times. "
        f"From a start until every switch was protected again it took {_seconds(found.recoveries)}; for most "
        "of this time a switch waits before it connects again. From a restart of ovs-vswitchd it took "
        f"{_seconds(found.empty_seconds)}. The controller was killed at these moments:",
        _table(("action, and the state reported", "kills"), moments),
        "Packets of all switches, by the moment at which they were sent:",
        _packets(packets),
        "*Blocked* and *permitted* are packets on which all policies agree that may be in force at that "
        "moment; on *either* they disagree. A switch that comes back empty passes nothing until its rules "
        "are there, so permitted packets are lost then. The second before is included, for packets in its "
        "queues.",
        "*Stale* packets were not treated as the tables say, as `ofproto/trace` showed at once: a flow of "
        "the old rules stayed in the cache of Open vSwitch. A packet that misses the cache while rules "
        "change can leave such a flow, which no controller sees. It goes when it has not been used for ten "
        "seconds, or with `ovs-appctl revalidator/purge`.",
        about(),
    )
    return (
        "\n\n".join(
            each if each[0] == "|" else fill(each, _WIDTH, break_on_hyphens=False) for each in paragraphs
        )
        + "\n"
    )


def about() -> str:
    """When, and with which versions."""
    vswitchd = subprocess.run(["ovs-vswitchd", "--version"], check=True, capture_output=True, text=True)
    return fill(
        f"Measured on {datetime.datetime.now(datetime.timezone.utc).date()}, with op25b {version('op25b')}, "
        f"Python {platform.python_version()}, Ryu {version('ryu')}, eventlet {version('eventlet')}, "
        f"Open vSwitch {vswitchd.stdout.split()[3]} (user-space datapath), "
        f"Linux {platform.release().split('-')[0]}.",
        _WIDTH,
    )


def _packets(rows: Iterable[tuple[str, Count]]) -> str:
    return _table(
        _COUNTED, [(name, *(f"{number:,}" for number in vars(count).values())) for name, count in rows]
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} s (median; at most {max(values):.1f} s)"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
