"""Charts on a page, built once per answer and look: building and checking one takes longer than a rerun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st
import xarray as xr

from dashboard.ui import choices


def draw(
    answer: xr.Dataset,
    key: str,
    make: Callable[[bool], Any],
    *looks: object,
    width: Literal["stretch", "content"] = "stretch",
    alt: str | None = None,
) -> None:
    """Draw a chart of an answer.

    Parameters
    ----------
    answer : xarray.Dataset
    key : str
        Key of the chart on the page.
    make : callable
        Makes the Altair chart; its argument says whether the theme is dark.
    *looks : object
        Everything else that the chart depends on, such as the area: with the answer's record and the theme it
        tells charts apart.
    width : "stretch" or "content"
    alt : str, optional
        What the chart shows, in words; without it the chart's own description counts.
    """
    identity = (key, answer.attrs["record"], answer.attrs.get("title", ""), repr(looks), choices.dark())
    st.vega_lite_chart(_specification(identity, make), key=key, theme=None, width=width, alt=alt)


@st.cache_data(max_entries=256, max_size="200MiB", show_spinner=False)
def _specification(identity: tuple[object, ...], _make: Callable[[bool], Any]) -> dict[str, Any]:
    """Return the Vega-Lite specification; plain data, which sessions may share, never the chart object."""
    found: dict[str, Any] = _make(bool(identity[-1])).to_dict()
    return found
