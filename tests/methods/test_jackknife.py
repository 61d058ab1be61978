"""Variances from leaving out stimuli, on means over pairs, whose variance is known."""

import numpy as np
import pytest

from dashboard.methods import jackknife


def parts(values):
    """Components of the mean over pairs of values (S, n, n)."""
    n = values.shape[1]
    counts, pairs = jackknife.left_out(n)
    i, j = np.triu_indices(n, 1)
    weights = np.concatenate([np.ones((1, n)), counts])
    weights = weights[:, i] * weights[:, j]
    means = weights @ values[:, i, j].T / weights.sum(1, keepdims=True)
    means = means[:, None]  # one column
    return jackknife.components(means[0], means[1 : n + 1], means[n + 1 :], pairs)


def symmetric(rng, shape):
    noise = rng.normal(size=shape)
    return (noise + noise.swapaxes(-1, -2)) / np.sqrt(2)


def test_what_adds_up_over_stimuli_has_the_variance_of_a_mean():
    a = np.random.default_rng(0).normal(size=(1, 12))
    found = parts(a[:, :, None] + a[:, None])
    variance, dof = found.variance(np.ones(1), people=False)
    assert variance == pytest.approx(4 * a.var(ddof=1) / 12, rel=1e-10)
    assert (dof, found.stimuli_second[0, 0]) == (11, pytest.approx(0, abs=1e-20))


def test_one_score_per_subject_is_a_t_test():
    scores = np.random.default_rng(1).normal(size=7)
    found = parts(np.ones((7, 10, 10)) * scores[:, None, None])
    variance, dof = found.variance(np.ones(1), people=True)
    assert variance == pytest.approx(scores.var(ddof=1) / 7, rel=1e-10)
    assert dof == pytest.approx(6)


@pytest.mark.parametrize("n", [12, 40])  # all pairs left out; some of them
def test_variances_are_right_on_average(n):
    """Main effects, noise of pairs, and what subjects add of their own; the plain jackknife is too large."""
    rng = np.random.default_rng(2)
    found, plain = [], []
    for _ in range(300):
        effects = 0.5 * rng.normal(size=n) + 0.7 * rng.normal(size=(4, n))
        values = effects[:, :, None] + effects[:, None] + 3 * symmetric(rng, (n, n))
        part = parts(values)
        found.append(part.variance(np.ones(1), people=False)[0])
        plain.append(part.stimuli[0, 0])
    # The mean of four subjects: effects of variance .25 + .49 / 4, shared noise of variance 9.
    truth = 4 * (0.25 + 0.49 / 4) / n + 2 * 9 / (n * (n - 1))
    assert np.mean(found) / truth == pytest.approx(1, abs=0.1)
    assert np.mean(plain) / truth > 1.15


def test_what_subjects_and_stimuli_share_counts_once():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        own = rng.normal(size=(5, 16)) + rng.normal(size=16) + rng.normal(size=(5, 1))
        values = own[:, :, None] + own[:, None]
        found.append(parts(values).variance(np.ones(1), people=True)[0])
    truth = 4 * (1 / 16 + 1 / 5 + 1 / 80)  # stimuli, subjects, both; never below the larger of the first two
    assert np.mean(found) / truth == pytest.approx(1, abs=0.1)


def test_the_same_pairs_are_left_out_every_time():
    counts, pairs = jackknife.left_out(60)
    assert len(pairs) == jackknife.PAIRS == len({tuple(pair) for pair in pairs})
    assert (counts[:60].sum(1) == 59).all()
    assert (counts[60:].sum(1) == 58).all()
    np.testing.assert_array_equal(pairs, jackknife.left_out(60)[1])
