"""The attack as a process of its own: ``python -m tests.faults.campaign.hostile OPTIONS``.

It lasts until standard input ends, and then prints one JSON object: what each kind did.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.faults.campaign.hostile import KINDS, Hostile
from tests.faults.campaign.hostile.attack import Attack, Target

_PAUSE_SECONDS = (0.05, 0.5)
"""From the end of a visit to the next one."""
_LAST_SECONDS = 10.0


def slots(count: int, names: Sequence[str]) -> list[Hostile]:
    """Return who has each of so many slots: all kinds by turns, as far as they go, and each at least once."""
    kinds = [KINDS[name] for name in names]
    taken: list[Hostile] = []
    while len(taken) < max(count, len(kinds)):
        before = len(taken)
        for kind in kinds:
            is_left = kind.most is None or taken.count(kind) < kind.most
            if is_left and (len(taken) < count or kind not in taken):
                taken.append(kind)
        if len(taken) == before:
            break
    return taken


class Run:
    """What one kind did, all its slots together."""

    def __init__(self) -> None:
        self.visits = 0
        self.ended_by_controller = 0
        self.deeds: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def as_json(self) -> dict[str, object]:
        return {**vars(self), "deeds": dict(self.deeds), "faults": dict(self.faults)}


async def visit_again_and_again(kind: Hostile, attack: Attack, run: Run) -> None:
    """Make one visit after the other until cancelled."""
    attack.deeds = run.deeds
    while True:
        run.visits += 1
        try:
            await kind.visit(attack)
        except (OSError, asyncio.IncompleteReadError):
            run.ended_by_controller += 1
        except Exception as error:
            run.faults[f"{type(error).__name__}: {error}"] += 1
        await asyncio.sleep(attack.chance.uniform(*_PAUSE_SECONDS))


async def attack(options: argparse.Namespace) -> dict[str, Run]:
    """Attack until standard input ends."""
    target = Target(
        options.port,
        options.pid,
        options.policy,
        options.cloned,
        options.twin,
        options.first_dpid,
        _tls(options.certificates),
    )
    runs = {name: Run() for name in options.kinds}
    tasks = []
    for number, kind in enumerate(slots(options.slots, options.kinds)):
        each = Attack(target, options.first_dpid + number, Random(f"{options.seed} {number}"))
        tasks.append(asyncio.create_task(visit_again_and_again(kind, each, runs[kind.name])))
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_LAST_SECONDS)
    return runs


def _tls(folder: Path | None) -> ssl.SSLContext | None:
    """How a switch with a certificate connects."""
    if folder is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "authority.crt")
    context.check_hostname = False
    context.load_cert_chain(folder / "switch.crt", folder / "switch.key")
    return context


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign.hostile", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the controller's process")
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--cloned", type=int, required=True, help="dpid of the honest switch that is cloned")
    parser.add_argument("--twin", type=int, required=True, help="a dpid that several claim")
    parser.add_argument("--first-dpid", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--seed", type=int, default=25)
    parser.add_argument("--certificates", type=Path)
    parser.add_argument("kinds", nargs="+", choices=[*KINDS])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    found = asyncio.run(attack(options_of()))
    print(json.dumps({name: run.as_json() for name, run in found.items()}), flush=True)
