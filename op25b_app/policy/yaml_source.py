"""Read a YAML 1.2 file as plain values with their places."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from yaml.reader import ReaderError

from op25b_app.net.prefix import quoted
from op25b_app.policy.diagnostic import Diagnostic, Errors, error, names_in_words
from op25b_app.policy.model import SourceLocation

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a file to a value."""

MAX_DEPTH = 32
"""Maximum nesting depth of a file; a policy takes eight levels."""
MAX_VALUES = 1_000_000
"""Maximum number of values in a file; 1,000 switches of 46 lines each, with bindings, are 290,000."""
MAX_ADDED = 200_000
"""Maximum number of values that aliases may add to the written ones."""
MAX_WORDS = 200
"""Maximum number of characters quoted from a part of the parser's message; it may quote a whole file."""

_CORE = {
    "null": re.compile(r"null|Null|NULL|~|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}"),
}
"""Notation of values by type (YAML 1.2, section 10.3.2); no key takes a longer number."""
_MAY_BE_CORE = frozenset("-+0123456789nNtTfF~")
"""First characters of what ``_CORE`` describes."""
_YAML_1_1 = re.compile(
    r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+(:[0-5]?[0-9])*|[-+]?0x[0-9a-f_]+|yes|no|on|off|y|n", re.I
)
"""Numbers and truth values of YAML 1.1; in YAML 1.2 they are text, whatever their tag says."""
_DATAPATH_ID = re.compile(r"[0-9]{16}")
"""Sixteen digits are a datapath id in hexadecimal, whatever YAML takes them for."""
_YAML_ORG = "tag:yaml.org,2002:"
_MERGE = _YAML_ORG + "merge"
"""Tag of a plain ``<<`` as a key in YAML 1.1; YAML 1.2 has no merge keys."""
_ESCAPE = re.compile(r"[0-9a-fA-F]{8}|[0-9a-fA-F]{4}")
"""Digits of an escape like \\U0010FFFF or \\u00E9."""
_SCALAR_TAGS = frozenset((*_CORE, "str", "float", "timestamp", "merge", "value"))
_NO_LINE_BREAK = re.compile("[\x85\u2028\u2029]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that only an escape like \\0 can produce; no name, path or terminal takes them."""

_COLUMN_BITS = 32
At = int
"""Line and column, which count from 1, as ``line << _COLUMN_BITS | column``."""


class _Places:
    """Places of a mapping or list, of its keys, and of the values in it."""

    __slots__ = ("at", "below", "height", "keys", "size")

    def __init__(self, at: At, below: Any) -> None:
        self.at = at
        self.below = below
        """Place of each value, by key or position."""
        self.keys: dict[str, At] = {}
        self.size = 0
        """Number of values with this one, those that aliases add among them; 0 before its end is read."""
        self.height = 1
        """Number of mappings and lists in one another, with this one, those of aliases among them."""


@dataclass(frozen=True)
class YamlSource:
    """One YAML file: its plain value, and the place of each path in it. A key without a value is absent."""

    file: str
    value: Any
    _root: _Places

    def place(self, path: Path) -> SourceLocation:
        """Return the place of the value at ``path``, or of the deepest existing part of the path."""
        return _location(self.file, _at_of(self._deepest(path)[1]))

    def key_place(self, path: Path) -> SourceLocation:
        """Return the place of the key of the value at ``path``; for a list item, of the item."""
        return _location(self.file, _at_of(self._deepest(path)[0]))

    def item_places(self, path: Path) -> list[SourceLocation]:
        """Return the place of each item of the list at ``path``."""
        _, places, depth = self._deepest(path)
        if depth < len(path) or not isinstance(places, _Places) or not isinstance(places.below, list):
            return []
        return [_location(self.file, _at_of(item)) for item in places.below]

    def part(self, path: Path) -> YamlSource:
        """Return the mapping or list at ``path`` as a source of its own; an empty one where there is none."""
        _, places, depth = self._deepest(path)
        if depth < len(path) or not isinstance(places, _Places):
            return YamlSource(self.file, {}, _Places(_at_of(places), {}))
        value = self.value
        for step in path:
            value = value[step]
        return YamlSource(self.file, value, places)

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove the values at ``paths`` and their keys; later items of a list move up."""
        below: dict[Path, set[str | int]] = {}
        for path in paths:
            below.setdefault(path[:-1], set()).add(path[-1])
        for parent in sorted(below, key=_last_first, reverse=True):
            self._remove_below(parent, below[parent])

    def _remove_below(self, parent: Path, steps: set[str | int]) -> None:
        _, places, depth = self._deepest(parent)
        if depth < len(parent) or not isinstance(places, _Places):
            return
        plain: Any = self.value
        for step in parent:
            plain = plain[step]
        if isinstance(plain, list):
            for values in (plain, places.below):
                values[:] = [item for position, item in enumerate(values) if position not in steps]
        else:
            for step in steps:
                for mapping in (plain, places.below, places.keys):
                    mapping.pop(str(step), None)

    def _deepest(self, path: Path) -> tuple[At | _Places, At | _Places, int]:
        """Return the places of key and value as far along ``path`` as they exist, and the number of steps."""
        key: At | _Places = self._root
        value: At | _Places = self._root
        for depth, step in enumerate(path):
            if not isinstance(value, _Places):
                return key, value, depth
            if isinstance(value.below, list):
                if not isinstance(step, int) or step >= len(value.below):
                    return key, value, depth
                key = value = value.below[step]
            else:
                if str(step) not in value.below:
                    return key, value, depth
                key, value = value.keys[str(step)], value.below[str(step)]
        return key, value, len(path)


def _last_first(path: Path) -> list[tuple[bool, int, str]]:
    return [(isinstance(step, int), step if isinstance(step, int) else 0, str(step)) for step in path]


def read_tree(file: str, text: str) -> tuple[YamlSource | None, list[Diagnostic]]:
    """Parse ``text``.

    The tree is None where it is not YAML, not a mapping at its top, or too large with its aliases.
    """
    composer = _Composer(file, text)
    try:
        root = composer.root()
    except _UnreadableError as failure:
        return None, [error(failure.place, failure.message)]
    except MarkedYAMLError as failure:
        return None, [_syntax_error(file, text, failure)]
    except ReaderError as failure:
        before = text.encode()[: failure.position].decode(errors="replace")
        return None, [error(_end_of(file, before), _NOT_ALLOWED)]
    except UnicodeEncodeError as failure:
        return None, [error(_end_of(file, text[: failure.start]), _NOT_ALLOWED)]
    if root is None or not isinstance(root.value, dict):
        where = _location(file, _at_of(root.places)) if root is not None else SourceLocation(file, 1, 1)
        what = "the file is empty" if root is None else "a policy is a mapping"
        return None, [error(where, f"{what}; start with the keys isp:, address_space: and switches:")]
    assert isinstance(root.places, _Places)
    return YamlSource(file, root.value, root.places), composer.errors.reported()


_TOO_DEEP = "nested too deeply to be a policy; write it flat"
_NO_CHARACTER = "U+{:04X} is not a character of any text; take it out"
_NOT_ALLOWED = "a character that YAML does not allow; remove it"


class _UnreadableError(Exception):
    """Text that cannot be read, with its place and the words for its reader."""

    def __init__(self, place: SourceLocation, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


class _Node(NamedTuple):
    """A value with its places; ``text`` is None for a mapping and a list."""

    value: Any
    places: At | _Places
    text: str | None = None


class _Composer:
    """Composer of plain values from the events of the parser.

    A value with an alias is shared until the whole file is known to be small enough.
    """

    def __init__(self, file: str, text: str) -> None:
        self.errors = Errors()
        self._file = file
        self._next = _events(text)
        self._anchored: dict[str, _Node] = {}
        self._aliases: list[tuple[_Node, str | int]] = []
        """Mappings and lists with an alias in them, each with its key or position."""
        self._written = 0
        """Number of mappings, lists and values in the text so far, aliases not included."""
        self._added = 0
        """Number of those that aliases add to them."""
        self._deepest = 0
        """Greatest depth in the mapping or list that is read, with what aliases add."""
        self._large: _Places | None = None
        """First value that is larger than aliases may make a file."""
        self._ignoring = 0
        """Number of values around the present one that are read but not used."""

    def root(self) -> _Node | None:
        """Return the value of the document; None where there is no document.

        Raises _UnreadableError and, where it is not YAML, what the parser raises.
        """
        self._next()
        if not isinstance(self._next(), DocumentStartEvent):
            return None
        root = self._node(self._next(), 1)
        self._next()
        if isinstance(following := self._next(), DocumentStartEvent):
            problem = "expected a single document in the stream but found another document"
            raise _UnreadableError(self._location(_at(following)), _not_yaml(problem))
        if self._large is not None and self._added > MAX_ADDED:
            what = f"aliases make {self._large.size:,} values of this, and may add {MAX_ADDED:,} to a file"
            raise _UnreadableError(self._location(self._large.at), f"{what}; write out what is meant")
        for (value, places, _), step in self._aliases:
            value[step] = _copy(value[step])
            places.below[step] = _copy_places(places.below[step])  # type: ignore[union-attr]
        return root

    def _node(self, event: Any, depth: int) -> _Node:
        kind = type(event)
        if kind is ScalarEvent:
            self._count(event)
            node = _Node(self._scalar(event), _at(event), event.value)
            if event.anchor is not None:
                self._anchored[event.anchor] = node
            return node
        if kind is AliasEvent:
            return self._aliased(event, depth)
        if depth > MAX_DEPTH:
            raise _UnreadableError(self._location(_at(event)), _TOO_DEEP)
        return self._mapping(event, depth) if kind is MappingStartEvent else self._list(event, depth)

    def _aliased(self, event: Any, depth: int) -> _Node:
        node = self._anchored.get(event.anchor)
        if node is None:
            problem = f"found undefined alias {quoted(event.anchor)}"
            raise _UnreadableError(self._location(_at(event)), _not_yaml(problem))
        if isinstance(node.places, _Places):
            self._added += node.places.size
            self._deepest = max(self._deepest, depth + node.places.height - 1)
        else:
            self._added += 1
        return node

    def _list(self, start: Any, depth: int) -> _Node:
        value: list[Any] = []
        below: list[At | _Places] = []
        node, before = self._begin(start, value, below, depth)
        following = self._next
        while (kind := type(event := following())) is not SequenceEndEvent:
            if kind is ScalarEvent and event.anchor is None:
                self._count(event)
                value.append(self._scalar(event))
                below.append(_at(event))
                continue
            item = self._node(event, depth + 1)
            if kind is AliasEvent:
                if self._contains_itself(item):
                    continue
                self._aliases.append((node, len(value)))
            value.append(item.value)
            below.append(item.places)
        self._end(node, before, depth)
        return node

    def _mapping(self, start: Any, depth: int) -> _Node:
        value: dict[str, Any] = {}
        below: dict[str, At | _Places] = {}
        node, before = self._begin(start, value, below, depth)
        keys = node.places.keys  # type: ignore[union-attr]
        merged: list[tuple[At, _Node]] = []
        following = self._next
        while type(event := following()) is not MappingEndEvent:
            key, at, is_merge = self._key(event, depth)
            event = following()
            kind = type(event)
            if key is None or is_merge or key in keys:
                unused = self._ignored(event, depth)
                if key is None:
                    self._error(at, "a key is a single word; write `name: value`")
                elif is_merge:
                    merged.append((at, unused))
                else:
                    what = f"{quoted(key)} is written twice, first on line {keys[key] >> _COLUMN_BITS}"
                    self._error(at, f"{what}; keep one of them")
                continue
            places: At | _Places
            if kind is ScalarEvent and event.anchor is None:
                self._count(event)
                child, places, text = self._scalar(event), _at(event), event.value
            else:
                child, places, text = self._node(event, depth + 1)
                if kind is AliasEvent:
                    if self._contains_itself(self._anchored[event.anchor]):
                        continue
                    if text is None:
                        self._aliases.append((node, key))
            keys[key] = at
            below[key] = places
            if child is not None:
                value[key] = child
        for at, unused in merged:
            self._error(at, f"merge keys (<<) are not supported; {_instead_of_merge(unused.places, keys)}")
        self._end(node, before, depth)
        return node

    def _key(self, event: Any, depth: int) -> tuple[str | None, At, bool]:
        """Return the text of a key, its place, and whether it is a merge key; None for a mapping or list."""
        if type(event) is not ScalarEvent:
            node = self._ignored(event, depth)
            return node.text, _at_of(node.places), False
        at = _at(event)
        is_merge = event.tag == _MERGE or (event.tag is None and event.value == "<<" and event.implicit[0])
        if not is_merge and (event.tag is not None or event.style == '"'):
            self._scalar(event)
        key = sys.intern(event.value)
        if event.anchor is not None:
            self._anchored[event.anchor] = _Node(self._scalar(event), at, key)
        return key, at, is_merge

    def _ignored(self, event: Any, depth: int) -> _Node:
        """Read a value that is not used: what is wrong in it is not reported."""
        self._ignoring += 1
        node = self._node(event, depth + 1)
        self._ignoring -= 1
        return node

    def _begin(self, start: Any, value: Any, below: Any, depth: int) -> tuple[_Node, tuple[int, int]]:
        """Return an empty mapping or list, and what has to be known at its end."""
        if start.tag is not None:
            kind = "seq" if isinstance(value, list) else "map"
            self._check_tag(start, start.tag in ("!", _YAML_ORG + kind))
        node = _Node(value, _Places(_at(start), below))
        if start.anchor is not None:
            self._anchored[start.anchor] = node
        before = self._written + self._added, self._deepest
        self._count(start)
        self._deepest = depth
        return node, before

    def _end(self, node: _Node, before: tuple[int, int], depth: int) -> None:
        places = node.places
        assert isinstance(places, _Places)
        size_before, deepest_before = before
        places.size = self._written + self._added - size_before
        places.height = self._deepest - depth + 1
        self._deepest = max(self._deepest, deepest_before)
        if places.height > MAX_DEPTH:
            raise _UnreadableError(self._location(places.at), _TOO_DEEP)
        if self._large is None and places.size > MAX_ADDED:
            self._large = places

    def _contains_itself(self, aliased: _Node) -> bool:
        if not isinstance(aliased.places, _Places) or aliased.places.size:
            return False
        self._error(aliased.places.at, "an alias that contains itself; write it out")
        return True

    def _scalar(self, event: Any) -> Any:
        """Return a value of the YAML 1.2 core schema (section 10.3); timestamps and fractions stay text."""
        text: str = event.value
        if event.tag is None and event.style != '"':
            return _plain(text) if event.implicit[0] else text
        if event.style == '"' and (found := _NO_TEXT.search(text)):
            self._error(_at(event), _NO_CHARACTER.format(ord(found[0])))
            text = event.value = _NO_TEXT.sub("\ufffd", text)
        tag = event.tag
        if tag is None or tag == "!":
            return _plain(text) if event.implicit[0] else text
        kind = tag.removeprefix(_YAML_ORG)
        self._check_tag(event, tag != kind and kind in _SCALAR_TAGS)
        if kind not in _CORE or _DATAPATH_ID.fullmatch(text) or _CORE[kind].fullmatch(text):
            return _of_kind(kind, text)
        if not _YAML_1_1.fullmatch(text):
            what = f"{quoted(text)} is not what its tag !!{kind} says"
            self._error(_at(event), f"{what}; take the tag out")
        return text

    def _count(self, event: Any) -> None:
        self._written += 1
        if self._written > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values in one file"
            raise _UnreadableError(self._location(_at(event)), f"{what}; put switches into files to include")

    def _check_tag(self, event: Any, is_known: bool) -> None:
        if event.tag is None or is_known:
            return
        tag = event.tag
        written = "!!" + tag.removeprefix(_YAML_ORG) if tag.startswith(_YAML_ORG) else tag
        self._error(_at(event), f"the tag {quoted(written)} means nothing here; take it out")

    def _error(self, at: At, message: str) -> None:
        if not self._ignoring:
            self.errors.add(self._location(at), message)

    def _location(self, at: At) -> SourceLocation:
        return _location(self._file, at)


def _events(text: str) -> Callable[[], Any]:
    """Return a function that returns the next event of the parser at each call.

    YAML 1.2 has fewer line breaks than the parser knows (section 5.4): characters that no text has stand in
    for the others.
    """
    if not _NO_LINE_BREAK.search(text):
        return CParser(text).get_event
    spare = (chr(code) for code in range(0xE000, 0xF900) if chr(code) not in text)
    stand_ins = dict(zip("\u2028\u2029", spare, strict=False))
    parser = CParser(text.translate({0x85: " ", **{ord(c): stand_in for c, stand_in in stand_ins.items()}}))
    restored = {ord(stand_in): written for written, stand_in in stand_ins.items()}

    def following() -> Any:
        event = parser.get_event()
        if type(event) is ScalarEvent:
            event.value = event.value.translate(restored)
        return event

    return following


def _plain(text: str) -> Any:
    """Return the value of text without quotes and tag."""
    if text[:1] not in _MAY_BE_CORE:
        return text or None
    for kind, notation in _CORE.items():
        if notation.fullmatch(text):
            return _of_kind(kind, text)
    return text


def _of_kind(kind: str, text: str) -> Any:
    """Return the value of text in the notation of a kind of ``_CORE``; the text, of any other kind."""
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int" and not _DATAPATH_ID.fullmatch(text):
        return int(text, 10 if text.lstrip("+-").isdigit() else 0)
    return text


def _instead_of_merge(merged: At | _Places, there: Container[str]) -> str:
    """Return what to write for ``<<: merged``, into a mapping whose own keys are ``there``."""
    below = merged.below if isinstance(merged, _Places) else ()
    sources = [merged] if isinstance(below, dict) else below
    brought = dict.fromkeys(key for source in sources if isinstance(source, _Places) for key in source.keys)
    keys = [quoted(key) for key in brought if key not in there]
    if not keys:
        return "take it out"
    return f"put {names_in_words(keys)} into a profile, or write out here what each holds"


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    return [*map(_copy, value)] if isinstance(value, list) else value


def _copy_places(places: At | _Places) -> At | _Places:
    if not isinstance(places, _Places):
        return places
    below = places.below
    copied = _Places(
        places.at,
        {key: _copy_places(child) for key, child in below.items()}
        if isinstance(below, dict)
        else [*map(_copy_places, below)],
    )
    copied.keys = {**places.keys}
    return copied


def _at(event: Any) -> At:
    mark = event.start_mark
    return (mark.line + 1) << _COLUMN_BITS | (mark.column + 1)  # type: ignore[no-any-return]


def _at_of(places: At | _Places) -> At:
    return places.at if isinstance(places, _Places) else places


def _location(file: str, at: At) -> SourceLocation:
    return SourceLocation(file, at >> _COLUMN_BITS, at & ((1 << _COLUMN_BITS) - 1))


def _end_of(file: str, text: str) -> SourceLocation:
    """Return the place that follows ``text``, the beginning of a file."""
    return SourceLocation(file, text.count("\n") + 1, len(text) - text.rfind("\n"))


def _syntax_error(file: str, text: str, failure: MarkedYAMLError) -> Diagnostic:
    """Return a failure of the parser as an error at its place."""
    mark: Any = failure.problem_mark or failure.context_mark
    place = _end_of(file, text)
    if mark is not None:  # the parser ends every text with a line break
        place = min(place, SourceLocation(file, mark.line + 1, mark.column + 1))
    line = text.split("\n", place.line)[place.line - 1]
    if failure.problem == "found incompatible YAML document" or "%YAML" in (failure.context or ""):
        column = len(line) - len(line.removeprefix("%YAML").lstrip()) + 1
        what = "this version of YAML is not known; write %YAML 1.2, or take the line out"
        return error(place._replace(column=column), what)
    if "escape code" in (failure.problem or "") and (digits := _ESCAPE.match(line, place.column - 1)):
        if int(digits[0], 16) <= sys.maxunicode:
            mark = failure.context_mark or mark
            place = SourceLocation(file, mark.line + 1, mark.column + 1)
            return error(place, _NO_CHARACTER.format(int(digits[0], 16)))
        what = f"\\U{digits[0]} is no character, the last is \\U0010FFFF; write another, or take it out"
        return error(place, what)
    words = " ".join(part[:MAX_WORDS] for part in (failure.context, failure.problem) if part)
    return error(place, _not_yaml(words))


def _not_yaml(what: str) -> str:
    return f"not YAML: {what}; look at this line and the one above it"
