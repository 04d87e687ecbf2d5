"""What a controller is told by its environment, and by section [op25b] of ryu-manager's --config-file."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

from ryu import cfg

from op25b_app.operate.endpoint import control_socket

POLICY = "OP25B_POLICY"
STATE_DIRECTORY = "OP25B_STATE_DIRECTORY"
RELOAD_ON_CHANGE = "OP25B_RELOAD_ON_CHANGE"
AUDIT_SECONDS = "OP25B_AUDIT_SECONDS"
YES = "OP25B_YES"

cfg.CONF.register_opts(
    [
        cfg.StrOpt("policy", help="the policy file"),
        cfg.StrOpt("control_socket", help="where 'op25b status' and the like reach this controller"),
        cfg.StrOpt("state_directory", help="where the last policy in force is kept"),
        cfg.BoolOpt("reload_on_change", default=False, help="reload when the policy's files have changed"),
        cfg.FloatOpt("audit_seconds", default=300.0, min=1.0, help="about how often tables are read again"),
        cfg.BoolOpt(
            "yes", default=False, help="start even with a policy that stops blocking, or opens far more"
        ),
    ],
    "op25b",
)

_log = logging.getLogger("op25b")


def policy_path() -> Path:
    """The policy file, which need not be there; exit code 1 where none is named."""
    if path := os.environ.get(POLICY) or _configured("policy"):
        return Path(path).absolute()
    _log.error(
        "no policy: name its file with 'op25b run --policy FILE', with %s in the environment, "
        "or with 'policy = FILE' in section [op25b] of --config-file",
        POLICY,
    )
    raise SystemExit(1)


def socket_path() -> Path:
    return control_socket(configured=_configured("control_socket"))


def state_directory() -> Path:
    """Where the last policy in force is kept: as told, as systemd has it, or where this user's belongs.

    Exit code 1 where this user has no such place.
    """
    if told := os.environ.get(STATE_DIRECTORY) or _configured("state_directory"):
        return Path(told)
    if given := os.environ.get("STATE_DIRECTORY"):  # systemd.exec(5): several are separated by colons
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/op25b")
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state", "op25b")
    except RuntimeError:
        _log.error(
            "no place to keep the policy in: HOME is not set, and user %d has no home; name a directory "
            "in %s, or with 'state_directory = DIRECTORY' in section [op25b] of --config-file",
            os.geteuid(),
            STATE_DIRECTORY,
        )
        raise SystemExit(1) from None


def reload_on_change() -> bool:
    return os.environ.get(RELOAD_ON_CHANGE) == "1" or bool(_configured("reload_on_change"))


def audit_seconds() -> float:
    """How often the table of a switch that is as wanted is read again, about; at least a second."""
    told = os.environ.get(AUDIT_SECONDS)
    if told is None:
        return float(_configured("audit_seconds"))
    try:
        seconds = float(told)
    except ValueError:
        seconds = math.nan
    if 1 <= seconds < math.inf:
        return seconds
    _log.error("%s=%s is not a number of seconds from 1 on", AUDIT_SECONDS, told)
    raise SystemExit(1)


def may_stop_blocking() -> bool:
    """Whether a start may put a policy in force that blocks nothing where the last one did."""
    return os.environ.get(YES) == "1" or bool(_configured("yes"))


def _configured(name: str) -> Any:
    """Return what section [op25b] says of an option, or its default; exit code 1 where it cannot be that."""
    try:
        return getattr(cfg.CONF.op25b, name)
    except ValueError as error:
        reason = str(error).rpartition(" is not valid: ")[2]
        _log.error("%s in section [op25b] of --config-file: %s", name, reason)
        raise SystemExit(1) from None
