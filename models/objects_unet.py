"""A U-Net that finds the pixels of the object in a picture of Objects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.stimuli.objects import Objects
from models import _training as training

RECIPE = training.Recipe(epochs=8, batch=32, learning_rate=8e-3)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 3_000, 360, 960

preprocess = training.preprocess_object


def _stage(channels_in: int, channels: int) -> nn.Sequential:
    """A 3 × 3 convolution, its norm and a ReLU."""
    conv = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


class ObjectsUNet(nn.Module):
    """Three halvings, three doublings, and bridges between them (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = _stage(3, 16)
        self.down2 = _stage(16, 32)
        self.down3 = _stage(32, 64)
        self.bottom = _stage(64, 96)
        self.pool = nn.MaxPool2d(2)
        self.rise3 = nn.ConvTranspose2d(96, 32, 2, stride=2)
        self.up3 = _stage(32 + 64, 32)
        self.rise2 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.up2 = _stage(16 + 32, 16)
        self.rise1 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.up1 = _stage(8 + 16, 8)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) -> logits (n, 1, 64, 64), above 0 where the object is."""
        at_64 = self.down1(x)
        at_32 = self.down2(self.pool(at_64))
        at_16 = self.down3(self.pool(at_32))
        y = self.bottom(self.pool(at_16))
        y = self.up3(torch.cat([self.rise3(y), at_16], dim=1))
        y = self.up2(torch.cat([self.rise2(y), at_32], dim=1))
        y = self.up1(torch.cat([self.rise1(y), at_64], dim=1))
        return self.head(y)


def build() -> nn.Module:
    """Return the untrained network."""
    return ObjectsUNet()


def iou(logits: Tensor, masks: Tensor) -> Tensor:
    """Intersection over union of each picture.

    Parameters
    ----------
    logits : (n, 1, h, w)
        The object is where they are above 0.
    masks : (n, 1, h, w) bool

    Returns
    -------
    (n,)
    """
    found = logits > 0
    return (found & masks).sum((1, 2, 3)) / (found | masks).sum((1, 2, 3)).clamp(min=1)


def _dice(logits: Tensor, masks: Tensor) -> Tensor:
    """One less the soft Dice overlap (Milletari et al. 2016): small objects count as much as large ones."""
    found, truth = torch.sigmoid(logits).flatten(1), masks.flatten(1).float()
    return 1 - ((2 * (found * truth).sum(1) + 1) / (found.sum(1) + truth.sum(1) + 1)).mean()


def _step(n: int, seed: int) -> training.Step:
    objects = Objects(n, seed)
    pictures = torch.from_numpy(objects.pictures()).permute(0, 3, 1, 2).contiguous()
    masks = torch.from_numpy(objects.masks())[:, None]

    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        batch, truth = training.standardised(pictures[indices]), masks[indices]
        logits = network(batch.contiguous(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(logits, truth.float()) + _dice(logits, truth)
        return loss, float(iou(logits, truth).mean())

    return step


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about 3 minutes on one core.

    Returns
    -------
    network, card
    """
    sizes = {training.TRAINING: N_TRAINING, training.VALIDATION: N_VALIDATION, training.HELD_OUT: N_HELD_OUT}
    with training.reproducible(seed) as minutes:
        network = build().to(memory_format=torch.channels_last)
        steps = {which: _step(n, which + seed) for which, n in sizes.items()}
        history = training.fit(
            network,
            steps[training.TRAINING],
            N_TRAINING,
            lambda: training.over(network, steps[training.VALIDATION], N_VALIDATION).means("validation"),
            RECIPE,
            seed,
        )
        held_out = training.over(network, steps[training.HELD_OUT], N_HELD_OUT)
        card = {
            "title": "Objects U-Net",
            "family": "U-Net",
            "task": "Which pixels belong to the object?",
            "output": "mask",
            "data": training.objects_told(seed, N_TRAINING, N_VALIDATION, N_HELD_OUT),
            "preprocessing": training.OBJECTS_PREPROCESSING,
            "input_shape": [3, 64, 64],
            "labels": ["object"],
            "stimuli": "objects",
            "hyperparameters": RECIPE.told(loss="binary cross-entropy + Dice"),
            "metric": "intersection over union",
            "history": history,
            "metrics": {"iou": round(held_out.metric / held_out.seen, 4)},
            "licence": training.LICENCE,
            "minutes": minutes(),
        }
    return network.to(memory_format=torch.contiguous_format), card
