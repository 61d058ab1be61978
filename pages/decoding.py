"""Where can what is in the stimuli be read out: in which layers, and in which areas?"""

from functools import partial
from typing import Any

import streamlit as st

from dashboard.figures import answers as facts_of
from dashboard.figures import decoding as figure
from dashboard.specs import DecodingSpec, ProbeSpec
from dashboard.ui import answers, charts, choices, panel, sidebar
from dashboard.ui.text import plain

NETWORK, RECORDING = "layers of the network", "areas of the recording"


def choose() -> ProbeSpec | DecodingSpec | None:
    """Draw the controls and return the question."""
    chosen = sidebar.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = choices.pick(
            "source",
            "Read out of",
            [NETWORK, RECORDING],
            help="Layers see the stimuli of the sidebar, areas those of their recording.",
        )
        shown = chosen.stimuli if source == NETWORK else f"recording:{chosen.recording}"
        column = choices.pick(
            "column",
            "What",
            columns(shown),
            help="Column of the stimuli that is decoded. Text is classes, orientation goes round the circle, "
            "other numbers as numbers.",
        )
        with st.popover("More", icon=":material/tune:", help="Layers, folds and permutations."):
            layers = choices.layers(choices.network_facts(chosen.network)) if source == NETWORK else ()
            reducer = choices.pick(
                "probe_units",
                "Units of a layer",
                ["spatial-mean", "subset?n=4096", "all"],
                help="spatial-mean: each channel averaged over positions; subset: 4,096 fixed random units.",
            )
            folds = choices.number(
                "folds", "Folds", 5, low=2, high=50, help="Parts into which stimuli are split."
            )
            permutations = choices.number(
                "permutations", "Permutations", 200, low=0, high=10_000, help="Shuffles behind p; 0 for none."
            )
            seed = choices.number("seed", "Seed", 0, low=0, high=2**31 - 1, help="Of folds and shuffles.")
    common: dict[str, Any] = {"column": column, "folds": folds, "permutations": permutations, "seed": seed}
    if source == NETWORK:
        return choices.build(
            ProbeSpec,
            network=chosen.network,
            stimuli=chosen.stimuli,
            layers=layers,
            reducer=reducer,
            **common,
        )
    return choices.build(DecodingSpec, recording=chosen.recording, **common)


def columns(stimuli: str) -> list[str]:
    """Return the columns that could be decoded, category first."""
    found = choices.pictures(stimuli)
    if found is None:
        return ["category"]
    return ["category"] + [str(n) for n, v in found.data_vars.items() if v.dims == ("stimulus",)]


def show(spec: ProbeSpec | DecodingSpec) -> None:
    """Draw the verdict, the profile and what stands behind it."""
    answer = answers.ask(spec, height=420)
    if answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    charts.draw(answer, "profile", lambda dark: figure.profile(answer, dark=dark))
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.main_chart(answer), name="decoding")
    names = ["Predictions", *(["Units"] if "drop_score" in answer else []), "Table", "Methods"]
    tabs = dict(
        zip(names, st.tabs(names, key="decoded", on_change="rerun", bind="query-params"), strict=True)
    )
    if tabs["Predictions"].open:
        with tabs["Predictions"]:
            predictions(answer)
    if "Units" in tabs and tabs["Units"].open:
        with tabs["Units"]:
            units(answer)
    if tabs["Table"].open:
        with tabs["Table"]:
            st.dataframe(figure.table(answer), hide_index=True, alt=figure.verdict(answer))
    if tabs["Methods"].open:
        with tabs["Methods"]:
            st.markdown(plain(figure.methods_text(answer)))
    choices.next_steps(
        ("brain.py", "Compare layers with a brain", ":material/neurology:"),
        ("tuning.py", "Measure the tuning of units", ":material/tune:"),
    )


def source(answer: choices.Answer, key: str) -> str:
    """Choose one layer or area; the best comes first."""
    names = facts_of.names(answer, "source")
    best = names[figure.best(answer)]
    return choices.pick(key, answer.attrs["of"].capitalize(), names, default=best, help="Shown below.")


def predictions(answer: choices.Answer) -> None:
    """Draw the held-out predictions of one layer or area."""
    name = source(answer, "of")
    if answer.attrs["task"] == "classes":
        st.markdown(plain(figure.confusion_words(answer, name)))
        charts.draw(answer, "confusion", partial(_confusion, answer, name), name, width="content")
    else:
        charts.draw(answer, "predicted", partial(_predicted, answer, name), name)


def _confusion(answer: choices.Answer, name: str, dark: bool) -> Any:
    return figure.confusion_chart(answer, name, dark=dark)


def _predicted(answer: choices.Answer, name: str, dark: bool) -> Any:
    return figure.circle_chart(answer, name, dark=dark)


def units(answer: choices.Answer) -> None:
    """Draw how many units are needed, and which carry the information."""
    name = source(answer, "units_of")
    left, right = st.columns(2, gap="medium")
    with left:
        charts.draw(answer, "dropping", lambda dark: figure.drop_chart(answer, dark=dark))
        st.caption("Dots: random populations; line: their mean. The last point is the whole population.")
    with right:
        charts.draw(answer, "importance", lambda dark: figure.importance_chart(answer, name, dark=dark), name)
        st.caption(
            "SHAP values of the linear decoder: weight × (response − mean), averaged without sign (Lundberg "
            "& Lee, 2017). With correlated neurons a large weight may only cancel noise (Haufe et al., 2014)."
        )


st.title("What can be read out of layers and areas?")
question = choose()
if question is not None:
    show(question)
