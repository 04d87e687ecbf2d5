"""What is valid and probably not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.loader import load

NOW = 1_800_000_000.0
POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10, "2001:db8:1000::/36"], static: [100.64.8.0/30]}
hardening: {source_validation: port-25}
exceptions: []
switches:
  a: {dpid: 1, subscriber_ports: [1-4], uplink_ports: [25], bindings: [{port: 3, addresses: [100.64.8.0/30]}]}
  b: {dpid: 2, subscriber_ports: [1-4], uplink_ports: [25]}
"""


def warnings(*changes: tuple[str, str]) -> list[str]:
    text = POLICY
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    loaded = load(Path("p"), NOW, lambda path: text.encode())
    assert not loaded.errors
    return [f"{problem.place}: {problem.message}" for problem in loaded.problems]


def test_nothing_is_said_of_a_policy_that_is_meant() -> None:
    assert warnings() == []


BOUND = "addresses: [100.64.8.0/30]"
B = "  b: {dpid: 2, subscriber_ports: [1-4]"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BOUND, "addresses: [100.64.8.0/30, 198.51.100.7]", [
            "p:6:109: 198.51.100.7/32 is bound to port 3 of a, and is in neither dynamic nor static space;"
            " list it there or take it out"]),
        (BOUND, "addresses: [100.64.8.0/30, 100.0.0.0/8]", []),
        (B, B + ", bindings: [{port: 2, addresses: [100.64.8.1]}]", [
            "p:7:74: 100.64.8.1/32 is bound to port 2 of b and, p:6:94, to port 3 of a;"
            " bind it where its customer is"]),
        (B, B + ", bindings: [{port: 2, addresses: [100.64.0.0/16]}]", [
            "p:6:94: 100.64.8.0/30 is bound to port 3 of a and, p:7:74, to port 2 of b;"
            " bind it where its customer is"]),
        (BOUND + "}", BOUND + "}, {port: 4, addresses: [100.64.8.1]}", []),  # one switch
        ("[]", "[{name: x, source: 100.64.8.1}]", [
            "p:4:14: exception 'x' is for 100.64.8.1/32, which is static and exempt without it; remove it"]),
        ("[]", "[{name: x, source: 100.64.8.0/29}]", []),  # dynamic in part
        ("[]", "[{name: x, source: 198.51.100.0/24}]", [
            "p:4:14: exception 'x' is for 198.51.100.0/24, which is in neither dynamic nor static space;"
            " list it there, or correct it"]),
        (B, B + ", serves: [100.64.0.0/12]", [
            "p:7:41: serves applies under 'source_validation: prefix' only, and this is 'port-25';"
            " take it out, or write prefix"]),
        ("{port: 3, ", '{port: 3, mac: "02:00:00:00:00:03", ', [
            "p:6:82: mac applies under 'source_validation: binding' only, and this is 'port-25';"
            " take it out, or write binding"]),
        (B + ", uplink_ports: [25]}", "  b: {dpid: 2, trusted_ports: [1-4]}", [
            "p:7:3: b has only trusted ports, where all packets are permitted;"
            " name its subscriber_ports and uplink_ports"]),
        ("[100.64.0.0/10, \"2001:db8:1000::/36\"]", "[]", [
            "p:2:17: dynamic is empty: no address of the ISP is closed to port 25;"
            " list the pools of changing addresses"]),
    ],
)  # fmt: skip
def test_each_oversight_has_its_warning(before: str, after: str, expected: list[str]) -> None:
    assert warnings((before, after)) == expected


BINDING = ("port-25", "binding")
DARK = "p:3:13: 5 of 8 lines have no binding: they can get an address and no further;" + (
    " bind their addresses, or write prefix"
)
SIX = "p:3:13: no binding has an IPv6 address: every line loses IPv6; bind those of the lines"


def test_most_lines_without_a_binding() -> None:
    bound = "addresses: [100.64.8.0/30]}, " + ", ".join(
        f"{{port: {port}, addresses: [100.64.9.{port}]}}" for port in (1, 2)
    )
    assert warnings(BINDING, (BOUND + "}", bound)) == [DARK, SIX]
    more = bound + ', {port: 4, addresses: [100.64.9.4, "2001:db8:1000::/64"]}'
    assert warnings(BINDING, (BOUND + "}", more)) == [], "half of them"


def test_lines_of_a_switch_in_monitor_mode_lose_nothing() -> None:
    monitor = (B, B + ", mode: monitor")
    assert (
        warnings(
            BINDING,
            monitor,
            ("addresses: [100.64.8.0/30]", 'addresses: [100.64.8.0/30, "2001:db8:1000::/64"]'),
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(', "2001:db8:1000::/36"', "")], [
            "p:3:13: no IPv6 prefix is dynamic or static: every line loses IPv6;"
            " list those of the ISP, or write port-25"]),
        ([("100.64.0.0/10, ", ""), ("static: [100.64.8.0/30]", "static: []"), (BOUND, "addresses: []")], [
            "p:3:13: no IPv4 prefix is dynamic or static: every line loses IPv4;"
            " list those of the ISP, or write port-25"]),
        ([(B, B + ", serves: [100.64.0.0/12]")], [
            "p:7:41: b serves no IPv6 prefix: its lines lose IPv6; list those behind it"]),
        ([(B, B + ', serves: [100.64.0.0/12, "2001:db8:1000::/36"]')], []),
    ],
)  # fmt: skip
def test_an_ip_version_that_is_forgotten(changes: list[tuple[str, str]], expected: list[str]) -> None:
    assert warnings(("port-25", "prefix"), *changes) == expected
    assert not [line for line in warnings(*changes) if "every line" in line or "its lines" in line]


def test_of_many_alike_the_first_are_reported() -> None:
    exceptions = ", ".join(f"{{name: '{number}', source: 198.51.100.{number}}}" for number in range(100))
    lines = warnings(("[]", f"[{exceptions}]"))
    assert len(lines) == 21
    assert lines[-1].endswith("and 80 more of the kind of the 20 before")


def test_names_in_one_line_are_few() -> None:
    assert names_in_words([]) == ""
    assert names_in_words([str(number) for number in range(20)]).endswith(", 18, 19")
    assert names_in_words([f"s{number}" for number in range(1000)]).endswith(", s18, s19 and 980 more")
