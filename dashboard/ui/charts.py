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
    on_select: Callable[[], None] | None = None,
) -> Any:
    """Draw a chart of an answer; with ``on_select`` return what is selected in it.

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
    on_select : callable, optional
        Called before the rerun when somebody selects something; the state is that of ``key``.
    """
    identity = (key, answer.attrs["record"], answer.attrs.get("title", ""), repr(looks), choices.dark())
    return st.vega_lite_chart(
        _specification(identity, make),
        key=key,
        theme=None,
        width=width,
        alt=alt,
        on_select="ignore" if on_select is None else on_select,  # type: ignore[call-overload]
    )


@st.cache_data(max_entries=256, max_size="200MiB", show_spinner=False)
def _specification(identity: tuple[object, ...], _make: Callable[[bool], Any]) -> dict[str, Any]:
    """Return the Vega-Lite specification; plain data, which sessions may share, never the chart object."""
    found: dict[str, Any] = _make(bool(identity[-1])).to_dict()
    return found
