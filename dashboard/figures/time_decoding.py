"""Decoding over time: the matrix of times trained and tested, its diagonal, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, decoding, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

GAINS = {
    "classes": "Accuracy above chance",
    "orientation": "Error below chance (degrees)",
    "number": "Variance explained (R²)",
}


DECODERS = {
    "ridge": "Ridge decoders",
    "logistic": "Logistic regressions",
    "svm": "Linear support vector machines",
    "mlp": "Networks with 32 hidden units",
}


def gain(ds: xr.Dataset) -> np.ndarray:
    """Return by how much each score is better than chance, (trained, tested)."""
    sign = -1.0 if ds.attrs["task"] == "orientation" else 1.0
    found: np.ndarray = sign * (ds["score"].to_numpy() - float(ds.attrs["chance"]))
    return found


# --- words --------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Say from when on and when best the column is read out, and whether decoders work at other times."""
    a, times = ds.attrs, ds["trained"].to_numpy()
    start = "Simulated: " if answers.simulated(ds) else ""
    column = str(a["column"])
    sure = ds["diagonal_significant"].to_numpy() > 0
    if not sure.any():
        return f"{start}{column} cannot be read out of {a['area_name']} at any time beyond chance."
    k = int(np.where(sure, np.diagonal(gain(ds)), -np.inf).argmax())
    score = decoding.shown(ds, float(ds["score"][k, k]))
    chance = decoding.shown(ds, float(a["chance"]))
    first = times[int(np.flatnonzero(sure)[0])]
    return (
        f"{start}{column} is read out of {a['area_name']} from about {first:.0f} ms on and best at "
        f"{times[k]:.0f} ms: "
        f"{score}, chance {chance}. {_spread(ds)}"
    )


def _spread(ds: xr.Dataset) -> str:
    """Say how much of the plane of times with a code is shared by decoders of other times."""
    sure = ds["diagonal_significant"].to_numpy() > 0
    apart = ~np.eye(len(sure), dtype=bool)
    inside = np.ix_(sure, sure)
    share = float(ds["significant"].to_numpy()[inside][apart[inside]].mean()) if sure.sum() > 1 else 0.0
    kind = "lasting" if share > 0.75 else "partly changing" if share > 0.25 else "changing"
    told = f"Between times with a code, {100 * share:.0f} % of decoders work at another time"
    return f"{told}: the code is {kind}."


def caption(ds: xr.Dataset) -> str:
    """Say how it was measured."""
    a = ds.attrs
    split = (
        "tested on stimuli that they did not see"
        if a["split"] == "stimulus"
        else "tested on repeats that they did not see, of the same stimuli"
    )
    return (
        f"{DECODERS[str(a.get('model', 'ridge'))]} of {a['n_units']} units, trained at one time and at every "
        f"time {split}, "
        f"{a['folds']} folds (King & Dehaene, 2014). Outline: clusters with p ≤ .05, corrected over the "
        "plane with "
        f"{a['permutations']} shuffles of the stimuli's labels (Maris & Oostenveld, 2007); the edges of a "
        "cluster "
        "are not tested by themselves. White is chance, the best constant answer."
    )


# --- charts -------------------------------------------------------------------------------------------------


def chart(ds: xr.Dataset, dark: bool = False, *, side: int = 290) -> alt.LayerChart:
    """Draw the matrix of times, blue below and red above chance, with an outline about clusters."""
    import altair as alt

    from dashboard.figures import raster

    values = gain(ds)
    low, high = theme.signed_limits(values)
    times = ds["trained"].to_numpy()
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    ends = [float(times[0] - step / 2), float(times[-1] + step / 2)]
    pixels = raster.coloured(values[::-1].astype(np.float32), theme.lut("diverging"), low, high)
    uri = raster.data_uri(raster.png(raster.enlarged(pixels)))
    scale = alt.Scale(domain=ends, nice=False)
    x = alt.X("tested:Q", title="Tested at (ms)", scale=scale)
    y = alt.Y("trained:Q", title="Trained at (ms)", scale=scale)
    picture = (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=side, height=side, aspect=False, aria=False)
        .encode(x=alt.value(side / 2), y=alt.value(side / 2), url="url:N")
    )
    cells = [
        {
            "trained": float(a),
            "tested": float(b),
            "gain": float(values[i, j]),
            "score": decoding.shown(ds, float(ds["score"][i, j])),
        }
        for i, a in enumerate(times)
        for j, b in enumerate(times)
    ]
    # Invisible, so that the pointer reads values and the scale has a legend; the picture draws.
    touch = (
        alt.Chart(alt.Data(values=cells))
        .mark_point(filled=True, shape="square", opacity=0, size=(side / len(times)) ** 2)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "gain:Q",
                title=GAINS[str(ds.attrs["task"])],
                scale=alt.Scale(domain=[low, high], range=theme.sampled("diverging", 11)),
                legend=alt.Legend(gradientLength=180),
            ),
            tooltip=[
                alt.Tooltip("trained:Q", title="trained at (ms)"),
                alt.Tooltip("tested:Q", title="tested at (ms)"),
                alt.Tooltip("score:N", title=decoding.score_label(ds)),
            ],
        )
    )
    ink = theme.LIGHT["text"]  # on the picture, which is light in both themes
    marks: list[Any] = [picture, touch]
    marks.append(
        alt.Chart(
            alt.Data(
                values=[{"trained": ends[0], "tested": ends[0]}, {"trained": ends[1], "tested": ends[1]}]
            )
        )
        .mark_line(strokeDash=[3, 3], color=ink, strokeWidth=1)
        .encode(x=x, y=y)
    )
    edges = outline(ds["significant"].to_numpy() > 0, times, step)
    if edges:
        marks.append(
            alt.Chart(alt.Data(values=edges))
            .mark_rule(color=ink, strokeWidth=1.5)
            .encode(
                x=alt.X("x:Q", scale=scale, title="Tested at (ms)"),
                x2="x2:Q",
                y=alt.Y("y:Q", scale=scale, title="Trained at (ms)"),
                y2="y2:Q",
            )
        )
    drawn = alt.layer(*marks).properties(
        width=side, height=side, title=ds.attrs["title"], description=verdict(ds)
    )
    return theme.style(theme.unfitted(drawn), dark)


def outline(inside: np.ndarray, times: np.ndarray, step: float) -> list[dict[str, float]]:
    """Return the sides of cells between inside and outside as lines in ms; rows are times trained."""
    padded = np.pad(inside, 1)
    edges = []
    start = float(times[0]) - step / 2
    for i, j in zip(*np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1]), strict=True):
        y, x = start + i * step, start + j * step
        edges.append({"x": x, "x2": x + step, "y": y, "y2": y})
    for i, j in zip(*np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1]), strict=True):
        y, x = start + i * step, start + j * step
        edges.append({"x": x, "x2": x, "y": y, "y2": y + step})
    return edges


def diagonal_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the score of decoders trained and tested at one time, with chance and significant times."""
    import altair as alt

    times = ds["trained"].to_numpy()
    scores = np.diagonal(ds["score"].to_numpy())
    sure = ds["diagonal_significant"].to_numpy() > 0
    rows = [{"time": float(t), "score": float(s)} for t, s in zip(times, scores, strict=True)]
    chance = float(ds.attrs["chance"])
    low, high = theme.sequential_limits(scores, np.array([chance]))
    pad = 0.08 * (high - low)
    scale = alt.Scale(domain=[low - 2 * pad, high + pad], nice=False)
    x = alt.X("time:Q", title="Time from the start of the stimulus (ms)", scale=alt.Scale(nice=False))
    colour = theme.colour("brain", dark)
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("score:Q", title=decoding.score_label(ds), scale=scale)
    marks = [
        alt.Chart(alt.Data(values=[{"at": chance}]))
        .mark_rule(strokeDash=[5, 4], color=theme.colour("control", dark))
        .encode(y=alt.Y("at:Q", title=decoding.score_label(ds), scale=scale)),
        base.mark_line(color=colour, strokeWidth=2).encode(
            x=x, y=y, tooltip=["time:Q", alt.Tooltip("score:Q", format=".3f")]
        ),
    ]
    bars = [{"time": float(t), "at": low - 1.4 * pad} for t, s in zip(times, sure, strict=True) if s]
    if bars:
        marks.append(
            alt.Chart(alt.Data(values=bars))
            .mark_square(color=colour, size=30, opacity=1)
            .encode(x=x, y=alt.Y("at:Q", scale=scale, title=decoding.score_label(ds)))
        )
    drawn = alt.layer(*marks).properties(
        width=width, height=280, title="Trained and tested at the same time", description=verdict(ds)
    )
    return theme.style(theme.across(drawn, width), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the matrix of times, for export."""
    return chart(ds, side=min(420, width - 160))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per pair of times."""
    return ds[["score", "statistic", "significant"]].to_dataframe().reset_index()
