"""The part of the report page that offers files: one button a form, settings of figures, progress."""

from __future__ import annotations

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
