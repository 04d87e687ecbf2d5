"""A change of one prefix: messages, time, the fewest rules meanwhile, and what becomes of mail."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from benchmarks import controllers
from benchmarks.controllers import PORT, Controller, Running
from benchmarks.mail_packets import MailPackets
from benchmarks.network import two_way_wire
from benchmarks.peers.environments import PeerError
from benchmarks.policies import LINES, UPLINK, Space, write_policy
from benchmarks.processes import cpu_nanoseconds
from benchmarks.results import Change, spread_of
from benchmarks.rulesets import Ruleset, ruleset_of, write_faucet
from benchmarks.table_sizes import TableSizes
from benchmarks.tap import Tap
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import of_version
from testing.private_ovs import PrivateOvs

SIZE = 10_000
TAP_PORT = 6633
CHANGED = Prefix.parse("192.168.77.0/24")
"""The dynamic prefix that comes and goes."""
_BRIDGE = "change"
_BEFORE_SECONDS = 1.0
_QUIET_SECONDS = 3.0
_LIMIT_SECONDS = 300.0


class Once(NamedTuple):
    """Messages by kind; seconds; rules before, at the fewest, and after; packets."""

    messages: Counter[str]
    seconds: float
    sending: float
    controller_cpu: float
    before: int
    lowest: int
    after: int
    permitted: int
    lost: int
    blocked: int
    leaked: int
    timeline: list[tuple[float, int]]


@dataclass
class _Subject:
    """A controller under a policy; ``write`` writes it with or without the prefix, SIGHUP has it read.

    Its table is whole with ``at_least`` as many rules.
    """

    controller: Controller
    write: Callable[[bool], None]
    at_least: int


def changes(rounds: int, size: int = SIZE) -> Iterator[Change]:
    """Of op25b and of Faucet; the prefix comes and goes by turns."""
    ruleset = ruleset_of(size)
    for make in (_op25b, _faucet):
        with TemporaryDirectory() as folder:
            subject = make(ruleset, Path(folder))
            click.echo(f"change: {subject.controller.name}", err=True)
            yield _change(subject, ruleset, Path(folder), rounds)


def _op25b(ruleset: Ruleset, folder: Path) -> _Subject:
    policy = folder / "policy.yaml"

    def write(with_prefix: bool) -> None:
        space = ruleset.space
        dynamic = (*space.dynamic, CHANGED) if with_prefix else space.dynamic
        write_policy(folder, Space(space.name, dynamic, space.static, space.enclosed_by), "defaults")

    return _Subject(controllers.op25b(policy), write, len(ruleset.rules))


def _faucet(ruleset: Ruleset, folder: Path) -> _Subject:
    configuration = folder / "faucet.yaml"
    count = len(ruleset.rules)

    def write(with_prefix: bool) -> None:
        write_faucet(configuration, count, [LINES[0]], [CHANGED] if with_prefix else [])

    return _Subject(controllers.faucet(configuration), write, count)


def _change(subject: _Subject, ruleset: Ruleset, folder: Path, rounds: int) -> Change:
    subject.write(False)
    with ExitStack() as opened:
        wires = {
            port: opened.enter_context(two_way_wire(f"{_BRIDGE}-{port}", f"end{port}"))
            for port in (*LINES, UPLINK)
        }
        ovs = opened.enter_context(PrivateOvs(dummy=False))
        ovs.add_bridge(_BRIDGE, wires, datapath_type="netdev")
        running = opened.enter_context(Running(subject.controller, folder))
        tap = opened.enter_context(
            Tap(TAP_PORT, PORT, lambda: (cpu_nanoseconds(running.pid), cpu_nanoseconds(ovs.switch_pid)))
        )
        begun = time.monotonic()
        ovs.vsctl("set-controller", _BRIDGE, f"tcp:127.0.0.1:{TAP_PORT}")
        sizes = opened.enter_context(TableSizes(ovs.directory / f"{_BRIDGE}.mgmt"))
        _converged(tap, subject, begun, sizes)
        taken = []
        for number in range(rounds):
            subject.write(number % 2 == 0)
            taken.append(_once(subject, running, tap, sizes, wires, ruleset.space))
            click.echo(
                f"  {number + 1} {subject.controller.name}: {taken[-1]._replace(timeline=[])}", err=True
            )
    return _summary(subject.controller.name, taken)


def _once(
    subject: _Subject,
    running: Running,
    tap: Tap,
    sizes: TableSizes,
    wires: dict[int, socket.socket],
    space: Space,
) -> Once:
    sources = list(of_version(space.dynamic[:5], 4))
    with MailPackets(wires, sources, space) as mail:
        time.sleep(_BEFORE_SECONDS)
        before, cpu, begun = sizes.latest, tap.snapshot(), time.monotonic()
        running.process.send_signal(signal.SIGHUP)
        done = _converged(tap, subject, begun, sizes)
    return Once(
        tap.counts(begun),
        done - begun,
        done - tap.first_change(begun),
        (tap.snapshot_at(done).controller - cpu.controller) / 1e9,
        before,
        sizes.lowest(begun),
        sizes.latest,
        mail.sent.permitted,
        mail.lost,
        mail.sent.blocked,
        mail.arrived.blocked,
        sizes.timeline(begun),
    )


def _converged(tap: Tap, subject: _Subject, since: float, sizes: TableSizes) -> float:
    """When the last change was confirmed, the table being whole."""
    done = tap.wait_until_converged(
        since, lambda: sizes.latest >= subject.at_least, quiet=_QUIET_SECONDS, limit=_LIMIT_SECONDS
    )
    if done is None:
        raise PeerError(
            f"{subject.controller.name} was not done within {_LIMIT_SECONDS:.0f} s: "
            f"{sizes.latest:,} of {subject.at_least:,} rules"
        )
    return done


def _summary(peer: str, taken: list[Once]) -> Change:
    kinds = sorted({kind for once in taken for kind in once.messages})
    return Change(
        peer,
        {kind: round(median(once.messages[kind] for once in taken)) for kind in kinds},
        spread_of([once.messages.total() for once in taken]),
        spread_of([once.seconds for once in taken]),
        spread_of([once.sending for once in taken]),
        spread_of([once.controller_cpu for once in taken]),
        min(once.before for once in taken),
        min(once.lowest for once in taken),
        sum(once.permitted for once in taken),
        sum(once.lost for once in taken),
        sum(once.blocked for once in taken),
        sum(once.leaked for once in taken),
        taken[0].timeline,
    )
