from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes as scipy_procrustes

from dashboard.errors import InputError, collect_cautions
from dashboard.methods import alignment, rdm, rsa

RNG = np.random.default_rng(5)
METHODS = {
    "unbiased": alignment.cka,
    "biased": lambda x, y: alignment.cka(x, y, unbiased=False),
    "procrustes": alignment.procrustes,
}


def song(k, m):
    """Unbiased HSIC as Song et al. (2012) print it."""
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    n = len(k)
    one = np.ones(n)
    cross = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + cross - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))


@pytest.mark.parametrize(("p", "q"), [(5, 9), (40, 3), (1, 1)])
def test_unbiased_cka_by_the_formula(p, q):
    x, y = RNG.standard_normal((12, p)), RNG.standard_normal((12, q))
    k, m = x @ x.T, y @ y.T
    expected = song(k, m) / np.sqrt(song(k, k) * song(m, m))
    assert alignment.cka(x, y) == pytest.approx(expected, abs=1e-12)


def test_biased_cka_is_whitened_cosine_of_squared_distances():
    x, y = RNG.standard_normal((9, 4)) + 3, RNG.standard_normal((9, 6))
    expected = rsa.similarity(
        rdm.dissimilarities(x, "sqeuclidean"), rdm.dissimilarities(y, "sqeuclidean"), "whitened-cosine"
    )
    assert alignment.cka(x, y, unbiased=False) == pytest.approx(expected[0, 0], abs=1e-13)


def test_unrelated_wide_responses_look_alike_only_when_biased():
    found = np.array(
        [
            [method(RNG.standard_normal((10, 1000)), RNG.standard_normal((10, 1000))) for _ in range(20)]
            for method in (METHODS["unbiased"], METHODS["biased"])
        ]
    ).mean(1)
    assert abs(found[0]) < 0.1
    assert found[1] > 0.95


def test_procrustes_against_scipy():
    x, y = RNG.standard_normal((15, 6)), RNG.standard_normal((15, 6))
    disparity = scipy_procrustes(x, y)[2]  # with the best scale: 1 - s²
    assert 1 - alignment.procrustes(x, y) ** 2 == pytest.approx(disparity, abs=1e-12)


def test_procrustes_of_different_widths_is_the_nuclear_norm():
    x, y = RNG.standard_normal((8, 30)), RNG.standard_normal((8, 5))
    a, b = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm((a / np.linalg.norm(a)).T @ (b / np.linalg.norm(b)), "nuc")
    assert alignment.procrustes(x, y) == pytest.approx(expected, abs=1e-13)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(METHODS)), st.floats(0.01, 100), st.floats(-5, 5))
def test_invariant_to_rotation_scale_and_shift(seed, name, scale, shift):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((8, 5)), rng.standard_normal((8, 7))
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    found = METHODS[name](x, y)
    assert METHODS[name](x @ rotation * scale + shift, y) == pytest.approx(found, abs=1e-10)
    assert METHODS[name](y, x) == pytest.approx(found, abs=1e-12)
    assert METHODS[name](x, x @ rotation * scale + shift) == pytest.approx(1.0, abs=1e-10)
    order = rng.permutation(8)
    assert METHODS[name](x[order], y[order]) == pytest.approx(found, abs=1e-12)


def test_float32_with_a_large_mean_is_computed_in_float64():
    x = (RNG.standard_normal((10, 50)) + 1e4).astype(np.float32)
    y = RNG.standard_normal((10, 50)).astype(np.float32)
    for method in METHODS.values():
        expected = method(x.astype(np.float64) - 1e4, y.astype(np.float64))
        assert method(x, torch.from_numpy(y)) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("name", METHODS)
def test_responses_that_do_not_vary_are_undefined_and_told(name):
    with collect_cautions() as cautions:
        assert np.isnan(METHODS[name](np.full((6, 3), 2.0), RNG.random((6, 3))))
    assert cautions[0].message.startswith("The first responses do not vary over stimuli")


def test_bad_input_is_a_sentence():
    with pytest.raises(
        InputError, match="Responses to 5 stimuli cannot be aligned with responses to 6 stimuli"
    ):
        alignment.cka(RNG.random((5, 2)), RNG.random((6, 2)))
    with pytest.raises(InputError, match="3 stimuli are too few. Give at least 4"):
        alignment.cka(RNG.random((3, 2)), RNG.random((3, 2)))
    with pytest.raises(InputError, match="2 stimuli are too few. Give at least 3"):
        alignment.procrustes(RNG.random((2, 2)), RNG.random((2, 2)))
    with pytest.raises(InputError, match="1 responses are NaN or infinite"):
        alignment.procrustes(np.array([[1, 2], [np.nan, 1], [3, 4]]), RNG.random((3, 2)))
