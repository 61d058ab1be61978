"""How much each layer resembles each brain area: profile, table and the sentence that sums it up."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import unknown
from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = (
    "network",
    "layer",
    "area",
    "measure",
    "score",
    "sem",
    "ci_low",
    "ci_high",
    "ceiling_low",
    "ceiling_high",
    "n_subjects",
    "n_stimuli",
)
"""Columns of the score table, on the page and in every exported file."""

RESAMPLED = {
    "stimuli": "stimuli",
    "subjects": "subjects",
    "both": "stimuli and subjects",
    "dual": "stimuli and subjects, corrected for resampling both",
}


# --- numbers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beside:
    """Scores of simple models that stand beside the layers.

    Attributes
    ----------
    names : tuple of str (n_models,)
    score, low, high : np.ndarray (n_models,)
    as_good, itself : np.ndarray (n_models,) bool
        Whether the best layer cannot be told apart from the model, and whether the model is the area's own
        RDM.
    subjects : np.ndarray (n_models, n_subjects)
    """

    names: tuple[str, ...] = ()
    score: np.ndarray = field(default_factory=lambda: np.empty(0))
    low: np.ndarray = field(default_factory=lambda: np.empty(0))
    high: np.ndarray = field(default_factory=lambda: np.empty(0))
    as_good: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    itself: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    subjects: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


@dataclass(frozen=True)
class Profile:
    """The scores of one area, layer by layer in depth order.

    Attributes
    ----------
    area : str
    layers : tuple of str (n_layers,)
    score, low, high : np.ndarray (n_layers,)
        Similarity and the ends of its 95 % interval; NaN where there is none.
    alike : np.ndarray (n_layers,) bool
        Whether the layer cannot be told apart from the best one.
    subjects : np.ndarray (n_layers, n_subjects)
        Scores of single subjects; NaN where there is none.
    ceiling : tuple of float
        Noise ceiling, lower and upper; NaN where there is none.
    best : int or None
        Position of the best layer; None when no layer has a score.
    models : Beside
        Simple models beside the layers; of no names where there are none.
    """

    area: str
    layers: tuple[str, ...]
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    alike: np.ndarray
    subjects: np.ndarray
    ceiling: tuple[float, float]
    best: int | None
    models: Beside = field(default_factory=Beside)


def profile(brain_ds: xr.Dataset, area: str) -> Profile:
    """Return the scores of one area.

    Raises
    ------
    InputError
        When the answer has no such area.
    """
    areas = answers.names(brain_ds, "area")
    if area not in areas:
        raise unknown("area", area, areas)
    one = brain_ds.isel(area=areas.index(area))
    layers = answers.names(brain_ds, "layer")
    score = one["score"].to_numpy().astype(np.float64)
    empty = np.full((len(layers), 0), np.nan)
    subjects = (
        one["subject_score"].transpose("layer", "subject").to_numpy() if "subject_score" in one else empty
    )
    return Profile(
        area,
        tuple(layers),
        score,
        one["ci_low"].to_numpy().astype(np.float64),
        one["ci_high"].to_numpy().astype(np.float64),
        one["indistinguishable"].to_numpy().astype(bool)
        if "indistinguishable" in one
        else np.zeros(len(layers), bool),
        subjects.astype(np.float64),
        (float(one["ceiling_low"]), float(one["ceiling_high"])),
        _best(one, layers, score),
        _models_beside(one),
    )


def _models_beside(one: xr.Dataset) -> Beside:
    if "model_score" not in one:
        return Beside()
    return Beside(
        names=tuple(answers.names(one, "model")),
        score=one["model_score"].to_numpy().astype(np.float64),
        low=one["model_ci_low"].to_numpy().astype(np.float64),
        high=one["model_ci_high"].to_numpy().astype(np.float64),
        as_good=one["model_as_good"].to_numpy().astype(bool),
        itself=one["model_itself"].to_numpy().astype(bool),
        subjects=one["model_subject_score"].transpose("model", "subject").to_numpy().astype(np.float64),
    )


def model_words(name: str) -> str:
    """Return a simple model's name without its kind: "HMAX" for "model:HMAX"."""
    kind, _, rest = name.partition(":")
    return rest if kind in ("model", "behaviour", "factor") and rest else name


def _best(one: xr.Dataset, layers: list[str], score: np.ndarray) -> int | None:
    if not np.isfinite(score).any():
        return None
    named = str(one["best"].to_numpy()) if "best" in one else ""
    return layers.index(named) if named in layers else int(np.nanargmax(score))


def score_table(brain_ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per area and layer, in the order of the answer, with the columns of `COLUMNS`.

    Simple models follow the layers, as layers of no network.
    """
    import pandas as pd

    areas, layers = answers.names(brain_ds, "area"), answers.names(brain_ds, "layer")
    table: dict[str, Any] = {
        "network": brain_ds.attrs.get("network", ""),
        "layer": layers * len(areas),
        "area": np.repeat(areas, len(layers)),
        "measure": brain_ds.attrs.get("measure", ""),
    }
    for name in ("score", "sem", "ci_low", "ci_high"):
        table[name] = brain_ds[name].transpose("area", "layer").to_numpy().ravel()
    for name in ("ceiling_low", "ceiling_high", "n_subjects", "n_stimuli"):
        table[name] = np.repeat(brain_ds[name].to_numpy(), len(layers))
    found = pd.DataFrame(table, columns=list(COLUMNS))
    return (
        pd.concat([found, _model_rows(brain_ds, areas)], ignore_index=True) if "model" in brain_ds else found
    )


def _model_rows(brain_ds: xr.Dataset, areas: list[str]) -> pd.DataFrame:
    import pandas as pd

    models = answers.names(brain_ds, "model")
    table: dict[str, Any] = {
        "network": "",
        "layer": models * len(areas),
        "area": np.repeat(areas, len(models)),
        "measure": brain_ds.attrs.get("measure", ""),
    }
    for name in ("score", "sem", "ci_low", "ci_high"):
        table[name] = brain_ds[f"model_{name}"].transpose("area", "model").to_numpy().ravel()
    for name in ("ceiling_low", "ceiling_high", "n_subjects", "n_stimuli"):
        table[name] = np.repeat(brain_ds[name].to_numpy(), len(models))
    return pd.DataFrame(table, columns=list(COLUMNS))


# --- words --------------------------------------------------------------------------------------------------


def measure_label(brain_ds: xr.Dataset) -> str:
    """Return the measure as it stands on an axis, such as "Spearman ρ"."""
    return str(brain_ds.attrs.get("measure_label") or brain_ds.attrs.get("measure") or "similarity")


def _spread(lo: float, hi: float) -> str:
    """Write an interval inside a sentence: with a dash, or with "to" where a minus sign would confuse."""
    places = theme.decimals(lo, hi)
    joint = "–" if lo >= 0 and hi >= 0 else " to "
    return f"{theme.fixed(lo, places)}{joint}{theme.fixed(hi, places)}"


def _with_interval(p: Profile | Beside, k: int) -> str:
    lo, hi = float(p.low[k]), float(p.high[k])
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return f"{theme.three_digits(p.score[k])}, no interval"
    return f"{theme.fixed(float(p.score[k]), theme.decimals(lo, hi))}, 95 % interval {_spread(lo, hi)}"


def verdict(brain_ds: xr.Dataset, area: str) -> str:
    """Sum up the profile of one area in a sentence or two, with its uncertainty.

    Raises
    ------
    InputError
        When the answer has no such area.
    """
    p = profile(brain_ds, area)
    start = "Simulated: " if answers.simulated(brain_ds) else ""
    if p.best is None:
        return _sentence(f"{start}no layer has a score for {area}.")
    best = p.layers[p.best]
    beside = _compared_with_models(p, best)
    if not (p.low > 0).any():
        if not np.isfinite(p.low).any():
            return f"{start}{best} has the highest score for {area} ({_with_interval(p, p.best)}).{beside}"
        return f"{_no_likeness(p, start)}{beside}"
    text = f"{start}{best} comes closest to {area} ({_with_interval(p, p.best)})"
    if not p.low[p.best] > 0:
        text += ", but its interval includes zero"
    return f"{text}; {_alike(p, p.best)}.{beside}"


def _compared_with_models(p: Profile, best: str) -> str:
    """Say whether the best layer does better than the closest of the simple models."""
    models = p.models
    scores = np.where(models.itself, np.nan, models.score)
    if not np.isfinite(scores).any() or p.best is None:
        return ""
    k, n = int(np.nanargmax(scores)), int((~models.itself).sum())
    name = model_words(models.names[k])
    gap = "cannot be told apart from" if models.as_good[k] else ""
    gap = gap or ("falls short of" if models.score[k] < p.score[p.best] else "does better than")
    reached = _with_interval(models, k)
    if n == 1:
        return f" Beside it, {name} ({reached}) {gap} {best}."
    return f" Of {n} models beside it, {name} comes closest ({reached}) and {gap} {best}."


def _no_likeness(p: Profile, start: str) -> str:
    if np.nanmax(p.high) < 0:
        return _sentence(f"{start}all intervals lie below zero: no layer can be said to resemble {p.area}.")
    overlap = "the intervals overlap zero" if len(p.layers) > 1 else "the interval overlaps zero"
    which = "no layer" if len(p.layers) > 1 else p.layers[0]
    joint = "can be said" if len(p.layers) > 1 else "cannot be said"
    return _sentence(f"{start}{overlap}: {which} {joint} to resemble {p.area}.")


def _sentence(text: str) -> str:
    """Begin with a capital; not for text that begins with the name of a layer."""
    return text[0].upper() + text[1:]


def _alike(p: Profile, best: int) -> str:
    if len(p.layers) == 1:
        return "it is the only layer"
    alike = sorted({k for k in np.flatnonzero(p.alike).tolist() if math.isfinite(p.score[k])} | {best})
    if len(alike) == 1:
        return "every other layer can be told apart from it"
    if len(alike) == len(p.layers):
        return f"none of the {len(alike)} layers can be told apart from it"
    if alike[-1] - alike[0] == len(alike) - 1:
        joint = "and" if len(alike) == 2 else "to"
        return f"{p.layers[alike[0]]} {joint} {p.layers[alike[-1]]} cannot be told apart"
    others = [p.layers[k] for k in alike if k != best]
    if len(others) <= 3:
        named = " and ".join([", ".join(others[:-1]), others[-1]] if others[1:] else others)
        return f"{named} cannot be told apart from it"
    return f"{len(others)} of {len(p.layers) - 1} other layers cannot be told apart from it"


def caption(brain_ds: xr.Dataset) -> str:
    """Say what points, dots, bars and band are, what was resampled and how often."""
    n = int(brain_ds.attrs.get("bootstrap", 0) or 0)
    resampled = RESAMPLED.get(str(brain_ds.attrs.get("resample", "")), "")
    parts = [f"Points: {measure_label(brain_ds)} between layer and area, mean over subjects"]
    if "subject_score" in brain_ds and np.isfinite(brain_ds["subject_score"].to_numpy()).any():
        parts.append("small dots: single subjects")
    if n and resampled:
        samples = f"{n:,}".replace(",", " ")
        parts.append(f"bars: 95 % intervals from {samples} bootstrap samples over {resampled}")
    if np.isfinite(brain_ds["ceiling_low"].to_numpy()).any():
        parts.append("grey band: noise ceiling")
    parts.append("filled points cannot be told apart from the best layer, which has a ring")
    if "model_score" in brain_ds:
        parts.append("diamonds: RDMs of simple models of the stimuli, without a network")
    judged = json.loads(brain_ds.attrs.get("behaviour", "[]"))
    if judged:
        parts.append(f"{' and '.join(judged)}: of people, no brain area")
    if answers.simulated(brain_ds):
        parts.append("hatched: simulated recording")
    return "; ".join(parts) + "."


# --- chart --------------------------------------------------------------------------------------------------


def layer_profile(
    brain_ds: xr.Dataset,
    area: str | None = None,
    dark: bool = False,
    *,
    width: int | str = "container",
    height: int = 280,
) -> Any:
    """Draw similarity by layer in depth order, with intervals and noise ceiling.

    Parameters
    ----------
    brain_ds : xr.Dataset
        Answer of kind brain.
    area : str, optional
        One area; without it every area, one below the other. All areas share one scale.
    width : int or "container"
        Width of a plot in pixels. Several areas need pixels: "container" then means 620.

    Returns
    -------
    alt.LayerChart or alt.VConcatChart
        A click selects a layer: parameter ``picked``, field ``layer``.

    Raises
    ------
    InputError
        When the answer has no such area.
    """
    import altair as alt

    ends = _ends(brain_ds)
    areas = answers.names(brain_ds, "area") if area is None else [area]
    if len(areas) == 1:
        chart: Any = _area_chart(brain_ds, areas[0], dark, ends, width, height)
    else:
        pixels = 620 if width == "container" else width
        chart = theme.joined(
            alt.vconcat, *(_area_chart(brain_ds, a, dark, ends, pixels, height) for a in areas)
        )
    if width == "container":
        # Long layer names may add to the height; fitted in, they would flatten the plot.
        chart = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    described = chart.properties(description=" ".join(verdict(brain_ds, a) for a in areas))
    return theme.style(described, dark)


def _ends(brain_ds: xr.Dataset) -> tuple[float, float]:
    """Return the ends of the similarity axis: zero and everything drawn in any area, with room for labels."""
    names = ["score", "ci_low", "ci_high", "subject_score", "ceiling_low", "ceiling_high"]
    names += ["model_score", "model_ci_low", "model_ci_high", "model_subject_score"]
    low, high = theme.sequential_limits(*(brain_ds[n].to_numpy() for n in names if n in brain_ds), zero=True)
    room = 0.12 * (high - low)
    return (low - room if low < 0 else low), high + room


@dataclass(frozen=True)
class _Frame:
    """What all marks of one profile share: the unit and ends of the similarity axis, and the theme."""

    label: str
    ends: tuple[float, float]
    dark: bool

    def x(self, p: Profile) -> Any:
        import altair as alt

        every = [*p.layers, *p.models.names]
        scale = alt.Scale(padding=0.5, domain=every)
        return alt.X("layer:O", sort=every, scale=scale, axis=_layer_axis(p.layers, p.models.names))

    def y(self, name: str = "score") -> Any:
        import altair as alt

        return alt.Y(f"{name}:Q", title=self.label, scale=alt.Scale(domain=list(self.ends), nice=False))

    def colour(self, name: Any) -> str:
        return theme.colour(name, self.dark)


def _area_chart(
    brain_ds: xr.Dataset, area: str, dark: bool, ends: tuple[float, float], width: int | str, height: int
) -> Any:
    import altair as alt

    p = profile(brain_ds, area)
    frame = _Frame(measure_label(brain_ds), ends, dark)
    layers = [
        *(_hatching(dark, height) if answers.simulated(brain_ds) else []),
        *_ceiling(p, frame),
        _rule_at_zero(frame),
        *_subject_dots(p, frame),
        *_scores(p, frame),
        *_model_scores(p, frame),
        *_best_label(p, frame),
    ]
    title: dict[str, Any] = {"text": area, "color": theme.colour("brain", dark)}
    if answers.simulated(brain_ds):
        title["subtitle"] = "simulated recording"
    return alt.layer(*layers).properties(width=width, height=height, title=alt.TitleParams(**title))


def _layer_axis(layers: tuple[str, ...], models: tuple[str, ...] = ()) -> Any:
    """Label every layer where there is room, else every second, third, ...; long paths keep their ends."""
    import altair as alt

    words = theme.short_names(layers) | {name: model_words(name) for name in models}
    n, longest = len(words), max(map(len, [*layers, *(words[name] for name in models)]))
    level = n * min(longest, 24) <= 70
    every = math.ceil(len(layers) / 50)
    return alt.Axis(
        title="Layer, in order of depth" + ("; then simple models" if models else ""),
        values=[*layers[::every], *models],
        labelAngle=0 if level else -45 if n <= 16 else -90,
        labelExpr=f"{theme.js(words)}[datum.label]",
        labelOverlap="greedy" if n > 16 else False,
        labelLimit=170,
        labelFontSize=11 if every == 1 and n <= 30 else 10,
        ticks=n <= 60,
    )


def _number(x: float) -> float | None:
    """Return a number that JSON can hold: None for what is not finite."""
    return float(x) if math.isfinite(x) else None


def _rows(p: Profile) -> list[dict[str, Any]]:
    return [
        {
            "layer": name,
            "depth": k + 1,
            "score": _number(p.score[k]),
            "low": _number(p.low[k]),
            "high": _number(p.high[k]),
            "shown": theme.three_digits(p.score[k]),
            "interval": theme.interval(float(p.low[k]), float(p.high[k])),
            "state": "alike" if k == p.best or p.alike[k] else "apart",
        }
        for k, name in enumerate(p.layers)
    ]


def _scores(p: Profile, frame: _Frame) -> list[Any]:
    import altair as alt

    blue = frame.colour("network")
    base = alt.Chart(alt.Data(values=_rows(p))).encode(x=frame.x(p), y=frame.y())
    tooltip = [
        alt.Tooltip("layer:N", title="Layer"),
        alt.Tooltip("shown:N", title=frame.label),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("depth:Q", title="Depth"),
    ]
    many = len(p.layers) > 40
    fill = alt.Scale(domain=["alike", "apart"], range=[blue, frame.colour("background")])
    points = (
        base.mark_point(
            filled=True, size=22 if many else 60, stroke=blue, strokeWidth=1.2 if many else 1.6, opacity=1
        )
        .encode(fill=alt.Fill("state:N", scale=fill, legend=None), tooltip=tooltip)
        .add_params(alt.selection_point(name="picked", fields=["layer"], on="click"))
    )
    return [
        base.mark_line(color=blue, strokeWidth=1.5, opacity=0.6),
        base.mark_rule(color=blue, strokeWidth=1 if many else 1.8).encode(y=frame.y("low"), y2="high:Q"),
        points,
    ]


def _model_scores(p: Profile, frame: _Frame) -> list[Any]:
    """Draw simple models as diamonds with intervals, right of the layers."""
    import altair as alt

    models = p.models
    if not models.names:
        return []
    rows = [
        {
            "layer": name,
            "words": model_words(name),
            "score": _number(models.score[k]),
            "low": _number(models.low[k]),
            "high": _number(models.high[k]),
            "shown": theme.three_digits(models.score[k]),
            "interval": theme.interval(float(models.low[k]), float(models.high[k])),
            "state": "alike" if models.as_good[k] else "apart",
        }
        for k, name in enumerate(models.names)
    ]
    grey = frame.colour("control")
    base = alt.Chart(alt.Data(values=rows)).encode(x=frame.x(p), y=frame.y())
    fill = alt.condition("datum.state == 'alike'", alt.value(grey), alt.value(frame.colour("background")))
    tooltip = [
        alt.Tooltip("words:N", title="Model"),
        alt.Tooltip("shown:N", title=frame.label),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    points = base.mark_point(filled=True, shape="diamond", size=80, stroke=grey, strokeWidth=1.6, opacity=1)
    return [
        base.mark_rule(color=grey, strokeWidth=1.8).encode(y=frame.y("low"), y2="high:Q"),
        points.encode(fill=fill, tooltip=tooltip),
    ]


def _subject_dots(p: Profile, frame: _Frame) -> list[Any]:
    import altair as alt

    both = [*zip(p.layers, p.subjects, strict=True), *zip(p.models.names, p.models.subjects, strict=True)]
    rows = [
        {"layer": name, "score": float(score), "subject": s + 1, "shown": theme.three_digits(score)}
        for name, scores in both
        for s, score in enumerate(scores)
        if math.isfinite(score)
    ]
    if not rows:
        return []
    tooltip = [
        alt.Tooltip("layer:N", title="Layer"),
        alt.Tooltip("subject:Q", title="Subject"),
        alt.Tooltip("shown:N", title="Score"),
    ]
    dots = alt.Chart(alt.Data(values=rows)).mark_circle(
        size=10 if len(p.layers) > 40 else 16, color=frame.colour("muted"), opacity=0.5, xOffset=4
    )
    return [dots.encode(x=frame.x(p), y=frame.y(), tooltip=tooltip)]


def _ceiling(p: Profile, frame: _Frame) -> list[Any]:
    import altair as alt

    low, high = p.ceiling
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    words = f"noise ceiling {theme.interval(low, high)}"
    base = alt.Chart(alt.Data(values=[{"score": high, "low": low, "words": words}])).encode(y=frame.y())
    left = p.best is not None and p.best >= len(p.layers) / 2
    band = base.mark_rect(color=frame.colour("ceiling"), opacity=theme.CEILING_OPACITY).encode(
        x=alt.value(0),
        x2=alt.value("width"),
        y2="low:Q",
        tooltip=alt.Tooltip("words:N", title="Noise ceiling"),
    )
    text = base.mark_text(
        align="left" if left else "right",
        baseline="bottom",
        dy=-3,
        dx=3 if left else -3,
        color=frame.colour("muted"),
    ).encode(x=alt.value(0 if left else "width"), text="words:N")
    return [band, text]


def _rule_at_zero(frame: _Frame) -> Any:
    import altair as alt

    data = alt.Data(values=[{"score": 0.0}])
    return alt.Chart(data).mark_rule(color=frame.colour("muted"), strokeWidth=1).encode(y=frame.y())


def _best_label(p: Profile, frame: _Frame) -> list[Any]:
    import altair as alt

    if p.best is None:
        return []
    k = p.best
    top = np.nanmax([p.score[k], p.high[k], *p.subjects[k]])
    lo, hi = float(p.low[k]), float(p.high[k])
    name, places = theme.short_names(p.layers)[p.layers[k]], theme.decimals(lo, hi)
    text = f"{name}  {theme.fixed(float(p.score[k]), places)}"
    if math.isfinite(lo):
        text += f" {theme.interval(lo, hi)}"
    ring = [{"layer": p.layers[k], "score": float(p.score[k])}]
    word = [{"layer": p.layers[k], "score": float(top), "words": text}]
    place = k / max(len(p.layers) - 1, 1) if len(p.layers) > 1 else 0.5
    align: Any = "left" if place < 0.35 else "right" if place > 0.65 else "center"
    return [
        alt.Chart(alt.Data(values=ring))
        .mark_point(size=170, color=frame.colour("network"), strokeWidth=1.2, filled=False)
        .encode(x=frame.x(p), y=frame.y()),
        alt.Chart(alt.Data(values=word))
        .mark_text(
            align=align,
            baseline="bottom",
            dy=-7,
            dx={"left": -8, "right": 8, "center": 0}[align],
            color=frame.colour("text"),
            fontWeight=600,
        )
        .encode(x=frame.x(p), y=frame.y(), text="words:N"),
    ]


def _hatching(dark: bool, height: int, reach: int = 2600, step: int = 14) -> list[Any]:
    """Slanted lines in pixels behind everything: what is drawn is simulated."""
    import altair as alt

    lines = [{"x": k, "x2": k + height, "y": height, "y2": 0} for k in range(-height, reach, step)]
    return [
        alt.Chart(alt.Data(values=lines))
        .mark_rule(color=theme.colour("simulated", dark), opacity=0.16, strokeWidth=1, clip=True)
        .encode(
            x=alt.X("x:Q", scale=None, axis=None),
            x2="x2:Q",
            y=alt.Y("y:Q", scale=None, axis=None),
            y2="y2:Q",
        )
    ]
