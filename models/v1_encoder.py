"""A convolutional encoding model: from gratings to the firing rates of one simulated V1 population.

Filters are shared by all neurons; each neuron then has a mask of where it looks and weights of what it looks
for (factorised readout: Klindt, Ecker, Euler & Bethge 2017, NeurIPS).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dashboard.recordings import simulated
from dashboard.stimuli.sets import LUMINANCE
from models import _training as training
from models import v1_decoder as population

RECIPE = training.Recipe(epochs=40, batch=50, learning_rate=4e-3, weight_decay=0.0)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 3_000, 300, 500
CHANNELS, KERNEL, SIDE = 32, 13, 32
"""Filters, their side in pixels, and the side of their maps."""

RATE = 10.0
"""Spikes/s per unit of output of the last nonlinearity, so that weights start near their size."""


def preprocess(picture: np.ndarray) -> Tensor:
    """Luminance of the central square of a picture (height, width, 3) uint8; (1, 64, 64), −2 to 2."""
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = training.resized(picture[top : top + side, left : left + side], simulated.SIDE)
    return standardised(torch.einsum("c,chw->hw", torch.tensor(LUMINANCE), square)[None] / 255)


def standardised(luminance: Tensor) -> Tensor:
    """Luminance from 0 to 1 as the network wants it; any shape."""
    return (luminance.float() - 0.5) / 0.25


class V1Encoder(nn.Module):
    """32 filters, rectified; per neuron a mask over places and weights of filters; softplus."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, CHANNELS, KERNEL, stride=simulated.SIDE // SIDE, padding=KERNEL // 2)
        self.relu = nn.ReLU()
        self.where = nn.Linear(SIDE * SIDE, population.CELLS, bias=False)
        self.what = nn.Conv1d(population.CELLS, population.CELLS, CHANNELS, groups=population.CELLS)
        self.rate = nn.Softplus()
        nn.init.normal_(self.conv.weight, std=0.3 / KERNEL)
        nn.init.normal_(self.where.weight, mean=1 / SIDE**2, std=1 / SIDE)
        nn.init.normal_(self.what.weight, std=1 / CHANNELS**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Luminance (n, 1, 64, 64) -> expected rates of 200 cells in spikes/s (n, 200)."""
        maps = self.relu(self.conv(x)).flatten(2)
        seen = self.where(maps).transpose(1, 2)  # (n, cells, filters)
        return RATE * self.rate(self.what(seen).flatten(1))


def build() -> nn.Module:
    """Return the untrained network."""
    return V1Encoder()


def correlation(said: Tensor, truth: Tensor) -> Tensor:
    """Pearson's r of each cell over stimuli, (n_cells,); both (n_stimuli, n_cells)."""
    a, b = said.double() - said.double().mean(0), truth.double() - truth.double().mean(0)
    return (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0)).clamp(min=1e-12)


def shown(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Gratings ready for the network (n, 1, 64, 64) and the cells' expected rates (n, 200) in spikes/s."""
    pictures, _ = population.gratings(n, seed)
    expected = np.concatenate([population.rates(part) for part in np.array_split(pictures, 8)])
    return standardised(torch.from_numpy(pictures)[:, None]), torch.from_numpy(expected)


def _step(n: int, seed: int) -> training.Step:
    """Step over gratings: Poisson log likelihood of fresh spikes, and mean r with expected rates."""
    inputs, expected = shown(n, seed)
    fixed = population.spikes(expected, 1, torch.Generator().manual_seed(seed))

    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        seen = fixed[indices] if random is None else population.spikes(expected[indices], 1, random)
        said = network(inputs[indices])
        loss = nn.functional.poisson_nll_loss(said, seen.float(), log_input=False) * simulated.WINDOW_S
        return loss, float(correlation(said.detach(), expected[indices]).mean())

    return step


@torch.no_grad()
def held_out(network: nn.Module, seed: int) -> dict[str, float]:
    """Mean and median r over cells with expected rates, and mean r with single trials, on new gratings."""
    inputs, expected = shown(N_HELD_OUT, training.HELD_OUT + seed)
    said = torch.cat([network(part) for part in inputs.split(100)])
    trials = population.spikes(expected, 1, torch.Generator().manual_seed(training.HELD_OUT + seed))
    r = correlation(said, expected)
    return {
        "mean_r_with_expected_rates": round(float(r.mean()), 4),
        "median_r_with_expected_rates": round(float(r.median()), 4),
        "mean_r_with_single_trials": round(float(correlation(said, trials).mean()), 4),
    }


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; a few minutes on one core.

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
        card = _card(seed, history, held_out(network, seed)) | {"minutes": minutes()}
    return network, card


def _card(seed: int, history: list[dict[str, Any]], metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "title": "V1 encoder",
        "family": "convolutional encoding model",
        "task": "How strongly does each of 200 simulated V1 cells respond to this picture?",
        "output": "responses",
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
            "a picture is cut to its central square and brought to 64 × 64 pixels; luminance L from 0 to 1 "
            "becomes (L - 0.5) / 0.25"
        ),
        "input_shape": [1, simulated.SIDE, simulated.SIDE],
        "labels": [f"cell {k}" for k in range(population.CELLS)],
        "stimuli": "gratings?spatial_frequencies=4:6:9&size=64&aperture=0",
        "hyperparameters": RECIPE.told(loss="Poisson log likelihood of spike counts"),
        "metric": "mean correlation with expected rates over cells",
        "history": history,
        "metrics": metrics,
        "licence": training.LICENCE,
    }
