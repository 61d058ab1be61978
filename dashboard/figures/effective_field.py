"""The effective receptive field of one unit over its theoretical one, and words about both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import sheets, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CAVEAT = (
    "Energy is the squared gradient of the unit in the middle of the map with respect to each pixel, over "
    "these stimuli (after Luo et al., 2016); it says which pixels matter near them, not what else could."
)
POOR = 0.5
"""Below this share of explained variance the Gaussian says little."""

NUMBERS = ("along", "across", "angle", "explained", "radius", "area_share", "centre_row", "centre_column")


def verdict(ds: xr.Dataset) -> str:
    """Give the size of the effective field beside that of the theoretical one."""
    along, across, share = (float(ds[name]) for name in ("along", "across", "area_share"))
    size = f"{theme.three_digits(along)} × {theme.three_digits(across)} pixels at half maximum"
    pixels = int(ds.attrs["pixels"])
    of = f"its theoretical {pixels} × {pixels} pixels" if pixels else "the picture"
    start = f"Unit {ds.attrs['unit']} of {ds.attrs['layer']} uses about {size}, {100 * share:.0f} % of {of}"
    fit = float(ds["explained"])
    tail = f"the Gaussian explains {100 * fit:.0f} % of the variance over pixels"
    if fit < POOR:
        tail += ", so little that the size says little"
    return (
        f"{start}; 95 % of the energy lies within {theme.three_digits(float(ds['radius']))} pixels of its "
        f"centre, and {tail} ({int(ds.attrs['n_stimuli'])} stimuli)."
    )


def main_chart(ds: xr.Dataset, dark: bool = False, width: int = 320) -> Any:
    """Draw the energy with the theoretical field as a frame and the half maximum as an ellipse."""
    import altair as alt

    energy = ds["energy"].to_numpy()
    rows, columns = energy.shape
    inner = min(width, 360)
    top = float(energy.max())
    base = sheets.heat(
        energy / top,
        lut="viridis",
        limits=(0.0, 1.0),
        x="Column (pixels)",
        y="Row (pixels)",
        width=inner,
        height=round(inner * rows / columns),
    )
    ellipse = (
        alt.Chart(alt.Data(values=_ellipse(ds)))
        .mark_line(color="white", strokeWidth=2)
        .encode(x="x:Q", y="y:Q", order="t:Q", tooltip=alt.TooltipValue("half maximum of the Gaussian"))
    )
    layers = [base, ellipse]
    box = ds["box"].to_numpy()
    if np.isfinite(box).all():
        edges = {"top": box[0] + 0.5, "left": box[1] + 0.5, "bottom": box[2] + 0.5, "right": box[3] + 0.5}
        layers.append(
            alt.Chart(alt.Data(values=[{name: float(v) for name, v in edges.items()}]))
            .mark_rect(fillOpacity=0, stroke="white", strokeDash=[4, 3], strokeWidth=1.5)
            .encode(x="left:Q", x2="right:Q", y="top:Q", y2="bottom:Q")
        )
    heat = alt.layer(*layers).properties(
        title="Energy: ellipse at half maximum, dashed the theoretical field"
    )
    bar = sheets.colour_bar("viridis", (0.0, 1.0), "Energy, part of the largest", inner)
    found = alt.vconcat(heat, bar).properties(title=ds.attrs["title"], description=verdict(ds))
    return theme.style(found, dark)


def _ellipse(ds: xr.Dataset) -> list[dict[str, float]]:
    t = np.linspace(0, 2 * np.pi, 73)
    along, across, angle = (float(ds[name]) for name in ("along", "across", "angle"))
    u, v = along / 2 * np.cos(t), across / 2 * np.sin(t)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    x = np.clip(float(ds["centre_column"]) + 1 + u * cos - v * sin, 0.5, ds.sizes["column"] + 0.5)
    y = np.clip(float(ds["centre_row"]) + 1 + u * sin + v * cos, 0.5, ds.sizes["row"] + 0.5)
    return [{"x": float(a), "y": float(b), "t": float(c)} for a, b, c in zip(x, y, t, strict=True)]


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return the numbers of the field in one row."""
    import pandas as pd

    theoretical = int(ds.attrs["pixels"]) or None
    return pd.DataFrame([{name: float(ds[name]) for name in NUMBERS} | {"theoretical_pixels": theoretical}])
