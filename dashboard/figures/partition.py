"""What models explain of an area alone and together: bars with errors, table and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dashboard.errors import unknown
from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

ALPHA = 0.05


def _one(ds: xr.Dataset, area: str) -> xr.Dataset:
    areas = answers.names(ds, "area")
    if area not in areas:
        raise unknown("area", area, areas)
    return ds.isel(area=areas.index(area))


def percent(share: float) -> str:
    """Write a share as per cent with one decimal."""
    return f"{theme.fixed(100 * share, 1)} %" if math.isfinite(share) else "not available"


def verdict(ds: xr.Dataset, area: str) -> str:
    """Say what all models explain together, what each adds, and whether that is above zero."""
    one = _one(ds, area)
    names = answers.names(ds, "model")
    start = "Simulated: " if answers.simulated(ds) else ""
    p = one["p"].to_numpy()
    each = [
        f"{name} {percent(float(one['share'][k]))} alone ({theme.p_value(float(p[k]))})"
        for k, name in enumerate(names)
    ]
    shared = float(one["total"]) - float(one["share"].to_numpy()[: len(names)].sum())
    text = (
        f"{start}Together {_listed(names)} explain {percent(float(one['total']))} of the variance of {area}: "
        f"{', '.join(each)}, and {percent(shared)} is shared."
    )
    real = [name for name, value in zip(names, p, strict=True) if value <= ALPHA]
    if not real:
        return f"{text} None adds significantly to the others."
    adds = "add" if len(real) > 1 else "adds"
    return f"{text} {_listed(real)} {adds} significantly to the others."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def words(ds: xr.Dataset) -> str:
    """Return the verdicts of all areas."""
    return " ".join(verdict(ds, area) for area in answers.names(ds, "area"))


def caption(ds: xr.Dataset) -> str:
    """Say what bars and p values are."""
    of = "ranks of dissimilarities" if ds.attrs["measure"] == "spearman" else "dissimilarities"
    return (
        f"Share of the variance of the {of}, mean over subjects; lines: 95 % intervals. The parts add "
        "up to what all models explain together; a shared part below zero means that one model suppresses "
        "what disturbs another. p: one-sided t test of the partial correlation given the other models."
    )


def parts_chart(
    ds: xr.Dataset, area: str, dark: bool = False, *, width: int | str = "container"
) -> alt.LayerChart:
    """Draw what each model explains alone, what they share, and the sum."""
    import altair as alt

    one = _one(ds, area)
    size = ds["members"].to_numpy()
    rows: list[dict[str, Any]] = [
        {
            "part": name,
            "share": float(one["share"][k]),
            "low": float(one["share_low"][k]),
            "high": float(one["share_high"][k]),
            "of": "alone" if size[k] == 1 else "shared",
            "shown": percent(float(one["share"][k])),
        }
        for k, name in enumerate(answers.names(ds, "part"))
    ]
    total = float(one["total"])
    rows.append(
        {
            "part": "all together",
            "share": total,
            "low": float(one["total_low"]),
            "high": float(one["total_high"]),
            "of": "sum",
            "shown": percent(total),
        }
    )
    for row in rows:
        for name in ("low", "high"):
            row[name] = row[name] if math.isfinite(row[name]) else row["share"]
    order = [row["part"] for row in rows]
    roles: dict[str, theme.Role] = {"alone": "network", "shared": "third", "sum": "control"}
    ink = alt.Color(
        "of:N",
        scale=alt.Scale(domain=list(roles), range=[theme.colour(r, dark) for r in roles.values()]),
        legend=None,
    )
    y = alt.Y("part:N", sort=order, title=None, axis=alt.Axis(labelLimit=220))
    base = alt.Chart(alt.Data(values=rows)).encode(y=y)
    x = alt.X(
        "share:Q", title="Share of variance explained", axis=alt.Axis(format=".1~%", grid=True, tickCount=6)
    )
    tooltip = [
        alt.Tooltip("part:N", title="Part"),
        alt.Tooltip("shown:N", title="Share"),
        alt.Tooltip("low:Q", title="95 % low", format=".1%"),
        alt.Tooltip("high:Q", title="95 % high", format=".1%"),
    ]
    marks = [
        base.mark_bar(opacity=0.85, height={"band": 0.6}).encode(x=x, color=ink, tooltip=tooltip),
        base.mark_rule(color=theme.colour("text", dark), strokeWidth=1.5).encode(
            x=alt.X("low:Q", title="Share of variance explained"), x2="high:Q"
        ),
    ]
    chart = alt.layer(*marks).properties(
        width=width,
        height=34 * len(rows),
        title=alt.TitleParams(area, color=theme.colour("brain", dark)),
        description=verdict(ds, area),
    )
    return theme.style(theme.across(chart, width), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw every area, one below the other, for export."""
    import altair as alt

    charts = [parts_chart(ds, area, width=width - 200) for area in answers.names(ds, "area")]
    if len(charts) == 1:
        return charts[0]
    for chart in charts:
        chart.config = alt.Undefined
    return theme.style(alt.vconcat(*charts).properties(description=words(ds)))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per area and part, and per area and partial correlation."""
    import pandas as pd

    shares = ds[["share", "share_sem", "share_low", "share_high"]].to_dataframe().reset_index()
    shares = shares.rename(
        columns={"share": "value", "share_sem": "sem", "share_low": "low", "share_high": "high"}
    )
    shares.insert(1, "what", "share of variance")
    partial = ds[["partial", "partial_low", "partial_high", "p"]].to_dataframe().reset_index()
    partial = partial.rename(
        columns={"model": "part", "partial": "value", "partial_low": "low", "partial_high": "high"}
    )
    partial.insert(1, "what", "partial correlation")
    columns = ["area", "what", "part", "value", "sem", "low", "high", "p"]
    return pd.concat([shares, partial]).reindex(columns=columns).reset_index(drop=True)
