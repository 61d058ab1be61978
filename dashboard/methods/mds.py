"""Maps and orders of stimuli from their dissimilarities: classical and metric scaling, clustering.

Free of torch; scipy is imported on use. Sources: Torgerson (1952), Psychometrika 17:401 (classical);
de Leeuw (1977) and Borg and Groenen (2005), chapter 8 (SMACOF); Kruskal (1964), Psychometrika 29:1
(stress-1); Bar-Joseph, Gifford and Jaakkola (2001), Bioinformatics 17:S22 (leaf order).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods.condensed import condense, square

RESTARTS = 3
"""Random starts of metric scaling, beside the classical one, for up to `RESTART_LIMIT` stimuli."""

RESTART_LIMIT = 200
MAX_STEPS, TOLERANCE = 500, 1e-7
OPTIMAL_ORDER_LIMIT = 500
"""Above so many stimuli the best order of the leaves takes too long, and the plain one is used."""


def classical(condensed: Any, n_axes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Place stimuli so that inner products match those of the dissimilarities (principal coordinates).

    Parameters
    ----------
    condensed : array_like (n_pairs,)
        Dissimilarities, read as distances. Negative ones are set to 0, with a caution.
    n_axes : int

    Returns
    -------
    positions : ndarray (n_stimuli, n_axes)
        Centred; each axis has its largest coordinate positive. NaN for stimuli without any dissimilarity.
    explained : ndarray (n_axes,)
        Share of each axis in the sum of positive eigenvalues.

    Raises
    ------
    InputError
        No condensed RDM, missing pairs, or not fewer axes than stimuli.
    """
    matrix, placed = _distances(condensed, n_axes)
    positions, explained = _principal(matrix, n_axes)
    return _spread(positions, placed), explained


def metric(condensed: Any, n_axes: int = 2, seed: int = 0) -> tuple[np.ndarray, float]:
    """Place stimuli so that their distances match the dissimilarities, by majorisation (SMACOF).

    Parameters
    ----------
    condensed, n_axes
        As in `classical`, which is the first start.
    seed : int
        Of the further random starts; the best of all is kept.

    Returns
    -------
    positions : ndarray (n_stimuli, n_axes)
        Centred, turned to principal axes. NaN for stimuli without any dissimilarity.
    stress : float
        Kruskal's stress-1, sqrt(sum (d - δ)² / sum d²): 0 is perfect, above 0.2 is poor.

    Raises
    ------
    InputError
        As in `classical`.
    """
    matrix, placed = _distances(condensed, n_axes)
    rng = np.random.default_rng(seed)
    start = _principal(matrix, n_axes)[0]
    scale = float(matrix.std()) or 1.0
    starts = [start + 1e-6 * scale * rng.standard_normal(start.shape)]  # noise frees axes that are all 0
    restarts = RESTARTS if len(matrix) <= RESTART_LIMIT else 0
    starts += [scale * rng.standard_normal(start.shape) for _ in range(restarts)]
    found = [smacof(matrix, one)[0] for one in starts]
    best = min(found, key=lambda positions: stress(matrix, positions))
    turned = best @ np.linalg.svd(best, full_matrices=False)[2].T
    return _spread(_signed(turned), placed), stress(matrix, best)


def smacof(matrix: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower the raw stress, sum (d - δ)², by Guttman transforms until it falls no further.

    Parameters
    ----------
    matrix : ndarray (n_stimuli, n_stimuli)
        Dissimilarities, not negative.
    start : ndarray (n_stimuli, n_axes)

    Returns
    -------
    positions : ndarray (n_stimuli, n_axes)
    history : ndarray (n_steps + 1,)
        Raw stress before and after every step; it never rises.
    """
    positions = start - start.mean(0)
    distances = _between(positions)
    history = [_raw(matrix, distances)]
    for _ in range(MAX_STEPS):
        ratio = np.divide(matrix, distances, out=np.zeros_like(matrix), where=distances > 0)
        positions = (ratio.sum(1)[:, None] * positions - ratio @ positions) / len(matrix)
        distances = _between(positions)
        history.append(_raw(matrix, distances))
        if history[-2] - history[-1] <= TOLERANCE * history[-2]:
            break
    return positions, np.array(history)


def stress(matrix: np.ndarray, positions: np.ndarray) -> float:
    """Return Kruskal's stress-1 of positions for square dissimilarities; NaN when all positions are equal."""
    distances = _between(positions)
    total = float((distances**2).sum()) / 2
    return float(np.sqrt(_raw(matrix, distances) / total)) if total > 0 else float("nan")


def order_by_clustering(condensed: Any) -> np.ndarray:
    """Order stimuli so that similar ones are neighbours: average linkage, best order of leaves.

    Parameters
    ----------
    condensed : array_like (n_pairs,)

    Returns
    -------
    ndarray (n_stimuli,) int
        Stimuli in their new order; those without any dissimilarity come last.

    Raises
    ------
    InputError
        No condensed RDM, or missing pairs.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    matrix, placed = _complete(condensed)
    absent = np.flatnonzero(~placed)
    if placed.sum() < 3:
        return np.concatenate([np.flatnonzero(placed), absent])
    tree = linkage(condense(matrix), "average", optimal_ordering=len(matrix) <= OPTIMAL_ORDER_LIMIT)
    return np.concatenate([np.flatnonzero(placed)[leaves_list(tree)], absent])


def _complete(condensed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the square of stimuli that have dissimilarities, and which these are, (n_stimuli,) bool."""
    values = np.asarray(condensed, dtype=np.float64)
    if values.ndim != 1:
        message = f"One condensed RDM is needed, not an array of shape {values.shape}."
        raise errors.InputError(message, "Choose one layer or area.")
    if np.isinf(values).any():
        message = f"{int(np.isinf(values).sum())} dissimilarities are infinite."
        raise errors.InputError(message, "Choose another metric.")
    matrix = square(values)
    missing = np.isnan(matrix)
    placed = missing.sum(1) < len(matrix) - 1
    matrix = matrix[np.ix_(placed, placed)]
    if np.isnan(matrix).any() or not placed.any():
        message = f"{int(np.isnan(values).sum())} pairs of stimuli have no dissimilarity."
        raise errors.InputError(message, "Choose a layer or area without missing pairs.")
    return matrix, placed


def _distances(condensed: Any, n_axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return non-negative square dissimilarities, and which stimuli they are of."""
    matrix, placed = _complete(condensed)
    if not 1 <= n_axes < len(matrix):
        message = f"{len(matrix)} stimuli cannot be placed on {n_axes} axes."
        raise errors.InputError(message, f"Choose from 1 to {len(matrix) - 1} axes.")
    negative = int((matrix < 0).sum()) // 2
    if negative:
        errors.caution(
            "negative-dissimilarities",
            f"{negative} negative dissimilarities (right for cross-validated metrics) count as 0 in the map.",
        )
    if not placed.all():
        errors.caution(
            "unplaced-stimuli",
            f"{int((~placed).sum())} stimuli have no dissimilarity and are not in the map.",
        )
    return np.maximum(matrix, 0.0), placed


def _principal(matrix: np.ndarray, n_axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return principal coordinates and the share of each axis."""
    squares = matrix**2
    inner = -(squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean()) / 2
    values, axes = np.linalg.eigh(inner)
    values, axes = values[::-1], axes[:, ::-1]
    total = values[values > 0].sum()
    kept = np.maximum(values[:n_axes], 0.0)
    return _signed(axes[:, :n_axes] * np.sqrt(kept)), kept / total if total > 0 else np.zeros(n_axes)


def _signed(positions: np.ndarray) -> np.ndarray:
    """Mirror axes so that the coordinate of largest size is positive: equal data give an equal map."""
    largest = positions[np.argmax(np.abs(positions), axis=0), np.arange(positions.shape[1])]
    return positions * np.where(largest < 0, -1.0, 1.0)


def _spread(positions: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """Put positions back in the order of all stimuli."""
    found = np.full((len(placed), positions.shape[1]), np.nan)
    found[placed] = positions
    return found


def _between(positions: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of all points, by differences."""
    return np.sqrt(sum((axis[:, None] - axis) ** 2 for axis in positions.T))


def _raw(matrix: np.ndarray, distances: np.ndarray) -> float:
    return float(((matrix - distances) ** 2).sum()) / 2
