"""A YAML 1.2 file as plain values that remember where they are written."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from op25b_app.policy.model import Place
from op25b_app.policy.problem import Problem, error

Path = tuple[str | int, ...]
"""Keys and list positions that lead from the top of a file to a value."""

_DATAPATH_ID = re.compile(r"[0-9]{16}")
"""Sixteen digits are a datapath id in hexadecimal, whatever YAML takes them for."""


@dataclass(frozen=True)
class Tree:
    """One YAML file: its plain value, and the place of each path in it. A key without a value is absent."""

    file: str
    value: Any
    root: Node
    _pairs: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict)
    """Keys and values of the mappings that were looked at, by the identity of the mapping."""

    def place(self, path: Path) -> Place:
        """Where the value at ``path`` is written, or the deepest part of the path that is there."""
        return self._place_of(self._deepest(path)[1])

    def key_place(self, path: Path) -> Place:
        """Where the key that leads to the value at ``path`` is written; for a list item, the item."""
        return self._place_of(self._deepest(path)[0])

    def item_places(self, path: Path) -> list[Place]:
        """The place of each item of the list that is written at ``path``."""
        _, node, depth = self._deepest(path)
        if depth < len(path) or not isinstance(node, SequenceNode):
            return []
        return [self._place_of(item) for item in node.value]

    def remove(self, path: Path) -> None:
        """Forget the value at ``path`` and its key; whatever follows in a list moves up."""
        _, node, depth = self._deepest(path[:-1])
        if depth < len(path) - 1:
            return
        plain = self.value
        for step in path[:-1]:
            plain = plain[step]
        step = path[-1]
        if isinstance(step, int):
            if step < len(plain):
                del plain[step], node.value[step]
        elif step in plain:
            del plain[step]
            self._pairs.pop(id(node), None)
            node.value = [pair for pair in node.value if pair[0].value != step]

    def _deepest(self, path: Path) -> tuple[Node, Node, int]:
        """The key and value nodes as far along ``path`` as there are any, and how far that is."""
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

    def _place_of(self, node: Node) -> Place:
        return _place(self.file, node.start_mark)


def read_tree(file: str, text: str) -> tuple[Tree | None, list[Problem]]:
    """Parse ``text``; no tree where it is not YAML or not a mapping at its top."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as failure:
        return None, [_syntax_problem(file, failure)]
    except ReaderError as failure:
        line = text.count("\n", 0, failure.position) + 1
        column = failure.position - text.rfind("\n", 0, failure.position)
        return None, [error(Place(file, line, column), "a character that YAML does not allow; remove it")]
    except RecursionError:
        return None, [error(Place(file, 1, 1), "nested too deeply to be a policy; write it flat")]
    if not isinstance(root, MappingNode):
        where = _place(file, root.start_mark) if root is not None else Place(file, 1, 1)
        what = "the file is empty" if root is None else "a policy is a mapping"
        return None, [error(where, f"{what}; start with the keys isp:, address_space: and switches:")]
    problems: list[Problem] = []
    value = _plain(root, file, problems, frozenset())
    return Tree(file, value, root), problems


def _plain(node: Node, file: str, problems: list[Problem], above: frozenset[int]) -> Any:
    """The value of ``node``. Aliases become nodes of their own, so that each can be taken out alone."""
    if id(node.value) in above:
        problems.append(error(_place(file, node.start_mark), "an alias that contains itself; write it out"))
        return None
    if isinstance(node, ScalarNode):
        return _scalar(node)
    above = above | {id(node.value)}
    if isinstance(node, SequenceNode):
        node.value = [copy.copy(item) for item in node.value]
        return [_plain(item, file, problems, above) for item in node.value]
    node.value = [(key, copy.copy(child)) for key, child in node.value]
    plain: dict[str, Any] = {}
    first: dict[str, int] = {}
    for key, child in node.value:
        place = _place(file, key.start_mark)
        if not isinstance(key, ScalarNode):
            problems.append(error(place, "a key is a single word; write `name: value`"))
            continue
        if key.value in first:
            what = f"'{key.value}' is written twice, first on line {first[key.value]}; keep one of them"
            problems.append(error(place, what))
            continue
        first[key.value] = place.line
        value = _plain(child, file, problems, above)
        if value is not None:
            plain[key.value] = value
    return plain


def _scalar(node: ScalarNode) -> Any:
    """The YAML 1.2 core schema (section 10.3); timestamps and fractions stay text."""
    text: str = node.value
    kind = str(node.tag).rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int" and not _DATAPATH_ID.fullmatch(text):
        return int(text.replace("_", ""), 10 if text.lstrip("+-").isdigit() else 0)
    return text


def _syntax_problem(file: str, failure: MarkedYAMLError) -> Problem:
    mark = failure.problem_mark or failure.context_mark
    place = _place(file, mark) if mark is not None else Place(file, 1, 1)
    what = " ".join(part for part in (failure.context, failure.problem) if part)
    return error(place, f"not YAML: {what}; look at this line and the one above it")


def _place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)
