"""Both guided examples as notebooks: a clean kernel and an empty store give the same numbers again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import nbformat
import pytest

from dashboard import compute, errors
from dashboard.report import exporters, matter
from dashboard.report.guided import GUIDES, V1
from dashboard.report.matter import Options
from dashboard.report.model import Panel, Report
from dashboard.specs import Spec

ROOT = Path(__file__).resolve().parents[2]
FEW = {"bootstrap": 20, "permutations": 5, "folds": 3}
SMALL_V1 = f"{V1}?subjects=2&cells=12"
SAME = "The same numbers as in the report, to the last digit."


def smaller(spec: Spec) -> Spec:
    """The same question with fewer samples and, where they are simulated, fewer neurons."""
    names = {field.name for field in dataclasses.fields(spec)}
    changes = {name: value for name, value in FEW.items() if name in names}
    for name in ("recording", "stimuli"):
        if name in names and V1 in getattr(spec, name):
            changes[name] = getattr(spec, name).replace(V1, SMALL_V1)
    return spec.replace(**changes)


def shortened(report: Report) -> Report:
    """The example with every question made smaller."""
    items = tuple(
        dataclasses.replace(item, spec=smaller(item.spec), beside=tuple(map(smaller, item.beside)))
        if isinstance(item, Panel)
        else item
        for item in report.items
    )
    return dataclasses.replace(report, items=items)


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDES)
def test_an_example_runs_top_to_bottom_to_the_same_numbers(name, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    why = GUIDES[name].why_not()
    if why:
        pytest.skip(why)
    report = shortened(GUIDES[name].report())
    with errors.collect_cautions():
        answers = matter.gather(report, compute.compute, compute.stored)
    made = exporters.EXPORTERS["ipynb"].write(report, answers, Options())
    notebook = nbformat.reads(made.decode(), as_version=4)
    monkeypatch.setenv("HOMOLOG_HOME", str(tmp_path / "empty"))
    here = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=here).execute()
    said = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert said.count(SAME) == sum(len(panel.specs) for panel in report.panels)
    assert "Other numbers" not in said
    drawn = [o for c in notebook.cells for o in c.get("outputs", []) if "image/svg+xml" in o.get("data", {})]
    assert len(drawn) == len(report.panels)
