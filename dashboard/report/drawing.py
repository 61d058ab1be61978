"""Pinned figures drawn anew from their answers: after recomputing, for other settings, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dashboard.report.freshness import recorded
from dashboard.report.model import Panel

if TYPE_CHECKING:
    import xarray as xr

View = Mapping[str, str]
Draw = Callable[["xr.Dataset", View], Any]


def redrawn(panel: Panel, found: Sequence[xr.Dataset]) -> Panel:
    """Return the panel with the figure, record and words of these answers, one for each of its specs.

    Raises
    ------
    HomologError
        When an answer cannot be drawn.
    """
    from dashboard.figures import alternative, beside, export

    view = dict(panel.view)
    draw = NAMED.get((panel.spec.kind, panel.name), _main)
    if len(found) > 1:
        chart = beside.beside(found, [draw(answer, view) for answer in found])
    else:
        chart = export.specification(found[0], draw(found[0], view))
    records = [recorded(json.loads(a.attrs["record"]), s) for a, s in zip(found, panel.specs, strict=True)]
    words = " Beside it: ".join(alternative.alt_text(answer) for answer in found)
    return replace(
        panel, chart=chart, record=records[0], beside_records=tuple(records[1:]), alt=words[:20_000]
    )


def is_main(panel: Panel) -> bool:
    """Say whether the pinned figure can be drawn anew as it was; else the main one of its kind is drawn."""
    return (panel.spec.kind, panel.name) in NAMED


def _main(answer: xr.Dataset, view: View) -> Any:
    return None


def _of(module: str, function: str, **options: Any) -> Draw:
    """Return a figure that depends on the answer alone, imported when it is drawn."""

    def draw(answer: xr.Dataset, view: View) -> Any:
        return getattr(import_module(f"dashboard.figures.{module}"), function)(answer, **options)

    return draw


def _profile(answer: xr.Dataset, view: View) -> Any:
    from dashboard.figures.brain import layer_profile

    areas = [str(area) for area in answer.area.values]
    area = view.get("area", areas[0])
    return layer_profile(answer, area=area if area in areas else areas[0])


def _rdms(answer: xr.Dataset, view: View) -> Any:
    from dashboard.figures import rdms

    order: Any = view.get("order", "category")
    return rdms.matrices(
        answer,
        order=order if order in ("cluster", "given") else "category",
        ranked=view.get("ranked") == "true",
    )


NAMED: dict[tuple[str, str], Draw] = {
    ("brain", "brain"): _profile,
    ("rdm", "rdm"): _rdms,
    ("area-rdm", "rdm"): _rdms,
}
"""Kind of spec and name of the figure on its page -> how it is drawn."""
