"""Between Ryu's connections and its parsers: what is ours is taken, and the rest ends no connection.

What sessions read they are handed as bytes, in the order in which it came. Answers to their own requests go
no further: as events they would wait in one queue for all switches, behind another turn of the event loop.

Ryu's parser takes 40 µs and more for a rule, and what it does not understand costs the message, or the
connection: it ends with an exception from Ryu's own handlers, or for a truncated message from the parser.

The events of the other messages carry the bytes in ``msg.buf``, and Ryu parses them only when somebody asks
for another attribute, as other applications in the process do:

============================================  ===================================================
Flow statistics                               EventOFPFlowStatsReply, EventOFPFlowDescStatsReply (1.5)
Table features                                EventOFPTableFeaturesStatsReply
Flow removed                                  EventOFPFlowRemoved
Flow monitor                                  EventOFPFlowMonitorReply (1.4, 1.5); on 1.3
                                              EventOFPExperimenterStatsReply, and EventOFPExperimenter
                                              where the monitor pauses and resumes
Replies to bundle control messages            EventOFPBundleCtrlMsg (1.4, 1.5), EventONFBundleCtrlMsg (1.3)
============================================  ===================================================

Every error is an EventOFPErrorMsg with ``type`` and ``data``, and ``code`` or (experimenter) ``exp_type``.
Where ``msg.version`` is not the version spoken, they are numbers of that other version.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from ryu.ofproto import (
    ofproto_parser,
    ofproto_v1_0_parser,
    ofproto_v1_2_parser,
    ofproto_v1_3_parser,
    ofproto_v1_4_parser,
    ofproto_v1_5_parser,
)

from op25b_app.openflow import codec, wire
from op25b_app.openflow.bundle import decode_control_reply
from op25b_app.openflow.flow_monitor import is_flow_update
from op25b_app.openflow.flow_removed import is_flow_removed
from op25b_app.openflow.table_features import is_table_features_reply

Parser = Callable[[Any, int, int, int, int, bytes], Any]
"""Ryu's: datapath, version, message type, length, xid and bytes to a message."""
Take = Callable[[Any, bytes], bool]
"""Is handed a datapath and a message, and tells whether that is nobody else's."""
Wait = Callable[[Any], None]
"""Is handed a datapath that has sent a message, and returns when that may be read."""
Spend = Callable[[Any, int, float], None]
"""Is told how many bytes of a datapath were read, and how many seconds of work that was."""

_PARSERS = {
    1: ofproto_v1_0_parser,
    3: ofproto_v1_2_parser,
    wire.OPENFLOW_13: ofproto_v1_3_parser,
    wire.OPENFLOW_14: ofproto_v1_4_parser,
    wire.OPENFLOW_15: ofproto_v1_5_parser,
}
"""OpenFlow 1.0 among them: Open vSwitch refuses some requests of 1.3 and later in its format."""

_HELLO_FAILED, _EXPERIMENTER_ERROR = 0, 0xFFFF
_MOST_CONTENT = 1 << 11
"""So much of what an error is about is handed on; Ryu writes out every byte of it."""

log = logging.getLogger("op25b")


def leave_unread(take: Take, wait: Wait, spend: Spend) -> None:
    """Put this module between Ryu's connections and its parsers; what was put there before is gone."""
    for version in range(256):
        parser = _PARSERS.get(version)
        parse = partial(_timed, wait, spend, take, parser.msg_parser) if parser else _refuse
        ofproto_parser.register_msg_parser(version)(parse)


def _refuse(datapath: Any, version: int, kind: int, length: int, xid: int, buffer: bytes) -> None:
    """Nobody can know where in such bytes a message would begin."""
    datapath.refuse(f"sent bytes that are no OpenFlow, or OpenFlow of an unknown version ({version})")


def why_ended(datapath: Any) -> str:
    """Why a connection of Ryu's is at its end."""
    if why := datapath.refused:
        return f"connection closed: {why}"
    if len(datapath.unreplied_echo_requests) > datapath.max_unreplied_echo_requests:
        return "connection closed: it gave no answer to echo requests"
    return "connection closed"


def _timed(wait: Wait, spend: Spend, take: Take, parse: Parser, datapath: Any, *header: int | bytes) -> Any:
    """Parse a message in its turn. For what it waited, or the machine let this process wait, nobody pays."""
    wait(datapath)
    began = time.thread_time()
    try:
        return _parse(take, parse, datapath, *header)  # type: ignore[arg-type]
    finally:
        spend(datapath, len(header[-1]), time.thread_time() - began)  # type: ignore[arg-type]


def _parse(
    take: Take, parse: Parser, datapath: Any, version: int, kind: int, length: int, xid: int, buffer: bytes
) -> Any:
    header, message = (version, kind, length, xid), bytes(buffer)
    if take(datapath, message):
        return None
    if kind == wire.ERROR and datapath.ofproto.OFP_VERSION in codec.SUPPORTED_VERSIONS:
        return _error(datapath, header, message)
    if name := _name_of_unread(version, message):
        return _unread(getattr(_PARSERS[version], name), parse)(datapath, header, message)
    try:
        return parse(datapath, *header, buffer)
    except Exception as error:
        log.warning(
            "the switch at %s sent a message of type %d that Ryu cannot read, ignored: %s",
            datapath.address[0],
            kind,
            error or type(error).__name__,
        )
        return None


def _name_of_unread(version: int, message: bytes) -> str | None:
    """Ryu's class for a message that is not to be parsed before somebody asks."""
    if version not in codec.SUPPORTED_VERSIONS:
        return None
    if is_flow_removed(message):
        return "OFPFlowRemoved"
    if codec.is_flow_stats_reply(message):
        return "OFPFlowDescStatsReply" if version == wire.OPENFLOW_15 else "OFPFlowStatsReply"
    if is_table_features_reply(message):
        return "OFPTableFeaturesStatsReply"
    if is_flow_update(message):
        if version != wire.OPENFLOW_13:
            return "OFPFlowMonitorReply"
        return "OFPExperimenter" if message[1] == wire.EXPERIMENTER else "OFPExperimenterStatsReply"
    if decode_control_reply(message):
        return "ONFBundleCtrlMsg" if version == wire.OPENFLOW_13 else "OFPBundleCtrlMsg"
    return None


@lru_cache
def _unread(ryu_class: Any, parse: Parser) -> Callable[[Any, tuple[int, int, int, int], bytes], Any]:
    """A class for messages of ``ryu_class``, under its name, that turn into one when they are asked."""

    def init(self: Any, datapath: Any, header: tuple[int, int, int, int], buffer: bytes) -> None:
        ofproto_parser.MsgBase.__init__(self, datapath)
        self.set_headers(*header)
        self.set_buf(buffer)

    def read(self: Any) -> None:
        message = parse(self.datapath, self.version, self.msg_type, self.msg_len, self.xid, self.buf)
        self.__class__ = type(message)
        self.__dict__.update(vars(message))

    def get(self: Any, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            read(self)
        except Exception as error:
            raise AttributeError(f"{name}: Ryu cannot read this message: {error!r}") from error
        return getattr(self, name)

    def stringify(self: Any) -> Any:
        try:
            read(self)
        except Exception:
            return [("buf", self.buf)]
        return self.stringify_attrs()

    methods = {"__init__": init, "__getattr__": get, "stringify_attrs": stringify}
    return type(ryu_class.__name__, (ryu_class,), methods)


def _error(datapath: Any, header: tuple[int, int, int, int], message: bytes) -> Any:
    """An error in Ryu's class for the version that is spoken, so that Ryu's own handler survives it."""
    body = message[wire.HEADER_SIZE :].ljust(8, b"\0")
    kind, code, experimenter = struct.unpack_from("!HHI", body)
    size = 16 if kind == _EXPERIMENTER_ERROR else 12
    content = message[size : size + _MOST_CONTENT]
    if kind == _HELLO_FAILED:
        content = content.decode("ascii", "replace").encode("ascii", "replace")
    error = datapath.ofproto_parser.OFPErrorMsg(
        datapath, kind, None if size == 16 else code, content, exp_type=code, experimenter=experimenter
    )
    error.set_headers(*header)
    error.set_buf(message)
    return error
