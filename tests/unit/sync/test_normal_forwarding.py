"""Counters that show whether NORMAL forwards."""

from __future__ import annotations

import pytest

from op25b_app.sync.normal_forwarding import ENOUGH_PACKETS, forwards_nothing


@pytest.mark.parametrize(
    ("handed_over", "sent", "nothing"),
    [
        (0, 0, False),
        (ENOUGH_PACKETS - 1, 0, False),
        (ENOUGH_PACKETS, 0, True),
        (10**12, 0, True),
        (ENOUGH_PACKETS, 1, False),
        (10**12, 5, False),
    ],
)
def test_packets_that_a_normal_rule_counts_while_ports_send_none(
    handed_over: int, sent: int, nothing: bool
) -> None:
    assert forwards_nothing(handed_over, sent) is nothing
