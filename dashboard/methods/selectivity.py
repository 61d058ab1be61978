"""How selective units are for stimuli and for categories of stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.errors import InputError


@dataclass(frozen=True, eq=False)
class Categories:
    """Selectivity of units for each category against all other stimuli.

    Attributes
    ----------
    names : tuple of str
        (n_categories,) in the order of first appearance.
    mean : np.ndarray
        (n_categories, n_units) mean response.
    d_prime : np.ndarray
        (n_categories, n_units): see `d_prime`.
    index : np.ndarray
        (n_categories, n_units): (R_category − R_other) / (R_category + R_other); NaN for negative means.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    d_prime: np.ndarray
    index: np.ndarray


def d_prime(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the distance of two means in standard deviations, (μ₁ − μ₂) / sqrt((σ₁² + σ₂²) / 2).

    Variances have n − 1 in the denominator. NaN where there are fewer than two stimuli on a side or neither
    varies.

    Source: Green & Swets (1966), Signal Detection Theory and Psychophysics; with unequal
    variances this is d_a.

    Parameters
    ----------
    inside, outside : np.ndarray
        (n_stimuli, n_units) responses to the category and to all others.

    Returns
    -------
    np.ndarray
        (n_units,).
    """
    if len(inside) < 2 or len(outside) < 2:
        return np.full(inside.shape[1], np.nan)
    spread = np.sqrt((inside.var(axis=0, ddof=1) + outside.var(axis=0, ddof=1)) / 2)
    difference = inside.mean(axis=0) - outside.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, difference / spread, np.nan)


def categories(responses: np.ndarray, labels: Sequence[str]) -> Categories:
    """Return the selectivity of every unit for every category.

    Parameters
    ----------
    responses : np.ndarray
        (n_stimuli, n_units).
    labels : sequence of str
        (n_stimuli,) category of each stimulus.

    Raises
    ------
    InputError
        When the lengths differ or there is only one category.
    """
    responses = np.asarray(responses, dtype=np.float64)
    if len(labels) != len(responses):
        message = f"There are {len(responses)} responses and {len(labels)} categories."
        raise InputError(message)
    names = tuple(dict.fromkeys(labels))
    if len(names) < 2:
        message = "All stimuli are of one category, so that nothing can be selective for it."
        raise InputError(message, "Choose stimuli of two categories or more.")
    given = np.asarray(labels)
    means, distances, indices = [], [], []
    for name in names:
        inside, outside = responses[given == name], responses[given != name]
        own, other = inside.mean(axis=0), outside.mean(axis=0)
        means.append(own)
        distances.append(d_prime(inside, outside))
        with np.errstate(invalid="ignore", divide="ignore"):
            fits = (own >= 0) & (other >= 0) & (own + other > 0)
            indices.append(np.where(fits, (own - other) / (own + other), np.nan))
    return Categories(names, np.array(means), np.array(distances), np.array(indices))


def sparseness(responses: np.ndarray) -> np.ndarray:
    """Return lifetime sparseness, (1 − (mean r)² / mean(r²)) / (1 − 1/n), of rectified responses.

    0: responds alike to all stimuli; 1: to one alone. NaN where a unit never responds.

    Source: Vinje & Gallant (2000), Science 287:1273; after Rolls & Tovee (1995), J Neurophysiol 73:713.

    Parameters
    ----------
    responses : np.ndarray
        (n_stimuli, n_units), at least two stimuli; what is below zero counts as zero.

    Returns
    -------
    np.ndarray
        (n_units,).
    """
    rates = np.maximum(np.asarray(responses, dtype=np.float64), 0.0)
    n = len(rates)
    if n < 2:
        message = "Sparseness over stimuli needs two stimuli or more."
        raise InputError(message)
    square = (rates**2).mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(square > 0, (1 - rates.mean(axis=0) ** 2 / square) / (1 - 1 / n), np.nan)
