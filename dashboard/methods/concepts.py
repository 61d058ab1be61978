"""How a concept moves a class: testing with concept activation vectors (TCAV).

Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas & Sayres (2018), ICML, arXiv 1711.11279: a linear classifier
tells responses to pictures of a concept from responses to other pictures, its normal is the concept's
direction, and the score is the share of pictures of a class for which a step along it raises the class.
Scores of random "concepts", drawn from the same pictures, say what chance gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard.errors import InputError

PENALTY = 0.1
"""Of the ridge classifier, in units of the mean squared length of the responses."""

FEWEST = 4


@dataclass(frozen=True, eq=False)
class Direction:
    """The direction of a concept.

    Attributes
    ----------
    vector : np.ndarray
        (n_units,) float64 of length 1, towards the concept.
    accuracy : float
        Share of pictures told right when left out of the fit.
    """

    vector: NDArray[np.float64]
    accuracy: float


@dataclass(frozen=True, eq=False)
class Scores:
    """TCAV scores of a concept and of random ones.

    Attributes
    ----------
    concept, random : np.ndarray
        (n_runs,) share of class pictures for which the derivative along the direction is positive.
    accuracy, random_accuracy : np.ndarray
        (n_runs,) of the classifiers, on pictures left out.
    p : float
        Two-sided, of Welch's t test between the two sets of scores.
    """

    concept: NDArray[np.float64]
    random: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    random_accuracy: NDArray[np.float64]
    p: float


def direction(inside: ArrayLike, outside: ArrayLike) -> Direction:
    """Return the normal of a ridge classifier between two sets of responses.

    Parameters
    ----------
    inside, outside : (n, n_units), (m, n_units)
        Responses to pictures of the concept and to others.
    """
    x = np.concatenate([np.asarray(inside, np.float64), np.asarray(outside, np.float64)])
    y = np.r_[np.ones(len(np.asarray(inside))), -np.ones(len(np.asarray(outside)))]
    centred, target = x - x.mean(axis=0), y - y.mean()
    products = centred @ centred.T
    penalty = PENALTY * max(float(np.trace(products)) / len(x), 1e-300)
    inverse = np.linalg.inv(products + penalty * np.eye(len(x)))
    vector = centred.T @ (inverse @ target)
    length = float(np.linalg.norm(vector))
    # Leaving one out needs no other fit: the residual divided by one minus its own influence.
    influence = np.diag(products @ inverse) + 1 / len(x)
    left_out = y - (target - products @ (inverse @ target)) / np.maximum(1 - influence, 1e-12)
    return Direction(vector / length if length > 0 else vector, float((left_out * y > 0).mean()))


def score(gradients: ArrayLike, vector: ArrayLike) -> float:
    """Return the share of gradients (n, n_units) that have a positive part along a direction."""
    along = np.asarray(gradients, np.float64) @ np.asarray(vector, np.float64)
    return float((along > 0).mean())


def tcav(
    responses: ArrayLike,
    is_concept: ArrayLike,
    gradients: ArrayLike,
    *,
    runs: int = 20,
    examples: int = 40,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> Scores:
    """Compare the scores of a concept with those of random concepts.

    In each run the concept's direction comes from new draws of pictures with and without the concept; the
    random direction comes from two disjoint draws, as large, of any pictures.

    Parameters
    ----------
    responses : (n_stimuli, n_units)
    is_concept : (n_stimuli,) bool
    gradients : (n_class_stimuli, n_units)
        Of the score of the class with respect to the responses.
    runs, examples, seed : int
        Number of draws, pictures in each of the two sets of a draw (fewer when there are not so many).
    report : callable, optional
        Told the part that is done.

    Raises
    ------
    InputError
        When there are too few pictures with or without the concept, or runs.
    """
    x, inside = np.asarray(responses, np.float64), np.flatnonzero(np.asarray(is_concept, bool))
    outside = np.flatnonzero(~np.asarray(is_concept, bool))
    n = min(examples, len(inside), len(outside), len(x) // 2)
    if n < FEWEST or runs < 2:
        message = (
            f"{len(inside)} stimuli have the concept and {len(outside)} do not; {FEWEST} of each, and two "
            "runs, are needed."
        )
        raise InputError(message, "Choose more stimuli, or another concept.")
    draw = np.random.default_rng(seed)
    found: list[tuple[Direction, Direction]] = []
    for run in range(runs):
        own = direction(x[draw.choice(inside, n, replace=False)], x[draw.choice(outside, n, replace=False)])
        any_two = draw.permutation(len(x))[: 2 * n]
        found.append((own, direction(x[any_two[:n]], x[any_two[n:]])))
        if report is not None:
            report((run + 1) / runs)
    concept, random = (np.array([score(gradients, d[k].vector) for d in found]) for k in range(2))
    accuracy, chance = (np.array([d[k].accuracy for d in found]) for k in range(2))
    return Scores(concept, random, accuracy, chance, welch(concept, random))


def welch(a: ArrayLike, b: ArrayLike) -> float:
    """Return the two-sided p of Welch's t test; without any spread 1 where the means agree, else 0."""
    from scipy.special import stdtr

    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return 1.0 if a[0] == b[0] else 0.0
    errors = np.array([one.var(ddof=1) / len(one) for one in (a, b)])
    freedom = errors.sum() ** 2 / (errors**2 / [len(a) - 1, len(b) - 1]).sum()
    return float(2 * stdtr(freedom, -abs(a.mean() - b.mean()) / np.sqrt(errors.sum())))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values corrected for their number (Holm, 1979, Scand J Stat 6:65)."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    found = np.empty_like(p)
    found[order] = corrected
    return found
