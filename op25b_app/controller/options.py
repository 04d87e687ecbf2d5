"""Check the options of ryu-manager, and report every problem before anything is started."""

from __future__ import annotations

import configparser
import os
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from errno import EACCES, ENOTDIR, ENXIO
from typing import Any

from oslo_config import cfg, types
from ryu.controller.controller import _split_addr

from op25b_app.controller import settings, tls
from op25b_app.openflow.wire import TCP_PORT, TCP_PORT_OLD

HIGHEST_PORT = 65535
OPENFLOW_PORTS = ("ofp_tcp_listen_port", "ofp_ssl_listen_port")
OTHER_PORTS = (("wsapi_port", None), ("rpc_port", "bgp-app"), ("server_port", "zapi"))
WRITTEN = ("log_file", "pid_file")
KINDS: dict[Any, str] = {
    types.Integer: "give a whole number",
    types.Float: "give a number",
    types.Boolean: f"write one of {', '.join(settings.WORDS)}",
}
LOG_SECTIONS = ("loggers", "handlers", "formatters")
"""Sections that logging.config.fileConfig requires."""


def wrong_values(conf: Any) -> list[str]:
    """Return a message for each value in configuration files that its option cannot have.

    Wrong values on the command line are refused earlier; section [op25b] is checked in settings.
    """
    problems = []
    for known, section in conf._all_opt_infos():
        name, group = known["opt"].dest, section.name if section else None
        try:
            _ = conf[group][name] if group else conf[name]
        except ValueError as error:
            if group != settings.SECTION:
                problems.append(_wrong_value(name, group, str(error)))
    return problems


def check_types(conf: Any, namespace: Any) -> None:
    """Report all values of a wrong type, in place of oslo.config.

    They stand on the command line or in a file; oslo.config reports the first one, and not its file. Raises
    SystemExit with code 2 where there are any.
    """
    wrong = False
    for option, group in sorted(conf._all_cli_opts(), key=lambda each: each[0].dest):
        name = group.name if group else None
        with suppress(KeyError):  # where no value is given
            value, location = option._get_from_namespace(namespace, name)
            value = conf._substitute(value, group=group, namespace=namespace)
            try:
                conf._convert_value(value, option)
            except ValueError as error:
                place = _in_its_place(option.dest, name, value, location)
                print(f"op25b: {place}: {KINDS.get(type(option.type)) or error}", file=sys.stderr)
                wrong = True
    if wrong:
        raise SystemExit(2)


def wrong_usage(conf: Any) -> Iterator[str]:
    """Yield a message for each option that is wrong on every machine; values must be readable."""
    for name in OPENFLOW_PORTS:
        yield from _wrong_port(conf, name, None, lowest=1)
    for name, group in OTHER_PORTS:  # with 0 the system chooses one, and the log says which
        yield from _wrong_port(conf, name, group, lowest=0)
    yield from _wrong_protocol(conf)
    yield from tls.wrong_usage(conf)
    if conf.ofp_switch_connect_interval < 1:
        yield f"{_given(conf, 'ofp_switch_connect_interval')}: give a number of seconds from 1 on"
    for address in conf.ofp_switch_address_list:
        if not _is_address(address):
            flag = _given(conf, "ofp_switch_address_list", address)
            yield f"{flag}: give an IP address and a port, such as 192.0.2.1:6653 or [2001:db8::1]:6653"
    if not re.fullmatch(r"(0o?)?[0-7]{1,4}", conf.log_file_mode):
        yield f"{_given(conf, 'log_file_mode')}: give an octal number, such as 0644"


def obstacles(conf: Any) -> Iterator[str]:
    """Yield a message for each file and address that cannot be used here; usage must be right."""
    yield from _openflow_obstacles(conf)
    yield from tls.obstacles(conf)
    for name in WRITTEN:
        yield from _unusable(conf, "write", name, _why_not_written)
    if not conf.log_file:
        yield from _unusable(
            conf, "write a file in", "log_dir", lambda path: _why_not_written(os.path.join(path, "x.log"))
        )
    yield from _unusable(conf, "read", "user_flags", _why_not_read)
    yield from _unusable(conf, "read", "log_config_file", _why_no_log_configuration)


def web_obstacles(conf: Any) -> Iterator[str]:
    """Yield a message where the web server of other applications cannot listen on its address."""
    if reason := _why_not_listening(conf.wsapi_host, 0):
        yield f"cannot listen on {_given(conf, 'wsapi_host')}: {reason}; give an address of this host"


def listening_problem(host: str, port: int, flags: str) -> str | None:
    """Return why nothing can listen there, with the ``flags`` for another address; None if it can."""
    if (reason := _why_not_listening(host, port)) is None:
        return None
    return f"cannot listen on {host} port {port}: {reason}; choose another address with {flags}"


def _wrong_value(name: str, group: str | None, error: str) -> str:
    """Return oslo.config's error in words for the author of the file."""
    file = re.search(r"detail='([^']*)'", error)
    reason = error.rpartition(" is not valid: ")[2]
    reason = reason.replace("invalid literal for int() with base 10:", "this is no whole number:")
    return f"{name} in section [{group or 'DEFAULT'}] of {file[1] if file else '--config-file'}: {reason}"


def _given(conf: Any, name: str, value: object = None, group: str | None = None) -> str:
    """Return an option with its value as the user wrote it, on the command line or in a file."""
    value = (conf[group][name] if group else conf[name]) if value is None else value
    location = conf.get_location(name, group)
    return _in_its_place(name, group, value, location)


def _in_its_place(name: str, group: str | None, value: object, location: Any) -> str:
    # Where the command line overrides a value in a file, oslo.config names the file all the same.
    in_file = location is not None and location.location is cfg.Locations.user
    if in_file and str(value) in _written(location.detail, name, group):
        return f"{name} = {value} in {location.detail}"
    return f"{_flag(name, group)} {value}"


def _written(file: str, name: str, group: str | None) -> str:
    """Return the values of an option in a configuration file."""
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(file, sections).parse()
    return " ".join(sections.get(group or "DEFAULT", {}).get(name, ()))


def _flag(name: str, group: str | None = None) -> str:
    return "--" + "-".join(part.replace("_", "-") for part in (group, name) if part)


def _unusable(conf: Any, what: str, name: str, why_not: Callable[[str], str | None]) -> Iterator[str]:
    """Yield a message where an option names a file of which ``why_not`` returns a reason."""
    if (path := conf[name]) and (reason := why_not(path)):
        remedy = f"name another with {_flag(name)}, or leave it out"
        yield f"cannot {what} {_given(conf, name)}: {reason}; {remedy}"


def _wrong_port(conf: Any, name: str, group: str | None, *, lowest: int) -> Iterator[str]:
    port = conf[group][name] if group else conf[name]
    if port is not None and not lowest <= port <= HIGHEST_PORT:
        remedy = "give one of them" + (f", or leave it out for {TCP_PORT}" if name in OPENFLOW_PORTS else "")
        yield f"{_given(conf, name, group=group)}: ports are from 1 to {HIGHEST_PORT}; {remedy}"


def _wrong_protocol(conf: Any) -> Iterator[str]:
    """Yield a message where a port is given for the protocol that is not used."""
    tcp, ssl = conf.ofp_tcp_listen_port, conf.ofp_ssl_listen_port
    if tls.is_used(conf):
        if tcp is not None:
            remedy = f"give --ofp-ssl-listen-port {tcp} instead" if ssl is None else "leave it out"
            yield (
                f"{_given(conf, 'ofp_tcp_listen_port')}: with --ctl-privkey and --ctl-cert switches are "
                f"awaited with TLS only: {remedy}"
            )
    elif ssl is not None and not (conf.ctl_privkey or conf.ctl_cert):
        remedy = f"give --ofp-tcp-listen-port {ssl} instead" if tcp is None else "leave it out"
        yield (
            f"{_given(conf, 'ofp_ssl_listen_port')}: switches are awaited with TCP: for TLS give "
            f"--ctl-privkey and --ctl-cert as well; for TCP {remedy}"
        )


def _openflow_obstacles(conf: Any) -> Iterator[str]:
    """Yield a message for each OpenFlow address that cannot be used."""
    name = "ofp_ssl_listen_port" if tls.is_used(conf) else "ofp_tcp_listen_port"
    given = conf[name]
    ports = [TCP_PORT, TCP_PORT_OLD] if given is None else [given]
    for port in ports:
        if not 1 <= port <= HIGHEST_PORT:  # as reported already
            continue
        if problem := listening_problem(conf.ofp_listen_host, port, f"--ofp-listen-host and {_flag(name)}"):
            yield problem


def _is_address(text: str) -> bool:
    try:
        _, port = _split_addr(text)
    except ValueError:
        return False
    return 1 <= int(port) <= HIGHEST_PORT


def _why_not_listening(host: str, port: int) -> str | None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return str(error.strerror or error).partition(" (while")[0]
    except UnicodeError:
        return "this is no name of a host"
    return None


def _why_not_written(path: str) -> str | None:
    """Return why a file cannot be written, None if it can; it is not made yet."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
    except FileNotFoundError:
        return _why_no_file_in(os.path.dirname(path) or ".")
    except OSError as error:  # ENXIO: a pipe without a reader yet
        return None if error.errno == ENXIO else error.strerror
    return None


def _why_no_file_in(directory: str) -> str | None:
    try:
        if not stat.S_ISDIR(os.stat(directory).st_mode):
            return os.strerror(ENOTDIR)
    except OSError as error:
        return f"{directory}: {error.strerror}"
    return None if os.access(directory, os.W_OK | os.X_OK) else f"{directory}: {os.strerror(EACCES)}"


def _why_not_read(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        return error.strerror
    return None


def _why_no_log_configuration(path: str) -> str | None:
    if reason := _why_not_read(path):
        return reason
    parser = configparser.RawConfigParser()
    try:
        parser.read(path)
    except (configparser.Error, UnicodeError) as error:
        return "it is no configuration of a log: " + " ".join(str(error).split())
    missing = [f"[{name}]" for name in LOG_SECTIONS if not parser.has_section(name)]
    return f"it has no section {', '.join(missing)}" if missing else None
