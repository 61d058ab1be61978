"""Networks that come with Homolog: ``bundled:NAME``, from the folder ``models/``."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import models
from dashboard.errors import unknown
from dashboard.networks import files
from dashboard.networks.network import Entry, InputKind, Opened, TextInput
from dashboard.reference import Reference


def entries() -> Iterable[Entry]:
    """Return the bundled networks."""
    for name in models.NETWORKS:
        yield Entry(f"bundled:{name}", models.card(name)["title"], "bundled", "bundled")


def facts(ref: Reference) -> dict[str, Any]:
    """Return what answers about a bundled network depend on: its code, its weights and torch."""
    name = _known(ref)
    return {
        "name": name,
        "code": [files.sha256(file) for file in _code(name)],
        "torch": version("torch"),
        "weights": None if "untrained" in ref.options else files.sha256(models.weights(name)),
    }


def reads(ref: Reference) -> InputKind:
    """Return what the card says that the network is shown."""
    return cast(InputKind, models.card(_known(ref)).get("input", "image"))


def open_network(ref: Reference) -> Opened:
    """Build a bundled network and load its weights."""
    from dashboard.networks import weights

    name = _known(ref)
    recipe = importlib.import_module(models.NETWORKS[name])
    card = models.card(name)
    module = recipe.build()
    if "untrained" in ref.options:
        title = f"{card['title']}, untrained"
        told = f"Untrained: random weights from seed {ref.integer('seed', 0)}."
    else:
        file = models.weights(name)
        weights.put(weights.read_file(file, files.sha256(file)), module, file.name, name)
        title = card["title"]
        told = f"Trained by Homolog's own recipe: {card['task']}"
    return Opened(
        module=module,
        preprocess=recipe.preprocess,
        input_shape=tuple(card["input_shape"]),
        title=title,
        preprocessing=card["preprocessing"],
        weights=told,
        labels=tuple(card["labels"]),
        card=card,
        text=_text_input(card, recipe),
    )


def suited_stimuli(ref: Reference) -> str:
    """Return the stimuli that a bundled network was made for, as its card says; ``""`` when it does not."""
    return str(models.card(_known(ref)).get("stimuli", ""))


def _text_input(card: dict[str, Any], recipe: Any) -> TextInput | None:
    """Return how texts become batches, for a network whose card says that it reads texts."""
    if card.get("input") != "text":
        return None
    import torch

    vocabulary = card["vocabulary"]
    padding, known, room = vocabulary.index(recipe.PAD), set(vocabulary), recipe.LENGTH - 1

    def words(text: str) -> tuple[str, ...]:
        found = recipe.words(text)[:room]
        return (recipe.CLS, *(word if word in known else recipe.UNKNOWN for word in found))

    return TextInput(
        pad=torch.stack,
        mask=lambda batch: batch != padding,
        words=words,
        dropped=lambda text: max(len(recipe.words(text)) - room, 0),
    )


def _code(name: str) -> list[Path]:
    """Return the files that say how the network is built and fed: its own and what the recipes share."""
    return [models.FOLDER / f"{name}.py", *sorted(models.FOLDER.glob("_[!_]*.py"))]


def _known(ref: Reference) -> str:
    if ref.rest not in models.NETWORKS:
        raise unknown("bundled network", ref.rest, models.NETWORKS)
    return ref.rest
