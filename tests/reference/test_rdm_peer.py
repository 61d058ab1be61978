"""RDMs against rsatoolbox 0.3.2, and against closed forms where rsatoolbox is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.spatial.distance import pdist

from dashboard.methods import rdm

rsatoolbox = pytest.importorskip("rsatoolbox")

PEER = {
    "correlation": "correlation",
    "sqeuclidean": "euclidean",
    "mahalanobis": "mahalanobis",
    "poisson": "poisson",
}


def relative(found, expected):
    return np.max(np.abs(np.asarray(found) - expected) / np.abs(expected))


def peer(patterns, method, **options):
    return rsatoolbox.rdm.calc_rdm(
        rsatoolbox.data.Dataset(patterns), method=method, **options
    ).dissimilarities[0]


def peer_repeats(repeats, method, noise=None):
    n_repeats, n, p = repeats.shape
    data = rsatoolbox.data.Dataset(
        repeats.reshape(-1, p),
        obs_descriptors={"stim": np.tile(np.arange(n), n_repeats), "run": np.repeat(np.arange(n_repeats), n)},
    )
    found = rsatoolbox.rdm.calc_rdm(data, method=method, descriptor="stim", cv_descriptor="run", noise=noise)
    return found.dissimilarities[0]


def precision(rng, p):
    root = rng.standard_normal((p, 2 * p))
    return np.linalg.inv(root @ root.T / (2 * p))


@pytest.mark.parametrize("metric", PEER)
@pytest.mark.parametrize("kind", ["random", "ties"])
def test_shared_metrics(metric, kind):
    rng = np.random.default_rng(1)
    patterns = rng.gamma(2, size=(60, 70)) if kind == "random" else rng.integers(0, 3, (60, 70)).astype(float)
    noise = precision(rng, 70) if metric == "mahalanobis" else None
    found = rdm.dissimilarities(patterns, metric, precision=noise)
    assert relative(found, peer(patterns, PEER[metric], noise=noise)) <= 1e-10


def test_euclidean_is_the_root_of_what_rsatoolbox_calls_euclidean():
    patterns = np.random.default_rng(2).standard_normal((30, 40))
    assert relative(rdm.dissimilarities(patterns, "euclidean"), np.sqrt(peer(patterns, "euclidean"))) <= 1e-10


def test_correlation_with_a_column_offset_of_a_million():
    # The same offset in all columns: correlation ignores it, in ours and in theirs.
    patterns = np.random.default_rng(3).standard_normal((40, 500)) + 1e6
    assert relative(rdm.dissimilarities(patterns), peer(patterns, "correlation")) <= 1e-10


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sqeuclidean_with_a_column_offset_of_a_million(dtype):
    """Against direct differences: rsatoolbox does not centre, so it loses half of the digits and more."""
    patterns = (np.random.default_rng(4).standard_normal((40, 500)) + 1e6).astype(dtype)
    expected = pdist(patterns.astype(np.float64), "sqeuclidean") / 500
    assert relative(rdm.dissimilarities(patterns, "sqeuclidean"), expected) <= 1e-10
    assert relative(peer(patterns, "euclidean"), expected) > 1e-6


@pytest.mark.parametrize("with_noise", [False, True])
def test_crossnobis(with_noise):
    rng = np.random.default_rng(5)
    repeats = rng.standard_normal((4, 25, 30)) + rng.standard_normal((25, 30))
    noise = precision(rng, 30) if with_noise else None
    expected = peer_repeats(repeats, "crossnobis", noise)
    found = rdm.dissimilarities(repeats, "crossnobis", precision=noise).numpy()
    assert np.abs(found - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("independent", [False, True])
def test_crossnobis_with_unequal_repeats(independent):
    """With shared folds rsatoolbox's estimate depends on the origin, so that it gets centred patterns."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm_unbalanced

    rng = np.random.default_rng(5)
    repeats = rng.standard_normal((4, 12, 9)) + rng.standard_normal((12, 9))
    measured = np.arange(4)[:, None] < rng.integers(2, 5, 12)
    repeats[~measured] = np.nan
    if not independent:
        repeats -= np.nanmean(repeats, axis=0).mean(0)
    fold, stimulus = np.nonzero(measured)
    trials = repeats[measured]
    fold = np.arange(len(trials)) if independent else fold
    noise = precision(rng, 9)
    data = Dataset(trials, obs_descriptors={"stimulus": stimulus, "fold": fold})
    expected = calc_rdm_unbalanced(
        data, "crossnobis", descriptor="stimulus", noise=noise, cv_descriptor="fold"
    ).dissimilarities[0]
    given = np.full((fold.max() + 1, 12, 9), np.nan)
    given[fold, stimulus] = trials
    found = rdm.dissimilarities(given, "crossnobis", precision=noise).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_cross_validated_poisson_where_rsatoolbox_returns_its_last_fold():
    """rsatoolbox overwrites the RDM in its loop over folds; the mean over folds is right."""
    repeats = np.random.default_rng(6).poisson(4, (3, 10, 20)).astype(float)
    smooth = (repeats + 0.1) / 1.1
    i, j = rdm.pair_indices(10)
    by_fold = []
    for fold in range(3):
        train, test = np.delete(smooth, fold, 0).mean(0), np.log(smooth[fold])
        by_fold.append(np.sum((train[i] - train[j]) * (test[i] - test[j]), 1) / 20)
    found = rdm.dissimilarities(repeats, "poisson", folds=range(3)).numpy()
    assert relative(found, np.mean(by_fold, 0)) <= 1e-10
    last = peer_repeats(repeats, "poisson_cv")
    assert relative(by_fold[-1], last) <= 1e-10
    assert np.abs(found - last).max() > 0.01


def test_constant_pattern_is_named_where_rsatoolbox_is_silent():
    from dashboard.errors import collect_cautions

    patterns = np.random.default_rng(7).random((5, 6))
    patterns[3] = 2
    with np.errstate(invalid="ignore"):
        silent = peer(patterns, "correlation")
    with collect_cautions() as cautions:
        found = rdm.dissimilarities(patterns).numpy()
    assert np.array_equal(np.isnan(found), np.isnan(silent))
    assert "stimulus 3" in cautions[0].message


@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean"])
def test_real_pictures(data_folder, metric):
    file = data_folder / "kriegeskorte92" / "Kriegeskorte_Neuron2008_supplementalData.mat"
    if not file.exists():
        pytest.skip("kriegeskorte92 is not in the data folder")
    pictures = np.stack([np.asarray(s["image"]).ravel()[::101] for s in loadmat(file)["stimuli_92objs"][0]])
    assert pictures.dtype == np.uint8
    expected = peer(pictures.astype(np.float64), PEER[metric])
    assert relative(rdm.dissimilarities(pictures, metric), expected) <= 1e-10
