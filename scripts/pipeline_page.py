#!/usr/bin/env python3
"""Write the pipeline into README.md (drawing), docs/decisions.md (tables) and docs/cost.md (commands).

``tests/unit/test_pipeline_page.py`` fails where a page differs.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from op25b_app.compiler.pipeline import PIPELINE, Table, Way
from op25b_app.openflow.fields import MATCH_FIELDS
from op25b_app.openflow.ofctl import ofctl_name

ROOT = Path(__file__).parents[1]
WIDTH = 100
"""Columns of the drawing."""

_BLOCK = re.compile(r"<!-- made by scripts/pipeline_page.py: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(page: str) -> str:
    """Return a page of Markdown with every block between the script's markers made again."""
    return _BLOCK.sub(_made, page)


def _made(block: re.Match[str]) -> str:
    first = block[0].splitlines()[0]
    return f"{first}\n{_MADE[block[1]]()}\n<!-- end -->"


def drawing() -> str:
    """Return the pipeline as a tree; ways that need a setting are left out."""
    return "\n".join(["```text", *_drawn(Table.ADMIT, WIDTH), "```"])


def _drawn(table: Table, width: int) -> Iterator[str]:
    described = PIPELINE[table]
    yield from textwrap.wrap(f"{table.value} {table.name.lower()}: {described.question}", width)
    ways = [way for way in described.ways if not way.setting]
    longest = max((len(way.packets) for way in ways), default=0)
    for way in ways:
        arrow = f"─ {way.packets} {'─' * (longest - len(way.packets))}─▶ "
        is_last = way is ways[-1]
        indent = " " if is_last else "│"
        first, *rest = _target(way, width - len(arrow) - 2)
        yield f" {'└' if is_last else '├'}{arrow}{first}"
        yield from (f" {indent}{' ' * len(arrow)}{line}" for line in rest)


def _target(way: Way, width: int) -> list[str]:
    return ["forward"] if way.to is None else [*_drawn(way.to, width)]


def tables() -> str:
    """Return a row of Markdown for each table."""
    rows = ["| Table | Sees | Asks | Matches | Leads to |", "|---|---|---|---|---|"]
    for table, described in PIPELINE.items():
        fields = ", ".join(f"`{field.name}`" for field in MATCH_FIELDS if field.name in described.matches)
        onward = ", ".join(_onward(way) for way in described.ways if way.to is not None) or "-"
        name = f"{table.value} `{table.name.lower()}`"
        rows.append(f"| {name} | {described.sees} | {described.asks} | {fields} | {onward} |")
    return "\n".join(rows)


def _onward(way: Way) -> str:
    return f"{way.to} (under {way.setting})" if way.setting else f"{way.to}"


def commands() -> str:
    """Return the commands that let Open vSwitch track the prefixes of each table."""
    create = 'ovs-vsctl -- --id=@t create Flow_Table prefixes="$2"'
    lines = [f'track() {{ {create} -- set Bridge br-access flow_tables:"$1"=@t; }}']
    for table, described in PIPELINE.items():
        if described.tracked:
            lines.append(f"track {table.value} {','.join(map(ofctl_name, described.tracked))}")
    return "\n".join(["```sh", *lines, "```"])


_MADE: Mapping[str, Callable[[], str]] = {"drawing": drawing, "tables": tables, "commands": commands}
PAGES = (ROOT / "README.md", ROOT / "docs" / "decisions.md", ROOT / "docs" / "cost.md")


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
