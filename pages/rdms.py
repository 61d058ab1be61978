"""Which stimuli does each layer, and each brain area, tell apart?"""

import typing

import streamlit as st

from dashboard.figures import rdms as figure
from dashboard.figures.stimuli import thumbnails_by_name
from dashboard.specs import AreaRdmSpec, MapMethod, MapSpec, Metric, ModelRdmSpec, RdmSpec
from dashboard.ui import answers, charts, choices, panel, sidebar
from dashboard.ui.components.matrix import matrix_view
from dashboard.ui.text import plain


def choose() -> tuple[RdmSpec | None, AreaRdmSpec | None, ModelRdmSpec | None, figure.Order, bool]:
    """Draw the controls; return the three questions, the order of stimuli and whether to show ranks."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"Which stimuli do {plain(choices.title(facts, chosen.network))} and the brain tell apart?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # The recordings were made with pictures, which a text network cannot be shown.
        default = choices.by_kind("beside", chosen.network, {"image": "recording", "text": "nothing"})
        beside = choices.pick(
            "beside",
            "Beside the layers",
            ("recording", "nothing"),
            default=default,
            help="recording: its areas stand beside the layers, and the network sees its pictures. "
            "nothing: the network sees the stimuli of the sidebar.",
        )
        order = choices.pick(
            "order",
            "Order of stimuli",
            typing.get_args(figure.Order),
            help="By category, so that similar stimuli stand together (cluster), or as given.",
        )
        metric = choices.pick(
            "metric",
            "Dissimilarity",
            typing.get_args(Metric),
            default="correlation",
            help="How two activation patterns are compared.",
        )
        ranked = choices.switch(
            "ranked", "Ranks", help="Show ranks from 0 to 1 instead of values: rank measures see only these."
        )
        stimuli = f"recording:{chosen.recording}" if beside == "recording" else chosen.stimuli
        recording = chosen.recording if beside == "recording" else ""
        simple = choices.simple_models(
            stimuli,
            recording,
            "controls",
            "Models beside the layers",
            "RDMs of what the stimuli are and look like, and of models that come with the recording.",
        )
        with st.popover("More", icon=":material/tune:", help="Layers and units."):
            layers = choices.layers(facts)
            reducer = choices.reducer(chosen.network)
    spec = choices.build(
        RdmSpec, network=chosen.network, stimuli=stimuli, layers=layers, metric=metric, reducer=reducer
    )
    area_spec = AreaRdmSpec(recording=chosen.recording, metric=metric) if beside == "recording" else None
    simple_spec = ModelRdmSpec(stimuli=stimuli, recording=recording, models=simple) if simple else None
    return spec, area_spec, simple_spec, order, ranked


def show(
    spec: RdmSpec,
    area_spec: AreaRdmSpec | None,
    simple_spec: ModelRdmSpec | None,
    order: figure.Order,
    ranked: bool,
) -> None:
    """Draw the verdict, the matrices and the map."""
    answer = answers.ask(spec, height=560)
    area_answer = answers.ask(area_spec, height=560) if area_spec is not None and answer is not None else None
    if answer is None or (area_spec is not None and area_answer is None):
        return
    st.markdown(f"**{plain(figure.verdict(answer, area_answer))}**")
    answers.cautions(answer, area_answer)
    simple = answers.ask(simple_spec, height=560) if simple_spec is not None else None
    matrices = figure.matrices(answer, area_answer, order=order, ranked=ranked, simple_ds=simple)
    pictures = choices.pictures(spec.stimuli)
    together, flat = st.tabs(["Matrices", "Map"], key="view", on_change="rerun", bind="query-params")
    if together.open:
        with together:
            matrix_view(
                matrices,
                thumbnails=None if pictures is None else pictures.thumbnail.values,
                names=() if pictures is None else list(map(str, pictures.stimulus.values)),
                key="matrices",
            )
            st.caption(plain(figure.scale_note(matrices)))
            panel.footer(answer, spec, lambda: matrices, name="rdm")
    if flat.open:
        with flat:
            place(spec, area_spec, answer, pictures)
    choices.next_steps(("brain.py", "Which layer is most like the brain?", ":material/neurology:"))


def place(
    spec: RdmSpec, area_spec: AreaRdmSpec | None, rdms: choices.Answer, pictures: choices.Answer | None
) -> None:
    """Draw the stimuli in the plane, for the layers and for the areas."""
    method = choices.pick(
        "method",
        "Method",
        typing.get_args(MapMethod),
        help="classical: exact where distances are Euclidean, keeps the large ones. metric: least stress.",
    )
    draw_map(MapSpec(rdms=spec, method=method), "Layers", rdms, pictures)
    if area_spec is not None:
        draw_map(MapSpec(rdms=area_spec, method=method), "Areas", rdms, pictures)


def draw_map(spec: MapSpec, heading: str, rdms: choices.Answer, pictures: choices.Answer | None) -> None:
    """Draw one map per layer, or per area, with the pictures of the stimuli."""
    answer = answers.ask(spec, height=420)
    if answer is None:
        return
    small = None if pictures is None else thumbnails_by_name(pictures)
    st.header(heading)
    answers.cautions(answer, said=rdms)
    st.caption("Near means alike. Each map fills its panel: compare distances within a map only.")
    with st.container(horizontal=True):
        for number in range(answer.sizes["source"]):
            one = answer.isel(source=[number])
            charts.draw(
                one,
                f"map-{heading}-{number}",
                lambda dark, one=one: figure.map_charts(one, small, dark=dark)[0],  # type: ignore[misc]
                small is None,
                width="content",
            )
    panel.footer(answer, spec, lambda: figure.map_chart(answer, small), name=f"map-{heading.lower()}")


question, areas_question, simple_question, chosen_order, as_ranks = choose()
if question is not None:
    show(question, areas_question, simple_question, chosen_order, as_ranks)
