"""Compare a bridge's controller target with the address where the running controller awaits switches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

USUAL_PORT = 6653


class ListeningAddress(NamedTuple):
    """Scheme and TCP ports of the controller; no ``ports`` where they are unknown."""

    scheme: str = "tcp"
    ports: tuple[int, ...] = ()
    asks_certificates: bool = False

    @property
    def about_tls(self) -> str:
        """Text about TLS to append to a remedy; empty without TLS."""
        if self.scheme != "ssl":
            return ""
        if self.asks_certificates:
            return "; ovs-vsctl get-ssl is to name a certificate that its --ca-certs has signed"
        return "; ovs-vsctl get-ssl is to name the authority that has signed its --ctl-cert"

    def target(self, host: str = "HOST") -> str:
        """Return Open vSwitch's target for the controller at this host."""
        return f"{self.scheme}:{host}:{self.ports[0] if self.ports else USUAL_PORT}"

    def corrected(self, target: str) -> str:
        """Return a bridge's target with its own host, and the scheme and port at which it is awaited.

        Where the ports are unknown, the target is taken to be right.
        """
        scheme, _, address = target.partition(":")
        host, port = _host_and_port(address)
        if not self.ports or (scheme == self.scheme and port in self.ports):
            return target
        return self.target(host)


def listening_address(reported: Mapping[str, Any]) -> ListeningAddress:
    """Return how a controller awaits switches, from its own report; an older one reports no ports."""
    scheme = "ssl" if reported["tls"] else "tcp"
    return ListeningAddress(scheme, tuple(reported.get("ports", ())), reported["asks_certificates"])


def _host_and_port(address: str) -> tuple[str, int]:
    """Return host and port of an active target; without a port, Open vSwitch uses USUAL_PORT."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and (host.endswith("]") or ":" not in host):
        return host, int(port)
    return address, USUAL_PORT
