"""Taking a report along: one click makes the file beside the server, with progress and a way to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from dashboard.figures import export
from dashboard.report import making
from dashboard.report.exporters import EXPORTERS
from dashboard.report.making import Making
from dashboard.report.matter import Options
from dashboard.report.model import Report
from dashboard.ui.text import plain

POLL_SECONDS = 0.5
EXPECTED_S = 4.0
_KEY, _UNTIL, _POLLING = "_making", "_making_until", "_making_polled"


def draw(report: Report) -> None:
    """Draw a button for every form of the report, what is being made, and how figures are drawn."""
    st.header("Take it along")
    options = _options()
    with st.container(horizontal=True, key="take-along"):
        for ending, exporter in EXPORTERS.items():
            st.download_button(
                exporter.label,
                data=_maker(report, ending, options),
                file_name=making.file_name(report, ending),
                mime=exporter.media_type,
                key=f"take-{ending}",
                icon=exporter.icon,
                help=exporter.words,
                disabled=not report.items,
                on_click=_begun,
            )
    busy = any(not task.over for task in st.session_state.get(_KEY, []))
    st.session_state[_POLLING] = busy or time.monotonic() < st.session_state.get(_UNTIL, 0.0)
    st.fragment(_progress, run_every=POLL_SECONDS if st.session_state[_POLLING] else None)()
    with st.popover("The same on the command line", icon=":material/terminal:", help="For a script."):
        st.caption("Save the session, or take report.json out of the zip; any of these endings will do.")
        st.code("python -m dashboard report report.json --out report.pptx", language="bash", wrap_lines=True)


def _options() -> Options:
    with st.popover("Figures in files", icon=":material/straighten:", help="Width, letters and resolution."):
        return Options(*look("report"))


def look(key: str) -> tuple[export.Preset, float, int]:
    """Draw the controls of a journal's column; return width, size of letters and resolution.

    Parameters
    ----------
    key : str
        Start of the keys of the controls.
    """
    single = st.toggle(
        "Single column",
        key=f"{key}-single",
        help="85 mm wide instead of 180 mm, in SVG, PNG and PDF.",
    )
    points = st.number_input(
        "Letters (pt)",
        0.0,
        export.POINTS[1],
        0.0,
        1.0,
        key=f"{key}-points",
        help="Size of axis labels in print; journals ask for 5 to 8. 0 keeps the proportions of the screen.",
    )
    fine = st.toggle("300 dpi", key=f"{key}-dpi", help="Pictures as journals ask for them; else 192 dpi.")
    size = 0.0 if points < export.POINTS[0] else points
    return "single" if single else "double", size, export.PRINT_DPI if fine else export.SCREEN_DPI


def _maker(report: Report, ending: str, options: Options) -> Callable[[], bytes]:
    """Return what the server calls, in a thread of its own, when somebody clicks."""
    running: list[Making] = st.session_state.setdefault(_KEY, [])  # a thread cannot ask for the state

    def make() -> bytes:
        task = Making(report, ending, options)
        running[:] = [*(one for one in running if not one.over), task]
        return task.result()

    return make


def _begun() -> None:
    """Look for progress for a while: the file begins in another thread at about the same moment."""
    st.session_state[_UNTIL] = time.monotonic() + EXPECTED_S


def _progress() -> None:
    running: list[Making] = st.session_state.get(_KEY, [])
    expected = time.monotonic() < st.session_state.get(_UNTIL, 0.0)
    going = [task for task in running if not task.over]
    for k, task in enumerate(running):
        if task.problem:
            st.warning(plain(f"{EXPORTERS[task.ending].label}: {task.problem}"), icon=":material/warning:")
        elif not task.over:
            _bar(k, task)
    if st.session_state.get(_POLLING) and not going and not expected:
        st.session_state[_POLLING] = False
        st.rerun()


def _bar(k: int, task: Making) -> None:
    left, right = st.columns([6, 1], vertical_alignment="bottom")
    label = EXPORTERS[task.ending].label
    left.progress(min(max(task.fraction, 0.0), 1.0), text=plain(f"{label}: {task.phrase}"))
    if right.button("Cancel", key=f"stop-{k}", icon=":material/close:", help="Stop making this file."):
        task.cancel()
