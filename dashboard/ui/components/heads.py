"""All heads of all layers as small maps on one canvas: a click or Enter chooses a head."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.errors import InputError
from dashboard.figures import theme

if TYPE_CHECKING:
    from dashboard.figures.attention import HeadRow

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_heads",
    html='<div class="heads-view"></div>',
    css=(_HERE / "heads.css").read_text("utf-8"),
    js=(_HERE / "heads.js").read_text("utf-8"),
)

MOST_PIXELS = 96
"""A small map has at most so many elements to a side; larger ones keep the largest value of each block."""


def heads_view(
    rows: Sequence[HeadRow],
    *,
    label: str,
    key: str,
    chosen: tuple[int, int] | None = None,
    hint: str = "Point at a head to read about it; click to choose it.",
    lut: str = "viridis",
    on_choice: Callable[[], None] | None = None,
) -> tuple[int, int] | None:
    """Show the heads and return row and column of the one chosen last.

    Parameters
    ----------
    rows : sequence of HeadRow
        Layers in order of depth.
    label : str
        What the grid shows, for those who cannot see it.
    key : str
        Key of the component in the app.
    chosen : (int, int), optional
        The head that stands out.
    on_choice : callable, optional
        Called when somebody chooses; ``st.session_state[key]["chosen"]`` is then ``[row, column]``.
    """
    data = message(rows, label, chosen, hint, lut)
    result = _mount(data=data, key=key, on_chosen_change=on_choice or _noted)
    return place(result.chosen, rows)


def _noted() -> None:
    """Do nothing: without a callback the component has no state."""


def place(sent: Any, rows: Sequence[HeadRow]) -> tuple[int, int] | None:
    """Return what the browser sent when it is one of our heads, else None."""
    if not isinstance(sent, list | tuple) or len(sent) != 2:
        return None
    row, column = sent
    if any(isinstance(k, bool) or not isinstance(k, int) for k in (row, column)):
        return None
    fits = 0 <= row < len(rows) and 0 <= column < len(rows[row].heads)
    return (row, column) if fits else None


def message(
    rows: Sequence[HeadRow],
    label: str,
    chosen: tuple[int, int] | None = None,
    hint: str = "",
    lut: str = "viridis",
) -> bytes:
    """Pack the grid into one block of bytes, the only form in which bytes reach a component.

    Returns
    -------
    bytes
        uint32 length of the header, the header as JSON, the colour map, every map as one byte an element.

    Raises
    ------
    InputError
        When there is no head, or a layer lacks a map or words for one of its heads.
    """
    if not rows or any(not row.heads for row in rows):
        problem = "There is no head to draw."
        raise InputError(problem, "Choose at least one layer with attention.")
    listed: list[dict[str, Any]] = []
    parts = [theme.lut(lut).tobytes()]
    for row in rows:
        maps = small(row.maps)
        if not len(maps) == len(row.heads) == len(row.words):
            problem = f"{row.name} has {len(row.heads)} heads, {len(maps)} maps and {len(row.words)} words."
            raise InputError(problem)
        parts.append(np.clip(np.nan_to_num(maps) * 256, 0, 255).astype(np.uint8).tobytes())
        heads = [{"name": n, "words": w} for n, w in zip(row.heads, row.words, strict=True)]
        size = {"height": maps.shape[1], "width": maps.shape[2]}
        listed.append({"name": row.name, "short": row.short, "heads": heads, **size})
    header = {"rows": listed, "label": label, "hint": hint}
    body = b"".join(parts)
    digest = hashlib.sha256(json.dumps(header).encode() + body).hexdigest()
    text = json.dumps(header | {"digest": digest, "chosen": list(chosen) if chosen else None}).encode()
    return len(text).to_bytes(4, "little") + text + body


def small(maps: np.ndarray, most: int = MOST_PIXELS) -> np.ndarray:
    """Return maps (n, rows, columns) with at most ``most`` rows and columns: the largest of each block."""
    for axis in (1, 2):
        size = maps.shape[axis]
        if size > most:
            starts = np.unique(np.arange(most) * size // most)
            maps = np.maximum.reduceat(maps, starts, axis=axis)
    return maps
