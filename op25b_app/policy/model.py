"""The policy as frozen values. No reader, writer or clock lives here."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.prefix import Prefix
from op25b_app.policy.address_space import AddressSpace

FIRST_FOREIGN_TABLE = 6
"""Tables below are ours alone; from here on a permit may hand over to another application, but for the next
one where every packet's source is validated."""
LAST_FOREIGN_TABLE = 254
"""OFPTT_MAX (OpenFlow 1.3.5, section 7.3.4.1)."""
DHCP_PORTS = (67, 68, 546, 547)
"""UDP ports that what a line needs goes to (RFC 2131, RFC 8415)."""
MOST_UDP_PORTS = 32
"""How many ports ``tunnels`` may name; each costs a rule for each IP version and prefix of ``permit_to``."""


class Place(NamedTuple):
    """Where in which file something is written; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Listed(NamedTuple):
    """A prefix and where it is written."""

    prefix: Prefix
    place: Place


class Mode(enum.Enum):
    ENFORCE = "enforce"
    MONITOR = "monitor"


class Verdict(enum.Enum):
    PERMIT = "permit"
    BLOCK = "block"
    WOULD_BLOCK = "would-block"


class PortRole(enum.Enum):
    SUBSCRIBER = "subscriber"
    UPLINK = "uplink"
    TRUSTED = "trusted"


class SourceValidation(enum.Enum):
    OFF = "off"
    PORT_25 = "port-25"
    PREFIX = "prefix"
    BINDING = "binding"

    @property
    def of_every_packet(self) -> bool:
        """Whether sources are validated in whatever comes from a subscriber, not only in mail."""
        return self in (SourceValidation.PREFIX, SourceValidation.BINDING)


@dataclass(frozen=True, slots=True)
class Inbound:
    """What may enter from an uplink; True blocks."""

    block_spoofed_replies: bool
    block_port_25: bool
    spoofed_replies_place: Place
    port_25_place: Place


@dataclass(frozen=True, slots=True)
class Tunnels:
    """Encapsulations by IP protocol (IP-in-IP, GRE, ...), and over UDP by destination port.

    ``block`` is about the protocols, ``udp_ports`` are those that are blocked; 0 stands for fragments of UDP,
    whose ports no switch reads. Only ``permit_to`` may be reached by what either of them blocks.
    """

    block: bool
    permit_to: tuple[Listed, ...]
    udp_ports: frozenset[int]
    place: Place


@dataclass(frozen=True, slots=True)
class Hardening:
    """The ways around a port test that are closed; True blocks."""

    source_validation: SourceValidation
    block_encapsulation: bool
    ethertypes: frozenset[int]
    tunnels: Tunnels
    block_unreadable_tcp: bool
    source_validation_place: Place
    encapsulation_place: Place
    unreadable_tcp_place: Place


class Line(NamedTuple):
    """One subscriber line: a port of a named switch."""

    switch: str
    port: int


@dataclass(frozen=True, slots=True)
class MailException:
    """A named, dated permission to speak TCP port 25.

    ``destination`` None means anywhere; ``expires`` is in seconds since 1970 (UTC), None means never.
    """

    name: str
    source: Prefix | Line
    destination: Prefix | None
    expires: int | None
    reason: str
    place: Place

    def in_force(self, at: float) -> bool:
        return self.expires is None or at < self.expires


@dataclass(frozen=True, slots=True)
class Binding:
    """Addresses that belong to one line; ``mac`` None leaves the Ethernet source free."""

    port: int
    mac: int | None
    addresses: tuple[Listed, ...]
    place: Place


class CertificateName(NamedTuple):
    """What a switch's certificate must be: one of this SHA-256, or one whose subject has these attributes.

    The fingerprint has 64 lower-case hexadecimal digits. Attributes are type, as in ``CN``, and value.
    """

    fingerprint: str | None
    subject: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if self.fingerprint is not None:
            return f"sha256:{self.fingerprint}"
        return ",".join(f"{kind}={value}" for kind, value in self.subject)


@dataclass(frozen=True, slots=True)
class Switch:
    """One OpenFlow switch and the roles of its ports.

    ``serves`` None means all of the own space lives behind it; ``forwarding_table`` None means NORMAL.
    ``vlans`` holds the tags of ports that may carry any, None for no tag; the priority tag is number 0.
    """

    name: str
    dpid: int
    subscriber_ports: frozenset[int]
    uplink_ports: frozenset[int]
    trusted_ports: frozenset[int]
    mode: Mode
    place: Place
    serves: tuple[Listed, ...] | None = None
    vlans: Mapping[int, frozenset[int | None]] = field(default_factory=lambda: MappingProxyType({}))
    bindings: tuple[Binding, ...] = ()
    forwarding_table: int | None = None
    certificate: CertificateName | None = None
    """None means one whose common name is the datapath id, where certificates are shown at all."""

    def role_of(self, port: int) -> PortRole:
        """A port without a role counts as a subscriber port."""
        if port in self.uplink_ports:
            return PortRole.UPLINK
        if port in self.trusted_ports:
            return PortRole.TRUSTED
        return PortRole.SUBSCRIBER

    def has_role(self, port: int) -> bool:
        return port in self.subscriber_ports or port in self.uplink_ports or port in self.trusted_ports


@dataclass(frozen=True)
class Policy:
    """Everything an operator has written, checked and complete.

    ``space_before`` may be the address space of an earlier policy, from which this one's is worked out.
    """

    isp_name: str
    mail_destinations: tuple[Listed, ...]
    nat64_prefixes: tuple[Listed, ...]
    dynamic: tuple[Listed, ...]
    static: tuple[Listed, ...]
    inbound: Inbound
    hardening: Hardening
    exceptions: tuple[MailException, ...]
    switches: Mapping[str, Switch]
    address_space_place: Place
    space_before: AddressSpace | None = field(default=None, compare=False, repr=False)

    @cached_property
    def space(self) -> AddressSpace:
        dynamic, static = ((prefix for prefix, _ in listed) for listed in (self.dynamic, self.static))
        return AddressSpace(dynamic, static, self.space_before)

    def switch_of_dpid(self, dpid: int) -> Switch | None:
        return self._by_dpid.get(dpid)

    @cached_property
    def _by_dpid(self) -> Mapping[int, Switch]:
        return {switch.dpid: switch for switch in self.switches.values()}
