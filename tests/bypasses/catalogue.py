"""The catalogue of bypasses, as data."""

from __future__ import annotations

from isp import DYNAMIC, STATIC, UNLISTED

from tests.bypasses import arrangements as by
from tests.bypasses import encapsulation as tunnels
from tests.bypasses import extension_headers as headers
from tests.bypasses import fragments, link_layer
from tests.bypasses.bends import syn_as_ack
from tests.bypasses.rulesets import Setting
from tests.bypasses.trick import Honest, Trick

B = frozenset({Setting.BASE})
N: frozenset[Setting] = frozenset()
TRICKS = [
    Trick("plain v4", "", by.direct(4), False, B),
    Trick("plain v6", "", by.direct(6), False, B),
    Trick("v4 8", "", by.direct(4, fragments.ipv4_fragments(8)), True, N),
    Trick("v6 24", "", by.direct(6, fragments.ipv6_fragments(24)), True, N),
    Trick("v6 8 acc", "", by.to_accomplice(6, fragments.ipv6_fragments(8)), True, N),
    Trick("double", "", by.to_neighbour(4, link_layer.tags((0x8100, 100), (0x8100, 200))), True, N),
    Trick("double6", "", by.to_neighbour(6, link_layer.tags((0x8100, 100), (0x8100, 200))), True, N),
    Trick("gre", "", by.through_tunnel(4, lambda ends: tunnels.tunnel(tunnels.in_gre, 4, ends)), True, N),
    Trick("borrowed", "", by.borrowed(4, STATIC), True, N),
    Trick("redirected", "", by.redirected(4), True, N),
    Trick("redirected6", "", by.redirected(6), True, N),
    Trick("cloned", "", by.cloned(4), True, N),
    Trick("cloned6", "", by.cloned(6), True, N),
    Trick("tri", "", by.helper_outside(4), True, N),
    Trick("tri6", "", by.helper_outside(6), True, N),
    Trick("tri off", "", by.relay_outside(4), True, N),
    Trick("tri off6", "", by.relay_outside(6), True, N),
    Trick("ll6", "", by.link_local(6), True, N),
    Trick("ll4", "", by.link_local(4), True, N),
]
HONEST: list[Honest] = []
