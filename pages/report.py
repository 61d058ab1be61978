"""What was pinned, in order, with words between: to be shown, and taken along."""

import streamlit as st

from dashboard.errors import HomologError
from dashboard.report.session import Session
from dashboard.ui import answers, desk, guides, report_items, report_sessions, taking
from dashboard.ui.text import plain


def empty() -> None:
    """Say how figures come here."""
    st.info(
        "Nothing is pinned yet. Press Pin under a figure that you want to show, on any page; it lands here.",
        icon=":material/keep:",
    )
    st.header("Or begin with a guided example")
    guides.draw()


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
        taking.draw(session.report)
    elif own:
        empty()
    if own:
        report_items.add()


def top(session: Session, own: bool) -> None:
    """Draw what concerns the whole report."""
    if not own:
        report_sessions.guest(session)
    with st.container(horizontal=True, vertical_alignment="center", key="report-tools"):
        if session.report.items:
            st.page_link(
                "present.py",
                label="Present",
                icon=":material/slideshow:",
                help="One figure a slide over the whole screen; the arrow keys move, Escape comes back.",
                query_params=None if own else {"session": session.id},
            )
        if own:
            report_sessions.draw(session)
            report_sessions.undo_delete()
        if own and session.removed:
            st.button(
                "Undo removal",
                icon=":material/undo:",
                on_click=desk.undo,
                help=f"Bring back what was removed last; {len(session.removed)} can be.",
            )


page()
