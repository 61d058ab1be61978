"""Transfer learning: the frozen features of objects_cnn, a new read-out for three shapes new to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.stimuli.objects import categories
from models import _training as training
from models.objects_cnn import ObjectsCNN

LABELS = categories("transfer")
RECIPE = training.Recipe(epochs=40, batch=48, learning_rate=1e-2)
SCRATCH = training.Recipe(epochs=60, batch=20, learning_rate=6e-3, weight_decay=0.02)
PER_CLASS = 20
N_TRAINING, N_VALIDATION, N_HELD_OUT = PER_CLASS * len(LABELS), 150, 600

preprocess = training.preprocess_object


def build() -> nn.Module:
    """Return the untrained network: the architecture of objects_cnn with three scores."""
    return ObjectsCNN(len(LABELS))


def frozen() -> ObjectsCNN:
    """Return the network with the weights of objects_cnn, all fixed but the new read-out."""
    network = ObjectsCNN(len(LABELS))
    state = load_file(Path(__file__).with_name("objects_cnn.safetensors"))
    body = {name: values for name, values in state.items() if not name.startswith("head.")}
    network.load_state_dict(body, strict=False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name.startswith("head.")
    return network.eval()


@torch.no_grad()
def _features(network: ObjectsCNN, pictures: Tensor) -> Tensor:
    """Features (n, 128) of bytes (n, 3, 64, 64) from the body in evaluation mode."""
    return torch.cat([network.features(training.standardised(part)) for part in pictures.split(100)])


def _symmetries(pictures: Tensor) -> Tensor:
    """The eight turned and mirrored versions of all pictures; (8 n, 3, 64, 64)."""
    turned = [torch.rot90(pictures, turns, (2, 3)) for turns in range(4)]
    return torch.cat([*turned, *(picture.flip(3) for picture in turned)])


def _read_out(features: Tensor, labels: Tensor) -> training.Step:
    """Step that trains and tests the read-out alone, on features found before."""

    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        assert isinstance(network, ObjectsCNN)
        scores = network.head(features[indices])
        found = scores.argmax(1) == labels[indices]
        return F.cross_entropy(scores, labels[indices]), float(found.float().mean())

    return step


def _pictures(seed: int) -> dict[int, tuple[Tensor, Tensor]]:
    sizes = {training.TRAINING: N_TRAINING, training.VALIDATION: N_VALIDATION, training.HELD_OUT: N_HELD_OUT}
    return {which: training.object_pictures(n, which + seed, "transfer") for which, n in sizes.items()}


def _from_scratch(sets: dict[int, tuple[Tensor, Tensor]], seed: int) -> float:
    """Held-out accuracy of the same architecture trained from nothing on the same few pictures."""
    network = build()
    steps = {
        which: training.classification(*pair, training.standardised, SCRATCH) for which, pair in sets.items()
    }

    def validate() -> dict[str, float]:
        return {}

    training.fit(network, steps[training.TRAINING], N_TRAINING, validate, SCRATCH, seed)
    held_out = training.over(network, steps[training.HELD_OUT], N_HELD_OUT)
    return round(held_out.metric / held_out.seen, 4)


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train the read-out from a seed, and the whole network for comparison; about a minute on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = frozen()
        sets = _pictures(seed)
        few, labels = sets[training.TRAINING]
        steps = {
            which: _read_out(_features(network, pictures), truth) for which, (pictures, truth) in sets.items()
        }
        steps[training.TRAINING] = _read_out(_features(network, _symmetries(few)), labels.repeat(8))
        history = training.fit(
            network,
            steps[training.TRAINING],
            8 * N_TRAINING,
            lambda: training.over(network, steps[training.VALIDATION], N_VALIDATION).means("validation"),
            RECIPE,
            seed,
        )
        held_out = training.over(network, steps[training.HELD_OUT], N_HELD_OUT)
        accuracy = round(held_out.metric / held_out.seen, 4)
        metrics = {"accuracy": accuracy, "accuracy_from_scratch": _from_scratch(sets, seed)}
        card = _card(seed, history, metrics) | {"minutes": minutes()}
    return network, card


def _card(seed: int, history: list[dict[str, Any]], metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "title": "Objects transfer",
        "family": "convolutional network, residual; features taken over from objects_cnn",
        "task": f"Which of {len(LABELS)} shapes that objects_cnn never saw is in the picture?",
        "why": (
            f"From {PER_CLASS} pictures a class the frozen features reach {metrics['accuracy']:.1%}; the "
            f"same network trained from scratch on them reaches {metrics['accuracy_from_scratch']:.1%}."
        ),
        "output": "classes",
        "data": training.objects_told(seed, N_TRAINING, N_VALIDATION, N_HELD_OUT) | {"group": "transfer"},
        "preprocessing": training.OBJECTS_PREPROCESSING,
        "input_shape": [3, 64, 64],
        "labels": list(LABELS),
        "stimuli": "objects?group=transfer",
        "hyperparameters": RECIPE.told(
            frozen="everything but head", variation="the eight turned and mirrored versions of each picture"
        )
        | {"from scratch": SCRATCH.told(variation=training.VARIATION)},
        "metric": "share correct",
        "history": history,
        "metrics": metrics,
        "licence": training.LICENCE,
    }
