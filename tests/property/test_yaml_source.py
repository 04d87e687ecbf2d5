"""Values and places of a YAML file are those that another parser finds, ruamel.yaml's own."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from op25b_app.policy.yaml_source import Path, YamlSource, read_tree

_NUMBERS = st.sampled_from(["1", "0x1f", "0o17", "017", "-7", "+7", "1.5", "1e3", ".inf", "1_000", "0b11"])
_LONGER = st.sampled_from(["2001-01-01", "12:30:45", "0000000000000010", "100.64.0.0/10", "2001:db8::/32"])
_TRUTHS = st.sampled_from(["off", "yes", "on", "null", "~", "true", "False"])
_TEXTS = st.sampled_from(["a", "isp", "02:00:00:00:00:03", "a#b", "é", "𝄞", "x:y", "-a"])
_QUOTED = st.sampled_from(["'1'", '"a: b"', "'it''s'", '"\\u00e9"', '""', "' '", '"# no"', "'2001:db8::'"])
_SCALARS = _NUMBERS | _LONGER | _TRUTHS | _TEXTS | _QUOTED
_KEYS = st.sampled_from(["a", "b", "1", "'c d'", '"e"', "0x1", "é", "mail_destinations"])

Written = tuple[str, bool]
"""Text of a value, and whether it takes lines of its own."""


def _flow(below: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(_KEYS, below), max_size=3, unique_by=lambda pair: _name(pair[0]))
    return (
        st.lists(below, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | pairs.map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}")
    )  # fmt: skip


_FLOW = st.recursive(_SCALARS, _flow, max_leaves=6)
_ENDS = st.sampled_from(["", "  # comment", " "])


@st.composite
def _block(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """Return the lines of a mapping, without indentation."""
    lines: list[str] = []
    for key in draw(st.lists(_KEYS, min_size=1, max_size=4, unique_by=_name)):
        kind = draw(st.integers(0, 4 if depth < 3 else 1))
        if kind <= 1:
            lines.append(f"{key}: {draw(_FLOW)}{draw(_ENDS)}")
        elif kind == 2:
            lines += [f"{key}:", *(f"  {line}" for line in draw(_block(depth + 1)))]
        elif kind == 3:
            items = draw(st.lists(_block(depth + 1), min_size=1, max_size=3))
            lines.append(f"{key}:")
            for first, *others in items:
                lines += [f"  - {first}", *(f"    {line}" for line in others)]
        else:
            lines += [f"{key}: {draw(st.sampled_from(['|', '>-']))}", "   text", "   - more: text"]
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", "# comment"])))
    return lines


def _name(key: str) -> str:
    return key.strip("'\"")


@settings(deadline=None)
@example("a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]\n")
@example("a: &x 1\n? b\n: *x\n")
@example("a:\n  - &y {b: [c]}\n  - *y\ne: {f: *y}\n")
@example("a: [x,\n  y]\nb: 'c\n\n  d'\ne:\n")
@given(_block().map("\n".join))
def test_values_and_places_are_what_another_parser_finds(text: str) -> None:
    source, problems = read_tree("policy.yaml", text)
    root = YAML(typ="safe", pure=True).compose(text)
    assert source is not None, problems
    assert problems == []
    _same(source, (), source.value, root)


def _same(source: YamlSource, path: Path, value: Any, node: Node) -> None:
    if node.value != "":  # nothing has no place of its own
        assert source.place(path)[1:] == (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, ScalarNode):
        assert value == _plain(node), path
    elif isinstance(node, SequenceNode):
        assert isinstance(value, list)
        assert len(value) == len(node.value)
        for position, item in enumerate(node.value):
            _same(source, (*path, position), value[position], item)
    else:
        assert isinstance(node, MappingNode)
        assert isinstance(value, dict)
        below = {key.value: (key, child) for key, child in node.value}
        assert [*value] == [key for key, (_, child) in below.items() if _plain(child) is not None]
        for key, (key_node, child) in below.items():
            mark = key_node.start_mark
            assert source.key_place((*path, key))[1:] == (mark.line + 1, mark.column + 1)
            _same(source, (*path, key), value.get(key), child)


def _plain(node: Node) -> Any:
    """Return what a scalar means by YAML 1.2, section 10.3.2; fractions and moments stay text."""
    if not isinstance(node, ScalarNode):
        return node
    text = str(node.value)
    if node.style in ("'", '"', "|", ">") or re.fullmatch("[0-9]{16}", text):
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "False"):
        return text == "true"
    for pattern, base in (("[-+]?[0-9]+", 10), ("0o[0-7]+", 8), ("0x[0-9a-f]+", 16)):
        if re.fullmatch(pattern, text):
            return int(text, base)
    return text
