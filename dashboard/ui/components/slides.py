"""A report over the whole window, one figure a slide, with the arrow keys; the figures stay interactive."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.figures import theme

_HERE = Path(__file__).parent
INK = ("text", "muted", "grid", "background", "panel", "network")


@dataclass(frozen=True)
class Slide:
    """One slide.

    Attributes
    ----------
    kind : {"panel", "text", "section"}
    title : str
    section : str
        The heading that it belongs to.
    words : str
        Key of the container in which Streamlit drew the caption or the text.
    source : str
        Where the figure comes from, in small type.
    chart : dict or None
        Vega-Lite specification in light theme.
    matrix : str
        Message of the matrix view in base64, where matrices are shown with their values.
    alt : str
    """

    kind: str
    title: str = ""
    section: str = ""
    words: str = ""
    source: str = ""
    chart: dict[str, Any] | None = None
    matrix: str = ""
    alt: str = ""


def slides(shown: list[Slide], *, title: str, start: int, dark: bool, key: str) -> bool:
    """Show slides over everything else and return whether somebody wants to leave.

    Parameters
    ----------
    shown : list of Slide
    title : str
        What the whole is called, for those who cannot see it.
    start : int
        Number of the first slide, from zero; the address in the browser follows the slide.
    dark : bool
        The theme to begin with.
    key : str
    """
    data = {
        "slides": [asdict(slide) for slide in shown],
        "title": title,
        "start": start,
        "dark": dark,
        "partners": theme.partners(),
        "ink": {
            name: {ink: theme.colour(ink, name == "dark") for ink in INK}  # type: ignore[arg-type]
            for name in ("light", "dark")
        },
        "matrixCss": (_HERE / "matrix.css").read_text("utf-8"),
    }
    return bool(_mount()(data=data, key=key, on_leave_change=_noted).leave)


def _noted() -> None:
    """Do nothing: without a callback the component has no trigger."""


@lru_cache(maxsize=1)
def _mount() -> Any:
    # Made on the first visit: bundling takes a second or more, which no other page needs.
    return st.components.v2.component(
        "homolog_slides",
        html='<div class="hs-mount"></div>',
        css=(_HERE / "slides.css").read_text("utf-8"),
        js=script(),
        isolate_styles=False,  # captions are copies of what Streamlit drew, in its styles
    )


@lru_cache(maxsize=1)
def script() -> str:
    """Return Vega, the matrix view and the slides as one module that needs no network."""
    import vl_convert

    matrix = (_HERE / "matrix.js").read_text("utf-8")
    matrix = matrix.replace("export default function", "const exported = function", 1)
    own = (_HERE / "slides.js").read_text("utf-8")
    return vl_convert.javascript_bundle(
        f"const drawMatrix = (() => {{\n{matrix}\nreturn exported;\n}})();\n{own}\nexport default mount;\n"
    )
