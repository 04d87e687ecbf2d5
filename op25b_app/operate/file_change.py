"""Notice changed files, once their writer seems to be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

LONGEST_SECONDS = 10.0
"""Maximum wait for a file that changes again and again, in seconds."""


FileAttributes = tuple[int, int, int]
"""Inode, size and time of change of a file: what shows a change without reading it."""
Snapshot = Mapping[Path, FileAttributes | None]
"""Each file as it was seen, None where it cannot be seen."""


def snapshot_of(files: Iterable[Path]) -> Snapshot:
    """Look at each file; this may wait for a file system."""
    return {path: _attributes_of(path) for path in files}


def _attributes_of(path: Path) -> FileAttributes | None:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


class ChangeDetector:
    """Decides from successive snapshots when files are to be read again.

    It waits until each changed file is the same in two successive snapshots, and for LONGEST_SECONDS at most.
    """

    def __init__(self, read: Snapshot | None = None) -> None:
        """Begin with ``read``, the snapshot of the files when they were read."""
        self._read = dict(read or {})
        self._before = dict(self._read)
        self._unread_since: dict[Path, float] = {}

    def settled(self, snapshot: Snapshot, now: float) -> bool:
        """Return whether files have changed since this was last True, and are ready to be read.

        ``now`` in seconds of a monotonic clock.
        """
        changed = [path for path, seen in snapshot.items() if seen != self._read.get(path)]
        self._unread_since = {path: self._unread_since.get(path, now) for path in changed}
        ready = all(
            snapshot[path] == self._before.get(path) or now - since >= LONGEST_SECONDS
            for path, since in self._unread_since.items()
        )
        self._before = dict(snapshot)
        if not (changed and ready):
            return False
        self._read = dict(snapshot)
        self._unread_since = {}
        return True
