"""The strongest connections of one unit as bars, and words about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

TITLES = {"from": "From earlier layers", "to": "To later layers"}
CAVEAT = (
    "Of a convolution the strength is the norm of the kernel between two units: how much one can move the "
    "other, not whether up or down. Normalisation in between is not counted, and a large weight on a unit "
    "that rarely responds does little."
)


def places(ds: xr.Dataset, direction: str) -> np.ndarray:
    """Return the positions of the connections of one direction, strongest first."""
    return np.flatnonzero(ds["direction"].to_numpy().astype(str) == direction)


def name(ds: xr.Dataset, place: int) -> str:
    """Return what to call the unit at the other end."""
    layer, unit = str(ds["layer"].to_numpy()[place]), int(ds["unit"].to_numpy()[place])
    if layer == ds.attrs["input"]:
        return f"input channel {unit}"
    return f"{layer} · {unit}"


def verdict(ds: xr.Dataset) -> str:
    """Name the strongest connection of either direction."""
    parts = []
    for direction, words in (("from", "gets its strongest input from"), ("to", "weighs most in")):
        found = places(ds, direction)
        if len(found):
            k = int(found[0])
            value = theme.three_digits(float(ds["strength"].to_numpy()[k]))
            parts.append(f"{words} {name(ds, k)} ({ds['kind'].to_numpy()[k]} {value})")
    start = f"Unit {ds.attrs['unit']} of {ds.attrs['layer']}"
    if not parts:
        return f"{start} has no direct connection with a weighted layer."
    tail = "" if len(places(ds, "to")) else "; no weighted layer reads it"
    return f"{start} {' and '.join(parts)}{tail}."


def chart(ds: xr.Dataset, direction: str, dark: bool = False, *, width: int | str = "container") -> alt.Chart:
    """Draw the connections of one direction as bars, strongest first; weights below zero to the left."""
    import altair as alt

    rows = [
        {
            "name": name(ds, int(k)),
            "strength": float(ds["strength"].to_numpy()[k]),
            "kind": str(ds["kind"].to_numpy()[k]),
            "through": str(ds["through"].to_numpy()[k]),
            "also": str(ds["also"].to_numpy()[k]) or "none",
        }
        for k in places(ds, direction)
    ]
    kinds = " or ".join(dict.fromkeys(str(row["kind"]) for row in rows)) or "norm"
    found = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark))
        .encode(
            y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
            x=alt.X("strength:Q", title=f"Strength ({kinds} of the weights)"),
            tooltip=[
                alt.Tooltip("name:N", title="unit"),
                alt.Tooltip("strength:Q", format=".3g"),
                alt.Tooltip("kind:N"),
                alt.Tooltip("through:N", title="weights of"),
                alt.Tooltip("also:N", title="the channel is also fed by"),
            ],
        )
        .properties(width=width, height=alt.Step(18), title=TITLES[direction], description=verdict(ds))
    )
    return theme.style(found, dark)


def main_chart(ds: xr.Dataset, dark: bool = False, width: int = 640) -> Any:
    """Draw both directions beside each other, for export."""
    import altair as alt

    panels = [chart(ds, d, dark, width=max(90, width // 2 - 150)) for d in TITLES if len(places(ds, d))]
    for panel in panels:
        panel.config = alt.Undefined
    found = alt.hconcat(*panels).properties(title=ds.attrs["title"], description=verdict(ds))
    return theme.style(found, dark)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per connection."""
    names = ["direction", "layer", "unit", "strength", "kind", "through", "also"]
    return ds[names].to_dataframe().reset_index(drop=True)
