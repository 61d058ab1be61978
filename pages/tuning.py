"""To which gratings do the units of a layer respond, and are they like neurons of visual cortex?"""

from functools import partial
from typing import Any

import streamlit as st

from dashboard.errors import HomologError
from dashboard.figures import tuning as figure
from dashboard.specs import NeuronTuningSpec, TuningSpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables
from dashboard.ui.text import plain

FIRST = "first of the default layers"
MOST_NAMED, MOST_MAPPED = 12, 1024
CONTRASTS, SIZES = "0.06:0.12:0.25:0.5:0.75:1", "0.1:0.2:0.3:0.45:0.6:0.8:1"


def choose() -> tuple[TuningSpec | None, float]:
    """Draw the controls; return the question and the size of the picture in degrees, 0 for unknown."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"How are the units of {plain(choices.title(facts, chosen.network))} tuned to gratings?")
    known = [str(v) for v in facts.layer.values] if facts is not None else []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = choices.pick(
            "tuned_layer",
            "Layer",
            [FIRST, *known],
            help="Of each channel the unit in the middle of the picture is measured, as an electrode would.",
            waiting=facts is None,
        )
        degrees = st.number_input(
            "Picture (degrees)",
            min_value=0.0,
            max_value=180.0,
            value=None,
            step=1.0,
            placeholder="unknown",
            key="degrees",
            bind="query-params",
            help="How large the network's picture would be to an eye, in degrees of visual angle; spatial "
            "frequencies are then given in cycles per degree. Empty: cycles per picture.",
        )
        contrast = choices.switch(
            "contrast",
            "Contrast",
            help=f"Also show six contrasts and fit Naka–Rushton functions ({CONTRASTS}).",
        )
        size = choices.switch(
            "size", "Size", help=f"Also show seven sizes and measure surround suppression ({SIZES})."
        )
        with st.popover("More", icon=":material/tune:", help="Which gratings are shown."):
            orientations = choices.number(
                "orientations", "Orientations", 24, low=4, high=90, help="Evenly spaced over 180 degrees."
            )
            phases = choices.number(
                "phases", "Phases", 8, low=3, high=32, help="Evenly spaced over 360 degrees."
            )
            frequencies = st.text_input(
                "Spatial frequencies",
                key="frequencies",
                bind="query-params",
                placeholder="eight, suited to the input",
                help="Cycles per picture, rising, with colons between, such as 2:4:8:16. Empty: eight.",
            )
    spec = choices.build(
        TuningSpec,
        network=chosen.network,
        layer=layer if layer in known else "",
        orientations=orientations,
        phases=phases,
        frequencies=frequencies or "",
        contrasts=CONTRASTS if contrast else "",
        sizes=SIZES if size else "",
    )
    try:
        return spec, figure.degrees_across(degrees)
    except HomologError as error:
        answers.problem(error)
        return None, 0.0


def show(spec: TuningSpec, degrees: float) -> None:
    """Draw the verdict, one unit's curves beside the scatter of all, and the distributions."""
    answer = answers.ask(spec, height=520)
    if answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        brushed = population(answer, degrees)
    with right:
        chosen = unit(answer, degrees)
        orientations(answer, chosen, brushed)
    curves(answer, chosen, degrees)
    panel.footer(answer, spec, lambda: figure.overview(answer), name="tuning")
    details(answer, degrees, brushed)


def population(answer: choices.Answer, degrees: float) -> list[int]:
    """Draw two measures of all units against each other; return the units that are brushed."""
    names = figure.measures(answer)
    titles = {figure.MEASURES[name][0]: name for name in names}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = titles[choices.pick("x", "Across", list(titles), help=_definitions(names))]
        y = titles[
            choices.pick(
                "y", "Up", list(titles), default="Preferred spatial frequency", help=_definitions(names)
            )
        ]
    chosen = int(st.session_state.get("unit") or 0)

    def take() -> None:
        _choose(st.session_state["scatter"].selection.get("unit"), answer)

    state = charts.draw(
        answer,
        "scatter",
        lambda dark: figure.scatter(answer, x, y, chosen=chosen, dark=dark, degrees=degrees),
        x,
        y,
        chosen,
        degrees,
        on_select=take,
    )
    ranges = state.selection.get("brush") if state is not None else None
    brushed = [int(k) for k in figure.inside(answer, x, y, ranges, degrees)]
    st.caption("Each point is a unit; click one to see its curves, or drag over many to see them below.")
    if brushed:
        shown = ", ".join(map(str, brushed[:MOST_NAMED]))
        more = f" and {len(brushed) - MOST_NAMED} more" if len(brushed) > MOST_NAMED else ""
        st.caption(f"{len(brushed)} brushed: {shown}{more}.")
    return brushed


def _choose(found: Any, answer: choices.Answer) -> None:
    """Take the unit of a click."""
    clicked = (found or [{}])[0].get("unit", -1)
    if 0 <= clicked < answer.sizes["unit"]:
        st.session_state["unit"] = int(clicked)


def orientations(answer: choices.Answer, chosen: int, brushed: list[int]) -> None:
    """Draw the map of preferred orientation over the channels; a click chooses a unit."""
    if answer.sizes["unit"] > MOST_MAPPED:
        return

    def take() -> None:
        _choose(st.session_state["orientation_map"].selection.get("channel"), answer)

    charts.draw(
        answer,
        "orientation_map",
        lambda dark: figure.orientation_map(answer, among=brushed, chosen=chosen, dark=dark, width=380),
        chosen,
        tuple(brushed),
        width="content",
        on_select=take,
    )
    st.caption(
        "Preferred orientation of each channel, in their order. Bars lie as the unit likes them, longer the "
        "sharper its tuning; a dot has no orientation."
    )


def _definitions(names: list[str]) -> str:
    return "  \n".join(f"**{figure.MEASURES[name][0]}**: {figure.MEASURES[name][2]}" for name in names)


def unit(answer: choices.Answer, degrees: float) -> int:
    """Draw the measures of one unit, with the reason where it has none, and return its number."""
    last = answer.sizes["unit"] - 1
    if int(st.session_state.get("unit") or 0) > last:
        st.session_state["unit"] = 0
    chosen = choices.number(
        "unit", "Unit", 0, low=0, high=last, help="Number of the channel; a click in the scatter sets it."
    )
    st.markdown(plain(figure.unit_words(answer, chosen, degrees)))
    layer = str(answer.attrs["layer"])
    if answer.attrs["per_channel"] == "yes":  # elsewhere the two pages would number other units
        choices.open_with(
            "unit.py", "Open this unit", ":material/my_location:", layer=layer, unit=str(chosen)
        )
    return chosen


def curves(answer: choices.Answer, chosen: int, degrees: float) -> None:
    """Draw the tuning curves of one unit beside each other."""
    names = list(figure.axes(answer))
    for name, column in zip(names, st.columns(len(names)), strict=True):
        with column:
            charts.draw(
                answer, f"curve-{name}", partial(_curve, answer, chosen, name, degrees), chosen, degrees
            )


def _curve(answer: choices.Answer, chosen: int, name: str, degrees: float, dark: bool) -> Any:
    return figure.curve(answer, chosen, name, dark=dark, degrees=degrees)


def details(answer: choices.Answer, degrees: float, brushed: list[int]) -> None:
    """Draw the distributions beside those of neurons, the table and the methods, in tabs."""
    distributions, table, methods = st.tabs(
        ["Distributions", "Table", "Methods"], key="tuning_details", on_change="rerun", bind="query-params"
    )
    if distributions.open:
        with distributions:
            _distributions(answer, degrees, brushed)
    if table.open:
        with table:
            rows = figure.table(answer)
            kept = rows.iloc[brushed] if brushed else rows
            tables.draw(kept, alt=figure.verdict(answer))
    if methods.open:
        with methods:
            st.markdown(plain(figure.methods_text(answer)))
    choices.next_steps(
        ("filters.py", "See the filters of the network", ":material/filter_b_and_w:"),
        ("brain.py", "Compare its layers with a brain", ":material/neurology:"),
    )


def _histogram(
    answer: choices.Answer,
    name: str,
    other: choices.Answer | None,
    degrees: float,
    brushed: list[int],
    dark: bool,
) -> Any:
    return figure.histogram(answer, name, other, among=brushed, dark=dark, degrees=degrees)


def _distributions(answer: choices.Answer, degrees: float, brushed: list[int]) -> None:
    recording = sidebar.current().recording
    other = None
    if choices.switch(
        "neurons",
        "Neurons of the recording beside",
        help="For recordings of gratings of every orientation, frequency and phase, such as simulated-v1.",
    ):
        question = choices.build(NeuronTuningSpec, recording=recording)
        other = answers.ask(question, height=200) if question is not None else None
        if other is not None:
            answers.cautions(other, said=answer)
            st.markdown(plain(f"{other.attrs['title']}: {figure.verdict(other)}"))
    names = figure.measures(answer)
    columns = st.columns(2)
    for k, name in enumerate(names):
        with columns[k % 2]:
            if figure.empty(answer, name, other, degrees):
                st.info(plain(figure.empty_words(name, degrees)), icon=":material/info:")
                continue
            charts.draw(
                answer,
                f"histogram-{name}",
                partial(_histogram, answer, name, other, degrees, brushed),
                degrees,
                tuple(brushed),
                "" if other is None else other.attrs["record"],
            )
            st.caption(plain(figure.MEASURES[name][2]))
    if other is not None and degrees == 0:
        st.caption(
            "Frequencies of units are per picture that the network sees, of neurons per picture shown."
        )


question, picture_degrees = choose()
if question is not None:
    show(question, picture_degrees)
