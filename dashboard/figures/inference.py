"""Tests of layers: which are like an area, reach the ceiling, can be told apart; charts, table and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import unknown
from dashboard.figures import answers, theme
from dashboard.figures.brain import model_words

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

ALPHA = 0.05

CORRECTED = {
    "fdr": "corrected for the false discovery rate",
    "max": "corrected family-wise",
    "holm": "corrected family-wise",
    "none": "not corrected",
}


def area_of(ds: xr.Dataset, area: str) -> xr.Dataset:
    """Return the answer for one area.

    Raises
    ------
    InputError
        When the answer has no such area.
    """
    areas = answers.names(ds, "area")
    if area not in areas:
        raise unknown("area", area, areas)
    return ds.isel(area=areas.index(area))


def zero_name(ds: xr.Dataset) -> str:
    """Return the variable with the p values against zero that count under the correction."""
    return "p_labels_max" if ds.attrs["correction"] == "max" else "p_zero_adjusted"


def best(one: xr.Dataset) -> int | None:
    """Return the position of the highest score; None without any."""
    score = one["score"].to_numpy()
    return int(np.nanargmax(score)) if np.isfinite(score).any() else None


def above_zero(one: xr.Dataset) -> np.ndarray:
    """Return which models score significantly above zero, (n_models,) bool."""
    return np.asarray(one[zero_name(one)].to_numpy() <= ALPHA)


def below_ceiling(one: xr.Dataset) -> np.ndarray:
    """Return which models score significantly below the lower noise ceiling, (n_models,) bool."""
    return np.asarray((one["p_ceiling_adjusted"].to_numpy() <= ALPHA) & (one["below"].to_numpy() > 0))


# --- words --------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset, area: str) -> str:
    """Say which model is closest, from which others it can be told, and whether it reaches the ceiling."""
    one = area_of(ds, area)
    start = "Simulated: " if answers.simulated(ds) else ""
    k = best(one)
    if k is None:
        return f"{start}No model has a score for {area}."
    names, above = answers.names(ds, "model"), above_zero(one)
    if not above.any():
        return f"{start}No model can be said to resemble {area} ({_zero_words(one, k)})."
    text = f"{start}{_named(ds, k)} is closest to {area} ({_score_words(one, k)})"
    if not above[k]:
        text += f", though not significantly above zero ({_zero_words(one, k)})"
    if len(names) > 1:
        text += f"; {_alike_words(one, k, names)}"
    return f"{text}. {_ceiling_words(one, k)}".strip()


def _named(ds: xr.Dataset, k: int) -> str:
    name = model_words(answers.names(ds, "model")[k])
    kind = {"first": "Layer ", "second": "Layer "}.get(str(ds["source"].to_numpy()[k]), "Model ")
    return f"{kind}{name}"


def _score_words(one: xr.Dataset, k: int) -> str:
    lo, hi = float(one["ci_low"][k]), float(one["ci_high"][k])
    score = float(one["score"][k])
    if not math.isfinite(lo):
        return theme.three_digits(score)
    return f"{theme.fixed(score, theme.decimals(lo, hi))}, 95 % interval {theme.interval(lo, hi)}"


def _zero_words(one: xr.Dataset, k: int) -> str:
    return theme.p_value(float(one[zero_name(one)][k]))


def _alike_words(one: xr.Dataset, k: int, names: list[str]) -> str:
    p = one["p_pair_adjusted"].to_numpy()[k]
    alike = [j for j in range(len(names)) if j != k and not p[j] <= ALPHA and math.isfinite(p[j])]
    if not alike:
        return "it differs significantly from every other model"
    nearest = max(alike, key=lambda j: float(one["score"][j]))
    if len(alike) == len(names) - 1 > 1:
        return (
            f"it is not distinguishable from any other, not even {_furthest(one, alike, names)} "
            f"({theme.p_value(float(p[_lowest(one, alike)]))})"
        )
    text = f"it is not distinguishable from {names[nearest]} ({theme.p_value(float(p[nearest]))})"
    if len(alike) > 1:
        text += f" and {len(alike) - 1} other{'s' if len(alike) > 2 else ''}"
    return text


def _lowest(one: xr.Dataset, alike: list[int]) -> int:
    return min(alike, key=lambda j: float(one["score"][j]))


def _furthest(one: xr.Dataset, alike: list[int], names: list[str]) -> str:
    return names[_lowest(one, alike)]


def _ceiling_words(one: xr.Dataset, k: int) -> str:
    if not math.isfinite(float(one["ceiling_low"])):
        return "With one subject there is no noise ceiling to compare it with."
    p = float(one["p_ceiling_adjusted"][k])
    if not math.isfinite(p):
        return ""
    if p <= ALPHA:
        side = "below" if float(one["below"][k]) > 0 else "above"
        return f"It lies {side} the lower noise ceiling ({theme.p_value(p)})."
    return f"It cannot be told from the lower noise ceiling ({theme.p_value(p)})."


def _variance(ds: xr.Dataset) -> str:
    """Name the variance that the t tests use."""
    left_out = ds.attrs.get("variance") == "stimuli left out"
    return "the variance from leaving out stimuli" if left_out else "the bootstrap variance"


def caption(ds: xr.Dataset) -> str:
    """Say what the marks mean and how the tests were made."""
    a = ds.attrs
    zero = (
        f"{a['permutations']} shuffles of the stimulus labels, against the largest over models and areas"
        if a["correction"] == "max"
        else f"one-sided t tests with {_variance(ds)}"
    )
    parts = [
        "Bars: 95 % intervals",
        f"▲ above zero ({zero})",
        "▽ below the lower noise ceiling",
        f"all at p ≤ .05, {CORRECTED[str(a['correction'])]} over models and areas",
    ]
    return "; ".join(parts) + "."


def pair_caption(ds: xr.Dataset) -> str:
    """Say what the matrix of pairs shows."""
    return (
        "Score of the row minus score of the column; a dot marks pairs that differ at p ≤ .05 (two-sided t "
        f"tests with {_variance(ds)}, {CORRECTED[str(ds.attrs['correction'])]} over pairs and areas)."
    )


def table_note(ds: xr.Dataset) -> str:
    """Say which p values of the table are corrected, and what the t tests rest on."""
    basis = (
        " The t tests use the variance from leaving out one and two stimuli (Efron & Stein, 1981), because "
        "the bootstrap overestimates the variance of a score, which is made of pairs; so a p value can lie "
        "below .05 where the 95 % interval, which is the bootstrap's, just holds 0."
        if ds.attrs.get("variance") == "stimuli left out"
        else ""
    )
    n = int(ds.attrs["permutations"])
    floor = f" No p of {n:,} shuffles is below {theme.three_digits(1 / (n + 1))}." if n else ""
    return (
        f"t test and ceiling: {CORRECTED[str(ds.attrs['correction'])]} ({ds.attrs['correction_label']}) "
        "over models and areas. Labels: each model by itself; largest of all: against the largest "
        f"standardised score over models and areas.{floor}{basis}"
    )


def words(ds: xr.Dataset) -> str:
    """Return the verdicts of all areas."""
    return " ".join(verdict(ds, area) for area in answers.names(ds, "area"))


# --- charts -------------------------------------------------------------------------------------------------


def _number(x: Any) -> float | None:
    found = float(x)
    return found if math.isfinite(found) else None


def _rows(one: xr.Dataset) -> list[dict[str, Any]]:
    above, below = above_zero(one), below_ceiling(one)
    return [
        {
            "model": name,
            "source": str(one["source"].to_numpy()[k]),
            "score": _number(one["score"][k]),
            "low": _number(one["ci_low"][k]),
            "high": _number(one["ci_high"][k]),
            "marks": ("▲" if above[k] else "") + ("▽" if below[k] else ""),
            "interval": theme.interval(float(one["ci_low"][k]), float(one["ci_high"][k])),
            "zero": theme.p_value(float(one[zero_name(one)][k])),
            "ceiling": theme.p_value(float(one["p_ceiling_adjusted"][k])),
        }
        for k, name in enumerate(answers.names(one, "model"))
    ]


def _axis(names: list[str], title: str | None) -> Any:
    import altair as alt

    shown = theme.js(theme.short_names(tuple(names)))
    level = len(names) * min(max(map(len, names)), 24) <= 60
    return alt.Axis(
        title=title,
        labelAngle=0 if level else -45,
        labelExpr=f"{shown}[datum.label]",
        labelLimit=170,
        labelFontSize=11 if len(names) <= 30 else 9,
    )


def score_chart(
    ds: xr.Dataset, area: str, dark: bool = False, *, width: int | str = "container", height: int = 280
) -> alt.LayerChart:
    """Draw the score of each model with its interval, the ceiling, and marks of what is significant."""
    import altair as alt

    one = area_of(ds, area)
    names = answers.names(ds, "model")
    drawn = [one[n].to_numpy() for n in ("score", "ci_low", "ci_high", "ceiling_low", "ceiling_high")]
    low, high = theme.sequential_limits(*map(np.atleast_1d, drawn), zero=True)
    room = 0.14 * (high - low)
    rows = [{**row, "foot": low - room} for row in _rows(one)]
    scale = alt.Scale(domain=[low - room, high + 0.04 * (high - low)], nice=False)
    x = alt.X("model:N", sort=names, axis=_axis(names, "Model"))
    y = alt.Y("score:Q", title=str(ds.attrs["measure_label"]), scale=scale)
    roles = ["first", "second", "control"]
    shown = {"first": "network", "second": "second", "control": "control"}
    ink = [theme.colour(shown[r], dark) for r in roles]  # type: ignore[arg-type]
    paint = alt.Color("source:N", scale=alt.Scale(domain=roles, range=ink), legend=None)
    shape = alt.Shape(
        "source:N",
        scale=alt.Scale(domain=roles, range=[theme.SHAPES[shown[r]] for r in roles]),
        legend=None,
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("score:Q", title=str(ds.attrs["measure_label"]), format=".3f"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("zero:N", title="Against zero"),
        alt.Tooltip("ceiling:N", title="Against the ceiling"),
    ]
    marks = [
        *_ceiling(one, y, dark),
        alt.Chart(alt.Data(values=[{"score": 0.0}])).mark_rule(color=theme.colour("muted", dark)).encode(y=y),
        base.mark_rule(strokeWidth=1.8).encode(
            y=alt.Y("low:Q", scale=scale, title=str(ds.attrs["measure_label"])), y2="high:Q", color=paint
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=y, color=paint, shape=shape, tooltip=tooltip
        ),
        base.mark_text(baseline="bottom", dy=-2, fontSize=12, color=theme.colour("text", dark)).encode(
            y=alt.Y("foot:Q", scale=scale, title=str(ds.attrs["measure_label"])), text="marks:N"
        ),
    ]
    chart = alt.layer(*marks).properties(
        width=width,
        height=height,
        title=alt.TitleParams(_title(ds, area), color=theme.colour("brain", dark)),
        description=verdict(ds, area),
    )
    return theme.style(theme.across(chart, width), dark)


def _title(ds: xr.Dataset, area: str) -> str:
    return f"{area} (simulated)" if answers.simulated(ds) and "simulated" not in area else area


def _ceiling(one: xr.Dataset, y: Any, dark: bool) -> list[Any]:
    import altair as alt

    low, high = float(one["ceiling_low"]), float(one["ceiling_high"])
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    base = alt.Chart(alt.Data(values=[{"score": high, "low": low, "words": "noise ceiling"}])).encode(y=y)
    return [
        base.mark_rect(color=theme.colour("ceiling", dark), opacity=theme.CEILING_OPACITY).encode(
            x=alt.value(0), x2=alt.value("width"), y2="low:Q"
        )
    ]


def pair_chart(
    ds: xr.Dataset, area: str, dark: bool = False, *, width: int | str = "container", height: int = 320
) -> alt.LayerChart:
    """Draw the difference of every pair of models, with a dot where it is significant."""
    import altair as alt

    one = area_of(ds, area)
    names = answers.names(ds, "model")
    gap, p, sem = (one[n].to_numpy() for n in ("difference", "p_pair_adjusted", "difference_sem"))
    rows = [
        {
            "row": a,
            "column": b,
            "gap": _number(gap[i, j]),
            "shown": f"{theme.three_digits(gap[i, j])} ± {theme.three_digits(sem[i, j])} (SE)",
            "p": theme.p_value(float(p[i, j])),
            "mark": "•" if p[i, j] <= ALPHA else "",
        }
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i != j
    ]
    lo, hi = theme.signed_limits(gap)
    domain = [names[0], *names[1:]]
    x = alt.X("column:N", sort=domain, axis=_axis(names, None), scale=alt.Scale(domain=domain))
    y = alt.Y("row:N", sort=domain, axis=_axis(names, None), scale=alt.Scale(domain=domain))
    fill = alt.Color(
        "gap:Q",
        title=f"Row − column ({ds.attrs['measure_label']})",
        scale=alt.Scale(domain=[lo, hi], range=theme.sampled("diverging", 11)),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    tooltip = [
        alt.Tooltip("row:N", title="Row"),
        alt.Tooltip("column:N", title="Column"),
        alt.Tooltip("shown:N", title="Difference"),
        alt.Tooltip("p:N", title="p, " + CORRECTED[str(ds.attrs["correction"])]),
    ]
    cells = base.mark_rect().encode(color=fill, tooltip=tooltip)
    dots = base.mark_text(fontSize=16, color="#11161F", tooltip=None).encode(text="mark:N")
    chart = alt.layer(cells, dots).properties(
        width=width,
        height=max(height, 14 * len(names)),
        title=f"Differences between models, {area}",
        description=pair_words(ds, area),
    )
    return theme.style(theme.across(chart, width), dark)


def pair_words(ds: xr.Dataset, area: str) -> str:
    """Count the pairs that differ and name the clearest."""
    one = area_of(ds, area)
    names = answers.names(ds, "model")
    p = one["p_pair_adjusted"].to_numpy()
    a, b = np.triu_indices(len(names), 1)
    values = p[a, b]
    if not np.isfinite(values).any():
        return f"There are no pairs of models to compare in {area}."
    k = int(np.nanargmin(values))
    gap = float(one["difference"].to_numpy()[a[k], b[k]])
    more, less = (names[a[k]], names[b[k]]) if gap > 0 else (names[b[k]], names[a[k]])
    n = int((values <= ALPHA).sum())
    return (
        f"{n} of {len(values)} pairs of models differ significantly in {area}. The clearest: {more} scores "
        f"{theme.three_digits(abs(gap))} more than {less} ({theme.p_value(float(values[k]))})."
    )


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw the scores with their marks for every area, one below the other, for export."""
    import altair as alt

    charts = [score_chart(ds, a, width=width - 80, height=220) for a in answers.names(ds, "area")]
    if len(charts) == 1:
        return charts[0]
    bare = [chart.copy(deep=False) for chart in charts]
    for chart in bare:
        chart.config = alt.Undefined
    return theme.style(alt.vconcat(*bare).properties(description=words(ds)))


# --- tables -------------------------------------------------------------------------------------------------


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per test: against zero (t; labels), against the ceiling, and each pair once."""
    import pandas as pd

    names = answers.names(ds, "model")
    rows: list[dict[str, Any]] = []
    for area in answers.names(ds, "area"):
        one = area_of(ds, area)
        v = {str(n): one[n].to_numpy() for n in one.data_vars}
        for k, name in enumerate(names):
            common = {"area": area, "model": name, "other": ""}
            score, sem = v["score"][k], v["sem"][k]
            rows += [
                {**common, "test": "above zero, t test", "estimate": score, "sem": sem,
                 "p": v["p_zero"][k], "p_adjusted": v["p_zero_adjusted"][k]},
                {**common, "test": "above zero, shuffled labels", "estimate": score, "sem": np.nan,
                 "p": v["p_labels"][k], "p_adjusted": v["p_labels_max"][k]},
                {**common, "test": "against lower ceiling", "estimate": -v["below"][k], "sem": np.nan,
                 "p": v["p_ceiling"][k], "p_adjusted": v["p_ceiling_adjusted"][k]},
            ]  # fmt: skip
        for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
            rows.append(
                {"area": area, "model": names[i], "other": names[j], "test": "pair",
                 "estimate": v["difference"][i, j], "sem": v["difference_sem"][i, j],
                 "p": v["p_pair"][i, j], "p_adjusted": v["p_pair_adjusted"][i, j]}
            )  # fmt: skip
    columns = ["area", "test", "model", "other", "estimate", "sem", "p", "p_adjusted"]
    return pd.DataFrame(rows, columns=columns)


def model_table(ds: xr.Dataset, area: str) -> pd.DataFrame:
    """Return one row per model of one area, with the headings of the page."""
    import pandas as pd

    one = area_of(ds, area)
    data = {
        "Model": answers.names(ds, "model"),
        str(ds.attrs["measure_label"]): one["score"].to_numpy(),
        "95 % low": one["ci_low"].to_numpy(),
        "95 % high": one["ci_high"].to_numpy(),
        "p > 0, t test": one["p_zero_adjusted"].to_numpy(),
        "p > 0, labels": one["p_labels"].to_numpy(),
        "p > 0, labels, largest of all": one["p_labels_max"].to_numpy(),
        "p against ceiling": one["p_ceiling_adjusted"].to_numpy(),
    }
    return pd.DataFrame(data)
