"""Read the files of a policy before it is loaded, so that loading waits for none of them."""

from __future__ import annotations

import errno
import posix  # "os" without what eventlet puts in its place, which makes an event loop for a thread
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20
"""Most bytes of the files of one policy together; two million prefixes are 40 MB."""

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


InFileThread = Callable[..., Any]
"""Takes the kind and the subject of work on a file, a function and its arguments, and returns its result.

Raises NoAnswerError where that takes too long, and what the function raises.
"""


class NoAnswerError(TimeoutError):
    """A file system does not answer in time; ``strerror`` says so in words."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.ETIMEDOUT, what)


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file of at most ``most_bytes``, without waiting for a FIFO or a device.

    Raises OSError where it cannot be read; ``strerror`` says why.
    """
    content = read_file_or_names(path, most_bytes)
    if isinstance(content, bytes):
        return content
    raise _not_regular("a directory")


def read_file_or_names(path: Path, most_bytes: int) -> bytes | tuple[str, ...]:
    """Read a regular file of at most ``most_bytes``, or the names of the files in a directory.

    It does not wait for a FIFO or a device. Raises OSError where the file cannot be read; ``strerror`` says
    why.
    """
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC)
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have such a name") from None
    try:
        about = posix.fstat(descriptor)
        kind = stat.S_IFMT(about.st_mode)
        if kind == stat.S_IFDIR:
            return tuple(posix.listdir(descriptor))
        if kind != stat.S_IFREG:
            raise _not_regular(_KINDS.get(kind, "something else"))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(min(about.st_size, most_bytes) + 1)  # no more memory than the file needs
            if about.st_size < len(content) <= most_bytes:  # it grows, or does not know its size
                content += file.read(most_bytes + 1 - len(content))
    finally:
        posix.close(descriptor)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"the files of a policy may hold {MAX_BYTES >> 20} MiB together")
    return content


def _not_regular(what: str) -> OSError:
    return OSError(errno.EINVAL, f"it is {what}, not a regular file")


class PolicyFiles:
    """Contents of the files and directories of one policy, or why they are not known.

    ``wanted`` are the files and directories that were asked for and that were not fetched.
    """

    def __init__(self, in_file_thread: InFileThread) -> None:
        self._in_file_thread = in_file_thread
        self._found: dict[Path, bytes | tuple[str, ...] | OSError] = {}
        self._size = 0
        self._silent: Path | None = None
        self.wanted: set[Path] = set()

    def read(self, path: Path) -> bytes:
        """Return the content of a file, as it was fetched.

        Raises OSError where it could not be read, or was not fetched.
        """
        found = self._known(path)
        if isinstance(found, bytes):
            return found
        raise _not_regular("a directory")

    def list_names(self, folder: Path) -> tuple[str, ...]:
        """Return the names of the files in a directory, as it was fetched.

        Raises OSError where it could not be read, or was not fetched.
        """
        found = self._known(folder)
        if isinstance(found, bytes):
            raise NotADirectoryError(errno.ENOTDIR, "it is a file")
        return found

    def _known(self, path: Path) -> bytes | tuple[str, ...]:
        found = self._found.get(path)
        if found is None:
            self.wanted.add(path)
            raise FileNotFoundError(errno.ENOENT, "it was not read yet")
        if isinstance(found, OSError):
            raise found
        return found

    def fetch(self, paths: Iterable[Path]) -> None:
        """Read files, each in a thread of its own; the calling green thread waits.

        After one that does not answer, no other is tried, so only one time-out passes.
        """
        for path in paths:
            self._found[path] = self._fetched(path)
        self.wanted.clear()

    def fetch_if_readable(self, paths: Iterable[Path]) -> None:
        """Read files that may be wanted, up to the first that does not answer.

        A file that cannot be read is ignored.
        """
        for path in paths:
            found = self._fetched(path)
            if isinstance(found, bytes | tuple | NoAnswerError):
                self._found[path] = found
            if self._silent is not None:
                break
        self._silent = None

    def _fetched(self, path: Path) -> bytes | tuple[str, ...] | OSError:
        if self._silent is not None:
            return NoAnswerError(f"it was not tried, because {self._silent} does not answer")
        try:
            content: bytes | tuple[str, ...] = self._in_file_thread(
                "read", path, read_file_or_names, path, MAX_BYTES - self._size
            )
        except OSError as error:
            if isinstance(error, NoAnswerError):
                self._silent = path
            return error
        self._size += len(content) if isinstance(content, bytes) else sum(map(len, content))
        return content


def read_kept(path: Path, in_file_thread: InFileThread) -> bytes:
    """Read the file in which a policy was kept with all its files; the calling green thread waits.

    Raises OSError where it cannot be read, or does not answer.
    """
    content: bytes = in_file_thread("read", path, read_regular_file, path, 2 * MAX_BYTES)
    return content
