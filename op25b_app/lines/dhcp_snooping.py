"""Learn from copies of DHCP and DHCPv6 frames which line has which address (RFC 7513).

The binding anchor is the line that a client's message came from. Only an answer from a trusted or uplink port
binds, and only to the line of the request that it answers. Any other answer binds nothing.

Whatever subscribers can cause is bounded, for each line and for all of them.
"""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from op25b_app.lines.dhcp_message import Association, DhcpMessage, Item, MessageKind, read_dhcp, read_dhcpv6
from op25b_app.lines.line_table import MAX_OF_LINE, Claim
from op25b_app.lines.udp_frame import UdpFrame, read_udp_frame
from op25b_app.net.prefix import Prefix
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Policy, PortRole, SubscriberPort, Switch, Verdict
from op25b_app.policy.packet import read_frame

SOURCE = "DHCP snooping"
"""Name of the source in claims, as in the policy."""
ANSWER_SECONDS = 120.0
"""Seconds that a server has for an answer: MAX_DHCP_RESPONSE_TIME (RFC 7513, 6.1.3)."""
TRANSACTIONS_OF_LINE = 16
"""Maximum number of open transactions of a line; a further one takes the place of its oldest."""
TRANSACTIONS = 1 << 16
"""Maximum number of open transactions; a further one takes the place of the oldest."""
MESSAGES_AT_ONCE, MESSAGES_A_SECOND = 40, 4.0
"""Messages of one line that are read: so many at once, and so many a second."""
MUTE_AT, MUTE_SECONDS = 200, 60.0
"""Messages in one second, beyond those that are read, for which a line is muted, and for how long."""
MAX_HELD = 1 << 18
"""Maximum number of addresses of all lines."""
_COMPACT_AT = 1 << 12

_TO_SERVER, _TO_CLIENT, _BETWEEN_RELAYS = {4: 67, 6: 547}, {4: 68, 6: 546}, (547, 547)


class LeaseOutcome(enum.Enum):
    """Outcome of a message for one address."""

    BEGUN = "begun"
    RENEWED = "renewed"
    ENDED = "ended"
    CONTESTED = "contested"
    """Granted at this line, while another one holds it: the older lease holds until it ends."""


class LeaseChange(NamedTuple):
    """Change of a lease; ``because`` names the message that made it, or says that its time is over."""

    outcome: LeaseOutcome
    claim: Claim
    because: str


class Ignored(enum.Enum):
    """Reason for which a copied frame changed nothing."""

    OTHER = "no message that asks for, gives up or grants an address"
    NOT_OF_A_LINE = "from a port or a VLAN that is no line"
    BLOCKED = "an answer that the policy blocks"
    TOO_MANY = "more messages than a line may send"
    UNKNOWN_TRANSACTION = "an answer to no request that was seen"
    FOREIGN_TRANSACTION = "a request with the transaction of another line"
    TOO_MANY_ADDRESSES = "more addresses than a line may have"


class _Transaction(NamedTuple):
    """An open transaction: the latest request in it, and the line that it came from."""

    line: SubscriberPort
    names: frozenset[bytes]
    mac: int | None
    kind: MessageKind
    items: tuple[Item, ...]
    until: float


class _Lease(NamedTuple):
    """A lease of a client; ``names`` are what it calls itself, none where that is not known.

    ``may_move`` is True where the port of its line is down: then another line may take the lease over.
    """

    claim: Claim
    names: frozenset[bytes]
    may_move: bool = False


class _Allowance:
    """Token bucket of messages of one line."""

    __slots__ = ("_at", "_left", "_since", "ignored")

    def __init__(self, now: float) -> None:
        self._left, self._at = float(MESSAGES_AT_ONCE), now
        self._since, self.ignored = now, 0
        """Messages that were not read since then, for one second."""

    def takes(self, now: float) -> bool:
        """Return whether one more message may be read."""
        passed = max(now - self._at, 0.0)
        self._left = min(MESSAGES_AT_ONCE, self._left + passed * MESSAGES_A_SECOND)
        self._at = now
        if now - self._since >= 1.0:
            self._since, self.ignored = now, 0
        if self._left < 1.0:
            self.ignored += 1
            return False
        self._left -= 1.0
        return True


class DhcpSnooping:
    """Leases of the lines of all switches, by the DHCP messages that were seen.

    Times are in seconds since 1970. ``ignored`` counts the frames that changed nothing, by their reasons.
    """

    def __init__(self) -> None:
        self._open: dict[bytes, _Transaction] = {}
        """Open transactions of all switches, the oldest first."""
        self._of_line: dict[SubscriberPort, dict[bytes, None]] = {}
        self._allowances: dict[SubscriberPort, _Allowance] = {}
        self._held: dict[Prefix, _Lease] = {}
        self._waiting: dict[Prefix, _Lease] = {}
        """Leases that another line holds; one of each prefix."""
        self._held_by: Counter[SubscriberPort] = Counter()
        """Number of leases, held and waiting, by line."""
        self._ends: list[tuple[float, Prefix]] = []
        """Moments at which leases end, or ended before they were renewed."""
        self._muted: dict[SubscriberPort, float] = {}
        """Moments from which lines are heard again."""
        self.ignored: Counter[Ignored] = Counter()

    def muted(self, now: float) -> frozenset[SubscriberPort]:
        """Return the lines of which nothing is to be copied now: they would drown all others."""
        for line in [line for line, until in self._muted.items() if until <= now]:
            del self._muted[line]
        return frozenset(self._muted)

    @property
    def transactions(self) -> int:
        """Number of open transactions."""
        return len(self._open)

    @property
    def leases(self) -> int:
        """Number of leases, held and waiting."""
        return len(self._held) + len(self._waiting)

    def restore(self, claims: Iterable[Claim]) -> None:
        """Take over the claims of this source that were kept on disk; who asked for them is not known."""
        for claim in claims:
            if claim.source == SOURCE and claim.prefix not in self._held:
                self._hold(_Lease(claim, frozenset()))

    def keep_lines(self, policy: Policy) -> None:
        """Forget what is known of lines that a policy does not have.

        A port without a role may be one of which only the name is known yet.
        """
        known = {transaction.line for transaction in self._open.values()} | self._held_by.keys()
        known |= self._allowances.keys() | self._muted.keys()
        lines = {line for line in known if _may_be_line(policy, line)}
        for key, transaction in [*self._open.items()]:
            if transaction.line not in lines:
                self._close(key)
        for leases in (self._held, self._waiting):
            for prefix, lease in [*leases.items()]:
                if lease.claim.line not in lines:
                    self._drop(leases, prefix)
        self._allowances = {line: it for line, it in self._allowances.items() if line in lines}
        self._muted = {line: until for line, until in self._muted.items() if line in lines}

    def observe(
        self, policy: Policy, switch: Switch, in_port: int, frame: bytes, now: float
    ) -> list[LeaseChange]:
        """Return what a frame that came in at a port of a switch changes; it may hold anything."""
        datagram = read_udp_frame(frame)
        if datagram is None:
            return self._ignore(Ignored.OTHER)
        if switch.role_of(in_port) is PortRole.SUBSCRIBER:
            return self._from_client(switch, in_port, datagram, now)
        if switch.role_of(in_port) is PortRole.UPLINK and _is_blocked(policy, switch, in_port, frame, now):
            return self._ignore(Ignored.BLOCKED)
        return self._from_server(switch, datagram, now)

    def link_changed(self, switch: str, port: int, *, is_up: bool) -> None:
        """Let the leases of a port without a link move to another line, if their client asks there."""
        for prefix, lease in self._held.items():
            if lease.claim.line[:2] == (switch, port):
                self._held[prefix] = lease._replace(may_move=not is_up)

    def expire(self, now: float) -> list[LeaseChange]:
        """End the leases whose time is over; where one waits, it begins."""
        changes: list[LeaseChange] = []
        while self._ends and self._ends[0][0] <= now:
            _, prefix = heapq.heappop(self._ends)
            if _is_over(self._waiting.get(prefix), now):
                self._drop(self._waiting, prefix)
            if _is_over(self._held.get(prefix), now):
                changes += self._end(prefix, "its time is over")
        return changes

    def next_end(self) -> float | None:
        """Return when a lease may end next; None where none does."""
        return self._ends[0][0] if self._ends else None

    def _from_client(self, switch: Switch, in_port: int, datagram: UdpFrame, now: float) -> list[LeaseChange]:
        line = _line_of(switch, in_port, datagram.tag)
        if line is None:
            return self._ignore(Ignored.NOT_OF_A_LINE)
        allowance = self._allowances.get(line)
        if allowance is None:
            allowance = self._allowances[line] = _Allowance(now)
        if not allowance.takes(now):
            if allowance.ignored >= MUTE_AT and line not in self._muted:
                self._muted[line] = now + MUTE_SECONDS
                del self._allowances[line]
            return self._ignore(Ignored.TOO_MANY)
        message = _message(datagram, _TO_SERVER[datagram.version])
        if message is None or message.kind.is_of_server:
            return self._ignore(Ignored.OTHER)
        if message.kind.gives_up:
            return [*self._end_all(line, message.items, message.kind.value)]
        return self._begin_transaction(line, datagram, message, now)

    def _begin_transaction(
        self, line: SubscriberPort, datagram: UdpFrame, message: DhcpMessage, now: float
    ) -> list[LeaseChange]:
        self._close_old(now)
        key = message.transaction
        before = self._open.get(key)
        if before is not None and before.line != line:
            # Neighbours, also at other switches, see transactions in broadcasts: who came first keeps it.
            return self._ignore(Ignored.FOREIGN_TRANSACTION)
        self._close(key)
        of_line = self._of_line.setdefault(line, {})
        if len(of_line) >= TRANSACTIONS_OF_LINE:
            self._close(next(iter(of_line)))
        if len(self._open) >= TRANSACTIONS:
            self._close(next(iter(self._open)))
        mac, until = _mac_of(datagram, message), now + ANSWER_SECONDS
        self._open[key] = _Transaction(line, message.names, mac, message.kind, message.items, until)
        self._of_line.setdefault(line, {})[key] = None
        return []

    def _from_server(self, switch: Switch, datagram: UdpFrame, now: float) -> list[LeaseChange]:
        message = _message(datagram, _TO_CLIENT[datagram.version])
        if message is None or not message.kind.is_of_server:
            return self._ignore(Ignored.OTHER)
        self._close_old(now)
        asked = self._open.get(message.transaction)
        if asked is None or asked.line.switch != switch.name:
            return self._ignore(Ignored.UNKNOWN_TRANSACTION)
        if message.kind is MessageKind.NAK:
            # Another server may still grant it: the transaction stays open.
            return [*self._end_all(asked.line, asked.items, message.kind.value)]
        if asked.kind is MessageKind.SOLICIT and not message.rapid_commit:
            return self._ignore(Ignored.OTHER)
        self._close(message.transaction)
        because = message.kind.value
        changes = [*self._end_all(asked.line, _refused(asked.items, message.unbound), because)]
        # A server confirms that addresses fit to the place, not whose they are (RFC 8415, 18.3.3).
        for item in message.items if asked.kind is not MessageKind.CONFIRM else ():
            if item.seconds == 0:
                changes += self._end_all(asked.line, [item], because)
            else:
                changes += self._grant(asked, item, message, now)
        return changes

    def _grant(
        self, asked: _Transaction, item: Item, message: DhcpMessage, now: float
    ) -> Iterator[LeaseChange]:
        """Bind an address to the line that asked for it, unless another line has it."""
        until = None if item.seconds is None else now + item.seconds
        lease = _Lease(Claim(item.prefix, asked.line, asked.mac, now, until, SOURCE), asked.names)
        held, because = self._held.get(item.prefix), message.kind.value
        if held is not None and held.claim.line == asked.line:
            since = held.claim.since if held.claim.mac == asked.mac else now
            renewed = lease._replace(claim=lease.claim._replace(since=since))
            self._held[item.prefix] = renewed
            self._note_end(renewed)
            yield LeaseChange(LeaseOutcome.RENEWED, renewed.claim, because)
            return
        waiting = self._waiting.get(item.prefix)
        is_new = waiting is None or waiting.claim.line != asked.line
        if is_new and (self._held_by[asked.line] >= MAX_OF_LINE or self.leases >= MAX_HELD):
            self.ignored[Ignored.TOO_MANY_ADDRESSES] += 1
            return
        if waiting is not None:
            self._drop(self._waiting, item.prefix)
        if held is None or _may_take_over(held, lease, now):
            if held is not None:
                yield from self._end(item.prefix, because)
            self._hold(lease)
            yield LeaseChange(LeaseOutcome.BEGUN, lease.claim, because)
            return
        self._hold(lease, self._waiting)
        if is_new:
            yield LeaseChange(LeaseOutcome.CONTESTED, lease.claim, because)

    def _hold(self, lease: _Lease, leases: dict[Prefix, _Lease] | None = None) -> None:
        (self._held if leases is None else leases)[lease.claim.prefix] = lease
        self._held_by[lease.claim.line] += 1
        self._note_end(lease)

    def _note_end(self, lease: _Lease) -> None:
        if lease.claim.until is None:
            return
        heapq.heappush(self._ends, (lease.claim.until, lease.claim.prefix))
        if len(self._ends) > 2 * self.leases + _COMPACT_AT:
            ends = {
                (each.claim.until, prefix)
                for leases in (self._held, self._waiting)
                for prefix, each in leases.items()
                if each.claim.until is not None
            }
            self._ends = sorted(ends)

    def _end_all(self, line: SubscriberPort, items: Iterable[Item], because: str) -> Iterator[LeaseChange]:
        """End the leases of a line among some addresses; those of other lines are none of its business."""
        for item in items:
            waiting, held = self._waiting.get(item.prefix), self._held.get(item.prefix)
            if waiting is not None and waiting.claim.line == line:
                self._drop(self._waiting, item.prefix)
            if held is not None and held.claim.line == line:
                yield from self._end(item.prefix, because)

    def _end(self, prefix: Prefix, because: str) -> Iterator[LeaseChange]:
        """End a lease that holds; one that waits for the same address begins."""
        yield LeaseChange(LeaseOutcome.ENDED, self._drop(self._held, prefix).claim, because)
        if prefix in self._waiting:
            following = self._drop(self._waiting, prefix)
            self._hold(following)
            yield LeaseChange(LeaseOutcome.BEGUN, following.claim, "another line no longer holds it")

    def _drop(self, leases: dict[Prefix, _Lease], prefix: Prefix) -> _Lease:
        lease = leases.pop(prefix)
        self._held_by[lease.claim.line] -= 1
        if not self._held_by[lease.claim.line]:
            del self._held_by[lease.claim.line]
        return lease

    def _close(self, key: bytes) -> None:
        transaction = self._open.pop(key, None)
        if transaction is not None:
            of_line = self._of_line[transaction.line]
            del of_line[key]
            if not of_line:
                del self._of_line[transaction.line]

    def _close_old(self, now: float) -> None:
        """Close the transactions whose answer is overdue."""
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if oldest.until > now:
                return
            self._close(key)

    def _ignore(self, reason: Ignored) -> list[LeaseChange]:
        self.ignored[reason] += 1
        return []


def _message(datagram: UdpFrame, port: int) -> DhcpMessage | None:
    """Return the DHCP message of a datagram to this port, or between relay agents of DHCPv6."""
    ports = datagram.source_port, datagram.destination_port
    if datagram.destination_port != port and (datagram.version, ports) != (6, _BETWEEN_RELAYS):
        return None
    return read_dhcp(datagram.payload) if datagram.version == 4 else read_dhcpv6(datagram.payload)


def _line_of(switch: Switch, port: int, tag: int | None) -> SubscriberPort | None:
    """Return the line that a frame came from; None where the policy has no such line."""
    if port not in switch.subscriber_ports:
        return None
    tags = switch.vlans.get(port)
    if tags is None:
        return SubscriberPort(switch.name, port)
    return SubscriberPort(switch.name, port, tag or 0) if tag in tags else None


def _may_be_line(policy: Policy, line: SubscriberPort) -> bool:
    switch = policy.switches.get(line.switch)
    return switch is not None and switch.role_of(line.port) is PortRole.SUBSCRIBER


def _mac_of(datagram: UdpFrame, message: DhcpMessage) -> int | None:
    """Return the MAC address of the client, None where a relay agent or a bridge may stand for it."""
    if message.is_relayed or message.mac not in (None, datagram.eth_source):
        return None
    return datagram.eth_source


def _may_take_over(held: _Lease, lease: _Lease, now: float) -> bool:
    """Return whether a lease may take the place of one that another line holds.

    A server gives an address to another client only when the first no longer has it. The same client at
    another line has moved, or is a neighbour that calls itself so: it must have left its line before.
    """
    is_another = bool(held.names) and held.names.isdisjoint(lease.names)
    return held.may_move or is_another or _is_over(held, now)


def _is_over(lease: _Lease | None, now: float) -> bool:
    return lease is not None and lease.claim.until is not None and lease.claim.until <= now


def _refused(items: Iterable[Item], unbound: frozenset[Association] | None) -> Iterator[Item]:
    """Yield the addresses that a client asked for and that the server does not know as its own."""
    return (item for item in items if unbound is None or item.association in unbound)


def _is_blocked(policy: Policy, switch: Switch, in_port: int, frame: bytes, now: float) -> bool:
    """Return whether a copied frame was blocked: with a forged source, say."""
    return decide(policy, switch, read_frame(in_port, frame), now).verdict is Verdict.BLOCK
