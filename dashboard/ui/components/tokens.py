"""Lines between the tokens of a text: who looks at whom, and how strongly, drawn here and offline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from dashboard.errors import InputError

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_tokens",
    html='<div class="tokens-view"></div>',
    css=(_HERE / "tokens.css").read_text("utf-8"),
    js=(_HERE / "tokens.js").read_text("utf-8"),
)

ALL_LINES = 64
"""Up to so many tokens every line is drawn."""

STRONGEST = 12
"""Of longer texts, so many lines of each token."""


def tokens_view(
    left: Sequence[str],
    right: Sequence[str],
    weights: np.ndarray,
    *,
    label: str,
    key: str,
    chosen: int | None = None,
    note: str = "",
    share: bool = True,
    on_choice: Callable[[], None] | None = None,
) -> int | None:
    """Show the lines of one head and return the token whose lines alone are wanted.

    Parameters
    ----------
    left, right : sequence of str
        Tokens that look, and tokens that are looked at.
    weights : np.ndarray (n_left, n_right)
        From 0 on; a row adds up to 1 when nothing is hidden.
    label : str
        What is shown, for those who cannot see it.
    key : str
        Key of the component in the app.
    chosen : int, optional
        Position of the token on the left that stands out.
    note : str
        A sentence below.
    share : bool
        Whether the weights are shares, and written in per cent.
    on_choice : callable, optional
        Called when somebody chooses; ``st.session_state[key]["chosen"]`` is then the position, or None.

    Raises
    ------
    InputError
        When there is no token, or the weights have another shape.
    """
    data = message(left, right, weights, label, chosen, note, share)
    result = _mount(data=data, key=key, on_chosen_change=on_choice or _noted)
    return position(result.chosen, len(left))


def _noted() -> None:
    """Do nothing: without a callback the component has no state."""


def position(sent: Any, n: int) -> int | None:
    """Return what the browser sent when it is the position of a token, else None."""
    fits = isinstance(sent, int) and not isinstance(sent, bool) and 0 <= sent < n
    return sent if fits else None


def message(
    left: Sequence[str],
    right: Sequence[str],
    weights: np.ndarray,
    label: str,
    chosen: int | None = None,
    note: str = "",
    share: bool = True,
) -> bytes:
    """Pack tokens and weights into one block of bytes, the only form in which bytes reach a component."""
    values = np.ascontiguousarray(np.nan_to_num(weights), dtype="<f4")
    if not left or not right or values.shape != (len(left), len(right)):
        problem = f"There are {len(left)} and {len(right)} tokens for weights of {values.shape}."
        raise InputError(problem, "Show at least one token on each side.")
    header = {
        "left": list(left),
        "right": list(right),
        "from": "Looks …",
        "to": "… at",
        "label": label,
        "note": note,
        "share": share,
        "most": float(values.max()) or 1.0,
        "lines": ALL_LINES if len(right) <= ALL_LINES else STRONGEST,
    }
    digest = hashlib.sha256(json.dumps(header).encode() + values.tobytes()).hexdigest()
    text = json.dumps(header | {"digest": digest, "chosen": chosen}).encode()
    return len(text).to_bytes(4, "little") + text + values.tobytes()
