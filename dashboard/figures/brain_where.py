"""Where in the pictures a small change would raise a similarity with the brain: maps, bars and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, overlay, theme
from dashboard.figures.attribution import limit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

NEAR = 0.1
"""Share of the predicted rise by which the measured one may be off before reasons are given."""

CAVEAT = (
    "A gradient is about small changes of these pictures only: it says where the score can be moved, not "
    "which parts of a picture the agreement needs."
)


def verdict(ds: xr.Dataset) -> str:
    """Name the picture that moves the score most, and say what moving all pictures does."""
    a = ds.attrs
    start = "Simulated: " if answers.simulated(ds) else ""
    shares = spread(ds)
    half = int(np.searchsorted(np.cumsum(np.sort(shares)[::-1]), 0.5) + 1)
    return (
        f"{start}The {a['measure_label']} {theme.three_digits(float(a['score']))} of {a['layer_name']} with "
        f"{a['area_name']} is moved most by {answers.names(ds, 'shown')[0]} "
        f"({100 * shares.max():.0f} % of the squared gradient); half of it lies in {half} of "
        f"{ds.sizes['stimulus']} pictures."
    )


def spread(ds: xr.Dataset) -> np.ndarray:
    """Return the share of each stimulus in the squared gradient, (n_stimuli,)."""
    squared = ds["norm"].to_numpy() ** 2
    return np.asarray(squared / squared.sum())


def check_words(ds: xr.Dataset) -> str:
    """Say whether moving the pictures along the gradient does what the gradient predicts."""
    steps = ds["step"].to_numpy()
    k = int(np.argmin(np.abs(steps - 1.0)))
    told, found = float(ds["predicted"][k]), float(ds["measured"][k])
    score = float(ds.attrs["score"])
    text = (
        f"Checked: moving every picture along its gradient, no pixel by more than {steps[k]:g} level of 255, "
        f"takes the score from {theme.three_digits(score)} to {theme.three_digits(score + found)} "
        f"({_signed(found)}); the gradient predicts {_signed(told)}."
    )
    if abs(found - told) > NEAR * abs(told):
        text += (
            " The two differ because the layer has kinks here: in flat parts of a picture rectifiers and "
            "maxima have no gradient of their own, so the maps are rough."
        )
    return text


def _signed(x: float) -> str:
    return f"{'+' if x > 0 else ''}{theme.three_digits(x)}"


def words(ds: xr.Dataset) -> str:
    """Return the verdict and the check; a name that all modules share."""
    return f"{verdict(ds)} {check_words(ds)}"


def caption(ds: xr.Dataset) -> str:
    """Say what the colours are."""
    return (
        f"Change of the {ds.attrs['measure_label']} when one pixel gets brighter by one level of 255: red "
        "raises the agreement, blue lowers it; one scale for all maps. The "
        f"{ds.sizes['shown']} pictures with the longest gradient of {ds.sizes['stimulus']}. {CAVEAT}"
    )


def panels(ds: xr.Dataset) -> list[overlay.Panel]:
    """Return every picture, bare and then with its map, on one scale that is symmetric about zero."""
    maps = ds["gradient"].to_numpy().astype(np.float64)
    bound = limit(maps)
    unit = str(ds["gradient"].attrs["units"])
    shares = dict(zip(answers.names(ds, "stimulus"), spread(ds), strict=True))
    found: list[overlay.Panel] = []
    for k, name in enumerate(answers.names(ds, "shown")):
        picture = ds["picture"][k].to_numpy()
        share = f"{100 * shares[name]:.0f} % of the squared gradient"
        found.append(overlay.Panel(name, picture=picture, caption=share))
        found.append(
            overlay.Panel(
                f"Gradient, {name}", picture=picture, values=maps[k], lo=-bound, hi=bound, unit=unit
            )
        )
    return found


def step_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> Any:
    """Draw measured against predicted rise of the score, a point per step."""
    import altair as alt

    rows = [
        {"step": f"{step:g}", "predicted": float(told), "measured": float(found)}
        for step, told, found in zip(
            ds["step"].to_numpy(), ds["predicted"].to_numpy(), ds["measured"].to_numpy(), strict=True
        )
    ]
    label = ds.attrs["measure_label"]
    top = float(max(ds["predicted"].max(), ds["measured"].max()))
    line = (
        alt.Chart(alt.Data(values=[{"x": 0.0, "y": 0.0}, {"x": top, "y": top}]))
        .mark_line(strokeDash=[5, 4], color=theme.colour("control", dark), strokeWidth=1.5)
        .encode(x="x:Q", y="y:Q")
    )
    points = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=80, opacity=1, color=theme.colour("network", dark))
        .encode(
            x=alt.X("predicted:Q", title=f"Rise of {label}, predicted by the gradient"),
            y=alt.Y("measured:Q", title="Measured"),
            tooltip=[
                alt.Tooltip("step:N", title="Largest move of a pixel (levels of 255)"),
                alt.Tooltip("predicted:Q", format=".3g"),
                alt.Tooltip("measured:Q", format=".3g"),
            ],
        )
    )
    found = alt.layer(line, points).properties(
        width=width, height=200, title="Moving all pictures along the gradient", description=check_words(ds)
    )
    return theme.style(theme.across(found, width), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw pictures and maps for export."""
    columns = 2 if width < 400 else 4
    side = min(200, (width - 20 * columns) // columns)
    return overlay.chart(panels(ds), columns=columns, side=side, title=str(ds.attrs["title"]))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus, longest gradient first."""
    import pandas as pd

    found = pd.DataFrame(
        {
            "stimulus": answers.names(ds, "stimulus"),
            "norm": ds["norm"].to_numpy(),
            "share of the squared gradient": spread(ds),
        }
    )
    return found.sort_values("norm", ascending=False, kind="stable").reset_index(drop=True)
