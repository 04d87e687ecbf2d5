"""Read the ports of a switch from what ``ovs-ofctl show`` prints."""

from __future__ import annotations

import re
from typing import NamedTuple

from op25b_app.net.port_number import LOCAL_PORT, PortNumbers

_DATAPATH_ID = re.compile(r"\bdpid:([0-9a-f]{16})\b")
_PORT = re.compile(r"\s+(LOCAL|[0-9]{1,10})\((.*)\): addr:[0-9a-f:]+")


class ShownPorts(NamedTuple):
    """The names and numbers of a switch's ports; its datapath id, None where the text does not have it."""

    dpid: int | None
    ports: PortNumbers


def read_ports(text: str) -> ShownPorts:
    """Return the ports in the output of ``ovs-ofctl show``, or of ``ovs-ofctl dump-ports-desc``.

    Raises ValueError, its text a remedy, where there is none.
    """
    dpid = _DATAPATH_ID.search(text)
    found = (_PORT.match(line) for line in text.splitlines())
    ports = frozenset(
        (port[2], LOCAL_PORT if port[1] == "LOCAL" else int(port[1])) for port in found if port is not None
    )
    if not ports:
        raise ValueError("there is no port in it; write what 'ovs-ofctl -O OpenFlow13 show BRIDGE' prints")
    return ShownPorts(None if dpid is None else int(dpid[1], 16), ports)
