"""Variances of mean scores of RDMs from leaving out stimuli: what the tests of scores, gaps and pairs use.

A score is a function of pairs of stimuli. The bootstrap over stimuli overestimates its variance, by a tenth
with 40 stimuli and by half with 12 (`benchmarks.inference`), and the plain jackknife no less: both count
twice or more what does not add up over stimuli. Leaving out pairs of stimuli too measures this part, so that
it can be counted once (Efron & Stein 1981, Ann. Stat. 9:586, the bias-corrected jackknife).

Shapes: n stimuli, S subjects, K columns (models, and the lower noise ceiling with its pools held), N pairs of
stimuli that are left out together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST = 6
"""Stimuli below which leaving out two leaves too little."""

PAIRS = 300
"""Pairs of stimuli that are left out: all where there are no more, else so many at random, the same ones."""


def left_out(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which stimuli are kept when one and when two are left out.

    Returns
    -------
    counts : ndarray (n + N, n)
        0 for what is left out and 1 for the rest: first each stimulus alone, then pairs.
    pairs : ndarray (N, 2)
        The two stimuli of each pair.
    """
    i, j = np.triu_indices(n, 1)
    if len(i) > PAIRS:
        some = np.sort(np.random.default_rng(0).choice(len(i), PAIRS, replace=False))
        i, j = i[some], j[some]
    pairs = np.stack([i, j], 1)
    counts = np.ones((n + len(pairs), n), np.int64)
    counts[np.arange(n), np.arange(n)] = 0
    counts[n + np.arange(len(pairs))[:, None], pairs] = 0
    return counts, pairs


@dataclass(frozen=True)
class Components:
    """Parts of the covariance of the mean over subjects of K columns; (K, K) each.

    Attributes
    ----------
    stimuli, stimuli_second : ndarray
        Over stimuli, by the jackknife; and the part of it that does not add up over stimuli, counted once.
    own, own_second : ndarray
        The same of what each subject adds of its own, which subjects and stimuli share.
    subjects : ndarray
        Over subjects.
    n_stimuli, n_subjects : int
    """

    stimuli: np.ndarray
    stimuli_second: np.ndarray
    own: np.ndarray
    own_second: np.ndarray
    subjects: np.ndarray
    n_stimuli: int
    n_subjects: int

    def variance(self, contrast: np.ndarray, *, people: bool) -> tuple[float, float]:
        """Return the variance of a contrast of columns, and the degrees of freedom of its t test.

        Parameters
        ----------
        contrast : ndarray (K,)
        people : bool
            Whether subjects stand for others too: then the variances over subjects and over stimuli are
            added, less what they share (as Schütt et al. 2023, eLife 12:e82566, do with bootstraps), but
            never below either; degrees of freedom by Satterthwaite (1946, Biometrics Bull. 2:110).
        """
        used = np.flatnonzero(contrast)
        c = contrast[used]

        def quadratic(matrix: np.ndarray) -> float:
            return float(np.maximum(c @ matrix[np.ix_(used, used)] @ c, 0.0))  # NaN stays NaN

        over_stimuli = _once(quadratic(self.stimuli), quadratic(self.stimuli_second))
        dof = self.n_stimuli - 1
        if not people:
            return over_stimuli, dof
        over_people = quadratic(self.subjects)
        shared = _once(quadratic(self.own), quadratic(self.own_second))
        least = max(over_people, over_stimuli)
        found = float(np.maximum(over_people + over_stimuli - shared, least))
        if not found > 0:
            return found, min(dof, self.n_subjects - 1)
        spread = over_people**2 / (self.n_subjects - 1) + over_stimuli**2 / dof
        return found, max(found**2 / spread, min(dof, self.n_subjects - 1))


def _once(jackknife: float, second: float) -> float:
    """Count the second-order part once: the jackknife holds it twice, so that it is at most half of it."""
    return jackknife - float(np.minimum(second, jackknife / 2))


def components(whole: np.ndarray, singles: np.ndarray, doubles: np.ndarray, pairs: np.ndarray) -> Components:
    """Measure the parts of the covariance.

    Parameters
    ----------
    whole : ndarray (K, S)
        Similarities with every subject, of all stimuli.
    singles : ndarray (n, K, S)
        Without each stimulus.
    doubles : ndarray (N, K, S)
        Without each of some pairs of stimuli.
    pairs : ndarray (N, 2)
        Which they are.
    """
    n, (_, s) = len(singles), whole.shape
    second = (
        n * whole - (n - 1) * (singles[pairs[:, 0]] + singles[pairs[:, 1]]) + (n - 2) * doubles
    )  # Efron & Stein's Q
    share = n * (n - 1) / 2 / len(pairs) / (n * (n + 1))  # of all pairs, also where only some were left out
    means, own = (singles.mean(2), second.mean(2)), (_without_mean(singles), _without_mean(second))
    residual = _without_mean(whole)
    scale = s * (s - 1) if s > 1 else np.nan
    return Components(
        stimuli=(n - 1) / n * _scatter(means[0]),
        stimuli_second=share * _scatter(means[1]),
        own=(n - 1) / n * _each(own[0]) / scale,
        own_second=share * _each(own[1]) / scale,
        subjects=residual @ residual.T / scale,
        n_stimuli=n,
        n_subjects=s,
    )


def _without_mean(values: np.ndarray) -> np.ndarray:
    """Subtract the mean over subjects, the last axis."""
    return values - values.mean(-1, keepdims=True)


def _scatter(rows: np.ndarray) -> np.ndarray:
    """Sum the products of rows (N, K) about their mean, (K, K)."""
    centred = rows - rows.mean(0)
    return centred.T @ centred


def _each(values: np.ndarray) -> np.ndarray:
    """Sum `_scatter` over subjects; values (N, K, S)."""
    centred = (values - values.mean(0)).transpose(2, 0, 1)
    return (centred.transpose(0, 2, 1) @ centred).sum(0)
