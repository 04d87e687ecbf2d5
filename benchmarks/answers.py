"""What an operator asks first, answered by a run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.markdown_table import table
from benchmarks.run import Run
from benchmarks.tables import readable_seconds

_RULES = 10_000


def answers_table(run: Run) -> str:
    """Markdown; only the questions that the run can answer, so it may be empty."""
    lines = [[*each] for each in (*_install(run), *_change(run), *_switches(run))]
    return table(["An operator asks", "Measured"], lines) if lines else ""


def _install(run: Run) -> Iterator[tuple[str, str]]:
    for row in run.install:
        if (row.peer, row.size) == ("op25b", _RULES) and row.seconds and row.proven_seconds:
            found = f"{readable_seconds(row.seconds.median)}; {readable_seconds(row.proven_seconds.median)}"
            question = f"How long until an empty switch has {row.rules:,} rules; until they are proven?"
            yield question, f"{found}, from the end of its handshake"


def _change(run: Run) -> Iterator[tuple[str, str]]:
    for row in run.change:
        if row.peer == "op25b":
            packets = row.permitted + row.blocked
            yield (
                f"How long does a change of one prefix take, of {row.rules:,} rules, under traffic?",
                f"{readable_seconds(row.seconds.median)} and {row.messages.median:.0f} messages; of "
                f"{packets:,} packets meanwhile {row.lost:,} were lost and {row.leaked:,} leaked",
            )


def _switches(run: Run) -> Iterator[tuple[str, str]]:
    row = run.largest_crowd
    if row is not None and row.proven_seconds and row.proven_cpu and row.peak and row.idle:
        yield (
            "How many switches can one controller look after?",
            f"{row.switches:,} with {row.rules:,} rules each: all empty and connecting at once, the last is "
            f"proven after {readable_seconds(row.proven_seconds.median)} "
            f"({readable_seconds(row.proven_cpu.median)} of CPU); {row.peak.median:,.0f} MB; "
            f"{100 * row.idle.median:.1f} % of a core at rest",
        )
