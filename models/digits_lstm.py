"""A recurrent network (LSTM) that reads a handwritten digit row by row, from the top."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from models import _digits, _training

preprocess = _digits.preprocess


class DigitsLSTM(nn.Module):
    """One layer of 64 units that sees a row of 8 pixels at each of 8 steps; its last state is read out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size=8, hidden_size=64, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Digits (n, 1, 8, 8) -> scores (n, 10)."""
        states, _ = self.lstm(x.squeeze(1))
        return self.head(states[:, -1])


def build() -> nn.Module:
    """Return the untrained network."""
    return DigitsLSTM()


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; under a minute on one core.

    Returns
    -------
    network, card
    """
    with _training.reproducible(seed) as minutes:
        network = build()
        card = _digits.train_on_digits(network, seed)
        card |= {"title": "Digits LSTM", "family": "recurrent network, LSTM", "minutes": minutes()}
    return network, card
