"""Files of prefixes as they come: lists with comments and ranges, and files of other formats."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.formats.prefix_rows import FileFormat
from op25b_app.net.prefix import Prefix, parse_prefixes, prefixes_of_range
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.prefix_file import PrefixFile, read_formatted_file, read_prefix_file
from tests.unit.formats.samples import DNSMASQ, ISC4, ISC6, KEA4, KEA6

NOW = 1_800_000_000.0
RIR = """\
2|apnic|20260101|4|19830101|20251231|+1000
apnic|*|ipv4|*|2|summary
# comment
apnic|JP|ipv4|203.0.113.0|96|20110811|assigned|A918F5A0|e-stats
apnic|JP|ipv6|2001:db8::|32|20110811|allocated|A918F5A0
apnic|AU|ipv4|198.51.100.0|256|20110811|allocated|A91872ED
apnic|JP|asn|64500|1|20110811|allocated|A918F5A0
apnic||ipv4|192.0.2.0|256||available|
"""
RPSL = """\
% This is the RIPE Database query service.

route:      192.0.2.0/24   # the servers
descr:      Example ISP
+           in two lines
            and a third
origin:     AS64500
source:     TEST

inetnum:    192.0.2.0 - 192.0.2.255
netname:    EXAMPLE

route6:     2001:db8::/32
origin:     as64501
"""
CSV = '\ufeffName;Prefix\r\n"a; b";192.0.2.0/24\r\nc;\r\nd;"192.0.2.5 - 192.0.2.6"\r\n'
JSON_LINES = '{"p": "192.0.2.0/24"}\n\n{"p": ["192.0.2.1", "2001:db8::/32"], "q": 1}\n{"p": null}\n'


def shown(file: PrefixFile) -> list[str]:
    assert file.problems == ()
    return [f"{listed.place.line} {listed.prefix}" for listed in file.listed]


def problems(file: PrefixFile) -> list[str]:
    return [str(problem) for problem in file.problems]


def test_a_list_has_comments_and_ranges() -> None:
    text = (
        "192.0.2.0/24;the first\r\n  // none\n; none\n2001:db8::/32 // north\n"
        "192.0.2.5-192.0.2.8\n2001:db8:: - 2001:db8::2 # three\n0.0.0.0-255.255.255.255"
    )
    assert shown(read_prefix_file("l", text)) == [
        "1 192.0.2.0/24",
        "4 2001:db8::/32",
        "5 192.0.2.5/32",
        "5 192.0.2.6/31",
        "5 192.0.2.8/32",
        "6 2001:db8::/127",
        "6 2001:db8::2/128",
        "7 0.0.0.0/0",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("192.0.2.9-192.0.2.5", "the range '192.0.2.9-192.0.2.5' is empty; write the lower address first"),
        (
            "192.0.2.9-2001:db8::",
            "the ends of '192.0.2.9-2001:db8::' are IPv4 and IPv6; write both as one of",
        ),
        ("192.0.2.9-12", "'192.0.2.9-12' is not a range; write one like 192.0.2.5-192.0.2.9"),
        ("192.0.2.0//24", "'192.0.2.0//24' is not an IPv4 or IPv6 prefix; write one like 192.0.2.0/24"),
        ("access-1", "'access-1' is not an IPv4 or IPv6 prefix; write one like 192.0.2.0/24"),
    ],
)
def test_what_is_wrong_in_a_list(line: str, expected: str) -> None:
    (problem,) = problems(read_prefix_file("l", f"192.0.2.0/24\n  {line}  # x\n"))
    assert problem.startswith(f"l:2:3: error: {expected}")


@given(st.sampled_from((4, 6)), st.data())
def test_a_range_is_the_fewest_prefixes_that_are_the_same(version: int, data: st.DataObject) -> None:
    width = 32 if version == 4 else 128
    numbers = st.integers(0, (1 << width) - 1)
    first, last = sorted((data.draw(numbers), data.draw(numbers)))
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    expected = [Prefix.parse(str(net)) for net in ipaddress.summarize_address_range(kind(first), kind(last))]
    assert [*prefixes_of_range(version, first, last)] == expected
    assert parse_prefixes(f"{kind(first)}-{kind(last)}") == expected


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        (CSV, FileFormat("csv", "column", "PREFIX"), ["2 192.0.2.0/24", "4 192.0.2.5/32", "4 192.0.2.6/32"]),
        (JSON_LINES, FileFormat("json-lines", "key", "p"),
         ["1 192.0.2.0/24", "3 192.0.2.1/32", "3 2001:db8::/32"]),
        (RIR, FileFormat("rir", "opaque_id", "A918F5A0"),
         ["4 203.0.113.0/26", "4 203.0.113.64/27", "5 2001:db8::/32"]),
        (RIR, FileFormat("rir", "country", "au"), ["6 198.51.100.0/24"]),
        (RPSL, FileFormat("rpsl"), ["3 192.0.2.0/24", "13 2001:db8::/32"]),
        (RPSL, FileFormat("rpsl", "origin", "AS64501"), ["13 2001:db8::/32"]),
        (KEA4, FileFormat("kea"), ["2 100.64.0.10/32", "3 100.64.0.11/32", "4 100.64.0.12/32"]),
        (KEA4.replace(",home,0,", ",home,2,"), FileFormat("kea"), ["3 100.64.0.11/32", "4 100.64.0.12/32"]),
        (KEA6, FileFormat("kea"), ["2 2001:db8::1000/128", "3 2001:db8::1001/128", "4 2001:db8:100::/48"]),
        (ISC6, FileFormat("isc"), ["11 2001:db8::1b8c/128", "21 2001:db8:1ff::/48"]),
        (DNSMASQ, FileFormat("dnsmasq"),
         ["1 100.64.0.20/32", "2 100.64.0.19/32", "4 2001:db8::198b/128", "5 2001:db8::198a/128"]),
    ],
)  # fmt: skip
def test_a_file_of_another_format(text: str, form: FileFormat, expected: list[str]) -> None:
    file = read_formatted_file("f", text, form)
    assert shown(file) == expected
    assert read_formatted_file("f", text, form, file) is file


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        (CSV, FileFormat("csv", "column", "net"), "1:1: error: the header has no column 'net';"),
        ("a,b\n1.2.3,x\n", FileFormat("csv", "column", "a"), "2:1: error: '1.2.3' is not an"),
        ("{\n", FileFormat("json-lines", "key", "p"), "1:1: error: not JSON; write one"),
        ("[" * 99999, FileFormat("json-lines", "key", "p"), "1:1: error: not JSON; write one"),
        ('{"q": 1}', FileFormat("json-lines", "key", "p"), "1:1: error: no object with the key 'p';"),
        ('{"p": 1}', FileFormat("json-lines", "key", "p"), "1:1: error: '1' is not a prefix;"),
        (RIR, FileFormat("rir", "opaque_id", "A9"), "1:1: error: no entry has the opaque_id 'A9'"),
        (RIR.replace("|96|", "|x|"), FileFormat("rir", "country", "JP"), "4:1: error: 'x' is not the"),
        (RIR + "apnic|JP\n", FileFormat("rir", "country", "JP"), "9:1: error: 'apnic|JP' is no"),
        (RPSL, FileFormat("rpsl", "origin", "AS1"), "1:1: error: no entry has the origin 'AS1'"),
        ("route: 1.2.3\n", FileFormat("rpsl"), "1:1: error: '1.2.3' is not an IPv4 or IPv6 prefix;"),
        ("\nwords\n", FileFormat("rpsl"), "2:1: error: 'words' is no attribute of"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_of_another_format(text: str, form: FileFormat, expected: str) -> None:
    (problem,) = problems(read_formatted_file("f", text, form))
    assert problem.startswith(f"f:{expected}")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("k", KEA4, "format: kea"),
        ("d", ISC4, "format: isc"),
        ("d", DNSMASQ, "format: dnsmasq"),
        ("r", RIR, "format: rir, opaque_id: ID"),
        ("r", RPSL, "format: rpsl"),
        ("j", JSON_LINES, "format: json-lines, key: NAME"),
        ("c", CSV.removeprefix("\ufeff").replace(";", ","), "format: csv, column: NAME"),
        ("c.csv", "prefix\n192.0.2.0/24\n", "format: csv, column: NAME"),
    ],
)
def test_an_error_says_which_format_a_file_has(name: str, text: str, expected: str) -> None:
    assert problems(read_prefix_file(f"/isp/{name}", text)) == [
        f"/isp/{name}:1:1: error: this is no list of prefixes; write {{file: {name}, {expected}}}"
    ]


def test_one_mistake_does_not_make_a_list_another_format() -> None:
    text = "# pools\n192.0.2.0/24\n192.0.2.300\n"
    (problem,) = problems(read_prefix_file("l", text))
    assert problem.startswith("l:3:1: error: '192.0.2.300' is not an IPv4 or IPv6 prefix")


def loaded(static: str, files: dict[str, str], before: Loaded | None = None) -> Loaded:
    policy = f"""\
isp: {{mail_destinations: [192.0.2.25]}}
address_space: {{dynamic: [100.64.0.0/10], static: {static}}}
switches: {{s: {{dpid: 1, subscriber_ports: [1], uplink_ports: [2]}}}}
"""
    contents = {"policy.yaml": policy, **files}
    return load(Path("policy.yaml"), NOW, lambda path: contents[path.name].encode(), before)


def test_a_file_may_be_named_with_two_formats() -> None:
    static = "[{file: t, format: csv, column: a}, {file: t, format: csv, column: b}, {file: p, format: kea}]"
    files = {"t": "a,b\n198.18.0.1,198.18.0.2\n", "p": KEA4}
    first = loaded(static, files)
    assert first.policy is not None, first.problems
    assert [str(listed.prefix) for listed in first.policy.static][:2] == ["198.18.0.1/32", "198.18.0.2/32"]
    again = loaded(static, files, first)
    assert again.memory.list_files == first.memory.list_files
    changed = loaded(static, {**files, "t": "a,b\n198.18.0.1,198.18.0.3\n"}, first)
    assert changed.policy is not None
    assert [str(listed.prefix) for listed in changed.policy.static][1] == "198.18.0.3/32"


@pytest.mark.parametrize(
    ("static", "expected"),
    [
        ("[{file: t, format: []}]", "no format is called '[]'; formats are csv, json-lines, rir,"),
        ("[{file: t, format: kea, column: a}]", "the format kea has no 'column'; take it out"),
        ("[{file: t, format: rir}]", "the format rir needs opaque_id or country; write one, with its value"),
        ("[{file: t, format: rir, country: JP, opaque_id: A}]", "the format rir needs opaque_id or country;"),
        ("[{file: t, format: csv, column: []}]", "a text is expected; write some words"),
        (
            "[{format: csv, column: a}]",
            "neither a prefix nor a file; write 192.0.2.0/24 or {file: pools.txt}",
        ),
    ],
)
def test_what_is_wrong_in_a_reference_to_a_file(static: str, expected: str) -> None:
    (problem,) = loaded(static, {"t": ""}).errors
    assert problem.message.startswith(expected)
