"""The specification in code: what happens to a packet, from the policy alone.

Nothing here is shared with the compiler, so that each can be tested against the other. The numbers
are those of the list of decisions in ``docs/decisions.md``; the first that applies wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from op25b_app.policy.model import (
    Line,
    Listed,
    MailException,
    Mode,
    Place,
    Policy,
    PortRole,
    SourceValidation,
    Switch,
    Verdict,
)
from op25b_app.policy.nat64 import embed
from op25b_app.policy.packet import Packet
from op25b_app.policy.prefix import format_address

_SMTP = 25


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, which decision of the list gives it, why, and the part of the policy it rests on."""

    verdict: Verdict
    rule: str
    because: str
    place: Place


def decide(policy: Policy, switch: Switch, packet: Packet, at: float) -> Decision:
    """What ``switch`` is to do with ``packet`` at a moment (seconds since 1970)."""
    case = _Case(policy, switch, packet, at)
    role = switch.role_of(packet.in_port)
    for number, question in _QUESTIONS[role]:
        answer = question(case)
        if answer is not None:
            verdict, because, place = answer
            if verdict is Verdict.BLOCK and switch.mode is Mode.MONITOR:
                verdict = Verdict.WOULD_BLOCK
            return Decision(verdict, f"{role.value}-{number}", because, place)
    raise AssertionError("the last question always has an answer")


_Answer = tuple[Verdict, str, Place]


@dataclass(frozen=True, slots=True)
class _Case:
    policy: Policy
    switch: Switch
    packet: Packet
    at: float

    @property
    def to_smtp(self) -> bool:
        return self.packet.is_tcp and self.packet.destination_port == _SMTP

    @property
    def from_smtp(self) -> bool:
        return self.packet.is_tcp and self.packet.source_port == _SMTP

    @property
    def source(self) -> str:
        return format_address(self.packet.version or 4, self.packet.source)

    @property
    def destination(self) -> str:
        return format_address(self.packet.version or 4, self.packet.destination)


def _to_mail_destination(case: _Case) -> _Answer | None:
    mail = case.to_smtp and _mail(case, case.packet.destination)
    if not mail:
        return None
    because = f"port 25 of {case.destination}, which is in the mail destination {mail.prefix}"
    return Verdict.PERMIT, because, mail.place


def _under_exception(case: _Case) -> _Answer | None:
    if not case.to_smtp:
        return None
    for exception in case.policy.exceptions:
        if not exception.in_force(case.at):
            continue
        if isinstance(exception.source, Line):
            from_there = exception.source == (case.switch.name, case.packet.in_port)
        else:
            from_there = exception.source.contains(case.packet.version or 0, case.packet.source)
        if from_there and _is_destination(case, exception, case.packet.destination):
            because = f"exception '{exception.name}' is in force: {exception.reason or 'no reason given'}"
            return Verdict.PERMIT, because, exception.place
    return None


def _from_static_space(case: _Case) -> _Answer | None:
    listed, is_static = _space(case, case.packet.source)
    if not (case.to_smtp and listed and is_static):
        return None
    lines = _lines_of(case.policy, case.packet.version or 0, case.packet.source)
    if lines and (case.switch.name, case.packet.in_port) not in lines:
        return None
    return Verdict.PERMIT, f"{case.source} is in the static space {listed.prefix}", listed.place


def _to_smtp_otherwise(case: _Case) -> _Answer | None:
    if not case.to_smtp:
        return None
    policy = case.policy
    listed, is_static = _space(case, case.packet.source)
    if listed is None:
        if policy.hardening.source_validation is SourceValidation.OFF:
            because = f"{case.source} is not in the own space, and sources are not validated"
            return Verdict.PERMIT, because, policy.hardening.source_validation_place
        because = f"{case.source} is not in the own space, so port 25 is closed to it"
        return Verdict.BLOCK, because, policy.address_space_place
    if is_static:
        name, port = _lines_of(policy, case.packet.version or 0, case.packet.source)[0]
        because = f"{case.source} is bound to port {port} of {name} and is static only there"
        return Verdict.BLOCK, because, listed.place
    because = (
        f"{case.source} is in the dynamic space {listed.prefix}, so port 25 is open to mail destinations only"
    )
    return Verdict.BLOCK, because, listed.place


def _own_source_at_uplink(case: _Case) -> _Answer | None:
    """RFC 2827: nobody behind an uplink sends with an address of this network."""
    if case.policy.hardening.source_validation is SourceValidation.OFF:
        return None
    listed, _ = _space(case, case.packet.source)
    if listed is None or not (case.to_smtp or case.from_smtp) or _mail(case, case.packet.source):
        return None
    because = f"{case.source} is in the own space {listed.prefix}, so it cannot come from an uplink"
    return Verdict.BLOCK, because, listed.place


def _spoofed_reply(case: _Case) -> _Answer | None:
    """The return leg of triangular spamming (Qian et al., IEEE S&P 2010)."""
    policy, packet = case.policy, case.packet
    listed, is_static = _space(case, packet.destination)
    if not (case.from_smtp and policy.inbound.block_spoofed_replies) or listed is None or is_static:
        return None
    if _mail(case, packet.source) or any(_is_reply(case, exception) for exception in policy.exceptions):
        return None
    because = f"an answer from port 25 to the dynamic space {listed.prefix}, which may not have asked"
    return Verdict.BLOCK, because, policy.inbound.spoofed_replies_place


def _smtp_into_dynamic(case: _Case) -> _Answer | None:
    listed, is_static = _space(case, case.packet.destination)
    if not case.to_smtp or listed is None or is_static:
        return None
    inbound = case.policy.inbound
    verdict = Verdict.BLOCK if inbound.block_port_25 else Verdict.PERMIT
    return verdict, f"port 25 in the dynamic space {listed.prefix} from outside", inbound.port_25_place


def _trusted(case: _Case) -> _Answer:
    because = f"port {case.packet.in_port} of {case.switch.name} is trusted"
    return Verdict.PERMIT, because, case.switch.place


def _everything_else(case: _Case) -> _Answer:
    because = "only TCP port 25 is looked at"
    if case.from_smtp or case.to_smtp:
        because = "nothing in the policy is against it"
    return Verdict.PERMIT, because, case.switch.place


_Question = Callable[[_Case], _Answer | None]
_QUESTIONS: dict[PortRole, tuple[tuple[int, _Question], ...]] = {
    PortRole.SUBSCRIBER: (
        (3, _to_mail_destination),
        (4, _under_exception),
        (5, _from_static_space),
        (6, _to_smtp_otherwise),
        (7, _everything_else),
    ),
    PortRole.UPLINK: (
        (2, _own_source_at_uplink),
        (3, _spoofed_reply),
        (4, _smtp_into_dynamic),
        (5, _everything_else),
    ),
    PortRole.TRUSTED: ((1, _trusted),),
}


def _mail(case: _Case, address: int) -> Listed | None:
    """The mail destination that holds ``address``, behind a NAT64 too."""
    for listed in case.policy.mail_destinations:
        if _holds(case, listed, address):
            return listed
    return None


def _holds(case: _Case, listed: Listed, address: int) -> bool:
    version = case.packet.version or 0
    if listed.prefix.contains(version, address):
        return True
    return listed.prefix.version == 4 and any(
        embed(nat64.prefix, listed.prefix).contains(version, address) for nat64 in case.policy.nat64_prefixes
    )


def _is_destination(case: _Case, exception: MailException, address: int) -> bool:
    if exception.destination is None:
        return True
    return _holds(case, Listed(exception.destination, exception.place), address)


def _is_reply(case: _Case, exception: MailException) -> bool:
    """Is the packet what the peer of an exception in force sends back?

    A line's dynamic address is not known from its port, so an unbound line may have any.
    """
    packet = case.packet
    if not (exception.in_force(case.at) and _is_destination(case, exception, packet.source)):
        return False
    if not isinstance(exception.source, Line):
        return exception.source.contains(packet.version or 0, packet.destination)
    bound = [listed for line, listed in _bound(case.policy.switches.values()) if line == exception.source]
    if not bound:
        return True
    return any(listed.prefix.contains(packet.version or 0, packet.destination) for listed in bound)


def _space(case: _Case, address: int) -> tuple[Listed | None, bool]:
    """The longest listed prefix that holds ``address``, and whether it is static; None where unlisted."""
    version = case.packet.version or 0
    dynamic = _longest(case.policy.dynamic, version, address)
    static = _longest(case.policy.static, version, address)
    if static and (not dynamic or static.prefix.length > dynamic.prefix.length):
        return static, True
    return dynamic, False


def _longest(listed: Iterable[Listed], version: int, address: int) -> Listed | None:
    holding = (entry for entry in listed if entry.prefix.contains(version, address))
    return max(holding, key=lambda entry: entry.prefix.length, default=None)


def _lines_of(policy: Policy, version: int, address: int) -> list[Line]:
    return [
        line for line, listed in _bound(policy.switches.values()) if listed.prefix.contains(version, address)
    ]


def _bound(switches: Iterable[Switch]) -> Iterable[tuple[Line, Listed]]:
    for switch in switches:
        for binding in switch.bindings:
            for listed in binding.addresses:
                yield Line(switch.name, binding.port), listed
