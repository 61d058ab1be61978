"""Concept directions, scores and tests against closed forms and peers."""

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import concepts


def drawn(n=60, units=12, shift=3.0, seed=0):
    random = np.random.default_rng(seed)
    has = np.arange(n) % 2 == 0
    x = random.normal(size=(n, units))
    x[has, 2] += shift
    return x, has


def test_the_direction_points_at_the_concept_and_is_the_ridge_solution():
    x, has = drawn()
    found = concepts.direction(x[has], x[~has])
    assert np.linalg.norm(found.vector) == pytest.approx(1)
    assert found.vector.argmax() == 2
    both, y = np.concatenate([x[has], x[~has]]), np.r_[np.ones(30), -np.ones(30)]
    centred = both - both.mean(axis=0)
    penalty = concepts.PENALTY * (centred**2).sum() / len(both)
    primal = np.linalg.solve(centred.T @ centred + penalty * np.eye(12), centred.T @ y)
    np.testing.assert_allclose(found.vector, primal / np.linalg.norm(primal), rtol=1e-9)


def test_accuracy_is_that_of_leaving_one_out():
    x, has = drawn(n=24, shift=1.0)
    both, y = np.concatenate([x[has], x[~has]]), np.r_[np.ones(12), -np.ones(12)]
    centred = both - both.mean(axis=0)
    penalty = concepts.PENALTY * (centred**2).sum() / len(both)
    right = 0
    for k in range(len(both)):
        rest = np.arange(len(both)) != k
        mean, base = both[rest].mean(axis=0), y[rest].mean()
        a = both[rest] - mean
        w = np.linalg.solve(a.T @ a + penalty * np.eye(12), a.T @ (y[rest] - base))
        right += ((both[k] - mean) @ w + base) * y[k] > 0
    assert concepts.direction(x[has], x[~has]).accuracy == pytest.approx(right / len(both))


def test_a_class_that_rises_with_the_concept_scores_one_and_random_concepts_do_not():
    x, has = drawn()
    gradients = np.random.default_rng(1).normal(scale=0.2, size=(40, 12))
    gradients[:, 2] += 1.0
    found = concepts.tcav(x, has, gradients, runs=12, examples=20)
    assert found.concept.mean() > 0.95
    assert found.p < 0.01
    assert found.accuracy.mean() > 0.8 > found.random_accuracy.mean()
    down = concepts.tcav(x, has, -gradients, runs=12, examples=20)
    assert down.concept.mean() < 0.05


def test_what_is_no_concept_is_not_told_from_random_ones():
    x, _ = drawn(shift=0.0)
    any_half = np.random.default_rng(5).permutation(60) < 30
    gradients = np.random.default_rng(1).normal(size=(40, 12))
    p = [concepts.tcav(x, any_half, gradients, runs=10, examples=15, seed=s).p for s in range(6)]
    assert np.median(p) > 0.01


def test_the_same_seed_gives_the_same_scores():
    x, has = drawn()
    gradients = np.random.default_rng(1).normal(size=(10, 12))
    first, again = (concepts.tcav(x, has, gradients, runs=4, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.concept, again.concept)
    np.testing.assert_array_equal(first.random, again.random)


def test_welch_and_holm():
    from scipy import stats

    a, b = np.random.default_rng(0).normal(size=(2, 9))
    assert concepts.welch(a, b + 1) == pytest.approx(stats.ttest_ind(a, b + 1, equal_var=False).pvalue)
    assert concepts.welch([1, 1], [1, 1]) == 1
    assert concepts.welch([1, 1], [0, 0]) == 0
    np.testing.assert_allclose(concepts.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])


def test_too_few_stimuli_are_refused():
    x, has = drawn(n=12)
    has[:] = False
    has[:2] = True
    with pytest.raises(InputError, match="2 stimuli have the concept and 10 do not"):
        concepts.tcav(x, has, x)
