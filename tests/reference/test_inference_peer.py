"""p values from bootstrap variances beside rsatoolbox's, on the same draws."""

from __future__ import annotations

import dataclasses
import types
import warnings

import numpy as np
import pytest

from dashboard.errors import CautionWarning
from dashboard.methods import inference, rsa

pytest.importorskip("rsatoolbox")
from rsatoolbox.inference import evaluate
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.util.inference_util import all_tests


@pytest.mark.parametrize("resample", ["stimuli", "both", "dual"])
def test_t_tests(resample, monkeypatch):
    rng = np.random.default_rng(4)
    pairs = 14 * 13 // 2
    shared = rng.random(pairs)
    subjects, models = shared + rng.random((5, pairs)), shared + rng.random((3, pairs))
    drawn = {"stimuli": [], "subjects": []}
    name, order = {
        "stimuli": ("bootstrap_sample_pattern", ("stimuli",)),
        "both": ("bootstrap_sample", ("subjects", "stimuli")),
        "dual": ("bootstrap_sample", ("subjects", "stimuli")),
    }[resample]
    original = getattr(evaluate, name)

    def sample(*args, **kwargs):
        answer = original(*args, **kwargs)
        for what, draw in zip(order, answer[1:], strict=True):
            drawn[what].append(draw)
        return answer

    monkeypatch.setattr(evaluate, name, sample)
    monkeypatch.setattr(evaluate, "tqdm", types.SimpleNamespace(trange=range))
    run, options = {
        "stimuli": (evaluate.eval_bootstrap_pattern, {}),
        "both": (evaluate.eval_bootstrap, {}),
        "dual": (evaluate.eval_dual_bootstrap, {"k_pattern": 1, "k_rdm": 1}),
    }[resample]
    fixed = [ModelFixed(f"model {k}", RDMs(m[None])) for k, m in enumerate(models)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CautionWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        np.random.seed(1)  # noqa: NPY002 (rsatoolbox draws from numpy's global generator)
        peer = run(fixed, RDMs(subjects), method="corr", N=12, **options)
        draws = tuple(np.array(v) if v else None for v in (drawn["stimuli"], drawn["subjects"]))
        ours = rsa.bootstrap(models, subjects, "pearson", resample, draws=draws, digits=None, undefined=0.0)
    ceiling = rsa.noise_ceiling(subjects, "pearson")
    ours = dataclasses.replace(ours, left_out=None)  # with the variances of the bootstrap, as rsatoolbox
    tests = inference.from_bootstrap(ours)
    # rsatoolbox tests means over samples; on the same estimates the p values must be the same.
    evaluations, bounds = ours.score[None, :, None], np.array([[ceiling[0]], [ceiling[1]]])
    pair, zero, noise = all_tests(
        evaluations,
        bounds,
        "t-test",
        model_var=peer.model_var,
        diff_var=peer.diff_var,
        noise_ceil_var=peer.noise_ceil_var,
        dof=peer.dof,
    )
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(tests.pairs[off], pair[off], atol=1e-9)
    np.testing.assert_allclose(tests.zero, zero, atol=1e-9)
    # rsatoolbox lets pools lose all copies of a subject; ours stay those of the data, which is less cautious.
    as_peer = dataclasses.replace(ours, held=ours.covariances[:, :-1, :-1])
    np.testing.assert_allclose(inference.from_bootstrap(as_peer).ceiling, noise, atol=1e-9)
    if resample == "stimuli":
        np.testing.assert_allclose(tests.ceiling, noise, atol=1e-9)
    else:
        assert not np.allclose(tests.ceiling, noise, atol=1e-3)
