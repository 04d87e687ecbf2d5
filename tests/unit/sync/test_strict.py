"""Switches that take less than Open vSwitch: what is lost is said, and which setting does without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from op25b_app.openflow.flow_rule import NORMAL
from op25b_app.policy.loader import load
from op25b_app.policy.model import Hardening, Inbound, Policy, SourceValidation
from op25b_app.sync.desired_state import DesiredStates
from op25b_app.sync.remedies import alternatives
from op25b_app.sync.session import AUDIT_SECONDS
from testing.fake_switch import Abilities, FlowMod, Refusal
from testing.fake_switch.rules import remove
from tests.world import READ_BACK, RULES, World, desired

BAD_FIELD, BAD_MASK, BAD_VALUE = Refusal(4, 6), Refusal(4, 8), Refusal(4, 7)
PORTS = frozenset(range(1, 27))
MARKER = 2
WEB = {"in_port": 1, "vlan_vid": 0, "eth_type": 0x0800, "ip_proto": 6, "ipv4_dst": 1, "tcp_dst": 443}
SETTINGS = [
    (validation, tunnels, block)
    for validation in SourceValidation
    for tunnels in (True, False)
    for block in (True, False)
]


def policy(
    validation: SourceValidation = SourceValidation.PORT_25, *, tunnels: bool = False, block: bool = True
) -> Policy:
    """The example with these settings; ``block`` is for all that is True or False."""
    example = load(Path(__file__).parents[3] / "example.yaml", 0.0).policy
    assert example is not None
    hardening = replace(
        example.hardening,
        source_validation=validation,
        block_encapsulation=block,
        block_unreadable_tcp=block,
        tunnels=replace(example.hardening.tunnels, block=tunnels),
    )
    inbound = replace(example.inbound, block_port_25=block, block_spoofed_replies=block)
    return replace(example, hardening=hardening, inbound=inbound)


def connected(wanted: Policy, refuse: Callable[[FlowMod], Refusal | None], *, strict: bool = False) -> World:
    world = World(capabilities=Abilities(wide_masks=not strict), ports=PORTS)
    world.switch.conduct.refuse = refuse
    world.connect(DesiredStates(wanted, "5eed" * 16).of(wanted.switches["access-1"]))
    return world


@pytest.mark.parametrize(("validation", "tunnels", "block"), SETTINGS)
def test_a_switch_that_takes_no_mask_beyond_the_specification_holds_every_policy_but_for_claims(
    validation: SourceValidation, tunnels: bool, block: bool
) -> None:
    """OpenFlow 1.3.5, section 7.2.3.8: no mask on TCP and UDP ports, and none on targets of neighbours."""
    world = connected(policy(validation, tunnels=tunnels, block=block), lambda flow: None, strict=True)
    if validation is SourceValidation.BINDING:
        assert world.status[0] == "degraded"
        assert "refused 6 rules: it does not support a mask of the rule" in world.status[1]
        assert world.status[1].endswith(", which 'hardening.source_validation: prefix' does without")
        bound = {**WEB, "in_port": 3, "ipv4_src": 100 << 24 | 64 << 16 | 8 << 8 | 1}
        assert world.switch.forward(bound).passes
        assert not world.switch.forward({**bound, "in_port": 1}).passes
    else:
        assert world.status[0] == "protected"
        assert world.switch.forward({**WEB, "ipv4_src": 100 << 24 | 64 << 16 | 1}).passes


def asks(name: str, *values: int) -> Callable[[FlowMod], bool]:
    return lambda flow: any(
        field == name and (not values or value in values) for field, value, _ in flow.match
    )


@pytest.mark.parametrize(
    ("refused", "setting"),
    [
        (asks("tcp_dst", 0), "hardening.unreadable_tcp: permit"),
        (asks("ip_proto", 0), "hardening.unreadable_tcp: permit"),
        (asks("ip_proto", 43, 135), "hardening.unreadable_tcp: permit"),
        (asks("vlan_vid"), "hardening.encapsulation: permit"),
        (asks("ip_proto", 47), "hardening.tunnels: permit"),
        (asks("ipv6_nd_target"), "hardening.source_validation: prefix"),
        (asks("arp_spa"), "hardening.source_validation: prefix"),
        (asks("icmpv6_type", 134), "hardening.source_validation: port-25"),
        (
            asks("ip_proto", 47, 0),
            "hardening.tunnels: permit' and 'hardening.unreadable_tcp: permit' do",
        ),
    ],
)
def test_what_is_refused_is_reported_with_the_setting_that_does_without_it(
    refused: Callable[[FlowMod], bool], setting: str
) -> None:
    strictest = policy(SourceValidation.BINDING, tunnels=True)
    world = connected(strictest, lambda flow: BAD_FIELD if refused(flow) else None)
    assert world.status[0] == "degraded"
    named = f"'{setting} without" if setting.endswith(" do") else f"'{setting}' does without"
    assert f", which {named}" in world.status[1]


@pytest.mark.parametrize("refused", [asks("ipv6_src"), asks("eth_type", 0x86DD)])
def test_no_setting_is_named_where_none_does_without(refused: Callable[[FlowMod], bool]) -> None:
    world = connected(policy(), lambda flow: BAD_FIELD if refused(flow) and flow.priority > MARKER else None)
    assert "refused" in world.status[1]
    assert "does without" not in world.status[1]


def test_a_setting_that_was_named_does_without() -> None:
    """Put in force, it makes the switch as wanted."""
    refused = asks("vlan_vid")
    world = connected(policy(), lambda flow: BAD_FIELD if refused(flow) else None)
    assert "'hardening.encapsulation: permit'" in world.status[1]
    hardening = replace(policy().hardening, block_encapsulation=False)
    milder = replace(policy(), hardening=hardening)
    new = DesiredStates(milder, "beef" * 16).of(milder.switches["access-1"])
    world.run(world.session.assign(new, world.now))
    assert world.status[0] == "protected"


def test_every_setting_that_blocks_has_a_milder_one() -> None:
    """Also one that is yet to come: each field of the model is changed by one of the alternatives."""
    strictest = policy(SourceValidation.BINDING, tunnels=True)
    strictest = replace(strictest, hardening=replace(strictest.hardening, ethertypes=frozenset({0x888E})))
    milder = [changed for _, changed in alternatives(strictest)]
    for kind, part in ((Hardening, "hardening"), (Inbound, "inbound")):
        for field in fields(kind):
            if field.name.endswith("place"):
                continue
            before = getattr(getattr(strictest, part), field.name)
            assert any(getattr(getattr(each, part), field.name) != before for each in milder), field.name
    assert not [*alternatives(policy(SourceValidation.OFF, block=False))]


@pytest.mark.parametrize("block", [True, False])
def test_without_tunnels_no_udp_port_is_blocked_either(block: bool) -> None:
    loose = policy(SourceValidation.OFF, block=False)
    tunnels = replace(loose.hardening.tunnels, block=block, udp_ports=frozenset({4789}))
    with_ports = replace(loose, hardening=replace(loose.hardening, tunnels=tunnels))
    ((setting, milder),) = alternatives(with_ports)
    assert setting == "hardening.tunnels: permit"
    assert milder.hardening.tunnels == loose.hardening.tunnels


@pytest.mark.parametrize("bundles", [True, False])
def test_a_refused_marker_leaves_the_switch_protected_and_says_what_is_lost(bundles: bool) -> None:
    world = World(capabilities=Abilities(bundles=bundles))
    world.switch.conduct.refuse = lambda flow: BAD_FIELD if flow.priority == MARKER else None
    world.connect(desired())
    state, reason = world.status
    assert state == "protected"
    assert reason.startswith(
        f"{READ_BACK}; it takes no rule that says which policy it holds (it cannot match"
    )
    assert reason.endswith("so after a start the controller cannot distinguish a newer policy from its own")
    world.switch.flow_mods.clear()
    world.wait(3 * AUDIT_SECONDS)
    assert len(world.switch.flow_mods) <= 2 * 4, "one attempt at each audit, and one without a bundle"
    remove(world.switch, RULES[0])
    world.run_told()
    world.wait(1)
    assert RULES[0] in world.rules
    fewer = [*RULES[:3], RULES[4]._replace(action=NORMAL), *RULES[5:]]
    world.run(world.session.assign(desired(fewer)._replace(digest="beef" * 16), world.now))
    assert world.status[0] == "protected"
    assert set(world.rules) == set(fewer)
    world.switch.conduct.refuse = lambda flow: None
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected"
    assert "it takes no rule" not in world.status[1]
