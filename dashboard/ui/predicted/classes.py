"""The Predictions page of a classifier: what each stimulus is called, and how good that is."""

from __future__ import annotations

import json

import streamlit as st

from dashboard.figures import predictions as figure
from dashboard.figures.alternative import alt_text
from dashboard.ui import charts, panel, tables
from dashboard.ui.components.gallery import Tile
from dashboard.ui.components.matrix import matrix_view
from dashboard.ui.predicted import shared
from dashboard.ui.predicted.shared import Shown
from dashboard.ui.text import plain

STATES = {1: "right", 0: "wrong", -1: ""}


def show(shown: Shown) -> None:
    """Draw the stimuli and, where the truth is known, how good the predictions are."""
    stimuli(shown)
    panel.footer(shown.answer, shown.spec, lambda: figure.main_chart(shown.answer), name="predictions")
    if figure.labelled(shown.answer):
        quality(shown)
    else:
        st.info(
            "Choose stimuli whose categories are classes of the network, such as objects for Objects CNN; or "
            "choose under Truth a column with the positions of the classes.",
            icon=":material/info:",
        )


def stimuli(shown: Shown) -> None:
    """Draw the grid or list and, beside it, what is said of the chosen stimulus."""
    states = [STATES[int(v)] for v in figure.right(shown.answer)]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        kept = shared.filtered(shown, states, ("right", "wrong") if figure.labelled(shown.answer) else ())
        picture = shared.chosen(shown)
        grid(shown, kept, "grid")
    with right:
        about(shown, picture)


def grid(shown: Shown, names: list[str], key: str) -> None:
    """Draw some of the stimuli with what the network calls them."""
    said = figure.classes(shown.answer)
    best, right = shown.answer.top_class.to_numpy()[:, 0], figure.right(shown.answer)
    place = {name: k for k, name in enumerate(shown.names)}
    tiles = [Tile(n, said[best[place[n]]], STATES[int(right[place[n]])]) for n in names]
    label = f"{len(tiles)} {figure.things(shown.answer)} with what the network calls them"
    shared.items(shown, tiles, key, label)


def about(shown: Shown, picture: str) -> None:
    """Draw one stimulus and its likeliest classes."""
    words = figure.words_about(shown.answer, picture)
    shared.stimulus(shown, picture, words)
    charts.draw(
        shown.answer,
        "top",
        lambda dark: figure.top_chart(shown.answer, picture, twin=shown.twin, dark=dark, width=220),
        picture,
        shown.twin is None,
        width="content",
        alt=words,
    )
    shared.why(shown, picture)


def quality(shown: Shown) -> None:
    """Draw confusion, classes, calibration and the surest mistakes, in tabs."""
    names = ["Confusion", "Classes", "Calibration", "Mistakes", "Table"]
    tabs = st.tabs(names, key="quality", on_change="rerun", bind="query-params")
    drawn = (confusions, classes, calibration, mistakes, table)
    for tab, draw in zip(tabs, drawn, strict=True):
        if tab.open:
            with tab:
                draw(shown)


def classes(shown: Shown) -> None:
    """Draw precision, recall and F1 of every class."""
    answer = shown.answer
    charts.draw(answer, "classes", lambda dark: figure.class_chart(answer, dark=dark), alt=figure.alt(answer))
    tables.draw(figure.class_table(answer), alt="Precision, recall and F1 of each class")
    panel.footer(answer, shown.spec, lambda: figure.class_chart(answer, width=480), name="classes")


def calibration(shown: Shown) -> None:
    """Draw how sure the network is against how often it is right."""
    answer, words = shown.answer, figure.calibration_words(shown.answer)
    st.markdown(plain(words))
    with st.columns([3, 2])[0]:
        charts.draw(
            answer,
            "calibration",
            lambda dark: figure.calibration_chart(answer, dark=dark, height=340),
            alt=words,
        )
    st.caption(
        f"Points: {figure.things(answer)} in bins of confidence; bars: 95 % intervals (Wilson). On the "
        "dashed line a network is as sure as it is right; below it is too sure."
    )
    panel.footer(answer, shown.spec, lambda: figure.calibration_chart(answer, width=480), name="calibration")


def mistakes(shown: Shown) -> None:
    """Draw what is wrong, the surest first."""
    wrong = figure.mistakes(shown.answer, 24)
    what = figure.things(shown.answer)[:-1]
    st.markdown("The surest mistakes first." if wrong else f"Every labelled {what} is named right.")
    if wrong:
        grid(shown, wrong, "mistakes")
        shared.why(shown, wrong[0], f"See why {wrong[0]}, the surest of them, was mistaken")


def table(shown: Shown) -> None:
    """Draw every prediction as a table."""
    tables.draw(figure.table(shown.answer), alt=alt_text(shown.answer))


def confusions(shown: Shown) -> None:
    """Draw the confusion matrix; a chosen cell shows its stimuli."""
    answer, what = shown.answer, figure.things(shown.answer)
    st.markdown(plain(figure.confusion_words(answer)))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        pinned = cell(shown)
    with right:
        if pinned is None:
            st.caption(f"Click a cell to see its {what}. Rows are the truth, columns what was said.")
        else:
            truth, said = pinned
            found = figure.confused(answer, truth, said)
            many = what[:-1] if len(found) == 1 else what
            st.markdown(f"{len(found)} {many} of **{plain(truth)}** called **{plain(said)}**.")
            grid(shown, found, "cell")
    panel.footer(answer, shown.spec, lambda: figure.confusion_chart(answer), name="confusion")


def cell(shown: Shown) -> tuple[str, str] | None:
    """Draw the confusion matrix and return truth and prediction of the chosen cell."""
    answer = shown.answer
    names = [str(v) for v in answer.truth.to_numpy()]
    if len(names) > figure.MOST_IN_CELLS:
        chosen = matrix_view([figure.confusion(answer)], key="confusion", height=440)
    else:
        event = charts.draw(
            answer,
            "confusion",
            lambda dark: figure.confusion_chart(answer, dark=dark, side=380, width="container"),
            alt=figure.confusion_words(answer),
            on_select=_noted,
        )
        found = event.selection.get("cell") or [{}]
        chosen = (str(found[0].get("truth", "")), str(found[0].get("prediction", "")))
        if not found[0] and st.session_state.pop("cell_chosen", False):  # somebody has just let it go
            st.query_params.pop("cell", None)
    if chosen is not None and chosen[0] in names and chosen[1] in names:
        st.session_state["cell_chosen"] = True
        st.query_params["cell"] = json.dumps(chosen, ensure_ascii=False)
        return chosen
    return linked(names)


def _noted() -> None:
    """Do nothing: the selection is read where the chart is drawn."""


def linked(names: list[str]) -> tuple[str, str] | None:
    """Return the cell that the link names."""
    try:
        found = json.loads(st.query_params.get("cell", ""))
    except ValueError:
        return None
    fits = isinstance(found, list) and len(found) == 2 and all(name in names for name in found)
    return (found[0], found[1]) if fits else None
