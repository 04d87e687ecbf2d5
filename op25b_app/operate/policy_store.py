"""Keep the last policy in force on disk, with all the files that it is made of."""

from __future__ import annotations

import json
import posix  # "os" without what eventlet puts in its place, which makes an event loop for a thread
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from op25b_app.formats.moment import LAST_MOMENT
from op25b_app.operate.state_directory import kept_file
from op25b_app.policy.loader import digest
from op25b_app.policy.source_files import Read

FORMAT = 1


class StoreError(Exception):
    """A policy cannot be kept or read back; the text says why."""


class StoredPolicy(NamedTuple):
    """The files of a policy, the policy file first; in force ``since`` (seconds since 1970)."""

    since: float
    files: Mapping[Path, bytes]


class PolicyStore:
    """Keeps one policy for each policy file, each in a file of its own that only this user may read."""

    def __init__(self, directory: Path, read: Read = Path.read_bytes) -> None:
        self.directory = directory
        self._read = read

    def place(self, policy: Path) -> Path:
        """Return where the policy of that file is kept."""
        return kept_file(self.directory, "policy", policy, ".json")

    def keep(self, policy: Path, kept: StoredPolicy) -> None:
        """Replace the policy kept for a policy file, as a whole or not at all.

        Raises StoreError where it cannot be written.
        """
        body = {
            "format": FORMAT,
            "policy": str(policy),
            "since": kept.since,
            "sha256": digest(kept.files.values()),
            "files": [{"path": str(path), "text": text.decode()} for path, text in kept.files.items()],
        }
        place = self.place(policy)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(place, json.dumps(body, indent=1).encode())
        except OSError as error:
            raise StoreError(f"cannot keep the policy in {place}: {error.strerror or error}") from None

    def recall(self, policy: Path) -> StoredPolicy | None:
        """Return the policy kept for a policy file, or None.

        Raises StoreError where it cannot be read, is damaged, or has another format.
        """
        place = self.place(policy)
        try:
            body = json.loads(self._read(place))
            files = {Path(file["path"]): file["text"].encode() for file in body["files"]}
            kept = StoredPolicy(float(body["since"]), files)
            intact = body["format"] == FORMAT and body["sha256"] == digest(files.values())
            intact &= 0 <= kept.since <= LAST_MOMENT  # it has a date
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read the policy kept in {place}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            intact = False
        if not intact:
            raise StoreError(f"{place} is damaged, or of another version of op25b: it is not used")
        return kept


def _replace(place: Path, content: bytes) -> None:
    """Write a file so that it holds either the old or the new content, also after a crash."""
    new = place.with_suffix(".new")
    descriptor = posix.open(
        new, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC, 0o600
    )
    with open(descriptor, "wb") as file:
        posix.fchmod(descriptor, 0o600)
        file.write(content)
        file.flush()
        posix.fsync(descriptor)
    new.replace(place)
    directory = posix.open(place.parent, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        posix.fsync(directory)
    finally:
        posix.close(directory)
