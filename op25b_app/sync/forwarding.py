"""Whether a switch forwards what rules hand to its own forwarding (NORMAL): its counters tell.

A switch may take a rule with NORMAL and have nothing behind it (OpenFlow 1.3.5, 4.5: the port is optional).
Its table is proven then, and nothing arrives.
"""

from __future__ import annotations

ENOUGH_PACKETS = 100
"""Fewer may all have been for their own port, or for nobody: NORMAL drops those rightly."""


def forwards_nothing(handed_over: int, sent: int) -> bool:
    """Return whether counters show that NORMAL forwards nothing.

    ``handed_over`` is how many packets rules with NORMAL counted, ``sent`` how many all ports but LOCAL sent,
    in the same span of time or a longer one.
    """
    return handed_over >= ENOUGH_PACKETS and sent == 0
