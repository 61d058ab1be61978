"""A convolutional variational autoencoder that squeezes a picture of Objects through 16 numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models import _training as training

RECIPE = training.Recipe(epochs=12, batch=64, learning_rate=4e-3)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 8_000, 480, 960
LATENT = 16
PREPROCESSING = "resized to 64 × 64 pixels (bilinear, antialiased) if it has another size, values / 255"


def preprocess(picture: np.ndarray) -> Tensor:
    """Picture (height, width, 3) uint8 with values 0 to 1; (3, 64, 64)."""
    return training.resized(picture, 64) / 255


def _halve(channels_in: int, channels: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def _double(channels_in: int, channels: int) -> nn.Sequential:
    conv = nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


class ObjectsVAE(nn.Module):
    """Encoder to mean and log variance of 16 latent numbers, and decoder (Kingma & Welling 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(_halve(3, 16), _halve(16, 32), _halve(32, 48), _halve(48, 64))
        self.mean = nn.Linear(64 * 16, LATENT)
        self.log_variance = nn.Linear(64 * 16, LATENT)
        self.expand = nn.Linear(LATENT, 64 * 16)
        self.decoder = nn.Sequential(_double(64, 48), _double(48, 32), _double(32, 16))
        self.paint = nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1)
        self.sigmoid = nn.Sigmoid()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (n, 3, 64, 64) -> mean and log variance of the latent numbers, each (n, 16)."""
        found = self.encoder(x).flatten(1)
        return self.mean(found), self.log_variance(found).clamp(-10, 4)

    def decode(self, latent: Tensor) -> Tensor:
        """Latent numbers (n, 16) -> pictures (n, 3, 64, 64), 0 to 1."""
        return self.sigmoid(self.paint(self.decoder(self.expand(latent).view(-1, 64, 4, 4))))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) -> their reconstructions through the latent means."""
        return self.decode(self.encode(x)[0])


def build() -> nn.Module:
    """Return the untrained network."""
    return ObjectsVAE()


def negative_elbo(network: ObjectsVAE, x: Tensor, random: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Loss in nats per value and the reconstructions.

    The error of the pixels is Gaussian with its best common variance (sigma-VAE, Rybkin et al. 2021), so no
    weight between the two terms has to be chosen.
    """
    mean, log_variance = network.encode(x)
    latent = mean
    if random is not None:
        latent = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=random)
    again = network.decode(latent)
    values = x[0].numel()
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    error = (again - x).square().mean()
    return 0.5 * (error * 2 * math.pi * math.e).log() + divergence / values, again


def explained(pictures: Tensor, again: Tensor, mean_colour: Tensor) -> float:
    """Share of the pixels' variance around the mean colour that the reconstructions explain."""
    return 1 - float((pictures - again).square().sum() / (pictures - mean_colour).square().sum())


def _step(pictures: Tensor, mean_colour: Tensor) -> training.Step:
    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        assert isinstance(network, ObjectsVAE)
        x = pictures[indices].float() / 255
        if random is not None:
            x = training.varied(x, random)
        loss, again = negative_elbo(network, x.contiguous(memory_format=torch.channels_last), random)
        return loss, explained(x, again.detach(), mean_colour)

    return step


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about 4 minutes on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = ObjectsVAE().to(memory_format=torch.channels_last)
        trained, _ = training.object_pictures(N_TRAINING, training.TRAINING + seed)
        mean_colour = trained.float().mean((0, 2, 3), keepdim=True) / 255
        validation = _step(training.object_pictures(N_VALIDATION, training.VALIDATION + seed)[0], mean_colour)
        history = training.fit(
            network,
            _step(trained, mean_colour),
            N_TRAINING,
            lambda: training.over(network, validation, N_VALIDATION).means("validation"),
            RECIPE,
            seed,
        )
        unseen = training.object_pictures(N_HELD_OUT, training.HELD_OUT + seed)[0].float() / 255
        with torch.no_grad():
            again = torch.cat([network(part) for part in unseen.split(240)])
        card = {
            "title": "Objects VAE",
            "family": "variational autoencoder",
            "task": "Draw the picture again from 16 numbers.",
            "output": "reconstruction",
            "data": training.objects_told(seed, N_TRAINING, N_VALIDATION, N_HELD_OUT),
            "preprocessing": PREPROCESSING,
            "input_shape": [3, 64, 64],
            "labels": [],
            "stimuli": "objects",
            "hyperparameters": RECIPE.told(
                loss="negative evidence lower bound, Gaussian pixels with their best variance",
                variation=training.VARIATION,
                latent=LATENT,
            ),
            "metric": "share of the pixels' variance explained",
            "history": history,
            "metrics": {"variance_explained": round(explained(unseen, again, mean_colour), 4)},
            "licence": training.LICENCE,
            "minutes": minutes(),
        }
    return network.to(memory_format=torch.contiguous_format), card
