"""Flexible models: weights are the best, judged on data that took no part, without gain from noise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize

from dashboard.errors import CautionWarning, InputError
from dashboard.methods import flexible, measures


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CautionWarning)
        yield


def corr(a, b):
    return np.corrcoef(a, b)[0, 1]


def test_weights_give_the_largest_correlation():
    rng = np.random.default_rng(0)
    models = rng.random((3, 45))
    target = models.T @ [0.5, 0.0, 2.0] + 0.4 * rng.random(45)
    found = flexible.weigh(models, target, "pearson")
    best = minimize(
        lambda w: -corr(np.abs(w) @ models, target), [1.0, 1.0, 1.0], method="Nelder-Mead", tol=1e-12
    )
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    assert corr(found @ models, target) == pytest.approx(-best.fun, abs=1e-9)


def test_weights_are_rsatoolboxs():
    pytest.importorskip("rsatoolbox")
    from rsatoolbox.model import ModelWeighted
    from rsatoolbox.model.fitter import fit_regress_nn
    from rsatoolbox.rdm import RDMs

    rng = np.random.default_rng(1)
    models, subjects = rng.random((3, 45)), rng.random((4, 45))
    subjects += models[0] + 0.5 * models[1]
    for measure, peer in (("cosine", "cosine"), ("pearson", "corr")):
        theta = fit_regress_nn(ModelWeighted("w", RDMs(models)), RDMs(subjects), method=peer)
        target = measures.pool(subjects, measure, None)
        found = flexible.weigh(models, target, measure)
        theta = theta / theta.sum()
        want = theta @ models
        got = found @ models
        score = corr if measure == "pearson" else lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b))
        assert np.mean([score(got, s) for s in subjects]) == pytest.approx(
            np.mean([score(want, s) for s in subjects]), abs=1e-9
        )
        np.testing.assert_allclose(found, theta, atol=1e-6)


def test_interpolation_mixes_two_neighbours():
    rng = np.random.default_rng(2)
    models = rng.random((4, 45))
    target = 0.3 * models[1] + 0.7 * models[2]
    np.testing.assert_allclose(flexible.interpolate(models, target, "pearson"), [0, 0.3, 0.7, 0], atol=1e-10)
    np.testing.assert_array_equal(flexible.choose(models, models[3], "pearson"), [0, 0, 0, 1])


def test_training_and_test_share_no_pair_and_no_stimulus():
    i, j = np.triu_indices(11, 1)
    for train, test in flexible.splits(np.random.default_rng(0).permutation(11), 3):
        assert not (train & test).any()
        assert (set(i[train]) | set(j[train])).isdisjoint(set(i[test]) | set(j[test]))


@pytest.mark.parametrize("measure", ["pearson", "spearman"])
def test_a_true_mixture_beats_every_layer_and_noise_gains_nothing(measure):
    rng = np.random.default_rng(3)
    n, pairs = 24, 24 * 23 // 2
    models = rng.random((3, pairs))
    mixed = models[0] + models[2] + 0.5 * rng.random((3, pairs))
    found = flexible.cross_validate(models, mixed, measure, repeats=3)
    assert found.folds == flexible.default_folds(n) == 4
    assert found.fitted["weighted"].mean() > found.single.mean(1).max() + 0.1
    assert found.weights["weighted"][1] < 0.1
    assert found.weights["weighted"].sum() == pytest.approx(1)
    noise = flexible.cross_validate(models, rng.random((3, pairs)), measure, repeats=3)
    assert abs(noise.fitted["weighted"].mean()) < 0.15
    assert np.isfinite(found.ceiling).all()


def test_one_subject_is_said_and_bad_input_refused():
    rng = np.random.default_rng(3)
    models = rng.random((2, 66))
    found = flexible.cross_validate(models, models[:1] + rng.random((1, 66)), repeats=1)
    assert found.shared_subject
    assert np.isnan(found.ceiling).all()
    with pytest.raises(InputError, match="not fitted"):
        flexible.cross_validate(models, models, "whitened-cosine")
    with pytest.raises(InputError, match="nothing to be weighed"):
        flexible.cross_validate(models[:1], models)
    with pytest.raises(InputError, match="fewer than 3"):
        flexible.cross_validate(models, models, folds=6)
