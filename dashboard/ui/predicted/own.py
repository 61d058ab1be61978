"""Where a visitor drops pictures: they are kept unopened, and workers check them like any other stimuli."""

from __future__ import annotations

import streamlit as st

from dashboard.errors import HomologError
from dashboard.stimuli import uploads
from dashboard.ui import answers
from dashboard.ui.adding import session


def drop_zone() -> None:
    """Draw the place for one's own pictures; what is dropped becomes the stimuli of the sidebar."""
    with st.popover(
        "Your pictures", icon=":material/upload:", help="Drop pictures here and see what the network says."
    ):
        st.file_uploader(
            "Drop pictures here",
            type=list(uploads.ENDINGS),
            accept_multiple_files=True,
            key="own",
            on_change=_take,
            help="PNG, JPEG or WebP, up to 25 million pixels each, 100 MB together. Their names become the "
            "names of the stimuli; letters before a number (heart 1.png) become the category.",
        )
        st.caption(
            "They stay on this server for a month, under a link that nobody can guess: who has the link sees "
            "them."
        )


def _take() -> None:
    """Keep what was dropped and choose it; runs before the page is drawn."""
    given = st.session_state.get("own") or []
    if not given:
        return
    state = st.session_state
    state.pop("own_problem", None)
    try:
        session.count(sum(file.size for file in given))
        state["stimuli"] = uploads.keep([(file.name, file.getvalue()) for file in given], session.secret())
    except HomologError as error:
        state["own_problem"] = error


def problem() -> None:
    """Say why the last upload was not taken."""
    error = st.session_state.get("own_problem")
    if error is not None:
        answers.problem(error)
