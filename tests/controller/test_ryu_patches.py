"""Patches of Ryu and eventlet stand in one module, and each is needed still."""

from __future__ import annotations

import argparse
import ast
import inspect
import select
import socket
import struct
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ryu.base.app_manager  # noqa: F401  Ryu's controller cannot be imported before it
from eventlet.hubs import epolls
from hypothesis import given
from hypothesis import strategies as st
from ryu import exception
from ryu.controller.controller import Datapath
from ryu.controller.handler import HANDSHAKE_DISPATCHER
from ryu.lib import addrconv, hub
from ryu.ofproto import ofproto_parser, ofproto_v1_3_parser

from op25b_app.controller import event_loop, listening, ryu_patches
from tests.controller.test_listening import room_at
from tests.unit.test_wall import FRAMEWORKS, PACKAGE

PATCHED = {*FRAMEWORKS, "argparse"}


def functions() -> list[str]:
    return [
        name
        for name, each in vars(ryu_patches).items()
        if inspect.isfunction(each) and each.__module__ == ryu_patches.__name__
    ]


def test_the_table_has_every_patch() -> None:
    _, rule, body = (ryu_patches.__doc__ or "").partition("==\nPatch ")
    rows = [line.split()[0] for line in body.partition("\n\n")[0].splitlines()[2:-1]]
    assert rule
    assert rows == functions()


@pytest.mark.parametrize("distribution", ryu_patches.VERSIONS)
def test_the_table_was_read_for_this_version(distribution: str) -> None:
    installed = version(distribution).split(".")
    assert ".".join(installed[:2]) == ryu_patches.VERSIONS[distribution]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_other_module_patches(path: Path) -> None:
    if path.stem != "ryu_patches":
        assert [*replaced(ast.parse(path.read_text()))] == []


def test_a_patch_elsewhere_is_found() -> None:
    """In each of the ways in which a module may write it."""
    for line in (
        "manager.f = g",
        "cfg.ConfigOpts.f = g",
        "register_msg_parser(4)(g)",
        "setattr(manager, 'f', g)",
    ):
        program = f"from ryu.cmd import manager\nfrom oslo_config import cfg\n{line}"
        assert [*replaced(ast.parse(program))], line


def replaced(program: ast.Module) -> Iterator[str]:
    """Yield what a program assigns to attributes of foreign modules, or registers with them."""
    foreign = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(program)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] in PATCHED
    }
    for node in ast.walk(program):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and root(node) in foreign:
            yield ast.unparse(node)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("register_msg_parser", "monkey_patch"):
                yield called
            if called == "setattr" and root(node.args[0]) in foreign:
                yield ast.unparse(node)


def root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def test_argparse_still_names_no_similar_option(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--verbose")
    with pytest.raises(SystemExit):
        parser.parse_args(["--verbos3=1"])
    assert "did you mean" not in capsys.readouterr().err


def test_ryu_still_forgets_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[set[str]] = []
    plain = SimpleNamespace(wrap_socket=lambda connection, **options: given.append({*options}))
    monkeypatch.setattr(hub, "ssl", plain)
    context = {"ssl_ctx": Context(), "certfile": "certificate", "keyfile": "key"}
    server = hub.StreamServer(("127.0.0.1", 0), lambda *_: None, **context)
    server.handle(None, None)
    assert given == []
    server.handle(None, None)
    assert given == [{"server_side"}]
    server.server.close()


class Context:
    """Takes whatever a TLS context is told."""

    def load_cert_chain(self, *files: str) -> None: ...

    def wrap_socket(self, connection: Any, **options: Any) -> Any:
        return connection


def test_ryu_still_lets_few_connections_wait() -> None:
    server = hub.StreamServer(("127.0.0.1", 0))
    assert room_at(server.server.getsockname()[1]) < listening.BACKLOG
    server.server.close()


def test_ryu_still_ends_where_a_connection_cannot_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    server = hub.StreamServer(("127.0.0.1", 0))

    def accept() -> None:
        raise OSError("no more files")

    monkeypatch.setattr(server.server, "accept", accept)
    with pytest.raises(OSError, match="no more files"):
        server.serve_forever()


def test_ryu_still_waits_for_a_silent_peer() -> None:
    """It reads again after each time-out, however long the handshake takes."""
    received: Iterator[bytes | TimeoutError] = iter([*[TimeoutError()] * 100, b""])

    def recv(size: int) -> bytes:
        if isinstance(piece := next(received), TimeoutError):
            raise piece
        return piece

    connection = SimpleNamespace(recv=recv, close=lambda: None)
    Datapath._recv_loop(SimpleNamespace(state=HANDSHAKE_DISPATCHER, socket=connection))
    assert [*received] == []


def test_ryu_still_ends_a_connection_for_a_truncated_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ofproto_parser._MSG_PARSERS, 4, ofproto_v1_3_parser.msg_parser)
    with pytest.raises((exception.OFPTruncatedMessage, AssertionError)):
        ofproto_parser.msg(None, 4, 0, 16, 1, bytes(8))


@pytest.fixture(scope="module")
def formatted() -> Iterator[None]:
    ryu_patches.format_hardware_addresses()
    yield
    del addrconv.mac.bin_to_text


def by_netaddr(packed: bytes) -> str:
    text: str = type(addrconv.mac).bin_to_text(addrconv.mac, packed)
    return text


@pytest.mark.usefixtures("formatted")
@given(packed=st.binary(min_size=6, max_size=6))
def test_hardware_addresses_are_formatted_as_before(packed: bytes) -> None:
    assert addrconv.mac.bin_to_text(packed) == by_netaddr(packed)
    assert addrconv.mac.text_to_bin(addrconv.mac.bin_to_text(packed)) == packed


@pytest.mark.usefixtures("formatted")
@pytest.mark.parametrize("packed", [b"", b"\x01\x02\x03\x04\x05", bytes(7), bytes(8)])
def test_what_is_no_hardware_address_is_refused_as_before(packed: bytes) -> None:
    for write in (addrconv.mac.bin_to_text, by_netaddr):
        with pytest.raises(struct.error, match="requires a buffer of 6 bytes"):
            write(packed)


def test_ryu_still_formats_hardware_addresses_with_netaddr() -> None:
    assert type(addrconv.mac._addr("02:00:00:00:00:01")).__module__ == "netaddr.eui"


def test_eventlet_still_serves_all_connections_in_one_turn() -> None:
    pairs = [socket.socketpair() for _ in range(2 * event_loop.MAX_IN_A_ROW)]
    loop = epolls.Hub()
    for mine, theirs in pairs:
        loop.poll.register(mine, select.EPOLLIN)
        theirs.send(b"x")
    assert len(loop.do_poll(0)) == len(pairs)
    for each in (end for pair in pairs for end in pair):
        each.close()
