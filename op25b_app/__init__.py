"""Outbound Port 25 Blocking for OpenFlow switches, as a Ryu application.

The public Python API (``docs/api.md``) is that of ``op25b_app.api``, which is imported at its first use: the
command and the controller do not wait for what they do not use.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from op25b_app.api import *  # noqa: F403
    from op25b_app.api import __all__ as __all__
else:  # A type checker would take every name for a public one.

    def __getattr__(name: str) -> object:
        """Import a public name, or ``__all__`` of them. Raises AttributeError for any other."""
        import op25b_app.api as api

        if name == "__all__" or name in api.__all__:
            # Importing api binds the name of a package that is a public function as well: diff.
            return globals().get(name) or getattr(api, name)
        raise AttributeError(f"module 'op25b_app' has no attribute '{name}'")

    def __dir__() -> list[str]:
        """Return the public names, and those of the module itself."""
        return sorted({*globals(), *__getattr__("__all__")})
