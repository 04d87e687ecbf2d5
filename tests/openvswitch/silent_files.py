"""A Ryu application for the tests: files beside one called ``server-is-gone`` answer nobody.

So do files on a network file system whose server is gone: whoever opens one sleeps in the kernel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eventlet.patcher import original
from ryu.base import app_manager

from op25b_app.operate import policy_files

GONE = "server-is-gone"
_time = original("time")
_read = policy_files.read_regular_file


def _read_when_it_answers(path: Path, most_bytes: int) -> bytes:
    while path.with_name(GONE).exists():
        _time.sleep(0.05)
    return _read(path, most_bytes)


setattr(policy_files, "read_regular_file", _read_when_it_answers)  # noqa: B010


class SilentFiles(app_manager.RyuApp):
    """Ryu runs a module for the applications in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
