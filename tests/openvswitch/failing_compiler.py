"""A Ryu application for the tests: the compiler of op25b fails for every switch with an even datapath id."""

from __future__ import annotations

from typing import Any

from ryu.base import app_manager

from op25b_app.rules.compiler import compile_rules
from op25b_app.switch import assignment


class FailingCompiler(app_manager.RyuApp):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

        def fail_if_even(policy: Any, switch: Any, at: float) -> Any:
            if switch.dpid % 2 == 0:
                raise RuntimeError("a mistake in the compiler")
            return compile_rules(policy, switch, at)

        vars(assignment)["compile_rules"] = fail_if_even
