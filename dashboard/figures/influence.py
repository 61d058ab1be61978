"""Which stimuli carry a similarity, and which pairs network and brain see unlike: pictures and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

Pictures = Mapping[str, np.ndarray] | None

MOST = 8
"""Stimuli and pairs shown at each end."""


def order_of(ds: xr.Dataset, most: int = MOST) -> list[int]:
    """Return the stimuli with the largest and the smallest influence, largest first."""
    values = ds["influence"].to_numpy()
    order = [int(k) for k in np.argsort(-values, kind="stable") if np.isfinite(values[k])]
    return order if len(order) <= 2 * most else order[:most] + order[-most:]


def pairs_of(ds: xr.Dataset, most: int = MOST) -> list[tuple[int, int, int]]:
    """Return (pair, first, second stimulus) of the largest disagreements, unlike in the layer only first."""
    gap = ds["gap"].to_numpy()
    first, second = np.triu_indices(ds.sizes["stimulus"], 1)
    order = [int(k) for k in np.argsort(-gap, kind="stable") if np.isfinite(gap[k])]
    chosen = order if len(order) <= 2 * most else order[:most] + order[-most:]
    return [(k, int(first[k]), int(second[k])) for k in chosen]


def verdict(ds: xr.Dataset) -> str:
    """Name the stimulus that carries most and the pair about which layer and area disagree most."""
    names, values = answers.names(ds, "stimulus"), ds["influence"].to_numpy()
    a = ds.attrs
    start = "Simulated: " if answers.simulated(ds) else ""
    if not np.isfinite(values).any():
        return f"{start}No stimulus has an influence that is defined."
    k = int(np.nanargmax(values))
    score = float(a["score"])
    text = (
        f"{start}{names[k]} adds most to the similarity of {a['layer_name']} with {a['area_name']}: without "
        f"it {a['measure_label']} falls from {theme.three_digits(score)} to "
        f"{theme.three_digits(score - float(values[k]))}."
    )
    pairs = pairs_of(ds, 1)
    if not pairs:
        return text
    pair, i, j = max(pairs, key=lambda p: abs(float(ds["gap"][p[0]])))
    more = float(ds["gap"][pair]) > 0
    return (
        f"{text} They disagree most about {names[i]} and {names[j]}: "
        f"{'unlike' if more else 'alike'} in the layer, {'alike' if more else 'unlike'} in the brain."
    )


def words(ds: xr.Dataset) -> str:
    """Return the verdict; a name that all modules share."""
    return verdict(ds)


def caption(ds: xr.Dataset) -> str:
    """Say what the bars are."""
    return (
        f"{ds.attrs['measure_label']} with all stimuli minus {ds.attrs['measure_label']} without this one; "
        f"above zero the stimulus adds to the agreement. The {len(order_of(ds))} most extreme of "
        f"{ds.sizes['stimulus']} stimuli."
    )


def pair_caption(ds: xr.Dataset) -> str:
    """Say what the dumbbells are."""
    return (
        "Rank of the pair's dissimilarity among all pairs, from 0 (most alike) to 1 (most unlike): circle in "
        "the layer, square in the brain (mean of the subjects' ranks). One pair among thousands can be "
        "noise: look for what many of them have in common."
    )


def _uris(pictures: Pictures, names: list[str]) -> dict[str, str]:
    if pictures is None:
        return {}
    return {n: raster.data_uri(raster.png(pictures[n])) for n in dict.fromkeys(names) if n in pictures}


def influence_chart(
    ds: xr.Dataset, pictures: Pictures = None, dark: bool = False, *, width: int | str = "container"
) -> alt.LayerChart:
    """Draw the influence of the most extreme stimuli as bars, with their pictures."""
    import altair as alt

    names, kinds = answers.names(ds, "stimulus"), answers.categories(ds)
    chosen = order_of(ds)
    uris = _uris(pictures, [names[k] for k in chosen])
    rows = [
        {
            "stimulus": names[k],
            "category": kinds[k],
            "influence": float(ds["influence"][k]),
            "url": uris.get(names[k], ""),
        }
        for k in chosen
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "stimulus:N",
            sort=[names[k] for k in chosen],
            title=None,
            axis=alt.Axis(labelLimit=130, offset=32 if uris else 0, ticks=False, domain=False),
        )
    )
    label = f"Influence on {ds.attrs['measure_label']}"
    bars = base.mark_bar(color=theme.colour("network", dark), height={"band": 0.6}).encode(
        x=alt.X("influence:Q", title=label, axis=alt.Axis(grid=True)),
        tooltip=[
            alt.Tooltip("stimulus:N", title="Stimulus"),
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("influence:Q", title=label, format=".4f"),
        ],
    )
    marks = [bars]
    if uris:
        marks.append(base.mark_image(width=26, height=26, aria=False).encode(x=alt.value(-16), url="url:N"))
    chart = alt.layer(*marks).properties(
        width=width,
        height=30 * max(len(rows), 2),
        title="What carries the similarity",
        description=verdict(ds),
    )
    return theme.style(theme.across(chart, width), dark)


def pair_chart(
    ds: xr.Dataset, pictures: Pictures = None, dark: bool = False, *, width: int | str = "container"
) -> alt.LayerChart:
    """Draw where the pairs of largest disagreement rank in layer and area, with both pictures."""
    import altair as alt

    names = answers.names(ds, "stimulus")
    chosen = pairs_of(ds)
    uris = _uris(pictures, [names[k] for _, i, j in chosen for k in (i, j)])
    rows = [
        {
            "pair": f"{names[i]} × {names[j]}",
            "layer": float(ds["layer_rank"][k]),
            "area": float(ds["area_rank"][k]),
            "first": uris.get(names[i], ""),
            "second": uris.get(names[j], ""),
        }
        for k, i, j in chosen
    ]
    axis = alt.Axis(labels=not uris, labelLimit=200, ticks=False, domain=False)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("pair:N", sort=[f"{names[i]} × {names[j]}" for _, i, j in chosen], title=None, axis=axis),
        tooltip=[
            alt.Tooltip("pair:N", title="Pair"),
            alt.Tooltip("layer:Q", title=f"Rank in {ds.attrs['layer_name']}", format=".2f"),
            alt.Tooltip("area:Q", title=f"Rank in {ds.attrs['area_name']}", format=".2f"),
        ],
    )
    scale = alt.Scale(domain=[0, 1], nice=False)
    title = "Alike (0) to unlike (1), rank among pairs"
    marks: list[Any] = [
        base.mark_rule(color=theme.colour("muted", dark)).encode(
            x=alt.X("layer:Q", title=title, scale=scale, axis=alt.Axis(grid=True)), x2="area:Q"
        )
    ]
    for name, role in (("layer", "network"), ("area", "brain")):
        marks.append(
            base.mark_point(
                filled=True,
                size=90,
                opacity=1,
                color=theme.colour(role, dark),  # type: ignore[arg-type]
                shape=theme.SHAPES[role],
            ).encode(x=alt.X(f"{name}:Q", title=title, scale=scale))
        )
    if uris:
        for name, place in (("first", -46), ("second", -17)):
            marks.append(
                base.mark_image(width=27, height=27, aria=False).encode(x=alt.value(place), url=f"{name}:N")
            )
    chart = alt.layer(*marks).properties(
        width=width,
        height=31 * max(len(rows), 2),
        title=alt.TitleParams(
            "Pairs about which they disagree", subtitle="blue circle: layer; rust square: brain"
        ),
        description=verdict(ds),
    )
    return theme.style(theme.across(chart, width), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the influences, for export."""
    return influence_chart(ds, width=width - 170)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus, largest influence first."""
    found = ds[["influence"]].to_dataframe().reset_index()
    return found.sort_values("influence", ascending=False, kind="stable").reset_index(drop=True)


def pair_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return the pairs shown, with their ranks."""
    import pandas as pd

    names = answers.names(ds, "stimulus")
    return pd.DataFrame(
        [
            {
                "First": names[i],
                "Second": names[j],
                "Rank in the layer": float(ds["layer_rank"][k]),
                "Rank in the brain": float(ds["area_rank"][k]),
                "Difference": float(ds["gap"][k]),
            }
            for k, i, j in pairs_of(ds)
        ]
    )
