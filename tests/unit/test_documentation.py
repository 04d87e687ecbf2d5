"""The documentation says what is so: its commands run, its policies load, its links lead somewhere.

In README.md, CONTRIBUTING.md, SECURITY.md and docs/, a ``console`` block is a session in the project's folder
(a line ``...`` leaves lines out), and a ``yaml`` block is a policy; parts left out are those of example.yaml.
In docs/policy.md, a row of a table "Written | Said" is a change of example.yaml and what is said to it.
"""

from __future__ import annotations

import ast
import configparser
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from op25b_app.compiler.pipeline import Table
from op25b_app.openflow.flow_rule import RuleRole
from op25b_app.policy.decide import _QUESTIONS
from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.schema import PolicySchema, Section
from op25b_app.policy.yaml_source import read_tree
from op25b_app.sync.status import State
from testing.patience import HANG_SECONDS
from tests.unit.test_wall import MAY_KNOW

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
EXAMPLE = (ROOT / "example.yaml").read_text()
NOW = 1_798_761_600.0
"""2027-01-01, when the exception of example.yaml is in force."""
OP25B = f"""
op25b() {{
  case $1 in
    check|rules|explain) command op25b "$@" --at {NOW:.0f};;
    *) command op25b "$@";;
  esac
}}
"""


def page(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{path.name}-{number}")
        for path in PAGES
        for number, text in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)
        )
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not heading or heading in anchors(file), target


def anchors(file: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("text", blocks("console"))
def test_commands_print_what_is_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "example.yaml").write_text(EXAMPLE)
    sessions = re.split(r"^\$ ", text, flags=re.M)[1:]
    commands, shown = zip(*(session.split("\n", 1) for session in sessions), strict=True)
    script = OP25B + "\n".join(f"{command}\nstatus=$?; printf '\\1'; (exit $status)" for command in commands)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG_SECONDS,
    )
    for command, expected, printed in zip(commands, shown, done.stdout.split("\1"), strict=False):
        pattern = "".join(".*" if line == "...\n" else re.escape(line) for line in expected.splitlines(True))
        assert re.fullmatch(pattern, printed, re.S), f"{command}\n{printed}"


@pytest.mark.parametrize("text", blocks("yaml"))
def test_policies_load(tmp_path: Path, text: str) -> None:
    present = set(re.findall(r"^(\w+):", text, re.M))
    missing = [part for part in parts(EXAMPLE) if part.partition(":")[0] not in present]
    (tmp_path / "policy.yaml").write_text("".join([text, *missing]))
    for name in re.findall(r"^include: \[(.+)\]", text, re.M):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name.replace("*", "one")).write_text("exceptions: []\n")
    for name, form in re.findall(r"file: ([\w./-]+)(?:, format: ([\w-]+))?", text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(FILES[form])
    assert load(tmp_path / "policy.yaml", NOW).errors == ()


FILES = {
    "": "198.18.0.0/24  # a pool\n",
    "csv": "name,prefix\na pool,198.18.0.0/24\n",
    "json-lines": '{"prefix": "198.18.0.0/24"}\n',
    "rir": "apnic|JP|ipv4|198.18.0.0|256|20260101|allocated|A918F5A0\n",
    "rpsl": "route: 198.18.1.0/24\norigin: AS64500\n",
    "kea": "address,valid_lifetime,expire,state\n198.18.0.1,3600,1800000000,0\n",
    "isc": "lease 198.18.0.1 {\n  binding state active;\n}\n",
    "dnsmasq": "0 02:00:00:00:00:01 198.18.0.1 * *\n",
}
"""A small file of each format."""


def parts(policy: str) -> Iterator[str]:
    yield from re.findall(r"^\w+:.*\n(?:[ ].*\n)*", policy, re.M)


def said() -> list[Any]:
    rows = re.findall(r"^\| `([^`]+)` \| (error|warning): (.*) \|$", page("docs/policy.md"), re.M)
    return [pytest.param(*row, id=row[0]) for row in rows]


@pytest.mark.parametrize(("written", "severity", "message"), said())
def test_mistakes_are_answered_as_shown(tmp_path: Path, written: str, severity: str, message: str) -> None:
    pattern = re.escape(message).replace("…", ".*")
    problems = loaded_with(tmp_path, written).problems
    assert any(
        problem.severity == severity and re.fullmatch(pattern, problem.message) for problem in problems
    ), problems


def loaded_with(folder: Path, written: str) -> Loaded:
    """example.yaml with one value changed, as ``path.to.key: value``; without a value it is taken out."""
    path, _, value = written.partition(":")
    policy = plain(EXAMPLE)
    *above, key = path.split(".")
    section = policy
    for name in above:
        section = section.setdefault(name, {})
    section.pop(key, None)
    section.update(plain(f"{key}:{value}\n"))
    (folder / "policy.yaml").write_text(json.dumps(policy))
    return load(folder / "policy.yaml", NOW)


def plain(text: str) -> dict[str, Any]:
    tree, problems = read_tree("policy.yaml", text)
    assert tree is not None, problems
    value: dict[str, Any] = tree.value
    return value


def keys(section: type[Section], above: str = "") -> Iterator[tuple[str, str | None]]:
    """Every key of the policy file by its path, with its default where that is written in the model."""
    for name, field in section.model_fields.items():
        path, inner = f"{above}{name}", section_in(field.annotation)
        if inner is not None:
            into = {"list": "[].", "dict": ".NAME."}.get(getattr(field.annotation, "__name__", ""), ".")
            yield from keys(inner, path + into)
        elif name in section.required:
            yield path, "required"
        else:
            yield path, default_as_written(field.default)


def section_in(annotation: Any) -> type[Section] | None:
    inner = [annotation, *getattr(annotation, "__args__", ())]
    return next((each for each in inner if isinstance(each, type) and issubclass(each, Section)), None)


def default_as_written(default: Any) -> str | None:
    """None where the documentation describes the default in words."""
    return None if default is None or default == "" else f"`{default}`"


def test_every_key_is_in_the_table_with_its_default() -> None:
    table = page("docs/policy.md").partition("## isp")[0]
    rows = dict(re.findall(r"^\| `([\w.\[\]]+)` \| .* \| ([^|]+) \|$", table, re.M))
    wanted = dict(keys(PolicySchema))
    assert rows.keys() == wanted.keys()
    assert {path: rows[path] for path, default in wanted.items() if default} == {
        path: default for path, default in wanted.items() if default
    }


def test_every_decision_is_described_in_order() -> None:
    described = re.findall(r"^\*\*((?:subscriber|uplink|trusted)-\d)", page("docs/decisions.md"), re.M)
    asked = [f"{role.value}-{number}" for role, questions in _QUESTIONS.items() for number, _ in questions]
    assert without_repetition(described) == without_repetition(asked)


def without_repetition(names: list[str]) -> list[str]:
    return [name for name, before in zip(names, ["", *names], strict=False) if name != before]


def test_every_table_role_and_state_is_described() -> None:
    decisions, readme = page("docs/decisions.md"), page("README.md")
    for table in Table:
        assert f"| {table.value} `{table.name.lower()}` |" in decisions
        assert f"{table.value} {table.name.lower()}" in readme
    for role in RuleRole:
        assert f"| {role.value} | `{role.name.lower()}` |" in decisions
    for state in State:
        assert f"`{state.value}`" in decisions
        assert f"`{state.value}`" in readme


def test_the_picture_of_the_lab_has_every_host_at_its_port() -> None:
    picture = page("README.md").partition("## The lab\n")[2].partition("Each mail")[0]
    topology = ast.parse(page("topologies/single.py"))
    links = [
        (str(key.value), str(value.value))
        for node in ast.walk(topology)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    assert len(links) == 10
    for port, host in links:
        assert re.search(rf"\b{host} +{port}\b|\b{port} {host}\b", picture), (port, host)


def test_the_rows_of_the_lab_are_rows_of_the_lab() -> None:
    scenarios = page("mininet/scenarios.py")
    rows = re.findall(
        r"(\w+) \(\w+\) +(\w+) \(\w+\)(?: → \w+)? +(\d+).*?(blocked|delivered)", page("README.md")
    )
    assert len(rows) == 6
    ports = {"25": "(?:, SMTP)?", "465": ", SUBMISSIONS", "587": ", SUBMISSION"}
    for who, to, port, expected in rows:
        assert re.search(rf'_{expected}\("{who}", "{to}"{ports[port]}\W', scenarios), (who, to, port)


def test_the_digest_in_the_readme_is_that_of_the_example() -> None:
    digest = hashlib.sha256(EXAMPLE.encode()).hexdigest()
    assert re.findall(r"example\.yaml \(sha256 (\w+)\)", page("README.md")) == [digest[:12]]


@pytest.mark.parametrize("name", ["docs/glossary.md", "docs/architecture.md"])
def test_what_pages_say_of_the_code_is_there(name: str) -> None:
    """A path in backquotes is a file, and what stands behind its colon a name in it."""
    for path, defined in re.findall(r"`((?:[\w]+/)*\w+\.py)(?:: (\w+))?`", page(name)):
        folder = ROOT if path.startswith(("tests/", "testing/", "scripts/")) else ROOT / "op25b_app"
        assert (folder / path).is_file(), path
        assert not defined or re.search(rf"\b{defined}\b", (folder / path).read_text()), (path, defined)


def test_the_table_of_packages_says_what_the_wall_holds() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("docs/architecture.md"), re.M)
    assert rows == [*MAY_KNOW, "cli", "controller"]


def named_tests() -> dict[str, list[str]]:
    """Return the tests that CONTRIBUTING.md names for each module of op25b_app, or for a whole package."""
    table = page("CONTRIBUTING.md").partition("| Source | Tests |\n")[2].partition("\n\n")[0]
    rows = [[re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[1:3]] for row in table.splitlines()]
    return {source: tests for sources, tests in rows for source in sources}


def test_every_module_has_tests_by_its_name_or_in_the_table() -> None:
    package, named = ROOT / "op25b_app", named_tests()
    modules = [path.relative_to(package) for path in package.rglob("*.py") if path.stem != "__init__"]
    assert [
        str(module)
        for module in modules
        if str(module) not in named
        and f"{module.parent}/*.py" not in named
        and not any(
            (ROOT / "tests" / folder / module.parent / f"test_{module.name}").is_file()
            for folder in ("unit", "")
        )
    ] == []


def test_the_table_of_tests_names_files_that_are_there() -> None:
    named = named_tests()
    sources = [ROOT / "op25b_app" / source for source in named]
    assert [source for source in sources if not any(source.parent.glob(source.name))] == []
    assert [test for tests in named.values() for test in tests if not (ROOT / "tests" / test).is_file()] == []
    folders = re.findall(r"^\| `tests/(\w+)` \|", page("CONTRIBUTING.md"), re.M)
    there = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))}
    assert set(folders) == there


def test_the_source_distribution_has_the_pages_of_the_project() -> None:
    included = page("MANIFEST.in").split()
    assert {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"} <= set(included)


def test_the_changelog_begins_with_this_version() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    headings = re.findall(r"^## (.*)$", page("CHANGELOG.md"), re.M)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(setup['metadata']['version'])}\] - \d{{4}}-\d\d-\d\d", headings[1])
