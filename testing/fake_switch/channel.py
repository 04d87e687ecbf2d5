"""One connection of the fake switch to a controller: requests in, answers out."""

from __future__ import annotations

import functools
import heapq
import itertools
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from testing.fake_switch import multipart, refusals, statistics
from testing.fake_switch.bundles import EXPERIMENTER_ADD, EXPERIMENTER_CONTROL, Bundled, Bundles
from testing.fake_switch.flow_mod import SEND_FLOW_REMOVED, FlowMod, read_flow_mod
from testing.fake_switch.monitor import EXPERIMENTER_MONITOR, Monitors
from testing.fake_switch.roles import Role, grant_role
from testing.fake_switch.tables import Change, Happened
from testing.fake_switch.wire import (
    ONF,
    OPENFLOW_13,
    OPENFLOW_14,
    BrokenStreamError,
    Cursor,
    Kind,
    Message,
    RefusedError,
    Stream,
    pack,
    pack_error,
)

if TYPE_CHECKING:
    from testing.fake_switch.switch import FakeSwitch

_CAPABILITIES = 0b111
"""FLOW_STATS, TABLE_STATS, PORT_STATS."""
_CHANGING = frozenset(
    {
        Kind.FLOW_MOD,
        Kind.PACKET_OUT,
        Kind.GROUP_MOD,
        Kind.PORT_MOD,
        Kind.TABLE_MOD,
        Kind.METER_MOD,
        Kind.BUNDLE_CONTROL,
        Kind.BUNDLE_ADD,
    }
)
"""What a slave may not send (6.3.4)."""
_WITHOUT_BODY = (Kind.FEATURES_REQUEST, Kind.GET_CONFIG_REQUEST, Kind.BARRIER_REQUEST)
_ROLE_STATUS = 1911
_EXPERIMENTER = struct.Struct("!II")

read_flow_mod_once = functools.lru_cache(maxsize=1 << 17)(read_flow_mod)
"""A thousand switches get the same rules."""


class Channel:
    """One connection. ``closed`` once either side gave it up; then nothing more is answered.

    ``on_handled`` is called after each message that the switch has handled.
    """

    def __init__(self, switch: FakeSwitch, version: int | None) -> None:
        self.switch = switch
        self.role = Role.EQUAL
        self.closed = False
        self.on_handled: Callable[[Message], None] = lambda message: None
        self.config = (0, 0)
        self.bundles = Bundles()
        self._agreed: int | None = None
        self._stream = Stream()
        self._held: list[Message] = []
        self._send_queue: list[tuple[float, int, bytes]] = []
        self._sequence = itertools.count()
        self._not_before = 0.0
        self._answers: dict[int, Callable[[Message], Iterable[bytes]]] = {
            Kind.HELLO: self._hello,
            Kind.ERROR: lambda message: (),
            Kind.ECHO_REPLY: lambda message: (),
            Kind.PACKET_OUT: lambda message: (),
            Kind.ECHO_REQUEST: lambda message: [self._reply(message, Kind.ECHO_REPLY, message.body)],
            Kind.EXPERIMENTER: self._experimenter,
            Kind.FEATURES_REQUEST: self._features,
            Kind.GET_CONFIG_REQUEST: self._get_config,
            Kind.SET_CONFIG: self._set_config,
            Kind.FLOW_MOD: self._flow_mod,
            Kind.MULTIPART_REQUEST: lambda message: multipart.answer(self, message),
            Kind.BARRIER_REQUEST: lambda message: [self._reply(message, Kind.BARRIER_REPLY)],
            Kind.ROLE_REQUEST: lambda message: grant_role(self, message),
        }
        if version is None:
            self._post(pack(max(switch.capabilities.versions), Kind.HELLO, 0, self._bitmap()), 0.0)
        else:
            self._agree(version)

    @property
    def version(self) -> int:
        assert self._agreed is not None
        return self._agreed

    def receive(self, piece: bytes, now: float) -> list[bytes]:
        """What the switch answers at once to a piece of what a controller sends, cut anywhere."""
        self.switch.advance(now)
        try:
            for message in self._stream.feed(piece):
                if not self.closed:
                    self._take(message)
        except BrokenStreamError:
            self.close()
        return self._take_due()

    def due(self, now: float) -> list[bytes]:
        """What the switch says of itself, and answers that were delayed, now that it is so late."""
        self.switch.advance(now)
        self._handle_held()
        return self._take_due()

    def next_due(self) -> float | None:
        """When there will be something due, unless something happens before; None for never."""
        return self.switch.now if self._held else self._send_queue[0][0] if self._send_queue else None

    def close(self) -> None:
        self.closed = True
        if self in self.switch.channels:
            self.switch.channels.remove(self)

    def report_changes(self, changes: list[Change], *, by_itself: bool, xid: int) -> None:
        """Report what happened to entries, as far as the controller asked for reports."""
        if self._agreed is None:
            return
        version, now = self.version, self.switch.now
        if updates := self.monitors.updates(changes, own=by_itself, xid=xid):
            self._post(multipart.flow_updates(version, updates), now)
        for change in changes if self.role is not Role.SLAVE else ():
            if change.what is Happened.REMOVED and change.entry.flow.flags & SEND_FLOW_REMOVED:
                body = statistics.flow_removed(change, now, version)
                self._post(pack(version, Kind.FLOW_REMOVED, 0, body), now)

    def report_port(self, number: int, *, present: bool) -> None:
        if self._agreed is not None:
            body = struct.pack("!B7x", 0 if present else 1) + statistics.port(number, self.version)
            self._post(pack(self.version, Kind.PORT_STATUS, 0, body), self.switch.now)

    def report_role(self, body: bytes) -> None:
        """A role status; as Open vSwitch does, also in OpenFlow 1.3, which has it as an extension."""
        kind = Kind.ROLE_STATUS
        if self.version == OPENFLOW_13:
            kind, body = Kind.EXPERIMENTER, _EXPERIMENTER.pack(ONF, _ROLE_STATUS) + body
        self._post(pack(self.version, kind, 0, body), self.switch.now)

    def _take(self, message: Message) -> None:
        """Handle a message at once, or, shuffling, hold it back for a while; a barrier holds for all."""
        shuffle = self.switch.conduct.shuffle
        if shuffle is None or self._agreed is None:
            self._handle(message)
            return
        if message.kind == Kind.BARRIER_REQUEST:
            self._handle_held()
            self._handle(message)
            return
        self._held.append(message)
        while self._held and shuffle.random() < 0.5:
            self._handle(self._pick())

    def _handle_held(self) -> None:
        while self._held:
            self._handle(self._pick())

    def _pick(self) -> Message:
        """One of the messages held back; those about bundles keep their order."""
        shuffle = self.switch.conduct.shuffle
        chosen = shuffle.randrange(len(self._held)) if shuffle is not None else 0
        if _about_bundles(self._held[chosen]):
            chosen = next(number for number, each in enumerate(self._held) if _about_bundles(each))
        return self._held.pop(chosen)

    def _handle(self, message: Message) -> None:
        conduct = self.switch.conduct
        answers = self._answer(message)
        self.on_handled(message)
        if conduct.silent_about(message):
            return
        at = max(self.switch.now + conduct.delay(message), self._not_before)
        if message.kind == Kind.BARRIER_REQUEST:
            self._not_before = at = max([at, *(due for due, _, _ in self._send_queue)])
        for answer in answers:
            self._post(answer, at)

    def _answer(self, message: Message) -> list[bytes]:
        try:
            if self._agreed is None and message.kind != Kind.HELLO:
                raise RefusedError(refusals.HELLO_INCOMPATIBLE)
            if self._agreed is not None and message.version != self._agreed:
                raise RefusedError(refusals.BAD_VERSION)
            if message.kind in _CHANGING and self.role is Role.SLAVE:
                raise RefusedError(refusals.IS_SLAVE)
            if refusal := self.switch.conduct.refuse_message(message):
                raise RefusedError(refusal)
            if message.kind not in self._answers:
                raise RefusedError(refusals.BAD_TYPE)
            if message.kind in _WITHOUT_BODY and message.body:
                raise RefusedError(refusals.BAD_LENGTH)
            return [*self._answers[message.kind](message)]
        except RefusedError as error:
            return [pack_error(message.version, message.xid, error.refusal, message.raw)]
        finally:
            if self._agreed is None:
                self.close()

    def _post(self, message: bytes, at: float) -> None:
        heapq.heappush(self._send_queue, (at, next(self._sequence), message))

    def _take_due(self) -> list[bytes]:
        due = []
        while self._send_queue and self._send_queue[0][0] <= self.switch.now:
            due.append(heapq.heappop(self._send_queue)[2])
        return due

    def _reply(self, request: Message, kind: int, body: bytes = b"") -> bytes:
        return pack(self.version, kind, request.xid, body)

    def _bitmap(self) -> bytes:
        bits = sum(1 << version for version in self.switch.capabilities.versions)
        return struct.pack("!HHI", 1, 8, bits)

    def _hello(self, message: Message) -> Iterable[bytes]:
        """Agree upon a version (6.3.1)."""
        if self._agreed is not None:
            raise RefusedError(refusals.BAD_TYPE)
        versions = self.switch.capabilities.versions
        if len(message.body) >= 8 and message.body[:2] == b"\0\1":
            (bits,) = struct.unpack_from("!I", message.body, 4)
            common = [version for version in versions if bits >> version & 1]
        else:
            common = [version for version in versions if version == min(message.version, max(versions))]
        if not common:
            raise RefusedError(refusals.HELLO_INCOMPATIBLE)
        self._agree(max(common))
        return ()

    def _agree(self, version: int) -> None:
        self._agreed = version
        self.monitors = Monitors(version)
        if version >= OPENFLOW_14 and self.switch.capabilities.bundles:
            self._answers[Kind.BUNDLE_CONTROL] = lambda message: self._bundle_control(message, message.body)
            self._answers[Kind.BUNDLE_ADD] = lambda message: self._bundle_add(message, message.body)

    def _features(self, message: Message) -> Iterable[bytes]:
        switch = self.switch
        body = struct.pack("!QIBB2xII", switch.dpid, 0, switch.capabilities.tables, 0, _CAPABILITIES, 0)
        return [self._reply(message, Kind.FEATURES_REPLY, body)]

    def _get_config(self, message: Message) -> Iterable[bytes]:
        return [self._reply(message, Kind.GET_CONFIG_REPLY, struct.pack("!HH", *self.config))]

    def _set_config(self, message: Message) -> Iterable[bytes]:
        flags, length = Cursor(message.body, refusals.BAD_LENGTH).take(struct.Struct("!HH"))
        self.config = flags, length
        return ()

    def _flow_mod(self, message: Message) -> Iterable[bytes]:
        changes = self._apply(self._read_flow_mod(message))
        self.switch.report(changes, self, message.xid)
        return ()

    def _read_flow_mod(self, message: Message) -> FlowMod:
        capabilities = self.switch.capabilities
        return read_flow_mod_once(
            message.raw[:4] + bytes(4) + message.raw[8:],
            tables=capabilities.tables,
            metadata=capabilities.metadata,
            wide_masks=capabilities.wide_masks,
        )

    def _apply(self, flow: FlowMod) -> list[Change]:
        switch = self.switch
        switch.flow_mods.append(flow)
        if refusal := switch.conduct.refuse(flow):
            raise RefusedError(refusal)
        if switch.conduct.swallow(flow):
            return []
        return switch.tables.apply(switch.conduct.keep(flow), switch.now)

    def _experimenter(self, message: Message) -> Iterable[bytes]:
        experimenter, kind = Cursor(message.body, refusals.BAD_LENGTH).take(_EXPERIMENTER)
        body = message.body[_EXPERIMENTER.size :]
        if (experimenter, kind) == (ONF, EXPERIMENTER_MONITOR) and self.switch.capabilities.flow_monitor:
            self.monitors.cancel(Cursor(body, refusals.BAD_LENGTH))
            return ()
        if experimenter != ONF or self.version != OPENFLOW_13 or not self.switch.capabilities.bundles:
            raise RefusedError(refusals.BAD_EXPERIMENTER)
        if kind not in (EXPERIMENTER_CONTROL, EXPERIMENTER_ADD):
            raise RefusedError(refusals.BAD_EXPERIMENTER_TYPE)
        if self.role is Role.SLAVE:
            raise RefusedError(refusals.IS_SLAVE)
        try:
            if kind == EXPERIMENTER_ADD:
                return self._bundle_add(message, body)
            return self._bundle_control(message, body)
        except RefusedError as error:
            if error.refusal.type != refusals.BUNDLE_BAD_ID.type:
                raise
            raise RefusedError(refusals.bundle_refusal(error.refusal, self.version)) from None

    def _bundle_add(self, message: Message, body: bytes) -> Iterable[bytes]:
        """What is wrong with a flow-mod itself is refused here, what the tables have against it later."""

        def check(inner: Message) -> None:
            if inner.kind == Kind.FLOW_MOD:
                self._read_flow_mod(inner)

        self.bundles.add(body, message, check)
        return ()

    def _bundle_control(self, message: Message, body: bytes) -> Iterable[bytes]:
        request, messages = self.bundles.control(body)
        errors = [] if messages is None else self._commit(messages)
        if errors:
            refusal = refusals.bundle_refusal(refusals.BUNDLE_MESSAGE_FAILED, self.version)
            return [*errors, pack_error(self.version, message.xid, refusal, message.raw)]
        reply = request.reply_body()
        if message.kind == Kind.EXPERIMENTER:
            reply = _EXPERIMENTER.pack(ONF, EXPERIMENTER_CONTROL) + reply
        return [self._reply(message, message.kind, reply)]

    def _commit(self, bundled: list[Bundled]) -> list[bytes]:
        """Carry out the messages of a bundle, or none of them: then what to say of the first that failed."""
        switch = self.switch
        before = switch.tables.snapshot()
        changes: list[Change] = []
        changing: list[int] = []
        for message, wrapped in bundled:
            try:
                if message.kind == Kind.FLOW_MOD:
                    changed = self._apply(self._read_flow_mod(message))
                    changes += changed
                    changing += [message.xid] * bool(changed)
            except RefusedError as error:
                switch.tables.restore(before)
                return [pack_error(self.version, message.xid, error.refusal, wrapped)]
        switch.report(changes, self, *changing[:1])
        return []


def _about_bundles(message: Message) -> bool:
    return message.kind in (Kind.BUNDLE_CONTROL, Kind.BUNDLE_ADD, Kind.EXPERIMENTER)
