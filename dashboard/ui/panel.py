"""What stands around a figure: cautions above it, the record, link, export and command below it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st
import xarray as xr

from dashboard import provenance
from dashboard.figures import export
from dashboard.figures.export import Look
from dashboard.specs import Spec
from dashboard.ui import desk, taking

PICTURES = ("png", "svg", "pdf", "html")
NUMBERS = ("csv", "nc", "json")
HELP = {
    "png": "Picture, as wide and fine as chosen above.",
    "svg": "Vector picture for an editor.",
    "pdf": "Vector picture for a paper, fonts embedded.",
    "html": "One interactive page that needs no internet.",
    "csv": "The numbers as a table.",
    "nc": "The whole answer with labels, units and record (netCDF).",
    "json": "The question; `python -m dashboard run FILE` answers it again.",
}


def footer(
    answer: xr.Dataset,
    spec: Spec,
    figure: Callable[[], Any],
    *,
    name: str,
    endings: Sequence[str] = (*PICTURES, *NUMBERS),
    also: Mapping[str, str] | None = None,
) -> None:
    """Draw the grey line under a figure: where it comes from, and how to take it along.

    Parameters
    ----------
    answer : xarray.Dataset
    spec : Spec
        What was asked; becomes the link, the JSON and the command.
    figure : callable
        Makes the figure for export, light and without controls; called only when somebody clicks.
    name : str
        Start of the file names.
    endings : sequence of str
        Kinds of file to offer.
    also : mapping, optional
        What the link needs besides the question: what is looked at, which changes no answer.
    """
    record = json.loads(answer.attrs["record"])
    with st.container(horizontal=True, vertical_alignment="center", key=f"footer-{name}"):
        st.caption(provenance.sentence(record), width="stretch")
        with st.container(horizontal=True, width="content", gap="small"):
            if set(PICTURES) & set(endings):
                _pin(answer, spec, figure, name, dict(also or {}))
            _export(answer, spec, figure, name, endings, dict(also or {}))


def _pin(
    answer: xr.Dataset, spec: Spec, figure: Callable[[], Any], name: str, also: Mapping[str, str]
) -> None:
    st.button(
        "Pin",
        key=f"pin-{name}",
        icon=":material/keep:",
        help="Put this figure into the report, as it is now.",
        on_click=desk.pin,
        args=(answer, spec, figure, name, also),
    )


def _export(
    answer: xr.Dataset,
    spec: Spec,
    figure: Callable[[], Any],
    name: str,
    endings: Sequence[str],
    also: Mapping[str, str],
) -> None:
    with st.popover(
        "Export",
        icon=":material/download:",
        help="Figure, numbers, link and command.",
        key=f"export-{name}",
    ):
        st.markdown("**Figure and numbers**")
        drawn = set(PICTURES) & set(endings)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            look = Look(*taking.look(f"look-{name}")) if drawn else Look()
        with st.container(horizontal=True):
            for ending in endings:
                st.download_button(
                    ending.upper(),
                    data=_writer(ending, answer, figure, look),
                    file_name=f"{name}.{ending}",
                    mime=export.MEDIA_TYPES[ending],
                    key=f"download-{name}-{ending}",
                    on_click="ignore",
                    help=HELP[ending],
                )
        st.markdown("**The same on the command line**")
        st.code(provenance.command(spec), language="bash", wrap_lines=True)
        st.markdown("**Link to this view** (behind the server's address)")
        st.code("?" + urlencode(spec.to_flat_query() | dict(also)), language=None, wrap_lines=True)


def _writer(ending: str, answer: xr.Dataset, figure: Callable[[], Any], look: Look) -> Callable[[], bytes]:
    def write() -> bytes:
        chart = figure() if ending in PICTURES else None
        return export.export(ending, answer, chart, look.preset, points=look.points, dpi=look.dpi)

    return write
