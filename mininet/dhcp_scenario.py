"""The scenario ``dhcp``: a line uses the address that a DHCP server has given it, and nobody else can."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import attempts
from errors import LabError
from rich import box
from rich.console import Console
from rich.table import Table
from running_lab import DIRECTORY, RunningLab
from scenarios import DHCP, DHCP_WHY, SMTP, SUBMISSION, SUBMISSIONS, Attempt

from testing.dhcp_programs import Dhclient, Program, dnsmasq

_SWITCH, _POOL, _GATEWAY, _LENGTH = "access-1", "100.64.0.50,100.64.0.99,255.255.252.0,10m", "100.64.0.1", 22
_BOUND_MILLISECONDS = 200
_SECONDS = 60.0
"""In which a client has its address, and what is released is forgotten, on a loaded machine."""
_NO_CONNECTION = "no connection"


class Step(NamedTuple):
    """One step: what is done, what has to come of it, and what did."""

    what: str
    expected: str
    happened: str
    as_expected: bool


class DhcpScenario:
    """The steps, one after the other, in a lab of the topology ``dhcp``."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab = lab
        self._subscriber, self._neighbour = (lab.network.node(name) for name in ("subscriber", "neighbour"))

    def steps(self) -> Iterator[Step]:
        """Yield each step after it was taken. LabError says what does not work at all."""
        edge = self._lab.network.node("edge")
        client = Dhclient(self._subscriber, DIRECTORY / "client", self._subscriber.intfs[0].name)
        with dnsmasq(edge, DIRECTORY / "dnsmasq", edge.intfs[0].name, _POOL) as server:
            with client.start() as asking:
                address, milliseconds = self._await_binding(asking, server)
                yield Step("subscriber asks a DHCP server", "an address", address, True)
                yield Step(
                    "the switch binds the address to the line",
                    f"within {_BOUND_MILLISECONDS} ms",
                    f"after {milliseconds} ms",
                    milliseconds <= _BOUND_MILLISECONDS,
                )
                yield self._mail("subscriber", "ispmail", SUBMISSION)
                yield self._mail("subscriber", "extmail", SMTP, blocked=True)
                _use(self._neighbour, address)
                yield from self._neighbours_mail(f"neighbour takes {address} by hand")
                before = self._lab.controller.lines()
                self._lab.controller.kill()
                self._lab.controller.start()
                self._lab.controller.wait_until_protected([_SWITCH])
                known = self._lab.controller.lines() == before
                yield Step("the controller is killed and started", "same lines", _same(known), known)
                yield self._mail("subscriber", "ispmail", SUBMISSION, before="subscriber, after that;")
                yield from self._neighbours_mail("neighbour, after that")
            client.release()
            forgotten = _within(_SECONDS, lambda: not self._lab.controller.lines())
            yield Step("subscriber releases the address", "not bound", _bound(not forgotten), forgotten)
            _use(self._subscriber, address)
            goes_on = "subscriber goes on with it;"
            yield self._mail("subscriber", "ispmail", SUBMISSION, blocked=True, before=goes_on)
            yield from self._neighbour_asks()

    def _neighbour_asks(self) -> Iterator[Step]:
        """Yield the steps that show that the neighbour lacked nothing but a lease."""
        device = self._neighbour.intfs[0].name
        self._neighbour.cmd(f"ip address flush dev {device}")
        with Dhclient(self._neighbour, DIRECTORY / "neighbour", device).start() as asking:
            bound = _within(
                _SECONDS, lambda: bool(self._lab.controller.lines()) and "bound to" in asking.said
            )
            yield Step("neighbour asks, too", "bound", "bound" if bound else "not bound", bound)
            yield self._mail("neighbour", "ispmail", SUBMISSION)

    def _await_binding(self, asking: Program, server: Program) -> tuple[str, int]:
        """Return the address that the client gets, and the milliseconds from its answer to its rules."""
        if not _within(_SECONDS, lambda: "DHCPACK of " in asking.said, every=0.002):
            raise LabError(f"the subscriber got no address:\n{asking.said}\n{server.said}")
        answered_at = time.monotonic()
        address = asking.said.partition("DHCPACK of ")[2].split()[0]
        match = f"table=6,ip,nw_src={address}"
        command = ["ovs-ofctl", "-O", "OpenFlow13", "dump-flows", _SWITCH, match]

        def is_bound() -> bool:
            return address in subprocess.run(command, check=True, capture_output=True, text=True).stdout

        if not _within(_SECONDS, is_bound, every=0.002):
            raise LabError(f"{address} is not bound: {self._lab.controller.lines()}")
        milliseconds = round((time.monotonic() - answered_at) * 1000)
        _within(_SECONDS, lambda: "bound to" in asking.said)
        return address, milliseconds

    def _neighbours_mail(self, before: str) -> Iterator[Step]:
        for port in (SMTP, SUBMISSIONS, SUBMISSION):
            yield self._mail("neighbour", "ispmail", port, blocked=True, before=f"{before};")

    def _mail(self, who: str, to: str, port: int, *, blocked: bool = False, before: str = "") -> Step:
        expected = "blocked" if blocked else "delivered"
        tried = attempts.Try(DHCP, DHCP_WHY, Attempt(who, to, port, blocked), 4, expected)
        happened = attempts.carry_out_one(self._lab, tried).happened
        good = (happened == "delivered") is not blocked
        return Step(
            f"{before or who} mails {to}, port {port}",
            _NO_CONNECTION if blocked else expected,
            _NO_CONNECTION if blocked and good else happened,
            good,
        )


def show(console: Console, steps: list[Step]) -> None:
    """Print the steps as a table, and a sentence below it."""
    table = Table("Step", "Expected", "What happened", "", box=box.SIMPLE_HEAD, pad_edge=False)
    for step in steps:
        table.add_row(*step[:3], "[green]✔[/]" if step.as_expected else "[bold red]✘[/]")
    console.print(table)
    wrong = sum(not step.as_expected for step in steps)
    text = (
        f"All {len(steps)} steps as expected."
        if not wrong
        else f"{wrong} of {len(steps)} steps are NOT as expected."
    )
    console.print(text, style="bold", highlight=False)


def as_json(steps: list[Step]) -> dict[str, Any]:
    """Everything, as values that JSON knows."""
    return {
        "topology": DHCP,
        "as_expected": all(step.as_expected for step in steps),
        "steps": [step._asdict() for step in steps],
    }


def _use(host: Any, address: str) -> None:
    """Give a host an address without asking anybody."""
    said = host.cmd(
        f"ip address replace {address}/{_LENGTH} dev {host.intfs[0].name} && "
        f"ip route replace default via {_GATEWAY}"
    ).strip()
    if said:
        raise LabError(f"{host.name} cannot use {address}: {said}")


def _within(seconds: float, condition: Callable[[], bool], every: float = 0.1) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def _same(known: bool) -> str:
    return "same lines" if known else "other lines"


def _bound(bound: bool) -> str:
    return "still bound" if bound else "not bound"
