"""Kernels and feature maps as sheets on one scale, Gabor fits as a chart, and what they say in words."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

TILE = 64
"""Side of a tile of a sheet in pixels."""

Scale = Literal["shared", "own"]


# --- pixels ------------------------------------------------------------------------------------------------


def is_picture(ds: xr.Dataset) -> bool:
    """Say whether the kernels read a picture, so that they can be drawn as one."""
    return "power" in ds


def layers(ds: xr.Dataset) -> list[str]:
    """Return the layers of the network that have kernels (or units to tune)."""
    found: list[str] = json.loads(ds.attrs["layers"])
    return found


def limit(ds: xr.Dataset, name: str = "kernel") -> float:
    """Return the largest weight of all kernels: the one scale of the sheet is symmetric about zero."""
    return float(np.abs(ds[name].to_numpy()).max()) or 1.0


def kernel_tiles(ds: xr.Dataset, name: str = "kernel", side: int = TILE) -> np.ndarray:
    """Draw every kernel on one scale about zero: (n_units, side, side, 3) uint8.

    Three channels are drawn as red, green and blue, grey for zero; one channel on the diverging colour map;
    slices of a deeper kernel beside each other, each on the diverging colour map.
    """
    kernels = ds[name].to_numpy().astype(np.float64)
    top = limit(ds, name)
    if is_picture(ds) and kernels.shape[1] == 3:
        pixels = np.round(255 * (0.5 + 0.5 * np.moveaxis(kernels, 1, -1) / top)).astype(np.uint8)
        return np.stack([_fitted(picture, side) for picture in pixels])
    lut = theme.lut("diverging")
    return np.stack([_fitted(raster.coloured(_beside(slices), lut, -top, top), side) for slices in kernels])


def power_tiles(ds: xr.Dataset, side: int = TILE) -> np.ndarray:
    """Draw the Fourier power of every kernel, each from zero to its peak: (n_units, side, side, 3) uint8."""
    lut = theme.lut("viridis")
    found = []
    for spectrum in ds["power"].to_numpy().astype(np.float64):
        found.append(_fitted(raster.coloured(spectrum, lut, 0.0, float(spectrum.max()) or 1.0), side))
    return np.stack(found)


def gabor_tiles(ds: xr.Dataset, side: int = TILE) -> np.ndarray:
    """Draw the fitted Gabors, each on its own scale about zero; a poor fit is left grey."""
    lut, found = theme.lut("diverging"), []
    for picture, reason in zip(ds["fitted"].to_numpy(), ds["reason"].to_numpy(), strict=True):
        if str(reason):
            found.append(np.full((side, side, 3), 200, dtype=np.uint8))
            continue
        top = float(np.abs(picture).max()) or 1.0
        found.append(_fitted(raster.coloured(picture, lut, -top, top), side))
    return np.stack(found)


def map_tiles(ds: xr.Dataset, units: np.ndarray, scale: Scale, side: int = TILE) -> np.ndarray:
    """Draw the maps of some channels: (n, side, side, 3) uint8."""
    maps = ds["map"].to_numpy()[units]
    signed = bool((ds["lowest"].to_numpy() < 0).any())
    lut = theme.lut("diverging" if signed else "viridis")
    lo, hi = map_limits(ds)
    if scale == "own":
        top = np.abs(maps).max(axis=(1, 2), keepdims=True)
        maps, (lo, hi) = maps / np.where(top > 0, top, 1), (-1.0 if signed else 0.0, 1.0)
    # All at once: hundreds of maps are coloured in the time that a page has.
    n, height, width = maps.shape
    pixels = raster.coloured(maps.reshape(n * height, width), lut, lo, hi)
    return np.stack([_fitted(one, side) for one in pixels.reshape(n, height, width, 3)])


def map_limits(ds: xr.Dataset) -> tuple[float, float]:
    """Return the limits of the one scale of all maps, symmetric about zero when any value is below it."""
    low, high = float(ds["lowest"].min()), float(ds["highest"].max())
    top = max(abs(low), abs(high)) or 1.0
    return (-top, top) if low < 0 else (0.0, top)


def _beside(slices: np.ndarray) -> np.ndarray:
    """Lay slices (n, height, width) out in a near square, with a grey line between."""
    n, height, width = slices.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for k, one in enumerate(slices):
        row, column = divmod(k, columns)
        top, left = row * (height + 1), column * (width + 1)
        sheet[top : top + height, left : left + width] = one
    return sheet


def _fitted(pixels: np.ndarray, side: int) -> np.ndarray:
    """Enlarge a picture without blurring it, to a square of ``side`` pixels."""
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    square = np.full((side, side, 3), 200, dtype=np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = np.asarray(picture)
    return square


# --- order -------------------------------------------------------------------------------------------------


def orders(ds: xr.Dataset, fits: xr.Dataset | None) -> list[str]:
    """Return by what kernels can be ordered."""
    more = ["orientation", "spatial frequency", "variance explained"] if fits is not None else []
    return ["number", "norm", *more]


def ordered(ds: xr.Dataset, fits: xr.Dataset | None, by: str) -> np.ndarray:
    """Return the units in an order: large norms and good fits first, poor fits last."""
    n = ds.sizes["unit"]
    if by == "norm":
        return np.argsort(-ds["norm"].to_numpy(), kind="stable")
    if fits is None or by == "number":
        return np.arange(n)
    if by == "variance explained":
        return np.argsort(-np.nan_to_num(fits["explained"].to_numpy(), nan=-1), kind="stable")
    name = {"orientation": "orientation", "spatial frequency": "frequency"}[by]
    value = np.where(fits["reason"].to_numpy() == "", fits[name].to_numpy(), np.inf)
    return np.argsort(value, kind="stable")


# --- words -------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset, fits: xr.Dataset | None = None) -> str:
    """Say how many kernels there are, how large, and how many look for an orientation."""
    n, height, width = ds.sizes["unit"], ds.sizes["y"], ds.sizes["x"]
    text = f"{ds.attrs['layer']} has {n} kernels of {height} × {width} over {ds.attrs['n_inputs']} "
    text += "channels" if ds.attrs["n_inputs"] != 1 else "channel"
    if fits is None:
        return f"{text}."
    good = int((fits["reason"].to_numpy() == "").sum())
    return (
        f"{text}; {good} of them are like a Gabor function, which explains at least "
        f"{100 * float(fits.attrs['good']):.0f} % of their variance."
    )


def unit_words(ds: xr.Dataset, fits: xr.Dataset | None, unit: int) -> str:
    """Describe one kernel."""
    text = f"Kernel {unit}: norm {theme.three_digits(float(ds['norm'][unit]))}"
    if not is_picture(ds):
        sources = ", ".join(str(int(k)) for k in ds["source"].to_numpy()[unit])
        return (
            f"{text}; shown are its slices over the input channels {sources}, those with the largest weights."
        )
    if fits is None:
        return f"{text}."
    explained = float(fits["explained"][unit])
    reason = str(fits["reason"].to_numpy()[unit])
    if reason:
        share = f" ({100 * explained:.0f} %)" if math.isfinite(explained) else ""
        return f"{text}. It {reason}{share}."
    return (
        f"{text}. Its Gabor has bars at {float(fits['orientation'][unit]):.0f}° (0° vertical, clockwise), "
        f"{theme.three_digits(float(fits['frequency'][unit]))} cycles per pixel and phase "
        f"{float(fits['phase'][unit]):.0f}°, and explains {100 * explained:.0f} % of the variance of the "
        f"part in one colour ({100 * float(fits['grey_share'][unit]):.0f} % of the kernel)."
    )


def scale_words(ds: xr.Dataset) -> str:
    """Say how the sheet is scaled."""
    top = theme.three_digits(limit(ds))
    if is_picture(ds) and ds.sizes["slice"] == 3:
        return f"Red, green and blue weights jointly from −{top} to {top}, grey for zero, all on one scale."
    return f"Weights from −{top} (blue) over zero (white) to {top} (red), all kernels on one scale."


def map_words(ds: xr.Dataset, scale: Scale) -> str:
    """Say how the maps are scaled, and what their raw range is."""
    low, high = (theme.three_digits(float(v)) for v in (ds["lowest"].min(), ds["highest"].max()))
    dead = int((ds["highest"].to_numpy() == ds["lowest"].to_numpy()).sum())
    text = f"Activations of {ds.attrs['layer']} range from {low} to {high}. "
    if scale == "shared":
        lo, hi = (theme.three_digits(v) for v in map_limits(ds))
        text += f"All maps share one scale, {lo} to {hi}."
    else:
        text += "Each map has its own scale, so that weak and strong channels look alike."
    if dead:
        text += f" {dead} of {ds.sizes['unit']} channels are the same everywhere in this picture."
    note = str(ds.attrs.get("note", ""))
    return f"{text} {note}".strip()


# --- charts ------------------------------------------------------------------------------------------------


def sheet_chart(tiles: np.ndarray, title: str, *, dark: bool = False, width: int = 640) -> alt.Chart:
    """Draw tiles (n, s, s, 3) uint8 as one picture, for export."""
    import altair as alt

    n = len(tiles)
    columns = max(1, round(math.sqrt(n * 1.6)))
    height = round(width * math.ceil(n / columns) / columns)
    bordered = np.pad(tiles, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=255)
    uri = raster.data_uri(raster.sprite(bordered, columns).data)
    chart = (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=width, height=height, aspect=False, aria=False)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2), url="url:N")
        .properties(width=width, height=height, title=title)
    )
    return theme.style(chart, dark)


def kernel_chart(ds: xr.Dataset, dark: bool = False, width: int = 640) -> alt.Chart:
    """Draw the sheet of kernels."""
    chart = sheet_chart(kernel_tiles(ds), ds.attrs["title"], dark=dark, width=width)
    return chart.properties(description=verdict(ds))


def maps_chart(ds: xr.Dataset, dark: bool = False, width: int = 640, scale: Scale = "shared") -> alt.Chart:
    """Draw the sheet of the 64 maps with the highest mean."""
    order = np.argsort(-ds["mean"].to_numpy(), kind="stable")[:64]
    chart = sheet_chart(map_tiles(ds, order, scale), ds.attrs["title"], dark=dark, width=width)
    return chart.properties(description=map_words(ds, scale))


def gabor_chart(fits: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.Chart:
    """Draw preferred orientation against spatial frequency of the kernels that are like a Gabor."""
    import altair as alt

    rows = [row for row in gabor_table(fits).to_dict("records") if not row["reason"]]
    points = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=70, color=theme.colour("network", dark))
        .encode(
            x=alt.X(
                "orientation:Q",
                title="Orientation of the bars (degrees, 0 vertical, clockwise)",
                scale=alt.Scale(domain=[0, 180]),
                axis=alt.Axis(values=[0, 45, 90, 135, 180]),
            ),
            y=alt.Y("frequency:Q", title="Spatial frequency (cycles/pixel)", scale=alt.Scale(zero=False)),
            opacity=alt.Opacity(
                "explained:Q",
                title="Variance explained",
                scale=alt.Scale(domain=[float(fits.attrs["good"]), 1], range=[0.35, 1]),
            ),
            tooltip=[
                alt.Tooltip("unit:Q", title="kernel"),
                alt.Tooltip("orientation:Q", format=".1f", title="orientation (deg)"),
                alt.Tooltip("frequency:Q", format=".3f", title="frequency (cycles/pixel)"),
                alt.Tooltip("explained:Q", format=".2f", title="variance explained"),
            ],
        )
        .properties(width=width, height=300, title=fits.attrs["title"], description=gabor_words(fits))
    )
    return theme.style(points, dark)


def gabor_words(fits: xr.Dataset) -> str:
    """Say in words what the Gabor fits found."""
    good = fits["reason"].to_numpy() == ""
    n = fits.sizes["unit"]
    if not good.any():
        return f"None of {n} kernels is like a Gabor function."
    frequency = fits["frequency"].to_numpy()[good]
    low, high = theme.three_digits(float(frequency.min())), theme.three_digits(float(frequency.max()))
    return (
        f"{int(good.sum())} of {n} kernels are like a Gabor function; their spatial frequencies range from "
        f"{low} to {high} cycles per pixel."
    )


# --- tables ------------------------------------------------------------------------------------------------


def kernel_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per weight shown: unit, input channel, row, column, weight."""
    import pandas as pd

    kernel = ds["kernel"].to_numpy()
    unit, place, y, x = (index.ravel() for index in np.indices(kernel.shape))
    return pd.DataFrame(
        {
            "unit": unit,
            "input": ds["source"].to_numpy()[unit, place],
            "row": y,
            "column": x,
            "weight": kernel.ravel(),
        }
    )


def gabor_table(fits: xr.Dataset) -> pd.DataFrame:
    """Return one row per kernel with the parameters of its Gabor."""
    names = [str(name) for name, values in fits.data_vars.items() if values.dims == ("unit",)]
    return fits[names].to_dataframe().reset_index()


def map_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per channel: mean and range of its map."""
    return ds[["mean", "lowest", "highest"]].to_dataframe().reset_index()


def words(ds: xr.Dataset) -> str:
    """Return the result in words, for any answer of this page."""
    kind = answers.kind(ds)
    if kind == "gabors":
        return gabor_words(ds)
    return map_words(ds, "shared") if kind == "feature-maps" else verdict(ds)
