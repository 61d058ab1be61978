"""Time on the Decoding page: when can it be read out, and does a decoder of one time work at another?"""

from __future__ import annotations

import typing

import streamlit as st

from dashboard import provenance
from dashboard.figures import time_decoding as figure
from dashboard.specs import DecodingSpec, LinearDecoder, SplitBy, TimeDecodingSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.brain_time import without_time
from dashboard.ui.text import plain


def draw(question: DecodingSpec, task: str) -> None:
    """Draw the controls, the verdict, the matrix of times and its diagonal.

    Parameters
    ----------
    question : DecodingSpec
    task : str
        "classes", "orientation" or "number"; classifiers decode classes only.
    """
    areas = list(choices.areas(question.recording))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        area = choices.pick(
            "time_area", "Area", areas, help="Units of all subjects are decoded together.", waiting=not areas
        )
        if without_time(question.recording, area):
            return
        split = choices.pick(
            "split",
            "Tested on",
            typing.get_args(SplitBy),
            help="stimulus: on other stimuli, from means over repeats. repeat: on other repeats of the "
            "same stimuli.",
        )
        models = typing.get_args(LinearDecoder) if task == "classes" else ("ridge",)
        model = choices.pick(
            "time_model",
            "Decoder at each time",
            models,
            default=question.model if question.model in models else "ridge",
            help="ridge: linear regression with a penalty. For classes also logistic regression and svm, a "
            "linear support vector machine, which are trained again for every shuffle: that takes a while.",
        )
        permutations = choices.number(
            "time_permutations", "Shuffles", 100, low=19, high=2000, help="No p is below 1 / (shuffles + 1)."
        )
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
    answers.cautions(answer)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.draw(answer, "generalisation", lambda dark: figure.chart(answer, dark), width="content")
    with right:
        charts.draw(answer, "diagonal", lambda dark: figure.diagonal_chart(answer, dark))
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.chart(answer), name="decoding-over-time")
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))
