"""Packet-ins of op25b's own rules, as Ryu reads them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.ofproto import ofproto_parser
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow.flow_rule import FieldValue
from op25b_app.openflow.oxm import encode_match
from op25b_app.openflow.packet_in import PacketIn, decode_packet_in, is_own_packet_in

VERSIONS = (4, 5, 6)
OURS, THEIRS = 0x25B0_0D00_0000_0001, 0x25B1_0D00_0000_0001
FRAME = bytes(range(60))


def packet_in(
    version: int = 4, cookie: int = OURS, port: int = 7, frame: bytes = FRAME, length: int | None = None
) -> bytes:
    """Written down from section 7.4.1 of the specification."""
    match = encode_match((FieldValue("in_port", port), FieldValue("metadata", 5)))
    length = len(frame) if length is None else length
    body = struct.pack("!IHBBQ", 0xFFFFFFFF, length, 1, 0, cookie) + match + bytes(2) + frame
    return struct.pack("!BBHI", version, 10, 8 + len(body), 0) + body


@pytest.mark.parametrize("version", VERSIONS)
def test_a_copy_is_read_as_ryu_reads_it(version: int) -> None:
    message = packet_in(version)
    assert decode_packet_in(message) == PacketIn(OURS, 7, FRAME)
    theirs = ofproto_parser.msg(ProtocolDesc(version), version, 10, len(message), 0, message)
    assert (theirs.cookie, theirs.match["in_port"], bytes(theirs.data)) == (OURS, 7, FRAME)


def test_copies_of_other_applications_are_not_ours() -> None:
    assert is_own_packet_in(packet_in())
    assert not is_own_packet_in(packet_in(cookie=THEIRS))
    removed = bytearray(packet_in())
    removed[1] = 11
    assert not is_own_packet_in(bytes(removed))


def test_a_frame_that_is_cut_off_is_none() -> None:
    assert decode_packet_in(packet_in(length=61)) is None


@given(st.integers(0, 120), st.binary(max_size=40))
def test_nothing_malformed_raises(kept: int, tail: bytes) -> None:
    message = packet_in()[:kept].ljust(8, b"\0") + tail
    is_own_packet_in(message)
    decode_packet_in(message)
