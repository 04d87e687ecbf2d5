"""The files of a policy, read before it is loaded, so that loading waits for none of them."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable
from pathlib import Path

from eventlet.patcher import original

from op25b_app.operate.file_threads import NoAnswerError, in_file_thread

MOST_BYTES = 64 << 20
"""How much the files of one policy may hold together; two million prefixes are 40 MB."""

_os = original("os")
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file of at most so many bytes; nothing else is waited for.

    Raises: OSError, whose ``strerror`` says what is in the way.
    """
    try:
        descriptor = _os.open(path, _os.O_RDONLY | _os.O_NONBLOCK | _os.O_NOCTTY | _os.O_CLOEXEC)
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have such a name") from None
    try:
        about = _os.fstat(descriptor)
        kind = stat.S_IFMT(about.st_mode)
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(min(about.st_size, most_bytes) + 1)  # no more room than the file needs
            if about.st_size < len(content) <= most_bytes:  # it grows, or does not know its size
                content += file.read(most_bytes + 1 - len(content))
    finally:
        _os.close(descriptor)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"the files of a policy may hold {MOST_BYTES >> 20} MiB together")
    return content


class PolicyFiles:
    """What the files of one policy hold, or why that is not known.

    ``wanted`` are those that :meth:`read` was asked for and that were not fetched.
    """

    def __init__(self) -> None:
        self._found: dict[Path, bytes | OSError] = {}
        self._size = 0
        self._silent: Path | None = None
        self.wanted: set[Path] = set()

    def read(self, path: Path) -> bytes:
        """Return what a file holds, as it was fetched.

        Raises: OSError where it could not be read, or was not fetched.
        """
        found = self._found.get(path)
        if found is None:
            self.wanted.add(path)
            raise FileNotFoundError(errno.ENOENT, "it was not read yet")
        if isinstance(found, OSError):
            raise found
        return found

    def fetch(self, paths: Iterable[Path]) -> None:
        """Read files, each in a thread of its own, while the green thread that asked waits.

        After one that does not answer no other is tried, so that all of them together cost its time only.
        """
        for path in paths:
            self._found[path] = self._fetched(path)
        self.wanted.clear()

    def fetch_if_readable(self, paths: Iterable[Path]) -> None:
        """Read files that may be wanted, up to the first that does not answer.

        One that cannot be read is as if it had not been tried.
        """
        for path in paths:
            found = self._fetched(path)
            if isinstance(found, bytes | NoAnswerError):
                self._found[path] = found
            if self._silent is not None:
                break
        self._silent = None

    def _fetched(self, path: Path) -> bytes | OSError:
        if self._silent is not None:
            return NoAnswerError(f"it was not tried, because {self._silent} does not answer")
        try:
            content = in_file_thread("read", path, read_regular_file, path, MOST_BYTES - self._size)
        except OSError as error:
            if isinstance(error, NoAnswerError):
                self._silent = path
            return error
        self._size += len(content)
        return content


def read_kept(path: Path) -> bytes:
    """Read the file that a policy was kept in, with all of its files; the green thread that asked waits.

    Raises: OSError where it cannot be read, or does not answer.
    """
    return in_file_thread("read", path, read_regular_file, path, 2 * MOST_BYTES)
