"""Learn which line has which address, from the sources that a policy names.

What a source says replaces what it said before. A source that is broken, silent or half written keeps what
held, unless the policy says ``on_loss: forget``. Times are in seconds since 1970, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from op25b_app.lines.dhcp_snooping import SOURCE as SNOOPING
from op25b_app.lines.dhcp_snooping import LeaseChange, LeaseOutcome
from op25b_app.lines.known_lines import KnownLines
from op25b_app.lines.lease import Lease, LeaseFile
from op25b_app.lines.line_table import MAX_CLAIMS, Claim, ClaimNews, LineTable, Waiting
from op25b_app.net.prefix import Prefix
from op25b_app.operate.events import iso
from op25b_app.policy.diagnostic import Diagnostic
from op25b_app.policy.facts import Facts
from op25b_app.policy.model import LineSource, LineSourceKind, Policy, SourceLocation

PUT_SOURCE = "PUT /v1/lines"
"""Name of the source for what programs put on the control socket."""
MAX_SHOWN = 20
"""Maximum number of problems of a source, and of claims that wait, that are named."""
MAX_TOLD = 1000
"""Maximum number of claims that wait of which is remembered that they were told of."""


@dataclass
class _Source:
    """State of one source. ``problem`` is None while all is well; ``since`` is when it began."""

    written: LineSource | None
    read_at: float | None = None
    problem: str | None = None
    since: float = 0.0
    unusable: tuple[Diagnostic, ...] = ()
    """Parts of what it says that nobody can use."""
    is_forgotten: bool = False
    """True where its claims have ended, since it was silent for too long."""

    @property
    def is_read_again(self) -> bool:
        """True where it is read again and again, and so can be silent."""
        return self.written is not None and self.written.kind is not LineSourceKind.DHCP

    @property
    def is_lost(self) -> bool:
        """True where what it says now is not known."""
        return self.is_read_again and (self.problem is not None or self.read_at is None)

    def silent_at(self, stale: float) -> float:
        """Return when it will have been silent for ``stale`` seconds."""
        return (self.since if self.read_at is None else self.read_at) + stale


class LineLearning:
    """The sources of the policy in force, and what they say.

    ``recalled`` are claims that were kept on disk. Methods that take something return texts for events.
    """

    def __init__(self, recalled: Iterable[Claim] = ()) -> None:
        self.table = LineTable()
        self._recalled = [*recalled]
        self._sources: dict[str, _Source] = {}
        self._known: KnownLines | None = None
        self._forgets, self._stale = False, 0.0
        self._told: frozenset[Waiting] = frozenset()
        """Claims that wait, as they were told of last."""

    def follow(self, policy: Policy, at: float) -> list[str]:
        """Take the sources of a policy; what others said ends, and so does what the policy rules out."""
        written, before = policy.lines, self._sources
        self._sources, self._known = {}, None
        if written is not None:
            self._known = KnownLines(policy)
            self._forgets, self._stale = written.forget_on_loss, float(written.stale)
            for source in written.sources:
                known = before.get(source.name, _Source(source, since=at))
                known.written = source
                self._sources[source.name] = known
            self._sources[PUT_SOURCE] = before.get(PUT_SOURCE, _Source(None))
        ended = self._end_what_is_ruled_out()
        for claim in self._recalled:
            if self._is_possible(claim):
                self.table.add(claim)
            else:
                self.table.news.append(ClaimNews(claim, ended=True))
        self._recalled = []
        texts = [f"{ended:,} learned addresses end: the policy has their source or line no longer"] * bool(
            ended
        )
        return texts + self._conflicts()

    def take(self, name: str, found: LeaseFile, at: float) -> list[str]:
        """Take all that a source says now."""
        source = self._sources.get(name)
        if source is None:
            return []
        errors = [problem for problem in found.problems if problem.severity == "error"]
        if not found.leases and (errors or not found.complete):
            return self.fail(name, str(errors[0]) if errors else "it is half written", at)
        if found.is_empty and self.table.count_of(name):
            return self.fail(name, "it is empty", at)
        claims, refused = self._claims(name, found.leases, at)
        is_whole = found.complete and not errors
        if not self.table.replace(name, claims, keep_others=not is_whole):
            return self.fail(name, f"with it the sources say more than {MAX_CLAIMS:,} addresses", at)
        source.unusable = (*found.problems, *refused)
        source.is_forgotten = False
        if errors:
            more = f", and {len(errors) - 1:,} more errors" if len(errors) > 1 else ""
            return [*self.fail(name, f"{errors[0]}{more}", at), *self._conflicts()]
        source.read_at = at
        texts = [f"{name} is read again: {self.table.count_of(name):,} addresses"] * (
            source.problem is not None
        )
        source.problem = None
        if refused:
            more = f"; and {len(refused) - 1:,} more" if len(refused) > 1 else ""
            texts.append(f"{name} names lines or addresses that are not there: {refused[0]}{more}")
        return texts + self._conflicts()

    def fail(self, name: str, why: str, at: float) -> list[str]:
        """Note that a source cannot be read; what it said before goes on."""
        source = self._sources.get(name)
        text = f"lines are not learned from {name}: {why}"
        if source is None or source.problem == text:
            return []
        if source.problem is None:
            source.since = at
        source.problem = text
        held = self.table.count_of(name)
        return [f"{text}; its {held:,} addresses go on" if held else text]

    def learn(self, name: str, leases: Iterable[Lease], ended: Iterable[Prefix], at: float) -> list[str]:
        """Take some leases, and the ends of some, beside what a source said before.

        Raises ValueError, its text the reasons, where one is of no line or address of the policy: then
        nothing is taken.
        """
        source = self._sources.get(name)
        if source is None:
            raise ValueError("the policy in force learns no lines; write 'lines: {sources: []}' into it")
        given = [*leases]
        claims, refused = self._claims(name, given, at)
        if past := next((each for each in given if each.until is not None and each.until <= at), None):
            raise ValueError(f"the end of {past.prefix} at {past.line} is past; write a later until, or none")
        if refused:
            raise ValueError("; ".join(problem.message for problem in refused[:MAX_SHOWN]))
        if len(self.table) + len(claims) > MAX_CLAIMS:
            raise ValueError(f"the sources then say more than {MAX_CLAIMS:,} addresses; end some of them")
        self.table.end(name, ended)
        for claim in claims:
            self.table.add(claim)
        source.read_at = at
        return self._conflicts()

    def waiting_of(self, name: str, leases: Iterable[Lease]) -> list[str]:
        """Return which of some leases of a source wait, and why; at most MAX_SHOWN."""
        found = (self.table.reason_to_wait(name, lease.prefix) for lease in leases)
        return [_words(waiting) for waiting in islice(filter(None, found), MAX_SHOWN)]

    def hear(self, changes: Iterable[LeaseChange], at: float) -> list[str]:
        """Take what copies of DHCP messages have changed, in their order."""
        source, texts = self._sources.get(SNOOPING), list[str]()
        if source is None:
            return []
        for outcome, claim, because in changes:
            what = f"{claim.prefix} at {claim.line}"
            if outcome is LeaseOutcome.ENDED:
                self.table.end(SNOOPING, [claim.prefix])
            elif outcome is LeaseOutcome.CONTESTED:
                texts.append(f"{what} waits: another line holds it ({because})")
            elif not self._is_possible(claim):
                texts.append(f"{what} is not bound: it is in neither dynamic nor static space, or not served")
            elif not self.table.add(claim):
                texts.append(f"{what} is not bound: the sources say {MAX_CLAIMS:,} addresses already")
        source.read_at = at
        more = f"; and {len(texts) - 1:,} more" if len(texts) > 1 else ""
        return [f"{text}{more}" for text in texts[:1]] + self._conflicts()

    def tick(self, at: float) -> list[str]:
        """End what has to end by now."""
        self.table.expire(at, self._outliving())
        texts = []
        for name, source in self._sources.items():
            if self._may_be_forgotten(source) and source.silent_at(self._stale) <= at:
                source.is_forgotten = True
                count = self.table.count_of(name)
                self.table.replace(name, ())
                texts.append(
                    f"{count:,} learned addresses end: {name} has been silent for {self._stale:.0f} s"
                )
        return texts + self._conflicts()

    def next_tick(self) -> float | None:
        """Return when something ends next, in seconds since 1970; None where nothing does."""
        ends = [self.table.next_end(self._outliving())]
        ends += [
            source.silent_at(self._stale)
            for source in self._sources.values()
            if self._may_be_forgotten(source)
        ]
        return min((end for end in ends if end is not None), default=None)

    def shortcomings(self) -> dict[str, list[str]]:
        """Return by switch why what is learned for it may not be what is so now; only where that is so."""
        problems = {name: source.problem for name, source in self._sources.items() if source.problem}
        everywhere = [problem for name, problem in problems.items() if not self.table.count_of(name)]
        found: dict[str, list[str]] = {}
        for switch in self._known.switches if problems and self._known is not None else ():
            here = [problem for name, problem in problems.items() if self.table.concerns(name, switch)]
            if reasons := [*here, *everywhere]:
                found[switch] = reasons
        return found

    def facts(self) -> Facts:
        """Return the learned bindings."""
        return Facts(self.table.all_bindings())

    def sources(self) -> list[LineSource]:
        """Return the sources of the policy."""
        return [source.written for source in self._sources.values() if source.written is not None]

    def take_changed(self) -> frozenset[str]:
        """Return the switches whose learned bindings have changed since this was last asked."""
        changed = frozenset(self.table.changed)
        self.table.changed.clear()
        return changed

    def take_news(self) -> list[ClaimNews]:
        """Return what has happened to claims since this was last asked."""
        news = [*self.table.news]
        self.table.news.clear()
        return news

    def report(self) -> dict[str, Any]:
        """Return the sources, and some of the claims that wait, as JSON values."""
        return {
            "held": self.table.holds,
            "waiting": self.table.waits,
            "conflicts": [_words(each) for each in islice(self.table.waiting(), MAX_SHOWN)],
            "sources": {name: self._report_of(name, source) for name, source in self._sources.items()},
        }

    def _report_of(self, name: str, source: _Source) -> dict[str, Any]:
        return {
            "addresses": self.table.count_of(name),
            "read_at": None if source.read_at is None else iso(source.read_at, "seconds"),
            "problem": source.problem,
            "unusable": [str(problem) for problem in source.unusable[:MAX_SHOWN]],
        }

    def _claims(
        self, name: str, leases: Iterable[Lease], at: float
    ) -> tuple[list[Claim], tuple[Diagnostic, ...]]:
        """Return what a source claims, and a warning for each lease of no line or address of the policy."""
        assert self._known is not None
        claims: list[Claim] = []
        refused: list[Diagnostic] = []
        for lease in leases:
            if lease.until is not None and lease.until <= at:
                continue
            try:
                claims.append(self._known.claim(lease, name, at))
            except ValueError as failure:
                place = SourceLocation(name, lease.file_line, 1 if lease.file_line else 0)
                refused.append(Diagnostic(place, "warning", str(failure)))
        return claims, tuple(refused)

    def _is_possible(self, claim: Claim) -> bool:
        known = self._known
        return known is not None and claim.source in self._sources and known.has(claim.line, claim.prefix)

    def _end_what_is_ruled_out(self) -> int:
        ended = [claim for claim in self.table.claims() if not self._is_possible(claim)]
        for claim in ended:
            self.table.end(claim.source, [claim.prefix])
        return len(ended)

    def _may_be_forgotten(self, source: _Source) -> bool:
        return self._forgets and source.is_lost and not source.is_forgotten

    def _outliving(self) -> frozenset[str]:
        """Return the sources whose claims go on past their ends: what they say now is not known."""
        if self._forgets:
            return frozenset()
        return frozenset(name for name, source in self._sources.items() if source.is_lost)

    def _conflicts(self) -> list[str]:
        """Return a text for claims that wait and did not wait before, at most one."""
        if not self.table.waits and not self._told:
            return []
        waiting = frozenset(islice(self.table.waiting(), MAX_TOLD))
        new = sorted(waiting - self._told, key=lambda each: each.claim.prefix)
        self._told = waiting
        if not new:
            return []
        more = f"; and {len(new) - 1:,} more" if len(new) > 1 else ""
        return [f"a learned address waits: {_words(new[0])}{more}"]


def _words(waiting: Waiting) -> str:
    claim = waiting.claim
    return f"{claim.prefix} at {claim.line} by {claim.source}: {waiting.reason}"
