"""What a generator makes, on the Network page: a walk between two latent points and a sheet of samples."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import walk as figure
from dashboard.specs import WalkSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain

WALK_PART = 3
"""Steps of the walk in one sheet."""

SAMPLES_WIDE, SAMPLES_PART = 4, 12
"""Samples in a row of one sheet, and in the sheet: sheets flow, and one is as wide as a telephone."""


def draw(network: str) -> None:
    """Draw walk and samples."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = choices.number(
            "seed_a", "Seed A", 0, low=0, high=2**31 - 1, help="Random latent numbers where the walk starts."
        )
        last = choices.number(
            "seed_b", "Seed B", 1, low=0, high=2**31 - 1, help="Random latent numbers where the walk ends."
        )
        steps = choices.number(
            "steps", "Steps", 9, low=2, high=25, help="Pictures of the walk, ends included."
        )
    spec = choices.build(WalkSpec, network=network, first=first, last=last, steps=steps)
    answer = answers.ask(spec, height=420) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(plain(figure.words(answer)))
    answers.cautions(answer)
    st.header("Walk between two latent points")
    with st.container(horizontal=True):
        for start in range(0, answer.sizes["step"], WALK_PART):
            charts.draw(
                answer,
                f"walk-{start}",
                lambda dark, k=start: figure.walk_part(answer, k, k + WALK_PART, dark=dark),  # type: ignore[misc]
                start,
                width="content",
            )
    st.caption(
        "Under each picture: its part of the way. Spherical interpolation: straight lines would leave the "
        "shell where nearly all latent numbers lie (White, 2016). Smooth changes speak against pictures "
        "learned by heart, but do not prove it."
    )
    panel.footer(answer, spec, lambda: figure.walk_chart(answer), name="walk")
    st.header("Samples")
    with st.container(horizontal=True):
        for start in range(0, answer.sizes["seed"], SAMPLES_PART):
            charts.draw(
                answer,
                f"samples-{start}",
                lambda dark, k=start: figure.sample_chart(  # type: ignore[misc]
                    answer, columns=SAMPLES_WIDE, dark=dark, start=k, stop=k + SAMPLES_PART
                ),
                start,
                width="content",
            )
    st.caption("Not chosen: the first seeds in order, so failures are among them.")
    panel.footer(answer, spec, lambda: figure.sample_chart(answer), name="samples")
