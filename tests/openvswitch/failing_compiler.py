"""A Ryu application for the tests: the compiler of op25b fails for every switch with an even datapath id."""

from __future__ import annotations

from typing import Any

from ryu.base import app_manager

from op25b_app.compiler.compiler import Compiler


class FailingCompiler(app_manager.RyuApp):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        compiled = Compiler.segments

        def fail_if_even(compiler: Compiler, switch: Any, at: float) -> Any:
            if switch.dpid % 2 == 0:
                raise RuntimeError("a mistake in the compiler")
            return compiled(compiler, switch, at)

        setattr(Compiler, "segments", fail_if_even)  # noqa: B010
