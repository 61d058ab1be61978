"""How far a map can be trusted: checks in sentences, and deletion and insertion curves."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.figures import answers, theme
from dashboard.methods.attribution import METHODS

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

WORDS = {"good": "good", "amber": "with care", "red": "bad", "grey": "cannot be told", "": "no promise"}
"""What a level is called: never colour alone."""

MAPS = 13
"""Maps that the checks make besides those of other seeds: the map, two others, six of the cascade, four under
noise, and about as much for the curves."""


@dataclass(frozen=True)
class Check:
    """One check of a map: its name, level, the level in words, a sentence and its source."""

    name: str
    level: str
    word: str
    sentence: str
    source: str


def maps_needed(method: str, seeds: int) -> int:
    """Return about how many maps the checks of a method take."""
    return MAPS + (seeds - 1 if METHODS[method].sampled else 0)


def rows(ds: xr.Dataset) -> list[Check]:
    """Return the checks in order."""
    columns = [answers.names(ds, "check")] + [
        [str(v) for v in ds[name].to_numpy()] for name in ("level", "sentence", "source")
    ]
    return [
        Check(name, level, WORDS.get(level, level), sentence, source)
        for name, level, sentence, source in zip(*columns, strict=True)
    ]


def verdict(ds: xr.Dataset) -> str:
    """Sum up the checks in a sentence."""
    found = rows(ds)
    count = Counter(check.level for check in found)
    name = METHODS[str(ds.attrs["method"])].label
    bad = [check.name.lower() for check in found if check.level == "red"]
    care = [check.name.lower() for check in found if check.level == "amber"]
    text = f"{name} passes {count['good']} of {len(found)} checks"
    text += f"; it fails at {', '.join(bad)}" if bad else ""
    return f"{text}{f'; take care with {chr(44).join(care)}' if care else ''}.".replace(",", ", ").replace(
        "  ", " "
    )


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return f"{verdict(ds)} {' '.join(check.sentence for check in rows(ds))}"


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per check."""
    import pandas as pd

    return pd.DataFrame(
        {
            "check": answers.names(ds, "check"),
            "number": ds["number"].to_numpy(),
            "level": [WORDS.get(str(v), str(v)) for v in ds["level"].to_numpy()],
            "sentence": [str(v) for v in ds["sentence"].to_numpy()],
            "source": [str(v) for v in ds["source"].to_numpy()],
        }
    )


def cascade_chart(ds: xr.Dataset, *, dark: bool = False, width: int = 420, height: int = 220) -> Any:
    """Draw how like the map stays while layers get random weights one after the other, from the top."""
    import altair as alt_

    stages = answers.names(ds, "stage")
    names = theme.short_names(tuple(stages))
    order = ["trained", *(names[stage] for stage in stages)]
    values = [1.0, *ds["likeness"].to_numpy().tolist()]
    known = [(name, value) for name, value in zip(order, values, strict=True) if math.isfinite(value)]
    data = [{"layer": name, "likeness": value} for name, value in known]
    base = alt_.Chart(alt_.Data(values=data)).encode(
        x=alt_.X(
            "layer:N", sort=order, title="Random weights from the top down to", axis=alt_.Axis(labelAngle=-40)
        ),
        y=alt_.Y(
            "likeness:Q",
            title="Rank correlation",
            scale=alt_.Scale(domain=[min(0.0, *(value for _, value in known)), 1]),
        ),
        tooltip=[
            alt_.Tooltip("layer:N", title="Down to"),
            alt_.Tooltip("likeness:Q", format=".2f", title="Rank correlation"),
        ],
    )
    colour = theme.colour("network", dark)
    zero = (
        alt_.Chart(alt_.Data(values=[{}]))
        .mark_rule(color=theme.colour("muted", dark))
        .encode(y=alt_.datum(0))
    )
    chart = zero + base.mark_line(color=colour) + base.mark_point(color=colour, filled=True, size=60)
    return theme.style(chart.properties(width=width, height=height), dark)


def curves_chart(ds: xr.Dataset, *, dark: bool = False, width: int = 320, height: int = 220) -> Any:
    """Draw the score while places are removed, and put back, beside both controls."""
    import altair as alt_

    values, share = ds["score"].transpose("curve", "order", "step").to_numpy(), ds["share"].to_numpy()
    orders = answers.names(ds, "order")
    data = [
        {"curve": curve, "order": order, "share": float(s), "score": float(v)}
        for i, curve in enumerate(answers.names(ds, "curve"))
        for j, order in enumerate(orders)
        for s, v in zip(share, values[i, j], strict=True)
    ]
    colours = [theme.colour(name, dark) for name in ("network", "second", "control")]
    titles = {"deletion": "Deletion: low is good", "insertion": "Insertion: high is good"}
    base = alt_.Chart(alt_.Data(values=[{**row, "curve": titles[str(row["curve"])]} for row in data]))
    chart = (
        base.mark_line()
        .encode(
            x=alt_.X("share:Q", title="Share of places removed or put back", axis=alt_.Axis(format="%")),
            y=alt_.Y("score:Q", title=f"Score ({ds.attrs.get('unit', '')})"),
            color=alt_.Color("order:N", title="Order", scale=alt_.Scale(domain=orders, range=colours)),
            strokeDash=alt_.StrokeDash(
                "order:N", title="Order", scale=alt_.Scale(domain=orders, range=[[1, 0], [8, 2], [5, 4]])
            ),
            tooltip=["order:N", alt_.Tooltip("share:Q", format=".0%"), alt_.Tooltip("score:Q", format=".3g")],
        )
        .properties(width=width, height=height)
        .facet(column=alt_.Column("curve:N", title=None, sort=list(titles.values())))
    )
    return theme.style(chart, dark)
