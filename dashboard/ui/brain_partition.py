"""Unique and shared variance on the Brain page: what a layer explains that pixels or categories do not."""

from __future__ import annotations

import streamlit as st

from dashboard import provenance
from dashboard.figures import partition as figure
from dashboard.specs import BrainSpec, RdmPartitionSpec
from dashboard.ui import answers, charts, choices, panel, tables
from dashboard.ui.text import plain


def draw(question: BrainSpec, comparison: choices.Answer, area: str, layers: list[str], best: str) -> None:
    """Draw the picker of models, the verdict and the parts."""
    names = choices.simple_models(
        f"recording:{question.recording}",
        question.recording,
        "models",
        "Models",
        "Two to four layers or simple models that share out the variance.",
        layers=layers,
        default=(best, "pixels"),
        most=4,
    )
    if len(names) < 2:
        st.info("Choose two to four models, such as a layer and the pixels.", icon=":material/info:")
        return
    spec = choices.build(
        RdmPartitionSpec,
        network=question.network,
        recording=question.recording,
        models=names,
        areas=question.areas,
        metric=question.metric,
        measure="pearson" if question.measure in ("pearson", "cosine", "whitened-pearson") else "spearman",
        reducer=question.reducer,
        resample=question.resample,
        bootstrap=question.bootstrap,
        seed=question.seed,
    )
    answer = answers.ask(spec, height=320) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer, area))}**")
    answers.cautions(answer, said=comparison)
    charts.draw(answer, "parts", lambda dark: figure.parts_chart(answer, area, dark), area)
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.parts_chart(answer, area), name="partition")
    with st.expander("Numbers", icon=":material/table:"):
        tables.draw(figure.table(answer), alt=figure.verdict(answer, area))
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))
