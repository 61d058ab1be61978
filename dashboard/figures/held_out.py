"""Bars of held-out scores with a dot for each subject and the noise ceiling as a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dashboard.figures import theme

if TYPE_CHECKING:
    import altair as alt

Named = tuple[str, str, np.ndarray]
"""What was scored, of which of two kinds it is, and its scores (n_subjects,)."""


def bars(
    named: Sequence[Named],
    ceiling: np.ndarray,
    *,
    kinds: tuple[str, str],
    axis: str,
    labels: int,
    dark: bool,
) -> alt.LayerChart:
    """Draw a bar for each mean over subjects, in the given order.

    Parameters
    ----------
    named : sequence of tuple
        Name, kind and scores (n_subjects,) of each.
    ceiling : np.ndarray
        (n_subjects,) noise ceiling in the units of the scores; all NaN draws no line.
    kinds : tuple of str
        The two kinds, each with a colour of its own.
    axis : str
        Title of the axis of scores, with what they measure.
    labels : int
        Most pixels of a name.
    dark : bool
    """
    import altair as alt

    order = [name for name, _, _ in named]
    rows = [{"model": n, "of": o, "score": float(np.nanmean(v))} for n, o, v in named if np.isfinite(v).any()]
    dots = [{"model": n, "score": float(s)} for n, _, v in named for s in v if math.isfinite(s)]
    y = alt.Y("model:N", sort=order, title=None, axis=alt.Axis(labelLimit=labels))
    x = alt.X("score:Q", title=axis, axis=alt.Axis(grid=True))
    paint = alt.Color(
        "of:N",
        scale=alt.Scale(
            domain=list(kinds), range=[theme.colour("third", dark), theme.colour("network", dark)]
        ),
        legend=None,
    )
    tooltip = [alt.Tooltip("model:N", title="Model"), alt.Tooltip("score:Q", format=".3f", title="Score")]
    marks: list[Any] = [
        alt.Chart(alt.Data(values=rows))
        .mark_bar(opacity=0.8, height={"band": 0.6})
        .encode(y=y, x=x, color=paint, tooltip=tooltip),
        alt.Chart(alt.Data(values=dots))
        .mark_circle(size=20, color=theme.colour("text", dark), opacity=0.6)
        .encode(y=y, x=x),
    ]
    if np.isfinite(ceiling).any():
        line = alt.Chart(alt.Data(values=[{"score": float(np.nanmean(ceiling))}])).mark_rule(
            strokeDash=[5, 4], color=theme.colour("control", dark), strokeWidth=1.5
        )
        marks.append(line.encode(x=x))
    return cast("alt.LayerChart", alt.layer(*marks))
