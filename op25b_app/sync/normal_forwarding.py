"""Detect by counters that a switch does not forward what rules hand to its own forwarding (NORMAL).

A switch may take a rule with NORMAL and have nothing behind it (OpenFlow 1.3.5, 4.5: the port is optional).
Its table is proven then, and nothing arrives.
"""

from __future__ import annotations

ENOUGH_PACKETS = 100
"""Minimum number of packets for a finding: NORMAL may rightly drop fewer."""


def forwards_nothing(handed_over: int, sent: int) -> bool:
    """Return whether counters show that NORMAL forwards nothing.

    ``handed_over`` is the number of packets that rules with NORMAL counted, ``sent`` the number that all
    ports but LOCAL sent, in the same span of time or a longer one.
    """
    return handed_over >= ENOUGH_PACKETS and sent == 0
