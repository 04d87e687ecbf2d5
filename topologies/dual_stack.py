"""The single access switch in IPv4 and IPv6: ``mn --custom topologies/dual_stack.py --topo dual-stack``."""

import sys
from pathlib import Path

# mn runs this file without a __file__; its code still knows where it comes from.
sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parent))

from single import SingleTopo


class DualStackTopo(SingleTopo):
    """Every host has an address of each family; ports as in dual_stack.yaml."""

    ipv6 = True


topos = {"dual-stack": DualStackTopo}
