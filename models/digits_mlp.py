"""A multilayer perceptron that reads a handwritten digit."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from models import _digits, _training

preprocess = _digits.preprocess


class DigitsMLP(nn.Module):
    """64 pixels, two hidden layers of 128 units, 10 scores."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden1 = nn.Linear(64, 128)
        self.relu1 = nn.ReLU()
        self.hidden2 = nn.Linear(128, 128)
        self.relu2 = nn.ReLU()
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Digits (n, 1, 8, 8) -> scores (n, 10)."""
        x = self.relu1(self.hidden1(self.flatten(x)))
        return self.head(self.relu2(self.hidden2(x)))


def build() -> nn.Module:
    """Return the untrained network."""
    return DigitsMLP()


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; a few seconds on one core.

    Returns
    -------
    network, card
    """
    with _training.reproducible(seed) as minutes:
        network = build()
        card = _digits.train_on_digits(network, seed)
        card |= {"title": "Digits MLP", "family": "multilayer perceptron", "minutes": minutes()}
    return network, card
