"""When can it be read out of an area, and does a decoder of one time work at another?"""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.analyses import decoding
from dashboard.analyses.time_rsa import LEVEL, over_time_of
from dashboard.errors import InputError, caution
from dashboard.methods import clusters, over_time
from dashboard.methods import decoding as method
from dashboard.progress import part, report
from dashboard.specs import TimeDecodingSpec

MOST_VALUES = 40_000_000
"""Scores of all labellings, times trained and times tested that are held."""


def generalisation(spec: TimeDecodingSpec) -> xr.Dataset:
    """Train a decoder at every time and test it at every other, on samples that it did not see.

    Units of all subjects are pooled. Split by stimulus, responses are averaged over repeats and a decoder is
    tested on other stimuli; split by repeat, on other repeats of the same stimuli.

    Returns
    -------
    xarray.Dataset
        ``score``, ``statistic`` (standardised over shuffles, larger is better, at most 0 where the score is
        no better than the best constant answer), ``significant`` (trained, tested), 1 inside clusters with p
        at most .05; ``diagonal_significant`` (trained,), of a cluster test along the diagonal alone;
        ``cluster_size`` (points), ``cluster_mass``, ``cluster_p`` (cluster,).

    Raises
    ------
    InputError
        When the recording has no time or no stimuli, or a setting does not fit.
    """
    report(0.0, f"Opening {spec.recording.partition('?')[0]}")
    recording = recordings.load(spec.recording)
    if recording.stimuli is None:
        message = f"{recording.title} comes without its stimuli, so that nothing is known to decode."
        raise InputError(message, "Choose a recording with stimuli, such as simulated-time.")
    area, courses = over_time_of(recording, spec.area)
    wanted = decoding.target(recording.stimuli, spec.column)
    patterns, fold = samples(courses, wanted, spec)
    patterns, times = over_time.neighbours_averaged(patterns, np.array(recording.times_ms), spec.bins)
    _check(spec, len(times))
    method.check_model(spec.model, wanted.task)
    if len(times) < len(recording.times_ms):
        step = -(-len(recording.times_ms) // spec.bins)
        caution(
            "averaged-bins", f"{step} neighbouring time bins each are averaged, which leaves {len(times)}."
        )
    n = len(wanted.values)
    orders = over_time.label_orders(fold, n, spec.permutations, spec.seed)
    with part(0.05, 0.95):
        scores = over_time.generalised(
            patterns,
            np.tile(wanted.values, len(fold) // n),
            wanted.task,
            fold,
            orders,
            report=lambda done: report(done, "Training at each time, testing at all"),
            model=spec.model,
            seed=spec.seed,
        )
    return _labelled(spec, recording, area, wanted, times, scores, patterns.shape[1])


def _check(spec: TimeDecodingSpec, times: int) -> None:
    clusters.z_threshold(spec.forming)
    if spec.permutations < 19:
        message = f"{spec.permutations} shuffles cannot reach p = .05."
        raise InputError(message, "Use at least 100 permutations.")
    if (spec.permutations + 1) * times**2 > MOST_VALUES:
        message = f"{spec.permutations} shuffles of {times} × {times} times are too many to hold."
        raise InputError(message, "Ask for fewer bins or permutations.")


def samples(
    courses: tuple[np.ndarray, ...], wanted: decoding.Target, spec: TimeDecodingSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Return patterns (n_samples, n_units of all subjects, n_times) and the fold of each sample."""
    n = len(wanted.values)
    if spec.split == "stimulus":
        patterns = np.concatenate([course.mean(axis=0) for course in courses], axis=1)
        labels = wanted.values if wanted.task == "classes" else None
        return patterns, method.folds(labels, n, spec.folds, spec.seed)
    repeats = min(map(len, courses))
    if repeats < 2:
        raise InputError("There are no repeats to split by.", "Split by stimulus.")
    caution(
        "same-stimuli",
        "Split by repeat, decoders are tested on stimuli that they saw in other repeats: what they read "
        "may be "
        "anything that tells these stimuli apart.",
    )
    joined = np.concatenate([course[:repeats] for course in courses], axis=2)
    fold = np.repeat(np.arange(repeats) % min(spec.folds, repeats), n)
    return joined.reshape(repeats * n, *joined.shape[2:]), fold


def _labelled(
    spec: TimeDecodingSpec,
    recording: recordings.Recording,
    area: str,
    wanted: decoding.Target,
    times: np.ndarray,
    scores: np.ndarray,
    n_units: int,
) -> xr.Dataset:
    better = -1.0 if wanted.task == "orientation" else 1.0
    statistic = clusters.standardised(better * scores)
    # A decoder that always says the same beats shuffled ones, which err at random, without knowing anything.
    above = better * (scores - decoding.chance(wanted)) > 0
    statistic = np.where(above, statistic, np.minimum(statistic, 0.0))
    threshold = clusters.z_threshold(spec.forming)
    plane = clusters.test(statistic[:, None], threshold)
    along = np.diagonal(statistic, axis1=1, axis2=2)
    line = clusters.test(np.ascontiguousarray(along)[:, None], threshold)
    significant, diagonal = np.zeros(scores.shape[1:], np.int8), np.zeros(len(times), np.int8)
    for found, test in ((significant, plane), (diagonal, line)):
        for cluster in test.clusters:
            if cluster.p <= LEVEL:
                found[cluster.inside] = 1
    if len(set(np.bincount(wanted.values).tolist()) if wanted.task == "classes" else {0}) > 1:
        caution("unequal-classes", "The classes are not equally frequent: chance is the most frequent one.")
    dims = ("trained", "tested")
    return xr.Dataset(
        {
            "score": (dims, scores[0]),
            "statistic": (dims, statistic[0]),
            "significant": (dims, significant),
            "diagonal_significant": ("trained", diagonal),
            "cluster_size": ("cluster", np.array([c.inside.sum() for c in plane.clusters], dtype=np.int64)),
            "cluster_mass": ("cluster", np.array([c.mass for c in plane.clusters], dtype=np.float64)),
            "cluster_p": ("cluster", np.array([c.p for c in plane.clusters], dtype=np.float64)),
        },
        coords={"trained": ("trained", times, {"units": "ms"}), "tested": ("tested", times, {"units": "ms"})},
        attrs={
            "title": f"{spec.column.capitalize()} read out of {area} over time",
            "recording": spec.recording,
            "recording_title": recording.title,
            "area_name": area,
            "column": wanted.name,
            "task": wanted.task,
            "classes": json.dumps(wanted.classes),
            "chance": decoding.chance(wanted),
            "split": spec.split,
            "model": spec.model,
            "folds": min(spec.folds, min(map(len, recording.over_time(area))))
            if spec.split == "repeat"
            else spec.folds,
            "permutations": spec.permutations,
            "forming": spec.forming,
            "seed": spec.seed,
            "n_units": n_units,
            "n_stimuli": len(wanted.values),
            "simulated": "yes" if recording.simulated else "no",
            "device": "cpu",
        },
    )
