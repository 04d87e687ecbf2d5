"""A new key cannot be forgotten: a trial key, ``udp_25``, is added, and all that compares policies notices.

The three readings of a policy (decide, compiler, specification) are given its meaning here: it blocks UDP to
port 25 from subscribers. Nothing else is told of it, and nothing else may need to be.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from op25b_app.compiler.compiler import Compiler, compile_rules
from op25b_app.compiler.switch_context import SwitchContext
from op25b_app.diff import Kind, VerdictChange, effect
from op25b_app.policy import model
from op25b_app.policy.canonical import meaning
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Hardening, Inbound, Policy, Switch, Tunnels, Verdict
from op25b_app.policy.packet import UDP
from op25b_app.policy.packet_context import PacketContext
from op25b_app.policy.packet_text import make_packet
from op25b_app.policy.schema import Choice, HardeningSection, PolicySchema
from op25b_app.sync.desired_state import DesiredStates
from op25b_app.sync.remedies import alternatives
from op25b_app.verify.symbolic_policy import SymbolicPolicy
from tests.unit import test_documentation
from tests.unit.diff import test_every_field
from tests.unit.diff.test_every_field import BASE, ELSEWHERE, NAME, PEER
from tests.written import AT

DIGEST = "5eed" * 16
PACKET = make_packet(1, (4, 0x64400001), (4, 0xCB007105), UDP, (49152, 25))


class HardeningSectionWithTrialKey(HardeningSection):
    """The section of the file with the trial key."""

    udp_25: Choice = "permit"


class DocumentWithTrialKey(PolicySchema):
    """The whole file with the trial key."""

    hardening: HardeningSectionWithTrialKey = HardeningSectionWithTrialKey()


def with_trial_field(part: type) -> Any:
    """Return the class with a field more, under its own name."""
    return dataclasses.make_dataclass(
        part.__name__,
        [("udp_25", bool, dataclasses.field(default=False))],
        bases=(part,),
        namespace={"__module__": part.__module__},
        frozen=True,
        slots=True,
    )


TrialHardening, TrialSwitch = with_trial_field(Hardening), with_trial_field(Switch)


def values_of(part: Any) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}


def policy_with(hardening: bool = False, switch: bool = False) -> Policy:
    """The base policy, with the trial key as a key of ``hardening`` and of one switch."""
    switches = {
        name: TrialSwitch(**values_of(each), udp_25=switch and name == NAME)
        for name, each in BASE.switches.items()
    }
    return replace(
        BASE,
        hardening=TrialHardening(**values_of(BASE.hardening), udp_25=hardening),
        switches=MappingProxyType(switches),
    )


WITHOUT = policy_with()
AS_KEY = {"hardening": policy_with(hardening=True), "switch": policy_with(switch=True)}


def in_known_keys(policy: Policy, switch: Switch) -> Policy:
    """Return a policy that says the same in the keys there are."""
    hardening = policy.hardening
    if not (getattr(hardening, "udp_25", False) or getattr(switch, "udp_25", False)):
        return policy
    tunnels = replace(hardening.tunnels, udp_ports=hardening.tunnels.udp_ports | {25})
    return replace(policy, hardening=replace(hardening, tunnels=tunnels))


@pytest.fixture(autouse=True)
def _readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each of the three readings know the trial key."""

    def reading(read: Callable[..., None], position: int) -> Callable[..., None]:
        def with_known_keys(self: Any, *given: Any, **named: Any) -> None:
            policy, switch = given[position : position + 2]
            known = in_known_keys(policy, switch)
            read(self, *given[:position], known, *given[position + 1 :], **named)

        return with_known_keys

    for each, position in ((PacketContext, 0), (SwitchContext, 0), (SymbolicPolicy, 1)):
        monkeypatch.setattr(each, "__init__", reading(each.__init__, position))


@pytest.mark.parametrize("where", AS_KEY)
def test_the_readings_know_it(where: str) -> None:
    """Otherwise the tests below would show nothing."""
    policy = AS_KEY[where]
    assert decide(WITHOUT, WITHOUT.switches[NAME], PACKET, AT).verdict is Verdict.PERMIT
    assert decide(policy, policy.switches[NAME], PACKET, AT).verdict is Verdict.BLOCK
    assert compile_rules(policy, policy.switches[NAME], AT) != compile_rules(
        WITHOUT, WITHOUT.switches[NAME], AT
    )


@pytest.mark.parametrize("where", AS_KEY)
def test_diff_tells_it(where: str) -> None:
    reported = effect(WITHOUT, AS_KEY[where], AT)
    assert not reported.treats_all_alike
    assert reported.untouched == (() if where == "hardening" else (PEER,))
    traffic = [each for found in reported.switches for each in found.traffic]
    assert {(each.change, each.kind) for each in traffic} == {(VerdictChange.BLOCKED, Kind.UDP_PORT)}
    assert all(rules.added for found in reported.switches for rules in found.rules.values())


@pytest.mark.parametrize("where", AS_KEY)
def test_a_proof_without_it_is_none_with_it(where: str) -> None:
    before = DesiredStates(WITHOUT, DIGEST)
    after = DesiredStates(AS_KEY[where], DIGEST, before)
    old, new = before.of(WITHOUT.switches[NAME]), after.of(AS_KEY[where].switches[NAME])
    table = old.wanted(AT, 254)
    assert old.violation(table, frozenset(), (), AT) is None
    assert not new.is_judged(table, frozenset())
    reported = new.violation(table, frozenset(), (), AT)
    assert reported is not None
    assert "gives permit where the policy says block" in reported
    assert new.violation(new.wanted(AT, 254), frozenset(), (), AT) is None


def test_a_proof_for_a_switch_without_it_is_none_for_its_twin_with_it() -> None:
    """Both are switches of one policy, so their proofs are remembered together."""
    switch = WITHOUT.switches[PEER]
    policy = replace(
        WITHOUT,
        switches=MappingProxyType(
            {PEER: switch, "access-3": replace(switch, name="access-3", dpid=3, udp_25=True)}  # type: ignore[call-arg]
        ),
    )
    assignments = DesiredStates(policy, DIGEST)
    one, other = (assignments.of(each) for each in policy.switches.values())
    table = one.wanted(AT, 254)
    assert one.violation(table, frozenset(), (), AT) is None
    assert not other.is_judged(table, frozenset())
    assert other.violation(table, frozenset(), (), AT) is not None


def test_the_compiler_takes_no_rules_over_from_a_policy_without_it() -> None:
    policy, before = AS_KEY["hardening"], Compiler(WITHOUT)
    for switch in WITHOUT.switches.values():
        before.rules(switch, AT)
    compiler = Compiler(policy, before)
    for switch in policy.switches.values():
        assert set(compiler.rules(switch, AT)) == set(compile_rules(policy, switch, AT))


@pytest.mark.parametrize("part", [TrialHardening, TrialSwitch], ids=lambda part: str(part.__name__))
def test_the_list_of_fields_misses_it(part: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = test_every_field.all_fields()
    monkeypatch.setattr(model, part.__name__, part)
    assert test_every_field.all_fields() - known == {(part.__name__, "udp_25")}
    with pytest.raises(AssertionError, match="udp_25"):
        test_every_field.test_every_field_is_classified()


def test_the_documentation_misses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_documentation, "PolicySchema", DocumentWithTrialKey)
    with pytest.raises(AssertionError, match=r"hardening\.udp_25"):
        test_documentation.test_every_key_is_in_the_table_with_its_default()


def test_the_json_schema_has_it() -> None:
    schema = DocumentWithTrialKey.model_json_schema()
    section = schema["$defs"]["HardeningSectionWithTrialKey"]["properties"]
    assert section.keys() - HardeningSection.model_fields.keys() == {"udp_25"}
    assert json.loads(json.dumps(section["udp_25"]))["enum"] == ["block", "permit"]


STRICT = replace(
    BASE,
    inbound=Inbound(True, True, ELSEWHERE, ELSEWHERE),
    hardening=replace(
        BASE.hardening,
        ethertypes=frozenset({0x88CC}),
        tunnels=Tunnels(True, (), frozenset({4789}), ELSEWHERE),
    ),
)


def without_remedy(policy: Policy) -> set[str]:
    """Return the settings that no remedy changes, though a switch may refuse their rules."""
    less = [changed for _, changed in alternatives(policy)]
    return {
        name
        for section in ("inbound", "hardening")
        for name, value in values_of(getattr(policy, section)).items()
        if not isinstance(value, model.SourceLocation)
        and all(getattr(getattr(changed, section), name) == value for changed in less)
    }


def test_the_remedies_miss_it() -> None:
    assert without_remedy(STRICT) == set()
    hardening = TrialHardening(**values_of(STRICT.hardening), udp_25=True)
    assert without_remedy(replace(STRICT, hardening=hardening)) == {"udp_25"}


def parts(value: Any) -> Iterator[Any]:
    """Yield a part of the policy and all parts that it is made of."""
    if isinstance(value, MappingProxyType):
        value = tuple(value.values())
    if isinstance(value, tuple) and not isinstance(value, model.SourceLocation):
        for each in value:
            yield from parts(each)
    if dataclasses.is_dataclass(value):
        yield value
        for each in values_of(value).values():
            yield from parts(each)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        pytest.param(part, field.name, id=f"{type(part).__name__}.{field.name}")
        for part in {type(part): part for part in parts(WITHOUT)}.values()
        for field in dataclasses.fields(part)
    ],
)
def test_what_is_compared_depends_on_every_field_but_places(part: Any, name: str) -> None:
    field = next(each for each in dataclasses.fields(part) if each.name == name)
    is_place = isinstance(getattr(part, name), model.SourceLocation)
    changed = replace(part, **{name: ELSEWHERE if is_place else frozenset({"another value"})})
    assert (meaning(changed) == meaning(part)) is (is_place or not field.compare)
