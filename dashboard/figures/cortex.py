"""Areas on the cortical surface, coloured by how much a layer resembles them; never by anything finer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import listing
from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CAVEAT = (
    "One number colours a whole area: nothing is said about where inside it the agreement lies, and the "
    "borders are those of the region, not of the recording."
)
VIEWS = ("lateral", "medial", "ventral")
GAP = 14
"""Pixels of the picture between two views."""

STEP = 4
"""Rows of pixels that share one place to point at."""

GREYS = {False: (206, 158), True: (148, 104)}
"""Gyri and sulci outside all areas, by whether the theme is dark."""


# --- numbers and words -------------------------------------------------------------------------------------


def drawn(ds: xr.Dataset) -> list[str]:
    """Return the areas that have a region."""
    places = ds["regions"].to_numpy()
    return [a for a, region in zip(answers.names(ds, "area"), places, strict=True) if str(region)]


def limits(ds: xr.Dataset) -> tuple[float, float, str]:
    """Return the ends of the colour scale and its map: from 0, or symmetric where a score is negative.

    The scale reaches to the highest noise ceiling: with the highest score at its end, one area alone would
    always look like the best that can be.
    """
    values = _ends(ds)
    if np.nanmin(values, initial=0.0) < 0:
        return *theme.signed_limits(values), "diverging"
    return *theme.sequential_limits(values, zero=True), "viridis"


def _ends(ds: xr.Dataset) -> np.ndarray:
    """Return the scores of the areas that are drawn, and their upper noise ceilings."""
    return np.concatenate([ds[name].sel(area=drawn(ds)).to_numpy() for name in ("score", "ceiling_high")])


def _scores(ds: xr.Dataset, areas: list[str]) -> list[tuple[str, float, str, str]]:
    """Return area, score, layer and region, the highest score first."""
    one = ds.sel(area=areas)
    rows = zip(
        areas,
        one["score"].to_numpy().tolist(),
        map(str, one["layer"].to_numpy()),
        map(str, one["regions"].to_numpy()),
        strict=True,
    )
    return sorted(rows, key=lambda row: (-np.nan_to_num(row[1], nan=-np.inf), row[0]))


def verdict(ds: xr.Dataset) -> str:
    """Name the area that is most alike among those that are drawn."""
    start = "Simulated: " if answers.simulated(ds) else ""
    found = _scores(ds, drawn(ds))
    if not found:
        names = listing(answers.names(ds, "area"), 6)
        return (
            f"{start}No area is on the cortex yet: choose a region for {names}, or bring labels of your own."
        )
    area, score, layer, region = found[0]
    text = (
        f"{area} (drawn at {region}) is most like {ds.attrs['network_title']}"
        if len(found) > 1
        else (f"{area} is drawn at {region}")
    )
    return f"{start}{text}: {ds.attrs['measure_label']} {theme.three_digits(score)} with {layer}."


def words(ds: xr.Dataset, side: str = "") -> str:
    """Return what the picture of a hemisphere, or of both, shows: all areas, and what is not drawn."""
    found = [
        f"{area} at {region}: {theme.three_digits(score)} ({layer})"
        for area, score, layer, region in _scores(ds, drawn(ds))
    ]
    lacking = [a for a in answers.names(ds, "area") if a not in drawn(ds)]
    tail = f" Not drawn: {listing(lacking, 8)}." if lacking else ""
    shown = f" {ds.attrs['measure_label']} of {'; '.join(found)}." if found else ""
    which = f"The {side} hemisphere" if side else "Both hemispheres"
    return f"{which} of fsaverage5, lateral, medial and ventral.{shown}{tail}"


def caption(ds: xr.Dataset) -> str:
    """Say what the colours are and where the regions come from."""
    start = f"Regions: {ds.attrs['parcellation']}."
    if not drawn(ds):
        return f"The inflated surface fsaverage5, sulci dark. {start}"
    lo, hi, _ = limits(ds)
    places = theme.decimals(lo, hi)
    layer = ds.attrs.get("layer_name") or "the best layer of each area"
    scores = ds["score"].sel(area=drawn(ds)).to_numpy()
    end = ", the highest noise ceiling," if hi > np.nanmax(np.abs(scores), initial=0.0) else ""
    return (
        f"{ds.attrs['measure_label']} of {layer} from {theme.fixed(lo, places)} to "
        f"{theme.fixed(hi, places)}{end} on the inflated surface fsaverage5, sulci dark. {start} {CAVEAT}"
    )


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per area: region, layer, score, interval, and its share of each view."""
    import pandas as pd

    columns: dict[str, Any] = {"area": answers.names(ds, "area")}
    columns |= {name: ds[name].to_numpy() for name in ("regions", "layer", "score", "ci_low", "ci_high")}
    shares = ds["share"].transpose("panel", "area").to_numpy()
    columns |= {f"share of {p}": s for p, s in zip(answers.names(ds, "panel"), shares, strict=True)}
    return pd.DataFrame(columns)


# --- pictures ----------------------------------------------------------------------------------------------


def picture(ds: xr.Dataset, panel: str, dark: bool = False) -> np.ndarray:
    """Colour one panel.

    Returns
    -------
    np.ndarray
        (height, width, 4) uint8; transparent outside the brain.
    """
    one = ds.isel(panel=answers.names(ds, "panel").index(panel))
    index, light = one["area_index"].to_numpy(), one["light"].to_numpy() / 255.0
    gyrus, sulcus = GREYS[dark]
    grey = np.where(one["sulcus"].to_numpy() > 0, sulcus, gyrus) * (0.6 + 0.4 * light)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    lo, hi, name = limits(ds)
    colours = raster.coloured(ds["score"].to_numpy()[None], theme.lut(name), lo, hi)[0]
    on = index > 0
    pixels[on] = colours[index[on] - 1] * (0.86 + 0.14 * light[on])[:, None]  # nearly as in the legend
    ink = theme.colour("text", dark)
    pixels[_edges(index)] = [int(ink[k : k + 2], 16) for k in (1, 3, 5)]
    alpha = np.where(index >= 0, 255, 0)
    return np.dstack([np.round(pixels), alpha]).astype(np.uint8)


def _edges(index: np.ndarray) -> np.ndarray:
    """Return the pixels of the brain beside another area, two wide: (height, width) bool."""
    edge = np.zeros(index.shape, dtype=bool)
    for axis in (0, 1):
        one, other = np.moveaxis(index, axis, 0)[:-1], np.moveaxis(index, axis, 0)[1:]
        differs = (one != other) & (np.maximum(one, other) > 0) & (np.minimum(one, other) >= 0)
        view = np.moveaxis(edge, axis, 0)
        view[:-1] |= differs
        view[1:] |= differs
    return edge


def _rows_of(ds: xr.Dataset, side: str) -> list[tuple[str, slice]]:
    """Return the panels of a hemisphere and the rows of each that show anything."""
    found = []
    for view in VIEWS:
        panel = f"{side} {view}"
        index = ds["area_index"].isel(panel=answers.names(ds, "panel").index(panel)).to_numpy()
        rows = np.flatnonzero((index >= 0).any(axis=1))
        found.append((panel, slice(int(rows[0]), int(rows[-1]) + 1)))
    return found


def hemisphere(
    ds: xr.Dataset,
    side: str,
    dark: bool = False,
    *,
    width: int = 300,
    hover: bool = True,
    legend: bool = True,
) -> Any:
    """Draw the three views of a hemisphere below each other; with ``hover`` areas can be pointed at."""
    import altair as alt

    # Inside a row, because a page stretches a single view to the width that it has.
    row = alt.hconcat(_hemisphere(ds, side, dark, width, hover, legend))
    return theme.style(row.properties(description=words(ds, side)), dark)


def _hemisphere(ds: xr.Dataset, side: str, dark: bool, width: int, hover: bool, legend: bool) -> Any:
    import altair as alt

    across = ds.sizes["x"]
    parts, titles, places, top = [], [], [], GAP
    for panel, rows in _rows_of(ds, side):
        parts += [np.zeros((GAP, across, 4), np.uint8), picture(ds, panel, dark)[rows]]
        titles.append({"y": top, "words": panel.partition(" ")[2]})
        places += _places(ds, panel, rows, top) if hover else []
        top += rows.stop - rows.start + GAP
    pixels = np.concatenate(parts)
    height = round(width * len(pixels) / across)
    x = alt.Scale(domain=[0, across], nice=False, zero=False)
    y = alt.Scale(domain=[0, len(pixels)], nice=False, zero=False, reverse=True)
    image = (
        alt.Chart(alt.Data(values=[{"url": raster.data_uri(raster.png(pixels))}]))
        .mark_image(width=width, height=height, aspect=False, aria=False, tooltip=None)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2), url="url:N")
    )
    titled = (
        alt.Chart(alt.Data(values=titles))
        .mark_text(align="left", baseline="middle", color=theme.colour("muted", dark), tooltip=None)
        .encode(x=alt.value(0), y=alt.Y("y:Q", scale=y, axis=None), text="words:N")
    )
    layers = [image, titled, *([_legend(ds, legend)] if drawn(ds) else [])]
    if places:
        layers.append(
            alt.Chart(alt.Data(values=places))
            .mark_rect(fillOpacity=0, aria=False)
            .encode(
                x=alt.X("x:Q", scale=x, axis=None),
                x2="x2:Q",
                y=alt.Y("y:Q", scale=y, axis=None),
                y2="y2:Q",
                tooltip=[alt.Tooltip(f"{k}:N", title=k.capitalize()) for k in _TOLD],
            )
        )
    start = "Simulated: " if answers.simulated(ds) else ""
    return alt.layer(*layers).properties(width=width, height=height, title=f"{start}{side} hemisphere")


_TOLD = ("area", "region", "score", "interval", "layer")


def _places(ds: xr.Dataset, panel: str, rows: slice, top: int) -> list[dict[str, Any]]:
    """Return rectangles that cover the areas of a panel, with what is told of each."""
    index = ds["area_index"].isel(panel=answers.names(ds, "panel").index(panel)).to_numpy()[rows]
    told = _told(ds)
    found = []
    for y in range(0, len(index), STEP):
        line = index[y]
        turns = np.flatnonzero(np.diff(line, prepend=-2, append=-2))
        for a, b in zip(turns[:-1], turns[1:], strict=True):
            if line[a] > 0:
                place = {"x": int(a), "x2": int(b), "y": top + y, "y2": top + y + STEP}
                found.append(place | told[line[a] - 1])
    return found


def _told(ds: xr.Dataset) -> list[dict[str, str]]:
    """Return what is told of each area that is pointed at."""
    columns = (ds[name].to_numpy() for name in ("regions", "score", "ci_low", "ci_high", "layer"))
    return [
        {
            "area": area,
            "region": str(region),
            "score": theme.three_digits(float(score)),
            "interval": theme.interval(float(low), float(high)),
            "layer": str(layer),
        }
        for area, region, score, low, high, layer in zip(answers.names(ds, "area"), *columns, strict=True)
    ]


def _legend(ds: xr.Dataset, shown: bool) -> Any:
    """Return a layer that draws nothing but the scale of the colours."""
    import altair as alt

    lo, hi, name = limits(ds)
    legend = alt.Legend(
        title=str(ds.attrs["measure_label"]),
        orient="bottom",
        direction="horizontal",
        gradientLength=150,
        gradientOpacity=1,
        tickCount=3,
        format=".2~f",
    )
    return (
        alt.Chart(alt.Data(values=[{"score": lo}, {"score": hi}]))
        .mark_point(size=0, opacity=0, aria=False, tooltip=None)
        .encode(
            x=alt.value(0),
            y=alt.value(0),
            color=alt.Color(
                "score:Q",
                scale=alt.Scale(domain=[lo, hi], range=theme.sampled(name, 32)),
                legend=legend if shown else None,
            ),
        )
    )


def main_chart(ds: xr.Dataset, width: int = 640, dark: bool = False) -> Any:
    """Draw both hemispheres beside each other, for files."""
    import altair as alt

    side = (width - 24) // 2
    both = [_hemisphere(ds, name, dark, side, False, name == "left") for name in ("left", "right")]
    return theme.style(alt.hconcat(*both).properties(description=words(ds)), dark)
