"""Tuning of units and neurons to gratings: curves, distributions, scatter, and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import InputError
from dashboard.figures import theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt
    import pandas as pd
    import xarray as xr

MEASURES: dict[str, tuple[str, str, str]] = {
    "preferred_orientation": (
        "Preferred orientation",
        "deg",
        "Orientation of the bars at the peak of the interpolated curve; 0 is vertical, clockwise.",
    ),
    "mean_orientation": (
        "Mean orientation",
        "deg",
        "Half the angle of Σ r e^(2iθ), the vector average; steadier than the peak when responses are noisy.",
    ),
    "circular_variance": (
        "Circular variance",
        "",
        "1 − |Σ r e^(2iθ)| / Σ r: 0 sharp, 1 flat (Ringach, Shapley & Hawken, 2002).",
    ),
    "osi": (
        "Orientation selectivity index",
        "",
        "(R_pref − R_orth) / (R_pref + R_orth); less robust than circular variance (Mazurek et al., 2014).",
    ),
    "half_width": (
        "Half-width at half height",
        "deg",
        "Half the width of the orientation curve at half of its peak.",
    ),
    "half_width_70": (
        "Half-width at 1/√2",
        "deg",
        "Half the width of the orientation curve at 70.7 % of its peak.",
    ),
    "preferred_frequency": (
        "Preferred spatial frequency",
        "cycles/picture",
        "Peak of the interpolated curve over spatial frequency.",
    ),
    "bandwidth": (
        "Spatial frequency bandwidth",
        "octaves",
        "log2(f_high / f_low) at half height (De Valois, Albrecht & Thorell, 1982).",
    ),
    "f1_f0": (
        "F1/F0",
        "",
        "First harmonic over mean over phase: above 1 simple, below 1 complex (Skottun et al., 1991).",
    ),
    "suppression": (
        "Surround suppression index",
        "",
        "(R_peak − R_plateau) / R_peak of the fitted size tuning (Cavanaugh, Bair & Movshon, 2002).",
    ),
    "c50": (
        "Semi-saturation contrast c50",
        "",
        "Contrast of half the fitted maximum (Naka & Rushton, 1966).",
    ),
    "exponent": (
        "Contrast exponent",
        "",
        "Steepness n of the fitted contrast response (Naka & Rushton, 1966).",
    ),
    "peak": (
        "Peak response",
        "activation",
        "Mean response over phase to the best grating, less that to grey.",
    ),
}
"""Measure -> label, unit, definition with its source."""


HUES = {"network": "blue", "brain": "rust", "second": "teal"}
"""What the colours of the distributions are called."""


def measures(ds: xr.Dataset) -> list[str]:
    """Return the measures that an answer holds."""
    return [name for name in MEASURES if name in ds]


def label(name: str, degrees: float = 0.0) -> str:
    """Return the title of an axis, with its unit; cycles per degree when the picture's size is given."""
    text, unit, _ = MEASURES[name]
    unit = "cycles/degree" if degrees and unit == "cycles/picture" else unit
    return f"{text} ({unit})" if unit else text


def degrees_across(size: float | None) -> float:
    """Return how large a picture is in degrees of visual angle, 0 where nobody said.

    Raises
    ------
    InputError
        When the size is zero or less.
    """
    if size is not None and not size > 0:
        message = f"A picture of {size:g} degrees has no size, so that no frequency is known per degree."
        raise InputError(message, "Give more than 0 degrees, or leave it empty for cycles per picture.")
    return float(size or 0.0)


def values(ds: xr.Dataset, name: str, degrees: float = 0.0) -> np.ndarray:
    """Return a measure of all units, (n_units,); frequencies per degree when the picture's size is given."""
    found = ds[name].to_numpy().astype(np.float64)
    return found / degrees if degrees and MEASURES[name][1] == "cycles/picture" else found


# --- words -------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Say how many units are tuned to orientation, how sharply, and how many are simple."""
    n = ds.sizes["unit"]
    who = "neurons" if "area" in ds.attrs else "units"
    where = ds.attrs.get("area") or ds.attrs["layer"]
    variance = ds["circular_variance"].to_numpy()
    good = np.isfinite(variance)
    if not good.any():
        return f"None of the {n} {who} of {where} responds to these gratings more than to grey."
    sharp = int((variance[good] < 0.5).sum())
    text = (
        f"{sharp} of {n} {who} of {where} are sharply tuned to orientation (circular variance below 0.5; "
        f"median {np.median(variance[good]):.2f})"
    )
    ratio = ds["f1_f0"].to_numpy()
    known = np.isfinite(ratio)
    if known.any():
        simple = int((ratio[known] > 1).sum())
        text += (
            f"; {simple} of {int(known.sum())} are simple and {int(known.sum()) - simple} complex by F1/F0"
        )
    return f"{text}."


def unit_words(ds: xr.Dataset, unit: int, degrees: float = 0.0) -> str:
    """Describe one unit: every measure, or why it has none."""
    parts = []
    for name in measures(ds):
        number = float(values(ds, name, degrees)[unit])
        title = label(name, degrees)
        if math.isfinite(number):
            parts.append(f"{title}: {theme.three_digits(number)}")
            continue
        reason = next(
            (str(ds[r].to_numpy()[unit]) for r in (f"{name}_reason", _fit_reason(name)) if r in ds), ""
        )
        parts.append(f"{title}: none ({reason})" if reason else f"{title}: none")
    return "; ".join(parts) + "."


def _fit_reason(name: str) -> str:
    return {"suppression": "size_reason", "c50": "contrast_reason", "exponent": "contrast_reason"}.get(
        name, ""
    )


def methods_text(ds: xr.Dataset) -> str:
    """Return a paragraph for a paper on what was shown and how the measures are defined."""
    o, f, p = (ds[name].to_numpy() for name in ("orientation", "frequency", "phase"))
    if "area" in ds.attrs:
        who = f"the neurons of {ds.attrs['area']} ({ds.attrs['recording_title']})"
        blank = "The spontaneous rate was not subtracted."
    else:
        who = f"the units of {ds.attrs['layer']} of {ds.attrs['network_title']} in the middle of the picture"
        blank = "Responses are those to the grating less that to grey, zero where below it."
    return (
        f"Tuning of {who} was measured with sinusoidal gratings of {len(o)} orientations, {len(f)} spatial "
        f"frequencies ({theme.three_digits(f[0])} to {theme.three_digits(f[-1])} cycles per picture) and "
        f"{len(p)} phases at full contrast and equal mean luminance. {blank} The orientation curve is the "
        "mean over phases at the best spatial frequency, interpolated by its Fourier series; circular "
        "variance after Ringach, Shapley & Hawken (2002), OSI as in Mazurek et al. (2014), widths "
        "at half height, F1/F0 after Skottun et al. (1991). Static gratings have no direction."
    )


# --- charts ------------------------------------------------------------------------------------------------


def histogram(
    ds: xr.Dataset,
    name: str,
    other: xr.Dataset | None = None,
    *,
    among: Sequence[int] = (),
    dark: bool = False,
    degrees: float = 0.0,
    width: int | str = "container",
    bins: int = 20,
) -> alt.LayerChart:
    """Draw the distribution of one measure over units, beside the neurons of a recording when given.

    ``among`` are units of which the distribution is drawn too, such as brushed ones.

    Heights are shares of all units with a value, so that populations of different size compare.

    Raises
    ------
    InputError
        When no unit has a value; `empty` tells it before.
    """
    import altair as alt

    if empty(ds, name, other, degrees):
        message = f"No unit has a value of {label(name, degrees)}."
        raise InputError(message, "Choose another measure, or other gratings.")

    sets: list[tuple[theme.Role, str, np.ndarray]] = [("network", _who(ds), values(ds, name, degrees))]
    if other is not None and name in other and name != "peak":  # of another unit
        sets.append(("brain", _who(other), values(other, name)))
    if len(among):
        sets.append(("second", "brushed units", values(ds, name, degrees)[list(among)]))
    finite = np.concatenate([v[np.isfinite(v)] for _, _, v in sets])
    low, high = _range(name, finite)
    edges = np.linspace(low, high, bins + 1)
    layers = []
    for role, who, found in sets:
        kept = found[np.isfinite(found)]
        share = np.histogram(np.clip(kept, low, high), edges)[0] / max(len(kept), 1)
        rows = [
            {"low": float(a), "high": float(b), "share": float(s), "zero": 0, "of": who}
            for a, b, s in zip(edges[:-1], edges[1:], share, strict=True)
        ]
        layers.append(
            alt.Chart(alt.Data(values=rows))
            .mark_rect(opacity=0.55 if len(sets) > 1 else 0.9, color=theme.colour(role, dark))
            .encode(
                x=alt.X("low:Q", title=label(name, degrees), scale=alt.Scale(domain=[low, high], nice=False)),
                x2="high:Q",
                y=alt.Y("share:Q", title="Share of units", axis=alt.Axis(format="%")),
                y2="zero:Q",
                tooltip=[
                    "of:N",
                    alt.Tooltip("low:Q", format=".3g"),
                    alt.Tooltip("high:Q", format=".3g"),
                    alt.Tooltip("share:Q", format=".1%"),
                ],
            )
        )
    title = " and ".join(f"{who} ({HUES[role]}, n = {int(np.isfinite(v).sum())})" for role, who, v in sets)
    chart = alt.layer(*layers).properties(
        width=width, height=220, title=title, description=histogram_words(ds, name, other, degrees)
    )
    return theme.style(chart, dark)


def empty(ds: xr.Dataset, name: str, other: xr.Dataset | None = None, degrees: float = 0.0) -> bool:
    """Tell whether neither a unit nor a neuron has a value of a measure."""
    found = [values(ds, name, degrees)]
    if other is not None and name in other and name != "peak":
        found.append(values(other, name))
    return not np.isfinite(np.concatenate(found)).any()


def empty_words(name: str, degrees: float = 0.0) -> str:
    """Say that there is nothing to draw, and what to do."""
    return (
        f"{label(name, degrees)}: no unit has a value, because none responds to the gratings in a way that "
        "it could be measured from. Choose another layer, or gratings that differ more."
    )


def histogram_words(ds: xr.Dataset, name: str, other: xr.Dataset | None = None, degrees: float = 0.0) -> str:
    """Say median and quartiles of a measure."""
    parts = []
    for one, size in ((ds, degrees), (other, 0.0)):
        if one is None or name not in one:
            continue
        found = values(one, name, size)
        found = found[np.isfinite(found)]
        if not len(found):
            parts.append(f"{_who(one)}: no unit has one")
            continue
        q = [theme.three_digits(float(v)) for v in np.quantile(found, [0.25, 0.5, 0.75])]
        parts.append(f"{_who(one)}: median {q[1]}, quartiles {q[0]} and {q[2]}, {len(found)} units")
    return f"{label(name, degrees)}. " + "; ".join(parts) + "."


def _who(ds: xr.Dataset) -> str:
    if "area" in ds.attrs:
        return str(ds.attrs["area"])
    return f"{ds.attrs['layer']} of {ds.attrs['network_title']}"


def _range(name: str, finite: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis: those of the measure where it has any, else those of the data."""
    fixed = {
        "preferred_orientation": (0, 180),
        "mean_orientation": (0, 180),
        "circular_variance": (0, 1),
        "osi": (0, 1),
        "f1_f0": (0, 2),
    }
    if name in fixed:
        first, last = fixed[name]
        return float(first), float(max(last, finite.max(initial=last)))
    if not len(finite):
        return 0.0, 1.0
    low, high = min(0.0, float(finite.min())), float(finite.max())
    return (low, high) if high > low else (low, low + 1.0)


def scatter(
    ds: xr.Dataset,
    x: str,
    y: str,
    *,
    chosen: int = -1,
    dark: bool = False,
    degrees: float = 0.0,
    width: int | str = "container",
) -> alt.LayerChart:
    """Draw two measures of all units against each other; a click chooses a unit, a drag brushes many.

    The selections are ``unit`` and ``brush``; see `inside`.
    """
    import altair as alt

    rows = [
        {"unit": k, "x": float(a), "y": float(b)}
        for k, (a, b) in enumerate(zip(values(ds, x, degrees), values(ds, y, degrees), strict=True))
        if math.isfinite(a) and math.isfinite(b)
    ]
    lost = ds.sizes["unit"] - len(rows)
    point = alt.selection_point(name="unit", fields=["unit"], on="click", empty=False)
    brush = alt.selection_interval(name="brush", encodings=["x", "y"])
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("x:Q", title=label(x, degrees), scale=alt.Scale(zero=False)),
        y=alt.Y("y:Q", title=label(y, degrees), scale=alt.Scale(zero=False)),
        tooltip=[
            alt.Tooltip("unit:Q"),
            alt.Tooltip("x:Q", title=MEASURES[x][0], format=".3g"),
            alt.Tooltip("y:Q", title=MEASURES[y][0], format=".3g"),
        ],
    )
    dots = base.mark_circle(size=60, opacity=0.65, color=theme.colour("network", dark)).add_params(
        point, brush
    )
    ring = base.transform_filter(f"datum.unit == {int(chosen)}").mark_point(
        size=220, strokeWidth=2.5, color=theme.colour("text", dark)
    )
    title = f"{ds.attrs['title']}" + (f" ({lost} units lack one of the two)" if lost else "")
    chart = alt.layer(dots, ring).properties(
        width=width, height=320, title=title, description=f"{label(y, degrees)} against {label(x, degrees)}."
    )
    return theme.style(chart, dark)


def inside(
    ds: xr.Dataset, x: str, y: str, ranges: Mapping[str, Any] | None, degrees: float = 0.0
) -> np.ndarray:
    """Return the units inside a brush over two measures, (n,); none without a brush.

    Parameters
    ----------
    ds : xarray.Dataset
    x, y : str
        Measures along the axes.
    ranges : mapping or None
        ``x`` and ``y``, each the two ends.
    degrees : float
        Size of the picture.
    """
    if not ranges or not all(len(ranges.get(axis) or ()) == 2 for axis in "xy"):
        return np.empty(0, dtype=np.int64)
    kept = np.ones(ds.sizes["unit"], dtype=bool)
    for axis, name in (("x", x), ("y", y)):
        low, high = sorted(float(end) for end in ranges[axis])
        found = values(ds, name, degrees)
        kept &= (found >= low) & (found <= high)
    return np.flatnonzero(kept)


def orientation_map(
    ds: xr.Dataset,
    *,
    among: Sequence[int] = (),
    chosen: int = -1,
    dark: bool = False,
    width: int = 480,
) -> alt.LayerChart:
    """Draw every channel as a bar at its preferred orientation, longer the more selective, in their order.

    A dot stands for a channel without one. A click chooses a unit; the selection is ``channel``.

    Parameters
    ----------
    ds : xarray.Dataset
    among : sequence of int
        Units that stand out, such as brushed ones; all when there are none.
    chosen : int
        The unit in a frame.
    dark : bool
    width : int
        Of the drawing area in pixels.
    """
    import altair as alt

    n = ds.sizes["unit"]
    columns = max(1, min(n, math.ceil(math.sqrt(2 * n))))
    rows = math.ceil(n / columns)
    cells = [_bar(ds, unit, columns, not len(among) or unit in set(among)) for unit in range(n)]
    step = width / columns
    height = max(40, round(step * rows))
    x, y = (alt.Scale(domain=[0, k], nice=False) for k in (columns, rows))
    y.reverse = True
    point = alt.selection_point(name="channel", fields=["unit"], on="click", empty=False)
    base = alt.Chart(alt.Data(values=cells))
    shown = alt.condition("datum.among", alt.value(1.0), alt.value(0.2))
    tip = [
        alt.Tooltip("unit:Q"),
        alt.Tooltip("orientation:Q", format=".3g", title=label("preferred_orientation")),
        alt.Tooltip("variance:Q", format=".2f", title="Circular variance"),
    ]
    grounds = (
        base.mark_rect(fillOpacity=0, stroke=theme.colour("grid", dark))
        .encode(
            x=alt.X("column:Q", scale=x, axis=None),
            x2="column2:Q",
            y=alt.Y("row:Q", scale=y, axis=None),
            y2="row2:Q",
            tooltip=tip,
        )
        .add_params(point)
    )
    bars = (
        base.transform_filter("datum.tuned")
        .mark_rule(
            color=theme.colour("network", dark), strokeWidth=max(1.5, min(4.0, step / 9)), strokeCap="round"
        )
        .encode(
            x=alt.X("x1:Q", scale=x),
            x2="x2:Q",
            y=alt.Y("y1:Q", scale=y),
            y2="y2:Q",
            opacity=shown,
            tooltip=tip,
        )
    )
    dots = (
        base.transform_filter("!datum.tuned")
        .mark_circle(color=theme.colour("muted", dark), size=12)
        .encode(x=alt.X("x1:Q", scale=x), y=alt.Y("y1:Q", scale=y), opacity=shown, tooltip=tip)
    )
    ring = (
        base.transform_filter(f"datum.unit == {int(chosen)}")
        .mark_rect(fillOpacity=0, stroke=theme.colour("text", dark), strokeWidth=2)
        .encode(x=alt.X("column:Q", scale=x), x2="column2:Q", y=alt.Y("row:Q", scale=y), y2="row2:Q")
    )
    # No title and no axes: what takes room beside the cells would squeeze them, and angles with them.
    found = alt.layer(grounds, bars, dots, ring).properties(
        width=width, height=height, description=orientation_words(ds)
    )
    return theme.style(found, dark)


def _bar(ds: xr.Dataset, unit: int, columns: int, among: bool) -> dict[str, Any]:
    """Return a cell and the ends of its bar; 0 degrees is vertical, clockwise."""
    orientation = float(ds["preferred_orientation"].to_numpy()[unit])
    variance = float(ds["circular_variance"].to_numpy()[unit])
    row, column = divmod(unit, columns)
    tuned = math.isfinite(orientation) and math.isfinite(variance)
    half = 0.08 + 0.36 * (1 - variance) if tuned else 0.0
    across = half * math.sin(math.radians(orientation)) if tuned else 0.0
    up = half * math.cos(math.radians(orientation)) if tuned else 0.0
    return {
        "unit": unit,
        "row": row,
        "row2": row + 1,
        "column": column,
        "column2": column + 1,
        "x1": column + 0.5 - across,
        "x2": column + 0.5 + across,
        "y1": row + 0.5 + up,
        "y2": row + 0.5 - up,
        "orientation": orientation if tuned else None,
        "variance": variance if tuned else None,
        "tuned": tuned,
        "among": among,
    }


def orientation_words(ds: xr.Dataset) -> str:
    """Say how preferred orientations are spread over the four cardinal and oblique directions."""
    found = ds["preferred_orientation"].to_numpy()
    known = found[np.isfinite(found)]
    if not len(known):
        return "No unit has a preferred orientation."
    counts = np.bincount(np.round(known / 45).astype(int) % 4, minlength=4)
    parts = [
        f"{int(n)} {name}"
        for n, name in zip(counts, ("vertical", "at 45°", "horizontal", "at 135°"), strict=True)
    ]
    return f"Of {len(known)} units with a preferred orientation {', '.join(parts)} (to the nearest 45°)."


def axes(ds: xr.Dataset, degrees: float = 0.0) -> dict[str, tuple[str, np.ndarray, str]]:
    """Return what was varied: name of the curve -> title of its axis, values, kind of its scale."""
    unit = "degree" if degrees else "picture"
    found = {
        "orientation": ("Orientation (deg)", ds["orientation"].to_numpy(), "linear"),
        "frequency": (
            f"Spatial frequency (cycles/{unit})",
            ds["frequency"].to_numpy() / (degrees or 1.0),
            "log",
        ),
        "phase": ("Phase (deg)", ds["phase"].to_numpy(), "linear"),
    }
    if "contrast_curve" in ds:
        found["contrast"] = ("Contrast", ds["contrast"].to_numpy(), "log")
    if "size_curve" in ds:
        found["size"] = ("Diameter (part of the picture)", ds["size"].to_numpy(), "linear")
    return found


def curve(
    ds: xr.Dataset,
    unit: int,
    name: str,
    *,
    dark: bool = False,
    degrees: float = 0.0,
    width: int | str = "container",
) -> alt.Chart:
    """Draw one tuning curve of one unit; all curves of a unit share the scale of responses."""
    import altair as alt

    shown = axes(ds, degrees)
    title, at, kind = shown[name]
    top = max(float(ds[f"{other}_curve"].to_numpy()[unit].max()) for other in shown) or 1.0
    rows = [
        {"at": float(a), "r": float(r)} for a, r in zip(at, ds[f"{name}_curve"].to_numpy()[unit], strict=True)
    ]
    role: theme.Role = "brain" if "area" in ds.attrs else "network"
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True, color=theme.colour(role, dark))
        .encode(
            x=alt.X("at:Q", title=title, scale=_axis_scale(kind)),
            y=alt.Y("r:Q", title="Response less grey", scale=alt.Scale(domain=[0, top * 1.05])),
            tooltip=[
                alt.Tooltip("at:Q", title=title, format=".3g"),
                alt.Tooltip("r:Q", title="response", format=".3g"),
            ],
        )
        .properties(
            width=width,
            height=170,
            title=f"{name.capitalize()}, unit {unit}",
            description=f"Tuning of unit {unit} to {name}. {unit_words(ds, unit, degrees)}",
        )
    )
    return theme.style(chart, dark)


def _axis_scale(kind: str) -> alt.Scale:
    import altair as alt

    return alt.Scale(type="log" if kind == "log" else "linear", nice=False, zero=False)


def overview(ds: xr.Dataset, dark: bool = False, width: int = 640) -> Any:
    """Draw the distributions of the main measures, for export."""
    import altair as alt

    names = [
        n for n in ("preferred_orientation", "circular_variance", "preferred_frequency", "f1_f0") if n in ds
    ]
    telling = [name for name in names if not empty(ds, name)] or names[:1]
    panels = [histogram(ds, name, dark=dark, width=width // 2 - 60) for name in telling]
    for panel in panels:
        panel.config = alt.Undefined
    chart = alt.concat(*panels, columns=2).properties(title=ds.attrs["title"], description=verdict(ds))
    return theme.style(chart, dark)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit: all measures and reasons."""
    names = [str(name) for name, found in ds.data_vars.items() if found.dims == ("unit",)]
    return ds[names].to_dataframe().reset_index()
