"""What the page Unit shows below its stimuli: pictures made for it, the field it uses, its connections."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st
import xarray as xr

from dashboard.figures import connections as connections_figure
from dashboard.figures import effective_field as field_figure
from dashboard.figures import preferred as preferred_figure
from dashboard.figures.theme import three_digits
from dashboard.specs import ConnectionsSpec, EffectiveFieldSpec, PreferredSpec, UnitSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain

WIDE = 148
LINKS = 5


def preferred(unit: xr.Dataset, spec: UnitSpec) -> None:
    """Draw the pictures that were made for the unit beside the stimulus that drives it most."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seeds = choices.number(
            "preferred_seeds", "Seeds", 4, low=1, high=8, help="Each seed starts from other noise."
        )
        steps = choices.number(
            "preferred_steps",
            "Steps",
            256,
            low=16,
            high=2048,
            help="More steps climb higher and take longer.",
        )
    question = choices.build(
        PreferredSpec,
        network=spec.network,
        stimuli=spec.stimuli,
        layer=spec.layer,
        unit=spec.unit,
        by=spec.by,
        seeds=seeds,
        steps=steps,
    )
    answer = answers.ask(question, height=320) if question is not None else None
    if answer is None or question is None:
        return
    st.markdown(f"**{plain(preferred_figure.verdict(answer))}**")
    answers.cautions(answer, said=unit)
    best = three_digits(float(answer["natural"]))
    with st.container(horizontal=True, gap="medium"):
        st.image(
            preferred_figure.natural_tile(answer),
            caption=plain(f"Best stimulus: {best}"),
            width=WIDE,
            alt=f"Best stimulus, {answer.attrs['natural_name']}: response {best}",
        )
        _row(preferred_figure.tiles(answer), preferred_figure.captions(answer), "Synthesised picture, ")
    if preferred_figure.has_field(answer):
        st.caption("What the unit in the middle sees of each")
        with st.container(horizontal=True, gap="medium"):
            _row(
                preferred_figure.crops(answer), preferred_figure.captions(answer), "Part that the unit sees, "
            )
    charts.draw(answer, "climb", lambda dark: preferred_figure.chart(answer, dark))
    st.caption(preferred_figure.CAVEAT)
    panel.footer(answer, question, lambda: preferred_figure.main_chart(answer), name="preferred")


def _row(tiles: object, captions: list[str], words: str) -> None:
    for tile, caption in zip(tiles, captions, strict=True):  # type: ignore[call-overload]
        st.image(tile, caption=caption, width=WIDE, alt=f"{words}{caption}")


def field(unit: xr.Dataset, spec: UnitSpec) -> None:
    """Draw the part of its field that the unit uses."""
    question = choices.build(
        EffectiveFieldSpec, network=spec.network, stimuli=spec.stimuli, layer=spec.layer, unit=spec.unit
    )
    answer = answers.ask(question, height=360) if question is not None else None
    if answer is None or question is None:
        return
    st.markdown(f"**{plain(field_figure.verdict(answer))}**")
    answers.cautions(answer, said=unit)
    charts.draw(
        answer, "effective-field", lambda dark: field_figure.main_chart(answer, dark), width="content"
    )
    st.caption(plain(f"{answer.attrs['note']} {field_figure.CAVEAT}"))
    panel.footer(answer, question, lambda: field_figure.main_chart(answer), name="effective-field")


def connections(unit: xr.Dataset, spec: UnitSpec) -> None:
    """Draw the strongest connections, with a button to each unit at the other end."""
    question = choices.build(ConnectionsSpec, network=spec.network, layer=spec.layer, unit=spec.unit)
    answer = answers.ask(question, height=320) if question is not None else None
    if answer is None or question is None:
        return
    st.markdown(f"**{plain(connections_figure.verdict(answer))}**")
    answers.cautions(answer, said=unit)
    for direction, column in zip(connections_figure.TITLES, st.columns(2, gap="medium"), strict=True):
        found = connections_figure.places(answer, direction)
        if not len(found):
            continue
        with column:
            charts.draw(
                answer,
                f"connections-{direction}",
                partial(_connections, answer, direction),
                direction,
            )
            with st.container(horizontal=True):
                for place in found[:LINKS]:
                    _link(answer, int(place), f"{direction}-{place}")
    st.caption(connections_figure.CAVEAT)
    panel.footer(answer, question, lambda: connections_figure.main_chart(answer), name="connections")


def _connections(answer: xr.Dataset, direction: str, dark: bool) -> Any:
    return connections_figure.chart(answer, direction, dark)


def _link(answer: xr.Dataset, place: int, key: str) -> None:
    layer = str(answer["layer"].to_numpy()[place])
    if layer == answer.attrs["input"]:
        return
    st.button(
        plain(connections_figure.name(answer, place)),
        key=f"go-{key}",
        on_click=_go,
        args=(layer, int(answer["unit"].to_numpy()[place])),
        type="tertiary",
        icon=":material/my_location:",
        help="Go to this unit.",
    )


def _go(layer: str, unit: int) -> None:
    st.session_state["layer"], st.session_state["unit"] = layer, unit
