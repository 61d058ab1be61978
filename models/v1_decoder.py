"""A perceptron that reads the orientation of a grating out of one simulated V1 population's spikes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dashboard.recordings import simulated
from dashboard.stimuli.sets import LUMINANCE
from models import _training as training

RECIPE = training.Recipe(epochs=40, batch=100, learning_rate=3e-3, weight_decay=0.02)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 4_000, 400, 1_000
CELLS = 200
FREQUENCIES = (4.0, 12.0)
"""Cycles per picture; log-uniform."""

CONTRASTS = (0.5, 1.0)


@lru_cache(maxsize=1)
def population() -> tuple[simulated.Cells, np.ndarray]:
    """The first simulated subject of ``simulated-v1?cells=200&seed=0`` and the filters of its cells."""
    cells = simulated.draw_cells(seed=0, subject=0, n=CELLS)
    return cells, simulated.kernels(cells)


def rates(luminance: np.ndarray) -> np.ndarray:
    """Expected spikes/s of the population; (n, 64, 64) from 0 to 1 -> (n, 200)."""
    return simulated.rates(luminance.reshape(len(luminance), -1).astype(np.float64), *population())


def standardised(spikes_per_s: Tensor) -> Tensor:
    """Square root, which evens out the noise of counts, brought to about -1 to 2; any shape."""
    return spikes_per_s.float().sqrt() / 2 - 1


def preprocess(picture: np.ndarray) -> Tensor:
    """What the population answers to a picture (height, width, 3) uint8, without noise; (200,)."""
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = training.resized(picture[top : top + side, left : left + side], simulated.SIDE)
    luminance = torch.einsum("c,chw->hw", torch.tensor(LUMINANCE), square) / 255
    return standardised(torch.from_numpy(rates(luminance.numpy()[None])[0]))


def gratings(n: int, seed: int) -> tuple[np.ndarray, Tensor]:
    """Gratings (n, 64, 64) from 0 to 1 and their orientations (n,) in degrees, 0 vertical, clockwise."""
    random = np.random.Generator(np.random.Philox(key=seed)).random((n, 4))
    orientation, phase = 180 * random[:, 0], 2 * np.pi * random[:, 1]
    frequency = FREQUENCIES[0] * (FREQUENCIES[1] / FREQUENCIES[0]) ** random[:, 2]
    contrast = CONTRASTS[0] + (CONTRASTS[1] - CONTRASTS[0]) * random[:, 3]
    at = (np.arange(simulated.SIDE) - (simulated.SIDE - 1) / 2) / simulated.SIDE
    angle, k = np.deg2rad(orientation)[:, None, None], 2 * np.pi * frequency[:, None, None]
    wave = np.cos(k * (np.cos(angle) * at + np.sin(angle) * at[:, None]) - phase[:, None, None])
    return 0.5 + 0.5 * contrast[:, None, None] * wave, torch.from_numpy(orientation)


def spikes(expected: Tensor, repeats: int, random: torch.Generator) -> Tensor:
    """Poisson counts as spikes/s, the mean over repeats of half a second; same shape as ``expected``."""
    window = repeats * simulated.WINDOW_S
    return torch.poisson(expected * window, generator=random) / window


class V1Decoder(nn.Module):
    """200 cells, two hidden layers, and the cosine and sine of twice the orientation."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(CELLS, 128)
        self.relu1 = nn.ReLU()
        self.hidden2 = nn.Linear(128, 64)
        self.relu2 = nn.ReLU()
        self.head = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Responses (n, 200) -> cosine and sine of twice the orientation (n, 2)."""
        return self.head(self.relu2(self.hidden2(self.relu1(self.hidden1(x)))))


def build() -> nn.Module:
    """Return the untrained network."""
    return V1Decoder()


def orientations(answers: Tensor) -> Tensor:
    """Cosine and sine of twice the orientation (n, 2) -> degrees (n,), [0, 180)."""
    return torch.rad2deg(torch.atan2(answers[:, 1], answers[:, 0])).div(2).remainder(180)


def errors(answers: Tensor, truth: Tensor) -> Tensor:
    """Size of the error in degrees (n,), at most 90: orientations 179 and 1 are two degrees apart."""
    return ((orientations(answers) - truth + 90).remainder(180) - 90).abs()


def _step(n: int, seed: int, repeats: int = 1) -> training.Step:
    """Step over gratings, with fresh spikes in training and the same spikes each time else."""
    pictures, truth = gratings(n, seed)
    expected = torch.from_numpy(np.concatenate([rates(part) for part in np.array_split(pictures, 8)]))
    target = torch.stack([torch.deg2rad(2 * truth).cos(), torch.deg2rad(2 * truth).sin()], dim=1).float()
    fixed = spikes(expected, repeats, torch.Generator().manual_seed(seed))

    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        seen = fixed[indices] if random is None else spikes(expected[indices], repeats, random)
        answers = network(standardised(seen))
        found = errors(answers.detach(), truth[indices])
        return (answers - target[indices]).square().mean(), float(found.mean())

    return step


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; under a minute on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = build()
        validation = _step(N_VALIDATION, training.VALIDATION + seed)
        history = training.fit(
            network,
            _step(N_TRAINING, training.TRAINING + seed),
            N_TRAINING,
            lambda: training.over(network, validation, N_VALIDATION).means("validation"),
            RECIPE,
            seed,
        )
        metrics = {}
        for name, repeats in (("mean_error_deg", 1), ("mean_error_deg_4_repeats", 4)):
            step = _step(N_HELD_OUT, training.HELD_OUT + seed, repeats)
            metrics[name] = round(training.over(network, step, N_HELD_OUT).metric / N_HELD_OUT, 3)
        card = _card(seed, history, metrics) | {"minutes": minutes()}
    return network, card


def _features() -> dict[str, Any]:
    """What each of the numbers is that the network is given: a cell, and the orientation that it prefers."""
    preferred = population()[0].orientation
    return {
        "names": [f"cell {k + 1} ({angle:.0f}°)" for k, angle in enumerate(preferred)],
        "axis": "Preferred orientation of the cell (degrees)",
        "values": [round(float(angle), 1) for angle in preferred],
    }


def _card(seed: int, history: list[dict[str, Any]], metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "title": "V1 decoder",
        "family": "multilayer perceptron",
        "task": "Which orientation was shown, given the spikes of half a second from 200 simulated V1 cells?",
        "output": "orientation",
        "data": {
            "set": (
                "the first subject of simulated-v1?cells=200&seed=0 (simulated, not measured) sees gratings "
                "of any orientation and phase, 4 to 12 cycles per picture, contrast 0.5 to 1; Poisson spikes"
            ),
            "training": f"{N_TRAINING} gratings, seed {training.TRAINING + seed}, new spikes in every epoch",
            "validation": f"{N_VALIDATION} gratings, seed {training.VALIDATION + seed}",
            "held out": f"{N_HELD_OUT} gratings, seed {training.HELD_OUT + seed}",
        },
        "preprocessing": (
            "a picture is cut to its central square, shown to the simulated population at 64 × 64 pixels, "
            "and the noiseless rates r (spikes/s) become sqrt(r) / 2 - 1"
        ),
        "input_shape": [CELLS],
        "labels": ["cos 2θ", "sin 2θ"],
        "features": _features(),
        "stimuli": "gratings?spatial_frequencies=4:6:9&size=64&aperture=0",
        "hyperparameters": RECIPE.told(loss="squared error of cos 2θ and sin 2θ"),
        "metric": "mean error in degrees",
        "history": history,
        "metrics": metrics,
        "licence": training.LICENCE,
    }
