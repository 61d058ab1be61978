"""The tab of the Attributions page that shares a score out among the units of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.figures import conductance as figure
from dashboard.specs import AttributionSpec, ConductanceSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.text import plain

LAST = "last before the answer"


def show(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    """Draw the channels of a layer by what they contribute, and link to the one that contributes most."""
    facts = choices.network_facts(question.network)
    names = [str(v) for v in facts.layer.values] if facts is not None else []
    asked = st.session_state.get("through") or st.query_params.get("through")
    layer = choices.pick(
        "through",
        "Layer",
        list(dict.fromkeys([LAST, *names, *([str(asked)] if asked else [])])),
        help="Whose units share the score among them, for the target, score, baseline and steps above.",
    )
    spec = choices.build(
        ConductanceSpec,
        item=question.items[0] if question.items else "",
        layer="" if layer == LAST else layer,
        **{
            name: getattr(question, name)
            for name in ("network", "stimuli", "target", "score", "baseline", "background", "steps", "seed")
        },
    )
    answer = answers.ask(spec, height=420) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    charts.draw(answer, "conductance", lambda dark: figure.bars(answer, dark=dark), alt=figure.alt(answer))
    st.caption(
        f"{plain(figure.sum_words(answer))} Layer conductance: each {figure.unit_word(answer)}'s change on "
        "the way from the baseline times the slope of the score with respect to it (Dhamdhere, Sundararajan "
        "& Yan, 2019). It tells what the score rests on inside the network, not what a unit stands for."
    )
    panel.footer(
        answer,
        spec,
        lambda: figure.bars(answer, width=420),
        name="conductance",
        also={"about": "Through a layer", **({"items": spec.item} if spec.item else {})},
    )
    top = int(figure.order(answer)[0])
    choices.open_with(
        "unit.py",
        f"See what makes {figure.unit_word(answer)} {top} of {answer.attrs['layer']} respond",
        ":material/manage_search:",
        layer=str(answer.attrs["layer"]),
        unit=str(top),
    )
