"""Whether activations, gradients and weights are healthy: words, tables and charts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FADING = 1e-3
"""Gradients vanish or explode, we say, when they differ by this factor between first and last layers."""


# --- words ------------------------------------------------------------------------------------------


def dead_words(ds: xr.Dataset) -> str:
    """Say how many units are zero for every stimulus, and where most are."""
    n = int(ds.attrs["n_stimuli"])
    share = ds["dead"].to_numpy() / np.maximum(ds["units"].to_numpy(), 1)
    if not share.any():
        return f"No unit of these layers is zero on all {n} stimuli."
    k = int(share.argmax())
    name = answers.names(ds, "layer")[k]
    dead, units = int(ds["dead"].to_numpy()[k]), int(ds["units"].to_numpy()[k])
    channels, all_channels = int(ds["dead_channels"].to_numpy()[k]), int(ds["channels"].to_numpy()[k])
    text = f"Most dead units are in {name}: {dead:,} of {units:,} ({100 * share[k]:.1f} %) "
    text += f"are zero on all {n} stimuli"
    if all_channels < units:
        text += f", {channels} of {all_channels} channels entirely"
    return f"{text}. This holds for these stimuli; others may wake them."


def finite_words(ds: xr.Dataset) -> str:
    """Name the layers with activations that are no number; ``""`` when there is none."""
    bad = [name for name, n in zip(answers.names(ds, "layer"), ds["not_finite"].to_numpy(), strict=True) if n]
    return (
        f"Activations that are no number, first in {bad[0]}: what follows it cannot be trusted."
        if bad
        else ""
    )


def fading(ds: xr.Dataset) -> float:
    """Return how many times larger gradients are in the first third of modules than in the last third.

    Root mean square over weights, geometric mean over modules; NaN with fewer than three modules.
    """
    rms = ds["gradient_rms"].to_numpy()
    third = len(rms) // 3
    if third < 1:
        return math.nan
    first, last = rms[:third], rms[-third:]
    if not (np.isfinite(first).all() and np.isfinite(last).all()) or (last <= 0).any():
        return math.nan
    return 0.0 if (first <= 0).any() else float(np.exp(np.log(first).mean() - np.log(last).mean()))


def gradient_words(ds: xr.Dataset) -> str:
    """Say whether gradients vanish or explode from the last to the first layers."""
    norms = ds["gradient_norm"].to_numpy()
    names = answers.names(ds, "module")
    bad = [name for name, v in zip(names, norms, strict=True) if math.isinf(v)]
    none = [name for name, v in zip(names, norms, strict=True) if math.isnan(v)]
    if bad:
        return f"The gradient is infinite in {bad[0]}."
    ratio = fading(ds)
    if none:
        return f"{len(none)} modules get no gradient, first {none[0]}."
    if math.isnan(ratio):
        return "There are too few modules with weights, or their gradient is zero: no trend can be told."
    times = theme.three_digits(ratio)
    head = f"Per weight the gradient of the first layers is {times} times that of the last"
    if ratio < FADING:
        return f"{head}: it vanishes on its way back."
    if ratio > 1 / FADING:
        return f"{head}: it explodes on its way back."
    return f"{head}: it neither vanishes nor explodes (said below 1/1000 and above 1000)."


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return " ".join(part for part in (finite_words(ds), dead_words(ds), gradient_words(ds)) if part)


# --- tables -----------------------------------------------------------------------------------------


def layer_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per layer: quantiles, mean, spread, zeros and dead units."""
    import pandas as pd

    table: dict[str, Any] = {"layer": answers.names(ds, "layer")}
    for k, level in enumerate(ds["level"].to_numpy()):
        table[f"quantile {100 * level:g} %"] = ds["activation"].transpose("layer", "level").to_numpy()[:, k]
    for name in (
        "mean",
        "sd",
        "zero_share",
        "units",
        "dead",
        "constant",
        "channels",
        "dead_channels",
        "not_finite",
    ):
        table[name.replace("_", " ")] = ds[name].to_numpy()
    return pd.DataFrame(table)


def module_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per module with weights: quantiles of weights, zeros and gradients."""
    import pandas as pd

    table: dict[str, Any] = {"module": answers.names(ds, "module")}
    for k, level in enumerate(ds["level"].to_numpy()):
        table[f"weight quantile {100 * level:g} %"] = (
            ds["weight"].transpose("module", "level").to_numpy()[:, k]
        )
    for name in ("n_weights", "zero_weights", "gradient_norm", "gradient_rms"):
        table[name.replace("_", " ")] = ds[name].to_numpy()
    return pd.DataFrame(table)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return both tables one below the other, with a column that says which."""
    import pandas as pd

    layers, modules = layer_table(ds), module_table(ds)
    layers.insert(0, "part", "activations")
    modules.insert(0, "part", "weights and gradients")
    return pd.concat([layers.rename(columns={"layer": "name"}), modules.rename(columns={"module": "name"})])


# --- charts -----------------------------------------------------------------------------------------


def activation_chart(ds: xr.Dataset, *, dark: bool = False, width: int = 420) -> Any:
    """Draw for files the distribution of activations of each layer, and beside it the share of dead units."""
    import altair as alt

    left, right = _spread(ds, "layer", "activation", "Activation", dark, width), _dead(ds, dark, width // 2)
    return theme.style(alt.hconcat(left, right), dark)


def spread_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the distribution of activations of each layer."""
    return theme.style(_spread(ds, "layer", "activation", "Activation", dark, width), dark)


def dead_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the share of units of each layer that are zero for every stimulus."""
    return theme.style(_dead(ds, dark, width), dark)


def _dead(ds: xr.Dataset, dark: bool, width: Any) -> Any:
    import altair as alt

    names = answers.names(ds, "layer")
    short = theme.short_names(tuple(names))
    rows = [
        {"name": name, "share": d / max(u, 1), "dead": int(d), "units": int(u)}
        for name, d, u in zip(names, ds["dead"].to_numpy(), ds["units"].to_numpy(), strict=True)
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("caution", dark), height=8)
        .encode(
            x=alt.X(
                "share:Q",
                title=f"Share of units zero on all {int(ds.attrs['n_stimuli'])} stimuli",
                scale=alt.Scale(domain=[0, max(0.05, *(row["share"] for row in rows))]),
                axis=alt.Axis(format="%", tickCount=4),
            ),
            y=alt.Y(
                "name:N", sort=names, title=None, axis=alt.Axis(labelExpr=f"{theme.js(short)}[datum.value]")
            ),
            tooltip=[
                alt.Tooltip("name:N", title="Layer"),
                alt.Tooltip("dead:Q", title="Dead units"),
                alt.Tooltip("units:Q", title="Units"),
            ],
        )
        .properties(width=width, height=alt.Step(22))
    )


def weight_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the distribution of weights of each module."""
    return theme.style(_spread(ds, "module", "weight", "Weight", dark, width), dark)


def _spread(ds: xr.Dataset, dim: str, variable: str, title: str, dark: bool, width: Any) -> Any:
    import altair as alt

    names = answers.names(ds, dim)
    values = ds[variable].transpose(dim, "level").to_numpy()
    keys = ("q1", "q25", "q50", "q75", "q99")
    rows = [
        {"name": name, **{key: float(v) for key, v in zip(keys, line, strict=True)}}
        for name, line in zip(names, values, strict=True)
        if np.isfinite(line).all()
    ]
    short = theme.short_names(tuple(names))
    colour = theme.colour("network", dark)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelExpr=f"{theme.js(short)}[datum.value]")),
        tooltip=[
            alt.Tooltip("name:N", title=dim.title()),
            *(alt.Tooltip(f"{key}:Q", title=f"{key[1:]} % quantile", format=".4g") for key in keys),
        ],
    )
    x = alt.X("q1:Q", title=f"{title}: 1 to 99 % (line), middle half (bar), median (tick)")
    whole = base.mark_rule(color=colour).encode(x=x, x2="q99:Q")
    half = base.mark_bar(color=colour, height=9, opacity=0.65).encode(x="q25:Q", x2="q75:Q")
    median = base.mark_tick(color=theme.colour("text", dark), thickness=2, size=14).encode(x="q50:Q")
    return (whole + half + median).properties(width=width, height=alt.Step(22))


def gradient_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the gradient norm of each module for one batch, on a log scale, in order of execution."""
    import altair as alt

    names = answers.names(ds, "module")
    short = theme.short_names(tuple(names))
    columns = zip(names, ds["gradient_norm"].to_numpy(), ds["gradient_rms"].to_numpy(), strict=True)
    rows = [
        {"name": name, "norm": float(norm), "rms": float(rms)}
        for name, norm, rms in columns
        if math.isfinite(norm) and norm > 0
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=60, color=theme.colour("network", dark), opacity=1)
        .encode(
            x=alt.X("norm:Q", title="Gradient norm (log scale)", scale=alt.Scale(type="log", nice=True)),
            y=alt.Y(
                "name:N",
                sort=names,
                title=None,
                axis=alt.Axis(labelExpr=f"{theme.js(short)}[datum.value]", grid=True),
            ),
            tooltip=[
                alt.Tooltip("name:N", title="Module"),
                alt.Tooltip("norm:Q", title="Norm", format=".3g"),
                alt.Tooltip("rms:Q", title="Root mean square per weight", format=".3g"),
            ],
        )
        .properties(width=width, height=alt.Step(18))
    )
    return theme.style(chart, dark)


# --- distributions ----------------------------------------------------------------------------------

RIDGE = 26
"""Pixels from the foot of one distribution to the next."""

OVERLAP = 1.25
"""How high the highest bin rises, in feet of the next."""


def ridge_chart(
    ds: xr.Dataset,
    what: str = "activation",
    *,
    own_scale: bool = False,
    dark: bool = False,
    width: Any = "container",
) -> Any:
    """Draw the distribution of activations, weights or log-gradients, one above the other in order of depth.

    Parameters
    ----------
    what : {"activation", "weight", "gradient"}
    own_scale : bool
        Give each row its own range from least to largest value, so that its shape is seen; else all share one
        axis. Gradients always share one.

    Notes
    -----
    Every row is as high as its fullest bin; exact zeros are not in it, and their share stands in the tooltip.
    """
    import altair as alt

    dim = "layer" if what == "activation" else "module"
    names = answers.names(ds, dim)
    rows = _ridges(ds, what, names, own_scale and what != "gradient")
    title = {
        "activation": "Activation",
        "weight": "Weight",
        "gradient": "log₁₀ of the absolute gradient of a weight",
    }[what]
    if own_scale and what != "gradient":
        title += ", from the least to the largest of each row"
    short = theme.short_names(tuple(names))
    labels = {str(k): short[name] for k, name in enumerate(names)}
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_area(
            interpolate="step-after",
            color=theme.colour("network", dark),
            opacity=0.75,
            line={"color": theme.colour("network", dark), "strokeWidth": 0.8},
        )
        .encode(
            x=alt.X("x:Q", title=title, axis=alt.Axis(grid=True), scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y(
                "top:Q",
                title=None,
                scale=alt.Scale(domain=[-len(names) + 0.8, OVERLAP + 0.05], nice=False),
                axis=alt.Axis(
                    values=[-k for k in range(len(names))],
                    labelExpr=f"{theme.js(labels)}[format(abs(datum.value), '~g')] || ''",
                    grid=True,
                    labelLimit=170,
                    tickCount=len(names),  # with more values than ticks, Vega leaves out every other
                ),
            ),
            y2="foot:Q",
            detail="name:N",
            tooltip=[
                alt.Tooltip("name:N", title=dim.title()),
                alt.Tooltip("range:N", title="From least to largest"),
                alt.Tooltip("most:Q", title="Values in its fullest bin", format=","),
                alt.Tooltip("all:Q", title="Values drawn", format=","),
                alt.Tooltip("zeros:N", title="Exact zeros, not drawn"),
            ],
        )
        .properties(width=width, height=RIDGE * len(names) + 20, description=ridge_words(ds, what))
    )
    return theme.style(chart, dark)


def _ridges(ds: xr.Dataset, what: str, names: list[str], own_scale: bool) -> list[dict[str, Any]]:
    counts, edges = ds[f"{what}_count"].to_numpy(), ds[f"{what}_edge"].to_numpy()
    zeros = _zeros(ds, what)
    rows = []
    for k, name in enumerate(names):
        count, edge = counts[k], edges if edges.ndim == 1 else edges[k]
        most = max(int(count.max()), 1)
        told = {
            "name": name,
            "foot": -k,
            "most": int(count.max()),
            "all": int(count.sum()),
            "zeros": zeros[k],
            "range": f"{theme.three_digits(float(edge[0]))} to {theme.three_digits(float(edge[-1]))}",
        }
        places = np.linspace(0, 1, len(edge)) if own_scale else edge
        heights = np.append(count, count[-1]) / most * OVERLAP
        rows += [
            {**told, "x": float(f"{x:.6g}"), "top": round(float(h) - k, 4)}
            for x, h in zip(places, heights, strict=True)
        ]
    return rows


def _zeros(ds: xr.Dataset, what: str) -> list[str]:
    if what == "activation":
        return [f"{100 * share:.1f} %" for share in ds["zero_share"].to_numpy()]
    counts = ds["zero_weights" if what == "weight" else "gradient_zeros"].to_numpy()
    return [
        f"{int(n):,} of {int(total):,}" for n, total in zip(counts, ds["n_weights"].to_numpy(), strict=True)
    ]


def ridge_words(ds: xr.Dataset, what: str) -> str:
    """Say which row spreads widest and which least."""
    names = answers.names(ds, "layer" if what == "activation" else "module")
    counts, edges = ds[f"{what}_count"].to_numpy(), ds[f"{what}_edge"].to_numpy()
    if not len(names):
        return "There is nothing to draw."
    edges = np.broadcast_to(edges, (len(names), edges.shape[-1]))
    middles = (edges[:, 1:] + edges[:, :-1]) / 2
    total = np.maximum(counts.sum(axis=1), 1)
    mean = (counts * middles).sum(axis=1) / total
    sd = np.sqrt((counts * (middles - mean[:, None]) ** 2).sum(axis=1) / total)
    if what == "gradient":
        least, most = int(mean.argmin()), int(mean.argmax())
        return (
            f"Gradients of single weights are smallest in {names[least]} (10 to the power of "
            f"{theme.fixed(float(mean[least]), 1)} on average over those that are not zero) and largest in "
            f"{names[most]} ({theme.fixed(float(mean[most]), 1)})."
        )
    least, most = int(sd.argmin()), int(sd.argmax())
    return (
        f"{what.capitalize()}s spread widest in {names[most]} (standard deviation "
        f"{theme.three_digits(float(sd[most]))}) and least in {names[least]} "
        f"({theme.three_digits(float(sd[least]))}), exact zeros aside."
    )
