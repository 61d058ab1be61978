"""Stimuli on the Brain page: which carry the similarity, and which pairs network and brain see unlike."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import influence as figure
from dashboard.figures.stimuli import thumbnails_by_name
from dashboard.specs import BrainSpec, InfluenceSpec
from dashboard.ui import answers, charts, choices, panel, tables
from dashboard.ui.text import plain


def draw(question: BrainSpec, comparison: choices.Answer, area: str, layers: list[str], best: str) -> None:
    """Draw the picker of the layer, the verdict, the influences and the pairs, with pictures."""
    layer = choices.pick(
        "of_layer", "Layer", layers, default=best, help="The layer that is compared with the area."
    )
    spec = choices.build(
        InfluenceSpec,
        network=question.network,
        recording=question.recording,
        area=area,
        layer=layer,
        metric=question.metric,
        measure=question.measure,
        reducer=question.reducer,
    )
    answer = answers.ask(spec, height=520) if spec is not None else None
    if spec is None or answer is None:
        return
    shown = choices.pictures(f"recording:{question.recording}")
    small = None if shown is None else thumbnails_by_name(shown)
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer, said=comparison)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.draw(
            answer,
            "influence",
            lambda dark: figure.influence_chart(answer, small, dark),
            small is None,
        )
        st.caption(plain(figure.caption(answer)))
    with right:
        charts.draw(
            answer, "disagreement", lambda dark: figure.pair_chart(answer, small, dark), small is None
        )
        st.caption(plain(figure.pair_caption(answer)))
    panel.footer(answer, spec, lambda: figure.influence_chart(answer, small), name="influence")
    with st.expander("Pairs as a table", icon=":material/table:"):
        tables.draw(figure.pair_table(answer), alt=figure.verdict(answer))
