"""A private world for the lab: network, mounts and processes of its own, which the kernel removes whole.

Whatever ends the lab (its last line, Ctrl-C, kill -9), its first process dies with it, and Linux then kills
every process and drops every interface and mount that belonged to it: pid_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable

from errors import LabError

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
"""The C library has no wrapper for this system call."""


def run_isolated(main: Callable[[], int]) -> int:
    """Run ``main`` as the first process of a private world and return its exit code.

    Inside, ``/run`` is an empty file system in memory, and the only interface is ``lo``; files elsewhere are
    the caller's. ``/`` is a mount point even where the caller sits in a chroot: Mininet's mnexec insists.
    """
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET), "separate namespaces")
    # Ctrl-C reaches both processes, and the inner one answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = os.fork()
    if first == 0:
        os._exit(_first_process(main))
    return _wait_for(first)


def _first_process(main: Callable[[], int]) -> int:
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "a tie to the parent process")
    # Nothing needs an orderly end: what is in this world goes with its first process.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        _private_mounts()
        code = main()
    except LabError as error:
        print(f"op25b lab: {error}", file=sys.stderr)
        code = 1
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _wait_for(first: int) -> int:
    """End with the code of the first process; SIGTERM and SIGHUP end it at once."""
    ended_by = 0

    def end(number: int, _frame: object) -> None:
        nonlocal ended_by
        ended_by = number
        os.kill(first, signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    _, status = os.waitpid(first, 0)
    return 128 + ended_by if ended_by else os.waitstatus_to_exitcode(status) % 256


def _private_mounts() -> None:
    here = os.getcwd()
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    # Joining the own mount namespace leaves a chroot: only its real root can be made private and exchanged.
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    _check(_libc.setns(namespace, CLONE_NEWNS), "the root of the mount namespace")
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    os.fchdir(root)
    os.close(root)
    os.close(namespace)
    _mount("tmpfs", "run", "tmpfs", 0, "mode=755")
    os.mkdir("run/root")
    _mount(".", "run/root", "", MS_BIND | MS_REC)
    os.chdir("run/root")
    _pivot_root_here()
    os.chdir("/")
    os.rmdir("/run/root")
    _mount("proc", "/proc", "proc")
    _mount("sysfs", "/sys", "sysfs")
    if not os.path.exists("/dev/pts/ptmx"):
        _mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=666")
    os.chdir(here)


def _pivot_root_here() -> None:
    """Make the working directory the root and let go of the old one: pivot_root(2), NOTES."""
    machine = os.uname().machine
    if machine not in _PIVOT_ROOT:
        raise LabError(f"pivot_root has no number for {machine} here; add it to mininet/isolation.py")
    _check(_libc.syscall(_PIVOT_ROOT[machine], b".", b"."), "a root of its own")
    _check(_libc.umount2(b".", MNT_DETACH), "a root of its own")


def _mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)
    _check(_libc.mount(*arguments), f"{target} as {kind or 'a bind mount'}")


def _check(result: int, what: str) -> None:
    if result != 0:
        reason = os.strerror(ctypes.get_errno())
        remedy = "run as root, and in a container with CAP_SYS_ADMIN (--privileged)"
        raise LabError(f"the kernel refuses {what}: {reason}; {remedy}")


if __name__ == "__main__":
    command = sys.argv[1:]
    sys.exit(run_isolated(lambda: os.spawnvp(os.P_WAIT, command[0], command)))
