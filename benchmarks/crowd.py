"""A crowd of fake switches at a controller, and what it takes that controller; prints JSON.

``python -m benchmarks.crowd --help``
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.controllers import longest_lag
from benchmarks.policies import UPLINK
from benchmarks.processes import cpu_nanoseconds, peak_megabytes
from op25b_app.operate.control_client import NoControllerError, ask
from testing.fake_switch.conduct import Abilities
from testing.fake_switch.crowd import Crowd

_PART_BYTES = 60_000
"""Open vSwitch fills each part of a table's description up to 64 KiB (measured on 3.1)."""
_POLL_SECONDS = 0.05
_STATUS_SECONDS = 0.5
_FIRST_STATUS_SECONDS = 1.0
"""How long nothing is asked of any switch before the controller is asked."""


class Passed(NamedTuple):
    """Since the switches began to connect: seconds, and CPU seconds of the controller."""

    seconds: float
    cpu: float


@click.command()
@click.option("--port", type=int, required=True, help="The controller's OpenFlow port.")
@click.option("--pid", type=int, required=True, help="The controller's process.")
@click.option("--switches", type=int, required=True)
@click.option("--flow-mods", type=int, required=True, help="How many each switch is sent, or more.")
@click.option("--socket", type=click.Path(path_type=Path), help="The control socket, where it is op25b.")
@click.option("--idle", type=float, required=True, help="For how many seconds to watch the controller idle.")
@click.option("--limit", type=float, required=True, help="How many seconds each step may take.")
def main(
    port: int, pid: int, switches: int, flow_mods: int, socket: Path | None, idle: float, limit: float
) -> None:
    crowd = Crowd(port, switches, ports=UPLINK, capabilities=Abilities(part_bytes=_PART_BYTES))
    click.echo(json.dumps(asyncio.run(_measure(crowd, pid, flow_mods, socket, idle, limit))))


async def _measure(
    crowd: Crowd, pid: int, flow_mods: int, socket: Path | None, idle: float, limit: float
) -> dict[str, object]:
    found: dict[str, object] = {}

    def confirmed() -> bool:
        members = crowd.members
        return all(member.confirmed is not None and member.flow_mods >= flow_mods for member in members)

    def proven() -> bool:
        return socket is not None and _is_quiet(crowd) and _all_protected(socket, len(crowd.members))

    gc.freeze()
    watch = _Stopwatch(pid, limit)
    crowd.connect()
    found["confirmed"] = await watch.wait(confirmed, _POLL_SECONDS)
    if socket is not None:
        found["proven"] = await watch.wait(proven, _STATUS_SECONDS)
        watch = _Stopwatch(pid, limit)
        crowd.connect()
        await asyncio.sleep(_FIRST_STATUS_SECONDS)
        found["reconnected"] = await watch.wait(proven, _STATUS_SECONDS)
    watch = _Stopwatch(pid, limit)
    await asyncio.sleep(idle)
    found["idle"] = watch.passed().cpu / idle
    found["peak"] = peak_megabytes(pid)
    if socket is not None:
        found["lag"] = longest_lag(socket)
    await crowd.stop()
    return found


class _Stopwatch:
    def __init__(self, pid: int, limit: float) -> None:
        self._pid = pid
        self._limit = limit
        self._begun, self._cpu = time.monotonic(), cpu_nanoseconds(pid)

    def passed(self) -> Passed:
        cpu = cpu_nanoseconds(self._pid) - self._cpu
        return Passed(time.monotonic() - self._begun, cpu / 1e9)

    async def wait(self, condition: Callable[[], bool], pause: float) -> Passed:
        while not condition():
            if time.monotonic() - self._begun > self._limit:
                raise click.ClickException(f"not done within {self._limit:.0f} s")
            await asyncio.sleep(pause)
        return self.passed()


def _is_quiet(crowd: Crowd) -> bool:
    return time.monotonic() - crowd.quiet_since > _FIRST_STATUS_SECONDS


def _all_protected(socket: Path, count: int) -> bool:
    try:
        switches = ask(socket, "GET", "/status")["switches"].values()
    except NoControllerError:
        return False
    protected = [switch for switch in switches if switch["state"] == "protected"]
    return len(protected) == count


if __name__ == "__main__":
    main()
