"""Two or more figures of the same kind in one, on the same scales."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dashboard.figures import export
from dashboard.figures.rdms import Matrix, matrices_chart

if TYPE_CHECKING:
    import xarray as xr

_TOP_ONLY = ("$schema", "config", "datasets", "padding", "background", "autosize", "usermeta")
_NAMES = ("name", "param")
_EXPRESSIONS = ("expr", "test", "filter", "calculate", "signal")
_INNER = ("layer", "hconcat", "vconcat", "concat", "spec")
LETTERS = "ABCDEF"
FEW_MATRICES = 5
MOST_COLUMNS = 9


def beside(answers: Sequence[xr.Dataset], figures: Sequence[Any]) -> dict[str, Any]:
    """Return figures of answers side by side, named A, B, …, with one colour scale.

    Parameters
    ----------
    answers : sequence of xr.Dataset
    figures : sequence
        For each answer a chart, a list of `Matrix`, or None for the main figure of its kind.

    Returns
    -------
    dict
        A Vega-Lite specification in light theme.
    """
    if all(_are_matrices(figure) for figure in figures):
        return export.specification(answers[0], _rows_of_matrices(figures, headings(answers)))
    charts = [export.specification(a, f, "single") for a, f in zip(answers, figures, strict=True)]
    return side_by_side(charts, headings(answers))


def headings(answers: Sequence[xr.Dataset]) -> list[str]:
    """Return what the figure of each answer is called: a letter and the title of the answer."""
    return [f"{letter}: {a.attrs.get('title', '')}" for letter, a in zip(LETTERS, answers, strict=False)]


def _are_matrices(figure: Any) -> bool:
    return isinstance(figure, list) and all(isinstance(one, Matrix) for one in figure)


def _rows_of_matrices(groups: Sequence[Sequence[Matrix]], called: Sequence[str]) -> Any:
    """Draw the matrices of each answer in a row of their own, where they are not too many for one."""
    n = max(len(group) for group in groups)
    columns = n if n <= FEW_MATRICES or n % 2 else n // 2
    columns = min(columns, MOST_COLUMNS)
    side = min((680 - 110 - 18 * (columns - 1)) // columns, 200)
    return matrices_chart(one_scale(groups, called), columns=columns, side=side)


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
    for channel in ("x", "y", "color"):
        _one_domain(parts, channel)
    return {
        **{name: first[name] for name in ("$schema", "config", "padding") if name in first},
        "datasets": datasets,
        "concat": parts,
        "columns": 2,
        "resolve": {"scale": {"color": "shared"}},
    }


def _one_domain(parts: Sequence[dict[str, Any]], channel: str) -> None:
    """Let all charts have the widest of their ends of a scale, where each gives one pair of numbers."""
    scales = [_scales(part, channel) for part in parts]
    ends = [{tuple(scale["domain"]) for scale in found} for found in scales]
    if not all(len(one) == 1 for one in ends):
        return
    low = min(pair[0] for one in ends for pair in one)
    high = max(pair[1] for one in ends for pair in one)
    for scale in (scale for found in scales for scale in found):
        scale["domain"] = [low, high]


def _scales(part: Any, channel: str) -> list[dict[str, Any]]:
    """Return the scales of a channel that give both ends as numbers."""
    if isinstance(part, list):
        return [scale for one in part for scale in _scales(one, channel)]
    if not isinstance(part, dict):
        return []
    coded = part.get("encoding", {}).get(channel, {})
    scale = coded.get("scale") if isinstance(coded, dict) else None
    domain = scale.get("domain") if isinstance(scale, dict) else None
    own = [scale] if isinstance(scale, dict) and _rising(domain) else []
    inner = (part[name] for name in _INNER if name in part)
    return own + [scale for value in inner for scale in _scales(value, channel)]


def _rising(domain: Any) -> bool:
    """Say whether these are two numbers, the smaller first."""
    if not isinstance(domain, list) or len(domain) != 2:
        return False
    return all(isinstance(v, int | float) for v in domain) and domain[0] < domain[1]


def _own_names(chart: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return a chart whose parameters and views have names of their own, so that two can stand in one."""
    kept = {name: value for name, value in chart.items() if name not in _TOP_ONLY}
    body: dict[str, Any] = json.loads(json.dumps(kept))  # a copy that may be changed
    names = sorted(_named(body), key=len, reverse=True)
    if not names or number == 0:
        return body
    # Not behind a dot or a quote: datum.unit and "unit" are columns, not the parameter of that name.
    pattern = re.compile(r"(?<![\w$.'\"])(" + "|".join(map(re.escape, names)) + r")(?!\w)")
    found: dict[str, Any] = _renamed(body, set(names), lambda text: pattern.sub(rf"\1_{number}", text))
    return found


def _renamed(part: Any, names: set[str], rename: Callable[[str], str]) -> Any:
    """Return a part of a chart with its parameters and views renamed where they are made and used."""
    if isinstance(part, list):
        return [_renamed(one, names, rename) for one in part]
    if not isinstance(part, dict):
        return part
    found: dict[str, Any] = {}
    for key, value in part.items():
        if key == "views" and isinstance(value, list):
            found[key] = [rename(one) if isinstance(one, str) else one for one in value]
        elif isinstance(value, str) and (key in _EXPRESSIONS or (key in _NAMES and value in names)):
            found[key] = rename(value)
        else:
            found[key] = value if key in ("values", "datasets") else _renamed(value, names, rename)
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
