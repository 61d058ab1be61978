"""A first guess of the recipe from names, shapes and dimensions; a person confirms or corrects it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from dashboard.errors import InputError
from dashboard.recordings.readers import volumes
from dashboard.recordings.readers.source import OVER_TIME, Array, Source
from dashboard.recordings.readers.tables import ALL_NUMBERS
from dashboard.recordings.recipe import Axis, Recipe, TimeUnit

_STIMULI = re.compile(
    r"stim|image|picture|pict|item|condition|cond|object|name|file|label|concept|trial_type|id$", re.I
)
_UNITS = re.compile(r"unit|neuron|neuroid|voxel|channel|cell|roi$|electrode|sensor|presentation id", re.I)
_AXES: tuple[tuple[Axis, re.Pattern[str]], ...] = (
    ("repeat", re.compile(r"rep|run$|session", re.I)),
    ("subject", re.compile(r"subj|participant|monkey|animal|mouse|rdm$", re.I)),
    ("time", re.compile(r"time|^t$|bin|sample|frame", re.I)),
    ("stimulus", re.compile(r"stim|trial|presentation|image|picture|item|condition|obs|row|object", re.I)),
    ("unit", re.compile(r"unit|neuron|neuroid|voxel|channel|cell|roi|electrode|column|sensor|feature", re.I)),
)
_AREAS = re.compile(r"area|region|roi|location|brain", re.I)
_SUBJECTS = re.compile(r"subj|participant|monkey|animal|mouse|sub$", re.I)
_TRIAL = re.compile(r"^onset$|^duration$|response_time|^run$", re.I)
_REPEATS = re.compile(r"^rep|repeat|repetition|^trial$", re.I)
_VALUES = re.compile(r"resp|value|rate|activ|beta|spike|fr$|signal|dff|measure", re.I)
_RDMS = re.compile(r"rdm|rsm|dissim|distance", re.I)
_TIME = re.compile(r"time|^t$|latenc|_ms$", re.I)
_MS, _S = re.compile(r"_ms$|\(ms\)|millisec|msec", re.I), re.compile(r"_s$|\(s\)|_sec|seconds", re.I)
SECONDS_BELOW = 20.0
"""Times that span less than this are taken for seconds."""
_BESIDE = re.compile(r"xyz|pos|coord|std|sem|pval|index|time|start|stop|electrode", re.I)


def guess(source: Source) -> Recipe:
    """Return a recipe that fits the arrays as far as their names and shapes tell."""
    decimal = "," if source.facts.get("decimal") == "," else "."
    recipe = _images(source) or _long(source) or _rdms(source) or _responses(source)
    return _replaced(recipe, decimal=decimal)


def _replaced(recipe: Recipe, **changes: object) -> Recipe:
    import dataclasses

    return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


def _numbers(source: Source) -> list[Array]:
    return [a for a in source.arrays if a.kind == "number"]


def _columns(source: Source) -> list[Array]:
    """Return the arrays that can hold a name per place: texts, and numbers in one row."""
    return [a for a in source.arrays if len(a.shape) == 1 and a.kind in ("text", "number")]


def _base(array: Array) -> str:
    """Return the last part of the name of an array, which says most."""
    return re.split(r"[/.]|: ", array.name)[-1]


def _first(arrays: Iterable[Array], pattern: re.Pattern[str]) -> str:
    return next((a.name for a in arrays if pattern.search(_base(a))), "")


def _names(source: Source, lengths: Iterable[int]) -> Array | None:
    """Return the array that most likely names the stimuli: of a fitting length, telling names first."""
    wanted = set(lengths)
    fitting = [a for a in _columns(source) if a.shape[0] in wanted and not _AREAS.search(a.name)]

    def rank(a: Array) -> tuple[bool, bool]:
        return (not _STIMULI.search(_base(a)), a.kind != "text")

    found = sorted(fitting, key=rank)
    if not found or (found[0].kind != "text" and not _STIMULI.search(found[0].name)):
        return None
    return found[0]


def _images(source: Source) -> Recipe | None:
    """Guess from brain images: their volumes are stimuli or trials, and a table beside them names these."""
    mains = [a for a in source.arrays if a.dims == ("volume", "voxel")]
    if not mains:
        return None
    others = tuple(f" of {a.name}" for a in mains[1:])
    columns = [
        a for a in _columns(source) if a.name != volumes.AREA and not a.name.endswith(others or ("\0",))
    ]
    subject = _first(columns, _SUBJECTS) if len(mains) == 1 else ""
    told = [a for a in columns if a.kind == "text" and a.name not in (volumes.RUN, subject)]
    told.sort(key=lambda a: (a.name == volumes.FILE, not _STIMULI.search(a.name), a.name == "trial_type"))
    names = told[0].name if told else ""
    return Recipe(
        values=tuple(a.name for a in mains),
        axes=("stimulus", "unit"),
        each="subject" if len(mains) > 1 else "area",
        names=names,
        area=volumes.AREA if volumes.AREA in {a.name for a in source.arrays} else "",
        subject=subject,
        columns=tuple(
            a.name
            for a in columns
            if a.name not in (names, subject, volumes.RUN, volumes.FILE)
            and not _TRIAL.search(a.name)
            and _of_the_stimulus(source, a.name, names)
        )[:20],
    )


def _of_the_stimulus(source: Source, column: str, names: str) -> bool:
    """Tell whether a column says the same of every row with one name."""
    if not names:
        return True
    rows = zip(source.read(names, {"text": True}), source.read(column, {"text": True}), strict=True)
    said: dict[str, str] = {}
    return all(said.setdefault(name, value) == value for name, value in rows)


def _long(source: Source) -> Recipe | None:
    """Guess a long table: columns for stimulus, unit and value and no wide block of numbers."""
    columns = _columns(source)
    if not source.format.startswith(("CSV", "Parquet")):
        return None
    texts = [a for a in columns if a.kind == "text"]
    stimuli = [a for a in texts or columns if not _SUBJECTS.search(a.name)]
    unit, names = _first(columns, _UNITS), _first(stimuli, _STIMULI)
    numbers = [a for a in columns if a.kind == "number" and a.name not in (unit, names)]
    time = _first(numbers, _TIME)
    value = _first([a for a in numbers if a.name != time], _VALUES)
    if not (unit and names and value) or unit == names or len(numbers) > 4:
        return _wide(source, columns, names, time)
    return Recipe(
        values=(value,),
        axes=("row",),
        names=names,
        unit=unit,
        subject=_first(columns, _SUBJECTS),
        area=_first(texts, _AREAS),
        repeat=_first(columns, _REPEATS),
        **_timed(source, time),
    )


def _wide(source: Source, columns: list[Array], names: str, time: str) -> Recipe | None:
    """Guess a table with a column per unit and a row per stimulus and time: times that come again."""
    joined = next((a for a in source.arrays if a.name == ALL_NUMBERS), None)
    if not (names and time and joined) or names == time:
        return None
    told = _values(source, time)
    if not 1 < len(np.unique(told)) <= len(told) / 2:
        return None
    return Recipe(
        values=(ALL_NUMBERS,),
        axes=("stimulus", "unit"),
        names=names,
        subject=_first(columns, _SUBJECTS),
        repeat=_first(columns, _REPEATS),
        **_timed(source, time),
    )


def _timed(source: Source, time: str) -> dict[str, Any]:
    """Return what a recipe says of a column of times."""
    if not time:
        return {}
    return {"time": time, "course": "keep", "time_unit": _unit_of(source, source.array(time))}


def _unit_of(source: Source, times: Array) -> TimeUnit:
    """Return the unit of times: as their name says, else by what they span."""
    base = _base(times)
    if _MS.search(base):
        return "ms"
    return "s" if _S.search(base) or _seconds(source, times) else "ms"


def _rdms(source: Source) -> Recipe | None:
    """Guess RDMs: square or condensed arrays that are called so, or square ones with fitting names."""
    for array in _numbers(source):
        axes = _rdm_axes(array)
        if not axes or not _RDMS.search(_base(array)):
            continue
        n = (
            array.shape[axes.index("stimulus")]
            if "stimulus" in axes
            else _side(array.shape[axes.index("pair")])
        )
        names = _names(source, [n])
        axes, times = _over_time(source, array, axes)
        k = math.prod(s for s, axis in zip(array.shape, axes, strict=True) if axis == "subject")
        subjects = [a for a in _columns(source) if a.kind == "text" and a.shape[0] == k and a != names]
        return Recipe(
            form="rdms",
            values=(array.name,),
            axes=axes,
            names=names.name if names else "",
            subject=_first(subjects, _SUBJECTS) or (subjects[0].name if subjects and k > 1 else ""),
            metric=source.facts.get("dissimilarity_measure", ""),
            course="keep" if "time" in axes else "average",
            times=times.name if times else "",
            time_unit=_unit_of(source, times) if times else "ms",
        )
    return None


def _over_time(source: Source, array: Array, axes: tuple[Axis, ...]) -> tuple[tuple[Axis, ...], Array | None]:
    """Tell which axis of RDMs counts time: named so, as long as an array of times, or the longer of two."""
    free = [i for i, axis in enumerate(axes) if axis == "subject"]
    named = [i for i in free if array.dims and by_name(array.dims[i]) == "time"]
    vectors = [a for a in _columns(source) if a.kind == "number" and _TIME.search(_base(a))]
    fitting = [i for i in free if any(a.shape[0] == array.shape[i] for a in vectors)]
    chosen = named or fitting or (sorted(free, key=lambda i: -array.shape[i]) if len(free) > 1 else [])
    if not chosen:
        return axes, None
    place = chosen[0]
    found: tuple[Axis, ...] = tuple("time" if i == place else axis for i, axis in enumerate(axes))
    return found, next((a for a in vectors if a.shape[0] == array.shape[place]), None)


def _rdm_axes(array: Array) -> tuple[Axis, ...]:
    shape = array.shape
    for first in range(len(shape) - 1, 0, -1):
        if shape[first] == shape[first - 1] and shape[first] > 2:
            return tuple("stimulus" if i in (first, first - 1) else "subject" for i in range(len(shape)))
    if shape and 1 <= len(shape) <= 2 and _side(shape[-1]) > 3:
        return ("pair",) if len(shape) == 1 else ("subject", "pair")
    return ()


def _side(pairs: int) -> int:
    n = int((1 + math.sqrt(1 + 8 * pairs)) / 2)
    return n if n * (n - 1) // 2 == pairs else 0


def _responses(source: Source) -> Recipe:
    numbers = [
        a
        for a in _numbers(source)
        if len(a.shape) >= 2 and min(a.shape) > 0 and not a.name.endswith(OVER_TIME)
    ]
    if not numbers:
        return Recipe()

    def rank(a: Array) -> tuple[bool, bool, bool, int]:
        base = _base(a)
        wide = a.name == ALL_NUMBERS or a.dims[:1] == ("presentation",)
        return (
            bool(_BESIDE.search(base)) and not wide,
            not _VALUES.search(base),
            not wide,
            -math.prod(a.shape),
        )

    main = sorted(numbers, key=rank)[0]
    names = _names(source, main.shape)
    axes = _axes(main, names)
    n = main.shape[axes.index("stimulus")] if "stimulus" in axes else 0
    units = math.prod(s for s, axis in zip(main.shape, axes, strict=True) if axis == "unit")
    texts = [a for a in _columns(source) if a.kind == "text" and a != names]
    per_unit = [a for a in texts if a.shape[0] == units != n]
    subjects = [a for a in texts if a.shape[0] in (units, n)]
    times = _times(source, main, axes)
    others = _alike(numbers, main, n) if names and main.name != ALL_NUMBERS and not main.dims else []
    return Recipe(
        values=tuple(a.name for a in source.arrays if a.name in (main.name, *others)),
        axes=axes,
        names=names.name if names else "",
        course="keep" if "time" in axes else "average",
        times=times.name if times else "",
        time_unit=_unit_of(source, times) if times else "ms",
        area="" if others else _first(per_unit, _AREAS),
        subject="" if others else _first(subjects, _SUBJECTS),
        columns=tuple(
            a.name
            for a in _columns(source)
            if a.shape[0] == n and a not in (names, times) and a.name not in (_first(subjects, _SUBJECTS),)
        )[:20]
        if main.name != ALL_NUMBERS
        else (),
    )


def _times(source: Source, main: Array, axes: tuple[Axis, ...]) -> Array | None:
    """Return the array with the time of each sample: numbers, as many as samples, called a time."""
    if "time" not in axes:
        return None
    n = main.shape[axes.index("time")]
    fitting = (a for a in _columns(source) if a.kind == "number" and a.shape[0] == n)
    return next((a for a in fitting if _TIME.search(_base(a))), None)


def _seconds(source: Source, times: Array) -> bool:
    """Tell whether times are seconds: no stimulus is followed for less than 20 ms."""
    values = _values(source, times.name)
    return bool(np.ptp(values) < SECONDS_BELOW) if values.size else False


def _values(source: Source, name: str) -> np.ndarray:
    """Return an array as numbers; none where it cannot be read, which is told when it is used."""
    try:
        return np.asarray(source.read(name, {}), dtype=np.float64)
    except InputError:
        return np.empty(0)


def _alike(numbers: list[Array], main: Array, n: int) -> list[str]:
    """Return the other arrays that hold responses to the same stimuli on the same axis."""
    if len(main.shape) != 2:
        return []
    place = main.shape.index(n) if n in main.shape else 0
    return [
        a.name
        for a in numbers
        if a != main
        and len(a.shape) == 2
        and a.shape[place] == n
        and a.shape[1 - place] > 3
        and not _BESIDE.search(_base(a))
    ][:20]


def _axes(main: Array, names: Array | None) -> tuple[Axis, ...]:
    """Guess what each axis counts: by the file's own names, then by the number of names, then by size."""
    axes: list[Axis | None] = [by_name(dim) for dim in main.dims] or [None] * len(main.shape)
    if axes.count("stimulus") > 1:
        axes = [None if axis == "stimulus" else axis for axis in axes]
    if "stimulus" not in axes:
        n = names.shape[0] if names else -1
        free = [i for i, axis in enumerate(axes) if axis is None]
        places = [i for i in free if main.shape[i] == n] or free[:1]
        for i in places[:1]:
            axes[i] = "stimulus"
    rest = sorted((i for i, axis in enumerate(axes) if axis is None), key=lambda i: main.shape[i])
    if "unit" not in axes and rest:
        axes[rest.pop()] = "unit"
    for i in rest:
        axes[i] = "repeat" if "repeat" not in axes else "unit"
    return tuple(axis or "unit" for axis in axes)


def by_name(dim: str) -> Axis | None:
    """Return what an axis of this name counts, or None."""
    return next((axis for axis, pattern in _AXES if pattern.search(dim)), None)
