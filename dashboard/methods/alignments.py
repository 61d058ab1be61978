"""Alignment of many layers with many: CKA, Procrustes and CCA, with intervals that repeats do not inflate.

A bootstrap sample holds some stimuli twice. Two copies of a stimulus respond alike in every layer, so that
counting them as a pair raises any measure of alignment: intervals then lie above the score itself. Here CKA
is a weighted U-statistic over *distinct* stimuli, and the other measures drop a fifth of the stimuli instead
of drawing some twice. Each number of a single pair is that of `alignment`. All arithmetic is in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.errors import InputError, unknown

LEAST_STIMULI = 10
DROPPED = 0.2
"""Share of the stimuli left out of each sample of the jackknife."""

KEPT_VARIANCE = 0.99
"""Share of a layer's variance that SVCCA keeps (Raghu et al. 2017)."""

BANDWIDTH = 0.8
"""Standard deviation of the RBF kernel in median distances (Kornblith et al. 2019 use 0.2, 0.4 and 0.8)."""

SHUFFLES = 20


@dataclass(frozen=True)
class Measure:
    """One measure of alignment.

    Attributes
    ----------
    label : str
        For axes.
    invariant : str
        To what changes of a layer it is blind.
    source : str
    caveat : str
        What could mislead.
    kernel : bool
        Whether it compares kernels of stimuli, so that the bootstrap over distinct stimuli applies.
    """

    label: str
    invariant: str
    source: str
    caveat: str
    kernel: bool = False


MEASURES: dict[str, Measure] = {
    "cka": Measure(
        "Linear CKA (unbiased)",
        "rotation, isotropic scaling and shift",
        "Kornblith et al. 2019; unbiased HSIC of Song et al. 2012",
        "CKA weighs directions of large variance most, so that a few outlying stimuli or units can decide it "
        "(Davari et al., 2023).",
        kernel=True,
    ),
    "rbf-cka": Measure(
        f"RBF CKA (unbiased, bandwidth {BANDWIDTH:g} medians)",
        "rotation, isotropic scaling and shift",
        "Kornblith et al. 2019; unbiased HSIC of Song et al. 2012",
        "The narrower the kernel, the more only nearest neighbours count.",
        kernel=True,
    ),
    "procrustes": Measure(
        "Procrustes similarity",
        "rotation, isotropic scaling and shift",
        "Williams et al. 2021; nuclear norm of x'y at unit norms",
        "It grows with the number of units for unrelated layers too: read it beside its value with shuffled "
        "stimuli.",
    ),
    "cca": Measure(
        "Mean canonical correlation",
        "any invertible linear map and shift",
        "Hotelling 1936; mean as in Raghu et al. 2017",
        "CCA overfits when a layer has nearly as many units as there are stimuli, and has no value at all "
        "from "
        "there on: read it beside its value with shuffled stimuli.",
    ),
    "svcca": Measure(
        "SVCCA (99 % of variance)",
        "rotation, isotropic scaling and shift",
        "Raghu et al. 2017",
        "Still overfits when many components are kept: read it beside its value with shuffled stimuli.",
    ),
}
"""Every measure by name."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Alignment of every first with every second layer, arrays (n_first, n_second).

    Attributes
    ----------
    score : np.ndarray
        NaN where ``reason`` is not empty.
    low, high : np.ndarray
        95 % interval over stimuli; NaN where there is none.
    chance : np.ndarray
        Mean score with the stimuli of one side shuffled.
    reason : np.ndarray
        Text: why there is no score.
    """

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    reason: np.ndarray


def matrix(
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    measure: str = "cka",
    *,
    n: int = 200,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> Matrix:
    """Align every layer of one list with every layer of another.

    Parameters
    ----------
    first, second : sequence of np.ndarray
        `summary` of each layer for this measure.
    measure : str
        One of `MEASURES`.
    n : int
        Samples of the interval.
    seed : int
    report : callable, optional
        Takes the fraction that is done.
    """
    kernel = known(measure).kernel
    stimuli = {len(side) for side in (*first, *second)}
    if len(stimuli) != 1:
        message = f"Layers saw different numbers of stimuli: {', '.join(map(str, sorted(stimuli)))}."
        raise InputError(message, "Show both networks the same stimuli.")
    shape = (len(first), len(second))
    empty = np.full(shape, np.nan)
    found = Matrix(empty, empty.copy(), empty.copy(), empty.copy(), np.full(shape, "", dtype=object))
    draws = _draws(stimuli.pop(), n, seed, kernel)
    sides = ([_Kernel(k, draws) for k in first], [_Kernel(k, draws) for k in second]) if kernel else None
    orders = [np.random.default_rng([seed, 0x5FF, k]).permutation(len(first[0])) for k in range(SHUFFLES)]
    for i in range(shape[0]):
        for j in range(shape[1]):
            if sides is not None:
                _kernel_cell(found, (i, j), sides[0][i], sides[1][j], orders)
            else:
                _linear_cell(found, (i, j), first[i], second[j], measure, draws, orders)
            if report is not None:
                report((i * shape[1] + j + 1) / (shape[0] * shape[1]))
    return found


def known(measure: str) -> Measure:
    """Return a measure by name.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if measure not in MEASURES:
        raise unknown("measure of alignment", measure, MEASURES)
    return MEASURES[measure]


def summary(patterns: np.ndarray, measure: str) -> np.ndarray:
    """Return what is kept of a layer: its kernel (n, n), or coordinates (n, rank) in the space it spans.

    Parameters
    ----------
    patterns : np.ndarray
        (n_stimuli, n_units).

    Raises
    ------
    InputError
        Fewer than `LEAST_STIMULI` stimuli, or responses that are not finite.
    """
    x = np.asarray(patterns, dtype=np.float64)
    if len(x) < LEAST_STIMULI:
        message = f"{len(x)} stimuli are too few to compare layers."
        raise InputError(message, f"Give at least {LEAST_STIMULI}.")
    if not np.isfinite(x).all():
        raise InputError("Some responses are no numbers.", "Check the network's weights.")
    x = x - x.mean(axis=0)
    if measure == "cka":
        return x @ x.T
    if measure == "rbf-cka":
        return _rbf(x)
    if x.shape[1] <= len(x):
        return x
    values, vectors = np.linalg.eigh(x @ x.T)  # the same inner products in at most n coordinates
    kept = values > values[-1] * len(x) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


def _rbf(x: np.ndarray) -> np.ndarray:
    """Return exp(−d² / 2σ²) of all pairs, σ being `BANDWIDTH` times the median distance."""
    gram = x @ x.T
    own = np.diag(gram)
    squared = np.maximum(own[:, None] + own - 2 * gram, 0)
    middle = np.median(squared[np.triu_indices(len(x), 1)])
    return np.exp(-squared / (2 * BANDWIDTH**2 * middle)) if middle > 0 else np.zeros_like(squared)


def _draws(rows: int, n: int, seed: int, kernel: bool) -> np.ndarray:
    """Return counts of stimuli in each sample: (n, rows), of a bootstrap, or 0 and 1 of a jackknife."""
    random = np.random.default_rng([seed, 0xA116])
    if kernel:
        return np.stack(
            [np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(n)]
        ).astype(np.float64)
    left = rows - max(1, round(DROPPED * rows))
    found = np.zeros((n, rows))
    for row in found:
        row[random.permutation(rows)[:left]] = 1.0
    return found


# --- kernels ----------------------------------------------------------------------------------------------


class _Kernel:
    """A kernel without its diagonal, with what every pair needs of it for each sample."""

    def __init__(self, kernel: np.ndarray, draws: np.ndarray) -> None:
        self.k = kernel - np.diag(np.diag(kernel))
        self.k -= _off_diagonal_mean(self.k)  # changes no HSIC, saves digits
        np.fill_diagonal(self.k, 0.0)
        self.varies = bool(np.abs(self.k).max() > 1e-12 * max(np.abs(kernel).max(), 1e-300))
        # The first sample is the whole set.
        self.counts = np.concatenate([np.ones((1, len(kernel))), draws])
        self.rows = self.k @ self.counts.T
        self.total = (self.counts.T * self.rows).sum(axis=0)
        self.own = _hsic(self, self)


def _off_diagonal_mean(k: np.ndarray) -> float:
    return float(k.sum() / (len(k) * (len(k) - 1)))


def _hsic(a: _Kernel, b: _Kernel) -> np.ndarray:
    """Return the unbiased HSIC of each sample as a weighted U-statistic over distinct stimuli, (n_samples,).

    With counts c and kernels K, L of zero diagonal it is the mean of K_ij L_ij − 2 K_ij L_iq + K_ij L_qr over
    all tuples of distinct i, j, q, r, weighted with the product of their counts; with c = 1 it is equation 5
    of Song et al. (2012).
    """
    c = a.counts.T
    product = a.k * b.k
    twice = product @ c**2
    pairs = (c * (product @ c)).sum(axis=0)
    crossed = a.rows * b.rows - twice
    threes = (c * crossed).sum(axis=0)
    fours = a.total * b.total - 4 * (c**2 * crossed).sum(axis=0) - 2 * (c**2 * twice).sum(axis=0)
    p1, p2, p3, p4 = ((c**k).sum(axis=0) for k in (1, 2, 3, 4))
    n2 = p1**2 - p2
    n3 = p1**3 - 3 * p1 * p2 + 2 * p3
    n4 = p1**4 - 6 * p1**2 * p2 + 8 * p1 * p3 + 3 * p2**2 - 6 * p4
    return pairs / n2 - 2 * threes / n3 + fours / n4


def _kernel_cell(
    found: Matrix, place: tuple[int, int], a: _Kernel, b: _Kernel, orders: Sequence[np.ndarray]
) -> None:
    """Score one pair of kernels."""
    if not (a.varies and b.varies):
        found.reason[place] = "A layer responds alike to all stimuli."
        return
    cross, own = _hsic(a, b), a.own * b.own
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where((a.own > 0) & (b.own > 0), cross / np.sqrt(own), np.nan)
    found.score[place] = values[0]
    if not np.isfinite(values[0]):
        found.reason[place] = "Too few stimuli: the unbiased HSIC of a layer with itself is not positive."
        return
    found.low[place], found.high[place] = _ends(values[1:])
    found.chance[place] = np.mean([_song(a.k, b.k[np.ix_(o, o)]) for o in orders]) / np.sqrt(own[0])


def _song(k: np.ndarray, m: np.ndarray) -> float:
    """Return the unbiased HSIC of the whole set; kernels with zero diagonal."""
    n = len(k)
    rows = k.sum(axis=1) @ m.sum(axis=1)
    middle = k.sum() * m.sum() / ((n - 1) * (n - 2))
    return float(((k * m).sum() + middle - 2 * rows / (n - 2)) / (n * (n - 3)))


def _ends(samples: np.ndarray) -> tuple[float, float]:
    finite = samples[np.isfinite(samples)]
    if len(finite) < max(2, 0.9 * len(samples)):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


# --- Procrustes and CCA -----------------------------------------------------------------------------------


def _linear_cell(
    found: Matrix,
    place: tuple[int, int],
    a: np.ndarray,
    b: np.ndarray,
    measure: str,
    draws: np.ndarray,
    orders: Sequence[np.ndarray],
) -> None:
    """Score one pair of layers by Procrustes or CCA, with a delete-d jackknife (Shao & Wu 1989)."""
    score = procrustes if measure == "procrustes" else cca if measure == "cca" else svcca
    value, why = score(a, b)
    found.score[place], found.reason[place] = value, why
    if why:
        return
    found.chance[place] = np.mean([score(a, b[order])[0] for order in orders])
    keep = draws > 0
    values = np.array([score(a[rows], b[rows])[0] for rows in keep])
    if np.isfinite(values).all() and len(values) > 1:
        left = int(keep[0].sum())
        # What is dropped is d of n stimuli; the variance of the whole is (n − d) / d times that of samples.
        wide = 1.96 * float(values.std()) * (left / (len(a) - left)) ** 0.5
        found.low[place], found.high[place] = max(0.0, value - wide), min(1.0, value + wide)


def procrustes(a: np.ndarray, b: np.ndarray) -> tuple[float, str]:
    """Return the nuclear norm of a'b at unit norms, and why there is none."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if min(norms) == 0:
        return float("nan"), "A layer responds alike to all stimuli."
    return float(np.linalg.norm((a / norms[0]).T @ (b / norms[1]), "nuc")), ""


def cca(a: np.ndarray, b: np.ndarray) -> tuple[float, str]:
    """Return the mean canonical correlation, and why there is none.

    Singular values of Q_a' Q_b with orthonormal bases Q of the centred responses (Björck & Golub 1973),
    averaged over the smaller rank.
    """
    return _canonical(_basis(a, 1.0), _basis(b, 1.0), len(a))


def svcca(a: np.ndarray, b: np.ndarray) -> tuple[float, str]:
    """Return the mean canonical correlation of the components that hold 99 % of variance."""
    return _canonical(_basis(a, KEPT_VARIANCE), _basis(b, KEPT_VARIANCE), len(a))


def _basis(a: np.ndarray, share: float) -> np.ndarray:
    """Return an orthonormal basis (n, rank) of the centred responses, or of their largest components."""
    u, s, _ = np.linalg.svd(a - a.mean(axis=0), full_matrices=False)
    if not len(s) or s[0] == 0:
        return u[:, :0]
    kept = s > s[0] * max(a.shape) * np.finfo(np.float64).eps
    if share < 1:
        before = np.concatenate([[0.0], np.cumsum(s**2)[:-1]]) / (s**2).sum()
        kept &= before < share
    return u[:, kept]


def _canonical(qa: np.ndarray, qb: np.ndarray, n: int) -> tuple[float, str]:
    smaller, larger = sorted((qa.shape[1], qb.shape[1]))
    if smaller == 0:
        return float("nan"), "A layer responds alike to all stimuli."
    if larger >= n - 1:
        return float("nan"), f"A layer spans {larger} dimensions with {n} stimuli: CCA would fit anything."
    found = np.linalg.svd(qa.T @ qb, compute_uv=False)
    return float(np.clip(found, 0, 1).sum() / smaller), ""
