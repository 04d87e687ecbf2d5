"""A campaign's findings for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from benchmarks.convergence.figures import about
from benchmarks.convergence.record import Kind
from tests.faults.campaign.promises import Found, by_kind, promises

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""
_WIDTH = 118
_MOMENTS = {
    Kind.BEFORE.value: "before the begin",
    Kind.STEADY.value: "while the table was right",
    Kind.CHANGING.value: "while the table was wrong",
    Kind.REVALIDATING.value: "just after that",
}


def as_json(found: Found) -> dict[str, Any]:
    """Return everything that a campaign found, as JSON values."""
    judged = promises(found)
    return {
        "seconds": round(found.end - found.begin, 1),
        "kept": all(promise.holds for promise in judged),
        "promises": [promise._asdict() for promise in judged],
        "harms": by_kind(found),
        "hostile": found.runs,
        "packets": found.packets,
        "status": _status(found),
        "controller": {
            "cpu_seconds": round(found.samples[-1].cpu - found.samples[0].cpu, 1),
            "log_bytes": found.log_bytes,
            "memory_kib": [sample.memory for sample in found.samples],
            "descriptors": [sample.descriptors for sample in found.samples],
        },
        "monitor": {"reads": found.reads, "deviations": {k: len(v) for k, v in found.deviations.items()}},
        "places": Counter(place for _, place in found.places).most_common(30),
        "lags": [
            {"at": round(beat.at - found.begin, 2), "lag": beat.lag, "own": round(beat.own, 4)}
            for beat in sorted(found.beats, key=lambda each: -each.own)[:50]
        ],
    }


def _status(found: Found) -> dict[str, Any]:
    """How op25b answered, and what it says of its event loop."""
    seconds = sorted(reported.seconds for reported in found.reported)
    last = found.reported[-1] if found.reported else None
    return {
        "answers": len(seconds),
        "unanswered": found.unanswered,
        "median_seconds": round(seconds[len(seconds) // 2], 4) if seconds else None,
        "longest_seconds": round(seconds[-1], 3) if seconds else None,
        "longest_lag_told": last.longest_lag if last else None,
        "late_told": last.late - found.reported[0].late if last else None,
    }


def as_text(found: Found) -> str:
    """Return what a person wants to know."""
    tables = (_harms(found), _packets(found), _hostile(found))
    return "\n\n".join([_promises(found), *map(_plain, tables), _others(found)])


def as_markdown(found: Found) -> str:
    """Return the same for a page of the documentation."""
    judged = promises(found)
    kept = sum(promise.holds for promise in judged)
    summary = f"Result: **{kept} of {len(judged)} promises kept**."
    rows = [(promise.promise, promise.found, "yes" if promise.holds else "**no**") for promise in judged]
    tables = (
        (("promise", "found", "kept"), rows),
        _harms(found),
        _packets(found),
        _hostile(found),
    )
    return "\n\n".join([summary, *map(_marked, tables), _others(found), about(), ""])


def _promises(found: Found) -> str:
    lines = []
    for promise in promises(found):
        lines.append(f"{'kept  ' if promise.holds else 'BROKEN'}  {promise.promise}: {promise.found}")
        if not promise.holds:
            lines += [f"          {detail[:500]}" for detail in promise.details]
    return "\n".join(lines)


def _harms(found: Found) -> Table:
    rows = [
        (
            kind,
            str(each["times"]),
            str(each["mended"]),
            _seconds(each["median"]),
            _seconds(each["longest"]),
            _seconds(each["false"]),
        )
        for kind, each in by_kind(found).items()
    ]
    return (
        ("a rule of an honest switch", "times", "mended", "median", "longest", "'protected' though"),
        rows,
    )


def _packets(found: Found) -> Table:
    moments: dict[str, dict[str, int]] = {}
    for counts in found.packets.values():
        for moment, count in counts.items():
            sums = moments.setdefault(_MOMENTS[moment], {})
            for name, number in count.items():
                sums[name] = sums.get(name, 0) + number
    heads = ("packets", "to block", "delivered", "to permit", "lost", "of either kind", "treated wrongly")
    names = ("blocked", "leaked", "permitted", "lost", "either", "as_before")
    return heads, [(moment, *(f"{sums[name]:,}" for name in names)) for moment, sums in moments.items()]


def _hostile(found: Found) -> Table:
    rows = []
    for name, run in found.runs.items():
        deeds = ", ".join(f"{number:,} {what}" for what, number in run["deeds"].items())
        faults = "; ".join(run["faults"])
        rows.append((name, str(run["slots"]), f"{run['visits']:,}", deeds, faults))
    return ("hostile kind", "at once", "visits", "what it did", "went wrong"), rows


def _others(found: Found) -> str:
    status = _status(found)
    cpu = found.samples[-1].cpu - found.samples[0].cpu
    slots = sum(int(run["slots"]) for run in found.runs.values())
    text = (
        f"Beside {len(found.switches)} honest switches {slots} hostile ones attacked for "
        f"{found.end - found.begin:.0f} s. op25b answered {status['answers']} questions for its status, the "
        f"slowest after {status['longest_seconds']} s, and left {status['unanswered']} unanswered. It took "
        f"{cpu:.0f} s of CPU time and wrote {found.log_bytes / 1e6:.1f} MB of log. The monitor read "
        f"{sum(found.reads.values()):,} tables. The honest switch that others claimed to be was "
        f"{found.cloned}. The load of the machine was {found.load:.0f} at the end."
    )
    return fill(text, _WIDTH)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s"


def _plain(table: Table) -> str:
    heads, rows = table
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _marked(table: Table) -> str:
    heads, rows = table
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
