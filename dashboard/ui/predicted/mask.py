"""The Predictions page of a network that draws masks: how well they fit, picture by picture."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import segmentation as figure
from dashboard.figures.alternative import alt_text
from dashboard.ui import charts, panel, tables
from dashboard.ui.components.gallery import Tile
from dashboard.ui.predicted import shared
from dashboard.ui.predicted.shared import Shown
from dashboard.ui.text import plain


def show(shown: Shown) -> None:
    """Draw the pictures, worst first, and both outlines over the chosen one; then how the IoU spreads."""
    answer = shown.answer
    left, right = st.columns([3, 2], gap="medium")
    with left:
        kept = set(shared.filtered(shown))
        _start_with_the_worst(shown)
        picture = shared.chosen(shown)
        iou = dict(zip(shown.names, answer.iou.to_numpy(), strict=True))
        known = figure.labelled(answer)
        tiles = [Tile(n, f"IoU {iou[n]:.3f}" if known else "") for n in figure.order(answer) if n in kept]
        label = "Pictures with the overlap of both masks, the worst first" if known else "Pictures"
        shared.items(shown, tiles, "grid", label)
    with right:
        outlines(shown, picture)
    panel.footer(answer, shown.spec, lambda: figure.main_chart(answer), name="predictions")
    details(shown)


def _start_with_the_worst(shown: Shown) -> None:
    """Let a first visit open with the picture that has most to show."""
    if shared.current() not in shown.names and not st.query_params.get("picture"):
        st.session_state["picture"] = figure.order(shown.answer)[0]


def outlines(shown: Shown, picture: str) -> None:
    """Draw one picture with the true and the predicted outline."""
    answer, words = shown.answer, figure.words_about(shown.answer, picture)
    thumbnail = shown.thumbnail(picture)
    charts.draw(
        answer,
        "overlay",
        lambda dark: figure.overlay_chart(answer, picture, thumbnail, dark=dark),
        picture,
        thumbnail is None,
        width="content",
        alt=words,
    )
    st.markdown(f"**{plain(picture)}**  \n{plain(words)}")
    which = "White: the true outline; blue, dashed: the network's." if figure.labelled(answer) else ""
    st.caption(which or "Blue, dashed: the network's outline.")


def details(shown: Shown) -> None:
    """Draw the histogram and the table, in tabs."""
    known = figure.labelled(shown.answer)
    names = ["Overlap", "Table"] if known else ["Table"]
    tabs = st.tabs(names, key="masks", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, (overlap, table) if known else (table,), strict=True):
        if tab.open:
            with tab:
                draw(shown)


def overlap(shown: Shown) -> None:
    """Draw how the intersection over union spreads over the pictures."""
    answer, words = shown.answer, figure.iou_words(shown.answer)
    st.markdown(plain(words))
    with st.columns([3, 2])[0]:
        charts.draw(answer, "iou", lambda dark: figure.iou_chart(answer, dark=dark), alt=words)
    panel.footer(answer, shown.spec, lambda: figure.iou_chart(answer, width=480), name="overlap")


def table(shown: Shown) -> None:
    """Draw every picture as a row, the worst first."""
    tables.draw(figure.table(shown.answer).round(4), alt=alt_text(shown.answer))
