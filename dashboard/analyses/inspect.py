"""How good are the responses of a recording?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.errors import collect_cautions
from dashboard.methods import rdm, reliability, rsa
from dashboard.progress import report
from dashboard.recordings.recording import Recording
from dashboard.specs import InspectSpec

MOST_ROWS, MOST_COLUMNS = 240, 360
"""Most stimuli and units of the heat map; evenly spread ones are shown."""


def inspect(spec: InspectSpec) -> xr.Dataset:
    """Return the responses as a picture, the reliability of every unit and the noise ceilings of the areas.

    Returns
    -------
    xarray.Dataset
        Per area ``n_subjects``, ``n_units``, ``n_repeats``, ``ceiling_lower``, ``ceiling_upper`` (Spearman,
        NaN with one subject); ``heat`` (area, row, column), z-scores over stimuli of the mean responses, NaN
        where an area has fewer units; ``course`` (area, time), the mean response over repeats, stimuli, units
        and subjects, or the mean dissimilarity of RDMs over time, NaN in areas without; per unit
        ``reliability`` (NaN without repeats), ``mean`` and ``std``, with the coordinates ``unit_area`` and
        ``unit_subject``.
    """
    recording = recordings.load(spec.recording)
    units = _units(recording, spec.seed)
    heat, rows = _heat(recording)
    ceilings = np.array([_ceiling(recording, area) for area in recording.areas])
    return xr.Dataset(
        {
            "n_subjects": ("area", [len(recording.subjects[area]) for area in recording.areas]),
            "n_units": ("area", [_count(recording, area) for area in recording.areas]),
            "n_repeats": ("area", [_repeats(recording, area) for area in recording.areas]),
            "ceiling_lower": ("area", ceilings[:, 0]),
            "ceiling_upper": ("area", ceilings[:, 1]),
            "heat": (("area", "row", "column"), heat, {"units": "standard deviations"}),
            "course": (("area", "time"), _courses(recording)),
            **units,
        },
        coords={
            "area": list(recording.areas),
            "row_name": ("row", rows),
            "time": ("time", np.array(recording.times_ms, dtype=np.float64), {"units": "ms"}),
        },
        attrs={
            "title": recording.title,
            "n_stimuli": len(recording.stimulus_names),
            "species": recording.species,
            "signal": recording.signal,
            "pictures": "yes" if _has_pictures(recording) else "no",
            "gratings": "yes" if _has_gratings(recording) else "no",
            "simulated": "yes" if recording.simulated else "no",
        },
    )


def _courses(recording: Recording) -> np.ndarray:
    """Return the mean over all but area and time, (n_areas, n_times)."""
    found = np.full((len(recording.areas), len(recording.times_ms)), np.nan)
    for k, area in enumerate(recording.areas):
        if area in recording.courses:
            found[k] = np.mean([course.mean(axis=(0, 1, 2)) for course in recording.courses[area]], axis=0)
        elif area in recording.movies:
            found[k] = recording.movies[area].mean(axis=(0, 2))
    return found


def _has_pictures(recording: Recording) -> bool:
    return recording.stimuli is not None and recording.stimuli.kind == "image"


def _has_gratings(recording: Recording) -> bool:
    """Tell whether the stimuli are gratings of known parameters, to which units can be called tuned."""
    columns = {} if recording.stimuli is None else recording.stimuli.columns
    return bool(recording.responses) and {"orientation", "spatial_frequency", "phase"} <= set(columns)


def _count(recording: Recording, area: str) -> int:
    """Return the units of all subjects of an area, or as many as are known of one."""
    given = recording.responses.get(area, ())
    return sum(r.shape[-1] for r in given) or int(recording.units.get(area, 0))


def _repeats(recording: Recording, area: str) -> int:
    return max((r.shape[0] if r.ndim == 3 else 1 for r in recording.responses.get(area, ())), default=0)


def _units(recording: Recording, seed: int) -> dict[str, tuple[str, np.ndarray]]:
    """Return reliability, mean and spread of every unit."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("reliability", "mean", "std")}
    areas: list[str] = []
    subjects: list[str] = []
    parts = [
        (area, subject, values)
        for area, given in recording.responses.items()
        for subject, values in zip(recording.subjects[area], given, strict=True)
    ]
    for k, (area, subject, values) in enumerate(parts):
        report(k / len(parts), f"Reliability of {area}, {subject}")
        n = values.shape[-1]
        mean = values.mean(axis=0) if values.ndim == 3 else values
        found["reliability"].append(
            reliability.split_half(values, seed=seed) if values.ndim == 3 else np.full(n, np.nan)
        )
        found["mean"].append(mean.mean(axis=0))
        found["std"].append(mean.std(axis=0))
        areas += [area] * n
        subjects += [subject] * n
    joined = {name: ("unit", np.concatenate(values or [np.empty(0)])) for name, values in found.items()}
    joined["unit_area"] = ("unit", np.array(areas, dtype=object))
    joined["unit_subject"] = ("unit", np.array(subjects, dtype=object))
    return joined


def _heat(recording: Recording) -> tuple[np.ndarray, list[str]]:
    """Return z-scored mean responses of evenly spread stimuli and units, and the names of the rows."""
    names = recording.stimulus_names
    rows = np.unique(np.linspace(0, len(names) - 1, min(len(names), MOST_ROWS)).round().astype(int))
    pictures = []
    for area in recording.areas:
        means = recording.mean_responses(area) if area in recording.responses else ()
        values = np.concatenate(means, axis=1) if means else np.empty((len(names), 0))
        columns = _spread(values.shape[1])
        picked = values[:, columns]
        spread = picked.std(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = np.where(spread > 0, (picked - picked.mean(axis=0)) / spread, 0.0)
        pictures.append(scores[rows])
    width = max((p.shape[1] for p in pictures), default=0)
    heat = np.full((len(recording.areas), len(rows), width), np.nan)
    for i, picture in enumerate(pictures):
        heat[i, :, : picture.shape[1]] = picture
    return heat, [names[i] for i in rows]


def _spread(n: int) -> np.ndarray:
    if n == 0:
        return np.empty(0, dtype=int)
    return np.unique(np.linspace(0, n - 1, min(n, MOST_COLUMNS)).round().astype(int))


def _ceiling(recording: Recording, area: str) -> tuple[float, float]:
    """Return the noise ceiling of an area's RDMs over subjects (Spearman), NaN with fewer than two."""
    if area in recording.rdms:
        rdms = recording.rdms[area]
    else:
        means = [m for m in recording.mean_responses(area) if m.shape[1] > 1]
        if len(means) < 2:
            return float("nan"), float("nan")
        rdms = np.stack([np.asarray(rdm.dissimilarities(m, "correlation")) for m in means])
    if len(rdms) < 2:
        return float("nan"), float("nan")
    with collect_cautions():  # what the Brain page says about them is not said twice
        return rsa.noise_ceiling(rdms, "spearman")
