"""Where the running controller awaits switches, and what a bridge should have as its controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

USUAL_PORT = 6653


class Awaited(NamedTuple):
    """How the controller awaits switches; no ``ports`` where none tells of it."""

    scheme: str = "tcp"
    ports: tuple[int, ...] = ()
    asks_certificates: bool = False

    @property
    def about_tls(self) -> str:
        """What a switch needs beside the address, to go on after a remedy; empty without TLS."""
        if self.scheme != "ssl":
            return ""
        if self.asks_certificates:
            return "; ovs-vsctl get-ssl is to name a certificate that its --ca-certs has signed"
        return "; ovs-vsctl get-ssl is to name the authority that has signed its --ctl-cert"

    def target(self, host: str = "HOST") -> str:
        """What Open vSwitch calls the controller at this host."""
        return f"{self.scheme}:{host}:{self.ports[0] if self.ports else USUAL_PORT}"

    def corrected(self, target: str) -> str:
        """Return a bridge's target with its own host, and with scheme and port at which it is awaited.

        Where no controller runs that could say more, the target is taken to be right.
        """
        scheme, _, address = target.partition(":")
        host, port = _host_and_port(address)
        if not self.ports or (scheme == self.scheme and port in self.ports):
            return target
        return self.target(host)


def awaited(told: Mapping[str, Any]) -> Awaited:
    """Return how a controller awaits switches, from what it tells; an older one tells no ports."""
    scheme = "ssl" if told["tls"] else "tcp"
    return Awaited(scheme, tuple(told.get("ports", ())), told["asks_certificates"])


def _host_and_port(address: str) -> tuple[str, int]:
    """Host and port of an active target; Open vSwitch takes one without a port to mean the usual one."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and (host.endswith("]") or ":" not in host):
        return host, int(port)
    return address, USUAL_PORT
