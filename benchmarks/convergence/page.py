"""Places for what a command found in a page that is written by hand."""

from __future__ import annotations

import re
from pathlib import Path


def put_into(page: Path, name: str, text: str) -> None:
    """Between ``<!-- run: NAME -->`` and ``<!-- end of run -->``; a page without these becomes the text."""
    begin, end = f"<!-- run: {name} -->\n", "<!-- end of run -->"
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    written = page.read_text() if page.exists() else ""
    page.write_text(place.sub(lambda _: f"{begin}{text}{end}", written) if place.search(written) else text)
