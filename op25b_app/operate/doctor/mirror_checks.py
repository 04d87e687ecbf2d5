"""Check mirrors of a bridge: they copy frames beside every flow table, whatever its rules say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from op25b_app.operate.doctor.finding import Finding, error, ranges_of, warning
from op25b_app.operate.doctor.open_vswitch import Bridge, Mirror

WHY = "no rule looks at the copies, and packets to port 25 can leave with them"


def check_mirrors(bridge: Bridge, expected: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield findings about mirrors; ``expected`` is what the policy wants, None where that is unknown."""
    for mirror in bridge.mirrors if bridge.datapath_id is not None else ():
        if not mirror.selects:
            continue
        if mirror.output_ports:
            yield _to_port(bridge.name, mirror, expected["roles"] if expected else None)
        elif mirror.output_vlan is not None:
            yield error(
                bridge.name,
                f"{_named(mirror)} copies frames to VLAN {mirror.output_vlan}",
                WHY,
                _remedy(bridge.name, mirror),
            )


def _to_port(bridge: str, mirror: Mirror, roles: Mapping[str, Collection[int]] | None) -> Finding:
    found = [role for role, ports in (roles or {}).items() if mirror.output_ports & set(ports)]
    output = f"port {ranges_of(sorted(mirror.output_ports))} ({mirror.output_name})"
    remedy = _remedy(bridge, mirror)
    if found:
        return error(
            bridge,
            f"{_named(mirror)} copies frames to {output}, which the policy calls {' and '.join(found)}",
            WHY,
            remedy,
        )
    return warning(
        bridge,
        f"{_named(mirror)} copies frames to {output}" + ("" if roles is None else ", which has no role"),
        "no rule looks at the copies, whatever they hold",
        f"{remedy}, unless that is wanted",
    )


def _named(mirror: Mirror) -> str:
    return f"mirror {mirror.name}" if mirror.name else "a mirror without a name"


def _remedy(bridge: str, mirror: Mirror) -> str:
    return f"ovs-vsctl remove bridge {bridge} mirrors {mirror.uuid}"
