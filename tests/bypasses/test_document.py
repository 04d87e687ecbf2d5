"""The document and the catalogue say the same."""

from __future__ import annotations

import re

from tests.bypasses.catalogue import TRICKS
from tests.bypasses.document import BEGIN, DOCUMENT, END, document


def test_the_tables_are_those_of_the_catalogue() -> None:
    remedy = "run: PYTHONPATH=.:mininet:topologies .venv/bin/python -m tests.bypasses.document"
    assert DOCUMENT.read_text() == document(), remedy


def test_every_trick_is_in_the_document_once_and_nothing_else() -> None:
    _, _, rest = DOCUMENT.read_text().partition(BEGIN)
    tables, _, _ = rest.partition(END)
    rows = re.findall(r"^\| (.+?) \| .* \| .* \| .* \| .* \| .* \|$", tables, re.MULTILINE)
    assert [row for row in rows if row not in ("trick", "setting")] == [trick.name for trick in TRICKS]
