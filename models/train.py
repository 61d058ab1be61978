"""Train a bundled network by its own recipe: ``python -m models.train NAME``."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models import CARD_KEYS, FOLDER


def recipes() -> list[str]:
    """Return the names of all architectures here, trained or not."""
    return sorted(path.stem for path in FOLDER.glob("[a-z]*.py") if path.stem != "train")


def train(name: str, seed: int = 0, folder: Path = FOLDER) -> dict[str, Any]:
    """Train one network and write its weights and its card.

    Parameters
    ----------
    name : str
        File name of the architecture without its ending, such as ``"tilt_cnn"``.
    seed : int, optional
        Seed handed to the recipe.
    folder : Path, optional
        Where ``NAME.safetensors`` and ``NAME.json`` are written.

    Returns
    -------
    dict
        The card, as written.

    Raises
    ------
    KeyError
        When the recipe's card lacks something that every card says.
    """
    import torch
    from safetensors.torch import save

    recipe = importlib.import_module(f"models.{name}")
    with torch.random.fork_rng(devices=[]):
        network, card = recipe.train(seed=seed)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    data = save(state)
    card = {
        **card,
        "name": name,
        "seed": seed,
        "parameters": sum(p.numel() for p in network.parameters()),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        message = f"The card of {name} lacks {', '.join(missing)}."
        raise KeyError(message)
    text = json.dumps({key: card[key] for key in (*CARD_KEYS, *sorted(set(card) - set(CARD_KEYS)))}, indent=1)
    _write(folder / f"{name}.safetensors", data)
    _write(folder / f"{name}.json", (text + "\n").encode())
    return card


def _write(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and rename, so that no half file is ever seen."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("name", choices=recipes(), help="which network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write weights and card")
    options = parser.parse_args()
    card = train(options.name, options.seed, options.folder)
    print(json.dumps({"name": card["name"], "metrics": card["metrics"], "sha256": card["sha256"]}, indent=1))


if __name__ == "__main__":
    main()
