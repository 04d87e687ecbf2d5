"""Make match fields for ports, protocols and addresses, prerequisites included."""

from __future__ import annotations

from op25b_app.compiler.pipeline import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_ICMPV6, IP_TCP, IP_UDP
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.openflow.fields import VLAN_PRESENT
from op25b_app.openflow.flow_rule import FieldValue

Fields = tuple[FieldValue, ...]

ARP: Fields = (FieldValue("eth_type", ETH_ARP),)
IP: dict[int, Fields] = {4: (FieldValue("eth_type", ETH_IPV4),), 6: (FieldValue("eth_type", ETH_IPV6),)}


def in_port(port: int) -> Fields:
    """Return the match of an ingress port."""
    return (FieldValue("in_port", port),)


def line(port: int, vlan: int | None) -> list[Fields]:
    """Return the matches of a line; that of no VLAN (0) takes two, without a tag and with a priority tag."""
    tags = [None, 0] if vlan == 0 else [vlan]
    return [in_port(port) if vlan is None else (*in_port(port), *tagged(tag)) for tag in tags]


def tagged(vlan: int | None) -> Fields:
    """Return the match of a VLAN tag by its number (0 for a priority tag), or of no tag (None)."""
    return (FieldValue("vlan_vid", 0 if vlan is None else VLAN_PRESENT | vlan),)


def ip_protocol(version: int, protocol: int) -> Fields:
    """Return the match of an IP protocol in one IP version."""
    return *IP[version], FieldValue("ip_proto", protocol)


def tcp_to(version: int, port: int) -> Fields:
    """Return the match of a TCP destination port."""
    return *ip_protocol(version, IP_TCP), FieldValue("tcp_dst", port)


def tcp_from(version: int, port: int) -> Fields:
    """Return the match of a TCP source port."""
    return *ip_protocol(version, IP_TCP), FieldValue("tcp_src", port)


def udp_to(version: int, port: int) -> Fields:
    """Return the match of a UDP destination port."""
    return *ip_protocol(version, IP_UDP), FieldValue("udp_dst", port)


def udp_from(port: int) -> Fields:
    """Return the match of a UDP source port without prerequisites; goes with ``udp_to``."""
    return (FieldValue("udp_src", port),)


def icmpv6(kind: int) -> Fields:
    """Return the match of an ICMPv6 type."""
    return *ip_protocol(6, IP_ICMPV6), FieldValue("icmpv6_type", kind)


def source(prefix: Prefix | None) -> Fields:
    """Return the match of a source prefix; None matches any source."""
    return _ip_address("src", prefix)


def destination(prefix: Prefix | None) -> Fields:
    """Return the match of a destination prefix; None matches any destination."""
    return _ip_address("dst", prefix)


def arp_sender(prefix: Prefix) -> Fields:
    """Return the match of ARP from a sender in an IPv4 prefix."""
    return *ARP, *_address("arp_spa", prefix)


def claimed(prefix: Prefix) -> Fields:
    """Return the match of a neighbour discovery target without prerequisites; goes with ``icmpv6``."""
    return _address("ipv6_nd_target", prefix)


def eth_source(mac: int | None) -> Fields:
    """Return the match of an Ethernet source; None matches any source."""
    return () if mac is None else (FieldValue("eth_src", mac),)


def eth_destination(mac: int) -> Fields:
    """Return the match of an Ethernet destination."""
    return (FieldValue("eth_dst", mac),)


def arp_sender_mac(mac: int | None) -> Fields:
    """Return the match of ARP with a sender's Ethernet address; None matches any packet."""
    return () if mac is None else (*ARP, FieldValue("arp_sha", mac))


def _ip_address(side: str, prefix: Prefix | None) -> Fields:
    if prefix is None:
        return ()
    return *IP[prefix.version], *_address(f"ipv{prefix.version}_{side}", prefix)


def _address(name: str, prefix: Prefix) -> Fields:
    """Return the field of a prefix; no field for length 0."""
    if prefix.length == 0:
        return ()
    return (
        FieldValue(name, prefix.network, None if prefix.length == WIDTH[prefix.version] else prefix.mask),
    )
