"""Exchange messages with one switch: ask for capabilities, read the table, send changes, await confirmation.

It knows neither policies nor the time: the caller says what to send and how long to wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from op25b_app.net.port_number import PortNumbers
from op25b_app.openflow import bundle, codec, flow_monitor, wire
from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.errors import ABOUT_RULES, BAD_FLAGS, INEXPRESSIBLE, TABLE_FULL, explain
from op25b_app.openflow.flow_mods import (
    FIRST_XID,
    Batch,
    Change,
    FlowModFormat,
    SwitchError,
    UpdateStep,
    encode_change,
    flags_of,
    joined,
    read_error,
)
from op25b_app.openflow.table_features import (
    decode_table_features,
    encode_table_features_request,
    is_table_features_reply,
)
from op25b_app.sync.capabilities import Capabilities, KnownCapabilities
from op25b_app.sync.phases import Phase
from op25b_app.sync.ruleset import Key
from op25b_app.sync.update_orders import DROP_ALL, needs_tags
from op25b_app.sync.update_plan import UpdatePlan

MAX_REPORTED_CHANGES = 100
"""Most changes of a batch that the flow monitor reports; for more it is cancelled meanwhile."""
MAX_UNASKED = 20_000
"""Most rules beyond those on the switch that are sent without asking for its capacity."""
MAX_OF_OTHERS = 100_000
"""Unmanaged rules, in all tables, that a complete read allows for."""
BYTES_PER_RULE = 256
"""Bytes that a read allows for each rule: twice the average of a managed rule."""

_REQUEST_XID = 0x25B0_2500
_REQUESTS = 0x100
_INTERJECTED_XID = 0x25B0_2600
"""Xid of changes outside any plan."""


class SwitchFeatures(NamedTuple):
    """A connected switch: OpenFlow version on the wire, number of tables, ports.

    ``ports`` are all its port numbers, and ``names`` the names and numbers of its ports; None until it has
    described them.
    """

    version: int
    tables: int
    ports: frozenset[int] | None = None
    names: PortNumbers | None = None


class MessageResult(NamedTuple):
    """Result of a message of the switch.

    ``chunks`` are to be sent. ``table`` is the whole table once it is complete, as the messages it came in.
    ``awaited`` is true where the switch goes on with its answer.
    """

    chunks: tuple[bytes, ...] = ()
    table: list[bytes] | None = None
    awaited: bool = False


NOTHING = MessageResult()


class RefusedChange(NamedTuple):
    """A change that a switch did not make, with the type and code of its error."""

    change: Change
    why: tuple[int, int]


class ReadLimit(NamedTuple):
    """Most rules and bytes of a table that are read."""

    rules: int
    bytes: int


def read_limit_for(wanted: int) -> ReadLimit:
    """Return how much to read of a table that shall hold ``wanted`` rules.

    It allows for as many again, of another policy or during a change, and for unmanaged rules.
    """
    rules = 2 * wanted + MAX_OF_OTHERS
    return ReadLimit(rules, rules * BYTES_PER_RULE)


class SwitchLimits(NamedTuple):
    """Capabilities and refusals of a switch, as values.

    ``full`` are tables that had no room for a rule, with the number of rules that may be gone since.
    """

    known: KnownCapabilities = KnownCapabilities()
    refused: Mapping[Key, RefusedChange] = {}
    full: Mapping[int, int] = {}
    all_taken: bool = True

    def needs_capacity(self, more: int) -> bool:
        """Return whether to ask for the capacity of the tables before ``more`` rules are added."""
        return not self.known.capacity_asked and (self.known.was_full or more > MAX_UNASKED)

    def capacity_seen(self, found: Iterable[FlowStats]) -> Mapping[int, int]:
        """Return the capacity by table, in rules: as reported, or as seen when the table was full."""
        if not self.full:
            return self.known.usable.capacity
        held = Counter(each.rule.table for each in found)
        return {
            **self.known.usable.capacity,
            **{table: held[table] + gone for table, gone in self.full.items()},
        }

    def has_refused(self, change: Change) -> bool:
        """Return whether the switch has refused to make this change."""
        refused = self.refused.get(change.rule.key)
        return refused is not None and refused.change.command is change.command


def is_request_xid(xid: int) -> bool:
    """Return whether an xid is one of this module's requests."""
    return _REQUEST_XID <= xid < _REQUEST_XID + _REQUESTS


def is_reply(message: bytes) -> bool:
    """Return whether a message has the xid of a session's request."""
    return is_request_xid(int.from_bytes(message[4:8], "big"))


def is_report(message: bytes) -> bool:
    """Return whether a message is an error or reports a rule change."""
    return message[1] in (wire.ERROR, wire.FLOW_REMOVED) or flow_monitor.is_flow_update(message)


class SwitchProtocol:
    """Dialogue over one connection.

    ``refused`` has, by the rule's key, the changes that the switch did not make since :meth:`renew`.
    """

    def __init__(self, features: SwitchFeatures) -> None:
        self.features = features
        self.version = features.version
        self.phase = Phase.IDLE
        self.known = KnownCapabilities()
        self._watching = False
        self.refused: dict[Key, RefusedChange] = {}
        self._full: dict[int, int] = {}
        """Tables that had no room for a rule, with the number of rules that may be gone since."""
        self.pending = self._most_sent = 0
        """Number of unconfirmed changes, and the most changes sent together."""
        self.all_taken = True
        """True where the switch has refused nothing of the last changes."""
        self._probe = self._barrier_before = -1
        self._requests = 0
        self._request_xid = _REQUEST_XID
        self._parts: list[bytes] = []
        self._rules = self._counted = self._bytes = 0
        self.bound = read_limit_for(0)
        """Most rules and bytes of the table that are read."""
        self.only_managed = False
        """True where only managed rules are read, since the whole table is too large."""
        self._batch: Batch | None = None
        self._to_come: list[UpdateStep] = []
        self._failed = False

    @property
    def will_read(self) -> bool:
        """True where the table will be read, whatever happens to it meanwhile."""
        return self.phase in (Phase.BUNDLING, Phase.CONFIRMING)

    @property
    def limits(self) -> SwitchLimits:
        """Capabilities and refusals of the switch so far."""
        return SwitchLimits(self.known, {**self.refused}, {**self._full}, self.all_taken)

    def note_capacity(self, capacity: Mapping[int, int]) -> None:
        """Use these capacities by table, from :meth:`SwitchLimits.capacity_seen`."""
        if self._full:
            self.known = self.known._replace(seen_capacity={**self.known.seen_capacity, **capacity})
            self._full.clear()

    def delete_any_cookie(self, any_cookie: bool) -> None:
        """Delete rules whatever their cookies are, or only with the cookies that were sent."""
        self.known = self.known._replace(any_cookie=any_cookie)

    def forget_capacity(self, *, reported: bool) -> None:
        """Forget the capacities seen, and that the table was too large to be read as a whole.

        Where ``reported``, forget the capacities that the switch has reported as well, and ask again once
        they matter: an operator may have changed them.
        """
        self.known = self.known.without_capacity(reported=reported)
        self.only_managed = False

    def renew(self) -> None:
        """Forget the refusals of the last cycle."""
        self.refused, self._full, self.known = {}, {}, self.known.renewed()

    def begin(self) -> bytes:
        """Return a request for the table behind a barrier; on a new connection ask for capabilities first."""
        self.renew()
        return self._read_after(b"" if self.known.reported else self._questions())

    def ask_capacity(self) -> bytes:
        """Ask for the capacity of the tables, and read them again. Open vSwitch's answer has 1.2 MB."""
        self.known = self.known._replace(capacity_asked=True)
        return self._read_after(encode_table_features_request(version=self.version, xid=self._next_xid()))

    def rest(self) -> None:
        """Drop the work under way."""
        self.phase, self._batch, self._failed = Phase.IDLE, None, False
        self._to_come, self._parts = [], []
        self._rules = self._counted = self._bytes = 0

    def leave(self) -> tuple[bytes, ...]:
        """Drop the work under way, and return messages that remove the gate."""
        self.rest()
        opened = UpdateStep([Change(FlowModCommand.DELETE_STRICT, DROP_ALL, DROP_ALL)])
        return Batch(opened, (), self._form).encoded().chunks

    def give_up(self) -> None:
        """Drop the work under way; after a bundle without an answer, send no other on this connection."""
        if self._batch is not None and self._batch.bundle is not None:
            self.known = self.known.with_report(bundles=False)
        self.rest()

    def read(self) -> bytes:
        """Return a request for the table, behind one for a flow monitor where that is to be started."""
        self.rest()
        self.phase = Phase.READING
        watch = b""
        if self.known.usable.monitor and not self._watching:
            watch = flow_monitor.encode_monitor_request(version=self.version, xid=self._next_xid())
            self._watching = True
        return watch + codec.encode_flow_stats_request(
            version=self.version, xid=self._next_xid(), only_managed=self.only_managed
        )

    def carry_out(self, plan: UpdatePlan) -> tuple[bytes, ...]:
        """Return the first step to send; the rest follow as the switch confirms, then its table is read."""
        self._to_come, self.all_taken = [*plan.steps] or [UpdateStep()], True
        return self._send_next(plan.first, bundled=plan.bundled)

    def has_sent(self, xid: int) -> bool:
        """Return whether a change with this xid is one of this dialogue, not of another application."""
        return xid == _INTERJECTED_XID or FIRST_XID <= xid < FIRST_XID + self._most_sent

    def interject(self, change: Change) -> bytes:
        """Return one change to send at once; the next read of the table shows its effect.

        Raises ValueError for a rule that OpenFlow cannot express.
        """
        return encode_change(change, _INTERJECTED_XID, self._form)

    def receive(self, message: bytes) -> MessageResult:
        """Take a message of the switch.

        Raises ValueError, in words, for a message that breaks the format, for too many managed rules, and
        for an error in the place of the table.
        """
        xid = int.from_bytes(message[4:8], "big")
        if message[0] != self.version:
            return NOTHING
        if message[1] == wire.ERROR:
            return self._error(read_error(message))
        if flow_monitor.is_flow_update(message):
            return self._monitor_reply(xid)
        if reply := bundle.decode_control_reply(message):
            return self._bundle_reply(reply)
        if is_table_features_reply(message):
            return self._table_features(message, xid)
        if message[1] == wire.BARRIER_REPLY:
            return self._barrier(xid)
        if not codec.is_flow_stats_reply(message):
            return NOTHING
        if xid != self._request_xid:
            # The rest of a table that is too large, before the switch comes to the smaller request.
            return MessageResult(
                awaited=self.only_managed and self.phase is Phase.READING and is_request_xid(xid)
            )
        return self._flow_stats(message)

    def _read_after(self, questions: bytes) -> bytes:
        self._barrier_before = self._next_xid()
        barrier = codec.encode_barrier_request(version=self.version, xid=self._barrier_before)
        return questions + barrier + self.read()

    def _questions(self) -> bytes:
        """Ask for the optional capabilities: the flow monitor, from now on, and bundles."""
        version, self._probe = self.version, self._next_xid()
        self.known, self._watching = self.known._replace(reported=Capabilities()), True
        return b"".join(
            (
                flow_monitor.encode_monitor_request(version=version, xid=self._next_xid()),
                bundle.encode_open(version=version, bundle=self._probe, xid=self._probe),
                bundle.encode_discard(version=version, bundle=self._probe, xid=self._next_xid()),
            )
        )

    def _monitor_reply(self, xid: int) -> MessageResult:
        is_own = is_request_xid(xid)
        if is_own:
            self.known = self.known.with_report(monitor=True)
        return MessageResult(awaited=is_own and self.phase is Phase.READING)

    def _table_features(self, message: bytes, xid: int) -> MessageResult:
        if is_request_xid(xid) and self.known.reported:
            features = decode_table_features(message)
            capacity = {each.table: each.max_entries for each in features if each.max_entries}
            self.known = self.known.with_report(capacity=capacity)
        return MessageResult(awaited=self.phase is Phase.READING)

    def _flow_stats(self, message: bytes) -> MessageResult:
        if self.phase is not Phase.READING:
            return NOTHING
        self._bytes += len(message)
        self._parts.append(message)
        if self._bytes > self.bound.bytes or self._has_too_many_rules:
            return self._read_less()
        if codec.has_more(message):
            return MessageResult(awaited=len(message) > wire.MULTIPART_HEADER_SIZE)
        parts, self._parts, self.pending = self._parts, [], 0
        self.phase = Phase.REVIEWING
        return MessageResult(table=parts)

    @property
    def _has_too_many_rules(self) -> bool:
        """True where the parts read so far hold more rules than the bound; counted where they could."""
        if self._bytes <= self.bound.rules * codec.SMALLEST_RULE:
            return False
        self._rules += sum(map(codec.count_rules, self._parts[self._counted :]))
        self._counted = len(self._parts)
        return self._rules > self.bound.rules

    def _read_less(self) -> MessageResult:
        """Read only the managed rules of a table that is too large.

        Raises ValueError where even these are too many.
        """
        if self.only_managed:
            raise ValueError(f"{self.too_large}, under cookies of op25b alone: nothing is read or sent")
        self.only_managed = True
        return MessageResult((self.read(),), awaited=True)

    @property
    def too_large(self) -> str:
        """Words that say how the table is too large; empty where it is read as a whole."""
        if not self.only_managed:
            return ""
        rules, size = self.bound
        return f"its table has more than {rules:,} rules or {size >> 20} MB, and the rest is not read"

    def _send_next(self, first: tuple[Change, ...] = (), *, bundled: bool = False) -> tuple[bytes, ...]:
        """Send the next step behind ``first``, in a bundle or with a barrier behind it."""
        step, number = self._to_come.pop(0), self._next_xid() if bundled else None
        batch = self._batch = Batch(step, first, self._form, number)
        self.pending += len(batch)
        self._most_sent = max(self._most_sent, len(batch))
        chunks, not_encodable = batch.encoded()
        for change in not_encodable:
            self._refuse(batch, change, INEXPRESSIBLE)
        if number is None:
            self.phase = Phase.CONFIRMING
            unwatched = self._stop_watching() if len(batch) > MAX_REPORTED_CHANGES else b""
            barrier = codec.encode_barrier_request(version=self.version, xid=self._next_xid())
            return tuple(joined((unwatched, *chunks, barrier)))
        self.phase = Phase.BUNDLING
        begin = bundle.encode_open(version=self.version, bundle=number, xid=number)
        end = bundle.encode_close(version=self.version, bundle=number, xid=self._next_xid())
        return tuple(joined((begin, *chunks, end)))

    @property
    def _form(self) -> FlowModFormat:
        """Format of changes; removed rules are reported where no flow monitor reports every change."""
        flags = 0 if self.known.usable.monitor else codec.SEND_FLOW_REMOVED
        return FlowModFormat(self.version, flags, self.known.any_cookie, self.known.takes_resets)

    def _stop_watching(self) -> bytes:
        watching, self._watching = self._watching and self.known.usable.monitor, False
        if not watching:
            return b""
        return flow_monitor.encode_monitor_cancel(version=self.version, xid=self._next_xid())

    def _bundle_reply(self, reply: bundle.BundleControlReply) -> MessageResult:
        if reply.bundle == self._probe and self.known.reported:
            if reply.kind is bundle.BundleControlType.OPENED:
                self.known = self.known.with_report(bundles=True)
            return MessageResult(awaited=self.phase is Phase.READING)
        if self._batch is None or reply.bundle != self._batch.bundle:
            given_up = reply.kind is bundle.BundleControlType.CLOSED and is_request_xid(reply.bundle)
            return MessageResult((self._discard(reply.bundle),)) if given_up else NOTHING
        if reply.xid != self._request_xid:
            return NOTHING
        if self.phase is Phase.BUNDLING and reply.kind is bundle.BundleControlType.CLOSED:
            return MessageResult((self._end_bundle(reply.bundle),), awaited=True)
        return self._go_on() if self.phase is Phase.CONFIRMING else NOTHING

    def _end_bundle(self, number: int) -> bytes:
        """Commit a bundle, or discard it if the switch refused a part of it."""
        self.phase = Phase.CONFIRMING
        end = bundle.encode_discard if self._failed else bundle.encode_commit
        return end(version=self.version, bundle=number, xid=self._next_xid())

    def _discard(self, number: int) -> bytes:
        return bundle.encode_discard(version=self.version, bundle=number, xid=number)

    def _barrier(self, xid: int) -> MessageResult:
        """Take a barrier reply: what was sent is handled. Only the table shows whether it was accepted."""
        if xid == self._barrier_before:
            self._probe = self._barrier_before = -1
            return MessageResult(awaited=self.phase is Phase.READING)
        if xid != self._request_xid:
            return NOTHING
        return self._go_on() if self.phase is Phase.CONFIRMING else NOTHING

    def _go_on(self) -> MessageResult:
        """Send the next step, or read the table: at the end, and after a refusal."""
        self.pending = 0
        chunks = self._send_next() if self._to_come and not self._failed else (self.read(),)
        return MessageResult(chunks, awaited=True)

    def _error(self, error: SwitchError) -> MessageResult:
        """Take an error, perhaps one for another application."""
        if self.phase is Phase.READING and error.xid == self._request_xid:
            raise ValueError(f"refused while {self.phase.value}: {explain(error.type, error.code)}")
        if self._batch is None:
            return NOTHING
        if change := self._batch.refused(error):
            self._refuse(self._batch, change, (error.type, error.code))
        elif self._batch.bundle is not None and error.xid in (self._batch.bundle, self._request_xid):
            return self._bundle_failed(error, self._batch.bundle)
        return NOTHING

    def _refuse(self, batch: Batch, change: Change, why: tuple[int, int]) -> None:
        """Note a refused change; the switch may take it without a bundle or without tags."""
        self._failed, self.all_taken = True, False
        if why == TABLE_FULL and not self.known.capacity_asked:
            self.known = self.known._replace(was_full=True)
        elif why == BAD_FLAGS and self.known.takes_resets and flags_of(change):
            self.known = self.known._replace(takes_resets=False)
        elif batch.bundle is not None and (why == TABLE_FULL or why[0] not in ABOUT_RULES):
            self.known = self.known._replace(bundles_failed=True)
        elif why == TABLE_FULL:
            self._full.setdefault(change.rule.table, batch.deletions(change.rule.table))
        elif needs_tags(change.rule):
            self.known = self.known._replace(tags_failed=True)
        else:
            self.refused[change.rule.key] = RefusedChange(change, why)

    def _bundle_failed(self, error: SwitchError, number: int) -> MessageResult:
        """Note a bundle that was not applied. Where no rule is to blame, the switch does not take bundles."""
        self.all_taken = False
        if not self._failed:
            self.known = self.known._replace(bundles_failed=True)
        if error.xid != self._request_xid:
            return NOTHING
        discard = self._discard(number) if self.phase is Phase.BUNDLING else b""
        return MessageResult((discard + self.read(),), awaited=True)

    def _next_xid(self) -> int:
        self._requests = (self._requests + 1) % _REQUESTS
        self._request_xid = _REQUEST_XID + self._requests
        return self._request_xid
