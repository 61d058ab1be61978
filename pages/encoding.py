"""Which layer of the network predicts each neuron or voxel best?"""

from functools import partial
from typing import Any

import streamlit as st

from dashboard.figures import answers as facts_of
from dashboard.figures import encoding as figure
from dashboard.specs import EncodingSpec, PartitionSpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables
from dashboard.ui.text import plain

REDUCERS = ["projection?n=5000", "all", "spatial-mean", "subset?n=4096"]


def choose() -> EncodingSpec | None:
    """Draw the controls and return the question."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"Which layer of {plain(choices.title(facts, chosen.network))} predicts each neuron best?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        regression = choices.pick(
            "regression",
            "Regression",
            ["ridge", "pls"],
            help="ridge: a penalty per unit, chosen inside each training set. pls: 25 components for all "
            "units, as Brain-Score does it.",
        )
        with st.popover("More", icon=":material/tune:", help="Layers, features, penalties and resampling."):
            layers = choices.layers(facts)
            reducer = choices.pick(
                "encoding_units",
                "Features of a layer",
                REDUCERS,
                help="projection: all units, or 5,000 seeded sparse random mixtures of them where there are "
                "more; all: every unit; spatial-mean: each channel averaged over positions.",
            )
            folds = choices.number(
                "folds",
                "Folds",
                5,
                low=2,
                high=50,
                help="Parts into which stimuli are split; each is predicted once.",
            )
            alphas = st.text_input(
                "Penalties",
                key="alphas",
                bind="query-params",
                placeholder="0.00001 to 10000, ten of them",
                help="Ridge penalties per feature with colons between, such as 0.01:0.1:1:10.",
            )
            bootstrap = choices.number(
                "bootstrap", "Bootstrap samples", 200, low=2, high=5000, help="More: steadier intervals."
            )
            seed = choices.number("seed", "Seed", 0, low=0, high=2**31 - 1, help="Of folds and samples.")
    return choices.build(
        EncodingSpec,
        network=chosen.network,
        recording=chosen.recording,
        layers=layers,
        reducer=reducer,
        regression=regression,
        folds=folds,
        alphas=alphas or "",
        bootstrap=bootstrap,
        seed=seed,
    )


def show(spec: EncodingSpec) -> None:
    """Draw the verdict, the distribution of scores and what stands behind it."""
    answer = answers.ask(spec, height=440)
    if answer is None:
        return
    area, normalised = looks(answer)
    st.markdown(f"**{plain(figure.verdict(answer, area))}**")
    answers.cautions(answer)
    charts.draw(
        answer,
        "encoding-profile",
        lambda dark: figure.profile(answer, area, normalised=normalised, dark=dark),
        area,
        normalised,
    )
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.profile(answer, area, normalised=normalised), name="encoding")
    names = ["Units", "Best layer", "Shared variance", "Table", "Methods"]
    tabs = dict(
        zip(names, st.tabs(names, key="encoded", on_change="rerun", bind="query-params"), strict=True)
    )
    for name, draw in (("Units", units), ("Best layer", best_layer), ("Table", table), ("Methods", methods)):
        if tabs[name].open:
            with tabs[name]:
                draw(answer, area)
    if tabs["Shared variance"].open:
        with tabs["Shared variance"]:
            shared(answer, spec, area)
    choices.next_steps(
        ("brain.py", "Compare representations instead of units", ":material/neurology:"),
        ("alignment.py", "Compare layers of two networks", ":material/compare_arrows:"),
    )


def looks(answer: choices.Answer) -> tuple[str, bool]:
    """Choose what is looked at; nothing is computed again."""
    names = facts_of.names(answer, "area")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        area = (
            choices.pick("area", "Area", names, help="Whose units are shown.") if len(names) > 1 else names[0]
        )
        normalised = figure.has_ceiling(answer) and choices.switch(
            "normalised",
            "Divide by the noise ceiling",
            help="r of each unit over the root of its reliability.",
        )
    return area if area in names else names[0], bool(normalised)


def units(answer: choices.Answer, area: str) -> None:
    """Draw single units beside their ceilings, and where they lie."""
    names = [figure.CHOSEN, *facts_of.names(answer, "layer")]
    layer = choices.pick("from", "Layer", names, help="Where predictions come from.")
    st.markdown(plain(figure.unit_words(answer, area, layer)))
    left, right = st.columns(2, gap="medium")
    if figure.has_ceiling(answer):
        with left:
            charts.draw(answer, "encoding-units", partial(_units, answer, area, layer), area, layer)
    else:
        left.info("Stimuli were not repeated, so that units have no noise ceiling.", icon=":material/info:")
    if figure.has_places(answer):
        with right:
            charts.draw(answer, "encoding-map", partial(_map, answer, area, layer), area, layer)


def _units(answer: choices.Answer, area: str, layer: str, dark: bool) -> Any:
    return figure.unit_chart(answer, area, layer, dark=dark)


def _map(answer: choices.Answer, area: str, layer: str, dark: bool) -> Any:
    return figure.map_chart(answer, area, layer, dark=dark)


def best_layer(answer: choices.Answer, area: str) -> None:
    """Draw which layers are chosen."""
    st.markdown(plain(figure.choice_words(answer, area)))
    charts.draw(answer, "encoding-choice", lambda dark: figure.choice_chart(answer, area, dark=dark), area)


def table(answer: choices.Answer, area: str) -> None:
    """Draw the scores of layers and of units."""
    tables.draw(figure.layer_table(answer), alt=figure.verdict(answer, area))
    st.dataframe(
        figure.table(answer), hide_index=True, height=300, alt="Scores of every unit from every layer"
    )


def methods(answer: choices.Answer, area: str) -> None:
    """Draw the paragraph for a paper and what to beware of."""
    st.markdown(plain(figure.methods_text(answer)))
    st.caption(plain(figure.caveats()))


def shared(answer: choices.Answer, spec: EncodingSpec, area: str) -> None:
    """Ask for variance partitioning among a few layers."""
    names = facts_of.names(answer, "layer")
    chosen = st.multiselect(
        "Two to four layers",
        names,
        default=figure.favourites(answer, area),
        key="bands",
        bind="query-params",
        max_selections=4,
        help="What they explain alone and together; every set of them is fitted, which takes a while.",
    )
    if len(chosen) < 2:
        st.info("Choose two to four layers.", icon=":material/info:")
        return
    question = choices.build(
        PartitionSpec,
        network=spec.network,
        recording=spec.recording,
        layers=tuple(name for name in names if name in chosen),
        reducer=spec.reducer,
        folds=spec.folds,
        alphas=spec.alphas,
        seed=spec.seed,
    )
    split = answers.ask(question, height=260) if question is not None else None
    if question is None or split is None:
        return
    st.markdown(plain(figure.partition_verdict(split, area)))
    answers.cautions(split, said=answer)
    charts.draw(split, "encoding-parts", lambda dark: figure.partition_chart(split, area, dark=dark), area)
    st.caption(plain(figure.partition_caption(split)))
    panel.footer(split, question, lambda: figure.partition_chart(split, area), name="variance")


question = choose()
if question is not None:
    show(question)
