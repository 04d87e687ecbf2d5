"""The log is written beside the event loop: nothing waits for it, and what is left out is counted."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from op25b_app.controller import log_writer
from op25b_app.controller.log_writer import LogHandler
from op25b_app.operate.control_client import NoControllerError, ask
from testing.patience import HANG_SECONDS
from testing.process import COMMANDS, Controller, free_port
from testing.running import policy_text

pytestmark = pytest.mark.slow

MANY = 3000


class Lines(logging.Handler):
    """Keeps what it is handed; ``problem`` is raised instead as long as there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.problem: Exception | None = None
        self.may_write = True

    def emit(self, record: logging.LogRecord) -> None:
        while not self.may_write:
            time.sleep(0.001)
        try:
            if self.problem is not None:
                raise self.problem
        except OSError:
            self.handleError(record)
            return
        self.texts.append(self.format(record))


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def log(lines: Lines) -> Iterator[logging.Logger]:
    """A logger by the name of ours, whose handler writes to ``lines``."""
    handler = LogHandler()
    handler.add(lines)
    logger = logging.Logger("op25b")
    logger.addHandler(handler)
    yield logger
    handler.drain()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_lines_come_in_order_and_with_their_tracebacks(log: logging.Logger, lines: Lines) -> None:
    for number in range(10):
        log.info("line %d", number)
    try:
        raise ZeroDivisionError("a mistake")
    except ZeroDivisionError:
        log.exception("an error")
    until(lambda: len(lines.texts) == 11)
    assert lines.texts[:10] == [f"line {number}" for number in range(10)]
    assert lines.texts[10].startswith("an error\nTraceback")
    assert lines.texts[10].endswith("ZeroDivisionError: a mistake")


def test_a_line_with_a_mistake_in_it_is_a_line(log: logging.Logger, lines: Lines) -> None:
    log.warning("%d switches", "no")
    until(lambda: lines.texts)
    assert lines.texts[0].startswith("%d switches (cannot be written out: TypeError")


def test_a_flood_is_counted(log: logging.Logger, lines: Lines) -> None:
    for _ in range(MANY):
        log.warning("the switch at %s sent garbage", "192.0.2.1")
    log.warning("the switch at %s sent garbage", "192.0.2.2")
    until(lambda: lines.texts[-1:] == ["the switch at 192.0.2.2 sent garbage"])
    assert len(lines.texts) < 50


def test_of_a_flood_that_is_over_it_is_reported(
    log: logging.Logger, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("op25b_app.operate.flood_limit.QUIET_SECONDS", 0.1)
    for _ in range(MANY):
        log.warning("the switch at %s sent garbage", "192.0.2.1")
    until(lambda: any("were left out" in text for text in lines.texts))
    last = "the switch at 192.0.2.1 sent garbage"
    reported = f"{MANY - 20} lines about 192.0.2.1 were left out, the last one: {last}"
    assert lines.texts[-1] == reported


def test_debugging_is_not_limited(log: logging.Logger, lines: Lines) -> None:
    log.setLevel(logging.DEBUG)
    for _ in range(MANY):
        log.debug("again")
    until(lambda: len(lines.texts) == MANY)


def test_whoever_does_not_write_holds_up_nobody_and_takes_no_memory(
    log: logging.Logger, lines: Lines
) -> None:
    lines.may_write = False
    log.setLevel(logging.DEBUG)
    began = time.process_time()
    for number in range(MANY):
        log.debug("%d %s", number, "x" * 10_000)
    assert time.process_time() - began < HANG_SECONDS
    lines.may_write = True
    until(lambda: lines.texts and len(lines.texts) * 10_000 >= log_writer.MAX_BYTES)
    log.info("and then")
    until(lambda: lines.texts[-1] == "and then")
    kept = len(lines.texts) - 2
    assert kept * 10_000 < 2 * log_writer.MAX_BYTES
    assert lines.texts[-2] == f"{MANY - kept} lines are missing here: the log was too slow"


@pytest.mark.parametrize(
    ("problem", "words"),
    [(OSError(28, "ENOSPC"), "No space left on device"), (ValueError("closed"), "closed")],
)
def test_others_tell_of_a_log_that_cannot_be_written_once(
    log: logging.Logger, lines: Lines, problem: Exception, words: str
) -> None:
    broken = Lines()
    log.handlers[0].add(broken)  # type: ignore[attr-defined]
    broken.problem = problem
    for number in range(10):
        log.info("line %d", number)
    until(lambda: len(lines.texts) == 11)
    (reported,) = [text for text in lines.texts if not text.startswith("line ")]
    assert reported == f"the log on standard error cannot be written: {words}"
    broken.problem = None
    log.info("it works again")
    until(lambda: len(broken.texts) == 2)
    assert broken.texts == ["it works again", "10 lines are missing here: this log could not be written"]


def test_without_a_syslog_daemon_there_is_one_line(
    log: logging.Logger, lines: Lines, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address = str(tmp_path / "log")
    log.handlers[0].add(logging.handlers.SysLogHandler(address))  # type: ignore[attr-defined]
    for number in range(5):
        log.info("line %d", number)
    until(lambda: len(lines.texts) == 6)
    (reported,) = [text for text in lines.texts if not text.startswith("line ")]
    assert reported == (
        f"the log at {address} cannot be written: No such file or directory; "
        "start a syslog daemon that listens there, or leave out --use-syslog"
    )
    assert "Traceback" not in capfd.readouterr().err
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(address)
        log.info("to the daemon")
        daemon.settimeout(HANG_SECONDS)
        assert b"to the daemon" in daemon.recv(1000)
        assert b"5 lines are missing here" in daemon.recv(1000)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1"))
    own = {"OP25B_POLICY": str(policy), "OP25B_CONTROL_SOCKET": str(tmp_path / "control.sock")}
    return {**os.environ, **own, "OP25B_STATE_DIRECTORY": str(tmp_path / "state")}


@pytest.mark.skipif(Path("/dev/log").exists(), reason="a syslog daemon listens here")
def test_a_controller_without_a_syslog_daemon_says_so_in_one_line(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with Controller(tmp_path, [COMMANDS / "op25b", "run", "--use-syslog"], environment) as controller:
        controller.wait_for("in force")
        assert controller.log.count("the log at /dev/log cannot be written: No such file or directory") == 1
        assert "Traceback" not in controller.log


@pytest.mark.parametrize("command", [["op25b", "run"], ["ryu-manager", "op25b_app.app"]])
@pytest.mark.parametrize("log_to", ["a pipe that nobody reads", "a full disk"])
def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, environment: dict[str, str], command: list[str], log_to: str
) -> None:
    port, control = free_port(), tmp_path / "control.sock"
    arguments = [str(COMMANDS / command[0]), *command[1:], "--verbose", "--ofp-tcp-listen-port", str(port)]
    reading, writing = os.pipe() if log_to.startswith("a pipe") else (None, os.open("/dev/full", os.O_WRONLY))
    with subprocess.Popen(arguments, env=environment, stderr=writing) as process:
        try:
            os.close(writing)
            until(lambda: control.exists() and listens(port))
            for _ in range(MANY // 10):
                with socket.create_connection(("127.0.0.1", port)) as stranger:
                    stranger.sendall(b"\0" * 100)
            for _ in range(3):
                assert ask(control, "GET", "/status")["switches"]
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_SECONDS)
            assert time.monotonic() - began < HANG_SECONDS
        finally:
            process.kill()
            if reading is not None:
                os.close(reading)


def test_strangers_fill_no_log(tmp_path: Path, environment: dict[str, str]) -> None:
    with Controller(tmp_path, [COMMANDS / "op25b", "run"], environment) as controller:
        controller.wait_for("in force")
        controller.connect(controller.port).close()
        before = len(controller.log)
        for _ in range(MANY):
            with socket.create_connection(("127.0.0.1", controller.port)) as stranger:
                stranger.sendall(b"\0" * 100)
        until(lambda: answers(tmp_path / "control.sock"))
        assert "sent bytes that are no OpenFlow" in controller.log
        assert len(controller.log) - before < 20_000
        controller.stop(signal.SIGTERM)
        assert "Traceback" not in controller.log


def listens(port: int) -> bool:
    with socket.socket() as stranger:
        return stranger.connect_ex(("127.0.0.1", port)) == 0


def answers(control: Path) -> bool:
    try:
        return bool(ask(control, "GET", "/status")["switches"])
    except NoControllerError:
        return False


def test_what_is_reported_last_is_written(tmp_path: Path, environment: dict[str, str]) -> None:
    Path(environment["OP25B_POLICY"]).write_text("isp: 3\n")
    done = subprocess.run(
        [COMMANDS / "op25b", "run"], env=environment, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 1
    assert "policy.yaml:1:6: error" in done.stderr
