"""Shapley split of an RSA score: against brute force over all subsets, sums, dead and equal channels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import measures, rdm, rsa, score_shares

RNG = np.random.default_rng(7)
PATTERNS = RNG.random((8, 12)).astype(np.float32)
SUBJECTS = RNG.random((3, 28))
GROUPS = [np.arange(3 * k, 3 * k + 3) for k in range(4)]


def game(patterns=PATTERNS, groups=GROUPS, metric="correlation", subjects=SUBJECTS):
    given = score_shares.contributions(patterns, subjects, metric)
    return score_shares.game_of_channels(given, groups)


def score(patterns, metric, measure, subjects=SUBJECTS):
    """The plain way: an RDM of these columns, compared with every subject."""
    return rsa.similarity(rdm.dissimilarities(patterns, metric).numpy()[None], subjects, measure)[0]


def brute(value, n):
    """Shapley values from the definition, over all subsets."""
    found = []
    for k in range(n):
        rest = [j for j in range(n) if j != k]
        total = 0.0
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - 1 - size) / math.factorial(n)
            for members in itertools.combinations(rest, size):
                total = total + weight * (value((*members, k)) - value(members))
        found.append(total)
    return np.stack(found)


@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sqeuclidean", "poisson"])
@pytest.mark.parametrize("measure", ["pearson", "spearman", "rho-a", "cosine", "whitened-pearson"])
def test_values_are_those_of_the_definition(metric, measure):
    def value(members):
        if not members:
            return np.zeros(3)
        return score(PATTERNS[:, np.concatenate([GROUPS[k] for k in members])], metric, measure)

    found = score_shares.split(game(metric=metric), SUBJECTS, measure)
    assert found.exact
    np.testing.assert_allclose(found.values, brute(value, 4), atol=1e-12)
    np.testing.assert_allclose(found.values.sum(0), score(PATTERNS, metric, measure), atol=1e-12)
    np.testing.assert_allclose(found.alone[1], value((1,)), atol=1e-12)
    np.testing.assert_allclose(found.without[1], value((0, 2, 3)), atol=1e-12)
    assert found.error.tolist() == [0, 0, 0, 0]


def test_random_orders_sum_to_the_score_and_near_the_exact_values(monkeypatch):
    exact = score_shares.split(game(), SUBJECTS, "spearman")
    monkeypatch.setattr(score_shares, "MOST_EXACT", 2)
    found = score_shares.split(game(), SUBJECTS, "spearman", orders=200, seed=3)
    assert not found.exact
    assert found.orders == 200
    assert found.gap < 1e-6
    assert found.gap < 1e-14
    off = np.abs(found.values - exact.values).mean(1)
    assert (found.error > 0).all()
    assert (off < 4 * found.error).all()
    again = score_shares.split(game(), SUBJECTS, "spearman", orders=200, seed=3)
    np.testing.assert_array_equal(found.values, again.values)


def test_the_error_of_the_estimate_is_what_it_says(monkeypatch):
    patterns = np.random.default_rng(11).random((8, 24))
    players = game(patterns, [np.arange(3 * k, 3 * k + 3) for k in range(8)])
    exact = score_shares.split(players, SUBJECTS, "pearson").values.mean(1)
    monkeypatch.setattr(score_shares, "MOST_EXACT", 2)
    found = [score_shares.split(players, SUBJECTS, "pearson", orders=40, seed=seed) for seed in range(20)]
    means = np.array([each.values.mean(1) for each in found])
    z = (means - exact) / [each.error for each in found]
    assert (np.abs(z) < 2.09).mean() > 0.85  # 95 % of Student's t with 19 degrees of freedom
    assert z.std() > 0.6
    assert (np.abs(means.mean(0) - exact) < 4 * means.std(0) / np.sqrt(len(means))).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean"])
@pytest.mark.parametrize("most", [12, 2])
def test_a_dead_channel_has_exactly_nothing_and_equal_ones_the_same(metric, most, monkeypatch):
    monkeypatch.setattr(score_shares, "MOST_EXACT", most)
    patterns = PATTERNS[:, :5].copy()
    patterns[:, 1] = 0.0
    patterns[:, 4] = patterns[:, 2]
    columns = [np.array([k]) for k in range(5)]
    found = score_shares.split(game(patterns, columns, metric), SUBJECTS, "pearson", orders=10)
    assert found.values[1].tolist() == [0, 0, 0]
    assert found.error[1] == 0
    assert np.abs(found.values[0]).min() > 0
    np.testing.assert_allclose(found.values[4], found.values[2], atol=1e-13)
    np.testing.assert_allclose(found.values.sum(0), score(patterns, metric, "pearson"), atol=1e-12)


def test_a_silent_channel_counts_in_correlations_as_it_does_there():
    patterns = PATTERNS[:, :4].copy()
    patterns[:, 3] = 0.0
    found = score_shares.split(game(patterns, [np.array([k]) for k in range(4)]), SUBJECTS, "pearson")

    def value(members):
        return score(patterns[:, list(members)], "correlation", "pearson") if len(members) > 2 else None

    assert np.abs(found.values[3]).max() > 1e-3
    np.testing.assert_allclose(found.without[3], value((0, 1, 2)), atol=1e-12)
    assert found.alone[3].tolist() == [0, 0, 0]  # one channel has no correlations, so its score is 0


def test_a_constant_pattern_within_a_group_counts_as_uncorrelated():
    patterns = PATTERNS.copy()
    patterns[2, :6] = 0.25  # constant in two groups of channels, not in the layer
    found = score_shares.split(game(patterns), SUBJECTS, "pearson")
    distances = 1 - np.nan_to_num(np.corrcoef(np.delete(patterns[:, :6], 2, 0)))
    whole = np.ones((8, 8))
    whole[np.ix_(*2 * ([0, 1, 3, 4, 5, 6, 7],))] = distances
    want = rsa.similarity(whole[np.triu_indices(8, 1)][None], SUBJECTS, "pearson")[0]
    two = score_shares.split(game(patterns, [np.arange(6), np.arange(6, 12)]), SUBJECTS, "pearson")
    np.testing.assert_allclose(two.alone[0], want, atol=1e-12)
    assert found.gap < 1e-12


def test_layers_share_the_score_of_their_sum():
    models = RNG.random((3, 28))

    def value(members):
        if not members:
            return np.zeros(3)
        return rsa.similarity(
            measures.pool(models[list(members)], "spearman", 12)[None], SUBJECTS, "spearman"
        )[0]

    players = score_shares.game_of_rdms(models, SUBJECTS, "spearman")
    found = score_shares.split(players, SUBJECTS, "spearman")
    np.testing.assert_allclose(found.values, brute(value, 3), atol=1e-12)
    np.testing.assert_allclose(found.alone, rsa.similarity(models, SUBJECTS, "spearman"), atol=1e-12)


def test_losses_are_scores_without():
    given = score_shares.contributions(PATTERNS, SUBJECTS, "correlation")
    found = score_shares.losses(given, GROUPS, SUBJECTS, "rho-a")
    shares = score_shares.split(game(), SUBJECTS, "rho-a")
    np.testing.assert_allclose(found, (shares.score - shares.without).mean(1), atol=1e-12)


def test_missing_pairs_are_left_out_of_every_group():
    subjects = SUBJECTS.copy()
    subjects[1, [3, 9]] = np.nan
    found = score_shares.split(game(subjects=subjects), subjects, "pearson")
    np.testing.assert_allclose(found.score, score(PATTERNS, "correlation", "pearson", subjects), atol=1e-12)
    assert found.gap < 1e-12


def test_what_cannot_be_split_is_refused(monkeypatch):
    with pytest.raises(InputError, match="over all coalitions"):
        score_shares.split(game(), SUBJECTS, "tau-a")
    with pytest.raises(InputError, match="2 orders"):
        score_shares.split(game(), SUBJECTS, "pearson", orders=2)
    with pytest.raises(InputError, match="no variance"):
        score_shares.split(game(), np.ones((1, 28)), "pearson")
    monkeypatch.setattr(score_shares, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="fewer groups"):
        game()
