"""Mistakes of ours and switches that misbehave stay with the switch that they concern."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, policy_text, rules_on

pytestmark = pytest.mark.slow

HELLO, FEATURES_REQUEST, FEATURES_REPLY, MULTIPART_REQUEST, MULTIPART_REPLY = 0, 5, 6, 18, 19
BARRIER_REQUEST, BARRIER_REPLY = 20, 21
FLOW, TABLE_FEATURES = 1, 12
IMPATIENT = str(Path(__file__).parent / "impatient.py")


def test_a_mistake_of_ours_is_told_and_stays_with_its_switch(ovs: PrivateOvs, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("even 0x52", "uneven 0x53"))
    faulty = str(Path(__file__).parent / "failing_compiler.py")
    with Op25bController(
        tmp_path, policy, socket=ovs.directory / "faulty.sock", applications=[faulty]
    ) as controller:
        controller.wait_for("in force")
        for name, dpid in (("even", 0x52), ("uneven", 0x53)):
            ovs.add_bridge(name, range(1, 5), dpid=dpid, controllers=[controller.target])
        controller.wait_for_state("uneven", "protected")
        controller.wait_for_state("even", "degraded", "internal error of op25b; its log says more")
        assert "RuntimeError: a mistake in the compiler" in controller.log
        assert rules_on(ovs, "even") == set()
        assert rules_on(ovs, "uneven") == controller.wanted("uneven")
        for name in ("even", "uneven"):
            ovs.vsctl("del-br", name)


class RawSwitch:
    """A switch that shakes hands as OpenFlow 1.3 wants it, with an empty table, and then does as it likes."""

    def __init__(self, connection: socket.socket, dpid: int) -> None:
        self.socket = connection
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.send(HELLO, 0, b"")
        features_asked = False
        while True:
            kind, xid, body = self.receive()
            if kind == FEATURES_REQUEST:
                self.send(FEATURES_REPLY, xid, struct.pack("!QIBB2xII", dpid, 0, 254, 0, 0, 0))
            elif kind == BARRIER_REQUEST:
                self.send(BARRIER_REPLY, xid, b"")
            elif kind == MULTIPART_REQUEST:
                (what,) = struct.unpack_from("!H", body)
                self.send(MULTIPART_REPLY, xid, struct.pack("!HH4x", what, 0))
                features_asked |= what == TABLE_FEATURES
                if what == FLOW and features_asked:
                    return

    def send(self, kind: int, xid: int, body: bytes) -> None:
        self.socket.sendall(struct.pack("!BBHI", 4, kind, 8 + len(body), xid) + body)

    def receive(self) -> tuple[int, int, bytes]:
        header = self.read(8)
        _, kind, length, xid = struct.unpack("!BBHI", header)
        return kind, xid, self.read(length - 8)

    def read(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            chunk = self.socket.recv(length - len(received))
            assert chunk, "the controller closed the connection"
            received += chunk
        return received


@pytest.fixture
def crowded(request: pytest.FixtureRequest, ovs: PrivateOvs, tmp_path: Path) -> Iterator[Op25bController]:
    """A controller with more rules for a switch than any socket buffers, beside these applications."""
    pools = "".join(f"100.{64 + n // 65536}.{n // 256 % 256}.{n % 256}/32\n" for n in range(0, 80_000, 2))
    (tmp_path / "pools.txt").write_text(pools)
    policy = tmp_path / "policy.yaml"
    text = policy_text("silent 0x61", "lively 0x62 mode: monitor")
    policy.write_text(text.replace("static: [", "static: [{file: pools.txt}, "))
    with Op25bController(
        tmp_path, policy, socket=ovs.directory / "crowded.sock", applications=request.param
    ) as controller:
        controller.wait_for("in force")
        yield controller


@pytest.mark.parametrize("crowded", [[]], ids=[""], indirect=True)
def test_a_switch_that_does_not_read_holds_up_nobody(ovs: PrivateOvs, crowded: Op25bController) -> None:
    """The controller has it wait for as long as the test takes, and does everything else meanwhile."""
    silent = RawSwitch(crowded.connect(crowded.port), 0x61)
    crowded.wait_for("silent (dpid 0x61): installing")
    ovs.add_bridge("lively", range(1, 5), dpid=0x62, controllers=[crowded.target])
    crowded.wait_for_state("lively", "monitoring")
    assert crowded.status()["switches"]["silent"]["state"] == "installing"
    silent.socket.close()
    ovs.vsctl("del-br", "lively")
    assert "Traceback" not in crowded.log


@pytest.mark.parametrize("crowded", [[IMPATIENT]], ids=[""], indirect=True)
def test_a_switch_that_does_not_read_for_too_long_is_lost(crowded: Op25bController) -> None:
    silent = RawSwitch(crowded.connect(crowded.port), 0x61)
    crowded.wait_for("silent (dpid 0x61): installing")
    crowded.wait_for("silent (dpid 0x61): lost: connection closed")
    silent.socket.close()
    assert "Traceback" not in crowded.log


def test_garbage_and_silence_before_the_handshake_are_nobody(ovs: PrivateOvs, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("steady 0x63"))
    with Op25bController(tmp_path, policy, socket=ovs.directory / "garbage.sock") as controller:
        controller.wait_for("in force")
        ovs.add_bridge("steady", range(1, 5), dpid=0x63, controllers=[controller.target])
        controller.wait_for_state("steady", "protected")
        silent = controller.connect(controller.port)
        old_hellos = struct.pack("!BBHI", 1, HELLO, 8, 0) * 5_000
        garbage = (b"GET / HTTP/1.0\r\n\r\n", bytes(64), b"\x04\x00\x00\x00" * 4, b"\xff" * 200, old_hellos)
        for each in garbage:
            with controller.connect(controller.port) as connection:
                connection.sendall(each)
        controller.wait_for_state("steady", "protected")
        assert set(controller.status()["switches"]) == {"steady"}
        silent.close()
        ovs.vsctl("del-br", "steady")
