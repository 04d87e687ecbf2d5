"""Start ``ryu-manager`` with op25b, with the defaults of a controller in production."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import itertools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

APPLICATION = "op25b_app.app"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
REMEDIES = {
    "ConfigDirNotFoundError": "name another directory with --config-dir, or leave it out",
    "ConfigFilesNotFoundError": "name another file with --config-file, or leave it out",
    "ConfigFilesPermissionDeniedError": "let this user read it",
}
"""Remedies for a configuration file that cannot be used, by oslo.config's error; that names the file."""
DEFAULTS = {
    # Any client of the REST interface can control the switches.
    "wsapi_host": "127.0.0.1",
    # Ryu's default keeps a switch that stopped answering for ever; with 3 it is lost after a minute.
    "maximum_unreplied_echo_requests": 3,
}


def run(
    policy: Path | None,
    arguments: Sequence[str],
    *,
    reload_on_change: bool = False,
    yes: bool = False,
    own_options: Sequence[str] = (),
) -> int:
    """Run the controller until a signal stops it; return the exit code.

    ``policy`` overrides OP25B_POLICY and configuration files. ``arguments`` are in ryu-manager's syntax: its
    options and the names of further Ryu applications. ``own_options`` are suggested for options unknown to
    ryu-manager. Raises SystemExit where ryu-manager or the check of its options does.
    """
    if policy is not None:
        os.environ["OP25B_POLICY"] = str(policy.absolute())
    if reload_on_change:
        os.environ["OP25B_RELOAD_ON_CHANGE"] = "1"
    if yes:
        os.environ["OP25B_YES"] = "1"
    from op25b_app.controller import ryu_patches

    ryu_patches.patch_standard_library(threads="--enable-debugger" not in arguments)
    from oslo_config import cfg
    from ryu.cmd import manager

    from op25b_app.controller import options, signals

    ryu_patches.serve_tls()
    logging.getLogger().setLevel(logging.INFO)
    for name, value in DEFAULTS.items():
        manager.CONF.set_default(name, value)
    were_read = _call_when_options_are_read()
    ryu_patches.read_user_flags(partial(_read_user_flags, arguments))
    ryu_patches.check_options()
    ryu_patches.report_wrong_usage(partial(_wrong_usage, own_options))
    try:
        manager.main(args=list(arguments), prog="op25b run")
    except KeyboardInterrupt:  # stopped while applications were starting
        manager.AppManager.get_instance().close()
        return 0
    except SystemExit as end:
        if end.code == 1 and not were_read():  # an option's value is wrong, as reported already
            return 2
        raise
    except cfg.Error as error:  # of a configuration file
        return _refuse(
            [f"{' '.join(str(error).split())}; {REMEDIES.get(type(error).__name__, 'correct that file')}"]
        )
    except (OSError, UnicodeError) as error:
        if not were_read():
            place = getattr(error, "filename", None) or "a configuration file"
            return _refuse([f"cannot read {place}: {_in_words(error)}; name another with --config-file"])
        # The web server, if an application has one, opens last.
        host, port = manager.CONF.wsapi_host, manager.CONF.wsapi_port
        if (problem := options.listening_problem(host, port, "--wsapi-host and --wsapi-port")) is None:
            raise
        manager.AppManager.get_instance().close()
        return _refuse([problem])
    if not signals.stopping():
        print("op25b: the controller ended by itself; the messages above say why", file=sys.stderr)
        return 1
    return 0


def _read_user_flags(arguments: Sequence[str], read: Callable[[], None]) -> None:
    """Read the file of --user-flags before the options, as ryu-manager does; exit on a problem."""
    for argument in arguments:
        if argument.startswith("--user-flags="):
            file = argument.partition("=")[2]
            raise SystemExit(_refuse([f"ryu-manager does not read {argument}: write --user-flags {file}"]))
    try:
        read()
    except Exception as error:
        file = arguments[[*arguments].index("--user-flags") + 1]
        problem = f"cannot use --user-flags {file}: {_in_words(error)}; correct that file, or leave it out"
        raise SystemExit(_refuse([problem])) from None


def _call_when_options_are_read() -> Callable[[], bool]:
    """Add what depends on the options to ryu-manager's log setup, which comes right after them.

    Returns a function that returns whether the options were read.
    """
    from ryu import cfg

    from op25b_app.controller import log_writer, ryu_patches

    read = False

    def init_log(init_log: Callable[[], None]) -> None:
        nonlocal read
        read = True
        _set_up(cfg.CONF, init_log)
        for handler in logging.getLogger().handlers:
            if handler.formatter is None:
                handler.setFormatter(logging.Formatter(LOG_FORMAT))
        log_writer.write_in_thread()
        others = [name for name in cfg.CONF.app_lists if name != APPLICATION]
        cfg.CONF.set_override("app_lists", [APPLICATION, *others])

    ryu_patches.set_up_log(init_log)
    return lambda: read


def _set_up(conf: Any, init_log: Callable[[], None]) -> None:
    """Set up the log if nothing is wrong with the options; otherwise report every problem and exit.

    The exit code is 2 where something is wrong on every machine, 1 where it cannot be used on this one.
    """
    from op25b_app.controller import options, settings

    values, wrong = options.wrong_values(conf), [*settings.problems()]
    if values:  # the rest cannot be checked
        raise SystemExit(_refuse([*values, *wrong], code=2))
    wrong += options.wrong_usage(conf)
    applications = [name for name in conf.app_lists + conf.app if name != APPLICATION]
    problems = [*_missing_applications(applications), *options.obstacles(conf)]
    if applications:
        problems += options.web_obstacles(conf)
    if wrong or problems:
        raise SystemExit(_refuse([*wrong, *problems], code=2 if wrong else 1))
    try:
        init_log()
    except Exception as error:  # of a file that it writes, or of anything that --log-config-file names
        file = conf.log_config_file or getattr(error, "filename", None) or conf.log_file or conf.log_dir
        remedy = (
            "correct that file" if conf.log_config_file else "name another with --log-file, or leave it out"
        )
        raise SystemExit(_refuse([f"cannot log as {file} wants: {_in_words(error)}; {remedy}"])) from None


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeError):
        return "it is no text in UTF-8"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _wrong_usage(own_options: Sequence[str], parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Print what is wrong with the options, and which one may be meant; exit with code 2."""
    known = [*own_options, *re.findall(r"--[a-z0-9-]+", parser.format_usage())]
    print(f"op25b run: {message}", file=sys.stderr)
    for unknown in re.findall(r"--[^\s=:]+", message):
        if unknown not in known and (near := difflib.get_close_matches(unknown, known, n=1)):
            print(f"op25b run: {unknown}: did you mean {near[0]}?", file=sys.stderr)
    print("op25b run: `op25b run --help` and `op25b run -- --help` list the options", file=sys.stderr)
    raise SystemExit(2)


def _missing_applications(names: Iterable[str]) -> Iterator[str]:
    """Yield a message for each application that is no file or module; ryu-manager allows A,B too."""
    for name in itertools.chain.from_iterable(name.split(",") for name in names):
        if os.path.exists(name) and not name.endswith(".py"):
            yield f"{name} is not a Ryu application: as a policy it is named with --policy {name}"
            continue
        try:
            found = os.path.exists(name) or importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            yield f"no Ryu application {name}: give the name of a Python module or the path of a file"


def _refuse(problems: Iterable[str], *, code: int = 1) -> int:
    """Print the problems after all that the log's thread has still to write; return the exit code."""
    from op25b_app.controller import log_writer

    log_writer.drain()
    for problem in problems:
        print(f"op25b: {problem}", file=sys.stderr)
    return code
