"""Write the states of a session and the phases of an exchange into docs/architecture.md.

Run it after a change of these in op25b_app/sync: ``.venv/bin/python scripts/write_states.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

from op25b_app.sync import phases, transitions

PAGE = Path(__file__).parents[1] / "docs/architecture.md"
START, END = "<!-- states: written by scripts/write_states.py -->\n", "<!-- end of states -->\n"

PHASES = """\
Messages are exchanged in phases of their own (`sync/phases.py`). In a cycle the table is read and compared.
Where it differs, changes are sent and confirmed, and the table is read again."""


def states() -> str:
    """Return what stands between the markers."""
    return (
        f"\n```mermaid\n{transitions.drawing()}\n```\n\n{transitions.table()}\n\n{PHASES}\n\n"
        f"```mermaid\n{phases.drawing()}\n```\n\n"
    )


def with_states(page: str) -> str:
    """Return a page with the states between its markers."""
    return re.sub(f"(?s)({START}).*?({END})", lambda found: found[1] + states() + found[2], page)


if __name__ == "__main__":
    PAGE.write_text(with_states(PAGE.read_text()))
