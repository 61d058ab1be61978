"""What every recording must be before anything is computed from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dashboard.errors import InputError, caution, listing
from dashboard.recordings.recording import Recording
from dashboard.stimuli.sets import clean_names

FEWEST_STIMULI = 2

CONSTANT = 1e-12
"""A pattern is constant when its range over the units is below this part of its largest value."""


def validate(recording: Recording, *, drop_nan_units: bool = False) -> Recording:
    """Check a recording and return it with names in normal form and float64 arrays.

    Parameters
    ----------
    recording : Recording
        As a reader made it.
    drop_nan_units : bool
        Leave out units with missing values, and say which; without it they are refused.

    Raises
    ------
    InputError
        When stimuli are repeated or fewer than two, counts do not fit, values are complex, infinite or
        (unless dropped) missing, or all patterns of a subject are constant.
    """
    names = clean_names(recording.stimulus_names, recording.title)
    if len(names) < FEWEST_STIMULI:
        message = f"{recording.title} has one stimulus, and a dissimilarity needs two."
        raise InputError(message, "Use a recording with more stimuli.")
    _check_stimuli(recording, names)
    responses = {
        area: tuple(
            _responses(values, names, f"{area} of subject {subject}", drop_nan_units)
            for subject, values in zip(_subjects(recording, area, len(given)), given, strict=True)
        )
        for area, given in recording.responses.items()
    }
    courses = _courses(recording, names)
    rdms, movies = {}, _movies(recording, len(names))
    for area, values in recording.rdms.items():
        rdms[area] = _rdms(values, len(names), area)
        _subjects(recording, area, len(rdms[area]))
    for area in recording.areas:
        if area not in rdms and area not in responses:
            message = f"{area} of {recording.title} has neither responses nor RDMs."
            raise InputError(message)
    both = set(recording.areas) & set(recording.behaviour)
    if both:
        message = f"{recording.title} has an area and behaviour of one name: {listing(sorted(both))}."
        raise InputError(message, "Give each a name of its own.")
    return replace(
        recording,
        stimulus_names=names,
        responses=responses,
        courses=courses,
        times_ms=tuple(map(float, recording.times_ms)),
        rdms=rdms,
        movies=movies,
        behaviour={name: _rdms(values, len(names), name) for name, values in recording.behaviour.items()},
        models={name: _rdms(values[None], len(names), name)[0] for name, values in recording.models.items()},
    )


def _check_stimuli(recording: Recording, names: tuple[str, ...]) -> None:
    if recording.stimuli is not None and recording.stimuli.names != names:
        message = f"The pictures of {recording.title} are not named as its {len(names)} stimuli."
        raise InputError(message, "Name both alike, in one order.")


def _subjects(recording: Recording, area: str, n: int) -> tuple[str, ...]:
    subjects = recording.subjects.get(area, ())
    if len(subjects) != n or len(set(subjects)) != n or n == 0:
        message = f"{area} of {recording.title} has data of {n} subjects, but names {len(set(subjects))}."
        raise InputError(message, "Give every subject one name.")
    return subjects


def _responses(values: np.ndarray, names: tuple[str, ...], where: str, drop: bool) -> np.ndarray:
    """Check one subject's responses and return them as float64."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        message = f"The responses in {where} are of type {values.dtype}."
        raise InputError(message, "Give real numbers.")
    if values.ndim not in (2, 3) or values.shape[-2] != len(names) or 0 in values.shape:
        shape = " x ".join(map(str, values.shape)) or "a single number"
        message = f"The responses in {where} have the shape {shape}, for {len(names)} stimuli."
        raise InputError(message, "Give stimuli x units, or repeats x stimuli x units.")
    values = np.ascontiguousarray(values, dtype=np.float64)
    _refuse_infinite(values, where)
    values = _without_missing(values, where, drop)
    _check_constant(values, names, where)
    return values


def _courses(recording: Recording, names: tuple[str, ...]) -> dict[str, tuple[np.ndarray, ...]]:
    """Check responses over time and their times; return them as float64."""
    times = np.asarray(recording.times_ms, dtype=np.float64)
    if len(times) and not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        message = f"The {len(times)} times of {recording.title} do not rise from one to the next."
        raise InputError(message, "Give the middle of each time bin, in order.")
    found = {}
    for area, given in recording.courses.items():
        subjects = _subjects(recording, area, len(given))
        for values, subject in zip(given, subjects, strict=True):
            if values.ndim != 4 or values.shape[1] != len(names) or values.shape[3] != len(times):
                shape = " x ".join(map(str, values.shape))
                message = f"Responses over time in {area} of subject {subject} have the shape {shape}."
                raise InputError(message, "Give repeats x stimuli x units x times.")
            if not np.isfinite(values).all():
                message = (
                    f"Responses over time in {area} of subject {subject} are missing or infinite in places."
                )
                raise InputError(message, "Repair or leave out these units.")
        found[area] = tuple(np.ascontiguousarray(values, dtype=np.float64) for values in given)
    return found


def _movies(recording: Recording, n: int) -> dict[str, np.ndarray]:
    """Check RDMs over time, (n_subjects, n_times, n_pairs) by area; return them as float64."""
    found = {}
    for area, movie in recording.movies.items():
        if movie.ndim != 3 or movie.shape[1] != len(recording.times_ms):
            shape = " x ".join(map(str, movie.shape))
            message = f"The RDMs over time of {area} have the shape {shape}."
            raise InputError(message, "Give subjects x times x pairs.")
        _subjects(recording, area, len(movie))
        flat = _rdms(movie.reshape(-1, movie.shape[2]), n, f"{area} over time")
        found[area] = flat.reshape(movie.shape)
    return found


def _bad_units(bad: np.ndarray) -> tuple[np.ndarray, str]:
    """Return which units hold a bad value: (n_units,) bool, and a phrase that names and counts them."""
    units = np.asarray(bad.reshape(-1, bad.shape[-1]).any(axis=0))
    numbers = np.flatnonzero(units)
    return units, f"{len(numbers)} of {len(units)} units (number {listing(map(str, numbers))})"


def _refuse_infinite(values: np.ndarray, where: str) -> None:
    bad = np.isinf(values)
    if bad.any():
        message = f"The responses in {where} are infinite in {bad.sum()} places, in {_bad_units(bad)[1]}."
        raise InputError(message, "Repair or leave out these units; numbers count from 0.")


def _without_missing(values: np.ndarray, where: str, drop: bool) -> np.ndarray:
    bad = np.isnan(values)
    if not bad.any():
        return values
    units, phrase = _bad_units(bad)
    told = f"{bad.sum()} responses in {where} are missing (NaN), in {phrase}"
    if not drop:
        raise InputError(f"{told}.", "Repair them, or ask for these units to be left out.")
    if units.all():
        raise InputError(f"{told}, so no unit is left.", "Repair the responses.")
    caution("missing-responses", f"{told}; these units are left out.")
    return values[..., ~units]


def _check_constant(values: np.ndarray, names: tuple[str, ...], where: str) -> None:
    """Name stimuli to which every unit gives the same response: their correlation is not defined."""
    patterns = values.mean(axis=0) if values.ndim == 3 else values
    if patterns.shape[1] < 2:
        return  # one unit has no pattern; only distances apply, which need no variance
    spread = np.ptp(patterns, axis=1)
    constant = spread <= CONSTANT * np.maximum(np.abs(patterns).max(axis=1), np.finfo(float).tiny)
    if constant.all():
        message = f"Every stimulus gives the same response in all units in {where}."
        raise InputError(message, "Check that stimuli and units were not mixed up.")
    if constant.any():
        bad = [name for name, flat in zip(names, constant, strict=True) if flat]
        caution(
            "constant-pattern",
            f"{len(bad)} of {len(names)} stimuli give one and the same response in all units in {where}, so "
            f"they have no correlation distance: {listing(bad)}.",
        )


def _rdms(values: np.ndarray, n: int, where: str) -> np.ndarray:
    """Check condensed RDMs and return them as float64: (n_subjects, n_pairs)."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf" or values.ndim != 2 or values.shape[1] != n * (n - 1) // 2:
        shape = " x ".join(map(str, values.shape))
        message = f"The RDMs of {where} have the shape {shape}; {n} stimuli have {n * (n - 1) // 2} pairs."
        raise InputError(message, "Give subjects x pairs of real numbers.")
    values = np.ascontiguousarray(values, dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        message = f"The RDMs of {where} hold {bad.sum()} missing or infinite values."
        raise InputError(message, "Repair them; negative values are allowed, missing ones are not.")
    return values
