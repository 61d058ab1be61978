"""The words of a text, coloured by their values; values show on hover, focus and arrow keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.errors import InputError
from dashboard.figures import theme

if TYPE_CHECKING:
    from dashboard.figures.attribution import TokenRow

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_words",
    html='<div class="words-view"></div>',
    css=(_HERE / "words.css").read_text("utf-8"),
    js=(_HERE / "words.js").read_text("utf-8"),
)


def words_view(rows: Sequence[TokenRow], *, key: str, label: str) -> None:
    """Show a text once per row, every word on the colour of its value.

    Parameters
    ----------
    rows : sequence of TokenRow
    key : str
        Key of the component in the app.
    label : str
        What the figure shows, for those who cannot see it.

    Raises
    ------
    InputError
        When there is no row, or not a value for each word.
    """
    _mount(data=message(rows, label), key=key)


def message(rows: Sequence[TokenRow], label: str) -> dict[str, Any]:
    """Return the rows as plain data: words, values in words, background and ink of each."""
    if not rows or any(len(row.words) != len(row.values) for row in rows):
        problem = "There is not a value for each word."
        raise InputError(problem)
    return {"label": label, "rows": [_row(row) for row in rows]}


def _row(row: TokenRow) -> dict[str, Any]:
    lut = theme.lut("diverging" if row.signed else "viridis")
    low = -row.bound if row.signed else 0.0
    level = np.clip((np.asarray(row.values, dtype=np.float64) - low) / (row.bound - low), 0, 1)
    colours = lut[np.minimum((level * 256).astype(int), 255)].astype(float)
    light = colours @ (0.299, 0.587, 0.114) > 130
    return {
        "title": row.title,
        "caption": row.caption,
        "alt": row.alt,
        "words": [
            {
                "word": word,
                "value": theme.three_digits(value),
                "background": "#" + "".join(f"{int(c):02X}" for c in colour),
                "ink": "#11161F" if bright else "#FFFFFF",
            }
            for word, value, colour, bright in zip(row.words, row.values, colours, light, strict=True)
        ],
    }
