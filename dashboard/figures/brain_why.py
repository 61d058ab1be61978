"""Which channels or layers a similarity with the brain comes from: Shapley values as bars and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

SHOWN = 24
"""Players drawn at most, those with the largest |values|."""

Z = 1.96
"""Half width of a 95 % interval in standard errors."""


def order_of(ds: xr.Dataset) -> list[int]:
    """Return the players drawn, in order: layers and blocks as they come, single channels by value."""
    values = ds["share"].to_numpy()
    largest = sorted(range(len(values)), key=lambda k: -abs(values[k]))[:SHOWN]
    if ds.attrs["players"] in ("layers", "blocks"):
        return sorted(largest)
    several = [k for k in largest if int(ds["channels"][k]) > 1]
    single = sorted(set(largest) - set(several), key=lambda k: -values[k])
    return [*single, *several]


def verdict(ds: xr.Dataset) -> str:
    """Name the player that contributes most, with its part of the score, and how many take away."""
    a, values, names = ds.attrs, ds["share"].to_numpy(), answers.names(ds, "player")
    score = float(a["score"])
    what = f"{a['measure_label']} {theme.three_digits(score)} of {a['layer_name']} with {a['area_name']}"
    start = "Simulated: " if answers.simulated(ds) else ""
    if not np.abs(values).max() > 0:
        return f"{start}Nobody contributes to the {what}."
    single = np.flatnonzero(ds["channels"].to_numpy() <= 1)
    among = single if len(single) else np.arange(len(values))
    top = int(among[np.argmax(values[among])])
    part = f", {100 * values[top] / score:.0f} %" if score > 0 and 0 < values[top] <= score else ""
    text = f"{start}To the {what}, {names[top]} contributes most ({theme.three_digits(values[top])}{part})."
    others = np.flatnonzero(ds["channels"].to_numpy() > 1)
    if len(others) == 1 and len(single):
        text += f" The {names[int(others[0])]} together add {theme.three_digits(values[int(others[0])])}."
    against = int((values < 0).sum())
    if against:
        text += (
            f" {against} of {len(values)} take{'s' if against == 1 else ''} away from it "
            f"({theme.three_digits(values[values < 0].sum())} in all)."
        )
    return text


def words(ds: xr.Dataset) -> str:
    """Return the verdict and what it sums to; a name that all modules share."""
    return f"{verdict(ds)} {sum_words(ds)}"


def sum_words(ds: xr.Dataset) -> str:
    """Say what the values sum to, how exactly, and how they were found."""
    gap, n = float(ds.attrs["gap"]), ds.sizes["player"]
    off = "exactly" if gap <= 1e-12 else f"within {theme.three_digits(gap)}"
    if ds.attrs["exact"] == "yes":
        how = (
            f"all {2**n:,} groups of {n} players were scored"
            if n <= 12
            else "all groups that count were scored"
        )
    else:
        how = f"{int(ds.attrs['orders']):,} random orders stand for all, each with its reverse"
    return (
        f"The values sum {off} to the score ({theme.three_digits(float(ds.attrs['score']))}) less that of "
        f"nothing, which is 0 by definition; {how}."
    )


def caption(ds: xr.Dataset) -> str:
    """Say what a bar is, and what it does not say."""
    a = ds.attrs
    drawn, n = len(order_of(ds)), ds.sizes["player"]
    if a["players"] == "layers":
        how = (
            "The RDM of a group of layers is the sum of theirs, each on the scale that the measure looks at."
        )
    elif a["metric"] in ("correlation", "cosine"):
        how = f"The {a['metric']} distance is computed anew for every group of channels."
    else:
        how = "Distances of a group are the sums over its channels."
    bars = "" if a["exact"] == "yes" else " Lines: 95 % interval of the estimate, which more orders narrow."
    few = f" The {drawn} largest of {n}." if drawn < n else ""
    return (
        "What each adds to the score when it joins the others, averaged over all orders in which they may "
        f"come (Shapley value). {how} Dots: single subjects.{bars}{few} Channels that say the same share the "
        "credit, so a small value does not mean that a channel knows little."
    )


def chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the values as bars, with single subjects as dots and the error of an estimate as lines."""
    import altair as alt

    names, chosen = answers.names(ds, "player"), order_of(ds)
    values, errors = ds["share"].to_numpy(), ds["error"].to_numpy()
    label = f"Contribution to {ds.attrs['measure_label']}"
    rows = [
        {
            "player": names[k],
            "share": float(values[k]),
            "low": float(values[k] - Z * errors[k]),
            "high": float(values[k] + Z * errors[k]),
            "alone": float(ds["alone"][k]),
            "without": float(ds["without"][k]),
        }
        for k in chosen
    ]
    subjects = ds["subject_share"].transpose("player", "subject").to_numpy()
    dots = [
        {"player": names[k], "share": float(v), "subject": who}
        for k in chosen
        for who, v in zip(answers.names(ds, "subject"), subjects[k], strict=True)
        if math.isfinite(v)
    ]
    shown = theme.short_names(tuple(names[k] for k in chosen), 26)
    axis = alt.Axis(labelLimit=190, labelExpr=f"{theme.js(shown)}[datum.value]")
    y = alt.Y("player:N", sort=[names[k] for k in chosen], title=None, axis=axis)
    base = alt.Chart(alt.Data(values=rows)).encode(y=y)
    marks: list[Any] = [
        base.mark_bar(color=theme.colour("network", dark), height={"band": 0.6}).encode(
            x=alt.X("share:Q", title=label, axis=alt.Axis(grid=True)),
            tooltip=[
                alt.Tooltip("player:N", title="Who"),
                alt.Tooltip("share:Q", title=label, format=".4f"),
                alt.Tooltip("alone:Q", title="Score alone", format=".4f"),
                alt.Tooltip("without:Q", title="Score of all others", format=".4f"),
            ],
        )
    ]
    if ds.attrs["exact"] != "yes":
        marks.append(
            base.mark_rule(color=theme.colour("text", dark), strokeWidth=1.5).encode(x="low:Q", x2="high:Q")
        )
    if ds.sizes["subject"] > 1:
        marks.append(
            alt.Chart(alt.Data(values=dots))
            .mark_circle(size=18, color=theme.colour("text", dark), opacity=0.6)
            .encode(y=y, x="share:Q", tooltip=["subject:N", alt.Tooltip("share:Q", format=".4f")])
        )
    found = alt.layer(*marks).properties(
        width=width,
        height=24 * max(len(rows), 2),
        title=f"Where the similarity of {ds.attrs['layer_name']} with {ds.attrs['area_name']} comes from",
        description=words(ds),
    )
    return theme.style(theme.across(found, width), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the bars for export."""
    return chart(ds, width=width - 200)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per player: value, error of an estimate, score alone and of all others."""
    import pandas as pd

    columns = ("share", "error", "alone", "without", "channels")
    return pd.DataFrame({"player": answers.names(ds, "player"), **{c: ds[c].to_numpy() for c in columns}})
