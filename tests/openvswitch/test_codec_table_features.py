"""The room in the tables of a real Open vSwitch."""

from __future__ import annotations

import pytest

from op25b_app.openflow import codec
from op25b_app.openflow.table_features import (
    TableFeatures,
    decode_table_features,
    encode_table_features_request,
    is_table_features_reply,
)
from testing.private_ovs import PrivateOvs


@pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
def test_a_limit_that_was_set_is_reported(ovs: PrivateOvs, version: int) -> None:
    bridge = f"features{version}"
    ovs.add_bridge(bridge, protocols="OpenFlow13,OpenFlow14,OpenFlow15")
    limit = ("--", "--id=@table", "create", "Flow_Table", "name=egress", "flow_limit=100")
    ovs.vsctl(*limit, "--", "set", "Bridge", bridge, "flow_tables:2=@table")
    with ovs.openflow(bridge, version) as switch:
        switch.send(encode_table_features_request(version=version, xid=9))
        messages = switch.received()
    assert all(is_table_features_reply(message) for message in messages)
    assert [codec.has_more(message) for message in messages] == [True] * (len(messages) - 1) + [False]
    tables = [table for message in messages for table in decode_table_features(message)]
    assert [table.table for table in tables] == list(range(254))
    assert tables[1:3] == [TableFeatures(1, "", 1_000_000), TableFeatures(2, "egress", 100)]
