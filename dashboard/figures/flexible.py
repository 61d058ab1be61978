"""Sums, mixtures and choices of layers beside single layers, on held-out data: charts, table and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import unknown
from dashboard.figures import answers, held_out, theme

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


def gain(one: xr.Dataset) -> tuple[float, float]:
    """Return by how much the weighted sum beats the layer chosen in training, and p over subjects.

    The p value is two-sided, from a paired t test; NaN for fewer than 3 subjects.
    """
    from scipy.stats import ttest_1samp

    gaps = (one["score"].sel(fit="weighted") - one["score"].sel(fit="selected")).to_numpy()
    gaps = gaps[np.isfinite(gaps)]
    if len(gaps) < 3 or np.ptp(gaps) == 0:
        return float(gaps.mean()) if len(gaps) else math.nan, math.nan
    return float(gaps.mean()), float(ttest_1samp(gaps, 0.0).pvalue)


def verdict(ds: xr.Dataset, area: str) -> str:
    """Say whether several layers together do better than one that was chosen in training."""
    one = _one(ds, area)
    start = "Simulated: " if answers.simulated(ds) else ""
    mean = one["score"].mean("subject").to_series()
    more, p = gain(one)
    weights = one["weight"].sel(fit="weighted").to_numpy()
    names = answers.names(ds, "layer")
    if not math.isfinite(more):
        return f"{start}No combination of layers has a score for {area}."
    sure = math.isfinite(p) and p <= ALPHA
    how = "better" if more > 0 else "worse"
    told = "" if sure else ", a difference that may be chance"
    tested = f", {theme.p_value(p)}" if math.isfinite(p) else ", too few subjects for a test"
    heavy = int(weights.argmax())
    return (
        f"{start}A weighted sum of the layers does {how} on held-out data ({area}: "
        f"{theme.three_digits(mean['weighted'])}) than one layer chosen in training "
        f"({theme.three_digits(mean['selected'])}{tested}){told}; {names[heavy]} weighs most "
        f"({100 * weights[heavy]:.0f} %)."
    )


def words(ds: xr.Dataset) -> str:
    """Return the verdicts of all areas."""
    return " ".join(verdict(ds, area) for area in answers.names(ds, "area"))


def caption(ds: xr.Dataset) -> str:
    """Say what was held out."""
    folds = int(ds["folds"].to_numpy()[0])
    return (
        f"{ds.attrs['measure_label']} with a subject and with stimuli that took no part in fitting: each "
        f"subject left out in turn, stimuli in {folds} folds, {ds.attrs['repeats']} random partitions. Bars: "
        "means over subjects; dots: single subjects; dashed: the mean of the other subjects on the same "
        "stimuli. Fewer stimuli in a fold make scores noisier than on all of them, but not higher."
    )


def score_chart(
    ds: xr.Dataset, area: str, dark: bool = False, *, width: int | str = "container"
) -> alt.LayerChart:
    """Draw the held-out scores of flexible models and of every layer alone."""
    import altair as alt

    one = _one(ds, area)
    called = dict(zip(answers.names(ds, "fit"), map(str, ds["called"].to_numpy()), strict=True))
    named = [(called[f], "fitted", one["score"].sel(fit=f).to_numpy()) for f in called]
    named += [(n, "one layer", one["single"].sel(layer=n).to_numpy()) for n in answers.names(ds, "layer")]
    chart = held_out.bars(
        named,
        np.atleast_1d(one["ceiling"].to_numpy()),
        kinds=("fitted", "one layer"),
        axis=f"{ds.attrs['measure_label']}, held out",
        labels=220,
        dark=dark,
    ).properties(
        width=width,
        height=24 * len(named),
        title=alt.TitleParams(area, color=theme.colour("brain", dark)),
        description=verdict(ds, area),
    )
    return theme.style(theme.across(chart, width), dark)


def weight_chart(
    ds: xr.Dataset, area: str, dark: bool = False, *, width: int | str = "container"
) -> alt.Chart:
    """Draw the weight of each layer in the weighted sum, mean over fits."""
    import altair as alt

    names = answers.names(ds, "layer")
    weights = _one(ds, area)["weight"].sel(fit="weighted").to_numpy()
    rows = [{"layer": n, "weight": float(w)} for n, w in zip(names, weights, strict=True)]
    heavy = names[int(weights.argmax())]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark), height={"band": 0.6})
        .encode(
            y=alt.Y("layer:N", sort=names, title=None, axis=alt.Axis(labelLimit=160)),
            x=alt.X("weight:Q", title="Weight in the sum", axis=alt.Axis(format=".0%", grid=True)),
            tooltip=["layer:N", alt.Tooltip("weight:Q", format=".1%")],
        )
        .properties(
            width=width,
            height=24 * len(names),
            title="Weights",
            description=f"{heavy} weighs most, {100 * weights.max():.0f} % of the sum.",
        )
    )
    return theme.style(theme.across(chart, width), dark)


def _number(x: Any) -> float | None:
    return float(x) if math.isfinite(float(x)) else None


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw the scores of every area, one below the other, for export."""
    import altair as alt

    charts = [score_chart(ds, area, width=width - 200) for area in answers.names(ds, "area")]
    if len(charts) == 1:
        return charts[0]
    for chart in charts:
        chart.config = alt.Undefined
    return theme.style(alt.vconcat(*charts).properties(description=words(ds)))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per area, model and subject."""
    import pandas as pd

    fitted = ds["score"].to_dataframe()[["score"]].reset_index().rename(columns={"fit": "model"})
    single = ds["single"].to_dataframe()[["single"]].reset_index()
    single = single.rename(columns={"layer": "model", "single": "score"})
    found = pd.concat([fitted, single])
    return found[found["score"].notna()].reset_index(drop=True)
