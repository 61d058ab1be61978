"""What do the filters of a layer look like, and where in a picture do its channels respond?"""

import numpy as np
import streamlit as st

from dashboard.figures import filters as figure
from dashboard.specs import FeatureMapsSpec, FiltersSpec, GaborsSpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables
from dashboard.ui.components.gallery import Tile, gallery
from dashboard.ui.text import plain

FIRST = "first layer with kernels"
DEFAULT_MAP = "first of the default layers"
MOST_TILES = 1024


def choose() -> tuple[FiltersSpec | None, str]:
    """Draw the title and the picker of the layer; return the question and the network's title."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    title = choices.title(facts, chosen.network)
    st.title(f"What do the filters of {plain(title)} look for?")
    return choices.build(FiltersSpec, network=chosen.network, layer=_layer(chosen.network)), title


def _layer(network: str) -> str:
    """Choose a layer; the list is known once the first answer is there."""
    known = answers.peek(FiltersSpec(network=network))
    names = figure.layers(known) if known is not None else []
    value = choices.pick(
        "filter_layer",
        "Layer",
        [FIRST, *names],
        help="A layer with kernels. Those of the first look at the picture itself; deeper ones look at the "
        "channels before them, so that only slices of them can be shown.",
        waiting=known is None,
    )
    return "" if value == FIRST else value


def show(spec: FiltersSpec) -> None:
    """Draw the verdict, the sheet of kernels with the chosen one beside, and the details."""
    answer = answers.ask(spec, height=480)
    if answer is None:
        return
    fits = gabors(answer, spec)
    st.markdown(f"**{plain(figure.verdict(answer, fits))}**")
    answers.cautions(answer)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        unit = sheet(answer, fits)
    with right:
        one(answer, fits, unit)
    panel.footer(answer, spec, lambda: figure.kernel_chart(answer), name="filters")
    details(answer, fits, spec)


def gabors(answer: choices.Answer, spec: FiltersSpec) -> choices.Answer | None:
    """Return the Gabor fits when the kernels are pictures large enough and not too many, or on request."""
    if not figure.is_picture(answer) or min(answer.sizes["y"], answer.sizes["x"]) < 5:
        return None
    wanted = GaborsSpec(network=spec.network, layer=spec.layer)
    many = answer.sizes["unit"] > 128
    if many and not choices.switch(
        "gabors",
        f"Fit Gabors to all {answer.sizes['unit']} kernels",
        help="Takes about a tenth of a second for each kernel.",
    ):
        return None
    return answers.ask(wanted, height=60) if many else answers.peek(wanted)


def sheet(answer: choices.Answer, fits: choices.Answer | None) -> int:
    """Draw all kernels as one sheet and return the unit that is chosen."""
    views = ["kernels"]
    if figure.is_picture(answer):
        views.append("Fourier power")
    if fits is not None:
        views.append("Gabor fits")
    if "component" in answer:
        views.append("principal components")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = choices.pick(
            "view", "Show", views, help="Kernels as they are, where their Fourier power lies, or fits."
        )
        by = choices.pick("by", "Order", figure.orders(answer, fits), help="What comes first in the sheet.")
    if view == "principal components":
        components(answer)
        return number(answer)
    order = figure.ordered(answer, fits, by)[:MOST_TILES]
    tiles = {"Fourier power": figure.power_tiles}.get(view, figure.kernel_tiles)(answer)
    if view == "Gabor fits" and fits is not None:
        tiles = figure.gabor_tiles(fits)
    unit = number(answer)

    def take() -> None:
        chosen = st.session_state["kernels"].get("chosen")
        if isinstance(chosen, str) and chosen.isdigit():
            st.session_state["unit"] = int(chosen)

    gallery(
        [Tile(str(k), str(k)) for k in order],
        tiles[order],
        label=f"{len(order)} {view} of {answer.attrs['layer']}",
        key="kernels",
        chosen=str(unit),
        on_choice=take,
    )
    words = {
        "kernels": figure.scale_words(answer),
        "Fourier power": "Zero frequency in the middle, ±0.5 cycles per pixel at the edges.",
        "Gabor fits": "Each on its own scale about zero; grey where no Gabor fits.",
    }
    st.caption(words[view])
    return unit


def number(answer: choices.Answer) -> int:
    """Choose a unit by its number; the sheet sets it, too."""
    last = answer.sizes["unit"] - 1
    if int(st.session_state.get("unit") or 0) > last:
        st.session_state["unit"] = 0
    return choices.number(
        "unit", "Kernel", 0, low=0, high=last, help="Click a kernel in the sheet, or type its number."
    )


def components(answer: choices.Answer) -> None:
    """Draw the principal components of large kernels, such as the patch embedding of a transformer."""
    tiles = figure.kernel_tiles(answer, "component")
    share = answer["component_share"].to_numpy()
    gallery(
        [Tile(str(k), f"{100 * s:.0f} %") for k, s in enumerate(share)],
        tiles,
        label=f"{len(tiles)} principal components of the kernels of {answer.attrs['layer']}",
        key="components",
    )
    st.caption(
        f"Below each the share of the variance that it explains; together {100 * share.sum():.0f} %. "
        "The sign of a component is arbitrary."
    )


def one(answer: choices.Answer, fits: choices.Answer | None, unit: int) -> None:
    """Draw one kernel large, with its spectrum and fit."""
    pictures = [("Kernel", figure.kernel_tiles(answer.isel(unit=[unit]), side=192)[0])]
    if figure.is_picture(answer):
        pictures.append(("Fourier power", figure.power_tiles(answer.isel(unit=[unit]), side=192)[0]))
    if fits is not None and not str(fits["reason"].to_numpy()[unit]):
        pictures.append(("Gabor fit", figure.gabor_tiles(fits.isel(unit=[unit]), side=192)[0]))
    words = figure.unit_words(answer, fits, unit)
    st.markdown(plain(words))
    layer = str(answer.attrs["layer"])
    choices.open_with("unit.py", "Open this unit", ":material/my_location:", layer=layer, unit=str(unit))
    for column, (name, pixels) in zip(st.columns(3), pictures, strict=False):
        column.image(pixels, caption=name, width="stretch", alt=f"{name} of unit {unit}")


def details(answer: choices.Answer, fits: choices.Answer | None, spec: FiltersSpec) -> None:
    """Draw feature maps, the population of fits and the table, in tabs."""
    names = ["Feature maps", *(["Gabor fits"] if fits is not None else []), "Table"]
    tabs = dict(
        zip(names, st.tabs(names, key="details", on_change="rerun", bind="query-params"), strict=True)
    )
    if tabs["Feature maps"].open:
        with tabs["Feature maps"]:
            feature_maps(spec)
    if fits is not None and tabs["Gabor fits"].open:
        with tabs["Gabor fits"]:
            st.markdown(plain(figure.gabor_words(fits)))
            charts.draw(fits, "gabors", lambda dark: figure.gabor_chart(fits, dark))
            tables.draw(figure.gabor_table(fits), alt=figure.gabor_words(fits))
            panel.footer(
                fits,
                GaborsSpec(network=spec.network, layer=spec.layer),
                lambda: figure.gabor_chart(fits, width=480),
                name="gabors",
            )
    if tabs["Table"].open:
        with tabs["Table"]:
            table = answer[["norm"]].to_dataframe().reset_index()
            tables.draw(table, alt=figure.verdict(answer))
    choices.next_steps(
        ("tuning.py", "Measure the tuning of its units", ":material/tune:"),
        ("network.py", "See what the network is", ":material/account_tree:"),
    )


def feature_maps(spec: FiltersSpec) -> None:
    """Draw where in one picture the channels of a layer respond."""
    chosen = sidebar.current()
    small = choices.pictures(chosen.stimuli)
    facts = choices.network_facts(spec.network)
    names = [str(v) for v in small.stimulus.values] if small is not None else []
    known = [str(v) for v in facts.layer.values] if facts is not None else []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        item = choices.pick(
            "item", "Picture", names, help="The picture that the network sees.", waiting=small is None
        )
        layer = choices.pick(
            "map_layer",
            "Layer of the maps",
            [DEFAULT_MAP, *known],
            help="Any layer with positions in the picture; the patches of a transformer count.",
            waiting=facts is None,
        )
        scale = choices.pick(
            "scale",
            "Scale",
            ["shared", "own"],
            help="shared: maps can be compared, weak ones stay dark. own: each from its own least to most.",
        )
    question = choices.build(
        FeatureMapsSpec,
        network=spec.network,
        stimuli=chosen.stimuli,
        item=item if item in names else "",
        layer="" if layer == DEFAULT_MAP else layer,
    )
    answer = answers.ask(question, height=320) if question is not None else None
    if answer is None or question is None:
        return
    kind: figure.Scale = "own" if scale == "own" else "shared"
    order = np.argsort(-answer["mean"].to_numpy(), kind="stable")[:MOST_TILES]
    left, right = st.columns([1, 5])
    left.image(
        answer["thumbnail"].to_numpy(), caption=str(answer.attrs["item"]), alt=str(answer.attrs["item"])
    )
    with right:
        gallery(
            [Tile(str(k), str(k)) for k in order],
            figure.map_tiles(answer, order, kind),
            label=f"Maps of {len(order)} channels of {answer.attrs['layer']}, highest mean first",
            key="maps",
        )
    st.caption(plain(f"Highest mean first. {figure.map_words(answer, kind)}"))
    panel.footer(answer, question, lambda: figure.maps_chart(answer, scale=kind), name="feature-maps")


question, network_title = choose()
if question is not None:
    show(question)
