"""Whoever reaches the OpenFlow port: nobody else notices, and nothing of it stays."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.fake_switch.wire import MAX_BYTES, Kind, pack
from testing.patience import HANG_SECONDS
from tests.faults.probe import Probe
from tests.faults.rig import Rig
from tests.faults.strangers import HELLO, METERS, connect, is_ended, open_as_switch, streaming

pytestmark = pytest.mark.slow

FLOOD_SECONDS = 3.0
ANSWER_SECONDS = 0.5
"""Of CPU time, whatever else the machine does. Before there was a limit it took half a minute."""
HANDSHAKE_SECONDS = 10.0

FLOODS = {
    "meters": METERS,
    "hellos": pack(4, Kind.HELLO, 1, struct.pack("!HH", 1, 0xFFF0) + b"\xff" * 0xFFEC),
    "tiny messages": pack(4, Kind.BARRIER_REPLY, 1) * 2000,
    "echo requests": pack(4, Kind.ECHO_REQUEST, 1) * 500,
    "errors": pack(4, Kind.ERROR, 1, b"\xff" * (MAX_BYTES - 8)),
    "packets": pack(4, Kind.PACKET_IN, 1, struct.pack("!IHBBQHH", 0, 0, 0, 0, 0, 1, 0xFF00) + bytes(0xFF00)),
    "ports": pack(5, Kind.PORT_STATUS, 1, bytes(0xFF00)),
}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(3) as rig:
        yield rig
        rig.assert_undisturbed()


def slowest(rig: Rig, seconds: float) -> float:
    """How much the controller worked at most until the steady switch had an answer (CPU seconds)."""
    probe, end = Probe(rig), time.monotonic() + seconds
    while time.monotonic() < end:
        probe.ask()
        time.sleep(0.02)
    return max(probe.cpu_seconds)


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("stage", ["nothing", "hello", "features"])
def test_a_flood_holds_up_nobody(rig: Rig, stage: str, flood: str) -> None:
    connection = (
        open_as_switch(rig.controller.port, 0xBAD) if stage == "features" else connect(rig.controller.port)
    )
    if stage == "hello":
        connection.sendall(HELLO)
    with streaming(connection, FLOODS[flood]):
        assert slowest(rig, FLOOD_SECONDS) < ANSWER_SECONDS


def test_many_floods_hold_up_nobody(rig: Rig) -> None:
    connections = [connect(rig.controller.port) for _ in range(5)]
    connections += [open_as_switch(rig.controller.port, 0xBAD0 + number) for number in range(10)]
    flooding = [
        streaming(each, flood) for each, flood in zip(connections, [*FLOODS.values()] * 3, strict=False)
    ]
    for each in flooding:
        each.__enter__()
    try:
        assert slowest(rig, FLOOD_SECONDS) < ANSWER_SECONDS
    finally:
        for each in flooding:
            each.__exit__(None, None, None)


@pytest.mark.parametrize(
    "said", [b"", b"\4", HELLO, METERS[:1000]], ids=["nothing", "a byte", "hello", "half a message"]
)
def test_a_handshake_that_is_not_finished_ends(rig: Rig, said: bytes) -> None:
    before = descriptors(rig)
    connections = [connect(rig.controller.port) for _ in range(50)]
    for each in connections:
        each.sendall(said)
    began = time.monotonic()
    assert all(is_ended(each, HANG_SECONDS) for each in connections)
    assert time.monotonic() - began > HANDSHAKE_SECONDS - 1, "before its time"
    rig.wait_until(
        lambda: descriptors(rig) <= before, lambda: f"{descriptors(rig)} descriptors, not {before}"
    )


def test_whoever_says_what_it_is_stays(rig: Rig) -> None:
    with open_as_switch(rig.controller.port, 0xBAD) as connection:
        assert not is_ended(connection, HANDSHAKE_SECONDS + 2)


def descriptors(rig: Rig) -> int:
    """How many files the controller has open."""
    return len(os.listdir(Path("/proc", str(rig.controller.process.pid), "fd")))
