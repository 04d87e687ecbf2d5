"""Files of a policy are read in threads of their own, with a time-out and a size limit, if they are files."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import eventlet
import pytest

from op25b_app.controller import file_threads
from op25b_app.controller.file_threads import in_file_thread
from op25b_app.operate import policy_files
from op25b_app.operate.policy_files import NoAnswerError, PolicyFiles, read_regular_file

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_threads, "ANSWER_SECONDS", 0.2)


@pytest.fixture
def silence() -> Iterator[SimpleNamespace]:
    """A file that answers nobody until it is told to, as one on a server that is gone."""
    reading, writing = os.pipe()
    name = f"/server/{next(_numbers)}"
    file = SimpleNamespace(
        name=name, read=lambda *_: os.read(reading, 1), answer=lambda: os.write(writing, b"x")
    )
    yield file
    file.answer()
    os.close(writing)


def in_green_thread(*arguments: object) -> object:
    return eventlet.spawn(in_file_thread, *arguments).wait()


def test_the_event_loop_turns_while_a_file_does_not_answer(silence: SimpleNamespace) -> None:
    turns = 0

    def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            eventlet.sleep(0.01)

    turning = eventlet.spawn(turn)
    with pytest.raises(NoAnswerError, match=r"it does not answer within 0\.2 s"):
        in_green_thread("read", silence.name, silence.read)
    turning.kill()
    assert turns > 5


def test_a_file_that_does_not_answer_costs_one_thread_however_often_it_is_tried(
    silence: SimpleNamespace,
) -> None:
    with pytest.raises(NoAnswerError):
        in_green_thread("read", silence.name, silence.read)
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(NoAnswerError, match="still does not answer"):
            in_green_thread("read", silence.name, silence.read)
    assert time.monotonic() - began < 50 * file_threads.ANSWER_SECONDS / 2, "nobody waits again"
    silence.answer()
    while True:
        eventlet.sleep(0.01)
        try:
            assert in_green_thread("read", silence.name, lambda: b"it answers again") == (b"it answers again")
            return
        except NoAnswerError:
            continue


def test_what_the_work_raises_is_raised_and_nothing_is_left_open(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    (tmp_path / "there").write_text("here")
    in_green_thread("read", "first", read_regular_file, tmp_path / "there", 10)
    before = open_files()
    for _ in range(20):
        with pytest.raises(FileNotFoundError):
            in_green_thread("read", "missing", read_regular_file, tmp_path / "missing", 10)
        assert in_green_thread("read", "there", read_regular_file, tmp_path / "there", 10) == b"here"
    assert open_files() == before


def test_a_system_without_another_thread_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_text("here")
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:

        def no_more(thread: object) -> None:
            raise RuntimeError("can't start new thread")

        patched.setattr(file_threads._threading.Thread, "start", no_more)
        for _ in range(3):
            with pytest.raises(NoAnswerError, match="it cannot be tried: can't start new thread"):
                in_green_thread("read", "crowded", read_regular_file, tmp_path / "there", 10)
    assert len(os.listdir("/proc/self/fd")) == before
    assert in_green_thread("read", "crowded", read_regular_file, tmp_path / "there", 10) == b"here"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fifo", "it is a FIFO, not a regular file"),
        ("socket", "[Nn]o such device or address"),
        ("directory", "it is a directory, not a regular file"),
        ("/dev/zero", "it is a device, not a regular file"),
        ("a\0b", "no file can have such a name"),
        ("a\ud800b", "no file can have such a name"),
        ("big", "the files of a policy may hold 64 MiB together"),
        ("missing", "No such file or directory"),
    ],
)
def test_only_regular_files_of_some_size_are_read(tmp_path: Path, kind: str, said: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "big").write_bytes(b"x" * 11)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match=said):
            read_regular_file(tmp_path / kind, 10)
    assert read_regular_file(tmp_path / "big", 11) == b"x" * 11


def test_a_file_that_does_not_know_its_size_is_read_whole() -> None:
    """Those of /proc say that they hold nothing."""
    path = Path("/proc/self/mountinfo")
    assert path.stat().st_size == 0
    content = path.read_bytes()
    assert read_regular_file(path, 1 << 20) == content
    with pytest.raises(OSError, match="may hold"):
        read_regular_file(path, len(content) - 1)


def test_after_a_file_that_does_not_answer_no_other_is_tried(
    tmp_path: Path, silence: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, others = tmp_path / "slow", [tmp_path / f"{number}" for number in range(5)]
    read = policy_files.read_file_or_names

    def reads(path: Path, most_bytes: int) -> bytes | tuple[str, ...]:
        return silence.read() if path == slow else read(path, most_bytes)

    monkeypatch.setattr(policy_files, "read_file_or_names", reads)
    for path in others:
        path.write_text("there")
    files = PolicyFiles(in_file_thread)
    eventlet.spawn(files.fetch, [slow, *others]).wait()
    for path in others:
        with pytest.raises(NoAnswerError, match=f"not tried, because {slow} does not answer"):
            files.read(path)

    eventlet.spawn(files.fetch_if_readable, [slow, *others]).wait()
    files.fetch(others)
    assert [files.read(path) for path in others] == [b"there"] * 5


def test_all_files_of_a_policy_share_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "MAX_BYTES", 10)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"x" * 6)
    second.write_bytes(b"y" * 6)
    files = PolicyFiles(in_file_thread)
    assert files.wanted == set()
    with pytest.raises(FileNotFoundError):
        files.read(first)
    assert files.wanted == {first}
    eventlet.spawn(files.fetch, [first, second]).wait()
    assert files.wanted == set()
    assert files.read(first) == b"x" * 6
    with pytest.raises(OSError, match="may hold"):
        files.read(second)


def test_names_of_a_directory_are_fetched_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "switches"
    folder.mkdir()
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text("")
    files = PolicyFiles(in_file_thread)
    with pytest.raises(FileNotFoundError):
        files.list_names(folder)
    assert files.wanted == {folder}
    eventlet.spawn(files.fetch, [folder, folder / "a.yaml"]).wait()
    assert {*files.list_names(folder)} == {"a.yaml", "b.yaml"}
    with pytest.raises(OSError, match="it is a directory, not a regular file"):
        files.read(folder)
    with pytest.raises(NotADirectoryError):
        files.list_names(folder / "a.yaml")
