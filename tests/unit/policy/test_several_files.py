"""A policy in several files: each message names its file, and what has not changed is not read again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from op25b_app.policy.loader import MAX_FILES, MAX_INCLUDE_DEPTH, Loaded, load
from op25b_app.policy.model import Mode

NOW = 1_800_000_000.0
ISP = Path("/isp/policy.yaml")
BASE = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10]}
"""
SWITCH = "switches: {{access-{0}: {{dpid: {0}, subscriber_ports: [1-4], uplink_ports: [5]}}}}\n"


def loaded(files: Mapping[str, str], before: Loaded | None = None) -> Loaded:
    """Load a policy from texts by name; the first is the policy file."""
    contents = {Path("/isp") / name: text.encode() for name, text in files.items()}

    def read(path: Path) -> bytes:
        if path not in contents:
            raise FileNotFoundError(2, os.strerror(2))
        return contents[path]

    def list_names(folder: Path) -> list[str]:
        names = [path.name for path in contents if path.parent == folder]
        if not names:
            raise FileNotFoundError(2, os.strerror(2))
        return names

    return load(Path("/isp") / next(iter(files)), NOW, read, before, list_names)


def messages(files: Mapping[str, str]) -> list[str]:
    return [str(problem).replace("/isp/", "") for problem in loaded(files).problems]


def test_keys_may_stand_in_any_file() -> None:
    files = {
        "policy.yaml": 'include: [pools.yaml, "switches/*.yaml"]\nisp: {name: Example}\n',
        "pools.yaml": BASE.replace("dynamic: [100.64.0.0/10]", "static: [100.64.8.1]"),
        "switches/1.yaml": SWITCH.format(1) + "address_space: {dynamic: [100.64.0.0/10]}\n",
        "switches/2.yaml": SWITCH.format(2) + "mode: monitor\n",
        "switches/notes.txt": "nothing of a policy",
        "switches/.hidden.yaml": "nothing: of a policy",
    }
    result = loaded(files)
    assert result.policy is not None, result.problems
    policy = result.policy
    assert policy.isp_name == "Example"
    assert [str(listed.place) for listed in policy.mail_destinations] == ["/isp/pools.yaml:1:27"]
    assert [str(listed.place) for listed in policy.dynamic] == ["/isp/switches/1.yaml:2:27"]
    assert [str(listed.place) for listed in policy.static] == ["/isp/pools.yaml:2:26"]
    assert {name: str(switch.place) for name, switch in policy.switches.items()} == {
        "access-1": "/isp/switches/1.yaml:1:12",
        "access-2": "/isp/switches/2.yaml:1:12",
    }
    assert {switch.mode for switch in policy.switches.values()} == {Mode.MONITOR}
    assert [path.name for path in result.files] == ["policy.yaml", "pools.yaml", "1.yaml", "2.yaml"]


def test_exceptions_are_joined_and_keep_their_places() -> None:
    named = "exceptions:\n  - {{name: {0}, source: 100.64.0.{0}, destination: 203.0.113.1}}\n"
    result = loaded(
        {
            "policy.yaml": "include: [a.yaml, b.yaml]\n" + BASE + SWITCH.format(1) + named.format(1),
            "a.yaml": named.format(2),
            "b.yaml": named.format(3),
        }
    )
    assert result.policy is not None, result.problems
    assert [(each.name, str(each.place)) for each in result.policy.exceptions] == [
        ("1", "/isp/policy.yaml:6:5"),
        ("2", "/isp/a.yaml:2:5"),
        ("3", "/isp/b.yaml:2:5"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (SWITCH.format(1), SWITCH.format(1),
         "b.yaml:1:12: error: 'access-1' is written in two files, first in a.yaml:1:12; keep one of them"),
        ("mode: enforce\n", "\nmode: enforce\n",
         "b.yaml:2:1: error: 'mode' is written in two files, first in a.yaml:1:1; keep one of them"),
        ("hardening: {tunnels: block}", "hardening: {ethertypes: [], tunnels: block}\n",
         "b.yaml:1:29: error: 'tunnels' is written in two files, first in a.yaml:1:13; keep one of them"),
        ("isp: {name: A, mail_destinations: []}", "isp: 5",
         "b.yaml:1:6: error: keys are expected, not '5'; write `key: value` below"),
        ("exceptions: [{name: a}]", "",
         "a.yaml:1:14: error: 'source' is missing; write it"),
        ("colour: red", "", "a.yaml:1:1: error: unknown key 'colour'; keys here are include, isp,"),
        ("exceptions: [{name: a, source: {switch: access-9, port: 1}}]", "",
         "a.yaml:1:14: error: no switch is called 'access-9'; the switches are access-7"),
        ("a: [", "", "a.yaml:1:5: error: not YAML: while parsing a flow node"),
        ("", "", "a.yaml:1:1: error: the file is empty;"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_file(first: str, second: str, expected: str) -> None:
    base = "" if "mail_destinations" in first else BASE
    files = {"policy.yaml": f"include: ['[ab].yaml']\n{base}{SWITCH.format(7)}", "a.yaml": first}
    files["b.yaml"] = second or "exceptions: []\n"
    assert any(line.startswith(expected) for line in messages(files)), messages(files)
    assert loaded(files).policy is None


def test_a_key_is_missing_where_no_file_has_it() -> None:
    files = {"policy.yaml": "include: [a.yaml]\nisp: {name: A}\n", "a.yaml": SWITCH.format(1)}
    assert messages(files)[:2] == [
        "policy.yaml:1:1: error: 'address_space' is missing; write it",
        "policy.yaml:2:1: error: 'mail_destinations' is missing under 'isp'; write it",
    ]


def test_a_file_is_read_once_however_often_it_is_named() -> None:
    files = {
        "policy.yaml": "include: [a.yaml, '*.yaml']\n" + BASE,
        "a.yaml": "include: [policy.yaml, b/*.yaml]\n" + SWITCH.format(1),
        "b/c.yaml": "include: [../a.yaml]\n" + SWITCH.format(2).replace("[1-4]", "[1-4, 6]"),
    }
    files["b/c.yaml"] = SWITCH.format(2)
    result = loaded(files)
    assert result.policy is not None, result.problems
    assert [*result.policy.switches] == ["access-1", "access-2"]


def test_files_of_prefixes_are_beside_the_file_that_names_them() -> None:
    files = {
        "policy.yaml": "include: [sub/a.yaml]\nisp: {mail_destinations: [192.0.2.25]}\n" + SWITCH.format(1),
        "sub/a.yaml": "address_space: {dynamic: [{file: pools.txt}]}",
        "sub/pools.txt": "100.64.0.0/10\n",
    }
    result = loaded(files)
    assert result.policy is not None, result.problems
    assert str(result.policy.dynamic[0].place) == "/isp/sub/pools.txt:1:1"


def test_a_file_is_read_once_whatever_its_path() -> None:
    files = {
        "policy.yaml": "include: [s/a.yaml]\n" + BASE,
        "s/a.yaml": "include: [../policy.yaml, ../s/a.yaml]\n" + SWITCH.format(1),
    }
    files |= {"s/../policy.yaml": files["policy.yaml"], "s/../s/a.yaml": files["s/a.yaml"]}
    result = loaded(files)
    assert result.policy is not None, result.problems
    assert len(result.files) == 4
    # Behind a symbolic link it is another file.
    files["s/../policy.yaml"] = "mode: monitor\n"
    result = loaded(files)
    assert result.policy is not None, result.problems
    assert result.policy.switches["access-1"].mode is Mode.MONITOR


@pytest.mark.parametrize("included", ["a.yaml", "missing/*"])
def test_what_a_file_that_cannot_be_read_may_hold_is_not_called_missing(included: str) -> None:
    files = {"policy.yaml": f"include: ['{included}']\nisp: {{name: A}}\n", "a.yaml": "a: ["}
    (line,) = messages(files)
    assert "cannot read the folder missing" in line or "a.yaml:1:5: error: not YAML" in line
    switch = "{dpid: 1, profile: p, subscriber_ports: [1], serves: [100.64.0.0/24]}"
    files["policy.yaml"] += f"switches: {{s: {switch}}}\n"
    assert messages(files) == [line]


def test_files_that_include_one_another_without_end_are_one_error() -> None:
    files = {"policy.yaml": "include: [f1]\n" + BASE + SWITCH.format(1)}
    files |= {f"f{number}": f"include: [f{number + 1}]" for number in range(1, 200)}
    assert messages(files) == [
        f"f{MAX_INCLUDE_DEPTH}:1:11: error: more than {MAX_INCLUDE_DEPTH} files include one another in a row;"
        " include this one in the policy file itself"
    ]


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("\udcff", "\\udcff")]
)
def test_a_file_name_that_cannot_be_printed_is_an_error(name: str, shown: str) -> None:
    files = {
        "policy.yaml": "include: ['*.yaml']\n" + BASE + SWITCH.format(1),
        f"{name}.yaml": "mode: monitor",
    }
    assert messages(files) == [
        f"policy.yaml:1:11: error: the file name '{shown}.yaml' has a character that cannot be printed;"
        " rename the file"
    ]


def test_too_many_files_are_one_error() -> None:
    files = {"policy.yaml": "include: ['s/*']\n" + BASE + SWITCH.format(1)}
    files |= {f"s/{number}": "exceptions: []" for number in range(MAX_FILES)}
    assert [line for line in messages(files) if "error" in line] == [
        "policy.yaml:1:11: error: with this the policy includes more than 10,000 files;"
        " write several switches into each"
    ]


def test_a_file_that_has_not_changed_is_neither_read_nor_built_again() -> None:
    profile = "profiles: {p: {subscriber_ports: [1-4], uplink_ports: [5]}}\n"
    files = {"policy.yaml": "include: ['[0-9].yaml', profile.yaml]\n" + BASE, "profile.yaml": profile}
    bindings = "bindings: [{{port: 1, addresses: [{{file: {1}}}]}}]"
    bound = f"switches: {{{{access-{{0}}: {{{{dpid: {{0}}, profile: p, {bindings}}}}}}}}}\n"
    files |= {f"{number}.yaml": bound.format(number, f"{number}.txt") for number in range(1, 4)}
    files |= {f"{number}.txt": f"100.64.0.{number}\n" for number in range(1, 4)}

    def changed(change: dict[str, str]) -> set[str]:
        before = loaded(files)
        after = loaded(files | change, before)
        assert after[:4] == loaded(files | change)[:4]
        assert before.policy is not None
        assert after.policy is not None, after.problems
        old, new = before.policy.switches, after.policy.switches
        return {name for name in new if new[name] is not old[name]}

    assert changed({}) == set()
    assert changed({"2.yaml": bound.format(2, "1.txt")}) == {"access-2"}
    assert changed({"3.txt": "100.64.0.99\n"}) == {"access-3"}
    assert changed({"policy.yaml": files["policy.yaml"] + "\nmode: monitor"}) == {
        "access-1",
        "access-2",
        "access-3",
    }
    assert changed({"profile.yaml": profile.replace("1-4", "1-3")}) == {"access-1", "access-2", "access-3"}
    assert changed({"policy.yaml": files["policy.yaml"] + "\nhardening: {tunnels: block}"}) == set()


def test_a_file_of_prefixes_that_is_gone_is_one_error() -> None:
    served = SWITCH.format(1).replace("[5]", "[5], serves: [{file: a.txt}, {file: b.txt}]")
    files = {"policy.yaml": BASE + served, "a.txt": "100.64.0.0/24\n", "b.txt": "100.64.1.0/24\n"}
    before = loaded(files)
    assert before.policy is not None, before.problems
    for gone in ("b.txt", "a.txt"):
        del files[gone]
        after = loaded(files, before)
        assert after.problems == loaded(files).problems
        assert loaded(files, after).problems == after.problems
        before = after


def test_a_switch_takes_from_its_profile_what_it_does_not_have() -> None:
    text = f"""\
{BASE}\
profiles:
  p: {{subscriber_ports: [1-3], uplink_ports: [4], mode: monitor, serves: [100.64.1.0/24], vlans: {{1: [7]}}}}
hardening: {{source_validation: prefix}}
switches:
  a: {{dpid: 1, profile: p}}
  b: {{dpid: 2, profile: p, uplink_ports: [5], mode: enforce, serves: [100.64.2.0/24], vlans: {{}}}}
"""
    result = loaded({"policy.yaml": text})
    assert result.policy is not None, result.problems
    a, b = result.policy.switches.values()
    assert ({*a.subscriber_ports}, {*a.uplink_ports}, a.mode) == ({1, 2, 3}, {4}, Mode.MONITOR)
    assert ({*b.subscriber_ports}, {*b.uplink_ports}, b.mode) == ({1, 2, 3}, {5}, Mode.ENFORCE)
    assert [(port, {*tags}) for port, tags in a.vlans.items()] == [(1, {7})]
    assert not b.vlans
    assert [str(prefix) for prefix, _ in a.serves or ()] == ["100.64.1.0/24"]
    assert [str(place) for _, place in a.serves or ()] == ["/isp/policy.yaml:4:75"]
    assert [str(prefix) for prefix, _ in b.serves or ()] == ["100.64.2.0/24"]


def test_what_is_wrong_in_a_profile_is_told_where_it_stands() -> None:
    text = (
        BASE
        + "profiles: {p: {subscriber_ports: [1], uplink_ports: [1]}}\nswitches: {s: {dpid: 1, profile: p}}\n"
    )
    assert [line for line in messages({"policy.yaml": text}) if "error" in line] == [
        "policy.yaml:3:54: error: port 1 is already one of subscriber_ports; give it one role"
    ]
