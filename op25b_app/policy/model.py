"""The policy as frozen values, without reading, writing or a clock."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.formats.line_pattern import LinePattern
from op25b_app.net.port_number import PortNumbers, port_name
from op25b_app.net.prefix import Prefix
from op25b_app.policy.address_space import AddressSpace

FIRST_FOREIGN_TABLE = 6
"""First table that a permit may hand over to; lower tables belong to op25b alone.

It is one higher where the source of every packet is validated.
"""
LAST_FOREIGN_TABLE = 254
"""OFPTT_MAX (OpenFlow 1.3.5, section 7.3.4.1)."""
DHCP_PORTS = (67, 68, 546, 547)
"""UDP ports of DHCP, which every line needs (RFC 2131, RFC 8415)."""
MAX_UDP_PORTS = 32
"""Maximum number of ports in ``tunnels``; each costs a rule for each IP version and ``permit_to`` prefix."""
MAX_TAGS = 1 << 18
"""Maximum number of tags that the ports of a switch may carry together: all tags on 64 ports."""


class SourceLocation(NamedTuple):
    """The place of a text in a file; line and column count from 1.

    A line 0 is none: ``file`` is then where the text came from, such as another program.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class LocatedPrefix(NamedTuple):
    """A prefix and its place in a file."""

    prefix: Prefix
    place: SourceLocation


class Mode(enum.Enum):
    """Operating mode of a switch: block, or only count and let through."""

    ENFORCE = "enforce"
    MONITOR = "monitor"


class Verdict(enum.Enum):
    """The verdict for a packet; ``WOULD_BLOCK`` is a block in monitor mode, counted and let through."""

    PERMIT = "permit"
    BLOCK = "block"
    WOULD_BLOCK = "would-block"


class PortRole(enum.Enum):
    """The role of a switch port."""

    SUBSCRIBER = "subscriber"
    UPLINK = "uplink"
    TRUSTED = "trusted"


class SourceValidation(enum.Enum):
    """Extent of source validation: none, mail only, or every subscriber packet by prefix or by line."""

    OFF = "off"
    PORT_25 = "port-25"
    PREFIX = "prefix"
    BINDING = "binding"

    @property
    def of_every_packet(self) -> bool:
        """True where the sources of all subscriber packets are validated, not only those of mail."""
        return self in (SourceValidation.PREFIX, SourceValidation.BINDING)


@dataclass(frozen=True, slots=True)
class Inbound:
    """Filters on packets from an uplink; True blocks."""

    block_spoofed_replies: bool
    block_port_25: bool
    spoofed_replies_place: SourceLocation
    port_25_place: SourceLocation


@dataclass(frozen=True, slots=True)
class Tunnels:
    """Encapsulations by IP protocol (IP-in-IP, GRE, ...), and over UDP by destination port.

    ``block`` is for the protocols. ``udp_ports`` are blocked; 0 is for UDP fragments, whose ports a switch
    cannot read. What either blocks is let through to ``permit_to`` only.
    """

    block: bool
    permit_to: tuple[LocatedPrefix, ...]
    udp_ports: frozenset[int]
    place: SourceLocation


@dataclass(frozen=True, slots=True)
class Hardening:
    """Protection against ways around a port test; True blocks."""

    source_validation: SourceValidation
    block_encapsulation: bool
    ethertypes: frozenset[int]
    tunnels: Tunnels
    block_unreadable_tcp: bool
    source_validation_place: SourceLocation
    encapsulation_place: SourceLocation
    unreadable_tcp_place: SourceLocation


def is_under(vlan: int | None, tags: Sequence[int]) -> bool:
    """Return whether a frame with these tags, the outermost first, belongs to a VLAN of its port.

    None is every VLAN. 0 is none: no tag, or a priority tag (IEEE 802.1Q-2022, 6.9).
    """
    return vlan is None or vlan == (tags[0] if tags else 0)


class SubscriberPort(NamedTuple):
    """One subscriber line: a port of a named switch, or one VLAN of it, as for ``is_under``."""

    switch: str
    port: int
    vlan: int | None = None

    def __str__(self) -> str:
        vlan = "" if self.vlan is None else f", tag {self.vlan}" if self.vlan else ", without a tag"
        return f"port {port_name(self.port)} of {self.switch}{vlan}"


@dataclass(frozen=True, slots=True)
class MailException:
    """A named, dated permission to speak TCP port 25.

    ``destination`` None means anywhere. ``starts`` and ``expires`` are in seconds since 1970 (UTC), None is
    no start and no end. An exception that is written with several destinations is several of these, with the
    same name and place. ``port_name`` is the name of the port of its line while that is ``NO_PORT``.
    """

    name: str
    source: Prefix | SubscriberPort
    destination: Prefix | None
    expires: int | None
    reason: str
    place: SourceLocation
    starts: int | None = None
    port_name: str | None = None

    def in_force(self, at: float) -> bool:
        """Return whether the exception has begun and not expired at a moment (seconds since 1970)."""
        return not self.is_to_come(at) and not self.is_past(at)

    def is_to_come(self, at: float) -> bool:
        """Return whether the exception has not begun at a moment."""
        return self.starts is not None and at < self.starts

    def is_past(self, at: float) -> bool:
        """Return whether the exception has expired at a moment."""
        return self.expires is not None and at >= self.expires


@dataclass(frozen=True, slots=True)
class Binding:
    """Addresses that belong to one line; ``mac`` None leaves the Ethernet source free.

    ``vlan`` None is the whole port; see ``is_under``. ``port_name`` is the name of the port while that is
    ``NO_PORT``: the addresses are bound, but to no line that any packet comes from.
    """

    port: int
    mac: int | None
    addresses: tuple[LocatedPrefix, ...]
    place: SourceLocation
    vlan: int | None = None
    port_name: str | None = None


@dataclass(frozen=True, slots=True)
class NamedPorts:
    """Statement of a policy about the ports of a switch with a name: their role, or the tags they may carry.

    In ``pattern``, ``*`` stands for any characters and ``?`` for one. Of ``role`` and ``tags``, one is None.
    """

    pattern: str
    role: PortRole | None
    tags: frozenset[int | None] | None
    place: SourceLocation

    @property
    def is_pattern(self) -> bool:
        """True where it may fit several ports."""
        return "*" in self.pattern or "?" in self.pattern


class Resolution(NamedTuple):
    """Result of resolving the names of ports in a switch's part of a policy.

    ``described`` is None while the switch has not described its ports. ``problems`` are sentences on names
    that fit no port, or not one.
    """

    described: PortNumbers | None
    problems: tuple[str, ...] = ()


class LineSourceKind(enum.Enum):
    """Kind of a source, by the key that names it in the policy."""

    CSV = "file"
    KEA = "kea"
    ISC = "isc"
    DNSMASQ = "dnsmasq"
    URL = "url"
    DHCP = "dhcp"

    @property
    def is_file(self) -> bool:
        """True where the source is a file."""
        return self not in (LineSourceKind.URL, LineSourceKind.DHCP)

    @property
    def needs_pattern(self) -> bool:
        """True where a pattern makes lines of what a DHCP server knows of its clients."""
        return self in (LineSourceKind.KEA, LineSourceKind.ISC, LineSourceKind.DNSMASQ)


@dataclass(frozen=True, slots=True)
class LineSource:
    """One source of learned lines; ``file`` and ``token_file`` are paths, ``every`` is in seconds.

    ``name`` is what the policy calls it; None for a value that its kind does not have.
    """

    name: str
    kind: LineSourceKind
    place: SourceLocation
    file: str | None = None
    pattern: LinePattern | None = None
    token_file: str | None = None
    every: int = 0


@dataclass(frozen=True, slots=True)
class LearnedLines:
    """Sources from which a policy learns the addresses of lines.

    A source that was not read for ``stale`` seconds is silent. With ``forget_on_loss`` its claims then end;
    otherwise they hold, past their ends too.
    """

    sources: tuple[LineSource, ...]
    forget_on_loss: bool
    stale: int
    place: SourceLocation


class CertificateName(NamedTuple):
    """The certificate that a switch must present: by SHA-256, or by attributes of its subject.

    The fingerprint has 64 lower-case hexadecimal digits. Attributes are (type, value), as in ``CN``.
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

    ``serves`` None means that all of the own space is behind it; ``forwarding_table`` None means NORMAL.
    ``vlans`` holds the tags that a port may carry; None is no tag, 0 is the priority tag.
    """

    name: str
    dpid: int
    subscriber_ports: frozenset[int]
    uplink_ports: frozenset[int]
    trusted_ports: frozenset[int]
    mode: Mode
    place: SourceLocation
    serves: tuple[LocatedPrefix, ...] | None = None
    vlans: Mapping[int, frozenset[int | None]] = field(default_factory=lambda: MappingProxyType({}))
    bindings: tuple[Binding, ...] = ()
    forwarding_table: int | None = None
    certificate: CertificateName | None = None
    """None: the common name must be the datapath id, where the connection has certificates."""
    by_name: tuple[NamedPorts, ...] = ()
    """Statements about ports by name, until their numbers are known; they concern no packet."""
    resolution: Resolution | None = field(default=None, compare=False)
    """None where no name was resolved."""
    muted_lines: frozenset[tuple[int, int | None]] = frozenset()
    """Port and VLAN of lines whose DHCP messages are not copied for now, since they send too many."""

    def role_of(self, port: int) -> PortRole:
        """Return the role of a port; a port without one is treated as a subscriber port."""
        if port in self.uplink_ports:
            return PortRole.UPLINK
        if port in self.trusted_ports:
            return PortRole.TRUSTED
        return PortRole.SUBSCRIBER

    def lines(self) -> Iterator[SubscriberPort]:
        """Yield the lines: each subscriber port, or each of its VLANs where ``vlans`` has some for it."""
        for port in sorted(self.subscriber_ports):
            tags = self.vlans.get(port)
            vlans = [None] if tags is None else sorted({tag or 0 for tag in tags})
            yield from (SubscriberPort(self.name, port, vlan) for vlan in vlans)

    def has_role(self, port: int) -> bool:
        """Return whether the policy names the port."""
        return port in self.subscriber_ports or port in self.uplink_ports or port in self.trusted_ports


@dataclass(frozen=True)
class Policy:
    """The whole policy of an operator, checked and complete.

    ``space_before`` may be the address space of an earlier policy, from which this one's is computed.
    """

    isp_name: str
    mail_destinations: tuple[LocatedPrefix, ...]
    nat64_prefixes: tuple[LocatedPrefix, ...]
    dynamic: tuple[LocatedPrefix, ...]
    static: tuple[LocatedPrefix, ...]
    inbound: Inbound
    hardening: Hardening
    exceptions: tuple[MailException, ...]
    switches: Mapping[str, Switch]
    address_space_place: SourceLocation
    lines: LearnedLines | None = None
    """Sources of addresses of lines; None where nothing is learned."""
    exceptions_by_name: tuple[MailException, ...] = ()
    """Exceptions that permit nothing until it is known which port has a name."""
    space_before: AddressSpace | None = field(default=None, compare=False, repr=False)

    @cached_property
    def space(self) -> AddressSpace:
        """The address space, computed at first use."""
        dynamic, static = ((prefix for prefix, _ in listed) for listed in (self.dynamic, self.static))
        return AddressSpace(dynamic, static, self.space_before)

    @property
    def snoops_dhcp(self) -> bool:
        """True where lines are learned from DHCP, of which the controller gets copies (RFC 7513)."""
        sources = () if self.lines is None else self.lines.sources
        return any(source.kind is LineSourceKind.DHCP for source in sources)

    def bound_prefixes(self) -> Iterator[tuple[SubscriberPort, LocatedPrefix]]:
        """Yield each prefix that is bound to a line, with that line."""
        for switch in self.switches.values():
            for binding in switch.bindings:
                for listed in binding.addresses:
                    yield SubscriberPort(switch.name, binding.port, binding.vlan), listed

    def bound_to(self, line: SubscriberPort) -> list[LocatedPrefix]:
        """Return the prefixes that are bound to a line; none for a switch that the policy does not have.

        Those of a whole port belong to each VLAN of it, and those of its VLANs to the whole port.
        """
        switch = self.switches.get(line.switch)
        return [
            listed
            for each in (switch.bindings if switch is not None else ())
            if each.port == line.port and (None in (each.vlan, line.vlan) or each.vlan == line.vlan)
            for listed in each.addresses
        ]

    @property
    def written_exceptions(self) -> Iterable[MailException]:
        """One exception of each place: the first, where several destinations are written."""
        first: dict[SourceLocation, MailException] = {}
        for exception in (*self.exceptions, *self.exceptions_by_name):
            first.setdefault(exception.place, exception)
        return first.values()

    @cached_property
    def switches_by_port_name(self) -> AbstractSet[str]:
        """Names, in order, of the switches of which anything is said by names of ports."""
        excepted = {
            exception.source.switch
            for exception in self.exceptions_by_name
            if isinstance(exception.source, SubscriberPort)
        }
        return {
            name: None
            for name, switch in self.switches.items()
            if switch.by_name or name in excepted or any(each.port_name for each in switch.bindings)
        }.keys()

    def switch_of_dpid(self, dpid: int) -> Switch | None:
        """Return the switch with a datapath id; None where the policy has none."""
        return self._by_dpid.get(dpid)

    @cached_property
    def _by_dpid(self) -> Mapping[int, Switch]:
        return {switch.dpid: switch for switch in self.switches.values()}
