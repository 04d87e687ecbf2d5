"""Watch the sources of learned lines, and pass on what changes."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import eventlet.semaphore
from eventlet.green import subprocess
from ryu.lib import hub

from op25b_app.controller.file_threads import in_file_thread
from op25b_app.controller.green_threads import repeat
from op25b_app.controller.serial_executor import LEARNING
from op25b_app.lines.dhcp_snooping import LeaseChange
from op25b_app.lines.json_leases import ended_prefixes, json_leases
from op25b_app.lines.line_table import MAX_CLAIMS, Claim, ClaimNews
from op25b_app.lines.source_reader import read_source
from op25b_app.operate import line_url
from op25b_app.operate.file_change import ChangeDetector
from op25b_app.operate.line_files import contents_of, look_at
from op25b_app.operate.line_learning import PUT_SOURCE, LineLearning
from op25b_app.operate.line_list import LineQuestion
from op25b_app.operate.line_store import LineStore
from op25b_app.operate.policy_store import StoreError
from op25b_app.operate.query import Query
from op25b_app.policy.model import Binding, LineSource, LineSourceKind, Policy

LOOK_SECONDS = 0.5
"""Seconds between looks at the files of sources, and at the clock for ends."""
KEEP_SECONDS = 0.2
"""Seconds between two writings to disk."""
URL_SECONDS = 60.0
"""Seconds within which the answer of a URL has to be complete."""

log = logging.getLogger("op25b")

Bindings = Mapping[str, tuple[Binding, ...]]
Apply = Callable[[Bindings], None]
"""Puts learned bindings in force; takes those of the switches that changed, by name."""
Shortcomings = Mapping[str, Sequence[str]]
"""Why what is learned for a switch may not be what is so now, by its name."""
ReportEvent = Callable[[int, str, str], None]
TakeStep = Callable[..., object]
"""Takes a step of learning and its arguments, and applies what changes, now or later."""


class LineWatcher:
    """Reads the sources, tells what is learned, and keeps it on disk.

    What is learned changes in a thread, one step at a time. ``now`` returns seconds since 1970.
    """

    def __init__(
        self,
        store: LineStore,
        apply: Apply,
        tell: Callable[[Shortcomings], None],
        report_event: ReportEvent,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._apply = apply
        self._tell = tell
        self._report_event = report_event
        self._now = now
        self._turn = eventlet.semaphore.Semaphore()
        self._detectors: dict[LineSource, ChangeDetector] = {}
        self._read_at: dict[LineSource, float] = {}
        """By URL source, when it was read last, in seconds of a monotonic clock."""
        self._reading: set[LineSource] = set()
        self._next_tick: float | None = None
        self._unkept: list[ClaimNews] = []
        self.keep_error: str | None = None
        """Why what is learned is not kept on disk, if it is not."""
        self.shortcomings: Shortcomings = {}
        self.bindings: dict[str, tuple[Binding, ...]] = {}
        """Learned bindings by the name of the switch."""
        self.report: Mapping[str, Any] = {}
        """Report on the sources for ``op25b status``."""
        self._learning = LineLearning(self._recalled())
        self._sources: list[LineSource] = []

    def start(self) -> None:
        """Begin to watch."""
        repeat(self._look)
        repeat(self._keep)

    def follow(self, policy: Policy) -> Bindings:
        """Take the sources of a policy, and read files that were not read; return what has changed.

        The caller applies that.
        """
        changed = {**self._do(self._learning.follow, policy, self._now())}
        self._sources = self._learning.sources()
        for known in (self._detectors, self._read_at):
            for source in [each for each in known if each not in self._sources]:
                del known[source]
        for source in self._sources:
            if source.kind.is_file and source not in self._detectors:
                self._look_at(source, lambda *step: changed.update(self._do(*step)))
        return changed

    def put(self, content: bytes) -> tuple[dict[str, Any], Collection[str]]:
        """Take the lines, and the ends of some, that a program puts.

        Returns how many, as JSON values, and the switches whose lines have changed.

        Raises ValueError, its text the reasons, where they cannot be taken: then nothing is.
        """
        counts: dict[str, Any] = {}

        def learn() -> list[str]:
            found = json_leases(PUT_SOURCE, content)
            if found.problems:
                raise ValueError("; ".join(problem.message for problem in found.problems))
            ended = ended_prefixes(content)
            counts.update(lines=len(found.leases), end=len(ended))
            texts = self._learning.learn(PUT_SOURCE, found.leases, ended, self._now())
            if waiting := self._learning.waiting_of(PUT_SOURCE, found.leases):
                counts["waiting"] = waiting
            return texts

        return counts, self._step(learn).keys()

    def hear(self, changes: Sequence[LeaseChange]) -> None:
        """Take what copies of DHCP messages have changed."""
        self._step(self._learning.hear, changes, self._now())

    def claims_of(self, source: str) -> list[Claim]:
        """Return what a source says of lines."""
        with self._turn:
            return LEARNING.do(self._learning.table.claims_of, source)

    def listed(self, query: Query) -> dict[str, Any]:
        """Return the learned lines that a query asks for, as JSON values.

        Raises BadQueryError where it cannot be understood, and StoreError where the past cannot be read.
        """
        question = LineQuestion.of(query)
        if question.prefix is not None and question.at is not None:
            held = in_file_thread("read", self._store.path, self._store.held_at, question.prefix, question.at)
            return question.answer(held)
        with self._turn:
            return LEARNING.do(lambda: question.answer(question.held_now(self._learning.table)))

    def _look(self) -> None:
        hub.sleep(LOOK_SECONDS)
        for source in self._sources:
            if source.kind.is_file:
                self._look_at(source, self._step)
            elif source.kind is LineSourceKind.URL:
                self._poll(source)
        if self._next_tick is not None and self._next_tick <= self._now():
            self._step(self._learning.tick, self._now())

    def _look_at(self, source: LineSource, take_step: TakeStep) -> None:
        """Read the files of a source if they have changed."""
        detector = self._detectors.get(source)
        try:
            snapshot = in_file_thread("look at", source.file, look_at, source)
            if detector is not None and not detector.settled(snapshot, time.monotonic()):
                return
            self._detectors[source] = detector or ChangeDetector(snapshot)
            contents = in_file_thread("read", source.file, contents_of, source)
        except OSError as failure:
            self._fail(source, failure, take_step)
        else:
            take_step(self._take, source, contents)

    def _poll(self, source: LineSource) -> None:
        """Read a URL beside everything else, if it is time."""
        now = time.monotonic()
        due = self._read_at.get(source, -source.every) + source.every <= now
        if due and source not in self._reading:
            self._read_at[source] = now
            self._reading.add(source)
            hub.spawn(self._read_url, source)

    def _read_url(self, source: LineSource) -> None:
        try:
            body = _answer_of(source)
        except OSError as failure:
            self._fail(source, failure, self._step)
        else:
            self._step(self._take, source, [(source.name, body)])
        finally:
            self._reading.discard(source)

    def _take(self, source: LineSource, contents: list[tuple[str, bytes]]) -> list[str]:
        return self._learning.take(source.name, read_source(source, contents), self._now())

    def _fail(self, source: LineSource, failure: OSError, take_step: TakeStep) -> None:
        why = f"{source.file or source.name}: {failure.strerror or failure}"
        take_step(self._learning.fail, source.name, why, self._now())

    def _step(self, work: Callable[..., list[str]], *arguments: Any) -> Bindings:
        """Do a step of learning, apply what has changed, and return it."""
        if changed := self._do(work, *arguments):
            self._apply(changed)
        return changed

    def _do(self, work: Callable[..., list[str]], *arguments: Any) -> Bindings:
        """Do a step of learning; return the bindings that have changed."""

        def step() -> tuple[list[str], Bindings]:
            texts = work(*arguments)
            names = self._learning.take_changed()
            changed = {name: self._learning.table.bindings(name) for name in names}
            self._unkept += self._learning.take_news()
            self._next_tick = self._learning.next_tick()
            self.report = self._learning.report()
            self.shortcomings = self._learning.shortcomings()
            return texts, changed

        with self._turn:
            before = self.shortcomings
            texts, changed = LEARNING.do(step)
            self.bindings.update(changed)
        for text in texts:
            self._report_event(logging.WARNING, "lines", text)
        if self.shortcomings != before:
            self._tell(self.shortcomings)
        return changed

    def _keep(self) -> None:
        """Write news to disk; they wait there until that works, but not without a bound."""
        hub.sleep(KEEP_SECONDS)
        with self._turn:
            news, self._unkept = self._unkept[-MAX_CLAIMS:], []
        if not news:
            return
        try:
            in_file_thread("keep", self._store.path, self._store.keep, news, self._now())
        except (StoreError, OSError) as failure:
            error = f"learned lines are not kept for the next start: {failure}"
            if error != self.keep_error:
                self._report_event(logging.WARNING, "not kept", error)
            self.keep_error = error
            with self._turn:
                self._unkept = news + self._unkept
        else:
            self.keep_error = None

    def _recalled(self) -> list[Claim]:
        try:
            return self._store.recall()
        except StoreError as failure:
            log.warning("%s", failure)
            return []


def _answer_of(source: LineSource) -> bytes:
    """Return what a URL answers. Raises OSError, its text the reason, where it does not."""
    command = [sys.executable, "-m", line_url.__name__, source.name]
    if source.token_file is not None:
        command.append(source.token_file)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with hub.Timeout(URL_SECONDS):
            body, why = process.communicate()
    except hub.Timeout:
        raise OSError(f"its answer is not complete within {URL_SECONDS:.0f} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise OSError(why.decode(errors="replace")[:500] or f"reading ended with {process.returncode}")
    return bytes(body)
