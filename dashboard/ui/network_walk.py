"""What a generator makes, on the Network page: a walk between two latent points and a sheet of samples."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import walk as figure
from dashboard.specs import WalkSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain


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
    charts.draw(answer, "walk", lambda dark: figure.walk_chart(answer, dark=dark), width="content")
    st.caption(
        "Spherical interpolation: straight lines would leave the shell where nearly all latent numbers lie "
        "(White, 2016). Smooth changes speak against pictures learned by heart, but do not prove it."
    )
    panel.footer(answer, spec, lambda: figure.walk_chart(answer), name="walk")
    st.header("Samples")
    charts.draw(answer, "samples", lambda dark: figure.sample_chart(answer, dark=dark), width="content")
    st.caption("Not chosen: the first seeds in order, so failures are among them.")
    panel.footer(answer, spec, lambda: figure.sample_chart(answer), name="samples")
