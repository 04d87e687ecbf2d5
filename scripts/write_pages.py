"""Write the pipeline, and the states of a session, into the pages that show them.

Run it after a change of these: ``.venv/bin/python scripts/write_pages.py``.
``tests/unit/test_write_pages.py`` fails where a page differs.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from op25b_app.compiler.pipeline import PIPELINE, Table, TableExit
from op25b_app.openflow.fields import MATCH_FIELDS
from op25b_app.openflow.ofctl import ofctl_name
from op25b_app.sync.phases import NEXT_PHASES, Phase
from op25b_app.sync.status import State
from op25b_app.sync.transitions import NAMED, TRANSITIONS, Input, Transition

ROOT = Path(__file__).parents[1]
WIDTH = 100
"""Columns of the drawing."""
MANY = 3
"""Number of the states ``named`` from which one arrow leaves their group."""

_BLOCK = re.compile(r"<!-- made by scripts/write_pages.py: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


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
    exits = [exit for exit in described.exits if not exit.setting]
    longest = max((len(exit.packets) for exit in exits), default=0)
    for exit in exits:
        arrow = f"─ {exit.packets} {'─' * (longest - len(exit.packets))}─▶ "
        is_last = exit is exits[-1]
        indent = " " if is_last else "│"
        first, *rest = _target(exit, width - len(arrow) - 2)
        yield f" {'└' if is_last else '├'}{arrow}{first}"
        yield from (f" {indent}{' ' * len(arrow)}{line}" for line in rest)


def _target(exit: TableExit, width: int) -> list[str]:
    return ["forward"] if exit.to is None else [*_drawn(exit.to, width)]


def tables() -> str:
    """Return a row of Markdown for each table."""
    rows = [["Table", "Sees", "Asks", "Matches", "Leads to"]]
    for table, described in PIPELINE.items():
        fields = ", ".join(f"`{field.name}`" for field in MATCH_FIELDS if field.name in described.matches)
        onward = ", ".join(_onward(exit) for exit in described.exits if exit.to is not None) or "-"
        name = f"{table.value} `{table.name.lower()}`"
        rows.append([name, described.sees, described.asks, fields, onward])
    return _markdown(rows)


def _onward(exit: TableExit) -> str:
    return f"{exit.to} (under {exit.setting})" if exit.setting else f"{exit.to}"


def commands() -> str:
    """Return the commands that let Open vSwitch track the prefixes of each table."""
    create = 'ovs-vsctl -- --id=@t create Flow_Table prefixes="$2"'
    lines = [f'track() {{ {create} -- set Bridge br-access flow_tables:"$1"=@t; }}']
    for table, described in PIPELINE.items():
        if described.tracked:
            lines.append(f"track {table.value} {','.join(map(ofctl_name, described.tracked))}")
    return "\n".join(["```sh", *lines, "```"])


def states() -> str:
    """Return the states of a session: which follows on which input."""
    heads = ["Input", "when", *(state.value for state in State)]
    rows = [
        [_name(given), given.value, *(_cell(transition, state) for state in State)]
        for given, transition in TRANSITIONS.items()
    ]
    return _markdown([heads, *rows])


def state_drawing() -> str:
    """Return the states as a Mermaid diagram: an arrow for each pair of them, with its inputs.

    One arrow leaves the group ``named`` where an input leads on from MANY of its states, or more.
    """
    arrows: dict[tuple[str, str], list[str]] = {}
    for given, transition in TRANSITIONS.items():
        before = transition.occurs_in - transition.ignored - {transition.to}
        singly = before - NAMED if len(before & NAMED) >= MANY else before
        names = [state.value for state in State if state in singly]
        for name in names if singly == before else [*names, "named"]:
            arrows.setdefault((name, transition.to.value), []).append(_name(given))
    named = [f"        {state.value}" for state in State if state in NAMED]
    lines = [f"    {one} --> {other}: {', '.join(names)}" for (one, other), names in arrows.items()]
    return _mermaid(["    state named {", *named, "    }", *lines])


def phases() -> str:
    """Return the phases of an exchange as a Mermaid diagram."""
    lines = ["    [*] --> idle"]
    lines += [f"    {phase.name.lower()}: {phase.value}" for phase in Phase if phase is not Phase.IDLE]
    for phase, following in NEXT_PHASES.items():
        lines += [f"    {phase.name.lower()} --> {each.name.lower()}" for each in Phase if each in following]
    return _mermaid(lines)


def _name(given: Input) -> str:
    return given.name.lower().replace("_", " ")


def _cell(transition: Transition, state: State) -> str:
    if state not in transition.occurs_in:
        return ""
    return "stays" if state in transition.ignored else transition.to.value


def _markdown(rows: Iterable[Iterable[str]]) -> str:
    """Return a table; the first row is its head."""
    head, *lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, re.sub(r"[^|]+", "---", head), *lines])


def _mermaid(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


_MADE: Mapping[str, Callable[[], str]] = {
    "drawing": drawing,
    "tables": tables,
    "commands": commands,
    "states": states,
    "state_drawing": state_drawing,
    "phases": phases,
}
PAGES = tuple(
    ROOT / name for name in ("README.md", "docs/decisions.md", "docs/cost.md", "docs/architecture.md")
)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
