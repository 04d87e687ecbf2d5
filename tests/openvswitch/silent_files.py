"""A Ryu application for the tests: files beside one called ``server-is-gone`` answer nobody.

So do files on a network file system whose server is gone: whoever opens one sleeps in the kernel.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eventlet.patcher import original
from ryu.base import app_manager

from op25b_app.controller import file_threads
from op25b_app.operate import policy_files
from op25b_app.operate.file_change import Snapshot, snapshot_of

GONE = "server-is-gone"
VARIABLE = "TEST_ANSWER_SECONDS"
"""How long a file may take to answer."""
_time = original("time")
_read = policy_files.read_file_or_names


def _read_when_it_answers(path: Path, most_bytes: int) -> bytes | tuple[str, ...]:
    while path.with_name(GONE).exists():
        _time.sleep(0.05)
    return _read(path, most_bytes)


def _look_when_they_answer(files: Iterable[Path]) -> Snapshot:
    paths = [*files]
    while any(path.with_name(GONE).exists() for path in paths):
        _time.sleep(0.05)
    return snapshot_of(paths)


if VARIABLE in os.environ:  # in a controller: op25b reads its files before this application is made
    setattr(file_threads, "ANSWER_SECONDS", float(os.environ[VARIABLE]))  # noqa: B010
    setattr(policy_files, "read_file_or_names", _read_when_it_answers)  # noqa: B010
    importlib.import_module("op25b_app.controller.app").snapshot_of = _look_when_they_answer  # type: ignore[attr-defined]


class SilentFiles(app_manager.RyuApp):
    """Ryu runs a module for the applications in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
