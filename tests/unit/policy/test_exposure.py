"""How far a policy opens port 25, in shares that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.net.nat64 import LENGTHS, embed, extract
from op25b_app.net.prefix import Prefix
from op25b_app.policy.exposure import Port25Moves, exposures, newly_exposed, port_25_moves
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

NOW = 1_800_000_000.0
UNICAST = (1 << 32) - sum(1 << 32 - length for length in (8, 8, 10, 8, 16, 12, 16, 3))
"""IPv4 addresses that are neither private nor multicast nor nobody's."""


def policy(
    mail: str = "192.0.2.0/24",
    dynamic: str = "100.64.0.0/10, 2001:db8:1000::/36",
    static: str = "",
    exceptions: str = "",
    ports: str = "1-24",
    nat64: str = "",
    validation: str = "port-25",
) -> Policy:
    text = f"""\
isp: {{mail_destinations: [{quoted(mail)}], nat64_prefixes: [{quoted(nat64)}]}}
address_space: {{dynamic: [{quoted(dynamic)}], static: [{quoted(static)}]}}
hardening: {{source_validation: {validation}}}
exceptions: [{exceptions}]
switches: {{s: {{dpid: 1, subscriber_ports: [{ports}], uplink_ports: [100]}}}}
"""
    loaded = load(Path("p"), NOW, lambda path: text.encode())
    assert loaded.policy is not None, loaded.errors
    return loaded.policy


def quoted(prefixes: str) -> str:
    return ", ".join(f"'{prefix}'" for prefix in prefixes.split(", ") if prefix)


def found(opened: Policy, at: float = NOW) -> dict[tuple[str, int], float]:
    return {(exposure.kind, exposure.version): round(exposure.share, 4) for exposure in exposures(opened, at)}


def test_an_exception_to_come_is_as_wide_as_one_in_force() -> None:
    wide = "{name: a, source: 100.64.0.0/12, starts: '2027-03-31T00:00:00Z', expires: '2027-04-30T00:00:00Z'}"
    opened = policy(exceptions=wide)
    assert found(opened) == {("exceptions", 4): 0.25}
    assert found(opened, 1_900_000_000) == {}


@pytest.mark.parametrize(
    ("mail", "shares"),
    [
        ("192.0.2.0/24", {}),
        ("10.0.0.0/8, 172.16.0.0/12", {}),  # nobody's on the Internet
        ("8.0.0.0/8, 9.0.0.0/8", {}),  # 0.9 %
        ("8.0.0.0/7, 12.0.0.0/8", {4: (3 << 24) / UNICAST}),
        ("8.0.0.0/7, 8.0.0.0/8, 12.0.0.0/8, 10.0.0.0/8", {4: (3 << 24) / UNICAST}),
        ("0.0.0.0/0", {4: 1}),
        ("0.0.0.0/1, 128.0.0.0/1", {4: 1}),
        ("128.0.0.0/1", {4: ((96 << 24) - (1 << 16) - (1 << 20) - (1 << 16)) / UNICAST}),
        ("::/0", {4: 1, 6: 1}),  # IPv4 behind a NAT64, too
        ("2000::/3", {6: 1}),
        ("2a00::/12", {6: 1 / (8 + 2 / 16 + 1 / 64 + 2 / 2048)}),
        ("2001:db8::/32, 2003::/19", {}),
        ("64:ff9b::/96", {4: 1}),
        ("64:ff9b::/97", {4: (127 * (1 << 24) - (3 << 24) + (1 << 24) - (1 << 22)) / UNICAST}),
        ("64:ff9b::808:0/112", {}),
    ],
)
def test_what_mail_destinations_let_dynamic_space_reach(mail: str, shares: dict[int, float]) -> None:
    expected = {("mail destinations", version): round(share, 4) for version, share in shares.items()}
    assert found(policy(mail)) == expected


def test_a_nat64_prefix_of_the_isp_leads_to_the_internet() -> None:
    assert found(policy("2001:db8:64::/48")) == {}
    assert found(policy("2001:db8:64::/48", nat64="2001:db8:64::/48")) == {("mail destinations", 4): 1}


def test_without_dynamic_space_nothing_is_let_out() -> None:
    assert found(policy("0.0.0.0/0", dynamic="")) == {}


@pytest.mark.parametrize("nat64", [f"2001:db8::/{length}" for length in LENGTHS])
@pytest.mark.parametrize("inner", ["0.0.0.0/0", "8.0.0.0/8", "198.51.100.0/24", "203.0.113.255/32"])
def test_what_is_behind_a_nat64_is_found_again(nat64: str, inner: str) -> None:
    outer, prefix = Prefix.parse(nat64), Prefix.parse(inner)
    assert extract(outer, embed(outer, prefix)) == prefix
    assert extract(outer, Prefix.parse("2001:db9::/64")) is None


@pytest.mark.parametrize(
    ("exceptions", "shares"),
    [
        ("{name: a, source: 100.64.3.7}", {}),
        ("{name: a, source: 100.64.3.0/24}, {name: b, source: 100.64.4.0/24}", {}),  # 0.01 %
        ("{name: a, source: 100.64.0.0/12}", {("exceptions", 4): 0.25}),
        ("{name: a, source: 100.64.0.0/12, destination: 203.0.113.0/24}", {}),
        ("{name: a, source: 100.64.0.0/12, destination: 128.0.0.0/2}",
         {("exceptions", 4): round(0.25 * ((1 << 30) - (1 << 20) - (1 << 16)) / UNICAST, 4)}),
        ("{name: a, source: 100.64.0.0/12, expires: 2026-01-01T00:00:00Z}", {}),
        ("{name: a, source: 100.64.0.0/12}, {name: b, source: 100.64.0.0/12}", {("exceptions", 4): 0.25}),
        ("{name: a, source: 100.64.0.0/11}, {name: b, source: 100.96.0.0/12}",
         {("exceptions", 4): 0.75, ("exempt", 4): 0.75}),
        ("{name: a, source: 0.0.0.0/0}", {("exceptions", 4): 1, ("exempt", 4): 1}),
        ("{name: a, source: '2001:db8:1000::/37'}", {("exceptions", 6): 0.5}),
        ("{name: a, source: {switch: s, port: 3}}", {}),
    ],
)  # fmt: skip
def test_what_exceptions_let_dynamic_space_reach(
    exceptions: str, shares: dict[tuple[str, int], float]
) -> None:
    assert found(policy(exceptions=exceptions)) == shares


def test_in_a_small_network_a_few_exceptions_are_usual() -> None:
    three = ", ".join(f"{{name: '{number}', source: 198.51.100.{number}}}" for number in range(3))
    assert found(policy(dynamic="198.51.100.0/24", exceptions=three)) == {}


def test_the_exceptions_of_most_lines_are_an_opening() -> None:
    def lines(number: int) -> str:
        return ", ".join(
            f"{{name: '{port}', source: {{switch: s, port: {port}}}}}" for port in range(1, number + 1)
        )

    assert found(policy(exceptions=lines(16), ports="1-24")) == {}
    assert found(policy(exceptions=lines(17), ports="1-34")) == {}
    assert found(policy(exceptions=lines(18), ports="1-24")) == {("exempt lines", 0): 0.75}


@pytest.mark.parametrize(
    ("dynamic", "static", "share"),
    [
        ("10.0.0.0/8", "10.0.0.0/9", None),
        ("10.0.0.0/8", "10.0.0.0/9, 10.128.0.0/16", 0.5039),
        ("10.0.0.0/8, 10.0.0.0/16", "10.0.0.0/9, 10.128.0.0/16", None),  # the longer prefix is dynamic
        ("100.64.0.0/10", "0.0.0.0/0", 0.999),
        ("10.0.0.0/8", "0.0.0.0/1, 128.0.0.0/1", 0.9961),
        ("10.0.0.0/24", "11.0.0.0/24", None),
        ("10.0.0.0/24", "11.0.0.0/23", 0.6667),
        ("10.0.0.0/24", "10.0.0.0/26, 10.0.0.0/25, 10.0.0.64/26", None),
    ],
)
def test_how_much_of_the_own_space_is_exempt(dynamic: str, static: str, share: float | None) -> None:
    assert found(policy(dynamic=dynamic, static=static)) == ({("exempt", 4): share} if share else {})


def test_it_is_a_warning_with_the_share_where_it_is_written() -> None:
    text = b"""\
isp: {mail_destinations: [192.0.2.0/24, 0.0.0.0/1, 128.0.0.0/1]}
address_space: {dynamic: [100.64.0.0/10]}
switches: {s: {dpid: 1, subscriber_ports: [1], uplink_ports: [2]}}
"""
    of_hosts, problem = load(Path("p"), NOW, lambda path: text).problems
    assert "hold more than one host" in of_hosts.message
    assert str(problem) == (
        "p:1:41: warning: mail_destinations let dynamic space reach 100 % of the IPv4 Internet on port 25;"
        " name the ISP's own mail servers or networks"
    )


def test_only_all_is_a_hundred_percent() -> None:
    (exposure,) = exposures(policy(dynamic="100.64.0.0/24", static="0.0.0.0/0"), NOW)
    assert exposure.text.startswith("99.9 % of the own IPv4 space")


def test_what_the_policy_before_did_not_have_is_new() -> None:
    narrow, wide, all_of_it = policy(), policy("8.0.0.0/7, 12.0.0.0/8"), policy("0.0.0.0/0")
    assert newly_exposed(None, all_of_it, NOW) == []
    assert newly_exposed(narrow, narrow, NOW) == []
    assert len(newly_exposed(narrow, wide, NOW)) == 1
    assert newly_exposed(wide, policy("8.0.0.0/6"), NOW) == [], "not twice as wide"
    assert len(newly_exposed(wide, all_of_it, NOW)) == 1
    assert newly_exposed(all_of_it, all_of_it, NOW) == []
    assert newly_exposed(all_of_it, wide, NOW) == []
    assert len(newly_exposed(all_of_it, policy("0.0.0.0/0", static="0.0.0.0/0"), NOW)) == 1, "another kind"


OWN = 1 << 22
SEVERAL = "100.64.8.0/24, 100.64.9.0/24, 100.64.8.64/26"
EXCEPTED = "{name: a, source: 100.64.8.0/25}"


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        (policy(), policy(), []),
        (policy(), policy(static="100.64.8.0/24"), [Port25Moves(4, 256, 0, OWN)]),
        (policy(static="100.64.8.0/24"), policy(), [Port25Moves(4, 0, 256, OWN)]),
        (policy(static="100.64.8.0/24"), policy(static="100.64.9.0/25"), [Port25Moves(4, 128, 256, OWN)]),
        (policy(static="100.64.8.0/24"), policy(static=SEVERAL), [Port25Moves(4, 256, 0, OWN)]),
        (policy(static="198.51.100.0/24"), policy(), [Port25Moves(4, 0, 256, OWN + 256)]),
        (policy(), policy(static="198.51.100.0/24"), []),
        (policy(), policy(exceptions=EXCEPTED), [Port25Moves(4, 128, 0, OWN)]),
        (policy(static="100.64.8.0/24"), policy(static="100.64.8.0/24", exceptions=EXCEPTED), []),
        (policy(static="100.64.8.0/24"), policy(exceptions=EXCEPTED), [Port25Moves(4, 0, 128, OWN)]),
        (policy(), policy(dynamic="100.64.0.0/11, 2001:db8:1000::/36"), []),
        (
            policy(),
            policy(dynamic="100.64.0.0/11, 2001:db8:1000::/36", validation="off"),
            [Port25Moves(4, OWN // 2, 0, OWN)],
        ),
        (policy(), policy(dynamic="100.64.0.0/10", validation="off"), [Port25Moves(6, 1 << 92, 0, 1 << 92)]),
    ],
)
def test_addresses_for_which_port_25_opens_or_closes(
    old: Policy, new: Policy, moves: list[Port25Moves]
) -> None:
    assert port_25_moves(old, new, NOW) == moves


def test_what_leaves_the_own_space_unvalidated_is_open() -> None:
    """Three quarters of the dynamic space are no longer listed, and unlisted sources are not looked at."""
    old = policy(dynamic="100.64.0.0/10")
    (sentence,) = newly_exposed(old, policy(dynamic="100.64.0.0/12", validation="off"), NOW)
    assert sentence.startswith("port 25 would open, to any destination, for 75 % of the own IPv4 space")
    assert newly_exposed(old, policy(dynamic="100.64.0.0/12"), NOW) == []
    assert newly_exposed(old, policy(dynamic="100.64.0.0/11", validation="off"), NOW) == []
    (once,) = newly_exposed(old, policy(dynamic="100.64.0.0/10", static="100.64.0.0/11, 100.96.0.0/12"), NOW)
    assert "may speak port 25" in once, "said once"
