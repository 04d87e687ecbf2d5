"""What is remembered of a policy is used only as long as it is what would be read."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from op25b_app.operate import policy_cache
from op25b_app.operate.policy_cache import load_cached
from op25b_app.policy.loader import load

NOW = 1_800_000_000.0
POLICY = """\
include: ["more/*.yaml"]
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10, {file: pools.txt}], static: [100.64.8.1]}
"""
SWITCH = (
    "switches: {s: {dpid: 1, subscriber_ports: [1, 2], uplink_ports: [3], vlans: {1: [7]},"
    " bindings: [{port: 1, addresses: [100.64.8.1]}]}}\n"
)


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy of three files, worth an entry however fast it is read."""
    monkeypatch.setattr(policy_cache, "MIN_SECONDS", 0.0)
    monkeypatch.setenv(policy_cache.VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "more").mkdir()
    (tmp_path / "more/switch.yaml").write_text(SWITCH)
    (tmp_path / "pools.txt").write_text("198.51.100.0/24\n")
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Each policy that was read rather than recalled."""
    read: list[Path] = []

    def load_and_note(path: Path, at: float) -> object:
        read.append(path)
        return load(path, at)

    monkeypatch.setattr(policy_cache, "load", load_and_note)
    return read


def test_an_unchanged_policy_is_recalled(policy: Path, reads: list[Path]) -> None:
    first, second = load_cached(policy, NOW), load_cached(policy, NOW)
    assert reads == [policy]
    assert first.policy is not None
    assert second.policy == first.policy
    with pytest.raises(TypeError):
        second.policy.switches["t"] = second.policy.switches["s"]  # type: ignore[index]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "policy.yaml").write_text(POLICY + "mode: monitor\n"),
        lambda folder: (folder / "pools.txt").write_text("198.51.100.0/25\n"),
        lambda folder: (folder / "more/switch.yaml").write_text(SWITCH.replace("[1, 2]", "[1]")),
        lambda folder: (folder / "more/other.yaml").write_text("mode: monitor\n"),
        lambda folder: (folder / "more/switch.yaml").rename(folder / "more/renamed.yaml"),
    ],
)
def test_a_changed_file_is_read(policy: Path, reads: list[Path], change: Callable[[Path], object]) -> None:
    load_cached(policy, NOW)
    load_cached(policy, NOW)
    change(policy.parent)
    assert load_cached(policy, NOW).policy == load(policy, NOW).policy
    assert len(reads) == 2


def test_other_code_reads_again(policy: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    load_cached(policy, NOW)
    monkeypatch.setattr(policy_cache, "_code", lambda: b"another version")
    load_cached(policy, NOW)
    assert len(reads) == 2


def test_errors_are_never_remembered(policy: Path, reads: list[Path]) -> None:
    policy.write_text(POLICY + "mode: none\n")
    assert load_cached(policy, NOW).errors
    assert load_cached(policy, NOW).errors
    assert len(reads) == 2


def test_a_small_policy_is_not_remembered(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_cache, "MIN_SECONDS", 1e9)
    assert load_cached(policy, NOW).policy is not None
    assert not (policy.parent / "cache").exists()


class Harmful:
    """What must not be made of an entry."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x05broken", pickle.dumps(Harmful()), pickle.dumps({"policy": 1})]
)
def test_a_damaged_entry_is_not_used(
    policy: Path, reads: list[Path], content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(policy.parent)
    load_cached(policy, NOW)
    (entry,) = (policy.parent / "cache").iterdir()
    entry.write_bytes(content)
    assert load_cached(policy, NOW).policy is not None
    assert len(reads) == 2
    assert not (policy.parent / "harmed").exists()


@pytest.mark.parametrize("writable", ["file", "directory"])
def test_an_entry_that_another_user_could_write_is_not_used(
    policy: Path, reads: list[Path], writable: str
) -> None:
    load_cached(policy, NOW)
    (entry,) = (policy.parent / "cache").iterdir()
    assert entry.stat().st_mode & 0o077 == 0
    (entry if writable == "file" else entry.parent).chmod(0o777)
    load_cached(policy, NOW)
    assert len(reads) == 2


def test_the_oldest_entries_go(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_cache, "MAX_ENTRIES", 2)
    for number in range(4):
        path = policy.with_name(f"{number}.yaml")
        path.write_text(POLICY)
        load_cached(path, NOW)
    assert len([*(policy.parent / "cache").iterdir()]) == 2


@pytest.mark.parametrize("directory", ["", "/proc/none"])
def test_without_a_directory_the_policy_is_read(
    policy: Path, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(policy_cache.VARIABLE, directory)
    assert load_cached(policy, NOW).policy is not None


def test_a_fifo_is_read_once(policy: Path) -> None:
    fifo = policy.parent / "fifo"
    os.mkfifo(fifo)
    for name in ("Example", "Other"):
        text = POLICY.replace("isp: {", f"isp: {{name: {name}, ")
        with ThreadPoolExecutor() as pool:
            writing = pool.submit(fifo.write_text, text)
            loaded = load_cached(fifo, NOW)
            writing.result()
        assert loaded.policy is not None, loaded.problems
        assert loaded.policy.isp_name == name


def test_a_removed_working_directory_costs_no_policy(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = policy.parent / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_cached(policy, NOW).policy is not None
