"""Kendall's tau-a and tau-b in bootstrap samples: discordant pairs of pairs, counted exactly with weights.

The loops are compiled on first use: for workers.
Shapes: B samples, M models, S subjects, Q pairs drawn in a sample, K rows that are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dashboard.methods.compiled import compiled
from dashboard.methods.resampling import Sample
from dashboard.methods.resampling_ranks import Ranked, Ranks, rank_samples

CHUNK_COUNTS = 100_000_000
"""Pairs times comparisons of a chunk: about a second."""


@dataclass
class _Ordered:
    """The subjects of one sample in the order of their values.

    Attributes
    ----------
    place : ndarray (S, Q) int64
        Where each pair drawn stands in that order.
    weights, groups : ndarray (S, Q) int64
        Along that order: weights, and the number of the group of equal values.
    ties : ndarray (S,) int64
        Weighted number of pairs of equal values, copies of one pair among them.
    everything : int
        Weighted number of pairs of pairs.
    """

    place: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    ties: np.ndarray
    everything: int

    @classmethod
    def of(cls, ranks: np.ndarray, weights: np.ndarray) -> Self:
        order = np.argsort(ranks, axis=1, kind="stable")
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(order.shape[1])[None], axis=1)
        ordered = np.take_along_axis(ranks, order, axis=1)
        groups = np.zeros_like(order)
        groups[:, 1:] = np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1)
        w = weights.astype(np.int64)[order]
        ties = [_couples(np.bincount(g, each)).sum() for g, each in zip(groups, w, strict=True)]
        total = int(weights.sum())
        return cls(place, w, groups, np.array(ties, np.int64), total * (total - 1) // 2)


def _couples(weights: np.ndarray) -> np.ndarray:
    """Return how many pairs so many things form."""
    return weights * (weights - 1) / 2


@dataclass
class _State(Ranked):
    """Ranks as for rank correlations, and the subjects of each sample in order."""

    ordered: list[_Ordered]


class Tau(Ranks):
    """Tau-a and tau-b, counted again inside every sample.

    Along the order of a model (equal values in the order of the subject) a discordant pair of pairs is one
    in which the earlier has the larger value of the subject. Ties of pools are exact because sums of
    2 rank - 1 are whole numbers.
    """

    def __init__(
        self, models: np.ndarray, subjects: np.ndarray, i: np.ndarray, j: np.ndarray, measure: str
    ) -> None:
        super().__init__(models, subjects, i, j, corrected=measure == "tau-b")
        counted = len(i) * len(subjects) * (len(models) + len(subjects) + 1)
        self.chunk = int(np.clip(CHUNK_COUNTS // counted, 1, self.chunk))

    def sample(self, counts: np.ndarray) -> Sample:
        """Compare all models with all subjects in every sample; see `resampling.Kernel`."""
        c = np.ascontiguousarray(counts, dtype=np.int64)
        along = self.order, self.begins, self.tied
        _, _, ranks, weights, lengths = rank_samples(c, self.i, self.j, *along, 0)
        subjects = ranks[:, self.m :]
        ordered = [_Ordered.of(subjects[b, :, 1:stop], weights[b, 1:stop]) for b, stop in enumerate(lengths)]
        everyone = np.arange(subjects.shape[1])
        found = [
            [self._row(model[1:stop], each, everyone) for model in ranks[b, : self.m]]
            for b, (each, stop) in enumerate(zip(ordered, lengths, strict=True))
        ]
        none = np.empty(0)  # tau needs no norms
        state = _State(subjects, weights, lengths, none, weights.sum(1), none, ordered)
        return Sample(np.array(found).reshape(len(c), self.m, len(everyone)), state)

    def _similar(self, state: Any, owner: np.ndarray, mixes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        found = np.full(wanted.shape, np.nan)
        for row, b in enumerate(owner):
            pool = mixes[row] @ state.plain[b, :, 1 : state.lengths[b]]
            with_whom = np.flatnonzero(wanted[row])
            found[row, with_whom] = self._row(pool, state.ordered[b], with_whom)
        return found

    def _row(self, values: np.ndarray, ordered: _Ordered, which: np.ndarray) -> np.ndarray:
        """Compare whole numbers (Q,) with some subjects."""
        bits = len(values).bit_length()
        small = int(values.max(initial=0)).bit_length() + bits < 31
        kind = np.dtype(np.int32 if small else np.int64)
        keys = np.left_shift(values.astype(kind), bits) | ordered.place[which].astype(kind)
        keys.sort(axis=1)
        discordant, tied, joint = _discordant(keys, bits, which, ordered.weights, ordered.groups)
        surplus = ordered.everything - tied - ordered.ties[which] + joint - 2 * discordant
        with np.errstate(invalid="ignore", divide="ignore"):
            if not self.corrected:
                return np.asarray(surplus / np.float64(ordered.everything))
            return np.asarray(
                surplus
                / np.sqrt(ordered.everything - tied)
                / np.sqrt(ordered.everything - ordered.ties[which])
            )


@compiled()
def _discordant(
    keys: np.ndarray, bits: int, which: np.ndarray, weights: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, for rows of sorted keys (value above place), weighted pairs of pairs.

    Returns those that are discordant, those of equal value, and those of equal value on both sides, (K,)
    each. The weight seen so far, by group, stands in a tree of partial sums (Fenwick 1994, Softw. Pract.
    Exp. 24:327).
    """
    k, q = keys.shape
    found, ties, joint = np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros(k, np.int64)
    seen = np.empty(q + 1, np.int64)
    mask = (1 << bits) - 1
    for row in range(k):
        seen[:] = 0
        value, group, alike, same, total = np.int64(-1), np.int64(-1), np.int64(0), np.int64(0), np.int64(0)
        for at in range(q):
            place = keys[row, at] & mask
            w, g = weights[which[row], place], groups[which[row], place]
            if keys[row, at] >> bits != value:
                ties[row] += alike * (alike - 1) // 2
                value, alike, group = keys[row, at] >> bits, np.int64(0), np.int64(-1)
            if g != group:
                joint[row] += same * (same - 1) // 2
                group, same = g, np.int64(0)
            alike += w
            same += w
            at_or_below = 0
            node = g + 1
            while node > 0:
                at_or_below += seen[node]
                node &= node - 1
            found[row] += w * (total - at_or_below)
            node = g + 1
            while node <= q:
                seen[node] += w
                node += node & -node
            total += w
        ties[row] += alike * (alike - 1) // 2
        joint[row] += same * (same - 1) // 2
    return found, ties, joint
