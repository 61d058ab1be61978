"""Bring files from the command line or a notebook: the same looks, recipes and references as the Add page."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dashboard import kept
from dashboard.errors import InputError
from dashboard.specs import Brings

ENDINGS: dict[str, Brings] = {
    **dict.fromkeys(("safetensors", "pt", "pth", "ckpt", "bin"), "network"),
    **dict.fromkeys(("annot", "label", "gii"), "labels"),
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "zip", "txt"), "stimuli"),
}
"""What a file most likely is, by its ending; everything else is taken for a recording."""


def bring(paths: Sequence[Path], brings: Brings | None = None, recipe: Path | None = None) -> tuple[str, str]:
    """Keep files, look at them, and return the reference that opens them with a sentence of what they are.

    Parameters
    ----------
    paths : sequence of Path
        Files that belong together.
    brings : "recording", "network", "stimuli" or "labels", optional
        Told by the ending of the first file when not given.
    recipe : Path, optional
        JSON that the Add page exported; a guess from names and shapes without it.

    Raises
    ------
    InputError
        When a file is refused, or files and recipe do not fit.
    """
    kind = brings or ENDINGS.get(paths[0].suffix.lower().lstrip("."), "recording")
    given = [(path.name, _bytes(path)) for path in paths]
    upload = kept.keep(given, secrets.token_hex(16))
    found = look(kind, upload.reference)
    answers = _read(recipe) if recipe is not None else found.get("recipe")
    made = kept.with_recipe(upload.reference, answers) if answers else upload
    return made.reference, _tried(kind, made)


def look(kind: Brings, upload: str) -> dict[str, Any]:
    """Tell what is in the files of an upload; see the ``look`` of each kind."""
    if kind == "network":
        from dashboard.networks import uploaded

        return uploaded.look(upload)
    if kind == "stimuli":
        from dashboard.stimuli import uploads

        return uploads.look(upload)
    if kind == "labels":
        from dashboard.recordings import cortex

        return cortex.look(upload)
    from dashboard.recordings import uploaded as brought

    return brought.look(upload)


def _tried(kind: Brings, made: kept.Kept) -> str:
    """Open what was brought, so that what does not fit is said now."""
    if kind == "network":
        from dashboard import networks

        network = networks.load(made.reference)
        count = sum(p.numel() for p in network.module.parameters())
        return f"{made.recipe['architecture']} with {count:,} weights."
    if kind == "stimuli":
        from dashboard import stimuli

        return f"{len(stimuli.load(made.reference))} stimuli."
    if kind == "labels":
        from dashboard.recordings import cortex

        return f"{len(cortex.regions(made.reference).names)} regions of the cortex."
    from dashboard import recordings

    recording = recordings.load(made.reference)
    return f"{len(recording.stimulus_names)} stimuli in {', '.join(recording.areas)}."


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f'"{path.name}" cannot be read.', "Check that it exists and that you may."
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(path)[: 2**20])
    except (ValueError, RecursionError) as error:
        raise InputError(f'"{path.name}" is not JSON.', "Use a recipe that the Add page exported.") from error
    if not isinstance(found, dict):
        raise InputError(f'"{path.name}" is no recipe.', "Use a recipe that the Add page exported.")
    return found
