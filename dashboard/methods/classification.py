"""How good predictions are: accuracy, confusion, precision and recall, calibration, masks, angles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard.errors import InputError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

Z_95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


class PerClass(NamedTuple):
    """What is said of each class; every array is (n_classes,), NaN where nothing can be said.

    Attributes
    ----------
    precision, recall, f1 : np.ndarray
        Share of what was called so that is so; share of what is so that was called so; their harmonic mean.
    support, called : np.ndarray
        How many stimuli are of the class, and how many were called so.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Counts
    called: Counts


class Calibration(NamedTuple):
    """Confidence against accuracy in bins of equal width.

    Attributes
    ----------
    edges : np.ndarray (n_bins + 1,)
    confidence, accuracy : np.ndarray (n_bins,)
        Means over the stimuli of a bin; NaN in empty bins.
    n : np.ndarray (n_bins,)
        How many stimuli fall into each bin.
    error : float
        Expected calibration error: the mean gap between both, weighted by ``n`` (Naeini et al., 2015).
    """

    edges: Floats
    confidence: Floats
    accuracy: Floats
    n: Counts
    error: float


def wilson(successes: ArrayLike, n: ArrayLike, z: float = Z_95) -> tuple[Floats, Floats]:
    """Return the interval of a proportion (E. B. Wilson, 1927), which stays inside 0 and 1.

    Parameters
    ----------
    successes, n : array_like of int
        Of the same shape; where ``n`` is 0 the interval is NaN.
    z : float
        Point of the normal distribution; for 95 % by default.
    """
    k, m = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = k / m
        middle = (p + z**2 / (2 * m)) / (1 + z**2 / m)
        half = z / (1 + z**2 / m) * np.sqrt(p * (1 - p) / m + z**2 / (4 * m**2))
        # Rounding must not leave the ends beside 0 and 1, where they are exact.
        low, high = np.where(k == 0, 0.0, middle - half), np.where(k == m, 1.0, middle + half)
    return np.where(m > 0, low, np.nan), np.where(m > 0, high, np.nan)


def confusion(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> Counts:
    """Count how often each class was called each class.

    Parameters
    ----------
    truth, predicted : array_like of int (n_stimuli,)
        Positions of classes, 0 to ``n_classes - 1``.

    Returns
    -------
    np.ndarray (n_classes, n_classes)
        Rows are the truth, columns what was said.

    Raises
    ------
    InputError
        When the lengths differ or a class is out of range.
    """
    rows, columns = (np.asarray(a, dtype=np.int64) for a in (truth, predicted))
    if rows.shape != columns.shape or rows.ndim != 1:
        message = f"There are {rows.size} true classes but {columns.size} predicted ones."
        raise InputError(message)
    both = np.concatenate([rows, columns])
    if both.size and (both.min() < 0 or both.max() >= n_classes):
        message = f"A class lies outside 0 to {n_classes - 1}."
        raise InputError(message)
    return np.bincount(rows * n_classes + columns, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class(counts: Counts) -> PerClass:
    """Return precision, recall and F1 of every class from a confusion matrix (n_classes, n_classes)."""
    right = np.diag(counts).astype(np.float64)
    support, called = counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return PerClass(right / called, right / support, 2 * right / (support + called), support, called)


def calibration(confidence: ArrayLike, correct: ArrayLike, n_bins: int = 10) -> Calibration:
    """Compare how sure the predictions are with how often they are right.

    Parameters
    ----------
    confidence : array_like (n_stimuli,)
        Probability of the predicted class.
    correct : array_like of bool (n_stimuli,)
    n_bins : int
        Bins of equal width; a value on an edge belongs to the bin below it, 0 to the first.

    Raises
    ------
    InputError
        When a confidence is not between 0 and 1, or there is no bin.
    """
    sure = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if n_bins < 1:
        message = "Calibration needs at least one bin."
        raise InputError(message)
    if not ((sure >= 0) & (sure <= 1)).all():
        message = "A confidence is not between 0 and 1."
        raise InputError(message)
    edges = np.linspace(0, 1, n_bins + 1)
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, n_bins - 1)
    count = np.bincount(place, minlength=n_bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_sure = np.bincount(place, weights=sure, minlength=n_bins) / count
        mean_right = np.bincount(place, weights=right, minlength=n_bins) / count
    error = np.nansum(count * np.abs(mean_sure - mean_right)) / sure.size if sure.size else np.nan
    return Calibration(edges, mean_sure, mean_right, count, float(error))


def iou(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return the intersection over union of masks, picture by picture (P. Jaccard, 1901).

    Parameters
    ----------
    truth, predicted : array_like of bool (n_pictures, height, width)

    Returns
    -------
    np.ndarray (n_pictures,)
        1 where both masks are empty.

    Raises
    ------
    InputError
        When the shapes differ.
    """
    a, b = np.asarray(truth, dtype=bool), np.asarray(predicted, dtype=bool)
    if a.shape != b.shape:
        message = f"The masks have different shapes, {a.shape} and {b.shape}."
        raise InputError(message)
    axes = tuple(range(1, a.ndim))
    union = (a | b).sum(axis=axes)
    both = (a & b).sum(axis=axes)
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)


def angle_errors(truth: ArrayLike, predicted: ArrayLike, period: float = 180.0) -> Floats:
    """Return signed differences of angles in degrees, predicted minus true, from -period/2 to period/2."""
    difference = np.asarray(predicted, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    return np.mod(difference + period / 2, period) - period / 2


def orientations(doubled: ArrayLike) -> Floats:
    """Return the orientation in degrees, [0, 180), of cosine and sine of twice the angle.

    Parameters
    ----------
    doubled : array_like (n, 2)
        Cosine and sine of 2 θ, of any length: an orientation comes back to itself after 180 degrees, so only
        twice the angle is a direction (E. Batschelet, 1981).
    """
    cosine, sine = np.asarray(doubled, dtype=np.float64).T
    return np.mod(np.rad2deg(np.arctan2(sine, cosine)) / 2, 180.0)


def best_constant_angle(truth: ArrayLike, period: float = 180.0) -> tuple[float, float]:
    """Return the angle that is least wrong when it is said of every stimulus, and its mean absolute error.

    The mean absolute error is made of straight pieces as a function of the constant, with its minima at true
    angles; those are tried, to a tenth of a degree.

    Parameters
    ----------
    truth : array_like (n_stimuli,)
        Degrees.
    """
    angles = np.mod(np.asarray(truth, dtype=np.float64), period)
    tried = np.unique(np.round(angles, 1))
    errors = np.array([np.abs(angle_errors(angles, angle, period)).mean() for angle in tried])
    best = int(errors.argmin())
    return float(tried[best]), float(errors[best])


def mean_interval(values: ArrayLike, *, samples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Return a mean and its 95 % interval: percentiles of the means of resampled stimuli (B. Efron, 1979).

    Unlike mean ± 1.96 standard errors it stays within the range of the values. Of a single value the
    interval is unknown, NaN.

    Parameters
    ----------
    values : array_like (n_stimuli,)
    samples : int
        How often the stimuli are drawn again.
    seed : int

    Raises
    ------
    InputError
        When there is no value.
    """
    x = np.asarray(values, dtype=np.float64)
    if not x.size:
        message = "There is no value to average."
        raise InputError(message)
    if x.size == 1:
        return float(x[0]), float("nan"), float("nan")
    random = np.random.Generator(np.random.Philox(key=seed))
    means = np.array([x[random.integers(0, x.size, x.size)].mean() for _ in range(samples)])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(x.mean()), float(low), float(high)
