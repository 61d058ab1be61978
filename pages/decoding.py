"""Where can what is in the stimuli be read out: in which layers, and in which areas?"""

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from dashboard.figures import answers as facts_of
from dashboard.figures import decoding as figure
from dashboard.specs import DecodingSpec, ProbeSpec, StimuliSpec
from dashboard.ui import answers, charts, choices, decoding_time, panel, sidebar, tables
from dashboard.ui.text import plain

NETWORK, RECORDING = "layers of the network", "areas of the recording"
BOTH = "layers and areas, side by side"

FOLDS = 5

Question = ProbeSpec | DecodingSpec


def choose() -> list[Question]:
    """Draw the controls and return the question, or two to be drawn side by side; none where it cannot be."""
    chosen = sidebar.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = choices.pick(
            "source",
            "Read out of",
            [NETWORK, RECORDING, BOTH],
            help="Layers see the stimuli of the sidebar, areas those of their recording; side by side both "
            "see those of the recording.",
        )
        shown = chosen.stimuli if source == NETWORK else f"recording:{chosen.recording}"
        waiting = choices.pictures(shown) is None
        column = choices.pick(
            "column",
            "What",
            columns(shown),
            help="Column of the stimuli that is decoded. Text is classes, orientation goes round the circle, "
            "other numbers as numbers.",
            waiting=waiting,
        )
        model = choices.pick(
            "model",
            "Decoder",
            list(figure.MODELS),
            help="ridge: linear regression with a penalty; logistic and svm: logistic "
            "regression and linear support vector machine, for classes; "
            "mlp: a network with one hidden layer. But for ridge every permutation is trained again, "
            "which takes "
            "a while.",
        )
        with st.popover("More", icon=":material/tune:", help="Layers, folds and permutations."):
            layers = choices.layers(choices.network_facts(chosen.network)) if source != RECORDING else ()
            reducer = choices.pick(
                "probe_units",
                "Units of a layer",
                ["spatial-mean", "subset?n=4096", "all"],
                help="spatial-mean: each channel averaged over positions; subset: 4,096 fixed random units.",
            )
            folds = choices.number(
                "folds", "Folds", FOLDS, low=2, high=50, help="Parts into which stimuli are split."
            )
            permutations = choices.number(
                "permutations", "Permutations", 200, low=0, high=10_000, help="Shuffles behind p; 0 for none."
            )
            seed = choices.number("seed", "Seed", 0, low=0, high=2**31 - 1, help="Of folds and shuffles.")
    if waiting and not st.query_params.get("column"):  # a column that may not do is not asked about
        answers.ask(StimuliSpec(stimuli=shown), height=420)
        return []
    common: dict[str, Any] = {"column": column, "model": model, "folds": folds}
    common |= {"permutations": permutations, "seed": seed}
    asked: list[Question | None] = []
    if source != RECORDING:
        probe = choices.build(
            ProbeSpec, network=chosen.network, stimuli=shown, layers=layers, reducer=reducer, **common
        )
        asked.append(probe)
    if source != NETWORK and not decoding_time.without_responses(chosen.recording):
        asked.append(choices.build(DecodingSpec, recording=chosen.recording, **common))
    return [question for question in asked if question is not None]


def columns(stimuli: str) -> list[str]:
    """Return the columns of the stimuli, category first, but those last that leave nothing to decode."""
    found = choices.pictures(stimuli)
    if found is None:
        return ["category"]
    names = ["category"] + [str(n) for n, v in found.data_vars.items() if v.dims == ("stimulus",)]
    return sorted(names, key=lambda name: not decodable(found[name].to_numpy()))


def decodable(values: np.ndarray) -> bool:
    """Tell whether there are numbers that differ, or classes of which every fold can have a stimulus."""
    kinds, sizes = np.unique(values, return_counts=True)
    return len(kinds) > 1 and (values.dtype.kind in "iuf" or bool(sizes.min() >= FOLDS))


def show(spec: Question, beside: Question | None = None) -> None:
    """Draw the verdict, the profile and what stands behind it."""
    answer = answers.ask(spec, height=420)
    other = answers.ask(beside, height=420) if beside is not None and answer is not None else None
    if answer is None or (beside is not None and other is None):
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    if other is not None:
        st.markdown(f"**{plain(figure.verdict(other))}**")
        st.markdown(plain(figure.beside(answer, other)))
    answers.cautions(answer, other)
    charts.draw(
        answer,
        "profile",
        lambda dark: figure.profile(answer, other, dark=dark),
        "" if other is None else other.attrs["record"],
    )
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.profile(answer, other, width=560), name="decoding")
    areas = next((s for s in (spec, beside) if isinstance(s, DecodingSpec)), None)
    over_time = ["Over time"] if areas is not None else []
    names = ["Predictions", *(["Units"] if "drop_score" in answer else []), *over_time, "Table", "Methods"]
    tabs = dict(
        zip(names, st.tabs(names, key="decoded", on_change="rerun", bind="query-params"), strict=True)
    )
    if tabs["Predictions"].open:
        with tabs["Predictions"]:
            predictions(answer)
    if "Units" in tabs and tabs["Units"].open:
        with tabs["Units"]:
            units(answer)
    if areas is not None and tabs["Over time"].open:
        with tabs["Over time"]:
            decoding_time.draw(areas, answer, other)
    if tabs["Table"].open:
        with tabs["Table"]:
            tables.draw(figure.table(answer), alt=figure.verdict(answer))
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
    if "importance" not in answer:
        right.info("SHAP values over units are drawn for the ridge decoder.", icon=":material/info:")
        return
    with right:
        charts.draw(answer, "importance", lambda dark: figure.importance_chart(answer, name, dark=dark), name)
        st.caption(
            "SHAP values of the linear decoder: weight × (response − mean), averaged without sign (Lundberg "
            "& Lee, 2017). With correlated neurons a large weight may only cancel noise (Haufe et al., 2014)."
        )


st.title("What can be read out of layers and areas?")
questions = choose()
if questions:
    show(*questions)
