"""Look at the files of a source of lines, and read them; this may wait for a file system."""

from __future__ import annotations

import posix  # "os" without what eventlet puts in its place, which makes an event loop for a thread
from pathlib import Path

from op25b_app.lines.source_reader import names_of_files
from op25b_app.operate.file_change import Snapshot, snapshot_of
from op25b_app.operate.policy_files import read_regular_file
from op25b_app.policy.model import LineSource, LineSourceKind

MAX_BYTES = 256 << 20
"""Maximum size of the files of one source together; a million leases of Kea are 150 MB."""


def look_at(source: LineSource) -> Snapshot:
    """Return the files of a source as they are seen."""
    return snapshot_of(_files(source))


def contents_of(source: LineSource) -> list[tuple[str, bytes]]:
    """Return the files of a source as (path, content), the oldest first.

    Raises OSError where one cannot be read.
    """
    found: list[tuple[str, bytes]] = []
    for path in _files(source):
        found.append((str(path), read_regular_file(path, MAX_BYTES - sum(len(each) for _, each in found))))
    return found


def _files(source: LineSource) -> list[Path]:
    assert source.file is not None
    path = Path(source.file)
    if source.kind is not LineSourceKind.KEA:
        return [path]
    try:
        there = posix.listdir(path.parent)
    except OSError:
        there = []
    return [path.parent / name for name in names_of_files(source, path.name, there)]
