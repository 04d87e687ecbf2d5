"""What a campaign found, and which promises hold."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.campaign.disturb import OPENING, Harm
from tests.faults.campaign.watch import Deviation, Sample, StatusReport

REPAIR_SECONDS = 1.0
LAG_SECONDS = 0.1
FALSE_SECONDS = 2.0
GROWTH_KIB = 50_000
"""By so much more memory may be taken in the last quarter of the attack than in the second one."""
LEFT_KIB = 150_000
"""And after the attack than before it: what Python has freed the system does not get back at once."""
LEFT_DESCRIPTORS = 10
_CALM = ("protected", "monitoring", "installing", "checking", "degraded")


class Beat(NamedTuple):
    """A late look of the event loop at its clock; ``waited`` is what it waited for a processor of that."""

    at: float
    lag: float
    waited: float

    @property
    def own(self) -> float:
        """Without what the machine had no processor for."""
        return max(0.0, self.lag - self.waited)


class Promise(NamedTuple):
    """What was promised, what was found, and details where it does not hold."""

    promise: str
    found: str
    holds: bool
    details: tuple[str, ...] = ()


@dataclass
class Found:
    """Everything a campaign has seen. Moments are those of ``time.monotonic``."""

    begin: float
    end: float
    switches: list[str]
    cloned: str
    harms: list[Harm]
    deviations: dict[str, list[Deviation]]
    reads: dict[str, int]
    reported: list[StatusReport]
    unanswered: int
    beats: list[Beat]
    places: list[tuple[float, str]]
    """Moments at which the event loop did not come, and where it was then."""
    before: Sample
    samples: list[Sample]
    after: Sample
    runs: dict[str, dict[str, Any]]
    packets: dict[str, dict[str, dict[str, int]]]
    lost: list[str]
    """What the controller's log says of honest switches that were lost."""
    tracebacks: int
    internal_errors: int
    log_bytes: int
    unanswered_beside: int = 0
    """How often the application beside us did not answer."""
    load: float = 0.0
    """The machine's, over the last five minutes."""
    ended: str = ""
    """Why the controller ended, if it did."""
    faults: list[str] = field(default_factory=list)
    """What the campaign itself stumbled over."""


class FalseProtection(NamedTuple):
    """For so long a switch was called protected while its table was not right; ``begin`` as a wall clock."""

    seconds: float
    switch: str
    begin: float


def false_protections(
    switch: str, deviations: Iterable[Deviation], reported: Sequence[StatusReport], end: float
) -> list[FalseProtection]:
    """For each deviation the longest time on end in which op25b's last word was that all is well.

    As long as it gives no answer, the last one stands.
    """
    found = []
    position = 0
    for deviation in deviations:
        until = end if deviation.end is None else deviation.end
        while position + 1 < len(reported) and reported[position + 1].at <= deviation.begin:
            position += 1
        word = _is_well(reported, position, switch, deviation.begin)
        longest, since = 0.0, deviation.begin if word else None
        for number in range(position, len(reported)):
            at = reported[number].at
            if at <= deviation.begin:
                continue
            if at >= until:
                break
            is_well = _is_well(reported, number, switch, at)
            if since is not None and not is_well:
                longest, since = max(longest, at - since), None
            elif since is None and is_well:
                since = at
        if since is not None:
            longest = max(longest, until - since)
        found.append(FalseProtection(longest, switch, deviation.wall))
    return found


def _is_well(reported: Sequence[StatusReport], number: int, switch: str, at: float) -> bool:
    """Whether an answer that was there at a moment says that a switch is as it should be."""
    if number >= len(reported) or reported[number].at > at:
        return True
    return reported[number].states[switch] in ("protected", "monitoring")


def promises(found: Found, times: float = 1.0) -> list[Promise]:
    """Judge what was promised; on a machine that others use all may take so many ``times`` as long."""
    return [
        _never_lost(found),
        _repairs(found, REPAIR_SECONDS * times),
        _undetected(found),
        _false_protection(found, FALSE_SECONDS * times),
        _lag(found, LAG_SECONDS * times),
        _memory(found),
        _descriptors(found),
        _no_mistakes(found),
        _every_kind(found),
    ]


def _never_lost(found: Found) -> Promise:
    seen = [
        f"{name}: {reported.states[name]} ({reported.reasons[name]})"
        for reported in found.reported
        for name in found.switches
        if reported.states[name] not in _CALM
    ]
    names = {each.partition(":")[0] for each in (*seen, *found.lost)}
    text = f"{len(found.lost)} times, of {', '.join(sorted(names))}" if names else "never"
    return Promise("honest switches are never lost", text, not names, _some([*found.lost, *seen]))


def repairable(found: Found) -> list[Harm]:
    """Harms that op25b is to mend: not those rules of others that stay."""
    return [harm for harm in found.harms if harm.kind not in OPENING and harm.deviation is not None]


def _repairs(found: Found, seconds: float) -> Promise:
    harms = repairable(found)
    late = [harm for harm in harms if harm.own_seconds is None or harm.own_seconds >= seconds]
    times = [harm.seconds for harm in harms if harm.seconds is not None]
    text = f"{len(harms) - len(late)} of {len(harms)}"
    if times:
        own = max(harm.own_seconds or 0.0 for harm in harms)
        text += f", median {_ms(statistics.median(times))}, longest {_ms(max(times))}"
        text += f", {_ms(own)} without waits for a processor"
    details = [
        f"{harm.switch}: {harm.kind}: "
        + ("never" if harm.seconds is None else f"after {harm.seconds:.2f} s, waits {harm.waited:.2f} s")
        + f"; {_said_meanwhile(found, harm)}"
        for harm in sorted(late, key=lambda each: -(each.seconds or 1e9))
    ]
    return Promise(f"rules are back within {seconds:.0f} s", text, bool(harms) and not late, _some(details))


def _said_meanwhile(found: Found, harm: Harm) -> str:
    """What op25b said of a switch while a rule was not right: each state and reason, and when first."""
    assert harm.deviation is not None
    begin, end = harm.deviation.begin, harm.deviation.end or found.end
    said: dict[str, float] = {}
    for reported in found.reported:
        if begin <= reported.at <= end:
            text = f"{reported.states[harm.switch]} ({reported.reasons[harm.switch][:60]})"
            said.setdefault(text, reported.at - begin)
    return ", ".join(f"after {at:.2f} s {text}" for text, at in said.items()) or "it said nothing meanwhile"


def _undetected(found: Found) -> Promise:
    """What was asked of an application beside us, and never done, says how long the loop was busy."""
    unseen = [harm for harm in found.harms if harm.deviation is None]
    details = [f"{harm.switch}: {harm.kind}" for harm in unseen]
    asked = len(found.harms) + found.unanswered_beside
    text = f"{len(found.harms) - len(unseen)} of {asked}, {found.unanswered_beside} of them without an answer"
    holds = not (unseen or found.unanswered_beside)
    return Promise("what is asked of other applications is done", text, holds, _some(details))


def _false_protection(found: Found, seconds: float) -> Promise:
    all_false = [
        each
        for name in found.switches
        for each in false_protections(name, found.deviations[name], found.reported, found.end)
    ]
    long = sorted((each for each in all_false if each.seconds > seconds), reverse=True)
    longest = max((each.seconds for each in all_false), default=0.0)
    text = f"{len(long)} of {len(all_false)} times longer, {_ms(longest)} at most"
    details = [f"{each.switch}: {each.seconds:.1f} s, {_kinds_at(found, each)}" for each in long]
    return Promise(
        f"'protected' is never false for more than {seconds:.0f} s",
        text,
        bool(all_false) and not long,
        _some(details),
    )


def _kinds_at(found: Found, false: FalseProtection) -> str:
    kinds = [
        harm.kind
        for harm in found.harms
        if harm.switch == false.switch and harm.deviation and harm.deviation.wall == false.begin
    ]
    return ", ".join(kinds) or "nothing that the campaign did"


def _lag(found: Found, seconds: float) -> Promise:
    late = sorted((beat for beat in found.beats if beat.own >= seconds), key=lambda each: -each.own)
    own = max((beat.own for beat in found.beats), default=0.0)
    whole = max((beat.lag for beat in found.beats), default=0.0)
    text = f"{_ms(own)} at most, {len(late)} times too long; {_ms(whole)} with its waits for a processor"
    details = [f"{beat.at - found.begin:.1f} s after the begin: {_ms(beat.own)}" for beat in late[:3]]
    places = Counter(
        place for at, place in found.places if any(beat.at - beat.lag - 0.1 <= at <= beat.at for beat in late)
    )
    details += [f"{count} times in {place}" for place, count in places.most_common(4)]
    return Promise(f"the event loop lags less than {_ms(seconds)}", text, not late, _some(details))


def _memory(found: Found) -> Promise:
    second, last = (_quarter(found, number) for number in (1, 3))
    growth = _median(last, "memory") - _median(second, "memory")
    left = found.after.memory - found.before.memory
    peak = max(sample.memory for sample in found.samples)
    text = (
        f"{growth / 1024:+.0f} MiB from the second to the last quarter, "
        f"{left / 1024:+.0f} MiB {_after(found)}, "
        f"{peak / 1024:.0f} MiB at most, {found.before.memory / 1024:.0f} MiB before"
    )
    return Promise("memory is flat", text, growth < GROWTH_KIB and left < LEFT_KIB)


def _descriptors(found: Found) -> Promise:
    second, last = (_quarter(found, number) for number in (1, 3))
    growth = _median(last, "descriptors") - _median(second, "descriptors")
    left = found.after.descriptors - found.before.descriptors
    peak = max(sample.descriptors for sample in found.samples)
    text = (
        f"{growth:+.0f} from the second to the last quarter, {left:+d} {_after(found)}, "
        f"{peak} at most, {found.before.descriptors} before"
    )
    hostile = sum(int(run["slots"]) for run in found.runs.values())
    flat = growth <= max(hostile / 2, LEFT_DESCRIPTORS)
    return Promise("descriptors are flat", text, flat and left <= LEFT_DESCRIPTORS)


def _after(found: Found) -> str:
    return f"{found.after.at - found.end:.0f} s after it"


def _no_mistakes(found: Found) -> Promise:
    details = [*found.faults, *([found.ended] if found.ended else [])]
    text = f"{found.tracebacks} tracebacks, {found.internal_errors} internal errors"
    holds = not (found.tracebacks or found.internal_errors or details)
    return Promise("the controller makes no mistake", text, holds, _some(details))


def _every_kind(found: Found) -> Promise:
    idle = [name for name, run in found.runs.items() if not run["deeds"] or run["faults"]]
    details = [f"{name}: {found.runs[name]['faults'] or 'did nothing'}" for name in idle]
    text = f"{len(found.runs) - len(idle)} of {len(found.runs)}"
    return Promise("every hostile kind did its worst", text, not idle, _some(details))


def _quarter(found: Found, number: int) -> list[Sample]:
    length = (found.end - found.begin) / 4
    begin = found.begin + number * length
    inside = [sample for sample in found.samples if begin <= sample.at < begin + length]
    return inside or found.samples[-1:]


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(statistics.median(getattr(sample, name) for sample in samples))


def _some(details: Sequence[str], most: int = 8) -> tuple[str, ...]:
    """The first ones, and how many more there are."""
    counted = list(dict.fromkeys(details))
    more = [f"and {len(counted) - most} more"] if len(counted) > most else []
    return (*counted[:most], *more)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def by_kind(found: Found) -> Mapping[str, Mapping[str, Any]]:
    """What became of harms, by kind."""
    kinds: dict[str, dict[str, Any]] = {}
    false = {
        (each.switch, each.begin): each.seconds
        for name in found.switches
        for each in false_protections(name, found.deviations[name], found.reported, found.end)
    }
    for kind in dict.fromkeys(harm.kind for harm in found.harms):
        harms = [harm for harm in found.harms if harm.kind == kind]
        times = [harm.seconds for harm in harms if harm.seconds is not None]
        stood = [false.get((harm.switch, harm.deviation.wall), 0.0) for harm in harms if harm.deviation]
        kinds[kind] = {
            "times": len(harms),
            "mended": len(times),
            "median": statistics.median(times) if times else None,
            "longest": max(times, default=None),
            "false": max(stood, default=0.0),
            "unseen": sum(harm.deviation is None for harm in harms),
        }
    return kinds
