"""A small vision transformer that names the shape in a picture of Objects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models import _training as training
from models._transformer import Block

LABELS = training.PICTURE_LABELS
RECIPE = training.Recipe(epochs=16, batch=50, learning_rate=2e-3, weight_decay=0.05, warm=0.2, smoothing=0.05)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 10_000, 1_200, 2_400
WIDTH, HEADS, BLOCKS, GRID = 64, 4, 4, 8

preprocess = training.preprocess_object


def _stem() -> nn.Sequential:
    """Four convolutions in place of cutting into patches: 64 × 64 pixels become 8 × 8 tokens.

    A few early convolutions make small transformers much easier to train (Xiao et al. 2021).
    """
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 48, 3, padding=1, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Conv2d(48, WIDTH, 3, stride=2, padding=1),
    )


class ObjectsViT(nn.Module):
    """64 patches and a CLS token that is read out, four blocks of four heads (Dosovitskiy et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _stem()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + GRID * GRID, WIDTH))
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS, expansion=2) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) -> scores (n, 12). Tokens run CLS first, then row by row."""
        patches = self.stem(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens[:, 0]))


def build() -> nn.Module:
    """Return the untrained network."""
    return ObjectsViT()


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about 11 minutes on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = build()
        card = training.train_on_objects(network, RECIPE, seed, N_TRAINING, N_VALIDATION, N_HELD_OUT)
        card |= {
            "title": "Objects ViT",
            "family": "vision transformer with a CLS token",
            "minutes": minutes(),
        }
    return network, card
