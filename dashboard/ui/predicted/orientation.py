"""The Predictions page of a network that reads an orientation: predicted against true, and the errors."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import regression as figure
from dashboard.figures.alternative import alt_text
from dashboard.ui import charts, panel, tables
from dashboard.ui.components.gallery import Tile
from dashboard.ui.predicted import shared
from dashboard.ui.predicted.shared import Shown
from dashboard.ui.text import plain


def show(shown: Shown) -> None:
    """Draw predicted against true beside the chosen stimulus, then the errors."""
    answer = shown.answer
    left, right = st.columns([3, 2], gap="medium")
    with right:
        picture = shared.chosen(shown)
        shared.stimulus(shown, picture, figure.words_about(answer, picture))
    with left:
        main(shown, picture)
    st.caption(
        "Orientations come back to themselves after 180 degrees; 0 is vertical and angles grow clockwise. "
        + plain(f"What the network is given: {answer.attrs['preprocessing']}.")
    )
    panel.footer(answer, shown.spec, lambda: figure.main_chart(answer), name="predictions")
    details(shown)


def main(shown: Shown, picture: str) -> None:
    """Draw predicted against true; a click on a point chooses its stimulus."""
    answer = shown.answer
    if not figure.labelled(answer):
        charts.draw(
            answer, "answers", lambda dark: figure.answer_chart(answer, dark=dark), alt=figure.alt(answer)
        )
        return

    def take() -> None:
        found = st.session_state["scatter"].selection.get("dot") or [{}]
        if found[0].get("stimulus") in shown.names:
            st.session_state["picture"] = found[0]["stimulus"]

    charts.draw(
        answer,
        "scatter",
        lambda dark: figure.scatter_chart(answer, picture, dark=dark),
        picture,
        alt=figure.alt(answer),
        on_select=take,
    )


def details(shown: Shown) -> None:
    """Draw the distribution of the errors, the largest ones and the table, in tabs."""
    known = figure.labelled(shown.answer)
    names = ["Errors", "Largest", "Table"] if known else ["Table"]
    tabs = st.tabs(names, key="errors", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, (errors, largest, table) if known else (table,), strict=True):
        if tab.open:
            with tab:
                draw(shown)


def errors(shown: Shown) -> None:
    """Draw how the errors spread."""
    answer, words = shown.answer, figure.error_words(shown.answer)
    st.markdown(plain(words))
    with st.columns([3, 2])[0]:
        charts.draw(answer, "error-chart", lambda dark: figure.error_chart(answer, dark=dark), alt=words)
    panel.footer(answer, shown.spec, lambda: figure.error_chart(answer, width=480), name="errors")


def largest(shown: Shown) -> None:
    """Draw the stimuli with the largest errors."""
    error = dict(zip(shown.names, shown.answer.error.to_numpy(), strict=True))
    tiles = [Tile(name, f"{error[name]:+.1f}°") for name in figure.worst(shown.answer)]
    shared.items(shown, tiles, "largest", f"The {len(tiles)} largest errors, in degrees")


def table(shown: Shown) -> None:
    """Draw every prediction as a table."""
    tables.draw(figure.table(shown.answer).round(2), alt=alt_text(shown.answer))
