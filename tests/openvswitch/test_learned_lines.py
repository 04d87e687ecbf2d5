"""Addresses of lines that are learned while a controller runs, on a real switch."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from op25b_app.operate.events import iso
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, wait_until

pytestmark = pytest.mark.slow

POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10], static: [100.64.8.0/24]}
hardening: {source_validation: binding}
lines:
  sources: [{file: leases.csv}]
switches:
  learns: {dpid: 0x91, subscriber_ports: [1-2], uplink_ports: [3]}
  other: {dpid: 0x92, subscriber_ports: [1-2], uplink_ports: [3]}
"""
HEADER = "switch,port,address\n"
OWN, NEIGHBOUR, STATIC = "100.64.3.7", "100.64.3.8", "100.64.8.9"


@pytest.fixture
def controller(ovs: PrivateOvs, tmp_path: Path) -> Iterator[Op25bController]:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    write(policy, f"learns,1,{OWN}\n")
    with Op25bController(tmp_path, policy, socket=ovs.directory / "lines.sock") as controller:
        for name, dpid in (("learns", 0x91), ("other", 0x92)):
            ovs.add_bridge(name, range(1, 4), dpid=dpid, controllers=[controller.target])
        for name in ("learns", "other"):
            controller.wait_for_state(name, "protected")
        yield controller
    for name in ("learns", "other"):
        ovs.vsctl("--if-exists", "del-br", name)


def write(policy: Path, rows: str) -> None:
    """Replace the file of leases, as a program does that writes it anew."""
    new = policy.with_name("leases.new")
    new.write_text(HEADER + rows)
    new.replace(policy.with_name("leases.csv"))


def passes(ovs: PrivateOvs, switch: str, port: int, source: str, tcp_port: int = 587) -> bool:
    packet = f"in_port={port},tcp,nw_src={source},nw_dst=203.0.113.9,tp_dst={tcp_port}"
    return "Datapath actions: drop" not in ovs.appctl("ofproto/trace", switch, packet)


def wait_until_passing(ovs: PrivateOvs, port: int, source: str, expected: bool = True) -> None:
    wait_until(
        lambda: passes(ovs, "learns", port, source) is expected,
        lambda: "\n".join(ovs.dump_flows("learns")),
    )


def lines_of(controller: Op25bController, **query: str) -> list[dict[str, Any]]:
    done = controller.command("lines", "--json", *(f"--{name}={value}" for name, value in query.items()))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    listed: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
    return listed


def put(controller: Op25bController, body: dict[str, Any], query: str = "") -> dict[str, Any]:
    """As any program can."""
    command = [
        "curl",
        "--silent",
        "--unix-socket",
        controller.environment["OP25B_CONTROL_SOCKET"],
        "-X",
        "PUT",
    ]
    command += ["-d", json.dumps(body), f"http://op25b/v1/lines{query}"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


def test_a_line_may_use_what_the_file_gives_it_and_nobody_else_may(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    assert passes(ovs, "learns", 1, OWN)
    assert not passes(ovs, "learns", 1, OWN, 25)
    assert not passes(ovs, "learns", 2, OWN)
    assert not passes(ovs, "other", 1, OWN)
    write(controller.policy_path, f"learns,2,{OWN}\nlearns,1,{NEIGHBOUR}\n")
    wait_until_passing(ovs, 2, OWN)
    wait_until_passing(ovs, 1, NEIGHBOUR)
    assert not passes(ovs, "learns", 1, OWN)
    for name in ("learns", "other"):
        controller.wait_for_state(name, "protected")
    assert [each["port"] for each in lines_of(controller, address=OWN)] == ["2"]


def test_a_program_puts_lines_and_ends_them(ovs: PrivateOvs, controller: Op25bController) -> None:
    lease = {"switch": "learns", "port": 2, "address": NEIGHBOUR}
    answer = put(controller, {"lines": [lease]}, "?wait=1")
    assert answer == {"lines": 1, "end": 0, "switches": {"learns": "protected"}}
    assert passes(ovs, "learns", 2, NEIGHBOUR)
    wrong = {**lease, "port": 3}
    assert put(controller, {"lines": [wrong], "end": [NEIGHBOUR]}) == {
        "error": "port 3 of learns is its uplink port; a line is a subscriber port"
    }
    assert put(controller, {"end": [NEIGHBOUR]}) == {"lines": 0, "end": 1}
    wait_until_passing(ovs, 2, NEIGHBOUR, expected=False)


def test_a_static_address_is_exempt_on_its_line_alone_on_every_switch(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    put(controller, {"lines": [{"switch": "learns", "port": 2, "address": STATIC}]})
    wait_until_passing(ovs, 2, STATIC)
    assert passes(ovs, "learns", 2, STATIC, 25)
    assert not passes(ovs, "learns", 1, STATIC, 25)
    controller.wait_for_state("other", "protected")
    assert not passes(ovs, "other", 1, STATIC, 25)


def test_a_lost_file_is_told_and_takes_nothing_away(ovs: PrivateOvs, controller: Op25bController) -> None:
    leases = controller.policy_path.with_name("leases.csv")
    leases.unlink()
    reason = controller.wait_for_state("learns", "degraded")
    assert f"lines are not learned from leases.csv: {leases}: No such file or directory" in str(reason)
    assert passes(ovs, "learns", 1, OWN)
    assert "lines are not learned from leases.csv" in controller.log
    write(controller.policy_path, f"learns,1,{OWN}\n")
    controller.wait_for_state("learns", "protected")


def test_what_was_put_holds_again_after_the_controller_was_killed(
    ovs: PrivateOvs, tmp_path: Path, controller: Op25bController
) -> None:
    put(controller, {"lines": [{"switch": "learns", "port": 2, "address": NEIGHBOUR}]})
    wait_until_passing(ovs, 2, NEIGHBOUR)
    now = iso(time.time() + 1, "seconds")
    wait_until(lambda: lines_of(controller, address=NEIGHBOUR, at=now) != [], lambda: "not on disk")
    controller.process.kill()
    controller.process.wait()
    leases = controller.policy_path.with_name("leases.csv")
    leases.unlink()
    (tmp_path / "again").mkdir()
    with Op25bController(
        tmp_path / "again",
        controller.policy_path,
        socket=Path(controller.environment["OP25B_CONTROL_SOCKET"]),
        port=controller.port,
        environment={"OP25B_STATE_DIRECTORY": str(tmp_path / "state")},
    ) as again:
        reason = again.wait_for_state("learns", "degraded")
        assert "leases.csv" in str(reason)
        assert passes(ovs, "learns", 2, NEIGHBOUR)
        assert passes(ovs, "learns", 1, OWN)
        assert {each["address"] for each in lines_of(again)} == {f"{OWN}/32", f"{NEIGHBOUR}/32"}
