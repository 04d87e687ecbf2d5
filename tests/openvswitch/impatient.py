"""A Ryu application for the tests: a switch may stop reading for a second, and no longer."""

from __future__ import annotations

from ryu.base import app_manager

from op25b_app.controller import buffered_socket


class Impatient(app_manager.RyuApp):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        vars(buffered_socket)["SEND_SECONDS"] = 1.0
