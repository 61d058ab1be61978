"""Feature-reweighted RSA: known weights come back, equal ones are a special case, shuffles give chance."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize

from dashboard.errors import CautionWarning, InputError
from dashboard.methods import flexible, rdm, reweighted, rsa
from dashboard.methods.condensed import square

GROUPS = [np.arange(6 * k, 6 * k + 6) for k in range(4)]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CautionWarning)
        yield


def patterns(n=24, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 24)) + 1.0


def cross(models, subjects, measure="pearson", **changes):
    return flexible.cross_validate(
        models, subjects, measure, fits=reweighted.FITS, **{"repeats": 3, **changes}
    )


@pytest.mark.parametrize("metric", reweighted.METRICS)
def test_groups_sum_to_the_layer(metric):
    x = patterns()
    found = reweighted.group_rdms(x, GROUPS, metric).sum(0)
    whole = rdm.dissimilarities(x, metric).numpy()
    scale = {"correlation": 2.0, "cosine": 2.0, "sqeuclidean": 24.0}[metric]
    np.testing.assert_allclose(found, scale * whole, rtol=1e-10)


@pytest.mark.parametrize("measure", ["pearson", "cosine", "spearman"])
def test_equal_weights_score_as_the_layer_on_the_same_folds(measure):
    x, subjects = patterns(), np.random.default_rng(1).random((3, 276))
    models = reweighted.group_rdms(x, GROUPS, "correlation")
    whole = rdm.dissimilarities(x, "correlation").numpy()
    found = cross(models, subjects, measure)
    plain = flexible.cross_validate(np.stack([whole, whole[::-1]]), subjects, measure, repeats=3)
    np.testing.assert_allclose(found.fitted["unweighted"], plain.single[0], atol=1e-10)


def test_strong_penalties_leave_equal_weights_and_none_gives_least_squares():
    rng = np.random.default_rng(2)
    models, target = rng.random((3, 45)), rng.random(45)
    target += models.T @ [0.2, 1.0, 0.5]
    weak, strong = reweighted.ridge(models, target, "pearson", [1e-12, 1e9])
    np.testing.assert_allclose(strong, 1 / 3, atol=1e-6)
    np.testing.assert_allclose(weak, flexible.weigh(models, target, "pearson"), atol=1e-6)


def test_ridge_is_the_minimum_of_its_loss():
    rng = np.random.default_rng(3)
    models, target = rng.random((3, 45)), rng.random(45)
    target += models.T @ [0.0, 1.0, 0.5]
    x, y = models - models.mean(1, keepdims=True), target - target.mean()
    common = (x @ y).sum() / (x @ x.T).sum()
    size = np.trace(x @ x.T) / 3

    def loss(w):
        return np.sum((y - np.abs(w) @ x) ** 2) + 0.3 * size * np.sum((np.abs(w) - common) ** 2)

    best = minimize(loss, [0.3, 0.5, 0.5], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
    want = np.abs(best.x) / np.abs(best.x).sum()
    np.testing.assert_allclose(reweighted.ridge(models, target, "pearson", [0.3])[0], want, atol=1e-5)


def test_known_weights_come_back_and_help():
    models = reweighted.group_rdms(patterns(30), GROUPS, "sqeuclidean")
    truth = np.array([0.1, 0.0, 0.6, 0.3])
    clean = truth @ models
    rng = np.random.default_rng(4)
    exact = cross(models, np.tile(clean, (3, 1)))
    np.testing.assert_allclose(exact.weights["reweighted"], truth, atol=0.01)
    np.testing.assert_allclose(exact.fitted["reweighted"], 1.0, atol=1e-3)
    noisy = cross(models, clean + 0.5 * clean.std() * rng.normal(size=(4, clean.size)))
    np.testing.assert_allclose(noisy.weights["reweighted"], truth, atol=0.12)
    assert (noisy.fitted["reweighted"] > noisy.fitted["unweighted"] + 0.1).all()


def test_shuffled_stimuli_give_chance():
    models = reweighted.group_rdms(patterns(30), GROUPS, "sqeuclidean")
    clean = np.array([0.1, 0.0, 0.6, 0.3]) @ models
    rows = np.triu_indices(30, 1)
    scores = []
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(30)
        shuffled = square(clean)[np.ix_(order, order)][rows]
        found = cross(models, np.tile(shuffled, (2, 1)), repeats=1)
        scores.append(found.fitted["reweighted"].mean())
    error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    assert abs(np.mean(scores)) < 3 * error
    assert abs(np.mean(scores)) < 0.1
    assert cross(models, np.tile(clean, (2, 1)), repeats=1).fitted["reweighted"].min() > 0.99


def test_weights_of_noise_gain_nothing():
    """Sixteen weights fitted to noise score no better than one on stimuli that took no part."""
    x = np.random.default_rng(5).normal(size=(20, 32))
    models = reweighted.group_rdms(x, [np.arange(2 * k, 2 * k + 2) for k in range(16)], "correlation")
    found = cross(models, np.random.default_rng(6).random((3, 190)))
    assert abs(found.fitted["reweighted"].mean()) < 0.2


def test_a_pattern_without_length_has_no_pairs_and_other_metrics_are_refused():
    x = patterns(10)
    x[3] = 2.0
    found = reweighted.group_rdms(x, GROUPS, "correlation")
    assert np.isnan(square(found)[0, 3, [0, 1, 2]]).all()
    assert np.isnan(found[0]).sum() == 9
    with pytest.raises(InputError, match="no sum over channels"):
        reweighted.group_rdms(x, GROUPS, "euclidean")
    assert rsa.similarity(found[:1], found[:1], "pearson")[0, 0] == pytest.approx(1)
