"""Network namespaces, and TAP devices in them, whose frames this process reads and writes."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_libc = ctypes.CDLL(None, use_errno=True)
_Result = TypeVar("_Result")


class Namespace:
    """A network namespace that lives as long as this process; ``name`` is for messages only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._descriptor = _in_thread(_new_namespace)
        self.ip("link set lo up")

    def inside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function in a thread of its own that is in this namespace."""

        def entered() -> _Result:
            _check(_libc.setns(self._descriptor, _CLONE_NEWNET))
            return function(*arguments)

        return _in_thread(entered)

    def popen(self, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in this namespace."""
        return self.inside(lambda: subprocess.Popen(command, **options))

    def ip(self, *lines: str) -> None:
        """Let ``ip`` carry out these commands; CalledProcessError where one fails."""
        self.inside(ip, *lines)

    def setting(self, value: int | str, *names: str) -> None:
        """Write a kernel setting of this namespace: ``ipv4/ip_forward``."""
        for name in names:
            self.inside(_write_setting, name, value)

    def tap(self, name: str) -> int:
        """Make a TAP device in this namespace and return its descriptor."""
        return self.inside(open_tap, name)


def open_tap(name: str) -> int:
    """Make a TAP device in the namespace of this thread; reads and writes of its descriptor are frames."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def ip(*lines: str) -> None:
    """Let ``ip`` carry out these commands in the namespace of this thread."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def _write_setting(name: str, value: int | str) -> None:
    with open(f"/proc/sys/net/{name}", "w") as file:
        file.write(str(value))


def _new_namespace() -> int:
    _check(_libc.unshare(_CLONE_NEWNET))
    for name in ("router_solicitations", "accept_ra", "accept_dad"):
        _write_setting(f"ipv6/conf/default/{name}", 0)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_thread(function: Callable[[], _Result]) -> _Result:
    """A thread's namespace is its own, and ends with it."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
