from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from dashboard.errors import InputError, collect_cautions
from dashboard.methods import rdm

RNG = np.random.default_rng(7)


def relative(found, expected):
    return np.max(np.abs(np.asarray(found) - expected) / np.abs(expected))


def test_by_hand():
    patterns = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 6.0], [0.0, 0.0, 4.0]]
    assert rdm.dissimilarities(patterns, "correlation")[0] == pytest.approx(2.0, abs=1e-15)
    assert rdm.dissimilarities(patterns, "sqeuclidean").tolist() == pytest.approx(
        [8 / 3, 3.0, 2.0, 29 / 3, 22 / 3, 3.0], rel=1e-14
    )
    assert rdm.dissimilarities(patterns, "euclidean")[1] == pytest.approx(3.0**0.5)
    assert rdm.dissimilarities(patterns, "cosine")[0] == pytest.approx(1 - 10 / 14)
    assert rdm.dissimilarities(patterns, "mahalanobis", precision=[1.0, 1.0, 0.5])[0] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("name", "scale"), [("correlation", 1), ("cosine", 1), ("sqeuclidean", 50), ("euclidean", 1)]
)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_against_scipy(name, scale, offset):
    patterns = RNG.standard_normal((300, 50)) + offset * (name != "cosine")
    patterns[7] = patterns[6] + 1e-7 * RNG.standard_normal(50)  # a near-duplicate
    expected = pdist(patterns - patterns.mean(0) if "euclid" in name else patterns, name) / scale
    if name == "euclidean":
        expected = expected / 50**0.5
    keep = np.arange(len(expected)) != 6 * 300 - 21 + 0  # the near-duplicate pair (6, 7) has its own test
    assert relative(rdm.dissimilarities(patterns, name)[keep], expected[keep]) < 1e-10


@pytest.mark.parametrize("name", ["sqeuclidean", "mahalanobis"])
def test_column_offset_of_a_million_and_near_duplicates(name):
    # Values on a grid of 2^-20 make every difference exact, so the closed form is exact too.
    grid = RNG.integers(-(2**22), 2**22, (40, 30)) * 2.0**-20
    grid[1] = grid[0]
    grid[1, 3] += 2.0**-20
    expected = pdist(grid, "sqeuclidean") / 30
    precision = {"precision": np.eye(30)} if name == "mahalanobis" else {}
    found = rdm.dissimilarities(grid + 2.0**20, name, **precision)
    assert relative(found, expected) < 1e-12
    assert found[0] == 2.0**-40 / 30


def test_correlation_of_near_duplicates_keeps_its_digits():
    base = RNG.integers(-9, 9, 64).astype(float)
    base -= base.mean()
    other = np.roll(base, 1)
    other -= base * (other @ base) / (base @ base)
    epsilon = 1e-6
    near = base + epsilon * other * np.linalg.norm(base) / np.linalg.norm(other)
    exact = epsilon**2 / (1 + epsilon**2 + np.sqrt(1 + epsilon**2))
    found = rdm.dissimilarities([base, near, other], "correlation")[0].item()
    assert found == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", ">f4", ">f8", ">u2", "bool"])
def test_types_are_converted_before_arithmetic(dtype):
    values = RNG.integers(0, 2 if dtype == "bool" else 250, (6, 20)).astype(dtype)
    expected = rdm.dissimilarities(values.astype(np.float64), "sqeuclidean")
    assert torch.equal(rdm.dissimilarities(values, "sqeuclidean"), expected)
    if dtype in ("uint8", "float16", "float32"):
        assert torch.equal(rdm.dissimilarities(torch.from_numpy(values), "sqeuclidean"), expected)


def test_does_not_change_its_input_and_reads_read_only_arrays():
    values = RNG.standard_normal((5, 9))
    copy = values.copy()
    values.flags.writeable = False
    for name in ("correlation", "cosine", "euclidean", "mahalanobis"):
        rdm.dissimilarities(values, name, precision=np.eye(9) if name == "mahalanobis" else None)
    assert np.array_equal(values, copy)


def test_crossnobis_by_loops_with_unequal_folds():
    n_repeats, n, p = 5, 6, 4
    folds = np.array(["a", "b", "a", "c", "b"])
    repeats = RNG.standard_normal((n_repeats, n, p)) + 100
    root = RNG.standard_normal((p, p))
    precision = root @ root.T
    expected = []
    for i in range(n):
        for j in range(i + 1, n):
            parts = []
            for fold in "abc":
                test, train = repeats[folds == fold].mean(0), repeats[folds != fold].mean(0)
                parts.append((train[i] - train[j]) @ precision @ (test[i] - test[j]) / p)
            expected.append(np.mean(parts))
    found = rdm.dissimilarities(repeats, "crossnobis", folds=folds, precision=precision)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def missing(repeats, counts):
    """Keep so many repeats of every stimulus."""
    repeats = repeats.copy()
    for stimulus, count in enumerate(counts):
        repeats[count:, stimulus] = np.nan
    return repeats


def test_crossnobis_with_unequal_repeats_by_loops():
    rng = np.random.default_rng(11)
    repeats, folds = rng.standard_normal((5, 4, 3)) + 2, np.array([0, 0, 1, 2, 2])
    measured = np.ones((5, 4), bool)
    measured[[0, 4, 4, 1], [0, 1, 2, 3]] = False
    repeats[~measured] = np.nan
    root = rng.standard_normal((3, 3))
    precision = root @ root.T
    found = rdm.dissimilarities(repeats, "crossnobis", folds=folds, precision=precision).numpy()
    centred = repeats - np.nanmean(repeats, axis=0).mean(0)

    def product(i, j):
        parts = [
            x @ precision @ y / 3
            for x, f in zip(centred[measured[:, i], i], folds[measured[:, i]], strict=True)
            for y, g in zip(centred[measured[:, j], j], folds[measured[:, j]], strict=True)
            if f != g
        ]
        return np.mean(parts)

    i, j = rdm.pair_indices(4)
    want = [product(a, a) + product(b, b) - 2 * product(a, b) for a, b in zip(i, j, strict=True)]
    np.testing.assert_allclose(found, want, rtol=1e-12)
    shifted = rdm.dissimilarities(repeats + 1000, "crossnobis", folds=folds, precision=precision).numpy()
    np.testing.assert_allclose(shifted, want, atol=1e-9)


def test_crossnobis_with_unequal_repeats_is_unbiased_and_becomes_the_usual_one():
    rng = np.random.default_rng(11)
    patterns = rng.standard_normal((6, 5))
    truth = rdm.dissimilarities(patterns, "sqeuclidean").numpy()
    counts = [2, 3, 4, 4, 2, 3]
    found = [
        rdm.dissimilarities(missing(patterns + rng.standard_normal((4, 6, 5)), counts), "crossnobis").numpy()
        for _ in range(600)
    ]
    z = (np.mean(found, 0) - truth) / (np.std(found, 0, ddof=1) / 600**0.5)
    assert np.abs(z).max() < 4
    repeats = torch.from_numpy(rng.standard_normal((3, 6, 5)))
    whole = rdm._unbalanced(repeats, torch.ones(3, 6, dtype=torch.bool), None, None)
    np.testing.assert_allclose(whole, rdm.dissimilarities(repeats, "crossnobis"), atol=1e-14)


def test_unequal_repeats_are_averaged_or_refused():
    rng = np.random.default_rng(11)
    repeats = missing(rng.standard_normal((3, 5, 4)), [3, 1, 2, 3, 2])
    mean = rdm.dissimilarities(np.nanmean(repeats, axis=0), "correlation")
    np.testing.assert_allclose(rdm.dissimilarities(repeats, "correlation"), mean, atol=1e-15)
    with pytest.raises(InputError, match=r"1 of 5 stimuli \(stimulus 1\) were measured in one fold only"):
        rdm.dissimilarities(repeats, "crossnobis")
    with pytest.raises(InputError, match="Stimuli have 1 to 3 repeats, and poisson is cross-validated"):
        rdm.dissimilarities(np.abs(repeats), "poisson", folds=[0, 1, 2])
    repeats[:, 1] = np.nan  # never measured
    with pytest.raises(InputError, match="NaN"):
        rdm.dissimilarities(repeats, "correlation")


def test_crossnobis_of_noise_is_negative_half_of_the_time_and_is_not_clipped():
    found = rdm.dissimilarities(RNG.standard_normal((4, 40, 30)), "crossnobis").numpy()
    assert 0.4 < np.mean(found < 0) < 0.6


def test_repeats_are_averaged_when_the_metric_is_not_cross_validated():
    repeats = RNG.random((3, 5, 8))
    for name in ("correlation", "poisson", "sqeuclidean"):
        expected = rdm.dissimilarities(repeats.mean(0), name)
        np.testing.assert_allclose(rdm.dissimilarities(repeats, name), expected, rtol=1e-13)


def test_cross_validated_poisson_is_the_mean_over_folds():
    repeats = RNG.poisson(3, (3, 5, 8))

    def smooth(counts):
        return (counts + 0.1) / 1.1

    expected = np.zeros(10)
    for fold in range(3):
        test, train = np.log(smooth(repeats[fold])), smooth(np.delete(repeats, fold, 0).mean(0))
        i, j = rdm.pair_indices(5)
        expected += np.sum((train[i] - train[j]) * (test[i] - test[j]), 1) / 8 / 3
    np.testing.assert_allclose(rdm.dissimilarities(repeats, "poisson", folds=[0, 1, 2]), expected, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-5, 5), st.sampled_from(["correlation", "cosine"])
)
def test_invariance_to_scale_and_shift(seed, scale, shift, name):
    patterns = np.random.default_rng(seed).standard_normal((5, 12))
    moved = patterns * scale + (shift if name == "correlation" else 0)
    np.testing.assert_allclose(
        rdm.dissimilarities(moved, name), rdm.dissimilarities(patterns, name), atol=1e-13
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["sqeuclidean", "euclidean", "correlation", "cosine", "crossnobis"]),
)
def test_order_of_stimuli_and_units_only_permutes(seed, name):
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((2, 6, 9)) + 1
    order, units = rng.permutation(6), rng.permutation(9)
    whole = rdm.square(rdm.dissimilarities(patterns, name))
    permuted = rdm.square(rdm.dissimilarities(patterns[:, order][:, :, units], name))
    np.testing.assert_allclose(permuted, whole[np.ix_(order, order)], atol=1e-13)


def test_more_rows_than_a_block():
    patterns = RNG.standard_normal((2 * rdm.BLOCK + 3, 4))
    assert relative(rdm.dissimilarities(patterns, "sqeuclidean"), pdist(patterns, "sqeuclidean") / 4) < 1e-10


def test_some_constant_patterns_give_nan_and_a_caution():
    patterns = RNG.random((6, 10))
    patterns[2], patterns[4] = 3.7, 0.0
    with collect_cautions() as cautions:
        square = rdm.square(rdm.dissimilarities(patterns))
    assert np.isnan(square[2, [0, 1, 3, 4, 5]]).all()
    assert np.isnan(square).sum() == 2 * (5 + 4)
    assert [c.code for c in cautions] == ["constant-pattern"]
    assert cautions[0].message.startswith(
        "2 of 6 stimuli have the same response in all units (stimulus 2, 4)"
    )
    with collect_cautions() as cautions:
        square = rdm.square(rdm.dissimilarities(patterns, "cosine"))
    assert np.isnan(square).sum() == 2 * 5
    assert "1 of 6 stimuli have no response in any unit (stimulus 4)" in cautions[0].message


def test_rounding_noise_around_a_mean_is_constant():
    patterns = RNG.random((5, 50)).astype(np.float32)
    patterns[0] = 1 + 1e-7 * RNG.standard_normal(50)
    with collect_cautions() as cautions:
        rdm.dissimilarities(patterns)
    assert "stimulus 0" in cautions[0].message


@pytest.mark.parametrize(
    ("patterns", "options", "sentence"),
    [
        (
            np.ones((3, 4)),
            {},
            "3 of 3 stimuli have the same response in all units, so no dissimilarity is defined",
        ),
        (np.zeros((3, 4)), {"metric": "cosine"}, "3 of 3 stimuli have no response in any unit"),
        (np.ones((1, 4)), {}, "One stimulus has no dissimilarity. Give at least two stimuli"),
        (np.ones(4), {}, r"Responses of shape \(4,\) cannot be read"),
        (np.ones((3, 0)), {}, r"Responses of shape \(3, 0\) cannot be read"),
        (np.ones((3, 4)) * 1j, {}, "must be real numbers, not complex numbers"),
        (torch.ones((3, 4), dtype=torch.complex64), {}, "must be real numbers, not complex numbers"),
        (np.array([["a", "b"], ["c", "d"]]), {}, "must be real numbers, not values of type <U1"),
        (np.ones((3, 4)), {"metric": "manhattan"}, 'There is no metric "manhattan"'),
        (-np.eye(4), {"metric": "poisson"}, "poisson is for counts and rates, but 4 responses are negative"),
        (np.eye(4), {"metric": "crossnobis"}, "crossnobis needs at least 2 repeats of every stimulus"),
        (np.ones((2, 4, 4)), {"folds": [0, 1]}, "The metric correlation takes no folds"),
        (
            np.ones((2, 4, 4)),
            {"metric": "crossnobis", "folds": [0, 1, 2]},
            r"2 repeats, but folds of shape \(3,\)",
        ),
        (np.ones((2, 4, 4)), {"metric": "crossnobis", "folds": [1, 1]}, "All repeats are in one fold"),
        (np.eye(4), {"precision": np.eye(4)}, "The metric correlation uses no noise precision"),
        (
            np.eye(4),
            {"metric": "mahalanobis", "precision": np.eye(3)},
            r"shape \(3, 3\), but there are 4 units",
        ),
        (
            np.eye(4),
            {"metric": "mahalanobis", "precision": np.full(4, np.nan)},
            "precision holds NaN or infinite",
        ),
        (np.eye(4), {"metric": "mahalanobis", "precision": np.triu(np.ones((4, 4)))}, "is not symmetric"),
        (np.full((3, 4), 1e308), {}, r"too large for sums \(largest 1.0e\+308\)"),
    ],
)
def test_bad_input_is_a_sentence(patterns, options, sentence):
    with pytest.raises(InputError, match=sentence):
        rdm.dissimilarities(patterns, **options)


def test_not_finite_names_units_and_stimuli():
    patterns = RNG.random((4, 10))
    patterns[1, [3, 7]] = np.nan
    patterns[2, 7] = np.inf
    with pytest.raises(
        InputError,
        match=r"3 responses are NaN or infinite, in 2 of 10 units \(unit 3, 7\) "
        r"and 2 of 4 stimuli \(stimulus 1, 2\)",
    ):
        rdm.dissimilarities(patterns, "euclidean")


def test_cautions_for_few_stimuli_and_no_precision():
    with collect_cautions() as cautions:
        rdm.dissimilarities(RNG.random((3, 5)), "mahalanobis")
    assert {c.code for c in cautions} == {"few-stimuli", "no-precision"}


def test_listing_metrics_needs_no_torch():
    program = "import sys; from dashboard.methods import rdm; print(len(rdm.METRICS), 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["7", "False"]
