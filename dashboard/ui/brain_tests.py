"""Tests of layers on the Brain page: against zero, the noise ceiling and each other; one network or two."""

from __future__ import annotations

import typing

import streamlit as st

from dashboard import networks, provenance
from dashboard.errors import HomologError
from dashboard.figures import inference as figure
from dashboard.methods.inference import CORRECTIONS
from dashboard.specs import BrainSpec, Correction, InferenceSpec
from dashboard.ui import answers, charts, choices, panel, tables
from dashboard.ui.text import plain

NONE = "none"


def draw(question: BrainSpec, comparison: choices.Answer, area: str) -> None:
    """Draw the controls, the verdict and what was tested."""
    spec = _choose(question)
    answer = answers.ask(spec, height=420) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer, area))}**")
    answers.cautions(answer, said=comparison)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        charts.draw(answer, "tests", lambda dark: figure.score_chart(answer, area, dark), area)
        st.caption(plain(figure.caption(answer)))
    with right:
        charts.draw(answer, "pairs", lambda dark: figure.pair_chart(answer, area, dark), area)
        st.caption(plain(figure.pair_caption(answer)))
    panel.footer(answer, spec, lambda: figure.score_chart(answer, area), name="tests")
    with st.expander("p values of every model", icon=":material/table:"):
        tables.draw(figure.model_table(answer, area), alt=figure.verdict(answer, area))
        st.caption(plain(figure.table_note(answer)))
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))


def _choose(question: BrainSpec) -> InferenceSpec | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        second = _second(question.network)
        correction = choices.pick(
            "correction",
            "Correction for many tests",
            typing.get_args(Correction),
            help=" ".join(f"{name}: {entry.help}" for name, entry in CORRECTIONS.items()),
        )
        permutations = choices.number(
            "permutations",
            "Shuffles of labels",
            1000,
            low=0,
            high=100_000,
            help="How often stimuli are relabelled; no p is below 1 / (shuffles + 1). 0 for none.",
        )
    if second and not _opens(second):
        return None
    return choices.build(
        InferenceSpec,
        network=question.network,
        recording=question.recording,
        second=second,
        areas=question.areas,
        layers=question.layers,
        controls=question.controls,
        metric=question.metric,
        measure=question.measure,
        reducer=question.reducer,
        resample=question.resample,
        bootstrap=question.bootstrap,
        permutations=permutations,
        correction=correction,
        seed=question.seed,
    )


def _second(network: str) -> str:
    """Choose the network whose layers are tested beside those of the first; "" for none."""
    known = [entry.reference for entry in networks.catalogue() if entry.weights != "download"]
    asked = st.session_state.get("second") or st.query_params.get("second")
    found = st.selectbox(
        "Beside the layers of",
        list(dict.fromkeys([NONE, *(k for k in known if k != network), *([str(asked)] if asked else [])])),
        key="second",
        bind="query-params",
        accept_new_options=True,
        help="Another network whose layers enter the same tests. Type any reference, such as the untrained "
        "twin of the first.",
        width=260,
    )
    return "" if found in (None, NONE) else str(found)


def _opens(reference: str) -> bool:
    try:
        inside = networks.inside_roots(reference)
    except HomologError as error:
        answers.problem(error)
        return False
    if not inside:
        st.error("The second network names a file outside the folders that this server opens.")
    return inside
