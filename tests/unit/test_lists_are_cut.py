"""Lists that people read in one line, or one after the other, name the first twenty and count the rest."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from op25b_app.cli import reload
from op25b_app.diff.text import headline
from op25b_app.diff.traffic import Kind, Traffic, VerdictChange
from op25b_app.operate.candidate import problem_lines
from op25b_app.operate.doctor.finding import ranges_of
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.loader import load
from op25b_app.policy.model import PortRole
from op25b_app.sync.words import contest_sentences


def test_names() -> None:
    assert names_in_words([str(number) for number in range(20)]).endswith(", 18, 19")
    assert names_in_words([str(number) for number in range(21)]).endswith(", 18, 19 and 1 more")


def test_ports_of_a_bridge() -> None:
    assert ranges_of([1, 2, 3, 7]) == "1-3, 7"
    assert ranges_of(range(1, 2001, 2)).endswith(", 37, 39 and 980 more")


def test_addresses_that_claim_one_datapath_id() -> None:
    assert "from a and b:" in contest_sentences(["a", "b"])[0]
    assert ", 18, 19 and 980 more: only 0 is used" in contest_sentences([str(n) for n in range(1000)])[0]


def test_errors_and_warnings_in_the_log() -> None:
    text = "isp: {mail_destinations: []}\n" + "".join(f"k{number}: 1\n" for number in range(100))
    lines = [*problem_lines(load(Path("p"), 0, lambda path: text.encode()), Path("p"))]
    assert [level for level, _ in lines] == [logging.ERROR] * 21
    assert lines[-1][1] == "and 82 more errors, which 'op25b check p' shows"


def test_ports_and_tags_that_change() -> None:
    ports = tuple((number, number) for number in range(1, 201, 2))
    traffic = Traffic(Kind.TAG, VerdictChange.BLOCKED, (PortRole.SUBSCRIBER,) * 2, ports=ports, tags=ports)
    assert headline(traffic).endswith("37, 39 and 80 more")
    assert "36, 38 and 80 more on ports" in headline(traffic)


def switch(state: str, openflow: str | None = "1.3") -> dict[str, Any]:
    return {"state": state, "reason": "so", "openflow": openflow, "current": True}


def test_switches_after_a_reload(capsys: pytest.CaptureFixture[str]) -> None:
    few = {f"s{number}": switch("protected") for number in range(19)}
    reload._print_switches({**few, "bad": switch("degraded")}, 30)
    assert capsys.readouterr().out.splitlines()[0] == "s0: protected: so"
    many = {f"s{number}": switch("protected") for number in range(1000)}
    away = {"away": switch("lost", None), **{f"bad{number}": switch("degraded") for number in range(25)}}
    reload._print_switches({**many, **away}, 30)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["away: not connected; it gets the policy when it connects", "bad0: degraded: so"]
    assert lines[20:] == ["and 1,006 more, 6 of them not as wanted; 'op25b status' shows all"]
