"""Orientations that a network reads out of stimuli: predicted against true, and how the errors spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MOST_BINS = 30


def labelled(ds: xr.Dataset) -> bool:
    """Say whether the truth is known for any stimulus."""
    return int(ds.attrs.get("n_labelled", 0)) > 0


def _degrees(x: float) -> str:
    return f"{theme.three_digits(x)}°"


def verdict(ds: xr.Dataset) -> str:
    """Sum up in a sentence or two how far off the predictions are, with the interval."""
    name = ds.attrs.get("network_title", "The network")
    if not labelled(ds):
        return (
            f"{name} reads an orientation out of each stimulus, but how good it is cannot be told: these "
            "stimuli have no column of true orientations."
        )
    mean, low, high = (float(ds.attrs[f"mean_error{end}"]) for end in ("", "_low", "_high"))
    constant = float(ds.attrs["constant_error"])
    between = f" (95 % interval {_degrees(low)} to {_degrees(high)})" if np.isfinite(low) else ""
    text = (
        f"{name} is off by {_degrees(mean)} on average{between} over {int(ds.attrs['n_labelled'])} stimuli."
    )
    no_better = ", so it is no better than that" if high >= constant else ""
    return (
        f"{text} Always saying the best single orientation would be off by {_degrees(constant)}{no_better}."
    )


def error_words(ds: xr.Dataset) -> str:
    """Describe the errors in a sentence or two: median, largest, and whether they lean to one side."""
    median, largest, bias = (float(ds.attrs[name]) for name in ("median_error", "largest_error", "bias"))
    names, error = answers.names(ds, "stimulus"), np.abs(ds["error"].to_numpy())
    worst = names[int(np.nanargmax(error))]
    side = "clockwise" if bias > 0 else "anticlockwise"
    lean = (
        f"On average they lean {_degrees(abs(bias))} {side}."
        if abs(bias) >= 0.05
        else "They lean to no side."
    )
    spread = f"Half of the errors are below {_degrees(median)}; the largest is {_degrees(largest)} ({worst})."
    return f"{spread} {lean}"


def words_about(ds: xr.Dataset, stimulus: str) -> str:
    """Say which orientation the network reads out of one stimulus, and how far off it is."""
    k = answers.place(ds, stimulus)
    said, true, error = (float(ds[name].to_numpy()[k]) for name in ("predicted", "true", "error"))
    text = f"{said:.1f}°"
    if not np.isfinite(true):
        return f"{text}. The true orientation is not known."
    side = "clockwise" if error > 0 else "anticlockwise"
    return f"{text}, true {true:.1f}°: off by {abs(error):.1f}° {side}."


def twin_words(ds: xr.Dataset, twin: xr.Dataset) -> str:
    """Compare the mean error with the untrained twin's, stimuli being the same."""
    if not (labelled(ds) and labelled(twin)):
        return answers.UNJUDGED
    return answers.beside_twin(ds, twin, "mean_error", _degrees, start="Mean error: ", low_is_good=True)


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return f"{verdict(ds)} {error_words(ds)}" if labelled(ds) else verdict(ds)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus: orientations and error in degrees, and the length of the answer."""
    import pandas as pd

    return pd.DataFrame(
        {
            "stimulus": answers.names(ds, "stimulus"),
            "category": answers.categories(ds),
            "true (deg)": ds["true"].to_numpy(),
            "predicted (deg)": ds["predicted"].to_numpy(),
            "error (deg)": ds["error"].to_numpy(),
            "length of answer": ds["strength"].to_numpy(),
        }
    )


def worst(ds: xr.Dataset, most: int = 24) -> list[str]:
    """Return the names of the stimuli with the largest errors, the largest first."""
    names, error = answers.names(ds, "stimulus"), np.abs(ds["error"].to_numpy())
    known = np.flatnonzero(np.isfinite(error))
    return [names[k] for k in known[np.argsort(-error[known], kind="stable")][:most]]


def error_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container", height: int = 260) -> Any:
    """Draw how often each error occurs; zero is marked."""
    import altair as alt

    error = ds["error"].to_numpy()
    error = error[np.isfinite(error)]
    bound = max(float(np.abs(error).max()), 0.5)
    bins = int(np.clip(2 * np.ceil(np.sqrt(error.size) / 2) + 1, 5, MOST_BINS + 1))  # odd: one about zero
    counts, edges = np.histogram(error, bins=bins, range=(-bound, bound))
    rows = [
        {"from": float(a), "to": float(b), "stimuli": int(n), "none": 0}
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    tips = [
        alt.Tooltip("from:Q", title="From (deg)", format=".2f"),
        alt.Tooltip("to:Q", title="To (deg)", format=".2f"),
        alt.Tooltip("stimuli:Q", title="Stimuli"),
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=theme.colour("network", dark), stroke=theme.colour("background", dark))
        .encode(
            x=alt.X("from:Q", title="Error: predicted minus true (deg)", axis=alt.Axis(grid=False)),
            x2="to:Q",
            y=alt.Y("stimuli:Q", title="Stimuli"),
            y2="none:Q",
            tooltip=tips,
        )
    )
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(
        color=theme.colour("control", dark), strokeDash=list(theme.DASHES["control"])
    )
    return theme.style((bars + zero.encode(x="x:Q")).properties(width=width, height=height), dark)


def scatter_chart(
    ds: xr.Dataset, chosen: str = "", *, dark: bool = False, width: Any = "container", height: int = 380
) -> Any:
    """Draw predicted against true orientation; a click selects a stimulus, parameter ``dot``.

    The axis of the prediction goes on beyond 0 and 180 degrees, where orientations begin again, so that a
    prediction stands beside the truth that it is near to: 179 said of 1 lies two degrees below the line.
    """
    import altair as alt

    rows = _points(ds, chosen)
    low = min(0.0, *(r["beside"] for r in rows)) if rows else 0.0
    high = max(180.0, *(r["beside"] for r in rows)) if rows else 180.0
    reach = [np.floor(low / 15) * 15, np.ceil(high / 15) * 15]
    x = alt.X(
        "true:Q",
        title="True orientation (deg)",
        scale=alt.Scale(domain=[0, 180]),
        axis=alt.Axis(values=list(range(0, 181, 45))),
    )
    y = alt.Y(
        "beside:Q",
        title="Predicted orientation (deg)",
        scale=alt.Scale(domain=reach, nice=False),
        axis=alt.Axis(
            values=[v for v in range(-90, 271, 45) if reach[0] <= v <= reach[1]],
            labelExpr="datum.value == 180 ? '180' : (datum.value + 180) % 180",
        ),
    )
    line = alt.Chart(alt.Data(values=[{"true": 0, "beside": 0}, {"true": 180, "beside": 180}]))
    picked = alt.selection_point(name="dot", fields=["stimulus"], on="click", clear="dblclick")
    points = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=50, opacity=0.75, color=theme.colour("network", dark), cursor="pointer")
        .encode(
            x=x,
            y=y,
            size=alt.condition("datum.chosen", alt.value(180), alt.value(50)),
            stroke=alt.condition("datum.chosen", alt.value(theme.colour("text", dark)), alt.value(None)),
            tooltip=[
                alt.Tooltip("stimulus:N", title="Stimulus"),
                alt.Tooltip("true:Q", title="True (deg)", format=".1f"),
                alt.Tooltip("predicted:Q", title="Predicted (deg)", format=".1f"),
                alt.Tooltip("error:Q", title="Error (deg)", format="+.1f"),
            ],
        )
        .add_params(picked)
    )
    drawn = (
        line.mark_line(color=theme.colour("control", dark), strokeDash=list(theme.DASHES["control"])).encode(
            x=x, y=y
        )
        + points
    )
    return theme.style(drawn.properties(width=width, height=height), dark)


def _points(ds: xr.Dataset, chosen: str) -> list[dict[str, Any]]:
    columns = (answers.names(ds, "stimulus"), *(ds[n].to_numpy() for n in ("true", "predicted", "error")))
    return [
        {
            "stimulus": name,
            "true": float(true),
            "predicted": float(said),
            "error": float(error),
            "beside": float(true + error),
            "chosen": name == chosen,
        }
        for name, true, said, error in zip(*columns, strict=True)
        if np.isfinite(true)
    ]


def answer_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container", height: int = 260) -> Any:
    """Draw how often each orientation is answered, for stimuli without truth."""
    import altair as alt

    counts, edges = np.histogram(ds["predicted"].to_numpy(), bins=18, range=(0, 180))
    rows = [
        {"from": float(a), "to": float(b), "stimuli": int(n), "none": 0}
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=theme.colour("network", dark), stroke=theme.colour("background", dark))
        .encode(
            x=alt.X("from:Q", title="Predicted orientation (deg)", scale=alt.Scale(domain=[0, 180])),
            x2="to:Q",
            y=alt.Y("stimuli:Q", title="Stimuli"),
            y2="none:Q",
            tooltip=["from:Q", "to:Q", "stimuli:Q"],
        )
    )
    return theme.style(chart.properties(width=width, height=height), dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw for a file what sums the answer up: predicted against true, or the answers where no truth is."""
    if not labelled(ds):
        return answer_chart(ds, width=width)
    return scatter_chart(ds, width=min(width, 480), height=min(width, 480))
