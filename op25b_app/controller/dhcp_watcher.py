"""Take the copies of DHCP messages that switches send, and pass on the leases that they tell of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ryu.lib import hub

from op25b_app.controller.green_threads import repeat
from op25b_app.lines.dhcp_snooping import MUTE_SECONDS, DhcpSnooping, LeaseChange
from op25b_app.lines.line_table import Claim
from op25b_app.openflow.packet_in import decode_packet_in
from op25b_app.policy.model import Policy, SubscriberPort

MUTE_LOOK_SECONDS = 0.1
"""Seconds between looks for lines that send too much."""
EXPIRE_SECONDS = 0.5
"""Seconds between looks at the clock for the ends of leases."""


class DhcpWatcher:
    """Reads each copy at once, so that no line's messages wait behind those of another.

    ``hear`` takes the changes of leases, several at once where they come faster than it returns. ``mute``
    takes the names of switches whose muted lines have changed. ``now`` returns seconds since 1970.
    """

    def __init__(
        self,
        hear: Callable[[Sequence[LeaseChange]], None],
        mute: Callable[[Collection[str]], None],
        report_event: Callable[[int, str, str], None],
        policy_in_effect: Callable[[], Policy],
        now: Callable[[], float],
    ) -> None:
        self._hear = hear
        self._mute = mute
        self._report_event = report_event
        self._policy_in_effect = policy_in_effect
        self._now = now
        self._muted: frozenset[SubscriberPort] = frozenset()
        self._snooping = DhcpSnooping()
        self._without_link: dict[int, frozenset[int]] = {}
        """Ports by datapath id."""
        self._changes: list[LeaseChange] = []
        self._has_changes = hub.Event()

    def start(self) -> None:
        """Begin to pass on changes."""
        for work in (self._pass_on, self._expire, self._pass_on_muted):
            repeat(work)

    def follow(self, known: Iterable[Claim]) -> None:
        """Learn for the lines of another policy; ``known`` are the leases that hold already."""
        policy = self._policy_in_effect()
        if not policy.snoops_dhcp:
            self._snooping = DhcpSnooping()
            return
        self._snooping.keep_lines(policy)
        self._snooping.restore(known)

    def take(self, dpid: int, message: bytes) -> None:
        """Read a packet-in of a switch."""
        policy, copy = self._policy_in_effect(), decode_packet_in(message)
        switch = policy.switch_of_dpid(dpid) if policy.snoops_dhcp else None
        if switch is None or copy is None:
            return
        self._note(self._snooping.observe(policy, switch, copy.in_port, copy.frame, self._now()))

    def links_changed(self, dpid: int, without_link: frozenset[int]) -> None:
        """Note which ports of a switch have no link now."""
        policy = self._policy_in_effect()
        switch = policy.switch_of_dpid(dpid) if policy.snoops_dhcp else None
        if switch is not None:
            before = self._without_link.get(dpid, frozenset())
            self._without_link[dpid] = without_link
            for port in before ^ without_link:
                self._snooping.link_changed(switch.name, port, is_up=port not in without_link)

    @property
    def muted(self) -> Mapping[str, frozenset[tuple[int, int | None]]]:
        """Ports and VLANs of lines of which nothing is to be copied now, by the name of the switch."""
        names = {line.switch for line in self._muted}
        return {name: frozenset(line[1:] for line in self._muted if line.switch == name) for name in names}

    def _pass_on_muted(self) -> None:
        hub.sleep(MUTE_LOOK_SECONDS)
        before, self._muted = self._muted, self._snooping.muted(self._now())
        for line in self._muted - before:
            text = f"{line} sends too many DHCP messages: they are not copied for {MUTE_SECONDS:.0f} s"
            self._report_event(logging.WARNING, "lines", text)
        if changed := self._muted ^ before:
            self._mute({line.switch for line in changed})

    def _note(self, changes: Sequence[LeaseChange]) -> None:
        if changes:
            self._changes += changes
            self._has_changes.set()

    def _expire(self) -> None:
        hub.sleep(EXPIRE_SECONDS)
        self._note(self._snooping.expire(self._now()))

    def _pass_on(self) -> None:
        """Pass changes on in their order; what comes meanwhile is passed on together."""
        self._has_changes.wait()
        self._has_changes.clear()
        changes, self._changes = self._changes, []
        self._hear(changes)
