"""Report the switches and the policy of a controller as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from op25b_app.operate.candidate import Candidate, Refusal, problem_lines
from op25b_app.operate.events import iso
from op25b_app.operate.policy_manager import PolicyManager, RefusedPolicy
from op25b_app.sync.session import Session
from op25b_app.sync.status import State, is_converged

STATUS: dict[Refusal | None, str] = {
    None: "200 OK",
    "errors": "422 Unprocessable Content",
    "cuts off": "409 Conflict",
    "stops blocking": "409 Conflict",
    "opens": "409 Conflict",
}


def status_report(
    path: Path, policies: PolicyManager, sessions: Mapping[int, Session], current: Iterable[int]
) -> dict[str, Any]:
    """Return the policy in force, its switches by name, and unknown switches by datapath id.

    ``refused`` is the refusal of the policy file as read last, if any. ``all_as_wanted`` is True where every
    switch of the policy is protected or, in monitor mode, monitoring; ``all_protected`` where every one is
    protected. ``sessions`` are by datapath id, with one for each switch of the policy; those of ``current``
    have begun to follow the policy in force.
    """
    in_force, refused = policies.in_force, policies.refused
    known, up_to_date = in_force.policy.switches, set(current)
    switches = {name: _switch(sessions[each.dpid], up_to_date) for name, each in known.items()}
    states = [sessions[each.dpid].status.state for each in known.values()]
    others = [session for session in sessions.values() if session.status.state is State.UNKNOWN]
    return {
        "policy": {
            "file": str(path),
            "sha256": in_force.digest,
            "since": iso(in_force.since, "seconds"),
            "kept": in_force.kept,
            "keep_error": policies.keep_error,
            "refused": refused and _refused(refused),
        },
        "all_as_wanted": all(map(is_converged, states)),
        "all_protected": all(state is State.PROTECTED for state in states),
        "switches": switches | {session.name: _switch(session, up_to_date) for session in others},
    }


def reload_report(
    candidate: Candidate, path: Path, *, yes: bool, applied: bool = False, keep_error: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Return the HTTP status and the JSON values for a policy file that was reloaded or only compared.

    ``keep_error`` says why it could not be kept for the next start, if so.
    """
    refusal = candidate.refusal(yes=yes)
    reasons = {*candidate.cuts, *candidate.stops, *candidate.opens}
    return STATUS[refusal], {
        "applied": applied,
        "refused": refusal,
        "sha256": candidate.loaded.digest,
        "problems": [line for _, line in problem_lines(candidate.loaded, path)],
        "effect": [line for line in candidate.effect if line not in reasons],
        "cuts_off": list(candidate.cuts),
        "stops_blocking": list(candidate.stops),
        "opens": list(candidate.opens),
        "keep_error": keep_error,
    }


def _refused(refused: RefusedPolicy) -> dict[str, Any]:
    return {"at": iso(refused.at, "seconds"), "because": refused.because, "sha256": refused.digest}


def _switch(session: Session, current: set[int]) -> dict[str, Any]:
    status = session.status
    return {
        "dpid": f"{session.dpid:#x}",
        "state": status.state.value,
        "reason": status.reason,
        "since": iso(status.since, "seconds"),
        "in_policy": session.desired is not None,
        "current": session.dpid in current,
        "rules": status.rules,
        "revision": session.revision,
        "mode": session.desired.switch.mode.value if session.desired else None,
        "openflow": session.openflow_version,
    }
