"""A switch in memory that speaks real OpenFlow bytes: it keeps flow-mods and answers requests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from op25b_app.rules.flow import FlowRule
from op25b_app.switch import codec

ERROR, FLOW_MOD, MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER_REQUEST, BARRIER_REPLY = 1, 14, 18, 19, 20, 21
ADD, DELETE_STRICT = 0, 4
PART = 10
"""Rules in one part of a reply: small, so that a few rules take several parts."""

Key = tuple[int, int, bytes]
Refusal = tuple[int, int]


class Entry(NamedTuple):
    """A flow entry as its bytes."""

    cookie: int
    idle_timeout: int
    hard_timeout: int
    flags: int
    instructions: bytes
    added: float


class FakeSwitch:
    """``capacity`` is how many rules it holds; ``refuses`` gives the error type and code for a rule's key."""

    def __init__(self, *, version: int = 4, capacity: int = 1 << 20) -> None:
        self.version = version
        self.capacity = capacity
        self.refuses: Callable[[Key], Refusal | None] = lambda key: None
        self.swallows: Callable[[Key], bool] = lambda key: False
        self.now = 0.0
        self.table: dict[Key, Entry] = {}
        self.flow_mods: list[tuple[int, Key]] = []

    def put(self, *rules: FlowRule, idle_timeout: int = 0) -> None:
        """Rules that are there before anybody connects."""
        for rule in rules:
            message = bytearray(codec.encode_flow_mod(rule, version=self.version, xid=0))
            struct.pack_into("!H", message, 26, idle_timeout)
            self._flow_mod(bytes(message))
        self.flow_mods.clear()

    def rules(self) -> list[FlowRule]:
        parts = self._flow_stats(0)
        return [installed.rule for part in parts for installed in codec.decode_flow_stats(part)]

    def receive(self, piece: bytes, now: float) -> Iterator[bytes]:
        """Answers to a piece of joined messages that arrives at a moment."""
        self.now = now
        while piece:
            _, kind, length, xid = struct.unpack_from("!BBHI", piece)
            message, piece = piece[:length], piece[length:]
            if kind == FLOW_MOD:
                if refusal := self._flow_mod(message):
                    yield self._message(ERROR, xid, struct.pack("!HH", *refusal) + message[:64])
            elif kind == BARRIER_REQUEST:
                yield self._message(BARRIER_REPLY, xid, b"")
            elif kind == MULTIPART_REQUEST:
                yield from self._flow_stats(xid)
            else:
                raise AssertionError(f"unexpected message {message.hex()}")

    def _flow_mod(self, message: bytes) -> Refusal | None:
        fields = struct.unpack_from("!QQBBHHHIIIHH", message, 8)
        cookie, cookie_mask, table, command, idle_timeout, hard_timeout, priority, _, _, _, flags, _ = fields
        (match_length,) = struct.unpack_from("!H", message, 50)
        end = 48 + (match_length + 7) // 8 * 8
        key = (table, priority, message[48:end])
        self.flow_mods.append((command, key))
        if refusal := self.refuses(key):
            return refusal
        if self.swallows(key):
            return None
        if command == ADD:
            if key not in self.table and len(self.table) >= self.capacity:
                return 5, 1
            self.table[key] = Entry(cookie, idle_timeout, hard_timeout, flags, message[end:], self.now)
        elif command == DELETE_STRICT:
            entry = self.table.get(key)
            if entry and entry.cookie & cookie_mask == cookie & cookie_mask:
                del self.table[key]
        else:
            raise AssertionError(f"unexpected command {command}")
        return None

    def _flow_stats(self, xid: int) -> Iterator[bytes]:
        for key, entry in list(self.table.items()):
            if entry.hard_timeout and self.now >= entry.added + entry.hard_timeout:
                del self.table[key]
        entries = [*self.table.items()]
        for start in range(0, max(1, len(entries)), PART):
            more = start + PART < len(entries)
            body = b"".join(self._entry(key, entry) for key, entry in entries[start : start + PART])
            yield self._message(MULTIPART_REPLY, xid, struct.pack("!HHxxxx", 1, more) + body)

    def _entry(self, key: Key, entry: Entry) -> bytes:
        table, priority, match = key
        seconds, fraction = divmod(self.now - entry.added, 1)
        length = 48 + len(match) + len(entry.instructions)
        head = struct.pack(
            "!HBxIIHHH", length, table, int(seconds), int(fraction * 1e9), priority, *entry[1:3]
        )
        return head + struct.pack("!HxxxxQQQ", entry.flags, entry.cookie, 7, 700) + match + entry.instructions

    def _message(self, kind: int, xid: int, body: bytes) -> bytes:
        return struct.pack("!BBHI", self.version, kind, 8 + len(body), xid) + body
