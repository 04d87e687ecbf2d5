"""A Ryu application for the tests: what the controller itself calls too late is late only when it hangs.

A process that stops may take as long as a loaded machine needs, and a switch may stop reading for as long.
"""

from __future__ import annotations

from ryu.base import app_manager

from op25b_app.controller import buffered_socket, signals
from testing.patience import HANG_SECONDS


class Unhurried(app_manager.RyuApp):
    """Its module is loaded with the others, before any switch connects."""


vars(signals)["STOP_SECONDS"] = vars(buffered_socket)["SEND_SECONDS"] = HANG_SECONDS
