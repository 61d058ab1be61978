"""The report on the whole screen, one figure a slide."""

import streamlit as st

from dashboard.errors import HomologError
from dashboard.ui import answers, desk, presenting


def page() -> None:
    """Draw the slides of this session, or of the one that the link names."""
    st.title("What do you see?")
    try:
        session, _ = desk.looking_at()
    except HomologError as error:
        answers.problem(error)
        st.page_link("report.py", label="Back to the report", icon=":material/arrow_back:")
        return
    presenting.draw(session)


page()
