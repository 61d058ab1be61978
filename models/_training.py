"""What the recipes share: pictures as tensors, one training loop that keeps its history, held-out figures."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.progress import report
from dashboard.stimuli.objects import Group, Objects, categories

log = logging.getLogger(__name__)

LICENCE = "MIT, as the rest of Homolog"

TRAINING, VALIDATION, HELD_OUT = 1_000_000, 2_000_000, 3_000_000
"""Seeds of the three sets of Objects, to which a recipe adds its own; pages use small seeds."""

PICTURE_LABELS = categories("training")

OBJECTS_PREPROCESSING = (
    "resized to 64 × 64 pixels (bilinear, antialiased) if it has another size, values / 255, "
    "then (value - 0.5) / 0.25"
)


# Pictures -----------------------------------------------------------------------------------------------


def resized(picture: np.ndarray, side: int) -> Tensor:
    """Picture as float32 (3, side, side) with values 0 to 255.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    side : int
        Height and width to resize to; a picture that has this size is not touched.
    """
    values = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    if values.shape[1:] == (side, side):
        return values.contiguous()
    resized = F.interpolate(values[None], (side, side), mode="bilinear", align_corners=False, antialias=True)
    return resized[0].clamp(0, 255)


def preprocess_object(picture: np.ndarray) -> Tensor:
    """Picture (height, width, 3) uint8 as the Objects networks want it; (3, 64, 64), about -2 to 2."""
    return (resized(picture, 64) / 255 - 0.5) / 0.25


def standardised(pictures: Tensor) -> Tensor:
    """Bytes (n, 3, 64, 64) as the Objects networks want them; what `preprocess_object` does, for a batch."""
    return (pictures.float() / 255 - 0.5) / 0.25


def object_pictures(n: int, seed: int, group: Group = "training") -> tuple[Tensor, Tensor]:
    """Objects as bytes (n, 3, 64, 64) and their labels (n,)."""
    objects = Objects(n, seed, group)
    pictures = torch.from_numpy(objects.pictures()).permute(0, 3, 1, 2).contiguous()
    return pictures, torch.from_numpy(objects.labels())


VARIATION = "each batch turned by a multiple of 90 degrees, mirrored or not, its channels in any order"


def varied(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Turn, mirror and recolour a batch (n, 3, h, h): one of 8 symmetries and of 6 orders of the channels.

    An object keeps its category under all of them. One draw for the whole batch costs nothing and, over the
    batches of an epoch, works as well as a draw for each picture.
    """
    turns, mirror = (int(torch.randint(high, (1,), generator=random)) for high in (4, 2))
    order = torch.randperm(3, generator=random)
    pictures = torch.rot90(pictures[:, order], turns, (2, 3))
    return pictures.flip(3) if mirror else pictures


# The loop -----------------------------------------------------------------------------------------------


@dataclass
class Epoch:
    """Sums over one epoch."""

    loss: float = 0.0
    metric: float = 0.0
    seen: int = 0
    gradient: dict[str, list[float]] = field(default_factory=dict)

    def add(self, loss: Tensor, metric: float, n: int) -> None:
        """Add a batch of ``n`` whose mean loss and mean metric are given."""
        self.loss += float(loss.detach()) * n
        self.metric += metric * n
        self.seen += n

    def add_gradients(self, network: nn.Module, prefix: str = "") -> None:
        """Add the Euclidean norm of the gradient of each layer that has parameters of its own."""
        for name, module in network.named_modules():
            norms = [p.grad.norm() for p in module.parameters(recurse=False) if p.grad is not None]
            if norms:
                self.gradient.setdefault(prefix + name, []).append(float(torch.stack(norms).norm()))

    def norms(self) -> dict[str, float]:
        """Return the mean norm of each layer's gradient, rounded for the card."""
        return {name: float(f"{np.mean(norms):.4g}") for name, norms in self.gradient.items()}

    def means(self, prefix: str) -> dict[str, float]:
        """Return the mean loss and metric, rounded for the card."""
        seen = max(self.seen, 1)
        return {
            f"{prefix}_loss": round(self.loss / seen, 5),
            f"{prefix}_metric": round(self.metric / seen, 5),
        }


Step = Callable[[nn.Module, Tensor, torch.Generator | None], tuple[Tensor, float]]
"""(network, indices of the batch, random numbers in training or None) -> mean loss, mean metric."""


@dataclass(frozen=True)
class Recipe:
    """How to train: the loop's settings, which are also what the card says.

    Attributes
    ----------
    epochs, batch : int
    learning_rate : float
        Peak of the one-cycle schedule.
    weight_decay : float
    warm : float
        Share of the steps in which the learning rate rises.
    clip : float
        Largest norm of the whole gradient.
    smoothing : float
        Label smoothing of the cross-entropy, where the recipe uses it.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.01
    warm: float = 0.25
    clip: float = 1.0
    smoothing: float = 0.0

    def told(self, **more: Any) -> dict[str, Any]:
        """Hyperparameters for the card."""
        told = {
            "optimiser": "AdamW",
            "schedule": "one cycle (Smith & Topin 2018), cosine",
            "epochs": self.epochs,
            "batch": self.batch,
            "peak learning rate": self.learning_rate,
            "weight decay": self.weight_decay,
            "rising share of the cycle": self.warm,
            "gradient clipped at norm": self.clip,
        }
        if self.smoothing:
            told["label smoothing"] = self.smoothing
        return {**told, **more}


def decayed(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weight decay for matrices and filters only, not for biases and norms."""
    large = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    small = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": large, "weight_decay": weight_decay}, {"params": small, "weight_decay": 0.0}]


def fit(
    network: nn.Module,
    step: Step,
    n_training: int,
    validate: Callable[[], dict[str, float]],
    recipe: Recipe,
    seed: int,
) -> list[dict[str, Any]]:
    """Train a network and return its history, one dict per epoch.

    Parameters
    ----------
    network : nn.Module
        Changed in place; in evaluation mode afterwards.
    step : callable
        Gives loss and metric of a batch of training indices.
    n_training : int
        Number of training samples.
    validate : callable
        Gives ``validation_loss`` and ``validation_metric``; called in evaluation mode without gradients.
    recipe : Recipe
    seed : int
        For the order of the samples and their variations.

    Returns
    -------
    list of dict
        ``epoch``, ``train_loss``, ``train_metric``, ``validation_loss``, ``validation_metric``,
        ``learning_rate`` (at the end of the epoch) and ``gradient_norm`` (layer -> mean norm, every eighth
        batch, before clipping).
    """
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(decayed(network, recipe.weight_decay), lr=recipe.learning_rate)
    batches = n_training // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches, pct_start=recipe.warm
    )
    history = []
    for number in range(recipe.epochs):
        network.train()
        epoch = Epoch()
        order = torch.randperm(n_training, generator=random)
        for i, indices in enumerate(order[: batches * recipe.batch].split(recipe.batch)):
            optimiser.zero_grad(set_to_none=True)
            loss, metric = step(network, indices, random)
            loss.backward()
            if i % 8 == 0:
                epoch.add_gradients(network)
                report(
                    (number + i / batches) / recipe.epochs, f"training, epoch {number + 1} of {recipe.epochs}"
                )
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            schedule.step()
            epoch.add(loss, metric, len(indices))
        history.append(_entry(network, number, epoch, validate, float(schedule.get_last_lr()[0])))
    return history


def _entry(
    network: nn.Module, number: int, epoch: Epoch, validate: Callable[[], dict[str, float]], rate: float
) -> dict[str, Any]:
    """One epoch's entry in the history."""
    network.eval()
    with torch.no_grad():
        validation = validate()
    entry: dict[str, Any] = {"epoch": number + 1, **epoch.means("train"), **validation}
    entry["learning_rate"] = float(f"{rate:.4g}")
    entry["gradient_norm"] = epoch.norms()
    log.info("%s", {key: value for key, value in entry.items() if key != "gradient_norm"})
    return entry


@torch.no_grad()
def over(network: nn.Module, step: Step, n: int, batch: int = 256) -> Epoch:
    """Mean loss and metric of an evaluated network over ``n`` samples."""
    sums = Epoch()
    for indices in torch.arange(n).split(batch):
        loss, metric = step(network, indices, None)
        sums.add(loss, metric, len(indices))
    return sums


def classification(
    pictures: Tensor, labels: Tensor, ready: Callable[[Tensor], Tensor], recipe: Recipe
) -> Step:
    """Step for a classifier of pictures: cross-entropy and share correct.

    Parameters
    ----------
    pictures : (n, channels, height, width) uint8
    labels : (n,) int64
    ready : callable
        Turns bytes into the network's input.
    recipe : Recipe
        For its label smoothing, used in training only.
    """

    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        batch = ready(pictures[indices])
        if random is not None:
            batch = varied(batch, random)
        scores = network(batch)
        truth = labels[indices]
        loss = F.cross_entropy(scores, truth, label_smoothing=recipe.smoothing if random is not None else 0.0)
        return loss, float((scores.argmax(1) == truth).float().mean())

    return step


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[Callable[[], float]]:
    """One thread, deterministic algorithms and a seeded generator; gives a clock of the minutes spent.

    With one thread the sums have one order, so the same versions on the same processor give the same weights.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    start = time.process_time()
    try:
        yield lambda: round((time.process_time() - start) / 60, 2)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def predictions(network: nn.Module, inputs: Tensor | Sequence[Tensor], batch: int = 256) -> Tensor:
    """Class with the highest score for each input; (n,)."""
    stack = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in stack.split(batch)])


def objects_told(seed: int, n_training: int, n_validation: int, n_held_out: int) -> dict[str, str]:
    """What a card says about the pictures."""
    return {
        "set": "Objects, pictures drawn by Homolog",
        "training": f"{n_training} pictures, seed {TRAINING + seed}",
        "validation": f"{n_validation} pictures, seed {VALIDATION + seed}",
        "held out": f"{n_held_out} pictures, seed {HELD_OUT + seed}",
    }


def train_on_objects(
    network: nn.Module, recipe: Recipe, seed: int, n_training: int, n_validation: int, n_held_out: int
) -> dict[str, Any]:
    """Train a classifier of Objects and return what its card says about data, training and figures."""
    sizes = {TRAINING: n_training, VALIDATION: n_validation, HELD_OUT: n_held_out}
    steps = {
        which: classification(*object_pictures(n, which + seed), standardised, recipe)
        for which, n in sizes.items()
    }
    history = fit(
        network,
        steps[TRAINING],
        n_training,
        lambda: over(network, steps[VALIDATION], n_validation).means("validation"),
        recipe,
        seed,
    )
    held_out = over(network, steps[HELD_OUT], n_held_out)
    return {
        "task": f"Which of {len(PICTURE_LABELS)} shapes is in the picture?",
        "output": "classes",
        "data": objects_told(seed, n_training, n_validation, n_held_out),
        "preprocessing": OBJECTS_PREPROCESSING,
        "input_shape": [3, 64, 64],
        "labels": list(PICTURE_LABELS),
        "stimuli": "objects",
        "hyperparameters": recipe.told(variation=VARIATION),
        "metric": "share correct",
        "history": history,
        "metrics": {
            "accuracy": round(held_out.metric / n_held_out, 4),
            "cross_entropy": round(held_out.loss / n_held_out, 4),
        },
        "licence": LICENCE,
    }
