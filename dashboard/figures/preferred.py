"""Pictures made for one unit beside the stimulus that it likes best, and words about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import filters, theme
from dashboard.figures.units import framed

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

SIDE = 192
CAVEAT = (
    "Synthesised pictures exaggerate what drives a unit, and several may do so in different ways: people "
    "predict responses better from natural pictures (Borowski et al., 2021), and such pictures can be made "
    "to mislead (Geirhos et al., 2023). Each comes from another seed."
)


def verdict(ds: xr.Dataset) -> str:
    """Say whether the synthesised pictures beat the best stimulus."""
    name = f"unit {ds.attrs['unit']} of {ds.attrs['layer']}"
    reached, natural = ds["reached"].to_numpy(), float(ds["natural"])
    best, how_many = float(reached.max()), int((reached > natural).sum())
    made = f"{len(reached)} synthesised pictures" if len(reached) > 1 else "one synthesised picture"
    beside = (
        f"{theme.three_digits(best)} for the best of {made}, "
        f"{theme.three_digits(natural)} for the best stimulus ({ds.attrs['natural_name']})"
    )
    if how_many == 0:
        return f"No synthesised picture drives {name} more than the best stimulus: {beside}."
    if len(reached) == 1:
        return f"The synthesised picture drives {name} more than any stimulus: {beside}."
    which = "All" if how_many == len(reached) else f"{how_many} of"
    return f"{which} {made} drive {name} more than any stimulus: {beside}."


def captions(ds: xr.Dataset) -> list[str]:
    """Return what stands under each synthesised picture: its seed and the response."""
    return [
        f"Seed {int(seed)}: {theme.three_digits(float(value))}"
        for seed, value in zip(ds["seed"].to_numpy(), ds["reached"].to_numpy(), strict=True)
    ]


def has_field(ds: xr.Dataset) -> bool:
    """Say whether the unit sees a part of the picture only."""
    return bool(np.isfinite(ds["box"].to_numpy()).all())


def tiles(ds: xr.Dataset) -> np.ndarray:
    """Return the synthesised pictures, large, with the field framed: (n_seeds, side, side, 3) uint8."""
    return np.stack([_large(picture, ds) for picture in ds["picture"].to_numpy()])


def natural_tile(ds: xr.Dataset) -> np.ndarray:
    """Return the best stimulus as large as the synthesised pictures: (side, side, 3) uint8."""
    return _squared(ds["natural_picture"].to_numpy())


def crops(ds: xr.Dataset) -> np.ndarray:
    """Return the part of the synthesised pictures that the unit in the middle sees."""
    top, left, bottom, right = (int(v) for v in ds["box"].to_numpy())
    return np.stack([_squared(p[top:bottom, left:right]) for p in ds["picture"].to_numpy()])


def _squared(pixels: np.ndarray) -> np.ndarray:
    """Bring pixels to SIDE × SIDE on grey, with hard pixels."""
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    small = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, method))
    square = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _large(picture: np.ndarray, ds: xr.Dataset) -> np.ndarray:
    large = _squared(picture)
    if has_field(ds):
        height, width = picture.shape[:2]
        framed(large, ds["box"].to_numpy(), (height, width))
    return large


def chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the response over the steps of each seed, and the best stimulus as a dashed line."""
    import altair as alt

    climb = ds["climb"].transpose("seed", "step").to_numpy()
    every = max(1, climb.shape[1] // 128)
    rows = [
        {"step": int(step) + 1, "response": float(climb[k, step]), "seed": str(int(seed))}
        for k, seed in enumerate(ds["seed"].to_numpy())
        for step in range(0, climb.shape[1], every)
    ]
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=1.2, opacity=0.8, color=theme.colour("network", dark))
        .encode(
            x=alt.X("step:Q", title="Step", scale=alt.Scale(nice=False)),
            y=alt.Y("response:Q", title="Response", scale=alt.Scale(zero=False)),
            detail="seed:N",
            tooltip=["seed:N", "step:Q", alt.Tooltip("response:Q", format=".3g")],
        )
    )
    rule = (
        alt.Chart(alt.Data(values=[{"response": float(ds["natural"])}]))
        .mark_rule(color=theme.colour("text", dark), strokeDash=[4, 3])
        .encode(y="response:Q", tooltip=[alt.Tooltip("response:Q", format=".3g", title="best stimulus")])
    )
    found = alt.layer(lines, rule).properties(
        width=width,
        height=200,
        title="Response to the moved picture, a line per seed; dashed: the best stimulus",
        description=verdict(ds),
    )
    return theme.style(found, dark)


def main_chart(ds: xr.Dataset, dark: bool = False, width: int = 640) -> Any:
    """Draw the best stimulus and the synthesised pictures over the climb, for export."""
    import altair as alt

    every = np.concatenate([natural_tile(ds)[None], tiles(ds)])
    shown = filters.sheet_chart(
        every, "Best stimulus, then synthesised pictures", dark=dark, width=width - 12
    )
    below = chart(ds, dark, width=width - 70)
    for panel in (shown, below):
        panel.config = alt.Undefined
    found = alt.vconcat(shown, below).properties(title=ds.attrs["title"], description=verdict(ds))
    return theme.style(found, dark)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per picture: source, seed and response."""
    import pandas as pd

    seeds = [int(s) for s in ds["seed"].to_numpy()]
    return pd.DataFrame(
        {
            "source": ["synthesised"] * len(seeds) + [f"stimulus {ds.attrs['natural_name']}"],
            "seed": [*seeds, None],
            "response": [*ds["reached"].to_numpy(), float(ds["natural"])],
        }
    )
