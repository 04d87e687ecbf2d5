"""The pages show the pipeline and the states as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from op25b_app.compiler import pipeline
from op25b_app.compiler.pipeline import PIPELINE, Table, TableExit
from scripts.write_pages import PAGES, drawing, filled, tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert "<!-- made by scripts/write_pages.py: " in text
    assert filled(text) == text, "run scripts/write_pages.py"


def test_every_table_without_a_setting_is_drawn() -> None:
    drawn = {Table(int(number)) for number in re.findall(r"(\d) \w+: ", drawing())}
    led_to = {
        exit.to for described in PIPELINE.values() for exit in described.exits if exit.to and not exit.setting
    }
    assert drawn == led_to | {Table.ADMIT}
    assert all(PIPELINE[table].question for table in drawn)


def test_a_change_of_the_pipeline_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawing(), tables()
    changed = PIPELINE[Table.INGRESS_SMTP]._replace(
        matches=frozenset({"vlan_pcp"}),
        exits=(TableExit("own", None), TableExit("last", Table.EGRESS_SOURCE)),
    )
    monkeypatch.setitem(pipeline.PIPELINE, Table.INGRESS_SMTP, changed)
    assert "├─ own ──▶ forward" in drawing()
    assert "└─ last ─▶ 6 egress_source" in drawing()
    assert "| `vlan_pcp` | 6 |" in tables()
    assert (drawing(), tables()) != before
