r"""Shapley values of channels, or of layers, for an RSA score: what each adds, summing to the score exactly.

The players are groups of channels of one layer, or layers. The value of a coalition is the mean over subjects
of the similarity of the RDM of its channels alone with the subjects' RDMs; without channels it is 0. A
player's Shapley value is what it adds to the score, averaged over all orders in which players may come
(Shapley 1953; Strumbelj & Kononenko 2010). Up to `MOST_EXACT` players every coalition is computed; beyond
that orders are drawn at random, each with its reverse (Mitchell et al. 2022, J. Mach. Learn. Res. 23:43), and
the values still sum to the score, because the steps of every order do.

What a group of channels contributes to sums over channels is computed once, for every pair of stimuli, so
that one more channel in a coalition costs one addition per pair. From the sums x'y, x'x and 1'x of a
coalition its correlation distance follows, and is computed anew for each: it is no sum over channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods import measures, rdm
from dashboard.methods.condensed import pair_indices

MOST_EXACT = 12
"""Players up to which all coalitions (4,096) are computed."""

MOST_BYTES = 2**29
"""Memory that the contributions of all players may take."""

CHUNK_VALUES = 1 << 19
"""Dissimilarities that are computed at once."""

CONSTANT = 1e-10
"""A pattern whose variance is below this share of its mean square is constant within a coalition."""

Finish = Callable[[np.ndarray], np.ndarray]
Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Game:
    """Players whose contributions add up.

    Attributes
    ----------
    parts : ndarray (n_players, n_columns)
        What each player adds to the sums of a coalition.
    finish : callable
        From sums (n, n_columns) to RDMs (n, n_kept).
    whole : ndarray (n_kept,)
        RDM of all players.
    keep : ndarray (n_pairs,) bool
        Pairs of stimuli that have a dissimilarity in the whole layer and in every subject.
    """

    parts: np.ndarray
    finish: Finish
    whole: np.ndarray
    keep: np.ndarray


@dataclass(frozen=True, eq=False)
class Shares:
    """A score, split.

    Attributes
    ----------
    values : ndarray (n_players, n_subjects)
        Shapley values; their sum over players is ``score``.
    error : ndarray (n_players,)
        Standard error of the mean over subjects from the random orders; 0 when exact.
    alone, without : ndarray (n_players, n_subjects)
        Score of the player alone, and of all others.
    score : ndarray (n_subjects,)
        Similarity of the RDM of all players with each subject.
    exact : bool
    orders : int
        Random orders, reversed ones included; 0 when exact.
    """

    values: np.ndarray
    error: np.ndarray
    alone: np.ndarray
    without: np.ndarray
    score: np.ndarray
    exact: bool
    orders: int

    @property
    def gap(self) -> float:
        """Largest difference, over subjects, between the sum of the values and the score."""
        return float(np.abs(self.values.sum(0) - self.score).max())


# --- contributions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Contributions:
    """What columns of a pattern matrix add to the sums behind its RDM; see `contributions`."""

    patterns: np.ndarray
    metric: str
    keep: np.ndarray
    whole: np.ndarray

    def of(self, columns: np.ndarray) -> np.ndarray:
        """Return what some columns add, (n_columns_of_sums,) float64."""
        values = np.asarray(self.patterns[:, columns], dtype=np.float64)
        if self.metric in _ADDITIVE:
            with errors.collect_cautions():
                found = rdm.dissimilarities(values, _ADDITIVE[self.metric]).numpy()
            return np.asarray(found[self.keep] * values.shape[1])
        values = self._normal(values)
        products = values @ values.T
        i, j = self._pairs
        own = [products[i, j], np.diag(products)]
        if self.metric == "correlation":
            own += [values.sum(1), [float(values.shape[1])]]
        return np.concatenate(own)

    def finish(self, sums: np.ndarray) -> np.ndarray:
        """Return the RDMs of coalitions, (n, n_kept), from their sums."""
        if self.metric in _ADDITIVE:
            return np.sqrt(np.maximum(sums, 0.0)) if self.metric == "euclidean" else sums
        i, j = self._pairs
        n, p = len(self.patterns), len(i)
        products, squares = sums[:, :p], sums[:, p : p + n]
        variance, inner = squares, products
        if self.metric == "correlation":
            total, size = sums[:, p + n : p + 2 * n], np.maximum(sums[:, -1:], 1.0)
            variance = squares - total**2 / size
            inner = products - total[:, i] * total[:, j] / size
        defined = variance > CONSTANT * squares
        scale = np.where(defined, 1 / np.sqrt(np.where(defined, variance, 1.0)), 0.0)
        found: np.ndarray = 1 - inner * scale[:, i] * scale[:, j]
        return found

    @property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        i, j = pair_indices(len(self.patterns))
        return i[self.keep], j[self.keep]

    def _normal(self, values: np.ndarray) -> np.ndarray:
        """Take off each pattern's mean and length, which neither correlation nor cosine depend on."""
        mean, size = self._scale
        return np.asarray((values - mean) / size)

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self.patterns.mean(1, keepdims=True, dtype=np.float64)
        squares = np.einsum("ij,ij->i", self.patterns, self.patterns, dtype=np.float64)
        size = np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
        return (mean if self.metric == "correlation" else np.zeros_like(mean)), size


_ADDITIVE = {
    "euclidean": "sqeuclidean",
    "sqeuclidean": "sqeuclidean",
    "mahalanobis": "sqeuclidean",
    "poisson": "poisson",
}
"""Metrics that are (a root of) a sum over units, and the metric that adds up."""


def contributions(patterns: Any, subject_rdms: Any, metric: str) -> Contributions:
    """Prepare the sums behind an RDM.

    Parameters
    ----------
    patterns : array_like (n_stimuli, n_units)
    subject_rdms : array_like (n_subjects, n_pairs)
        Pairs without a value in one of them, or in the layer, are left out.
    metric : str
        Any metric without folds.

    Raises
    ------
    InputError
        As `rdm.dissimilarities` and `measures.shared_pairs`.
    """
    whole = rdm.dissimilarities(patterns, metric).numpy()
    keep = measures.shared_pairs(whole[None], measures.vectors(subject_rdms, "RDMs"))
    return Contributions(np.asarray(patterns), metric, keep, whole[keep])


def game_of_channels(given: Contributions, groups: Sequence[np.ndarray]) -> Game:
    """Make players of groups of columns that share out all columns.

    Raises
    ------
    InputError
        When the contributions of so many players would fill memory.
    """
    _refuse_many(len(groups), int(given.keep.sum()))
    parts = np.stack([given.of(columns) for columns in groups])
    return Game(parts, given.finish, given.whole, given.keep)


def game_of_rdms(model_rdms: Any, subject_rdms: Any, measure: str) -> Game:
    """Make players of RDMs, such as of layers, that are combined with equal weight.

    The RDM of a coalition is the sum of its members' RDMs, each on the scale that the measure looks at:
    ranks, z scores, or divided by their root mean square.
    """
    models, subjects = measures.vectors(model_rdms, "model RDMs"), measures.vectors(subject_rdms, "RDMs")
    keep = measures.shared_pairs(models, subjects)
    with errors.collect_cautions():
        rows = [
            np.nan_to_num(measures.pool(row[None, keep], measure, measures.RANK_DIGITS)) for row in models
        ]
    parts = np.stack(rows)
    return Game(parts, lambda sums: sums, parts.sum(0), keep)


def _refuse_many(players: int, pairs: int) -> None:
    if 8 * players * pairs > MOST_BYTES:
        message = (
            f"{players} players and {pairs:,} pairs of stimuli need more memory than one answer may take."
        )
        raise errors.InputError(message, "Split the layer into fewer groups.")


# --- scores of coalitions -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scores:
    """Similarity of RDMs with every subject; 0 where an RDM has no variance."""

    subjects: np.ndarray
    measure: str
    keep: np.ndarray
    digits: int | None

    def __call__(self, rdms: np.ndarray) -> np.ndarray:
        """Return the similarities (n, n_subjects) of RDMs (n, n_kept)."""
        directions = measures.directions(rdms, self.measure, self.keep, self.digits)
        return np.asarray(np.nan_to_num(directions) @ self.subjects.T)


def _scores(subject_rdms: Any, measure: str, keep: np.ndarray, digits: int | None) -> _Scores:
    if measures.lookup(measure).family == "tau":
        message = f"{measures.lookup(measure).label} would take hours over all coalitions."
        raise errors.InputError(message, "Choose rho-a, which treats ties as fairly, or another measure.")
    subjects = measures.vectors(subject_rdms, "RDMs")[:, keep]
    found = measures.directions(subjects, measure, keep, digits)
    if np.isnan(found).any():
        message = "The RDM of a subject has no variance, so no score is defined."
        raise errors.InputError(message, "Leave this subject out.")
    return _Scores(found, measure, keep, digits)


def losses(
    given: Contributions,
    groups: Sequence[np.ndarray],
    subject_rdms: Any,
    measure: str,
    *,
    digits: int | None = measures.RANK_DIGITS,
    report: Report | None = None,
) -> np.ndarray:
    """Return how much the mean score falls when a group of columns is left out, (n_groups,).

    No more than two sets of contributions are kept at a time, whatever the number of groups.
    """
    scores = _scores(subject_rdms, measure, given.keep, digits)
    everything = given.of(np.arange(given.patterns.shape[1]))
    whole = scores(given.whole[None]).mean()
    found = np.empty(len(groups))
    for k, columns in enumerate(groups):
        rest = given.finish((everything - given.of(columns))[None])
        found[k] = whole - scores(rest).mean()
        if report is not None:
            report((k + 1) / len(groups))
    return found


# --- Shapley values -----------------------------------------------------------------------------------------


def split(
    game: Game,
    subject_rdms: Any,
    measure: str,
    *,
    orders: int = 200,
    seed: int = 0,
    digits: int | None = measures.RANK_DIGITS,
    report: Report | None = None,
) -> Shares:
    """Split the score between the players.

    Parameters
    ----------
    game : Game
    subject_rdms : array_like (n_subjects, n_pairs)
    measure : str
        Any measure but Kendall's taus.
    orders : int
        Random orders, half of them the reverse of the others, where there are more than `MOST_EXACT` players.
    seed : int
    digits, report
        As in `rsa.bootstrap`.

    Returns
    -------
    Shares
        A player that adds nothing to any sum has exactly 0, equal players have equal values.

    Raises
    ------
    InputError
        A tau, a subject without variance, or fewer than 4 orders.
    """
    if orders < 4:
        message = f"{orders} orders of the players say nothing about the error."
        raise errors.InputError(message, "Use at least 4; 200 is a good number.")
    scores = _scores(subject_rdms, measure, game.keep, digits)
    n = len(game.parts)
    active = np.flatnonzero(np.abs(game.parts).max(1) > 0)
    whole = scores(game.whole[None])[0]
    values, error = np.zeros((n, len(whole))), np.zeros(n)
    exact = len(active) <= MOST_EXACT
    parts = game.parts[active]
    if exact:
        values[active] = _enumerated(parts, game.finish, scores, whole, report)
    elif len(active):
        pairs = math.ceil(orders / 2)
        steps = _sampled(parts, game.finish, scores, whole, pairs, seed, report)
        values[active], error[active] = _summarised(steps, _alike(parts))
    alone = np.concatenate([scores(game.finish(game.parts[part])) for part in _blocks(n, game.parts)])
    everything = game.parts.sum(0)
    without = [scores(game.finish(everything - game.parts[part])) for part in _blocks(n, game.parts)]
    rest = np.concatenate(without) if n > 1 else np.zeros_like(alone)
    return Shares(values, error, alone, rest, whole, exact, 0 if exact else 2 * math.ceil(orders / 2))


def _blocks(n: int, parts: np.ndarray) -> Iterator[slice]:
    size = max(1, CHUNK_VALUES // parts.shape[1])
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _enumerated(
    parts: np.ndarray, finish: Finish, scores: _Scores, whole: np.ndarray, report: Report | None
) -> np.ndarray:
    """Return the Shapley values (n_players, n_subjects) from the scores of all coalitions."""
    n = len(parts)
    members = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    found = np.empty((2**n, len(whole)))
    for block in _blocks(2**n, parts):
        found[block] = scores(finish(members[block] @ parts))
        if report is not None:
            report(block.stop / 2**n)
    found[0], found[-1] = 0.0, whole
    sizes = members.sum(1).astype(int)
    weights = np.array([1 / (n * math.comb(n - 1, k)) for k in range(n)])
    values = np.empty((n, len(whole)))
    for k in range(n):
        inside = np.flatnonzero(members[:, k])
        outside = inside - (1 << k)
        values[k] = weights[sizes[outside]] @ (found[inside] - found[outside])
    return values


def _sampled(
    parts: np.ndarray,
    finish: Finish,
    scores: _Scores,
    whole: np.ndarray,
    pairs: int,
    seed: int,
    report: Report | None,
) -> np.ndarray:
    """Return what players add in random orders, mean of each order and its reverse.

    Returns
    -------
    ndarray (n_pairs, n_players, n_subjects)
    """
    rng = np.random.default_rng(seed)
    n = len(parts)
    found = np.zeros((pairs, n, len(whole)))
    for k in range(pairs):
        order = rng.permutation(n)
        for way in (order, order[::-1]):
            found[k, way] += _steps(parts, way, finish, scores, whole) / 2
        if report is not None:
            report((k + 1) / pairs)
    return found


def _steps(
    parts: np.ndarray, order: np.ndarray, finish: Finish, scores: _Scores, whole: np.ndarray
) -> np.ndarray:
    """Return what each player of an order adds to those before it, (n_players, n_subjects)."""
    reached = np.zeros((len(order) + 1, len(whole)))
    before = np.zeros(parts.shape[1])
    for block in _blocks(len(order), parts):
        sums = np.cumsum(parts[order[block]], axis=0) + before
        before = sums[-1]
        reached[1 + block.start : 1 + block.stop] = scores(finish(sums))
    reached[-1] = whole  # the sums of another order differ by rounding, the score must not
    return np.diff(reached, axis=0)


def _alike(parts: np.ndarray) -> list[np.ndarray]:
    """Return groups of two players or more that contribute the very same."""
    found: dict[bytes, list[int]] = {}
    for k, row in enumerate(parts):
        found.setdefault(row.tobytes(), []).append(k)
    return [np.array(members) for members in found.values() if len(members) > 1]


def _summarised(steps: np.ndarray, alike: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return values (n_players, n_subjects) and the standard error (n_players,) of their mean.

    Players that contribute the same can change places in any order, so their values are averaged.
    """
    for members in alike:
        steps[:, members] = steps[:, members].mean(1, keepdims=True)
    means = steps.mean(2)
    return steps.mean(0), means.std(0, ddof=1) / np.sqrt(len(means))
