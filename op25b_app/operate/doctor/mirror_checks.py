"""Check mirrors of a bridge: they copy frames beside every flow table, whatever its rules say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from op25b_app.operate.doctor.finding import Finding, error, ranges_of, warning
from op25b_app.operate.doctor.open_vswitch import Bridge, Mirror

WHY = "no rule looks at the copies, and packets to port 25 can leave with them"


def check_mirrors(bridge: Bridge, expected: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield findings about mirrors; ``expected`` is what the policy wants, None where that is unknown."""
    for mirror in bridge.mirrors:
        named = f"mirror {mirror.name}" if mirror.name else "a mirror without a name"
        remedy = f"ovs-vsctl remove bridge {bridge.name} mirrors {mirror.uuid}"
        if mirror.selects and mirror.output_ports:
            yield _to_port(named, mirror, expected["roles"] if expected else None, remedy)
        elif mirror.selects and mirror.output_vlan is not None:
            yield error(f"{named} copies frames to VLAN {mirror.output_vlan}", WHY, remedy)


def _to_port(named: str, mirror: Mirror, roles: Mapping[str, Collection[int]] | None, remedy: str) -> Finding:
    found = [role for role, ports in (roles or {}).items() if mirror.output_ports & set(ports)]
    what = f"{named} copies frames to port {ranges_of(sorted(mirror.output_ports))} ({mirror.output_name})"
    if found:
        return error(f"{what}, which the policy calls {' and '.join(found)}", WHY, remedy)
    return warning(
        what + ("" if roles is None else ", which has no role"),
        "no rule looks at the copies, whatever they hold",
        f"{remedy}, unless that is wanted",
    )
