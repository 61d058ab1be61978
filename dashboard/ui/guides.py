"""The guided examples as cards that open a session."""

from __future__ import annotations

import streamlit as st

from dashboard.errors import HomologError
from dashboard.report import session as sessions
from dashboard.report.guided import GUIDES, Guide
from dashboard.report.session import Session
from dashboard.ui import answers, desk
from dashboard.ui.text import plain


def draw() -> None:
    """Draw a card for each example."""
    for column, (name, guide) in zip(st.columns(len(GUIDES)), GUIDES.items(), strict=True):
        with column.container(border=True, height="stretch"):
            _card(name, guide)


def _card(name: str, guide: Guide) -> None:
    st.markdown(f"**{plain(guide.title)}**")
    st.markdown(plain(guide.sentence))
    reason = guide.why_not()
    if reason:
        st.caption(plain(reason))
    elif st.button(
        "Open this example",
        icon=":material/school:",
        key=f"guide-{name}",
        help="A session of your own with all steps; what you pinned before stays in its session.",
    ):
        try:
            open_guide(guide)
        except HomologError as error:
            answers.problem(error)
            return
        st.switch_page("report.py")


def open_guide(guide: Guide) -> Session:
    """Begin a session with the example and choose in the sidebar what it is about."""
    made = desk.begin(Session(sessions.new_id(), guide.title, guide.report(), guide.choices))
    for name, _ in guide.choices:
        st.session_state.pop(name, None)
    st.session_state["_restored"] = False
    return made
