"""What an autoencoder's latent numbers hold: reconstructions, traversal, map, factors, and words."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dashboard.errors import unknown
from dashboard.figures import answers, sheets, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Which = Literal["evenly spread", "worst", "best"]

MOST_GROUPS = 12
"""Groups of a factor that get a colour each; of more the map is drawn in one colour."""

LITTLE = 0.1
"""Of a factor that no latent number carries more of, we say that none carries it."""


# --- words ------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Say how good the reconstructions are and which factor is carried best and which is not."""
    share = float(ds.attrs["variance_explained"])
    text = (
        f"{ds.sizes['latent']} numbers a picture: the reconstructions explain {100 * share:.1f} % of the "
        f"pixels' variance over {ds.sizes['stimulus']} stimuli"
    )
    carried = _carried(ds)
    if not carried.size or not np.isfinite(carried).any():
        return f"{text}."
    most = np.nanmax(carried, axis=0)
    names = answers.names(ds, "factor")
    best = int(np.nanargmax(most))
    latent = int(np.nanargmax(carried[:, best])) + 1
    text += f". Latent {latent} carries {named(names[best])} most ({100 * most[best]:.0f} % of its variance)"
    lost = [named(name) for name, share in zip(names, most, strict=True) if share < LITTLE]
    if lost:
        text += f"; no single number carries {_listed(lost)} (less than {100 * LITTLE:.0f} %)"
    return f"{text}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def named(factor: str) -> str:
    """Return a factor as people write it."""
    return factor.replace("_", " ")


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    error = ds["error"].to_numpy()
    return (
        f"{verdict(ds)} The mean squared error is {theme.three_digits(float(np.median(error)))} in the "
        f"median, {theme.three_digits(float(error.max()))} at worst."
    )


def _carried(ds: xr.Dataset) -> np.ndarray:
    return ds["carried"].transpose("latent", "factor").to_numpy()


# --- reconstructions --------------------------------------------------------------------------------


def chosen(ds: xr.Dataset, which: str, n: int = 12) -> list[str]:
    """Return the names of up to ``n`` stimuli whose pictures are kept.

    Raises
    ------
    InputError
        When ``which`` is unknown.
    """
    if which not in get_args(Which):
        raise unknown("choice", which, get_args(Which))
    kept = answers.names(ds, "shown")
    if which == "evenly spread":
        return [
            kept[k] for k in np.unique(np.linspace(0, len(kept) - 1, min(n, len(kept))).round().astype(int))
        ]
    error = ds["error"].sel(stimulus=kept).to_numpy()
    order = np.argsort(error if which == "best" else -error, kind="stable")
    return [kept[k] for k in order[:n]]


def reconstruction_chart(ds: xr.Dataset, names: Sequence[str], *, dark: bool = False, side: int = 64) -> Any:
    """Draw pictures, their reconstructions and where they differ, one stimulus a column."""
    first = ds["picture"].sel(shown=list(names)).to_numpy()
    second = ds["reconstruction"].sel(shown=list(names)).to_numpy()
    apart = np.abs(first.astype(int) - second.astype(int)).mean(axis=-1)
    third = theme.lut("viridis")[np.clip(apart, 0, 255).astype(int)]
    errors = ds["error"].sel(stimulus=list(names)).to_numpy()
    tips = [f"{name}: mean squared error {error:.4f}" for name, error in zip(names, errors, strict=True)]
    drawn = sheets.sheet(
        np.stack([first, second, third]),
        rows=["picture", "drawn again", "difference"],
        columns=[f"{error:.4f}" for error in errors],
        x="Mean squared error",
        side=side,
        background=sheets.ground(dark),
        tips=tips * 3,
    )
    return theme.style(drawn.properties(description="; ".join(tips)), dark)


def error_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container", height: int = 150) -> Any:
    """Draw how the error is distributed over the stimuli."""
    import altair as alt

    counts, edges = np.histogram(ds["error"].to_numpy(), bins=20)
    rows = [
        {"low": float(a), "high": float(b), "count": int(n)}
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark))
        .encode(
            x=alt.X("low:Q", title="Mean squared error of a picture (values 0 to 1)", bin="binned"),
            x2="high:Q",
            y=alt.Y("count:Q", title="Stimuli"),
            tooltip=[alt.Tooltip("low:Q", format=".4f"), alt.Tooltip("high:Q", format=".4f"), "count:Q"],
        )
        .properties(width=width, height=height, description=alt_error(ds))
    )
    return theme.style(chart, dark)


def alt_error(ds: xr.Dataset) -> str:
    """Say how the error is distributed."""
    low, middle, high = np.quantile(ds["error"].to_numpy(), [0.05, 0.5, 0.95])
    return f"Mean squared error per picture: median {middle:.4f}, 5 to 95 %: {low:.4f} to {high:.4f}."


# --- map and factors --------------------------------------------------------------------------------


def axes_of(ds: xr.Dataset) -> list[str]:
    """Return what can be an axis of the map: the two principal axes, then every latent number."""
    return ["principal 1", "principal 2", *(f"latent {k}" for k in ds["latent"].to_numpy())]


def _along(ds: xr.Dataset, axis: str) -> tuple[np.ndarray, str]:
    kind, _, number = axis.partition(" ")
    if kind == "principal":
        share = float(ds["explained"].to_numpy()[int(number) - 1])
        title = f"Principal axis {number} ({100 * share:.0f} % of variance)"
        return ds["position"].transpose("stimulus", "axis").to_numpy()[:, int(number) - 1], title
    return ds["mean"].sel(latent=int(number)).to_numpy(), f"Latent {number} (mean; prior 0 ± 1)"


def map_chart(
    ds: xr.Dataset,
    factor: str = "category",
    x: str = "principal 1",
    y: str = "principal 2",
    *,
    dark: bool = False,
    width: Any = "container",
    height: int = 380,
) -> Any:
    """Draw the stimuli by two latent numbers or principal axes, coloured by a factor."""
    import altair as alt

    (across, x_title), (up, y_title) = _along(ds, x), _along(ds, y)
    known = [str(v) for v in ds["known"].sel(factor=factor).to_numpy()] if factor in ds["factor"] else []
    numeric = factor in json.loads(ds.attrs["numeric"])
    rows = [
        {
            "x": round(float(a), 4),
            "y": round(float(b), 4),
            "name": name,
            "known": (float(known[k]) if numeric else known[k]) if known else "",
        }
        for k, (a, b, name) in enumerate(zip(across, up, answers.names(ds, "stimulus"), strict=True))
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=42, opacity=0.85, color=theme.colour("network", dark))
        .encode(
            x=alt.X("x:Q", title=x_title, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip("name:N", title="Stimulus"), alt.Tooltip("known:N", title=named(factor))],
            **_paint(known, numeric, named(factor), dark),
        )
        .properties(width=width, height=height, description=f"{len(rows)} stimuli by {x_title} and {y_title}")
    )
    return theme.style(chart, dark)


def _paint(known: list[str], numeric: bool, title: str, dark: bool) -> dict[str, Any]:
    """Return the colours (and shapes) of a factor."""
    import altair as alt

    if not known:
        return {}
    if numeric:
        scale = alt.Scale(range=theme.sampled("viridis", 10))
        return {"color": alt.Color("known:Q", title=title, scale=scale)}
    groups = list(dict.fromkeys(known))
    if len(groups) > MOST_GROUPS:
        return {}
    n = len(groups)
    colours, shapes = theme.category_colours(n, dark), (theme.CATEGORY_SHAPES[::-1] * 2)[:n]
    legend = alt.Legend(columns=4, symbolLimit=MOST_GROUPS)  # four fit on a telephone
    return {
        "color": alt.Color(
            "known:N", title=title, scale=alt.Scale(domain=groups, range=colours), legend=legend
        ),
        "shape": alt.Shape(
            "known:N", title=title, scale=alt.Scale(domain=groups, range=list(shapes)), legend=legend
        ),
    }


def carried_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw which share of each latent number's variance each factor explains."""
    import altair as alt

    carried, names = _carried(ds), [named(name) for name in answers.names(ds, "factor")]
    rows = [
        {
            "latent": int(k),
            "factor": name,
            "share": max(0.0, float(carried[i, j])),
            "told": float(carried[i, j]),
        }
        for i, k in enumerate(ds["latent"].to_numpy())
        for j, name in enumerate(names)
        if math.isfinite(carried[i, j])
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt.X("latent:O", title="Latent number", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("factor:N", title=None, sort=names),
            color=alt.Color(
                "share:Q",
                title="Share of variance explained",
                scale=alt.Scale(domain=[0, 1], range=theme.sampled("viridis", 10)),
                legend=alt.Legend(format="%"),
            ),
            tooltip=[
                alt.Tooltip("latent:O", title="Latent"),
                alt.Tooltip("factor:N", title="Factor"),
                alt.Tooltip("told:Q", title="Share, adjusted", format=".3f"),
            ],
        )
        .properties(width=width, height=alt.Step(18), description=verdict(ds))
    )
    return theme.style(chart, dark)


def carried_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per latent number: what it tells, and the share that each factor explains."""
    import pandas as pd

    table: dict[str, Any] = {
        "Latent": ds["latent"].to_numpy(),
        "Nats beyond the prior": ds["divergence"].to_numpy(),
        "Mean SD of its posterior": ds["sd"].mean("stimulus").to_numpy(),
    }
    for k, name in enumerate(answers.names(ds, "factor")):
        table[named(name)] = _carried(ds)[:, k]
    return pd.DataFrame(table)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus: its error, its latent numbers and what is known of it."""
    import pandas as pd

    found: dict[str, Any] = {
        "stimulus": answers.names(ds, "stimulus"),
        "category": answers.categories(ds),
        "mean squared error": ds["error"].to_numpy(),
    }
    mean = ds["mean"].transpose("stimulus", "latent").to_numpy()
    found |= {f"latent {k}": mean[:, i] for i, k in enumerate(ds["latent"].to_numpy())}
    for name in answers.names(ds, "factor"):
        if name not in found:
            found[name] = [str(v) for v in ds["known"].sel(factor=name).to_numpy()]
    return pd.DataFrame(found)


def main_chart(ds: xr.Dataset, *, width: int = 640) -> Any:
    """Draw reconstructions above what each latent number carries, for files."""
    import altair as alt

    n = max(2, min(10, (width - 90) // 60))
    above = reconstruction_chart(ds, chosen(ds, "evenly spread", n), side=(width - 90) // n)
    if not ds.sizes["factor"]:
        return above
    below = carried_chart(ds, width=max(120, width - 200))
    for chart in (above, below):
        chart.config = alt.Undefined
    return theme.style(alt.vconcat(above, below).resolve_scale(color="independent"))


# --- traversal --------------------------------------------------------------------------------------


def traversal_words(ds: xr.Dataset) -> str:
    """Say from where the latent numbers are turned and which of them changes the picture most."""
    change = ds["change"].to_numpy()
    most, least = int(change.argmax()), int(change.argmin())
    values = ds["value"].to_numpy()
    return (
        f"Each row turns one latent number from {theme.fixed(float(values[0]), 1)} to "
        f"{theme.fixed(float(values[-1]), 1)} and leaves the others at the base point. Latent {most + 1} "
        f"changes the picture most (pixels by {theme.three_digits(float(change[most]))} root mean square), "
        f"latent {least + 1} least ({theme.three_digits(float(change[least]))})."
    )


def traversal_chart(
    ds: xr.Dataset, latents: Sequence[int] = (), *, dark: bool = False, side: int = 52
) -> Any:
    """Draw the decoded pictures, latent number × value.

    Parameters
    ----------
    latents : sequence of int
        Which latent numbers, from 1; by default all.
    """
    rows = list(latents) or [int(k) for k in ds["latent"].to_numpy()]
    values = [theme.fixed(float(v), 1) for v in ds["value"].to_numpy()]
    drawn = sheets.sheet(
        ds["picture"].sel(latent=rows).to_numpy(),
        rows=[str(k) for k in rows],
        columns=values,
        x="Value of the latent number (standard deviations of the prior)",
        y="Latent number",
        side=side,
        background=sheets.ground(dark),
        tips=[f"latent {k} = {value}" for k in rows for value in values],
    )
    return theme.style(drawn.properties(description=traversal_words(ds)), dark)


def traversal_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per latent number: value of the stimulus, value at the base point, change of pixels."""
    return ds[["start", "base", "change"]].to_dataframe().reset_index()
