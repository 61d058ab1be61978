"""Bundled networks: one file per architecture with its training recipe; weights and card lie beside it.

A file ``models/NAME.py`` is a bundled network as soon as its card ``models/NAME.json`` exists. It offers

- ``build() -> torch.nn.Module``, the untrained architecture;
- ``preprocess(picture) -> torch.Tensor``, a ``(height, width, 3)`` uint8 picture made ready for the network;
- ``train(seed=0) -> tuple[torch.nn.Module, dict]``, the trained network and its card.

``python -m models.train NAME`` runs the recipe and writes ``NAME.safetensors`` and ``NAME.json`` here.
This file does not import torch: the list, the cards and the weight files can be read without it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

CARD_KEYS = (
    "name",
    "title",
    "task",
    "data",
    "preprocessing",
    "input_shape",
    "labels",
    "parameters",
    "hyperparameters",
    "history",
    "metrics",
    "seed",
    "versions",
    "licence",
)
"""What every card says."""


def _discover() -> dict[str, str]:
    """Return name and module of every file here that has a card."""
    names = (path.stem for path in sorted(FOLDER.glob("*.json")))
    return {name: f"{__name__}.{name}" for name in names if (FOLDER / f"{name}.py").is_file()}


NETWORKS: dict[str, str] = _discover()
"""Module of every bundled network by name."""


def card(name: str) -> dict[str, Any]:
    """Return the card of a bundled network."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def weights(name: str) -> Path:
    """Return the weight file of a bundled network."""
    return FOLDER / f"{name}.safetensors"
