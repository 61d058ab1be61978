"""Arrays and a recipe become responses or RDMs by area and subject; nothing is dropped or matched unsaid."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.errors import InputError, caution, collect_cautions, listing
from dashboard.recordings import moments
from dashboard.recordings.readers.source import OVER_TIME, TIMES_OF, Source, check_size, shown
from dashboard.recordings.recipe import Recipe
from dashboard.stimuli.sets import clean_name, natural

ONE_SUBJECT = "subject 1"
FEWEST = 3
"""Stimuli that a comparison of RDMs needs at the least."""

FEW = 10
NOT_AVAILABLE = "n/a"
"""What stands in BIDS tables where nothing is known."""

MOSTLY = 0.5
"""Share of responses without a row from which on the times of a table do not fit each other."""

SYMMETRY = 1e-8
"""Relative difference between the two halves of an RDM that is taken for rounding."""


@dataclass(frozen=True, eq=False)
class Block:
    """Responses of one area of one subject.

    Attributes
    ----------
    values : np.ndarray
        (n_repeats, n_stimuli, n_units, n_times) float64; one repeat where there are none, one time where the
        course over time is not kept.
    names : tuple of str
        (n_stimuli,) unique.
    """

    area: str
    subject: str
    values: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a recording is made of.

    Attributes
    ----------
    names : tuple of str
        (n_stimuli,) unique.
    responses : dict
        By area and subject: (n_repeats, n_stimuli, n_units) or (n_stimuli, n_units) float64.
    surplus : dict
        By area and subject: (n_more, n_stimuli, n_units) repeats beyond those that all stimuli have, NaN for
        stimuli without; only where there are any.
    courses : dict
        By area and subject: (n_repeats, n_stimuli, n_units, n_times) float64 where the course is kept.
    times_ms : tuple of float
        (n_times,) of the courses or movies.
    rdms : dict
        By area and subject: (n_pairs,) float64.
    movies : dict
        By area and subject: (n_times, n_pairs) float64 where RDMs are given over time.
    columns : dict
        Facts about the stimuli by name: (n_stimuli,).
    by_position : bool
        Whether nothing told the names.
    """

    names: tuple[str, ...]
    responses: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    surplus: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    courses: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    times_ms: tuple[float, ...] = ()
    rdms: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    movies: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    by_position: bool = False


def assemble(source: Source, recipe: Recipe) -> Parts:
    """Build the parts of a recording.

    Parameters
    ----------
    source : Source
        The opened files.
    recipe : Recipe
        What their arrays are.

    Raises
    ------
    InputError
        When an answer is missing or does not fit the arrays, or values cannot be used; it names which.
    """
    if not recipe.values:
        message = "No array of numbers with stimuli and units, and no RDM, was found or chosen."
        raise InputError(message, "Choose the array with the responses or RDMs.")
    parts = _rdm_parts(source, recipe) if recipe.form == "rdms" else _response_parts(source, recipe)
    n = len(parts.names)
    if n < FEWEST:
        message = f"There are {n} stimuli; a comparison needs at least {FEWEST}."
        raise InputError(message, "Check which axis counts the stimuli.")
    if n < FEW:
        caution("few-stimuli", f"With {n} stimuli there are {n * (n - 1) // 2} pairs: any result is coarse.")
    return parts


# --- reading ---------------------------------------------------------------------------------------


def _numbers(source: Source, name: str, recipe: Recipe) -> np.ndarray:
    """Read an array as float64; refuse texts and complex numbers."""
    kind = source.array(name).kind
    if kind == "complex":
        message = f'"{shown(name)}" holds complex numbers.'
        raise InputError(message, "Save their absolute values or real parts, whichever is meant.")
    if kind != "number":
        message = f'"{shown(name)}" holds {"texts" if kind == "text" else "no plain numbers"}.'
        raise InputError(message, "Choose an array of numbers.")
    values = source.read(name, _options(recipe))
    if values.dtype.kind not in "biuf":
        raise InputError(f'"{shown(name)}" holds no plain numbers.', "Choose an array of numbers.")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float64)


def _labels(source: Source, name: str, recipe: Recipe) -> list[str]:
    """Read an array as names, in normal form; whole numbers are written without a decimal point."""
    source.array(name)
    values = np.asarray(source.read(name, {**_options(recipe), "text": True})).ravel()
    if values.dtype.kind == "f":
        return [f"{v:.10g}" for v in values]
    return [clean_name(str(v)) for v in values.tolist()]


def _options(recipe: Recipe) -> dict[str, object]:
    used = (recipe.names, recipe.time, recipe.repeat, recipe.subject) if recipe.time else ()
    return {
        "start": recipe.start,
        "stop": recipe.stop,
        "decimal": recipe.decimal,
        "bin_ms": recipe.bin_ms,
        "without": used,
        "grid": recipe.grid,
    }


def _check_axes(values: np.ndarray, name: str, recipe: Recipe) -> None:
    if values.ndim != len(recipe.axes):
        shape = " × ".join(map(str, values.shape)) or "1"
        message = f'"{shown(name)}" has {values.ndim} axes ({shape}), and {len(recipe.axes)} are described.'
        raise InputError(message, "Say what each axis counts.")


# --- responses -------------------------------------------------------------------------------------


def _response_parts(source: Source, recipe: Recipe) -> Parts:
    if "row" in recipe.axes or recipe.time:
        blocks, times = _table(source, recipe)
    else:
        blocks = [b for name in recipe.values for b in _blocks(source, name, recipe)]
        times = _times(source, recipe)
        blocks, times = _binned(blocks, times, recipe)
    columns = _columns(source, recipe)
    blocks = [_decided(block, recipe) for block in blocks]
    names = _common_names(blocks)
    if not names:
        message = "No stimulus has responses of every subject in every area."
        raise InputError(message, "Say which column names the areas and the subjects.")
    responses: dict[str, dict[str, np.ndarray]] = {}
    courses: dict[str, dict[str, np.ndarray]] = {}
    surplus: dict[str, dict[str, np.ndarray]] = {}
    for block in blocks:
        places = {name: i for i, name in enumerate(block.names)}
        course, more = _split(block.values[:, [places[name] for name in names]], block)
        values = course.mean(axis=-1)
        if more is not None:
            surplus.setdefault(block.area, {})[block.subject] = more
        if times:
            courses.setdefault(block.area, {})[block.subject] = course
        subjects = responses.setdefault(block.area, {})
        if block.subject in subjects:
            message = f'There are two sets of responses for {block.area} of "{block.subject}".'
            raise InputError(message, "Say whether several arrays are areas or subjects.")
        subjects[block.subject] = values[0] if len(values) == 1 else values
    _tell_constant(responses, recipe)
    kept = {name: _of_names(source, recipe, values, names) for name, values in columns.items()}
    return Parts(
        names=names,
        responses=responses,
        surplus=surplus,
        courses=courses,
        times_ms=times,
        columns=kept,
        by_position=not recipe.names,
    )


def _split(values: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray | None]:
    """Part the repeats that all stimuli have from those that some have more, averaged over time.

    Repeats that lack are NaN and the last ones: see `_in_order`.
    """
    counts = (~np.isnan(values).all(axis=(2, 3))).sum(axis=0)
    least, most = int(counts.min()), int(counts.max())
    if least == most:
        return values, None
    told = f"Stimuli in {block.area} of {block.subject} have {least} to {most} repeats"
    if least == 1:
        caution("single-trials", f"{told}, so all are averaged: there are no repeats for a reliability.")
        return np.nanmean(values, axis=0, keepdims=True), None
    caution(
        "unequal-repeats",
        f"{told}: means and crossnobis use all of them, reliabilities and time courses the first {least}.",
    )
    return values[:least], values[least:].mean(axis=-1)


def _binned(
    blocks: list[Block], times: tuple[float, ...], recipe: Recipe
) -> tuple[list[Block], tuple[float, ...]]:
    """Average samples over time bins, unless the reader made these bins already."""
    if times:
        _check_times({block.values.shape[-1] for block in blocks}, times)
    if not times or not recipe.bin_ms or recipe.values[0].endswith(OVER_TIME):
        return blocks, times
    told = np.array(times)
    found = [
        dataclasses.replace(block, values=moments.averaged(block.values, told, recipe.bin_ms)[0])
        for block in blocks
    ]
    return found, tuple(map(float, moments.averaged(told, told, recipe.bin_ms)[1]))


def _blocks(source: Source, name: str, recipe: Recipe) -> list[Block]:
    """Return the blocks of one array: split by subjects and areas, rows gathered by name."""
    values = _numbers(source, name, recipe)
    _check_axes(values, name, recipe)
    cube = _cube(_window(values, recipe, name), recipe, name)
    rows = _row_names(source, recipe, cube.shape[2], cube.shape[3], name)
    several = len(recipe.values) > 1
    area = name if several and recipe.each == "area" else recipe.area_name
    subject = name if several and recipe.each == "subject" else ""
    areas = _per(source, recipe.area, recipe, cube.shape[3], "area", name)
    blocks = []
    for label, part, row_names in _by_subject(source, recipe, cube, rows, subject, name):
        for place, units in _groups(areas, cube.shape[3], area):
            picked = part[:, :, units] if part.shape[2] == cube.shape[3] else part
            blocks.append(Block(_tidy(place), _tidy(label), *_gathered(picked, row_names, recipe)))
    return blocks


def _tidy(name: str) -> str:
    return shown(name.rpartition(": ")[2] or name, 60)


def _check_times(found: set[int], times: tuple[float, ...]) -> None:
    if found != {len(times)}:
        message = f"There are {' and '.join(map(str, sorted(found)))} samples for {len(times)} times."
        raise InputError(message, "Choose arrays with the same times.")


def _window(values: np.ndarray, recipe: Recipe, name: str) -> np.ndarray:
    """Move the time axis, if there is one, to the end, and average it over the window unless it is kept."""
    if "time" not in recipe.axes:
        return values[..., None]
    axis = recipe.axes.index("time")
    n = values.shape[axis]
    start, stop = (0, n) if name.endswith(OVER_TIME) else _ends(recipe, n, name)
    inside = np.moveaxis(values, axis, -1)[..., start:stop]
    told = f"averaged over samples {start} to {stop - 1} of {n}"
    if recipe.course == "keep":
        caution("time-averaged", f"Questions that are not about time use responses {told}.")
        return inside
    caution("time-averaged", f"Responses are {told}.")
    return inside.mean(axis=-1, keepdims=True)


def _ends(recipe: Recipe, n: int, name: str) -> tuple[int, int]:
    """Return the window in samples."""
    start = 0 if recipe.start is None else int(recipe.start)
    stop = n if recipe.stop is None else int(recipe.stop)
    if not 0 <= start < stop <= n:
        message = f'The window from {start} to {stop} lies outside the {n} samples of "{shown(name)}".'
        raise InputError(message, "Give a start and an end between them.")
    return start, stop


def _times(source: Source, recipe: Recipe) -> tuple[float, ...]:
    """Return the times of the window in milliseconds; empty where no course over time is kept."""
    if recipe.course != "keep" or "time" not in recipe.axes:
        return ()
    name = recipe.values[0]
    if name.endswith(OVER_TIME):
        return tuple(float(t) * 1000 for t in _numbers(source, TIMES_OF + name, recipe))
    n = source.array(name).shape[recipe.axes.index("time")]
    start, stop = _ends(recipe, n, name)
    if not recipe.times:
        caution(
            "times-by-number",
            "Nothing tells the times of the samples: they are numbered from 0, so latencies are in samples.",
        )
        return tuple(map(float, range(start, stop)))
    times = _numbers(source, recipe.times, recipe)
    if times.shape != (n,):
        message = f'"{shown(recipe.times)}" holds {times.size} times for {n} samples of "{shown(name)}".'
        raise InputError(message, "Choose the array with one time per sample.")
    if not (np.diff(times) > 0).all():
        message = f'The times in "{shown(recipe.times)}" do not rise from one to the next.'
        raise InputError(message, "Put the samples in order of time.")
    scale = 1000.0 if recipe.time_unit == "s" else 1.0
    return tuple(float(t) * scale for t in times[start:stop])


def _cube(values: np.ndarray, recipe: Recipe, name: str) -> np.ndarray:
    """Return (n_subjects, n_repeats, n_rows, n_units, n_times); axes that are missing have length 1."""
    axes = [axis for axis in recipe.axes if axis != "time"]
    wrong = [axis for axis in axes if axis in ("pair", "row")]
    counts = Counter(axes)
    if wrong or counts["stimulus"] != 1 or counts["repeat"] > 1 or counts["subject"] > 1:
        message = f'The axes of "{shown(name)}" are described as {", ".join(axes) or "nothing"}.'
        raise InputError(
            message, "Responses need one axis of stimuli, and at most one of repeats and of subjects."
        )
    order = {"subject": 0, "repeat": 1, "stimulus": 2, "unit": 3}
    places = sorted(range(len(axes)), key=lambda i: order[axes[i]])
    values = values.transpose(*places, len(axes))  # time is last already
    for axis, kind in enumerate(("subject", "repeat")):
        if kind not in axes:
            values = np.expand_dims(values, axis)
    if 0 in values.shape:
        raise InputError(f'"{shown(name)}" is empty.', "Choose an array with numbers.")
    return values.reshape(*values.shape[:3], -1, values.shape[-1])


def _row_names(source: Source, recipe: Recipe, rows: int, units: int, name: str) -> list[str]:
    if not recipe.names:
        caution(
            "names-by-position",
            f"Nothing tells the names of the {rows} stimuli: they are taken by position, and a wrong order "
            "of the pictures would not be noticed.",
        )
        return [f"stimulus {i:0{len(str(rows))}d}" for i in range(1, rows + 1)]
    found = _labels(source, source.partner(recipe.names, name), recipe)
    if len(found) != rows:
        message = f'"{shown(recipe.names)}" holds {len(found)} names for {rows} stimuli of "{shown(name)}".'
        remedy = "Choose other names or another axis of stimuli."
        if len(found) == units:
            remedy = "They fit the other axis: the data may be transposed, so change what the axes count."
        raise InputError(message, remedy)
    empty = [i for i, label in enumerate(found, 1) if not label]
    if empty:
        message = f'"{shown(recipe.names)}" has no name at {listing(map(str, empty))}.'
        raise InputError(message, "Give every row a name.")
    _refuse_zeros(found, recipe)
    return found


def _refuse_zeros(names: Sequence[str], recipe: Recipe) -> None:
    """Refuse names that differ only by leading zeros or case: most programs take them for the same."""
    by_key: dict[str, set[str]] = {}
    for name in set(names):
        key = name.casefold().lstrip("0") if name.isdigit() else name.casefold()
        by_key.setdefault(key, set()).add(name)
    twins = [sorted(group) for group in by_key.values() if len(group) > 1]
    if twins:
        message = (
            f'"{shown(recipe.names)}" holds names that differ only by zeros or case: {listing(twins[0])}.'
        )
        raise InputError(message, "Give every stimulus one spelling.")


def _per(source: Source, label: str, recipe: Recipe, n: int, what: str, name: str) -> list[str] | None:
    """Return one text per unit from an array, or None when there is none."""
    if not label:
        return None
    found = _labels(source, source.partner(label, name), recipe)
    if len(found) != n:
        message = f'"{shown(label)}" names {len(found)} {what}s for {n} units of "{shown(name)}".'
        raise InputError(message, f"Choose the array with the {what} of each unit.")
    return found


def _groups(labels: Sequence[str] | None, n: int, whole: str) -> list[tuple[str, np.ndarray]]:
    """Return places by label in the order of first appearance; all of them where there are no labels."""
    if labels is None:
        return [(whole, np.arange(n))]
    array = np.array(labels, dtype=object)
    return [(label or "(no name)", np.flatnonzero(array == label)) for label in dict.fromkeys(labels)]


def _by_subject(
    source: Source, recipe: Recipe, cube: np.ndarray, rows: list[str], subject: str, name: str
) -> list[tuple[str, np.ndarray, list[str]]]:
    """Split (subject, repeat, row, unit, time) by the subject axis, else by subject of row or unit."""
    n = cube.shape[0]
    labels = _labels(source, source.partner(recipe.subject, name), recipe) if recipe.subject else None
    if n > 1 or "subject" in recipe.axes:
        if labels is not None and (len(labels) != n or len(set(labels)) != n):
            message = f'"{shown(recipe.subject)}" holds {len(set(labels))} names for {n} subjects.'
            raise InputError(message, "Choose the array with one name per subject.")
        named = labels or [f"subject {i}" for i in range(1, n + 1)]
        return [(label, cube[i], rows) for i, label in enumerate(named)]
    if labels is None:
        return [(subject or ONE_SUBJECT, cube[0], rows)]
    if len(labels) == cube.shape[2]:
        return [
            (label, cube[0][:, places], [rows[i] for i in places])
            for label, places in _groups(labels, len(labels), "")
        ]
    if len(labels) == cube.shape[3] and not recipe.area:
        return [(label, cube[0][:, :, places], rows) for label, places in _groups(labels, len(labels), "")]
    message = (
        f'"{shown(recipe.subject)}" holds {len(labels)} names, which fit neither the rows nor the units.'
    )
    raise InputError(message, "Choose the array with the subject of each row or unit.")


def _gathered(values: np.ndarray, rows: Sequence[str], recipe: Recipe) -> tuple[np.ndarray, tuple[str, ...]]:
    """Gather the rows of one name as repeats.

    Parameters
    ----------
    values : np.ndarray
        (n_repeats, n_rows, n_units, n_times)
    rows : sequence of str
        (n_rows,)

    Returns
    -------
    values (n_repeats, n_stimuli, n_units, n_times) and the unique names.
    """
    named = _named_rows(rows, recipe)
    places: dict[str, list[int]] = {}
    for i in named:
        places.setdefault(rows[i], []).append(i)
    counts = {name: len(found) for name, found in places.items()}
    if max(counts.values()) == 1:
        return values[:, named], tuple(places)
    if recipe.repeats == "refuse":
        twice = [name for name, count in counts.items() if count > 1]
        message = f"{len(twice)} names come several times, such as {listing(map(shown, twice))}."
        raise InputError(message, "Say that rows of one name are repeats, or average them.")
    return _joined_rows(values, places, recipe), tuple(places)


def _named_rows(rows: Sequence[str], recipe: Recipe) -> list[int]:
    """Return the rows that name a stimulus; BIDS tables call the others "n/a", and they are told."""
    kept = [i for i, name in enumerate(rows) if name != NOT_AVAILABLE]
    if len(kept) == len(rows):
        return kept
    told = f'{len(rows) - len(kept)} of {len(rows)} rows of "{shown(recipe.names)}" are {NOT_AVAILABLE}'
    if recipe.missing != "drop-stimuli" or not kept:
        message = f"{told}, which names no stimulus."
        raise InputError(message, "Name them, or choose to leave out stimuli with missing values.")
    caution("rows-without-name", f"{told} and are left out.")
    return kept


def _joined_rows(values: np.ndarray, places: Mapping[str, list[int]], recipe: Recipe) -> np.ndarray:
    counts = [len(found) for found in places.values()]
    if recipe.repeats == "mean" or min(counts) * len(values) == 1:
        if recipe.repeats != "mean":
            once = sum(count == 1 for count in counts)
            caution(
                "single-trials",
                f"{once} stimuli were shown once only, so all rows of one name are averaged: there are no "
                "repeats for a reliability.",
            )
        means = [values[:, found].mean(axis=(0, 1)) for found in places.values()]
        return np.stack(means)[None]
    least = min(counts)
    surplus = sum(counts) - least * len(counts)
    if surplus and recipe.repeats != "all":
        caution(
            "unequal-repeats",
            f"Stimuli have {least} to {max(counts)} repeats: the first {least} of each are kept and "
            f"{surplus} rows are left out.",
        )
    if recipe.repeats == "all":
        n_repeats, _, *rest = values.shape
        cube = np.full((n_repeats * max(counts), len(counts), *rest), np.nan)
        for k, found in enumerate(places.values()):
            cube[: n_repeats * len(found), k] = values[:, found].reshape(-1, *rest)
        return cube
    picked = np.array([found[:least] for found in places.values()])  # (n_stimuli, least)
    cube = values[:, picked.T]  # (n_repeats, least, n_stimuli, n_units, n_times)
    return cube.reshape(-1, *cube.shape[2:])


def _table(source: Source, recipe: Recipe) -> tuple[list[Block], tuple[float, ...]]:
    """Build blocks from a table: long, with a number per row, or with a time per row and a column per unit.

    Returns the times in milliseconds, too, where the course over time is kept.
    """
    long = "row" in recipe.axes
    _check_table(recipe, long)
    values = _numbers(source, recipe.values[0], recipe)
    _check_axes(values, recipe.values[0], recipe)
    if not long and recipe.axes.index("stimulus") == 1:
        values = values.T
    n = len(values)
    keys = {"stimulus": recipe.names, "subject": recipe.subject, "repeat": recipe.repeat}
    keys |= {"unit": recipe.unit, "area": recipe.area} if long else {}
    found = {key: _labels(source, column, recipe) for key, column in keys.items() if column}
    for key, labels in found.items():
        if len(labels) != n:
            message = f'"{shown(keys[key])}" has {len(labels)} entries for {n} rows.'
            raise InputError(message, "Choose a column of the same table.")
    _refuse_zeros(found["stimulus"], recipe)
    when = _moments(source, recipe, n)
    subjects, areas = found.get("subject", [ONE_SUBJECT] * n), found.get("area", [recipe.area_name] * n)
    named = [i for i in _named_rows(found["stimulus"], recipe) if when.place[i] >= 0]
    order = list(dict.fromkeys(found["stimulus"]))
    blocks = []
    for area, subject in dict.fromkeys((areas[i], subjects[i]) for i in named):
        rows = [i for i in named if areas[i] == area and subjects[i] == subject]
        picked = {key: [labels[i] for i in rows] for key, labels in found.items()}
        cube, names = _pivoted(
            values[rows].reshape(len(rows), -1), picked, order, when, when.place[rows], recipe
        )
        blocks.append(Block(_tidy(area), _tidy(subject), cube, names))
    return blocks, tuple(map(float, when.times_ms)) if recipe.course == "keep" and recipe.time else ()


def _check_table(recipe: Recipe, long: bool) -> None:
    if long and (recipe.axes != ("row",) or len(recipe.values) != 1 or not recipe.names or not recipe.unit):
        raise InputError(
            "A long table needs a column of numbers, one of stimuli and one of units.", "Choose all three."
        )
    if not long and (
        sorted(recipe.axes) != ["stimulus", "unit"] or len(recipe.values) != 1 or not recipe.names
    ):
        message = (
            "A table with a time in every row needs a column of stimuli, and columns or an array of units."
        )
        raise InputError(message, "Say that its axes count stimuli and units, and choose the stimuli.")
    if recipe.form == "rdms":
        raise InputError("A table with times cannot hold RDMs.", "Give RDMs as arrays.")


def _moments(source: Source, recipe: Recipe, n: int) -> moments.Moments:
    """Return when each row was measured; without a column of times all at once."""
    if not recipe.time:
        return moments.Moments(np.zeros(n, dtype=np.int64), np.zeros(1))
    told = _numbers(source, recipe.time, recipe) * (1000.0 if recipe.time_unit == "s" else 1.0)
    if told.shape != (n,):
        message = f'"{shown(recipe.time)}" has {told.size} times for {n} rows.'
        raise InputError(message, "Choose a column of the same table.")
    start, stop = (None if end is None else int(end) for end in (recipe.start, recipe.stop))
    found = moments.of_rows(told, recipe.bin_ms, start, stop)
    if recipe.course != "keep":
        caution("time-averaged", f"Responses are averaged over {len(found.times_ms)} times.")
    else:
        told_times = f"averaged over {len(found.times_ms)} times"
        caution("time-averaged", f"Questions that are not about time use responses {told_times}.")
    return found


def _pivoted(
    values: np.ndarray,
    keys: Mapping[str, list[str]],
    order: list[str],
    when: moments.Moments,
    place: np.ndarray,
    recipe: Recipe,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Put rows in their places.

    Parameters
    ----------
    values : np.ndarray
        (n_rows, 1) of a long table, else (n_rows, n_units).
    keys : mapping
        Stimulus and, where there is one, unit and repeat of each row.
    order : list of str
        Names of the stimuli in the order of the whole table.
    when : Moments
    place : np.ndarray
        (n_rows,) time of each row.

    Returns
    -------
    values (n_repeats, n_stimuli, n_units, n_times), NaN where no row tells it, and the names of the stimuli.
    """
    inside = set(keys["stimulus"])
    stimuli = [name for name in order if name in inside]
    units = sorted(set(keys["unit"]), key=natural) if "unit" in keys else list(range(values.shape[1]))
    at_stimulus, at_unit = ({name: i for i, name in enumerate(each)} for each in (stimuli, units))
    stimulus = np.array([at_stimulus[name] for name in keys["stimulus"]])
    unit = (
        np.array([[at_unit[name]] for name in keys["unit"]])
        if "unit" in keys
        else np.arange(len(units))[None]
    )
    repeat = _repeat_of_row(keys, when, place, recipe)
    shape = (int(repeat.max()) + 1, len(stimuli), len(units), len(when.times_ms))
    check_size(shape, 8, recipe.values[0], "the table")
    total, count = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    where = (repeat[:, None], stimulus[:, None], unit, place[:, None])
    np.add.at(total, where, values)
    np.add.at(count, where, 1)
    _tell_places(count, when)
    with np.errstate(invalid="ignore"):
        cube = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return cube.mean(axis=0, keepdims=True) if recipe.repeats == "mean" else cube, tuple(stimuli)


def _repeat_of_row(
    keys: Mapping[str, list[str]], when: moments.Moments, place: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Return the repeat of each row, (n_rows,): as told, else the how manieth of its kind it is."""
    if "repeat" in keys:
        order = {label: i for i, label in enumerate(sorted(set(keys["repeat"]), key=natural))}
        return np.array([order[label] for label in keys["repeat"]])
    if when.binned:  # rows of one bin cannot be told from repeats
        return np.zeros(len(place), dtype=np.int64)
    counted: Counter[tuple[Any, ...]] = Counter()
    found = []
    for kind in zip(keys["stimulus"], keys.get("unit", keys["stimulus"]), place.tolist(), strict=True):
        found.append(counted[kind])
        counted[kind] += 1
    if max(counted.values()) > 1 and recipe.repeats == "refuse":
        stimulus, unit, _ = next(kind for kind, count in counted.items() if count > 1)
        who = f'unit "{shown(unit)}"' if "unit" in keys else "the units"
        message = f'Several rows tell the response of {who} to "{shown(stimulus)}".'
        raise InputError(message, "Say that they are repeats, or choose the column that counts repeats.")
    return np.array(found)


def _tell_places(count: np.ndarray, when: moments.Moments) -> None:
    """Tell of places that several rows fill, and refuse times that hardly any two rows share."""
    if count.max() > 1:
        caution("rows-averaged", f"Up to {int(count.max())} rows tell the same response, and are averaged.")
    empty = float((count == 0).mean())
    if empty > MOSTLY and len(when.times_ms) > 1:
        message = (
            f"The rows have {len(when.times_ms)} different times, so that {empty:.0%} of the responses lack."
        )
        raise InputError(message, "Give a width for time bins: what falls into one bin is averaged.")


# --- what the user decides -------------------------------------------------------------------------


def _decided(block: Block, recipe: Recipe) -> Block:
    """Apply the decisions about missing, infinite and constant values; each is told."""
    where = f"{block.area} of {block.subject}"
    infinite = np.isinf(block.values)
    if infinite.any():
        units = np.flatnonzero(infinite.any(axis=(0, 1, 3)))
        message = (
            f"{int(infinite.sum())} responses in {where} are infinite, in unit {listing(map(str, units))}."
        )
        raise InputError(message, "Repair or leave out these units in the file; numbers count from 0.")
    block = _without_missing(_in_order(block, recipe, where), recipe, where)
    # A unit that changes over time alone says nothing of the stimuli, but it does change.
    known = np.where(
        np.isnan(block.values), block.values[:1], block.values
    )  # where a repeat lacks, the first
    size = np.abs(known).max(axis=(0, 1, 3), initial=0.0)
    flat = np.ptp(known, axis=(0, 1, 3)) <= 1e-12 * size
    if flat.all() and block.values.shape[1] > 1:
        message = f"Every unit in {where} gives the same response to every stimulus."
        raise InputError(message, "Check which axis counts the stimuli.")
    if flat.any() and recipe.constant == "drop":
        caution(
            "constant-units",
            f"{int(flat.sum())} of {flat.size} units in {where} never change and are left out.",
        )
        return dataclasses.replace(block, values=block.values[:, :, ~flat])
    return block


def _in_order(block: Block, recipe: Recipe, where: str) -> Block:
    """Move repeats that lack for a stimulus behind its others, or leave surplus repeats of others out."""
    lacking = np.isnan(block.values).all(axis=(2, 3))
    counts = (~lacking).sum(axis=0)
    least = int(counts.min())
    if recipe.repeats not in ("equal", "all") or not lacking.any() or not least:
        return block
    order = np.argsort(lacking, axis=0, kind="stable")
    values = np.take_along_axis(block.values, order[:, :, None, None], axis=0)
    if recipe.repeats == "equal":
        values = values[:least]
        caution(
            "unequal-repeats",
            f"Stimuli in {where} have {least} to {int(counts.max())} repeats: the first {least} of each are "
            f"kept and {int((counts - least).sum())} are left out.",
        )
    return dataclasses.replace(block, values=values)


def _lack_repeats(block: Block) -> bool:
    """Tell whether all that is missing are whole repeats of stimuli that have others."""
    bad = np.isnan(block.values)
    lacking = bad.all(axis=(2, 3))
    return bool(bad.any(axis=(2, 3)).sum() == lacking.sum() and not lacking.all(axis=0).any())


def _without_missing(block: Block, recipe: Recipe, where: str) -> Block:
    bad = np.isnan(block.values)
    if recipe.repeats == "all":
        lacking = bad.all(axis=(2, 3), keepdims=True)
        bad &= ~lacking | lacking.all(axis=0)
    if not bad.any():
        return block
    units, stimuli = bad.any(axis=(0, 1, 3)), bad.any(axis=(0, 2, 3))
    told = (
        f"{int(bad.sum())} responses in {where} are missing, in {int(units.sum())} of {units.size} units and "
        f"{int(stimuli.sum())} of {stimuli.size} stimuli"
    )
    if recipe.missing == "refuse":
        remedy = "Decide whether these units or these stimuli are left out."
        if recipe.repeats == "refuse" and _lack_repeats(block):
            remedy = "Stimuli have unequal repeats: keep all repeats, or as many as every stimulus has."
        raise InputError(f"{told}.", remedy)
    gone = units if recipe.missing == "drop-units" else stimuli
    if gone.all():
        raise InputError(f"{told}, so nothing is left.", "Leave out the other, or repair the file.")
    if recipe.missing == "drop-units":
        caution("missing-responses", f"{told}; these units are left out.")
        return dataclasses.replace(block, values=block.values[:, :, ~units])
    lost = [name for name, is_gone in zip(block.names, stimuli, strict=True) if is_gone]
    caution("missing-responses", f"{told}; left out: {listing(map(shown, lost))}.")
    names = tuple(name for name, is_gone in zip(block.names, stimuli, strict=True) if not is_gone)
    return dataclasses.replace(block, values=block.values[:, ~stimuli], names=names)


def _common_names(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Return the names that all blocks share, in the order of the first; what is not shared is told."""
    shared = set(blocks[0].names).intersection(*(block.names for block in blocks[1:]))
    names = tuple(name for name in blocks[0].names if name in shared)
    everything = set().union(*(block.names for block in blocks))
    if len(names) < len(everything):
        lost = sorted(everything - shared, key=natural)
        caution(
            "not-all-shared",
            f"{len(lost)} of {len(everything)} stimuli were not shown in every area and subject and are left "
            f"out: {listing(map(shown, lost))}.",
        )
    return names


def _tell_constant(responses: Mapping[str, Mapping[str, np.ndarray]], recipe: Recipe) -> None:
    if recipe.constant == "drop":
        return
    counts = {}
    for area, subjects in responses.items():
        for subject, values in subjects.items():
            flat = np.ptp(values.reshape(-1, values.shape[-1]), axis=0) == 0
            if flat.any():
                counts[f"{area} of {subject}"] = int(flat.sum())
    if counts:
        told = listing(f"{n} in {where}" for where, n in counts.items())
        caution("constant-units", f"Some units never change: {told}. They are kept.")


def _columns(source: Source, recipe: Recipe) -> dict[str, np.ndarray]:
    """Read the facts about the rows that the recipe names: (n_rows,) each."""
    found = {}
    for label in recipe.columns:
        values = source.read(label, _options(recipe))
        if values.ndim != 1:
            message = f'"{shown(label)}" is no column with one entry per stimulus.'
            raise InputError(message, "Leave it out.")
        found[_tidy(label)] = values
    return found


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN is unlike itself


def _of_names(source: Source, recipe: Recipe, values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the entries of a column for unique names; rows of one name must agree."""
    rows = _labels(source, recipe.names, recipe) if recipe.names else list(names)
    if len(rows) != len(values):
        message = f"A column has {len(values)} entries for {len(rows)} rows."
        raise InputError(message, "Leave it out, or choose one of the same length as the names.")
    first: dict[str, int] = {}
    for i, name in enumerate(rows):
        if name in first and not _same(values[first[name]], values[i]):
            message = f'A column says two things about "{shown(name)}".'
            raise InputError(message, "Leave out columns that change from trial to trial.")
        first.setdefault(name, i)
    return values[[first[name] for name in names]]


# --- RDMs ------------------------------------------------------------------------------------------


def _rdm_parts(source: Source, recipe: Recipe) -> Parts:
    movies: dict[str, dict[str, np.ndarray]] = {}
    n = 0
    for name in recipe.values:
        stack = _stack(_numbers(source, name, recipe), name, recipe)
        count = _stimuli_of(stack.shape[2], name)
        if n and count != n:
            message = f"The RDMs have {n} and {count} stimuli."
            raise InputError(message, "Choose RDMs of the same stimuli.")
        n = count
        several = len(recipe.values) > 1
        area = _tidy(name) if several and recipe.each == "area" else recipe.area_name
        subjects = movies.setdefault(area, {})
        for label, movie in zip(_rdm_subjects(source, recipe, name, len(stack)), stack, strict=True):
            if label in subjects:
                message = f'Two RDMs of {area} belong to "{shown(label)}".'
                raise InputError(message, "Give every subject one name, or choose one RDM each.")
            subjects[label] = movie
    names = _row_names(source, recipe, n, 0, recipe.values[0])
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        message = f"{len(twice)} stimuli have the same name, such as {listing(map(shown, twice))}."
        raise InputError(message, "RDMs need one name per stimulus.")
    rdms = {area: {who: movie.mean(axis=0) for who, movie in each.items()} for area, each in movies.items()}
    parts = Parts(names=tuple(names), rdms=rdms, by_position=not recipe.names)
    if "time" not in recipe.axes:
        return parts
    times = _times(source, dataclasses.replace(recipe, course="keep"))
    _check_times({len(movie) for each in movies.values() for movie in each.values()}, times)
    return _with_movies(parts, movies, times, recipe)


def _with_movies(
    parts: Parts, movies: dict[str, dict[str, np.ndarray]], times: tuple[float, ...], recipe: Recipe
) -> Parts:
    """Add RDMs over time, averaged over time bins where that is asked for."""
    told = np.array(times)
    if recipe.course != "keep":
        caution("time-averaged", f"RDMs are averaged over {len(times)} times.")
        return parts
    caution("time-averaged", f"Questions that are not about time use RDMs averaged over {len(times)} times.")
    kept = {
        area: {who: moments.averaged(m.T, told, recipe.bin_ms)[0].T for who, m in each.items()}
        for area, each in movies.items()
    }
    middles = moments.averaged(told, told, recipe.bin_ms)[1]
    return dataclasses.replace(parts, movies=kept, times_ms=tuple(map(float, middles)))


def _rdm_subjects(source: Source, recipe: Recipe, name: str, n: int) -> list[str]:
    if len(recipe.values) > 1 and recipe.each == "subject":
        return [_tidy(name) if n == 1 else f"{_tidy(name)} {i}" for i in range(1, n + 1)]
    if not recipe.subject:
        return [f"subject {i}" for i in range(1, n + 1)]
    labels = _labels(source, recipe.subject, recipe)
    if len(labels) != n:
        message = f'"{shown(recipe.subject)}" holds {len(labels)} names for {n} RDMs of "{shown(name)}".'
        raise InputError(message, "Choose the array with one name per RDM.")
    return [_tidy(label) for label in labels]


def _stack(values: np.ndarray, name: str, recipe: Recipe) -> np.ndarray:
    """Return condensed RDMs: (n_subjects, n_times, n_pairs), one time where they do not change."""
    _check_axes(values, name, recipe)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        message = f'The RDMs in "{shown(name)}" hold {bad} missing or infinite values.'
        raise InputError(message, "Repair them; negative values are allowed, missing ones are not.")
    counts = Counter(recipe.axes)
    square, condensed = counts["stimulus"] == 2, counts["pair"] == 1 and not counts["stimulus"]
    if not square and not condensed or counts["unit"] or counts["row"] or counts["time"] > 1:
        message = f'The axes of "{shown(name)}" are described as {", ".join(recipe.axes)}.'
        raise InputError(message, "RDMs need two axes of stimuli, or one of pairs, and at most one of time.")
    last = [i for i, axis in enumerate(recipe.axes) if axis in ("stimulus", "pair")]
    over = [i for i, axis in enumerate(recipe.axes) if axis == "time"]
    others = [i for i in range(values.ndim) if i not in (*last, *over)]
    values = values.transpose(*others, *over, *last)
    tail, n_times = values.shape[values.ndim - len(last) :], 1
    if over:
        n_times = values.shape[len(others)]
        start, stop = _ends(recipe, n_times, name)
        values, n_times = values[(slice(None),) * len(others) + (slice(start, stop),)], stop - start
    stack = values.reshape(-1, *tail)
    with collect_cautions() as told:
        flat = (
            np.stack([_condensed(rdm, name, recipe) for rdm in stack]) if square else _signed(stack, recipe)
        )
    for each in {c.code: c for c in told}.values():  # once, not for every RDM
        caution(each.code, each.message)
    return flat.reshape(-1, n_times, flat.shape[-1])


def _signed(values: np.ndarray, recipe: Recipe) -> np.ndarray:
    return 1.0 - values if recipe.similarity == "one-minus" else values


def _condensed(rdm: np.ndarray, name: str, recipe: Recipe) -> np.ndarray:
    if rdm.shape[0] != rdm.shape[1]:
        message = f'"{shown(name)}" has {rdm.shape[0]} × {rdm.shape[1]} entries and is no square matrix.'
        raise InputError(message, "Say what each axis counts.")
    scale = float(np.abs(rdm).max()) or 1.0
    skew = float(np.abs(rdm - rdm.T).max())
    if skew > SYMMETRY * scale:
        message = f'An RDM in "{shown(name)}" is not symmetric: its halves differ by up to {skew:.3g}.'
        raise InputError(message, "Give RDMs; responses are described by stimuli and units.")
    if skew:
        caution(
            "averaged-halves", f'The halves of RDMs in "{shown(name)}" differ by rounding and are averaged.'
        )
    rdm = _signed((rdm + rdm.T) / 2, recipe)
    diagonal = np.abs(np.diag(rdm))
    if diagonal.max() > 1e-6 * scale:
        ones = np.allclose(np.diag(rdm), 1.0, atol=1e-6)
        message = (
            f'"{shown(name)}" has {"ones" if ones else f"up to {diagonal.max():.3g}"} on the diagonal, where '
            "a dissimilarity is 0."
        )
        remedy = "If these are similarities, say so: 1 minus them is taken." if ones else "Give RDMs."
        raise InputError(message, remedy)
    return rdm[np.triu_indices(len(rdm), 1)]


def _stimuli_of(pairs: int, name: str) -> int:
    n = int((1 + np.sqrt(1 + 8 * pairs)) / 2)
    if n * (n - 1) // 2 != pairs:
        message = f'"{shown(name)}" has {pairs} pairs, which is no whole number of stimuli.'
        raise InputError(message, "A condensed RDM of n stimuli has n (n - 1) / 2 entries.")
    return n
