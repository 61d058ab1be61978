"""Weighted channels on the Brain page: do weights fitted elsewhere make a layer more like an area?"""

from __future__ import annotations

import streamlit as st

from dashboard import provenance
from dashboard.figures import reweighted as figure
from dashboard.specs import BrainSpec, Metric, ReweightedSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.brain_flexible import MEASURES
from dashboard.ui.text import plain

SUMS: tuple[Metric, ...] = ("correlation", "cosine", "sqeuclidean")


def draw(question: BrainSpec, comparison: choices.Answer, area: str, layers: list[str], best: str) -> None:
    """Draw the pickers, the verdict, held-out scores and weights."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = choices.pick(
            "of_layer", "Layer", layers, default=best, help="The layer that is compared with the area."
        )
        groups = choices.number(
            "weights", "Groups", 8, low=2, high=64, help="Neighbouring channels that share one weight."
        )
    spec = choices.build(
        ReweightedSpec,
        network=question.network,
        recording=question.recording,
        area=area,
        layer=layer,
        groups=groups,
        metric=question.metric if question.metric in SUMS else "sqeuclidean",
        measure=question.measure if question.measure in MEASURES else "pearson",
        reducer=question.reducer,
        seed=question.seed,
    )
    answer = answers.ask(spec, height=420) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer, said=comparison)
    if question.measure not in MEASURES:
        st.caption(f"{question.measure} cannot be fitted: Pearson r stands in its place here.")
    if question.metric not in SUMS:
        st.caption(f"A {question.metric} distance is no sum over channels: sqeuclidean stands in its place.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        charts.draw(answer, "reweighted", lambda dark: figure.score_chart(answer, dark))
    with right:
        charts.draw(answer, "channel-weights", lambda dark: figure.weight_chart(answer, dark))
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.score_chart(answer), name="reweighted")
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))
