"""What makes one unit respond: its best, worst and random stimuli, its selectivity and its kernel."""

from functools import partial
from typing import Any

import streamlit as st

from dashboard import compute
from dashboard.errors import HomologError
from dashboard.figures import filters as kernel_figure
from dashboard.figures import tuning as tuning_figure
from dashboard.figures import units as figure
from dashboard.figures.theme import three_digits
from dashboard.specs import FiltersSpec, TuningSpec, UnitSpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables, unit_parts
from dashboard.ui.components.gallery import Tile, gallery
from dashboard.ui.text import plain

FIRST = "first of the default layers"


def step(by: int) -> None:
    """Go to another unit, from the last on to the first."""
    n = int(st.session_state.get("_n_units") or 0)
    unit = int(st.session_state.get("unit") or 0) + by
    st.session_state["unit"] = unit % n if n else max(unit, 0)


def choose() -> UnitSpec | None:
    """Draw the title and the controls; return the question."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    head = st.empty()
    known = [str(v) for v in facts.layer.values] if facts is not None else []
    asked = st.session_state.get("layer") or st.query_params.get("layer")
    options = list(dict.fromkeys([FIRST, *known, *([str(asked)] if asked else [])]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = choices.pick("layer", "Layer", options, help="The layer that the unit belongs to.")
        unit = choices.number(
            "unit",
            "Unit",
            0,
            low=0,
            high=10**7,
            help="Number of the channel, of the feature, or of the unit in a layer without positions.",
        )
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            shortcut="P",
            on_click=step,
            args=(-1,),
            help="Press P.",
        )
        st.button(
            "Next", icon=":material/chevron_right:", shortcut="N", on_click=step, args=(1,), help="Press N."
        )
        by = choices.pick(
            "by",
            "Response",
            ["maximum", "mean"],
            help="What counts as the response of a channel: its maximum over positions, or its mean.",
        )
    spec = choices.build(
        UnitSpec,
        network=chosen.network,
        stimuli=chosen.stimuli,
        layer="" if layer == FIRST else layer,
        unit=unit,
        by=by,
    )
    where = "the first layer" if layer == FIRST else layer
    found = answers.peek(spec) if spec is not None and layer == FIRST else None
    where = str(found.attrs["layer"]) if found is not None else where
    head.title(f"What makes unit {unit} of {plain(where)} of {plain(_title(facts))} respond?")
    return spec


def _title(facts: choices.Answer | None) -> str:
    return choices.title(facts, sidebar.current().network)


def show(spec: UnitSpec) -> None:
    """Draw the verdict, the stimuli of the three groups, the distribution and the selectivity."""
    answer = answers.ask(spec, height=520)
    if answer is None:
        return
    st.session_state["_n_units"] = int(answer.attrs["n_units"])
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    if figure.has_pictures(answer):
        pictures(answer)
    else:
        texts(answer)
    note = str(answer.attrs["note"])
    st.caption(plain(f"{note} {figure.CAVEAT}".strip()))
    left, right = st.columns(2, gap="medium")
    with left:
        charts.draw(answer, "unit-histogram", lambda dark: figure.histogram(answer, dark))
    with right:
        if figure.best(answer) is None:
            st.info(figure.category_words(answer), icon=":material/info:")
        else:
            charts.draw(answer, "unit-categories", lambda dark: figure.category_chart(answer, dark))
            st.caption(figure.CAVEAT_BEST)
    panel.footer(answer, spec, lambda: figure.overview(answer), name="unit")
    details(answer, spec)


def pictures(answer: choices.Answer) -> None:
    """Draw each group as two galleries: whole pictures with the field framed, and what the unit saw."""
    columns = st.columns(3, gap="medium")
    for column, (group, title) in zip(columns, figure.TITLES.items(), strict=True):
        places = figure.members(answer, group)
        values = answer["shown_response"].to_numpy()[places]
        names = [str(v) for v in answer["name"].to_numpy()[places]]
        tiles = [Tile(n, three_digits(float(v))) for n, v in zip(names, values, strict=True)]
        with column:
            st.header(title)
            gallery(
                tiles, figure.picture_tiles(answer, group), label=f"{title}: pictures", key=f"whole-{group}"
            )
            if figure.has_crops(answer):
                st.caption("What the unit saw of each")
                gallery(tiles, figure.crop_tiles(answer, group), label=f"{title}: crops", key=f"crop-{group}")


def texts(answer: choices.Answer) -> None:
    """Draw the texts of each group as a table."""
    for group, title in figure.TITLES.items():
        st.header(title)
        tables.draw(figure.text_table(answer, group), alt=f"{title} of the unit")


def details(answer: choices.Answer, spec: UnitSpec) -> None:
    """Draw what is known of the unit beside its stimuli, in tabs, and what to look at next."""
    layer, unit = str(answer.attrs["layer"]), int(answer.attrs["unit"])
    names = ["Tuning", "Table"]
    if figure.sees_pictures(answer):
        names = ["Preferred pictures", "Field", "Connections", *names]
    if "Conv" in str(answer.attrs["layer_kind"]) and figure.has_pictures(answer):
        names.insert(0, "Kernel")
    tabs = dict(
        zip(names, st.tabs(names, key="unit_details", on_change="rerun", bind="query-params"), strict=True)
    )
    if "Kernel" in tabs and tabs["Kernel"].open:
        with tabs["Kernel"]:
            kernel(spec.network, layer, unit)
    drawn = {
        "Preferred pictures": unit_parts.preferred,
        "Field": unit_parts.field,
        "Connections": unit_parts.connections,
    }
    for name, draw in drawn.items():
        if name in tabs and tabs[name].open:
            with tabs[name]:
                draw(answer, spec)
    if tabs["Tuning"].open:
        with tabs["Tuning"]:
            tuning(spec.network, layer, unit)
    if tabs["Table"].open:
        with tabs["Table"]:
            tables.draw(figure.table(answer), alt=figure.verdict(answer))
    choices.next_steps(
        ("filters.py", "See the filters of the network", ":material/filter_b_and_w:"),
        ("tuning.py", "Measure tuning to gratings", ":material/tune:"),
    )


def kernel(network: str, layer: str, unit: int) -> None:
    """Draw the kernel of a convolution."""
    found = answers.ask(FiltersSpec(network=network, layer=layer), height=200)
    if found is None or unit >= found.sizes["unit"]:
        return
    answers.cautions(found)
    words = kernel_figure.unit_words(found, None, unit)
    st.image(
        kernel_figure.kernel_tiles(found, side=192)[unit], caption=f"Kernel {unit}", width=192, alt=words
    )
    st.markdown(plain(f"{words} {kernel_figure.scale_words(found)}"))


def tuning(network: str, layer: str, unit: int) -> None:
    """Draw the tuning curves when they have been measured; else say where to measure them."""
    try:
        found = compute.stored(TuningSpec(network=network, layer=layer))
    except HomologError:
        found = None
    if found is None or unit >= found.sizes["unit"]:
        st.info(
            plain(f"The tuning of {layer} to gratings has not been measured yet; the Tuning page does it."),
            icon=":material/info:",
        )
        choices.open_with(
            "tuning.py", "Measure its tuning", ":material/tune:", tuned_layer=layer, unit=str(unit)
        )
        return
    st.markdown(plain(tuning_figure.unit_words(found, unit)))
    axes = list(tuning_figure.axes(found))
    for name, column in zip(axes, st.columns(len(axes)), strict=True):
        with column:
            charts.draw(found, f"curve-{name}", partial(_curve, found, unit, name), unit)


def _curve(found: choices.Answer, unit: int, name: str, dark: bool) -> Any:
    return tuning_figure.curve(found, unit, name, dark=dark)


question = choose()
if question is not None:
    show(question)
