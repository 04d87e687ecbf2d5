"""Commit subjects since version 0.2.0 are short enough to read in a list."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SINCE = "v0.2.0"
"""Earlier commits are as they are."""
LONGEST = 72


def objection(subject: str) -> str | None:
    """Return what is wrong with a subject; None where nothing is. That it is an imperative, people judge."""
    if len(subject) > LONGEST:
        return f"it has {len(subject)} characters; {LONGEST} are the most"
    if not re.match(r"[^\W\d_]", subject):
        return "it does not begin with a letter"
    return "it ends with a full stop" if subject.endswith(".") else None


def git(*arguments: str) -> str | None:
    """Return what git prints; None where there is no git, no repository, or no such commit."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def subjects() -> list[str]:
    """Return hash and subject of each commit since the tag. Skips the test where they are not known."""
    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()) != ROOT:
        pytest.skip("this is no git repository")
    if git("rev-parse", "--is-shallow-repository") != "false\n":
        pytest.skip("this clone is shallow: it has not all commits")
    since = git("log", "--no-merges", "--format=%h %s", f"refs/tags/{SINCE}..HEAD")
    if since is None:
        pytest.skip(f"there is no tag {SINCE}")
    return since.splitlines()


def test_subjects_can_be_read_in_a_list() -> None:
    reported = [(line, objection(line.partition(" ")[2])) for line in subjects()]
    assert [f"{line}: {wrong}" for line, wrong in reported if wrong] == []


@pytest.mark.parametrize(
    ("subject", "wrong"),
    [
        ("Refuse port 0", None),
        ("session: never replace a refused drop rule by an allow rule", None),
        ("x" * LONGEST, None),
        ("x" * (LONGEST + 1), "it has 73 characters; 72 are the most"),
        ("", "it does not begin with a letter"),
        ("2 more tests", "it does not begin with a letter"),
        ("`op25b diff` says more", "it does not begin with a letter"),
        ("Refuse port 0.", "it ends with a full stop"),
    ],
)
def test_a_subject_is_judged(subject: str, wrong: str | None) -> None:
    assert objection(subject) == wrong
