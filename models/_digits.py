"""Scikit-learn's handwritten digits, and the recipe that the digit networks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.stimuli import digits
from models import _training as training

LABELS = tuple(map(str, range(10)))
N_TRAINING, N_VALIDATION, N_HELD_OUT = digits.PARTS.values()
RECIPE = training.Recipe(epochs=40, batch=64, learning_rate=6e-3, weight_decay=0.05, smoothing=0.05)
PREPROCESSING = (
    "resized to 8 × 8 pixels (bilinear, antialiased) if it has another size, mean of red, green and blue, "
    "values / 255, then (value - 0.3) / 0.38"
)


@dataclass(frozen=True)
class Digits:
    """Some of the digits: ``pictures`` (n, 8, 8, 3) uint8, ``inputs`` (n, 1, 8, 8), ``labels`` (n,)."""

    pictures: np.ndarray
    inputs: Tensor
    labels: Tensor


def preprocess(picture: np.ndarray) -> Tensor:
    """Picture (height, width, 3) uint8 as the digit networks want it; (1, 8, 8)."""
    return (training.resized(picture, 8).mean(0, keepdim=True) / 255 - 0.3) / 0.38


def split(seed: int = 0) -> tuple[Digits, Digits, Digits]:
    """Training, validation and held-out digits, drawn without overlap in the order of a seed.

    Parameters
    ----------
    seed : int
        The seed that the network was trained from: only then are its held-out digits new to it.
    """
    greys, labels = digits.scanned()
    parts = digits.split(seed).values()
    return tuple(_digits(greys[part], labels[part]) for part in parts)  # type: ignore[return-value]


def _digits(greys: np.ndarray, labels: np.ndarray) -> Digits:
    pictures = np.repeat(greys[..., None], 3, axis=3)
    return Digits(pictures, torch.stack([preprocess(p) for p in pictures]), torch.from_numpy(labels))


def _bent(inputs: Tensor, random: torch.Generator) -> Tensor:
    """Turn, stretch and move each digit of a batch (n, 1, 8, 8): sd 5 degrees, 5 %, a quarter of a pixel."""
    turn, wide, high, right, down = 0.5 * torch.randn((5, len(inputs)), generator=random)
    angle = torch.deg2rad(10 * turn)
    rows = [
        torch.stack([(1 + 0.1 * wide) * angle.cos(), -angle.sin(), right / 8], dim=1),
        torch.stack([angle.sin(), (1 + 0.1 * high) * angle.cos(), down / 8], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(inputs.shape), align_corners=False)
    ground = (0.0 - 0.3) / 0.38
    return F.grid_sample(inputs - ground, grid, align_corners=False) + ground


def _step(some: Digits, recipe: training.Recipe) -> training.Step:
    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        batch, truth = some.inputs[indices], some.labels[indices]
        if random is not None:
            batch = _bent(batch, random)
        scores = network(batch)
        loss = F.cross_entropy(scores, truth, label_smoothing=recipe.smoothing if random is not None else 0.0)
        return loss, float((scores.argmax(1) == truth).float().mean())

    return step


def train_on_digits(network: nn.Module, seed: int, recipe: training.Recipe = RECIPE) -> dict[str, Any]:
    """Train a digit network and return what its card says about data, training and figures."""
    parts = split(seed)
    steps = [_step(part, recipe) for part in parts]

    def validate() -> dict[str, float]:
        return training.over(network, steps[1], N_VALIDATION).means("validation")

    history = training.fit(network, steps[0], N_TRAINING, validate, recipe, seed)
    held_out = training.over(network, steps[2], N_HELD_OUT)
    return {
        "task": "Which digit was written?",
        "output": "classes",
        "data": {
            "set": "digits of scikit-learn (Alpaydin & Kaynak 1998, UCI, CC BY 4.0), 1797 of 8 × 8 pixels",
            "training": f"{N_TRAINING} digits, split of seed {seed}",
            "validation": f"{N_VALIDATION} digits, split of seed {seed}",
            "held out": f"{N_HELD_OUT} digits, split of seed {seed}",
        },
        "preprocessing": PREPROCESSING,
        "input_shape": [1, 8, 8],
        "labels": list(LABELS),
        "stimuli": "digits",
        "hyperparameters": recipe.told(variation="each digit turned, stretched and moved a little"),
        "metric": "share correct",
        "history": history,
        "metrics": {
            "accuracy": round(held_out.metric / held_out.seen, 4),
            "cross_entropy": round(held_out.loss / held_out.seen, 4),
        },
        "licence": training.LICENCE,
    }
