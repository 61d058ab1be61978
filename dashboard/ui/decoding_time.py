"""Time on the Decoding page: when can it be read out, and does a decoder of one time work at another?"""

from __future__ import annotations

import typing

import streamlit as st
import xarray as xr

from dashboard import provenance
from dashboard.figures import time_decoding as figure
from dashboard.specs import Decoder, DecodingSpec, RecordingSpec, SplitBy, TimeDecodingSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.brain_time import without_time
from dashboard.ui.text import plain

BINS = TimeDecodingSpec.bins
SECONDS_PER_NETWORK = 0.03
"""Measured on one core of a busy machine: 0.012 to 0.04 s with 60 to 100 stimuli and 80 to 120 units."""


def without_responses(recording: str, area: str = "") -> bool:
    """Tell whether there are only dissimilarities in an area, or in all, and say what can be done instead."""
    facts = answers.peek(RecordingSpec(recording=recording))
    if facts is None:
        return False  # what is asked next waits for the same
    shown = facts.sel(area=[area]) if area in facts.area.values else facts
    if bool(shown.has_responses.any()) or (area and not int(shown.n_times.max())):
        return False
    timed = bool(int(shown.n_times.max()))
    where = f"from {area} of {facts.attrs['title']}" if area else f"from {facts.attrs['title']}"
    st.info(
        f"Nothing can be decoded {plain(where)}: it holds how different the responses to two stimuli are"
        f"{' at each time' if timed else ''}, not the responses themselves. What can be asked of such data "
        f"is which layer tells the same stimuli apart{', and when' if timed else ''}.",
        icon=":material/info:",
    )
    label = "Compare layers with these RDMs over time" if timed else "Compare layers with these RDMs"
    choices.open_with("brain.py", label, ":material/neurology:", part="Over time" if timed else "Table")
    return True


def _forecast(question: DecodingSpec, area: str, permutations: int) -> str:
    """Say how many networks are trained, and about how long that takes."""
    facts = answers.peek(RecordingSpec(recording=question.recording))
    times = BINS if facts is None else min(BINS, int(facts.n_times.sel(area=area)))
    networks = times * question.folds * (permutations + 1)
    minutes = networks * SECONDS_PER_NETWORK / 60
    return (
        f"{networks:,} small networks are trained ({times} times, {question.folds} folds, {permutations} "
        f"shuffles and the true labels): about {max(1, round(minutes))} min on one core."
    )


def draw(question: DecodingSpec, profile: xr.Dataset, other: xr.Dataset | None = None) -> None:
    """Draw the controls, the verdict, the matrix of times and its diagonal.

    Parameters
    ----------
    question : DecodingSpec
    profile, other : xarray.Dataset
        What stands above: it tells what is decoded (classifiers decode classes only), and what was said.
    """
    task = str(profile.attrs["task"])
    areas = list(choices.areas(question.recording))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        area = choices.pick(
            "time_area", "Area", areas, help="Units of all subjects are decoded together.", waiting=not areas
        )
        if without_time(question.recording, area) or without_responses(question.recording, area):
            return
        split = choices.pick(
            "split",
            "Tested on",
            typing.get_args(SplitBy),
            help="stimulus: on other stimuli, from means over repeats. repeat: on other repeats of the "
            "same stimuli.",
        )
        models = typing.get_args(Decoder) if task == "classes" else ("ridge", "mlp")
        model = choices.pick(
            "time_model",
            "Decoder at each time",
            models,
            default=question.model if question.model in models else "ridge",
            help="ridge: linear regression with a penalty; mlp: a network with one hidden layer; for classes "
            "also logistic regression and svm, a linear support vector machine. All but ridge are trained "
            "again at each time for every shuffle, which takes minutes: fewer shuffles are faster.",
        )
        # Networks are slow, so that what suits the other decoders is not taken over when one is chosen.
        key, usual = ("mlp_permutations", 19) if model == "mlp" else ("time_permutations", 100)
        permutations = choices.number(
            key, "Shuffles", usual, low=19, high=2000, help="No p is below 1 / (shuffles + 1)."
        )
    if model == "mlp":
        st.caption(_forecast(question, area, permutations))
    spec = choices.build(
        TimeDecodingSpec,
        recording=question.recording,
        column=question.column,
        area=area,
        split=split,
        model=model,
        folds=question.folds,
        permutations=permutations,
        seed=question.seed,
    )
    answer = answers.ask(spec, height=480) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer, said=(profile, other))
    left, right = st.columns(2, gap="medium")
    with left:
        charts.draw(answer, "generalisation", lambda dark: figure.chart(answer, dark), width="content")
    with right:
        charts.draw(answer, "diagonal", lambda dark: figure.diagonal_chart(answer, dark))
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.chart(answer), name="decoding-over-time")
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))
