"""One access switch with its subscribers: ``mn --custom topologies/single.py --topo single``."""

import sys
from pathlib import Path

# mn runs this file without a __file__; its code still knows where it comes from.
sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parent))

from isp import (
    DYNAMIC,
    LINK_A,
    MAIL_OUTSIDE,
    OFFICE_OUTSIDE,
    SENDER_OUTSIDE,
    SERVERS,
    STATIC,
    UNLISTED,
    IspTopo,
)


class SingleTopo(IspTopo):
    """IPv4 only; ports as in single.yaml."""

    ipv6 = False

    def build(self) -> None:
        """Called by Mininet's Topo."""
        self.add_access_switch("access-1", 0x1)
        self.build_subscribers()
        self.add_station("ispmail", SERVERS, 25, mail_domain="isp.example")
        self.add_edge_router([(LINK_A, ())])
        self.connect(
            "access-1",
            {
                1: "spammer",
                2: "infected",
                3: "worker",
                4: "customer",
                5: "selfhost",
                6: "company",
                7: "newpool",
                26: "edge",
                27: "ispmail",
            },
        )
        self.build_outside()

    def build_subscribers(self) -> None:
        self.add_station("spammer", DYNAMIC, 11)
        self.add_station("infected", DYNAMIC, 12)
        self.add_station("worker", DYNAMIC, 13)
        self.add_station("customer", DYNAMIC, 14)
        self.add_station("selfhost", DYNAMIC, 15, mail_domain="selfhost.example")
        self.add_station("company", STATIC, 10, mail_domain="company.example")
        self.add_station("newpool", UNLISTED, 7)

    def build_outside(self) -> None:
        outside = (MAIL_OUTSIDE, SENDER_OUTSIDE, OFFICE_OUTSIDE)
        self.add_transit_router("transit", LINK_A, outside)
        self.connect("access-1", {25: "transit"})
        self.add_station("extmail", MAIL_OUTSIDE, 25, mail_domain="external.example")
        self.add_station("sender", SENDER_OUTSIDE, 6)
        self.add_station("office", OFFICE_OUTSIDE, 25, mail_domain="office.example")
        for port, name in enumerate(("extmail", "sender", "office"), start=1):
            self.addLink("transit", name, port1=port, port2=0)


topos = {"single": SingleTopo}
