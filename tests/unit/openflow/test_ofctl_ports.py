"""The ports of a switch, as ``ovs-ofctl show`` prints them."""

from __future__ import annotations

import pytest

from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.openflow.ofctl_ports import read_ports

SHOWN = """\
OFPT_FEATURES_REPLY (OF1.3) (xid=0x2): dpid:0000000000000075
n_tables:254, n_buffers:0
capabilities: FLOW_STATS TABLE_STATS PORT_STATS GROUP_STATS QUEUE_STATS
OFPST_PORT_DESC reply (OF1.3) (xid=0x3):
 1(named-1): addr:aa:55:aa:55:00:16
     config:     0
     state:      LIVE
     speed: 0 Mbps now, 0 Mbps max
 9(odd (name)): addr:aa:55:aa:55:00:18
     config:     0
 LOCAL(named): addr:aa:55:aa:55:00:15
     config:     PORT_DOWN
OFPT_GET_CONFIG_REPLY (OF1.3) (xid=0x9): frags=normal miss_send_len=0
"""


def test_ports_have_names_and_numbers() -> None:
    shown = read_ports(SHOWN)
    assert shown.dpid == 0x75
    assert shown.ports == {("named-1", 1), ("odd (name)", 9), ("named", LOCAL_PORT)}


def test_a_list_of_ports_alone_has_no_datapath_id() -> None:
    assert read_ports(SHOWN.partition("FLOW_STATS")[2]).dpid is None


@pytest.mark.parametrize("text", ["", "cookie=0x0, table=0, priority=1 actions=NORMAL\n"])
def test_what_has_no_ports_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there is no port in it; write what 'ovs-ofctl"):
        read_ports(text)
