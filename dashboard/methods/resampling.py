"""Bootstrap samples of RDM similarities and noise ceilings, without ever forming a resampled RDM.

A sample of stimuli is a weight per pair: with c_i = how often stimulus i was drawn, the pair {i, j} stands
w_ij = c_i c_j times in the resampled RDM, and copies of one stimulus form no pair. Every similarity is a
function of weighted sums over the original pairs, so that many samples are one matrix product; ranks in a
sample come from cumulative weights along an order that is sorted once.

Shapes: B samples, M models, S subjects, P pairs that have a value, n stimuli. Imports torch: for workers.
The four kernels share one interface: `sample` gives the similarities in each sample, `ceilings` the
similarities of each subject with the pool of the others (lower) and of all (upper).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from dashboard.methods import measures
from dashboard.methods.condensed import n_stimuli, pair_indices

BUFFER_VALUES = 1_000_000
"""Values in one working array of a chunk, chosen to stay in the processor's cache."""

CACHED_VALUES = 30_000_000
"""Largest table of products that is kept for all chunks."""

CANCELLED = 1e-13
"""A pool whose squared norm is below this share of its summands' has cancelled: no variance."""


@dataclass
class Sample:
    """What a kernel found in B samples of stimuli: similarities (B, M, S) and what its ceilings need."""

    similarity: np.ndarray
    state: Any


class Kernel(Protocol):
    """Similarities and ceilings of one measure; NaN where undefined."""

    chunk: int
    together: bool
    """Whether the subjects of several areas are best treated as one set, so that models are ranked once."""

    def sample(self, counts: np.ndarray) -> Sample:
        """Evaluate samples of stimuli; counts (B, n)."""
        ...

    def ceilings(
        self, sample: Sample, sets: list[tuple[slice, np.ndarray]]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return lower and upper similarity of every subject for sets of subjects (which, counts (B, S))."""
        ...


def kernel(
    models: np.ndarray, subjects: np.ndarray, keep: np.ndarray, measure: str, digits: int | None
) -> Kernel:
    """Choose the kernel of a measure; models (M, P), subjects (S, P) of the kept pairs, keep (all pairs,)."""
    family = measures.lookup(measure).family
    pairs = pair_indices(n_stimuli(len(keep)))
    i, j = pairs[0][keep], pairs[1][keep]
    if family in ("linear", "whitened"):
        kind = _Whitened if family == "whitened" else _Linear
        return kind(models, subjects, i, j, len(keep), centred=measures.lookup(measure).centred)
    rounded = measures.significant(models, digits), measures.significant(subjects, digits)
    if family == "ranks":
        from dashboard.methods.resampling_ranks import Ranks  # brings its compiler: only where it is needed

        return Ranks(*rounded, i, j, corrected=measure == "spearman")
    from dashboard.methods.resampling_tau import Tau

    return Tau(*rounded, i, j, measure)


def prepare() -> None:
    """Compile the loops of the rank measures, or load what an earlier process compiled."""
    values = np.random.default_rng(0).random((3, 6))
    for measure in ("spearman", "tau-a"):
        engine = kernel(values, values, np.ones(6, bool), measure, None)
        engine.ceilings(engine.sample(np.ones((1, 4), np.int64)), [(slice(0, 3), np.ones((1, 3), np.int64))])


# --- cosine and pearson -----------------------------------------------------------------------------------


@dataclass
class _Sums:
    """Inner products in each sample: xy (B, M, S), xx (B, M), yy (B, S, S); norms for pooling (B, S)."""

    xy: torch.Tensor
    xx: torch.Tensor
    yy: torch.Tensor
    norm: torch.Tensor


class _Linear:
    """Cosine and pearson: all weighted sums of products are one matrix product."""

    together = False

    def __init__(
        self,
        models: np.ndarray,
        subjects: np.ndarray,
        i: np.ndarray,
        j: np.ndarray,
        n_all: int,
        *,
        centred: bool,
    ) -> None:
        self.x, self.y = (torch.as_tensor(np.ascontiguousarray(v)) for v in (models, subjects))
        if centred:  # changes nothing but the digits that survive the subtraction of squared means later
            self.x, self.y = (v - v.mean(1, keepdim=True) for v in (self.x, self.y))
        self.centred = centred
        self.i, self.j = torch.as_tensor(i), torch.as_tensor(j)
        self.s, self.t = torch.triu_indices(len(self.y), len(self.y))
        m, s, p = len(self.x), len(self.y), len(i)
        self.sizes = [m * s, m, len(self.s), m, s, 1]
        self.block = min(p, 8192)
        self.chunk = max(8, BUFFER_VALUES // self.block)
        self.cache = [self._table(k) for k in self._starts()] if sum(self.sizes) * p < CACHED_VALUES else None

    def _starts(self) -> range:
        return range(0, len(self.i), self.block)

    def _table(self, start: int) -> torch.Tensor:
        """Products of RDMs for a block of pairs, (pairs, columns)."""
        x, y = self.x[:, start : start + self.block], self.y[:, start : start + self.block]
        one = torch.ones(1, x.shape[1], dtype=torch.float64)
        products = (x[:, None] * y).reshape(-1, x.shape[1])
        return torch.cat([products, x * x, y[self.s] * y[self.t], x, y, one]).T.contiguous()

    def _sums(self, counts: np.ndarray) -> list[torch.Tensor]:
        """Weighted sums over pairs of xy, xx, yy (upper half), x, y and 1."""
        c = torch.as_tensor(np.ascontiguousarray(counts.T), dtype=torch.float64)  # (n, B): rows are gathered
        total = torch.zeros(c.shape[1], sum(self.sizes), dtype=torch.float64)
        for number, start in enumerate(self._starts()):
            part = slice(start, start + self.block)
            weights = c.index_select(0, self.i[part])
            weights *= c.index_select(0, self.j[part])
            total += weights.T @ (self.cache[number] if self.cache else self._table(start))
        return list(total.split(self.sizes, 1))

    def _inner(self, counts: np.ndarray) -> _Sums:
        b, m, s = len(counts), len(self.x), len(self.y)
        xy, xx, half, x, y, one = self._sums(counts)
        xy, yy = xy.reshape(b, m, s), self._full(half, s)
        raw_x, raw_y = xx, yy.diagonal(dim1=1, dim2=2)
        if self.centred:
            xy = xy - x[:, :, None] * y[:, None] / one[:, :, None]
            xx = xx - x * x / one
            yy = yy - y[:, :, None] * y[:, None] / one[:, :, None]
        norm = _root(yy.diagonal(dim1=1, dim2=2), measures.FLAT * raw_y)
        return _Sums(xy, torch.where(xx > measures.FLAT * raw_x, xx, torch.nan), yy, norm)

    def _full(self, half: torch.Tensor, s: int) -> torch.Tensor:
        whole = torch.empty(len(half), s, s, dtype=torch.float64)
        whole[:, self.s, self.t] = half
        whole[:, self.t, self.s] = half
        return whole

    def sample(self, counts: np.ndarray) -> Sample:
        sums = self._inner(counts)
        own = _root(sums.yy.diagonal(dim1=1, dim2=2), 0.0)
        own = torch.where(sums.norm.isnan(), torch.nan, own)
        similarity = sums.xy / sums.xx.sqrt()[:, :, None] / own[:, None]
        return Sample(similarity.numpy(), sums)

    def ceilings(
        self, sample: Sample, sets: list[tuple[slice, np.ndarray]]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self._pooled(sample.state, counts) for _, counts in sets]

    def _pooled(self, sums: _Sums, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From subject-by-subject products alone: the pool is sum_s a_s y_s with a_s = c_s / norm_s."""
        yy, own = sums.yy, sums.yy.diagonal(dim1=1, dim2=2)
        a = torch.as_tensor(counts, dtype=torch.float64) / sums.norm
        a = torch.where(torch.as_tensor(counts) > 0, a, 0.0)
        with_pool = torch.einsum("bs,bst->bt", a, yy)
        square = (with_pool * a).sum(1, keepdim=True)
        smallest = CANCELLED * (a * _root(own, 0.0).nan_to_num()).sum(1, keepdim=True) ** 2
        upper = with_pool / _root(square, smallest) / _root(own, 0.0)
        rest = square - 2 * a * with_pool + a * a * own
        lower = (with_pool - a * own) / _root(rest, smallest) / _root(own, 0.0)
        return lower.numpy(), upper.numpy()


def _root(square: torch.Tensor, smallest: torch.Tensor | float) -> torch.Tensor:
    """Root of a squared norm; NaN where there is nothing but rounding."""
    return torch.where(square > smallest, square, torch.nan).sqrt()


class _Whitened(_Linear):
    """Whitened cosine and pearson: products after the least-squares fit of stimulus effects is taken out.

    In a sample the fit to G = -D/2 solves, for every stimulus i,
    (sum_j c_j + 2) e_i + sum_j c_j e_j = h_i with h_i = sum_j c_j g_ij over the other stimuli j that have a
    pair with i; then <g, g'> = 2 sum w g g' - 2 sum_i c_i e_i h'_i. This is rsatoolbox's fit over surviving
    entries, in which all copies of a stimulus share one effect. The factor 1/4 of G is left out.
    """

    def __init__(self, *args: Any, centred: bool) -> None:
        n_all = args[4]
        # A common shift is an RDM of ones here, and centring is done with its products: the raw RDMs stay.
        super().__init__(*args, centred=False)
        self.shift = centred
        self.n = n_stimuli(n_all)
        rdms = torch.cat([self.x, self.y, torch.ones(1, len(self.i), dtype=torch.float64)])
        if centred:
            rdms[:-1] -= rdms[:-1].mean(1, keepdim=True)
            self.x, self.y = rdms[: len(self.x)], rdms[len(self.x) : -1]
            self.cache = [self._table(k) for k in self._starts()] if self.cache else None
        self.square = torch.zeros(len(rdms), self.n, self.n, dtype=torch.float64)
        self.square[:, self.i, self.j] = rdms
        self.square[:, self.j, self.i] = rdms
        self.chunk = max(4, min(self.chunk, BUFFER_VALUES // (self.n * max(self.n, len(rdms)))))

    def _inner(self, counts: np.ndarray) -> _Sums:
        b, m, s = len(counts), len(self.x), len(self.y)
        xy, xx, half, x, y, one = self._sums(counts)
        xy, yy = xy.reshape(b, m, s), self._full(half, s)
        c = torch.as_tensor(counts, dtype=torch.float64)
        h = torch.einsum("rij,bj->bir", self.square, c)
        fitted = self._effects(c, h) * c[:, :, None]
        fit = fitted.transpose(1, 2) @ h  # (B, R, R) symmetric: sum_i c_i e_i h'_i
        raw_x, raw_y = xx, yy.diagonal(dim1=1, dim2=2)
        norm = raw_y - y * y / one if self.shift else raw_y
        wxy, wyy = 2 * (xy - fit[:, :m, m : m + s]), 2 * (yy - fit[:, m : m + s, m : m + s])
        wxx = 2 * (xx - fit.diagonal(dim1=1, dim2=2)[:, :m])
        if self.shift:
            fx, fy, f1 = fit[:, :m, -1], fit[:, m : m + s, -1], fit[:, -1, -1, None]
            dx, dy, d11 = 2 * (x - fx), 2 * (y - fy), 2 * (one - f1)
            mx, my = x / one, y / one
            wxx = wxx - 2 * mx * dx + mx * mx * d11
            wxy = wxy - _outer(mx, dy) - _outer(dx, my) + _outer(mx, my) * d11[:, :, None]
            wyy = wyy - _outer(my, dy) - _outer(dy, my) + _outer(my, my) * d11[:, :, None]
        return _Sums(
            wxy,
            torch.where(wxx > measures.FLAT * raw_x, wxx, torch.nan),
            wyy,
            _root(norm, measures.FLAT * raw_y),
        )

    def _effects(self, c: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Solve for the stimulus effects e (B, n, R)."""
        linked = self.square[-1]  # 1 where a pair has a value
        normal = linked * c[:, None, :]
        normal = normal + torch.diag_embed(c @ linked + 2.0)
        return torch.linalg.solve(normal, h)


def _outer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[:, :, None] * b[:, None]
