"""Facts about a packet on a port under a policy, on which decisions rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from op25b_app.net.nat64 import embed
from op25b_app.net.prefix import Prefix, format_address
from op25b_app.policy.model import (
    Binding,
    LocatedPrefix,
    MailException,
    Policy,
    SubscriberPort,
    Switch,
    is_under,
)
from op25b_app.policy.packet import ICMPV6, IGMP, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, UDP, Packet

_SMTP = 25
_LINK_LOCAL = (Prefix.parse("169.254.0.0/16"), Prefix.parse("fe80::/10"))
_UNSPECIFIED = (Prefix.parse("0.0.0.0/32"), Prefix.parse("::/128"))
TUNNELS = {
    4: "IPv4 in IP",
    41: "IPv6 in IP",
    47: "GRE",
    55: "minimal encapsulation",
    94: "IPIP",
    97: "EtherIP",
    98: "encapsulation header",
    108: "IPComp",
    115: "L2TPv3",
    137: "MPLS in IP",
    141: "WESP",
    142: "ROHC",
    143: "Ethernet in IP",
    144: "AGGFRAG",
    145: "NSH in IP",
}
"""IP protocols that carry another packet unencrypted, or may.

RFC 2003, 4213, 2784, 2004, 3378, 1241, 3173, 3931, 4023, 5840, 5858, 8986, 9347 and 9491; 94 is in IANA's
registry.
"""
_MULTICAST_LISTENER = (130, 131, 132, 143)
"""ICMPv6 types (RFC 2710, RFC 3810)."""
_ROUTER_SOLICITATION, _ROUTER_ADVERTISEMENT = 133, 134
_SERVICE_ICMPV6 = (
    *_MULTICAST_LISTENER,
    _ROUTER_SOLICITATION,
    NEIGHBOUR_SOLICITATION,
    NEIGHBOUR_ADVERTISEMENT,
)
_DHCP_CLIENT = {4: (68, 67), 6: (546, 547)}
"""Source and destination port of a DHCP client's messages (RFC 2131, RFC 8415)."""
_DHCPV6_SERVER = 547
_RELAYS_AND_SERVERS, _RELAYS_AND_SERVERS_MAC = Prefix.parse("ff02::1:2/128"), 0x33_33_00_01_00_02
"""All_DHCP_Relay_Agents_and_Servers (RFC 8415, section 7.1), and its MAC address (RFC 2464, section 7)."""


@dataclass(frozen=True, slots=True)
class PacketContext:
    """One packet, the switch it enters, and the moment ``at`` (seconds since 1970)."""

    policy: Policy
    switch: Switch
    packet: Packet
    at: float

    @property
    def to_smtp(self) -> bool:
        """True for TCP to port 25."""
        return self.packet.is_tcp and self.packet.destination_port == _SMTP

    @property
    def from_smtp(self) -> bool:
        """True for TCP from port 25."""
        return self.packet.is_tcp and self.packet.source_port == _SMTP

    @property
    def source(self) -> str:
        """The source address as text."""
        return format_address(self.packet.version or 4, self.packet.source)

    @property
    def destination(self) -> str:
        """The destination address as text."""
        return format_address(self.packet.version or 4, self.packet.destination)


def is_service(packet: Packet) -> bool:
    """Return whether a line sends this to get an address or to find its neighbours."""
    if packet.version == 4 and packet.protocol == IGMP:
        return True
    if packet.version == 6 and packet.protocol == ICMPV6:
        return packet.icmp_type in _SERVICE_ICMPV6
    ports = (packet.source_port, packet.destination_port)
    return packet.protocol == UDP and ports == _DHCP_CLIENT[packet.version or 4]


def is_between_relays_and_servers(packet: Packet) -> bool:
    """Return whether the packet has the ports of messages between DHCPv6 relay agents and servers."""
    ports = (packet.source_port, packet.destination_port)
    return packet.version == 6 and packet.protocol == UDP and ports == (_DHCPV6_SERVER, _DHCPV6_SERVER)


def is_relayed_request(packet: Packet) -> bool:
    """Return whether a lightweight relay agent on the line forwards a client's message (RFC 6221).

    The message keeps the client's addresses: from a link-local one to all relay agents and servers. An answer
    of a server goes to a single address; a switch does not see the message type.
    """
    return (
        is_between_relays_and_servers(packet)
        and _LINK_LOCAL[1].contains(6, packet.source)
        and _RELAYS_AND_SERVERS.contains(6, packet.destination)
        and packet.eth_destination == _RELAYS_AND_SERVERS_MAC
    )


def blocked_encapsulation(case: PacketContext) -> str | None:
    """Return the name of a blocked encapsulation; None for a packet that is none.

    The port of a fragment is read as 0.
    """
    tunnels, packet = case.policy.hardening.tunnels, case.packet
    if packet.version is None or packet.protocol is None:
        return None
    if tunnels.block and packet.protocol in TUNNELS:
        return f"a tunnel ({TUNNELS[packet.protocol]})"
    if packet.protocol == UDP and (packet.destination_port or 0) in tunnels.udp_ports:
        if not packet.destination_port:
            return "UDP (its port read as 0, as in every fragment)"
        return f"a tunnel (UDP port {packet.destination_port})"
    return None


def has_no_address_yet(packet: Packet) -> bool:
    """Return whether the source is the unspecified address or a link-local one."""
    version = packet.version or 0
    return _in(_LINK_LOCAL, version, packet.source) or _in(_UNSPECIFIED, version, packet.source)


def is_for_routers_and_servers(packet: Packet) -> bool:
    """Return whether this is a router advertisement, or UDP to a DHCP client's port from any port."""
    if packet.version == 6 and packet.icmp_type == _ROUTER_ADVERTISEMENT:
        return True
    client_port = _DHCP_CLIENT[packet.version or 4][0]
    return packet.protocol == UDP and packet.destination_port == client_port


def may_claim_by_arp(case: PacketContext) -> bool:
    """Return whether ARP claims an address of the line; a probe claims none (RFC 5227, section 2.1.1)."""
    packet = case.packet
    if packet.arp_sender == 0:
        return True
    return any(
        listed.prefix.contains(4, packet.arp_sender)
        and (binding.mac is None or binding.mac == packet.eth_source == packet.arp_sender_mac)
        for binding, listed in _bindings_here(case)
    )


def is_bound_here(case: PacketContext, version: int, address: int) -> bool:
    """Return whether ``address`` belongs to the line that the packet comes from."""
    return any(
        listed.prefix.contains(version, address)
        and (binding.mac is None or binding.mac == case.packet.eth_source)
        for binding, listed in _bindings_here(case)
    )


def claims_what_is_not_its_own(case: PacketContext) -> bool:
    """Return whether this advertises a neighbour that is neither link-local nor bound to the line."""
    packet = case.packet
    target = packet.nd_target or 0
    if packet.version != 6 or packet.icmp_type != NEIGHBOUR_ADVERTISEMENT or _in(_LINK_LOCAL, 6, target):
        return False
    return not is_bound_here(case, 6, target)


def _bindings_here(case: PacketContext) -> Iterable[tuple[Binding, LocatedPrefix]]:
    for binding in case.switch.bindings:
        if binding.port == case.packet.in_port and is_under(binding.vlan, case.packet.tags):
            yield from ((binding, listed) for listed in binding.addresses)


def _in(prefixes: Iterable[Prefix], version: int, address: int) -> bool:
    return any(prefix.contains(version, address) for prefix in prefixes)


def static_here(case: PacketContext) -> LocatedPrefix | None:
    """Return the static prefix that exempts this source on this port.

    None where there is none, or where the address is bound to other lines only.
    """
    listed, is_static = space(case, case.packet.source)
    lines = lines_of(case.policy, case.packet.version or 0, case.packet.source)
    if not is_static or (lines and not any(comes_from(case, line) for line in lines)):
        return None
    return listed


def comes_from(case: PacketContext, line: SubscriberPort) -> bool:
    """Return whether the packet comes from a line."""
    is_port = (line.switch, line.port) == (case.switch.name, case.packet.in_port)
    return is_port and is_under(line.vlan, case.packet.tags)


def mail_destination(case: PacketContext, address: int) -> LocatedPrefix | None:
    """Return the mail destination that holds ``address``, also behind a NAT64; None where none does."""
    return next((each for each in case.policy.mail_destinations if _holds(case, each, address)), None)


def _holds(case: PacketContext, listed: LocatedPrefix, address: int) -> bool:
    version = case.packet.version or 0
    if listed.prefix.contains(version, address):
        return True
    return listed.prefix.version == 4 and any(
        embed(nat64.prefix, listed.prefix).contains(version, address) for nat64 in case.policy.nat64_prefixes
    )


def is_destination(case: PacketContext, exception: MailException, address: int) -> bool:
    """Return whether ``address`` is a destination of ``exception``, also behind a NAT64."""
    if exception.destination is None:
        return True
    return _holds(case, LocatedPrefix(exception.destination, exception.place), address)


def is_reply(case: PacketContext, exception: MailException) -> bool:
    """Return whether the packet may be an answer from the peer of an exception in force.

    The dynamic address of a line without bindings is unknown, so it may be any.
    """
    packet = case.packet
    if not (exception.in_force(case.at) and is_destination(case, exception, packet.source)):
        return False
    if not isinstance(exception.source, SubscriberPort):
        return exception.source.contains(packet.version or 0, packet.destination)
    bound = case.policy.bound_to(exception.source)
    return not bound or any(each.prefix.contains(packet.version or 0, packet.destination) for each in bound)


def space(case: PacketContext, address: int) -> tuple[LocatedPrefix | None, bool]:
    """Return the longest listed prefix around ``address``, or None, and whether it is static."""
    version = case.packet.version or 0
    dynamic = longest(case.policy.dynamic, version, address)
    static = longest(case.policy.static, version, address)
    if static and (not dynamic or static.prefix.length > dynamic.prefix.length):
        return static, True
    return dynamic, False


def longest(listed: Iterable[LocatedPrefix], version: int, address: int) -> LocatedPrefix | None:
    """Return the longest prefix that holds ``address``; None where none does."""
    holding = (entry for entry in listed if entry.prefix.contains(version, address))
    return max(holding, key=lambda entry: entry.prefix.length, default=None)


def lines_of(policy: Policy, version: int, address: int) -> list[SubscriberPort]:
    """Return the lines that ``address`` is bound to, once for each bound prefix that holds it."""
    return [line for line, listed in policy.bound_prefixes() if listed.prefix.contains(version, address)]
