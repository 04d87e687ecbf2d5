"""Find the directory in which a controller keeps what it needs at its next start."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

VARIABLE = "OP25B_STATE_DIRECTORY"


def default_state_directory() -> Path:
    """Return systemd's directory, else this user's. Raises RuntimeError where this user has no home."""
    if given := os.environ.get("STATE_DIRECTORY"):  # systemd.exec(5): several are separated by colons
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/op25b")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state", "op25b")


def probable_state_directory() -> Path | None:
    """Return the directory of this user's controller, by the environment; None where there is none."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    try:
        return default_state_directory()
    except RuntimeError:
        return None


def kept_file(directory: Path, kind: str, policy: Path, suffix: str) -> Path:
    """Return the file in which something of one kind is kept for a policy file."""
    return directory / f"{kind}-{hashlib.sha256(str(policy).encode()).hexdigest()[:16]}{suffix}"
