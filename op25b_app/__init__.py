"""Outbound Port 25 Blocking for OpenFlow switches, as a Ryu application.

The names below are the public Python API (``docs/api.md``). They are imported at first use, so that the
command and the controller do not wait for what they do not use.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from op25b_app.api import (
        CannotDecide,
        Decision,
        Diagnostic,
        Effect,
        FlowRule,
        LoadedPolicy,
        PolicyError,
        Proven,
        Refuted,
        TooCostly,
        Verdict,
        compile_rules,
        diff,
        format_rule,
        load,
        prove,
        summary,
    )

__all__ = [
    "CannotDecide",
    "Decision",
    "Diagnostic",
    "Effect",
    "FlowRule",
    "LoadedPolicy",
    "PolicyError",
    "Proven",
    "Refuted",
    "TooCostly",
    "Verdict",
    "compile_rules",
    "diff",
    "format_rule",
    "load",
    "prove",
    "summary",
]

if not TYPE_CHECKING:  # A type checker would take every name for a public one.

    def __getattr__(name: str) -> object:
        """Import a public name. Raises AttributeError for any other."""
        if name not in __all__:
            raise AttributeError(f"module 'op25b_app' has no attribute '{name}'")
        from op25b_app import api

        # Importing api binds the name of a package that is a public function as well: diff.
        return globals().get(name) or getattr(api, name)


def __dir__() -> list[str]:
    """Return the public names, and those of the module itself."""
    return sorted({*globals(), *__all__})
