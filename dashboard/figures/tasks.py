"""Which figures belong to what a network predicts: classes, an orientation or a mask.

Each module offers ``verdict``, ``alt``, ``labelled``, ``table``, ``main_chart`` and ``words_about``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.errors import unknown
from dashboard.figures import predictions, regression, segmentation

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

TASKS: dict[str, Any] = {"classes": predictions, "orientation": regression, "mask": segmentation}
"""Module of figures by the attribute ``task`` of an answer about predictions."""


def module(ds: xr.Dataset) -> Any:
    """Return the module that draws an answer about predictions."""
    task = str(ds.attrs.get("task", "classes"))
    if task not in TASKS:
        raise unknown("kind of prediction", task, TASKS)
    return TASKS[task]


def why_not(network_ds: xr.Dataset) -> str:
    """Say in a sentence why a network predicts nothing to judge, from its table; ``""`` when it does."""
    output = str(network_ds.attrs.get("output", "classes"))
    if output in TASKS:
        return ""
    name = network_ds.attrs.get("name", "This network")
    said = output or "nothing with names"
    return f"{name} predicts nothing that could be right or wrong: its output is {said}."


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus."""
    found: pd.DataFrame = module(ds).table(ds)
    return found


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw for a file what sums the answer up."""
    return module(ds).main_chart(ds, width)


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return str(module(ds).alt(ds))
