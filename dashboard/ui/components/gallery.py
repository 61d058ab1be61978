"""Thumbnails to choose from, in one picture: a click or Enter chooses, the arrow keys move."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from dashboard.errors import InputError
from dashboard.figures import raster

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_gallery",
    html='<div class="gallery" role="listbox" aria-label="Pictures to choose from"></div>',
    css=(_HERE / "gallery.css").read_text("utf-8"),
    js=(_HERE / "gallery.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Tile:
    """One picture of a gallery.

    Attributes
    ----------
    name : str
        Unique; what a choice gives back.
    caption : str
        A few words below the picture.
    state : str
        "right", "wrong" or "": gives a mark before the caption.
    """

    name: str
    caption: str = ""
    state: str = ""


def gallery(
    tiles: Sequence[Tile],
    thumbnails: np.ndarray,
    *,
    label: str,
    key: str,
    chosen: str = "",
    on_choice: Callable[[], None] | None = None,
) -> str | None:
    """Show thumbnails and return the name that was clicked last, if it is among them.

    Parameters
    ----------
    tiles : sequence of Tile (n,)
    thumbnails : np.ndarray (n, s, s, 3) uint8
        In the order of the tiles.
    label : str
        What the gallery holds, for those who cannot see it.
    key : str
        Key of the component in the app.
    chosen : str
        The tile that stands out.
    on_choice : callable, optional
        Called when somebody chooses; the new name is in the state of ``key`` as ``chosen``.
    """
    data = message(tiles, thumbnails, label, chosen)
    result = _mount(data=data, key=key, on_chosen_change=on_choice or _noted)
    names = {tile.name for tile in tiles}
    found = result.chosen
    return str(found) if isinstance(found, str) and found in names else None


def _noted() -> None:
    """Do nothing: without a callback the component has no state."""


def message(tiles: Sequence[Tile], thumbnails: np.ndarray, label: str, chosen: str) -> bytes:
    """Pack the tiles and one picture of all thumbnails into a block of bytes.

    Returns
    -------
    bytes
        uint32 length of the header, the header as JSON, the picture.

    Raises
    ------
    InputError
        When there is no tile, or not a picture for each.
    """
    if not tiles or len(tiles) != len(thumbnails):
        problem = f"There are {len(thumbnails)} pictures for {len(tiles)} tiles."
        raise InputError(problem)
    packed = raster.sprite(thumbnails)
    header: dict[str, Any] = {
        "label": label,
        "tiles": [{"name": t.name, "caption": t.caption, "state": t.state} for t in tiles],
        "size": packed.size,
        "columns": packed.columns,
        "mime": packed.mime,
        "chosen": chosen,
    }
    digest = hashlib.sha256(json.dumps({**header, "chosen": ""}).encode() + packed.data).hexdigest()
    text = json.dumps({**header, "digest": digest}).encode()
    return len(text).to_bytes(4, "little") + text + packed.data
