"""Condensed RDMs: counting, unfolding, folding and ranking vectors of pairs in scipy's ``pdist`` order.

Free of torch and scipy at import, so that pages and figures may use it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dashboard.errors import InputError

SYMMETRY_TOLERANCE = 1e-8
"""Largest difference of a matrix from its transpose, relative to its largest value."""


def n_stimuli(n_pairs: int) -> int:
    """Return how many stimuli form ``n_pairs`` pairs.

    Raises
    ------
    InputError
        When no whole number of stimuli forms that many pairs.

    Examples
    --------
    >>> n_stimuli(4186)
    92
    """
    n = (1 + math.isqrt(1 + 8 * int(n_pairs))) // 2
    if n < 2 or n * (n - 1) // 2 != n_pairs:
        message = f"{n_pairs} values do not form a condensed RDM: n stimuli have n(n-1)/2 pairs."
        raise InputError(message, "Give the upper triangle without the diagonal, row by row.")
    return n


def pair_indices(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the second stimulus of every pair, in condensed order; two (n_pairs,) arrays."""
    return np.triu_indices(n, 1)


def square(condensed: Any) -> np.ndarray:
    """Unfold condensed RDMs into symmetric matrices with zero diagonal.

    Parameters
    ----------
    condensed : array_like (..., n_pairs)

    Returns
    -------
    ndarray (..., n_stimuli, n_stimuli) float64
    """
    values = np.asarray(condensed, dtype=np.float64)
    n = n_stimuli(values.shape[-1])
    i, j = pair_indices(n)
    matrix = np.zeros((*values.shape[:-1], n, n))
    matrix[..., i, j] = values
    matrix[..., j, i] = values
    return matrix


def condense(matrix: Any) -> np.ndarray:
    """Fold one square RDM into its upper triangle.

    Parameters
    ----------
    matrix : array_like (n_stimuli, n_stimuli)

    Returns
    -------
    ndarray (n_pairs,) float64

    Raises
    ------
    InputError
        When the matrix is not square or not symmetric, its diagonal is not zero, or it holds similarities.
    """
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        message = f"An RDM must be a square matrix of at least 2 stimuli, not of shape {values.shape}."
        raise InputError(message, "Give stimulus × stimulus dissimilarities.")
    scale = float(np.nanmax(np.abs(values), initial=0.0))
    tolerance = SYMMETRY_TOLERANCE * scale
    diagonal = np.diagonal(values)
    if scale > 0 and np.all(np.abs(diagonal - 1) <= SYMMETRY_TOLERANCE):
        message = "This matrix has 1 on its diagonal: it holds similarities, not dissimilarities."
        raise InputError(message, "Give 1 - similarity.")
    if not np.all(np.abs(diagonal) <= tolerance):
        worst = int(np.argmax(np.where(np.isnan(diagonal), np.inf, np.abs(diagonal))))
        message = f"The diagonal of an RDM must be 0, but stimulus {worst} has {diagonal[worst]:g}."
        raise InputError(message, "A stimulus does not differ from itself; check what the matrix holds.")
    return _upper(values, tolerance)


def _upper(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the mean of both triangles, after checking that they agree."""
    i, j = pair_indices(len(values))
    upper, lower = values[i, j], values[j, i]
    unequal = ~((np.abs(upper - lower) <= tolerance) | (np.isnan(upper) & np.isnan(lower)))
    if unequal.any():
        k = int(np.flatnonzero(unequal)[0])
        message = (
            f"The RDM is not symmetric: stimuli {i[k]} and {j[k]} have {upper[k]:g} in one order and "
            f"{lower[k]:g} in the other ({int(unequal.sum())} such pairs)."
        )
        raise InputError(message, "Average both triangles yourself if that is what you want.")
    return np.where(upper == lower, upper, (upper + lower) / 2)


def rank_transform(condensed: Any) -> np.ndarray:
    """Replace dissimilarities by their average ranks, scaled so that all ranks span 0 to 1.

    Parameters
    ----------
    condensed : array_like (..., n_pairs)
        NaN stays NaN and takes no rank.

    Returns
    -------
    ndarray (..., n_pairs) float64
        (rank - 1) / (number of ranked values - 1); 0.5 where all are equal.
    """
    from scipy.stats import rankdata

    values = np.asarray(condensed, dtype=np.float64)
    ranks = rankdata(values, axis=-1, nan_policy="omit")
    count = np.sum(~np.isnan(values), axis=-1, keepdims=True)
    return np.where(count > 1, (ranks - 1) / np.maximum(count - 1, 1), np.where(np.isnan(ranks), ranks, 0.5))
