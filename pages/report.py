"""What was pinned, in order, with words between: to be shown, and taken along."""

import streamlit as st

from dashboard.errors import HomologError
from dashboard.report.session import Session
from dashboard.ui import answers, desk, report_items
from dashboard.ui.text import plain


def empty() -> None:
    """Say how figures come here."""
    st.info(
        "Nothing is pinned yet. Press Pin under a figure that you want to show, on any page; it lands here.",
        icon=":material/keep:",
    )


def page() -> None:
    """Draw the report of this session, or of the one that the link names."""
    st.title("What will you show?")
    try:
        session, own = desk.looking_at()
    except HomologError as error:
        answers.problem(error)
        return
    said = desk.note()
    if said:
        st.warning(plain(said), icon=":material/warning:")
    top(session, own)
    if session.report.items:
        report_items.draw(session.report, own)
    elif own:
        empty()
    if own:
        report_items.add()


def top(session: Session, own: bool) -> None:
    """Draw what concerns the whole report."""
    with st.container(horizontal=True, key="report-tools"):
        if own and session.removed:
            st.button(
                "Undo removal",
                icon=":material/undo:",
                on_click=desk.undo,
                help=f"Bring back what was removed last; {len(session.removed)} can be.",
            )


page()
