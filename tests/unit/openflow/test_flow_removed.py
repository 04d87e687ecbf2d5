"""Flow-removed messages as Ryu serializes them."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.ofproto import ofproto_parser
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow import codec
from op25b_app.openflow.flow_removed import FlowRemoved, RemovedReason, decode_flow_removed, is_flow_removed
from op25b_app.openflow.flow_rule import FieldValue, FlowRule
from op25b_app.openflow.oxm import encode_match

VERSIONS = (4, 5, 6)
MATCH = (FieldValue("eth_type", 0x0800), FieldValue("ipv4_src", 10 << 24, 0xFF000000))


def flow_removed(version: int, removed: FlowRemoved) -> bytes:
    """Written down from section 7.4.2 of the specification of 1.3, and 7.5.2 of 1.5."""
    rule, reason, packets, octets = removed
    if version == 6:
        body = struct.pack(
            "!BBHHHQ", rule.table, reason, rule.priority, 9, rule.hard_timeout, rule.cookie
        ) + encode_match(rule.match)
        duration, counts = (
            (0x8002, 0, 8, 3 << 32 | 5),
            (0x8002, 4 << 1, 8, packets, 0x8002, 5 << 1, 8, octets),
        )
        body += struct.pack("!HHHBBQHBBQHBBQ", 0, 40, *duration, *counts)
    else:
        body = struct.pack(
            "!QHBBIIHHQQ",
            *(rule.cookie, rule.priority, reason, rule.table, 3, 5, 9, rule.hard_timeout, packets, octets),
        ) + encode_match(rule.match)
    return struct.pack("!BBHI", version, 11, 8 + len(body), 0) + body


numbers = st.integers(0, (1 << 64) - 1)
all_removed = st.builds(
    FlowRemoved,
    st.builds(
        FlowRule,
        table=st.integers(0, 254),
        priority=st.integers(0, 0xFFFF),
        match=st.sampled_from([(), MATCH, MATCH[:1]]),
        action=st.none(),
        cookie=numbers,
        hard_timeout=st.integers(0, 0xFFFF),
    ),
    st.sampled_from([*RemovedReason, 200]),
    numbers,
    numbers,
)


@pytest.mark.parametrize("version", VERSIONS)
@given(removed=all_removed)
def test_what_is_reported_is_read(version: int, removed: FlowRemoved) -> None:
    message = flow_removed(version, removed)
    assert is_flow_removed(message)
    assert decode_flow_removed(message) == removed


@pytest.mark.parametrize("version", VERSIONS)
def test_ryu_reads_it_alike(version: int) -> None:
    """The messages of these tests are well-formed to somebody else, too."""
    message = flow_removed(
        version, FlowRemoved(FlowRule(2, 7, MATCH, None, 77, 60), RemovedReason.HARD_TIMEOUT, 5, 6)
    )
    reported = ofproto_parser.msg(ProtocolDesc(version), version, 11, len(message), 0, message)
    assert (reported.table_id, reported.priority, reported.cookie, reported.reason) == (2, 7, 77, 1)
    assert (reported.idle_timeout, reported.hard_timeout) == (9, 60)
    assert reported.match["ipv4_src"] == ("10.0.0.0", "255.0.0.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_cut_short_is_refused_and_of_a_match_cut_short_the_rest_is_read(version: int) -> None:
    rule = FlowRule(2, 7, MATCH, None, 77, 60)
    whole = flow_removed(version, FlowRemoved(rule, 1, 5, 6))
    match = whole.index(encode_match(MATCH))
    for length in range(8, match):
        with pytest.raises(ValueError, match="unreadable flow-removed message"):
            decode_flow_removed(whole[:length])
    broken = whole[:match] + b"\0\2" + whole[match + 2 :]
    removed = decode_flow_removed(broken)
    assert removed.rule._replace(match=MATCH) == rule
    assert removed.rule.match not in ((), MATCH)


@given(garbage=st.binary(max_size=120), version=st.sampled_from(VERSIONS))
def test_garbage_ends_in_a_rule_or_in_value_error(garbage: bytes, version: int) -> None:
    with contextlib.suppress(ValueError):
        decode_flow_removed(struct.pack("!BBHI", version, 11, 8 + len(garbage), 0) + garbage)


def test_a_barrier_is_none() -> None:
    assert not is_flow_removed(codec.encode_barrier_request(version=4, xid=1))
