"""The quality of a recording on a page: heat map, reliability, noise ceilings."""

from __future__ import annotations

import streamlit as st
import xarray as xr

from dashboard.figures import inspect as figure
from dashboard.specs import InspectSpec
from dashboard.ui import charts, choices, panel
from dashboard.ui.text import plain


def show(answer: xr.Dataset, spec: InspectSpec) -> None:
    """Draw the verdict, the heat map and what stands behind it."""
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    areas = [str(a) for a in answer.area.values]
    if answer.sizes.get("unit"):
        area = areas[0]
        if len(areas) > 1:
            area = st.selectbox(
                "Area in the figure", areas, key="inspected-area", help="Choose one.", width=220
            )
        charts.draw(
            answer, "inspect-heat", lambda dark: figure.heat_chart(answer, dark, area), area, width="content"
        )
        panel.footer(answer, spec, lambda: figure.heat_chart(answer, area=area), name="inspect")
    if int(answer.n_repeats.max()) > 1:
        charts.draw(answer, "inspect-reliability", lambda dark: figure.reliability_chart(answer, dark))
    if figure.over_time(answer):
        charts.draw(answer, "inspect-course", lambda dark: figure.course_chart(answer, dark))
        st.caption(plain(figure.course_words(answer)))
    st.caption(plain(figure.ceiling_words(answer)))
    if answer.attrs.get("gratings") == "yes":
        choices.open_with(
            "tuning.py",
            "See how its neurons are tuned to the gratings",
            ":material/tune:",
            recording=spec.recording,
            neurons="true",
        )
