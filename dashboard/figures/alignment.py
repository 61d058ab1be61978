"""Which layers speak the same language: the matrix of layers, and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

_CELL, _AROUND = 36, 150
"""Pixels of a cell's height, and of title, legend and labels above and below the cells."""


def _others(ds: xr.Dataset) -> np.ndarray:
    """Return the scores without those of a layer with itself, (n_layers, n_partners)."""
    score = ds["score"].to_numpy().astype(np.float64).copy()
    if ds.attrs["same"] == "yes":
        own = np.array(answers.names(ds, "layer"))[:, None] == np.array(answers.names(ds, "partner"))
        score[own] = np.nan
    return score


def partners(ds: xr.Dataset) -> list[int | None]:
    """Return for each layer the position of its most aligned partner; None without a score."""
    score = _others(ds)
    return [int(np.nanargmax(row)) if np.isfinite(row).any() else None for row in score]


def order_kept(ds: xr.Dataset) -> float:
    """Return the Spearman correlation of the depths of layers and of their partners; NaN when undefined."""
    import pandas as pd

    found = [(k, p) for k, p in enumerate(partners(ds)) if p is not None]
    if len(found) < 4 or len({p for _, p in found}) < 2:
        return float("nan")
    table = pd.DataFrame(found, columns=["layer", "partner"])
    return float(table["layer"].corr(table["partner"].rank()))


# --- words ------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Name the most aligned pair with its interval, and say whether depth keeps its order."""
    score = _others(ds)
    if not np.isfinite(score).any():
        return "No pair of layers has a value here: see the reasons in the table."
    i, j = np.unravel_index(int(np.nanargmax(score)), score.shape)
    layers, others = answers.names(ds, "layer"), answers.names(ds, "partner")
    low, high = float(ds["low"][i, j]), float(ds["high"][i, j])
    value = theme.three_digits(float(score[i, j]))
    told = f"{ds.attrs['measure_label']} = {value}"
    if math.isfinite(low):
        told += f", 95 % interval {theme.interval(low, high)}"
    told += f", {theme.fixed(float(ds['chance'][i, j]), 2)} with shuffled stimuli"
    if ds.attrs["same"] == "yes":
        text = f"{layers[i]} and {others[j]} are the most alike of different layers ({told})."
    else:
        text = (
            f"{layers[i]} of {ds.attrs['network_title']} and {others[j]} of {ds.attrs['second_title']} are "
            "most "
            f"alike ({told})."
        )
    return f"{text} {_order_words(ds)}".strip()


def _order_words(ds: xr.Dataset) -> str:
    rho = order_kept(ds)
    if not math.isfinite(rho) or ds.attrs["same"] == "yes":
        return ""
    kept = "Early layers go with early ones, late with late"
    said = kept if rho > 0.7 else "Depth does not keep its order"
    return f"{said} (ρ = {theme.fixed(rho, 2)} between depths of partners)."


def caption(ds: xr.Dataset) -> str:
    """Say how it was measured, and how repeats were kept from inflating it."""
    how = (
        f"95 % intervals: {ds.attrs['bootstrap']} bootstrap samples of the stimuli in which two copies of "
        "one "
        "stimulus are never a pair; counted as pairs they would lift every sample above the score."
        if ds.attrs["kernel"] == "yes"
        else f"95 % intervals: jackknife of {ds.attrs['bootstrap']} samples that each leave out a fifth of "
        "the stimuli; drawing stimuli twice would lift every sample above the score."
    )
    return (
        f"{ds.attrs['measure_label']} over {ds.attrs['n_stimuli']} stimuli ({ds.attrs['source']}); blind to "
        f"{ds.attrs['invariant']}. {how} {ds.attrs['caveat']}"
    )


def methods_text(ds: xr.Dataset) -> str:
    """Return a paragraph for a paper."""
    who = (
        f"layers of {ds.attrs['network_title']} with one another"
        if ds.attrs["same"] == "yes"
        else f"layers of {ds.attrs['network_title']} with layers of {ds.attrs['second_title']}"
    )
    interval = (
        f"percentiles of {ds.attrs['bootstrap']} bootstrap samples of the stimuli, with the unbiased HSIC "
        "computed as a "
        "weighted U-statistic over distinct stimuli, so that repeated stimuli do not inflate it"
        if ds.attrs["kernel"] == "yes"
        else f"a delete-d jackknife (Shao & Wu, 1989) of {ds.attrs['bootstrap']} samples without a fifth of "
        "the stimuli"
    )
    reduced = "" if ds.attrs["reducer"] == "all" else f" (units reduced by {ds.attrs['reducer']})"
    return (
        f"We compared {who} by {ds.attrs['measure_label']} ({ds.attrs['source']}) of their "
        f"responses{reduced} to "
        f"{ds.attrs['n_stimuli']} stimuli. The 95 % intervals are {interval}. Values with shuffled stimuli "
        "are means "
        "over 20 permutations of one side."
    )


# --- charts -----------------------------------------------------------------------------------------------


def _rows(ds: xr.Dataset) -> list[dict[str, Any]]:
    columns = {name: ds[name].to_numpy() for name in ("score", "low", "high", "chance", "reason")}
    return [
        {
            "layer": a,
            "partner": b,
            **{name: _number(columns[name][i, j]) for name in ("score", "low", "high", "chance")},
            "told": _told(columns, i, j),
        }
        for i, a in enumerate(answers.names(ds, "layer"))
        for j, b in enumerate(answers.names(ds, "partner"))
    ]


def _told(columns: dict[str, np.ndarray], i: int, j: int) -> str:
    if columns["reason"][i, j]:
        return str(columns["reason"][i, j])
    return theme.interval(float(columns["low"][i, j]), float(columns["high"][i, j]))


def _number(value: Any) -> float | None:
    found = float(value)
    return found if math.isfinite(found) else None


def matrix_chart(ds: xr.Dataset, *, dark: bool = False, width: int | str = "container") -> alt.LayerChart:
    """Draw alignment of every layer with every partner; what has no value is crossed."""
    import altair as alt

    layers, others = answers.names(ds, "layer"), answers.names(ds, "partner")
    rows = _rows(ds)
    known = [row["score"] for row in rows if row["score"] is not None]
    domain = [min([0.0, *known]), max([1.0, *known])]
    short = theme.js(theme.short_names(tuple({*layers, *others}), 18))
    axis: dict[str, Any] = {"labelExpr": f"{short}[datum.value]", "labelLimit": 150}
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "partner:N", sort=others, title=ds.attrs["second_title"], axis=alt.Axis(labelAngle=-40, **axis)
        ),
        # Depth rises upwards, so that a kept order is the rising diagonal.
        y=alt.Y("layer:N", sort=layers[::-1], title=ds.attrs["network_title"], axis=alt.Axis(**axis)),
    )
    cells = (
        base.transform_filter("isValid(datum.score)")
        .mark_rect()
        .encode(
            color=alt.Color(
                "score:Q",
                title=ds.attrs["measure_label"],
                scale=alt.Scale(domain=domain, range=theme.sampled("viridis", 11)),
            ),
            tooltip=[
                alt.Tooltip("layer:N", title=str(ds.attrs["network_title"])),
                alt.Tooltip("partner:N", title=str(ds.attrs["second_title"])),
                alt.Tooltip("score:Q", format=".3f", title=str(ds.attrs["measure_label"])),
                alt.Tooltip("told:N", title="95 % interval"),
                alt.Tooltip("chance:Q", format=".3f", title="shuffled stimuli"),
            ],
        )
    )
    missing = (
        base.transform_filter("!isValid(datum.score)")
        .mark_point(shape="cross", angle=45, size=60, color=theme.colour("control", dark))
        .encode(
            tooltip=[
                alt.Tooltip("layer:N"),
                alt.Tooltip("partner:N"),
                alt.Tooltip("told:N", title="no value"),
            ]
        )
    )
    marks = [cells, missing]
    if len(rows) <= 150:
        bright = domain[0] + 0.62 * (domain[1] - domain[0])
        marks.append(
            base.transform_filter("isValid(datum.score)")
            .mark_text(fontSize=10)
            .encode(
                text=alt.Text("score:Q", format=".2f"),
                color=alt.condition(f"datum.score > {bright}", alt.value("#11161F"), alt.value("#FFFFFF")),
            )
        )
    chart = alt.layer(*marks).properties(
        width=width,
        height=_AROUND + min(max(_CELL * len(layers), 60), 760),
        title=str(ds.attrs["title"]),
        description=verdict(ds),
    )
    return theme.style(chart, dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the matrix, for export."""
    return matrix_chart(ds, width=width - 160)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per pair of layers."""
    return ds[["score", "low", "high", "chance", "reason"]].to_dataframe().reset_index()
