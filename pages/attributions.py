"""Which parts of a stimulus make the network answer as it does, and can the maps be trusted?"""

from collections.abc import Sequence

import streamlit as st

from dashboard.figures import attribution as figure
from dashboard.specs import AttributionSpec
from dashboard.ui import answers, attributing, choices, panel, sidebar
from dashboard.ui.components.overlay import overlay_view
from dashboard.ui.components.words import words_view
from dashboard.ui.text import plain


def choose() -> tuple[AttributionSpec | None, list[str], figure.Scaling, choices.Answer | None]:
    """Draw the controls; return the question but for its method, methods, scale and what works."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    shown = choices.pictures(chosen.stimuli)
    st.title(f"What makes {plain(choices.title(facts, chosen.network))} say what it says?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        item = attributing.item(shown)
        target = attributing.target(chosen.network, chosen.stimuli, item)
        kind = attributing.kind(chosen.network, chosen.stimuli, item)
        baseline = attributing.baseline(kind, shown)
        settings = attributing.more(kind)
    question = choices.build(
        AttributionSpec,
        network=chosen.network,
        stimuli=chosen.stimuli,
        items=(item,) if item else (),
        target=target,
        baseline=baseline,
        **settings,
    )
    if question is None:
        return None, [], "each", None
    about = answers.ask(attributing.about(question), height=420)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names, scaling = attributing.methods(about), attributing.scaling(kind)
    return question, names, scaling, about


def show(
    question: AttributionSpec, names: Sequence[str], scaling: figure.Scaling, about: choices.Answer
) -> None:
    """Draw the maps of all methods side by side, what refuses, and the tabs."""
    drawn = st.container()  # what is still being computed waits below what is there
    maps = attributing.ask_all([attributing.question_for(question, name) for name in names], about)
    attributing.refusals(about)
    if maps:
        with drawn:
            st.markdown(f"**{plain(figure.verdict(maps))}**")
            answers.cautions(*maps)
            draw(maps, scaling)
            for note in figure.all_notes(maps):
                st.caption(plain(note))
            spec = attributing.question_for(question, str(maps[0].attrs["method"]))
            panel.footer(maps[0], spec, lambda: figure.main_chart(maps), name="attributions")
        attributing.details(question, maps, about)
    choices.next_steps(
        ("predictions.py", "See how good the predictions are", ":material/label:"),
        ("network.py", "See what the network is", ":material/account_tree:"),
    )


def draw(maps: Sequence[choices.Answer], scaling: figure.Scaling) -> None:
    """Draw the maps: over the picture, or as coloured words, or as bars."""
    kind = maps[0].attrs["input_kind"]
    words = figure.verdict(maps)
    if kind == "image":
        overlay_view(figure.method_panels(maps, scaling=scaling), key="maps", label=words)
    elif kind == "text":
        words_view(figure.token_rows(maps), key="words", label=words)
    if "feature_axis" in maps[0]:
        chart = figure.axis_chart(maps, dark=choices.dark())
        st.altair_chart(chart, key="features-axis", theme=None, alt=words)
        st.caption(
            "Cells that respond together share the credit, and some only cancel the noise of others: a large "
            "value does not prove that a cell alone tells the orientation (Haufe et al., 2014)."
        )
    for k, answer in enumerate(maps if kind != "image" else ()):
        if kind == "table" or k == 0:
            chart = figure.bars(answer, dark=choices.dark(), most=12 if kind == "table" else 30)
            st.altair_chart(chart, key=f"bars-{k}", theme=None, alt=figure.alt(answer))


question, names, scaling, about = choose()
if question is not None and about is not None:
    show(question, names, scaling, about)
