"""Two lines without an address, which a DHCP server gives: ``mn --custom topologies/dhcp.py --topo dhcp``."""

import sys
from pathlib import Path

# mn runs this file without a __file__; its code still knows where it comes from.
sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parent))

from isp import DYNAMIC, LINK_A, MAIL_OUTSIDE, SERVERS, IspTopo, Station


class DhcpTopo(IspTopo):
    """IPv4 only; ports as in dhcp.yaml. The server is to run on ``edge``."""

    ipv6 = False

    def build(self) -> None:
        """Called by Mininet's Topo."""
        self.add_access_switch("access-1", 0x1)
        for name in ("subscriber", "neighbour"):
            self.addHost(name, cls=Station, ip=None, addresses=[()], space=DYNAMIC.space)
        self.add_station("ispmail", SERVERS, 25, mail_domain="isp.example")
        self.add_edge_router([(LINK_A, ())])
        self.add_transit_router("transit", LINK_A, (MAIL_OUTSIDE,))
        self.add_station("extmail", MAIL_OUTSIDE, 25, mail_domain="external.example")
        self.connect("access-1", {1: "subscriber", 2: "neighbour", 25: "transit", 26: "edge", 27: "ispmail"})
        self.addLink("transit", "extmail", port1=1, port2=0)


topos = {"dhcp": DhcpTopo}
