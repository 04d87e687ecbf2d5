"""The dialogue with one connected switch: what it can do, what its table holds, changes sent and confirmed.

It knows neither policies nor the time: whoever uses it says what to send, and how long to wait.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from op25b_app.openflow import bundle, codec, flow_monitor, wire
from op25b_app.openflow.codec import Command, InstalledRule
from op25b_app.openflow.errors import ABOUT_RULES, BAD_FLAGS, INEXPRESSIBLE, TABLE_FULL, explain
from op25b_app.openflow.flow_mods import (
    FIRST_XID,
    Batch,
    Change,
    Form,
    Group,
    SwitchError,
    flags_of,
    joined,
    read_error,
)
from op25b_app.openflow.table_features import (
    decode_table_features,
    encode_table_features_request,
    is_table_features_reply,
)
from op25b_app.sync.flow_table import Key
from op25b_app.sync.update_orders import GATE, needs_tags
from op25b_app.sync.update_plan import Abilities, Plan

MOST_WATCHED = 100
"""So many changes of our own may be answered one by one; for more the flow monitor is taken off meanwhile."""
MOST_TRIED = 20_000
"""So many rules more than a switch holds are sent without asking how many it has room for."""
MOST_OF_OTHERS = 100_000
"""So many rules of others a table may hold, in all, for all of it to be read."""
BYTES_PER_RULE = 256
"""Twice what a switch takes to describe a rule of ours, on average."""

_REQUEST_XID = 0x25B0_2500
_REQUESTS = 0x100
_INTERJECTED_XID = 0x25B0_2600
"""Of changes outside any plan."""


class Phase(enum.Enum):
    """What is under way, in words that go on after "no answer while"."""

    IDLE = "idle"
    READING = "reading its table"
    REVIEWING = "comparing its table"
    BUNDLING = "filling a bundle"
    CONFIRMING = "waiting for it to confirm changes"


class Answer(NamedTuple):
    """What a message of the switch leads to.

    ``pieces`` are to be sent. ``table`` is the whole table, once it is there, as the messages it came in.
    ``awaited`` tells that the switch goes on with what was asked of it, ``problem`` in words why it does not.
    """

    pieces: tuple[bytes, ...] = ()
    table: list[bytes] | None = None
    awaited: bool = False
    problem: str = ""


NOTHING = Answer()


class Refused(NamedTuple):
    """A change that a switch did not make, with type and code of its error."""

    change: Change
    why: tuple[int, int]


class Bound(NamedTuple):
    """How much of a table is read."""

    rules: int
    bytes: int


def bound_for(wanted: int) -> Bound:
    """Return how much to read of a table that shall hold so many rules.

    There may be as many again for another policy or while one changes, and a margin for those of others.
    """
    rules = 2 * wanted + MOST_OF_OTHERS
    return Bound(rules, rules * BYTES_PER_RULE)


class Limits(NamedTuple):
    """What a switch can do and has not done, as values.

    ``full`` are tables that had no room for a rule, with how many rules have gone since, or may have.
    """

    able: Abilities = Abilities()
    refused: Mapping[Key, Refused] = {}
    full: Mapping[int, int] = {}
    was_full: bool = False
    room_asked: bool = False
    all_taken: bool = True

    def needs_room(self, more: int) -> bool:
        """Return whether to ask how many rules the tables hold, if so many more than now are wanted."""
        return not self.room_asked and (self.was_full or more > MOST_TRIED)

    def room_seen(self, found: Iterable[InstalledRule]) -> Mapping[int, int]:
        """Return how many rules tables hold: what the switch said, and what was there when they were full."""
        if not self.full:
            return self.able.room
        held = Counter(each.rule.table for each in found)
        return {**self.able.room, **{table: held[table] + gone for table, gone in self.full.items()}}

    def has_refused(self, change: Change) -> bool:
        """Return whether the switch has refused to make this change."""
        refused = self.refused.get(change.rule.key)
        return refused is not None and refused.change.command is change.command


def is_request_xid(xid: int) -> bool:
    """Whether an xid is one of those that are given to requests here."""
    return _REQUEST_XID <= xid < _REQUEST_XID + _REQUESTS


def is_answer(message: bytes) -> bool:
    """Whether a switch's message is meant for a session, and for nobody else."""
    return is_request_xid(int.from_bytes(message[4:8], "big"))


def is_news(message: bytes) -> bool:
    """Whether a message tells a session, as it may others, what it has not asked for."""
    return message[1] in (wire.ERROR, wire.FLOW_REMOVED) or flow_monitor.is_flow_update(message)


class Exchange:
    """One connection's dialogue.

    ``refused`` gathers, until :meth:`begin` is called again, the changes that the switch did not make, by the
    rule's key.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.phase = Phase.IDLE
        self.abilities: Abilities | None = None
        """None until the switch is asked; known once its table is read."""
        self._watching = False
        self._room_asked = self._was_full = False
        self.refused: dict[Key, Refused] = {}
        self._full: dict[int, int] = {}
        """Tables that had no room for a rule, and how many rules have gone since, or may have."""
        self._room: dict[int, int] = {}
        """How many rules those tables held."""
        self.pending = self._most_sent = 0
        """How many changes the switch has not confirmed, and the most that were sent together."""
        self.all_taken = True
        """Whether the switch has refused nothing of what it was sent last."""
        self.any_cookie = False
        """Whether rules are deleted whatever their cookies are, as the switch does not keep them."""
        self._resets = True
        """Whether the switch takes the flag that has counters begin with 0."""
        self._bundles_fail = self._tags_fail = False
        self._probe = self._barrier_before = -1
        self._requests = 0
        self._request_xid = _REQUEST_XID
        self._parts: list[bytes] = []
        self._rules = self._bytes = 0
        self.bound = bound_for(0)
        """How much of the table is read."""
        self.only_ours = False
        """Whether only rules under cookies of ours are read, since the whole table is larger than that."""
        self._batch: Batch | None = None
        self._to_come: list[Group] = []
        self._failed = False

    @property
    def able(self) -> Abilities:
        """What the switch can do, and may be asked to do now."""
        abilities = self.abilities or Abilities()
        if not (self._bundles_fail or self._tags_fail or self._room):
            return abilities
        return abilities._replace(
            bundles=abilities.bundles and not self._bundles_fail,
            tags=abilities.tags and not self._tags_fail,
            room={**abilities.room, **self._room},
        )

    @property
    def will_read(self) -> bool:
        """Whether the table is going to be read, whatever happens to it meanwhile."""
        return self.phase in (Phase.BUNDLING, Phase.CONFIRMING)

    @property
    def limits(self) -> Limits:
        """What the switch can do and has not done, up to now."""
        return Limits(
            self.able, {**self.refused}, {**self._full}, self._was_full, self._room_asked, self.all_taken
        )

    def note_room(self, room: Mapping[int, int]) -> None:
        """Go by these numbers of rules that tables hold, from :meth:`Limits.room_seen`."""
        if self._full:
            self._room.update(room)
            self._full.clear()

    def forget_room(self) -> None:
        """Find out anew how many rules tables hold, and whether the table can be read as a whole."""
        self._room.clear()
        self.only_ours = False

    def renew(self) -> None:
        """Begin a cycle: what was refused before may be taken now."""
        self.refused, self._full, self._bundles_fail, self._tags_fail = {}, {}, False, False

    def begin(self) -> bytes:
        """Read the table as it is once all is done that was sent; on a new connection ask more before."""
        self.renew()
        return self._read_after(b"" if self.abilities else self._questions())

    def ask_room(self) -> bytes:
        """Ask how many rules the tables hold, and read them again. Open vSwitch's answer has 1.2 MB."""
        self._room_asked = True
        return self._read_after(encode_table_features_request(version=self.version, xid=self._next_xid()))

    def rest(self) -> None:
        """Whatever is under way does not count any more."""
        self.phase, self._batch, self._failed = Phase.IDLE, None, False
        self._to_come, self._parts = [], []
        self._rules = self._bytes = 0

    def leave(self) -> tuple[bytes, ...]:
        """Have no more to do with the switch, and leave no gate closed."""
        self.rest()
        opened = Group([Change(Command.DELETE_STRICT, GATE, GATE)])
        form = Form(self.version, any_cookie=self.any_cookie)
        return Batch(opened, (), form).written().pieces

    def give_up(self) -> None:
        """The switch does not answer. If that was to a bundle, it gets no other on this connection."""
        if self.abilities and self._batch is not None and self._batch.bundle is not None:
            self.abilities = self.abilities._replace(bundles=False)
        self.rest()

    def read(self) -> bytes:
        """Ask for the whole table; what others change from then on the switch tells."""
        self.rest()
        self.phase = Phase.READING
        watch = b""
        if self.able.monitor and not self._watching:
            watch = flow_monitor.encode_monitor_request(version=self.version, xid=self._next_xid())
            self._watching = True
        return watch + codec.encode_flow_stats_request(
            version=self.version, xid=self._next_xid(), only_ours=self.only_ours
        )

    def carry_out(self, plan: Plan) -> tuple[bytes, ...]:
        """Send the first group; the others follow as the switch confirms. Then its table is read."""
        self._to_come, self.all_taken = [*plan.groups] or [Group()], True
        return self._send_next(plan.first, bundled=plan.bundled)

    def has_sent(self, xid: int) -> bool:
        """Return whether a change with this xid is one of this dialogue, not of another application."""
        return xid == _INTERJECTED_XID or FIRST_XID <= xid < FIRST_XID + self._most_sent

    def interject(self, change: Change) -> bytes:
        """Make one change at once, whatever is under way; what becomes of it the table will say.

        Raises ValueError for a rule that OpenFlow cannot express.
        """
        return codec.encode_flow_mod(
            change.rule,
            command=change.command,
            version=self.version,
            xid=_INTERJECTED_XID,
            flags=self._flags | (flags_of(change) if self._resets else 0),
            any_cookie=self.any_cookie,
        )

    def receive(self, message: bytes) -> Answer:
        """A message of the switch. Raises ValueError, in words, for one that breaks the format."""
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
            # The rest of a table that is too large, before the switch comes to what it was asked then.
            return Answer(awaited=self.only_ours and self.phase is Phase.READING and is_request_xid(xid))
        return self._flow_stats(message)

    def _read_after(self, questions: bytes) -> bytes:
        """Read the table; what is asked before is answered before."""
        self._barrier_before = self._next_xid()
        barrier = codec.encode_barrier_request(version=self.version, xid=self._barrier_before)
        return questions + barrier + self.read()

    def _questions(self) -> bytes:
        """Ask for what not every switch has: to tell of changes from now on, and bundles."""
        version, self._probe = self.version, self._next_xid()
        self.abilities, self._watching = Abilities(), True
        return b"".join(
            (
                flow_monitor.encode_monitor_request(version=version, xid=self._next_xid()),
                bundle.encode_open(version=version, bundle=self._probe, xid=self._probe),
                bundle.encode_discard(version=version, bundle=self._probe, xid=self._next_xid()),
            )
        )

    def _monitor_reply(self, xid: int) -> Answer:
        ours = is_request_xid(xid)
        if ours and self.abilities:
            self.abilities = self.abilities._replace(monitor=True)
        return Answer(awaited=ours and self.phase is Phase.READING)

    def _table_features(self, message: bytes, xid: int) -> Answer:
        if is_request_xid(xid) and self.abilities:
            told = decode_table_features(message)
            room = {each.table: each.max_entries for each in told if each.max_entries}
            self.abilities = self.abilities._replace(room={**self.abilities.room, **room})
        return Answer(awaited=self.phase is Phase.READING)

    def _flow_stats(self, message: bytes) -> Answer:
        if self.phase is not Phase.READING:
            return NOTHING
        self._bytes += len(message)
        self._rules += codec.count_rules(message)
        if self._bytes > self.bound.bytes or self._rules > self.bound.rules:
            return self._read_less()
        self._parts.append(message)
        if codec.has_more(message):
            return Answer(awaited=len(message) > wire.MULTIPART_HEADER_SIZE)
        parts, self._parts, self.pending = self._parts, [], 0
        self.phase = Phase.REVIEWING
        return Answer(table=parts)

    def _read_less(self) -> Answer:
        """Read the rules of ours of a table that is too large. ValueError where even these are too many."""
        if self.only_ours:
            raise ValueError(f"{self.too_large}, under cookies of op25b alone: nothing is read or sent")
        self.only_ours = True
        return Answer((self.read(),), awaited=True)

    @property
    def too_large(self) -> str:
        """In words, what is too large about the table; empty where it is read as a whole."""
        if not self.only_ours:
            return ""
        rules, size = self.bound
        return f"its table has more than {rules:,} rules or {size >> 20} MB, which is not read"

    def _send_next(self, first: tuple[Change, ...] = (), *, bundled: bool = False) -> tuple[bytes, ...]:
        """The next group behind what goes first, in a bundle or with a barrier behind it."""
        group, number = self._to_come.pop(0), self._next_xid() if bundled else None
        form = Form(self.version, self._flags, self.any_cookie, self._resets)
        batch = self._batch = Batch(group, first, form, number)
        self.pending += len(batch)
        self._most_sent = max(self._most_sent, len(batch))
        pieces, unwritable = batch.written()
        for change in unwritable:
            self._refuse(batch, change, INEXPRESSIBLE)
        if number is None:
            self.phase = Phase.CONFIRMING
            unwatched = self._stop_watching() if len(batch) > MOST_WATCHED else b""
            barrier = codec.encode_barrier_request(version=self.version, xid=self._next_xid())
            return tuple(joined((unwatched, *pieces, barrier)))
        self.phase = Phase.BUNDLING
        begin = bundle.encode_open(version=self.version, bundle=number, xid=number)
        end = bundle.encode_close(version=self.version, bundle=number, xid=self._next_xid())
        return tuple(joined((begin, *pieces, end)))

    @property
    def _flags(self) -> int:
        """The switch tells of each rule that is gone, where it does not tell of every change."""
        return 0 if self.able.monitor else codec.SEND_FLOW_REMOVED

    def _stop_watching(self) -> bytes:
        watching, self._watching = self._watching and self.able.monitor, False
        if not watching:
            return b""
        return flow_monitor.encode_monitor_cancel(version=self.version, xid=self._next_xid())

    def _bundle_reply(self, reply: bundle.ControlReply) -> Answer:
        if reply.bundle == self._probe and self.abilities:
            able = self.abilities.bundles or reply.kind is bundle.Control.OPENED
            self.abilities = self.abilities._replace(bundles=able)
            return Answer(awaited=self.phase is Phase.READING)
        if self._batch is None or reply.bundle != self._batch.bundle:
            given_up = reply.kind is bundle.Control.CLOSED and is_request_xid(reply.bundle)
            return Answer((self._discard(reply.bundle),)) if given_up else NOTHING
        if reply.xid != self._request_xid:
            return NOTHING
        if self.phase is Phase.BUNDLING and reply.kind is bundle.Control.CLOSED:
            return Answer((self._end_bundle(reply.bundle),), awaited=True)
        return self._go_on() if self.phase is Phase.CONFIRMING else NOTHING

    def _end_bundle(self, number: int) -> bytes:
        """Commit a bundle, or discard it if the switch refused a part of it."""
        self.phase = Phase.CONFIRMING
        end = bundle.encode_discard if self._failed else bundle.encode_commit
        return end(version=self.version, bundle=number, xid=self._next_xid())

    def _discard(self, number: int) -> bytes:
        """Have a switch forget a bundle that nobody waits for any more."""
        return bundle.encode_discard(version=self.version, bundle=number, xid=number)

    def _barrier(self, xid: int) -> Answer:
        """The switch has handled what was sent. Whether it has accepted it, its table says."""
        if xid == self._barrier_before:
            self._probe = self._barrier_before = -1
            return Answer(awaited=self.phase is Phase.READING)
        if xid != self._request_xid:
            return NOTHING
        return self._go_on() if self.phase is Phase.CONFIRMING else NOTHING

    def _go_on(self) -> Answer:
        """Send what is still to come, or look at the table: at the end, and where something was refused."""
        self.pending = 0
        pieces = self._send_next() if self._to_come and not self._failed else (self.read(),)
        return Answer(pieces, awaited=True)

    def _error(self, error: SwitchError) -> Answer:
        """The switch refused something, perhaps of another application."""
        if self.phase is Phase.READING and error.xid == self._request_xid:
            return Answer(problem=f"refused while {self.phase.value}: {explain(error.type, error.code)}")
        if self._batch is None:
            return NOTHING
        if change := self._batch.refused(error):
            self._refuse(self._batch, change, (error.type, error.code))
        elif self._batch.bundle is not None and error.xid in (self._batch.bundle, self._request_xid):
            return self._bundle_failed(error, self._batch.bundle)
        return NOTHING

    def _refuse(self, batch: Batch, change: Change, why: tuple[int, int]) -> None:
        """Note what the switch does not take; there may be room for it without a bundle, or without tags."""
        self._failed, self.all_taken = True, False
        if why == TABLE_FULL and not self._room_asked:
            self._was_full = True
        elif why == BAD_FLAGS and self._resets and flags_of(change):
            self._resets = False
        elif batch.bundle is not None and (why == TABLE_FULL or why[0] not in ABOUT_RULES):
            self._bundles_fail = True
        elif why == TABLE_FULL:
            self._full.setdefault(change.rule.table, batch.deletions(change.rule.table))
        elif needs_tags(change.rule):
            self._tags_fail = True
        else:
            self.refused[change.rule.key] = Refused(change, why)

    def _bundle_failed(self, error: SwitchError, number: int) -> Answer:
        """A bundle was not applied. Where no rule is to blame, the switch does not take bundles."""
        self._bundles_fail, self.all_taken = self._bundles_fail or not self._failed, False
        if error.xid != self._request_xid:
            return NOTHING
        discard = self._discard(number) if self.phase is Phase.BUNDLING else b""
        return Answer((discard + self.read(),), awaited=True)

    def _next_xid(self) -> int:
        self._requests = (self._requests + 1) % _REQUESTS
        self._request_xid = _REQUEST_XID + self._requests
        return self._request_xid
