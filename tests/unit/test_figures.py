"""The figures in the documentation are those of the run that lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import DOCUMENTED_RUN, DOCUMENTS
from benchmarks.report import fill
from benchmarks.run import read_run


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_no_figure_was_copied_by_hand(page: Path) -> None:
    assert fill(page.read_text(), read_run(DOCUMENTED_RUN)) == page.read_text()
