"""Docstrings say what a thing does, and each public class has a name of its own."""

from __future__ import annotations

from pathlib import Path

from scripts.code_report import PACKAGE, report_on


def test_what_is_counted(tmp_path: Path) -> None:
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
    report = report_on(package)
    assert (report.modules, report.lines, report.docstrings) == (2, 18, 4)
    assert report.questions == ["package/one.py:4", "package/two.py:2"]
    assert report.share_of_questions == 0.5
    assert report.modules_without == ["package/two.py"]
    assert report.functions_without == ["package/one.py:7 Event", "package/one.py:8 told"]
    assert report.defined_twice == {"Event": ["package/one.py", "package/two.py"]}


def test_the_sources_keep_to_it() -> None:
    report = report_on(PACKAGE)
    assert report.questions == []
    assert report.modules_without == []
    assert report.functions_without == []
    assert report.defined_twice == {}
