"""Gradient of an RSA score with respect to patterns, and through them to what the patterns were made from.

Only smooth scores have one: the mean over subjects of the Pearson correlation, or the cosine, of RDMs. Ranks
move in steps, so that their gradient is zero or undefined. Responses to one stimulus do not depend on the
others, so the chain rule goes in two moves: from the score to all patterns at once, then from the patterns of
each stimulus to its pixels. Imports torch: for workers and notebooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dashboard import errors
from dashboard.methods import measures, rdm
from dashboard.methods.condensed import pair_indices

SMOOTH = ("pearson", "cosine")
"""Measures that have a gradient."""

METRICS = ("correlation", "cosine", "euclidean", "sqeuclidean", "mahalanobis", "poisson")
"""Metrics that are differentiable in the patterns."""

NEAREST = 1e-24
"""Squared distances below this have no gradient of their root."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a layer's RDM is compared with.

    Attributes
    ----------
    direction : Tensor (n_kept,) float64
        Mean over subjects of their RDMs at unit length (centred for pearson): the score of an RDM is its own
        unit vector times this.
    keep : Tensor (n_kept,) int64
        Which pairs count, in condensed order.
    n : int
        Number of stimuli.
    metric, measure : str
    """

    direction: torch.Tensor
    keep: torch.Tensor
    n: int
    metric: str
    measure: str

    def score(self, patterns: torch.Tensor) -> torch.Tensor:
        """Return the score of patterns (n_stimuli, n_units) float64, a number with its graph."""
        first, second = (torch.from_numpy(index)[self.keep] for index in pair_indices(self.n))
        found = _dissimilarities(patterns, self.metric, first, second)
        if self.measure == "pearson":
            found = found - found.mean()
        return (found @ self.direction.to(found.device)) / torch.linalg.vector_norm(found)

    def gradient(self, patterns: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return the score and its gradient with respect to the patterns, (n_stimuli, n_units) float64."""
        leaf = patterns.detach().to(torch.float64).requires_grad_()
        with torch.enable_grad():
            score = self.score(leaf)
            (found,) = torch.autograd.grad(score, leaf)
        return float(score.detach()), found


def target(patterns: Any, subject_rdms: Any, metric: str, measure: str) -> Target:
    """Return what a layer is compared with, pairs without a dissimilarity left out.

    Parameters
    ----------
    patterns : array_like (n_stimuli, n_units)
        The layer's, for the pairs that are defined there.
    subject_rdms : array_like (n_subjects, n_pairs)
    metric, measure : str

    Raises
    ------
    InputError
        A rank measure, a metric without gradient, or an RDM without variance.
    """
    if measure not in SMOOTH:
        label = measures.lookup(measure).label
        message = (
            f"{label} has no gradient: ranks move in steps."
            if measures.lookup(measure).ranked
            else (f"The gradient of {label} is not computed.")
        )
        raise errors.InputError(message, "Choose pearson or cosine.")
    if metric not in METRICS:
        raise errors.unknown("metric with a gradient", metric, METRICS)
    subjects = measures.vectors(subject_rdms, "RDMs")
    whole = rdm.dissimilarities(patterns, metric).numpy()[None]
    keep = measures.shared_pairs(whole, subjects)
    units = measures.directions(subjects[:, keep], measure, keep, None)
    own = measures.directions(whole[:, keep], measure, keep, None)
    if np.isnan(units).any() or np.isnan(own).any():
        message = "An RDM has no variance, so the score has no gradient."
        raise errors.InputError(message, "Choose another layer or area.")
    return Target(
        torch.from_numpy(units.mean(0)),
        torch.from_numpy(np.flatnonzero(keep)),
        len(patterns),
        metric,
        measure,
    )


def _dissimilarities(
    patterns: torch.Tensor, metric: str, first: torch.Tensor, second: torch.Tensor
) -> torch.Tensor:
    """Return dissimilarities (n_kept,) with their graph, scaled by a constant that no measure looks at."""
    if metric in ("correlation", "cosine"):
        rows = patterns - patterns.mean(1, keepdim=True) if metric == "correlation" else patterns
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        rows = rows / torch.where(norms > 0, norms, torch.ones_like(norms))
        return 1 - (rows @ rows.T)[first, second]
    if metric == "poisson":
        smooth = patterns + rdm.PRIOR_RATE * rdm.PRIOR_WEIGHT
        products = smooth @ torch.log(smooth).T
        own = products.diagonal()
        return own[first] + own[second] - products[first, second] - products[second, first]
    rows = patterns - patterns.mean(0)
    products = rows @ rows.T
    own = products.diagonal()
    squared = (own[first] + own[second] - 2 * products[first, second]).clamp(min=NEAREST)
    return squared.sqrt() if metric == "euclidean" else squared
