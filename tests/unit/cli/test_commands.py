"""The commands that read a policy, called as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from op25b_app.cli.main import main
from testing.frames import frame_of
from tests.generated import packet

EXAMPLE = Path(__file__).parents[3] / "example.yaml"
AT = "2027-01-15T08:00:00Z"
EXPLAIN = ["explain", str(EXAMPLE), "--switch=access-1", "--in-port=1", "--src=100.64.0.1", "--dst=192.0.2.1"]


def op25b(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def explain(*arguments: str, in_port: str = "1") -> Any:
    result = op25b(
        "explain",
        str(EXAMPLE),
        "--switch",
        "access-1",
        "--in-port",
        in_port,
        "--at",
        AT,
        "--json",
        *arguments,
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_example_is_valid() -> None:
    result = op25b("check", str(EXAMPLE))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"{EXAMPLE}: valid; switches: access-1"


@pytest.mark.parametrize("path", [EXAMPLE, *sorted((EXAMPLE.parent / "topologies").glob("*.yaml"))], ids=str)
def test_nothing_is_said_against_the_policies_that_come_along(path: Path) -> None:
    result = op25b("check", str(path), "--at", "1798761600")
    (said,) = result.stdout.splitlines()
    assert said.startswith(f"{path}: valid; switches: ")


def test_check_prints_a_line_a_mistake_and_exits_1(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "isp: {mail_destinations: [1]}\naddress_space: {dynamic: []}\nswitches: {s: {dpid: 1}}\nmodes: x\n"
    )
    result = op25b("check", str(path))
    assert result.exit_code == 1
    errors = [line for line in result.stdout.splitlines() if ": error: " in line]
    assert errors == [
        f"{path}:1:27: error: '1' is not a prefix; write one like 192.0.2.0/24, IPv6 in quotes",
        f"{path}:4:1: error: unknown key 'modes'; did you mean 'mode'?",
    ]
    reported = json.loads(op25b("check", str(path), "--json").stdout)
    assert reported["valid"] is False
    assert {"file": str(path), "line": 4, "column": 1, "severity": "error"}.items() <= reported["problems"][
        -1
    ].items()


ADDRESSES = ("--src", "100.64.0.1", "--dst", "192.0.2.1")


@pytest.mark.parametrize(
    "command", [["rules", "--switch", "s"], ["explain", "--switch", "s", "--in-port", "1"]]
)
def test_a_broken_policy_is_reported_and_exits_1(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("isp: {}\n")
    addresses = ["--src", "100.64.0.1", "--dst", "192.0.2.1"] if command[0] == "explain" else []
    result = op25b(command[0], str(path), *command[1:], *addresses)
    assert result.exit_code == 1
    assert f"{path}:1:1: error: 'mail_destinations' is missing under 'isp'; write it" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "command",
    [
        ["rules", "--switch", "s", "--format", "json"],
        [*("explain", "--switch", "s", "--in-port", "1", "--json"), *ADDRESSES],
        ["prove", "--switch", "s", "--bridge", "br", "--json"],
        ["diff", str(EXAMPLE), "--json"],
    ],
    ids=lambda command: command[0],
)
def test_a_broken_policy_is_reported_as_json(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("isp: {}\n")
    result = op25b(command[0], str(path), *command[1:])
    assert result.exit_code == 1
    reported = json.loads(result.stdout)
    assert set(reported) == {"error", "problems"}
    assert reported["problems"][0].items() >= {"line": 1, "severity": "error"}.items()


def test_a_bridge_that_is_not_there_is_reported_as_json() -> None:
    result = op25b("prove", str(EXAMPLE), "--switch", "access-1", "--bridge", "nobridge", "--json")
    assert result.exit_code == 1
    assert "nobridge" in json.loads(result.stdout)["error"]


def test_events_without_a_controller_are_reported_as_json(tmp_path: Path) -> None:
    result = op25b("events", "--socket", str(tmp_path / "none"), "--json")
    assert result.exit_code == 1
    assert "no controller answers" in json.loads(result.stdout)["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["prove", str(EXAMPLE), "--switch", "access-1", "--bridge", "-V"],
            "'-V' is not the name of a bridge",
        ),
        (["rules", str(EXAMPLE), "--switch", "x"], "no switch is called 'x'; the switches are access-1"),
        (["rules", str(EXAMPLE)], "Missing option '--switch'"),
        (["rules", str(EXAMPLE), "--switch", "access-1", "--at", "noon"], "'noon' is not a moment"),
        (["check", str(EXAMPLE), "--at", "nan"], "'nan' is not a moment"),
        (["check", str(EXAMPLE), "--at", "inf"], "'inf' is not a moment"),
        (["check", str(EXAMPLE), "--at", "1e300"], "'1e300' is not a moment"),
        (["check", str(EXAMPLE), "--at", "2030"], "'2030' is not a moment; write 2027-03-31T00:00:00Z, or"),
        (["check", str(EXAMPLE), "--at", "9999-12-31T23:59:59-05:00"], "-05:00' is not a moment"),
        (["check", str(EXAMPLE), "--at", "1800000000000"], "'1800000000000' is not a moment"),
        *(
            ([*EXPLAIN, option, value], message)
            for option, value, message in (
                ("--in-port", "99999999999", "'99999999999' is not a port"),
                ("--proto", "٣", "'٣' is no protocol"),
                ("--proto", "9" * 5000, "is no protocol; write tcp"),
                ("--mac", "1:2:3:4:5:٣", "is not a MAC address"),
            )
        ),
        (["reload", "--wait", "nan"], "'nan' is not a number of seconds"),
        (["explain", str(EXAMPLE), "--switch", "access-1", "--in-port", "1"], "--src is missing"),
        (
            [*EXPLAIN, "--packet", "00" * 60, "--dport", "25"],
            "--packet is a whole frame; leave out --src, --dst, --dport",
        ),
        (
            ["explain", str(EXAMPLE), "--switch", "access-1", "--in-port", "1", "--packet", "xy"],
            "not a frame; write pairs of hexadecimal digits, from the Ethernet destination on",
        ),
        (
            ["explain", str(EXAMPLE), "--switch=access-1", "--in-port=1", "--src=100.64.0.1", "--dst=::1"],
            "one address is IPv4 and the other IPv6",
        ),
        (["explain", str(EXAMPLE), "--switch=access-1", "--in-port=0"], "'0' is not a port; write a number"),
        (["explain", str(EXAMPLE), "--switch=access-1", "--in-port=local"], "'local' is not a port"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], message: str) -> None:
    result = op25b(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_check_tells_how_a_switch_was_understood(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE.read_text().replace("dpid: 0x1", "dpid: 0000000000000010"))
    assert op25b("check", str(path), "--verbose").stdout.splitlines()[-1] == (
        "  access-1: dpid 0x10 (0000000000000010 in hexadecimal, 16 in decimal); enforce;"
        " ports: 24 subscriber, 1 uplink, 1 trusted; 1 bindings"
    )
    assert "hexadecimal" not in op25b("check", str(path)).stdout


def test_the_local_port_has_a_role_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE.read_text().replace("trusted_ports: [26]", "trusted_ports: [26, LOCAL]"))
    rules = op25b("rules", str(path), "--switch", "access-1", "--at", AT, "--format", "ofctl").stdout
    assert [
        line for line in rules.splitlines() if "table=0" in line and "in_port=LOCAL,actions=NORMAL" in line
    ]
    packet = ("--src", "100.64.0.1", "--dst", "203.0.113.9", "--at", AT)
    for port in ("LOCAL", "4294967294"):
        reported = op25b("explain", str(path), "--switch", "access-1", "--in-port", port, *packet).stdout
        assert reported.startswith("permit: port LOCAL of access-1 is trusted\n")
        assert "in_port=LOCAL" in reported
    assert op25b(
        "explain", str(EXAMPLE), "--switch", "access-1", "--in-port", "LOCAL", *packet
    ).stdout.startswith("block: ")
    (tmp_path / "dump").write_text(rules)
    proven = op25b("prove", str(path), "--switch", "access-1", "--at", AT, "--flows", str(tmp_path / "dump"))
    assert proven.stdout.startswith("proven: "), proven.output
    (tmp_path / "dump").write_text(rules, encoding="utf-8-sig")
    marked = op25b("prove", str(path), "--switch", "access-1", "--at", AT, "--flows", str(tmp_path / "dump"))
    assert marked.stdout == proven.stdout, "a byte order mark is no part of a table"
    changed = rules.replace("in_port=LOCAL,actions=NORMAL", "in_port=LOCAL,actions=drop")
    (tmp_path / "dump").write_text(changed)
    refuted = op25b("prove", str(path), "--switch", "access-1", "--at", AT, "--flows", str(tmp_path / "dump"))
    assert refuted.exit_code == 1
    assert "in_port=LOCAL" in refuted.stdout
    schema = json.loads(op25b("schema").stdout)["$defs"]["SwitchSection"]["properties"]
    assert "LOCAL" in json.dumps(schema["trusted_ports"])


def test_of_a_thousand_names_the_first_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    switches = "".join(f"  s{number}: {{dpid: {number}, uplink_ports: [1]}}\n" for number in range(1, 1001))
    path.write_text(EXAMPLE.read_text().partition("exceptions:")[0] + "switches:\n" + switches)
    checked = op25b("check", str(path)).stdout.splitlines()[-1]
    assert checked.endswith("valid; switches: " + ", ".join(f"s{n}" for n in range(1, 21)) + " and 980 more")
    for command in (["rules", str(path)], ["diff", str(path), str(path)]):
        result = op25b(*command, "--switch", "x")
        assert result.exit_code == 2
        assert "s19, s20 and 980 more" in " ".join(result.stderr.split())


def test_rules_as_json_and_as_lines_are_the_same() -> None:
    arguments = ("rules", str(EXAMPLE), "--switch", "access-1", "--at", AT, "--format")
    rules = json.loads(op25b(*arguments, "json").stdout)
    assert op25b(*arguments, "ofctl").stdout.splitlines() == [rule["ofctl"] for rule in rules]
    assert {"table": 2, "priority": 10, "match": "", "action": "drop", "role": "block"}.items() <= next(
        rule for rule in rules if rule["table_name"] == "egress_smtp" and rule["role"] == "block"
    ).items()


def test_rules_as_a_table_shows_every_table() -> None:
    text = op25b("rules", str(EXAMPLE), "--switch", "access-1").stdout
    for heading in (
        "0 admit",
        "1 egress",
        "2 egress_smtp",
        "3 ingress",
        "4 ingress_replies",
        "5 ingress_smtp",
    ):
        assert f"{heading}\n" in text
    assert "  300  in_port=3,eth_type" not in text
    assert "  100  vlan_vid=0x0  goto_table:1  port\n" in text
    assert text.splitlines()[-1] == "55 rules"


def test_explain_names_verdict_policy_line_and_flow() -> None:
    reported = explain("--src", "100.64.3.8", "--dst", "203.0.113.7")
    assert (reported["verdict"], reported["rule"], reported["policy_line"]) == ("block", "subscriber-6", 5)
    assert reported["policy_file"] == str(EXAMPLE)
    assert reported["flow"].endswith("table=2,priority=10,actions=drop")
    reported = explain("--src", "100.64.3.7", "--dst", "203.0.113.7")
    assert (reported["verdict"], reported["policy_line"]) == ("permit", 8)
    assert "hard_timeout=65535" in reported["flow"]


def test_explain_finds_the_line_of_a_bound_address(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "isp: {mail_destinations: [192.0.2.25]}\naddress_space: {dynamic: [100.64.0.0/10]}\n"
        "hardening: {source_validation: binding}\n"
        "switches:\n  s:\n    {dpid: 1, subscriber_ports: [1-3], uplink_ports: [4], vlans: {2: [7]},\n"
        "     bindings: [\n"
        '      {port: 1, mac: "02:00:00:00:00:07", addresses: [100.64.0.1, "2001:db8::/56"]},\n'
        "      {port: 2, vlan: 7, addresses: [100.64.0.2]},\n"
        "      {port: 2, vlan: 7, addresses: [100.64.0.9]}, {port: 3, addresses: [100.64.0.9]}]}\n"
    )
    asked = ("explain", str(policy), "--dst", "203.0.113.5", "--dport", "587", "--json", "--src")
    first, second = (json.loads(op25b(*asked, source).stdout) for source in ("100.64.0.1", "100.64.0.2"))
    assert (first["verdict"], first["switch"], first["port"], first["vlan"]) == ("permit", "s", 1, None)
    assert (second["verdict"], second["port"], second["vlan"]) == ("permit", 2, 7)
    assert json.loads(op25b(*asked, "100.64.0.2", "--vlan", "8").stdout)["verdict"] == "block"
    text = op25b("explain", str(policy), "--src", "100.64.0.2", "--dst", "203.0.113.5").stdout
    assert "  line      port 2 of s, tag 7\n" in text
    one_missing = "{} is missing; write it, or leave out {}, too"
    for source, options, message in (
        ("100.64.0.9", (), "100.64.0.9 is bound to port 2 of s, port 3 of s; name --switch and --in-port"),
        ("100.64.0.5", (), "100.64.0.5 is bound to no line of this policy; name --switch and --in-port"),
        ("100.64.0.1", ("--switch", "s"), one_missing.format("--in-port", "--switch")),
        ("100.64.0.1", ("--in-port", "1"), one_missing.format("--switch", "--in-port")),
    ):
        result = op25b("explain", str(policy), "--dst", "203.0.113.5", "--src", source, *options)
        assert result.exit_code == 2
        assert message in result.stderr
    result = op25b("explain", str(policy), "--packet", "00" * 60)
    assert result.exit_code == 2
    assert "where does the frame come in?" in result.stderr


def test_explain_takes_a_whole_frame() -> None:
    frame = frame_of(packet(1, 4, 0x64400001, 0xCB007119, 40000, 25)).hex()
    reported = explain("--packet", frame)
    assert (reported["verdict"], reported["rule"]) == ("block", "subscriber-6")
    assert reported["because"].startswith("100.64.0.1 is in the dynamic space 100.64.0.0/10")


def test_explain_knows_other_protocols_and_tags() -> None:
    addresses = ("--src", "100.64.3.8", "--dst", "203.0.113.7")
    assert explain(*addresses, "--proto", "udp")["verdict"] == "permit"
    assert explain(*addresses, "--dport", "587")["verdict"] == "permit"
    assert explain(*addresses, "--vlan", "100")["verdict"] == "block"
    assert explain(*addresses, in_port="26")["rule"] == "trusted-1"


def test_the_schema_describes_the_example() -> None:
    schema = json.loads(op25b("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["isp", "address_space", "switches"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) >= {"isp", "address_space", "mode", "inbound", "hardening", "exceptions"}
