"""A small residual network that names the shape in a picture of Objects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models import _training as training

LABELS = training.PICTURE_LABELS
RECIPE = training.Recipe(epochs=10, batch=64, learning_rate=6e-3, weight_decay=0.02, smoothing=0.05)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 10_000, 1_200, 2_400

preprocess = training.preprocess_object


class Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut (He et al. 2016, the basic block)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            conv = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, h, w) -> (n, channels, h / stride, w / stride)."""
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu2(y + self.shortcut(x))


class ObjectsCNN(nn.Module):
    """Stem, four residual blocks, global average and a linear read-out.

    Parameters
    ----------
    n_classes : int
        Size of the read-out.
    """

    def __init__(self, n_classes: int = len(LABELS)) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(16), nn.ReLU())
        self.block1 = Block(16, 16, stride=1)
        self.block2 = Block(16, 32, stride=2)
        self.block3 = Block(32, 64, stride=2)
        self.block4 = Block(64, 128, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(128, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) -> features (n, 128)."""
        x = self.block4(self.block3(self.block2(self.block1(self.stem(x)))))
        return self.pool(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) -> scores (n, n_classes)."""
        return self.head(self.features(x))


def build() -> nn.Module:
    """Return the untrained network."""
    return ObjectsCNN()


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about 8 minutes on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = build().to(memory_format=torch.channels_last)
        card = training.train_on_objects(network, RECIPE, seed, N_TRAINING, N_VALIDATION, N_HELD_OUT)
        card |= {
            "title": "Objects CNN",
            "family": "convolutional network, residual",
            "minutes": minutes(),
        }
    return network.to(memory_format=torch.contiguous_format), card
