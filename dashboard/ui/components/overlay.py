"""Maps over pictures on a canvas: opacity, swipe and exact values in the browser, without a round trip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.errors import InputError
from dashboard.figures import overlay, raster, theme
from dashboard.figures.block import packed

if TYPE_CHECKING:
    from dashboard.figures.overlay import Panel

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_overlay",
    html='<div class="overlay-view"></div>',
    css=(_HERE / "overlay.css").read_text("utf-8"),
    js=(_HERE / "overlay.js").read_text("utf-8"),
)

WIDEST = 360
"""A panel grows no wider than this many pixels unless told otherwise."""


@dataclass(frozen=True)
class Place:
    """An element of a map that was chosen.

    Attributes
    ----------
    panel : str
        Title of its panel.
    row, column : int
    """

    panel: str
    row: int
    column: int


def overlay_view(
    panels: Sequence[Panel],
    *,
    key: str,
    label: str,
    widest: int = WIDEST,
    narrowest: int = 150,
    multiple: int = 1,
    choosing: str = "",
    marked: tuple[int, int] | None = None,
    on_choice: Callable[[], None] | None = None,
) -> Place | None:
    """Show pictures with maps over them, on one cursor, with sliders for opacity and swipe.

    Parameters
    ----------
    panels : sequence of Panel
        In order; panels of one scale share one colour bar.
    key : str
        Key of the component in the app; the sliders keep their place under it.
    label : str
        What the figure shows, for those who cannot see it.
    widest, narrowest : int
        Limits of the width of one panel in pixels.
    multiple : int
        Columns come in multiples of this, so that panels that belong together stay in one row.
    choosing : str
        What a click or Enter on an element does, such as "shows where this patch looks"; ``""`` when
        elements cannot be chosen.
    marked : (int, int), optional
        Row and column of the element that is marked in every panel.
    on_choice : callable, optional
        Called when somebody chooses; ``st.session_state[key]["chosen"]`` is then ``[title, row, column]``.

    Returns
    -------
    Place or None
        The element that was chosen last.

    Raises
    ------
    InputError
        When there is no panel.
    """
    data = message(panels, key, label, widest, narrowest, choosing, marked, multiple)
    result = _mount(data=data, key=key, on_chosen_change=on_choice or _noted)
    return chosen(result.chosen, panels)


def _noted() -> None:
    """Do nothing: without a callback the component has no state."""


def chosen(sent: Any, panels: Sequence[Panel]) -> Place | None:
    """Return what the browser sent when it is an element of one of the maps, else None."""
    if not isinstance(sent, list | tuple) or len(sent) != 3:
        return None
    title, row, column = sent
    if any(isinstance(k, bool) or not isinstance(k, int) for k in (row, column)):
        return None
    shapes = {p.title: p.values.shape for p in panels if p.values is not None}
    rows, columns = shapes.get(title, (0, 0)) if isinstance(title, str) else (0, 0)
    return Place(title, row, column) if 0 <= row < rows and 0 <= column < columns else None


# --- the message ----------------------------------------------------------------------------------------


def message(
    panels: Sequence[Panel],
    key: str = "",
    label: str = "",
    widest: int = WIDEST,
    narrowest: int = 150,
    choosing: str = "",
    marked: tuple[int, int] | None = None,
    multiple: int = 1,
) -> bytes:
    """Pack panels into one block of bytes, the only form in which bytes reach a component.

    Returns
    -------
    bytes
        uint32 length of the header, the header as JSON, then colour maps, maps as float32, segments as uint16
        and pictures as PNG, at the offsets behind the header that its ``parts`` give.
    """
    if not panels:
        problem = "There is no map to draw."
        raise InputError(problem, "Choose at least one.")
    parts = {f"lut-{name}": theme.lut(name).tobytes() for name in dict.fromkeys(p.lut for p in panels)}
    pictures: dict[bytes, str] = {}
    shown = []
    for k, panel in enumerate(panels):
        shown.append(_panel(panel))
        if panel.picture is not None:
            pixels = np.ascontiguousarray(panel.picture, dtype=np.uint8)
            digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
            name = pictures.setdefault(digest, f"picture{len(pictures)}")
            if name not in parts:
                parts[name] = raster.png(pixels)
            shown[-1]["picture"] = name
        if panel.values is not None:
            parts[f"values{k}"] = np.ascontiguousarray(panel.values, dtype="<f4").tobytes()
        if panel.regions is not None:
            parts[f"regions{k}"] = np.ascontiguousarray(panel.regions, dtype="<u2").tobytes()
    header = {
        "key": key,
        "label": label,
        "panels": shown,
        "scales": [_scale(*scale) for scale in overlay.scales(panels)],
        "linked": len(pictures) <= 1,
        "opacity": round(100 * overlay.OPACITY),
        "widest": widest,
        "narrowest": narrowest,
        "multiple": multiple,
        "choosing": choosing,
        "marked": list(marked) if marked else None,
    }
    return packed(header, parts, apart="marked")


def _panel(panel: Panel) -> dict[str, Any]:
    shape = panel.values.shape if panel.values is not None else (0, 0)
    size = panel.picture.shape[:2] if panel.picture is not None else shape
    return {
        "title": panel.title,
        "caption": panel.caption,
        "alt": overlay.describe(panel),
        "rows": shape[0],
        "columns": shape[1],
        "height": size[0],
        "width": size[1],
        "lo": panel.lo,
        "hi": panel.hi,
        "lut": panel.lut,
        "smooth": panel.smooth,
        "picture": "",
    }


def _scale(lo: float, hi: float, unit: str, lut: str) -> dict[str, Any]:
    return {
        "lo": theme.three_digits(lo),
        "hi": theme.three_digits(hi),
        "unit": unit,
        "lut": lut,
        "signed": lo < 0 < hi,
    }
