"""From a session to its slides."""

from __future__ import annotations

import base64

import streamlit as st

from dashboard import compute, provenance
from dashboard.errors import HomologError
from dashboard.report import drawing
from dashboard.report.model import Item, Panel, Section, Text
from dashboard.report.session import Session
from dashboard.specs import StimuliSpec
from dashboard.ui import choices
from dashboard.ui.components import matrix
from dashboard.ui.components.slides import Slide, slides
from dashboard.ui.text import written


def draw(session: Session) -> None:
    """Draw all slides; what the captions say is drawn behind them, where the slides copy it from."""
    if not session.report.items:
        st.info("There is nothing to show yet: pin a figure first.", icon=":material/keep:")
        st.page_link("report.py", label="Back to the report", icon=":material/arrow_back:")
        return
    st.session_state["_restored"] = False  # the sidebar, not drawn here, forgets what was chosen
    shown, section = [], ""
    for item in session.report.items:
        section = item.title if isinstance(item, Section) else section
        shown.append(_slide(item, section))
    if slides(
        shown,
        title=session.report.title,
        start=_start(len(shown)),
        dark=choices.dark(),
        key=f"slides-{session.id[:8]}",
    ):
        st.switch_page("report.py", query_params=_back())


def _back() -> dict[str, str]:
    asked = st.query_params.get("session", "")
    return {"session": asked} if asked else {}


def _start(count: int) -> int:
    text = st.query_params.get("slide", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    return min(max(number, 1), count) - 1


def _slide(item: Item, section: str) -> Slide:
    if isinstance(item, Section):
        return Slide("section", item.title)
    if isinstance(item, Text):
        return Slide("text", section=section, words=_words(item.id, item.text))
    return Slide(
        "panel",
        item.title,
        section,
        _words(item.id, item.caption),
        _source(item),
        item.chart or None,
        _matrix(item),
        item.alt or item.title,
    )


def _words(item_id: str, text: str) -> str:
    """Draw a text with its mathematics and return the key of where it stands."""
    if not text.strip():
        return ""
    key = f"words-{item_id}"
    with st.container(key=key):
        st.markdown(written(text))
    return key


def _source(item: Panel) -> str:
    return " · ".join(provenance.title(spec) for spec in item.specs)


def _matrix(item: Panel) -> str:
    """Return the message of the matrix view, when the panel shows matrices and the values are stored."""
    try:
        found = [compute.stored(spec) for spec in item.specs]
        if any(answer is None for answer in found):
            return ""
        areas = drawing.companion(item)
        shown = drawing.matrices(
            item,
            [answer for answer in found if answer is not None],
            compute.stored(areas) if areas else None,
        )
        if not shown:
            return ""
        pictures = _pictures(str(getattr(item.spec, "stimuli", "")))
        names = () if pictures is None else list(map(str, pictures.stimulus.values))
        thumbnails = None if pictures is None else pictures.thumbnail.values
        return base64.b64encode(matrix.message(shown, thumbnails, names, "viridis", 520, None)).decode()
    except HomologError:  # the picture that was pinned is shown instead
        return ""


def _pictures(stimuli: str) -> choices.Answer | None:
    return compute.stored(StimuliSpec(stimuli=stimuli)) if stimuli else None
