from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dashboard.errors import Cancelled, InputError, collect_cautions
from dashboard.methods import (
    condensed,
    jackknife,
    measures,
    rdm,
    resampling,
    resampling_ranks,
    resampling_tau,
    rsa,
)
from dashboard.methods.compiled import compiled

ALL = list(rsa.MEASURES)
FAST = [m for m in ALL if rsa.MEASURES[m].family != "tau"]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rsa.errors.CautionWarning)
        yield


def data(n=9, n_models=4, n_subjects=4, seed=0, ties=True):
    """Models (one of them categorical when ties) and subjects that share something, (·, n_pairs) each."""
    rng = np.random.default_rng(seed)
    pairs = n * (n - 1) // 2
    shared = rng.random(pairs)
    subjects = shared + rng.random((n_subjects, pairs))
    models = shared + rng.random((n_models, pairs))
    if ties:
        group = np.arange(n) % 2
        i, j = rdm.pair_indices(n)
        models[0] = group[i] != group[j]
        subjects[-1] = np.round(subjects[-1] * 3)
    return models, subjects


def resampled(rdms, draw):
    """RDMs of the drawn stimuli; copies of one stimulus form no pair."""
    square = rdm.square(rdms)
    draw = np.sort(draw)
    square[:, np.arange(square.shape[1]), np.arange(square.shape[1])] = np.nan
    square = square[:, draw][:, :, draw]
    i, j = rdm.pair_indices(len(draw))
    return square[:, i, j]


def explicit(models, subjects, measure, stimuli, people):
    """Bootstrap by forming every resampled RDM: scores and ceilings as the documentation defines them."""
    x, y = resampled(models, stimuli), resampled(subjects, stimuli)
    similar = rsa.similarity(x, y, measure)
    score = similar[:, people].mean(1)
    distinct = np.unique(people)
    keep = ~np.isnan(y[0])
    lower, upper = [], []
    for t in distinct:
        everyone = measures.pool(y[people][:, keep], measure, 12)
        others = (
            measures.pool(y[people[people != t]][:, keep], measure, 12) if len(distinct) > 1 else everyone
        )
        for pooled, bound in ((others, lower), (everyone, upper)):
            bound.append(measures.compare(pooled[None], y[t : t + 1, keep], measure, keep, 12)[0, 0])
    return score, np.mean(lower), np.mean(upper)


# --- similarity -------------------------------------------------------------------------------------------


def test_by_hand():
    x, y = [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]
    assert rsa.similarity(x, y, "cosine")[0, 0] == pytest.approx(13 / 14)
    assert rsa.similarity(x, y, "pearson")[0, 0] == pytest.approx(0.5)
    assert rsa.similarity(x, y, "spearman")[0, 0] == pytest.approx(0.5)
    assert rsa.similarity(x, y, "rho-a")[0, 0] == pytest.approx(0.5)
    assert rsa.similarity(x, y, "tau-a")[0, 0] == pytest.approx(1 / 3)
    assert rsa.similarity(x, y, "tau-b")[0, 0] == pytest.approx(1 / 3)


def test_ties_by_hand():
    # Ranks 1.5 1.5 3 against 1 2 3: sums of products of centred ranks 1.5, squares 1.5 and 2.
    x, y = [1.0, 1.0, 2.0], [1.0, 2.0, 3.0]
    assert rsa.similarity(x, y, "spearman")[0, 0] == pytest.approx(1.5 / 3**0.5)
    assert rsa.similarity(x, y, "rho-a")[0, 0] == pytest.approx(0.75)
    assert rsa.similarity(x, y, "tau-a")[0, 0] == pytest.approx(2 / 3)
    assert rsa.similarity(x, y, "tau-b")[0, 0] == pytest.approx(2 / 6**0.5)


@pytest.mark.parametrize(
    ("measure", "peer"),
    [("pearson", stats.pearsonr), ("spearman", stats.spearmanr), ("tau-b", stats.kendalltau)],
)
def test_against_scipy_with_ties(measure, peer):
    models, subjects = data()
    found = rsa.similarity(models, subjects, measure)
    expected = [[peer(x, y).statistic for y in subjects] for x in models]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_tau_a_counts_pairs_of_pairs():
    models, subjects = data()
    i, j = np.triu_indices(models.shape[1], 1)
    x, y = np.sign(models[:, i] - models[:, j]), np.sign(subjects[:, i] - subjects[:, j])
    np.testing.assert_allclose(rsa.similarity(models, subjects, "tau-a"), x @ y.T / len(i), atol=1e-15)


def test_whitened_cosine_of_squared_distances_is_linear_cka():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((8, 5)), rng.standard_normal((8, 7))
    found = rsa.similarity(
        rdm.dissimilarities(x, "sqeuclidean"), rdm.dissimilarities(y, "sqeuclidean"), "whitened-cosine"
    )
    x, y = x - x.mean(0), y - y.mean(0)
    expected = np.sum((x.T @ y) ** 2) / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert found[0, 0] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("measure", ["whitened-cosine", "whitened-pearson"])
def test_whitening_is_double_centring(measure):
    models, subjects = data(ties=False)
    h = np.eye(9) - 1 / 9

    def whitened(v):
        v = v - v.mean(1, keepdims=True) if measure == "whitened-pearson" else v
        flat = (h @ rdm.square(v) @ h).reshape(len(v), -1)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    np.testing.assert_allclose(
        rsa.similarity(models, subjects, measure), whitened(models) @ whitened(subjects).T, atol=1e-13
    )


@pytest.mark.parametrize("measure", ["whitened-cosine", "whitened-pearson"])
def test_whitened_measures_leave_what_they_are_given_alone(measure):
    models, subjects = data(ties=False)
    kept = models.copy()
    found = rsa.similarity(models, subjects, measure)
    np.testing.assert_array_equal(models, kept)
    models.flags.writeable = False
    np.testing.assert_array_equal(rsa.similarity(models, subjects, measure), found)
    np.testing.assert_array_equal(rsa.similarity(np.asfortranarray(models), subjects, measure), found)
    np.testing.assert_allclose(rsa.similarity(models.tolist(), subjects, measure), found, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(ALL), st.floats(0.1, 10), st.floats(0.5, 5))
def test_invariances(seed, measure, scale, shift):
    models, subjects = data(n=6, seed=seed)
    entry = rsa.MEASURES[measure]
    moved = models * scale + (shift if entry.centred else 0)
    moved = moved**3 if entry.ranked else moved
    found = rsa.similarity(models, subjects, measure)
    np.testing.assert_allclose(rsa.similarity(moved, subjects, measure), found, atol=1e-12)
    np.testing.assert_allclose(rsa.similarity(subjects, models, measure), found.T, atol=1e-13)
    order = np.random.default_rng(seed).permutation(6)
    mixed = [rdm.square(v)[:, order][:, :, order][:, *rdm.pair_indices(6)] for v in (models, subjects)]
    np.testing.assert_allclose(rsa.similarity(*mixed, measure), found, atol=1e-12)
    assert np.all(np.abs(found) <= 1 + 1e-12)


def test_rounding_noise_breaks_no_ties_unless_asked():
    x, y = np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    noisy = np.array([1.0 + 4e-16, 1.0, 2.0])
    assert rsa.similarity(noisy, y, "rho-a") == rsa.similarity(x, y, "rho-a")
    assert rsa.similarity(noisy, y, "rho-a", digits=None)[0, 0] == pytest.approx(0.5)
    assert rsa.similarity(noisy * 1e-30, y, "tau-a") == rsa.similarity(x, y, "tau-a")


def test_pairs_without_a_value_are_left_out_and_counted():
    models, subjects = data()
    holes = models.copy()
    holes[1, 5] = np.nan
    subjects[2, [5, 7]] = np.nan
    keep = np.delete(np.arange(36), [5, 7])
    for measure in ("pearson", "spearman", "rho-a", "tau-a", "cosine"):
        with collect_cautions() as cautions:
            found = rsa.similarity(holes, subjects, measure)
        assert cautions[0].message.startswith(
            "2 of 36 pairs of stimuli have no dissimilarity in at least one RDM"
        )
        x, y = models[:, keep], subjects[:, keep]
        expected = {
            "pearson": np.corrcoef(x, y)[:4, 4:],
            "spearman": np.corrcoef(stats.rankdata(x, axis=1), stats.rankdata(y, axis=1))[:4, 4:],
            "cosine": x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1),
        }.get(measure)
        if expected is not None:
            np.testing.assert_allclose(found, expected, atol=1e-12)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("measure", ["pearson", "spearman", "tau-b", "whitened-pearson"])
def test_no_variance_is_undefined_and_told(measure):
    models, subjects = data()
    models[2] = 0.1
    with collect_cautions() as cautions:
        found = rsa.similarity(models, subjects, measure)
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(found, 2, 0)).all()
    assert cautions[0].code == "undefined-similarity"
    assert cautions[0].message.startswith("4 of 16 similarities")
    assert np.array_equal(rsa.similarity(models, subjects, measure, undefined=0.0)[2], np.zeros(4))
    assert np.array_equal(rsa.similarity(models, subjects, "rho-a")[2], np.zeros(4))  # defined: no correction


@pytest.mark.parametrize(
    ("a", "b", "measure", "sentence"),
    [
        (np.ones(3), np.ones(3), "spearmann", 'There is no measure "spearmann". Did you mean spearman?'),
        (np.ones(3), np.ones(6), "pearson", "RDMs of 3 stimuli cannot be compared with RDMs of 4 stimuli"),
        (np.ones(4), np.ones(4), "pearson", "4 values do not form a condensed RDM"),
        (
            np.ones(1),
            np.ones(1),
            "pearson",
            "The first RDMs have 2 stimuli: one dissimilarity cannot be compared",
        ),
        (
            np.full(3, np.inf),
            np.ones(3),
            "pearson",
            r"1 of 1 first RDMs hold infinite dissimilarities \(number 0\)",
        ),
        (np.full(3, np.nan), np.ones(3), "pearson", "Only 0 of 3 pairs have a dissimilarity in every RDM"),
        (np.ones((2, 3, 3)), np.ones(3), "pearson", "must be condensed RDMs"),
        (np.ones(3) * 1j, np.ones(3), "pearson", "must be condensed RDMs, RDM × pair, not complex128"),
    ],
)
def test_bad_input_is_a_sentence(a, b, measure, sentence):
    with pytest.raises(InputError, match=sentence):
        rsa.similarity(a, b, measure)


# --- noise ceiling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ALL)
def test_ceiling_by_its_definition(measure):
    _, subjects = data()
    lower, upper = rsa.noise_ceiling(subjects, measure)
    _, low, up = explicit(subjects[:1], subjects, measure, np.arange(9), np.arange(4))
    assert (lower, upper) == pytest.approx((low, up), abs=1e-13)
    assert lower < upper <= 1


def test_upper_ceiling_is_the_best_score_of_any_model_for_pearson_and_cosine():
    _, subjects = data(ties=False)
    rng = np.random.default_rng(5)
    for measure in ("pearson", "cosine"):
        best = measures.pool(subjects, measure, None)
        tries = best + 0.05 * best.std() * rng.standard_normal((200, len(best)))
        scores = rsa.similarity(tries, subjects, measure).mean(1)
        assert scores.max() < rsa.noise_ceiling(subjects, measure)[1]


def test_one_subject_has_no_ceiling():
    with collect_cautions() as cautions:
        assert np.isnan(rsa.noise_ceiling(data()[1][:1])).all()
    assert [c.code for c in cautions] == ["no-ceiling"]


# --- bootstrap --------------------------------------------------------------------------------------------


def draws(n, n_subjects, size, seed):
    rng = np.random.default_rng(seed)
    stimuli, people = rng.integers(0, n, (size, n)), rng.integers(0, n_subjects, (size, n_subjects))
    stimuli[0], people[0] = np.arange(n), np.arange(n_subjects)
    people[1] = 0  # one distinct subject
    return stimuli, people


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize("ties", [False, True])
def test_samples_equal_explicit_resampling(measure, ties):
    models, subjects = data(n=11, ties=ties)
    size = 4 if measure.startswith("tau") else 12
    stimuli, people = draws(11, 4, size, 1)
    found = rsa.bootstrap(models, subjects, measure, "both", draws=(stimuli, people))
    for k in range(size):
        score, low, up = explicit(models, subjects, measure, stimuli[k], people[k])
        np.testing.assert_allclose(found.scores[k], score, atol=1e-11)
        np.testing.assert_allclose(found.ceilings[k], [low, up], atol=1e-11)


@pytest.mark.parametrize("measure", ALL)
def test_one_factor_alone_and_dual_use_the_same_samples(measure):
    models, subjects = data(n=10, n_models=2)
    stimuli, people = draws(10, 4, 4, 2)
    both = rsa.bootstrap(models, subjects, measure, "both", draws=(stimuli, people))
    dual = rsa.bootstrap(models, subjects, measure, "dual", draws=(stimuli, people))
    np.testing.assert_array_equal(dual.scores, both.scores)
    single = {}
    for name, given_draws in (("stimuli", (stimuli, None)), ("subjects", (None, people))):
        single[name] = rsa.bootstrap(models, subjects, measure, name, draws=given_draws)
        for k in range(4):
            score, low, up = explicit(
                models,
                subjects,
                measure,
                stimuli[k] if name == "stimuli" else np.arange(10),
                people[k] if name == "subjects" else np.arange(4),
            )
            np.testing.assert_allclose(single[name].scores[k], score, atol=1e-11)
            np.testing.assert_allclose(single[name].ceilings[k], [low, up], atol=1e-11)
    for run, other in enumerate((both, single["subjects"], single["stimuli"])):
        np.testing.assert_allclose(dual.covariances[run], other.covariances[0], atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(FAST), st.integers(4, 9), st.integers(2, 5))
def test_small_samples_equal_explicit_resampling(seed, measure, n, n_subjects):
    models, subjects = data(n, 3, n_subjects, seed)
    stimuli, people = draws(n, n_subjects, 5, seed)
    found = rsa.bootstrap(models, subjects, measure, draws=(stimuli, people))
    for k in range(5):
        if len(np.unique(stimuli[k])) < 3:
            assert np.isnan(found.scores[k]).all()
            continue
        score, low, up = explicit(models, subjects, measure, stimuli[k], people[k])
        np.testing.assert_allclose(found.scores[k], score, atol=1e-9)
        np.testing.assert_allclose(found.ceilings[k], [low, up], atol=1e-7)


@pytest.mark.parametrize("measure", FAST)
def test_missing_pairs_in_samples(measure):
    models, subjects = data(n=10, ties=False)
    models[1, [3, 20]] = np.nan
    stimuli, people = draws(10, 4, 6, 3)
    found = rsa.bootstrap(models, subjects, measure, draws=(stimuli, people))
    subjects[:, [3, 20]] = np.nan
    models[:, [3, 20]] = np.nan
    for k in range(6):
        score, low, up = explicit(models, subjects, measure, stimuli[k], people[k])
        np.testing.assert_allclose(found.scores[k], score, atol=1e-11)
        np.testing.assert_allclose(found.ceilings[k], [low, up], atol=1e-11)


def test_a_subject_undefined_in_a_sample_harms_only_samples_that_drew_it():
    models, subjects = data(n=8, n_subjects=3, ties=False)
    square = np.ones((8, 8)) - np.eye(8)
    square[7, :7] = square[:7, 7] = np.arange(7)
    subjects[1] = rdm.condense(square)  # constant wherever stimulus 7 is not drawn
    stimuli = np.array([[0, 1, 2, 3, 4, 5, 6, 6]] * 2)
    people = np.array([[0, 2, 2], [0, 1, 2]])
    found = rsa.bootstrap(models, subjects, "pearson", draws=(stimuli, people))
    assert np.isfinite(found.scores[0]).all()
    assert np.isnan(found.scores[1]).all()


def test_many_pairs_are_summed_in_blocks(monkeypatch):
    models, subjects = data(n=12)
    stimuli, people = draws(12, 4, 9, 4)
    whole = rsa.bootstrap(models, subjects, "pearson", draws=(stimuli, people))
    monkeypatch.setattr(resampling, "CACHED_VALUES", 0)
    original = resampling._Linear._starts
    monkeypatch.setattr(
        resampling._Linear, "_starts", lambda self: (setattr(self, "block", 17), original(self))[1]
    )
    pieces = rsa.bootstrap(models, subjects, "pearson", draws=(stimuli, people))
    np.testing.assert_allclose(pieces.scores, whole.scores, atol=1e-14)


@pytest.mark.parametrize("measure", ["spearman", "pearson", "whitened-cosine"])
def test_chunks_change_neither_draws_nor_answers(measure, monkeypatch):
    models, subjects = data()
    whole = rsa.bootstrap(models, subjects, measure, n=40, seed=3)
    monkeypatch.setattr(resampling, "BUFFER_VALUES", 4000)
    pieces = rsa.bootstrap(models, subjects, measure, n=40, seed=3)
    np.testing.assert_allclose(pieces.scores, whole.scores, atol=1e-14)
    np.testing.assert_array_equal(
        rsa.bootstrap(models, subjects, measure, n=40, seed=3).scores, pieces.scores
    )
    assert not np.array_equal(rsa.bootstrap(models, subjects, measure, n=40, seed=4).scores, whole.scores)


def test_draws_of_stimuli_do_not_depend_on_the_resampling_of_subjects():
    models, subjects = data()
    alone = rsa.bootstrap(models, subjects, "cosine", "stimuli", n=30, seed=1)
    dual = rsa.bootstrap(models, subjects, "cosine", "dual", n=30, seed=1)
    np.testing.assert_allclose(dual.covariances[2], alone.covariances[0], atol=1e-15)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_ranks_of_sorted_keys_are_those_of_the_expanded_rows(kind):
    rng = np.random.default_rng(8)
    for row in (*rng.integers(0, 6, (4, 40)), rng.permutation(40)):
        weights = rng.integers(1, 4, 40)
        keys = np.sort((row.astype(kind) << 6) | np.arange(40, dtype=kind))
        found = np.empty(40)
        ties = resampling_ranks._rank_sorted(keys, 6, weights.astype(float), found, np.empty(40, np.int64))
        expanded = np.repeat(row, weights)
        expected = 2 * stats.rankdata(expanded) - 1
        np.testing.assert_array_equal(np.repeat(found, weights), expected)
        squares = np.sum((expected - len(expanded)) ** 2)
        assert (weights.sum() ** 3 - np.sum(weights**3) - ties) / 3 == squares


# --- inference --------------------------------------------------------------------------------------------


def plain(found):
    """Let tests use the variances of the bootstrap."""
    return dataclasses.replace(found, left_out=None)


def test_standard_errors_intervals_and_p_values():
    models, subjects = data(n=20, n_subjects=6)
    found = rsa.bootstrap(models, subjects, "pearson", "both", n=200)
    factor = 6 / 5
    np.testing.assert_allclose(found.sem, np.sqrt(factor * found.scores.var(0, ddof=1)), rtol=1e-12)
    assert found.dof == 5
    t = stats.t.ppf(0.975, 5)
    np.testing.assert_allclose(
        found.ci, np.stack([found.score - t * found.sem, found.score + t * found.sem], 1)
    )
    unchanged = plain(found)
    np.testing.assert_allclose(unchanged.p_zero, stats.t.sf(found.score / found.sem, 5), rtol=1e-10)
    np.testing.assert_allclose(found.score, rsa.similarity(models, subjects, "pearson").mean(1), atol=1e-14)
    assert found.ceiling == pytest.approx(rsa.noise_ceiling(subjects, "pearson"))
    gap = found.scores[:, 1] - found.scores[:, 0]
    difference = unchanged.difference(1, 0)
    assert difference.sem == pytest.approx(np.sqrt(factor * gap.var(ddof=1)))
    assert difference.p == pytest.approx(2 * stats.t.sf(abs(difference.mean) / difference.sem, 5))
    assert difference.ci == pytest.approx(
        (difference.mean - t * difference.sem, difference.mean + t * difference.sem)
    )
    assert unchanged.distinguishable(1, 0) == (difference.ci[0] > 0 or difference.ci[1] < 0)
    below = found.below_ceiling(2)
    assert below.mean == pytest.approx(found.ceiling[0] - found.score[2])
    np.testing.assert_allclose(found.covariance, factor * np.cov(found.scores.T), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("measure", ["pearson", "spearman", "tau-a"])
def test_the_gap_to_the_ceiling_is_resampled_with_pools_held(measure):
    models, subjects = data(n=9, n_subjects=4)
    pools = [measures.pool(np.delete(subjects, t, 0), measure, 12) for t in range(4)]
    lower = np.diagonal(rsa.similarity(np.array(pools), subjects, measure))
    gaps = lower - rsa.similarity(models, subjects, measure)[1]
    stimuli, people = draws(9, 4, 25, 3)
    found = rsa.bootstrap(models, subjects, measure, "subjects", draws=(None, people))
    want = 4 / 3 * gaps[people].mean(1).var(ddof=1)
    assert found.below_ceiling(1).sem == pytest.approx(np.sqrt(want), rel=1e-9)
    found = plain(rsa.bootstrap(models, subjects, measure, "stimuli", draws=(stimuli, None)))
    want = 9 / 8 * (found.ceilings[:, 0] - found.scores[:, 1]).var(ddof=1)
    assert found.below_ceiling(1).sem == pytest.approx(np.sqrt(want), rel=1e-9)
    same = np.tile(np.arange(4), (25, 1))  # everyone once: nothing but stimuli varies
    both = plain(rsa.bootstrap(models, subjects, measure, "both", draws=(stimuli, same)))
    assert both.below_ceiling(1).sem == pytest.approx(np.sqrt(want * 8 / 9 * 4 / 3), rel=1e-9)
    dual = rsa.bootstrap(models, subjects, measure, "dual", draws=(stimuli, people))
    run = dual.held[1][np.ix_([1, -1], [1, -1])]
    assert run[0, 0] + run[1, 1] - 2 * run[0, 1] == pytest.approx(gaps[people].mean(1).var(ddof=1))


def test_a_model_does_not_differ_from_itself():
    models, subjects = data()
    found = rsa.bootstrap(np.stack([models[1], models[1]]), subjects, n=50)
    assert found.difference(0, 1) == (0.0, 0.0, (0.0, 0.0), 1.0)
    assert not found.distinguishable(0, 1)


@pytest.mark.parametrize("measure", ["pearson", "rho-a", "tau-b", "whitened-cosine"])
def test_tests_take_their_variance_from_leaving_out_stimuli(measure):
    """Against scores of RDMs that lack the rows, for models, a pair, and the ceiling with its pools held."""
    models, subjects = data(n=8, n_models=2, n_subjects=3)
    found = rsa.bootstrap(models, subjects, measure, "dual", n=4)
    counts, pairs = jackknife.left_out(8)

    def columns(kept):
        rows = [condensed.condense(condensed.square(v)[np.ix_(kept, kept)]) for v in (*models, *subjects)]
        x, y = np.array(rows[:2]), np.array(rows[2:])
        pools = np.array([measures.pool(np.delete(y, t, 0), measure, 12) for t in range(3)])
        held = np.diagonal(rsa.similarity(pools, y, measure))
        return np.concatenate([rsa.similarity(x, y, measure), held[None]])

    values = np.array([columns(np.flatnonzero(c)) for c in np.concatenate([np.ones((1, 8), int), counts])])
    parts = jackknife.components(values[0], values[1:9], values[9:], pairs)
    for contrast, sem in (([1, -1, 0], found.difference(0, 1).sem), ([-1, 0, 1], found.below_ceiling(0).sem)):
        variance, _ = parts.variance(np.array(contrast, float), people=True)
        assert sem == pytest.approx(np.sqrt(variance), rel=1e-9)
    variance, dof = parts.variance(np.array([1.0, 0, 0]), people=True)
    assert found.p_zero[0] == pytest.approx(stats.t.sf(found.score[0] / np.sqrt(variance), dof), rel=1e-8)


def test_few_stimuli_are_tested_with_the_variance_of_the_bootstrap():
    models, subjects = data(n=5)
    found = rsa.bootstrap(models, subjects, "pearson", "stimuli", n=30)
    assert found.left_out is None
    np.testing.assert_allclose(found.p_zero, stats.t.sf(found.score / found.sem, 4), rtol=1e-9)


def test_dual_variance_by_its_formula():
    models, subjects = data(n=20, n_subjects=6)
    found = rsa.bootstrap(models, subjects, "rho-a", "dual", n=100)
    both, people, stimuli = (v.diagonal()[:4] for v in found.covariances)
    f_r, f_p = 6 / 5, 20 / 19
    raw = f_r * people + f_p * stimuli - f_r * f_p * (both - people - stimuli)
    expected = np.minimum(np.maximum(raw, np.maximum(f_r * people, f_p * stimuli)), both)
    np.testing.assert_allclose(found.sem**2, expected, rtol=1e-12)


def test_dual_standard_error_is_that_of_repeated_experiments():
    """Simulate whole experiments: the spread of scores over experiments is what sem estimates."""
    rng = np.random.default_rng(11)
    scores, sems = [], []
    for _ in range(50):
        n, s = 16, 6
        truth = rng.standard_normal((n, 6))
        people = [
            rdm.dissimilarities(truth + 1.5 * rng.standard_normal((n, 6)), "sqeuclidean") for _ in range(s)
        ]
        model = rdm.dissimilarities(truth[:, :3], "sqeuclidean")
        found = rsa.bootstrap(model, np.stack(people), "pearson", "dual", n=60, ceiling=False)
        scores.append(found.score[0])
        sems.append(found.sem[0])
    assert 0.75 < np.median(sems) / np.std(scores) < 1.35


def test_one_subject_falls_back_to_stimuli():
    models, subjects = data(n=21)
    with collect_cautions() as cautions:
        found = rsa.bootstrap(models, subjects[:1], "pearson", "dual", n=30)
    assert found.resample == "stimuli"
    assert found.dof == 20
    assert np.isnan(found.ceiling).all()
    assert np.isnan(found.ceilings).all()
    assert np.isfinite(found.sem).all()
    assert {"one-subject", "no-ceiling", "few-subjects"} <= {c.code for c in cautions}


def test_constant_model_is_undefined_without_harm_to_the_others():
    models, subjects = data(n=20)
    models[1] = 2.0
    with collect_cautions() as cautions:
        found = rsa.bootstrap(models, subjects, "spearman", n=40)
    assert np.isnan(found.score[1])
    assert np.isnan([found.sem[1], found.p_zero[1], *found.ci[1]]).all()
    assert np.isfinite(np.delete(found.sem, 1)).all()
    assert found.n_dropped == 0
    assert "undefined-similarity" in {c.code for c in cautions}


def codes(models, subjects, measure="rho-a", **options):
    with collect_cautions() as cautions:
        rsa.bootstrap(models, subjects, measure, n=20, **options)
    return {c.code: c.message for c in cautions}


def test_cautions_in_words():
    models, subjects = data(n=20, n_subjects=5, ties=False)
    assert codes(models, subjects) == {}
    small_models, small_subjects = data(n=6, n_subjects=2, ties=False)
    assert {"few-stimuli", "few-subjects"} <= set(codes(small_models, small_subjects))
    tied, _ = data(n=20, n_subjects=5)
    assert codes(tied, subjects, "spearman")["ties"].startswith(
        "1 of 4 models predicts many equal dissimilarities"
    )
    assert "ρ-a" in codes(tied, subjects, "tau-b")["ties"]
    assert "ties" not in codes(tied, subjects, "rho-a")
    assert "all-negative" in codes(-models, subjects)
    assert codes(models, subjects + 3, "cosine")["saturated"].startswith(
        "A model in which all stimuli differ equally"
    )
    assert "saturated" not in codes(models, subjects - subjects.mean(), "cosine")


def test_samples_of_fewer_than_three_stimuli_are_dropped_and_counted():
    models, subjects = data(n=4, ties=False)
    stimuli = np.array([[0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 1, 2], [3, 3, 3, 3]])
    people = np.tile(np.arange(4), (4, 1))
    with collect_cautions() as cautions:
        found = rsa.bootstrap(models, subjects, "pearson", draws=(stimuli, people))
    assert np.isnan(found.scores[[1, 3]]).all()
    assert np.isfinite(found.scores[[0, 2]]).all()
    assert found.n_dropped == 2
    message = next(c.message for c in cautions if c.code == "dropped-samples")
    assert message.startswith("2 of 4 bootstrap samples had fewer than 3 different stimuli")


def test_without_ceilings():
    models, subjects = data(n=20)
    found = rsa.bootstrap(models, subjects, n=20, ceiling=False)
    assert np.isnan(found.ceilings).all()
    assert np.isfinite(found.sem).all()


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize("resample", ["both", "subjects"])
def test_reports_progress_and_lets_itself_be_cancelled(measure, resample):
    models, subjects = data()
    heard = []
    rsa.bootstrap(models, subjects, measure, resample, n=10, report=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    def stop(fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        rsa.bootstrap(models, subjects, measure, resample, n=10, report=stop)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"resample": "people"}, 'There is no resampling "people"'),
        ({"measure": "tau"}, 'There is no measure "tau". Did you mean tau-b, tau-a'),
        ({"n": 1}, "A bootstrap of 1 samples says nothing about uncertainty"),
        (
            {"draws": (np.zeros((3, 9), int), None)},
            "draws of subjects must be at least 2 rows of whole numbers from 0 to 3",
        ),
        ({"draws": (np.full((3, 9), 9), np.zeros((3, 4), int))}, "draws of stimuli must be .* from 0 to 8"),
        ({"draws": (np.zeros((3, 9)), np.zeros((3, 4), int))}, "draws of stimuli must be"),
        ({"draws": (np.zeros((3, 9), int), np.zeros((2, 4), int))}, "3 draws of stimuli, but 2 of subjects"),
    ],
)
def test_bad_settings_are_a_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        rsa.bootstrap(*data(), **options)


def test_listing_measures_needs_no_torch():
    program = (
        "import sys; from dashboard.methods import rsa; print(len(rsa.MEASURES), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["8", "False"]


@pytest.mark.parametrize("levels", [3, 200, 10**6])
def test_weighted_discordance_is_counted_exactly(levels):
    """With many ties and with none, against scipy on rows that hold their copies."""
    rng = np.random.default_rng(levels)
    x, y = rng.integers(0, levels, (2, 4200))
    weights = rng.integers(1, 4, 4200)
    ordered = resampling_tau._Ordered.of(y[None].astype(float), weights)
    keys = np.sort((x << 13) | ordered.place, axis=1)
    found = resampling_tau._discordant(keys, 13, np.array([0]), ordered.weights, ordered.groups)
    copies = np.repeat(np.stack([x, y]), weights, axis=1)
    several = [np.unique(values, axis=-1, return_counts=True)[1] for values in (copies[0], copies)]
    tied, joint = ((n * (n - 1) // 2).sum() for n in several)
    assert (found[1][0], found[2][0]) == (tied, joint)
    everything, y_tied = ordered.everything, ordered.ties[0]
    surplus = everything - tied - y_tied + joint - 2 * found[0][0]
    peer = stats.kendalltau(*copies).statistic * np.sqrt((everything - tied) * float(everything - y_tied))
    assert surplus == round(peer)


def test_what_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    """On a machine where neither the source's folder nor a cache may be written."""
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled()(lambda a, b: a + b)(1, 2) == 3
