"""Which of several connections is spoken to, however late this side is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ryu.lib import hub

from op25b_app.controller import claim_tracker as module
from op25b_app.controller.claim_tracker import ClaimTracker
from op25b_app.openflow.features import Features
from op25b_app.sync import claims
from op25b_app.sync.message_filter import Stage

LIFE_SECONDS = 0.2
DPID = 0x25


class Connection:
    """One that says nothing more; ``has_backlog`` while something of it waits to be read."""

    def __init__(self) -> None:
        self.address = ("192.0.2.1", 6653)
        self.has_backlog = False
        self.on_end: Callable[[], None] = lambda: None
        self.done: list[str] = []

    def finish_handshake(self, stage: Stage) -> None: ...

    def request_echo(self) -> None:
        self.done.append("asked")

    def request_features(self) -> None:
        self.done.append("used")

    def refuse(self, why: str) -> None:
        self.done.append("refused")
        self.on_end()


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(claims, "LIFE_SECONDS", LIFE_SECONDS)
    monkeypatch.setattr(module, "LOOK_SECONDS", LIFE_SECONDS / 10)
    return ClaimTracker(lambda dpid, rivals: None)


def features(auxiliary: int = 0) -> Features:
    return Features(dpid=DPID, tables=8, auxiliary=auxiliary)


def test_nobody_loses_its_place_while_this_side_is_late(tracker: Any) -> None:
    first, second = Connection(), Connection()
    assert tracker.claim(first, features())
    first.has_backlog = True
    assert not tracker.claim(second, features())
    hub.sleep(4 * LIFE_SECONDS)
    assert (first.done, second.done) == (["asked"], [])
    first.has_backlog = False
    hub.sleep(2 * LIFE_SECONDS)
    assert (first.done, second.done) == (["asked", "refused"], ["used"])
    assert tracker.claimed_by(second) == DPID


def test_an_auxiliary_connection_claims_nothing(tracker: Any) -> None:
    orphan = Connection()
    assert not tracker.claim(orphan, features(auxiliary=1))
    assert tracker.claimed_by(orphan) is None
    hub.sleep(0)
    assert orphan.done == ["refused"]
    assert tracker.claimed_by(orphan) is None
