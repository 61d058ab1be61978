"""Which layers and units care for a category, and how a concept moves a class: charts and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

CAVEAT = (
    "Framed: the best layer of each category. d′ is the distance of the mean responses to a category and "
    "to all others in pooled standard deviations "
    "(Green & Swets, 1966). Each unit was chosen on one half of the stimuli and measured on the other, both "
    "ways: the best of many units looks selective even by chance. A selective unit need not matter to the "
    "network's choice (Morcos et al., 2018)."
)
CONCEPT_CAVEAT = (
    "Score: share of pictures of the class for which a step towards the concept raises the class (TCAV; Kim "
    "et al., 2018), responses averaged over positions. Grey: random concepts, drawn from the same pictures. "
    "Runs share pictures, so p is on the small side; a direction whose classifier is no better than chance "
    "means nothing."
)
LEVEL = 0.05
CHANCE_ACCURACY = 0.6
"""Below this accuracy of its classifier a concept has no direction to speak of."""


def verdict(ds: xr.Dataset) -> str:
    """Name the layer and the unit that tell a category best, and the layer that is best over all."""
    held = ds["held_out"].transpose("layer", "category_name").to_numpy()
    if not np.isfinite(held).any():
        return "No unit of these layers varies with the category of the stimuli."
    i, j = np.unravel_index(int(np.nanargmax(held)), held.shape)
    layers, names = answers.names(ds, "layer"), answers.names(ds, "category_name")
    mean = np.nanmean(held, axis=1) if np.isfinite(held).all() else np.nan_to_num(held).mean(axis=1)
    top = int(mean.argmax())
    unit = int(ds["best_unit"].transpose("layer", "category_name").to_numpy()[i, j])
    value, overall = theme.three_digits(float(held[i, j])), theme.three_digits(float(mean[top]))
    return (
        f"{_capital(names[j])} is told best: d′ {value} on stimuli that did not choose the unit, in "
        f"{layers[i]} (unit {unit}); over all {len(names)} categories {layers[top]} has the most selective "
        f"units (mean d′ {overall})."
    )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the best held-out d′ of each layer for each category; the best layer of a category is ringed."""
    import altair as alt

    held = ds["held_out"].transpose("layer", "category_name").to_numpy()
    layers, names = answers.names(ds, "layer"), answers.names(ds, "category_name")
    best = np.where(np.isfinite(held), held, -np.inf).argmax(axis=0)
    units = ds["best_unit"].transpose("layer", "category_name").to_numpy()
    high = max(float(np.nanmax(held, initial=0.0)), 1e-6)
    rows = [
        {
            "layer": layer,
            "category": name,
            "held": float(held[i, j]) if np.isfinite(held[i, j]) else None,
            "shown": theme.fixed(float(held[i, j]), 1) if np.isfinite(held[i, j]) else "",
            "unit": int(units[i, j]),
            "best": bool(best[j] == i),
        }
        for i, layer in enumerate(layers)
        for j, name in enumerate(names)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("category:N", sort=names, title="Category", axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("layer:N", sort=layers, title="Layer", axis=alt.Axis(labelLimit=150)),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "held:Q",
            title="d′, held out",
            scale=alt.Scale(scheme="viridis", domain=[0, high], clamp=True),
        ),
        tooltip=[
            alt.Tooltip("layer:N"),
            alt.Tooltip("category:N"),
            alt.Tooltip("unit:Q", title="best unit"),
            alt.Tooltip("held:Q", format=".3g", title="d′, held out"),
        ],
    )
    text = base.mark_text(fontSize=11).encode(
        text="shown:N",
        color=alt.condition(f"datum.held > {0.6 * high}", alt.value("#11161F"), alt.value("#FFFFFF")),
    )
    ring = base.transform_filter("datum.best").mark_rect(
        fillOpacity=0, stroke=theme.colour("text", dark), strokeWidth=2
    )
    found = alt.layer(cells, text, ring).properties(
        width=width,
        height=alt.Step(24),
        title="d′ of the most selective units",
        description=verdict(ds),
    )
    return theme.style(found, dark)


def best_units(ds: xr.Dataset) -> list[tuple[str, str, int, float, float]]:
    """Return for each category the layer and unit with the largest held-out d′, and both d′, best first."""
    both = ("layer", "category_name")
    held, full, unit = (ds[n].transpose(*both).to_numpy() for n in ("held_out", "d_prime", "best_unit"))
    layers = answers.names(ds, "layer")
    found = []
    for j, name in enumerate(answers.names(ds, "category_name")):
        i = int(np.where(np.isfinite(held[:, j]), held[:, j], -np.inf).argmax())
        found.append((name, layers[i], int(unit[i, j]), float(held[i, j]), float(full[i, j])))
    return sorted(found, key=lambda row: -np.nan_to_num(row[3], nan=-np.inf))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per layer and category."""
    names = ["best_unit", "d_prime", "held_out", "index"]
    return ds[names].to_dataframe().reset_index()


# --- concepts ----------------------------------------------------------------------------------------


def concept_verdict(ds: xr.Dataset) -> str:
    """Say at which layers the concept moves the class more than random concepts do, and which way."""
    concept, target = str(ds.attrs["concept"]), str(ds.attrs["target"])
    score, random = (ds[n].mean("run").to_numpy() for n in ("score", "random_score"))
    right = ds["accuracy"].mean("run").to_numpy()
    told = (ds["p_corrected"].to_numpy() < LEVEL) & (right >= CHANCE_ACCURACY)
    n = ds.sizes["layer"]
    if right.max() < CHANCE_ACCURACY:
        return (
            f"{_capital(concept)} has no direction at any of {n} layers: classifiers tell it from other "
            f"pictures no better than {100 * right.max():.0f} % of the time."
        )
    if not told.any():
        return (
            f"At none of {n} layers does {concept} move {target} other than random concepts do "
            f"(two-sided, corrected for {n} layers)."
        )
    layers = answers.names(ds, "layer")
    k = int(np.where(told, np.abs(score - random), -1).argmax())
    word = "raises" if score[k] > random[k] else "lowers"
    up, down = (int((told & (score > random)).sum()), int((told & (score < random)).sum()))
    counted = f"raises it at {up} and lowers it at {down} of {n} layers"
    return (
        f"{_capital(concept)} {word} {target} most clearly at {layers[k]}: score "
        f"{theme.three_digits(float(score[k]))} against {theme.three_digits(float(random[k]))} of random "
        f"concepts ({theme.p_value(float(ds['p_corrected'].to_numpy()[k]))}, corrected); it {counted}."
    )


def concept_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the scores of every run by layer, the concept's beside those of random concepts."""
    import altair as alt

    layers = answers.names(ds, "layer")
    rows = []
    for variable, of in (("score", "concept"), ("random_score", "random")):
        values = ds[variable].transpose("layer", "run").to_numpy()
        accuracy = (
            ds["accuracy" if of == "concept" else "random_accuracy"].transpose("layer", "run").to_numpy()
        )
        rows += [
            {"layer": layer, "score": float(v), "of": of, "accuracy": float(a)}
            for layer, line, told in zip(layers, values, accuracy, strict=True)
            for v, a in zip(line, told, strict=True)
        ]
    colour = alt.Color(
        "of:N",
        title=None,
        scale=alt.Scale(
            domain=["concept", "random"],
            range=[theme.colour("network", dark), theme.colour("control", dark)],
        ),
        legend=alt.Legend(orient="top"),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("layer:N", sort=layers, title="Layer", axis=alt.Axis(labelAngle=-30, labelLimit=140)),
        xOffset=alt.XOffset("of:N", sort=["concept", "random"]),
        color=colour,
    )
    dots = base.mark_circle(size=22, opacity=0.45).encode(
        y=alt.Y(
            "score:Q",
            title=f"Share of {ds.attrs['target']} that the concept raises",
            scale=alt.Scale(domain=[0, 1]),
        ),
        tooltip=[
            alt.Tooltip("of:N"),
            alt.Tooltip("layer:N"),
            alt.Tooltip("score:Q", format=".2f"),
            alt.Tooltip("accuracy:Q", format=".0%", title="classifier, left out"),
        ],
    )
    mean = base.mark_tick(thickness=3, size=18).encode(y="mean(score):Q")
    found = alt.layer(dots, mean).properties(
        width=width, height=300, title=_concept_title(ds), description=concept_verdict(ds)
    )
    return theme.style(found, dark)


def _concept_title(ds: xr.Dataset) -> str:
    return f"{ds.attrs['concept'].capitalize()} and {ds.attrs['target']}"


def concept_caption(ds: xr.Dataset) -> str:
    """Say what the scores are and how well the concept is told from other pictures."""
    right = 100 * float(ds["accuracy"].mean())
    return (
        f"{ds.sizes['run']} runs, {ds.attrs['n_class']} pictures of the class; bars are means. "
        f"{CONCEPT_CAVEAT} Here the concept's classifiers are right for {right:.0f} % of the pictures left "
        "out, over all layers."
    )


def concept_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per layer: mean scores, mean accuracies and p."""
    means = ds[["score", "random_score", "accuracy", "random_accuracy"]].mean("run")
    found: Any = means.assign(p=ds["p"], p_corrected=ds["p_corrected"], n_units=ds["n_units"])
    return found.to_dataframe().reset_index()
