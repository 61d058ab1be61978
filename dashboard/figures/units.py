"""One unit in pictures and words: its highest and lowest stimuli, its distribution, its selectivity."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import filters, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

TITLES = {"top": "Highest responses", "bottom": "Lowest responses", "random": "Random stimuli"}

FRAME_LIGHT, FRAME_DARK = (255, 255, 255), (0, 0, 0)
"""The frame of a field is white inside black, so that it is seen on any picture."""

CAVEAT = (
    "Highest responses depend on the set of stimuli and hide what suppresses a unit, so the lowest and "
    "random ones stand beside them. Units at the border also see padding."
)
CAVEAT_BEST = (
    "d′ is the difference of the mean responses to a category and to all others in pooled standard "
    "deviations (Green & Swets, 1966). The best of several categories is above zero even for a unit that "
    "tells none apart."
)


def layers(ds: xr.Dataset) -> list[str]:
    """Return the layers of the network."""
    found: list[str] = json.loads(ds.attrs["layers"])
    return found


def has_pictures(ds: xr.Dataset) -> bool:
    """Say whether the stimuli are pictures (or stripes of numbers) rather than texts."""
    return "picture" in ds


def sees_pictures(ds: xr.Dataset) -> bool:
    """Say whether the network was shown pictures, so that others can be made for it."""
    return "input_height" in ds.attrs


def has_crops(ds: xr.Dataset) -> bool:
    """Say whether any stimulus has a part that the unit saw."""
    return "box" in ds and bool(np.isfinite(ds["box"].to_numpy()).any())


def members(ds: xr.Dataset, group: str) -> np.ndarray:
    """Return the positions along ``shown`` of one group."""
    return np.flatnonzero(ds["group"].to_numpy().astype(str) == group)


# --- words -----------------------------------------------------------------------------------------


def what(ds: xr.Dataset) -> str:
    """Say which number counts as the response."""
    if ds.attrs["positions"] == "no":
        return "response"
    over = "tokens" if ds.attrs["positions"] == "tokens" else "positions"
    return f"{ds.attrs['by']} over {over}"


def best(ds: xr.Dataset) -> tuple[str, float] | None:
    """Return the category with the largest d′, or None where there are no categories."""
    if "d_prime" not in ds or not np.isfinite(ds["d_prime"].to_numpy()).any():
        return None
    k = int(np.nanargmax(ds["d_prime"].to_numpy()))
    return str(ds["category_name"].to_numpy()[k]), float(ds["d_prime"][k])


def verdict(ds: xr.Dataset) -> str:
    """Say to what the unit responds, how strongly, and whether it responds at all."""
    name, n = f"Unit {ds.attrs['unit']} of {ds.attrs['layer']}", ds.sizes["stimulus"]
    response = ds["response"].to_numpy()
    if ds.attrs["dead"] == "yes":
        return f"{name} is dead: zero on all {n} stimuli, which says nothing about others."
    if response.max() == response.min():
        value = theme.three_digits(float(response[0]))
        return f"{name} gives the same number, {value}, for all {n} stimuli."
    found = best(ds)
    start = f"{name} responds most to {ds['name'].to_numpy()[0]}"
    if found is not None and found[1] > 0:
        start += f"; of the categories it prefers {found[0]} (d′ {theme.three_digits(found[1])})"
    return f"{start}. {numbers(ds)}"


def numbers(ds: xr.Dataset) -> str:
    """Give mean, SD, sparseness and share of zeros in one sentence."""
    mean, sd = (theme.three_digits(float(ds[k])) for k in ("mean_response", "sd"))
    text = f"Its {what(ds)} is {mean} ± {sd} (mean ± SD) over {ds.sizes['stimulus']} stimuli"
    sparse = float(ds["sparseness"])
    if math.isfinite(sparse):
        text += f", lifetime sparseness {theme.three_digits(sparse)}"
    zero = float(ds["zero_share"])
    return f"{text}, zero on {100 * zero:.0f} % of them." if zero else f"{text}."


def category_words(ds: xr.Dataset) -> str:
    """Say in words how selective the unit is for categories."""
    found = best(ds)
    if found is None:
        return "The stimuli have no two categories with two stimuli each, so that no selectivity is known."
    order = np.argsort(-np.nan_to_num(ds["d_prime"].to_numpy(), nan=-np.inf), kind="stable")
    last = str(ds["category_name"].to_numpy()[order[-1]])
    return (
        f"d′ of {ds.sizes['category_name']} categories: largest for {found[0]} "
        f"({theme.three_digits(found[1])}), smallest for {last} "
        f"({theme.three_digits(float(ds['d_prime'][int(order[-1])]))})."
    )


def histogram_words(ds: xr.Dataset) -> str:
    """Say in words how the responses are distributed."""
    response = ds["response"].to_numpy()
    low, middle, high = (theme.three_digits(float(v)) for v in np.percentile(response, [0, 50, 100]))
    return f"Responses to {len(response)} stimuli from {low} to {high}, median {middle}."


# --- pixels ----------------------------------------------------------------------------------------


def picture_tiles(ds: xr.Dataset, group: str) -> np.ndarray:
    """Return the pictures of a group with the field framed: (n, side, side, 3) uint8."""
    places = members(ds, group)
    pictures = ds["picture"].to_numpy()[places].copy()
    if "box" in ds:
        size = int(ds.attrs["input_height"]), int(ds.attrs["input_width"])
        for picture, box in zip(pictures, ds["box"].to_numpy()[places], strict=True):
            if np.isfinite(box).all():
                framed(picture, box, size)
    return pictures


def crop_tiles(ds: xr.Dataset, group: str) -> np.ndarray:
    """Return what the unit saw of the pictures of a group: (n, side, side, 3) uint8."""
    crops: np.ndarray = ds["crop"].to_numpy()[members(ds, group)]
    return crops


def framed(picture: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> None:
    """Draw a frame around a box given in pixels of the input, in place."""
    side = len(picture)
    scale = side / max(size)
    above, before = (side - size[0] * scale) / 2, (side - size[1] * scale) / 2
    top, bottom = (round(above + edge * scale) for edge in (box[0], box[2]))
    left, right = (round(before + edge * scale) for edge in (box[1], box[3]))
    for out, colour in ((2, FRAME_DARK), (1, FRAME_LIGHT)):
        rows = np.clip([top - out, bottom + out - 1], 0, side - 1)
        columns = np.clip([left - out, right + out - 1], 0, side - 1)
        picture[rows[0] : rows[1] + 1, columns] = colour
        picture[rows, columns[0] : columns[1] + 1] = colour


# --- charts ----------------------------------------------------------------------------------------


def histogram(
    ds: xr.Dataset, dark: bool = False, *, width: int | str = "container", bins: int = 30
) -> alt.LayerChart:
    """Draw the distribution of the responses over the stimuli, with their mean."""
    import altair as alt

    response = ds["response"].to_numpy()
    counts, edges = np.histogram(response, bins)
    rows = [
        {"low": float(a), "high": float(b), "count": int(c), "zero": 0}
        for a, b, c in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=theme.colour("network", dark), opacity=0.9)
        .encode(
            x=alt.X(
                "low:Q",
                title=f"Response ({what(ds)}, units of the layer)",
                scale=alt.Scale(zero=False, nice=False),
            ),
            x2="high:Q",
            y=alt.Y("count:Q", title="Stimuli"),
            y2="zero:Q",
            tooltip=[
                alt.Tooltip("low:Q", format=".3g", title="from"),
                alt.Tooltip("high:Q", format=".3g", title="to"),
                alt.Tooltip("count:Q", title="stimuli"),
            ],
        )
    )
    mean = (
        alt.Chart(alt.Data(values=[{"mean": float(response.mean())}]))
        .mark_rule(color=theme.colour("text", dark), strokeDash=[4, 3])
        .encode(x="mean:Q", tooltip=[alt.Tooltip("mean:Q", format=".3g")])
    )
    chart = alt.layer(bars, mean).properties(
        width=width,
        height=220,
        title=f"Responses to {len(response)} stimuli, mean dashed",
        description=histogram_words(ds),
    )
    return theme.style(chart, dark)


def category_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.Chart:
    """Draw d′ of every category as bars, largest first."""
    import altair as alt

    table = (
        category_table(ds).dropna(subset=["d_prime"]).sort_values("d_prime", ascending=False, kind="stable")
    )
    chart = (
        alt.Chart(alt.Data(values=table.to_dict("records")))
        .mark_bar(color=theme.colour("network", dark))
        .encode(
            y=alt.Y("category:N", sort=None, title="Category"),
            x=alt.X("d_prime:Q", title="d′ against all other categories"),
            tooltip=[
                alt.Tooltip("category:N"),
                alt.Tooltip("d_prime:Q", format=".3g", title="d′"),
                alt.Tooltip("index:Q", format=".3g", title="(R − R_other) / (R + R_other)"),
                alt.Tooltip("mean:Q", format=".3g", title="mean response"),
            ],
        )
        .properties(
            width=width,
            height=alt.Step(18),
            title="Selectivity for categories",
            description=category_words(ds),
        )
    )
    return theme.style(chart, dark)


def overview(ds: xr.Dataset, dark: bool = False, width: int = 640) -> Any:
    """Draw the three groups of stimuli over the distribution and the selectivity, for export."""
    import altair as alt

    above: list[Any] = []
    for group, title in TITLES.items() if has_pictures(ds) else ():
        tiles = [picture_tiles(ds, group), *([crop_tiles(ds, group)] if has_crops(ds) else [])]
        above.append(filters.sheet_chart(np.concatenate(tiles), title, dark=dark, width=width // 3 - 24))
    below: list[Any] = [histogram(ds, dark, width=width // 2 - 60)]
    if best(ds) is not None:
        below.append(category_chart(ds, dark, width=width // 2 - 120))
    for panel in (*above, *below):
        panel.config = alt.Undefined
    rows = [alt.hconcat(*panels) for panels in (above, below) if panels]
    chart = alt.vconcat(*rows).properties(title=ds.attrs["title"], description=alt_text(ds))
    return theme.style(chart, dark)


# --- tables ----------------------------------------------------------------------------------------


def alt_text(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return f"{verdict(ds)} {category_words(ds)}"


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus: name, category, response, maximum, mean and where the maximum is."""
    names = ["response", "maximum", "mean", "place"]
    columns = ["stimulus", "category", *names]
    return ds[names].to_dataframe().reset_index()[columns]


def category_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per category: d′, index and mean response."""
    import pandas as pd

    return pd.DataFrame(
        {
            "category": [str(v) for v in ds["category_name"].to_numpy()],
            "d_prime": ds["d_prime"].to_numpy(),
            "index": ds["index"].to_numpy(),
            "mean": ds["category_mean"].to_numpy(),
        }
    )


def text_table(ds: xr.Dataset, group: str) -> pd.DataFrame:
    """Return one row per text of a group: response, token and text."""
    import pandas as pd

    places = members(ds, group)
    return pd.DataFrame(
        {
            "response": ds["shown_response"].to_numpy()[places],
            "token": [str(v) for v in ds["token"].to_numpy()[places]],
            "text": [str(v) for v in ds["text"].to_numpy()[places]],
        }
    )
