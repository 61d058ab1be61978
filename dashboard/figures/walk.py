"""What a generator draws: a walk between two latent points, a sheet of samples, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import sheets, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def words(ds: xr.Dataset) -> str:
    """Say between which seeds the walk goes and where the picture changes most."""
    change = ds["change"].to_numpy()
    k = int(np.nanargmax(change))
    return (
        f"From seed {int(ds.attrs['first'])} to seed {int(ds.attrs['last'])} in {ds.sizes['step']} steps "
        f"along a great circle: the picture changes most from step {k} to {k + 1} (pixels by "
        f"{theme.three_digits(float(change[k]))} root mean square, all steps together "
        f"{theme.three_digits(float(np.nansum(change)))})."
    )


def walk_chart(ds: xr.Dataset, *, columns: int = 9, dark: bool = False, side: int = 88) -> Any:
    """Draw the pictures of the walk, in rows of ``columns``."""
    return theme.style(_walk(ds, columns, dark, side).properties(description=words(ds)), dark)


def _walk(ds: xr.Dataset, columns: int, dark: bool, side: int) -> Any:
    import altair as alt

    n = ds.sizes["step"]
    share = ds["share"].to_numpy()
    rows = []
    for start in range(0, n, columns):
        part = slice(start, start + columns)
        labels = [f"{100 * s:.0f} %" for s in share[part]]
        rows.append(
            sheets.sheet(
                ds["picture"].to_numpy()[None, part],
                columns=labels,
                x="Part of the way" if start + columns >= n else None,
                side=side,
                background=sheets.ground(dark),
                tips=labels,
            )
        )
    return alt.vconcat(*rows, spacing=4) if len(rows) > 1 else rows[0]


def walk_part(ds: xr.Dataset, start: int, stop: int, *, dark: bool = False, side: int = 88) -> Any:
    """Draw some steps of the walk in a row, each with its part of the way."""
    labels = [f"{100 * s:.0f} %" for s in ds["share"].to_numpy()[start:stop]]
    drawn = sheets.sheet(
        ds["picture"].to_numpy()[None, start:stop],
        columns=labels,
        side=side,
        background=sheets.ground(dark),
        tips=labels,
    )
    told = f"Steps {start + 1} to {start + len(labels)} of the walk: {', '.join(labels)} of the way"
    return theme.style(drawn.properties(description=told), dark)


def sample_chart(
    ds: xr.Dataset,
    *,
    columns: int = 12,
    dark: bool = False,
    side: int = 66,
    start: int = 0,
    stop: int | None = None,
) -> Any:
    """Draw what random latent numbers give, one seed a picture, in rows; by default all of them."""
    pictures = ds["sample"].to_numpy()[start:stop]
    seeds = [int(seed) for seed in ds["seed"].to_numpy()[start:stop]]
    n_rows = -(-len(pictures) // columns)
    ground = sheets.ground(dark)
    filled = np.full((n_rows * columns, *pictures.shape[1:]), ground, dtype=np.uint8)
    filled[: len(pictures)] = pictures
    drawn = sheets.sheet(
        filled.reshape(n_rows, columns, *pictures.shape[1:]),
        rows=[str(seeds[k * columns]) for k in range(n_rows)],
        y="Seed of the first in the row",
        side=side,
        background=ground,
        tips=[f"seed {seed}" for seed in seeds],
    )
    title = f"{len(pictures)} pictures made from the seeds {seeds[0]} to {seeds[-1]}"
    return theme.style(drawn.properties(description=title), dark)


def main_chart(ds: xr.Dataset, *, width: int = 640) -> Any:
    """Draw the walk, for files."""
    columns = min(9, ds.sizes["step"])
    return walk_chart(ds, columns=columns, side=max(24, (width - 10) // columns))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per step: part of the way, length of the latent numbers, change of the picture."""
    return ds[["share", "length", "change"]].to_dataframe().reset_index()
