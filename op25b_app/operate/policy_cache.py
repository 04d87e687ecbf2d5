"""Remember large policies as values, so that a command need not read 50,000 lines for one answer.

An entry is used only where each file of the policy has the content that it was made from, and where the code
that made it is the same. Entries are pickles of op25b's own values. They are read only from files that no
other user could have written.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import io
import os
import pickle
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from op25b_app.policy.loader import Loaded, load
from op25b_app.policy.model import Policy
from op25b_app.policy.source_files import read_file

VARIABLE = "OP25B_CACHE_DIRECTORY"
"""Environment variable that names the directory; empty for none."""
MIN_SECONDS = 0.3
"""CPU seconds of reading a policy from which an entry is worth its writing."""
MAX_ENTRIES = 16
"""Maximum number of entries; the one that was written first goes first."""
_SUFFIX = ".policy"
_PACKAGE = Path(__file__).parents[1]
_ROOMS = ("net", "formats", "policy")
"""Packages whose code makes a policy of its files."""


class _Entry(NamedTuple):
    """A policy with the SHA-256 of all that it was made from, by path."""

    code: bytes
    files: dict[str, bytes]
    folders: dict[str, bytes]
    policy: Policy


def load_cached(path: Path, at: float) -> Loaded:
    """Load a policy like :func:`load`; a remembered one comes without its warnings and files.

    Where the directory cannot be used, the policy is read and not remembered.
    """
    directory = cache_directory()
    if directory is None:
        return load(path, at)
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return load(path, at)
    # Places name files as they were written, so another way to write the path has an entry of its own.
    key = hashlib.sha256(f"{here}\0{path}".encode(errors="surrogateescape")).hexdigest()[:32]
    place = directory / f"{key}{_SUFFIX}"
    if (policy := _recall(place)) is not None:
        return Loaded(policy, (), {}, "")
    began = time.process_time()
    loaded = load(path, at)
    if loaded.policy is not None and time.process_time() - began >= MIN_SECONDS:
        with contextlib.suppress(OSError):
            _keep(place, loaded, loaded.policy)
    return loaded


def cache_directory() -> Path | None:
    """Return the directory of the entries; None where there is to be none."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given) if given else None
    if os.geteuid() == 0:
        return Path("/var/cache/op25b")
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "op25b")
    except RuntimeError:  # this user has no home
        return None


def _recall(place: Path) -> Policy | None:
    """Return the policy of an entry; None where there is none, or where anything has changed."""
    try:
        with open(place, "rb", opener=_open_own) as file:
            entry = _Unpickler(file).load()
        if (
            isinstance(entry, _Entry)
            and entry.code == _code()
            and all(map(os.path.isfile, entry.files))  # what a FIFO holds can be read only once
            and all(_digest(read_file(Path(path))) == known for path, known in entry.files.items())
            and all(_names(os.listdir(path)) == known for path, known in entry.folders.items())
        ):
            return entry.policy
    except Exception:  # whatever is wrong with it, the policy is read again
        return None
    return None


def _open_own(path: str, flags: int) -> int:
    """Open a file if only this user can write it and its directory. Raises OSError otherwise."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW)
    for about in (os.fstat(descriptor), os.stat(Path(path).parent)):
        if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            os.close(descriptor)
            raise PermissionError("another user could have written it")
    return descriptor


def _keep(place: Path, loaded: Loaded, policy: Policy) -> None:
    """Write an entry as a whole, and remove the oldest above MAX_ENTRIES. Raises OSError."""
    entry = _Entry(
        _code(),
        {str(path): _digest(content) for path, content in loaded.files.items()},
        {str(path): _names(names) for path, names in loaded.folders.items()},
        replace(policy, space_before=None),
    )
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=place.parent)  # readable for this user only
    try:
        with open(descriptor, "wb") as file:
            file.write(_pickled(entry))
        os.replace(new, place)
    except BaseException:
        os.unlink(new)
        raise
    entries = sorted(place.parent.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for old in entries[:-MAX_ENTRIES]:
        old.unlink(missing_ok=True)


def _code() -> bytes:
    """Return the SHA-256 of the code that makes a policy of its files, and of the Python version."""
    sources = sorted(path for room in _ROOMS for path in (_PACKAGE / room).glob("*.py"))
    return _digest(sys.version.encode(), *(path.read_bytes() for path in sources))


def _names(names: Iterable[str]) -> bytes:
    return _digest(*(os.fsencode(name) for name in sorted(names)))


def _digest(*contents: bytes) -> bytes:
    whole = hashlib.sha256()
    for content in contents:
        whole.update(hashlib.sha256(content).digest())
    return whole.digest()


def _pickled(entry: _Entry) -> bytes:
    content = io.BytesIO()
    _Pickler(content, pickle.HIGHEST_PROTOCOL).dump(entry)
    return content.getvalue()


class _Pickler(pickle.Pickler):
    """Pickler of what Python's own cannot write, or writes as a call of any function."""

    def reducer_override(self, value: Any) -> Any:
        """Return the function and the arguments that make a value again."""
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        if isinstance(value, enum.Enum):
            return type(value), (value.value,)
        if is_dataclass(value) and not isinstance(value, type):  # made again three times as fast so
            return type(value), tuple(getattr(value, each.name) for each in fields(value) if each.init)
        return NotImplemented


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


class _Unpickler(pickle.Unpickler):
    """Unpickler that makes nothing but values of op25b's own."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function of an entry. Raises pickle.UnpicklingError for any other."""
        is_own = module == __name__ or module.startswith(tuple(f"op25b_app.{room}." for room in _ROOMS))
        if not is_own and (module, name) != ("builtins", "frozenset"):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a policy")
        return super().find_class(module, name)
