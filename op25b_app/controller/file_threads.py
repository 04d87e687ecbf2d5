"""Do work on files in threads of their own: a file system that does not answer delays nothing else.

Sessions share background threads (serial_executor.py), where nothing may wait for a disk or a server.

Work on files opens them by ``posix.open``, or ``open``: eventlet's own ``os`` makes an
event loop for the thread. When that thread ends, greenlet can end the process with signal 11.
"""

from __future__ import annotations

import os
import posix
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import eventlet.hubs
from eventlet.patcher import original

from op25b_app.operate.policy_files import NoAnswerError

ANSWER_SECONDS = 10.0
"""Seconds that a file may take to be opened and read, or to be written."""

_threading = original("threading")
_unanswered: set[tuple[str, str]] = set()
"""Names of work that a thread has not finished, abandoned work included."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def in_file_thread(
    kind: str,
    subject: object,
    work: Callable[_Arguments, _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Do ``work`` in a thread of its own and return its result; the calling green thread waits.

    ``kind`` and ``subject`` name the work. A thread that does not end is left behind. Until it ends, work of
    the same name is refused at once, so there is at most one such thread for each name.

    Raises NoAnswerError where it takes longer than ANSWER_SECONDS, or no thread can be started; and what
    ``work`` raises.
    """
    name = (kind, str(subject))
    if name in _unanswered:
        raise NoAnswerError("it still does not answer since an earlier try")
    reading, writing = os.pipe()
    ended: list[tuple[_Result | None, BaseException | None]] = []

    def run() -> None:
        try:
            ended.append((work(*arguments, **named), None))
        except BaseException as error:
            ended.append((None, error))
        finally:
            _unanswered.discard(name)
            posix.close(writing)  # wakes the waiting green thread

    _unanswered.add(name)
    try:
        _threading.Thread(target=run, daemon=True).start()
    except RuntimeError as failure:  # the system allows no more of them
        _unanswered.discard(name)
        os.close(reading)
        os.close(writing)
        raise NoAnswerError(f"it cannot be tried: {failure}") from None
    late = NoAnswerError(f"it does not answer within {ANSWER_SECONDS:g} s")
    try:
        eventlet.hubs.trampoline(reading, read=True, timeout=ANSWER_SECONDS, timeout_exc=late)
    finally:
        os.close(reading)
    result, error = ended[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error there is one
