"""A run as a report (``benchmarks.md``, ``benchmarks.json``, plots), and its tables in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.answers import answers_table
from benchmarks.compile import markdown as compile_tables
from benchmarks.fleet import fleet_table
from benchmarks.goals import goals_table
from benchmarks.plots import write_plots
from benchmarks.run import Run, write_run
from benchmarks.tables import sections

_TITLES = {
    "goals": "Goals",
    "install": "Installing rules",
    "change": "A change of one prefix",
    "switches": "Many switches",
    "flow-cache": "Flow cache",
    "processor-plain": "CPU time, plain connections",
    "processor-mixed": "CPU time, mixed traffic",
    "proof": "Proof",
    "compile": "From a policy to rules",
    "fleet": "How many controllers",
    "answers": "What an operator asks",
}


def write_report(run: Run, folder: Path) -> Path:
    """Returns the path of the raw numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_run(run, folder / "benchmarks.json")
    (folder / "benchmarks.md").write_text(markdown(run))
    write_plots(run, folder)
    return folder / "benchmarks.json"


def markdown(run: Run) -> str:
    found = _sections(run)
    parts = [f"## {title}\n\n{found[name]}" for name, title in _TITLES.items() if name in found]
    return "\n\n".join(["# Benchmarks of op25b", *parts, found["about"], ""])


def fill(page: str, run: Run) -> str:
    """A page with what a run found between ``<!-- run: NAME -->`` and ``<!-- end of run -->``.

    Parts that were not run stay as they are, and so does a page of such parts only. ValueError for a name
    that no part has.
    """
    found = _sections(run)
    if not {*found} & {*re.findall(r"<!-- run: ([\w-]+) -->", page)} - {"about"}:
        return page

    def filled(place: re.Match[str]) -> str:
        if place[1] not in {*_TITLES, "about"}:
            raise ValueError(f"no part of a run is called {place[1]!r}")
        text = found.get(place[1])
        return place[0] if text is None else f"<!-- run: {place[1]} -->\n{text}\n<!-- end of run -->"

    return re.sub(r"<!-- run: ([\w-]+) -->\n.*?<!-- end of run -->", filled, page, flags=re.DOTALL)


def _sections(run: Run) -> dict[str, str]:
    found = {"goals": goals_table(run), **sections(run)}
    found |= {"fleet": fleet_table(run), "answers": answers_table(run)}
    if run.compile or run.cover:
        found["compile"] = compile_tables(run.compile, run.cover).strip()
    return {name: text for name, text in found.items() if text}
