"""Remember the ports of the connected switches, by which names of ports in a policy are resolved."""

from __future__ import annotations

from collections.abc import Collection

from op25b_app.net.port_number import PortNumbers
from op25b_app.policy.model import Policy


class KnownPorts:
    """The names and numbers of ports by datapath id, as each switch has described them last."""

    def __init__(self) -> None:
        self._ports: dict[int, PortNumbers] = {}

    def note(self, dpid: int, ports: PortNumbers) -> bool:
        """Note the ports of a switch; return whether they are others than before."""
        is_other = self._ports.get(dpid) != ports
        self._ports[dpid] = ports
        return is_other

    def forget(self, dpid: int) -> None:
        """Forget the ports of a switch."""
        self._ports.pop(dpid, None)

    def keep_only(self, dpids: Collection[int]) -> None:
        """Forget the ports of all other switches."""
        self._ports = {dpid: ports for dpid, ports in self._ports.items() if dpid in dpids}

    def of(self, policy: Policy) -> dict[str, PortNumbers]:
        """Return, by name, the known ports of the switches of which a policy has ports by name."""
        by_name = ((name, policy.switches[name].dpid) for name in policy.switches_by_port_name)
        found = ((name, self._ports.get(dpid)) for name, dpid in by_name)
        return {name: ports for name, ports in found if ports is not None}
