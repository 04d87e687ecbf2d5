"""Have files changed, and is whoever writes them done?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

LONGEST_SECONDS = 10.0
"""How long a file that changes again and again is waited for."""


class Seen(NamedTuple):
    """What tells one content of a file from another, without reading it; ``changed`` in nanoseconds."""

    inode: int
    size: int
    changed: int


Look = Mapping[Path, Seen | None]
"""Each file as it was seen, None where there is none."""


def look_at(files: Iterable[Path]) -> Look:
    """Look at each file; this may wait for a file system."""
    return {path: _look_at_one(path) for path in files}


def _look_at_one(path: Path) -> Seen | None:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return None
    return Seen(about.st_ino, about.st_size, about.st_mtime_ns)


class Changes:
    """Tells from one look after another when files are to be read again.

    Each file is waited for until it has stood still from one look to the next, and for LONGEST_SECONDS at
    most: one that never stands still holds up neither itself nor others for longer.
    """

    def __init__(self, read: Look | None = None) -> None:
        """``read`` is how files were seen when they were read."""
        self._read = dict(read or {})
        self._before = dict(self._read)
        self._unread_since: dict[Path, float] = {}

    def settled(self, look: Look, now: float) -> bool:
        """Return whether files differ from when this was last True, and need not be waited for any more.

        ``now`` in seconds, of a clock that is not set.
        """
        changed = [path for path, seen in look.items() if seen != self._read.get(path)]
        self._unread_since = {path: self._unread_since.get(path, now) for path in changed}
        ready = all(
            look[path] == self._before.get(path) or now - since >= LONGEST_SECONDS
            for path, since in self._unread_since.items()
        )
        self._before = dict(look)
        if not (changed and ready):
            return False
        self._read = dict(look)
        self._unread_since = {}
        return True
