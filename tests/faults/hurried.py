"""A Ryu application for the tests: sessions wait a tenth of the time, for answers and before they retry."""

from __future__ import annotations

from typing import Any

from ryu.base import app_manager

from op25b_app.sync import session


class Hurried(app_manager.RyuApp):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("ANSWER_SECONDS", "RETRY_SECONDS"):
            vars(session)[name] = getattr(session, name) / 10
