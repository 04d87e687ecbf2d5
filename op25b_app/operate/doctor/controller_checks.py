"""Check a running controller."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from op25b_app.operate.doctor.finding import Finding, ok, warning


def check_controller(reported: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about a controller, from its own report."""
    yield ok(", ".join(f"{name} {number}" for name, number in reported["versions"].items()))
    yield from _check_policy(reported["policy"])
    yield from _check_openflow(reported["access"]["openflow"])
    yield from _check_web(reported["access"]["web"])
    yield from _check_echo(reported["access"])


def _check_policy(policy: Mapping[str, Any]) -> Iterator[Finding]:
    if policy["kept"]:
        yield warning(
            f"the policy in force is a kept one: {policy['file']} was refused at the start",
            "later changes of the file are not in force",
            "op25b reload --dry-run",
        )
    elif refused := policy["refused"]:
        yield warning(
            f"{policy['file']} was refused: {refused['because']}",
            "later changes of the file are not in force",
            "op25b reload --dry-run",
        )
    if policy["keep_error"]:
        yield warning(
            policy["keep_error"],
            "a start with a broken file finds an older policy, or none",
            "make room, or name another directory in OP25B_STATE_DIRECTORY, then op25b reload",
        )


def _check_openflow(openflow: Mapping[str, Any]) -> Iterator[Finding]:
    where = _shown(openflow["host"])
    if openflow["tls"] and openflow["asks_certificates"]:
        yield ok(f"OpenFlow on {where} over TLS, with certificates of switches")
    elif openflow["tls"]:
        yield warning(
            f"OpenFlow on {where} over TLS takes switches without a certificate",
            "any host that reaches the port can pose as a switch",
            "op25b run --ca-certs FILE --ctl-privkey FILE --ctl-cert FILE",
        )
    elif not _is_loopback(openflow["host"]):
        yield warning(
            f"OpenFlow on {where} without TLS",
            "any host that reaches the port can pose as a switch, and any host on the way can change rules",
            "op25b run --ctl-privkey FILE --ctl-cert FILE --ca-certs FILE, or --ofp-listen-host ADDRESS",
        )
    else:
        yield ok(f"OpenFlow on {where} only")


def _check_web(web: Mapping[str, Any] | None) -> Iterator[Finding]:
    if web is not None and not _is_loopback(web["host"]):
        yield warning(
            f"the REST interface of another application listens on {_shown(web['host'])}",
            "any host that reaches it can change rules, without a password",
            "op25b run --wsapi-host 127.0.0.1",
        )


def _check_echo(access: Mapping[str, Any]) -> Iterator[Finding]:
    if access["unanswered_echoes"]:
        seconds = access["unanswered_echoes"] * access["echo_seconds"]
        yield ok(f"a switch that does not answer is lost after {seconds:g} s")
    else:
        yield warning(
            "a switch that stops answering is kept for ever",
            "it is still shown as protected",
            "op25b run, or maximum_unreplied_echo_requests = 3 in section [DEFAULT] of --config-file",
        )


def _shown(host: str) -> str:
    return "every address" if host in ("", "0.0.0.0", "::") else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
