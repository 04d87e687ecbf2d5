"""Load a policy: return it, or all its problems at once."""

from __future__ import annotations

import gc
import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.prefix import quoted
from op25b_app.policy import checks
from op25b_app.policy.address_space import AddressSpace
from op25b_app.policy.builder import Builder, BuiltSwitch
from op25b_app.policy.diagnostic import Diagnostic, error, warning
from op25b_app.policy.document import join
from op25b_app.policy.model import Policy, SourceLocation
from op25b_app.policy.policy_file import PolicyFile, read_policy_file
from op25b_app.policy.source_files import (
    MAX_POLICY_BYTES,
    Files,
    ListContent,
    ListFile,
    ListNames,
    Read,
    read_file,
)

MAX_FILES = 10_000
"""Maximum number of files that a policy may include."""
MAX_INCLUDE_DEPTH = 32
"""Maximum number of files of which each includes the next."""

MANY_OBJECTS = 100_000
"""Number of objects that a search for garbage walks over in some ten milliseconds."""


class Memory(NamedTuple):
    """Intermediate results that the next load of the same files can use again."""

    policy_files: Mapping[FilePath, PolicyFile] = MappingProxyType({})
    list_files: Mapping[ListFile, ListContent] = MappingProxyType({})
    space: AddressSpace | None = None
    switches: Mapping[str, BuiltSwitch] = MappingProxyType({})


class Loaded(NamedTuple):
    """The result of a load; ``policy`` is None where ``problems`` holds an error.

    ``files`` holds the content of each file by path, the policy file first. ``digest`` (SHA-256,
    hexadecimal) identifies all of it. ``folders`` holds the names of the files in each directory that was
    looked into.
    """

    policy: Policy | None
    problems: tuple[Diagnostic, ...]
    files: Mapping[FilePath, bytes]
    digest: str
    memory: Memory = Memory()
    folders: Mapping[FilePath, tuple[str, ...]] = MappingProxyType({})

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Problems that make the policy unusable."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def recalling(self, previous: Loaded | None) -> Loaded:
        """Return this result for a second attempt, made once its files are available.

        Its memory holds the policy files that were read now, and the prefixes that ``previous`` knew.
        """
        if previous is None:
            return self
        return self._replace(memory=previous.memory._replace(policy_files=self.memory.policy_files))


def load(
    path: FilePath,
    at: float,
    read: Read = read_file,
    previous: Loaded | None = None,
    list_names: ListNames = os.listdir,
) -> Loaded:
    """Read and check a policy file and the files that it names, each once.

    ``at`` (seconds since 1970) decides which exceptions are past. Problems of the files are returned, never
    raised. ``previous`` is an earlier result: unchanged parts are used again, with the same result.
    """
    memory = Memory() if previous is None else previous.memory
    with _no_collection():
        return _load(path, at, Files(read, list_names, memory.list_files), memory)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the search for garbage in cycles: a load makes millions of values, and none of them is in one.

    Where there are many, what is alive then is left out of later searches, too.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        gc.enable()


def _load(path: FilePath, at: float, files: Files, memory: Memory) -> Loaded:
    gathered = _Gathered(files, memory.policy_files)
    gathered.read(path)
    problems = gathered.problems
    policy = None
    switches: Mapping[str, BuiltSwitch] = {}
    if path in gathered.policy_files:
        document, more = join([*gathered.policy_files.values()], is_whole=gathered.is_whole)
        problems += more
        if document is not None:
            builder = Builder(document, files, memory.switches)
            policy = builder.policy(memory.space)
            switches = builder.built
            problems += builder.problems
            # Where a file is missing, what the others say of it would seem wrong.
            found = checks.check(policy, document, at) if gathered.is_whole else []
            if _has_error(problems):
                # Invalid parts are missing here, so a warning about the rest may be false.
                found = [problem for problem in found if problem.severity == "error"]
            problems += found
    problems.sort(key=lambda problem: (problem.place.file != str(path), problem.place))
    space = policy.space if policy is not None else None
    kept = Memory(gathered.policy_files, files.list_files, space, switches)
    if _has_error(problems):
        policy = None
    return Loaded(
        policy, tuple(problems), files.contents, digest(files.contents.values()), kept, files.folders
    )


def _has_error(problems: Iterable[Diagnostic]) -> bool:
    return any(problem.severity == "error" for problem in problems)


class _Gathered:
    """The files of a policy, each once, and what is wrong with each."""

    def __init__(self, files: Files, before: Mapping[FilePath, PolicyFile]) -> None:
        self._files = files
        self._before = before
        self._named: dict[FilePath, int] = {}
        """Files that are named so far, each with the number of files through which it is included."""
        self._texts: dict[str, str] = {}
        """Text of the first file read by each path, written without ``..``."""
        self.policy_files: dict[FilePath, PolicyFile] = {}
        self.problems: list[Diagnostic] = []
        self.is_whole = True
        """True where every file could be read."""

    def read(self, path: FilePath) -> None:
        """Read a policy file, the files that it includes, and those that they include."""
        self._named[path] = 0
        waiting = deque([(path, SourceLocation(str(path), 1, 1))])
        while waiting:
            file, named_at = waiting.popleft()
            text, problems = self._files.text(file, named_at, MAX_POLICY_BYTES)
            self.problems += problems
            if text is not None and self._is_known(file, text):
                continue
            read = None
            if text is not None:
                read, problems = read_policy_file(str(file), text, self._before.get(file))
                self.problems += problems
            if read is None:
                self.is_whole = False
                continue
            self.policy_files[file] = read
            before = len(self.problems)
            waiting += self._included(file, read)
            self.is_whole &= not _has_error(self.problems[before:])

    def _is_known(self, path: FilePath, text: str) -> bool:
        """Return whether a file was read by another path to it, as by ``sub/../a.yaml``.

        Where ``sub`` is a symbolic link, this may be another file, so the text has to be the same.
        """
        plain = os.path.normpath(path)
        is_known = self._texts.get(plain) == text
        self._texts.setdefault(plain, text)
        return is_known

    def _included(self, path: FilePath, file: PolicyFile) -> Iterator[tuple[FilePath, SourceLocation]]:
        """Yield the files that a file includes and that nothing named before, each with where it is named."""
        places = file.source.item_places(("include",))
        for name, place in zip(file.written.include, places, strict=True):
            for included in self._matching(path.parent / name, place):
                if included in self._named:
                    continue
                if self._named[path] == MAX_INCLUDE_DEPTH:
                    what = f"more than {MAX_INCLUDE_DEPTH} files include one another in a row"
                    self.problems.append(error(place, f"{what}; include this one in the policy file itself"))
                    return
                self._named[included] = self._named[path] + 1
                if len(self._named) > MAX_FILES:
                    what = f"with this the policy includes more than {MAX_FILES:,} files"
                    self.problems.append(error(place, f"{what}; write several switches into each"))
                    return
                yield included, place

    def _matching(self, pattern: FilePath, place: SourceLocation) -> list[FilePath]:
        if not any(wildcard in pattern.name for wildcard in "*?["):
            return [pattern]
        names, problems = self._files.names(pattern.parent, place)
        self.problems += problems
        matching = [
            name
            for name in sorted(names)
            if fnmatchcase(name, pattern.name) and (pattern.name[0] == "." or name[0] != ".")
        ]
        if not matching and not problems:
            what = f"no file matches {quoted(str(pattern))}"
            self.problems.append(warning(place, f"{what}; correct the name, or take it out"))
        for name in matching:
            if not name.isprintable():
                what = f"the file name {quoted(name)} has a character that cannot be printed"
                self.problems.append(error(place, f"{what}; rename the file"))
        return [pattern.parent / name for name in matching if name.isprintable()]


def digest(contents: Iterable[bytes]) -> str:
    """Return the SHA-256 (hexadecimal) of one content, or of the SHA-256 digests of several."""
    hashes = [hashlib.sha256(content) for content in contents]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(each.digest() for each in hashes))
    return whole.hexdigest()
