"""How much each unit of a layer contributes to a score: ranked bars and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SHOWN = 20
"""Channels drawn, those with the largest |values|."""

ENOUGH = 0.02
"""Share of the score's change that may be missing from the sum before it is said to go elsewhere."""

TOO_SMALL = 1e-3
"""Below this share of |f(x)| + |f(baseline)| the change of the score is too small to judge a sum by it."""


def order(ds: xr.Dataset) -> np.ndarray:
    """Return the channels from the largest to the smallest |value|."""
    return np.argsort(-np.abs(ds["conductance"].to_numpy()), kind="stable")


def unit_word(ds: xr.Dataset) -> str:
    """Return what one value belongs to: a channel where the layer has places, else a unit."""
    return "channel" if int(ds.attrs["places"]) > 1 else "unit"


def verdict(ds: xr.Dataset) -> str:
    """Say which channels carry the score, and how few of them carry most of it."""
    values, first = ds["conductance"].to_numpy(), order(ds)
    word = unit_word(ds)
    what = str(ds.attrs["target"])
    start = f"{what[:1].upper()}{what[1:]} for {answers.names(ds, 'item')[0]}, through {ds.attrs['layer']}"
    size = np.abs(values)
    if not size.sum() > 0:
        return f"{start}: no {word} contributes."
    top = int(first[0])
    share = np.cumsum(size[first]) / size.sum()
    few = int(np.searchsorted(share, 0.5) + 1)
    return (
        f"{start}: {word} {top} contributes most ({theme.three_digits(float(values[top]))} "
        f"{ds.attrs['unit']}); {few} of {len(values)} {word}s hold half of all that is contributed."
    )


def sum_words(ds: xr.Dataset) -> str:
    """Say whether the values account for the change of the score, and where the rest goes."""
    total, summed = float(ds.attrs["total"]), float(ds.attrs["summed"])
    told = f"The values sum to {theme.three_digits(summed)}; the score changes by {theme.three_digits(total)}"
    size = abs(float(ds.attrs["score"])) + abs(float(ds.attrs["baseline_score"]))
    if abs(total) <= TOO_SMALL * size or not total:
        return f"{told}, too little to judge the sum."
    missing = abs(summed - total) / abs(total)
    shown = "below 0.01 %" if missing < 1e-4 else f"{theme.three_digits(100 * missing)} %"
    if missing <= ENOUGH:
        return f"{told} (off by {shown}): all of it passes through this layer."
    return (
        f"{told} (off by {shown}): part of it goes round this layer, over skip connections or branches, or "
        "the way from the baseline needs more steps."
    )


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return f"{verdict(ds)} {sum_words(ds)}"


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per channel, the largest |value| first."""
    import pandas as pd

    first = order(ds)
    columns = {name: ds[name].to_numpy()[first] for name in ("conductance", "activation")}
    return pd.DataFrame(
        {
            "channel": first,
            **columns,
            "baseline activation": ds["baseline_activation"].to_numpy()[first],
        }
    )


def bars(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the channels with the largest |values| as bars, blue against the score and red for it."""
    import altair as alt_

    word = unit_word(ds)
    first = order(ds)[:SHOWN]
    values, activation = ds["conductance"].to_numpy(), ds["activation"].to_numpy()
    names = [f"{word} {int(k)}" for k in first]
    rows = [
        {"name": name, "conductance": float(values[k]), "activation": float(activation[k])}
        for name, k in zip(names, first, strict=True)
    ]
    bound = float(np.abs(values).max(initial=0.0))
    bound = bound if bound > 0 and math.isfinite(bound) else 1.0
    x = alt_.X("conductance:Q", title=f"Contribution to the {ds.attrs['target']} ({ds.attrs['unit']})")
    chart = (
        alt_.Chart(alt_.Data(values=rows))
        .mark_bar(stroke=theme.colour("muted", dark), strokeWidth=0.5)
        .encode(
            x=x,
            y=alt_.Y("name:N", sort=names, title=None, axis=alt_.Axis(labelLimit=160)),
            color=alt_.Color(
                "conductance:Q",
                title=f"Contribution ({ds.attrs['unit']})",
                scale=alt_.Scale(domain=[-bound, bound], range=theme.sampled("diverging", 11)),
            ),
            tooltip=[
                alt_.Tooltip("name:N", title=word.capitalize()),
                alt_.Tooltip("conductance:Q", format=".4g", title="Contribution"),
                alt_.Tooltip("activation:Q", format=".4g", title="Mean activation"),
            ],
        )
    )
    return theme.style(chart.properties(width=width, height=alt_.Step(18)), dark)
