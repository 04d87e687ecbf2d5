"""Read the files of a policy, each once."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from op25b_app.formats.prefix_rows import FileFormat
from op25b_app.net.prefix import quoted
from op25b_app.policy.diagnostic import Diagnostic, error
from op25b_app.policy.model import Binding, LocatedPrefix, MailException, SourceLocation
from op25b_app.policy.prefix_file import PrefixFile, read_formatted_file, read_prefix_file
from op25b_app.policy.table_file import BindingFile, ExceptionFile, read_binding_file, read_exception_file

MAX_POLICY_BYTES = 16 << 20
"""Maximum size of a policy file in bytes; 1,000 switches of 46 lines each, with bindings, are 5 MB."""
MAX_PREFIX_BYTES = 64 << 20
"""Maximum size of a prefix file in bytes; two million prefixes are 40 MB."""
SILENT_SECONDS = 10

Read = Callable[[Path], bytes]
"""Function that returns the content of a file, or raises OSError."""
ListNames = Callable[[Path], Iterable[str]]
"""Function that returns the names of the files in a folder, or raises OSError."""


def read_file(path: Path) -> bytes:
    """Read a file, but at most one byte more than the largest permitted size.

    A FIFO is read as well, as a shell passes one for ``<(...)``. Raises OSError where the file cannot be
    read, or sends nothing for ``SILENT_SECONDS``.
    """
    content = bytearray()
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb", buffering=0) as file:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        while len(content) <= MAX_PREFIX_BYTES:
            if not poll.poll(SILENT_SECONDS * 1000):
                raise OSError(errno.EAGAIN, f"it does not answer within {SILENT_SECONDS} s")
            piece = file.read(MAX_PREFIX_BYTES + 1 - len(content))
            if not piece:
                break
            content += piece
    return bytes(content)


_BYTE_ORDER_MARK = "\ufeff"
"""Byte order mark, which some editors write at the start of a text (RFC 3629, section 6)."""


class ListFile(NamedTuple):
    """A file of prefixes, bindings or exceptions, and its format; None is one prefix a line."""

    path: Path
    form: FileFormat | None = None


BINDINGS, EXCEPTIONS = FileFormat("bindings"), FileFormat("exceptions")
ListContent = PrefixFile | BindingFile | ExceptionFile
_Content = TypeVar("_Content", bound=ListContent)


class Files:
    """Files of a load, each read once: a file that changes meanwhile has one content.

    Of prefix files in ``before``, only changed lines are parsed.
    """

    def __init__(self, read: Read, list_names: ListNames, before: Mapping[ListFile, ListContent]) -> None:
        self._read = read
        self._list_names = list_names
        self._before = before
        self.contents: dict[Path, bytes] = {}
        self.folders: dict[Path, tuple[str, ...]] = {}
        self.list_files: dict[ListFile, ListContent] = {}

    def text(
        self, path: Path, named_at: SourceLocation, most_bytes: int
    ) -> tuple[str | None, list[Diagnostic]]:
        """Return a file's content without byte order mark; None and the problem where it cannot be read."""
        try:
            if path not in self.contents:
                self.contents[path] = self._read(path)
            content = self.contents[path]
            if len(content) > most_bytes:
                return None, [error(named_at, _too_large(path, most_bytes))]
            return content.decode().removeprefix(_BYTE_ORDER_MARK), []
        except OSError as failure:
            is_there = not isinstance(failure, FileNotFoundError)
            remedy = f"name a file that {'can be read' if is_there else 'is there'}"
            what = f"cannot read {path}: {failure.strerror}; {remedy}"
            return None, [error(named_at, what)]
        except UnicodeDecodeError as failure:
            before = failure.object[: failure.start]
            line = before.count(b"\n") + 1
            place = SourceLocation(str(path), line, failure.start - before.rfind(b"\n"))
            return None, [error(place, "not UTF-8 text; save the file as UTF-8")]
        except ValueError:
            what = f"cannot read {path}: no file can have such a name; name a file that is there"
            return None, [error(named_at, what)]

    def names(self, folder: Path, named_at: SourceLocation) -> tuple[Sequence[str], list[Diagnostic]]:
        """Return the names of the files in a folder; none and the problem where it cannot be read."""
        try:
            self.folders[folder] = tuple(self._list_names(folder))
            return self.folders[folder], []
        except OSError as failure:
            what = f"cannot read the folder {folder}: {failure.strerror}; name one that can be read"
            return (), [error(named_at, what)]
        except ValueError:
            return (), [error(named_at, f"no folder can be called {quoted(str(folder))}; correct the name")]

    def prefixes(
        self, file: ListFile, named_at: SourceLocation
    ) -> tuple[tuple[LocatedPrefix, ...], list[Diagnostic]]:
        """Return the prefixes of a file; its problems are returned only the first time."""
        form = file.form

        def read(name: str, text: str, before: PrefixFile | None) -> PrefixFile:
            if form is None:
                return read_prefix_file(name, text, before)
            return read_formatted_file(name, text, form, before)

        content, problems = self._parsed(file, named_at, read)
        return (content.listed if content is not None else ()), problems

    def bindings(self, path: Path, named_at: SourceLocation) -> tuple[tuple[Binding, ...], list[Diagnostic]]:
        """Return the bindings of a CSV file; its problems are returned only the first time."""
        content, problems = self._parsed(ListFile(path, BINDINGS), named_at, read_binding_file)
        return (content.bindings if content is not None else ()), problems

    def exceptions(
        self, path: Path, named_at: SourceLocation
    ) -> tuple[tuple[MailException, ...], list[Diagnostic]]:
        """Return the exceptions of a CSV file; its problems are returned only the first time."""
        content, problems = self._parsed(ListFile(path, EXCEPTIONS), named_at, read_exception_file)
        return (content.exceptions if content is not None else ()), problems

    def _parsed(
        self, file: ListFile, named_at: SourceLocation, read: Callable[[str, str, _Content | None], _Content]
    ) -> tuple[_Content | None, list[Diagnostic]]:
        if file in self.list_files:
            return cast("_Content", self.list_files[file]), []
        text, problems = self.text(file.path, named_at, MAX_PREFIX_BYTES)
        if text is None:
            return None, problems
        content = read(str(file.path), text, cast("_Content | None", self._before.get(file)))
        self.list_files[file] = content
        return content, [*content.problems]


def _too_large(path: Path, most_bytes: int) -> str:
    what = f"{path} is larger than {most_bytes >> 20} MiB"
    if most_bytes == MAX_POLICY_BYTES:
        return f"{what}, too large for a policy; put long lists of prefixes into files of their own"
    return f"{what}, too large for a file of prefixes; leave out what longer prefixes repeat, or split it"
