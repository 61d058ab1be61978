"""Weighted channels of a layer beside the layer as it is, on held-out data: bars, weights, words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dashboard.figures import answers, held_out, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

ALPHA = 0.05


def gain(ds: xr.Dataset) -> tuple[float, float]:
    """Return by how much fitted weights beat equal ones, and the two-sided p of a paired t over subjects.

    p is NaN for fewer than 3 subjects.
    """
    from scipy.stats import ttest_1samp

    gaps = (ds["score"].sel(fit="reweighted") - ds["score"].sel(fit="unweighted")).to_numpy()
    gaps = gaps[np.isfinite(gaps)]
    if len(gaps) < 3 or np.ptp(gaps) == 0:
        return float(gaps.mean()) if len(gaps) else math.nan, math.nan
    return float(gaps.mean()), float(ttest_1samp(gaps, 0.0).pvalue)


def verdict(ds: xr.Dataset) -> str:
    """Say whether weights that were fitted elsewhere make the layer more like the area."""
    a = ds.attrs
    start = "Simulated: " if answers.simulated(ds) else ""
    more, p = gain(ds)
    if not math.isfinite(more):
        return f"{start}No weights of {a['layer_name']} have a score for {a['area_name']}."
    mean = {fit: float(ds["score"].sel(fit=fit).mean()) for fit in answers.names(ds, "fit")}
    how = "raises" if more > 0 else "lowers"
    tested = theme.p_value(p) if math.isfinite(p) else "too few subjects for a test"
    told = "" if math.isfinite(p) and p <= ALPHA else ", a difference that may be chance"
    heavy = int(ds["weight"].to_numpy().argmax())
    times = theme.three_digits(float(ds["weight"][heavy]))
    return (
        f"{start}Weighing the channels of {a['layer_name']} {how} its held-out {a['measure_label']} with "
        f"{a['area_name']} from {theme.three_digits(mean['unweighted'])} to "
        f"{theme.three_digits(mean['reweighted'])} ({tested}){told}; "
        f"{answers.names(ds, 'group')[heavy]} count most, {times} times as much as unweighted."
    )


def words(ds: xr.Dataset) -> str:
    """Return the verdict; a name that all modules share."""
    return verdict(ds)


def caption(ds: xr.Dataset) -> str:
    """Say what was held out, and how weights were found."""
    a = ds.attrs
    return (
        f"{a['measure_label']} with a subject and with stimuli that took no part in fitting: each subject "
        f"left out in turn, stimuli in {a['folds']} folds, {a['repeats']} random partitions; no pair of a "
        "test stimulus was fitted to. Bars: means over subjects; dots: single subjects; dashed: the mean of "
        "the other subjects on the same stimuli. Weights are not negative and are drawn towards a common "
        "one, by a penalty that was chosen within the training stimuli."
    )


def score_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw held-out scores of fitted and equal weights and of every group alone."""
    called = [str(v) for v in ds["called"].to_numpy()]
    named = [(c, "layer", ds["score"][k].to_numpy()) for k, c in enumerate(called)]
    named += [(g, "group", ds["single"][k].to_numpy()) for k, g in enumerate(answers.names(ds, "group"))]
    found = held_out.bars(
        named,
        ds["ceiling"].to_numpy(),
        kinds=("layer", "group"),
        axis=f"{ds.attrs['measure_label']}, held out",
        labels=200,
        dark=dark,
    ).properties(
        width=width,
        height=22 * len(named),
        title=f"{ds.attrs['layer_name']} and {ds.attrs['area_name']}",
        description=verdict(ds),
    )
    return theme.style(theme.across(found, width), dark)


def weight_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the weight of every group, with a line at 1, where it counts as in the unweighted layer."""
    import altair as alt

    names = answers.names(ds, "group")
    rows = [
        {"group": name, "weight": float(w), "channels": int(c)}
        for name, w, c in zip(names, ds["weight"].to_numpy(), ds["channels"].to_numpy(), strict=True)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark), height={"band": 0.6})
        .encode(
            y=alt.Y("group:N", sort=names, title=None, axis=alt.Axis(labelLimit=160)),
            x=alt.X("weight:Q", title="Weight (1: as unweighted)", axis=alt.Axis(grid=True)),
            tooltip=["group:N", alt.Tooltip("weight:Q", format=".3f"), "channels:Q"],
        )
    )
    rule = (
        alt.Chart(alt.Data(values=[{"weight": 1.0}]))
        .mark_rule(strokeDash=[5, 4], color=theme.colour("control", dark), strokeWidth=1.5)
        .encode(x="weight:Q")
    )
    heavy = int(ds["weight"].to_numpy().argmax())
    said = f"{names[heavy]} weigh most, {theme.three_digits(float(ds['weight'][heavy]))}; 1 is unweighted."
    found = alt.layer(bars, rule).properties(
        width=width, height=22 * len(names), title="Weights, mean over fits", description=said
    )
    return theme.style(theme.across(found, width), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the scores for export."""
    return score_chart(ds, width=width - 200)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per model and subject; groups with their weight."""
    import pandas as pd

    fitted = ds["score"].to_dataframe()[["score"]].reset_index().rename(columns={"fit": "model"})
    single = ds["single"].to_dataframe()[["single"]].reset_index()
    single = single.rename(columns={"group": "model", "single": "score"})
    weights = dict(zip(answers.names(ds, "group"), ds["weight"].to_numpy(), strict=True))
    single["weight"] = single["model"].map(weights)
    return pd.concat([fitted, single]).reset_index(drop=True)
