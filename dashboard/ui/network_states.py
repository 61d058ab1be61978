"""Gates and states of a recurrent network on the Network page: heat maps, trajectory, RDM over time."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import recurrent as figure
from dashboard.specs import Metric, RecurrentSpec
from dashboard.ui import answers, charts, choices, panel, sidebar
from dashboard.ui.components.matrix import matrix_view
from dashboard.ui.text import plain

METRICS: tuple[Metric, ...] = ("correlation", "cosine", "euclidean")


def draw(network: str) -> None:
    """Draw the panel for the chosen stimuli."""
    spec = _choose(network)
    answer = answers.ask(spec, height=620) if spec is not None else None
    if spec is None or answer is None:
        return
    _tell_layers(answer)
    cell, stimulus = _point(answer)
    st.markdown(plain(figure.verdict(answer, cell)))
    answers.cautions(answer)
    st.header("Gates and states")
    _heat_maps(answer, spec, cell, stimulus)
    st.header("Trajectory")
    st.markdown(plain(figure.trajectory_words(answer, cell)))
    charts.draw(
        answer,
        "trajectory",
        lambda dark: figure.trajectory_chart(answer, cell, stimulus, dark=dark),
        cell,
        stimulus,
    )
    st.caption(
        "Each thin line is a stimulus, from step 1 to the last; coloured lines are the means of categories, "
        f"where there are at most {figure.MOST_MEANS}. The numbers count the steps of the chosen stimulus."
    )
    panel.footer(
        answer,
        spec,
        lambda: figure.trajectory_chart(answer, cell, stimulus, width=480),
        name="trajectory",
    )
    st.header("Which stimuli the states tell apart, step by step")
    _over_time(answer, spec, cell)


def _choose(network: str) -> RecurrentSpec | None:
    chosen = sidebar.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = st.session_state.get("_recurrent_layers", {}).get(network, [])
        layer = choices.pick(
            "recurrent", "Recurrent layer", ["first", *known], help="Which LSTM, GRU or RNN of the network."
        )
        metric = choices.pick(
            "state_metric", "Dissimilarity", METRICS, help="How two hidden states are compared in the RDMs."
        )
    return choices.build(
        RecurrentSpec,
        network=network,
        stimuli=chosen.stimuli,
        layer="" if layer == "first" else layer,
        metric=metric,
    )


def _tell_layers(answer: choices.Answer) -> None:
    """Remember the names of the recurrent layers, so that the picker can list them."""
    known = st.session_state.setdefault("_recurrent_layers", {})
    names = str(answer.attrs["layers"]).split("\n")
    if len(names) > 1 and known.get(answer.attrs["network"]) != names:
        known[answer.attrs["network"]] = names
        st.rerun()


def _point(answer: choices.Answer) -> tuple[str, str]:
    """Draw the pickers of stacked layer and stimulus."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [str(v) for v in answer.stimulus.values]
        stimulus = choices.pick(
            "picture", "Stimulus", names, help="Whose gates and states are drawn, and whose path stands out."
        )
        cells = [str(v) for v in answer.cell.values]
        cell = cells[-1]
        if len(cells) > 1:
            cell = choices.pick(
                "cell", "Stacked layer", cells, default=cells[-1], help="Which of the stacked layers."
            )
        small = choices.pictures(str(answer.attrs["stimuli"]))
        if small is not None and stimulus in (known := [str(v) for v in small.stimulus.values]):
            st.image(small.thumbnail.values[known.index(stimulus)], width=64, alt=stimulus)
    return cell, stimulus


def _heat_maps(answer: choices.Answer, spec: RecurrentSpec, cell: str, stimulus: str) -> None:
    st.markdown(plain(figure.gate_words(answer, cell, stimulus)))
    with st.container(horizontal=True):
        for trace in map(str, answer.trace.values):
            charts.draw(
                answer,
                f"trace-{trace}",
                lambda dark, trace=trace: figure.trace_chart(  # type: ignore[misc]
                    answer, cell, trace, stimulus, dark=dark
                ),
                cell,
                stimulus,
                width="content",
            )
    st.caption(
        "Units in the network's own order. Scales are those of all stimuli, so pictures can be compared; "
        f"computed again from the weights, at most {answer.attrs['deviation']:.1g} from the network's own "
        "states."
    )
    panel.footer(answer, spec, lambda: figure.states_chart(answer, cell, stimulus), name="states")


def _over_time(answer: choices.Answer, spec: RecurrentSpec, cell: str) -> None:
    left, right = st.columns([3, 2], gap="medium")
    matrices = figure.step_matrices(answer, cell)
    with left:
        step = 1
        if len(matrices) > 1:
            step = st.slider(
                "Step",
                1,
                len(matrices),
                len(matrices),
                key="step",
                bind="query-params",
                help="Move through time: the RDM of the hidden states after this step, on one scale.",
            )
        small = choices.pictures(spec.stimuli)
        shown = list(matrices[0].labels)
        names = [] if small is None else [str(v) for v in small.stimulus.values]
        rows = [names.index(name) for name in shown] if names else []
        matrix_view(
            [matrices[step - 1]],
            thumbnails=None if small is None else small.thumbnail.values[rows],
            names=shown if small is not None else (),
            key="step-rdm",
            height=380,
        )
    with right:
        charts.draw(
            answer,
            "step-similarity",
            lambda dark: figure.step_similarity_chart(answer, cell, dark=dark),
            cell,
            width="content",
        )
        st.caption("Each cell compares the RDMs of two steps; next to the diagonal stand successive steps.")
    panel.footer(answer, spec, lambda: [matrices[step - 1]], name="states-rdm")
