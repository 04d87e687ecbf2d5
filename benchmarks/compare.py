"""Two runs side by side: ``.venv/bin/python -m benchmarks.compare OLD.json NEW.json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.markdown_table import table
from benchmarks.results import Spread
from benchmarks.run import Run, read_run

_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)


class Figure(NamedTuple):
    """One number of a run; ``lower`` and ``upper`` are its quartiles, or itself for a count."""

    value: float
    lower: float
    upper: float


@click.command()
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option("--all", "everything", is_flag=True, help="Also figures whose quartiles overlap.")
def main(old: Path, new: Path, everything: bool) -> None:
    """What differs between two runs, each a benchmarks.json.

    Only figures of which the quartiles do not overlap, or counts that are not the same. Compare ratios
    between runs, and times only of the same machine.
    """
    before, after = (dict(_figures(read_run(path))) for path in (old, new))
    lines = [
        [name, f"{before[name].value:,.4g}", f"{after[name].value:,.4g}", _change(before[name], after[name])]
        for name in before
        if name in after and (everything or _differ(before[name], after[name]))
    ]
    click.echo(table(["figure", "old", "new", "new / old"], lines) if lines else "no difference")
    for name, absent in (("old", after.keys() - before.keys()), ("new", before.keys() - after.keys())):
        if absent:
            click.echo(f"{len(absent)} figures are not in the {name} run", err=True)


def _figures(run: Run) -> Iterator[tuple[str, Figure]]:
    for part in fields(run):
        rows = getattr(run, part.name)
        for row in rows if isinstance(rows, list) else ():
            values = {each.name: getattr(row, each.name) for each in fields(row)}
            label = ", ".join([part.name, *(str(values[name]) for name in _labels(row))])
            for name, value in values.items():
                if name not in _labels(row) and (figure := _figure(value)) is not None:
                    yield f"{label}: {name}", figure


def _labels(row: Any) -> tuple[str, ...]:
    """The fields that say what a row is about: names, and the size that was asked for."""
    assert is_dataclass(row)
    return tuple(each.name for each in fields(row) if each.name in _LABELS)


_LABELS = ("size", "switches", "prefixes", "space", "peer", "workload", "filter", "way")


def _figure(value: Any) -> Figure | None:
    if isinstance(value, Spread):
        return Figure(value.median, value.lower, value.upper)
    return Figure(value, value, value) if isinstance(value, int | float) else None


def _differ(old: Figure, new: Figure) -> bool:
    return old.upper < new.lower or new.upper < old.lower


def _change(old: Figure, new: Figure) -> str:
    return f"{new.value / old.value:.2f}" if old.value else "-"


if __name__ == "__main__":
    main()
