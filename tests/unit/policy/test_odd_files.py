"""Files that no operator writes: each has its error, soon, and nothing is raised."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from op25b_app.policy import source_files as files
from op25b_app.policy import yaml_source
from op25b_app.policy.loader import Loaded, load

NOW = 1_800_000_000.0
SMALLEST = """\
isp: {mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [100.64.0.0/10]}
switches:
  s: {dpid: 1, subscriber_ports: [1], uplink_ports: [2]}
"""
"""Four lines; what is added stands on the fifth."""


def loaded(policy: str | bytes, pool: bytes = b"") -> Loaded:
    content = policy.encode() if isinstance(policy, str) else policy
    return load(Path("/isp/policy.yaml"), NOW, lambda path: content if path.name == "policy.yaml" else pool)


def errors(policy: str | bytes, pool: bytes = b"") -> list[str]:
    """What a reader sees, without the folder; never of a policy that is usable all the same."""
    result = loaded(policy, pool)
    assert (result.policy is None) is bool(result.errors)
    return [str(problem).removeprefix("/isp/") for problem in result.errors]


def bomb(levels: int, width: int) -> str:
    lines = [f"x0: &a0 [{', '.join(['1'] * width)}]"]
    for level in range(1, levels):
        lines.append(f"x{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALLEST + bomb(9, 9), "policy.yaml:10:5: error: aliases make 597,871 values of this"),
        (bomb(9, 9) + SMALLEST.replace("[100.64.0.0/10]", "*a8"), "policy.yaml:6:5: error: aliases make"),
        (SMALLEST + bomb(2, 500), "policy.yaml:6:5: error: aliases make 250,501 values of this"),
        (SMALLEST + bomb(600, 1), "policy.yaml:37:6: error: nested too deeply to be a policy; write it flat"),
        ("[" * 200_000, "policy.yaml:1:33: error: nested too deeply to be a policy; write it flat"),
        ("{" * 200_000, "policy.yaml:1:33: error: nested too deeply to be a policy; write it flat"),
    ],
    ids=["bomb", "bomb that is used", "wide", "chain", "brackets", "braces"],
)  # fmt: skip
def test_what_grows_without_end_is_one_error_soon(text: str, expected: str) -> None:
    before = time.process_time()
    (line,) = errors(text)
    assert line.startswith(expected)
    assert time.process_time() - before < (5 if len(text) > 100_000 else 1)


def test_a_long_alias_is_not_quoted_whole() -> None:
    (line,) = errors(SMALLEST.replace("[192.0.2.0/24]", "*" + "x" * 100_000))
    assert line == (
        f"policy.yaml:1:26: error: not YAML: found undefined alias '{'x' * 57}...'; "
        "look at this line and the one above it"
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [("- a\n" * 2000, "1000:3"), (f"a: [{'{},' * 2000}]", "1:2999"), ("a: {" + "b: c," * 2000, "1:5")],
)
def test_a_file_of_too_many_values_is_one_error(
    text: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_source, "MAX_VALUES", 1000)
    many = "more than 1,000 values in one file; put switches into files to include"
    found = errors(text)
    if "b: c" in text:  # values of a key that is written twice count, too
        assert found[-1].endswith(many)
    else:
        assert found == [f"policy.yaml:{place}: error: {many}"]


def test_aliases_that_many_switches_share_are_no_bomb() -> None:
    switch = "dpid: {0}, subscriber_ports: *ports, uplink_ports: [49], vlans: *vlans"
    vlans = ", ".join(f"{port}: [untagged, 0, 1, 2, 3, 4, {port}]" for port in range(1, 49))
    text = (
        SMALLEST.partition("switches:")[0]
        + "switches:\n  s1: {dpid: 1, subscriber_ports: &ports [1-48], uplink_ports: [49], "
        + f"vlans: &vlans {{{vlans}}}}}\n"
        + "".join(f"  s{number}: {{{switch.format(number)}}}\n" for number in range(2, 401))
    )
    assert errors(text) == []


def test_an_alias_within_itself_hides_nothing_else() -> None:
    text = SMALLEST.replace("[192.0.2.0/24]", "&x [192.0.2.1/24, *x]")
    assert errors(text) == [
        "policy.yaml:1:26: error: an alias that contains itself; write it out",
        "policy.yaml:1:30: error: '192.0.2.1/24' has bits set beyond its length; write 192.0.2.0/24",
    ]


def test_a_key_that_is_a_list_hides_nothing_else() -> None:
    assert errors(SMALLEST.replace("[100.64.0.0/10]", "5, ? [a] : b")) == [
        "policy.yaml:2:26: error: a list is expected, not '5'; write [ ... ]",
        "policy.yaml:2:31: error: a key is a single word; write `name: value`",
    ]


def test_an_anchor_may_be_used_again(recwarn: pytest.WarningsRecorder) -> None:
    assert errors(SMALLEST.replace("[192.0.2.0/24]", "[&a 192.0.2.0/24, &a 192.0.3.0/24, *a]")) == []
    assert not recwarn.list


@pytest.mark.parametrize("written", ["\\U00110000", "\\UFFFFFFFF", "\\Uffffffff"])
@pytest.mark.parametrize(
    ("before", "after", "place"), [('  "', "", "4:6"), ('  "a', "", "4:7"), ('  ? "s', "\n  ", "4:9")]
)
def test_an_escape_beyond_the_last_character_is_reported(
    written: str, before: str, after: str, place: str
) -> None:
    assert errors(SMALLEST.replace("  s:", f'{before}{written}"{after}:')) == [
        f"policy.yaml:{place}: error: {written} is no character, the last is \\U0010FFFF;"
        " write another, or take it out"
    ]


@pytest.mark.parametrize(
    "version", ["1." + "9" * 5000, "9" * 5000 + ".1", "1." + "9" * 4000, "1.0", "1.3", "2.0", "0.0"]
)
def test_a_version_of_yaml_that_is_not_known_is_reported(version: str) -> None:
    assert errors(f"# policy\n%YAML  {version}\n---\n{SMALLEST}") == [
        "policy.yaml:2:8: error: this version of YAML is not known; write %YAML 1.2, or take the line out"
    ]


@pytest.mark.parametrize("version", ["1.1", "1.2", "01.02"])
def test_a_version_of_yaml_may_be_named(version: str) -> None:
    assert errors(f"%YAML {version}\n---\n{SMALLEST}") == []


@pytest.mark.parametrize(
    ("merged", "keys"),
    [
        ("*s", "'subscriber_ports', 'uplink_ports'"),
        ("[*s, {dpid: 3, vlans: {}, uplink_ports: [3]}]",
         "'subscriber_ports', 'uplink_ports', 'vlans'"),
        ("{dpid: 3}", ""),
        ("{'a\u202e': 3}", "'a\\u202e'"),
        ("{[a]: 3}", ""),
        ("5", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_of_a_merge_key_it_is_told_what_to_write_instead(merged: str, keys: str) -> None:
    remedy = f"put {keys} into a profile, or write out here what each holds" if keys else "take it out"
    text = SMALLEST.replace("{dpid", "&s {dpid") + f"  t:\n    <<: {merged}\n    dpid: 2\n"
    assert errors(text) == [f"policy.yaml:6:5: error: merge keys (<<) are not supported; {remedy}"]


def test_a_key_in_quotes_is_no_merge_key() -> None:
    (line,) = errors(SMALLEST.replace("{dpid", '{"<<": 3, dpid'))
    assert line.startswith("policy.yaml:4:7: error: unknown key '<<'; keys here are subscriber_ports,")


@pytest.mark.parametrize(
    ("where", "column"), [("[1]", 34), ("[100.64.0.0/10]", 26), ("isp", 1), ("192.0.2.0/24", 27), ("dpid", 7)]
)
@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("!foo", "'!foo'"),
        ("!!python/name:os.system", "'!!python/name:os.system'"),
        ("!!binary", "'!!binary'"),
        ("!!set", "'!!set'"),
        ("!<%1b>", "'\\x1b'"),
        ("!<tag:example.net,2027:a>", "'tag:example.net,2027:a'"),
    ],
)
def test_a_tag_that_means_nothing_is_reported(where: str, column: int, written: str, tag: str) -> None:
    (line,) = errors(SMALLEST.replace(where, f"{written} {where}", 1))
    assert line.partition(":")[2].partition(":")[2] == (
        f"{column}: error: the tag {tag} means nothing here; take it out"
    )


@pytest.mark.parametrize(("tag", "where"), [("!!str", "[1]"), ("!!seq", "{dpid"), ("!!map", "100.64.0.0/10")])
def test_a_tag_of_another_kind_of_value_is_reported(tag: str, where: str) -> None:
    (line,) = errors(SMALLEST.replace(where, f"{tag} {where}"))
    assert line.endswith(f": error: the tag '{tag}' means nothing here; take it out")


def test_a_tag_that_says_what_is_there_may_be_written() -> None:
    text = SMALLEST.replace("[1]", "!!seq [!!int 1]").replace("{dpid: 1", "!!map {!!str dpid: !!int 1")
    assert errors(f"%TAG !y! tag:yaml.org,2002:\n---\n!y!map\n{text}") == []


NAMED = SMALLEST + "exceptions: [{name: NAME, source: 100.64.0.1, expires: 2028-01-01T00:00:00Z}]\n"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("0_4711", "0_4711"),
        ("1_000", "1_000"),
        ("0x_", "0x_"),
        ("+0x1", "+0x1"),
        ("0b11", "0b11"),
        ("0x10", "16"),
        ("0o17", "15"),
        ("0017", "17"),
        ("'0x10'", "0x10"),
        ("!!str 0x10", "0x10"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_numbers_are_those_of_yaml_1_2_and_all_else_is_text(written: str, name: str) -> None:
    policy = loaded(NAMED.replace("NAME", written)).policy
    assert policy is not None
    assert [exception.name for exception in policy.exceptions] == [name]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("!!int abc", "'abc' is not what its tag !!int says; take the tag out"),
        ("!!bool maybe", "'maybe' is not what its tag !!bool says; take the tag out"),
        ("!!null x", "'x' is not what its tag !!null says; take the tag out"),
        ('"\\ud800"', "U+D800 is not a character of any text; take it out"),
        ('"a\\0b"', "U+0000 is not a character of any text; take it out"),
        ('"\\e[31m"', "U+001B is not a character of any text; take it out"),
        ('"a\\nb"', "'a\\nb' is no name; write one line, without spaces around it"),
        ("' a'", "' a' is no name; write one line, without spaces around it"),
        ('"\\u202eabc"', "'\\u202eabc' is no name; write one line, without spaces around it"),
        ("''", "a text is expected; write some words"),
    ],
)
def test_what_is_no_name_is_reported(written: str, expected: str) -> None:
    assert errors(NAMED.replace("NAME", written)) == [f"policy.yaml:5:21: error: {expected}"]


@pytest.mark.parametrize("written", ['""', '" "', '"a\\tb"'])
def test_a_switch_has_a_name(written: str) -> None:
    lines = errors(SMALLEST.replace("  s:", f"  {written}:"))
    assert [line.partition(" error")[0] for line in lines] == ["policy.yaml:4:3:"]


@pytest.mark.parametrize(
    "moment",
    ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "1969-12-31T23:59:59Z"],
)
def test_moments_without_a_date_are_reported(moment: str) -> None:
    text = NAMED.replace("NAME", "a").replace("2028-01-01T00:00:00Z", moment)
    assert errors(text) == [
        f"policy.yaml:5:53: error: '{moment}' is not from 1970 to 9999 in UTC;"
        " write one like 2027-03-31T00:00:00Z, or none where there is no end"
    ]


def test_the_last_second_of_9999_is_a_moment() -> None:
    text = NAMED.replace("NAME", "a").replace("2028-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    policy = loaded(text).policy
    assert policy is not None
    assert policy.exceptions[0].expires == 253_402_300_799


def test_a_file_name_with_a_null_character_is_reported() -> None:
    text = SMALLEST.replace("[100.64.0.0/10]", '[{file: "a\\0b"}]')
    assert errors(text) == ["policy.yaml:2:34: error: U+0000 is not a character of any text; take it out"]


def test_a_file_name_that_the_system_does_not_take_is_reported() -> None:
    def read(path: Path) -> bytes:
        if path.name != "policy.yaml":
            raise UnicodeEncodeError("ascii", path.name, 0, 1, "ordinal not in range(128)")
        return SMALLEST.replace("[100.64.0.0/10]", "[{file: ü.txt}]").encode()

    assert [str(problem) for problem in load(Path("/isp/policy.yaml"), NOW, read).errors] == [
        "/isp/policy.yaml:2:27: error: cannot read /isp/ü.txt: no file can have such a name;"
        " name a file that is there"
    ]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (", ".join(["1-65536"] * 400), "policy.yaml:4:34: error: 26,214,400 ports; no switch has that many"),
        (
            "1-65537",
            "policy.yaml:4:35: error: the range '1-65537' holds 65537 ports; no switch has that many",
        ),
    ],
)
def test_more_ports_than_a_switch_has_are_reported(ports: str, expected: str) -> None:
    text = SMALLEST.replace("subscriber_ports: [1], uplink_ports: [2]", f"subscriber_ports: [{ports}]")
    assert errors(text) == [expected]


def test_more_ports_than_a_network_has_are_reported() -> None:
    text = SMALLEST + "".join(
        f"  s{number}: {{dpid: {number}, subscriber_ports: [1-65536]}}\n" for number in range(2, 20)
    )
    reported = "error: with these the policy names more than 1,048,576 ports; name those that switches have"
    assert errors(text) == [f"policy.yaml:{line}:37: {reported}" for line in (20, 21, 22)]


def test_a_policy_file_has_a_largest_size() -> None:
    assert errors(SMALLEST + "#" * (50 << 20)) == [
        "policy.yaml:1:1: error: /isp/policy.yaml is larger than 16 MiB, too large for a policy;"
        " put long lists of prefixes into files of their own"
    ]


def test_a_prefix_file_has_a_largest_size() -> None:
    text = SMALLEST.replace("[100.64.0.0/10]", "[{file: pools.txt}]")
    assert errors(text, b"#" * ((64 << 20) + 1)) == [
        "policy.yaml:2:27: error: /isp/pools.txt is larger than 64 MiB, too large for a file of prefixes;"
        " leave out what longer prefixes repeat, or split it"
    ]


def test_of_a_file_without_end_no_more_is_read_than_shows_that(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").symlink_to("/dev/zero")
    (problem,) = load(tmp_path / "policy.yaml", NOW).errors
    assert "is larger than 16 MiB" in problem.message


@pytest.mark.parametrize("name", ["policy.yaml", "pool.txt"])
def test_a_fifo_out_of_which_nothing_comes_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(files, "SILENT_SECONDS", 0.01)
    policy = tmp_path / "policy.yaml"
    policy.write_text(SMALLEST.replace("[192.0.2.0/24]", "[{file: pool.txt}]"))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    (problem,) = load(policy, NOW).errors
    assert str(problem).endswith(
        f"cannot read {tmp_path / name}: it does not answer within 0.01 s; name a file that can be read"
    )


def test_a_fifo_is_read_to_its_end(tmp_path: Path) -> None:
    """As a shell passes one for ``<(...)``; it may come bit by bit."""
    reading, writing = os.pipe()

    def write() -> None:
        for line in SMALLEST.splitlines(keepends=True):
            os.write(writing, line.encode())
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    result = load(Path(f"/dev/fd/{reading}"), NOW)
    writer.join()
    os.close(reading)
    assert result.policy is not None, result.errors


def test_what_was_not_understood_is_no_reason_for_a_warning() -> None:
    text = SMALLEST.replace("[100.64.0.0/10]", "[100.064.0.0/10]") + "mode: monitor\n"
    (problem,) = loaded(text).problems
    assert (problem.severity, problem.place.line) == ("error", 2)


def test_of_very_many_errors_the_first_are_reported() -> None:
    lines = errors(SMALLEST + "".join(f"k{number}: 1\n" for number in range(3000)))
    assert len(lines) == 1001
    assert lines[-1].endswith("error: and 2,000 more errors in this file")


BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_no_part_of_a_file() -> None:
    text = SMALLEST.replace("[100.64.0.0/10]", "[{file: pools.txt}]").encode()
    policy = loaded(BOM + text, BOM + b"100.64.0.0/10\r\n").policy
    assert policy is not None
    assert [(str(prefix), place.column) for prefix, place in policy.dynamic] == [("100.64.0.0/10", 1)]
    assert policy.isp_name == ""
    assert errors(BOM + text, BOM + b"north\n")[0].startswith("pools.txt:1:1: error: 'north' is not")


def test_what_cannot_be_seen_is_shown() -> None:
    line = SMALLEST.replace("100.64.0.0/10", "100.64.0.0/10\u200b")
    assert errors(line)[0].startswith("policy.yaml:2:27: error: '100.64.0.0/10\\u200b' is not an IPv4")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("fe80::1%eth0", "'fe80::1%eth0' names an interface behind %; write fe80::1"),
        ("fe80::%eth0/64", "'fe80::%eth0/64' names an interface behind %; write fe80::/64"),
        ("10.0.0.0/0.0.0.255", "'10.0.0.0/0.0.0.255' has no netmask behind its /; write 10.0.0.0/24"),
    ],
)
def test_what_was_taken_for_a_prefix_and_is_none(written: str, expected: str) -> None:
    text = SMALLEST.replace("[100.64.0.0/10]", f"['{written}']")
    assert errors(text) == [f"policy.yaml:2:27: error: {expected}"]
    assert errors(SMALLEST.replace("[100.64.0.0/10]", "[{file: p}]"), written.encode()) == [
        f"p:1:1: error: {expected}"
    ]


def test_a_netmask_is_a_length() -> None:
    policy = loaded(SMALLEST.replace("100.64.0.0/10", "10.0.0.0/255.255.0.0")).policy
    assert policy is not None
    assert [str(prefix) for prefix, _ in policy.dynamic] == ["10.0.0.0/16"]


@pytest.mark.parametrize("written", ["'\u0661'", "'\uff11'", "'1-\uff12'", "'1_0'"])
def test_digits_of_other_scripts_are_no_port(written: str) -> None:
    lines = errors(SMALLEST.replace("uplink_ports: [2]", f"uplink_ports: [{written}]"))
    assert lines == [f"policy.yaml:4:54: error: {written} is no port, range or name; write 7, 1-24 or eth1"]


def test_a_port_is_written_once_whatever_its_digits() -> None:
    assert errors(SMALLEST.replace("dpid: 1", "dpid: 1, vlans: {1: [5], 01: [6]}")) == [
        "policy.yaml:4:23: error: '1' and '01' are the same port; keep one of them"
    ]


@pytest.mark.parametrize(
    ("vlans", "expected"),
    [
        ("{1-4: [5], 9: [5], 3-5: [6]}", "4:23: error: '1-4' and '3-5' share a port; keep one of them"),
        ("{4: [5], 1-65536: [6]}", "4:23: error: more than 65,536 ports; no switch has that many"),
        (
            "{1-65: [0-4094]}",
            "4:23: error: 266,175 tags on all ports, each of which is a rule; write at most",
        ),
        ("{1: [4000-4095]}", "4:28: error: '4000-4095' is not a VLAN; write 1 to 4094, 0 (priority tag) or"),
        ("{1: [1-2-3]}", "4:28: error: '1-2-3' is not a VLAN; write 1 to 4094, 0 (priority tag) or untagged"),
        ("{1x: [1]}", "4:24: error: '1x' is no port, range or name; write 7, 1-24 or eth1"),
    ],
)
def test_ranges_of_ports_and_tags_have_bounds(vlans: str, expected: str) -> None:
    (line,) = errors(SMALLEST.replace("dpid: 1", f"dpid: 1, vlans: {vlans}"))
    assert line.startswith(f"policy.yaml:{expected}")


@pytest.mark.parametrize("written", ["'0:x1'", "'::1::'", "'00:00'", "'1:2:3:4:5:6:7:8'"])
def test_colons_in_a_datapath_id_stand_between_octets(written: str) -> None:
    lines = errors(SMALLEST.replace("dpid: 1", f"dpid: {written}"))
    assert lines == [
        f"policy.yaml:4:13: error: {written} is not a datapath id; write 0x1 or 16 hexadecimal digits"
    ]
