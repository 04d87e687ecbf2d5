"""The Ryu application, under the name that ``ryu-manager`` is given: ``ryu-manager op25b_app.app``."""

from __future__ import annotations

from op25b_app.controller.app import Application


class Op25b(Application):
    """Keeps the switches of a policy in their desired state. Ryu starts classes of the named module only."""
