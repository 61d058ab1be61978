from __future__ import annotations

import numpy as np
import pytest
import torch

from dashboard.errors import InputError
from dashboard.networks.network import Layer
from dashboard.networks.reducers import projection, reducer, subset
from dashboard.reference import parse


def layer(*shape: int, channel_axis: int | None = 0, name: str = "conv") -> Layer:
    return Layer(name, "Conv2d", shape, 0, int(np.prod(shape)), 0, channel_axis=channel_axis)


CONV, TOKENS, VECTOR = layer(6, 9, 11), layer(10, 6, channel_axis=1), layer(30)


@pytest.mark.parametrize("which", [CONV, TOKENS, VECTOR])
@pytest.mark.parametrize("reference", ["all", "spatial-mean", "subset?n=20", "projection?n=25"])
def test_units_tell_what_the_plan_gives(which, reference):
    x = torch.randn((4, *which.shape))
    r = reducer(reference)
    assert tuple(r.plan(which)(x).shape) == (4, r.units(which))


@pytest.mark.parametrize("reference", ["all", "spatial-mean", "subset?n=20", "projection?n=25"])
@pytest.mark.parametrize("which", [CONV, VECTOR, layer(3)])
def test_no_reducer_hands_out_the_networks_own_memory(which, reference):
    x = torch.randn((4, *which.shape))
    result = reducer(reference).plan(which)(x)
    before = result.clone()
    x.zero_()
    assert torch.equal(result, before)


def test_all_and_mean_against_numpy():
    x = torch.randn((4, *CONV.shape))
    np.testing.assert_array_equal(reducer("all").plan(CONV)(x), x.numpy().reshape(4, -1))
    np.testing.assert_allclose(reducer("spatial-mean").plan(CONV)(x), x.numpy().mean((2, 3)), atol=1e-6)
    t = torch.randn((4, *TOKENS.shape))
    np.testing.assert_allclose(reducer("spatial-mean").plan(TOKENS)(t), t.numpy().mean(1), atol=1e-6)
    last = layer(5, 7, 3, channel_axis=2)
    y = torch.randn((4, *last.shape))
    np.testing.assert_allclose(reducer("spatial-mean").plan(last)(y), y.numpy().mean((1, 2)), atol=1e-6)


def test_subset_is_fixed_by_seed_and_layer_and_has_no_repeats():
    ref = parse("subset?n=50&seed=3")
    units = subset(CONV, ref)
    assert len(set(units)) == 50
    np.testing.assert_array_equal(units, subset(CONV, ref))
    assert not np.array_equal(units, subset(CONV, parse("subset?n=50&seed=4")))
    assert not np.array_equal(units, subset(layer(6, 9, 11, name="other"), ref))
    x = torch.randn((4, *CONV.shape))
    np.testing.assert_array_equal(reducer(str(ref)).plan(CONV)(x), x.flatten(1).numpy()[:, units])


def dense(which: Layer, reference: str) -> np.ndarray:
    starts, columns, values = projection(which, parse(reference))
    matrix = np.zeros((len(starts) - 1, which.units))
    for row in range(len(matrix)):
        matrix[row, columns[starts[row] : starts[row + 1]]] = values[starts[row] : starts[row + 1]]
    return matrix


def test_projection_against_the_dense_product():
    reference = "projection?n=40&seed=1"
    x = torch.randn((4, *CONV.shape))
    expected = x.flatten(1).double().numpy() @ dense(CONV, reference).T
    np.testing.assert_allclose(reducer(reference).plan(CONV)(x), expected, rtol=1e-4, atol=1e-4)
    flat = x.flatten(1).double().numpy()
    centred = (flat - flat.mean(1, keepdims=True)) @ dense(CONV, reference).T
    np.testing.assert_allclose(reducer(reference + "&centre").plan(CONV)(x), centred, rtol=1e-4, atol=1e-4)


def test_projection_entries_have_the_published_distribution():
    big = layer(64, 25, 25)
    matrix = dense(big, "projection?n=500")
    s = np.sqrt(big.units)
    share = (matrix != 0).mean()
    assert share == pytest.approx(1 / s, rel=0.02)
    assert np.allclose(np.abs(matrix[matrix != 0]), np.sqrt(s / 500))
    assert (matrix > 0).sum() / (matrix != 0).sum() == pytest.approx(0.5, abs=0.01)


def test_projection_keeps_distances():
    big = layer(64, 25, 25)
    x = torch.randn((12, *big.shape), generator=torch.Generator().manual_seed(0))
    y = reducer("projection?n=2000").plan(big)(x)
    ratio = torch.pdist(y) / torch.pdist(x.flatten(1))
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert ratio.std() < 0.05  # about 1 / sqrt(2 n) = 0.016, more with few entries


def test_centred_projection_keeps_correlation_distances_of_rectified_patterns():
    big = layer(64, 25, 25)
    x = torch.relu(torch.randn((12, *big.shape), generator=torch.Generator().manual_seed(0)) + 1)
    x[1] = 0.5 * x[0] + 0.5 * x[1]
    truth = 1 - np.corrcoef(x.flatten(1))[0, 1]
    centred = 1 - np.corrcoef(reducer("projection?n=4000&centre").plan(big)(x))[0, 1]
    plain = 1 - np.corrcoef(reducer("projection?n=4000").plan(big)(x))[0, 1]
    assert abs(centred - truth) < 0.05
    assert abs(plain - truth) > 0.1  # the reason for `centre`


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("spatial-men", "Did you mean spatial-mean"),
        ("subset?n=0", "must be a number from 1"),
        ("subset?n=1.5", "whole number"),
        ("subset?seed=x", "must be a number"),
        ("all?n=3", "no option of all"),
    ],
)
def test_wrong_references(reference, words):
    with pytest.raises(InputError, match=words):
        reducer(reference)
