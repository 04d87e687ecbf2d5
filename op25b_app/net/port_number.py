"""Port numbers of a switch, as people and ``ovs-ofctl`` write them."""

LOCAL_PORT = 0xFFFFFFFE
"""OFPP_LOCAL, the port of the switch's own network stack (OpenFlow 1.3.5, section 7.2.1)."""


def port_name(port: int) -> str:
    """Return a port number as ``ovs-ofctl`` writes it."""
    return "LOCAL" if port == LOCAL_PORT else str(port)
