"""A Ryu application as tutorials write them: Ryu's parser builds a message for each rule, then a barrier.

``RULES_FILE`` names a JSON list of rules, which it reads before any switch connects.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, set_ev_cls
from ryu.ofproto import ofproto_v1_3


class PlainRyu(app_manager.RyuApp):
    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rules = json.loads(Path(os.environ["RULES_FILE"]).read_text())

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def connected(self, event: Any) -> None:
        datapath = event.msg.datapath
        parser = datapath.ofproto_parser
        for rule in self.rules:
            match = parser.OFPMatch(**{name: _value(value) for name, value in rule["match"].items()})
            datapath.send_msg(
                parser.OFPFlowMod(
                    datapath=datapath,
                    cookie=rule["cookie"],
                    table_id=rule["table"],
                    priority=rule["priority"],
                    match=match,
                    instructions=_instructions(datapath, rule),
                )
            )
        datapath.send_msg(parser.OFPBarrierRequest(datapath))


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _instructions(datapath: Any, rule: dict[str, Any]) -> list[Any]:
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    if "goto" in rule:
        return [parser.OFPInstructionGotoTable(rule["goto"])]
    if "output" in rule:
        actions = [parser.OFPActionOutput(rule["output"])]
        return [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)]
    return []
