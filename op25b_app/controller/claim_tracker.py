"""Track the connections that claim each datapath id, and carry out what the claims decide."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from ryu.lib import hub

from op25b_app.controller.connection import Connection
from op25b_app.openflow.features import Features
from op25b_app.sync.claims import LIFE_SECONDS, ClaimActions, Claims
from op25b_app.sync.message_filter import Stage

LOOK_SECONDS = LIFE_SECONDS / 5
"""Seconds between checks that a contested connection in use gives signs of life."""


log = logging.getLogger("op25b")


class ClaimTracker:
    """The connections that have sent their features, by datapath id.

    ``contest`` is called with a datapath id and the connections that claim it whenever they change: two or
    more, or none once a single connection claims it.
    """

    def __init__(self, contest: Callable[[int, tuple[Connection, ...]], None]) -> None:
        self._contest = contest
        self._claims: dict[int, Claims[Connection]] = {}
        self._dpids: dict[Connection, int] = {}
        self._contested: dict[int, tuple[Connection, ...]] = {}
        """Connections last passed to ``contest``, by datapath id, while the claim is contested."""

    def claim(self, connection: Connection, features: Features) -> bool:
        """Register the claim of a connection; return whether to speak over it now."""
        dpid = features.dpid
        self._dpids[connection] = dpid
        connection.on_end = partial(self._ended, connection)
        claims, host = self._claims.setdefault(dpid, Claims()), connection.address[0]
        if features.auxiliary:
            actions = claims.auxiliary(connection, host, features.auxiliary)
            log.info(
                "auxiliary connection %d of dpid %#x from %s: nothing is read from it",
                features.auxiliary,
                dpid,
                host,
            )
        else:
            actions = claims.claim(connection, host, time.monotonic())
        is_used = actions.use is connection
        connection.finish_handshake(Stage.OPEN if is_used else Stage.STANDBY)
        self._carry_out(dpid, actions._replace(use=None) if is_used else actions)
        return is_used

    def claimed_by(self, connection: Connection) -> int | None:
        """Return the datapath id that a main connection claims, else None."""
        dpid = self._dpids.get(connection)
        claims = None if dpid is None else self._claims.get(dpid)
        return dpid if claims is not None and claims.is_claimed_by(connection) else None

    def note_message(self, connection: Connection) -> None:
        """Note that a connection has sent something."""
        if not self._contested or (dpid := self._dpids.get(connection)) not in self._contested:
            return
        assert dpid is not None
        if self._claims[dpid].note_message(connection, time.monotonic()):
            self._report_rivals(dpid)

    def _ended(self, connection: Connection) -> None:
        dpid = self._dpids.pop(connection)
        if claims := self._claims.get(dpid):
            self._carry_out(dpid, claims.ended(connection, time.monotonic()))

    def _carry_out(self, dpid: int, actions: ClaimActions[Connection]) -> None:
        """Carry out the actions; green threads do what may wait for a switch."""
        for connection, why in actions.close:
            hub.spawn(connection.refuse, why)
        if actions.ask is not None:
            hub.spawn(actions.ask.request_echo)
        if actions.use is not None:
            hub.spawn(actions.use.request_features)
        claims = self._claims[dpid]
        if claims.is_contested and dpid not in self._contested:
            self._contested[dpid] = ()
            hub.spawn(self._watch, dpid)
        self._report_rivals(dpid)
        if not claims:
            del self._claims[dpid]

    def _watch(self, dpid: int) -> None:
        """Apply the clock to the claims while the datapath id is contested."""
        while dpid in self._contested:
            hub.sleep(LOOK_SECONDS)
            if dpid in self._contested:
                claims, now = self._claims[dpid], time.monotonic()
                if claims.in_use is not None and claims.in_use.has_backlog:
                    claims.note_backlog(now)
                self._carry_out(dpid, claims.tick(now))

    def _report_rivals(self, dpid: int) -> None:
        """Pass the rivals to ``contest`` where they have changed."""
        claims = self._claims[dpid]
        if (before := self._contested.get(dpid)) is None:
            return
        self._contested[dpid] = claims.rivals
        if before != claims.rivals:
            self._contest(dpid, claims.rivals)
        if not claims.is_contested:
            del self._contested[dpid]
