"""What a map costs before it is made: forward passes by method, from settings alone; imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BACKWARD = 2.0
"""A backward pass takes about as long as two forward passes."""

SLOPE = 1 + BACKWARD


@dataclass(frozen=True)
class Work:
    """The settings on which the cost of a map depends.

    Attributes
    ----------
    steps, samples : int
        Of the method, as in `base.Settings`.
    baselines : int
        Number of baselines.
    windows : int
        Places of the occluding window.
    pieces : int
        Segments, tokens or features that are switched.
    """

    steps: int = 50
    samples: int = 50
    baselines: int = 1
    windows: int = 225
    pieces: int = 50


PASSES: dict[str, Callable[[Work], float]] = {
    "saliency": lambda w: SLOPE,
    "input-x-gradient": lambda w: SLOPE,
    "smoothgrad": lambda w: SLOPE * w.samples,
    "integrated-gradients": lambda w: SLOPE * w.steps * w.baselines,
    "expected-gradients": lambda w: SLOPE * w.samples,
    "deeplift": lambda w: 2 * SLOPE * w.baselines,
    "deepshap": lambda w: 2 * SLOPE * w.baselines,
    "guided-backprop": lambda w: SLOPE,
    "lrp": lambda w: 2 * SLOPE,
    "grad-cam": lambda w: SLOPE,
    "guided-grad-cam": lambda w: 2 * SLOPE,
    "occlusion": lambda w: w.windows * w.baselines,
    "ablation": lambda w: w.pieces * w.baselines,
    "shapley": lambda w: w.samples * w.pieces * w.baselines,
    "kernel-shap": lambda w: w.samples * w.baselines,
    "partition-shap": lambda w: w.samples * w.baselines,
    "linear-shap": lambda w: 2 * SLOPE + w.baselines,
}
"""Method -> forward passes of one stimulus, a backward pass counted as two."""


def passes(method: str, work: Work) -> float:
    """Return how many forward passes of one stimulus a map takes; of unknown methods 1."""
    return PASSES.get(method, lambda w: 1.0)(work)


def windows(height: int, width: int, window: int, stride: int) -> int:
    """Return at how many places a window of one side stands when it moves by a step over a picture."""
    return max(1, 1 + -(-max(height - window, 0) // stride)) * max(
        1, 1 + -(-max(width - window, 0) // stride)
    )
