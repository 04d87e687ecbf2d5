"""Write the log in a thread of its own, so that no green thread waits for its reader or a disk.

Lines that come faster than they are written, or could be read, are left out and counted. Where a log cannot
be written at all, the other logs report it, once.
"""

from __future__ import annotations

import atexit
import io
import logging
import logging.handlers
import os
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import eventlet.patcher

from op25b_app.operate.flood_limit import FloodLimit

MAX_BYTES = 1 << 22
"""Maximum number of characters that wait to be written."""
SOURCE_LENGTH = 100
"""Number of characters of a line's first value that name its source."""
LIMITED = ("op25b", "ryu", "ofp_event")
"""Loggers of op25b and of Ryu itself, whose lines depend on the peers that connect."""
TOGETHER_SECONDS = 0.02
"""Seconds that lines wait for more: the thread that wakes takes the interpreter from the event loop."""
LOOK_SECONDS = 5.0
"""Seconds between looks for floods that are over."""
DRAIN_SECONDS = 0.3
"""Maximum wait at the end of the process for unwritten lines, in seconds."""

_threading: Any = eventlet.patcher.original("threading")
_queue: Any = eventlet.patcher.original("queue")
_sleep = eventlet.patcher.original("time").sleep

_handler: LogHandler | None = None


def write_in_thread() -> None:
    """Have a thread serve the root logger's handlers. Call it again for handlers added later."""
    global _handler
    root = logging.getLogger()
    found = [each for each in root.handlers if not isinstance(each, LogHandler)]
    if not found:
        return
    if _handler is None:
        _handler = LogHandler()
        atexit.register(drain)
        root.addHandler(_handler)
    for each in found:
        root.removeHandler(each)
        _handler.add(each)


def drain() -> None:
    """Wait at most DRAIN_SECONDS for unwritten lines; then leave stuck handlers alone."""
    if _handler is not None:
        _handler.drain()


class LogHandler(logging.handlers.QueueHandler):
    """Takes records from any thread without waiting, and has a thread of its own hand them to handlers."""

    def __init__(self) -> None:
        self._records = _queue.SimpleQueue()
        super().__init__(self._records)
        self._handlers: list[logging.Handler] = []
        self._failing: dict[logging.Handler, int] = {}
        """Failing handlers, with the number of records that each has missed."""
        self._limit = FloodLimit()
        self._guard = _threading.Lock()
        self._lost = 0
        self._queued = 0
        """Number of characters of messages that were queued."""
        self._taken = 0
        """Number of those that are written, or could not be."""
        _threading.Thread(target=self._run, name="log", daemon=True).start()

    def createLock(self) -> None:  # noqa: N802
        """Create a lock between threads of the operating system, which eventlet's is not."""
        self.lock = _threading.RLock()

    def add(self, handler: logging.Handler) -> None:
        """Have the records written by this handler, too."""
        handler.lock = _NoLock()  # type: ignore[assignment]
        handler.handleError = lambda record: self._failed(handler)  # type: ignore[method-assign]
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            # Its own stream: while a write is stuck, no other thread may need that stream's lock.
            handler.stream = io.TextIOWrapper(
                os.fdopen(os.dup(sys.stderr.fileno()), "wb"), "utf-8", "backslashreplace", line_buffering=True
            )
        self._handlers.append(handler)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record, unless there are too many like it."""
        if record.levelno >= logging.INFO and record.name.partition(".")[0] in LIMITED:
            source = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
            with self._guard:
                kind = record.name, str(record.msg)
                line = partial(_text, record)
                left_out = self._limit.admit(kind, source[:SOURCE_LENGTH], time.monotonic(), line)
            if left_out is None:
                return
            if left_out:
                self.enqueue(_line(logging.WARNING, f"{left_out} lines like the next one were left out"))
        self.enqueue(self.prepare(record))

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record; where too much waits, leave it out and count it."""
        if self._queued - self._taken > MAX_BYTES:
            self._lost += 1
            return
        lost, self._lost = self._lost, 0
        if lost:
            self._put(_line(logging.WARNING, f"{lost} lines are missing here: the log was too slow"))
        self._put(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record with its text, or a line about its error."""
        try:
            prepared: logging.LogRecord = super().prepare(record)
        except Exception as error:
            return _line(record.levelno, f"{record.msg} (cannot be written out: {error!r})")
        return prepared

    def drain(self) -> None:
        """Wait at most DRAIN_SECONDS for unwritten lines; then leave stuck handlers alone."""
        end = time.monotonic() + DRAIN_SECONDS
        while self._taken < self._queued and time.monotonic() < end:
            _sleep(0.005)
        for handler in self._handlers if self._taken < self._queued else ():
            # At the end of the process, stuck handlers cannot be closed without waiting.
            handler.flush = handler.close = lambda: None  # type: ignore[method-assign]

    def _put(self, record: logging.LogRecord) -> None:
        self._queued += len(record.msg)
        self._records.put(record)

    def _log_floods(self) -> None:
        with self._guard:
            floods = [*self._limit.over(time.monotonic())]
        for (_, text), source, left_out, last in floods:
            about = f" about {source}" if source else ""
            which = f"the last one: {last}" if last else f"of the kind: {text}"
            self.enqueue(_line(logging.WARNING, f"{left_out} lines{about} were left out, {which}"))

    def _run(self) -> None:
        looked_at = time.monotonic()
        while True:
            with suppress(_queue.Empty):
                self._write(self._records.get(timeout=LOOK_SECONDS))
            _sleep(TOGETHER_SECONDS)
            while not self._records.empty():
                self._write(self._records.get())
            if time.monotonic() - looked_at >= LOOK_SECONDS:
                looked_at = time.monotonic()
                self._log_floods()

    def _write(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            self._write_with(handler, record)
        self._taken += len(record.msg)

    def _write_with(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        if record.levelno < handler.level:
            return
        missed = self._failing.get(handler, 0)
        try:
            handler.handle(record)
        except Exception:
            self._failed(handler)
        if missed and self._failing[handler] == missed:
            del self._failing[handler]
            self._write_line([handler], f"{missed} lines are missing here: this log could not be written")

    def _failed(self, handler: logging.Handler) -> None:
        """Count a failure in its exception handler; report the first to the other handlers."""
        is_first = handler not in self._failing
        self._failing[handler] = self._failing.get(handler, 0) + 1
        if is_first:
            others = [each for each in self._handlers if each not in self._failing]
            self._write_line(others, f"{_name(handler)} cannot be written: {_reason()}{_remedy(handler)}")

    def _write_line(self, handlers: Iterable[logging.Handler], text: str) -> None:
        for handler in handlers:
            self._write_with(handler, _line(logging.ERROR, text))


class _NoLock(nullcontext[None]):
    """Replaces the lock of a handler that only one thread uses, and may wait in for ever."""

    def acquire(self) -> None: ...

    def release(self) -> None: ...


def _name(handler: logging.Handler) -> str:
    if isinstance(handler, logging.handlers.SysLogHandler):
        return f"the log at {handler.address}"
    return f"the log {getattr(handler, 'baseFilename', 'on standard error')}"


def _reason() -> str:
    """Return the text of the exception that is handled, in the system's words for a system error."""
    error = sys.exc_info()[1]
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)


def _remedy(handler: logging.Handler) -> str:
    if isinstance(handler, logging.handlers.SysLogHandler):
        return "; start a syslog daemon that listens there, or leave out --use-syslog"
    return ""


def _text(record: logging.LogRecord) -> str:
    """Return the text of a record, empty where it cannot be formatted."""
    try:
        return record.getMessage()
    except Exception:
        return ""


def _line(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("op25b", level, __file__, 0, text, None, None)
