"""Take the copies of DHCP messages that switches send, and pass on the leases that they tell of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from ryu.lib import hub

from op25b_app.lines.dhcp_snooping import DhcpSnooping, LeaseChange
from op25b_app.lines.line_table import Claim
from op25b_app.openflow.packet_in import decode_packet_in
from op25b_app.policy.model import Policy

EXPIRE_SECONDS = 0.5
"""Seconds between looks at the clock for the ends of leases."""

log = logging.getLogger("op25b")


class DhcpWatcher:
    """Reads each copy at once, so that no line's messages wait behind those of another.

    ``hear`` takes the changes of leases, several at once where they come faster than it returns. ``now``
    returns seconds since 1970.
    """

    def __init__(self, hear: Callable[[Sequence[LeaseChange]], None], now: Callable[[], float]) -> None:
        self._hear = hear
        self._now = now
        self._snooping = DhcpSnooping()
        self._policy: Policy | None = None
        self._without_link: dict[int, frozenset[int]] = {}
        """Ports by datapath id."""
        self._changes: list[LeaseChange] = []
        self._has_changes = hub.Event()

    def start(self) -> None:
        """Begin to pass on changes."""
        hub.spawn(self._pass_on)
        hub.spawn(self._expire)

    def follow(self, policy: Policy, known: Iterable[Claim]) -> None:
        """Learn for the lines of a policy; ``known`` are the leases that hold already."""
        if not policy.snoops_dhcp:
            self._snooping, self._policy = DhcpSnooping(), None
            return
        self._policy = policy
        self._snooping.keep_lines(policy)
        self._snooping.restore(known)

    def take(self, dpid: int, message: bytes) -> None:
        """Read a packet-in of a switch."""
        policy, copy = self._policy, decode_packet_in(message)
        switch = policy.switch_of_dpid(dpid) if policy is not None else None
        if policy is None or switch is None or copy is None:
            return
        self._note(self._snooping.observe(policy, switch, copy.in_port, copy.frame, self._now()))

    def links_changed(self, dpid: int, without_link: frozenset[int]) -> None:
        """Note which ports of a switch have no link now."""
        switch = self._policy.switch_of_dpid(dpid) if self._policy is not None else None
        if switch is not None:
            before = self._without_link.get(dpid, frozenset())
            self._without_link[dpid] = without_link
            for port in before ^ without_link:
                self._snooping.link_changed(switch.name, port, is_up=port not in without_link)

    def _note(self, changes: Sequence[LeaseChange]) -> None:
        if changes:
            self._changes += changes
            self._has_changes.set()

    def _expire(self) -> None:
        while True:
            hub.sleep(EXPIRE_SECONDS)
            self._note(self._snooping.expire(self._now()))

    def _pass_on(self) -> None:
        """Pass changes on in their order; what comes meanwhile is passed on together."""
        while True:
            self._has_changes.wait()
            self._has_changes.clear()
            changes, self._changes = self._changes, []
            try:
                self._hear(changes)
            except Exception:
                log.exception("internal error")
