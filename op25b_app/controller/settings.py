"""Read the controller's settings: the environment, and section [op25b] of ryu-manager's --config-file."""

from __future__ import annotations

import difflib
import glob
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oslo_config import types
from oslo_config.cfg import ConfigParser
from ryu import cfg

from op25b_app.operate.control_client import control_socket
from op25b_app.operate.state_directory import default_state_directory

SECTION = "op25b"
_OPTIONS = [
    cfg.StrOpt("policy", help="the policy file"),
    cfg.StrOpt("control_socket", help="where 'op25b status' and the like reach this controller"),
    cfg.StrOpt("state_directory", help="where the last policy in force is kept"),
    cfg.BoolOpt("reload_on_change", default=False, help="reload when the policy's files have changed"),
    cfg.FloatOpt("audit_seconds", default=300.0, min=1.0, help="about how often tables are read again"),
    cfg.BoolOpt(
        "yes",
        default=False,
        help="start even with a policy that cuts off lines, stops blocking, or opens far more",
    ),
]
_TYPES = {option.name: option.type for option in _OPTIONS}
WORDS = [
    word for pair in zip(types.Boolean.TRUE_VALUES, types.Boolean.FALSE_VALUES, strict=True) for word in pair
]
cfg.CONF.register_opts(_OPTIONS, SECTION)

_log = logging.getLogger("op25b")


def problems() -> Iterator[str]:
    """Yield a message for each wrong value and each unknown key: its place, and the remedy."""
    for key in ("reload_on_change", "yes", "audit_seconds"):
        if given := os.environ.get(_variable(key)):
            yield from _wrong_value(key, f"{_variable(key)}=", given)
    in_files: dict[str, tuple[str, str]] = {}
    for section, values, file in _sections():
        if section.lower() == SECTION:
            in_files |= {key: (each[-1], file) for key, each in values.items()}
        elif difflib.get_close_matches(section.lower(), [SECTION], cutoff=0.8):
            yield f"section [{section}] of {file}: did you mean [{SECTION}]?"
    for key, (value, file) in in_files.items():
        where = f" in section [{SECTION}] of {file}"
        if key not in _TYPES:
            near = difflib.get_close_matches(key, _TYPES, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"settings are {', '.join(_TYPES)}"
            yield f"{key} = {value}{where}: there is no such setting: {remedy}"
        elif "$" not in value:  # otherwise it stands for another option's value
            yield from _wrong_value(key, f"{key} = ", value, where)


def _wrong_value(key: str, written: str, given: str, where: str = "") -> Iterator[str]:
    """Yield a message where a value is wrong; ``written`` is what stands before it."""
    try:
        value = _TYPES[key](given.strip())
    except ValueError:
        value = None
    if isinstance(_TYPES[key], types.Boolean) and value is None:
        yield f"{written}{given}{where} is neither on nor off: write one of {', '.join(WORDS)}"
    elif isinstance(_TYPES[key], types.Float) and (value is None or not value < math.inf):
        yield f"{written}{given}{where} is not a number of seconds from 1 on: write one, such as {written}300"


def check() -> None:
    """Log what is wrong with the settings. Raises SystemExit with code 1 if anything is."""
    if wrong := [*problems()]:
        for problem in wrong:
            _log.error("%s", problem)
        raise SystemExit(1)


def policy_path() -> Path:
    """Return the policy file, which need not exist. Raises SystemExit (1) where none is named."""
    if path := _setting("policy"):
        return Path(path).absolute()
    _log.error(
        "no policy: name its file with 'op25b run --policy FILE', with OP25B_POLICY in the environment, "
        "or with 'policy = FILE' in section [op25b] of --config-file"
    )
    raise SystemExit(1)


def socket_path() -> Path:
    """Return the path of the control socket."""
    return control_socket(_setting("control_socket"))


def state_directory() -> Path:
    """Return the directory of the last policy in force: as set, else systemd's, else this user's.

    Raises SystemExit (1) where this user has none.
    """
    if given := _setting("state_directory"):
        return Path(given)
    try:
        return default_state_directory()
    except RuntimeError:
        _log.error(
            "no place to keep the policy in: HOME is not set, and user %d has no home; "
            "name a directory in OP25B_STATE_DIRECTORY, or with 'state_directory = DIRECTORY' "
            "in section [op25b] of --config-file",
            os.geteuid(),
        )
        raise SystemExit(1) from None


def reload_on_change() -> bool:
    """Return whether to reload when files of the policy have changed."""
    return bool(_setting("reload_on_change"))


def audit_seconds() -> float:
    """Return the approximate seconds between readings of a flow table that is as wanted; at least 1."""
    return float(_setting("audit_seconds"))


def may_stop_blocking() -> bool:
    """Return whether a start may put a policy in force that stops blocking, or opens far more."""
    return bool(_setting("yes"))


def _sections() -> Iterator[tuple[str, dict[str, list[str]], str]]:
    """Yield each section of each configuration file: its name, its values by key, and the file."""
    for file in _files():
        sections: dict[str, dict[str, list[str]]] = {}
        ConfigParser(file, sections).parse()
        for section, values in sections.items():
            yield section, values, file


def _files() -> Iterator[str]:
    """Yield the configuration files that were read, in that order."""
    conf = cfg.CONF
    yield from filter(os.path.exists, map(os.path.expanduser, conf.config_file or ()))
    for directory in map(os.path.expanduser, conf.config_dirs or conf.default_config_dirs):
        yield from sorted(glob.glob(os.path.join(directory, "*.conf")))


def _variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"OP25B_{name.upper()}"


def _setting(name: str) -> Any:
    """Return a setting of the environment, else of section [op25b], else its default.

    Exits with code 1 where its value is wrong.
    """
    try:
        if given := os.environ.get(_variable(name)):
            kind = _TYPES[name]
            return given if isinstance(kind, types.String) else kind(given.strip())
        return getattr(cfg.CONF.op25b, name)
    except ValueError as error:
        reason = str(error).rpartition(" is not valid: ")[2]
        _log.error("%s in section [op25b] of --config-file: %s", name, reason)
        raise SystemExit(1) from None
