"""A recipe: the answers to what the files of a recording do not say; small JSON that can be shared."""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dashboard import kept
from dashboard.errors import InputError, unknown

Axis = Literal["stimulus", "unit", "repeat", "subject", "time", "pair", "row"]
Form = Literal["responses", "rdms"]
Each = Literal["area", "subject"]
Repeats = Literal["refuse", "equal", "all", "mean"]
Missing = Literal["refuse", "drop-units", "drop-stimuli"]
Constant = Literal["keep", "drop"]
Similarity = Literal["no", "one-minus"]
Course = Literal["average", "keep"]
TimeUnit = Literal["ms", "s"]
Grid = Literal["refuse", "nearest"]
Decimal = Literal[".", ","]

VERSION = 1

AXES: dict[str, str] = {
    "stimulus": "stimuli or trials, one after the other",
    "unit": "units: neurons, voxels, channels; two such axes are joined",
    "repeat": "repeats of the same stimuli",
    "subject": "subjects",
    "time": "time: averaged over the window, or kept as a time course",
    "pair": "pairs of stimuli of a condensed RDM, in the order of scipy's pdist",
    "row": "rows of a long table: one number each",
}
"""What an axis of an array can count."""

CHOICES: dict[str, dict[str, str]] = {
    "repeats": {
        "refuse": "refuse stimuli that come twice",
        "equal": "rows of one name are repeats; surplus ones are left out",
        "all": "rows of one name are repeats, in unequal numbers if need be",
        "mean": "average the rows of one name",
    },
    "missing": {
        "refuse": "refuse missing values",
        "drop-units": "leave out units with missing values",
        "drop-stimuli": "leave out stimuli with missing values",
    },
    "constant": {"keep": "keep units that never change", "drop": "leave out units that never change"},
    "similarity": {
        "no": "these are dissimilarities",
        "one-minus": "these are similarities: take 1 minus them",
    },
    "grid": {
        "refuse": "refuse labels on another grid",
        "nearest": "move labels to the nearest voxels",
    },
    "course": {
        "average": "average over the window",
        "keep": "keep the time course beside the average",
    },
    "time_unit": {"ms": "milliseconds", "s": "seconds"},
    "each": {"area": "one area each", "subject": "one subject each"},
}
"""What the choices of a recipe mean."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the arrays of some files become a recording.

    Attributes
    ----------
    form : "responses" or "rdms"
    values : tuple of str
        Names of the arrays that hold the responses or RDMs.
    axes : tuple of Axis
        What each axis of these arrays counts.
    each : "area" or "subject"
        What several arrays are.
    names : str
        Array with the name of the stimulus of each place on the stimulus axis; ``""``: by position.
    stimuli : str
        Reference of the stimulus set whose names they are; ``""`` where there are no pictures.
    columns : tuple of str
        Arrays with facts about the stimuli, such as an orientation.
    area, subject : str
        Arrays that tell the area of each unit, and the subject of each unit, row or place on that axis.
    area_name : str
        The area where no array tells it.
    unit, repeat : str
        Columns of a long table.
    time : str
        Column of a table with the time of each row, from the start of the stimulus; a table of responses may
        be long, or have a column per unit and a row per stimulus and time.
    bin_ms : float or None
        Width in milliseconds of the time bins that samples, rows or RDMs over time are averaged in, and that
        spikes are counted in; None: every time is kept, spikes in bins of 10 ms.
    start, stop : float or None
        Window on the time axis, in samples from 0; of spikes and fluorescence in seconds from the start of a
        presentation.
    course : "average" or "keep"
        Whether responses over time are kept beside their mean over the window.
    times : str
        Array with the time of each place on the time axis, from the start of the stimulus; ``""``: samples,
        from 0.
    time_unit : "ms" or "s"
        Unit of `times` and `time`.
    repeats, missing, constant, similarity
        What is done with stimuli that come twice, missing values, constant units, and RDMs with ones on the
        diagonal; see `CHOICES`.
    grid : "refuse" or "nearest"
        What is done with the labels of a brain image that do not lie on the grid of the responses.
    decimal : "." or ","
        Decimal sign in a CSV file.
    metric : str
        Dissimilarity in RDMs that were given.
    title, species, signal, citation, terms : str
        For headings and records.
    """

    form: Form = "responses"
    values: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = ()
    each: Each = "area"
    names: str = ""
    stimuli: str = ""
    columns: tuple[str, ...] = ()
    area: str = ""
    area_name: str = "all units"
    subject: str = ""
    unit: str = ""
    repeat: str = ""
    time: str = ""
    bin_ms: float | None = None
    start: float | None = None
    stop: float | None = None
    course: Course = "average"
    times: str = ""
    time_unit: TimeUnit = "ms"
    repeats: Repeats = "refuse"
    missing: Missing = "refuse"
    constant: Constant = "keep"
    similarity: Similarity = "no"
    grid: Grid = "refuse"
    decimal: Decimal = "."
    metric: str = ""
    title: str = ""
    species: str = ""
    signal: str = ""
    citation: str = ""
    terms: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready facts: what differs from the defaults, with kind and version."""
        return kept.recipe_facts(self, "recording", VERSION)


def from_dict(given: Any) -> Recipe:
    """Read what `Recipe.to_dict` gave, or a recipe that somebody wrote.

    Raises
    ------
    InputError
        When it is no such recipe, a setting is unknown or a value does not fit.
    """
    if not isinstance(given, Mapping) or given.get("kind") != "recording":
        raise InputError("This is not the recipe of a recording.", "Use a file that the Add page exported.")
    version = given.get("version", VERSION)
    if version != VERSION:
        message = f"This recipe has version {str(version)[:20]}; this program reads version {VERSION}."
        raise InputError(message, "Update Homolog, or answer the questions again.")
    hints = _hints()
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("kind", "version"):
            continue
        if name not in hints:
            raise unknown("setting of a recipe", str(name)[:40], hints)
        values[name] = _checked(name, value, hints[name])
    return Recipe(**values)


@functools.cache
def _hints() -> dict[str, Any]:
    """Types of the settings; Python takes milliseconds to find them, and every key of an answer asks."""
    return typing.get_type_hints(Recipe)


def _checked(name: str, value: Any, hint: Any) -> Any:
    wrong = InputError(f"The setting {name} of the recipe does not fit.", "Answer the questions again.")
    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise unknown(f"choice of {name}", str(value)[:40], map(str, typing.get_args(hint)))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or len(value) > 1000:
            raise wrong
        return tuple(_checked(name, part, typing.get_args(hint)[0]) for part in value)
    if hint is str:
        if not isinstance(value, str) or len(value) > 2000:
            raise wrong
        return value
    if value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong
    return value
