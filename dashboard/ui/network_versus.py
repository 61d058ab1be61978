"""A second network beside the first on the Network page: cards, layers, sizes and training."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import networks, reference
from dashboard.errors import HomologError
from dashboard.figures import versus as figure
from dashboard.specs import VersusSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain

NONE = "choose a network"


def draw(network: str) -> None:
    """Draw the picker of the second network and what differs."""
    second, differences = _choose(network)
    if second == NONE:
        st.info(
            "Choose a second network, or its untrained twin: cards, layers, sizes and training then stand "
            "side by side.",
            icon=":material/info:",
        )
        return
    spec = _spec(network, second)
    answer = answers.ask(spec, height=560) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(plain(figure.verdict(answer)))
    answers.cautions(answer)
    st.header("Cards")
    _table(figure.cards(answer, differences=differences), "What is known of both networks")
    st.header("Layers")
    _table(figure.layers(answer, differences=differences), figure.verdict(answer))
    st.caption(
        f"Matched by {answer.attrs['matched_by']}. Change tells in words what differs from the first to the "
        "second; weights that differ by 100 % are as far apart as the first ones are from zero."
    )
    _sizes(answer, spec, differences)
    st.header("Training")
    _training(answer, spec)


def _choose(network: str) -> tuple[str, bool]:
    def take_twin() -> None:
        st.session_state["second"] = reference.untrained(network)

    known = [entry.reference for entry in _entries() if entry.reference != network]
    asked = st.session_state.get("second") or st.query_params.get("second")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        second = st.selectbox(
            "Second network",
            list(dict.fromkeys([NONE, *known, *([str(asked)] if asked else [])])),
            key="second",
            bind="query-params",
            accept_new_options=True,
            help="The network that stands beside the one of the sidebar. Type any reference.",
            width=320,
        )
        st.button(
            "Untrained twin",
            icon=":material/shuffle:",
            on_click=take_twin,
            disabled="untrained" in network,
            help="Set the same network with random weights (seed 0) beside it.",
        )
        differences = choices.switch(
            "differences",
            "Differences only",
            help="Leave out facts and layers that are the same in both, so that few changes stand out.",
        )
    return str(second or NONE), differences


@st.cache_data(ttl=20, max_entries=1, show_spinner=False)
def _entries() -> list[networks.Entry]:
    return sorted(networks.catalogue(), key=lambda entry: entry.weights == "download")


def _spec(network: str, second: str) -> VersusSpec | None:
    try:
        if not networks.inside_roots(second):
            st.error("The second network names a file outside the folders that this server opens.")
            return None
    except HomologError as error:
        answers.problem(error)
        return None
    return choices.build(VersusSpec, network=network, second=second)


def _table(table: object, words: str) -> None:
    if len(table) == 0:  # type: ignore[arg-type]
        st.caption("Nothing differs here.")
        return
    columns: dict[str, Any] = {"Change": st.column_config.TextColumn(width="medium")}
    for name in table:  # type: ignore[attr-defined]
        if name.startswith(("Parameters of", "FLOPs of")):
            columns[name] = st.column_config.NumberColumn(format="localized")
    height: Any = "auto" if len(table) < 12 else 440  # type: ignore[arg-type]
    st.dataframe(table, hide_index=True, alt=words, height=height, column_config=columns)


def _sizes(answer: choices.Answer, spec: VersusSpec, differences: bool) -> None:
    names = {"parameters": "Parameters", "flops": "FLOPs"}
    what = choices.pick(
        "sizes", "Size of layers", list(names), help="What is drawn for each pair of matched layers."
    )
    rows, _ = figure.size_rows(answer, what, differences)
    if not rows:
        st.caption("No layer that differs in shape or settings has any of these.")
        return
    charts.draw(
        answer,
        "sizes-chart",
        lambda dark: figure.size_chart(answer, what, differences=differences, dark=dark),
        what,
        differences,
    )
    st.caption("Rows are pairs of layers in order; layers without modules inside that have any. One scale.")
    panel.footer(
        answer,
        spec,
        lambda: figure.size_chart(answer, what, differences=differences, width=420),
        name="versus",
    )


def _training(answer: choices.Answer, spec: VersusSpec) -> None:
    note = figure.training_note(answer)
    if note:
        st.caption(plain(note))
    if not answer.sizes["epoch"]:
        return
    for column, name in zip(st.columns(2), ("loss", "metric"), strict=True):
        with column:
            charts.draw(
                answer,
                f"versus-{name}",
                lambda dark, name=name: figure.curves_chart(answer, name, dark=dark),  # type: ignore[misc]
            )
    st.caption("Solid: validation; dashed: training. Losses of different tasks do not compare in value.")
    panel.footer(answer, spec, lambda: figure.curves_chart(answer, "loss", width=480), name="versus-training")
