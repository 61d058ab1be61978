"""How a network was trained and whether it is healthy, on the Network page."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import health as health_figure
from dashboard.figures import network as figure
from dashboard.specs import HealthSpec, TrainingSpec
from dashboard.ui import answers, charts, choices, panel, sidebar
from dashboard.ui.text import plain


def draw_training(answer: choices.Answer, network: str) -> None:
    """Draw how the network was trained, where its card tells."""
    if answer.attrs["has_history"] != "yes" or "untrained" in network:
        st.info(
            "No training history comes with these weights. Bundled networks bring theirs, such as "
            "bundled:objects_cnn.",
            icon=":material/info:",
        )
        return
    spec = TrainingSpec(network=network)
    found = answers.ask(spec, height=320)
    if found is None:
        return
    words = figure.training_words(found)
    st.markdown(plain(words))
    number = len(figure.training_charts(found))
    for k, column in enumerate(st.columns(number)):
        with column:
            charts.draw(
                found,
                f"training-{k}",
                lambda dark, k=k: figure.training_charts(found, dark=dark)[k],  # type: ignore[misc]
                alt=words,
            )
    st.caption(
        "Solid: validation; dashed: training. The dotted line marks the epoch with the least validation loss."
    )
    panel.footer(found, spec, lambda: figure.training_chart(found, width=190), name="training")
    if found.sizes["module"]:
        st.header("Gradients while it was trained")
        charts.draw(
            found,
            "gradients-of-epochs",
            lambda dark: figure.gradient_history_chart(found, dark=dark),
            alt="Gradient norms by epoch",
        )
        st.caption(
            "Mean norm of the gradient over the steps of an epoch, one row per module, first layers above."
        )


def draw_health(answer: choices.Answer) -> None:
    """Draw activations, gradients and weights on the chosen stimuli."""
    chosen = sidebar.current()
    if answer.attrs["input_kind"] == "text":
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
        own = choices.switch(
            "own_scale",
            "A scale for each row",
            help="Stretch every distribution over the whole width: its shape is seen, its size is not.",
        )
    spec = choices.build(
        HealthSpec, network=chosen.network, stimuli=chosen.stimuli, layers=layers, batch=batch
    )
    found = answers.ask(spec, height=480) if spec is not None else None
    if spec is None or found is None:
        return
    answers.cautions(found)
    broken = health_figure.finite_words(found)
    if broken:
        st.warning(plain(broken), icon=":material/warning:")
    _activations(found, spec, own)
    _gradients(found, spec)
    st.header("Weights")
    _ridge(found, "weight", own)
    panel.footer(
        found,
        spec,
        lambda: health_figure.ridge_chart(found, "weight", own_scale=own, width=420),
        name="weights",
    )


def _activations(found: choices.Answer, spec: HealthSpec, own: bool) -> None:
    st.header("Activations")
    words = health_figure.dead_words(found)
    st.markdown(plain(words))
    left, right = st.columns([2, 1])
    with left:
        _ridge(found, "activation", own)
    with right:
        charts.draw(found, "dead", lambda dark: health_figure.dead_chart(found, dark=dark), alt=words)
    panel.footer(found, spec, lambda: health_figure.activation_chart(found, width=330), name="health")


def _gradients(found: choices.Answer, spec: HealthSpec) -> None:
    st.header("Gradients")
    words = health_figure.gradient_words(found)
    st.markdown(plain(words))
    left, right = st.columns([3, 2])
    with left:
        _ridge(found, "gradient", own=False)
    with right:
        charts.draw(
            found, "gradients", lambda dark: health_figure.gradient_chart(found, dark=dark), alt=words
        )
    st.caption(
        plain(
            f"Loss: {found.attrs['loss']}, for {found.attrs['n_batch']} stimuli, network in eval mode. Only "
            "modules with weights of two or more axes; compare within the network, not between networks."
        )
    )
    panel.footer(found, spec, lambda: health_figure.gradient_chart(found, width=420), name="gradients")


def _ridge(found: choices.Answer, what: str, own: bool) -> None:
    """Draw the distributions of all layers or modules, with what their heights and scales mean."""
    words = health_figure.ridge_words(found, what)
    charts.draw(
        found,
        f"ridge-{what}",
        lambda dark: health_figure.ridge_chart(found, what, own_scale=own, dark=dark),
        what,
        own,
    )
    scale = "Each row has its own axis from least to largest." if own else "All rows share one axis."
    st.caption(
        f"{plain(words)} {scale} Every row is as high as its fullest bin; counts stand in the tooltip."
    )
