"""Feature-reweighted RSA: non-negative weights of channel groups, fitted to brains, judged on held-out data.

A squared distance is a sum over channels, so a group of channels has an RDM of its own and the RDM of the
layer is their sum, all weights being 1 (Khaligh-Razavi & Kriegeskorte 2014, PLoS Comput. Biol. 10:e1003915;
Kaniuth & Hebart 2022, NeuroImage 257:119294). With patterns centred and scaled to length 1 that sum is twice
the correlation distance. Weights are fitted by non-negative least squares with a ridge penalty on their
difference from a common weight, so that strong penalties lead back to the unweighted RDM; the penalty is
chosen by cross-validation over the training stimuli alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods import flexible, measures, rdm
from dashboard.methods.condensed import n_stimuli, pair_indices

METRICS = ("correlation", "cosine", "sqeuclidean")
"""Metrics whose RDM is a sum over channels."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 1e3)
"""Ridge penalties, relative to the mean square of the groups' RDMs; the last leaves nearly equal weights."""

INNER_FOLDS = 3
INNER_SEED = 0


def group_rdms(patterns: Any, groups: Sequence[np.ndarray], metric: str) -> np.ndarray:
    """Return the RDMs of groups of columns, whose sum is the RDM of all (times a constant).

    Parameters
    ----------
    patterns : array_like (n_stimuli, n_units)
    groups : sequence of ndarray
        Columns of each group; together all columns.
    metric : str
        One of `METRICS`.

    Returns
    -------
    ndarray (n_groups, n_pairs) float64
        NaN for pairs of a pattern that has no length.

    Raises
    ------
    InputError
        A metric that is no sum over channels.
    """
    if metric not in METRICS:
        message = f"A {metric} distance is no sum over channels, so channels cannot be weighed in it."
        raise errors.InputError(message, "Choose correlation, cosine or sqeuclidean.")
    rows, _ = rdm.responses(patterns)
    values = rows[0].numpy()
    if metric == "correlation":
        values = values - values.mean(1, keepdims=True)
    if metric != "sqeuclidean":
        size = np.sqrt(np.einsum("ij,ij->i", values, values))[:, None]
        values = values / np.where(size > 0, size, np.nan)
    missing = np.isnan(values).any(1)
    first, second = pair_indices(len(values))
    found = np.empty((len(groups), len(first)))
    with errors.collect_cautions():
        for k, columns in enumerate(groups):
            part = np.nan_to_num(values[:, columns])
            found[k] = rdm.dissimilarities(part, "sqeuclidean").numpy() * part.shape[1]
    found[:, missing[first] | missing[second]] = np.nan
    return found


def reweigh(models: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Return non-negative weights of RDMs with the penalty that does best on held-out training stimuli.

    Parameters
    ----------
    models : ndarray (n_models, n_pairs)
        Condensed RDMs of the training stimuli.
    target : ndarray (n_pairs,)
    measure : str
        Rank measures are fitted by Pearson.

    Returns
    -------
    ndarray (n_models,)
        Sum 1; all equal where no weights do better than these.
    """
    linear = "pearson" if measures.lookup(measure).centred else "cosine"
    n = n_stimuli(len(target))
    scores = np.zeros(len(PENALTIES))
    if n >= INNER_FOLDS * flexible.SMALLEST_FOLD:
        order = np.random.default_rng(INNER_SEED).permutation(n)
        for train, test in flexible.splits(order, INNER_FOLDS):
            fitted = ridge(models[:, train], target[train], linear, PENALTIES)
            keep = np.ones(int(test.sum()), bool)
            found = measures.compare(fitted @ models[:, test], target[None, test], linear, keep, None)
            scores += np.nan_to_num(found[:, 0])
    # Of equally good penalties the strongest, which stays closest to equal weights.
    best = len(PENALTIES) - 1 - int(np.argmax(scores[::-1]))
    return ridge(models, target, linear, PENALTIES[best : best + 1])[0]


def ridge(models: np.ndarray, target: np.ndarray, measure: str, penalties: Sequence[float]) -> np.ndarray:
    """Return the non-negative weights that minimise |y - X w|² + λ |w - w₀|² for each penalty.

    w₀ is the common weight that fits best; X and y are centred where the measure is.

    Parameters
    ----------
    models : ndarray (n_models, n_pairs)
    target : ndarray (n_pairs,)
    measure : {"pearson", "cosine"}
    penalties : sequence of float
        Relative to the mean square of the models.

    Returns
    -------
    ndarray (n_penalties, n_models)
        Each with sum 1.
    """
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    x, y = models, target
    if measures.lookup(measure).centred:
        x, y = x - x.mean(1, keepdims=True), y - y.mean()
    gram, reach = x @ x.T, x @ y
    n = len(models)
    equal = np.full(n, 1 / n)
    size = float(np.trace(gram)) / n
    total = float(gram.sum())
    if not size > 0 or not total > 0:
        return np.tile(equal, (len(penalties), 1))
    common = max(float(reach.sum()) / total, 0.0)
    found = np.empty((len(penalties), n))
    for k, penalty in enumerate(penalties):
        strength = max(penalty, 1e-12) * size
        # |y - Xw|² + λ|w - w₀|² is |L'w - L⁻¹b|² up to a constant, with LL' = X'X + λ and b = X'y + λ w₀.
        lower = cholesky(gram + strength * np.eye(n), lower=True)
        weights = nnls(lower.T, solve_triangular(lower, reach + strength * common, lower=True))[0]
        found[k] = weights / weights.sum() if weights.sum() > 0 else equal
    return found


def equal(models: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Return equal weights: the RDM of the layer as it is."""
    return np.full(len(models), 1 / len(models))


FITS: dict[str, tuple[str, flexible.Fit]] = {
    "reweighted": ("weights of groups, fitted", reweigh),
    "unweighted": ("all channels alike", equal),
}
"""As `flexible.FITS`, of groups of channels."""
