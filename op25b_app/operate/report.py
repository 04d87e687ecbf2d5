"""What a controller knows of its switches, as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from op25b_app.policy.model import Policy
from op25b_app.switch.session import AS_WANTED, Session, State


def status_report(policy: Policy, sessions: Mapping[int, Session]) -> dict[str, Any]:
    """Every switch of the policy by its name, and switches that it does not know by their datapath id.

    ``all_protected`` tells whether every switch of the policy is protected or, in monitor mode, monitoring.
    ``sessions`` are by datapath id and hold one for each switch of the policy.
    """
    switches = {name: _switch(sessions[switch.dpid]) for name, switch in policy.switches.items()}
    protected = all(sessions[switch.dpid].status.state in AS_WANTED for switch in policy.switches.values())
    return {"all_protected": protected, "switches": switches | _unknown(sessions.values())}


def _unknown(sessions: Iterable[Session]) -> dict[str, Any]:
    return {session.name: _switch(session) for session in sessions if session.status.state is State.UNKNOWN}


def _switch(session: Session) -> dict[str, Any]:
    status = session.status
    since = datetime.fromtimestamp(status.since, timezone.utc).isoformat(timespec="seconds")
    return {
        "dpid": f"{session.dpid:#x}",
        "state": status.state.value,
        "reason": status.reason,
        "since": since,
        "rules": status.rules,
        "mode": session.assignment.switch.mode.value if session.assignment else None,
        "openflow": session.openflow_version,
    }
