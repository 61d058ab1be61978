"""The network of the Neuromatch deep-learning day that tells whether a grating is tilted left or right.

Architecture, filter bank and training follow what Neuromatch Academy's course-content, W1D5 Deep Learning,
Tutorial 3 describes (nothing is copied): six filters, one pooling, ten hidden units, one output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.stimuli.gratings import neuromatch_grating
from models import _training as training

HEIGHT, WIDTH = 48, 64
N_TRAINING, N_VALIDATION, N_HELD_OUT = 1000, 500, 2000
EPOCHS, BATCH, LEARNING_RATE, MOMENTUM = 25, 100, 5e-4, 0.99
LARGEST_TILT = 90.0
REPRODUCIBILITY = (
    "The same seed gives the same bytes on the same processor and versions. With another order of the sums "
    "(a trial without oneDNN) weights moved by at most 0.0013 and the held-out accuracy by 0.0005."
)

_SIGMA_CENTRE = 1.1
_GABOR_WAVELENGTH = 10
_GABOR_SPREAD = 0.4


def filter_bank() -> np.ndarray:
    """Return the six starting filters, (6, 7, 7) float64: two centre-surround and four Gabors.

    The distance enters the exponentials unsquared, as in the course; each filter is divided by its largest
    absolute value.
    """
    steps = np.linspace(-3.5, 3.5, 7)
    x, y = np.meshgrid(steps, steps, indexing="ij")
    distance = np.hypot(x, y)

    def bell(sigma: float) -> np.ndarray:
        return np.exp(-distance / (2 * sigma**2))

    centre = bell(_SIGMA_CENTRE) - 0.5 * bell(2 * _SIGMA_CENTRE)
    filters = [centre, -centre]
    for angle in np.deg2rad([0, 45, 90, 135]):
        along = x * np.cos(angle) + y * np.sin(angle)
        filters.append(bell(_GABOR_SPREAD) * np.cos(2 * np.pi * along / _GABOR_WAVELENGTH + np.pi / 2))
    return np.stack([f / np.abs(f).max() for f in filters])


class TiltCNN(nn.Module):
    """One convolution, one pooling, two linear layers; 3,201 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 7, padding=3)
        self.pool = nn.MaxPool2d(8)
        self.fc = nn.Linear(6 * (HEIGHT // 8) * (WIDTH // 8), 10)
        self.out = nn.Linear(10, 1)
        # One module for both places, not in place: `fc` is read before it (the course reads it so, too).
        self.relu = nn.ReLU()
        self.sigmoid = nn.Sigmoid()
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(filter_bank())[:, None])
            self.conv.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Gratings (n, 1, 48, 64) -> probability of a tilt to the right (n, 1)."""
        x = self.pool(self.relu(self.conv(x)))
        x = self.relu(self.fc(x.flatten(1)))
        return self.sigmoid(self.out(x))


def build() -> nn.Module:
    """Return the network before training: the filter bank, then random linear layers."""
    return TiltCNN()


def preprocess(picture: np.ndarray) -> Tensor:
    """Return a picture, (height, width, 3) uint8, as grey values 0 to 1; (1, 48, 64) float32."""
    # Whole numbers, so that a grey picture gives exactly value / 255.
    parts = picture.astype(np.int64) @ np.array([299, 587, 114])
    grey = torch.from_numpy(parts / (1000 * 255)).float()
    if grey.shape == (HEIGHT, WIDTH):
        return grey[None]
    height, width = grey.shape
    wide = min(width, max(1, round(height * WIDTH / HEIGHT)))
    high = min(height, max(1, round(width * HEIGHT / WIDTH)))
    top, left = (height - high) // 2, (width - wide) // 2
    part = grey[None, None, top : top + high, left : left + wide]
    fitted = F.interpolate(part, (HEIGHT, WIDTH), mode="bilinear", align_corners=False, antialias=True)
    return fitted[0].clamp(0, 1)


def gratings(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return gratings, (n, 1, 48, 64) of 0 and 1, and their labels, (n, 1), 1 for a tilt to the right."""
    tilts = np.random.default_rng(seed).uniform(-LARGEST_TILT, LARGEST_TILT, n)
    pictures = np.stack([neuromatch_grating(tilt, HEIGHT, WIDTH) for tilt in tilts])
    return torch.from_numpy(pictures)[:, None], torch.from_numpy(tilts > 0).float()[:, None]


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about half a minute on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = build()
        history = _fit(network, seed)
        loss, accuracy = _evaluate(network, *gratings(N_HELD_OUT, training.HELD_OUT + seed))
        card = _card(history, {"accuracy": accuracy, "cross_entropy": loss}, seed)
        card["minutes"] = minutes()
    return network.eval(), card


def _fit(network: nn.Module, seed: int) -> list[dict[str, Any]]:
    """Train in place with plain stochastic gradient descent and return a dict per epoch."""
    pictures, labels = gratings(N_TRAINING, training.TRAINING + seed)
    validation = gratings(N_VALIDATION, training.VALIDATION + seed)
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    history = []
    for number in range(1, EPOCHS + 1):
        network.train()
        epoch = training.Epoch()
        for indices in torch.randperm(N_TRAINING, generator=random).split(BATCH):
            optimiser.zero_grad()
            probability = network(pictures[indices])
            loss = F.binary_cross_entropy(probability, labels[indices])
            loss.backward()
            optimiser.step()
            correct = float(((probability > 0.5) == (labels[indices] > 0.5)).float().mean())
            epoch.add(loss, correct, len(indices))
        network.eval()
        validated = _evaluate(network, *validation)
        history.append(
            {
                "epoch": number,
                **epoch.means("train"),
                "validation_loss": validated[0],
                "validation_metric": validated[1],
                "learning_rate": LEARNING_RATE,
            }
        )
    return history


@torch.no_grad()
def _evaluate(network: nn.Module, pictures: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross-entropy and share correct, rounded for the card."""
    probability = network(pictures)
    loss = float(F.binary_cross_entropy(probability, labels))
    return round(loss, 6), round(float(((probability > 0.5) == (labels > 0.5)).float().mean()), 4)


def _card(history: list[dict[str, Any]], metrics: dict[str, float], seed: int) -> dict[str, Any]:
    return {
        "title": "Tilt CNN",
        "family": "convolutional network",
        "task": "Is a grating tilted to the left or to the right of vertical?",
        "data": {
            "set": "square-wave gratings of the Neuromatch deep-learning day, drawn by Homolog",
            "tilts": "uniform from -90 to 90 degrees, 0 is vertical, positive is right",
            "training": f"{N_TRAINING} gratings, seed {training.TRAINING + seed}",
            "validation": f"{N_VALIDATION} gratings, seed {training.VALIDATION + seed}",
            "held out": f"{N_HELD_OUT} gratings, seed {training.HELD_OUT + seed}",
        },
        "preprocessing": (
            "Grey (0.299 red, 0.587 green, 0.114 blue), cut to 4:3 around the centre and resized to "
            "64 × 48 pixels if it has another size, divided by 255."
        ),
        "input_shape": [1, HEIGHT, WIDTH],
        "labels": ["tilted right"],
        "hyperparameters": {
            "start": "six fixed filters (two centre-surround, four Gabors) in conv, all layers trained",
            "loss": "binary cross-entropy",
            "optimiser": "SGD",
            "learning rate": LEARNING_RATE,
            "momentum": MOMENTUM,
            "batch": BATCH,
            "epochs": EPOCHS,
        },
        "metric": "share correct",
        "history": history,
        "metrics": metrics,
        "reproducibility": REPRODUCIBILITY,
        "source": "described in Neuromatch Academy's course-content, W1D5 Deep Learning, Tutorial 3",
        "licence": training.LICENCE,
    }
