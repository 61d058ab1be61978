"""What is this network: where it comes from, how data flow through it, how it was trained, is it healthy?"""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from dashboard.figures import network as figure
from dashboard.figures.alternative import alt_text
from dashboard.specs import CostsSpec, NetworkSpec
from dashboard.ui import (
    answers,
    choices,
    network_latents,
    network_masks,
    network_states,
    network_training,
    network_versus,
    network_walk,
    opening,
    panel,
    sidebar,
)
from dashboard.ui.components.flow import flow_view
from dashboard.ui.text import plain

MOST_UNFOLDED = 40

COLUMNS = {
    "Units": st.column_config.NumberColumn(format="localized", help="Outputs for one stimulus."),
    "Parameters": st.column_config.NumberColumn(
        format="localized", help="Trained numbers in the layer and in what is inside it."
    ),
    "FLOPs": st.column_config.NumberColumn(
        format="localized", help="Operations of the layer and of what is inside it, for one stimulus."
    ),
    "Memory (bytes)": st.column_config.NumberColumn(
        format="localized", help="Size of the output for one stimulus in float32."
    ),
    "Receptive field (pixels)": st.column_config.NumberColumn(
        format="localized",
        help="Side of what one unit can depend on at most, in pixels of the network's input.",
    ),
    "Receptive field (degrees)": st.column_config.NumberColumn(format="%.2f", help="The same in degrees."),
    "Note": st.column_config.TextColumn(help="Why there is no receptive field in pixels."),
    "Default": st.column_config.CheckboxColumn(
        help="Chosen on other pages when you choose no layer: about eight, spread over depth."
    ),
}


def show(spec: NetworkSpec) -> None:
    """Draw the verdict and the parts of the page, in tabs."""
    answer = opening.ask(spec, height=560)
    if answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    parts = parts_of(answer, spec)
    tabs = st.tabs(list(parts), key="about", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    choices.next_steps(
        ("predictions.py", "See what it says of pictures", ":material/label:"),
        ("rdms.py", "See which pictures its layers tell apart", ":material/grid_on:"),
    )


def parts_of(answer: choices.Answer, spec: NetworkSpec) -> dict[str, Callable[[], None]]:
    """Return the parts of the page by the names of their tabs; some only where the network can show them."""
    own = {
        "states": ("States", network_states.draw),
        "latents": ("Latents", network_latents.draw),
        "samples": ("Samples", network_walk.draw),
        "masks": ("Masks", network_masks.draw),
    }
    fits = str(answer.attrs["panels"]).split(",")
    return {
        "Flow": lambda: draw_flow(answer, spec),
        "Layers": lambda: draw_layers(answer, spec),
        "Card": lambda: draw_card(answer, spec),
        "Training": lambda: network_training.draw_training(answer, spec.network),
        "Health": lambda: network_training.draw_health(answer),
        "Compare": lambda: network_versus.draw(spec.network),
        **{name: partial(draw, spec.network) for key, (name, draw) in own.items() if key in fits},
    }


def footer(answer: choices.Answer, spec: NetworkSpec, draw: Callable[[], object], **options: Any) -> None:
    """Draw what goes under a figure, once the weights are read: nothing is taken along before."""
    if answer.attrs["digest"]:
        panel.footer(answer, spec, draw, **options)


def draw_flow(answer: choices.Answer, spec: NetworkSpec) -> None:
    """Draw the blocks with the shape of the data on every arrow."""
    st.caption(
        "From top to bottom in the order in which the layers run; **B** is the number of stimuli in a batch. "
        "Click a block to unfold it, point at it to read what it does. A block that takes other data than "
        "the one above gives says what it takes: it stands on a side branch, or the network reshapes between."
    )
    nodes = figure.flow(answer)
    linked = [name for name in st.query_params.get("unfolded", "").split(",") if name][:MOST_UNFOLDED]
    if not linked and len(nodes) == 1:
        linked = [nodes[0].name]

    def note() -> None:
        names = list(map(str, st.session_state["flow"].get("unfolded") or []))[:MOST_UNFOLDED]
        if names:
            st.query_params["unfolded"] = ",".join(names)
        else:
            st.query_params.pop("unfolded", None)

    flow_view(
        nodes,
        given=str(answer.attrs["input_shape"]),
        label=alt_text(answer),
        key="flow",
        unfolded=linked,
        on_fold=note,
    )
    footer(answer, spec, lambda: figure.flow_chart(answer), name="network")


def draw_layers(answer: choices.Answer, spec: NetworkSpec) -> None:
    """Draw the table of layers; what they cost comes when it is counted."""
    question = CostsSpec(network=spec.network)
    costs = answers.peek(question)
    degrees = choices.number(
        "degrees",
        "Degrees per picture",
        0,
        low=0,
        high=180,
        help="How many degrees of visual angle a picture is wide for the observer: gives receptive fields in "
        "degrees. 0 leaves them out.",
    )
    if costs is None:
        st.caption("Operations and receptive fields are being counted.")
    else:
        st.markdown(plain(figure.costs_words(costs)))
        answers.cautions(costs)
    table = figure.layer_table(answer, costs, degrees=degrees)
    st.dataframe(
        table,
        hide_index=True,
        height=min(640, 38 + 35 * len(table)),
        alt=alt_text(answer),
        column_config=COLUMNS,
    )
    st.caption(
        "A second call of one module has the name with :2. Shapes are for one stimulus, without the batch. "
        "One multiplication and one addition are two FLOPs; normalisation, activations and pooling have none."
    )
    footer(answer, spec, lambda: figure.flow_chart(answer), name="layers", endings=panel.NUMBERS)
    if costs is not None:
        panel.footer(costs, question, lambda: None, name="costs", endings=panel.NUMBERS)


def draw_card(answer: choices.Answer, spec: NetworkSpec) -> None:
    """Draw what is known of the network."""
    for heading, text in figure.card(answer).items():
        left, right = st.columns([1, 5])
        left.markdown(f"**{plain(heading)}**")
        right.markdown(plain(text))
    footer(answer, spec, lambda: figure.flow_chart(answer), name="card", endings=panel.NUMBERS)


selection = sidebar.current()
st.title(f"What is {plain(choices.title(choices.network_facts(selection.network), selection.network))}?")
request = choices.build(NetworkSpec, network=selection.network)
if request is not None:
    show(request)
