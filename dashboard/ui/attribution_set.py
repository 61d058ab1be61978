"""The tab of the Attributions page that sums up over a whole set."""

from __future__ import annotations

import streamlit as st

from dashboard.figures import attribution_set as figure
from dashboard.specs import AttributionSetSpec
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.components.overlay import overlay_view
from dashboard.ui.text import plain

WHERE, MAPS = "On the object", "Mean maps"
SIGNED = ("Beeswarm", "Heat map", MAPS)
"""Views whose signs mean something: the caution about them stands there."""
CHARTS = {
    "Importance": (
        figure.importance_chart,
        "Mean |value| over the stimuli; lines: 95 % interval of the mean (1.96 standard errors). Features "
        "that go together share their credit: a small value does not prove that a feature is unused.",
    ),
    "Beeswarm": (
        figure.beeswarm_chart,
        "One dot per stimulus, coloured by the rank of the feature's own value; "
        "right of zero the feature speaks for the target, left against it.",
    ),
    "By class": (figure.class_chart, "Mean |value| over the stimuli of each class (the true one if known)."),
    "Heat map": (figure.heat_chart, "Every value: red speaks for the target, blue against it."),
}


def show(answer: choices.Answer, spec: AttributionSetSpec) -> None:
    """Draw the verdict and one of the views over the set."""
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    views = [WHERE] if "mask_share" in answer else []
    views += list(CHARTS) if "importance" in answer else []
    views += [MAPS] if "mean_map" in answer else []
    view = choices.pick("set_view", "View", views, help="What is drawn of all the stimuli together.")
    if view in SIGNED:
        answers.cautions(answer)
    if view == MAPS:
        overlay_view(
            figure.panels(answer), key="set-maps", label=figure.alt(answer), widest=220, narrowest=130
        )
        st.caption("Objects lie in many places: a mean map tells of habits of place, such as the middle.")
        panel.footer(answer, spec, lambda: figure.mean_chart(answer), name="set-maps")
        return
    make, words = CHARTS.get(view, (figure.where_chart, ""))
    charts.draw(answer, f"set-{view}", lambda dark: make(answer, dark=dark), alt=figure.alt(answer))
    if view == WHERE:
        words = (
            "Dots: share of |map| inside the outline of the object, one per picture; ticks: what the object "
            "covers of the picture, which a map without knowledge would get; band: the 95 % interval of the "
            "mean (t). High shares do not prove that the network uses the object as we do."
        )
    st.caption(words)
    panel.footer(answer, spec, lambda: make(answer, width=480), name="over-the-set")
