"""What can be read out of layers and areas: profile with chance, confusions, neuron dropping, and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

MODELS = {
    "ridge": ("Ridge decoder", ", penalty chosen inside each training set"),
    "logistic": ("Logistic regression (C = 1)", ""),
    "svm": ("Linear support vector machine (C = 1)", ""),
    "mlp": ("Network with 32 hidden units", " (Adam, 200 steps, weight decay 0.01)"),
}
"""Name and detail of each model."""

SCORES = {
    "classes": "Accuracy",
    "orientation": "Mean absolute error (degrees)",
    "number": "Variance explained (R²)",
}


def score_label(ds: xr.Dataset) -> str:
    """Return the title of the axis of scores."""
    return SCORES[str(ds.attrs["task"])]


def shown(ds: xr.Dataset, value: float) -> str:
    """Write a score: accuracy in per cent, errors in degrees."""
    if ds.attrs["task"] == "classes":
        return f"{100 * value:.1f} %"
    return f"{theme.three_digits(value)}°" if ds.attrs["task"] == "orientation" else theme.three_digits(value)


def best(ds: xr.Dataset) -> int:
    """Return the position of the layer or area with the best score."""
    scores = ds["score"].to_numpy()
    return int(np.nanargmin(scores) if ds.attrs["task"] == "orientation" else np.nanargmax(scores))


# --- words -------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Say where the column is read out best, how well, and whether that is above chance."""
    k = best(ds)
    name, column = answers.names(ds, "source")[k], ds.attrs["column"]
    score, chance = float(ds["score"][k]), float(ds.attrs["chance"])
    low, high = float(ds["low"][k]), float(ds["high"][k])
    text = f"{column.capitalize()} is read out best from {name}: {shown(ds, score)}"
    if math.isfinite(low):
        text += f" (95 % interval {shown(ds, low)} to {shown(ds, high)})"
    text += f", chance {shown(ds, chance)}"
    p = float(ds["p_best"][k])
    if math.isfinite(p):
        above = int((ds["p_best"].to_numpy() <= 0.05).sum())
        n = ds.sizes["source"]
        kind = "layers" if ds.attrs["of"] == "layer" else "areas"
        if n == 1:
            text += f", {theme.p_value(p)}"
        else:
            text += (
                f", {theme.p_value(p)} against the best of all shuffled {kind}; {above} of {n} {kind} beat it"
            )
    return f"{text}."


def _model(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("model", "ridge"))


def beside(ds: xr.Dataset, other: xr.Dataset) -> str:
    """Say in a sentence how the best layer compares with the best area."""
    ends = []
    for one in (ds, other):
        k = best(one)
        ends.append((answers.names(one, "source")[k], float(one["score"][k]), int(one["n_units"][k])))
    (layer, first, wide), (area, second, many) = ends
    return (
        f"{layer} ({wide:,} units, without noise) reaches {shown(ds, first)}, {area} ({many:,} units, means "
        f"over repeats) {shown(other, second)}, with the same decoder, folds and stimuli. More units and "
        "less "
        "noise help a decoder: the gap alone does not say which code is better."
    )


def caption(ds: xr.Dataset) -> str:
    """Say how it was measured."""
    interval = {
        "classes": "bars: Wilson's 95 % intervals",
        "orientation": "bars: 95 % bootstrap intervals over stimuli",
        "number": "no interval is given for R²",
    }[str(ds.attrs["task"])]
    chance = {
        "classes": "always saying the most frequent class",
        "orientation": "the best constant orientation",
        "number": "the mean",
    }[str(ds.attrs["task"])]
    model, detail = MODELS[_model(ds)]
    return (
        f"{model}, {ds.attrs['folds']} folds over {ds.attrs['n_stimuli']} stimuli{detail}; {interval}. "
        f"Dashed: {chance}. "
        f"p: {ds.attrs['permutations']} shuffles within folds. A stimulus is never "
        "predicted by a decoder that saw it; the intervals leave out that folds share training data."
    )


def methods_text(ds: xr.Dataset) -> str:
    """Return a paragraph for a paper."""
    from_ = (
        f"the layers of {ds.attrs['network_title']}"
        if ds.attrs["of"] == "layer"
        else f"the areas of {ds.attrs['recording_title']} (units of all subjects pooled, means over repeats)"
    )
    how = {
        "classes": "classes were coded −1 and 1 and the largest output taken",
        "orientation": "cosine and sine of twice the angle were predicted",
        "number": "the number itself was predicted",
    }[str(ds.attrs["task"])]
    fit = {
        "ridge": f"ridge regression ({how})",
        "logistic": "logistic regression (multinomial, ridge penalty, C = 1)",
        "svm": "a linear support vector machine (C = 1, one class against the rest)",
        "mlp": f"a network with one hidden layer of 32 rectified units ({how}; AdamW, 200 steps of 0.01, "
        "weight "
        "decay 0.01, squared error)",
    }[_model(ds)]
    chosen = (
        "Units were standardised and the penalty chosen by leave-one-out error inside each training set."
        if _model(ds) == "ridge"
        else "Units were standardised inside each training set."
    )
    return (
        f"{ds.attrs['column'].capitalize()} was decoded from {from_} by {fit} with "
        f"{ds.attrs['folds']}-fold cross-validation over stimuli. {chosen} Significance was tested with "
        f"{ds.attrs['permutations']} permutations of the labels within folds; p of several layers or areas "
        "is against the maximum over them (Nichols & Holmes, 2002; Phipson & Smyth, 2010)."
    )


# --- charts ------------------------------------------------------------------------------------------------


def profile(
    ds: xr.Dataset,
    other: xr.Dataset | None = None,
    *,
    dark: bool = False,
    width: int | str = "container",
) -> alt.LayerChart:
    """Draw the score of each layer in depth order, and of the areas of a recording after them when given."""
    import altair as alt

    sets = [ds] if other is None else [ds, other]
    rows = []
    for one in sets:
        role = "layer" if one.attrs["of"] == "layer" else "area"
        for k, name in enumerate(answers.names(one, "source")):
            rows.append(
                {
                    "source": name,
                    "of": role,
                    "score": float(one["score"][k]),
                    "low": _number(one["low"][k]),
                    "high": _number(one["high"][k]),
                    "null": _number(np.quantile(one["null"][k], 0.95)) if one.sizes["permutation"] else None,
                    "units": int(one["n_units"][k]),
                    "p": _number(one["p_best"][k]),
                }
            )
    names = [str(row["source"]) for row in rows]
    where = {"layer": "Layer, in order of depth", "area": "Area"}
    title = "; ".join(where[role] for role in dict.fromkeys(str(row["of"]) for row in rows))
    x = alt.X("source:N", sort=names, title=title, axis=alt.Axis(labelAngle=-40, labelLimit=160))
    chart = alt.Chart(alt.Data(values=rows))
    colours = alt.Color(
        "of:N",
        scale=alt.Scale(
            domain=["layer", "area"], range=[theme.colour("network", dark), theme.colour("brain", dark)]
        ),
        legend=None,
    )
    y = alt.Y(
        "score:Q", title=score_label(ds), scale=_scale(rows, float(ds.attrs["chance"]), str(ds.attrs["task"]))
    )
    marks = [
        chart.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colours),
        chart.mark_point(filled=True, size=80, opacity=1).encode(
            x=x,
            y=y,
            color=colours,
            shape=alt.Shape(
                "of:N", scale=alt.Scale(domain=["layer", "area"], range=["circle", "square"]), legend=None
            ),
            tooltip=[
                "source:N",
                alt.Tooltip("score:Q", format=".3f", title=score_label(ds)),
                alt.Tooltip("low:Q", format=".3f"),
                alt.Tooltip("high:Q", format=".3f"),
                alt.Tooltip("p:Q", format=".3f", title="p (best of all)"),
                alt.Tooltip("units:Q", title="units"),
            ],
        ),
        alt.Chart(alt.Data(values=[{"chance": float(ds.attrs["chance"])}]))
        .mark_rule(strokeDash=[5, 4], color=theme.colour("control", dark), strokeWidth=1.5)
        .encode(y="chance:Q"),
    ]
    title = ds.attrs["title"] + ("" if other is None else f", beside {other.attrs['recording_title']} (rust)")
    described = " ".join(verdict(one) for one in sets)
    combined = alt.layer(*marks).properties(width=width, height=300, title=title, description=described)
    return theme.style(combined, dark)


def _number(value: Any) -> float | None:
    found = float(value)
    return found if math.isfinite(found) else None


def _scale(rows: list[dict[str, Any]], chance: float, task: str) -> alt.Scale:
    import altair as alt

    if task == "classes":
        return alt.Scale(domain=[0, 1], nice=False)
    values = [row[name] for row in rows for name in ("score", "low", "high") if row[name] is not None]
    low, high = min([0.0, *values, chance]), max([*values, chance])
    return alt.Scale(domain=[low, high * 1.05 if high > 0 else 1.0], nice=False)


def confusion_chart(ds: xr.Dataset, source: str, *, dark: bool = False, side: int = 360) -> alt.LayerChart:
    """Draw the confusion matrix of one source: rows are the truth, in shares of it."""
    import altair as alt

    counts = ds["confusion"].sel(source=source).to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = answers.names(ds, "truth")
    rows = [
        {"truth": t, "said": s, "count": int(counts[i, j]), "share": float(shares[i, j])}
        for i, t in enumerate(names)
        for j, s in enumerate(names)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("said:N", sort=names, title="Decoded", axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("truth:N", sort=names, title="Shown"),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "share:Q", title="Share of the row", scale=alt.Scale(scheme="viridis", domain=[0, 1])
        ),
        tooltip=["truth:N", "said:N", "count:Q", alt.Tooltip("share:Q", format=".0%")],
    )
    text = base.mark_text().encode(
        text=alt.condition("datum.count > 0", alt.Text("count:Q"), alt.value("")),
        color=alt.condition("datum.share > 0.6", alt.value("#11161F"), alt.value("#FFFFFF")),
    )
    marks = (cells, text) if len(names) <= 20 else (cells,)
    chart = alt.layer(*marks).properties(
        width=side, height=side, title=f"Confusions from {source}", description=confusion_words(ds, source)
    )
    return theme.style(chart, dark)


def confusion_words(ds: xr.Dataset, source: str) -> str:
    """Name the most frequent confusion."""
    counts = ds["confusion"].sel(source=source).to_numpy().copy()
    right = int(np.trace(counts))
    np.fill_diagonal(counts, 0)
    names = answers.names(ds, "truth")
    text = f"{right} of {int(ds.attrs['n_stimuli'])} stimuli are decoded right from {source}."
    if not counts.any():
        return text
    i, j = np.unravel_index(int(counts.argmax()), counts.shape)
    return f"{text} Most often {names[i]} is taken for {names[j]} ({_times(int(counts[i, j]))})."


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def circle_chart(
    ds: xr.Dataset, source: str, *, dark: bool = False, width: int | str = "container"
) -> alt.LayerChart:
    """Draw decoded against shown values of one source."""
    import altair as alt

    truth, said = ds["true"].to_numpy(), ds["predicted"].sel(source=source).to_numpy()
    if ds.attrs["task"] == "orientation":  # the nearest turn, so that 179 stands beside 1
        said = truth + (said - truth + 90) % 180 - 90
    rows = [{"truth": float(t), "said": float(s)} for t, s in zip(truth, said, strict=True)]
    unit = " (degrees)" if ds.attrs["task"] == "orientation" else ""
    ends = [float(truth.min()), float(truth.max())]
    line = (
        alt.Chart(alt.Data(values=[{"truth": v, "said": v} for v in ends]))
        .mark_line(strokeDash=[5, 4], color=theme.colour("control", dark))
        .encode(x="truth:Q", y="said:Q")
    )
    dots = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(
            size=40,
            opacity=0.5,
            color=theme.colour("network" if ds.attrs["of"] == "layer" else "brain", dark),
        )
        .encode(
            x=alt.X("truth:Q", title=f"Shown {ds.attrs['column']}{unit}", scale=alt.Scale(zero=False)),
            y=alt.Y("said:Q", title=f"Decoded {ds.attrs['column']}{unit}", scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip("truth:Q", format=".4g"), alt.Tooltip("said:Q", format=".4g")],
        )
    )
    score = shown(ds, float(ds["score"].sel(source=source)))
    chart = alt.layer(line, dots).properties(
        width=width,
        height=320,
        title=f"{source}: held-out predictions",
        description=f"{score_label(ds)} from {source}: {score}.",
    )
    return theme.style(chart, dark)


def drop_chart(ds: xr.Dataset, *, dark: bool = False, width: int | str = "container") -> alt.LayerChart:
    """Draw the neuron-dropping curve: mean score over random populations, and each of them as a dot."""
    import altair as alt

    rows = [
        {"source": name, "size": int(n), "score": float(score)}
        for a, name in enumerate(answers.names(ds, "source"))
        for s, n in enumerate(ds["size"].to_numpy())
        for score in ds["drop_score"].to_numpy()[a, s]
        if math.isfinite(score)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("size:Q", title="Units, drawn at random", scale=alt.Scale(type="log")),
        detail="source:N",
    )
    colour = theme.colour("brain", dark)
    y = alt.Y("score:Q", title=score_label(ds), scale=alt.Scale(zero=False))
    dots = base.mark_circle(size=25, opacity=0.4, color=colour).encode(
        y=y, tooltip=["source:N", "size:Q", "score:Q"]
    )
    line = base.mark_line(color=colour).encode(y="mean(score):Q")
    words = f"{score_label(ds)} against the number of units, {int(ds.sizes['draw'])} random draws each."
    chart = alt.layer(dots, line).properties(
        width=width, height=260, title="Neuron dropping", description=words
    )
    return theme.style(chart, dark)


def importance_chart(
    ds: xr.Dataset, source: str, *, dark: bool = False, width: int | str = "container", most: int = 30
) -> alt.Chart:
    """Draw the units with the largest mean absolute SHAP value of the linear decoder."""
    import altair as alt

    values = ds["importance"].sel(source=source).to_numpy()
    order = np.argsort(-np.nan_to_num(values, nan=-1), kind="stable")[:most]
    rows = [{"unit": f"unit {int(k)}", "value": float(values[k])} for k in order if math.isfinite(values[k])]
    total = float(np.nansum(values)) or 1.0
    share = float(np.nansum(values[order])) / total
    words = (
        f"The {len(rows)} units of {source} that weigh most carry {100 * share:.0f} % of all |SHAP| values."
    )
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("brain", dark))
        .encode(
            x=alt.X("value:Q", title="Mean |SHAP value| (decoder output)"),
            y=alt.Y("unit:N", sort=None, title=None),
            tooltip=["unit:N", alt.Tooltip("value:Q", format=".3g")],
        )
        .properties(
            width=width,
            height=16 * max(len(rows), 3),
            title=f"SHAP values over units of {source}",
            description=words,
        )
    )
    return theme.style(chart, dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the profile, for export."""
    return profile(ds, width=width - 80)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per layer or area."""
    return ds[["score", "low", "high", "p", "p_best", "n_units"]].to_dataframe().reset_index()
