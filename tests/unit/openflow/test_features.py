"""What a switch says of itself, against Ryu's parser."""

from __future__ import annotations

import struct

import pytest
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow.features import Features, decode_features

VERSIONS = pytest.mark.parametrize("version", [4, 5, 6])


def reply(version: int) -> bytes:
    body = struct.pack("!QIBB2xII", 0xFEDC_BA98_7654_3210, 256, 254, 3, 0x4F, 0)
    return struct.pack("!BBHI", version, 6, 8 + len(body), 7) + body


@VERSIONS
def test_it_is_read_as_ryu_reads_it(version: int) -> None:
    message, protocol = reply(version), ProtocolDesc(version)
    read = protocol.ofproto_parser.msg_parser(protocol, version, 6, len(message), 7, message)
    assert decode_features(message) == Features(read.datapath_id, read.n_tables, read.auxiliary_id)


@VERSIONS
def test_no_other_message_and_none_that_is_too_short(version: int) -> None:
    message = reply(version)
    assert all(decode_features(message[:size]) is None for size in range(8, len(message)))
    assert decode_features(message[:1] + b"\x07" + message[2:]) is None
