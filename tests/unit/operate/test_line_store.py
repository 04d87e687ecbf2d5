"""What was learned survives on disk, whenever the process ends."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from op25b_app.lines.line_table import Claim, ClaimNews
from op25b_app.net.prefix import Prefix
from op25b_app.operate import line_store
from op25b_app.operate.line_store import KEPT_SECONDS, LineStore
from op25b_app.operate.policy_store import StoreError
from op25b_app.policy.model import SubscriberPort

ROOT = Path(__file__).parents[3]
LINE = SubscriberPort("access-1", 3, 100)
V4 = Claim(Prefix.parse("100.64.0.1"), LINE, 0x020000000001, 10.0, 90.0, "dhcp", 0)
V6 = Claim(Prefix.parse("2001:db8::/56"), SubscriberPort("access-2", 4), None, 20.0, None, "leases.csv", 7)


def begun(*claims: Claim) -> list[ClaimNews]:
    return [ClaimNews(claim, ended=False) for claim in claims]


@pytest.fixture
def store(tmp_path: Path) -> LineStore:
    return LineStore(tmp_path / "state" / "lines.sqlite")


def test_what_is_kept_is_recalled_as_it_was(store: LineStore) -> None:
    assert store.recall() == []
    store.keep(begun(V4, V6), 30.0)
    assert store.recall() == [V4, V6]
    assert store.path.stat().st_mode & 0o077 == 0


def test_a_renewal_replaces_and_a_move_leaves_history(store: LineStore) -> None:
    store.keep(begun(V4), 10.0)
    store.keep(begun(V4._replace(until=900.0)), 50.0)
    moved = V4._replace(line=SubscriberPort("access-9", 1), since=60.0)
    store.keep([ClaimNews(V4, ended=True), *begun(moved)], 60.0)
    assert store.recall() == [moved]
    assert [each.line.switch for each in store.held_at(V4.prefix, 59.9)] == ["access-1"]
    assert [each.line.switch for each in store.held_at(V4.prefix, 60.0)] == ["access-9"]
    assert store.held_at(V4.prefix, 9.9) == []


def test_an_address_is_found_in_a_delegated_prefix(store: LineStore) -> None:
    store.keep(begun(V4, V6), 20.0)
    assert store.held_at(Prefix.parse("2001:db8:0:7::9"), 20.0) == [V6]
    assert store.held_at(Prefix.parse("2001:db8:0:100::9"), 20.0) == []
    assert store.held_at(Prefix.parse("100.64.0.0/10"), 20.0) == [V4]


def test_what_ended_long_ago_goes_and_there_is_a_bound(
    store: LineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep([*begun(V4), ClaimNews(V4, ended=True), *begun(V6)], 30.0)
    store.keep(begun(V6), 30.0 + KEPT_SECONDS)
    assert store.held_at(V4.prefix, 20.0) == [V4]
    store.keep(begun(V6), 31.0 + KEPT_SECONDS)
    assert store.held_at(V4.prefix, 20.0) == []
    monkeypatch.setattr(line_store, "MAX_ENDED", 2)
    for number in range(4):
        claim = V4._replace(since=100.0 + 10 * number)
        store.keep([*begun(claim), ClaimNews(claim, ended=True)], 105.0 + 10 * number)
    assert [bool(store.held_at(V4.prefix, at)) for at in (102.0, 112.0, 122.0, 132.0)] == [
        False,
        False,
        True,
        True,
    ]


def write_without_end(path: Path) -> None:
    """In a process of its own: keep two claims at a time, and say so each time."""
    store = LineStore(path)
    for number in range(100_000):
        pair = [V4._replace(prefix=Prefix(4, (100 << 24) + number, 32)), V6._replace(source=f"s{number}")]
        store.keep(begun(*pair), float(number))
        print(".", end="", flush=True)


def test_a_kill_at_any_moment_loses_nothing_that_was_kept(store: LineStore) -> None:
    program = f"from {__name__} import *; write_without_end(Path({str(store.path)!r}))"
    for wanted in (1, 7, 20):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        told = len(process.stdout.read(wanted))
        process.kill()
        told += len(process.stdout.read())
        process.wait()
        process.stdout.close()
        claims = store.recall()
        assert told >= wanted
        assert len(claims) % 2 == 0
        assert told <= len(claims) // 2


def test_a_damaged_or_foreign_database_is_an_error_in_words(store: LineStore, tmp_path: Path) -> None:
    store.keep(begun(V4), 1.0)
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="of another version of op25b: move it away"):
        store.recall()
    broken = LineStore(tmp_path / "broken.sqlite")
    broken.path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        broken.recall()
    nowhere = LineStore(tmp_path / "broken.sqlite" / "lines.sqlite")
    with pytest.raises(StoreError, match="cannot keep learned lines in"):
        nowhere.keep(begun(V4), 1.0)


def test_ten_thousand_changes_are_a_matter_of_a_second(store: LineStore) -> None:
    news = begun(*(V4._replace(prefix=Prefix(4, (100 << 24) + number, 32)) for number in range(10_000)))
    store.keep(news, 1.0)
    began = time.process_time()
    store.keep(news, 2.0)
    assert time.process_time() - began < 5
