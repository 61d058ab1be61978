"""What somebody is typing, told while it is typed: fields of Streamlit tell it only when they are left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_drafts",
    html='<div class="drafts" aria-live="off">Saves itself while you type.</div>',
    css=(_HERE / "drafts.css").read_text("utf-8"),
    js=(_HERE / "drafts.js").read_text("utf-8"),
)


def watch(field: str, saved: str, kept: str, keep: Callable[[str], None]) -> None:
    """Watch a text area and have what is typed kept within ten seconds.

    Parameters
    ----------
    field : str
        Key of the text area: plain letters, digits and hyphens, which its element is found by.
    saved : str
        What is in it at first.
    kept : str
        What was kept of it last: only then the person is told so.
    keep : callable
        Called with the text, between the reruns of a fragment.
    """
    key = f"draft-{field}"

    def told() -> None:
        text = st.session_state[key]["text"]
        if isinstance(text, str):
            keep(text)

    _mount(data={"field": field, "saved": saved, "kept": kept}, key=key, on_text_change=told)
