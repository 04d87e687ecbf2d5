"""Access switches, an aggregation switch, two uplinks: ``mn --custom topologies/metro.py --topo metro``."""

import sys
from pathlib import Path

# mn runs this file without a __file__; its code still knows where it comes from.
sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parent))

from isp import (
    DYNAMIC,
    LINK_A,
    LINK_B,
    MAIL_OUTSIDE,
    OFFICE_OUTSIDE,
    SENDER_OUTSIDE,
    SERVERS,
    STATIC,
    UNLISTED,
    IspTopo,
)

TRUNK = 25


class MetroTopo(IspTopo):
    """IPv4 and IPv6; ports as in metro.yaml. A tree: two uplinks, to two providers, are no loop."""

    def build(self) -> None:
        self.add_access_switch("agg-1", 0x10)
        for number in (1, 2, 3):
            self.add_access_switch(f"access-{number}", 0x10 + number)
            self.addLink(f"access-{number}", "agg-1", port1=TRUNK, port2=number)
        self.build_subscribers()
        self.build_core()

    def build_subscribers(self) -> None:
        self.add_station("spammer", DYNAMIC, 11)
        self.add_station("company", STATIC, 10, mail_domain="company.example")
        self.connect("access-1", {1: "spammer", 2: "company"})
        self.add_station("infected", DYNAMIC, 12)
        self.add_station("customer", DYNAMIC, 14)
        self.connect("access-2", {1: "infected", 2: "customer"})
        self.add_station("worker", DYNAMIC, 13)
        self.add_station("selfhost", DYNAMIC, 15, mail_domain="selfhost.example")
        self.add_station("newpool", UNLISTED, 7)
        self.connect("access-3", {1: "worker", 2: "selfhost", 3: "newpool"})

    def build_core(self) -> None:
        self.add_station("ispmail", SERVERS, 25, mail_domain="isp.example")
        self.add_edge_router([(LINK_A, ()), (LINK_B, (OFFICE_OUTSIDE,))])
        self.add_transit_router("transit-a", LINK_A, (MAIL_OUTSIDE, SENDER_OUTSIDE))
        self.add_transit_router("transit-b", LINK_B, (OFFICE_OUTSIDE,))
        self.connect("agg-1", {25: "transit-a", 26: "transit-b", 27: "edge", 28: "ispmail"})
        self.add_station("extmail", MAIL_OUTSIDE, 25, mail_domain="external.example")
        self.add_station("sender", SENDER_OUTSIDE, 6)
        self.add_station("office", OFFICE_OUTSIDE, 25, mail_domain="office.example")
        self.addLink("transit-a", "extmail", port1=1, port2=0)
        self.addLink("transit-a", "sender", port1=2, port2=0)
        self.addLink("transit-b", "office", port1=1, port2=0)


topos = {"metro": MetroTopo}
