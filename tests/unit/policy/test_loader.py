"""Policy files: what is read, and everything that is wrong with one, told at once with place and remedy."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from op25b_app.net.prefix import Prefix
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.model import CertificateName, Mode, Policy, SourceValidation, SubscriberPort

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z"""

SMALLEST = """\
isp:
  mail_destinations: [192.0.2.0/24]
address_space:
  dynamic: [100.64.0.0/10]
switches:
  access-1: {dpid: 0x1, subscriber_ports: [1], uplink_ports: [2]}
"""


def load_text(folder: Path, text: str) -> Loaded:
    path = folder / "policy.yaml"
    path.write_text(dedent(text))
    return load(path, NOW)


def valid(folder: Path, text: str) -> Policy:
    loaded = load_text(folder, text)
    assert loaded.policy is not None, "\n".join(map(str, loaded.problems))
    return loaded.policy


def reported(folder: Path, text: str, severity: str = "error") -> list[str]:
    """Problems of one severity as a reader sees them, without the folder."""
    problems = load_text(folder, text).problems
    return [str(problem).replace(f"{folder}/", "") for problem in problems if problem.severity == severity]


def prefixes(*texts: str) -> list[Prefix]:
    return [Prefix.parse(text) for text in texts]


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "pools.txt").write_text("# pools\n\n100.72.0.0/16  # north\n2001:db8:2000::/36\n")
    policy = valid(
        tmp_path,
        """\
        isp:
          name: Example ISP
          mail_destinations: [192.0.2.0/24, "2001:db8:25::/48"]
          nat64_prefixes: ["64:ff9b::/96"]
        address_space:
          dynamic: [100.64.0.0/13, "2001:db8:1000::/36", {file: pools.txt}]
          static: [100.64.8.0/24]
        mode: monitor
        inbound: {spoofed_replies: permit, port_25: block}
        hardening:
          source_validation: binding
          encapsulation: permit
          ethertypes: [0x888e]
          tunnels: {permit_to: [203.0.113.1, "2001:db8:ff::/48"], block_udp_ports: [4789, 0]}
          unreadable_tcp: permit
        exceptions:
          - {name: 4711, source: 100.64.3.7, destination: 203.0.113.0/24, expires: 2027-03-31T00:00:00+09:00}
          - {name: line, source: {switch: access-1, port: 3}, destination: "2001:db8::1", reason: appliance}
        switches:
          access-1:
            dpid: 0000000000000010
            subscriber_ports: [1-24, 30]
            uplink_ports: [25]
            trusted_ports: [26, 27]
            mode: enforce
            serves: [100.64.0.0/12]
            vlans: {1: [100], 2-3: [untagged, 0, 200-202, 201-203]}
            bindings: [{port: 3, mac: "02:00:00:00:00:03", addresses: [100.64.8.0/24]}]
            forwarding: {table: 10}
            certificate: 'CN=access-1, O=Example\\, Inc.'
          access-2: {dpid: "00:00:00:00:00:00:00:ff", certificate: "sha256:FINGERPRINT"}
        """.replace("FINGERPRINT", "Ab" * 32),
    )
    assert policy.isp_name == "Example ISP"
    assert [entry.prefix for entry in policy.mail_destinations] == prefixes(
        "192.0.2.0/24", "2001:db8:25::/48"
    )
    assert [entry.prefix for entry in policy.nat64_prefixes] == prefixes("64:ff9b::/96")
    assert [entry.prefix for entry in policy.dynamic] == prefixes(
        "100.64.0.0/13", "2001:db8:1000::/36", "100.72.0.0/16", "2001:db8:2000::/36"
    )
    assert str(policy.dynamic[2].place) == f"{tmp_path}/pools.txt:3:1"
    assert [entry.prefix for entry in policy.static] == prefixes("100.64.8.0/24")
    assert policy.static[0].place == (str(tmp_path / "policy.yaml"), 7, 12)
    assert (policy.inbound.block_spoofed_replies, policy.inbound.block_port_25) == (False, True)
    hardening = policy.hardening
    assert hardening.source_validation is SourceValidation.BINDING
    assert (hardening.block_encapsulation, hardening.block_unreadable_tcp) == (False, False)
    assert hardening.ethertypes == {0x888E}
    assert hardening.tunnels.block
    ends = [entry.prefix for entry in hardening.tunnels.permit_to]
    assert ends == prefixes("203.0.113.1/32", "2001:db8:ff::/48")
    assert hardening.tunnels.udp_ports == {0, 4789}
    ticket, line = policy.exceptions
    assert (ticket.name, ticket.expires) == ("4711", 1_806_418_800)
    assert (line.source, line.expires, line.reason) == (SubscriberPort("access-1", 3), None, "appliance")
    assert line.destination == Prefix.parse("2001:db8::1/128")
    access_1, access_2 = policy.switches.values()
    assert (access_1.dpid, access_2.dpid) == (0x10, 0xFF)
    assert access_1.subscriber_ports == {*range(1, 25), 30}
    assert access_1.uplink_ports == {25}
    assert access_1.trusted_ports == {26, 27}
    assert (access_1.mode, access_2.mode) == (Mode.ENFORCE, Mode.MONITOR)
    assert access_1.forwarding_table == 10
    assert [entry.prefix for entry in access_1.serves or ()] == prefixes("100.64.0.0/12")
    assert access_1.vlans == {
        1: {100},
        2: {None, 0, 200, 201, 202, 203},
        3: {None, 0, 200, 201, 202, 203},
    }
    assert access_2.forwarding_table is None
    assert access_1.certificate == CertificateName(None, (("CN", "access-1"), ("O", "Example, Inc.")))
    assert access_2.certificate == CertificateName("ab" * 32)
    (binding,) = access_1.bindings
    assert (binding.port, binding.mac) == (3, 0x020000000003)
    assert [entry.prefix for entry in binding.addresses] == prefixes("100.64.8.0/24")


def test_defaults(tmp_path: Path) -> None:
    policy = valid(tmp_path, SMALLEST)
    assert policy.switches["access-1"].mode is Mode.ENFORCE
    assert (policy.inbound.block_spoofed_replies, policy.inbound.block_port_25) == (True, False)
    hardening = policy.hardening
    assert hardening.source_validation is SourceValidation.PORT_25
    assert (hardening.block_encapsulation, hardening.block_unreadable_tcp) == (True, True)
    assert (hardening.tunnels.block, hardening.ethertypes) == (False, frozenset())


@pytest.mark.parametrize(
    ("written", "block", "udp_ports"),
    [
        ("permit", False, set()),
        ("block", True, set()),
        ("{permit_to: []}", True, set()),
        ("{block_udp_ports: [4789]}", False, {4789}),
        ("{block_udp_ports: [4789], permit_to: []}", True, {4789}),
    ],
)
def test_tunnels_by_protocol_and_by_udp_port(
    tmp_path: Path, written: str, block: bool, udp_ports: set[int]
) -> None:
    tunnels = valid(tmp_path, SMALLEST + f"hardening: {{tunnels: {written}}}\n").hardening.tunnels
    assert (tunnels.block, tunnels.permit_to) == (block, ())
    assert tunnels.udp_ports == udp_ports


def test_yaml_1_2_reads_off_as_a_word(tmp_path: Path) -> None:
    policy = valid(tmp_path, SMALLEST + "hardening: {source_validation: off}\n")
    assert policy.hardening.source_validation is SourceValidation.OFF


def test_a_key_without_a_value_is_as_if_not_written(tmp_path: Path) -> None:
    assert valid(tmp_path, SMALLEST + "exceptions:\nmode:\n").exceptions == ()


def test_five_mistakes_are_five_lines(tmp_path: Path) -> None:
    text = """\
    isp:
      mail_destination: [192.0.2.0/24]
      mail_destinations: [192.0.2.1/24]
    address_space:
      dynamic: [100.64.0.0/10, 10.0.0.0/8]
      static: [10.0.0.0/8]
    switches:
      access-1: {dpid: 0x1, subscriber_ports: [1-24], uplink_ports: [24]}
      access-2: {dpid: 0x1, subscriber_ports: [1]}
    """
    assert reported(tmp_path, text) == [
        "policy.yaml:2:3: error: unknown key 'mail_destination'; did you mean 'mail_destinations'?",
        "policy.yaml:3:23: error: '192.0.2.1/24' has bits set beyond its length; write 192.0.2.0/24",
        "policy.yaml:6:12: error: 10.0.0.0/8 is dynamic as well (policy.yaml:5:28);"
        " keep it in one of the two",
        "policy.yaml:8:66: error: port 24 is already one of subscriber_ports; give it one role",
        "policy.yaml:9:3: error: access-2 has the dpid 0x1 of access-1 (policy.yaml:8:3);"
        " look the dpid up on the switch",
    ]


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("mode: off", "7:7: error: 'off' cannot stand here; write 'enforce' or 'monitor'"),
        ("inbound: block", "7:10: error: keys are expected, not 'block'; write `key: value` below"),
        ("exceptions: all", "7:13: error: a list is expected, not 'all'; write [ ... ]"),
        ("isp: {}", "7:1: error: 'isp' is written twice, first on line 1; keep one of them"),
        ("? [a]\n: b", "7:3: error: a key is a single word; write `name: value`"),
        ("colour: red", "7:1: error: unknown key 'colour'; keys here are include, isp, address_space, mode,"
         " inbound, hardening, exceptions, profiles, lines, switches"),
        ("exceptions: [{name: a}]", "7:14: error: 'source' is missing; write it"),
        ("exceptions: [{name: a, source: 1}]",
         "7:32: error: '1' is not a prefix; write one like 192.0.2.0/24, IPv6 in quotes"),
        ("exceptions: [{name: a, source: {port: 1}}]",
         "7:32: error: not a source; write an address, a prefix, or {switch: NAME, port: N, vlan: V}"),
        ("exceptions: [{name: a, source: 100.64.0.1, expires: 2027-03-31}]",
         "7:53: error: '2027-03-31' is not a moment with a time zone; write 2027-03-31T00:00:00Z"),
        ("exceptions: [{name: a, source: {switch: access-9, port: 1}, destination: 203.0.113.1}]",
         "7:14: error: no switch is called 'access-9'; the switches are access-1"),
        ("exceptions: [{name: a, source: {switch: access-1, port: 2}, destination: 203.0.113.1}]",
         "7:14: error: port 2 of access-1 is its uplink port; a line is a subscriber port"),
        ("exceptions: [{name: a, source: 100.64.0.1}, {name: a, source: 100.64.0.2}]",
         "7:45: error: the name 'a' is taken (policy.yaml:7:14); write another"),
        ("exceptions: [{name: a, source: 100.64.0.1, destination: '2001:db8::1'}]",
         "7:14: error: 100.64.0.1/32 cannot speak to 2001:db8::1/128; write both as IPv4 or both as IPv6"),
        ("hardening: {tunnels: {permit_to: x}}",
         "7:22: error: '{'permit_to': 'x'}' is not possible; write permit, block or {permit_to: [prefixes],"
         " block_udp_ports: [ports]}, of which one is enough"),
        ("hardening: {tunnels: {block_udp_ports: [4789, 65536]}}",
         "7:22: error: '65536' is not a UDP port; write one from 0 (fragments) to 65535, like 4789"),
        ("hardening: {tunnels: {permit_to: [], block_udp_ports: [true]}}",
         "7:22: error: 'True' is not a UDP port; write one from 0 (fragments) to 65535, like 4789"),
        ("hardening: {tunnels: {block_udp_ports: [547]}}",
         "7:22: error: 547 is a port of DHCP, without which no line gets an address; take it out"),
        (f"hardening: {{tunnels: {{block_udp_ports: {[*range(1000, 1033)]}}}}}",
         "7:22: error: 33 ports are more than block_udp_ports takes, each with rules of its own;"
         " write at most 32"),
        ("hardening: {source_validation: prefixes}",
         "7:32: error: 'prefixes' cannot stand here; write 'off', 'port-25', 'prefix' or 'binding'"),
        ("hardening: {ethertypes: [0x99]}", "7:26: error: '153' is not an ethertype; write one like 0x888e"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line(tmp_path: Path, added: str, expected: str) -> None:
    assert reported(tmp_path, SMALLEST + added + "\n") == [f"policy.yaml:{expected}"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("dpid: 0", "13: error: '0' is not a datapath id; write 0x1 or 16 hexadecimal digits"),
        ("dpid: access", "13: error: 'access' is not a datapath id; write 0x1 or 16 hexadecimal digits"),
        ("subscriber_ports: [1]", "3: error: 'dpid' is missing under 's'; write it"),
        ("dpid: 1, subscriber_ports: [0]", "35: error: '0' is no port, range or name; write 7, 1-24 or eth1"),
        ("dpid: 1, uplink_ports: [9-8]", "31: error: the range '9-8' is empty; write the lower port first"),
        ("dpid: 1, forwarding: {table: 5}",
         "28: error: table 5 is not free for other applications; write one from 6 to 254"),
        ("dpid: 1, forwarding: output",
         "28: error: 'output' is no way to forward; write normal or {table: 6}"),
        ("dpid: 1, certificate: access-1",
         "29: error: 'access-1' names no certificate; write sha256: and its 64 hexadecimal digits,"
         " or attributes of its subject, as CN=access-1,O=Example ISP"),
        ("dpid: 1, certificate: 'O=Example ISP'",
         "29: error: 'O=Example ISP' may fit many certificates; write its common name, too, as CN=access-1"),
        ("dpid: 1, bindings: [{port: 1}]", "27: error: 'addresses' is missing; write it"),
        ("dpid: 1, bindings: [{port: 1, mac: 3, addresses: []}]",
         "42: error: '3' is not a MAC address; write one like \"02:00:00:00:00:03\""),
        ("dpid: 1, trusted_ports: [1], bindings: [{port: 1, addresses: [100.64.0.1]}]",
         "47: error: port 1 of s is its trusted port; a line is a subscriber port"),
        ("dpid: 1, serves: [198.51.100.0/24]",
         "25: error: 198.51.100.0/24 is in neither dynamic nor static space, so s cannot serve it;"
         " list it there or take it out"),
        ("dpid: 1, vlans: {1: [4095]}",
         "28: error: '4095' is not a VLAN; write 1 to 4094, 0 (priority tag) or untagged"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_switch_has_its_column(tmp_path: Path, written: str, expected: str) -> None:
    text = SMALLEST.rpartition("  access-1")[0] + f"  s: {{{written}}}\n"
    errors = reported(tmp_path, text)
    assert f"policy.yaml:6:{expected}" in errors


def test_no_switch_at_all_is_an_error(tmp_path: Path) -> None:
    text = SMALLEST.partition("switches:")[0]
    remedy = "no switch: nothing would be protected; name one, with its dpid and its ports"
    assert reported(tmp_path, text + "switches: {}\n") == [f"policy.yaml:5:1: error: {remedy}"]
    assert reported(tmp_path, text + "switches: {s: 5}\n") == [
        "policy.yaml:5:15: error: keys are expected, not '5'; write `key: value` below"
    ]


def test_prefix_files_are_reported_by_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "pools.txt").write_text("100.64.0.0/10\n  100.64.0.1/10 # north\nnorth\n")
    text = SMALLEST.replace("[100.64.0.0/10]", "[{file: pools.txt}, {file: none.txt}]")
    assert reported(tmp_path, text) == [
        f"policy.yaml:4:32: error: cannot read {tmp_path}/none.txt: No such file or directory;"
        " name a file that is there".replace(f"{tmp_path}/", ""),
        "pools.txt:2:3: error: '100.64.0.1/10' has bits set beyond its length; write 100.64.0.0/10",
        "pools.txt:3:1: error: 'north' is not an IPv4 or IPv6 prefix;"
        " write one like 192.0.2.0/24 or 2001:db8::/32",
    ]


def test_a_file_that_is_no_prefix_file_is_not_told_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "pools.txt").write_text("word\n" * 1000)
    errors = reported(tmp_path, SMALLEST.replace("[100.64.0.0/10]", "[{file: pools.txt}]"))
    assert len(errors) == 51
    assert errors[-1] == "pools.txt:51:1: error: and 950 more lines of this file are no prefixes"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "policy.yaml:1:1: error: the file is empty;"
         " start with the keys isp:, address_space: and switches:"),
        (b"- a\n", "policy.yaml:1:1: error: a policy is a mapping;"
         " start with the keys isp:, address_space: and switches:"),
        (b"isp: \xff\n", "policy.yaml:1:6: error: not UTF-8 text; save the file as UTF-8"),
        (b"a: 1\nb: \x07\n", "policy.yaml:2:4: error: a character that YAML does not allow; remove it"),
        (b"a: &x [*x]\n", "policy.yaml:1:4: error: an alias that contains itself; write it out"),
        (b"[" * 5000, "policy.yaml:1:33: error: nested too deeply to be a policy; write it flat"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_policy_has_one_clear_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    errors = [str(problem).replace(f"{tmp_path}/", "") for problem in load(path, NOW).errors]
    assert expected in errors


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (problem,) = load(tmp_path / "none.yaml", NOW).problems
    assert str(problem) == (
        f"{tmp_path}/none.yaml:1:1: error: cannot read {tmp_path}/none.yaml: No such file or directory;"
        " name a file that is there"
    )


def test_a_half_written_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    """At the end of some lines what is left is a policy; up to the first switch it never is."""
    whole = SMALLEST.rpartition("  access-1")[0]
    for length in range(len(whole)):
        assert load_text(tmp_path, whole[:length]).policy is None, whole[:length]


def test_aliases_can_be_wrong_in_one_place_only(tmp_path: Path) -> None:
    text = SMALLEST.replace("[192.0.2.0/24]", "&mail [192.0.2.0/24, 1]").replace("[100.64.0.0/10]", "*mail")
    assert reported(tmp_path, text) == [
        "policy.yaml:2:43: error: '1' is not a prefix; write one like 192.0.2.0/24, IPv6 in quotes",
        "policy.yaml:2:43: error: '1' is not a prefix; write one like 192.0.2.0/24, IPv6 in quotes",
    ]


def test_warnings_leave_a_policy_valid(tmp_path: Path) -> None:
    text = """\
    isp: {mail_destinations: [192.0.2.0/24]}
    address_space: {dynamic: [100.64.0.0/10], static: [100.64.8.0/29, 100.64.9.0/24]}
    exceptions:
      - {name: old, source: 100.64.0.1, expires: 2020-01-01T00:00:00Z}
      - {name: void, source: 100.64.0.1, destination: 192.0.2.7}
      - {name: wide, source: {switch: s, port: 1}}
    switches:
      s: {dpid: 1, subscriber_ports: [1], bindings: [{port: 7, addresses: [100.64.8.0/30]}]}
    hardening: {ethertypes: [0x888e, 0x8864]}
    """
    valid(tmp_path, text)
    assert reported(tmp_path, text, "warning") == [
        "policy.yaml:1:27: warning: 192.0.2.0/24 holds more than one host: one that forwards source-routed"
        " packets carries mail on to anywhere; name the mail servers alone, or see docs/bypasses.md",
        "policy.yaml:2:52: warning: no binding ties 100.64.8.4 of 100.64.8.0/29, 100.64.9.0 of 100.64.9.0/24"
        " to a line: any line can borrow them; bind them under a switch's bindings",
        "policy.yaml:4:5: warning: exception 'old' is past and permits nothing; remove it",
        "policy.yaml:5:5: warning: exception 'void' permits nothing new:"
        " 192.0.2.7/32 is among the mail destinations; remove it",
        "policy.yaml:6:5: warning: exception 'wide' lets any host answer from port 25 to all dynamic space;"
        " name its destination, or bind the line's addresses",
        "policy.yaml:7:1: warning: no switch has an uplink port,"
        " so answers to spoofed mail connections (the return leg) pass; name the uplink_ports",
        "policy.yaml:8:50: warning: port 7 of s has no role; add it to its subscriber_ports",
        "policy.yaml:9:34: warning: 0x8864 (PPPoE) carries IP that no rule sees, port 25 included;"
        " take it out, or see docs/placement.md",
    ]


def test_mail_destinations_of_single_hosts_need_no_warning(tmp_path: Path) -> None:
    hosts, wide = (
        '192.0.2.25, "2001:db8:25::25"',
        "192.0.2.0/31, 198.51.100.0/24, 198.18.0.0/15, 203.0.113.0/25",
    )
    text = SMALLEST.replace("192.0.2.0/24", hosts)
    assert reported(tmp_path, text, "warning") == []
    (warning,) = reported(tmp_path, text.replace(hosts, f'{hosts}, {wide}, "2001:db8:25::/48"'), "warning")
    assert warning == (
        "policy.yaml:2:54: warning: 192.0.2.0/31, 198.51.100.0/24, 198.18.0.0/15 and 2 more hold more than"
        " one host: one that forwards source-routed packets carries mail on to anywhere; name the mail"
        " servers alone, or see docs/bypasses.md"
    )


@pytest.mark.parametrize(("validation", "free"), [("port-25", True), ("prefix", False), ("binding", False)])
def test_the_table_of_sources_is_free_where_there_is_none(
    tmp_path: Path, validation: str, free: bool
) -> None:
    text = SMALLEST.replace("uplink_ports: [2]", "uplink_ports: [2], forwarding: {table: 6}")
    errors = reported(tmp_path, text + f"hardening: {{source_validation: {validation}}}\n")
    expected = (
        f"policy.yaml:6:79: error: table 6 is where 'source_validation: {validation}' looks at sources;"
        " write one from 7 to 254"
    )
    assert errors == ([] if free else [expected])


def test_tags_of_ports_that_do_not_look_at_them_are_a_warning(tmp_path: Path) -> None:
    text = SMALLEST.replace("uplink_ports: [2]", "trusted_ports: [2], vlans: {2: [5], 3: [6]}")
    warnings = reported(tmp_path, text, "warning")
    assert [line.partition("warning: ")[2] for line in warnings if line.startswith("policy.yaml:6")] == [
        "port 2 of access-1 is trusted, so its tags are not looked at; take it out of the vlans",
        "port 3 of access-1 has no role; add it to its subscriber_ports",
    ]


def unbound(folder: Path, dynamic: str, static: str, bound: str) -> list[str]:
    """What is told of static prefixes without a line."""
    text = SMALLEST.replace("[100.64.0.0/10]", f"[{dynamic}]\n  static: [{static}]")
    text = text.replace(
        "uplink_ports: [2]", f"uplink_ports: [2], bindings: [{{port: 1, addresses: [{bound}]}}]"
    )
    return [line.partition("warning: ")[2] for line in reported(folder, text, "warning") if "binding" in line]


@pytest.mark.parametrize(
    ("dynamic", "static", "bound", "address"),
    [
        ("10.0.0.0/8", "10.0.0.0/24", "", "10.0.0.0"),
        ("10.0.0.0/25", "10.0.0.0/24", "10.0.0.128/26", "10.0.0.192"),
        ("10.0.0.0/25", "10.0.0.0/24", "10.0.0.0/26, 10.0.0.128/25", None),
        ("10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/16", None),
        ("10.0.0.64/26, 10.0.0.64/28, 10.0.0.192/26", "10.0.0.0/24", "10.0.0.0/26, 10.0.0.128/26", None),
        ("10.0.0.64/26, 10.0.0.64/28", "10.0.0.0/24", "10.0.0.0/26, 10.0.0.128/26", "10.0.0.192"),
        ("10.0.0.0/8", "2001:db8::/32", "10.0.0.0/8, 2001:db8::/33", "2001:db8:8000::"),
    ],
)
def test_the_first_address_that_any_line_can_borrow_is_named(
    tmp_path: Path, dynamic: str, static: str, bound: str, address: str | None
) -> None:
    lines = unbound(tmp_path, dynamic, static, bound)
    expected = [] if address is None else [f"no binding ties {address} of {static} to a line"]
    assert [line.partition(": any line")[0] for line in lines] == expected


def test_many_static_prefixes_without_a_line_are_one_warning(tmp_path: Path) -> None:
    (tmp_path / "static.txt").write_text("".join(f"100.64.{number}.0/24\n" for number in range(100)))
    assert unbound(tmp_path, "100.64.0.0/10", "{file: static.txt}", "") == [
        "no binding ties 100.64.0.0 of 100.64.0.0/24, 100.64.1.0 of 100.64.1.0/24,"
        " 100.64.2.0 of 100.64.2.0/24 and addresses of 97 more to a line:"
        " any line can borrow them; bind them under a switch's bindings"
    ]


def test_a_wholly_bound_static_prefix_is_no_warning(tmp_path: Path) -> None:
    text = SMALLEST.replace("[100.64.0.0/10]", "[100.64.0.0/10, 100.64.8.8/29]\n  static: [100.64.8.0/28]")
    text = text.replace(
        "uplink_ports: [2]",
        "uplink_ports: [2], bindings: [{port: 1, addresses: [100.64.8.0/30, 100.64.8.4/30]}]",
    )
    assert not [line for line in reported(tmp_path, text, "warning") if "binding" in line]
