"""Two or more figures of the same kind in one, on the same scales."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dashboard.figures import export
from dashboard.figures.rdms import Matrix

if TYPE_CHECKING:
    import xarray as xr

_TOP_ONLY = ("$schema", "config", "datasets", "padding", "background", "autosize", "usermeta")
LETTERS = "ABCDEF"


def beside(
    answers: Sequence[xr.Dataset], figures: Sequence[Any], titles: Sequence[str] = ()
) -> dict[str, Any]:
    """Return figures of answers side by side, named A, B, …, with one colour scale.

    Parameters
    ----------
    answers : sequence of xr.Dataset
    figures : sequence
        For each answer a chart, a list of `Matrix`, or None for the main figure of its kind.
    titles : sequence of str, optional
        What each is called; the title of the answer by default.

    Returns
    -------
    dict
        A Vega-Lite specification in light theme.
    """
    called = list(titles) or [str(answer.attrs.get("title", "")) for answer in answers]
    headings = [f"{letter}: {name}" for letter, name in zip(LETTERS, called, strict=False)]
    if all(_are_matrices(figure) for figure in figures):
        return export.specification(answers[0], one_scale(figures, headings))
    charts = [export.specification(a, f, "single") for a, f in zip(answers, figures, strict=True)]
    return side_by_side(charts, headings)


def _are_matrices(figure: Any) -> bool:
    return isinstance(figure, list) and all(isinstance(one, Matrix) for one in figure)


def one_scale(groups: Sequence[Sequence[Matrix]], headings: Sequence[str]) -> list[Matrix]:
    """Return the matrices of all groups, those of one unit on one scale, each named by its group's letter."""
    every = [one for group in groups for one in group]
    ends = {
        unit: (min(m.lo for m in every if m.unit == unit), max(m.hi for m in every if m.unit == unit))
        for unit in {m.unit for m in every}
    }
    return [
        replace(one, title=f"{heading[0]}: {one.title}", lo=ends[one.unit][0], hi=ends[one.unit][1])
        for group, heading in zip(groups, headings, strict=True)
        for one in group
    ]


def side_by_side(charts: Sequence[Mapping[str, Any]], headings: Sequence[str]) -> dict[str, Any]:
    """Join Vega-Lite specifications in a row that wraps after two, with shared colours.

    Parameters
    ----------
    charts, headings : sequence
        As many of one as of the other.
    """
    parts, datasets = [], {}
    for k, (chart, heading) in enumerate(zip(charts, headings, strict=True)):
        part = {name: value for name, value in _own_names(chart, k).items() if name not in _TOP_ONLY}
        datasets.update(chart.get("datasets", {}))
        parts.append(
            {"title": {"text": heading, "fontSize": 14}, "hconcat": [part]}
            if "title" in part
            else {**part, "title": heading}
        )
    first = charts[0]
    return {
        **{name: first[name] for name in ("$schema", "config", "padding") if name in first},
        "datasets": datasets,
        "concat": parts,
        "columns": 2,
        "resolve": {"scale": {"color": "shared"}},
    }


def _own_names(chart: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return a chart whose parameters and views have names of their own, so that two can stand in one."""
    body = {name: value for name, value in chart.items() if name not in _TOP_ONLY}
    names = sorted(_named(body), key=len, reverse=True)
    if not names or number == 0:
        return body
    pattern = re.compile(r"(?<![\w$])(" + "|".join(map(re.escape, names)) + r")(?!\w)")
    found: dict[str, Any] = json.loads(pattern.sub(rf"\1_{number}", json.dumps(body)))
    return found


def _named(part: Any) -> set[str]:
    """Return the names of all parameters and of the views that they live in."""
    if isinstance(part, list):
        return set().union(*(_named(one) for one in part)) if part else set()
    if not isinstance(part, dict):
        return set()
    own = {str(p["name"]) for p in part.get("params", []) if isinstance(p, dict) and "name" in p}
    views = {view for p in part.get("params", []) if isinstance(p, dict) for view in p.get("views", [])}
    return own.union(
        views, *(_named(value) for name, value in part.items() if name not in ("data", "datasets"))
    )
