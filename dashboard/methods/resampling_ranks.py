"""Spearman and rho-a in bootstrap samples: ranks from cumulative weights along orders that are sorted once.

The loops are compiled on first use: for workers.
Shapes: B samples, M models, S subjects, R = M + S RDMs, P pairs that have a value, K pools, n stimuli.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.methods.compiled import compiled
from dashboard.methods.resampling import Sample

Sets = list[tuple[slice, np.ndarray]]
"""Which subjects, and how often each is drawn in every sample, (B, S)."""

WEIGHT_BITS = 32
"""Of a whole number that holds the place of a pair among those drawn above its weight."""

CHUNK, CHUNK_VALUES = 16, 4_000_000
"""Most samples, and most ranks of subjects, that are held at a time."""


@dataclass
class Ranked:
    """What ceilings need of B samples.

    Attributes
    ----------
    plain : ndarray (B, S, 1 + P)
        Doubled ranks of the subjects, of the pairs that were drawn. The first column is of no weight.
    weights : ndarray (B, 1 + P)
        How often each of these pairs stands in the sample.
    lengths : ndarray (B,)
        Columns that are filled.
    squares : ndarray (B, S)
        Squared norms of the subjects' ranks.
    total, cubes : ndarray (B,)
        Sum of the weights and of their cubes.
    """

    plain: np.ndarray
    weights: np.ndarray
    lengths: np.ndarray
    squares: np.ndarray
    total: np.ndarray
    cubes: np.ndarray


class Ranks:
    """Spearman and rho-a, with ranks taken again inside every sample.

    Every RDM is sorted once. Along its order the weights of a sample add up to the ranks of the pairs in that
    sample. Of A = 2 rank - 1, whose weighted sum is the squared total, the product about the mean is
    sum w A A' - total³, and the squared norm (total³ - sum of cubed weights - ties) / 3, where ties sums
    over groups of equal values: cubed weight of the group - cubed weights in it. Only about two fifths of all
    pairs have any weight in a sample: ranks are kept of these alone.
    """

    together = True

    def __init__(
        self, models: np.ndarray, subjects: np.ndarray, i: np.ndarray, j: np.ndarray, *, corrected: bool
    ) -> None:
        self.m, self.corrected = len(models), corrected
        self.i, self.j = i.astype(np.int64), j.astype(np.int64)
        self.chunk = int(np.clip(CHUNK_VALUES // max(1, subjects.size), 1, CHUNK))
        rows = np.concatenate([models, subjects])
        order = np.argsort(rows, axis=1, kind="stable")
        self.order = order.astype(np.uint32)
        ordered = np.take_along_axis(rows, order, axis=1)
        self.begins = np.ones(rows.shape, bool)
        self.begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        self.tied = ~self.begins.all(1)

    def sample(self, counts: np.ndarray) -> Sample:
        """Rank all RDMs in every sample; see `resampling.Kernel`."""
        c = np.ascontiguousarray(counts, dtype=np.int64)
        along = self.order, self.begins, self.tied
        products, ties, plain, weights, lengths = rank_samples(c, self.i, self.j, *along, self.m)
        total, cubes = weights.sum(1), (weights * weights * weights).sum(1)
        squares = (total**3 - cubes)[:, None] / 3 - ties / 3
        x, y = squares[:, : self.m, None], squares[:, None, self.m :]
        found = self._scale(products, x, y, total[:, None, None])
        return Sample(found, Ranked(plain, weights, lengths, squares[:, self.m :], total, cubes))

    def _scale(self, products: np.ndarray, a: Any, b: Any, total: np.ndarray) -> np.ndarray:
        """Turn products of doubled ranks into similarities."""
        products = products - total**3
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.corrected:
                return np.where((a > 0) & (b > 0), products / np.sqrt(a * b), np.nan)
            return np.asarray(products * np.divide(3.0, total**3 - total))

    def ceilings(self, sample: Sample, sets: Sets) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rank the pools of all sets of subjects in every sample at once; see `resampling.Kernel`.

        A = 2 rank - 1 of a subject is a whole number, so that ties of sums are exact.
        """
        state: Ranked = sample.state
        pools = [_Pools.of(columns, counts, state.plain.shape[1]) for columns, counts in sets]
        mixes = np.concatenate([pool.mixes for pool in pools])
        wanted = np.concatenate([pool.wanted for pool in pools])
        row = np.concatenate([pool.row for pool in pools])
        # One sample of stimuli serves many of subjects.
        owner = row if len(state.plain) > 1 else np.zeros_like(row)
        similar = self._similar(state, owner, mixes, wanted)
        parts = np.split(similar, np.cumsum([len(pool.row) for pool in pools])[:-1])
        return [pool.bounds(part) for pool, part in zip(pools, parts, strict=True)]

    def _similar(self, state: Ranked, owner: np.ndarray, mixes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return similarities (K, S) of pools with the subjects that they are wanted with."""
        width = int(state.lengths.max())
        bits = width.bit_length()
        largest = int((2 * state.total[owner] * mixes.sum(1)).max(initial=0)) + 1
        keys = np.empty((len(mixes), width), np.int32 if largest.bit_length() + bits < 31 else np.int64)
        _mix(state.plain, state.lengths, owner, mixes, largest, bits, keys)
        keys.sort(axis=1)
        products, ties = _pools(keys, bits, state.plain, state.weights, state.lengths, owner, wanted)
        total = state.total[owner, None]
        squares = (total**3 - state.cubes[owner, None] - ties[:, None]) / 3
        return self._scale(products, squares, state.squares[owner], total)


@dataclass
class _Pools:
    """Pools of subjects drawn so often in B samples: of all, then of the others of every one drawn.

    ``row`` (K,) is the sample of each, ``person`` the subject left out, -1 for none; ``mixes`` (K, all
    subjects) how often each subject is in it, and ``wanted`` with whom it is compared.
    """

    columns: slice
    shape: tuple[int, int]
    row: np.ndarray
    person: np.ndarray
    mixes: np.ndarray
    wanted: np.ndarray

    @classmethod
    def of(cls, columns: slice, counts: np.ndarray, n_subjects: int) -> _Pools:
        b, t = np.nonzero(counts)
        row = np.concatenate([np.arange(len(counts)), b])
        person = np.concatenate([np.full(len(counts), -1), t])
        mixes, wanted = np.zeros((len(row), n_subjects)), np.zeros((len(row), n_subjects), bool)
        mixes[:, columns] = counts[row]
        where = np.arange(len(counts), len(row)), np.arange(n_subjects)[columns][t]
        mixes[where] = 0.0
        wanted[: len(counts), columns] = True
        wanted[where] = True
        return cls(columns, counts.shape, row, person, mixes, wanted)

    def bounds(self, similar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Arrange similarities (K, all subjects) as lower and upper bounds, (B, S) each."""
        n, part = self.shape[0], similar[:, self.columns]
        lower = np.full(self.shape, np.nan)
        lower[self.row[n:], self.person[n:]] = part[np.arange(n, len(part)), self.person[n:]]
        return lower, part[:n].copy()


# --- compiled ---------------------------------------------------------------------------------------------


@compiled()
def rank_samples(
    counts: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    order: np.ndarray,
    begins: np.ndarray,
    tied: np.ndarray,
    m: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rank R = M + S RDMs, of which m are models, in samples of stimuli.

    Returns
    -------
    products : ndarray (B, M, S)
        Weighted inner products of ranks.
    ties : ndarray (B, R)
        See `Ranks`.
    plain, weights, lengths : ndarray
        See `Ranked`.
    """
    b, (r, p) = len(counts), order.shape
    s = r - m
    products, ties = np.empty((b, m, s)), np.zeros((b, r))
    plain, weights, lengths = np.empty((b, s, p + 1)), np.zeros((b, p + 1)), np.empty(b, np.int64)
    placed, ranks, weighted = np.empty(p, np.uint64), np.zeros((m, p + 1)), np.empty(p + 1)
    for k in range(b):
        length = _draw(counts[k], i, j, placed, weights[k])
        lengths[k] = length
        plain[k, :, 0] = 0.0
        for row in range(r):
            into = ranks[row] if row < m else plain[k, row - m]
            ties[k, row] = _rank_along(order[row], begins[row], tied[row], placed, into)
            into[0] = 0.0
        for t in range(s):
            for at in range(length):
                weighted[at] = plain[k, t, at] * weights[k, at]
            for row in range(m):
                products[k, row, t] = _product(ranks[row, :length], weighted[:length])
    return products, ties, plain, weights, lengths


@compiled()
def _draw(c: np.ndarray, i: np.ndarray, j: np.ndarray, placed: np.ndarray, weights: np.ndarray) -> int:
    """Fill the weights of the pairs drawn, from place 1, and each pair's place above its weight.

    What was not drawn gets place 0. Returns the number of places.
    """
    drawn = 0
    for k in range(len(i)):
        w = c[i[k]] * c[j[k]]
        drawn += w > 0
        place = drawn if w > 0 else 0
        weights[place] = w
        placed[k] = np.uint64((place << WEIGHT_BITS) | w)
    return drawn + 1


@compiled()
def _rank_along(
    order: np.ndarray, begins: np.ndarray, tied: bool, placed: np.ndarray, ranks: np.ndarray
) -> float:
    """Fill doubled ranks along a given order and return ties; ``begins`` marks where equal values begin."""
    low, high = np.uint64((1 << WEIGHT_BITS) - 1), np.uint64(WEIGHT_BITS)
    before, ties, stop = np.int64(0), 0.0, 0
    if not tied:  # no branch inside
        for at in range(len(order)):
            entry = placed[order[at]]
            weight = np.int64(entry & low)
            ranks[entry >> high] = 2 * before + weight
            before += weight
        return ties
    while stop < len(order):
        start, weight, cubes = stop, np.int64(0), 0.0
        while stop == start or (stop < len(order) and not begins[stop]):
            more = np.int64(placed[order[stop]] & low)
            weight += more
            cubes += float(more) * float(more) * float(more)
            stop += 1
        for at in range(start, stop):
            ranks[placed[order[at]] >> high] = 2 * before + weight
        ties += float(weight) * float(weight) * float(weight) - cubes
        before += weight
    return ties


@compiled()
def _mix(
    plain: np.ndarray,
    lengths: np.ndarray,
    owner: np.ndarray,
    mixes: np.ndarray,
    largest: int,
    bits: int,
    keys: np.ndarray,
) -> None:
    """Fill keys (K, width): the sum of ranks in a pool and its place travel in one whole number.

    A plain sort of numbers is vectorised, an indirect one is not. What lies beyond a sample's places comes
    last.
    """
    sums = np.empty(keys.shape[1])
    for row in range(len(keys)):
        k = owner[row]
        length = lengths[k]
        sums[:length] = 0.0
        for s in range(mixes.shape[1]):
            times = mixes[row, s]
            if times > 0:
                ranks = plain[k, s]
                for at in range(length):
                    sums[at] += times * ranks[at]
        sums[length:] = largest
        for at in range(len(sums)):
            keys[row, at] = (np.int64(sums[at]) << bits) | at


@compiled()
def _pools(
    keys: np.ndarray,
    bits: int,
    plain: np.ndarray,
    weights: np.ndarray,
    lengths: np.ndarray,
    owner: np.ndarray,
    wanted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank pools from their sorted keys; return products with subjects (K, S) and ties (K,)."""
    products, ties = np.full(wanted.shape, np.nan), np.empty(len(keys))
    ranks, weighted = np.empty(keys.shape[1]), np.empty(keys.shape[1])
    equal = np.empty(keys.shape[1], np.int64)
    for row in range(len(keys)):
        k = owner[row]
        length = lengths[k]
        ties[row] = _rank_sorted(keys[row, :length], bits, weights[k], ranks, equal)
        for at in range(length):
            weighted[at] = ranks[at] * weights[k, at]
        for s in range(wanted.shape[1]):
            if wanted[row, s]:
                products[row, s] = _product(plain[k, s, :length], weighted[:length])
    return products, ties


@compiled()
def _rank_sorted(
    keys: np.ndarray, bits: int, weights: np.ndarray, ranks: np.ndarray, equal: np.ndarray
) -> float:
    """Fill doubled ranks by place and return ties; ``equal`` is room for the keys that equal the next."""
    mask = np.uint64((1 << bits) - 1)
    before, ties, n_equal = 0.0, 0.0, 0
    last = len(keys) - 1
    for at in range(len(keys)):
        place = np.uint64(keys[at]) & mask
        ranks[place] = 2 * before + weights[place]
        before += weights[place]
        equal[n_equal] = at
        n_equal += at < last and (keys[min(at + 1, last)] >> bits) == (keys[at] >> bits)
    k = 0
    while k < n_equal:
        start = equal[k]
        stop = start + 1
        while k < n_equal and equal[k] == stop - 1:
            stop += 1
            k += 1
        first = np.uint64(keys[start]) & mask
        common, weight, cubes = ranks[first] - weights[first], 0.0, 0.0
        for at in range(start, stop):
            more = weights[np.uint64(keys[at]) & mask]
            weight += more
            cubes += more * more * more
        for at in range(start, stop):
            ranks[np.uint64(keys[at]) & mask] = common + weight
        ties += weight * weight * weight - cubes
    return ties


@compiled(reorder=True)
def _product(a: np.ndarray, b: np.ndarray) -> float:
    """Return the inner product of whole numbers, whose sum has no order."""
    total = 0.0
    for at in range(len(a)):
        total += a[at] * b[at]
    return total
