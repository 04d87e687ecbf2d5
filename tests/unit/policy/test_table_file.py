"""Exceptions and bindings from CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.net.prefix import Prefix
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.model import SubscriberPort

NOW = 1_800_000_000.0
POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10]}
hardening: {source_validation: binding}
exceptions:
  - {file: exceptions.csv}
  - {name: own, source: 100.64.3.9, destination: 203.0.113.1}
switches:
  access-1:
    dpid: 1
    subscriber_ports: [1-4]
    uplink_ports: [5]
    bindings: [{port: 4, addresses: [100.64.0.4]}, {file: sub/access-1.csv}]
"""
EXCEPTIONS = """\
source,name,expires,reason,destination
100.64.3.7,ticket-1,2027-03-31T00:00:00Z,"appliance, until it moves",203.0.113.0/24
access-1/3,ticket-2,,,203.0.113.25
"""
BINDINGS = """\
port,mac,address
1,02:00:00:00:00:01,100.64.0.1
2,,100.64.0.8-100.64.0.10
1,02:00:00:00:00:01,100.64.1.0/28
1,02:00:00:00:00:11,100.64.0.11
"""


def loaded(
    policy: str = POLICY, exceptions: str = EXCEPTIONS, bindings: str = BINDINGS, before: Loaded | None = None
) -> Loaded:
    contents = {"policy.yaml": policy, "exceptions.csv": exceptions, "access-1.csv": bindings}
    return load(Path("policy.yaml"), NOW, lambda path: contents[path.name].encode(), before)


def test_exceptions_come_from_a_file() -> None:
    policy = loaded().policy
    assert policy is not None
    first, second, own = policy.exceptions
    assert (first.name, first.source, first.destination) == (
        "ticket-1",
        Prefix.parse("100.64.3.7"),
        Prefix.parse("203.0.113.0/24"),
    )
    assert (first.expires, first.reason) == (1806451200, "appliance, until it moves")
    assert (str(first.place), str(second.place)) == ("exceptions.csv:2:1", "exceptions.csv:3:1")
    assert (second.source, second.expires, second.reason) == (SubscriberPort("access-1", 3), None, "")
    assert own.name == "own"


def test_an_exception_may_have_several_destinations() -> None:
    several = POLICY.replace(
        "destination: 203.0.113.1}", 'destination: [203.0.113.1, "2001:db8::1", 203.0.113.1]}'
    )
    several = several.replace("source: 100.64.3.9", "source: {switch: access-1, port: 3}")
    result = loaded(several, EXCEPTIONS.replace("203.0.113.25", "203.0.113.25 198.51.100.0/28"))
    assert result.policy is not None, result.problems
    assert [(each.name, str(each.destination), str(each.place)) for each in result.policy.exceptions] == [
        ("ticket-1", "203.0.113.0/24", "exceptions.csv:2:1"),
        ("ticket-2", "203.0.113.25/32", "exceptions.csv:3:1"),
        ("ticket-2", "198.51.100.0/28", "exceptions.csv:3:1"),
        ("own", "203.0.113.1/32", "policy.yaml:6:5"),
        ("own", "2001:db8::1/128", "policy.yaml:6:5"),
    ]


def test_what_is_wrong_with_all_destinations_is_told_once() -> None:
    policy = POLICY.replace(
        "destination: 203.0.113.1}", "destination: [203.0.113.1, 203.0.113.2], expires: E}"
    )
    policy = policy.replace("expires: E", "expires: 2020-01-01T00:00:00Z").replace(
        "100.64.3.9", "198.51.100.9"
    )
    told = [str(each) for each in loaded(policy).problems if "exception 'own'" in each.message]
    assert told == [
        "policy.yaml:6:5: warning: exception 'own' is past and permits nothing; remove it",
        "policy.yaml:6:5: warning: exception 'own' is for 198.51.100.9/32,"
        " which is in neither dynamic nor static space; list it there, or correct it",
    ]


def test_a_line_may_be_one_vlan_of_a_port() -> None:
    policy = POLICY.replace("uplink_ports: [5]", "uplink_ports: [5]\n    vlans: {3: [untagged, 100]}")
    bindings = "port,vlan,address\n3,100,100.64.0.1\n3,untagged,100.64.0.2\n3,100,100.64.0.3\n2,,100.64.0.4\n"
    result = loaded(policy, EXCEPTIONS.replace("access-1/3", "access-1/3/100"), bindings)
    assert result.policy is not None, result.problems
    assert result.policy.exceptions[1].source == SubscriberPort("access-1", 3, 100)
    bound = [
        (each.port, each.vlan, len(each.addresses)) for each in result.policy.switches["access-1"].bindings
    ]
    assert bound[1:] == [(3, 100, 2), (3, 0, 1), (2, None, 1)]


def test_an_exception_may_start_later() -> None:
    header, first, rest = EXCEPTIONS.split("\n", 2)
    text = f"{header},starts\n{first},2027-03-01T00:00:00Z\n{rest.replace('203.0.113.25', '203.0.113.25,')}"
    policy = loaded(exceptions=text).policy
    assert policy is not None
    assert [each.starts for each in policy.exceptions] == [1803859200, None, None]


def test_bindings_come_from_a_file() -> None:
    policy = loaded().policy
    assert policy is not None
    assert [
        (each.port, each.mac, [str(prefix) for prefix, _ in each.addresses], str(each.place))
        for each in policy.switches["access-1"].bindings
    ] == [
        (4, None, ["100.64.0.4/32"], "policy.yaml:12:16"),
        (1, 0x020000000001, ["100.64.0.1/32", "100.64.1.0/28"], "sub/access-1.csv:2:1"),
        (2, None, ["100.64.0.8/31", "100.64.0.10/32"], "sub/access-1.csv:3:1"),
        (1, 0x020000000011, ["100.64.0.11/32"], "sub/access-1.csv:5:1"),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("100.64.3.7,,,,", "'name' is empty; write it"),
        ("100.64.3.300,a,,,", "'100.64.3.300' is not an IPv4 or IPv6 prefix;"),
        ("100.64.3.7/33,a,,,", "'100.64.3.7/33' is not an IPv4 or IPv6 prefix;"),
        ("access-1/1x,a,,,", "'1x' is not a port number;"),
        ("access-9/3,a,,,", "no switch is called 'access-9'; the switches are access-1"),
        ("access-1/5,a,,,", "port 5 of access-1 is its uplink port; a line is a subscriber port"),
        ("100.64.3.7,a,tomorrow,,", "'tomorrow' is not a moment with a time zone;"),
        ("100.64.3.7,own,,,203.0.113.7", "the name 'own' is taken (policy.yaml:6:5); write another"),
        ("100.64.3.7,a", "2 values, and the header has 5 columns; write one value for each column"),
    ],
)
def test_what_is_wrong_in_a_file_of_exceptions(row: str, expected: str) -> None:
    errors = loaded(exceptions=f"{EXCEPTIONS}{row}\n").errors
    if "taken" in expected:  # told at the later of the two
        expected = "the name 'own' is taken (exceptions.csv:4:1); write another"
    (problem,) = errors
    assert problem.message.startswith(expected)
    assert str(problem.place) == ("policy.yaml:6:5" if "taken" in expected else "exceptions.csv:4:1")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("9,,", "'address' is empty; write it"),
        ("1x,,100.64.0.1", "'1x' is not a port number;"),
        ("3,02,100.64.0.1", "'02' is not a MAC address;"),
        ("3,,100.64.0.9-100.64.0.1", "the range '100.64.0.9-100.64.0.1' is empty;"),
        ("5,,100.64.0.5", "port 5 of access-1 is its uplink port; a line is a subscriber port"),
    ],
)
def test_what_is_wrong_in_a_file_of_bindings(row: str, expected: str) -> None:
    (problem,) = loaded(bindings=f"{BINDINGS}{row}\n").errors
    assert problem.message.startswith(expected)
    assert str(problem.place) == "sub/access-1.csv:6:1"


@pytest.mark.parametrize("written", ["5000", "x", "-1", "01234"])
def test_what_is_no_vlan_is_told(written: str) -> None:
    (problem,) = loaded(bindings=f"port,vlan,address\n3,{written},100.64.0.1\n").errors
    assert problem.message.startswith(f"'{written}' is not a VLAN;")
    (problem,) = loaded(exceptions=f"name,source\na,access-1/3/{written}\n").errors
    assert problem.message.startswith(f"'{written}' is not a VLAN;")


def test_what_is_wrong_in_a_header() -> None:
    problems = loaded(exceptions="name,source,until\na,b,c\n", bindings="port,vlan\n1,2\n").errors
    assert [str(problem) for problem in problems] == [
        "exceptions.csv:2:1: error: the header has a column 'until';"
        " columns are name, source, destination, starts, expires, reason",
        "sub/access-1.csv:1:1: error: the header has no column 'address';"
        " write the names of the columns into the first line",
    ]


def test_a_mac_without_effect_is_told_once_for_a_file() -> None:
    policy = POLICY.replace("source_validation: binding", "source_validation: port-25")
    found = [str(each.place) for each in loaded(policy).problems if each.message.startswith("mac applies")]
    assert found == ["sub/access-1.csv:2:1"]


def test_of_a_file_that_has_not_changed_a_switch_is_used_again() -> None:
    before = loaded()
    assert before.policy is not None
    again = loaded(before=before)
    assert again[:4] == before[:4]
    assert again.policy is not None
    assert again.policy.switches["access-1"] is before.policy.switches["access-1"]
    changed = loaded(bindings=BINDINGS.replace("100.64.0.1\n", "100.64.0.2\n"), before=before)
    assert changed[:4] == loaded(bindings=BINDINGS.replace("100.64.0.1\n", "100.64.0.2\n"))[:4]
    wrong = loaded(bindings="port,address\n1,x\n", before=before)
    assert loaded(bindings="port,address\n1,x\n", before=wrong).errors == wrong.errors != ()


def test_a_row_may_name_a_vlan() -> None:
    policy = loaded(
        POLICY.replace("uplink_ports: [5]", "uplink_ports: [5]\n    vlans: {1: [100, 200, untagged]}"),
        EXCEPTIONS.replace("access-1/3", "access-1/1/200"),
        "port,vlan,address\n1,100,100.64.0.1\n1,200,100.64.0.2\n1,100,100.64.0.3\n1,untagged,100.64.0.5\n",
    ).policy
    assert policy is not None
    assert policy.exceptions[1].source == SubscriberPort("access-1", 1, 200)
    assert [
        (each.port, each.vlan, len(each.addresses)) for each in policy.switches["access-1"].bindings[1:]
    ] == [
        (1, 100, 2),
        (1, 200, 1),
        (1, 0, 1),
    ]


def test_a_row_with_a_vlan_that_the_port_may_not_carry_is_wrong() -> None:
    (problem,) = loaded(bindings="port,vlan,address\n1,300,100.64.0.1\n").errors
    assert problem.message.startswith("port 1 of access-1 may not carry tag 300;")
    (problem,) = loaded(bindings="port,vlan,address\n1,5000,100.64.0.1\n").errors
    assert problem.message.startswith("'5000' is not a VLAN;")
