"""Replace parts of Ryu and eventlet; no other module of op25b does.

The patches are for Ryu 4.34 and eventlet 0.41. With other versions, ``tests/controller/test_ryu_patches.py``
fails until this table is read again. For each row that a short test can judge, it also fails once Ryu or
eventlet does by itself what the patch is for.

==========================  =============================================  ==================================
Patch                       Replaces                                       Not needed once
==========================  =============================================  ==================================
patch_standard_library      what blocks in Python's standard library       Ryu runs without eventlet
read_user_flags             ``ryu.cmd.manager._parse_user_flags``          it reports an unusable file
check_options               ``ConfigOpts._validate_cli_options``           it reports all wrong values at once
report_wrong_usage          ``ArgumentParser.error``                       its message names similar options
set_up_log                  ``ryu.log.init_log``                           Ryu writes its log without waiting
serve_tls                   ``ryu.controller.controller.StreamServer``     Ryu keeps its certificate
listen_for_many             the same                                       Ryu lets 4,096 connections wait
limit_connections           ``controller.datapath_connection_factory``     a silent peer is disconnected
tap_messages                parsers of ``ryu.ofproto.ofproto_parser``      an unreadable message ends nothing
format_hardware_addresses   ``ryu.lib.addrconv.mac.bin_to_text``           Ryu formats them without netaddr
serve_few_in_a_row          ``do_poll`` of eventlet's hub                  a turn serves few connections
==========================  =============================================  ==================================

The module of each replacement says why. Ryu is imported in the functions, since eventlet has to patch the
standard library before that.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from op25b_app.controller.message_tap import Charge, Take, Wait

VERSIONS = {"ryu": "4.34", "eventlet": "0.41"}
"""Versions that the patches are for, by distribution."""


def patch_standard_library(*, threads: bool) -> None:
    """Patch all of it at once and before Ryu is imported, as eventlet requires.

    Ryu's own patch comes in two steps, and after some of the modules are imported.
    """
    warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch(all=True, thread=threads)


def read_user_flags(read: Callable[[Callable[[], None]], None]) -> None:
    """Have ``read`` read the file of --user-flags; it is given Ryu's function, which reports no problem."""
    from ryu.cmd import manager

    manager._parse_user_flags = partial(read, manager._parse_user_flags)


def check_options() -> None:
    """Have all values of a wrong type reported; oslo.config reports the first, without its file."""
    from oslo_config import cfg

    from op25b_app.controller import options

    cfg.ConfigOpts._validate_cli_options = options.check_types  # type: ignore[assignment,method-assign]


def report_wrong_usage(report: Callable[[argparse.ArgumentParser, str], NoReturn]) -> None:
    """Have ``report`` report options that ryu-manager does not know."""

    def error(self: argparse.ArgumentParser, message: str) -> NoReturn:
        report(self, message)

    argparse.ArgumentParser.error = error  # type: ignore[method-assign]


def set_up_log(set_up: Callable[[Callable[[], None]], None]) -> None:
    """Have ``set_up`` set up the log, right after the options; it is given Ryu's function."""
    from ryu import log

    log.init_log = partial(set_up, log.init_log)


def serve_tls() -> None:
    """Serve all switches over TLS with one certificate. Call it before :func:`listen_for_many`.

    Ryu takes the certificate out of its arguments with the first connection, and lacks it for the second.
    """
    from ryu.controller import controller

    from op25b_app.controller.tls import TlsServer

    controller.StreamServer = TlsServer


def listen_for_many() -> None:
    """Let many switches connect at once. Call it before Ryu's controller starts."""
    from ryu.controller import controller

    from op25b_app.controller.listening import for_many

    controller.StreamServer = for_many(controller.StreamServer)


def limit_connections() -> None:
    """Serve connections with time limits and by turns. Call it before Ryu's controller starts."""
    # Ryu's controller cannot be imported before it.
    import ryu.base.app_manager  # noqa: F401
    from ryu.controller import controller

    from op25b_app.controller.connection import serve

    controller.datapath_connection_factory = serve


def tap_messages(take: Take, wait: Wait, charge: Charge) -> None:
    """Put ``message_tap`` between Ryu's connections and its parsers, for every version."""
    from ryu.ofproto import ofproto_parser

    from op25b_app.controller.message_tap import tapped_parser

    for version in range(256):
        ofproto_parser.register_msg_parser(version)(tapped_parser(version, take, wait, charge))


def format_hardware_addresses() -> None:
    """Have hardware addresses formatted without netaddr, with the same result.

    netaddr takes 10 µs for each port that a connecting switch describes. With 48 ports that is 0.45 ms, a
    fifth of the processor time of a connection.
    """
    from ryu.lib import addrconv

    converter = addrconv.mac
    by_netaddr = type(converter).bin_to_text

    def bin_to_text(packed: bytes) -> str:
        return packed.hex(":") if len(packed) == 6 else by_netaddr(converter, packed)

    converter.bin_to_text = bin_to_text


def serve_few_in_a_row() -> None:
    """Have this thread's event loop serve few connections a turn, and collect garbage between turns."""
    from eventlet import hubs
    from eventlet.hubs import epolls

    from op25b_app.controller import event_loop, garbage

    hub: Any = hubs.get_hub()
    if isinstance(hub, epolls.Hub):
        hub.do_poll = partial(event_loop.few_ready, hub.poll)
        garbage.collector.collect_between_turns_only()
