"""What of the stimuli can be read out of layers of a network, or of areas of a recording?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.analyses import activations
from dashboard.errors import InputError, caution, unknown
from dashboard.methods import classification
from dashboard.methods import decoding as method
from dashboard.progress import part, report
from dashboard.specs import DecodingSpec, ProbeSpec
from dashboard.stimuli import Stimuli

MOST_CLASSES = 60
MOST_PERMUTATIONS = 10_000
DROPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
DRAWS = 8
"""Random populations per size of the neuron-dropping curve."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is decoded.

    Attributes
    ----------
    name : str
        Column of the stimuli.
    task : str
        classes, orientation or number.
    values : np.ndarray
        (n_stimuli,) positions of classes, degrees, or numbers.
    classes : tuple of str
        Names of the classes; empty for other tasks.
    """

    name: str
    task: method.Task
    values: np.ndarray
    classes: tuple[str, ...] = ()


def target(shown: Stimuli, column: str) -> Target:
    """Return what a column of the stimuli asks to be decoded.

    Text and few whole numbers are classes; a column in degrees named orientation or tilt is an orientation;
    other numbers are numbers.

    Raises
    ------
    InputError
        When there is no such column, or it says the same of every stimulus, or has too many classes.
    """
    known = {"category": np.array(shown.categories), **shown.columns}
    if column not in known:
        raise unknown("column of the stimuli", column, known)
    values = np.asarray(known[column])
    if len(set(values.tolist())) < 2:
        message = f"{column} is the same for all {len(values)} stimuli, so that there is nothing to decode."
        raise InputError(message, "Choose another column, or other stimuli.")
    if column in ("orientation", "tilt"):
        return Target(column, "orientation", np.mod(values.astype(np.float64), 180.0))
    if values.dtype.kind == "f":
        return Target(column, "number", values.astype(np.float64))
    names, place = np.unique(values.astype(str), return_inverse=True)
    if len(names) > MOST_CLASSES:
        message = f"{column} has {len(names)} classes, more than {MOST_CLASSES}."
        raise InputError(message, "Choose a column with fewer classes.")
    return Target(column, "classes", place.astype(np.int64), tuple(map(str, names)))


def probe(spec: ProbeSpec) -> xr.Dataset:
    """Return how well a linear decoder reads a column of the stimuli from each layer.

    Returns
    -------
    xarray.Dataset
        See `_answer`; ``source`` are layers.

    Raises
    ------
    InputError
        When the column or a setting does not fit.
    """
    with part(0.0, 0.6):
        extraction = activations.extract(spec.network, spec.stimuli, spec.layers, spec.reducer)
    layers = {layer.name: layer for layer in extraction.layers}
    found = _answer(
        list(layers),
        lambda name: extraction.patterns(layers[name]),
        target(extraction.shown, spec.column),
        spec,
    )
    return found.assign_attrs(
        title=f"{spec.column.capitalize()} read out of {extraction.network.title}",
        network=spec.network,
        network_title=extraction.network.title,
        stimuli=spec.stimuli,
        of="layer",
        device=extraction.device,
        simulated="no",
    )


def decoding(spec: DecodingSpec) -> xr.Dataset:
    """Return how well a linear decoder reads a column of the stimuli from each area of a recording.

    The units of all subjects of an area are pooled, averaged over repeats, so that a stimulus is in one fold
    only. Areas also get a neuron-dropping curve.

    Returns
    -------
    xarray.Dataset
        See `_answer`; ``source`` are areas. ``drop_score`` (source, size, draw): score with so many units,
        drawn at random; of ridge ``importance`` (source, unit): mean absolute weight times standard
        deviation, the mean absolute SHAP value of a linear decoder up to a factor; NaN where an area has
        fewer units.

    Raises
    ------
    InputError
        When an area has no responses, or the column or a setting does not fit.
    """
    report(0.0, f"Opening {spec.recording.partition('?')[0]}")
    recording = recordings.load(spec.recording)
    if recording.stimuli is None:
        message = f"{recording.title} comes without its stimuli, so that nothing is known to decode."
        raise InputError(message, "Choose a recording with stimuli, such as simulated-v1.")
    areas = list(spec.areas or recording.areas)
    for area in areas:
        if area not in recording.areas:
            raise unknown("area", area, recording.areas)
    having = [area for area in areas if recording.mean_responses(area)]
    if not having:
        message = f"{recording.title} has no single responses, only dissimilarities: nothing can be decoded."
        raise InputError(message, "Choose a recording with responses, such as simulated-v1.")
    wanted = target(recording.stimuli, spec.column)

    def pooled(area: str) -> np.ndarray:
        return np.concatenate(recording.mean_responses(area), axis=1)

    with part(0.0, 0.5):
        found = _answer(having, pooled, wanted, spec)
    with part(0.5, 1.0):
        found = found.assign(_dropping(having, pooled, wanted, spec))
        if spec.model == "ridge":
            found = found.assign(_importance(having, pooled, wanted))
    return found.assign_attrs(
        title=f"{spec.column.capitalize()} read out of {recording.title}",
        recording=spec.recording,
        recording_title=recording.title,
        of="area",
        simulated="yes" if recording.simulated else "no",
    )


def _answer(
    names: list[str], patterns: Callable[[str], np.ndarray], wanted: Target, spec: ProbeSpec | DecodingSpec
) -> xr.Dataset:
    """Decode from every source.

    Returns
    -------
    xarray.Dataset
        ``score``, ``low`` and ``high`` (source,): accuracy with Wilson's 95 % interval, mean absolute error
        in degrees with a bootstrap interval, or R² (no interval); ``null`` (source, permutation); ``p`` and
        ``p_best`` (source,), the second against the best of all sources; ``n_units`` (source,); ``predicted``
        (source, stimulus); of classes ``confusion`` (source, truth, said).
    """
    if not 0 <= spec.permutations <= MOST_PERMUTATIONS:
        message = f"permutations must be from 0 to {MOST_PERMUTATIONS:,}, not {spec.permutations}."
        raise InputError(message)
    labels = wanted.values if wanted.task == "classes" else None
    fold = method.folds(labels, len(wanted.values), spec.folds, spec.seed)
    results, sizes = [], []
    for k, name in enumerate(names):
        with part(0.6 + 0.4 * k / len(names), 0.6 + 0.4 * (k + 1) / len(names)):
            x = patterns(name)
            sizes.append(x.shape[1])
            results.append(
                method.decode(
                    x,
                    wanted.values,
                    wanted.task,
                    fold,
                    permutations=spec.permutations,
                    seed=spec.seed,
                    model=spec.model,
                    report=lambda done, name=name: report(done, f"Decoding from {name}"),  # type: ignore[misc]
                )
            )
    scores = np.array([r.score for r in results])
    nulls = np.stack([r.null for r in results])
    single, best = method.p_values(scores, nulls, wanted.task)
    ends = np.array([_interval(r.predicted, wanted) for r in results])
    variables: dict[str, tuple] = {
        "score": ("source", scores),
        "low": ("source", ends[:, 0]),
        "high": ("source", ends[:, 1]),
        "null": (("source", "permutation"), nulls),
        "p": ("source", single if spec.permutations else np.full(len(names), np.nan)),
        "p_best": ("source", best if spec.permutations else np.full(len(names), np.nan)),
        "n_units": ("source", sizes),
        "predicted": (("source", "stimulus"), np.stack([r.predicted for r in results]).astype(np.float64)),
        "true": ("stimulus", wanted.values.astype(np.float64)),
    }
    coords: dict[str, object] = {"source": names}
    if wanted.task == "classes":
        n = len(wanted.classes)
        counts = [classification.confusion(wanted.values, r.predicted, n) for r in results]
        variables["confusion"] = (("source", "truth", "said"), np.stack(counts))
        coords |= {"truth": list(wanted.classes), "said": list(wanted.classes)}
    _tell(wanted, spec)
    return xr.Dataset(
        variables,
        coords=coords,
        attrs={
            "column": wanted.name,
            "task": wanted.task,
            "classes": json.dumps(wanted.classes),
            "chance": chance(wanted),
            "model": spec.model,
            "folds": spec.folds,
            "permutations": spec.permutations,
            "n_stimuli": len(wanted.values),
        },
    )


def _tell(wanted: Target, spec: ProbeSpec | DecodingSpec) -> None:
    if wanted.task == "classes" and len(set(np.bincount(wanted.values).tolist())) > 1:
        caution(
            "unequal-classes",
            "The classes are not equally frequent: compare the accuracy with always saying the most "
            "frequent one, which is the chance level drawn.",
        )
    if 0 < spec.permutations < 100:
        least = 1 / (1 + spec.permutations)
        caution("few-permutations", f"With {spec.permutations} permutations no p can be below {least:.2g}.")


def chance(wanted: Target) -> float:
    """Return what the best constant answer reaches."""
    if wanted.task == "classes":
        return float(np.bincount(wanted.values).max() / len(wanted.values))
    if wanted.task == "orientation":
        return classification.best_constant_angle(wanted.values)[1]
    return 0.0


def _interval(predicted: np.ndarray, wanted: Target) -> tuple[float, float]:
    if wanted.task == "classes":
        low, high = classification.wilson(int((predicted == wanted.values).sum()), len(predicted))
        return float(low), float(high)
    if wanted.task == "orientation":
        errors = np.abs(classification.angle_errors(wanted.values, predicted))
        return classification.mean_interval(errors)[1:]
    return float("nan"), float("nan")


def _dropping(
    areas: list[str], pooled: Callable[[str], np.ndarray], wanted: Target, spec: DecodingSpec
) -> dict[str, tuple]:
    """Return the scores of random populations of rising size."""
    most = max(pooled(area).shape[1] for area in areas)
    sizes = [n for n in DROPS if n < most] + [most]
    labels = wanted.values if wanted.task == "classes" else None
    fold = method.folds(labels, len(wanted.values), spec.folds, spec.seed)
    scores = np.full((len(areas), len(sizes), DRAWS), np.nan)
    for a, area in enumerate(areas):
        x = pooled(area)
        random = np.random.default_rng([spec.seed, a])
        for s, n in enumerate(n for n in sizes if n <= x.shape[1]):
            for d in range(DRAWS if n < x.shape[1] else 1):
                units = random.choice(x.shape[1], n, replace=False)
                scores[a, s, d] = method.decode(
                    x[:, units], wanted.values, wanted.task, fold, seed=spec.seed, model=spec.model
                ).score
            report((a + (s + 1) / len(sizes)) / len(areas), f"{n} of the units of {area}")
    return {"drop_score": (("source", "size", "draw"), scores), "size": ("size", sizes)}


def _importance(areas: list[str], pooled: Callable[[str], np.ndarray], wanted: Target) -> dict[str, tuple]:
    """Return for each unit the mean over outputs and stimuli of the absolute SHAP value, w (x − mean)."""
    rows = []
    for area in areas:
        x = pooled(area)
        weights, _ = method.coefficients(x, wanted.values, wanted.task)
        rows.append(np.abs(weights).mean(axis=0) * np.abs(x - x.mean(axis=0)).mean(axis=0))
    most = max(map(len, rows))
    found = np.full((len(rows), most), np.nan)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return {"importance": (("source", "unit"), found)}
