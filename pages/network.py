"""What is this network: where it comes from, how data flow through it, how it was trained, is it healthy?"""

from collections.abc import Callable
from functools import partial

import streamlit as st

from dashboard.figures import health as health_figure
from dashboard.figures import network as figure
from dashboard.figures.alternative import alt_text
from dashboard.specs import CostsSpec, HealthSpec, NetworkSpec, TrainingSpec
from dashboard.ui import answers, choices, network_states, panel, sidebar
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
    answer = answers.ask(spec, height=560)
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
    own = {"states": ("States", network_states.draw)}
    fits = str(answer.attrs["panels"]).split(",")
    return {
        "Flow": lambda: draw_flow(answer, spec),
        "Layers": lambda: draw_layers(answer, spec),
        "Card": lambda: draw_card(answer, spec),
        "Training": lambda: draw_training(answer, spec),
        "Health": lambda: draw_health(answer),
        **{name: partial(draw, spec.network) for key, (name, draw) in own.items() if key in fits},
    }


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
    panel.footer(answer, spec, lambda: figure.flow_chart(answer), name="network")


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
    panel.footer(answer, spec, lambda: figure.flow_chart(answer), name="layers", endings=panel.NUMBERS)
    if costs is not None:
        panel.footer(costs, question, lambda: None, name="costs", endings=panel.NUMBERS)


def draw_card(answer: choices.Answer, spec: NetworkSpec) -> None:
    """Draw what is known of the network."""
    for heading, text in figure.card(answer).items():
        left, right = st.columns([1, 5])
        left.markdown(f"**{plain(heading)}**")
        right.markdown(plain(text))
    panel.footer(answer, spec, lambda: figure.flow_chart(answer), name="card", endings=panel.NUMBERS)


def draw_training(answer: choices.Answer, spec: NetworkSpec) -> None:
    """Draw how the network was trained, where its card tells."""
    if answer.attrs["has_history"] != "yes" or "untrained" in spec.network:
        st.info(
            "No training history comes with these weights. Bundled networks bring theirs, such as "
            "bundled:objects_cnn.",
            icon=":material/info:",
        )
        return
    question = TrainingSpec(network=spec.network)
    found = answers.ask(question, height=320)
    if found is None:
        return
    st.markdown(plain(figure.training_words(found)))
    charts = figure.training_charts(found, dark=choices.dark())
    for number, (column, chart) in enumerate(zip(st.columns(len(charts)), charts, strict=True)):
        words = figure.training_words(found)
        column.altair_chart(chart, key=f"training-{number}", theme=None, alt=words)
    st.caption(
        "Solid: validation; dashed: training. The dotted line marks the epoch with the least validation loss."
    )
    panel.footer(found, question, lambda: figure.training_chart(found, width=190), name="training")
    if found.sizes["module"]:
        st.header("Gradients while it was trained")
        chart = figure.gradient_history_chart(found, dark=choices.dark())
        st.altair_chart(chart, key="gradients-of-epochs", theme=None, alt="Gradient norms by epoch")
        st.caption(
            "Mean norm of the gradient over the steps of an epoch, one row per module, first layers above."
        )


def draw_health(answer: choices.Answer) -> None:
    """Draw activations, gradients and weights on the chosen stimuli."""
    chosen = sidebar.current()
    if answer.attrs["input_kind"] != "image":
        st.info("This network reads text, and the stimuli are pictures.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layers = choices.layers(answer)
        batch = choices.number(
            "batch",
            "Stimuli for gradients",
            32,
            low=1,
            high=256,
            help="How many stimuli, spread evenly over the set, make the batch whose gradient is taken.",
        )
    question = choices.build(
        HealthSpec, network=chosen.network, stimuli=chosen.stimuli, layers=layers, batch=batch
    )
    found = answers.ask(question, height=480) if question is not None else None
    if question is None or found is None:
        return
    answers.cautions(found)
    broken = health_figure.finite_words(found)
    if broken:
        st.warning(plain(broken), icon=":material/warning:")
    dark = choices.dark()
    st.header("Activations")
    st.markdown(plain(health_figure.dead_words(found)))
    left, right = st.columns([2, 1])
    words = health_figure.dead_words(found)
    left.altair_chart(
        health_figure.spread_chart(found, dark=dark),
        key="activations",
        theme=None,
        alt="Activations by layer",
    )
    right.altair_chart(health_figure.dead_chart(found, dark=dark), key="dead", theme=None, alt=words)
    panel.footer(found, question, lambda: health_figure.activation_chart(found, width=330), name="health")
    st.header("Gradients")
    st.markdown(plain(health_figure.gradient_words(found)))
    chart = health_figure.gradient_chart(found, dark=dark)
    st.altair_chart(chart, key="gradients", theme=None, alt=health_figure.gradient_words(found))
    st.caption(
        plain(
            f"Loss: {found.attrs['loss']}, for {found.attrs['n_batch']} stimuli, network in eval mode. Only "
            "modules with weights of two or more axes; compare within the network, not between networks."
        )
    )
    panel.footer(found, question, lambda: health_figure.gradient_chart(found, width=420), name="gradients")
    st.header("Weights")
    chart = health_figure.weight_chart(found, dark=dark)
    st.altair_chart(chart, key="weights", theme=None, alt="Distribution of weights by module")
    panel.footer(found, question, lambda: health_figure.weight_chart(found, width=420), name="weights")


selection = sidebar.current()
st.title(f"What is {plain(choices.title(choices.network_facts(selection.network), selection.network))}?")
request = choices.build(NetworkSpec, network=selection.network)
if request is not None:
    show(request)
