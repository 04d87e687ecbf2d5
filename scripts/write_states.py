"""Write the table of a session's states, and its drawing, into docs/architecture.md.

Run it after a change of op25b_app/sync/transitions.py: ``.venv/bin/python scripts/write_states.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

from op25b_app.sync import transitions

PAGE = Path(__file__).parents[1] / "docs/architecture.md"
START, END = "<!-- states: written by scripts/write_states.py -->\n", "<!-- end of states -->\n"


def states() -> str:
    """Return what stands between the markers."""
    return f"\n```mermaid\n{transitions.drawing()}\n```\n\n{transitions.table()}\n\n"


def with_states(page: str) -> str:
    """Return a page with the states between its markers."""
    return re.sub(f"(?s)({START}).*?({END})", lambda found: found[1] + states() + found[2], page)


if __name__ == "__main__":
    PAGE.write_text(with_states(PAGE.read_text()))
