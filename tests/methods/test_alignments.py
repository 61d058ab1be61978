"""Layer-by-layer alignment: second formulations, invariances, and intervals that repeats do not inflate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from dashboard.errors import InputError
from dashboard.methods import alignment, alignments

NAMES = list(alignments.MEASURES)


def one(x: np.ndarray, y: np.ndarray, measure: str, n: int = 2) -> alignments.Matrix:
    sides = [[alignments.summary(side, measure)] for side in (x, y)]
    return alignments.matrix(*sides, measure, n=n)


def pair(n: int = 40, p: int = 7, q: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, p))
    return x, x @ random.standard_normal((p, q)) + 2 * random.standard_normal((n, q))


@pytest.mark.parametrize(("p", "q"), [(7, 9), (100, 3)])
def test_cka_and_procrustes_agree_with_those_of_pairs(p, q):
    x, y = pair(30, p, q)
    assert one(x, y, "cka").score.item() == pytest.approx(alignment.cka(x, y), abs=1e-12)
    assert one(x, y, "procrustes").score.item() == pytest.approx(alignment.procrustes(x, y), abs=1e-12)


def test_procrustes_is_what_the_best_rotation_reaches():
    x, y = pair(30, 6, 6)
    x, y = x - x.mean(0), y - y.mean(0)
    rotation, _ = orthogonal_procrustes(x, y)
    expected = (x @ rotation * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)
    assert one(x, y, "procrustes").score.item() == pytest.approx(expected, abs=1e-12)


def test_rbf_cka_is_the_formula_of_song():
    x, y = pair(14)
    kernels = []
    for side in (x, y):
        squared = ((side[:, None] - side[None]) ** 2).sum(axis=2)
        middle = np.median(squared[np.triu_indices(14, 1)])
        k = np.exp(-squared / (2 * alignments.BANDWIDTH**2 * middle))
        kernels.append(k - np.diag(np.diag(k)))

    def hsic(k, m):
        ones = np.ones(14)
        middle = ones @ k @ ones * (ones @ m @ ones) / (13 * 12)
        return (np.trace(k @ m) + middle - 2 / 12 * ones @ k @ m @ ones) / (14 * 11)

    expected = hsic(*kernels) / np.sqrt(hsic(kernels[0], kernels[0]) * hsic(kernels[1], kernels[1]))
    assert one(x, y, "rbf-cka").score.item() == pytest.approx(expected, abs=1e-12)


def test_canonical_correlations_are_the_roots_of_the_eigenvalues():
    x, y = pair()
    a, b = x - x.mean(0), y - y.mean(0)
    product = np.linalg.inv(a.T @ a) @ a.T @ b @ np.linalg.inv(b.T @ b) @ b.T @ a
    expected = np.sqrt(np.linalg.eigvals(product).real).mean()
    assert one(x, y, "cca").score.item() == pytest.approx(expected, abs=1e-8)


def test_svcca_is_cca_of_the_components_that_hold_the_variance():
    x, y = pair(60, 20, 25)
    kept = []
    for side in (x, y):
        side = side - side.mean(0)
        values, vectors = np.linalg.eigh(side.T @ side)
        values, vectors = values[::-1], vectors[:, ::-1]
        number = int(np.searchsorted(np.cumsum(values) / values.sum(), 0.99)) + 1
        kept.append(side @ vectors[:, :number])
    assert kept[0].shape[1] < 20 or kept[1].shape[1] < 25
    expected = one(kept[0], kept[1], "cca").score.item()
    assert one(x, y, "svcca").score.item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("measure", NAMES)
def test_invariances(measure):
    x, y = pair()
    random = np.random.default_rng(1)
    rotation = np.linalg.qr(random.standard_normal((7, 7)))[0]
    found = one(x, y, measure).score.item()
    assert one(3 * x @ rotation + 5, y, measure).score.item() == pytest.approx(found, abs=1e-8)
    assert one(y, x, measure).score.item() == pytest.approx(found, abs=1e-8)
    assert one(x, 2 * x @ rotation - 1, measure).score.item() == pytest.approx(1, abs=1e-8)
    stretched = one(x @ random.standard_normal((7, 7)), y, measure).score.item()
    assert (abs(stretched - found) < 1e-8) == (measure == "cca")


def test_samples_are_weighted_means_over_distinct_stimuli():
    """The closed form against a loop over all tuples, with counts 0 to 3."""
    random = np.random.default_rng(2)
    n = 7
    draws = np.array([[2, 0, 1, 1, 3, 0, 0], [1, 2, 1, 0, 1, 1, 1]], dtype=float)
    a, b = (alignments._Kernel(np.cov(random.standard_normal((n, 5))), draws) for _ in range(2))
    found = alignments._hsic(a, b)
    for c, value in zip(a.counts, found, strict=True):
        means = []
        for size in (2, 3, 4):
            tuples = np.array(list(itertools.permutations(range(n), size)))
            weight = c[tuples].prod(axis=1)
            i, j = tuples[:, 0], tuples[:, 1]
            other = (i, j) if size == 2 else (i, tuples[:, 2]) if size == 3 else (tuples[:, 2], tuples[:, 3])
            means.append((weight * a.k[i, j] * b.k[other]).sum() / weight.sum())
        assert value == pytest.approx(means[0] - 2 * means[1] + means[2], abs=1e-14)


def test_repeated_stimuli_do_not_inflate_the_interval():
    """Naive resampling of rows lies above the score; ours is centred on it."""
    random = np.random.default_rng(3)
    x, y = random.standard_normal((25, 200)), random.standard_normal((25, 200))
    found = one(x, y, "cka", n=200)
    naive = [alignment.cka(x[rows], y[rows]) for rows in random.integers(0, 25, (50, 25))]
    assert np.percentile(naive, 2.5) > found.score.item() + 0.1
    assert found.low.item() < found.score.item() < found.high.item()
    assert found.low.item() < 0 < found.high.item()


@pytest.mark.parametrize("measure", NAMES)
def test_intervals_are_as_wide_as_scores_vary_between_sets_of_stimuli(measure):
    """The mean width is within a half of ±1.96 standard deviations over fresh stimuli."""
    random = np.random.default_rng(4)
    mixing = random.standard_normal((5, 6))
    scores, widths = [], []
    for _ in range(60):
        x = random.standard_normal((60, 5))
        y = x @ mixing + 2 * random.standard_normal((60, 6))
        found = one(x, y, measure, n=40)
        scores.append(found.score.item())
        widths.append((found.high - found.low).item())
    assert np.mean(widths) == pytest.approx(3.92 * np.std(scores), rel=0.5)


def test_shuffled_stimuli_give_chance():
    random = np.random.default_rng(5)
    x, y = random.standard_normal((40, 30)), random.standard_normal((40, 30))
    for measure in NAMES:
        found = one(x, y, measure)
        assert found.chance.item() == pytest.approx(found.score.item(), abs=0.15), measure
    assert abs(one(x, y, "cka").chance.item()) < 0.05
    assert one(x, y, "cca").chance.item() > 0.6


def test_what_has_no_value_says_why():
    random = np.random.default_rng(6)
    wide, flat, narrow = random.random((20, 50)), np.ones((20, 3)), random.random((20, 3))
    assert "CCA would fit anything" in one(wide, narrow, "cca").reason.item()
    for measure in NAMES:
        found = one(flat, narrow, measure)
        assert np.isnan(found.score.item())
        assert found.reason.item() == "A layer responds alike to all stimuli."


def test_bad_input_is_a_sentence():
    with pytest.raises(InputError, match="9 stimuli are too few"):
        alignments.summary(np.ones((9, 2)), "cka")
    with pytest.raises(InputError, match="no numbers"):
        alignments.summary(np.full((12, 2), np.nan), "cka")
    with pytest.raises(InputError, match='no measure of alignment "cca2"'):
        alignments.known("cca2")
    with pytest.raises(InputError, match="different numbers of stimuli: 12, 13"):
        alignments.matrix([np.eye(12)], [np.eye(13)], "cka")
