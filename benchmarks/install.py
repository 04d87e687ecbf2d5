"""Rules on one switch, from its connection to the barrier that confirms them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from benchmarks import controllers
from benchmarks.controllers import PORT, WEB_PORT, Controller, Running, longest_lag, op25b_socket, op25b_state
from benchmarks.peers.environments import PeerError, TooSlowError
from benchmarks.policies import LINES, SWITCH, UPLINK, write_policy
from benchmarks.processes import cpu_nanoseconds
from benchmarks.results import Install, Spread, spread_of
from benchmarks.rulesets import (
    Ruleset,
    rest_firewall_rules,
    ruleset_of,
    write_faucet,
    write_messages,
    write_nftables,
    write_ofctl,
    write_plain_ryu,
)
from benchmarks.tap import Tap
from testing.private_ovs import PrivateOvs

SIZES = (1_000, 10_000, 100_000)
REST_FIREWALL_SIZE = 1_000
FLOOR = "raw socket"
TAP_PORT = 6633
_BRIDGE = "install"
_DATAPATH = f"{1:016x}"
_QUIET_SECONDS = 1.0
_LIMIT_SECONDS = 300.0
_PROVEN_SECONDS = 120.0


class Once(NamedTuple):
    """Seconds; CPU seconds. ``rules`` were in the table afterwards; ``lag`` is that of the event loop."""

    seconds: float
    controller_cpu: float
    switch_cpu: float
    rules: int
    proven: float | None = None
    lag: float | None = None


@dataclass
class Way:
    """A way to put rules in place; ``run`` does it once on a fresh bridge, at ``most`` so often."""

    name: str
    run: Callable[[PrivateOvs], Once]
    most: int = 1000
    failure: str = ""
    gave_up_after: float | None = None


def install_times(sizes: tuple[int, ...], rounds: int) -> Iterator[Install]:
    for size in sizes:
        click.echo(f"install: {size:,} rules", err=True)
        ruleset = ruleset_of(size)
        with TemporaryDirectory() as folder, PrivateOvs() as ovs:
            ways = _ways(ruleset, Path(folder))
            taken = _by_turns(ovs, ways, rounds)
        yield from _summaries(size, ways, taken)


def _ways(ruleset: Ruleset, folder: Path) -> list[Way]:
    count = len(ruleset.rules)
    messages, lines, as_json = folder / "messages", folder / "flows.txt", folder / "rules.json"
    write_messages(messages, ruleset.rules)
    write_ofctl(lines, ruleset.rules)
    write_plain_ryu(as_json, ruleset.rules)
    policy = write_policy(folder, ruleset.space, "defaults")
    configuration, script = folder / "faucet.yaml", folder / "rules.nft"
    write_faucet(configuration, count, [LINES[0]])
    elements = write_nftables(script, ruleset.space)
    ways = [
        _controlled(controllers.raw_socket(messages), folder, count),
        _controlled(controllers.op25b(policy), folder, count, policy),
        Way("ovs-ofctl add-flows", lambda ovs: _ofctl(ovs, lines)),
        Way("ovs-ofctl --bundle", lambda ovs: _ofctl(ovs, lines, "--bundle")),
        Way("nftables", lambda ovs: _nftables(script, elements)),
        _controlled(controllers.plain_ryu(as_json), folder, count),
        _controlled(controllers.faucet(configuration), folder, count),
    ]
    if count <= 2 * REST_FIREWALL_SIZE:
        bodies = rest_firewall_rules(count)
        ways.append(Way("ryu.app.rest_firewall", lambda ovs: _rest_firewall(ovs, folder, bodies), most=1))
    return ways


def _controlled(controller: Controller, folder: Path, rules: int, policy: Path | None = None) -> Way:
    return Way(controller.name, lambda ovs: _by_controller(ovs, controller, folder, rules, policy))


def _by_turns(ovs: PrivateOvs, ways: list[Way], rounds: int) -> dict[str, dict[int, Once]]:
    """What each way took in each round; every other round goes backwards."""
    taken: dict[str, dict[int, Once]] = {way.name: {} for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            if way.failure or len(taken[way.name]) >= way.most:
                continue
            ovs.add_bridge(_BRIDGE, [*LINES, UPLINK])
            try:
                once = taken[way.name][number] = way.run(ovs)
                click.echo(f"  {number + 1} {way.name}: {once}", err=True)
            except PeerError as error:
                way.failure = str(error).splitlines()[0]
                way.gave_up_after = error.seconds if isinstance(error, TooSlowError) else None
                click.echo(f"  {number + 1} {way.name}: {error}", err=True)
            ovs.vsctl("del-br", _BRIDGE)
    return taken


def _summaries(size: int, ways: list[Way], taken: dict[str, dict[int, Once]]) -> Iterator[Install]:
    floor = taken[FLOOR]
    for way in ways:
        rounds = taken[way.name]
        if not rounds:
            yield Install(size, way.name, size, failure=way.failure, gave_up_after=way.gave_up_after)
            continue
        proven = [once.proven for once in rounds.values() if once.proven is not None]
        lags = [once.lag for once in rounds.values() if once.lag is not None]
        yield Install(
            size,
            way.name,
            next(iter(rounds.values())).rules,
            spread_of([once.seconds for once in rounds.values()]),
            spread_of([once.seconds / floor[number].seconds for number, once in rounds.items()]),
            spread_of([once.controller_cpu for once in rounds.values()]),
            spread_of([once.switch_cpu for once in rounds.values()]),
            _spread_or_none(proven),
            _spread_or_none(lags),
        )


def _spread_or_none(values: list[float]) -> Spread | None:
    return spread_of(values) if values else None


def _by_controller(
    ovs: PrivateOvs, controller: Controller, folder: Path, rules: int, policy: Path | None
) -> Once:
    with Running(controller, folder) as running:
        cpu = lambda: (cpu_nanoseconds(running.pid), cpu_nanoseconds(ovs.switch_pid))  # noqa: E731
        with Tap(TAP_PORT, PORT, cpu) as tap:
            begun = time.monotonic()
            ovs.vsctl("set-controller", _BRIDGE, f"tcp:127.0.0.1:{TAP_PORT}")
            proven = None if policy is None else _proven_at(policy)
            done = tap.wait_until_converged(
                begun, lambda: _count(ovs) >= rules, quiet=_QUIET_SECONDS, limit=_LIMIT_SECONDS
            )
            if done is None:
                raise TooSlowError(f"{controller.name} was not done", _LIMIT_SECONDS)
            connected = tap.handshake()
            before, after = tap.snapshot_at(connected), tap.snapshot_at(done)
            return Once(
                done - connected,
                (after.controller - before.controller) / 1e9,
                (after.switch - before.switch) / 1e9,
                _count(ovs),
                None if proven is None else proven - connected,
                None if policy is None else longest_lag(op25b_socket(policy)),
            )


def _proven_at(policy: Path) -> float:
    """When op25b says that the switch is protected: its rules confirmed, read back and proven."""
    give_up = time.monotonic() + _PROVEN_SECONDS
    while (state := op25b_state(policy, SWITCH)) != "protected":
        if time.monotonic() > give_up:
            raise PeerError(f"op25b says {state!r} of the switch, not 'protected'")
        time.sleep(0.02)
    return time.monotonic()


def _ofctl(ovs: PrivateOvs, lines: Path, *options: str) -> Once:
    command = ["ovs-ofctl", "-O", "OpenFlow13", *options, "add-flows", _BRIDGE, str(lines)]
    return _by_command(command, ovs.environment, ovs.switch_pid, lambda: _count(ovs))


def _nftables(script: Path, elements: int) -> Once:
    """In the kernel, whose CPU time is the command's own."""
    once = _by_command(["nft", "-f", str(script)], dict(os.environ), None, lambda: elements)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    return once


def _by_command(
    command: list[str], environment: dict[str, str], switch: int | None, count: Callable[[], int]
) -> Once:
    before = 0 if switch is None else cpu_nanoseconds(switch)
    begun = time.monotonic()
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise PeerError(f"{command[0]}: {said.decode(errors='replace')[:500]}")
    taken = 0 if switch is None else cpu_nanoseconds(switch) - before
    return Once(seconds, usage.ru_utime + usage.ru_stime, taken / 1e9, count())


def _rest_firewall(ovs: PrivateOvs, folder: Path, bodies: list[dict[str, str]]) -> Once:
    """A request for each rule, one after the other, as its interface wants it."""
    with Running(controllers.rest_firewall(), folder) as running:
        ovs.vsctl("set-controller", _BRIDGE, f"tcp:127.0.0.1:{PORT}")
        _wait_for_switch()
        before = cpu_nanoseconds(running.pid), cpu_nanoseconds(ovs.switch_pid)
        begun = time.monotonic()
        _request("PUT", f"/firewall/module/enable/{_DATAPATH}")
        for body in bodies:
            _request("POST", f"/firewall/rules/{_DATAPATH}", body)
        seconds = time.monotonic() - begun
        after = cpu_nanoseconds(running.pid), cpu_nanoseconds(ovs.switch_pid)
        taken = [(now - then) / 1e9 for now, then in zip(after, before, strict=True)]
        return Once(seconds, taken[0], taken[1], _count(ovs))


def _wait_for_switch() -> None:
    give_up = time.monotonic() + 30
    while not _has_switch():
        if time.monotonic() > give_up:
            raise PeerError("ryu.app.rest_firewall has no switch after 30 s")
        time.sleep(0.1)


def _has_switch() -> bool:
    """It listens a moment before it answers, and answers with an error until a switch is there."""
    try:
        return _DATAPATH in _request("GET", "/firewall/module/status")
    except PeerError:
        return False


def _request(method: str, path: str, body: dict[str, str] | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", WEB_PORT, timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise PeerError(f"ryu.app.rest_firewall: {error}") from None
    finally:
        connection.close()
    if answer.status != http.client.OK or "failure" in text:
        raise PeerError(f"ryu.app.rest_firewall: {answer.status} {text[:500]}")
    return text


def _count(ovs: PrivateOvs) -> int:
    """Rules in all tables of the bridge."""
    reply = ovs.ofctl("dump-aggregate", _BRIDGE)
    return int(reply.rpartition("flow_count=")[2].split()[0])
