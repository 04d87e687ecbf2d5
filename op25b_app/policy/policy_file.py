"""Read one file of a policy: its values by the schema, with a problem for each part that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import ValidationError

from op25b_app.net.prefix import quoted
from op25b_app.policy.diagnostic import Diagnostic, Errors, error
from op25b_app.policy.model import MAX_TAGS
from op25b_app.policy.schema import (
    MAX_NAMES,
    MAX_PATTERNS,
    MAX_PORTS,
    PORT_LISTS,
    InFile,
    PolicySchema,
    PortName,
    ProfileSection,
    Section,
    port_count,
)
from op25b_app.policy.yaml_source import Path, YamlSource, read_tree


class PolicyFile(NamedTuple):
    """One file of a policy: its text, its problems, and the values and places of its valid parts."""

    text: str
    source: YamlSource
    written: PolicySchema
    problems: tuple[Diagnostic, ...]
    present: frozenset[Path]
    """Keys at the top of the file, and those one level below, whether their values are right or wrong."""


def read_policy_file(
    name: str, text: str, before: PolicyFile | None = None
) -> tuple[PolicyFile | None, list[Diagnostic]]:
    """Return the values of a file and its problems; None where it is no YAML mapping.

    ``before`` is an earlier result for the same name: it is returned where the text is the same.
    """
    if before is not None and before.text == text:
        return before, [*before.problems]
    source, problems = read_tree(name, text)
    if source is None:
        return None, problems
    present: set[Path] = {(key,) for key in source.value}
    present.update(
        (key, below) for key, value in source.value.items() if isinstance(value, dict) for below in value
    )
    written, more = _validate(source)
    problems += more
    return PolicyFile(text, source, written, tuple(problems), frozenset(present)), problems


def _validate(source: YamlSource) -> tuple[PolicySchema, list[Diagnostic]]:
    """Return the values of the valid parts, and a problem for each invalid part.

    Invalid parts are removed from ``source``, so that the rest can still be checked.
    """
    errors = Errors()
    for path, key in _missing(source.value):
        errors.add_later(partial(_missing_key, source, path, key))
    while True:
        try:
            written = PolicySchema.model_validate(source.value)
        except ValidationError as failure:
            details = failure.errors(include_url=False)
            wrong = [_path(detail["loc"]) for detail in details]
            for path, detail in zip(wrong, details, strict=True):
                errors.add_later(partial(_problem, source, path, detail))
        else:
            wrong = [*_too_many(written, source, errors)]
            if not wrong:
                return written, errors.reported()
        source.remove(wrong)


def _too_many(written: PolicySchema, source: YamlSource, errors: Errors) -> Iterator[Path]:
    """Yield the lists with more ports, or tags, than a switch may have."""
    for group, named in (("switches", written.switches), ("profiles", written.profiles)):
        for name, section in named.items():
            for key in PORT_LISTS:
                count = port_count(getattr(section, key))
                if count > MAX_PORTS:
                    path = (group, name, key)
                    errors.add(source.place(path), f"{count:,} ports; no switch has that many")
                    yield path
            for key in (*PORT_LISTS, "vlans"):
                if what := _too_many_names(getattr(section, key)):
                    path = (group, name, key)
                    errors.add(source.place(path), what)
                    yield path
            if (count := _tags(section)) > MAX_TAGS:
                path = (group, name, "vlans")
                what = f"{count:,} tags on all ports, each of which is a rule"
                errors.add(source.place(path), f"{what}; write at most {MAX_TAGS:,}")
                yield path


def _too_many_names(entries: Iterable[range | PortName]) -> str:
    """Return what is wrong with the number of names in a list; empty if nothing is."""
    names = [entry for entry in entries if isinstance(entry, PortName)]
    if len(names) > MAX_NAMES:
        return f"{len(names):,} names of ports; write at most {MAX_NAMES:,}, of which each may fit many ports"
    patterns = sum(name.is_pattern for name in names)
    return f"{patterns:,} names with * or ?; write at most {MAX_PATTERNS}" if patterns > MAX_PATTERNS else ""


def _tags(section: ProfileSection) -> int:
    """Return the number of tags of all ports, those of a port counted as often as they are written."""
    return sum(
        port_count([ports]) * sum(1 if tags is None else len(tags) for tags in entries)
        for ports, entries in section.vlans.items()
    )


class NestedSection(NamedTuple):
    """A key of a section whose value is a section, or a list or dict of them, by ``container``."""

    key: str
    section: type[Section]
    container: type[list[Any]] | type[dict[str, Any]] | None


def _nested(section: type[Section]) -> Iterator[NestedSection]:
    for key, field in section.model_fields.items():
        container = get_origin(field.annotation)
        inner = get_args(field.annotation)[-1] if container in (list, dict) else field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield NestedSection(key, inner, container)


def _with_nested(section: type[Section]) -> Iterator[tuple[type[Section], tuple[NestedSection, ...]]]:
    nested = tuple(_nested(section))
    yield section, nested
    for below in nested:
        yield from _with_nested(below.section)


NESTED: Mapping[type[Section], tuple[NestedSection, ...]] = dict(_with_nested(PolicySchema))
"""The sections below each section of a policy."""


def _missing(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield the path of each listed or named section that lacks a required key, with that key.

    Other keys may stand in another file.
    """
    for nested in NESTED[PolicySchema]:
        if nested.container is not None:
            yield from _missing_below(nested, value.get(nested.key), (nested.key,))


def _missing_below(nested: NestedSection, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    items: Iterable[tuple[Any, Any]] = ()
    if nested.container is list and isinstance(value, list):
        items = enumerate(value)
    elif nested.container is dict and isinstance(value, dict):
        items = value.items()
    for step, item in items:
        if not isinstance(item, dict):
            continue
        is_in_file = issubclass(nested.section, InFile) and "file" in item
        for key in nested.section.required:
            if key not in item and not is_in_file:
                yield (*path, step), key
        for below in NESTED[nested.section]:
            yield from _missing_below(below, item.get(below.key), (*path, step, below.key))


def _section_at(path: Path) -> type[Section]:
    """Return the section that stands at a path."""
    section: type[Section] = PolicySchema
    steps = iter(path)
    for step in steps:
        (nested,) = (nested for nested in NESTED[section] if nested.key == step)
        section = nested.section
        if nested.container is not None:
            next(steps)
    return section


def _path(location: tuple[int | str, ...]) -> Path:
    return location[:-1] if location and location[-1] == "[key]" else location


def _below(path: Path) -> str:
    return f" under '{path[-1]}'" if path and isinstance(path[-1], str) else ""


def _missing_key(source: YamlSource, path: Path, key: str) -> Diagnostic:
    return error(source.key_place(path), f"'{key}' is missing{_below(path)}; write it")


def _problem(source: YamlSource, path: Path, detail: Any) -> Diagnostic:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return error(source.key_place(path), _unknown_key(str(path[-1]), _section_at(path[:-1])))
    if kind == "value_error":
        is_key = detail["loc"][-1] == "[key]"
        return error(source.key_place(path) if is_key else source.place(path), str(detail["ctx"]["error"]))
    if kind == "literal_error":
        expected = detail["ctx"]["expected"]
        return error(source.place(path), f"{_shown(given)} cannot stand here; write {expected}")
    if kind == "list_type":
        return error(source.place(path), f"a list is expected, not {_shown(given)}; write [ ... ]")
    if kind in ("model_type", "dict_type"):
        return error(source.place(path), f"keys are expected, not {_shown(given)}; write `key: value` below")
    return error(source.place(path), f"{detail['msg']}; see docs/policy.md for what can stand here")


def _unknown_key(key: str, section: type[Section]) -> str:
    known = list(section.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean '{near[0]}'?" if near else f"keys here are {', '.join(known)}"
    return f"unknown key {quoted(key)}; {remedy}"


def _shown(value: Any) -> str:
    return quoted(str(value).lower() if isinstance(value, bool) else str(value))
