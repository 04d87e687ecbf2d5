"""Addresses of lines that change hands at a controller with many fake switches; prints a Markdown table.

``python -m benchmarks.lines`` has 1,000 switches of 46 lines, each with an IPv4 address and an IPv6 /56 with
its MAC address, learned from a CSV file. The controller has a processor of its own if there are two.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import controllers
from benchmarks.controllers import PORT, Running, longest_lag, op25b_socket
from benchmarks.markdown_table import table
from benchmarks.processes import cpu_nanoseconds, peak_megabytes
from benchmarks.regional import LINES, TRUSTED, addresses_of, regional_policy
from op25b_app.operate.control_client import NoControllerError, ask
from testing.fake_switch.conduct import Abilities
from testing.fake_switch.crowd import Crowd

_LIMIT_SECONDS = 600.0

Leases = dict[tuple[int, int], tuple[str, str, str]]
"""IPv4 address, IPv6 prefix and MAC address by switch and port."""


def policy_with_source(switches: int) -> str:
    """Return the regional policy, its bindings learned from ``leases.csv``."""
    lines = [line for line in regional_policy(switches).splitlines() if "bindings:" not in line]
    text = "\n".join(line for line in lines if "{port:" not in line) + "\n"
    return text.replace("switches:\n", "lines: {sources: [{file: leases.csv}]}\nswitches:\n")


def write_leases(path: Path, leases: Leases) -> None:
    """Replace the file, as a program does that writes it anew."""
    rows = ["switch,port,mac,address"]
    for (switch, port), (ipv4, ipv6, mac) in leases.items():
        rows += (f"access-{switch},{port},{mac},{ipv4}", f"access-{switch},{port},{mac},{ipv6}")
    new = path.with_suffix(".new")
    new.write_text("\n".join([*rows, ""]))
    new.replace(path)


def _row(switch: int, port: int, address: str, mac: str) -> dict[str, Any]:
    return {"switch": f"access-{switch}", "port": port, "address": address, "mac": mac}


def _spare(number: int) -> str:
    return f"100.{127 - (number >> 16)}.{number >> 8 & 255}.{number & 255}"


class _Bench:
    def __init__(self, crowd: Crowd, pid: int, folder: Path, socket_path: Path, leases: Leases) -> None:
        self.crowd, self.pid, self.leases = crowd, pid, leases
        self._file = folder / "leases.csv"
        self._socket = socket_path
        self._spare = 0

    def cpu(self) -> float:
        return cpu_nanoseconds(self.pid) / 1e9

    async def until(self, condition: Callable[[], bool], pause: float = 0.05) -> float:
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > _LIMIT_SECONDS:
                raise click.ClickException(f"not done within {_LIMIT_SECONDS:.0f} s")
            await asyncio.sleep(pause)
        return time.monotonic() - began

    def all_protected(self) -> bool:
        if time.monotonic() - self.crowd.quiet_since < 1.0:
            return False
        try:
            return bool(ask(self._socket, "GET", "/status")["all_protected"])
        except NoControllerError:
            return False

    def flow_mods(self) -> int:
        return sum(len(dialler.switch.flow_mods) for dialler in self.crowd.diallers)

    async def start(self) -> list[Sequence[str]]:
        began = self.cpu()
        self.crowd.connect()
        seconds = await self.until(self.all_protected, 0.5)
        return [
            ("start until all are proven, CPU of the controller", f"{self.cpu():.1f} s"),
            ("of it since the switches connect", f"{self.cpu() - began:.1f} s, in {seconds:.1f} s"),
            ("memory", f"{peak_megabytes(self.pid):.0f} MB"),
        ]

    async def single_changes(self, count: int) -> list[Sequence[str]]:
        """One address of one line after the other is another one, by PUT."""
        seconds, messages, began = [], [], self.cpu()
        for number in range(count):
            switch, port = number % len(self.crowd.members) + 1, number % LINES + 1
            _, _, mac = self.leases[switch, port]
            dialler = self.crowd.diallers[switch - 1]
            before = dialler.received
            start = time.monotonic()
            body = {"lines": [_row(switch, port, self._next_spare(), mac)]}
            answer = await asyncio.to_thread(self._put, body, "?wait=1")
            seconds.append(time.monotonic() - start)
            messages.append(dialler.received - before)
            if answer.get("switches") != {f"access-{switch}": "protected"}:
                raise click.ClickException(f"one binding: {answer}")
        cpu = (self.cpu() - began) / count
        return [
            ("one binding by PUT, until it is proven", f"{median(seconds) * 1000:.0f} ms"),
            ("CPU of the controller for it", f"{cpu * 1000:.1f} ms"),
            ("messages to the switch for it", f"{median(messages):.0f}"),
        ]

    async def many_in_a_file(self, count: int) -> list[Sequence[str]]:
        """So many lines have another address in one file."""
        lag, began, before = longest_lag(self._socket), self.cpu(), self.flow_mods()
        for key in random.Random(25).sample(sorted(self.leases), count):
            _, ipv6, mac = self.leases[key]
            self.leases[key] = self._next_spare(), ipv6, mac
        write_leases(self._file, self.leases)
        started = time.monotonic()
        await self.until(lambda: self.flow_mods() - before >= 2 * count and self._quiet(0.5), 0.1)
        seconds = self.crowd.quiet_since - started
        await self.until(self.all_protected, 0.5)
        after = longest_lag(self._socket)
        return [
            (f"{count:,} leases change in one file, until all are on their switches", f"{seconds:.1f} s"),
            ("CPU of the controller for them", f"{self.cpu() - began:.1f} s"),
            (
                "longest lag of the event loop, before and after",
                f"{lag * 1000:.0f} and {after * 1000:.0f} ms",
            ),
        ]

    async def steady(self, rate: int, seconds: float) -> list[Sequence[str]]:
        """So many leases a second move to another address, by PUT."""
        chance, began, start = random.Random(26), self.cpu(), time.monotonic()
        sent, lines = 0, [*self.leases]
        while (elapsed := time.monotonic() - start) < seconds:
            due = int(elapsed * rate) - sent
            if due > 0:
                rows = []
                for _ in range(due):
                    key = chance.choice(lines)
                    rows.append(_row(*key, self._next_spare(), self.leases[key][2]))
                await asyncio.to_thread(self._put, {"lines": rows})
                sent += due
            await asyncio.sleep(0.02)
        used = self.cpu() - began
        await self.until(self.all_protected, 0.5)
        return [
            (f"{rate} leases a second for {seconds:.0f} s, share of a core", f"{used / seconds:.0%}"),
            ("memory after it", f"{peak_megabytes(self.pid):.0f} MB"),
        ]

    def _put(self, body: Any, query: str = "") -> dict[str, Any]:
        return ask(self._socket, "PUT", f"/v1/lines{query}", body=json.dumps(body))

    def _quiet(self, seconds: float) -> bool:
        return time.monotonic() - self.crowd.quiet_since > seconds

    def _next_spare(self) -> str:
        self._spare += 1
        return _spare(self._spare)


async def _measure(folder: Path, switches: int, seconds: float) -> list[Sequence[str]]:
    policy, leases = folder / "policy.yaml", folder / "leases.csv"
    policy.write_text(policy_with_source(switches))
    known: Leases = {
        (switch, port): addresses_of(switch, port)
        for switch in range(1, switches + 1)
        for port in range(1, LINES + 1)
    }
    write_leases(leases, known)
    controller = controllers.op25b(policy)
    kept = {**controller.environment, "OP25B_STATE_DIRECTORY": str(folder / "state")}
    controller = replace(controller, environment=kept)
    with Running(controller, folder) as running:
        crowd = Crowd(PORT, switches, ports=TRUSTED, capabilities=Abilities(part_bytes=60_000))
        gc.freeze()
        bench = _Bench(crowd, running.pid, folder, op25b_socket(policy), known)
        rows = await bench.start()
        rows += await bench.single_changes(20)
        rows += await bench.many_in_a_file(min(10_000, len(known)))
        rows += await bench.steady(100, seconds)
        await crowd.stop()
    return rows


@click.command(help=__doc__)
@click.option("--switches", default=1000, show_default=True, type=click.IntRange(1, 5_000))
@click.option("--seconds", default=60.0, show_default=True, help="Of steady changes.")
def main(switches: int, seconds: float) -> None:
    """Print what it takes."""
    with TemporaryDirectory() as folder:
        rows = asyncio.run(_measure(Path(folder), switches, seconds))
    click.echo(table(["work", f"{switches:,} switches of {LINES} lines"], rows))


if __name__ == "__main__":
    main()
