"""The core knows neither Ryu nor clocks nor sockets, and arrows between packages point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "op25b_app"
FOLDERS = ("op25b_app", "benchmarks", "topologies", "mininet")
FRAMEWORKS = {"ryu", "eventlet", "greenlet", "os_ken", "oslo_config"}
OUTSIDE = {*FRAMEWORKS, "socket", "time", "threading", "subprocess", "requests", "asyncio"}
MAY_KNOW = {
    "net": {"net"},
    "formats": {"net", "formats"},
    "policy": {"net", "formats", "policy"},
    "openflow": {"net", "openflow"},
    "lines": {"net", "formats", "policy", "lines"},
    "compiler": {"net", "policy", "openflow", "compiler"},
    "verify": {"net", "policy", "openflow", "compiler", "verify"},
    "diff": {"net", "policy", "openflow", "compiler", "verify", "diff"},
    "sync": {"net", "policy", "openflow", "compiler", "verify", "diff", "sync"},
    "operate": {
        *("net", "formats", "policy", "openflow", "lines", "compiler", "verify", "diff", "sync", "operate")
    },
}
CORE = [
    path for package in MAY_KNOW if package != "operate" for path in sorted((PACKAGE / package).rglob("*.py"))
]
WITHOUT_FRAMEWORKS = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("controller", "app.py")
]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def imported_modules(path: Path) -> Iterator[str]:
    """Yield what a file imports: modules, and each name of a module as if that were a package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    yield from imported(path)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_imports_nothing_of_the_outside(path: Path) -> None:
    assert not {name for name in imported(path) if name.partition(".")[0] in OUTSIDE}


@pytest.mark.parametrize("path", WITHOUT_FRAMEWORKS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_controller_knows_ryu_and_eventlet(path: Path) -> None:
    assert not {name for name in imported(path) if name.partition(".")[0] in FRAMEWORKS}


@pytest.mark.parametrize("package", MAY_KNOW)
def test_packages_know_only_deeper_ones(package: str) -> None:
    known = {
        name.split(".")[1]
        for path in (PACKAGE / package).rglob("*.py")
        for name in imported(path)
        if name.startswith("op25b_app.")
    }
    assert known <= MAY_KNOW[package]


def test_ryu_and_eventlet_stay_out_of_the_process_as_well() -> None:
    """What the core imports must not import them either."""
    modules = [
        f"op25b_app.{'.'.join(path.relative_to(PACKAGE).with_suffix('').parts)}"
        for path in CORE
        if path.stem != "__init__"
    ]
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(printed.stdout.split())
    assert "op25b_app" in loaded
    assert not loaded & {"ryu", "eventlet"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    tree = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    waiting = {name: set(imported_modules(path)) & tree.keys() - {name} for name, path in tree.items()}
    while ready := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in ready:
            del waiting[name]
    assert not waiting
