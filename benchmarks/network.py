"""Network namespaces, and wires into them."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_new_network() -> None:
    """This process, from here on, and what it starts are alone in a network with nothing but a loopback."""
    _unshare()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextmanager
def new_network() -> Iterator[None]:
    """This thread is in a new network namespace meanwhile; it lasts as long as what is made in it."""
    with network_of_thread() as before:
        try:
            _unshare()
            yield
        finally:
            _LIBC.setns(before, _CLONE_NEWNET)


@contextmanager
def network_of_thread() -> Iterator[int]:
    """A descriptor of the network namespace in which this thread is."""
    network = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield network
    finally:
        os.close(network)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """This thread is in that network namespace meanwhile."""
    with network_of_thread() as before:
        try:
            _LIBC.setns(network, _CLONE_NEWNET)
            yield
        finally:
            _LIBC.setns(before, _CLONE_NEWNET)


def wire(device: str, peer: str) -> socket.socket:
    """A pair of devices: frames sent here come in at ``device``."""
    lines = [f"link add {device} type veth peer name {peer}", f"link set {device} up", f"link set {peer} up"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.bind((peer, 0))
    return end


@contextmanager
def two_way_wire(device: str, peer: str) -> Iterator[socket.socket]:
    """The same, and what ``device`` sends is read here; afterwards both devices are gone."""
    with wire(device, peer) as end:
        end.bind((peer, _ETH_P_ALL))
        try:
            yield end
        finally:
            subprocess.run(["ip", "link", "delete", peer], check=True)


def _unshare() -> None:
    """A new network namespace, in which the kernel sends nothing by itself over IPv6."""
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a network namespace; this needs root")
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
