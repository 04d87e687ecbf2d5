"""Subscribers on one port, each under a tag of its own: ``mn --custom topologies/tagged.py --topo tagged``.

    subscribers ── olt ══ access-1 ══ bng ── edge        ══ frames under tags 101 to 108
                            │    │
                         transit ispmail                 ── frames without a tag

The tags begin at ``olt``, as they do in a DSLAM or an OLT, and end at ``bng``, before the ISP's router, which
makes one Ethernet of them.
"""

import sys
from pathlib import Path

# mn runs this file without a __file__; its code still knows where it comes from.
sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parent))

from isp import LINK_A, SERVERS, STATIC
from single import SingleTopo

TAGS = {
    "spammer": 101,
    "infected": 102,
    "worker": 103,
    "customer": 104,
    "selfhost": 105,
    "company": 106,
    "newpool": 107,
    "borrower": 108,
}
_ROUTER = "02:00:00:00:00:fe"
_TO_SWITCH, _UNTAGGED = 1, 2
"""Ports of ``olt`` and ``bng``; a subscriber's port has the number of his tag."""


class TaggedTopo(SingleTopo):
    """IPv4 and IPv6; ports and tags as in tagged.yaml."""

    ipv6 = True

    def build(self) -> None:
        """Called by Mininet's Topo."""
        self.add_access_switch("access-1", 0x1)
        by_port = {tag: tag for tag in TAGS.values()}
        self.add_tagging_bridge("olt", 0x101, by_port)
        self.add_tagging_bridge("bng", 0x102, {_UNTAGGED: 0, **by_port})
        self.addLink("olt", "access-1", port1=_TO_SWITCH, port2=1)
        self.addLink("bng", "access-1", port1=_TO_SWITCH, port2=26)
        self.build_subscribers()
        self.add_station("ispmail", SERVERS, 25, mail_domain="isp.example")
        self.connect("access-1", {27: "ispmail"})
        self.add_edge_router([(LINK_A, ())], bridge=_ROUTER)
        for port, number in enumerate((_UNTAGGED, *TAGS.values())):
            self.addLink("edge", "bng", port1=port, port2=number)
        self.build_outside()

    def build_subscribers(self) -> None:
        super().build_subscribers()
        # An address of company, who has the whole network. The switch answers no question from here, either.
        self.add_station("borrower", STATIC, 66, router_mac=_ROUTER)
        self.connect("olt", {tag: name for name, tag in TAGS.items()})


topos = {"tagged": TaggedTopo}
