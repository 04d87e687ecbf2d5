"""Decide what happens to a packet from the policy alone: the specification in code.

The compiler does not use this module, so each can be tested against the other. The numbers are those of the
list of decisions in ``docs/decisions.md``; the first that applies wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from op25b_app.net.port_number import port_name
from op25b_app.net.prefix import format_address
from op25b_app.policy.model import (
    Mode,
    Policy,
    PortRole,
    SourceLocation,
    SourceValidation,
    SubscriberPort,
    Switch,
    Verdict,
)
from op25b_app.policy.packet import ETH_ARP, Packet
from op25b_app.policy.packet_context import (
    PacketContext,
    blocked_encapsulation,
    claims_what_is_not_its_own,
    comes_from,
    has_no_address_yet,
    is_bound_here,
    is_destination,
    is_for_routers_and_servers,
    is_relayed_request,
    is_reply,
    is_service,
    lines_of,
    longest,
    mail_destination,
    may_claim_by_arp,
    space,
    static_here,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the decision of the list that gives it, the reason, and the part of the policy behind it."""

    verdict: Verdict
    rule: str
    because: str
    place: SourceLocation


def decide(policy: Policy, switch: Switch, packet: Packet, at: float) -> Decision:
    """Return the decision of ``switch`` for ``packet`` at a moment (seconds since 1970)."""
    case = PacketContext(policy, switch, packet, at)
    role = switch.role_of(packet.in_port)
    for number, question in _QUESTIONS[role]:
        answer = question(case)
        if answer is not None:
            verdict, because, place = answer
            if verdict is Verdict.BLOCK and switch.mode is Mode.MONITOR:
                verdict = Verdict.WOULD_BLOCK
            if not switch.has_role(packet.in_port):
                port = f"port {packet.in_port} of {switch.name}"
                because += f"; {port} has no role in the policy, so it counts as a subscriber port"
            return Decision(verdict, f"{role.value}-{number}", because, place)
    raise AssertionError("the last question always has an answer")


_Answer = tuple[Verdict, str, SourceLocation]


def _under_forbidden_tag(case: PacketContext) -> _Answer | None:
    hardening, packet, switch = case.policy.hardening, case.packet, case.switch
    if not hardening.block_encapsulation:
        return None
    allowed = switch.vlans.get(packet.in_port)
    if allowed is None:
        if switch.role_of(packet.in_port) is PortRole.UPLINK:
            return None
        allowed = frozenset({None})
    if packet.tag in allowed:
        return None
    which = "an untagged frame" if packet.tag is None else f"a frame with tag {packet.tag}"
    because = f"{which} on port {port_name(packet.in_port)} of {switch.name}, which may not carry it"
    return Verdict.BLOCK, because, hardening.encapsulation_place


def _what_a_line_needs(case: PacketContext) -> _Answer | None:
    """Judge address resolution and configuration: RA-Guard (RFC 6105), DHCPv6-Shield (RFC 7610)."""
    packet, validation = case.packet, case.policy.hardening.source_validation
    place = case.policy.hardening.source_validation_place
    if packet.eth_type == ETH_ARP:
        if validation is SourceValidation.BINDING and not may_claim_by_arp(case):
            because = f"ARP for {format_address(4, packet.arp_sender)}, which is not bound to this line"
            return Verdict.BLOCK, because, place
        return Verdict.PERMIT, "ARP, which a line needs", place
    if validation.of_every_packet and is_for_routers_and_servers(packet):
        return Verdict.BLOCK, "only a router or a DHCP server may send this", place
    if validation is SourceValidation.BINDING and claims_what_is_not_its_own(case):
        because = f"it claims {format_address(6, packet.nd_target or 0)}, which is not bound to this line"
        return Verdict.BLOCK, because, place
    if is_service(packet) and has_no_address_yet(packet):
        return Verdict.PERMIT, "address resolution and configuration, which a line needs", place
    if is_relayed_request(packet):
        return Verdict.PERMIT, "a DHCPv6 request, handed on by a lightweight relay agent", place
    return None


def _no_ip_seen(case: PacketContext) -> _Answer | None:
    hardening, packet = case.policy.hardening, case.packet
    seen = packet.version is not None or packet.eth_type == ETH_ARP
    if case.switch.role_of(packet.in_port) is PortRole.SUBSCRIBER:
        seen = seen or packet.eth_type in hardening.ethertypes
    if seen or not hardening.block_encapsulation:
        return None
    because = f"ethertype {packet.eth_type:#06x}, under which a switch sees no IP"
    return Verdict.BLOCK, because, hardening.encapsulation_place


def _tunnelled(case: PacketContext) -> _Answer | None:
    tunnels, version = case.policy.hardening.tunnels, case.packet.version
    what = blocked_encapsulation(case)
    if version is None or what is None:
        return None
    if any(listed.prefix.contains(version, case.packet.destination) for listed in tunnels.permit_to):
        return None
    return Verdict.BLOCK, f"{what} to {case.destination}", tunnels.place


def _unreadable(case: PacketContext) -> _Answer | None:
    hardening = case.policy.hardening
    if not (hardening.block_unreadable_tcp and case.packet.is_unreadable_tcp) or static_here(case):
        return None
    because = "a fragment or header chain in which a switch cannot read the TCP port"
    return Verdict.BLOCK, because, hardening.unreadable_tcp_place


def _source_of_another(case: PacketContext) -> _Answer | None:
    """Validate the source (RFC 2827, RFC 3704), per switch or per line."""
    packet, hardening = case.packet, case.policy.hardening
    if packet.version is None or not hardening.source_validation.of_every_packet:
        return None
    place = hardening.source_validation_place
    if hardening.source_validation is SourceValidation.BINDING:
        if is_bound_here(case, packet.version, packet.source):
            return None
        line = SubscriberPort(case.switch.name, packet.in_port, packet.tag)
        because = f"{case.source} is not bound to {line}"
        return Verdict.BLOCK, because, place
    listed, _ = space(case, packet.source)
    if listed is None:
        return Verdict.BLOCK, f"{case.source} is not in the own space", place
    served = case.switch.serves
    if served is not None and longest(served, packet.version, packet.source) is None:
        return Verdict.BLOCK, f"{case.source} does not live behind {case.switch.name}", place
    return None


def _to_mail_destination(case: PacketContext) -> _Answer | None:
    mail = case.to_smtp and mail_destination(case, case.packet.destination)
    if not mail:
        return None
    because = f"port 25 of {case.destination}, which is in the mail destination {mail.prefix}"
    return Verdict.PERMIT, because, mail.place


def _under_exception(case: PacketContext) -> _Answer | None:
    if not case.to_smtp:
        return None
    for exception in case.policy.exceptions:
        if not exception.in_force(case.at):
            continue
        if isinstance(exception.source, SubscriberPort):
            from_there = comes_from(case, exception.source)
        else:
            from_there = exception.source.contains(case.packet.version or 0, case.packet.source)
        if from_there and is_destination(case, exception, case.packet.destination):
            because = f"exception '{exception.name}' is in force: {exception.reason or 'no reason given'}"
            return Verdict.PERMIT, because, exception.place
    return None


def _from_static_space(case: PacketContext) -> _Answer | None:
    listed = static_here(case) if case.to_smtp else None
    if listed is None:
        return None
    return Verdict.PERMIT, f"{case.source} is in the static space {listed.prefix}", listed.place


def _to_smtp_otherwise(case: PacketContext) -> _Answer | None:
    if not case.to_smtp:
        return None
    policy = case.policy
    listed, is_static = space(case, case.packet.source)
    if listed is None:
        if policy.hardening.source_validation is SourceValidation.OFF:
            because = f"{case.source} is not in the own space, and sources are not validated"
            return Verdict.PERMIT, because, policy.hardening.source_validation_place
        because = f"{case.source} is not in the own space, so port 25 is closed to it"
        return Verdict.BLOCK, because, policy.address_space_place
    if is_static:
        line = lines_of(policy, case.packet.version or 0, case.packet.source)[0]
        because = f"{case.source} is bound to {line} and is static only there"
        return Verdict.BLOCK, because, listed.place
    because = (
        f"{case.source} is in the dynamic space {listed.prefix}, so port 25 is open to mail destinations only"
    )
    return Verdict.BLOCK, because, listed.place


def _own_source_at_uplink(case: PacketContext) -> _Answer | None:
    """Block own addresses as sources at an uplink (RFC 2827)."""
    if case.policy.hardening.source_validation is SourceValidation.OFF:
        return None
    is_looked_at = case.policy.hardening.source_validation.of_every_packet or case.to_smtp or case.from_smtp
    listed, _ = space(case, case.packet.source)
    if listed is None or not is_looked_at or mail_destination(case, case.packet.source):
        return None
    because = f"{case.source} is in the own space {listed.prefix}, so it cannot come from an uplink"
    return Verdict.BLOCK, because, listed.place


def _spoofed_reply(case: PacketContext) -> _Answer | None:
    """Block the return leg of triangular spamming (Qian et al., IEEE S&P 2010)."""
    policy, packet = case.policy, case.packet
    listed, is_static = space(case, packet.destination)
    if not (case.from_smtp and policy.inbound.block_spoofed_replies) or listed is None or is_static:
        return None
    if mail_destination(case, packet.source) or any(
        is_reply(case, exception) for exception in policy.exceptions
    ):
        return None
    because = f"an answer from port 25 to the dynamic space {listed.prefix}, which may not have asked"
    return Verdict.BLOCK, because, policy.inbound.spoofed_replies_place


def _smtp_into_dynamic(case: PacketContext) -> _Answer | None:
    listed, is_static = space(case, case.packet.destination)
    if not case.to_smtp or listed is None or is_static:
        return None
    inbound = case.policy.inbound
    because = f"port 25 in the dynamic space {listed.prefix} from outside"
    if inbound.block_port_25:
        return Verdict.BLOCK, because, inbound.port_25_place
    return _expected_from_outside(case) or (Verdict.PERMIT, because, inbound.port_25_place)


def _trusted(case: PacketContext) -> _Answer:
    because = f"port {port_name(case.packet.in_port)} of {case.switch.name} is trusted"
    return Verdict.PERMIT, because, case.switch.place


def _expected_from_outside(case: PacketContext) -> _Answer | None:
    """Permit mail, and answers to mail, from sources that the policy names."""
    policy, packet = case.policy, case.packet
    is_validated = policy.hardening.source_validation is not SourceValidation.OFF
    answers_are_looked_at = case.from_smtp and policy.inbound.block_spoofed_replies
    mail = mail_destination(case, packet.source)
    if mail and (answers_are_looked_at or (is_validated and (case.from_smtp or case.to_smtp))):
        return Verdict.PERMIT, f"{case.source} is in the mail destination {mail.prefix}", mail.place
    for exception in policy.exceptions if answers_are_looked_at else ():
        if is_reply(case, exception):
            because = f"exception '{exception.name}' is in force, and this may be an answer to its mail"
            return Verdict.PERMIT, because, exception.place
    return None


def _exempt(case: PacketContext) -> _Answer | None:
    """Permit packets that would be blocked but for a prefix in the policy."""
    tunnels, version = case.policy.hardening.tunnels, case.packet.version
    what = blocked_encapsulation(case)
    if version is not None and what is not None:
        ends = longest(tunnels.permit_to, version, case.packet.destination)
        if ends is not None:
            return Verdict.PERMIT, f"{what} to {case.destination}, which is in {ends.prefix}", ends.place
    static = static_here(case) if case.packet.is_unreadable_tcp else None
    if static is not None and case.policy.hardening.block_unreadable_tcp:
        because = f"TCP that cannot be read, but {case.source} is in the static space {static.prefix}"
        return Verdict.PERMIT, because, static.place
    return None


def _everything_else(case: PacketContext) -> _Answer:
    from_outside = case.switch.role_of(case.packet.in_port) is PortRole.UPLINK
    special = _expected_from_outside(case) if from_outside else _exempt(case)
    if special is not None:
        return special
    because = "only TCP port 25 is looked at"
    if case.from_smtp or case.to_smtp:
        because = "nothing in the policy is against it"
    return Verdict.PERMIT, because, case.switch.place


_Question = Callable[[PacketContext], _Answer | None]
_QUESTIONS: dict[PortRole, tuple[tuple[int, _Question], ...]] = {
    PortRole.SUBSCRIBER: (
        (1, _under_forbidden_tag),
        (0, _what_a_line_needs),
        (1, _no_ip_seen),
        (1, _tunnelled),
        (1, _unreadable),
        (2, _source_of_another),
        (3, _to_mail_destination),
        (4, _under_exception),
        (5, _from_static_space),
        (6, _to_smtp_otherwise),
        (7, _everything_else),
    ),
    PortRole.UPLINK: (
        (1, _under_forbidden_tag),
        (1, _no_ip_seen),
        (2, _own_source_at_uplink),
        (3, _spoofed_reply),
        (4, _smtp_into_dynamic),
        (5, _everything_else),
    ),
    PortRole.TRUSTED: ((1, _trusted),),
}
"""Decisions for a port, in order. A line needs nothing under a tag that it may not carry: tags come first."""
