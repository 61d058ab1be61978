"""What a network says of each stimulus, and how good it is: words, tables, confusion, calibration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme
from dashboard.figures.rdms import Matrix

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MOST_NAMED = 40
"""Classes with a name on the axis of the chart of classes; of more, the worst are drawn."""

MOST_IN_CELLS = 20
"""Up to this many classes a confusion matrix has its counts in its cells."""


def labelled(ds: xr.Dataset) -> bool:
    """Say whether the truth is known for any stimulus."""
    return int(ds.attrs.get("n_labelled", 0)) > 0


def classes(ds: xr.Dataset) -> list[str]:
    """Return the names of all classes of the network."""
    return answers.names(ds, "class")


def right(ds: xr.Dataset) -> np.ndarray:
    """Return for each stimulus 1 (right), 0 (wrong) or -1 (truth unknown), (n_stimuli,)."""
    truth = ds["true_class"].to_numpy()
    said = ds["top_class"].transpose("stimulus", "rank").to_numpy()[:, 0]
    return np.where(truth < 0, -1, (truth == said).astype(int))


def things(ds: xr.Dataset) -> str:
    """Return what the stimuli are called: pictures or texts."""
    return "texts" if ds.attrs.get("stimulus_kind") == "text" else "pictures"


# --- words ------------------------------------------------------------------------------------------


def _percent(x: float) -> str:
    """Write a share in per cent: to a tenth, and 100 only when it is all."""
    text = f"{100 * x:.1f}"
    return f"{'99.9' if text == '100.0' and x < 1 else text} %"


def verdict(ds: xr.Dataset) -> str:
    """Sum up in a sentence or two how good the predictions are, with the interval."""
    name = ds.attrs.get("network_title", "The network")
    if not labelled(ds):
        return (
            f"{name} says something of each {things(ds)[:-1]}, but how good it is cannot be told: "
            "no category of these stimuli is a class of this network."
        )
    n, k = int(ds.attrs["n_labelled"]), int(ds.attrs["n_right"])
    low, high = float(ds.attrs["accuracy_low"]), float(ds.attrs["accuracy_high"])
    guess = float(ds.attrs["most_frequent"])
    text = (
        f"{name} names {k} of {n} {things(ds)} right: accuracy {_percent(k / n)} "
        f"(95 % interval {_percent(low)} to {_percent(high)})."
    )
    if guess == 1:
        return text
    always = f"Always saying the most frequent class would be right in {_percent(guess)}"
    return f"{text} {always}{', so it is no better than that' if low <= guess else ''}."


def calibration_words(ds: xr.Dataset) -> str:
    """Say in a sentence whether the network is as sure as it is right."""
    error = float(ds.attrs["calibration_error"])
    gap = _mean_gap(ds)
    how = (
        "as sure as it is right"
        if abs(gap) < 0.02
        else f"{'surer' if gap > 0 else 'less sure'} than it is right, "
        f"by {100 * abs(gap):.1f} percentage points"
    )
    n = int(ds.attrs["n_labelled"])
    return f"It is {how}; expected calibration error {theme.three_digits(error)} over {n} {things(ds)}."


def _mean_gap(ds: xr.Dataset) -> float:
    """Return mean confidence minus accuracy."""
    count = ds["bin_count"].to_numpy()
    gap = np.nan_to_num(ds["bin_confidence"].to_numpy() - ds["bin_accuracy"].to_numpy())
    return float((gap * count).sum() / max(count.sum(), 1))


def confusion_words(ds: xr.Dataset) -> str:
    """Name the most frequent confusion."""
    counts = ds["confusion"].transpose("truth", "predicted").to_numpy().copy()
    np.fill_diagonal(counts, 0)
    if not counts.any():
        return f"No {things(ds)[:-1]} was taken for another class."
    i, j = np.unravel_index(int(counts.argmax()), counts.shape)
    names, most = answers.names(ds, "truth"), int(counts.max())
    wrong = int(counts.sum())
    if most == 1:
        one = f"{names[i]} was called {names[j]}"
        return f"{wrong} wrong, no confusion more than once; for example, {one}." if wrong > 1 else f"{one}."
    return f"{wrong} wrong; most often {names[i]} was called {names[j]} ({most} times)."


def words_about(ds: xr.Dataset, stimulus: str) -> str:
    """Say what the network takes one stimulus for, how sure it is, and whether it is right."""
    k = answers.place(ds, stimulus)
    names = classes(ds)
    said, sure = int(ds["top_class"].to_numpy()[k, 0]), float(ds["top_probability"].to_numpy()[k, 0])
    truth = int(ds["true_class"].to_numpy()[k])
    text = f"{names[said]}, with probability {_probability(sure)}"
    if truth < 0:
        return f"{text}. What it is, as far as is known, is no class of this network."
    if truth == said:
        return f"{text}. Right."
    rank, share = int(ds["true_rank"].to_numpy()[k]), float(ds["true_probability"].to_numpy()[k])
    return f"{text}. Wrong: it is {names[truth]}, which has rank {rank} (probability {_probability(share)})."


def _probability(p: float) -> str:
    """Write a probability to three digits, never as 0 or 1 when it is neither."""
    if 0 < p < 0.001:
        return "below 0.001"
    return "above 0.999" if 0.9995 <= p < 1 else f"{p:.3f}"


def twin_words(ds: xr.Dataset, twin: xr.Dataset) -> str:
    """Compare the accuracy with the untrained twin's, pictures being the same."""
    if not (labelled(ds) and labelled(twin)):
        return answers.UNJUDGED
    return answers.beside_twin(ds, twin, "accuracy", _percent)


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return f"{verdict(ds)} {confusion_words(ds)} {calibration_words(ds)}" if labelled(ds) else verdict(ds)


# --- tables -----------------------------------------------------------------------------------------


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus: truth, prediction, probabilities, whether it is right."""
    import pandas as pd

    names = np.array([*classes(ds), ""], dtype=object)  # -1 is the last: no name
    best = ds["top_class"].transpose("stimulus", "rank").to_numpy()
    sure = ds["top_probability"].transpose("stimulus", "rank").to_numpy()
    verdicts = {1: "right", 0: "wrong", -1: ""}
    columns: dict[str, Any] = {
        "stimulus": answers.names(ds, "stimulus"),
        "category": answers.categories(ds),
        "truth": names[ds["true_class"].to_numpy()],
        "prediction": names[best[:, 0]],
        "probability": sure[:, 0],
        "verdict": [verdicts[int(v)] for v in right(ds)],
        "probability of truth": ds["true_probability"].to_numpy(),
        "rank of truth": ds["true_rank"].to_numpy(),
    }
    for k in range(1, best.shape[1]):
        columns[f"prediction {k + 1}"] = names[best[:, k]]
        columns[f"probability {k + 1}"] = sure[:, k]
    return pd.DataFrame(columns)


def class_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per class that occurs: precision, recall with its interval, F1 and counts."""
    import pandas as pd

    return pd.DataFrame(
        {
            "class": answers.names(ds, "truth"),
            **{
                name: ds[name].to_numpy()
                for name in ("precision", "recall", "recall_low", "recall_high", "f1", "support", "called")
            },
        }
    )


def mistakes(ds: xr.Dataset, most: int = 12) -> list[str]:
    """Return the names of the stimuli that are wrong, the surest first."""
    names = answers.names(ds, "stimulus")
    wrong = np.flatnonzero(right(ds) == 0)
    sure = ds["top_probability"].transpose("stimulus", "rank").to_numpy()[:, 0]
    return [names[k] for k in sorted(wrong.tolist(), key=lambda k: -sure[k])[:most]]


def confused(ds: xr.Dataset, truth: str, said: str) -> list[str]:
    """Return the names of the stimuli of one class that were called another (or the same)."""
    position = {name: k for k, name in enumerate(classes(ds))}
    a, b = position.get(truth, -2), position.get(said, -2)
    found = (ds["true_class"].to_numpy() == a) & (ds["top_class"].to_numpy()[:, 0] == b)
    return [name for name, hit in zip(answers.names(ds, "stimulus"), found, strict=True) if hit]


# --- figures ----------------------------------------------------------------------------------------


def confusion(ds: xr.Dataset) -> Matrix:
    """Return the confusion matrix for the canvas: rows are the truth, columns what was said."""
    counts = ds["confusion"].transpose("truth", "predicted").to_numpy().astype(np.float32)
    names = tuple(answers.names(ds, "truth"))
    return Matrix(
        "Truth (rows) and prediction (columns)",
        counts,
        names,
        names if len(names) <= 1 else ("",) * len(names),
        0.0,
        max(float(counts.max()), 1.0),
        things(ds),
        "network",
        words=f"Confusion matrix of {len(names)} classes. {confusion_words(ds)}",
    )


def confusion_chart(ds: xr.Dataset, *, dark: bool = False, side: int = 420, width: Any = None) -> Any:
    """Draw the confusion matrix with names on both axes; a click selects a cell, parameter ``cell``."""
    import altair as alt

    counts = ds["confusion"].transpose("truth", "predicted").to_numpy()
    names = answers.names(ds, "truth")
    rows = [
        {"truth": a, "prediction": b, "pictures": int(counts[i, j]), "words": str(counts[i, j] or "")}
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    ]
    named = len(names) <= MOST_NAMED
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("prediction:N", sort=names, title="Prediction", axis=alt.Axis(labelAngle=-45, labels=named)),
        y=alt.Y("truth:N", sort=names, title="Truth", axis=alt.Axis(labels=named)),
    )
    picked = alt.selection_point(name="cell", fields=["truth", "prediction"], on="click", clear="dblclick")
    colour = alt.Color(
        "pictures:Q", title=things(ds).title(), scale=alt.Scale(range=theme.sampled("viridis", 10))
    )
    tips = [alt.Tooltip(f, title=f.split(":")[0].title()) for f in ("truth:N", "prediction:N")]
    tips.append(alt.Tooltip("pictures:Q", title=things(ds).title()))
    chart: Any = base.mark_rect(cursor="pointer").encode(color=colour, tooltip=tips).add_params(picked)
    if len(names) <= MOST_IN_CELLS:
        dim = f"datum.pictures > {counts.max() * 0.6}"
        ink = alt.condition(dim, alt.value("#11161F"), alt.value("#FFFFFF"))
        chart = chart + base.mark_text(fontSize=11).encode(text="words:N", color=ink, tooltip=tips)
    return theme.style(chart.properties(width=width or side, height=side), dark)


def top_chart(
    ds: xr.Dataset,
    stimulus: str,
    *,
    twin: xr.Dataset | None = None,
    dark: bool = False,
    width: Any = "container",
) -> Any:
    """Draw the likeliest classes of one stimulus as bars; the true one is named so.

    With the untrained twin's answer, its probabilities of its own likeliest classes stand below in grey.

    Raises
    ------
    InputError
        When the answer has no such stimulus.
    """
    import altair as alt

    rows = _top_rows(ds, stimulus, "trained" if twin is not None else "")
    if twin is not None:
        rows += _top_rows(twin, stimulus, "untrained twin")
    colours = {
        "trained": theme.colour("network", dark),
        "": theme.colour("network", dark),
        "untrained twin": theme.colour("control", dark),
    }
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
        tooltip=[alt.Tooltip("class:N", title="Class"), alt.Tooltip("probability:Q", format=".4f")],
    )
    scale = alt.Scale(domain=[0, 1.12])
    bars = base.mark_bar().encode(
        x=alt.X(
            "probability:Q", title="Probability", scale=scale, axis=alt.Axis(values=[0, 0.5, 1], format=".1f")
        ),
        color=alt.Color(
            "who:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None
        ),
    )
    words = base.mark_text(align="left", dx=4, color=theme.colour("text", dark)).encode(
        x=alt.X("probability:Q", scale=scale), text="words:N"
    )
    chart = (bars + words).properties(width=width, height=alt.Step(24))
    if twin is not None:
        chart = chart.facet(
            row=alt.Row("who:N", title=None, sort=["trained", "untrained twin"])
        ).resolve_scale(y="independent")
    return theme.style(chart, dark)


def _top_rows(ds: xr.Dataset, stimulus: str, who: str) -> list[dict[str, Any]]:
    k = answers.place(ds, stimulus)
    names, truth = classes(ds), int(ds["true_class"].to_numpy()[k])
    found = zip(ds["top_class"].to_numpy()[k], ds["top_probability"].to_numpy()[k], strict=True)
    return [
        {
            "class": names[c],
            "label": f"{names[c]}{' (true)' if c == truth else ''}",
            "probability": float(p),
            "words": _probability(float(p)),
            "who": who,
        }
        for c, p in found
    ]


def class_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw precision and recall of every class, recall with its interval; the worst of many."""
    import altair as alt

    found = class_table(ds)
    found = found[found["support"] > 0]
    if len(found) > MOST_NAMED:
        found = found.nsmallest(MOST_NAMED, "f1")
    order = [str(name) for name in found["class"]]
    kept = found.astype(object).where(found.notna(), None)
    base = alt.Chart(alt.Data(values=kept.to_dict("records"))).encode(
        y=alt.Y("class:N", sort=order, title=None)
    )
    scale = alt.Scale(domain=[0, 1])
    main, second = theme.colour("network", dark), theme.colour("second", dark)
    tips = [
        alt.Tooltip("class:N", title="Class"),
        *(
            alt.Tooltip(f"{name}:Q", title=title, format=fmt)
            for name, title, fmt in (
                ("precision", "Precision", ".3f"),
                ("recall", "Recall", ".3f"),
                ("f1", "F1", ".3f"),
                ("support", f"{things(ds).title()} of it", "d"),
                ("called", "Called so", "d"),
            )
        ),
    ]
    rule = base.mark_rule(color=main, strokeWidth=1.5).encode(
        x=alt.X("recall_low:Q", title="Recall (filled, 95 % interval) and precision (triangle)", scale=scale),
        x2="recall_high:Q",
    )
    recall = base.mark_point(filled=True, size=60, color=main, opacity=1).encode(
        x=alt.X("recall:Q", scale=scale), tooltip=tips
    )
    precision = base.mark_point(shape="triangle-up", size=60, color=second, opacity=1).encode(
        x=alt.X("precision:Q", scale=scale), tooltip=tips
    )
    return theme.style((rule + recall + precision).properties(width=width, height=alt.Step(20)), dark)


def calibration_chart(
    ds: xr.Dataset, *, dark: bool = False, width: Any = "container", height: int = 260
) -> Any:
    """Draw accuracy against confidence in bins, with 95 % intervals and the line of perfect calibration."""
    import altair as alt

    names = ("bin_confidence", "bin_accuracy", "bin_low", "bin_high", "bin_count")
    columns = [ds[name].to_numpy() for name in names]
    rows = [
        {name: float(v) for name, v in zip(names, values, strict=True)}
        for values in zip(*columns, strict=True)
        if values[-1] > 0
    ]
    line = (
        alt.Chart(alt.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
        .mark_line(color=theme.colour("control", dark), strokeDash=list(theme.DASHES["control"]))
        .encode(x="x:Q", y="y:Q")
    )
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("bin_confidence:Q", title="Confidence: mean probability of the predicted class", scale=scale)
    )
    colour = theme.colour("network", dark)
    bars = base.mark_rule(color=colour, strokeWidth=1.5).encode(
        y=alt.Y("bin_low:Q", scale=scale), y2="bin_high:Q"
    )
    points = base.mark_point(filled=True, color=colour, opacity=1).encode(
        y=alt.Y("bin_accuracy:Q", title="Accuracy", scale=scale),
        size=alt.Size(
            "bin_count:Q",
            title=f"{things(ds).title()} in the bin",
            scale=alt.Scale(range=[30, 300]),
            legend=alt.Legend(values=_few(rows)),
        ),
        tooltip=[
            alt.Tooltip("bin_count:Q", title=things(ds).title(), format="d"),
            alt.Tooltip("bin_confidence:Q", title="Confidence", format=".3f"),
            alt.Tooltip("bin_accuracy:Q", title="Accuracy", format=".3f"),
        ],
    )
    return theme.style((line + bars + points).properties(width=width, height=height), dark)


def _few(rows: list[dict[str, float]]) -> list[float]:
    """Return the smallest, the middle and the largest count, for the legend."""
    counts = sorted(row["bin_count"] for row in rows)
    return sorted({counts[0], counts[len(counts) // 2], counts[-1]})


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw for a file what sums the answer up: confusion, or the first stimulus where no truth is known."""
    if not labelled(ds):
        return top_chart(ds, answers.names(ds, "stimulus")[0], width=width)
    return confusion_chart(ds, side=min(width - 140, 560))


def share(x: float) -> str:
    """Write a share for a metric on the page; nothing where there is none."""
    return "–" if not math.isfinite(x) else _percent(x)
