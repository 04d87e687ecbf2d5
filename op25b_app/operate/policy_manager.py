"""Choose the policy in force: take it from its file, keep it for the next start, refuse a worse one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from op25b_app.operate.candidate import Examined, InForce, examine, problem_lines, recall
from op25b_app.operate.policy_files import InFileThread, NoAnswerError, PolicyFiles
from op25b_app.operate.policy_store import Kept, PolicyStore, StoreError
from op25b_app.policy.loader import Loaded

Tell = Callable[[int, str, str, str], None]
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


class Policies:
    """The policy of one file. Times are seconds since 1970."""

    def __init__(
        self,
        path: Path,
        store: PolicyStore,
        tell: Tell,
        at: float,
        *,
        work: Work,
        in_file_thread: InFileThread,
        yes: bool = False,
    ) -> None:
        """Take the policy of the file or, where that is refused, the last one in force.

        Raises PolicyRefusedError where there is neither. With ``yes`` the file may stop blocking where the
        last policy blocked, and open far more than that.
        """
        self._path = path
        self._store = store
        self._tell = tell
        self._work = work
        self._in_file_thread = in_file_thread
        self.refused: RefusedPolicy | None = None
        """Refusal of the file as read last, if it was refused."""
        self.keep_error: str | None = None
        """Reason why the policy in force could not be kept for the next start."""
        last = self._recall(at)
        self._loaded: Loaded | None = None
        self.named: frozenset[Path] = frozenset()
        """Every file that was asked for when the policy was read last."""
        examined = self._examine(last, at)
        self._tell_problems(examined)
        if examined.refusal(yes=yes) is None:
            self.in_force = examined.in_force(last, at)
            self._keep(examined)
        elif last is None:
            self._refuse(examined, at, "nothing is started")
            raise PolicyRefusedError
        else:
            self.in_force = last
            self._refuse(examined, at, f"the last one in force goes on, kept in {store.place(path)}")

    def reload(
        self, at: float, *, yes: bool = False, unless_same: bool = False, with_effect: bool = False
    ) -> tuple[Examined, bool]:
        """Read the file again; return it examined, and whether it was put in force.

        If not, nothing has changed. With ``unless_same`` an unchanged policy is left alone.
        """
        examined = self.examine(at, with_effect=with_effect)
        if unless_same and not self.in_force.kept and examined.loaded.digest == self.in_force.digest:
            self.refused = None
            return examined, False
        self._tell_problems(examined)
        if examined.refusal(yes=yes) is not None:
            self._refuse(examined, at, "the one in force stays in force")
            return examined, False
        self.refused = None
        self.in_force = examined.in_force(self.in_force, at)
        self._keep(examined)
        return examined, True

    def examine(self, at: float, *, with_effect: bool = True) -> Examined:
        """Read the file and return what it would change now; the calling green thread waits."""
        return self._examine(self.in_force, at, with_effect=with_effect)

    def _examine(self, before: InForce | None, at: float, *, with_effect: bool = False) -> Examined:
        """Read, load and compare; files are read where no session waits for them.

        The files of a policy are known once it is loaded. Those that it named last time are read beforehand,
        so it is loaded a second time only where it names more.
        """
        files = PolicyFiles(self._in_file_thread)
        files.fetch([self._path])
        files.fetch_if_readable(sorted(self.named - {self._path}))
        previous = self._loaded
        while True:
            examined: Examined = self._work(
                examine, self._path, before, at, files.read, previous, with_effect=with_effect
            )
            if not files.wanted:
                break
            files.fetch(sorted(files.wanted))
            previous = examined.loaded.recalling(previous)
        self.named = examined.named
        self._loaded = examined.loaded
        return examined

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

    def _keep(self, examined: Examined) -> None:
        try:
            kept = Kept(self.in_force.since, examined.loaded.files)
            self._in_file_thread("keep", self._path, self._store.keep, self._path, kept)
        except (StoreError, NoAnswerError) as error:
            reason = error.strerror if isinstance(error, NoAnswerError) else error
            self.keep_error = f"the policy in force is not kept for the next start: {reason}"
            self._tell(logging.WARNING, "not kept", self.keep_error, "")
        else:
            self.keep_error = None

    def _tell_problems(self, examined: Examined) -> None:
        for level, line in problem_lines(examined.loaded, self._path):
            log.log(level, "%s", line)

    def _refuse(self, examined: Examined, at: float, instead: str) -> None:
        because = examined.why_refused()
        self.refused = RefusedPolicy(at, because, examined.loaded.digest)
        text, more = f"policy {self._path} refused: {instead}", ""
        if examined.loaded.policy is None:
            more = f"; {because}"
        else:
            text += f"; {because}; to accept it: 'op25b reload --yes'"
        self._tell(logging.ERROR, "refused", text, more)
