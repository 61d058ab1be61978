"""Which layers of two networks speak the same language?"""

import streamlit as st

from dashboard import networks, reference
from dashboard.errors import HomologError
from dashboard.figures import alignment as figure
from dashboard.methods.alignments import MEASURES
from dashboard.specs import AlignmentSpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables
from dashboard.ui.text import plain

ITSELF = "the same network"


@st.cache_data(ttl=20, max_entries=1, show_spinner=False)
def others() -> list[str]:
    """Return the networks that can be chosen."""
    return [entry.reference for entry in networks.catalogue()]


def partner(network: str) -> str:
    """Choose the second network."""
    try:
        twin = [reference.untrained(network)] if "untrained" not in network else []
    except HomologError:
        twin = []
    asked = st.session_state.get("second") or st.query_params.get("second")
    options = [
        ITSELF,
        *twin,
        *(name for name in others() if name != network),
        *([str(asked)] if asked else []),
    ]
    chosen = st.selectbox(
        "Second network",
        list(dict.fromkeys(options)),
        key="second",
        bind="query-params",
        accept_new_options=True,
        help="Whose layers stand in the columns; it must take the same stimuli. Type any reference.",
        width=300,
    )
    return network if chosen in (None, ITSELF, "choose a network") else str(chosen)


def choose() -> AlignmentSpec | None:
    """Draw the controls and return the question."""
    chosen = sidebar.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        second = partner(chosen.network)
        measure = choices.pick(
            "alignment",
            "Measure",
            list(MEASURES),
            help="; ".join(f"{name}: {m.label}, blind to {m.invariant}" for name, m in MEASURES.items())
            + ".",
        )
        with st.popover("More", icon=":material/tune:", help="Layers, units and samples."):
            layers = choices.layers(choices.network_facts(chosen.network))
            reducer = choices.reducer(chosen.network)
            bootstrap = choices.number(
                "bootstrap",
                "Samples of the interval",
                200,
                low=2,
                high=5000,
                help="More: steadier intervals.",
            )
            seed = choices.number("seed", "Seed", 0, low=0, high=2**31 - 1, help="Of samples and shuffles.")
    return choices.build(
        AlignmentSpec,
        network=chosen.network,
        second=second,
        stimuli=chosen.stimuli,
        layers=layers,
        measure=measure,
        reducer=reducer,
        bootstrap=bootstrap,
        seed=seed,
    )


def allowed(second: str) -> bool:
    """Say so when the second network names a file that this server does not open."""
    try:
        if networks.inside_roots(second):
            return True
        st.error("The second network names a file outside the folders that this server opens.")
    except HomologError as error:
        answers.problem(error)
    return False


def show(spec: AlignmentSpec) -> None:
    """Draw the verdict, the matrix and what stands behind it."""
    answer = answers.ask(spec, height=420)
    if answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    charts.draw(answer, "alignment", lambda dark: figure.matrix_chart(answer, dark=dark))
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.main_chart(answer), name="alignment")
    table, methods = st.tabs(["Table", "Methods"])
    with table:
        pairs = figure.table(answer)
        pairs = pairs if pairs["reason"].any() else pairs.drop(columns="reason")
        tables.draw(pairs, alt=figure.verdict(answer))
    with methods:
        st.markdown(plain(figure.methods_text(answer)))
    choices.next_steps(
        ("network.py", "Compare cards, layers and training", ":material/account_tree:"),
        ("rdms.py", "See which stimuli each layer tells apart", ":material/grid_on:"),
    )


st.title("Which layers of two networks speak the same language?")
question = choose()
if question is not None and allowed(question.second):
    show(question)
