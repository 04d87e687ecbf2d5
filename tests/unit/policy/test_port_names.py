"""Ports by name: how they are written, and what they become where a switch describes its ports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.diff import effect
from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.net.prefix import parse_address
from op25b_app.policy.canonical import meaning
from op25b_app.policy.decide import decide
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.model import Policy, PortRole, Switch, Verdict
from op25b_app.policy.packet import TCP
from op25b_app.policy.packet_text import make_packet
from op25b_app.policy.port_names import is_unresolved, missing_ports
from op25b_app.sync.ports import name_problems

NOW = 1_800_000_000.0
POLICY = """\
isp: {{mail_destinations: [192.0.2.25]}}
address_space: {{dynamic: [100.64.0.0/10], static: [100.64.8.0/24]}}
exceptions: [{exceptions}]
switches:
  access-1: {{dpid: 1, {switch}}}
  access-2: {{dpid: 2, subscriber_ports: [1], uplink_ports: [2]}}
"""
ROLES = "subscriber_ports: ['vlan*'], uplink_ports: [eth25], trusted_ports: [26]"
PORTS = {"vlan1": 1, "vlan2": 2, "eth25": 25, "eth26": 26, "br": LOCAL_PORT}


def loaded(switch: str = ROLES, exceptions: str = "", **files: str) -> Loaded:
    contents = {"policy.yaml": POLICY.format(switch=switch, exceptions=exceptions), **files}
    return load(Path("policy.yaml"), NOW, lambda path: contents[path.name].encode())


def written(switch: str = ROLES, exceptions: str = "", **files: str) -> Policy:
    found = loaded(switch, exceptions, **files)
    assert found.policy is not None, found.errors
    return found.policy


def effective(
    switch: str = ROLES, exceptions: str = "", ports: Mapping[str, int] | None = PORTS, **files: str
) -> Policy:
    facts = Facts(ports={"access-1": frozenset(ports.items())}) if ports is not None else Facts()
    return in_effect(written(switch, exceptions, **files), facts)


def access_1(policy: Policy) -> Switch:
    return policy.switches["access-1"]


def mail(policy: Policy, port: int, source: str, switch: str = "access-1") -> Verdict:
    packet = make_packet(port, parse_address(source), parse_address("203.0.113.25"), TCP, (49152, 25))
    return decide(policy, policy.switches[switch], packet, NOW).verdict


def test_names_and_patterns_become_numbers() -> None:
    switch = access_1(effective())
    assert switch.subscriber_ports == {1, 2}
    assert (switch.uplink_ports, switch.trusted_ports) == (frozenset({25}), frozenset({26}))
    assert not name_problems(switch)
    assert not is_unresolved(switch)


def test_a_switch_without_names_is_the_same_object() -> None:
    policy = written("subscriber_ports: [1]")
    assert in_effect(policy, Facts(ports={"access-1": frozenset(PORTS.items())})) is policy
    by_name = written()
    assert in_effect(by_name, Facts()).switches["access-2"] is by_name.switches["access-2"]


def test_by_name_it_is_the_policy_that_it_is_by_number() -> None:
    bindings = "bindings: [{{port: {}, addresses: [100.64.8.1]}}], vlans: {{{}: [100]}}"
    exception = "{{name: a, source: {{switch: access-1, port: {}}}, destination: 203.0.113.1}}"
    by_name = effective(f"{ROLES}, {bindings.format('vlan2', 'vlan?')}", exception.format("vlan1"))
    numbers = "subscriber_ports: [1, 2], uplink_ports: [25], trusted_ports: [26]"
    by_number = written(f"{numbers}, {bindings.format(2, '1-2')}", exception.format(1))
    assert meaning(by_name) == meaning(by_number)
    for name, switch in by_name.switches.items():
        assert compile_rules(by_name, switch, NOW) == compile_rules(by_number, by_number.switches[name], NOW)


def test_the_ports_that_a_name_fits_are_followed() -> None:
    policy = written()
    for number in (25, 7):
        facts = Facts(ports={"access-1": frozenset({("eth25", number), ("vlan1", 1)})})
        assert access_1(in_effect(policy, facts)).uplink_ports == {number}


@pytest.mark.parametrize("ports", [None, {}, {"eth2": 25, "Eth25": 24}])
def test_a_name_that_no_port_has_opens_nothing(ports: Mapping[str, int] | None) -> None:
    switch = access_1(effective(ports=ports))
    assert switch.uplink_ports == set()
    assert switch.role_of(25) is PortRole.SUBSCRIBER
    assert not switch.has_role(25)
    assert is_unresolved(switch) is (ports is None)


def test_names_that_no_port_has_are_told() -> None:
    (problem,) = name_problems(access_1(effective(ports={"eth26": 26})))
    assert problem == ("no port is called 'vlan*', 'eth25': correct access-1 in the policy, or add the port")


def test_many_names_that_no_port_has_are_counted() -> None:
    names = ", ".join(f"eth{number}" for number in range(100))
    (problem,) = name_problems(access_1(effective(f"subscriber_ports: [{names}]", ports={})))
    assert "'eth19' and 80 more: correct access-1" in problem


@pytest.mark.parametrize(
    ("switch", "ports", "said"),
    [
        (ROLES, {"vlan1": 26}, "port 26 ('vlan1') has two roles, counted as subscriber port: give each one"),
        (
            "subscriber_ports: ['*1', '*2'], uplink_ports: ['eth*']",
            {"eth1": 1, "eth2": 2, "eth3": 3, "vlan1": 4},
            "ports 1 ('eth1'), 2 ('eth2') have two roles, counted as subscriber ports: give each one role",
        ),
    ],
)
def test_a_port_with_two_roles_has_none(switch: str, ports: Mapping[str, int], said: str) -> None:
    found = access_1(effective(switch, ports=ports))
    problems = [problem for problem in name_problems(found) if "two roles" in problem]
    assert [problem.startswith(said) for problem in problems] == [True], problems
    for number in (26, 1, 2):
        assert found.role_of(number) is PortRole.SUBSCRIBER
        assert not found.has_role(number)


def test_a_name_of_several_ports_fits_none_of_them() -> None:
    twins = frozenset({("GigabitEthernet", 1), ("GigabitEthernet", 2)})
    facts = Facts(ports={"access-1": twins})
    policy = written("trusted_ports: [GigabitEthernet], subscriber_ports: [3]")
    switch = access_1(in_effect(policy, facts))
    assert switch.trusted_ports == set()
    assert name_problems(switch) == (
        "several ports are called 'GigabitEthernet' (2): correct access-1 in the policy, with their numbers",
    )
    everything = written("trusted_ports: ['Gigabit*'], subscriber_ports: [3]")
    assert access_1(in_effect(everything, facts)).trusted_ports == {1, 2}


def test_local_has_the_name_of_its_bridge_and_fits_no_pattern() -> None:
    assert access_1(effective("trusted_ports: [br], subscriber_ports: ['vlan*']")).trusted_ports == {
        LOCAL_PORT
    }
    assert access_1(effective("trusted_ports: ['b*', 'eth25']")).trusted_ports == {25}


def test_tags_in_two_places_are_those_of_both() -> None:
    tags = "vlans: {'vlan*': [100-102, untagged], vlan1: [102-104], 2: [101]}"
    switch = access_1(effective(f"{ROLES}, {tags}"))
    assert switch.vlans == {1: {102}, 2: {101}}
    (problem,) = name_problems(switch)
    assert problem.startswith("ports 1 ('vlan1'), 2 ('vlan2') have tags in two places of vlans")


def test_tags_of_too_many_ports_are_not_carried() -> None:
    many = {f"vlan{number}": number for number in range(1, 200)}
    switch = access_1(effective("subscriber_ports: ['vlan*'], vlans: {'vlan*': [1-4094]}", ports=many))
    assert sum(map(len, switch.vlans.values())) <= 1 << 18
    assert switch.vlans.keys() == {*range(1, 200)}
    assert "some ports carry none" in name_problems(switch)[0]


BOUND = f"{ROLES}, bindings: [{{port: vlan1, addresses: [100.64.8.1]}}]"


def test_what_is_bound_by_name_is_exempt_on_its_line_alone() -> None:
    policy = effective(BOUND)
    assert mail(policy, 1, "100.64.8.1") is Verdict.PERMIT
    assert mail(policy, 2, "100.64.8.1") is Verdict.BLOCK
    assert mail(policy, 1, "100.64.8.1", "access-2") is Verdict.BLOCK


@pytest.mark.parametrize("ports", [None, {"vlan2": 2, "eth25": 25}])
def test_what_is_bound_to_a_port_that_is_not_there_is_nobody_elses(ports: Mapping[str, int] | None) -> None:
    policy = effective(BOUND, ports=ports)
    for port in (1, 2, 3):
        assert mail(policy, port, "100.64.8.1") is Verdict.BLOCK
    assert mail(policy, 1, "100.64.8.1", "access-2") is Verdict.BLOCK
    assert not any(
        field.name == "in_port" and field.value == 0
        for rule in compile_rules(policy, access_1(policy), NOW)
        for field in rule.match
    )


def test_bindings_and_exceptions_of_files_have_names() -> None:
    policy = effective(
        f"{ROLES}, bindings: [{{file: b.csv}}]",
        "{file: e.csv}",
        PORTS,
        **{
            "b.csv": "port,address\nvlan1,100.64.8.1\nvlan1,100.64.8.2\n2,100.64.8.3\n",
            "e.csv": "name,source,destination\na,access-1/vlan2,203.0.113.0/24\n",
        },
    )
    assert [(each.port, len(each.addresses)) for each in access_1(policy).bindings] == [(1, 2), (2, 1)]
    assert [entry.source for entry in policy.exceptions] == [("access-1", 2, None)]
    assert mail(policy, 2, "100.64.3.7") is Verdict.PERMIT
    assert mail(policy, 1, "100.64.3.7") is Verdict.BLOCK


EXCEPTION = "{name: a, source: {switch: access-1, port: vlan1}, destination: 203.0.113.0/24}"


def test_an_exception_for_a_port_that_is_not_there_waits() -> None:
    policy = effective(exceptions=EXCEPTION, ports={"vlan2": 2, "eth25": 25})
    assert policy.exceptions == ()
    assert [entry.name for entry in policy.exceptions_by_name] == ["a"]
    assert name_problems(access_1(policy)) == (
        "no port is called 'vlan1': correct access-1 in the policy, or add the port",
    )
    assert effective(exceptions=EXCEPTION).exceptions_by_name == ()


def test_an_exception_waits_while_the_addresses_of_its_line_are_not_known() -> None:
    """Without any it would let any host answer from port 25 to all dynamic space."""
    by_number = "{name: a, source: {switch: access-1, port: 1}, destination: 203.0.113.0/24}"
    switch = f"{ROLES}, bindings: [{{port: vlan1, addresses: [100.64.3.7]}}]"
    for ports in (None, {"vlan2": 2, "eth25": 25}):
        policy = effective(switch, by_number, ports=ports)
        assert policy.exceptions == ()
        assert [entry.name for entry in policy.exceptions_by_name] == ["a"]
    assert len(effective(switch, by_number).exceptions) == 1


def test_a_line_by_name_is_a_subscriber_port() -> None:
    bound = (
        "subscriber_ports: ['vlan*'], uplink_ports: [25], bindings: [{port: eth25, addresses: [100.64.8.1]}]"
    )
    switch = access_1(effective(bound))
    assert [binding.port for binding in switch.bindings] == [0]
    assert name_problems(switch) == (
        "bindings or exceptions are for port 25 ('eth25'), and a line is a subscriber port: "
        "correct access-1 in the policy",
    )


def test_which_ports_have_to_be_known() -> None:
    assert missing_ports(effective(ports=None), ["access-1"]) == ["access-1"]
    assert missing_ports(effective(ports=None), ["access-2"]) == []
    assert missing_ports(effective(exceptions=EXCEPTION, ports=None), ["access-2"]) == ["access-1"]
    assert missing_ports(effective(exceptions=EXCEPTION), ["access-1", "access-2"]) == []


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("subscriber_ports: ['1x']", "'1x' is no port, range or name; write 7, 1-24 or eth1"),
        ("subscriber_ports: ['1-x']", "'1-x' is no port, range or name; write 7, 1-24 or eth1"),
        ("subscriber_ports: ['eth 1']", "'eth 1' is no port, range or name; write 7, 1-24 or eth1"),
        ("subscriber_ports: [true]", "'True' is no port, range or name; write 7, 1-24 or eth1"),
        ("trusted_ports: [local]", "'local' is no port; write LOCAL"),
        (
            "subscriber_ports: [GigabitEthernet1]",
            "'GigabitEthernet1' is longer than the 15 bytes that a switch tells of a name; "
            "write the first 15",
        ),
        (
            "bindings: [{port: 'eth*', addresses: [100.64.8.1]}]",
            "'eth*' may fit several ports, and a line is one; write its whole name",
        ),
        (
            "subscriber_ports: [eth1], uplink_ports: [eth1]",
            "'eth1' is already one of subscriber_ports; give each port one role",
        ),
        (
            "subscriber_ports: ['eth*'], uplink_ports: [eth25]",
            "'eth25' is already one of subscriber_ports; give each port one role",
        ),
        (
            "subscriber_ports: [eth1], trusted_ports: ['eth*']",
            "'eth1' is already one of trusted_ports; give each port one role",
        ),
        (
            f"{ROLES}, bindings: [{{port: eth25, addresses: [100.64.8.1]}}]",
            "port 'eth25' of access-1 is its uplink port; a line is a subscriber port",
        ),
        (
            f"subscriber_ports: [{', '.join(f'a{number}' for number in range(4097))}]",
            "4,097 names of ports; write at most 4,096, of which each may fit many ports",
        ),
        (
            f"vlans: {{{', '.join(f'a{number}*: [1]' for number in range(65))}}}",
            "65 names with * or ?; write at most 64",
        ),
    ],
)
def test_what_is_wrong_with_names_is_told(switch: str, expected: str) -> None:
    assert [problem.message for problem in loaded(switch).errors] == [expected]


def test_names_say_nothing_of_numbers() -> None:
    """Whether port 3 has a role, and which, only the switch can tell."""
    switch = f"{ROLES}, vlans: {{3: [100]}}, bindings: [{{port: 3, vlan: 100, addresses: [100.64.8.0/24]}}]"
    assert loaded(switch).problems == ()


def test_a_policy_with_uplinks_by_name_has_uplinks() -> None:
    text = POLICY.replace(", uplink_ports: [2]", "").format(switch=ROLES, exceptions="")
    found = load(Path("policy.yaml"), NOW, lambda path: text.encode())
    assert not [problem for problem in found.problems if "uplink" in problem.message]


def test_profiles_have_names() -> None:
    text = (
        POLICY.format(switch="profile: p", exceptions="") + "profiles: {p: {subscriber_ports: ['vlan*']}}\n"
    )
    policy = load(Path("policy.yaml"), NOW, lambda path: text.encode()).policy
    assert policy is not None
    assert [str(entry.place) for entry in access_1(policy).by_name] == ["policy.yaml:7:35"]


@pytest.mark.parametrize(
    ("switch", "exceptions"),
    [
        (ROLES.replace("eth25", "eth24"), ""),
        (f"{ROLES}, bindings: [{{port: vlan2, addresses: [100.64.8.1]}}]", ""),
        (ROLES, EXCEPTION),
        ("subscriber_ports: [1-2], uplink_ports: [25]", ""),
    ],
)
def test_a_change_on_a_switch_that_is_not_there_is_told_as_unknown(switch: str, exceptions: str) -> None:
    old, new = effective(ports=None), effective(switch, exceptions, ports=None)
    for before, after in ((old, new), (new, old)):
        found = effect(before, after, NOW, only=["access-1"])
        assert not found.untouched
        assert not found.treats_all_alike
        assert [each.unknown_because for each in found.switches] == [
            "is not known: it has ports by name, and has not described its ports yet"
        ]
        assert not found.stops_blocking
    assert effect(old, effective(ports=None), NOW, only=["access-1"]).untouched == ("access-1",)
