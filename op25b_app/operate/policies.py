"""Which policy is in force: taken from its file, kept for the next start, never given up for a worse one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from op25b_app.operate.background import in_background
from op25b_app.operate.in_force import Examined, InForce, examine, problem_lines, recall
from op25b_app.operate.policy_store import Kept, PolicyStore, StoreError

Tell = Callable[[int, str, str], None]
"""Logs, at a level, an event of a kind, with its text."""

log = logging.getLogger("op25b")


class PolicyRefusedError(Exception):
    """There is no policy to put in force; why has been logged."""


class Policies:
    """The policy of one file. Times are seconds since 1970."""

    def __init__(self, path: Path, store: PolicyStore, tell: Tell, at: float, *, yes: bool = False) -> None:
        """Take what the file holds or, where that is refused, what was in force last.

        Raises PolicyRefusedError where there is neither. With ``yes`` the file may stop blocking where the
        last policy blocked, and open far more than that.
        """
        self._path = path
        self._store = store
        self._tell = tell
        last = self._recall(at)
        examined = examine(path, last, at)
        self._tell_problems(examined)
        self.named = examined.named
        self._loaded = examined.loaded
        if examined.refusal(yes=yes) is None:
            self.in_force = examined.in_force(last, at)
            self._keep(examined)
        elif last is None:
            self._tell_refused(examined, "nothing is started")
            raise PolicyRefusedError
        else:
            self.in_force = last
            self._tell_refused(examined, f"the last one in force goes on, kept in {store.place(path)}")

    def reload(
        self, at: float, *, yes: bool = False, unless_same: bool = False, with_effect: bool = False
    ) -> tuple[Examined, bool]:
        """Read the file again; whether what it holds is in force now. If not, nothing has changed.

        ``unless_same`` leaves alone what is in force already.
        """
        examined = in_background(self.examine, at, with_effect=with_effect)
        if unless_same and not self.in_force.kept and examined.loaded.digest == self.in_force.digest:
            return examined, False
        self._tell_problems(examined)
        if examined.refusal(yes=yes) is not None:
            self._tell_refused(examined, "the one in force stays in force")
            return examined, False
        self.in_force = examined.in_force(self.in_force, at)
        self._keep(examined)
        return examined, True

    def examine(self, at: float, *, with_effect: bool = True) -> Examined:
        """What the file would change now."""
        examined = examine(self._path, self.in_force, at, self._loaded, with_effect=with_effect)
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
            in_background(self._store.keep, self._path, kept)
        except StoreError as error:
            log.warning("%s; a start with a broken file will find no policy", error)

    def _tell_problems(self, examined: Examined) -> None:
        for level, line in problem_lines(examined.loaded, self._path):
            log.log(level, "%s", line)

    def _tell_refused(self, examined: Examined, instead: str) -> None:
        text = f"policy {self._path} refused: {instead}"
        if reasons := [*examined.stops, *examined.opens]:
            text += f"; {'; '.join(reasons)}; to have it all the same: 'op25b reload --yes'"
        self._tell(logging.ERROR, "refused", text)
