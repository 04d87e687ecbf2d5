"""Load a policy file, and compare it with the policy in force."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from op25b_app.diff import effect, line_changes, objections
from op25b_app.diff.line_text import lines_headline
from op25b_app.diff.text import summary
from op25b_app.operate.policy_store import PolicyStore, StoreError
from op25b_app.policy.diagnostic import error
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.model import Policy, SourceLocation
from op25b_app.policy.source_files import ListNames, Read

MAX_ALIKE = 20
"""Maximum number of errors, and of warnings, that are logged."""

FactsOf = Callable[[Policy], Facts]
"""Returns what is known now of what a policy leaves to be found out."""

log = logging.getLogger("op25b")

Refusal = Literal["errors", "cuts off", "stops blocking", "opens"]


class InForce(NamedTuple):
    """A policy in force.

    ``since`` in seconds since 1970, restarts included. ``kept`` is True where the file was refused, and a
    kept policy took its place.
    """

    policy: Policy
    digest: str
    since: float
    kept: bool = False


class Candidate(NamedTuple):
    """A policy file as it is, compared with the policy in force.

    ``named`` is every file and directory that was asked for. The other fields hold lines of text: ``effect``
    what would change, ``stops`` where a switch blocks now and would block nothing, ``cuts`` how many lines
    would lose all their traffic, ``opens`` how far it would open. ``headline`` says how many lines keep their
    traffic; it is empty where nothing was compared.
    """

    loaded: Loaded
    named: frozenset[Path]
    effect: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    headline: str = ""

    def refusal(self, *, yes: bool) -> Refusal | None:
        """Return why it is refused, None where it is not; with ``yes`` only errors are a reason."""
        if self.loaded.policy is None:
            return "errors"
        if yes:
            return None
        if self.stops:
            return "stops blocking"
        if self.cuts:
            return "cuts off"
        return "opens" if self.opens else None

    def why_refused(self) -> str:
        """Return the reason for a refusal, in one line."""
        if self.loaded.policy is not None:
            return "; ".join([*self.cuts, *self.stops, *self.opens])
        first, *others = self.loaded.errors
        return f"{first}" + (f" and {len(others)} more error{'s' * (len(others) > 1)}" if others else "")

    def in_force(self, before: InForce | None, at: float) -> InForce:
        """Return it as the policy in force, ``at`` in seconds since 1970."""
        loaded = self.loaded
        assert loaded.policy is not None
        since = before.since if before is not None and before.digest == loaded.digest else at
        return InForce(loaded.policy, loaded.digest, since)


def load_candidate(
    path: Path,
    before: InForce | None,
    at: float,
    read: Read,
    list_names: ListNames,
    previous: Loaded | None = None,
    *,
    with_effect: bool = False,
    facts_of: FactsOf = lambda policy: Facts(),
) -> Candidate:
    """Load a policy and compare it with the policy in force.

    ``at`` in seconds since 1970. ``read`` returns the content of a file, ``list_names`` the names of the
    files in a directory. ``previous`` was loaded before; its unchanged parts are reused. The effect, slow for
    many prefixes, is computed only ``with_effect``. The policies are compared with the facts of ``facts_of``.
    """
    named: set[Path] = set()

    def read_and_note(file: Path) -> bytes:
        named.add(file)
        return read(file)

    def list_and_note(folder: Path) -> Iterable[str]:
        named.add(folder)
        return list_names(folder)

    try:
        loaded = load(path, at, read_and_note, previous, list_and_note)
        candidate = Candidate(loaded, frozenset(named))
        return _compared(candidate, before, at, facts_of, with_effect=with_effect)
    except Exception as failure:
        # An error in op25b in reading one file must not cost the policy in force.
        log.exception("an error of op25b: please report it with %s", path)
        what = f"op25b fails to read this: {type(failure).__name__}: {failure}; please report it"
        problem = error(SourceLocation(str(path), 1, 1), what)
        return Candidate(Loaded(None, (problem,), {}, ""), frozenset(named))


def _compared(
    candidate: Candidate, before: InForce | None, at: float, facts_of: FactsOf, *, with_effect: bool
) -> Candidate:
    """Return the candidate with what would change, where another policy is in force before."""
    loaded = candidate.loaded
    if loaded.policy is None or before is None or loaded.digest == before.digest:
        return candidate
    old, new = (in_effect(policy, facts_of(policy)) for policy in (before.policy, loaded.policy))
    if with_effect:
        diff = effect(old, new, at)
        lines, found, told = diff.lines, diff.objections, summary(diff)
    else:
        lines, told = line_changes(old, new), []
        found = objections(old, new, at, lines=lines)
    return candidate._replace(
        effect=tuple(told),
        stops=found.stops_blocking,
        opens=found.opens,
        cuts=found.cuts_off,
        headline=lines_headline(lines) if lines.total else "",
    )


def recall(store: PolicyStore, path: Path, at: float) -> InForce | None:
    """Return the policy kept for a file, or None. Raises StoreError where it cannot be used."""
    kept = store.recall(path)
    if kept is None:
        return None

    def read(file: Path) -> bytes:
        if file not in kept.files:
            raise FileNotFoundError(2, f"not among the files in {store.place(path)}")
        return kept.files[file]

    def list_names(folder: Path) -> list[str]:
        return [file.name for file in kept.files if file.parent == folder]

    loaded = load(path, at, read, list_names=list_names)
    if loaded.policy is None:
        raise StoreError(f"the policy kept in {store.place(path)} is not used: {loaded.errors[0]}")
    return InForce(loaded.policy, loaded.digest, kept.since, kept=True)


def problem_lines(loaded: Loaded, path: Path) -> Iterator[tuple[int, str]]:
    """Yield the problems of a policy file as logging level and line; at most MAX_ALIKE of a severity."""
    for level, severity in ((logging.ERROR, "error"), (logging.WARNING, "warning")):
        alike = [problem for problem in loaded.problems if problem.severity == severity]
        for problem in alike[:MAX_ALIKE]:
            yield level, str(problem)
        if more := len(alike[MAX_ALIKE:]):
            yield level, f"and {more:,} more {severity}s, which 'op25b check {path}' shows"
