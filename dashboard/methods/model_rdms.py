"""RDMs of simple models: what stimuli are (category, any factor) and what their pictures are like.

They stand beside layers as rivals and controls: a layer that resembles a brain area no better than the
pixels do has not been shown to hold more than pixels. Every model takes arrays and gives a condensed RDM; one
that does not fit the stimuli says why in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dashboard.errors import InputError, unknown
from dashboard.methods.condensed import pair_indices

SIDE = 128
"""Side in pixels at which pictures are compared."""

SCALES, ORIENTATIONS, BLOCKS = 4, 8, 4
"""Filters and places of the GIST-like description: 4 scales, 8 orientations, 4 x 4 places."""

GROUND = 0.08
"""A pixel belongs to the object when a channel differs from the ground by more than this share."""

EVEN = 0.5
"""Share of the border that must be ground before a silhouette is cut out."""


@dataclass(frozen=True, eq=False)
class Described:
    """What is known of the stimuli.

    Attributes
    ----------
    categories : tuple of str (n_stimuli,)
        "" where there is none.
    columns : mapping of str to ndarray (n_stimuli,)
    periods : mapping of str to float
        Period of the columns that go round a circle, in their unit.
    pictures : ndarray (n_stimuli, SIDE, SIDE, 3) uint8, or None
    masks : ndarray (n_stimuli, SIDE, SIDE) bool, or None
        Which pixels belong to the object, where that is known.
    """

    categories: tuple[str, ...]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    periods: Mapping[str, float] = field(default_factory=dict)
    pictures: np.ndarray | None = None
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class Model:
    """A model of the stimuli: what menus say, its unit, why it may not fit, and its RDM."""

    label: str
    help: str
    unit: str
    kind: Literal["meaning", "picture"]
    why_not: Callable[[Described], str]
    compute: Callable[[Described], np.ndarray]


# --- factors ------------------------------------------------------------------------------------------------


def differs(values: Any) -> np.ndarray:
    """Return 0 for pairs with equal values and 1 for all others, (n_pairs,)."""
    _, group = np.unique(np.asarray(values).astype(str), return_inverse=True)
    i, j = pair_indices(len(group))
    return (group[i] != group[j]).astype(np.float64)


def distance(values: Any, period: float = 0.0) -> np.ndarray:
    """Return absolute differences, (n_pairs,); the shorter way round where values have a period."""
    numbers = np.asarray(values, dtype=np.float64)
    i, j = pair_indices(len(numbers))
    gap = np.abs(numbers[i] - numbers[j])
    if not period:
        return gap
    gap = gap % period
    return np.minimum(gap, period - gap)


def factor(described: Described, name: str) -> np.ndarray:
    """Return the RDM of a column: differences of numbers, sameness of text; (n_pairs,).

    Raises
    ------
    InputError
        When there is no such column, or it is the same for all stimuli or missing for some.
    """
    if name not in described.columns:
        raise unknown("column of the stimuli", name, described.columns)
    values = described.columns[name]
    reason = _flat_column(values)
    if reason:
        message = f'"{name}" {reason}.'
        raise InputError(message, "Choose another column.")
    if values.dtype.kind in "biuf":
        return distance(values, described.periods.get(name, 0.0))
    return differs(values)


def _flat_column(values: np.ndarray) -> str:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return "is missing for some stimuli"
    return "is the same for all stimuli" if len(np.unique(values.astype(str))) < 2 else ""


# --- pictures -----------------------------------------------------------------------------------------------


def luminance(pictures: np.ndarray) -> np.ndarray:
    """Return the luminance of pictures (n, y, x, 3) uint8 from 0 to 1, (n, y, x) (Rec. ITU-R BT.601)."""
    return pictures.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) / 255


def silhouettes(pictures: np.ndarray) -> np.ndarray:
    """Cut objects out of an even ground, (n, y, x) bool; the ground is the median colour of the border.

    Raises
    ------
    InputError
        When the border of a picture is not even, so that no ground is known.
    """
    found = np.empty(pictures.shape[:3], bool)
    edge = np.ones(pictures.shape[1:3], bool)
    edge[1:-1, 1:-1] = False
    for k, picture in enumerate(pictures.astype(np.int64)):
        ground = np.median(picture[edge], axis=0)
        found[k] = (np.abs(picture - ground) > GROUND * 255).any(-1)
        if found[k][edge].mean() > 1 - EVEN:
            message = f"Picture {k + 1} has no even ground from which its object could be cut out."
            raise InputError(message, "Choose another model.")
    return found


def gist(pictures: np.ndarray) -> np.ndarray:
    """Describe pictures by the energy of oriented filters over places (after Oliva & Torralba 2001).

    Log-Gabor filters in four octaves and eight orientations; the magnitude of each response is averaged in
    4 x 4 places. "GIST-like": the published code whitens pictures first, which is left out.

    Parameters
    ----------
    pictures : ndarray (n, y, x, 3) uint8, square

    Returns
    -------
    ndarray (n, SCALES * ORIENTATIONS * BLOCKS²)
    """
    side = pictures.shape[1]
    filters = _filters(side)
    size = side // BLOCKS
    found = np.empty((len(pictures), len(filters) * BLOCKS * BLOCKS))
    for k, grey in enumerate(luminance(pictures)):
        spectrum = np.fft.fft2(grey - grey.mean())
        energy = np.abs(np.fft.ifft2(spectrum * filters))[:, : size * BLOCKS, : size * BLOCKS]
        found[k] = energy.reshape(len(filters), BLOCKS, size, BLOCKS, size).mean((2, 4)).ravel()
    return found


def _filters(side: int) -> np.ndarray:
    """Return one-sided log-Gabor filters in the Fourier plane, (SCALES * ORIENTATIONS, side, side)."""
    f = np.fft.fftfreq(side)
    radius = np.hypot(f[:, None], f)
    radius[0, 0] = 1.0
    angle = np.arctan2(f[:, None], f)
    found = []
    for scale in range(SCALES):
        centre = 0.25 / 2**scale
        radial = np.exp(-(np.log(radius / centre) ** 2) / (2 * np.log(0.65) ** 2))
        radial[0, 0] = 0.0
        for k in range(ORIENTATIONS):
            turn = np.angle(np.exp(1j * (angle - np.pi * k / ORIENTATIONS)))
            found.append(radial * np.exp(-(turn**2) / (2 * (np.pi / ORIENTATIONS / 1.5) ** 2)))
    return np.stack(found)


def _root_mean_square(rows: np.ndarray) -> np.ndarray:
    from dashboard.methods.rdm import dissimilarities

    return dissimilarities(rows.reshape(len(rows), -1), "euclidean").numpy()


def overlap(masks: np.ndarray) -> np.ndarray:
    """Return 1 - intersection over union of the masks (n, y, x) of all pairs, (n_pairs,)."""
    flat = masks.reshape(len(masks), -1).astype(np.float64)
    both = flat @ flat.T
    size = np.diagonal(both)
    union = size[:, None] + size - both
    i, j = pair_indices(len(flat))
    return 1 - both[i, j] / np.maximum(union[i, j], 1.0)


def _no_pictures(described: Described) -> str:
    return "" if described.pictures is not None else "the stimuli are no pictures"


def _no_silhouette(described: Described) -> str:
    if described.pictures is None:
        return _no_pictures(described)
    if described.masks is not None:
        return ""
    try:
        silhouettes(described.pictures)
    except InputError as error:
        return error.problem[0].lower() + error.problem[1:].rstrip(".")
    return ""


def _no_categories(described: Described) -> str:
    if not all(described.categories):
        return "the stimuli have no categories"
    n = len(set(described.categories))
    if n < 2:
        return "all stimuli are of one category"
    return "every stimulus is a category of its own" if n == len(described.categories) else ""


def _pictures(described: Described) -> np.ndarray:
    assert described.pictures is not None
    return described.pictures


MODELS: dict[str, Model] = {
    "category": Model(
        "Category",
        "0 within a category, 1 between categories.",
        "0 same, 1 different",
        "meaning",
        _no_categories,
        lambda d: differs(d.categories),
    ),
    "pixels": Model(
        "Pixels",
        "Root mean square difference of the pixels' red, green and blue.",
        "RMS difference of pixels",
        "picture",
        _no_pictures,
        lambda d: _root_mean_square(_pictures(d).astype(np.float64) / 255),
    ),
    "gist": Model(
        "GIST-like",
        "Energy of oriented filters in four octaves over 4 × 4 places (after Oliva & Torralba, 2001).",
        "RMS difference of filter energy",
        "picture",
        _no_pictures,
        lambda d: _root_mean_square(gist(_pictures(d))),
    ),
    "luminance": Model(
        "Luminance",
        "Difference of mean luminance.",
        "difference of mean luminance",
        "picture",
        _no_pictures,
        lambda d: distance(luminance(_pictures(d)).mean((1, 2))),
    ),
    "silhouette": Model(
        "Silhouette",
        "1 − overlap of the objects' outlines (intersection over union).",
        "1 − intersection over union",
        "picture",
        _no_silhouette,
        lambda d: overlap(d.masks if d.masks is not None else silhouettes(_pictures(d))),
    ),
}
"""Models that need no name of a column, by name; columns are "factor:NAME"."""


def fitting(described: Described) -> dict[str, str]:
    """Return every model of the stimuli by name, with "" or the reason why it does not fit."""
    found = {name: model.why_not(described) for name, model in MODELS.items()}
    for name, values in described.columns.items():
        found[f"factor:{name}"] = _flat_column(values)
    return found


def compute(described: Described, name: str) -> tuple[np.ndarray, str]:
    """Return the RDM of a model, (n_pairs,) float64, and its unit.

    Raises
    ------
    InputError
        When there is no such model, or it does not fit the stimuli.
    """
    if name.startswith("factor:"):
        column = name.removeprefix("factor:")
        return factor(described, column), f"difference of {column}"
    if name not in MODELS:
        raise unknown("model", name, fitting(described))
    reason = MODELS[name].why_not(described)
    if reason:
        message = f"The model {name} does not fit: {reason}."
        raise InputError(message, "Choose another model.")
    return MODELS[name].compute(described), MODELS[name].unit
