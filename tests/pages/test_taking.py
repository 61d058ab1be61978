"""Files to take along: one button a form of the report, settings of figures, progress."""

from __future__ import annotations

import re

import altair as alt
import pandas as pd
import xarray as xr
from streamlit.testing.v1 import AppTest

from dashboard.report.exporters import EXPORTERS
from dashboard.report.making import Making
from dashboard.report.model import Report, Text


def script() -> None:
    from dashboard.report.model import Report, Text
    from dashboard.ui import taking

    taking.draw(Report("Tilt", (Text("0" * 12, "Words."),)))


def test_every_form_has_a_button_and_what_runs_a_bar_that_can_be_stopped():
    page = AppTest.from_function(script, default_timeout=60).run()
    assert not page.exception
    buttons = page.get("download_button")
    assert [b.label for b in buttons] == [e.label for e in EXPORTERS.values()]
    task = Making(Report("Tilt", (Text("0" * 12, "Words."),)), "pdf", phrase="Pages", fraction=0.5)
    failed = Making(Report(), "zip", over=True, problem="This report is empty.")
    page.session_state["_making"] = [failed, task]
    page.run()
    assert not page.exception
    assert any("This report is empty." in w.value for w in page.warning)
    next(b for b in page.button if b.label == "Cancel").click().run()
    assert task._cancelled
    task.over = True
    page.run()
    assert not [b for b in page.button if b.label == "Cancel"]


def footer() -> None:
    import json

    import xarray as xr

    from dashboard.specs import FiltersSpec
    from dashboard.ui import panel

    spec = FiltersSpec(network="bundled:tilt_cnn")
    answer = xr.Dataset(attrs={"record": json.dumps({"spec": spec.to_dict(), "seconds": 1.0})})
    panel.footer(answer, spec, lambda: None, name="filters")
    panel.footer(answer, spec, lambda: None, name="numbers", endings=panel.NUMBERS)


def test_every_figure_can_be_taken_in_the_width_letters_and_resolution_of_a_journal(monkeypatch):
    from dashboard.figures.export import Look
    from dashboard.ui import panel

    asked = {}
    monkeypatch.setattr(
        panel, "_writer", lambda ending, answer, figure, look: asked.update({ending: look}) or (lambda: b"")
    )
    page = AppTest.from_function(footer, default_timeout=60).run()
    assert not page.exception
    assert [t.key for t in page.toggle] == ["look-filters-single", "look-filters-dpi"]
    assert asked["svg"] == Look()
    page.toggle(key="look-filters-single").set_value(True)
    page.toggle(key="look-filters-dpi").set_value(True)
    page.number_input(key="look-filters-points").set_value(7.0).run()
    assert {asked[ending] for ending in panel.PICTURES} == {Look("single", 7.0, 300)}


def test_a_picture_is_as_wide_as_its_column():
    from dashboard.figures.export import Look
    from dashboard.ui import panel

    chart = alt.Chart(pd.DataFrame({"a": [1.0, 2.0]})).mark_point().encode(x="a:Q")
    drawn = [
        panel._writer("svg", xr.Dataset(), lambda: chart, Look(preset))() for preset in ("single", "double")
    ]
    assert [re.search(rb'width="(\d+)mm"', svg)[1] for svg in drawn] == [b"85", b"180"]
