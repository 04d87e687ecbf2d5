"""Check the state of each switch in the running controller, with a remedy where it is not as wanted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from op25b_app.operate.doctor.finding import Finding, at, error, ok
from op25b_app.sync.status import is_converged

MAX_SWITCHES = 20
"""Maximum number of switches elsewhere with a finding each."""

_BEFORE_REMEDY = re.compile(r": (?=issue one with |start with |if that is right, )")
"""Separates reason and remedy in the text of a refusal (op25b_app/sync/certificate_check.py)."""
_WAIT = "op25b doctor, some seconds later; if it stays, op25b events shows what was tried"
REMEDIES = {
    "connecting": _WAIT,
    "installing": _WAIT,
    "checking": _WAIT,
    "degraded": "do what the reason says, then op25b status; op25b events shows since when",
    "lost": "start the switch, and let its controller address lead to this controller (op25b run)",
    "unknown": "add a switch with its dpid to the policy, then op25b reload",
}
"""Remedy by state of a switch that is not as wanted."""


def check_state(expected: Mapping[str, Any]) -> Finding:
    """Return the controller's state of a switch of the policy as a finding: an error unless as wanted.

    ``expected`` holds its ``name``, its ``state`` and the ``reason``.
    """
    name, state = expected["name"], expected["state"]
    if is_converged(state):
        return ok(f"is {name} of the policy, {state}")
    return error(
        f"is {name} of the policy, {state}: {expected['reason']}",
        "it is not shown that its rules do what the policy says",
        REMEDIES.get(state, "op25b status"),
    )


def is_refused(expected: Mapping[str, Any]) -> bool:
    """Return whether this switch is not connected, and its certificate was refused lately."""
    return bool(expected.get("refused")) and not expected["connected"]


def refused(expected: Mapping[str, Any]) -> Finding:
    """Return the controller's refusal of a switch's certificate as a finding, with its remedy."""
    what, _, remedy = _BEFORE_REMEDY.sub("\n", expected["refused"], count=1).partition("\n")
    return error(
        f"is refused by the controller: {what}",
        "its rules are not repaired, and reloads do not reach it",
        remedy or "op25b events shows more",
    )


def check_switches_elsewhere(
    here: Collection[int | None], by_dpid: Mapping[int | None, Mapping[str, Any]]
) -> Iterator[Finding]:
    """Yield findings about switches of the policy without a bridge here; ``here`` are datapath ids."""
    wrong = [each for dpid, each in by_dpid.items() if dpid not in here and not is_converged(each["state"])]
    for each in wrong[:MAX_SWITCHES]:
        yield from at(each["name"], [refused(each) if is_refused(each) else _elsewhere(each)])
    if more := len(wrong[MAX_SWITCHES:]):
        what = f"{more} more of its switches are neither protected nor monitoring"
        why = "it is not shown that their rules do what the policy says"
        yield from at("policy", [error(what, why, "op25b status names all of them")])


def _elsewhere(expected: Mapping[str, Any]) -> Finding:
    state = expected["state"]
    return error(
        f"is {state}: {expected['reason']}; no bridge here has its datapath id {expected['dpid']:#x}",
        "it is not shown that its rules do what the policy says",
        f"{REMEDIES.get(state, 'op25b status')}; op25b doctor there, or --db SERVER, looks at it",
    )
