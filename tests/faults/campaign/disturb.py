"""Somebody harms rules of ours on the honest switches, at random moments and in every way; is it mended?"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from types import TracebackType
from urllib.error import HTTPError

from benchmarks.convergence.interference import Interferer, Kind
from op25b_app.openflow.flow_rule import FieldValue, FlowRule, Output, RuleRole
from testing.fake_switch.flow_mod import Command
from testing.openflow_client import OpenFlowClient
from tests.faults.campaign.watch import Deviation, Table
from tests.faults.campaign.world import LINE, UPLINK, Honest, World

CLEARED, OPENED, OPENED_BESIDE = "all rules deleted beside us", "opened by a tool", "opened beside us"
"""What others do that is not about one rule of ours; to open is to put a rule of theirs above all of ours."""
KINDS = (*(kind.value for kind in Kind), CLEARED, OPENED, OPENED_BESIDE)
OPENING = (OPENED, OPENED_BESIDE)
PATIENCE_SECONDS = 15.0
"""What is not mended by then the campaign mends, so that it can go on."""
_PAUSE_SECONDS = (1.0, 5.0)
_OPEN_SECONDS = 3.0
_SEEN_SECONDS = _ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.005
_TOP_PRIORITY = 0xFFFF
_THEIR_COOKIE = 0x7


@dataclass(frozen=True)
class Harm:
    """Something that was done, and the time in which the table was not right for it.

    ``deviation`` is None where nothing was ever seen of it; ``given_up`` tells that the campaign mended it.
    """

    switch: str
    kind: str
    rule: str
    asked: float
    deviation: Deviation | None
    given_up: bool = False

    @property
    def seconds(self) -> float | None:
        """For how long the table was wrong; None where op25b never mended it."""
        if self.deviation is None or self.deviation.end is None or self.given_up:
            return None
        return self.deviation.end - self.deviation.begin

    @property
    def waited(self) -> float:
        """How long the controller waited for a processor meanwhile, in seconds."""
        return 0.0 if self.deviation is None else self.deviation.waited

    @property
    def own_seconds(self) -> float | None:
        """Without what the controller waited for a processor: that is the machine's."""
        return None if self.seconds is None else max(0.0, self.seconds - self.waited)


class Disturber:
    """A context manager: a thread that harms one switch, waits until that is mended, and goes on."""

    def __init__(
        self, world: World, switch: Honest, table: Table, wanted: Sequence[FlowRule], seed: int
    ) -> None:
        self.harms: list[Harm] = []
        self.faults: list[str] = []
        self.unanswered = 0
        """How often the application beside us gave no answer in time, or knew no such switch."""
        self._world, self._switch, self._table = world, switch, table
        self._wanted = sorted(wanted, key=lambda rule: (rule.table, rule.priority, rule.cookie))
        self._chance = Random(f"{seed} {switch.name}")
        self._kinds = [*KINDS]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Disturber:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Begin nothing more."""
        self._ends.set()

    def _run(self) -> None:
        with self._world.ovs.openflow(self._switch.name, self._switch.version) as bridge:
            while not self._ends.wait(self._chance.uniform(*_PAUSE_SECONDS)):
                if not self._table.is_right:
                    continue
                kind = self._next_kind()
                try:
                    self._harm(bridge, kind)
                except (TimeoutError, HTTPError):  # 404: the application has lost the switch
                    self.unanswered += 1
                except (OSError, ValueError) as fault:
                    self.faults.append(f"{self._switch.name}: {kind}: {fault}")

    def _next_kind(self) -> str:
        """Each kind in turn, in an order of its own each time."""
        if not self._kinds:
            self._kinds = [*KINDS]
        return self._kinds.pop(self._chance.randrange(len(self._kinds)))

    def _harm(self, bridge: OpenFlowClient, kind: str) -> None:
        interferer = Interferer(bridge, self._switch.dpid, self._world.controller.web_port, _ANSWER_SECONDS)
        rule, before, asked = self._victim(), len(self._table.deviations), time.monotonic()
        what = "" if kind in (CLEARED, *OPENING) else str(rule)
        if kind == CLEARED:
            interferer.ask_beside("DELETE", f"/stats/flowentry/clear/{self._switch.dpid}")
        elif kind == OPENED:
            interferer.send(_opening_rule(), Command.ADD)
        elif kind == OPENED_BESIDE:
            interferer.ask_beside("POST", "/stats/flowentry/add", _opening_rule_of_rest(self._switch.dpid))
        else:
            interferer.harm(Kind(kind), rule)
        deviation = self._seen(before)
        given_up = deviation is not None and not self._mended(
            deviation, _OPEN_SECONDS if kind in OPENING else PATIENCE_SECONDS
        )
        self.harms.append(Harm(self._switch.name, kind, what, asked, deviation, given_up))
        if given_up:
            self._mend(interferer)

    def _victim(self) -> FlowRule:
        """A rule of ours, every second time one that blocks."""
        drops = [rule for rule in self._wanted if rule.role is RuleRole.BLOCK]
        return self._chance.choice(drops if self._chance.random() < 0.5 else self._wanted)

    def _seen(self, before: int) -> Deviation | None:
        """The deviation that comes of a harm, once it is seen."""
        end = time.monotonic() + _SEEN_SECONDS
        while len(self._table.deviations) == before:
            if time.monotonic() > end:
                return None
            time.sleep(_POLL_SECONDS)
        return self._table.deviations[before]

    def _mended(self, deviation: Deviation, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while deviation.end is None:
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _mend(self, interferer: Interferer) -> None:
        """Put everything right."""
        interferer.send(_opening_rule(), Command.DELETE_STRICT)
        if not self._table.is_right:
            for rule in self._wanted:
                interferer.send(rule, Command.ADD)


def _opening_rule() -> FlowRule:
    """All that comes in at the line goes out at the uplink."""
    return FlowRule(0, _TOP_PRIORITY, (FieldValue("in_port", LINE),), Output(UPLINK), _THEIR_COOKIE)


def _opening_rule_of_rest(dpid: int) -> dict[str, object]:
    """The same for ``ryu.app.ofctl_rest``."""
    actions = [{"type": "OUTPUT", "port": UPLINK}]
    return {
        "dpid": dpid,
        "table_id": 0,
        "priority": _TOP_PRIORITY,
        "cookie": _THEIR_COOKIE,
        "match": {"in_port": LINE},
        "actions": actions,
    }
