"""Starts ``ryu-manager`` with op25b in it, with the defaults of a controller in production."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import itertools
import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partialmethod
from pathlib import Path
from typing import Any, NoReturn

APPLICATION = "op25b_app.app"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
DEFAULTS = {
    # Whoever reaches the REST interface runs the controller.
    "wsapi_host": "127.0.0.1",
    # Ryu's own keeps a switch that stopped answering for ever; with this one it is lost after a minute.
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

    ``policy`` goes before what OP25B_POLICY and configuration files say. ``arguments`` are ryu-manager's
    options and the names of further Ryu applications, in ryu-manager's syntax. ``own_options`` are those that
    may be meant where an option is unknown to ryu-manager.
    """
    if policy is not None:
        os.environ["OP25B_POLICY"] = str(policy.absolute())
    if reload_on_change:
        os.environ["OP25B_RELOAD_ON_CHANGE"] = "1"
    if yes:
        os.environ["OP25B_YES"] = "1"
    _patch_standard_library(threads="--enable-debugger" not in arguments)
    from oslo_config import cfg
    from ryu.cmd import manager

    from op25b_app import signals, tls

    tls.install()
    logging.getLogger().setLevel(logging.INFO)
    for name, value in DEFAULTS.items():
        manager.CONF.set_default(name, value)
    were_read = _call_when_options_are_read()
    argparse.ArgumentParser.error = partialmethod(_wrong_usage, own_options)  # type: ignore[assignment]
    try:
        manager.main(args=list(arguments), prog="op25b run")
    except KeyboardInterrupt:  # stopped while applications were starting
        manager.AppManager.get_instance().close()
        return 0
    except SystemExit as end:
        if end.code == 1 and not were_read():  # the value of an option cannot be, as has been told
            return 2
        raise
    except cfg.Error as error:  # of a configuration file
        return _refuse([f"{' '.join(str(error).split())}; correct the file that --config-file names"])
    except OSError:  # the web server, if an application has one, opens last
        host, port = manager.CONF.wsapi_host, manager.CONF.wsapi_port
        if (problem := _listening_problem(host, port, "--wsapi-host and --wsapi-port")) is None:
            raise
        manager.AppManager.get_instance().close()
        return _refuse([problem])
    if not signals.stopping():
        print("op25b: the controller ended by itself; the messages above say why", file=sys.stderr)
        return 1
    return 0


def _patch_standard_library(*, threads: bool) -> None:
    """What Ryu does too, but all at once and before anything of Ryu is there, as eventlet wants it."""
    warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch(all=True, thread=threads)


def _call_when_options_are_read() -> Callable[[], bool]:
    """``ryu-manager`` sets up its logging right after its options: what depends on those goes there too.

    Returns what tells whether they were read.
    """
    from ryu import cfg, log

    from op25b_app import log_writer

    read = False

    def init_log(init_log: Any = log.init_log) -> None:
        nonlocal read
        read = True
        init_log()
        for handler in logging.getLogger().handlers:
            if handler.formatter is None:
                handler.setFormatter(logging.Formatter(LOG_FORMAT))
        log_writer.write_in_thread()
        others = [name for name in cfg.CONF.app_lists if name != APPLICATION]
        cfg.CONF.set_override("app_lists", [APPLICATION, *others])
        if problems := [*_problems(cfg.CONF)]:
            raise SystemExit(_refuse(problems))

    log.init_log = init_log
    return lambda: read


def _problems(conf: Any) -> Iterator[str]:
    """A message for each reason why ryu-manager cannot start with these options."""
    from op25b_app import tls

    yield from _missing_applications(conf.app_lists + conf.app)
    yield from _openflow_problems(conf)
    yield from tls.problems(conf)


def _wrong_usage(parser: argparse.ArgumentParser, own_options: Sequence[str], message: str) -> NoReturn:
    """Tell what is wrong with the options, and which one may be meant; ends with exit code 2."""
    known = [*own_options, *re.findall(r"--[a-z0-9-]+", parser.format_usage())]
    print(f"op25b run: {message}", file=sys.stderr)
    for unknown in re.findall(r"--[^\s=:]+", message):
        if unknown not in known and (near := difflib.get_close_matches(unknown, known, n=1)):
            print(f"op25b run: {unknown}: did you mean {near[0]}?", file=sys.stderr)
    print("op25b run: `op25b run --help` and `op25b run -- --help` list the options", file=sys.stderr)
    raise SystemExit(2)


def _missing_applications(names: Iterable[str]) -> Iterator[str]:
    """A message for each Ryu application that is neither a file nor a module; ryu-manager allows A,B too."""
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


def _openflow_problems(conf: Any) -> Iterator[str]:
    """A message for each address where switches are to be awaited and cannot."""
    from ryu.ofproto import ofproto_common

    tcp = "TCP", "--ofp-tcp-listen-port", conf.ofp_tcp_listen_port
    tls = "TLS", "--ofp-ssl-listen-port", conf.ofp_ssl_listen_port
    used, unused = (tls, tcp) if conf.ctl_privkey and conf.ctl_cert else (tcp, tls)
    (protocol, flag, port), (_, other_flag, other_port) = used, unused
    if port is None and other_port:
        yield f"switches are awaited with {protocol}, but only {other_flag} is given: give {flag}, or neither"
        return
    ports = [port] if port or other_port else [ofproto_common.OFP_TCP_PORT, ofproto_common.OFP_TCP_PORT_OLD]
    for each in ports:
        if problem := _listening_problem(conf.ofp_listen_host, each, f"--ofp-listen-host and {flag}"):
            yield problem


def _listening_problem(host: str, port: int, flags: str) -> str | None:
    """Why nothing can listen there, and with which flags to choose another address; None if it can."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        return f"cannot listen on {host} port {port}: {reason}; choose another address with {flags}"
    return None


def _refuse(problems: Iterable[str]) -> int:
    for problem in problems:
        print(f"op25b: {problem}", file=sys.stderr)
    return 1
