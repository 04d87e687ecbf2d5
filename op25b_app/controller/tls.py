"""OpenFlow over TLS with one context for all connections; Ryu 4.34 forgets its certificate with the first."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import eventlet
from eventlet.green import ssl
from ryu.lib import hub

from op25b_app.controller.connection import address_text, register_handshake, unregister_handshake

HANDSHAKE_SECONDS = 5.0
NO_TLS = "WRONG_VERSION_NUMBER"
"""OpenSSL's reason where the first bytes are not TLS, as those of an OpenFlow hello."""

_log = logging.getLogger("op25b")

Handle = Callable[[Any, Any], None]


def is_used(conf: Any) -> bool:
    """Return whether Ryu awaits switches with TLS."""
    return bool(conf.ctl_privkey and conf.ctl_cert)


def wrong_usage(conf: Any) -> Iterator[str]:
    """Yield a message where ryu-manager's TLS options are wrong on every machine."""
    if not is_used(conf) and (conf.ctl_privkey or conf.ctl_cert or conf.ca_certs):
        yield "TLS needs --ctl-privkey and --ctl-cert: without both, switches would speak in clear"


def obstacles(conf: Any) -> Iterator[str]:
    """Yield a message where the files of the TLS options cannot be used."""
    if not is_used(conf):
        return
    try:
        _context(conf.ctl_cert, conf.ctl_privkey, conf.ca_certs)
    except OSError as error:  # of the files, or, as ssl.SSLError, of what is in them
        files = (
            f"--ctl-cert {conf.ctl_cert} with --ctl-privkey {conf.ctl_privkey} and --ca-certs {conf.ca_certs}"
        )
        yield f"cannot use {files}: {error.strerror or error}"


def _context(certificate: str, key: str, authorities: str | None) -> Any:
    """Return Python's context, TLS 1.2 or later; with authorities, switches must show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if authorities is not None:
        context.load_verify_locations(authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsServer(hub.StreamServer):
    """Ryu's server with a time limit for the handshake, whose failure is one line in the log."""

    def __init__(self, address: Any, handle: Handle, **tls: Any) -> None:
        super().__init__(address, handle)
        if tls:
            context = _context(tls["certfile"], tls["keyfile"], tls.get("ca_certs"))
            self.handle = lambda sock, peer: _shake_hands(context, sock, peer, handle)


class _Handshake:
    """A handshake that is under way, in the green thread that makes it."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self._thread = eventlet.getcurrent()

    def refuse(self, why: str) -> None:
        """End the green thread, and with it the connection."""
        _log.warning("no TLS with the switch at %s: it %s", self._peer[0], why)
        hub.spawn(hub.kill, self._thread)


def _shake_hands(context: Any, sock: socket.socket, peer: Any, handle: Handle) -> None:
    handshake = _Handshake(peer)
    here = address_text(*sock.getsockname()[:2])
    register_handshake(handshake, peer[0])
    try:
        secured = _secured(context, sock)
    except OSError as error:
        if getattr(error, "reason", None) == NO_TLS:
            _log.warning(
                "no TLS with the switch at %s: its port %d speaks plain TCP, and this port needs TLS; "
                "on Open vSwitch: ovs-vsctl set-controller BRIDGE ssl:%s",
                peer[0],
                peer[1],
                here,
            )
        else:
            _log.warning("no TLS with the switch at %s: %s", peer[0], error)
        return
    finally:
        unregister_handshake(handshake)
    handle(secured, peer)


def _secured(context: Any, sock: socket.socket) -> Any:
    """Return a socket that speaks TLS in place of this one, which is closed in any case.

    ``wrap_socket`` takes the descriptor from the socket that it is given: closing that closes nothing.
    Raises OSError where the handshake fails, or takes more than HANDSHAKE_SECONDS.
    """
    with closing(sock):
        secured = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    try:
        with eventlet.Timeout(HANDSHAKE_SECONDS, TimeoutError("the handshake timed out")):
            secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured
