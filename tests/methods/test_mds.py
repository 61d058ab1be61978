from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist

from dashboard.errors import InputError, collect_cautions
from dashboard.methods import mds
from dashboard.methods.condensed import square

RNG = np.random.default_rng(2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_distances_in_the_plane_are_recovered(seed, n_axes):
    points = np.random.default_rng(seed).standard_normal((8, n_axes))
    positions, explained = mds.classical(pdist(points), n_axes)
    np.testing.assert_allclose(pdist(positions), pdist(points), atol=1e-7)
    assert explained.sum() == pytest.approx(1.0)
    assert np.all(np.diff(explained) <= 0)
    np.testing.assert_allclose(positions.mean(0), 0, atol=1e-12)


def test_classical_of_a_square_by_hand():
    positions, explained = mds.classical([1, 2**0.5, 1, 1, 2**0.5, 1])
    np.testing.assert_allclose(np.linalg.norm(positions, axis=1), 0.5**0.5, atol=1e-12)
    np.testing.assert_allclose(explained, [0.5, 0.5], atol=1e-12)


def test_metric_recovers_the_plane_without_stress():
    points = RNG.standard_normal((12, 2))
    positions, stress = mds.metric(pdist(points))
    assert stress < 1e-3
    np.testing.assert_allclose(pdist(positions), pdist(points), atol=0.02)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_stress_never_rises(seed):
    rng = np.random.default_rng(seed)
    matrix = square(rng.random(45))
    positions, history = mds.smacof(matrix, rng.standard_normal((10, 2)))
    assert np.all(np.diff(history) <= 1e-12 * history[0])
    distances, delta = pdist(positions), pdist(np.zeros((10, 1))) + matrix[np.triu_indices(10, 1)]
    assert history[-1] == pytest.approx(np.sum((distances - delta) ** 2))
    expected = np.sqrt(np.sum((distances - delta) ** 2) / np.sum(distances**2))
    assert mds.stress(matrix, positions) == pytest.approx(expected)


def test_metric_has_less_stress_than_classical_and_a_minimum():
    condensed = RNG.random(190) + 0.5
    positions, stress = mds.metric(condensed)
    matrix = square(condensed)
    assert stress < mds.stress(matrix, mds.classical(condensed)[0])
    raw = np.sum((pdist(positions) - condensed) ** 2)
    for _ in range(20):
        moved = positions + 1e-3 * RNG.standard_normal(positions.shape)
        assert np.sum((pdist(moved) - condensed) ** 2) > raw - 1e-6


def test_metric_against_scikit_learn():
    manifold = pytest.importorskip("sklearn.manifold")
    condensed = pdist(RNG.standard_normal((20, 5)))
    peer = manifold.MDS(
        2, metric="precomputed", n_init=8, init="random", random_state=0, eps=1e-9, max_iter=2000
    ).fit(square(condensed))
    raw = np.sum((pdist(mds.metric(condensed)[0]) - condensed) ** 2)
    assert raw <= peer.stress_ * 1.02


def test_same_seed_same_map():
    condensed = RNG.random(66)
    first, second = mds.metric(condensed, seed=4), mds.metric(condensed, seed=4)
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_degenerate_dissimilarities():
    positions, explained = mds.classical(np.zeros(6))
    assert np.array_equal(positions, np.zeros((4, 2)))
    assert np.array_equal(explained, [0, 0])
    line = mds.metric(pdist(np.arange(5.0)[:, None]))
    assert line[1] < 1e-3


def test_negative_dissimilarities_count_as_zero_and_are_told():
    condensed = np.array([-0.1, 1.0, 1.0, 1.0, 1.0, -0.2])
    with collect_cautions() as cautions:
        positions, _ = mds.classical(condensed)
    np.testing.assert_allclose(positions, mds.classical(np.maximum(condensed, 0))[0])
    assert cautions[0].message.startswith("2 negative dissimilarities")


def test_stimuli_without_dissimilarities_are_left_out_of_the_map_and_last_in_the_order():
    points = RNG.standard_normal((7, 2))
    matrix = square(pdist(points))
    matrix[[2, 5]] = matrix[:, [2, 5]] = np.nan
    condensed = matrix[np.triu_indices(7, 1)]
    with collect_cautions() as cautions:
        positions, _ = mds.classical(condensed)
    assert np.isnan(positions[[2, 5]]).all()
    rest = [0, 1, 3, 4, 6]
    np.testing.assert_allclose(pdist(positions[rest]), pdist(points[rest]), atol=1e-10)
    assert "2 stimuli have no dissimilarity" in cautions[0].message
    assert mds.order_by_clustering(condensed)[-2:].tolist() == [2, 5]
    assert sorted(mds.order_by_clustering(condensed)) == list(range(7))


def test_order_is_scipys_best_leaf_order_and_keeps_clusters_together():
    condensed = pdist(RNG.standard_normal((20, 3)))
    expected = leaves_list(linkage(condensed, "average", optimal_ordering=True))
    assert np.array_equal(mds.order_by_clustering(condensed), expected)
    group = np.arange(12) % 3
    clusters = pdist(np.eye(3)[group] * 10 + 0.1 * RNG.standard_normal((12, 3)))
    assert np.count_nonzero(np.diff(group[mds.order_by_clustering(clusters)])) == 2
    line = RNG.permutation(9).astype(float)
    along = line[mds.order_by_clustering(pdist(line[:, None]))]
    assert np.abs(np.diff(along)).sum() == 8


@pytest.mark.parametrize("size", [1, 3])
def test_order_of_very_few(size):
    n = {1: 2, 3: 3}[size]
    assert sorted(mds.order_by_clustering(np.ones(size))) == list(range(n))


def test_bad_input_is_a_sentence():
    hole = np.ones(10)
    hole[3] = np.nan
    with pytest.raises(InputError, match="1 pairs of stimuli have no dissimilarity"):
        mds.classical(hole)
    with pytest.raises(InputError, match="1 pairs of stimuli have no dissimilarity"):
        mds.order_by_clustering(hole)
    with pytest.raises(InputError, match="4 stimuli cannot be placed on 4 axes. Choose from 1 to 3 axes"):
        mds.metric(np.ones(6), 4)
    with pytest.raises(InputError, match=r"One condensed RDM is needed, not an array of shape \(2, 3\)"):
        mds.classical(np.ones((2, 3)))
    with pytest.raises(InputError, match="1 dissimilarities are infinite"):
        mds.classical([1, np.inf, 1])


def test_needs_no_torch():
    program = (
        "import sys; from dashboard.methods import mds; mds.metric([1, 2, 2]); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False"]
