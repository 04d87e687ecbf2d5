"""A Ryu application for the tests: the log names each thread that makes an event loop besides the first.

When such a thread ends, greenlet can end the process with signal 11.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any

from eventlet import hubs
from eventlet.patcher import original
from ryu.base import app_manager

MADE = "an event loop was made in another thread"
_main = original("threading").get_ident()
_use_hub = hubs.use_hub


def _watched(*arguments: Any) -> None:
    if original("threading").get_ident() != _main:
        logging.getLogger("hub_watch").error("%s:\n%s", MADE, "".join(traceback.format_stack()))
    _use_hub(*arguments)


hubs.use_hub = _watched


class HubWatch(app_manager.RyuApp):
    """Its module is loaded before any application starts."""
