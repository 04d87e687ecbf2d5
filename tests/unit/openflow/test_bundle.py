"""Bundles against Ryu's, byte for byte."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.ofproto import ofproto_parser
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow import bundle, codec
from op25b_app.openflow.bundle import BundleControlReply, BundleControlType
from op25b_app.openflow.flow_rule import FieldValue, FlowRule

VERSIONS = (4, 5, 6)
RULE = FlowRule(3, 7, (FieldValue("eth_type", 0x0800), FieldValue("ipv4_src", 10 << 24, 0xFF000000)), None, 9)
REQUESTS = {
    BundleControlType.OPEN: bundle.encode_open,
    BundleControlType.CLOSE: bundle.encode_close,
    BundleControlType.COMMIT: bundle.encode_commit,
    BundleControlType.DISCARD: bundle.encode_discard,
}
numbers = st.integers(0, 0xFFFFFFFF)


def ryu_control(version: int, control: BundleControlType, number: int, xid: int) -> bytes:
    datapath = ProtocolDesc(version)
    parser = datapath.ofproto_parser
    message_class = parser.ONFBundleCtrlMsg if version == 4 else parser.OFPBundleCtrlMsg
    return serialized(message_class(datapath, number, control, 0b11, []), xid)


def serialized(message: Any, xid: int) -> bytes:
    message.set_xid(xid)
    message.serialize()
    return bytes(message.buf)


@pytest.mark.parametrize("control", REQUESTS)
@pytest.mark.parametrize("version", VERSIONS)
@given(number=numbers, xid=numbers)
def test_control_messages_are_ryus_byte_for_byte(
    version: int, control: BundleControlType, number: int, xid: int
) -> None:
    ours = REQUESTS[control](version=version, bundle=number, xid=xid)
    assert ours == ryu_control(version, control, number, xid)


@pytest.mark.parametrize("version", VERSIONS)
@given(number=numbers, xid=numbers)
def test_what_is_added_is_ryus_byte_for_byte(version: int, number: int, xid: int) -> None:
    ours = bundle.encode_add(codec.encode_flow_mod(RULE, version=version, xid=xid), bundle=number)
    datapath = ProtocolDesc(version)
    parser = datapath.ofproto_parser
    flow_mod = parser.OFPFlowMod(
        datapath,
        cookie=9,
        table_id=3,
        priority=7,
        buffer_id=0xFFFFFFFF,
        out_port=0xFFFFFFFF,
        out_group=0xFFFFFFFF,
        match=parser.OFPMatch(eth_type=0x0800, ipv4_src=("10.0.0.0", "255.0.0.0")),
    )
    message_class = parser.ONFBundleAddMsg if version == 4 else parser.OFPBundleAddMsg
    assert ours == serialized(message_class(datapath, number, 0b11, flow_mod, []), xid)


@pytest.mark.parametrize("version", VERSIONS)
@given(
    number=numbers,
    xid=numbers,
    control=st.sampled_from(
        [
            BundleControlType.OPENED,
            BundleControlType.CLOSED,
            BundleControlType.COMMITTED,
            BundleControlType.DISCARDED,
        ]
    ),
)
def test_replies_are_read(version: int, number: int, xid: int, control: BundleControlType) -> None:
    reply = ryu_control(version, control, number, xid)
    assert bundle.decode_control_reply(reply) == BundleControlReply(number, control, xid)


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_else_is_a_reply(version: int) -> None:
    flow_mod = codec.encode_flow_mod(RULE, version=version, xid=1)
    reply = ryu_control(version, BundleControlType.COMMITTED, 5, 1)
    others = [
        *(request(version=version, bundle=5, xid=1) for request in REQUESTS.values()),
        bundle.encode_add(flow_mod, bundle=5),
        flow_mod,
        codec.encode_barrier_request(version=version, xid=1),
        *(reply[:length] for length in range(8, len(reply))),
        reply[:-3] + b"\x09" + reply[-2:],
    ]
    assert [bundle.decode_control_reply(message) for message in others] == [None] * len(others)


def test_ryu_reads_its_own_replies_as_such() -> None:
    """The replies of these tests are what somebody else takes for replies, too."""
    for version in VERSIONS:
        reply = ryu_control(version, BundleControlType.COMMITTED, 5, 1)
        message = ofproto_parser.msg(ProtocolDesc(version), version, reply[1], len(reply), 1, reply)
        assert (message.bundle_id, message.type) == (5, 5)


def test_a_plan_of_100_000_messages_is_wrapped_in_no_time() -> None:
    flow_mod = codec.encode_flow_mod(RULE, version=4, xid=1)
    begin = time.process_time()
    plan = b"".join([bundle.encode_add(flow_mod, bundle=5) for _ in range(100_000)])
    assert time.process_time() - begin < 1
    assert len(plan) == 100_000 * (24 + len(flow_mod))
