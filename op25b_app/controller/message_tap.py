"""Take op25b's messages before Ryu parses them, and keep unreadable ones from ending the connection.

Sessions get the messages that they read as bytes, in order of arrival. Answers to their own requests go no
further: as events they would wait in one queue for all switches, behind another turn of the event loop.

Ryu's parser takes 40 µs and more for a rule. A message that it does not understand is lost, or ends the
connection: with an exception from Ryu's own handlers, or for a truncated message from the parser.

The events of these other messages carry the bytes in ``msg.buf``. Ryu parses them only when another
application in the process asks for another attribute:

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
"""Ryu's parser: returns a message from datapath, version, message type, length, xid and bytes."""
Take = Callable[[Any, bytes], bool]
"""Takes a datapath and a message; returns whether to withhold the message from Ryu."""
Wait = Callable[[Any], None]
"""Takes a datapath that has sent a message, and returns when that may be read."""
Charge = Callable[[Any, int, float], None]
"""Takes a datapath, the number of bytes read from it, and the seconds of work for them."""

_PARSERS = {
    1: ofproto_v1_0_parser,
    3: ofproto_v1_2_parser,
    wire.OPENFLOW_13: ofproto_v1_3_parser,
    wire.OPENFLOW_14: ofproto_v1_4_parser,
    wire.OPENFLOW_15: ofproto_v1_5_parser,
}
"""Parsers by version; Open vSwitch refuses some requests of 1.3 and later in the format of OpenFlow 1.0."""

_HELLO_FAILED, _EXPERIMENTER_ERROR = 0, 0xFFFF
_MAX_CONTENT = 1 << 11
"""Most bytes of an error's data that are handed on; Ryu writes out every byte of it."""

log = logging.getLogger("op25b")


def tapped_parser(version: int, take: Take, wait: Wait, charge: Charge) -> Parser:
    """Return the parser for messages of a version: of an unknown one it closes the connection."""
    parser = _PARSERS.get(version)
    return partial(_timed, wait, charge, take, parser.msg_parser) if parser else _refuse


def _refuse(datapath: Any, version: int, kind: int, length: int, xid: int, buffer: bytes) -> None:
    """Close the connection: in such bytes no message can be found."""
    datapath.refuse(f"sent bytes that are no OpenFlow, or OpenFlow of an unknown version ({version})")


def why_ended(datapath: Any) -> str:
    """Return why a connection of Ryu's has ended."""
    if why := datapath.refused:
        return f"connection closed: {why}"
    if len(datapath.unreplied_echo_requests) > datapath.max_unreplied_echo_requests:
        return "connection closed: it gave no answer to echo requests"
    return "connection closed"


def _timed(wait: Wait, charge: Charge, take: Take, parse: Parser, datapath: Any, *header: int | bytes) -> Any:
    """Parse a message in its turn; charge the CPU time of this thread, not the time that it waited."""
    wait(datapath)
    began = time.thread_time()
    try:
        return _parse(take, parse, datapath, *header)  # type: ignore[arg-type]
    finally:
        charge(datapath, len(header[-1]), time.thread_time() - began)  # type: ignore[arg-type]


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
    """Return the name of Ryu's class for a message to parse on demand, else None."""
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
    """Return a class under the name of ``ryu_class``, whose messages are parsed on demand."""

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
    """Return an error in Ryu's class for the spoken version, so that Ryu's own handler survives it."""
    body = message[wire.HEADER_SIZE :].ljust(8, b"\0")
    kind, code, experimenter = struct.unpack_from("!HHI", body)
    size = 16 if kind == _EXPERIMENTER_ERROR else 12
    content = message[size : size + _MAX_CONTENT]
    if kind == _HELLO_FAILED:
        content = content.decode("ascii", "replace").encode("ascii", "replace")
    error = datapath.ofproto_parser.OFPErrorMsg(
        datapath, kind, None if size == 16 else code, content, exp_type=code, experimenter=experimenter
    )
    error.set_headers(*header)
    error.set_buf(message)
    return error
