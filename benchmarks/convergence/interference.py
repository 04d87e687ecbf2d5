"""What others do to rules of ours: with a tool, from another controller, or from an application beside us."""

from __future__ import annotations

import enum
import json
import urllib.request
from typing import Any

from op25b_app.openflow.flow_rule import NORMAL, FlowRule
from testing.fake_switch.flow_mod import Command, write_flow_mod
from testing.fake_switch.rules import flow_of
from testing.openflow_client import OpenFlowClient

THEIR_COOKIE = 0
_WHOLE_COOKIE = (1 << 64) - 1
_SECONDS = 60.0


class Kind(enum.Enum):
    """How a rule of ours is harmed."""

    DELETED = "deleted"
    CHANGED = "its action changed"
    OVERWRITTEN = "overwritten by an equal match, cookie 0"
    DELETED_BESIDE = "deleted by an application beside us"
    """By ``ryu.app.ofctl_rest`` in the controller's own process, over the controller's own connection."""


def with_another_action(rule: FlowRule) -> FlowRule:
    """Return a rule of the same match that permits what ``rule`` blocks, or blocks what it lets go on."""
    return rule._replace(action=NORMAL if rule.action is None else None)


class Interferer:
    """Harms rules of one switch: over a connection of its own to the bridge, and over a REST interface.

    ``web_port`` is that of ``ryu.app.ofctl_rest`` on this host, which has so many ``seconds`` to answer.
    """

    def __init__(self, bridge: OpenFlowClient, dpid: int, web_port: int, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._bridge = bridge
        self._dpid = dpid
        self._web_port = web_port

    def harm(self, kind: Kind, rule: FlowRule) -> None:
        """Do it; return when the switch has done it, or the application beside us has sent it.

        Raises OSError where that application does not answer.
        """
        if kind is Kind.DELETED_BESIDE:
            body = {"dpid": self._dpid, "table_id": rule.table, "match": {}}
            cookie = {"cookie": rule.cookie, "cookie_mask": _WHOLE_COOKIE}
            self.ask_beside("POST", "/stats/flowentry/delete", {**body, **cookie})
            return
        changed = with_another_action(rule)
        command, theirs = {
            Kind.DELETED: (Command.DELETE_STRICT, rule),
            Kind.CHANGED: (Command.MODIFY_STRICT, changed),
            Kind.OVERWRITTEN: (Command.ADD, changed._replace(cookie=THEIR_COOKIE, hard_timeout=0)),
        }[kind]
        self.send(theirs, command)

    def send(self, rule: FlowRule, command: Command) -> None:
        """Send the bridge one flow-mod; return when it is done. Raises ValueError where it is refused."""
        version = self._bridge.version
        flow = flow_of(rule, command)
        self._bridge.send(write_flow_mod(flow, version=version, xid=1))
        if refusals := [message for message in self._bridge.received() if message[1] == 1]:
            raise ValueError(f"refused: {refusals[0].hex()}")

    def ask_beside(self, method: str, path: str, body: Any = None) -> None:
        """Have the application beside us do something. Raises OSError where it does not answer."""
        content = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._web_port}{path}"
        request = urllib.request.Request(url, content, method=method)
        with urllib.request.urlopen(request, timeout=self._seconds) as response:
            response.read()
