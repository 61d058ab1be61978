"""Similarities, noise ceilings and bootstraps against rsatoolbox 0.3.2, on the same draws."""

from __future__ import annotations

import dataclasses
import types
import warnings

import numpy as np
import pytest
from scipy.io import loadmat

from dashboard.errors import CautionWarning
from dashboard.methods import rdm, rsa

pytest.importorskip("rsatoolbox")
from rsatoolbox.inference import boot_noise_ceiling, evaluate
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as peer_compare

PEER = {
    "pearson": "corr",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "cosine": "cosine",
    "whitened-cosine": "cosine_cov",
    "whitened-pearson": "corr_cov",
}
EXACT = {"digits": None, "undefined": 0.0}
TOLERANCE = 1e-9


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(evaluate, "tqdm", types.SimpleNamespace(trange=range))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CautionWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def random_data(n=12, n_models=3, n_subjects=5, seed=0, kind="random"):
    rng = np.random.default_rng(seed)
    pairs = n * (n - 1) // 2
    shared = rng.random(pairs)
    subjects, models = shared + rng.random((n_subjects, pairs)), shared + rng.random((n_models, pairs))
    if kind == "ties":
        group = np.arange(n) % 3
        i, j = rdm.pair_indices(n)
        models[0] = group[i] != group[j]
        models[1] = np.round(models[1] * 4)
        subjects[1:3] = np.round(subjects[1:3] * 5)
    if kind == "offset":
        models, subjects = models + 1e6, subjects + 1e6
    return models, subjects


def real_data(folder):
    folder = folder / "kriegeskorte92"
    if not folder.is_dir():
        pytest.skip("kriegeskorte92 is not in the data folder")
    brain = loadmat(folder / "92_brainRDMs.mat")["RDMs"][0]
    scans = np.array([[rdm.condense(scan["RDM"]) for scan in subject] for subject in brain])
    models = loadmat(folder / "92_modelRDMs.mat")["Models"][0]
    return np.array([rdm.condense(m["RDM"]) for m in models]), scans.mean(1)


def worst(found, expected):
    return np.max(np.abs(np.asarray(found) - np.asarray(expected)))


# --- similarity and noise ceiling ---------------------------------------------------------------------------


@pytest.mark.parametrize("measure", PEER)
@pytest.mark.parametrize("kind", ["random", "ties"])
def test_similarity(measure, kind):
    models, subjects = random_data(20, 6, 7, kind=kind)
    expected = peer_compare(RDMs(models), RDMs(subjects), method=PEER[measure])
    assert worst(rsa.similarity(models, subjects, measure, **EXACT), expected) <= TOLERANCE


@pytest.mark.parametrize("measure", ["pearson", "spearman", "rho-a", "whitened-pearson"])
def test_similarity_with_an_offset_of_a_million(measure):
    models, subjects = random_data(20, 6, 7, kind="offset")
    expected = peer_compare(RDMs(models), RDMs(subjects), method=PEER[measure])
    assert worst(rsa.similarity(models, subjects, measure, **EXACT), expected) <= TOLERANCE


@pytest.mark.parametrize("measure", ["cosine", "pearson", "spearman", "rho-a", "whitened-cosine"])
def test_similarity_with_missing_pairs(measure):
    models, subjects = random_data(12)
    models[:, [3, 9]] = np.nan
    subjects[:, [3, 9]] = np.nan
    expected = peer_compare(RDMs(models), RDMs(subjects), method=PEER[measure])
    assert worst(rsa.similarity(models, subjects, measure, **EXACT), expected) <= TOLERANCE


@pytest.mark.parametrize("measure", ["pearson", "cosine", "spearman"])
def test_undefined_is_zero_when_rsatoolbox_is_reproduced(measure):
    models, subjects = random_data()
    models[2] = 0.0
    expected = peer_compare(RDMs(models), RDMs(subjects), method=PEER[measure])
    assert worst(rsa.similarity(models, subjects, measure, **EXACT), expected) <= TOLERANCE
    assert np.isnan(rsa.similarity(models, subjects, measure)[2]).all()


def test_models_behind_a_constant_one_where_rsatoolbox_shifts_their_values():
    """rsatoolbox 0.3.2 fills its answer with numpy.putmask, which takes values by position: rows move."""
    models, subjects = random_data()
    alone = rsa.similarity(models[2:], subjects, "pearson")
    models[1] = 0.0
    assert worst(rsa.similarity(models, subjects, "pearson")[2], alone[0]) <= 1e-15
    assert worst(alone[0], [np.corrcoef(models[2], s)[0, 1] for s in subjects]) <= TOLERANCE
    shifted = peer_compare(RDMs(models), RDMs(subjects), method="corr")
    assert worst(shifted[2], alone[0]) > 0.01


@pytest.mark.parametrize("measure", PEER)
@pytest.mark.parametrize("kind", ["random", "ties"])
def test_noise_ceiling(measure, kind):
    _, subjects = random_data(kind=kind)
    expected = boot_noise_ceiling(RDMs(subjects), method=PEER[measure])
    assert worst(rsa.noise_ceiling(subjects, measure, **EXACT), expected) <= TOLERANCE


@pytest.mark.parametrize("measure", PEER)
def test_real_similarity_and_ceiling(data_folder, measure):
    models, subjects = real_data(data_folder)
    if measure.startswith("tau"):
        models, subjects = models[:3], subjects[:3]
    expected = peer_compare(RDMs(models), RDMs(subjects), method=PEER[measure])
    assert worst(rsa.similarity(models, subjects, measure, **EXACT), expected) <= TOLERANCE
    expected = boot_noise_ceiling(RDMs(subjects), method=PEER[measure])
    assert worst(rsa.noise_ceiling(subjects, measure, **EXACT), expected) <= TOLERANCE


# --- bootstrap on the same draws ----------------------------------------------------------------------------

EVALUATE = {
    "both": evaluate.eval_bootstrap,
    "stimuli": evaluate.eval_bootstrap_pattern,
    "subjects": evaluate.eval_bootstrap_rdm,
}


@pytest.fixture
def recorded(monkeypatch):
    """The draws that rsatoolbox makes: {"stimuli": [...], "subjects": [...]}."""
    found = {"stimuli": [], "subjects": []}

    def record(name, order):
        original = getattr(evaluate, name)

        def sample(*args, **kwargs):
            answer = original(*args, **kwargs)
            for what, draw in zip(order, answer[1:], strict=True):
                found[what].append(draw)
            return answer

        monkeypatch.setattr(evaluate, name, sample)

    record("bootstrap_sample", ("subjects", "stimuli"))
    record("bootstrap_sample_rdm", ("subjects",))
    record("bootstrap_sample_pattern", ("stimuli",))
    return found


def drawn(recorded):
    return tuple(np.array(recorded[what]) if recorded[what] else None for what in ("stimuli", "subjects"))


def compare_bootstraps(models, subjects, measure, resample, size, recorded):
    fixed = [ModelFixed(f"model {k}", RDMs(m[None])) for k, m in enumerate(models)]
    np.random.seed(0)  # noqa: NPY002 (rsatoolbox draws from numpy's global generator)
    expected = EVALUATE[resample](fixed, RDMs(subjects), method=PEER[measure], N=size)
    stimuli, people = drawn(recorded)
    found = rsa.bootstrap(models, subjects, measure, resample, draws=(stimuli, people), **EXACT)
    missing = np.isnan(expected.evaluations[:, 0])
    if stimuli is not None:
        assert np.array_equal(missing, [len(np.unique(d)) < 3 for d in stimuli])
    assert np.array_equal(np.isnan(found.scores[:, 0]), missing)
    assert worst(found.scores[~missing], expected.evaluations[~missing]) <= TOLERANCE
    assert worst(found.ceilings[~missing], expected.noise_ceiling.T[~missing]) <= TOLERANCE
    assert found.dof == expected.dof
    return found, expected


@pytest.mark.parametrize("measure", PEER)
@pytest.mark.parametrize("kind", ["random", "ties"])
@pytest.mark.parametrize("resample", EVALUATE)
def test_bootstrap(measure, kind, resample, recorded):
    models, subjects = random_data(kind=kind)
    found, expected = compare_bootstraps(models, subjects, measure, resample, 6, recorded)
    assert worst(found.sem, np.sqrt(expected.model_var)) <= TOLERANCE


@pytest.mark.parametrize("measure", ["cosine", "pearson", "spearman", "rho-a"])
@pytest.mark.parametrize(("n", "n_subjects"), [(4, 2), (5, 3), (23, 8)])
def test_bootstrap_of_other_sizes(measure, n, n_subjects, recorded):
    models, subjects = random_data(n, 2, n_subjects, seed=n)
    compare_bootstraps(models, subjects, measure, "both", 60 if n == 4 else 12, recorded)
    few = [len(np.unique(d)) < 3 for d in recorded["stimuli"]]
    assert any(few) == (n < 6)


@pytest.mark.parametrize("measure", ["cosine", "pearson", "spearman", "rho-a", "whitened-cosine", "tau-a"])
def test_dual_bootstrap(measure, recorded):
    models, subjects = random_data(14, 3, 5)
    size = 6
    fixed = [ModelFixed(f"model {k}", RDMs(m[None])) for k, m in enumerate(models)]
    np.random.seed(2)  # noqa: NPY002 (rsatoolbox draws from numpy's global generator)
    expected = evaluate.eval_dual_bootstrap(
        fixed, RDMs(subjects), method=PEER[measure], N=size, k_pattern=1, k_rdm=1
    )
    found = rsa.bootstrap(models, subjects, measure, "dual", draws=drawn(recorded), **EXACT)
    assert worst(found.scores, expected.evaluations[:, :, 0, 0, 0]) <= TOLERANCE
    assert worst(found.covariances, expected.variances) <= TOLERANCE
    assert worst(found.sem, np.sqrt(expected.model_var)) <= TOLERANCE
    as_peer = dataclasses.replace(found, left_out=None)  # with the variances of the bootstrap
    gaps = [as_peer.difference(a, b).sem for a, b in ((0, 1), (0, 2), (1, 2))]
    assert worst(gaps, np.sqrt(expected.diff_var)) <= TOLERANCE
    # The same from the covariances; the test itself holds the pools, see BootstrapResult.below_ceiling.
    gaps = np.eye(5)[3] - np.eye(5)[:3]
    below = [rsa._variance(found.covariances, gap, "dual", 14, 5) for gap in gaps]
    assert worst(below, expected.noise_ceil_var[:, 0]) <= TOLERANCE
    assert found.dof == expected.dof


@pytest.mark.parametrize("measure", ["pearson", "spearman", "rho-a", "whitened-cosine"])
def test_bootstrap_of_real_data(data_folder, measure, recorded):
    models, subjects = real_data(data_folder)
    models = models[:2] if measure == "whitened-cosine" else models[:4]
    compare_bootstraps(models, subjects, measure, "both", 2 if measure == "whitened-cosine" else 5, recorded)


def test_ceiling_covariance_that_rsatoolbox_loses(recorded):
    """eval_bootstrap_rdm overwrites its covariance by that of the models alone; ours keeps the ceiling's."""
    models, subjects = random_data()
    found, expected = compare_bootstraps(models, subjects, "pearson", "subjects", 30, recorded)
    assert expected.variances.shape == (3, 3)
    whole = np.cov(np.concatenate([found.scores, found.ceilings], 1).T)
    assert worst(found.covariances[0], whole) <= TOLERANCE
