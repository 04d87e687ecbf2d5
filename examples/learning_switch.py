"""Ryu's learning switch, in a table of its own behind op25b.

In the policy, each switch says ``forwarding: {table: 10}``. Then both run in one controller:

    op25b run --policy policy.yaml examples/learning_switch.py

What op25b permits goes on to table 10, where this application learns and forwards; what op25b blocks never
gets there. Any application can live behind op25b that writes its rules to a table other than 0.
"""

from __future__ import annotations

from typing import Any

from ryu.app import simple_switch_13

TABLE = 10


class LearningSwitch(simple_switch_13.SimpleSwitch13):
    def add_flow(
        self, datapath: Any, priority: int, match: Any, actions: list[Any], buffer_id: int | None = None
    ) -> None:
        """What the base class does, in TABLE instead of table 0."""
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        message = parser.OFPFlowMod(
            datapath,
            table_id=TABLE,
            priority=priority,
            buffer_id=ofproto.OFP_NO_BUFFER if buffer_id is None else buffer_id,
            match=match,
            instructions=[parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)],
        )
        datapath.send_msg(message)
