"""The figures in the documentation are those of the run that lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import DOCUMENTED_RUN, DOCUMENTS, ROOT
from benchmarks.convergence.figures import RepairRun, repairs_text
from benchmarks.convergence.page import put_into
from benchmarks.report import fill
from benchmarks.run import read_run
from tests.faults.campaign.hostile import KINDS

REPAIRS_PAGE, REPAIRS_RUN = ROOT / "docs/convergence.md", ROOT / "docs/repairs.json"
CAMPAIGN_PAGE = ROOT / "docs/under-attack.md"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_no_figure_was_copied_by_hand(page: Path) -> None:
    assert fill(page.read_text(), read_run(DOCUMENTED_RUN)) == page.read_text()


def test_no_figure_of_repairs_was_copied_by_hand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(REPAIRS_PAGE.read_text())
    put_into(page, "repair", repairs_text(RepairRun.read(REPAIRS_RUN)))
    assert page.read_text() == REPAIRS_PAGE.read_text()


def test_the_page_of_the_campaign_shows_every_hostile_kind() -> None:
    """Who adds one makes a campaign with it: ``python -m tests.faults.campaign --document PAGE``."""
    assert [name for name in KINDS if f"\n| {name} |" not in CAMPAIGN_PAGE.read_text()] == []
