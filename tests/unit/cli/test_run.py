"""What ``op25b run`` says to wrong usage: a line or three, what was meant, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from testing.process import free_port

pytestmark = pytest.mark.slow

OP25B = Path(sys.executable).with_name("op25b")


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [OP25B, "run", *arguments], cwd=directory, capture_output=True, text=True, timeout=HANG_SECONDS
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["live.yaml"], 1, "as a policy it is named with --policy live.yaml"),
        (["--polcy", "live.yaml"], 2, "--polcy: did you mean --policy?"),
        (["--polcy=live.yaml"], 2, "--polcy: did you mean --policy?"),
        (["--policy", "live.yaml", "--ofp-listn-host", "::"], 2, "did you mean --ofp-listen-host?"),
        (
            ["--policy", "live.yaml", "--ofp-tcp-listen-port", "x"],
            2,
            "--ofp-tcp-listen-port x: give a whole number",
        ),
        (
            ["--policy", "live.yaml", "--config-file", "none.conf"],
            1,
            "none.conf; name another file with --config-file",
        ),
        (
            ["--policy", "live.yaml", "--config-dir", "none"],
            1,
            "none; name another directory with --config-dir",
        ),
        (
            ["--policy", "live.yaml", "--config-file", "."],
            1,
            ": Is a directory; name another with --config-file",
        ),
        (["--policy", "live.yaml", "--config-file", "bad.conf"], 1, "bad.conf:1, No ':' or '=' found"),
        (["--policy", "live.yaml", "no.such.app"], 1, "no Ryu application no.such.app"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    (tmp_path / "live.yaml").write_text("isp: {}\n")
    (tmp_path / "bad.conf").write_text("nothing\n")
    done = run(tmp_path, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


PORTS = "ports are from 1 to 65535; give one of them"
NOT_THERE = "No such file or directory; name another with"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--ofp-tcp-listen-port", "99999", "--wsapi-port", "-5", "ryu.app.ofctl_rest"],
            2,
            [
                f"--ofp-tcp-listen-port 99999: {PORTS}, or leave it out for 6653",
                f"--wsapi-port -5: {PORTS}",
            ],
        ),
        (["--ofp-tcp-listen-port", "0"], 2, [f"--ofp-tcp-listen-port 0: {PORTS}, or leave it out for 6653"]),
        (["--zapi-server-port", "65536"], 2, [f"--zapi-server-port 65536: {PORTS}"]),
        (["--config-file", "port.conf", "--wsapi-port", "70000"], 2, [f"--wsapi-port 70000: {PORTS}"]),
        (
            ["--config-file", "types.conf", "--wsapi-port", "y", "--ofp-tcp-listen-port", "z"],
            2,
            [
                "--ofp-tcp-listen-port z: give a whole number",
                "verbose = maybe in DIRECTORY/types.conf: write one of true, false, 1, 0, on, off, yes, no",
                "--wsapi-port y: give a whole number",
            ],
        ),
        (["--config-file", "port.conf"], 2, [f"wsapi_port = 99999 in DIRECTORY/port.conf: {PORTS}"]),
        (
            ["--config-file", "type.conf", "--ofp-tcp-listen-port", "PORT"],
            2,
            [
                "socket_timeout in section [DEFAULT] of DIRECTORY/type.conf: "
                "could not convert string to float: 'x'"
            ],
        ),
        (
            ["--config-file", "unknown.conf", "--wsapi-port", "99999", "--ofp-tcp-listen-port", "PORT"],
            2,
            [
                "polcy = x in section [op25b] of unknown.conf: "
                "there is no such setting: did you mean policy?",
                f"--wsapi-port 99999: {PORTS}",
            ],
        ),
        (
            [
                *("--log-file", "none/x.log", "--pid-file", "none/x.pid", "--user-flags", "none.py"),
                *("--log-config-file", "none.conf", "--ofp-tcp-listen-port", "PORT"),
            ],
            1,
            [
                f"cannot write --log-file none/x.log: none: {NOT_THERE} --log-file, or leave it out",
                f"cannot write --pid-file none/x.pid: none: {NOT_THERE} --pid-file, or leave it out",
                f"cannot read --user-flags none.py: {NOT_THERE} --user-flags, or leave it out",
                f"cannot read --log-config-file none.conf: {NOT_THERE} --log-config-file, or leave it out",
            ],
        ),
        (
            ["--user-flags", "port.conf"],
            2,
            [
                "cannot use --user-flags port.conf: NameError: name 'DEFAULT' is not defined; "
                "correct that file, or leave it out"
            ],
        ),
        (
            ["--user-flags=log.conf"],
            2,
            ["ryu-manager does not read --user-flags=log.conf: write --user-flags log.conf"],
        ),
        (
            ["--log-dir", "none", "--ofp-tcp-listen-port", "PORT"],
            1,
            [f"cannot write a file in --log-dir none: none: {NOT_THERE} --log-dir, or leave it out"],
        ),
        (
            ["--log-config-file", "port.conf", "--ofp-tcp-listen-port", "PORT"],
            1,
            [
                "cannot read --log-config-file port.conf: "
                "it has no section [loggers], [handlers], [formatters]; "
                "name another with --log-config-file, or leave it out"
            ],
        ),
        (
            ["--log-config-file", "log.conf", "--ofp-tcp-listen-port", "PORT"],
            1,
            ["cannot log as log.conf wants: ModuleNotFoundError: No module named 'Nil'; correct that file"],
        ),
        (
            ["--wsapi-host", "192.0.2.77", "ryu.app.ofctl_rest", "--ofp-tcp-listen-port", "PORT"],
            1,
            [
                "cannot listen on --wsapi-host 192.0.2.77: Cannot assign requested address; "
                "give an address of this host"
            ],
        ),
        (
            [
                *("--ofp-switch-address-list", "192.0.2.1:6653,[::1]:6653,x:1", "--log-file-mode", "9"),
                *("--ofp-switch-connect-interval", "0", "--ofp-tcp-listen-port", "PORT"),
            ],
            2,
            [
                "--ofp-switch-connect-interval 0: give a number of seconds from 1 on",
                "--ofp-switch-address-list x:1: give an IP address and a port, such as 192.0.2.1:6653 or "
                "[2001:db8::1]:6653",
                "--log-file-mode 9: give an octal number, such as 0644",
            ],
        ),
        (
            ["--ofp-tcp-listen-port", "PORT", "--ofp-ssl-listen-port", "6654"],
            2,
            [
                "--ofp-ssl-listen-port 6654: switches are awaited with TCP: for TLS give --ctl-privkey and "
                "--ctl-cert as well; for TCP leave it out"
            ],
        ),
    ],
)
def test_all_that_is_wrong_is_told_at_once(
    tmp_path: Path, arguments: list[str], code: int, said: list[str]
) -> None:
    (tmp_path / "port.conf").write_text("[DEFAULT]\nwsapi_port = 99999\n")
    (tmp_path / "type.conf").write_text("[DEFAULT]\nsocket_timeout = x\n")
    (tmp_path / "types.conf").write_text("[DEFAULT]\nverbose = maybe\n")
    (tmp_path / "unknown.conf").write_text("[op25b]\npolcy = x\n")
    (tmp_path / "log.conf").write_text(LOG_CONFIGURATION)
    before = {*tmp_path.iterdir()}
    port = str(free_port())
    done = run(tmp_path, *(port if argument == "PORT" else argument for argument in arguments))
    assert done.returncode == code, done.stderr
    assert done.stderr.replace(str(tmp_path), "DIRECTORY").splitlines() == [f"op25b: {line}" for line in said]
    cached = tmp_path / "__pycache__"  # by Python, of a file of --user-flags
    assert {*tmp_path.iterdir()} - {cached} == before


LOG_CONFIGURATION = """
[loggers]
keys = root
[handlers]
keys = one
[formatters]
keys =
[logger_root]
handlers = one
[handler_one]
class = Nil
args = ()
"""
