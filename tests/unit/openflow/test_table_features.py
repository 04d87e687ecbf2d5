"""Table features against Ryu's parser and serializer."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow import codec
from op25b_app.openflow.table_features import (
    TableFeatures,
    decode_table_features,
    encode_table_features_request,
    is_table_features_reply,
)

VERSIONS = (4, 5, 6)


def ryu_table(version: int, features: TableFeatures) -> Any:
    parser = ProtocolDesc(version).ofproto_parser
    fields = {
        "table_id": features.table,
        "name": features.name.encode(),
        "metadata_match": (1 << 64) - 1,
        "metadata_write": 0xFF,
        "max_entries": features.max_entries,
        "properties": [parser.OFPTableFeaturePropNextTables(type_=2, table_ids=list(range(7)))],
    }
    fields |= {"command": 0, "features": 0, "capabilities": 0} if version == 6 else {"config": 0}
    return parser.OFPTableFeaturesStats(**fields)


def reply(version: int, *tables: TableFeatures) -> bytes:
    body = b"".join(bytes(ryu_table(version, table).serialize()) for table in tables)
    return struct.pack("!BBHIHH4x", version, 19, 16 + len(body), 7, 12, 1) + body


@pytest.mark.parametrize("version", VERSIONS)
def test_the_request_is_ryus_byte_for_byte(version: int) -> None:
    datapath = ProtocolDesc(version)
    theirs = datapath.ofproto_parser.OFPTableFeaturesStatsRequest(datapath)
    theirs.set_xid(9)
    theirs.serialize()
    assert encode_table_features_request(version=version, xid=9) == bytes(theirs.buf)


tables = st.builds(
    TableFeatures,
    st.integers(0, 254),
    st.text("abcdefgh-", max_size=32),
    st.integers(0, 0xFFFFFFFF),
)


@pytest.mark.parametrize("version", VERSIONS)
@given(reported=st.lists(tables, max_size=5))
def test_tables_are_read(version: int, reported: list[TableFeatures]) -> None:
    message = reply(version, *reported)
    assert is_table_features_reply(message)
    assert codec.has_more(message)
    assert list(decode_table_features(message)) == reported


@pytest.mark.parametrize("version", VERSIONS)
def test_broken_replies_name_the_byte(version: int) -> None:
    whole = reply(version, TableFeatures(3, "third", 77))
    for length in range(17, len(whole)):
        with pytest.raises(ValueError, match="unreadable table features at byte 16"):
            list(decode_table_features(whole[:length]))


@given(garbage=st.binary(max_size=300), version=st.sampled_from(VERSIONS))
def test_garbage_ends_in_tables_or_in_value_error(garbage: bytes, version: int) -> None:
    message = struct.pack("!BBHIHH4x", version, 19, 16 + len(garbage), 7, 12, 0) + garbage
    with contextlib.suppress(ValueError):
        assert all(isinstance(each, TableFeatures) for each in decode_table_features(message))
