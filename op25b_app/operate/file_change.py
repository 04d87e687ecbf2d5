"""Have files changed, and is whoever writes them done?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Look = tuple[tuple[Path, int, int, int] | Path, ...]
"""For each file its inode, size and time of change, or only its path where there is none."""


def look_at(files: Iterable[Path]) -> Look:
    return tuple(_look_at_one(path) for path in sorted(files))


def _look_at_one(path: Path) -> tuple[Path, int, int, int] | Path:
    try:
        about = path.stat()
    except OSError:
        return path
    return path, about.st_ino, about.st_size, about.st_mtime_ns


class Changes:
    """Compares one look with the one before."""

    def __init__(self, at_start: Look = ()) -> None:
        self._known = at_start
        self._before = at_start

    def settled(self, look: Look) -> bool:
        """Whether files are other than when this was last True, and have stood still since the last look."""
        still, self._before = look == self._before, look
        if look == self._known or not still:
            return False
        self._known = look
        return True
