"""How reliably units respond: split halves of the repeats, stepped up to all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashboard.errors import InputError

SPLITS = 50
"""Random halvings over which the correlation is averaged."""


def spearman_brown(r: np.ndarray, factor: float = 2.0) -> np.ndarray:
    """Return the reliability of a measurement that is ``factor`` times as long, k r / (1 + (k − 1) r).

    Source: Spearman (1910), Br. J. Psychol. 3:271; Brown (1910), Br. J. Psychol. 3:296.

    Examples
    --------
    >>> float(spearman_brown(np.array(0.5)))
    0.6666666666666666
    """
    r = np.asarray(r, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(r > -1, factor * r / (1 + (factor - 1) * r), np.nan)


def split_half(
    responses: np.ndarray,
    splits: int = SPLITS,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Return the reliability of the mean response of each unit over stimuli.

    The repeats are halved at random; the Pearson correlation over stimuli between the means of the halves is
    averaged over the halvings and stepped up from the length of a half to that of all repeats.

    Parameters
    ----------
    responses : np.ndarray
        (n_repeats, n_stimuli, n_units), at least two repeats.
    splits : int
    seed : int
    report : callable, optional
        Takes the fraction that is done.

    Returns
    -------
    np.ndarray
        (n_units,) float64; NaN for units whose halves do not vary.

    Raises
    ------
    InputError
        When there is one repeat.
    """
    n = len(responses)
    if n < 2:
        raise InputError("Reliability needs repeats, and there is one.", "Use a recording with repeats.")
    rng = np.random.default_rng(seed)
    half = n // 2
    halvings = [(0,)] if n == 2 else [tuple(rng.permutation(n)[:half]) for _ in range(splits)]
    total = np.asarray(responses, dtype=np.float64).sum(axis=0)
    found = np.zeros(responses.shape[2])
    for k, chosen in enumerate(halvings):
        first = responses[list(chosen)].sum(axis=0)
        found += _correlation(first / len(chosen), (total - first) / (n - len(chosen)))
        if report is not None:
            report((k + 1) / len(halvings))
    return spearman_brown(found / len(halvings))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of each column: (n_units,)."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, (a * b).sum(axis=0) / scale, np.nan)
