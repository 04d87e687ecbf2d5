"""What the lab says before it builds anything."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab_command import LAB_SOURCES, ROOT, TOPOLOGIES, lab


def test_help_names_the_options() -> None:
    done = lab("--help")
    assert done.returncode == 0
    for option in ("--topology", "--scenario", "--policy", "--monitor", "--scripted", "--json", "--list"):
        assert option in done.stdout


def test_list_names_topologies_and_scenarios() -> None:
    done = lab("--list")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"topologies: {', '.join(sorted([*TOPOLOGIES, 'dhcp']))}"
    assert "  office-worker: her server is outside: port 25 is closed, submission is not" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--topology", "mesh"), "--topology mesh is not known; there are dhcp, dual-stack, metro, single"),
        (("--scenario", "spam"), "--scenario spam is not known; there are customer, "),
        (
            ("--scenario", "dhcp", "--scenario", "mail-in"),
            "dhcp has a network and a policy of its own",
        ),
        (
            ("--scenario", "dhcp", "--topology", "metro"),
            "dhcp has a network and a policy of its own",
        ),
        (("--topology", "dhcp", "--monitor"), "dhcp has a network and a policy of its own"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str) -> None:
    done = lab(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_policy_with_errors_is_told_with_their_places(tmp_path: Path) -> None:
    policy = tmp_path / "bad.yaml"
    policy.write_text((ROOT / "topologies" / "single.yaml").read_text().replace("dpid: 0x1", "dpid: -1"))
    done = lab("--policy", str(policy))
    assert done.returncode == 1
    assert "the policy is not valid" in done.stderr
    assert f"{policy}:12:11: error: " in done.stderr


def test_a_policy_for_another_topology() -> None:
    policy = ROOT / "topologies" / "metro.yaml"
    done = lab("--policy", str(policy))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: {policy} is not for this topology",
        f"{policy}:12:3: access-1 has dpid 0x1 in the topology, and 0x11 here",
        f"{policy}:12:3: access-1 gives no role to the ports 26, 27",
    ]


@pytest.fixture
def running_lab(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(LAB_SOURCES))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    return importlib.import_module("running_lab")


def test_only_root_may(running_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Exception, match="only root may: start it with sudo"):
        running_lab.check_prerequisites()


def test_missing_packages_are_named_all_at_once(running_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    gone = ("postfix", "saslpasswd2", "mnexec")
    monkeypatch.setattr(shutil, "which", lambda name: None if name in gone else which(name))
    with pytest.raises(Exception, match="apt-get install mininet postfix sasl2-bin"):
        running_lab.check_prerequisites()
