"""Docstrings say what a thing does, and each public class has a name of its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def code_report() -> ModuleType:
    specification = importlib.util.spec_from_file_location("code_report", ROOT / "scripts" / "code_report.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["code_report"] = module  # dataclasses look for it there
    specification.loader.exec_module(module)
    return module


def test_what_is_counted(code_report: ModuleType, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "one.py").write_text(
        '"""Compile rules."""\n\nLIMIT = 3\n"""How many there may be."""\n\n\n'
        "class Event:\n    def told(self) -> None:\n        pass\n\n"
        "    def _own(self) -> None:\n        pass\n"
    )
    (package / "two.py").write_text(
        'class Event:\n    """Where, and when."""\n\n\ndef send() -> None:\n    """Send."""\n'
    )
    report = code_report.report_on(package)
    assert (report.modules, report.lines, report.docstrings) == (2, 18, 4)
    assert report.questions == ["package/one.py:4", "package/two.py:2"]
    assert report.share_of_questions == 0.5
    assert report.modules_without == ["package/two.py"]
    assert report.functions_without == ["package/one.py:7 Event", "package/one.py:8 told"]
    assert report.defined_twice == {"Event": ["package/one.py", "package/two.py"]}


def test_the_sources_keep_to_it(code_report: ModuleType) -> None:
    report = code_report.report_on(ROOT / "op25b_app")
    assert report.share_of_questions < 0.02, report.questions
    assert report.modules_without == []
    assert report.functions_without == []
    assert report.defined_twice == {}
