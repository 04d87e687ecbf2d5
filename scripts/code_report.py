#!/usr/bin/env python3
"""Count the lines and docstrings of op25b_app, and public names that two modules define."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "op25b_app"
QUESTIONS = frozenset({"What", "Whether", "How", "Where", "Which", "When", "Who"})
"""First words of docstrings that say what a thing is about, and not what it does or is."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Report:
    """What the sources of one package look like; places are PATH:LINE."""

    modules: int = 0
    lines: int = 0
    docstrings: int = 0
    questions: list[str] = field(default_factory=list)
    """Docstrings that open with a question word."""
    modules_without: list[str] = field(default_factory=list)
    functions_without: list[str] = field(default_factory=list)
    """Public functions and classes of modules, and public methods of public classes, without a docstring."""
    defined: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Modules by the names of their public classes."""

    @property
    def share_of_questions(self) -> float:
        """The part of all docstrings that open with a question word, from 0 to 1."""
        return len(self.questions) / max(self.docstrings, 1)

    @property
    def defined_twice(self) -> dict[str, list[str]]:
        """Public classes that more than one module defines, with those modules."""
        return {name: places for name, places in sorted(self.defined.items()) if len(places) > 1}


def report_on(package: Path) -> Report:
    """Read every module below a folder and return what was counted."""
    report = Report()
    for path in sorted(package.rglob("*.py")):
        _count(report, path, str(path.relative_to(package.parent)))
    return report


def _count(report: Report, path: Path, name: str) -> None:
    text = path.read_text()
    module = ast.parse(text)
    report.modules += 1
    report.lines += text.count("\n")
    for place, docstring in _docstrings(module):
        report.docstrings += 1
        if docstring.split(maxsplit=1)[0].rstrip(",.:") in QUESTIONS:
            report.questions.append(f"{name}:{place}")
    if ast.get_docstring(module) is None and module.body:
        report.modules_without.append(name)
    report.functions_without += (f"{name}:{node.lineno} {node.name}" for node in _undocumented(module))
    for node in module.body:
        if isinstance(node, ast.ClassDef) and _is_public(node.name):
            report.defined[node.name].append(name)


def _docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every docstring with its line, also those below constants and attributes."""
    for node in ast.walk(module):
        if not isinstance(node, Documented):
            continue
        for statement in node.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(docstring))) if docstring.strip():
                    yield statement.lineno, docstring


def _undocumented(scope: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for node in scope.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or not _is_public(node.name):
            continue
        is_override = any(
            isinstance(each, ast.Name) and each.id == "override" for each in node.decorator_list
        )
        if ast.get_docstring(node) is None and not is_override:
            yield node
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def main() -> None:
    """Print the report on op25b_app."""
    report = report_on(PACKAGE)
    print(f"{report.modules} modules, {report.lines:,} lines, {report.docstrings:,} docstrings")
    print(f"{len(report.questions)} docstrings ({report.share_of_questions:.1%}) open with a question word")
    print(
        f"{len(report.modules_without)} modules and {len(report.functions_without)} public names without one"
    )
    print(f"{len(report.defined_twice)} public classes are defined more than once")
    for title, places in (
        ("opens with a question word", report.questions),
        ("has no docstring", [*report.modules_without, *report.functions_without]),
        ("is defined more than once", [f"{n}: {', '.join(p)}" for n, p in report.defined_twice.items()]),
    ):
        for place in places:
            print(f"  {title}: {place}")


if __name__ == "__main__":
    main()
