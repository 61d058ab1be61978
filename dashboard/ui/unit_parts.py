"""What the page Unit shows below its stimuli: pictures made for the unit, and the field that it uses."""

from __future__ import annotations

import streamlit as st
import xarray as xr

from dashboard.figures import effective_field as field_figure
from dashboard.figures import preferred as preferred_figure
from dashboard.figures.theme import three_digits
from dashboard.specs import EffectiveFieldSpec, PreferredSpec, UnitSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain

WIDE = 148


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
