"""The flow of data through a network: blocks that unfold, with the shape of the data on every arrow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dashboard.figures.network import Node

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "homolog_flow",
    html='<div class="flow"></div>',
    css=(_HERE / "flow.css").read_text("utf-8"),
    js=(_HERE / "flow.js").read_text("utf-8"),
)


def flow_view(
    nodes: Sequence[Node],
    *,
    given: str,
    label: str,
    key: str,
    unfolded: Sequence[str] = (),
    on_fold: Callable[[], None] | None = None,
) -> None:
    """Show the blocks of a network from top to bottom; a click or Enter unfolds one.

    Parameters
    ----------
    nodes : sequence of Node
        As `figures.network.flow` gives them.
    given : str
        Shape of one input.
    label : str
        What the figure shows, for those who cannot see it.
    key : str
        Key of the component in the app.
    unfolded : sequence of str
        Names of the blocks that are unfolded at first.
    on_fold : callable, optional
        Called when somebody folds or unfolds; the names are in the state of ``key`` as ``unfolded``.
    """
    data = {
        "nodes": [dataclasses.asdict(node) for node in nodes],
        "given": given,
        "label": label,
        "unfolded": list(unfolded),
    }
    _mount(data=data, key=key, on_unfolded_change=on_fold or _noted)


def _noted() -> None:
    """Do nothing: without a callback the component has no state."""
