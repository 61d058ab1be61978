"""Which parts of a stimulus raise or lower a score, and which methods can tell?"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.errors import ComputeError, HomologError, InputError
from dashboard.methods.attribution import METHODS, Method, method
from dashboard.progress import part, report
from dashboard.specs import AttributionMethodsSpec, AttributionSpec

if TYPE_CHECKING:
    import torch

    from dashboard.analyses.explaining import Question
    from dashboard.methods.attribution.base import Attribution, Explained, Settings

MOST_ITEMS = 64
MOST_STEPS, MOST_SAMPLES, MOST_PIECES = 1000, 100_000, 1000
MOST_CHANNEL_VALUES = 400_000
"""The map of every channel is kept when all of it has at most so many values."""

BATCH = 16


def attribution(spec: AttributionSpec) -> xr.Dataset:
    """Return the map of one method for each of the chosen stimuli.

    Returns
    -------
    xarray.Dataset
        ``attribution`` (item, y, x), summed over channels; of texts (item, token), of tables
        (item, feature). Per item ``score`` f(x), ``baseline_score`` (mean over the baselines),
        ``total`` (what the map should sum to; not a number without such a promise), ``summed``, ``target``,
        ``picture`` and ``baseline_picture`` (item, y, x, rgb) uint8, ``likeliest`` and ``probability``
        (item, rank); where they exist ``standard_error`` (like the map; summed over channels, which bounds
        it), ``channel_map`` (item, channel, y, x), ``segment`` (item, y, x; -1 is never switched) and
        ``segment_value`` (item, number), ``mask_share`` and ``mask_area`` (item): the share of |map| on
        the object, and of the picture that it covers.

    Raises
    ------
    InputError
        When the method cannot work here, or a setting, target or stimulus does not exist.
    """
    entry = method(spec.method)
    check(spec)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    shown = stimuli.load(spec.stimuli)
    names = spec.items or (shown.names[0],)
    if len(names) > MOST_ITEMS:
        message = f"{len(names)} stimuli are too many for maps side by side."
        raise InputError(message, f"Choose at most {MOST_ITEMS}, or look at the whole set.")
    rows = []
    for k, name in enumerate(names):
        with part(k / len(names), (k + 1) / len(names)):
            rows.append(_explained(spec, entry, name))
    return _dataset(spec, entry, rows)


def check(spec: AttributionSpec) -> None:
    """Refuse settings that no method can use.

    Raises
    ------
    InputError
        With the setting and its limits.
    """
    limits = {
        "steps": (2, MOST_STEPS),
        "samples": (2, MOST_SAMPLES),
        "background": (1, 1000),
        "pieces": (2, MOST_PIECES),
        "window": (0, 512),
    }
    for name, (low, high) in limits.items():
        if not low <= getattr(spec, name) <= high:
            message = f"{name} must be {low} to {high}, not {getattr(spec, name)}."
            raise InputError(message)
    if not 0 < spec.noise <= 1:
        message = f"noise must be above 0 and at most 1, not {spec.noise:g}."
        raise InputError(message, "It is a share of the range of the input; 0.15 is usual.")


def settings_for(spec: AttributionSpec, question: Question) -> Settings:
    """Return what changes the map, from the words of the spec."""
    from dashboard.methods.attribution.base import Settings

    side = min(question.explained.inputs.shape[-2:]) if question.explained.kind == "image" else 0
    window = spec.window or max(1, side // 8)
    if side and window > side:
        message = f"A window of {window} pixels is larger than the picture, which has {side}."
        raise InputError(message, "Choose a smaller window.")
    layer = f"network.{spec.layer}" if spec.layer and question.target.layer else spec.layer
    return Settings(
        steps=spec.steps,
        samples=spec.samples,
        noise=spec.noise,
        window=max(1, window),
        stride=max(1, window // 2),
        segments=_segments(spec, question.explained),
        layer=layer,
        seed=spec.seed,
        batch=BATCH,
    )


def _segments(spec: AttributionSpec, explained: Explained) -> torch.Tensor | None:
    """Return the segments that are asked for; None leaves them to the method."""
    if spec.segments == "auto" or explained.kind != "image":
        return None
    from dashboard.methods.attribution import segments

    height, width = explained.inputs.shape[-2:]
    if spec.segments == "slic":
        return segments.slic(explained.inputs[0].cpu(), spec.pieces)
    if spec.segments == "patches":
        if explained.grid is None:
            message = "This network has no patches."
            raise InputError(message, "Choose grid or slic.")
        return segments.patches(height, width, explained.grid)
    rows = max(1, min(height, round((spec.pieces * height / width) ** 0.5)))
    return segments.grid(height, width, rows, max(1, min(width, round(spec.pieces / rows))))


def _explained(spec: AttributionSpec, entry: Method, name: str) -> tuple[Question, Attribution, Any]:
    from dashboard.analyses.explaining import question

    asked = question(spec, name)
    given = settings_for(spec, asked)
    refusal = entry.why_not(asked.explained, given)
    if refusal:
        raise InputError(refusal, f"Choose another method than {entry.label}.")
    phrase = f"{entry.label}: {asked.name}"
    report(0.0, phrase)
    found = entry.run(asked.explained, given, lambda fraction: report(fraction, phrase))
    values = found.values
    if not bool(values.isfinite().all()):
        message = f"{entry.label} of {asked.name} gave values that are no numbers."
        raise ComputeError(message, "Choose another method.")
    return asked, found, asked.explained.levels(BATCH)


# --- the answer ------------------------------------------------------------------------------------


def _dataset(
    spec: AttributionSpec, entry: Method, rows: Sequence[tuple[Question, Attribution, Any]]
) -> xr.Dataset:
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    first = rows[0][0].explained
    dims = {"image": ("y", "x"), "text": ("token",), "table": ("feature",)}[first.kind]
    maps = [_array(found.values, first.kind) for _, found, _ in rows]
    columns: dict[str, Any] = {
        "attribution": (("item", *dims), _stacked(maps)),
        "score": ("item", [levels[0] for *_, levels in rows]),
        "baseline_score": ("item", [levels[1] for *_, levels in rows]),
        "total": ("item", [np.nan if found.total is None else found.total for _, found, _ in rows]),
        "summed": ("item", [float(m.sum()) for m in maps]),
        "target": ("item", [asked.target.words for asked, *_ in rows]),
        "truth": ("item", [asked.truth for asked, *_ in rows]),
    }
    if all(found.standard_error is not None for _, found, _ in rows):
        errors = [_array(found.standard_error, first.kind) for _, found, _ in rows]
        columns["standard_error"] = (("item", *dims), _stacked(errors))
    columns |= said([asked for asked, *_ in rows])
    columns |= seen([asked for asked, *_ in rows])
    columns |= _channels(rows)
    columns |= _on_object(spec, rows)
    columns |= _pieces(rows, dims)
    coords: dict[str, Any] = {"item": [asked.name for asked, *_ in rows]}
    if first.kind == "text":
        columns["word"] = (("item", "token"), _words([asked.tokens for asked, *_ in rows]))
    if first.kind == "table":
        from dashboard.analyses.explaining import feature_names

        told = feature_names(network, maps[0].size)
        if told:
            coords["feature"] = told["names"]
            columns["feature_axis"] = ("feature", np.array(told["values"], float), {"title": told["axis"]})
    notes = dict.fromkeys(note for _, found, _ in rows for note in found.notes)
    layers = dict.fromkeys(str(found.extra.get("layer", "")).removeprefix("network.") for _, found, _ in rows)
    return xr.Dataset(
        columns,
        coords=coords,
        attrs={
            "title": f"{entry.label} of {network.title} for {shown.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "stimuli_title": shown.title,
            "method": entry.name,
            "input_kind": first.kind,
            "unit": rows[0][0].target.unit,
            "notes": json.dumps(list(notes), ensure_ascii=False),
            "layer": next(iter(layers)) if len(layers) == 1 else "",
            "n_baselines": len(first.baselines),
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def _array(values: Any, kind: str) -> np.ndarray:
    """Return a map as float64, channels summed."""
    array = values.detach().double().cpu().numpy()
    return array.sum(axis=0) if kind == "image" and array.ndim == 3 else array


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays; texts of different lengths are filled up with not-a-number."""
    if len({a.shape for a in arrays}) == 1:
        return np.stack(arrays)
    found = np.full((len(arrays), max(len(a) for a in arrays)), np.nan)
    for row, values in zip(found, arrays, strict=True):
        row[: len(values)] = values
    return found


def _words(tokens: Sequence[Sequence[str]]) -> np.ndarray:
    found = np.full((len(tokens), max(map(len, tokens))), "", dtype=object)
    for row, words in zip(found, tokens, strict=True):
        row[: len(words)] = words
    return found


def said(questions: Sequence[Question]) -> dict[str, Any]:
    """Return the likeliest classes of each stimulus and their probabilities."""
    n = max(len(asked.likeliest) for asked in questions)
    if not n:
        return {}
    padded = [[*asked.likeliest, *[("", np.nan)] * (n - len(asked.likeliest))] for asked in questions]
    return {
        "likeliest": (("item", "rank"), np.array([[c for c, _ in row] for row in padded], dtype=object)),
        "probability": (("item", "rank"), np.array([[p for _, p in row] for row in padded])),
    }


def seen(questions: Sequence[Question]) -> dict[str, Any]:
    """Return the pictures as the network sees them, and their baselines; of tables as they are."""
    found = {}
    for name, pictures in (
        ("picture", [asked.picture for asked in questions]),
        ("baseline_picture", [asked.baseline for asked in questions]),
    ):
        if all(p is not None and p.shape == pictures[0].shape for p in pictures):  # type: ignore[union-attr]
            dims = ("y", "x") if questions[0].explained.kind == "image" else ("picture_y", "picture_x")
            found[name] = (("item", *dims, "rgb"), np.stack(pictures))  # type: ignore[arg-type]
    return found


def _on_object(spec: AttributionSpec, rows: Sequence[tuple[Question, Attribution, Any]]) -> dict[str, Any]:
    """Return the share of each map on the object, and of the picture that it covers, where both are known."""
    from dashboard.analyses.explaining import on_object

    found = [on_object(spec.stimuli, asked.name, one.values) for asked, one, _ in rows]
    if any(result is None for result in found):
        return {}
    return {
        name: ("item", [getattr(result, field) for result in found])
        for name, field in (("mask_share", "share"), ("mask_area", "area"))
    }


def _channels(rows: Sequence[tuple[Question, Attribution, Any]]) -> dict[str, Any]:
    values = [found.values for _, found, _ in rows]
    whole = all(v.dim() == 3 and 1 < v.shape[0] <= 4 for v in values)
    if not whole or sum(v.numel() for v in values) > MOST_CHANNEL_VALUES:
        return {}
    return {
        "channel_map": (("item", "channel", "y", "x"), np.stack([v.double().cpu().numpy() for v in values]))
    }


def _pieces(rows: Sequence[tuple[Question, Attribution, Any]], dims: tuple[str, ...]) -> dict[str, Any]:
    """Return the segments that were switched and their values, where the method switches segments."""
    found = [(f.extra.get("segments"), f.extra.get("segment_values")) for _, f, _ in rows]
    if dims != ("y", "x") or any(labels is None or values is None for labels, values in found):
        return {}
    labels = np.stack([_plain(a) for a, _ in found]).astype(np.int32)
    return {
        "segment": (("item", *dims), labels),
        "segment_value": (("item", "number"), _stacked([_plain(b).astype(np.float64) for _, b in found])),
    }


def _plain(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


# --- which methods work ----------------------------------------------------------------------------


def methods(spec: AttributionMethodsSpec) -> xr.Dataset:
    """Return which methods work on a network and target, and what one forward pass costs.

    Returns
    -------
    xarray.Dataset
        ``why_not`` (method,) the sentence that refuses it, ``""`` when it works; per item (one) ``score``,
        ``baseline_score``, ``target``, ``truth``, ``likeliest``, ``probability``, ``picture`` and
        ``baseline_picture`` as in `attribution`. Attributes ``pass_seconds`` (one stimulus, forward),
        ``height``, ``width``, ``patches`` and ``tokens`` (numbers of them).
    """
    from dashboard.analyses.explaining import question
    from dashboard.methods.attribution.base import Settings

    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    shared = {name: getattr(spec, name) for name in ("network", "stimuli", "target", "score")}
    asked = question(AttributionSpec(**shared), spec.item)
    refusals = []
    for k, entry in enumerate(METHODS.values()):
        report(k / len(METHODS), f"Can it be used here? {entry.label}")
        refusals.append(why_not(entry, asked, Settings()))
    explained = asked.explained
    levels = explained.levels(BATCH)
    shape = tuple(explained.inputs.shape[1:])
    network = networks.load(spec.network)
    return xr.Dataset(
        {
            "why_not": ("method", np.array(refusals, dtype=object)),
            "score": ("item", [levels[0]]),
            "baseline_score": ("item", [levels[1]]),
            "target": ("item", [asked.target.words]),
            "truth": ("item", [asked.truth]),
            **said([asked]),
            **seen([asked]),
        },
        coords={"method": list(METHODS), "item": [asked.name]},
        attrs={
            "title": f"Attribution methods for {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "input_kind": explained.kind,
            "unit": asked.target.unit,
            "pass_seconds": _pass_seconds(explained),
            "height": shape[-2] if explained.kind == "image" else 1,
            "width": shape[-1],
            "patches": explained.grid[0] * explained.grid[1] if explained.grid else 0,
            "classes": json.dumps(list(network.labels), ensure_ascii=False),
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def why_not(entry: Method, asked: Question, given: Settings) -> str:
    """Say why a method cannot explain a stimulus made ready; see `why_not_explained`."""
    return why_not_explained(entry, asked.explained, given)


def why_not_explained(entry: Method, explained: Explained, given: Settings) -> str:
    """Say why a method cannot work here; ``""`` when it can. A refusal is a sentence, never an error."""
    try:
        return entry.why_not(explained, given)
    except HomologError as error:
        return str(error)
    except ModuleNotFoundError:
        return f"{entry.label} is not available here: a library that it needs is not installed."


def _pass_seconds(explained: Explained) -> float:
    """Return the time of one forward pass of one stimulus in a batch of four, to two digits."""
    import torch

    rows = explained.inputs.expand(4, *explained.inputs.shape[1:])
    with torch.inference_mode():
        explained.module(rows)
        start = time.perf_counter()
        explained.module(rows)
    return float(f"{(time.perf_counter() - start) / 4:.2g}")
