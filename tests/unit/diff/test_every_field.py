"""Every field of the policy model is looked at by what compares, shares or remembers; a new one fails here.

Whoever adds a field says below what it changes, or that it changes nothing for any packet.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from op25b_app.compiler.compiler import _DIRECTIONS, Compiler, compile_rules
from op25b_app.compiler.egress import source_batches
from op25b_app.compiler.switch_context import SwitchContext
from op25b_app.diff import effect
from op25b_app.diff.policy_diff import _FOR_PEOPLE, _NOT_OF_EVERY_SWITCH, _WHICH_SWITCH
from op25b_app.net.port_number import NO_PORT
from op25b_app.net.prefix import Prefix
from op25b_app.policy import model
from op25b_app.policy.canonical import meaning
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.model import (
    Binding,
    CertificateName,
    Hardening,
    Inbound,
    LearnedLines,
    MailException,
    Mode,
    NamedPorts,
    Policy,
    PortRole,
    SourceLocation,
    SourceValidation,
    SubscriberPort,
    Switch,
    Tunnels,
)
from op25b_app.sync.desired_state import _WITHOUT_VERDICT, DesiredStates
from tests.generated import SNOOPING
from tests.written import AT, PLACE, listed

ELSEWHERE = SourceLocation("other.yaml", 9, 9)
NAME, PEER = "access-1", "access-2"


def switch(name: str, dpid: int) -> Switch:
    return Switch(
        name=name,
        dpid=dpid,
        subscriber_ports=frozenset({1, 2}),
        uplink_ports=frozenset({3}),
        trusted_ports=frozenset({4}),
        mode=Mode.ENFORCE,
        place=PLACE,
        bindings=(Binding(2, None, listed("100.64.8.0/24"), PLACE),) if name == NAME else (),
    )


BASE = Policy(
    isp_name="Example",
    mail_destinations=listed("192.0.2.0/24"),
    nat64_prefixes=(),
    dynamic=listed("100.64.0.0/10", "2001:db8::/32"),
    static=listed("100.64.8.0/24"),
    inbound=Inbound(True, False, PLACE, PLACE),
    hardening=Hardening(
        source_validation=SourceValidation.PREFIX,
        block_encapsulation=True,
        ethertypes=frozenset(),
        tunnels=Tunnels(True, (), frozenset(), PLACE),
        block_unreadable_tcp=True,
        source_validation_place=PLACE,
        encapsulation_place=PLACE,
        unreadable_tcp_place=PLACE,
    ),
    exceptions=(
        MailException("one", Prefix.parse("100.64.3.7/32"), Prefix.parse("203.0.113.0/24"), None, "", PLACE),
    ),
    switches=MappingProxyType({NAME: switch(NAME, 1), PEER: switch(PEER, 2)}),
    address_space_place=PLACE,
)
BOUND = replace(BASE, hardening=replace(BASE.hardening, source_validation=SourceValidation.BINDING))


def of(part: str, **changes: Any) -> Callable[[Policy], Policy]:
    """Change fields of one part of a policy."""

    def change(policy: Policy) -> Policy:
        if part == "Policy":
            return replace(policy, **changes)
        if part == "Inbound":
            return replace(policy, inbound=replace(policy.inbound, **changes))
        if part == "Hardening":
            return replace(policy, hardening=replace(policy.hardening, **changes))
        if part == "Tunnels":
            tunnels = replace(policy.hardening.tunnels, **changes)
            return replace(policy, hardening=replace(policy.hardening, tunnels=tunnels))
        if part == "MailException":
            return replace(policy, exceptions=(replace(policy.exceptions[0], **changes),))
        looked_at = policy.switches[NAME]
        if part == "Binding":
            changed_switch = replace(looked_at, bindings=(replace(looked_at.bindings[0], **changes),))
        else:
            changed_switch = replace(looked_at, **changes)
        changed = {**policy.switches, NAME: changed_switch}
        return replace(policy, switches=MappingProxyType(changed))

    return change


NAMED = NamedPorts("eth5", PortRole.UPLINK, None, PLACE)
WAITING = MailException(
    "line", SubscriberPort(NAME, NO_PORT), Prefix.parse("203.0.113.0/24"), None, "", PLACE, port_name="eth1"
)


def by_name(**changes: Any) -> Callable[[Policy], Policy]:
    """Change what is said of a port with a name."""
    return of("Switch", by_name=(replace(NAMED, **changes),))


def both(one: Callable[[Policy], Policy], other: Callable[[Policy], Policy]) -> Callable[[Policy], Policy]:
    """Make one change, and then the other."""
    return lambda policy: other(one(policy))


CHANGES: dict[tuple[str, str], Callable[[Policy], Policy]] = {
    ("Policy", "mail_destinations"): of("Policy", mail_destinations=listed("192.0.2.0/25")),
    ("Policy", "nat64_prefixes"): of("Policy", nat64_prefixes=listed("64:ff9b::/96")),
    ("Policy", "dynamic"): of("Policy", dynamic=listed("100.64.0.0/11", "2001:db8::/32")),
    ("Policy", "static"): of("Policy", static=listed("100.64.0.0/22")),
    ("Inbound", "block_spoofed_replies"): of("Inbound", block_spoofed_replies=False),
    ("Inbound", "block_port_25"): of("Inbound", block_port_25=True),
    ("Hardening", "source_validation"): of("Hardening", source_validation=SourceValidation.OFF),
    ("Hardening", "block_encapsulation"): of("Hardening", block_encapsulation=False),
    ("Hardening", "ethertypes"): of("Hardening", ethertypes=frozenset({0x88CC})),
    ("Hardening", "block_unreadable_tcp"): of("Hardening", block_unreadable_tcp=False),
    ("Tunnels", "block"): of("Tunnels", block=False),
    ("Tunnels", "permit_to"): of("Tunnels", permit_to=listed("203.0.113.0/24")),
    ("Tunnels", "udp_ports"): of("Tunnels", udp_ports=frozenset({4789})),
    ("MailException", "source"): of("MailException", source=SubscriberPort(NAME, 1)),
    ("MailException", "destination"): of("MailException", destination=None),
    ("MailException", "expires"): of("MailException", expires=int(AT) - 1),
    ("MailException", "starts"): of("MailException", starts=int(AT) + 1),
    ("Switch", "uplink_ports"): of("Switch", uplink_ports=frozenset({3, 5})),
    ("Switch", "trusted_ports"): of("Switch", trusted_ports=frozenset({5})),
    ("Switch", "mode"): of("Switch", mode=Mode.MONITOR),
    ("Switch", "serves"): of("Switch", serves=listed("100.64.0.0/24")),
    ("Switch", "vlans"): of("Switch", vlans=MappingProxyType({1: frozenset({7})})),
    ("Switch", "bindings"): of("Switch", bindings=()),
    ("Binding", "port"): of("Binding", port=1),
    ("Binding", "mac"): of("Binding", mac=0x020000000001),
    ("Binding", "vlan"): of("Binding", vlan=7),
    ("Binding", "addresses"): of("Binding", addresses=listed("100.64.8.0/25")),
}
"""Of each field a change that some packet feels at the switch that is looked at, and at no other."""
OTHERWISE = {
    ("Switch", "forwarding_table"): of("Switch", forwarding_table=7),
    ("LineSource", "kind"): of("Policy", lines=SNOOPING),
    ("Switch", "muted_lines"): both(
        of("Policy", lines=SNOOPING), of("Switch", muted_lines=frozenset({(1, None)}))
    ),
}
"""What changes rules, and no verdict."""
WITHOUT_EFFECT = {
    ("Policy", "isp_name"): of("Policy", isp_name="Another"),
    ("Policy", "lines"): of("Policy", lines=LearnedLines((), False, 3600, PLACE)),
    ("MailException", "name"): of("MailException", name="another"),
    ("MailException", "reason"): of("MailException", reason="another"),
    ("Switch", "subscriber_ports"): of("Switch", subscriber_ports=frozenset({1, 2, 9})),
    ("Switch", "certificate"): of("Switch", certificate=CertificateName("ab" * 32)),
    ("MailException", "port_name"): of("MailException", port_name="eth1"),
}
BY_NAME = {
    ("Switch", "by_name"): of("Switch", by_name=()),
    ("NamedPorts", "pattern"): by_name(pattern="eth9"),
    ("NamedPorts", "role"): by_name(role=PortRole.TRUSTED),
    ("NamedPorts", "tags"): by_name(role=None, tags=frozenset({7})),
    ("Binding", "port_name"): of("Binding", port=NO_PORT, port_name="eth1"),
    ("Policy", "exceptions_by_name"): of("Policy", exceptions_by_name=(WAITING,)),
}
"""What has an effect once the switch describes its ports."""
PARTS = {("Policy", "inbound"), ("Policy", "hardening"), ("Policy", "exceptions"), ("Policy", "switches")}
PARTS |= {("Hardening", "tunnels")}
"""What is made of other parts, whose fields are looked at."""
LEARNING = {("LearnedLines", name) for name in ("sources", "forget_on_loss", "stale")}
LEARNING |= {("LineSource", name) for name in ("name", "file", "pattern", "token_file", "every")}
"""How addresses of lines are learned. What was learned is felt, as bindings."""
WHICH = {("Switch", "name"), ("Switch", "dpid")}
"""Which switch it is: told as renamed and as another datapath."""


def all_fields() -> set[tuple[str, str]]:
    classes = [each for _, each in inspect.getmembers(model, inspect.isclass)]
    parts = [each for each in classes if dataclasses.is_dataclass(each) and each.__module__ == model.__name__]
    named = [(part, field) for part in parts for field in dataclasses.fields(part) if field.compare]
    return {(part.__name__, field.name) for part, field in named if field.type != "SourceLocation"}


def test_every_field_is_classified() -> None:
    named = BY_NAME.keys()
    known = [CHANGES.keys(), OTHERWISE.keys(), WITHOUT_EFFECT.keys(), named, PARTS, LEARNING, WHICH]
    assert all_fields() == set().union(*known)
    assert sum(map(len, known)) == len(all_fields())


def test_what_is_left_out_of_comparisons_is_a_field() -> None:
    for part, left_out in (
        (Policy, _NOT_OF_EVERY_SWITCH),
        (MailException, _FOR_PEOPLE),
        (Switch, _WHICH_SWITCH | _WITHOUT_VERDICT),
    ):
        assert left_out <= {field.name for field in dataclasses.fields(part)}


def base_of(field: tuple[str, str]) -> Policy:
    return BOUND if field[0] == "Binding" or field[1] == "bindings" else BASE


@pytest.mark.parametrize("field", CHANGES, ids=".".join)
def test_a_change_of_it_is_reported_by_diff(field: tuple[str, str]) -> None:
    old = base_of(field)
    reported = effect(old, CHANGES[field](old), AT, only=[NAME])
    assert reported.untouched == ()
    assert not reported.treats_all_alike
    assert any(found.traffic for found in reported.switches)


@pytest.mark.parametrize("field", BY_NAME, ids=".".join)
def test_what_is_said_by_name_is_reported_once_the_ports_are_known(field: tuple[str, str]) -> None:
    """Before, it says nothing of any packet."""
    ports = frozenset({("eth1", 1), ("eth2", 2), ("eth5", 5), ("eth9", 9)})
    old = of("Switch", by_name=(NAMED,))(base_of(field))
    old, new = (in_effect(each, Facts(ports={NAME: ports})) for each in (old, BY_NAME[field](old)))
    reported = effect(old, new, AT, only=[NAME])
    assert reported.untouched == ()
    assert any(found.traffic for found in reported.switches)


@pytest.mark.parametrize("field", WITHOUT_EFFECT, ids=".".join)
def test_what_is_without_effect_changes_no_packet_and_no_rule(field: tuple[str, str]) -> None:
    new = WITHOUT_EFFECT[field](BASE)
    assert new != BASE
    reported = effect(BASE, new, AT, only=[NAME])
    assert reported.treats_all_alike
    assert not any(sum(rules[:3]) for found in reported.switches for rules in found.rules.values())


@pytest.mark.parametrize("field", [*CHANGES, *OTHERWISE], ids=".".join)
def test_the_compiler_takes_nothing_over_that_it_changes(field: tuple[str, str]) -> None:
    old = base_of(field)
    new = {**CHANGES, **OTHERWISE}[field](old)
    before = Compiler(old)
    rules = before.rules(old.switches[NAME], AT)
    compiled = Compiler(new, before).rules(new.switches[NAME], AT)
    assert set(compiled) == set(compile_rules(new, new.switches[NAME], AT))
    assert set(compiled) != set(rules)


OF_SWITCH = [field for field in (*CHANGES, *OTHERWISE) if field[0] in ("Switch", "Binding")]


def side_by_side(field: tuple[str, str]) -> Policy:
    """A policy with two switches that differ in this field alone."""
    old = base_of(field)
    new = {**CHANGES, **OTHERWISE}[field](old).switches[NAME]
    twins = {NAME: old.switches[NAME], PEER: replace(new, name=PEER, dpid=2)}
    return replace(old, switches=MappingProxyType(twins))


@pytest.mark.parametrize("field", OF_SWITCH, ids=".".join)
def test_switches_that_differ_in_it_do_not_share_rules(field: tuple[str, str]) -> None:
    policy = side_by_side(field)
    compiler = Compiler(policy)
    for each in policy.switches.values():
        assert set(compiler.rules(each, AT)) == set(compile_rules(policy, each, AT))


@pytest.mark.parametrize("field", OF_SWITCH, ids=".".join)
def test_a_proof_for_one_switch_is_none_for_another_that_differs_in_it(
    field: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's table is judged anew, though it is the same table."""
    judged: list[str] = []

    proven = DesiredStates._proven

    def counted(states: DesiredStates, switch: Switch, *rest: Any) -> str | None:
        judged.append(switch.name)
        return proven(states, switch, *rest)

    monkeypatch.setattr(DesiredStates, "_proven", counted)
    policy = side_by_side(field)
    desired_states = DesiredStates(policy, "5eed" * 16)
    one, other = (desired_states.of(each) for each in policy.switches.values())
    wanted = one.wanted(AT, 254)
    assert one.violation(wanted, frozenset(), (), AT) is None
    reported = other.violation(wanted, frozenset(), (), AT)
    assert judged == [NAME, PEER]
    if field in CHANGES:
        assert reported is not None
        assert reported.startswith("not proven: ")


def bound_at_the_peer(*lines: tuple[int, str]) -> Policy:
    """A policy with addresses bound at the other switch, and an exception of its line 1."""
    bindings = tuple(Binding(port, None, listed(prefix), PLACE) for port, prefix in lines)
    switches = {**BASE.switches, PEER: replace(BASE.switches[PEER], bindings=bindings)}
    mail = MailException("line", SubscriberPort(PEER, 1), Prefix.parse("203.0.113.0/24"), None, "", PLACE)
    return replace(BASE, exceptions=(mail,), switches=MappingProxyType(switches))


ELSEWHERE_BOUND = {
    "a static address is static on its own line only": (
        bound_at_the_peer(),
        bound_at_the_peer((2, "100.64.9.0/24")),
    ),
    "an answer is for the addresses of the line with the exception": (
        bound_at_the_peer((1, "100.64.1.0/24"), (2, "100.64.2.0/24")),
        bound_at_the_peer((2, "100.64.1.0/24"), (1, "100.64.2.0/24")),
    ),
}


@pytest.mark.parametrize("change", ELSEWHERE_BOUND)
def test_a_binding_of_another_switch_is_reported_where_packets_feel_it(change: str) -> None:
    old, new = (
        replace(policy, static=listed("100.64.8.0/24", "100.64.9.0/24")) for policy in ELSEWHERE_BOUND[change]
    )
    reported = effect(old, new, AT, only=[NAME])
    assert reported.untouched == ()
    assert any(found.traffic for found in reported.switches)


def test_a_proof_is_of_one_name_where_a_line_has_an_exception() -> None:
    """Two switches that differ in their names alone: an exception is of a line of one of them."""
    twin = BASE.switches[PEER]
    mail = MailException("line", SubscriberPort(PEER, 1), Prefix.parse("203.0.113.0/24"), None, "", PLACE)
    switches = {PEER: twin, "access-3": replace(twin, name="access-3", dpid=3)}
    policy = replace(BASE, exceptions=(mail,), switches=MappingProxyType(switches))
    desired_states = DesiredStates(policy, "5eed" * 16)
    one, other = (desired_states.of(each) for each in policy.switches.values())
    wanted = one.wanted(AT, 254)
    assert one.violation(wanted, frozenset(), (), AT) is None
    assert other.violation(wanted, frozenset(), (), AT) is not None


class _Watched:
    """A switch that remembers which of its fields were asked for."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.asked.add(name)
        return getattr(self._switch, name)


@pytest.mark.parametrize("validation", SourceValidation)
def test_rules_that_switches_share_depend_on_what_they_are_shared_by(validation: SourceValidation) -> None:
    policy = replace(BASE, hardening=replace(BASE.hardening, source_validation=validation))
    watched = _Watched(replace(policy.switches[NAME], serves=listed("100.64.0.0/24")))
    scope = SwitchContext(policy, watched, AT)  # type: ignore[arg-type]
    watched.asked.clear()
    for part in (*(each for direction in _DIRECTIONS for each in direction), source_batches):
        list(part(scope))
    assert watched.asked <= {"mode", "forwarding_table"}


def test_where_a_thing_is_written_means_nothing() -> None:
    moved = replace(
        BASE,
        dynamic=tuple(entry._replace(place=ELSEWHERE) for entry in BASE.dynamic),
        inbound=replace(BASE.inbound, port_25_place=ELSEWHERE),
        address_space_place=ELSEWHERE,
    )
    assert moved != BASE
    assert meaning(moved) == meaning(BASE)
    assert meaning(BASE.switches[NAME]) != meaning(BASE.switches[PEER])


def test_a_binding_matters_to_other_switches_only_for_static_addresses() -> None:
    base = replace(BASE, static=listed("100.64.8.0/24", "100.64.9.0/24"))

    def matters_to_the_peer(prefix: str) -> bool:
        bound = replace(
            base.switches[NAME], bindings=(Binding(2, None, listed("100.64.8.0/24", prefix), PLACE),)
        )
        new = replace(base, switches=MappingProxyType({**base.switches, NAME: bound}))
        return PEER not in effect(base, new, AT).untouched

    assert matters_to_the_peer("100.64.9.0/24")
    assert not matters_to_the_peer("100.64.99.0/24")
