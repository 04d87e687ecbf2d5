"""What ``op25b run`` says to wrong usage: a line or three, what was meant, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import HANG_SECONDS

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
        (["--policy", "live.yaml", "--ofp-tcp-listen-port", "x"], 2, "Invalid Integer value: x"),
        (["--policy", "live.yaml", "--config-file", "none.conf"], 1, "none.conf; correct the file"),
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
