"""Ridge decoders against scikit-learn, and what chance looks like."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.errors import InputError
from dashboard.methods import decoding


def patterns(n=90, units=40, classes=3, strength=0.8, seed=0):
    rng = np.random.default_rng(seed)
    target = np.arange(n) % classes
    means = rng.normal(size=(classes, units))
    return strength * means[target] + rng.normal(size=(n, units)) * rng.uniform(0.1, 3, units), target


@pytest.mark.parametrize(("units", "strength"), [(12, 0.3), (300, 0.12)])
def test_classes_equal_scikit_learn(units, strength):
    x, y = patterns(units=units, strength=strength)
    fold = decoding.folds(y, len(y), 5, seed=1)
    peer = make_pipeline(StandardScaler(), RidgeClassifierCV(decoding.ALPHAS))
    split = PredefinedSplit(fold)
    found = decoding.decode(x, y, "classes", fold)
    assert found.score == pytest.approx(
        np.average(cross_val_score(peer, x, y, cv=split), weights=np.bincount(fold)), abs=1e-12
    )
    np.testing.assert_array_equal(found.predicted, cross_val_predict(peer, x, y, cv=split))
    assert 0.4 < found.score < 1


def test_numbers_equal_scikit_learn():
    x, _ = patterns(units=60)
    y = x[:, :3].sum(axis=1) + np.random.default_rng(5).normal(size=len(x))
    fold = decoding.folds(None, len(y), 4, seed=2)
    peer = make_pipeline(StandardScaler(), RidgeCV(decoding.ALPHAS))
    expected = cross_val_predict(peer, x, y, cv=PredefinedSplit(fold))
    found = decoding.decode(x, y, "number", fold)
    np.testing.assert_allclose(found.predicted, expected, rtol=1e-8, atol=1e-8)


def test_orientation_is_decoded_round_the_circle():
    rng = np.random.default_rng(0)
    theta = rng.uniform(0, 180, 200)
    preferred = np.arange(30) * 6.0
    x = np.exp(2 * np.cos(2 * np.deg2rad(theta[:, None] - preferred))) + rng.normal(size=(200, 30)) * 0.3
    found = decoding.decode(x, theta, "orientation", decoding.folds(None, 200, 5), permutations=20)
    assert found.score < 5
    assert found.null.min() > 35  # the mean absolute error of a guess is 45 degrees
    single, best = decoding.p_values([found.score], found.null[None], "orientation")
    assert single[0] == best[0] == pytest.approx(1 / 21)


def test_shuffled_labels_are_at_chance_and_p_is_uniform():
    rng = np.random.default_rng(1)
    below = 0
    for k in range(60):
        x, y = rng.normal(size=(40, 15)), np.arange(40) % 2
        found = decoding.decode(x, y, "classes", decoding.folds(y, 40, 4, seed=k), permutations=39, seed=k)
        below += decoding.p_values([found.score], found.null[None], "classes")[0][0] <= 0.2
    assert below <= 22  # 20 % of 60 is 12, the 99.9 % binomial bound 22


def test_the_best_of_many_sets_needs_a_higher_score():
    nulls = np.array([[0.5, 0.6, 0.4], [0.7, 0.3, 0.9]])
    single, family = decoding.p_values([0.65, 0.8], nulls, "classes")
    np.testing.assert_allclose(single, [1 / 4, 2 / 4])
    np.testing.assert_allclose(family, [3 / 4, 2 / 4])


def test_weights_give_the_decoders_output():
    x, y = patterns(units=20)
    weights, intercept = decoding.coefficients(x, y, "classes")
    scaler = StandardScaler().fit(x)
    peer = RidgeClassifierCV(decoding.ALPHAS).fit(scaler.transform(x), y)
    np.testing.assert_allclose(
        x @ weights.T + intercept, peer.decision_function(scaler.transform(x)), rtol=1e-6, atol=1e-8
    )


def test_constant_units_do_no_harm():
    x, y = patterns(units=10)
    fold = decoding.folds(y, len(y), 5)
    constant = np.concatenate([x, np.full((len(x), 2), 3.0)], axis=1)
    np.testing.assert_array_equal(
        decoding.decode(constant, y, "classes", fold).predicted,
        decoding.decode(x, y, "classes", fold).predicted,
    )


def test_what_does_not_fit_is_refused():
    x, y = patterns()
    with pytest.raises(InputError, match="smallest class has 1"):
        decoding.folds(np.array([0, 0, 0, 1]), 4, 2)
    with pytest.raises(InputError, match="cannot be split"):
        decoding.folds(None, 3, 5)
    with pytest.raises(InputError, match="no numbers"):
        decoding.decode(np.full_like(x, np.nan), y, "classes", decoding.folds(y, len(y), 5))
    with pytest.raises(InputError, match="patterns for"):
        decoding.decode(x[:3], y, "classes", y)
