"""Clusters: by hand, against scipy's labelling, and how often noise makes one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from dashboard.errors import InputError
from dashboard.methods import clusters, inference, over_time

SMOOTH = 0.6


def autocorrelated(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Gaussian noise that is related from one place of the last axis to the next."""
    found = random.standard_normal(shape)
    for t in range(1, shape[-1]):
        found[..., t] = SMOOTH * found[..., t - 1] + np.sqrt(1 - SMOOTH**2) * found[..., t]
    return found


def test_by_hand():
    course = np.array([0.0, 2.0, 3.0, 1.0, 2.5, 0.5, 4.0])
    assert clusters.largest_mass(course[None], 1.5).tolist() == [5.0]
    shuffled = np.array([[0, 0, 2, 2, 0.5, 0, 0], [0, 0, 0, 0, 0, 0, 9], [1, 1, 1, 1, 1, 1, 1]])
    found = clusters.test(np.stack([course, *shuffled])[:, None], 1.5)
    assert [(c.first, c.last, c.mass) for c in found.clusters] == [(1, 2, 5.0), (6, 6, 4.0), (4, 4, 2.5)]
    # Largest masses are 5, 4, 9 and 0: two of four labellings reach 5, three 4, three 2.5.
    assert [c.p for c in found.clusters] == [0.5, 0.75, 0.75]
    assert found.critical_all == np.inf  # four labellings cannot reach 5 %
    assert clusters.largest_mass(np.array([[np.nan, 3.0, np.nan]]), 1.0).tolist() == [3.0]


@pytest.mark.parametrize("shape", [(12,), (7, 9)])
def test_masses_equal_those_of_scipy_course_by_course(shape):
    values = np.random.default_rng(1).standard_normal((300, *shape))
    found = clusters.largest_mass(values, 0.4)
    for course, mass in zip(values, found, strict=True):
        labels, n = ndimage.label(course > 0.4)
        sums = ndimage.sum_labels(course, labels, np.arange(1, n + 1)) if n else [0.0]
        assert mass == pytest.approx(max(sums), rel=1e-12)


def test_flipped_signs_are_t_and_complete_where_few():
    values = np.random.default_rng(2).standard_normal((5, 2, 3)) + 0.5
    t, dof = clusters.flipped_t(values, 1000)
    assert t.shape == (32, 2, 3)
    assert dof == 4
    np.testing.assert_allclose(t[0], stats.ttest_1samp(values, 0).statistic, rtol=1e-12)
    flipped = values * np.array([-1, 1, 1, 1, 1])[:, None, None]
    np.testing.assert_allclose(t[1], stats.ttest_1samp(flipped, 0).statistic, rtol=1e-12)
    many, _ = clusters.flipped_t(np.ones((20, 1, 1)) + values[:1, :1, :1], 50)
    assert len(many) == 51
    with pytest.raises(InputError, match="1 subject"):
        clusters.flipped_t(values[:1])
    with pytest.raises(InputError, match="between 0 and 0.5"):
        clusters.z_threshold(0.7)


def rejections(values: np.ndarray, threshold: float) -> int:
    """Count the courses with a cluster of p at most .05."""
    return len({c.series for c in clusters.test(values, threshold).clusters if c.p <= 0.05})


def test_flipped_signs_of_noise_make_a_cluster_in_one_of_twenty():
    """1,000 experiments of 8 subjects without an effect, all 256 flips each."""
    values = autocorrelated(np.random.default_rng(3), (8, 1000, 15))
    t, dof = clusters.flipped_t(values, 300)
    wrong = rejections(t, float(stats.t.ppf(0.95, dof)))
    assert stats.binomtest(wrong, 1000, 0.05).pvalue > 0.01, wrong


def test_shuffled_stimuli_of_noise_make_a_cluster_in_one_of_twenty():
    """1,000 pairs of unrelated model and brain RDMs of 8 stimuli at 12 times, 99 shuffles each."""
    random = np.random.default_rng(4)
    wrong = 0
    for k in range(50):
        movie = autocorrelated(random, (1, 28, 12)).swapaxes(1, 2)
        models = random.standard_normal((20, 28))
        scores, _ = inference.label_scores(models, list(movie.swapaxes(0, 1)), "pearson", n=99, seed=k)
        wrong += rejections(clusters.standardised(scores.swapaxes(1, 2)), clusters.z_threshold(0.05))
    assert stats.binomtest(wrong, 1000, 0.05).pvalue > 0.01, wrong


def test_onsets_are_the_start_of_the_first_cluster_that_is_heavy_enough():
    course = np.array([[0, 2.0, 0, 2, 3, 4, 0, 9, 9], [0, 0, 0, 0, 0, 0, 0, 0, 2.0]])
    assert over_time.onsets(course, 1.5, 8.0).tolist() == [3, -1]
    assert over_time.onsets(course, 1.5, 10.0).tolist() == [7, -1]
    assert over_time.onsets(course, 1.5, 1.0).tolist() == [1, 8]
    assert over_time.onsets(course, 1.5, np.inf).tolist() == [-1, -1]


def test_the_critical_mass_is_where_p_reaches_five_percent():
    """Every cluster has p of at most .05 exactly where its mass reaches the critical one, ties included."""
    random = np.random.default_rng(11)
    for k in range(30):
        values = random.standard_normal((40, 3, 25))
        values[0, :2, 5:12] += random.uniform(0, 2.5, (2, 1))
        if k % 2:
            values = values.round(1)  # ties
        found = clusters.test(values, 1.0)
        assert found.clusters
        for cluster in found.clusters:
            reached = cluster.mass >= found.critical_all * (1 - clusters.EQUAL)
            assert reached == (cluster.p_all <= 0.05), (cluster.mass, found.critical_all, cluster.p_all)
            alone = cluster.mass >= found.critical[cluster.series] * (1 - clusters.EQUAL)
            assert alone == (cluster.p <= 0.05)
