"""Variance partitioning against least squares, partial correlation by formula, influence by recomputation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import rankdata

from dashboard.errors import CautionWarning, InputError
from dashboard.methods import influence, partition, rsa


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CautionWarning)
        yield


def data(k=3, s=3, n=14, seed=0):
    rng = np.random.default_rng(seed)
    pairs = n * (n - 1) // 2
    shared = rng.random(pairs)
    models = shared + rng.random((k, pairs))
    return models, shared + models[:1] + 2 * rng.random((s, pairs))


def least_squares(models, y):
    x = np.column_stack([np.ones(len(y)), *models])
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - rest.var() / y.var()


@pytest.mark.parametrize("measure", partition.MEASURES)
@pytest.mark.parametrize("k", [2, 3, 4])
def test_parts_are_those_of_regressions(k, measure):
    models, subjects = data(k)
    found = partition.partition(models, subjects, measure, "stimuli", n=20)
    if measure == "spearman":
        models, subjects = rankdata(models, axis=1), rankdata(subjects, axis=1)
    total = np.mean([least_squares(models, y) for y in subjects])
    assert found.total == pytest.approx(total, abs=1e-10)
    assert found.part.sum() == pytest.approx(total, abs=1e-10)
    for m in range(k):
        rest = np.delete(models, m, 0)
        unique = total - np.mean([least_squares(rest, y) for y in subjects])
        assert found.part[found.members.index((m,))] == pytest.approx(unique, abs=1e-10)
    if k == 2:
        alone = [np.mean([least_squares(models[m : m + 1], y) for y in subjects]) for m in range(2)]
        assert found.part[2] == pytest.approx(sum(alone) - total, abs=1e-10)


def test_partial_correlation_is_that_of_residuals():
    models, subjects = data(3)
    found = partition.partition(models, subjects, "pearson", "stimuli", n=20)

    def rest(y, on):
        x = np.column_stack([np.ones(len(y)), *on])
        return y - x @ np.linalg.lstsq(x, y, rcond=None)[0]

    for m in range(3):
        others = np.delete(models, m, 0)
        want = [np.corrcoef(rest(models[m], others), rest(y, others))[0, 1] for y in subjects]
        assert found.partial[m] == pytest.approx(np.mean(want), abs=1e-10)


def test_errors_are_those_of_explicit_resampling():
    """Samples of stimuli drawn by hand: pairs of copies left out, regressions refitted."""
    models, subjects = data(2, 2, n=10)
    found = partition.partition(models, subjects, "pearson", "stimuli", n=40, seed=3)
    stream = np.random.default_rng(np.random.SeedSequence(3).spawn(2)[0])
    a, b = np.triu_indices(10, 1)
    totals = []
    for draw in stream.integers(0, 10, (40, 10)):
        counts = np.bincount(draw, minlength=10)
        w = counts[a] * counts[b]
        x, y = np.repeat(models, w, 1), np.repeat(subjects, w, 1)
        totals.append(np.mean([least_squares(x, each) for each in y]))
    assert found.total_sem == pytest.approx(np.std(totals, ddof=1) * np.sqrt(10 / 9), rel=1e-8)


def test_what_cannot_be_split_is_refused():
    models, subjects = data(2)
    with pytest.raises(InputError, match="not rho-a"):
        partition.partition(models, subjects, "rho-a")
    with pytest.raises(InputError, match="not 5"):
        partition.partition(np.ones((5, 91)), subjects)
    with pytest.raises(InputError, match="say the same"):
        partition.partition(models[[0, 0]], subjects)
    with pytest.raises(InputError, match="no variance"):
        partition.partition(np.stack([models[0], np.ones(91)]), subjects)


def test_parts_have_names():
    assert list(partition.names_of(partition.subsets(3), ["a", "b", "c"])) == [
        *("only a", "only b", "only c"),
        *("a and b", "a and c", "b and c", "a, b and c"),
    ]


@pytest.mark.parametrize("measure", ["pearson", "spearman", "rho-a", "whitened-cosine", "tau-a"])
def test_influence_is_the_score_recomputed_without_the_stimulus(measure):
    models, subjects = data(2, 3, n=9)
    found = influence.leave_one_out(models, subjects, measure)
    whole = rsa.similarity(models, subjects, measure).mean(1)
    a, b = np.triu_indices(9, 1)
    for k in range(9):
        inside = (a != k) & (b != k)
        want = whole - rsa.similarity(models[:, inside], subjects[:, inside], measure).mean(1)
        np.testing.assert_allclose(found[:, k], want, atol=1e-10)


def test_disagreement_is_a_difference_of_ranks():
    found = influence.disagreement([1.0, 2.0, 3.0], [[30.0, 20.0, 10.0]])
    np.testing.assert_allclose(found, [-1.0, 0.0, 1.0])
    with pytest.raises(InputError, match="too few"):
        influence.leave_one_out([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]])
