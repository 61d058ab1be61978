"""What taking out heads does to the similarity with the brain: words, a map of heads by layers, a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, attention, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CAVEAT = (
    "Blue: the layer is less like the area without the head; red: more. One head at a time: heads that can "
    "stand in for each other look unimportant (Michel, Levy & Neubig, 2019), and what lies behind a head "
    "gets activations that it never got in training. A small change is no proof that a head has nothing to "
    "do with the area."
)


def changes(ds: xr.Dataset, area: str) -> list[dict[str, Any]]:
    """Return layer, head, change and its standard error over subjects, of every head."""
    k = answers.names(ds, "area").index(area)
    values, errors = ds["change"].to_numpy()[k], ds["sem"].to_numpy()[k]
    return [
        {"layer": name, "head": j + 1, "value": float(values[i, j]), "sem": float(errors[i, j])}
        for i, name in enumerate(answers.names(ds, "layer"))
        for j in range(values.shape[1])
        if math.isfinite(values[i, j])
    ]


def words(ds: xr.Dataset, area: str) -> str:
    """Say which head's absence changes the similarity most, and by how much of it."""
    rows = changes(ds, area)
    score = float(ds["score"].to_numpy()[answers.names(ds, "area").index(area)])
    if not rows:
        return f"No head could be taken out for {area}."
    most = max(rows, key=lambda row: abs(row["value"]))
    how = "falls" if most["value"] < 0 else "rises"
    error = f" ± {theme.three_digits(most['sem'])} over subjects" if math.isfinite(most["sem"]) else ""
    return (
        f"{ds.attrs['read']} is like {area} with {theme.three_digits(score)} ({ds.attrs['measure_label']}). "
        f"Of {len(rows)} heads, {most['layer']}, head {most['head']}, matters most: without it the "
        f"similarity {how} by {theme.three_digits(abs(most['value']))}{error}."
    )


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return " ".join(words(ds, area) for area in answers.names(ds, "area"))


def chart(ds: xr.Dataset, area: str, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the change of the similarity without each head, heads by layers."""
    rows = changes(ds, area)
    limits = theme.signed_limits(np.array([row["value"] for row in rows]))
    title = f"Change of {ds.attrs['measure_label']} with {area}"
    return attention._tiles(rows, title, limits, "diverging", words(ds, area), dark, width)


def main_chart(ds: xr.Dataset, width: int = 480) -> Any:
    """Draw the area whose similarity changes most."""
    change = np.abs(ds["change"].to_numpy())
    largest = np.nanmax(change.reshape(len(change), -1), axis=1)
    return chart(ds, answers.names(ds, "area")[int(largest.argmax())], width=width)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per area and head."""
    import pandas as pd

    rows = [
        {"area": area, "score": float(score), **row}
        for area, score in zip(answers.names(ds, "area"), ds["score"].to_numpy(), strict=True)
        for row in changes(ds, area)
    ]
    return pd.DataFrame(rows).rename(columns={"value": "change", "sem": "standard error"})
