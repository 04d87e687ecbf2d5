"""What a lab takes from the environment of whoever starts it: nothing that leads to another controller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

OURS = "OP25B_"
"""Variables of op25b; one that names a socket, a policy or a state is of another controller."""
OTHERS = ("STATE_DIRECTORY", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "OVS_SYSCONFDIR")
"""Where op25b, Ryu and Open vSwitch look for what a variable of their own does not name."""


def own_environment(outside: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return the environment for everything in a lab that keeps its files in ``directory``."""
    kept = {
        name: value for name, value in outside.items() if not name.startswith(OURS) and name not in OTHERS
    }
    return {
        **kept,
        "OP25B_CONTROL_SOCKET": str(directory / "control.sock"),
        "OP25B_STATE_DIRECTORY": str(directory / "state"),
    }


def enter(directory: Path) -> None:
    """Make it the environment of this process, of the prompt, and of all that they start."""
    own = own_environment(os.environ, directory)
    os.environ.clear()
    os.environ.update(own)


def configuration(directory: Path) -> list[str]:
    """Return options of ryu-manager that keep it from the configuration files of this machine."""
    file, files = directory / "ryu.conf", directory / "ryu.conf.d"
    file.touch()
    files.mkdir(exist_ok=True)
    return ["--config-file", str(file), "--config-dir", str(files)]
