"""What matters to a network over a whole set: features by their mean |SHAP|, and where attributions fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses.attribution import check, settings_for
from dashboard.errors import InputError, caution
from dashboard.methods.attribution import Method, method
from dashboard.progress import part, report
from dashboard.specs import AttributionSetSpec, AttributionSpec

if TYPE_CHECKING:
    from dashboard.analyses.explaining import Question
    from dashboard.methods.attribution.base import Attribution
    from dashboard.methods.shap_values import Importance

MOST_STIMULI = 512
FEWEST = 2
MOST_FEATURES = 256
"""Inputs with at most so many values are read feature by feature."""

SHOWN = 20
"""Features of the beeswarm, the most important first."""


@dataclass(frozen=True, eq=False)
class _Row:
    """What is kept of one stimulus: its map in words, numbers and, of pictures, places."""

    name: str
    group: str
    target: str
    total: float
    features: dict[str, tuple[float, float]]
    """Value and the feature's own level by feature; of large pictures nothing."""
    places: np.ndarray | None
    share: float
    area: float


def over_set(spec: AttributionSetSpec) -> xr.Dataset:
    """Attribute the score of many stimuli with one method, and sum up over them.

    Returns
    -------
    xarray.Dataset
        Of tables, texts, small pictures and segments: ``value`` (item, feature; not a number where a text
        lacks the word), ``importance``, ``lower`` and ``upper`` (feature,) mean |value| with its 95 %
        interval, the most important feature first, ``class_importance`` (class, feature) and the dots of the
        beeswarm (dot,). Of pictures: ``mean_map`` and ``mean_size`` (y, x) and ``class_size`` (class, y, x),
        channels summed; where the objects are known ``mask_share`` and ``mask_area`` (item,), the share of
        |map| on the object and what chance would give. ``group`` and ``target`` (item,), ``count`` (class,).

    Raises
    ------
    InputError
        When the method cannot work here, a setting or target does not exist, or the set is too small.
    """
    asked = spec.attribution
    entry = method(asked.method)
    check(asked)
    names = _names(spec)
    rows: list[_Row] = []
    for k, name in enumerate(names):
        with part(k / len(names), (k + 1) / len(names)):
            rows.append(_row(asked, entry, name, k == 0))
    groups = list(dict.fromkeys(row.group for row in rows))
    columns: dict[str, Any] = {
        "group": ("item", np.array([row.group for row in rows], dtype=object)),
        "target": ("item", np.array([row.target for row in rows], dtype=object)),
        "total": ("item", [row.total for row in rows]),
        "count": ("class", [sum(row.group == group for row in rows) for group in groups]),
    }
    coords: dict[str, Any] = {"item": list(names), "class": groups}
    columns |= _places(rows, groups) | _shares(rows)
    if rows[0].features:
        found, order = _features(rows, groups)
        columns |= found
        coords["feature"] = order
    if len({row.target for row in rows}) > 1:
        caution(
            "mixed-targets",
            "Each stimulus is explained for its own class: signs tell what speaks for that class, whichever "
            "it is. Choose one class as target to see what speaks for it.",
        )
    return xr.Dataset(columns, coords=coords, attrs=_attributes(spec, entry, rows))


def _names(spec: AttributionSetSpec) -> tuple[str, ...]:
    """Return the stimuli: those named, else as many as wanted, evenly spaced in the set."""
    if not FEWEST <= spec.most <= MOST_STIMULI:
        message = f"most must be {FEWEST} to {MOST_STIMULI}, not {spec.most}."
        raise InputError(message)
    shown = stimuli.load(spec.attribution.stimuli)
    if spec.attribution.items:
        return spec.attribution.items[: spec.most]
    if len(shown) < FEWEST:
        message = f"{shown.title} has {len(shown)} stimulus: nothing to average over."
        raise InputError(message, "Choose a larger set.")
    places = np.unique(np.linspace(0, len(shown) - 1, min(spec.most, len(shown))).round().astype(int))
    return tuple(shown.names[int(k)] for k in places)


def _row(asked: AttributionSpec, entry: Method, name: str, first: bool) -> _Row:
    from dashboard.analyses.explaining import feature_names, on_object, question

    ready = question(asked, name)
    given = settings_for(asked, ready)
    if first:
        refusal = entry.why_not(ready.explained, given)
        if refusal:
            raise InputError(refusal, f"Choose another method than {entry.label}.")
    phrase = f"{entry.label}: {name}"
    report(0.0, phrase)
    found = entry.run(ready.explained, given, lambda fraction: report(fraction, phrase))
    values = found.values.detach().double().cpu().numpy()
    values = values.sum(axis=0) if ready.explained.kind == "image" and values.ndim == 3 else values
    on = on_object(asked.stimuli, name, found.values)
    told = feature_names(networks.load(asked.network), values.size)
    return _Row(
        name=name,
        group=ready.truth or (ready.likeliest[0][0] if ready.likeliest else "all"),
        target=ready.target.words,
        total=float(values.sum()),
        features=_named(ready, found, values, asked.segments != "slic", told.get("names", ())),
        places=values if values.ndim == 2 else _square(ready, values),
        share=float("nan") if on is None else on.share,
        area=float("nan") if on is None else on.area,
    )


def _square(ready: Question, values: np.ndarray) -> np.ndarray | None:
    """Lay a table that is a picture, pixel by pixel, out as the picture; None of all others."""
    if ready.explained.kind != "table" or ready.picture is None:
        return None
    shape = ready.picture.shape[:2]
    return values.reshape(shape) if values.size == shape[0] * shape[1] else None


def _named(
    ready: Question, found: Attribution, values: np.ndarray, same: bool, told: Sequence[str] = ()
) -> dict[str, tuple[float, float]]:
    """Return value and own level of each feature by name: of pixels, segments, words or numbers.

    Segments are features only where they are the ``same`` in every picture.
    """
    if ready.explained.kind == "text":
        return _by_word(ready, values)
    if values.ndim == 2 and found.extra.get("segment_values") is not None:
        return _by_segment(found) if same else {}
    if values.size > MOST_FEATURES:
        return {}
    levels = ready.explained.inputs[0].double().cpu().numpy()
    levels = levels.mean(axis=0) if values.ndim == 2 else levels
    grid = values if values.ndim == 2 else _square(ready, values)
    if grid is None:
        names = list(told) or [f"feature {k + 1}" for k in range(values.size)]
    else:
        names = [f"row {i + 1}, column {j + 1}" for i, j in np.ndindex(*grid.shape)]
    pairs = zip(values.ravel().tolist(), levels.ravel().tolist(), strict=True)
    return dict(zip(names, pairs, strict=True))


def _by_segment(found: Attribution) -> dict[str, tuple[float, float]]:
    """Return the value of each segment, named by the row and column of its centre."""
    labels, values = (_plain(found.extra[name]) for name in ("segments", "segment_values"))
    named = {}
    for k, value in enumerate(values.ravel()):
        row, column = (int(round(float(axis.mean()))) for axis in np.nonzero(labels == k))
        named[f"segment about row {row + 1}, column {column + 1}"] = (float(value), float("nan"))
    return named


def _plain(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _by_word(ready: Question, values: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return the value of each word; of one that a text has more than once, the sum."""
    found: dict[str, tuple[float, float]] = {}
    special = ready.explained.special or (False,) * len(values)
    for word, value, skipped in zip(ready.tokens, values, special, strict=True):
        if not skipped:
            found[word] = (found.get(word, (0.0, 0.0))[0] + float(value), float("nan"))
    return found


# --- sums over the set ------------------------------------------------------------------------------------


def _features(rows: Sequence[_Row], groups: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return importances, values and dots, and the features from the most to the least important."""
    names = list(dict.fromkeys(name for row in rows for name in row.features))
    missing = (np.nan, np.nan)
    both = np.array([[row.features.get(name, missing) for name in names] for row in rows])
    values, levels = both[..., 0], both[..., 1]
    found = [_importance(column) for column in values.T]
    mean = np.array([one.mean[0, 0] for one in found])
    times = np.isfinite(values).sum(axis=0)
    # What is in one stimulus only, a rare word, has no interval and must not lead.
    order = np.lexsort((np.arange(len(names)), -mean, times < FEWEST))
    values, levels = values[:, order], levels[:, order]
    member = np.array([[row.group == group for row in rows] for group in groups])
    columns = {
        "value": (("item", "feature"), values),
        "importance": ("feature", mean[order]),
        "lower": ("feature", np.array([found[k].lower[0, 0] for k in order])),
        "upper": ("feature", np.array([found[k].upper[0, 0] for k in order])),
        "times": ("feature", times[order]),
        "class_importance": (("class", "feature"), np.array([_mean_size(values[m]) for m in member])),
        **_dots(values, levels),
    }
    return columns, [names[k] for k in order]


def _importance(column: np.ndarray) -> Importance:
    from dashboard.methods.shap_values import importance

    return importance(column[np.isfinite(column)][:, None])


def _mean_size(values: np.ndarray) -> np.ndarray:
    """Return the mean |value| over rows, (n_features,); not a number without any."""
    known = np.isfinite(values)
    total, n = np.where(known, np.abs(values), 0).sum(axis=0), known.sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _dots(values: np.ndarray, levels: np.ndarray) -> dict[str, Any]:
    from dashboard.methods.shap_values import beeswarm

    parts = []
    for k in range(min(SHOWN, values.shape[1])):
        rows = np.flatnonzero(np.isfinite(values[:, k]))
        own = np.where(np.isfinite(levels[rows, k]), levels[rows, k], 0.0)
        dots = beeswarm(values[rows, k : k + 1], own[:, None], 1)
        known = np.isfinite(levels[rows, k]) & (np.ptp(own) > 0)
        level = np.where(known, dots["level"], np.nan)
        parts.append((np.full(len(rows), k), rows, dots["value"], level, dots["offset"]))
    joined = [np.concatenate([p[k] for p in parts]) for k in range(5)]
    names = ("dot_feature", "dot_item", "dot_value", "dot_level", "dot_offset")
    return {name: ("dot", column) for name, column in zip(names, joined, strict=True)}


def _places(rows: Sequence[_Row], groups: Sequence[str]) -> dict[str, Any]:
    """Return mean maps, where all pictures have one size."""
    maps = [row.places for row in rows if row.places is not None]
    if len(maps) < len(rows) or len({m.shape for m in maps}) > 1:
        return {}
    stacked = np.stack(maps)
    size = np.abs(stacked)
    member = np.array([[row.group == group for row in rows] for group in groups])
    return {
        "mean_map": (("y", "x"), stacked.mean(axis=0)),
        "mean_size": (("y", "x"), size.mean(axis=0)),
        "class_size": (("class", "y", "x"), np.stack([size[m].mean(axis=0) for m in member])),
    }


def _shares(rows: Sequence[_Row]) -> dict[str, Any]:
    if not np.isfinite([row.share for row in rows]).any():
        return {}
    return {
        "mask_share": ("item", [row.share for row in rows]),
        "mask_area": ("item", [row.area for row in rows]),
    }


def _attributes(spec: AttributionSetSpec, entry: Method, rows: Sequence[_Row]) -> dict[str, Any]:
    from dashboard.analyses.explaining import question

    asked = spec.attribution
    network, shown = networks.load(asked.network), stimuli.load(asked.stimuli)
    last = question(asked, rows[-1].name)
    return {
        "title": f"{entry.label} of {network.title} over {len(rows)} stimuli of {shown.title}",
        "network": asked.network,
        "network_title": network.title,
        "stimuli": asked.stimuli,
        "stimuli_title": shown.title,
        "method": entry.name,
        "input_kind": last.explained.kind,
        "unit": last.target.unit,
        "device": networks.device().type,
        "simulated": "no",
    }
