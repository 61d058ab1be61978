"""Tests of RDM models: corrections by hand, shuffled labels against brute force, levels that hold."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import binom, spearmanr

from dashboard.errors import CautionWarning, InputError
from dashboard.methods import inference, measures, rsa
from dashboard.methods.condensed import square


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CautionWarning)
        yield


def relabelled(rdms, order):
    a, b = np.triu_indices(len(order), 1)
    return square(rdms)[..., np.asarray(order)[a], np.asarray(order)[b]]


def test_benjamini_hochberg_by_hand():
    p = [0.01, 0.04, 0.03, 0.2, np.nan]
    np.testing.assert_allclose(
        inference.benjamini_hochberg(p), [0.04, 0.16 / 3, 0.16 / 3, 0.2, np.nan], rtol=1e-12
    )


def test_benjamini_hochberg_is_scipys():
    scipy_adjust = pytest.importorskip("scipy.stats").false_discovery_control
    p = np.random.default_rng(0).random((4, 7)) ** 3
    np.testing.assert_allclose(inference.benjamini_hochberg(p).ravel(), scipy_adjust(p.ravel()), rtol=1e-12)


def test_holm_by_hand():
    np.testing.assert_allclose(inference.holm([0.01, 0.04, 0.03, np.nan]), [0.03, 0.06, 0.06, np.nan])


def test_every_pair_counts_once():
    p = np.full((1, 3, 3), np.nan)
    a, b = np.triu_indices(3, 1)
    p[0, a, b] = p[0, b, a] = [0.01, 0.02, 0.5]
    found = inference.adjusted_pairs(p, "holm")
    np.testing.assert_allclose(found[0, a, b], [0.03, 0.04, 0.5])
    np.testing.assert_allclose(found[0, b, a], [0.03, 0.04, 0.5])
    assert np.isnan(np.diagonal(found[0])).all()


@pytest.mark.parametrize("measure", ["pearson", "spearman", "rho-a", "cosine", "whitened-cosine", "tau-a"])
def test_shuffled_labels_are_those_of_brute_force(measure, monkeypatch):
    """All 24 labellings of 4 stimuli, each compared by the plain similarity."""
    rng = np.random.default_rng(3)
    models, areas = rng.random((3, 6)), [rng.random((2, 6)), rng.random((3, 6))]
    models[0] = np.round(models[0] * 2)
    orders = np.array(list(itertools.permutations(range(4))))
    shuffled = inference._taus if measure == "tau-a" else inference._products
    found = shuffled(models, areas, orders, measure, 12, None)
    for row, order in zip(found, orders, strict=True):
        for k, subjects in enumerate(areas):
            want = rsa.similarity(models, relabelled(subjects, order), measure).mean(1)
            np.testing.assert_allclose(row[k], want, atol=1e-12)


def test_p_counts_labellings_with_at_least_this_score():
    rng = np.random.default_rng(1)
    models, subjects = rng.random((2, 66)), rng.random((3, 66))
    subjects += models[0]
    found = inference.label_permutation(models, [subjects], "spearman", n=499, seed=2)
    assert found.p[0, 0] == pytest.approx(1 / 500)
    assert found.p_max[0, 0] == pytest.approx(1 / 500)
    assert (found.p_max >= found.p - 1e-12).all()
    want = np.mean([spearmanr(models[1], s)[0] for s in subjects])
    assert found.score[0, 1] == pytest.approx(want, abs=1e-12)
    again = inference.label_permutation(models, [subjects], "spearman", n=499, seed=2)
    np.testing.assert_array_equal(found.p, again.p)


def test_a_model_without_variance_has_no_p():
    rng = np.random.default_rng(1)
    models = np.stack([np.ones(28), rng.random(28)])
    found = inference.label_permutation(models, [rng.random((2, 28))], "pearson", n=99)
    assert np.isnan(found.p[0, 0])
    assert np.isfinite(found.p_max[0, 1])


def test_stimuli_with_gaps_are_left_out_and_counted():
    rng = np.random.default_rng(1)
    models, subjects = rng.random((2, 28)), rng.random((2, 28))
    a, b = np.triu_indices(8, 1)
    subjects[:, (a == 3) | (b == 3)] = np.nan
    with pytest.warns(CautionWarning, match="1 of 8 stimuli"):
        found = inference.label_permutation(models, [subjects], "pearson", n=99)
    assert found.n_stimuli == 7
    inside = (a != 3) & (b != 3)
    want = rsa.similarity(models[:, inside], subjects[:, inside], "pearson").mean(1)
    np.testing.assert_allclose(found.score[0], want, atol=1e-12)


def test_bad_input_is_named():
    rdms = np.random.default_rng(0).random((2, 28))
    with pytest.raises(InputError, match="0 shuffles"):
        inference.label_permutation(rdms, [rdms], n=0)
    with pytest.raises(InputError, match="8 stimuli cannot be compared with RDMs of 5"):
        inference.label_permutation(rdms, [rdms[:, :10]], n=9)
    with pytest.raises(InputError, match="no correction"):
        inference.lookup("bonferoni")


# --- levels: how often a true null hypothesis is rejected ---------------------------------------------------


def interval(n, level=0.05):
    """Counts that a test of this level stays within with probability 99.9 %."""
    return binom.ppf([0.0005, 0.9995], n, level) / n


def patterns(rng, n, shared=None):
    own = rng.normal(size=(n, 4))
    return pdist(own if shared is None else np.concatenate([shared, own], 1), "sqeuclidean")


def test_shuffled_labels_hold_their_level_alone_and_as_a_family():
    rng = np.random.default_rng(5)
    alone, family = [], []
    for k in range(150):
        areas = [np.stack([patterns(rng, 12) for _ in range(2)]) for _ in range(2)]
        models = np.stack([patterns(rng, 12) for _ in range(4)])
        found = inference.label_permutation(models, areas, "spearman", n=99, seed=k)
        alone.append(found.p[0, 0] <= 0.05)
        family.append((found.p_max <= 0.05).any())
    low, high = interval(150)
    assert low <= np.mean(alone) <= high
    assert low <= np.mean(family) <= high


def test_t_tests_over_subjects_hold_their_level():
    """Two models that share equally with every subject, and one that shares nothing."""
    rng = np.random.default_rng(6)
    pairs = 28 * 27 // 2
    basis = np.linalg.qr(np.concatenate([np.ones((pairs, 1)), rng.normal(size=(pairs, 4))], 1))[0].T
    models = np.stack([basis[1] + basis[2], basis[1] + basis[3], basis[4]])
    zero, pair = [], []
    for k in range(150):
        subjects = basis[1] + 0.05 * rng.normal(size=(10, pairs))
        result = rsa.bootstrap(models, subjects, "pearson", "subjects", n=100, seed=k, ceiling=False)
        tests = inference.from_bootstrap(result)
        zero.append(tests.zero[2] <= 0.05)
        pair.append(tests.pairs[0, 1] <= 0.05)
    low, high = interval(150)
    assert low <= np.mean(zero) <= high
    assert low <= np.mean(pair) <= high


def test_tests_are_those_of_the_bootstrap():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(16, 4))
    subjects = np.stack([patterns(rng, 16, shared) for _ in range(5)])
    models = np.stack([patterns(rng, 16, shared) for _ in range(3)])
    result = rsa.bootstrap(models, subjects, "pearson", "dual", n=60)
    tests = inference.from_bootstrap(result)
    np.testing.assert_array_equal(tests.zero, result.p_zero)
    assert tests.pairs[0, 2] == tests.pairs[2, 0] == result.difference(0, 2).p
    assert tests.ceiling[1] == result.below_ceiling(1).p
    assert np.isnan(np.diagonal(tests.pairs)).all()
    assert measures.lookup("pearson").centred
