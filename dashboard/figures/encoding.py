"""How well layers predict single units: distributions beside the noise ceiling, best layers, and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import unknown
from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

MOST_POINTS = 2000
"""Units drawn one by one; of more a fixed random sample is shown, and said."""

CHOSEN = "chosen per unit"
"""Stands for the layer that was chosen inside each training set."""


# --- numbers ----------------------------------------------------------------------------------------------


def place(ds: xr.Dataset, area: str) -> int:
    """Return the position of an area; the first when none is named.

    Raises
    ------
    InputError
        When the answer has no such area.
    """
    areas = answers.names(ds, "area")
    if area and area not in areas:
        raise unknown("area", area, areas)
    return areas.index(area) if area else 0


def units_of(ds: xr.Dataset, area: str) -> np.ndarray:
    """Return the positions of the units of an area."""
    name = answers.names(ds, "area")[place(ds, area)]
    return np.flatnonzero(ds["area_of_unit"].to_numpy().astype(str) == name)


def best(ds: xr.Dataset, area: str = "") -> int | None:
    """Return the position of the layer with the largest median r, or None where no unit has one."""
    middle = ds["median"].to_numpy()[place(ds, area)]
    return int(np.nanargmax(middle)) if np.isfinite(middle).any() else None


def alike(ds: xr.Dataset, area: str = "") -> list[str]:
    """Return the layers whose median r cannot be told from the best one's, that one left out."""
    top = best(ds, area)
    if top is None:
        return []
    samples = ds["sample_median"].to_numpy()[:, place(ds, area)]
    names = answers.names(ds, "layer")
    found = []
    for k, name in enumerate(names):
        gap = samples[:, top] - samples[:, k]
        gap = gap[np.isfinite(gap)]
        if k != top and len(gap) and np.percentile(gap, 2.5) <= 0:
            found.append(name)
    return found


def favourites(ds: xr.Dataset, area: str, n: int = 2) -> list[str]:
    """Return the layers that most units of an area choose, in depth order."""
    share = ds["share"].to_numpy()[place(ds, area)]
    names = answers.names(ds, "layer")
    return [names[k] for k in sorted(np.argsort(-share, kind="stable")[:n])]


def scores(ds: xr.Dataset, layer: str, normalised: bool = False) -> np.ndarray:
    """Return r of every unit from one layer, or from the layer chosen per unit, (n_units,)."""
    if layer == CHOSEN:
        return ds["best_normalised" if normalised else "best_r"].to_numpy()
    return ds["normalised" if normalised else "r"].sel(layer=layer).to_numpy()


def has_ceiling(ds: xr.Dataset) -> bool:
    """Tell whether any unit has a noise ceiling."""
    return bool(np.isfinite(ds["ceiling"].to_numpy()).any())


# --- words ------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset, area: str = "") -> str:
    """Say which layer predicts the units of an area best, how well, and what cannot be told apart."""
    a = place(ds, area)
    name, top = answers.names(ds, "area")[a], best(ds, area)
    if top is None:
        return f"No unit of {name} varies over stimuli in a way that could be predicted."
    layer = answers.names(ds, "layer")[top]
    low, high = (float(ds[end][a, top]) for end in ("low", "high"))
    middle = theme.three_digits(float(ds["median"][a, top]))
    n = int(ds["n_units"][a])
    told = f"median r = {middle}, 95 % interval {theme.interval(low, high)}, over {n:,} units"
    if not low > 0:
        return f"No layer can be said to predict {name}: at best {layer} ({told})."
    text = f"{layer} predicts {name} best: {told}"
    of_ceiling = float(ds["median_normalised"][a, top])
    if math.isfinite(of_ceiling):
        text += f"; {100 * of_ceiling:.0f} % of what the noise allows"
    same = alike(ds, area)
    tail = f" {_joined(same)} cannot be told from it." if same else ""
    share = float(ds["share"][a, top])
    return f"{text}. It is the layer of choice for {100 * share:.0f} % of units.{tail}"


def _joined(names: list[str]) -> str:
    if len(names) > 3:
        return f"{len(names)} other layers"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def alt_text(ds: xr.Dataset) -> str:
    """Return the verdicts of all areas."""
    return " ".join(verdict(ds, area) for area in answers.names(ds, "area"))


def _regression(ds: xr.Dataset) -> str:
    if ds.attrs["regression"] == "pls":
        return f"PLS regression ({ds.attrs['components']} components at most, shared by all units)"
    inner = ds.attrs["inner_folds"]
    return f"Ridge regression, penalty chosen per unit by {inner} folds inside each training set"


def caption(ds: xr.Dataset) -> str:
    """Say how it was measured."""
    ceiling = (
        "Grey: noise ceiling √reliability (split halves, Spearman–Brown), middle half of units."
        if has_ceiling(ds)
        else "No noise ceiling, because stimuli were not repeated."
    )
    return (
        f"{_regression(ds)}; {ds.attrs['folds']} folds over {ds.attrs['n_stimuli']} stimuli; r of held-out "
        "predictions. Bars: middle half and middle 90 % of units; dots: medians, with 95 % intervals over "
        f"{ds.attrs['bootstrap']} bootstrap samples of the stimuli. {ceiling}"
    )


def caveats() -> str:
    """Say what the scores do not mean."""
    return (
        "Stimuli of one fold may resemble those of the others (neighbouring orientations, frames of a film): "
        "the score then measures interpolation, not generalisation (Roberts et al., 2017). Where nothing can "
        "be predicted, balanced stimulus sets push r slightly below zero. Wider layers have more features to "
        "fit with: a better score need not mean a more similar representation (Conwell et al., 2024)."
    )


def methods_text(ds: xr.Dataset) -> str:
    """Return a paragraph for a paper."""
    fit = (
        f"partial least squares with up to {ds.attrs['components']} components (Schrimpf et al., 2018)"
        if ds.attrs["regression"] == "pls"
        else "ridge regression on features standardised with the training stimuli's means and deviations. "
        f"The penalty of each unit was chosen among {ds.attrs['alphas'].replace(':', ', ')} (times the "
        f"number of features) by the mean R² over {ds.attrs['inner_folds']} folds inside the training stimuli"
    )
    reducer = str(ds.attrs["reducer"])
    features = (
        "Layers with more units than the projection has dimensions were mixed by a seeded sparse random "
        f"projection ({reducer}; Achlioptas, 2003; Li et al., 2006)"
        if reducer.startswith("projection")
        else f"Of each layer, {reducer} was kept"
    )
    ceiling = (
        "The reliability of each unit's mean response was the mean correlation of split halves of repeats, "
        "corrected by the Spearman–Brown formula; its square root is the noise ceiling of r, and units "
        "with a "
        "reliability below 0.1 were not normalised."
        if has_ceiling(ds)
        else "There were no repeats and hence no noise ceiling."
    )
    return (
        f"Mean responses of the units of {ds.attrs['recording_title']} were predicted from layers of "
        f"{ds.attrs['network_title']} by {fit}. {features}. Scores are Pearson correlations, over all "
        f"{ds.attrs['n_stimuli']} stimuli, of held-out predictions of {ds.attrs['folds']} folds with "
        "responses, "
        f"both less the training stimuli's mean. {ceiling} The layer of choice of a unit was chosen in each "
        "fold by the cross-validation inside its training stimuli, so that it is scored on stimuli that took "
        f"no part in the choice. Intervals: {ds.attrs['bootstrap']} bootstrap samples of the stimuli with "
        "the "
        "models held fixed; they leave out that folds share training data."
    )


# --- charts -----------------------------------------------------------------------------------------------


def profile(
    ds: xr.Dataset,
    area: str = "",
    *,
    normalised: bool = False,
    dark: bool = False,
    width: int | str = "container",
) -> alt.LayerChart:
    """Draw the distribution of r over units for each layer in depth order, with the noise ceiling."""
    import altair as alt

    a, units = place(ds, area), units_of(ds, area)
    names = answers.names(ds, "layer")
    values = ds["normalised" if normalised else "r"].to_numpy()[:, units]
    title = "r / noise ceiling" if normalised else "Pearson r (held out)"
    rows = [_row(ds, a, k, name, values[k], normalised) for k, name in enumerate(names)]
    short = theme.short_names(tuple(names), 18)
    x = alt.X(
        "layer:N",
        sort=names,
        title="Layer, in order of depth",
        axis=alt.Axis(labelAngle=-40, labelLimit=160, labelExpr=f"{theme.js(short)}[datum.value]"),
    )
    chart, colour = alt.Chart(alt.Data(values=rows)), theme.colour("network", dark)
    scale = alt.Scale(domain=_domain(rows, ds, units, normalised), nice=False, clamp=True)
    y = alt.Y("middle:Q", title=title, scale=scale)
    marks = [
        *_ceiling_marks(ds, units, normalised, dark),
        alt.Chart(alt.Data(values=[{"zero": 0}]))
        .mark_rule(strokeDash=[5, 4], color=theme.colour("control", dark))
        .encode(y="zero:Q"),
        chart.mark_bar(size=3, opacity=0.35, color=colour).encode(
            x=x, y=alt.Y("q05:Q", scale=scale), y2="q95:Q"
        ),
        chart.mark_bar(size=14, opacity=0.35, color=colour).encode(x=x, y=alt.Y("q25:Q"), y2="q75:Q"),
        chart.mark_rule(strokeWidth=2, color=colour).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        chart.mark_point(filled=True, size=70, opacity=1, color=colour).encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("layer:N"),
                alt.Tooltip("middle:Q", format=".3f", title=f"median {title}"),
                alt.Tooltip("low:Q", format=".3f", title="95 % interval from"),
                alt.Tooltip("high:Q", format=".3f", title="to"),
                alt.Tooltip("share:Q", format=".0%", title="layer of choice of"),
                alt.Tooltip("features:Q", title="features"),
                alt.Tooltip("units:Q", title="units"),
            ],
        ),
    ]
    combined = alt.layer(*marks).properties(
        width=width,
        height=320,
        title=f"{answers.names(ds, 'area')[a]} predicted from {ds.attrs['network_title']}",
        description=verdict(ds, area),
    )
    return theme.style(combined, dark)


def _row(ds: xr.Dataset, a: int, k: int, name: str, values: np.ndarray, normalised: bool) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    ends = np.percentile(finite, [5, 25, 50, 75, 95]) if len(finite) else [None] * 5
    return {
        "layer": name,
        **dict(zip(("q05", "q25", "middle", "q75", "q95"), map(_number, ends), strict=True)),
        # The interval is that of the median r; of r over ceiling none was drawn.
        "low": None if normalised else _number(ds["low"][a, k]),
        "high": None if normalised else _number(ds["high"][a, k]),
        "share": float(ds["share"][a, k]),
        "features": int(ds["n_features"][k]),
        "units": len(finite),
    }


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None


def _domain(rows: list[dict[str, Any]], ds: xr.Dataset, units: np.ndarray, normalised: bool) -> list[float]:
    drawn = [row[k] for row in rows for k in ("q05", "q95") if row[k] is not None]
    tops = [1.0] if normalised or has_ceiling(ds) else []
    return [min([-0.05, *drawn]) - 0.02, max([0.2, *drawn, *tops]) + 0.02]


def _ceiling_marks(ds: xr.Dataset, units: np.ndarray, normalised: bool, dark: bool) -> list[Any]:
    import altair as alt

    known = ds["ceiling"].to_numpy()[units]
    known = known[np.isfinite(known)]
    if not len(known):
        return []
    low, high = (1.0, 1.0) if normalised else np.percentile(known, [25, 75])
    base = alt.Chart(alt.Data(values=[{"low": float(low), "high": float(high)}]))
    grey = theme.colour("ceiling", dark)
    if low == high:
        return [base.mark_rule(color=grey, strokeWidth=3, opacity=0.5).encode(y="low:Q")]
    return [base.mark_rect(color=grey, opacity=theme.CEILING_OPACITY).encode(y="low:Q", y2="high:Q")]


def _sample(units: np.ndarray) -> np.ndarray:
    if len(units) <= MOST_POINTS:
        return units
    return np.sort(np.random.default_rng(0).choice(units, MOST_POINTS, replace=False))


def unit_rows(ds: xr.Dataset, area: str, layer: str) -> list[dict[str, Any]]:
    """Return what is drawn of each unit of an area that has a score; at most `MOST_POINTS`."""
    r, layers = scores(ds, layer), answers.names(ds, "layer")
    columns = {name: ds[name].to_numpy() for name in ("ceiling", "best", "subject", "number", "x", "y")}
    return [
        {
            "r": float(r[u]),
            "ceiling": _number(columns["ceiling"][u]),
            "best": layers[int(columns["best"][u])],
            "depth": int(columns["best"][u]) + 1,
            "subject": str(columns["subject"][u]),
            "number": int(columns["number"][u]),
            "x": _number(columns["x"][u]),
            "y": _number(columns["y"][u]),
        }
        for u in _sample(units_of(ds, area))
        if math.isfinite(r[u])
    ]


_UNIT = ("subject:N", "number:Q", "best:N")


def unit_chart(
    ds: xr.Dataset, area: str, layer: str, *, dark: bool = False, width: int | str = "container"
) -> alt.LayerChart:
    """Draw r of every unit against its noise ceiling; the dashed diagonal is as good as it gets."""
    import altair as alt

    rows = [row for row in unit_rows(ds, area, layer) if row["ceiling"] is not None]
    dots = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=28, opacity=0.55, color=theme.colour("brain", dark))
        .encode(
            x=alt.X(
                "ceiling:Q", title="Noise ceiling of the unit (√reliability)", scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y("r:Q", title=_from(layer), scale=alt.Scale(domain=[_least(rows), 1])),
            tooltip=[*_UNIT, alt.Tooltip("r:Q", format=".3f"), alt.Tooltip("ceiling:Q", format=".3f")],
        )
    )
    line = (
        alt.Chart(alt.Data(values=[{"ceiling": 0, "r": 0}, {"ceiling": 1, "r": 1}]))
        .mark_line(strokeDash=[5, 4], color=theme.colour("control", dark))
        .encode(x="ceiling:Q", y="r:Q")
    )
    chart = alt.layer(line, dots).properties(
        width=width, height=320, title="Units beside their ceilings", description=unit_words(ds, area, layer)
    )
    return theme.style(chart, dark)


def _from(layer: str) -> str:
    return "r from the layer of choice" if layer == CHOSEN else f"r from {theme.shortened(layer)}"


def _least(rows: list[dict[str, Any]]) -> float:
    return min([0.0, *(row["r"] for row in rows)])


def unit_words(ds: xr.Dataset, area: str, layer: str) -> str:
    """Say how many units are predicted, and how near to their ceilings."""
    units = units_of(ds, area)
    r, share = scores(ds, layer)[units], scores(ds, layer, normalised=True)[units]
    told = np.isfinite(r)
    which = "their layers of choice" if layer == CHOSEN else layer
    text = f"From {which}, {int((r[told] > 0.2).sum()):,} of {len(units):,} units have r above 0.2"
    near = share[np.isfinite(share)]
    if len(near):
        text += f"; {int((near > 0.9).sum()):,} reach 90 % of their ceiling"
    more = f" {MOST_POINTS:,} units drawn at random are shown." if len(units) > MOST_POINTS else ""
    return f"{text}.{more}"


def map_chart(
    ds: xr.Dataset, area: str, layer: str, *, dark: bool = False, width: int | str = "container"
) -> alt.Chart:
    """Draw units where their receptive fields lie, coloured by r."""
    import altair as alt

    rows = [row for row in unit_rows(ds, area, layer) if row["x"] is not None and row["y"] is not None]
    top = max([0.1, *(abs(row["r"]) for row in rows)])
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=45, opacity=0.85)
        .encode(
            x=alt.X("x:Q", title="Receptive field, to the right (part of the picture)"),
            y=alt.Y("y:Q", title="Below the middle", scale=alt.Scale(reverse=True)),
            color=alt.Color(
                "r:Q",
                title=f"r, −{top:.2f} to {top:.2f}",
                scale=alt.Scale(domain=[-top, top], range=theme.sampled("diverging", 11)),
            ),
            tooltip=[*_UNIT, alt.Tooltip("r:Q", format=".3f")],
        )
        .properties(
            width=width,
            height=340,
            title=f"Units by receptive field, {_from(layer)}",
            description=f"Places of receptive fields coloured by r. {unit_words(ds, area, layer)}",
        )
    )
    return theme.style(chart, dark)


def has_places(ds: xr.Dataset) -> bool:
    """Tell whether receptive fields are known."""
    return bool(np.isfinite(ds["x"].to_numpy()).any())


def choice_chart(
    ds: xr.Dataset, area: str, *, dark: bool = False, width: int | str = "container"
) -> alt.Chart:
    """Draw how many units each layer is the layer of choice of."""
    import altair as alt

    a, names = place(ds, area), answers.names(ds, "layer")
    rows = [{"layer": n, "share": float(ds["share"][a, k])} for k, n in enumerate(names)]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark))
        .encode(
            y=alt.Y("layer:N", sort=names, title=None, axis=alt.Axis(labelLimit=180)),
            x=alt.X("share:Q", title="Share of units", axis=alt.Axis(format="%")),
            tooltip=["layer:N", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(
            width=width,
            height=max(60, 24 * len(names)),
            title="Layer of choice of each unit",
            description=choice_words(ds, area),
        )
    )
    return theme.style(chart, dark)


def choice_words(ds: xr.Dataset, area: str) -> str:
    """Say how steady the choice of a layer is, and what it scores."""
    units = units_of(ds, area)
    agreement = float(np.nanmean(ds["agreement"].to_numpy()[units]))
    middle = theme.three_digits(float(ds["best_median"][place(ds, area)]))
    return (
        f"Chosen inside each training set, so that a unit is scored on other stimuli: median r = {middle}. "
        f"On average {100 * agreement:.0f} % of the {ds.attrs['folds']} folds agree on the layer."
    )


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the profile of the first area, for export."""
    return profile(ds, width=width - 80)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit and layer."""
    return (
        ds[["r", "r2", "normalised", "alpha", "reliability", "ceiling", "best", "best_r", "best_normalised"]]
        .to_dataframe()
        .reset_index()
        .assign(best=lambda t: np.array(answers.names(ds, "layer"), dtype=object)[t["best"].to_numpy()])
    )


def layer_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per area and layer."""
    return (
        ds[["median", "low", "high", "median_normalised", "share", "n_features"]].to_dataframe().reset_index()
    )


# --- variance partitioning --------------------------------------------------------------------------------


def partition_verdict(ds: xr.Dataset, area: str = "") -> str:
    """Say what the layers explain together, what each adds, and what they share."""
    a = place(ds, area)
    layers, sets = answers.names(ds, "layer"), answers.names(ds, "set")
    size = ds["member"].to_numpy().sum(axis=1)
    whole = int(np.argmax(size))
    parts, r2 = ds["mean_part"].to_numpy()[a], ds["mean_r2"].to_numpy()[a]
    alone = [
        (float(parts[k]), layers[int(np.argmax(ds["member"].to_numpy()[k]))])
        for k in np.flatnonzero(size == 1)
    ]
    adds = ", ".join(f"{name} {theme.fixed(value, 3)}" for value, name in alone)
    return (
        f"Together they explain {theme.fixed(float(r2[whole]), 3)} of the variance of "
        f"{answers.names(ds, 'area')[a]} "
        f"(mean R² over units); of this only by one of them: {adds}; by {sets[whole]} all alike: "
        f"{theme.fixed(float(parts[whole]), 3)}."
    )


def partition_chart(
    ds: xr.Dataset, area: str = "", *, dark: bool = False, width: int | str = "container"
) -> alt.Chart:
    """Draw what exactly each set of layers explains; the bars sum to R² of all together."""
    import altair as alt

    a = place(ds, area)
    rows = [
        {"set": name, "part": _number(ds["mean_part"][a, k]), "r2": _number(ds["mean_r2"][a, k])}
        for k, name in enumerate(answers.names(ds, "set"))
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark))
        .encode(
            y=alt.Y("set:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
            x=alt.X("part:Q", title="Mean R² that exactly these layers explain"),
            tooltip=[
                alt.Tooltip("set:N"),
                alt.Tooltip("part:Q", format=".4f", title="exactly these"),
                alt.Tooltip("r2:Q", format=".4f", title="R² of a model with these alone"),
            ],
        )
        .properties(
            width=width,
            height=max(80, 26 * len(rows)),
            title="Unique and common variance",
            description=partition_verdict(ds, area),
        )
    )
    return theme.style(chart, dark)


def partition_main(ds: xr.Dataset, width: int = 640) -> alt.Chart:
    """Draw the first area, for export."""
    return partition_chart(ds, width=width - 140)


def partition_caption(ds: xr.Dataset) -> str:
    """Say how it was measured."""
    return (
        f"Banded ridge regression (a weight per layer, {ds.attrs['mixes']} weightings tried inside each "
        "training "
        f"set), {ds.attrs['folds']} folds over {ds.attrs['n_stimuli']} stimuli, mean over units. Parts are "
        "differences of held-out R² and sum to that of all layers; small negative ones are noise, large ones "
        "mean that layers suppress each other's noise (Nimon & Oswald, 2013)."
    )


def partition_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit and set of layers."""
    return ds[["r2", "part"]].to_dataframe().reset_index()
