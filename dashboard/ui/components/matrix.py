"""Matrices on a canvas: one cursor for all panels, both pictures, exact values, a pair to pin."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.errors import InputError
from dashboard.figures import matrix_bytes, raster

if TYPE_CHECKING:
    from dashboard.figures.rdms import Matrix

_HERE = Path(__file__).parent

# Registered once: the name of a component is unique in an app.
_mount = st.components.v2.component(
    "homolog_matrix",
    html='<div class="matrix-view"></div>',
    css=(_HERE / "matrix.css").read_text("utf-8"),
    js=(_HERE / "matrix.js").read_text("utf-8"),
)

WIDEST = 520
"""Matrices grow no wider than this many pixels unless a height is given."""


def matrix_view(
    matrices: Sequence[Matrix],
    *,
    thumbnails: np.ndarray | None = None,
    names: Sequence[str] = (),
    key: str,
    lut: str = "viridis",
    height: int | None = None,
    pinned: tuple[str, str] | None = None,
) -> tuple[str, str] | None:
    """Show matrices side by side and return the pinned pair of stimuli.

    Hovering or the arrow keys move one cursor through all matrices; a click or Enter pins the pair, Escape
    unpins it.

    Parameters
    ----------
    matrices : sequence of Matrix
        All with the same labels in the same order, as `figures.rdms.matrices` gives them.
    thumbnails : np.ndarray (n, s, s, 3) uint8, optional
        Pictures of the stimuli ``names``.
    names : sequence of str (n,)
        Names of the pictures, in any order: they are matched by name.
    key : str
        Key of the component in the app.
    lut : str
        Colour map.
    height : int, optional
        Largest side of a matrix in pixels.
    pinned : tuple of str, optional
        Pair that is pinned when the view first appears (from a link, say).

    Returns
    -------
    tuple of str or None
        Row and column stimulus of the pinned pair.

    Raises
    ------
    InputError
        When there is no matrix, or the matrices have different labels.
    """
    data = message(matrices, thumbnails, names, lut, height or WIDEST, pinned)
    result = _mount(
        data=data, key=key, default={"pinned": list(pinned) if pinned else None}, on_pinned_change=_noted
    )
    return _pair(result.pinned, matrices[0].labels)


def _noted() -> None:
    """Do nothing: without a callback the component has no state."""


def _pair(found: Any, labels: Sequence[str]) -> tuple[str, str] | None:
    """Return what the browser sent when it is a pair of our stimuli, else None."""
    if not isinstance(found, list | tuple) or len(found) != 2 or not set(map(str, found)) <= set(labels):
        return None
    return str(found[0]), str(found[1])


# --- the message -------------------------------------------------------------------------------------------


def message(
    matrices: Sequence[Matrix],
    thumbnails: np.ndarray | None,
    names: Sequence[str],
    lut: str,
    widest: int,
    pinned: tuple[str, str] | None,
) -> bytes:
    """Pack everything into one block of bytes, which is the only form in which bytes reach a component."""
    if thumbnails is not None and len(thumbnails) != len(names):
        problem = f"There are {len(thumbnails)} pictures but {len(names)} names."
        raise InputError(problem)
    sprite = None
    if thumbnails is not None:
        sprite = _sprite(hashlib.sha256(thumbnails.tobytes()).hexdigest(), thumbnails)
    return matrix_bytes.packed(matrices, sprite, names, lut, widest, pinned)


@st.cache_data(max_entries=32, show_spinner=False)
def _sprite(digest: str, _thumbnails: np.ndarray) -> raster.Sprite:
    """Pack thumbnails once; the digest tells sets apart."""
    return raster.sprite(_thumbnails)
