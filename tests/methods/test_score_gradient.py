"""Gradient of an RSA score: against finite differences in float64, of patterns and through a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dashboard.errors import InputError
from dashboard.methods import rdm, rsa, score_gradient

RNG = np.random.default_rng(3)
PATTERNS = RNG.random((7, 9)) + 0.1
SUBJECTS = RNG.random((3, 21))


@pytest.mark.parametrize("metric", score_gradient.METRICS)
@pytest.mark.parametrize("measure", score_gradient.SMOOTH)
def test_gradient_is_that_of_finite_differences(metric, measure):
    target = score_gradient.target(PATTERNS, SUBJECTS, metric, measure)
    score, gradient = target.gradient(torch.from_numpy(PATTERNS))

    def value(patterns):
        found = rdm.dissimilarities(patterns, metric).numpy()
        return rsa.similarity(found[None], SUBJECTS, measure).mean()

    assert score == pytest.approx(value(PATTERNS), abs=1e-12)
    for i, j in [(0, 0), (3, 5), (6, 8)]:
        step = np.zeros_like(PATTERNS)
        step[i, j] = 1e-6
        slope = (value(PATTERNS + step) - value(PATTERNS - step)) / 2e-6
        assert float(gradient[i, j]) == pytest.approx(slope, abs=1e-8)


def test_gradient_to_pixels_through_a_network():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten()
    ).double()
    pictures = torch.from_numpy(RNG.random((7, 1, 6, 6)))
    target = score_gradient.target(network(pictures).detach(), SUBJECTS, "correlation", "pearson")
    _, pull = target.gradient(network(pictures).detach())
    leaf = pictures.clone().requires_grad_()
    (found,) = torch.autograd.grad((network(leaf) * pull).sum(), leaf)
    for place in [(0, 0, 0, 0), (4, 0, 3, 2), (6, 0, 5, 5)]:
        step = torch.zeros_like(pictures)
        step[place] = 1e-6
        with torch.no_grad():
            slope = (target.score(network(pictures + step)) - target.score(network(pictures - step))) / 2e-6
        assert float(found[place]) == pytest.approx(float(slope), rel=1e-5, abs=1e-10)
    # The same in float32, as networks run.
    single = network.float()
    leaf = pictures.float().requires_grad_()
    (rough,) = torch.autograd.grad((single(leaf).double() * pull).sum(), leaf)
    np.testing.assert_allclose(rough.double(), found, atol=1e-5 * float(found.abs().max()))


def test_dead_units_and_missing_pairs_have_no_gradient():
    patterns = PATTERNS.copy()
    patterns[2] = 0.5  # no correlation with any other
    target = score_gradient.target(patterns, SUBJECTS, "correlation", "pearson")
    _, gradient = target.gradient(torch.from_numpy(patterns))
    assert len(target.keep) == 15
    assert torch.isfinite(gradient).all()
    assert gradient[2].abs().max() == 0
    assert gradient[1].abs().max() > 0


def test_ranks_have_no_gradient():
    with pytest.raises(InputError, match="ranks move in steps"):
        score_gradient.target(PATTERNS, SUBJECTS, "correlation", "spearman")
    with pytest.raises(InputError, match="is not computed"):
        score_gradient.target(PATTERNS, SUBJECTS, "correlation", "whitened-cosine")
    with pytest.raises(InputError, match="crossnobis"):
        score_gradient.target(PATTERNS, SUBJECTS, "crossnobis", "pearson")
    with pytest.raises(InputError, match="no variance"):
        score_gradient.target(PATTERNS, np.ones((1, 21)), "correlation", "pearson")
