"""Join the files of a policy into one document, in which each value keeps its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from op25b_app.net.prefix import quoted
from op25b_app.policy.diagnostic import Diagnostic, error, names_in_words, warning
from op25b_app.policy.model import SourceLocation
from op25b_app.policy.policy_file import NESTED, PolicyFile
from op25b_app.policy.schema import (
    PORT_LISTS,
    PolicySchema,
    ProfileSection,
    Section,
    SwitchSection,
    port_count,
)
from op25b_app.policy.yaml_source import Path, YamlSource

MAX_PORTS_IN_ALL = 1 << 20
"""Maximum number of ports in a policy: those of 20,000 switches of 48 ports."""


class _Origin(NamedTuple):
    """The file in which a value was written, and its path there."""

    source: YamlSource
    path: Path


@dataclass(frozen=True)
class Document:
    """The values of all files of a policy, and their places; a switch has the keys of its profile."""

    written: PolicySchema
    _first: YamlSource
    """The policy file itself, in which what is missing everywhere would be looked for."""
    _origins: Mapping[Path, _Origin]
    """Origin of the values of each path, and of those below it, unless a longer path has its own."""

    def place(self, path: Path) -> SourceLocation:
        """Return the place of the value at ``path``, or of the deepest existing part of the path."""
        source, at = self.origin(path)
        return source.place(at)

    def key_place(self, path: Path) -> SourceLocation:
        """Return the place of the key of the value at ``path``; for a list item, of the item."""
        source, at = self.origin(path)
        return source.key_place(at)

    def item_places(self, path: Path) -> list[SourceLocation]:
        """Return the place of each item of the list at ``path``."""
        source, at = self.origin(path)
        return source.item_places(at)

    def part(self, path: Path) -> YamlSource:
        """Return the mapping or list at ``path`` as a source of its own; an empty one where there is none."""
        source, at = self.origin(path)
        return source.part(at)

    def origin(self, path: Path) -> tuple[YamlSource, Path]:
        """Return the file in which the value at ``path`` was written, and its path there."""
        for length in range(min(len(path), _MAX_STEPS), 0, -1):
            origin = self._origins.get(path[:length])
            if origin is not None:
                return origin.source, (*origin.path, *path[length:])
        return self._first, path


_MAX_STEPS = 3
"""Length of the longest path with an origin of its own: a key that a switch takes from its profile."""


def join(files: Sequence[PolicyFile], *, is_whole: bool) -> tuple[Document | None, list[Diagnostic]]:
    """Return the document of a policy's files, the policy file first, and what is wrong between them.

    Where others could not be read, ``is_whole`` is False: what these files lack may stand there.
    There is no document where the switches have more ports than those of any network.
    """
    joined = _Joined(files, is_whole=is_whole)
    document = joined.document()
    too_many = [*_too_many_ports(document)]
    return None if too_many else document, [*joined.problems, *too_many]


class _Joined:
    """Values of several files under the keys of one, with their origins."""

    def __init__(self, files: Sequence[PolicyFile], *, is_whole: bool) -> None:
        self._files = files
        self._is_whole = is_whole
        self._origins: dict[Path, _Origin] = {}
        self.problems: list[Diagnostic] = []

    def document(self) -> Document:
        """Return the document; what is wrong goes to ``problems``."""
        values = {key: self._value(key) for key in PolicySchema.model_fields if key != "switches"}
        profiles = cast("Mapping[str, ProfileSection]", values["profiles"])
        switches = cast("Mapping[str, SwitchSection]", self._value("switches"))
        values["switches"] = {
            name: self._with_profile(name, switch, profiles) for name, switch in switches.items()
        }
        document = Document(PolicySchema.model_construct(**values), self._files[0].source, self._origins)
        if self._is_whole:
            self.problems += [*self._missing(document), *_unused(document, switches)]
        return document

    def _value(self, key: str) -> Any:
        """Return the value of a key at the top: that of one file, or what several files have together."""
        default = PolicySchema.model_fields[key].default
        having = [file for file in self._files if key in file.source.value]
        if isinstance(default, list):
            return [*self._items(key, having)]
        if isinstance(default, dict):
            return {
                name: getattr(file.written, key)[name]
                for file in having
                for name in file.source.value[key]
                if self._is_first((key, name), file)
            }
        if isinstance(default, Section):
            for file in having:
                self._origins.setdefault((key,), _Origin(file.source, (key,)))
            return type(default).model_construct(
                **{
                    inner: getattr(getattr(file.written, key), inner)
                    for file in having
                    for inner in file.source.value[key]
                    if self._is_first((key, inner), file)
                }
            )
        firsts = [file for file in having if self._is_first((key,), file)]
        return getattr(firsts[0].written, key) if firsts else default

    def _items(self, key: str, having: Sequence[PolicyFile]) -> Iterator[Any]:
        position = 0
        for file in having:
            for index, item in enumerate(getattr(file.written, key)):
                self._origins[key, position] = _Origin(file.source, (key, index))
                position += 1
                yield item

    def _is_first(self, path: Path, file: PolicyFile) -> bool:
        """Note where a value is written; report it where another file has it, too, and return False."""
        first = self._origins.setdefault(path, _Origin(file.source, path))
        if first.source is file.source:
            return True
        what = f"{quoted(str(path[-1]))} is written in two files, first in {first.source.key_place(path)}"
        self.problems.append(error(file.source.key_place(path), f"{what}; keep one of them"))
        return False

    def _with_profile(
        self, name: str, switch: SwitchSection, profiles: Mapping[str, ProfileSection]
    ) -> SwitchSection:
        """Return a switch with the keys of its profile that it does not have itself."""
        if switch.profile is None:
            return switch
        if switch.profile not in profiles and not self._is_whole:
            return switch
        if switch.profile not in profiles:
            known = names_in_words([*profiles]) or "none"
            what = f"no profile is called '{switch.profile}'; the profiles are {known}"
            source, path = self._origins["switches", name]
            self.problems.append(error(source.place((*path, "profile")), what))
            return switch
        profile = profiles[switch.profile]
        inherited = profile.model_fields_set - switch.model_fields_set
        source, path = self._origins["profiles", switch.profile]
        for key in inherited:
            self._origins["switches", name, key] = _Origin(source, (*path, key))
        return switch.model_copy(update={key: getattr(profile, key) for key in inherited})

    def _missing(self, document: Document) -> Iterator[Diagnostic]:
        """Yield an error for each key that no file has, and for a policy without a switch."""
        present = frozenset().union(*(file.present for file in self._files))
        for key in PolicySchema.required:
            if (key,) not in present:
                yield error(document.key_place(()), f"'{key}' is missing; write it")
        for nested in NESTED[PolicySchema]:
            if nested.container is None and any(
                isinstance(file.source.value.get(nested.key), dict) for file in self._files
            ):
                for key in nested.section.required:
                    if (nested.key, key) not in present:
                        place = document.key_place((nested.key,))
                        yield error(place, f"'{key}' is missing under '{nested.key}'; write it")
        is_empty = any(file.source.value.get("switches") == {} for file in self._files)
        if is_empty and not any(path[0] == "switches" and len(path) > 1 for path in present):
            what = "no switch: nothing would be protected; name one, with its dpid and its ports"
            yield error(document.key_place(("switches",)), what)


def _unused(document: Document, switches: Mapping[str, SwitchSection]) -> Iterator[Diagnostic]:
    used = {switch.profile for switch in switches.values()}
    for name in document.written.profiles:
        if name not in used:
            what = f"no switch has the profile '{name}'; write profile: {name} at those that it is for"
            yield warning(document.key_place(("profiles", name)), f"{what}, or take it out")


def _too_many_ports(document: Document) -> Iterator[Diagnostic]:
    """Yield an error for each list with which the switches have more ports than those of any network."""
    total = 0
    for name, switch in document.written.switches.items():
        for key in (*PORT_LISTS, "vlans"):
            count = port_count(getattr(switch, key))
            if total + count > MAX_PORTS_IN_ALL:
                what = f"with these the policy names more than {MAX_PORTS_IN_ALL:,} ports"
                place = document.place(("switches", name, key))
                yield error(place, f"{what}; name those that switches have")
            else:
                total += count
