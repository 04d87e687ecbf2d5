"""The public Python API does what its page shows, and is imported at its first use only."""

from __future__ import annotations

import doctest
import inspect
import pydoc
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

import op25b_app as op25b
from op25b_app import api
from op25b_app.policy.decide import decide
from op25b_app.policy.loader import load
from op25b_app.policy.packet import read_frame
from op25b_app.policy.packet_text import make_packet, read_mac, read_protocol

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
EXAMPLE = ROOT / "example.yaml"
AT = 1_800_000_000.0
SWITCH = "access-1"
DYNAMIC, OUTSIDE = "100.64.0.1", "203.0.113.5"


@pytest.fixture(scope="module")
def policy() -> op25b.LoadedPolicy:
    return op25b.load(EXAMPLE, at=AT)


def test_the_examples_of_its_page_are_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    monkeypatch.chdir(tmp_path)
    # The fence after an example would be taken for its output.
    text = PAGE.read_text().replace("```", "\n")
    example = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert not result.failed, "".join(report)
    assert result.attempted > 20


def test_its_page_describes_every_public_name() -> None:
    page = PAGE.read_text()
    assert [name for name in op25b.__all__ if f"`{name}" not in page and f"{name}(" not in page] == []


def test_the_package_offers_what_the_module_does() -> None:
    assert op25b.__all__ == api.__all__
    assert set(op25b.__all__) <= set(dir(op25b))
    for name in op25b.__all__:
        assert getattr(op25b, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = op25b.nothing  # type: ignore[attr-defined]


def test_diff_shows_its_parameters() -> None:
    signature = inspect.signature(op25b.diff)
    assert [*signature.parameters] == ["old", "new", "switches", "at"]
    shown = ", ".join(str(each.replace(annotation=each.empty)) for each in signature.parameters.values())
    assert f"diff({shown.replace('new, ', 'new, *, ')})" in pydoc.render_doc(op25b.diff)


def modules_after(program: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(printed.stdout.split())


def test_importing_the_package_imports_nothing_else() -> None:
    added = modules_after("import op25b_app") - modules_after("")
    assert added == {"op25b_app"}


def test_its_use_imports_neither_ryu_nor_eventlet() -> None:
    program = f"""
import op25b_app as op25b
policy = op25b.load({str(EXAMPLE)!r})
op25b.prove(policy, "{SWITCH}", op25b.compile_rules(policy, "{SWITCH}"))
op25b.diff(policy, policy)
"""
    assert not modules_after(program) & {"ryu", "eventlet", "greenlet"}


@pytest.mark.parametrize("first", ["op25b_app.diff.text", "op25b_app.api", "op25b_app.cli.diff"])
def test_diff_is_a_function_and_a_package_whatever_is_imported_first(first: str) -> None:
    program = f"""
import {first}
import op25b_app as op25b
policy = op25b.load({str(EXAMPLE)!r})
assert op25b.diff(policy, policy).treats_all_alike
from op25b_app import diff
from op25b_app.diff import effect
assert diff.effect is effect
"""
    assert "op25b_app.diff" in modules_after(program)


def test_a_policy_with_errors_raises_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(EXAMPLE.read_text().replace("0x1", "0").replace("[25]", "[1x]"))
    with pytest.raises(op25b.PolicyError) as raised:
        op25b.load(str(tmp_path / "policy.yaml"))
    reported = load(tmp_path / "policy.yaml", AT).problems
    assert raised.value.problems == reported
    assert len(reported) > 1
    assert str(raised.value).splitlines() == [str(problem) for problem in reported]


def test_it_decides_as_the_core_does(policy: op25b.LoadedPolicy) -> None:
    core = policy.model
    packet = make_packet(
        1, (4, 0x64400001), (4, 0xCB007105), read_protocol("UDP"), (1, 2), read_mac("02:00:00:00:00:09"), 7
    )
    reported = policy.decide(
        SWITCH, 1, DYNAMIC, OUTSIDE, proto="udp", sport=1, dport=2, mac="02:00:00:00:00:09", vlan=7, at=AT
    )
    assert reported == decide(core, core.switches[SWITCH], packet, AT)
    frame = bytes(12) + bytes.fromhex("88b5")
    assert policy.decide_frame(SWITCH, 1, frame, at=AT) == decide(
        core, core.switches[SWITCH], read_frame(1, frame), AT
    )


def test_the_time_is_now_unless_it_is_given(
    policy: op25b.LoadedPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception of example.yaml ends on 2027-03-31."""
    end = datetime(2027, 3, 31, tzinfo=timezone.utc)

    def verdict(at: api.Time) -> op25b.Verdict:
        return policy.decide(SWITCH, 1, "100.64.3.7", OUTSIDE, at=at).verdict

    for now, reported in (
        (end.timestamp() - 1, op25b.Verdict.PERMIT),
        (end.timestamp(), op25b.Verdict.BLOCK),
    ):
        monkeypatch.setattr("op25b_app.api.time.time", lambda now=now: now)
        assert verdict(None) is verdict(now) is reported
    assert verdict(end) is op25b.Verdict.BLOCK
    with pytest.raises(ValueError, match="has no time zone"):
        verdict(end.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"src": "100.64.0"}, "100.64.0"),
        ({"src": "2001:db8:1000::1"}, "one address is IPv4 and the other IPv6"),
        ({"proto": "sctpp"}, "'sctpp' is no protocol"),
        ({"mac": "02:00"}, "'02:00' is not a MAC address"),
    ],
)
def test_malformed_fields_raise_value_errors(
    policy: op25b.LoadedPolicy, named: dict[str, str], said: str
) -> None:
    fields = {"src": DYNAMIC, "dst": OUTSIDE, **named}
    with pytest.raises(ValueError, match=said):
        policy.decide(SWITCH, 1, **fields)  # type: ignore[arg-type]


def test_an_unknown_switch_raises_key_error(policy: op25b.LoadedPolicy) -> None:
    for ask in (
        lambda: policy.decide("access-9", 1, DYNAMIC, OUTSIDE),
        lambda: op25b.compile_rules(policy, "access-9"),
        lambda: op25b.prove(policy, "access-9", ""),
    ):
        with pytest.raises(KeyError, match="the switches are access-1"):
            ask()


def test_a_table_that_cannot_be_read_is_not_decided(policy: op25b.LoadedPolicy) -> None:
    reported = op25b.prove(policy, SWITCH, "no table at all")
    assert isinstance(reported, op25b.CannotDecide)
    assert reported.where == "flows:1"


def test_groups_of_a_table_are_followed(policy: op25b.LoadedPolicy) -> None:
    rules = [op25b.format_rule(rule) for rule in op25b.compile_rules(policy, SWITCH, at=AT)]
    flows = "\n".join([*rules, "table=0,priority=300,tcp,in_port=1,tp_dst=25,actions=group:1"])
    reported = op25b.prove(
        policy, SWITCH, flows, groups="group_id=1,type=all,bucket=actions=output:25", at=AT
    )
    assert isinstance(reported, op25b.Refuted)
