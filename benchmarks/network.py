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
SO_RCVBUFFORCE = 33
"""As SO_RCVBUF, beyond the machine's limit: socket(7). Python has no name for it."""
_PIDFD_GETFD = 438
"""The C library has no wrapper for this system call."""
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


def _link(entry: Path) -> str:
    """Return what a descriptor of a process is; nothing where it has been closed meanwhile."""
    try:
        return os.readlink(entry)
    except FileNotFoundError:
        return ""


def enlarge_packet_buffers(pid: int, size: int) -> int:
    """Give each packet socket of a process a receive buffer of so many bytes; return how many it has.

    As it makes them itself, some 270 small frames fit in: those of a few seconds, and a loaded machine may
    not let the process run for so long. Raises OSError without the rights for it.
    """
    lines = Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
    inodes = {line.split()[-1] for line in lines}
    process = os.pidfd_open(pid)
    try:
        found = [
            int(entry.name)
            for entry in Path(f"/proc/{pid}/fd").iterdir()
            if (link := _link(entry)).startswith("socket:[") and link[8:-1] in inodes
        ]
        for descriptor in found:
            copy = _LIBC.syscall(_PIDFD_GETFD, process, descriptor, 0)
            if copy < 0:
                raise OSError(ctypes.get_errno(), "cannot reach a socket of another process; this needs root")
            with socket.socket(fileno=copy) as packets:
                packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    finally:
        os.close(process)
    return len(found)


def _unshare() -> None:
    """A new network namespace, in which the kernel sends nothing by itself over IPv6."""
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a network namespace; this needs root")
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
