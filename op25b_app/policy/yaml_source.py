"""Read a YAML 1.2 file as plain values with their places."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from op25b_app.net.prefix import quoted
from op25b_app.policy.diagnostic import Diagnostic, Errors, error, names_in_words
from op25b_app.policy.model import SourceLocation
from op25b_app.policy.yaml_scanner import PlacingScanner, UnreadableError

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a file to a value."""

MOST_DEPTH = 32
"""Maximum nesting depth of a file; a policy takes eight levels."""
MOST_ADDED = 200_000
"""Maximum number of values that aliases may add to the written ones."""

MOST_WORDS = 200
"""Maximum number of characters quoted from a part of the parser's message; it may quote a whole file."""

_DATAPATH_ID = re.compile(r"[0-9]{16}")
"""Sixteen digits are a datapath id in hexadecimal, whatever YAML takes them for."""
_CORE = {
    "null": re.compile(r"null|Null|NULL|~|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}"),
}
"""Notation of values by type (YAML 1.2, section 10.3.2); no key takes a longer number."""
_YAML_1_1 = re.compile(
    r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+(:[0-5]?[0-9])*|[-+]?0x[0-9a-f_]+|yes|no|on|off|y|n", re.I
)
"""Notation that the parser takes for numbers and truth values, too; in YAML 1.2 it is text."""
_YAML_ORG = "tag:yaml.org,2002:"
_MERGE = _YAML_ORG + "merge"
"""Tag of a plain ``<<`` as a key; YAML 1.2 has no merge keys."""
_TAGS: Mapping[type[Node], frozenset[str]] = {
    kind: frozenset(_YAML_ORG + name for name in names)
    for kind, names in (
        (ScalarNode, (*_CORE, "str", "float", "timestamp", "merge", "value")),
        (SequenceNode, ("seq",)),
        (MappingNode, ("map",)),
    )
}
"""Tags that values may have, including those that the parser gives to text by its look."""
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that only an escape like \\0 can produce; no name, path or terminal takes them."""


@dataclass(frozen=True)
class YamlSource:
    """One YAML file: its plain value, and the place of each path in it. A key without a value is absent."""

    file: str
    value: Any
    root: Node
    _pairs: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict)
    """Keys and values of the mappings looked up so far, by the identity of the mapping."""

    def place(self, path: Path) -> SourceLocation:
        """Return the place of the value at ``path``, or of the deepest existing part of the path."""
        return self._place_of(self._deepest(path)[1])

    def key_place(self, path: Path) -> SourceLocation:
        """Return the place of the key of the value at ``path``; for a list item, of the item."""
        return self._place_of(self._deepest(path)[0])

    def item_places(self, path: Path) -> list[SourceLocation]:
        """Return the place of each item of the list at ``path``."""
        _, node, depth = self._deepest(path)
        if depth < len(path) or not isinstance(node, SequenceNode):
            return []
        return [self._place_of(item) for item in node.value]

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove the values at ``paths`` and their keys; later items of a list move up."""
        below: dict[Path, set[str | int]] = {}
        for path in paths:
            below.setdefault(path[:-1], set()).add(path[-1])
        for parent in sorted(below, key=_last_first, reverse=True):
            self._remove_below(parent, below[parent])

    def _remove_below(self, parent: Path, steps: set[str | int]) -> None:
        _, node, depth = self._deepest(parent)
        if depth < len(parent):
            return
        plain = self.value
        for step in parent:
            plain = plain[step]
        if isinstance(plain, list):
            plain[:] = [item for position, item in enumerate(plain) if position not in steps]
            node.value = [item for position, item in enumerate(node.value) if position not in steps]
        else:
            for step in steps:
                plain.pop(step, None)
            self._pairs.pop(id(node), None)
            node.value = [pair for pair in node.value if not _is_key(pair[0], steps)]

    def _deepest(self, path: Path) -> tuple[Node, Node, int]:
        """Return the key and value nodes as far along ``path`` as they exist, and the number of steps."""
        key = value = self.root
        for depth, step in enumerate(path):
            child = self._child(value, step)
            if child is None:
                return key, value, depth
            key, value = child
        return key, value, len(path)

    def _child(self, node: Node, step: str | int) -> tuple[Node, Node] | None:
        if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            return node.value[step], node.value[step]
        if not isinstance(node, MappingNode):
            return None
        if id(node) not in self._pairs:
            pairs = [(key, child) for key, child in node.value if isinstance(key, ScalarNode)]
            self._pairs[id(node)] = {key.value: (key, child) for key, child in reversed(pairs)}
        return self._pairs[id(node)].get(str(step))

    def _place_of(self, node: Node) -> SourceLocation:
        return _place(self.file, node.start_mark)


def _is_key(key: Node, steps: set[str | int]) -> bool:
    return isinstance(key, ScalarNode) and key.value in steps


def _last_first(path: Path) -> list[tuple[bool, int, str]]:
    return [(isinstance(step, int), step if isinstance(step, int) else 0, str(step)) for step in path]


def read_tree(file: str, text: str) -> tuple[YamlSource | None, list[Diagnostic]]:
    """Parse ``text``.

    The tree is None where it is not YAML, not a mapping at its top, or too large with its aliases.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = PlacingScanner
    yaml.max_depth = MOST_DEPTH
    yaml.composer.warn_double_anchors = False  # YAML 1.2 lets an anchor be used again (section 7.1)
    try:
        root = yaml.compose(text)
    except MaxDepthExceededError as failure:
        return None, [_too_deep(_place(file, failure.problem_mark))]
    except UnreadableError as failure:
        return None, [error(_place(file, failure.problem_mark), str(failure.problem))]
    except MarkedYAMLError as failure:
        return None, [_syntax_problem(file, failure)]
    except ReaderError as failure:
        line = text.count("\n", 0, failure.position) + 1
        column = failure.position - text.rfind("\n", 0, failure.position)
        return None, [
            error(SourceLocation(file, line, column), "a character that YAML does not allow; remove it")
        ]
    if not isinstance(root, MappingNode):
        where = _place(file, root.start_mark) if root is not None else SourceLocation(file, 1, 1)
        what = "the file is empty" if root is None else "a policy is a mapping"
        return None, [error(where, f"{what}; start with the keys isp:, address_space: and switches:")]
    errors = Errors()
    if too_large := _Measure(file, errors).violation(root):
        return None, [too_large]
    value = _plain(root, file, errors)
    return YamlSource(file, value, root), errors.told()


def _too_deep(place: SourceLocation) -> Diagnostic:
    return error(place, "nested too deeply to be a policy; write it flat")


class _Measure:
    """Size of a file with its aliases written out, measured without writing them out."""

    def __init__(self, file: str, errors: Errors) -> None:
        self._file = file
        self._errors = errors
        self._sizes: dict[int, int] = {}
        """Number of values in each node, by its identity; 0 while it is being counted."""
        self._depths: dict[int, int] = {}

    def violation(self, root: Node) -> Diagnostic | None:
        """Return why the file must not be written out; None where it may be.

        An alias that contains itself is reported and removed.
        """
        large: Node | None = None
        stack = [root]
        while stack:
            node = stack[-1]
            if id(node) not in self._sizes:
                self._sizes[id(node)] = 0
                stack += self._unknown_below(node)
                continue
            stack.pop()
            if self._sizes[id(node)]:
                continue
            below = [child for child in _children(node) if not isinstance(child, ScalarNode)]
            scalars = len(node.value) - len(below)
            self._sizes[id(node)] = 1 + scalars + sum(self._sizes[id(child)] for child in below)
            self._depths[id(node)] = 1 + max((self._depths[id(child)] for child in below), default=0)
            if self._depths[id(node)] > MOST_DEPTH:
                return _too_deep(_place(self._file, node.start_mark))
            if large is None and self._sizes[id(node)] > MOST_ADDED:
                large = node
        if large is None or self._sizes[id(root)] - self._written(root) <= MOST_ADDED:
            return None
        what = f"aliases make {self._sizes[id(large)]:,} values of this, and may add {MOST_ADDED:,} to a file"
        return error(_place(self._file, large.start_mark), f"{what}; write out what is meant")

    def _unknown_below(self, node: Node) -> list[Node]:
        """Return the children to measure first; remove those that contain ``node``."""
        unknown: list[Node] = []
        kept = []
        for entry, child in zip(node.value, _children(node), strict=True):
            size = None if isinstance(child, ScalarNode) else self._sizes.get(id(child))
            if size == 0:
                place = _place(self._file, child.start_mark)
                self._errors.add(place, "an alias that contains itself; write it out")
                continue
            kept.append(entry)
            if size is None and not isinstance(child, ScalarNode):
                unknown.append(child)
        node.value[:] = kept
        return unknown

    def _written(self, root: Node) -> int:
        """Return the number of values in the file, aliases not included."""
        seen = {id(root)}
        stack = [root]
        while stack:
            for child in _children(stack.pop()):
                if id(child) not in seen:
                    seen.add(id(child))
                    if not isinstance(child, ScalarNode):
                        stack.append(child)
        return len(seen)


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for _, child in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _plain(node: Node, file: str, errors: Errors) -> Any:
    """Return the value of ``node``; aliases become separate nodes, so that each can be removed alone."""
    _check_tag(node, file, errors)
    if isinstance(node, ScalarNode):
        return _scalar(node, file, errors)
    if isinstance(node, SequenceNode):
        node.value = [copy.copy(item) for item in node.value]
        return [_plain(item, file, errors) for item in node.value]
    node.value = [(key, copy.copy(child)) for key, child in node.value]
    plain: dict[str, Any] = {}
    first: dict[str, int] = {}
    for key, child in node.value:
        place = _place(file, key.start_mark)
        if not isinstance(key, ScalarNode):
            errors.add(place, "a key is a single word; write `name: value`")
            continue
        if str(key.tag) == _MERGE:
            errors.add(place, f"merge keys (<<) are not supported; {_instead_of_merge(child, node)}")
            continue
        _check_tag(key, file, errors)
        _text(key, file, errors)
        if key.value in first:
            what = f"{quoted(key.value)} is written twice, first on line {first[key.value]}; keep one of them"
            errors.add(place, what)
            continue
        first[key.value] = place.line
        value = _plain(child, file, errors)
        if value is not None:
            plain[key.value] = value
    return plain


def _instead_of_merge(merged: Node, into: Node) -> str:
    """Return what to write for ``<<: merged``: its keys, without those that ``into`` has."""
    there = {key.value for key, _ in into.value if isinstance(key, ScalarNode)}
    sources = merged.value if isinstance(merged, SequenceNode) else [merged]
    pairs = [pair for source in sources if isinstance(source, MappingNode) for pair in source.value]
    brought = dict.fromkeys(key.value for key, _ in pairs if isinstance(key, ScalarNode))
    keys = [quoted(key) for key in brought if key not in there]
    return f"write out here {names_in_words(keys)}" if keys else "take it out"


def _check_tag(node: Node, file: str, errors: Errors) -> None:
    tag = str(node.tag)
    if tag in _TAGS[type(node)]:
        return
    written = "!!" + tag.removeprefix(_YAML_ORG) if tag.startswith(_YAML_ORG) else tag
    what = f"the tag {quoted(written)} means nothing here; take it out"
    errors.add(_place(file, node.start_mark), what)


def _scalar(node: ScalarNode, file: str, errors: Errors) -> Any:
    """Return a value of the YAML 1.2 core schema (section 10.3); timestamps and fractions stay text."""
    text = _text(node, file, errors)
    kind = str(node.tag).rpartition(":")[2]
    if kind not in _CORE or _DATAPATH_ID.fullmatch(text):
        return text
    if not _CORE[kind].fullmatch(text):
        if not _YAML_1_1.fullmatch(text):
            what = f"{quoted(text)} is not what its tag !!{kind} says; take the tag out"
            errors.add(_place(file, node.start_mark), what)
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    return int(text, 10 if text.lstrip("+-").isdigit() else 0)


def _text(node: ScalarNode, file: str, errors: Errors) -> str:
    """Return the text of a scalar; forbidden characters are reported and replaced."""
    text: str = node.value
    if found := _NO_TEXT.search(text):
        what = f"U+{ord(found[0]):04X} is not a character of any text; take it out"
        errors.add(_place(file, node.start_mark), what)
        text = node.value = _NO_TEXT.sub("\ufffd", text)
    return text


def _syntax_problem(file: str, failure: MarkedYAMLError) -> Diagnostic:
    mark = failure.problem_mark or failure.context_mark
    place = _place(file, mark) if mark is not None else SourceLocation(file, 1, 1)
    what = " ".join(part[:MOST_WORDS] for part in (failure.context, failure.problem) if part)
    return error(place, f"not YAML: {what}; look at this line and the one above it")


def _place(file: str, mark: Any) -> SourceLocation:
    return SourceLocation(file, mark.line + 1, mark.column + 1)
