"""A Ryu application for the tests: the log tells of every connection, however many one switch has."""

from __future__ import annotations

from ryu.base import app_manager

from op25b_app.operate import flood_limit


class EveryLine(app_manager.RyuApp):
    """Its module is loaded with the others, before any switch connects."""


vars(flood_limit)["BURST"] = vars(flood_limit)["BURST_OF_KIND"] = 1_000_000_000
