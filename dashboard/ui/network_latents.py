"""The latent numbers of an autoencoder on the Network page: reconstructions, traversal, map, factors."""

from __future__ import annotations

import typing

import numpy as np
import streamlit as st

from dashboard.figures import latents as figure
from dashboard.specs import LatentsSpec, TraversalSpec
from dashboard.ui import answers, charts, choices, panel, sidebar
from dashboard.ui.text import plain

A_ROW = 4
"""Stimuli in one sheet of reconstructions: as many as fit on a telephone."""

SLIDERS = 8
SPAN = 5.0
STEP = 0.25
STEPS, SIDE = 7, 42
"""Values of a latent number and pixels of a picture in the grid: as many as fit on a telephone."""


def draw(network: str) -> None:
    """Draw the panel for the chosen stimuli."""
    spec = choices.build(LatentsSpec, network=network, stimuli=sidebar.current().stimuli)
    answer = answers.ask(spec, height=620) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(plain(figure.verdict(answer)))
    answers.cautions(answer)
    st.header("Reconstructions")
    _reconstructions(answer, spec)
    st.header("Traversal")
    _traversal(network, spec.stimuli, answer)
    st.header("Map of the stimuli")
    _map(answer, spec)
    st.header("What each number carries")
    _carried(answer, spec)


def _reconstructions(answer: choices.Answer, spec: LatentsSpec) -> None:
    which = choices.pick(
        "pictures", "Pictures", typing.get_args(figure.Which), help="Which of the stimuli are shown."
    )
    names = figure.chosen(answer, which)
    with st.container(horizontal=True):
        for start in range(0, len(names), A_ROW):
            few = names[start : start + A_ROW]
            charts.draw(
                answer,
                f"drawn-again-{start}",
                lambda dark, few=few: figure.reconstruction_chart(answer, few, dark=dark),  # type: ignore[misc]
                tuple(few),
                width="content",
            )
    st.caption(
        "Drawn from the means of the latent numbers, without noise. The difference is the mean over "
        "channels, from 0 (dark) to 1 (bright). " + plain(figure.alt_error(answer))
    )
    charts.draw(answer, "errors", lambda dark: figure.error_chart(answer, dark=dark))
    panel.footer(answer, spec, lambda: figure.main_chart(answer), name="latents")


@st.fragment
def _traversal(network: str, stimuli: str, answer: choices.Answer) -> None:
    """Draw the sliders of the base point and the grid; only this part runs again when a slider moves."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [str(v) for v in answer.shown.values]
        stimulus = choices.pick(
            "picture", "Start from", names, help="The stimulus whose latent numbers are the base point."
        )
        if st.button("Back to the stimulus", icon=":material/restart_alt:", help="Undo all sliders."):
            st.session_state["_traversal_round"] = st.session_state.get("_traversal_round", 0) + 1
            st.query_params.pop("base", None)
    base = _sliders(answer, stimulus)
    spec = choices.build(
        TraversalSpec, network=network, stimuli=stimuli, stimulus=stimulus, base=base, steps=STEPS
    )
    found = answers.ask(spec, height=560) if spec is not None else None
    if spec is None or found is None:
        return
    left, right = st.columns([4, 1], gap="medium")
    with right:
        st.image(found.original.values, width=96, caption="stimulus", alt=stimulus)
        st.image(found.base_picture.values, width=96, caption="base point", alt="The base point, decoded")
    with left:
        charts.draw(
            found,
            "traversal",
            lambda dark: figure.traversal_chart(found, dark=dark, side=SIDE),
            width="content",
        )
    st.caption(plain(figure.traversal_words(found)))
    panel.footer(found, spec, lambda: figure.traversal_chart(found), name="traversal")


def _sliders(answer: choices.Answer, stimulus: str) -> tuple[str, ...]:
    """Draw a slider for each of the most telling latent numbers; return those that were moved."""
    linked = dict(part.split("=", 1) for part in st.query_params.get("base", "").split(",") if "=" in part)
    telling = np.argsort(-np.nan_to_num(answer.divergence.values), kind="stable")
    start = answer["mean"].sel(stimulus=stimulus).values
    turn = st.session_state.get("_traversal_round", 0)
    moved = {}
    columns = st.columns(4)
    named = {int(k) - 1 for k in linked if k.isdecimal() and 0 < int(k) <= len(start)}
    for place, k in enumerate(sorted({*map(int, telling[:SLIDERS]), *named})):
        own = float(np.clip(np.round(start[k] / STEP) * STEP, -SPAN, SPAN))
        value = columns[place % 4].slider(
            f"Latent {k + 1}",
            -SPAN,
            SPAN,
            _number(linked.get(str(k + 1)), own),
            STEP,
            key=f"latent-{turn}-{stimulus}-{k + 1}",
            help="Moves the base point along this latent number, in standard deviations of the prior.",
        )
        if value != own:
            moved[str(k + 1)] = f"{value:g}"
    if moved:
        st.query_params["base"] = ",".join(f"{k}={v}" for k, v in moved.items())
    else:
        st.query_params.pop("base", None)
    return tuple(f"{k}={v}" for k, v in moved.items())


def _number(text: str | None, default: float) -> float:
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return min(max(value, -SPAN), SPAN) if value == value else default  # NaN is not itself


def _map(answer: choices.Answer, spec: LatentsSpec) -> None:
    factors = [str(v) for v in answer.factor.values]
    axes = figure.axes_of(answer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        factor = choices.pick(
            "factor", "Colour", factors or ["nothing"], help="Which factor of the stimuli gives the colours."
        )
        x = choices.pick("across", "Across", axes, help="Latent number or principal axis from left to right.")
        y = choices.pick(
            "up", "Up", axes, default=axes[1], help="Latent number or principal axis from bottom to top."
        )
    charts.draw(
        answer, "latent-map", lambda dark: figure.map_chart(answer, factor, x, y, dark=dark), factor, x, y
    )
    panel.footer(answer, spec, lambda: figure.map_chart(answer, factor, x, y, width=480), name="latent-map")


def _carried(answer: choices.Answer, spec: LatentsSpec) -> None:
    if not answer.sizes["factor"]:
        st.info("No factor of these stimuli is known; objects brings its own.", icon=":material/info:")
        return
    charts.draw(answer, "carried", lambda dark: figure.carried_chart(answer, dark=dark))
    st.caption(
        "Share of the variance of a latent number over the stimuli that a linear model of the factor "
        "explains, adjusted for its number of groups (Ezekiel, 1930), so 0 is chance; angles count as cosine "
        "and sine. Factors that hang together, such as a colour and its red, share what they explain."
    )
    with st.expander("Table"):
        st.dataframe(
            figure.carried_table(answer), hide_index=True, alt="What each latent number tells and carries"
        )
    panel.footer(answer, spec, lambda: figure.carried_chart(answer, width=420), name="carried")
