"""Choose the policy in force: take it from its file, keep it for the next start, refuse a worse one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from op25b_app.operate.candidate import (
    Candidate,
    FactsOf,
    InForce,
    load_candidate,
    problem_lines,
    recall,
)
from op25b_app.operate.policy_files import InFileThread, NoAnswerError, PolicyFiles
from op25b_app.operate.policy_store import PolicyStore, StoredPolicy, StoreError
from op25b_app.policy.facts import Facts
from op25b_app.policy.loader import Loaded

ReportEvent = Callable[[int, str, str, str], None]
"""Logs an event: takes level, kind, text, and a text for the event only, which is logged already."""
Work = Callable[..., Any]
"""Calls a function with arguments beside the event loop, and returns its result; the caller waits."""

log = logging.getLogger("op25b")


class PolicyRefusedError(Exception):
    """There is no policy to put in force; the reason is logged."""


class RefusedPolicy(NamedTuple):
    """A policy file that was refused, ``at`` a time in seconds since 1970, ``because`` of a reason."""

    at: float
    because: str
    digest: str


class PolicyManager:
    """The policy of one file. Times are seconds since 1970."""

    def __init__(
        self,
        path: Path,
        store: PolicyStore,
        report_event: ReportEvent,
        at: float,
        *,
        work: Work,
        in_file_thread: InFileThread,
        facts_of: FactsOf = lambda policy: Facts(),
        yes: bool = False,
    ) -> None:
        """Take the policy of the file or, where that is refused, the last one in force.

        Raises PolicyRefusedError where there is neither. With ``yes`` the file may cut off lines, stop
        blocking where the last policy blocked, and open far more than that. ``facts_of`` returns what is
        known now of what a policy leaves to be found out.
        """
        self._path = path
        self._store = store
        self._report_event = report_event
        self._work = work
        self._in_file_thread = in_file_thread
        self._facts_of = facts_of
        self.refused: RefusedPolicy | None = None
        """Refusal of the file as read last, if it was refused."""
        self.keep_error: str | None = None
        """Reason why the policy in force could not be kept for the next start."""
        last = self._recall(at)
        self._loaded: Loaded | None = None
        self.named: frozenset[Path] = frozenset()
        """Every file that was asked for when the policy was read last."""
        candidate = self._load_candidate(last, at)
        self._log_problems(candidate)
        if candidate.refusal(yes=yes) is None:
            self.in_force = candidate.in_force(last, at)
            self._keep(candidate)
        elif last is None:
            self._refuse(candidate, at, "nothing is started")
            raise PolicyRefusedError
        else:
            self.in_force = last
            self._refuse(candidate, at, f"the last one in force goes on, kept in {store.place(path)}")

    def reload(
        self, at: float, *, yes: bool = False, unless_same: bool = False, with_effect: bool = False
    ) -> tuple[Candidate, bool]:
        """Read the file again; return the candidate, and whether it was put in force.

        If not, nothing has changed. With ``unless_same`` an unchanged policy is left alone.
        """
        candidate = self.read_candidate(at, with_effect=with_effect)
        loaded = candidate.loaded
        # A file that cannot be read is not in the digest.
        is_same = loaded.policy is not None and loaded.digest == self.in_force.digest
        if unless_same and is_same and not self.in_force.kept:
            self.refused = None
            return candidate, False
        self._log_problems(candidate)
        if candidate.refusal(yes=yes) is not None:
            self._refuse(candidate, at, "the one in force stays in force")
            return candidate, False
        self.refused = None
        self.in_force = candidate.in_force(self.in_force, at)
        self._keep(candidate)
        return candidate, True

    def read_candidate(self, at: float, *, with_effect: bool = True) -> Candidate:
        """Read the file and return what it would change now; the calling green thread waits."""
        return self._load_candidate(self.in_force, at, with_effect=with_effect)

    def _load_candidate(self, before: InForce | None, at: float, *, with_effect: bool = False) -> Candidate:
        """Read, load and compare; files are read where no session waits for them.

        The files of a policy are known once it is loaded. Those that it named last time are read beforehand,
        so it is loaded a second time only where it names more.
        """
        files = PolicyFiles(self._in_file_thread)
        files.fetch([self._path])
        files.fetch_if_readable(sorted(self.named - {self._path}))
        previous = self._loaded
        while True:
            candidate: Candidate = self._work(
                load_candidate,
                self._path,
                before,
                at,
                files.read,
                files.list_names,
                previous,
                with_effect=with_effect,
                facts_of=self._facts_of,
            )
            if not files.wanted:
                break
            files.fetch(sorted(files.wanted))
            previous = candidate.loaded.recalling(previous)
        self.named = candidate.named
        self._loaded = candidate.loaded
        return candidate

    def _recall(self, at: float) -> InForce | None:
        try:
            return recall(self._store, self._path, at)
        except StoreError as error:
            log.warning("%s", error)
        except Exception:
            log.exception(
                "the policy kept in %s is not used: please report this", self._store.place(self._path)
            )
        return None

    def _keep(self, candidate: Candidate) -> None:
        try:
            kept = StoredPolicy(self.in_force.since, candidate.loaded.files)
            self._in_file_thread("keep", self._path, self._store.keep, self._path, kept)
        except (StoreError, NoAnswerError) as error:
            reason = error.strerror if isinstance(error, NoAnswerError) else error
            self.keep_error = f"the policy in force is not kept for the next start: {reason}"
            self._report_event(logging.WARNING, "not kept", self.keep_error, "")
        else:
            self.keep_error = None

    def _log_problems(self, candidate: Candidate) -> None:
        for level, line in problem_lines(candidate.loaded, self._path):
            log.log(level, "%s", line)

    def _refuse(self, candidate: Candidate, at: float, instead: str) -> None:
        because = candidate.why_refused()
        self.refused = RefusedPolicy(at, because, candidate.loaded.digest)
        text, more = f"policy {self._path} refused: {instead}", ""
        if candidate.loaded.policy is None:
            more = f"; {because}"
        else:
            text += f"; {because}; to accept it: 'op25b reload --yes'"
        self._report_event(logging.ERROR, "refused", text, more)
