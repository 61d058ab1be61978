"""Where the score comes from, on the Brain page: channels or layers that it is shared by, or pixels."""

from __future__ import annotations

import streamlit as st

from dashboard import provenance
from dashboard.figures import brain_where as where_figure
from dashboard.figures import brain_why as figure
from dashboard.specs import BrainSpec, BrainWhereSpec, BrainWhySpec, Players
from dashboard.ui import answers, charts, choices, panel, tables
from dashboard.ui.components.overlay import overlay_view
from dashboard.ui.text import plain

OVER: dict[str, Players] = {
    "channels that matter most": "top",
    "channels in groups": "blocks",
    "every channel": "each",
    "layers": "layers",
}
PIXELS = "pixels of the pictures"


def draw(question: BrainSpec, comparison: choices.Answer, area: str, layers: list[str], best: str) -> None:
    """Draw the pickers and the split over channels, layers or pixels."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        over = choices.pick(
            "over",
            "Split the score over",
            [*OVER, PIXELS],
            help="Channels of one layer, layers combined with equal weight, or the pixels of the pictures.",
        )
        layer = "" if over == "layers" else _layer(layers, best)
        groups = 10
        if over in ("channels that matter most", "channels in groups"):
            groups = choices.number(
                "groups",
                "Groups",
                10,
                low=2,
                high=64,
                help="Up to 12 groups are exact; more are estimated from random orders.",
            )
        orders = 200
        if over == "every channel":
            orders = choices.number(
                "orders", "Random orders", 200, low=4, high=5000, help="More: smaller errors, longer waits."
            )
    if over == PIXELS:  # below the pickers, not beside them
        _pixels(question, comparison, area, layer)
        return
    spec = choices.build(
        BrainWhySpec,
        network=question.network,
        recording=question.recording,
        area=area,
        layer=layer,
        layers=question.layers if over == "layers" else (),
        players=OVER[over],
        groups=groups,
        orders=orders,
        metric=question.metric,
        measure=question.measure,
        reducer=question.reducer,
        seed=question.seed,
    )
    answer = answers.ask(spec, height=360) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer, said=comparison)
    charts.draw(answer, "why", lambda dark: figure.chart(answer, dark))
    st.caption(plain(f"{figure.sum_words(answer)} {figure.caption(answer)}"))
    panel.footer(answer, spec, lambda: figure.chart(answer), name="why")
    with st.expander("Numbers", icon=":material/table:"):
        tables.draw(figure.table(answer), alt=figure.verdict(answer))
    _methods(answer)


def _layer(layers: list[str], best: str) -> str:
    return choices.pick(
        "of_layer", "Layer", layers, default=best, help="The layer that is compared with the area."
    )


def _methods(answer: choices.Answer) -> None:
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))


def _pixels(question: BrainSpec, comparison: choices.Answer, area: str, layer: str) -> None:
    """Draw the gradient of the score to the pixels, beside the pictures."""
    spec = choices.build(
        BrainWhereSpec,
        network=question.network,
        recording=question.recording,
        area=area,
        layer=layer,
        metric=question.metric,
        measure="cosine" if question.measure == "cosine" else "pearson",
        reducer=question.reducer,
    )
    with st.container():
        answer = answers.ask(spec, height=480) if spec is not None else None
        if spec is None or answer is None:
            return
        st.markdown(f"**{plain(where_figure.verdict(answer))}**")
        answers.cautions(answer, said=comparison)
        if question.measure not in ("pearson", "cosine"):
            st.caption(f"{question.measure} has no gradient: Pearson r stands in its place here.")
        overlay_view(
            where_figure.panels(answer),
            key="where-view",
            label=where_figure.words(answer),
            widest=220,
            narrowest=140,
            multiple=2,
        )
        st.caption(plain(where_figure.caption(answer)))
        st.markdown(plain(where_figure.check_words(answer)))
        panel.footer(answer, spec, lambda: where_figure.main_chart(answer), name="where")
        with st.expander("Rise of the score by size of the move", icon=":material/show_chart:"):
            charts.draw(answer, "where-steps", lambda dark: where_figure.step_chart(answer, dark))
        _methods(answer)
