"""Tests of whole courses: clusters of neighbouring points whose mass beats what shuffled data reach.

Maris and Oostenveld (2007), J. Neurosci. Methods 164:177: points above a threshold that touch form a cluster,
its mass is the sum of their statistic, and the largest mass of each shuffle makes the null distribution, so
that the chance of any false cluster is held at the level chosen. The test speaks of a cluster as a whole:
that its first point is where the effect begins is not tested (Sassenhagen & Draschkow 2019, Psychophysiology
56:e13335).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.errors import InputError

EQUAL = 1e-9
"""Masses nearer than this, as a share, are ties, whatever the order of summation gave."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """One cluster of one course.

    Attributes
    ----------
    series : int
        Which course.
    inside : np.ndarray
        (shape of space) bool.
    mass : float
        Sum of the statistic inside.
    p : float
        Corrected over the points of its course.
    p_all : float
        Corrected over all courses too.
    """

    series: int
    inside: np.ndarray
    mass: float
    p: float
    p_all: float

    @property
    def first(self) -> int:
        """First place on the first axis."""
        return int(np.flatnonzero(self.inside.reshape(len(self.inside), -1).any(axis=1))[0])

    @property
    def last(self) -> int:
        """Last place on the first axis."""
        return int(np.flatnonzero(self.inside.reshape(len(self.inside), -1).any(axis=1))[-1])


@dataclass(frozen=True, eq=False)
class ClusterTest:
    """What a cluster test found.

    Attributes
    ----------
    clusters : tuple of Cluster
        Of every course, largest mass first.
    largest : np.ndarray
        (n_labellings, n_series) largest mass of each labelling, the true one first; 0 without a cluster.
    critical : np.ndarray
        (n_series,) the mass from which on p is at most .05.
    critical_all : float
        The mass from which on a cluster of any course has p at most .05, corrected over courses.
    """

    clusters: tuple[Cluster, ...]
    largest: np.ndarray
    critical: np.ndarray
    critical_all: float


def labelled(above: np.ndarray) -> np.ndarray:
    """Number the clusters of every course from 1, 0 elsewhere; points touch along one axis at a time.

    Parameters
    ----------
    above : np.ndarray
        (n_series, shape of space) bool.
    """
    from scipy import ndimage

    touching = ndimage.generate_binary_structure(above.ndim, 1)
    touching[0] = touching[2] = False  # courses do not touch each other
    found: np.ndarray = ndimage.label(above, touching)[0]
    return found


def largest_mass(values: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Return the mass of the largest cluster of every course, 0 where there is none.

    Parameters
    ----------
    values : np.ndarray
        (n_series, shape of space) statistics; NaN is below every threshold.
    threshold : float or np.ndarray
        Points strictly above it form clusters; broadcast against `values`.
    """
    above = values > threshold
    if values.ndim == 2:
        return _largest_run(values, above)
    labels = labelled(above).reshape(len(values), -1)
    place = labels > 0
    mass = np.bincount(labels[place], weights=values.reshape(len(values), -1)[place])
    found = np.zeros(len(values))
    np.maximum.at(found, np.nonzero(place)[0], mass[labels[place]])
    return found


def _largest_run(values: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Answer `largest_mass` in one dimension by running sums over all courses at once."""
    run, best = np.zeros(len(values)), np.zeros(len(values))
    for t in range(values.shape[1]):
        run = np.where(above[:, t], run + np.where(above[:, t], values[:, t], 0.0), 0.0)
        best = np.maximum(best, run)
    return best


def standardised(scores: np.ndarray) -> np.ndarray:
    """Return scores less their mean and over their deviation over labellings, the true one among them.

    That keeps a test by shuffled labels exact, and lets points of unequal spread count alike.

    Parameters
    ----------
    scores : np.ndarray
        (n_labellings, …).
    """
    spread = scores.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (scores - scores.mean(axis=0)) / spread
    return np.where(spread > 1e-12, z, 0.0)


def z_threshold(forming: float) -> float:
    """Return what a standard normal value exceeds with probability `forming`.

    Raises
    ------
    InputError
        When it is no probability below one half.
    """
    from scipy.special import ndtri

    if not 0 < forming < 0.5:
        message = f"A point joins a cluster at a level between 0 and 0.5, not {forming:g}."
        raise InputError(message, "Use 0.05, or 0.01 for shorter and stronger clusters.")
    return float(ndtri(1 - forming))


def test(values: np.ndarray, threshold: float) -> ClusterTest:
    """Find the clusters of the true courses and compare them with those of shuffled ones.

    Parameters
    ----------
    values : np.ndarray
        (n_labellings, n_series, shape of space) statistics, the true labelling first. The same shuffles
        serve all courses, so that their dependence is kept when they are corrected together.
    threshold : float
        Points above it form clusters.

    Returns
    -------
    ClusterTest
        p is the share of labellings, the true one included, whose largest mass is at least the cluster's.
    """
    n, series = values.shape[:2]
    largest = largest_mass(values.reshape(n * series, *values.shape[2:]), threshold).reshape(n, series)
    of_all = largest.max(axis=1)
    labels = labelled(values[0] > threshold)
    found = []
    for k in range(1, int(labels.max(initial=0)) + 1):
        where = labels == k
        row = int(np.nonzero(where)[0][0])
        inside = where[row]
        mass = float(values[0, row][inside].sum())
        least = mass * (1 - EQUAL)
        found.append(
            Cluster(
                row, inside, mass, float((largest[:, row] >= least).mean()), float((of_all >= least).mean())
            )
        )
    critical = np.array([_critical(largest[:, k]) for k in range(series)])
    return ClusterTest(tuple(sorted(found, key=lambda c: -c.mass)), largest, critical, _critical(of_all))


test.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


def _critical(largest: np.ndarray, level: float = 0.05) -> float:
    """Return the smallest mass that at most a share `level` of the labellings reach, inf where none can.

    It lies just above the largest mass that more labellings reach: a cluster need not be the largest of its
    labelling, so that its mass need not be among them.
    """
    ordered = np.sort(largest)[::-1]
    allowed = int(np.floor(level * len(ordered) + 1e-9))
    if not allowed:
        return float("inf")
    return float(np.nextafter(ordered[allowed] * (1 + 3 * EQUAL), np.inf))


# --- flipped signs ------------------------------------------------------------------------------------------


def flipped_t(values: np.ndarray, n: int = 1000, seed: int = 0) -> tuple[np.ndarray, int]:
    """Return t of the mean over subjects under flipped signs, the true ones first.

    Where there are no more than ``n`` ways to flip signs, each is taken once, and the test is exact.

    Parameters
    ----------
    values : np.ndarray
        (n_subjects, n_series, n_times) scores that are symmetric about 0 without an effect.
    n, seed : int
        Number of random flips and their seed.

    Returns
    -------
    t : np.ndarray
        (n_labellings, n_series, n_times).
    dof : int

    Raises
    ------
    InputError
        When there are fewer than 2 subjects.
    """
    subjects = len(values)
    if subjects < 2:
        message = f"Signs of subjects cannot be flipped with {subjects} subject."
        raise InputError(message, "Shuffle the labels of the stimuli instead.")
    if 2**subjects - 1 <= n:
        numbers = np.arange(2**subjects)
        signs = 1.0 - 2.0 * ((numbers[:, None] >> np.arange(subjects)) & 1)
    else:
        random = np.random.default_rng([seed, 0xF11B])
        signs = np.concatenate([np.ones((1, subjects)), random.choice([-1.0, 1.0], (n, subjects))])
    flat = values.reshape(subjects, -1)
    mean = signs @ flat / subjects
    squares = (flat**2).sum(axis=0)  # no flip changes them
    variance = np.maximum(squares - subjects * mean**2, 0.0) / (subjects - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = mean / np.sqrt(variance / subjects)
    return np.where(variance > 0, t, 0.0).reshape(len(signs), *values.shape[1:]), subjects - 1
