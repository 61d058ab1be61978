"""Combined layers on the Brain page: do several together resemble an area more than one of them?"""

from __future__ import annotations

import streamlit as st

from dashboard import provenance
from dashboard.figures import flexible as figure
from dashboard.specs import BrainSpec, FlexibleSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain

MEASURES = ("pearson", "spearman", "rho-a", "cosine")


def draw(question: BrainSpec, comparison: choices.Answer, area: str) -> None:
    """Draw the verdict, held-out scores and weights."""
    spec = choices.build(
        FlexibleSpec,
        network=question.network,
        recording=question.recording,
        areas=question.areas,
        layers=question.layers,
        metric=question.metric,
        measure=question.measure if question.measure in MEASURES else "pearson",
        reducer=question.reducer,
        seed=question.seed,
    )
    answer = answers.ask(spec, height=420) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer, area))}**")
    answers.cautions(answer, said=comparison)
    if question.measure not in MEASURES:
        st.caption(f"{question.measure} cannot be fitted: Pearson r stands in its place here.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        charts.draw(answer, "combined", lambda dark: figure.score_chart(answer, area, dark), area)
    with right:
        charts.draw(answer, "weights", lambda dark: figure.weight_chart(answer, area, dark), area)
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.score_chart(answer, area), name="combined")
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))
