"""How much of a number's variance is carried by what is known of the stimuli."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard.errors import InputError

MOST_GROUPS = 40
"""A text column of more values than this says names, not groups."""


def design(values: np.ndarray, period: float = 0.0) -> NDArray[np.float64] | None:
    """Return the predictors (n_stimuli, n_predictors) of a factor, without a constant.

    Parameters
    ----------
    values : (n_stimuli,)
        Text gives an indicator for all groups but the first; numbers give themselves.
    period : float
        Of a circular factor; it gives cosine and sine.

    Returns
    -------
    np.ndarray or None
        None where the factor does not vary, is not known for all, or has more than `MOST_GROUPS` groups.
    """
    if values.dtype.kind in "OUSb":
        groups = sorted({str(v) for v in values})
        if not 1 < len(groups) <= MOST_GROUPS or len(groups) > len(values) // 2:
            return None
        return np.stack([np.array([str(v) == group for v in values], float) for group in groups[1:]], axis=1)
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
        return None
    if period:
        turn = 2 * np.pi * numbers / period
        return np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return numbers[:, None]


def explained(responses: ArrayLike, predictors: ArrayLike) -> NDArray[np.float64]:
    """Return the share of each response's variance that a linear model of a factor explains, adjusted.

    R² grows with the number of predictors even when they say nothing; the adjusted share (M. Ezekiel, 1930)
    is 0 on average then, and can be negative.

    Parameters
    ----------
    responses : (n_stimuli, n_responses)
    predictors : (n_stimuli, n_predictors)
        As `design` gives them; a constant is added.

    Returns
    -------
    np.ndarray (n_responses,)
        NaN for a response without variance.

    Raises
    ------
    InputError
        When there are not more stimuli than predictors and two.
    """
    y, x = np.asarray(responses, dtype=np.float64), np.asarray(predictors, dtype=np.float64)
    n, p = x.shape
    if n < p + 3:
        message = f"{n} stimuli are too few for a factor with {p} predictors."
        raise InputError(message, f"Give at least {p + 3} stimuli.")
    x = x - x.mean(axis=0)
    y = y - y.mean(axis=0)
    basis, sizes, _ = np.linalg.svd(x, full_matrices=False)
    basis = basis[:, sizes > sizes.max() * 1e-10]
    total = (y**2).sum(axis=0)
    rest = total - ((basis.T @ y) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 - (rest / (n - basis.shape[1] - 1)) / (total / (n - 1))
    return np.where(total > 0, share, np.nan)
