"""What matters over a whole set: mean |SHAP|, beeswarm, heat maps, mean maps, share on the object."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, attribution, overlay, theme
from dashboard.figures.overlay import Panel

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FEATURES = 20
"""Features in a chart, the most important first."""


# --- words -----------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Sum up in two sentences what matters most over the set, and whether it is the object."""
    n = ds.sizes["item"]
    text = f"{attribution.label(ds)} over {n} stimuli of {ds.attrs['stimuli_title']}."
    share = shares(ds)
    if share is not None:
        mean, low, high, area = share
        times = mean / area
        how = "as chance would have it" if 0.9 <= times <= 1.1 else f"{times:.1f} times what chance gives"
        return (
            f"{text} {100 * mean:.0f} % of the attribution lies on the object (95 % interval "
            f"{100 * low:.0f} to {100 * high:.0f} %), which covers {100 * area:.0f} % of the picture: {how}."
        )
    if "importance" in ds:
        return f"{text} {importance_words(ds)}"
    size = ds["mean_size"].to_numpy()
    return f"{text} On average it lies {_centre(size)}."


def importance_words(ds: xr.Dataset) -> str:
    """Say which features matter most, and how much of all they carry."""
    mean = ds["importance"].to_numpy()
    if not mean.sum() > 0:
        return "Nothing changes the score."
    names = answers.names(ds, "feature")
    few = min(5, len(names))
    what = "words" if ds.attrs.get("input_kind") == "text" else "features"
    low, high = (float(ds[key].to_numpy()[0]) for key in ("lower", "upper"))
    carried = 100 * mean[:few].sum() / np.nansum(mean)
    return (
        f"Most important is {names[0]}: on average it moves the score by "
        f"{theme.three_digits(float(mean[0]))} {attribution.unit(ds)} "
        f"(95 % interval {theme.interval(low, high)}). "
        f"The first {few} of {len(names)} {what} carry {carried:.0f} % of the sum of all."
    )


def shares(ds: xr.Dataset) -> tuple[float, float, float, float] | None:
    """Return the mean share of |map| on the object, its 95 % interval (t), and the mean share of the area.

    None where the objects are not known.
    """
    from scipy.stats import t

    if "mask_share" not in ds:
        return None
    both = np.stack([ds["mask_share"].to_numpy(), ds["mask_area"].to_numpy()])
    own, area = both[:, np.isfinite(both).all(axis=0)]
    if len(own) < 2:
        return None
    half = float(t.ppf(0.975, len(own) - 1)) * float(own.std(ddof=1)) / math.sqrt(len(own))
    mean = float(own.mean())
    return mean, max(0.0, mean - half), min(1.0, mean + half), float(area.mean())


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return verdict(ds)


def _centre(size: np.ndarray) -> str:
    rows, columns = (np.arange(n) for n in size.shape)
    total = size.sum()
    if not total > 0:
        return "nowhere: all maps are zero"
    at = (int((size.sum(1) @ rows / total).round()), int((size.sum(0) @ columns / total).round()))
    return overlay.place(np.ravel_multi_index(at, size.shape), size.shape)


# --- features --------------------------------------------------------------------------------------


def importance_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw mean |values| of the most important features with 95 % intervals."""
    import altair as alt_

    rows = importance_table(ds).head(FEATURES).to_dict("records")
    order = [r["feature"] for r in rows]
    base = alt_.Chart(alt_.Data(values=rows)).encode(
        y=_features_axis(order),
        tooltip=[
            alt_.Tooltip("feature:N", title="Feature"),
            alt_.Tooltip("importance:Q", format=".4g", title="Mean |value|"),
            alt_.Tooltip("lower:Q", format=".4g", title="95 % from"),
            alt_.Tooltip("upper:Q", format=".4g", title="to"),
            alt_.Tooltip("stimuli:Q", title="Stimuli"),
        ],
    )
    chart = base.mark_bar(color=theme.category_colours(1, dark)[0]).encode(
        x=alt_.X("importance:Q", title=f"Mean |value| ({attribution.unit(ds)}), 95 % interval")
    ) + base.mark_rule(color=theme.colour("text", dark), strokeWidth=1.5).encode(
        x=alt_.X("lower:Q", title=None), x2="upper:Q"
    )
    return theme.style(chart.properties(width=width, height=alt_.Step(18)), dark)


def beeswarm_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw one dot per stimulus and feature at its value, coloured by the feature's own level."""
    import altair as alt_

    features, items = answers.names(ds, "feature"), answers.names(ds, "item")
    columns = [ds[f"dot_{name}"].to_numpy() for name in ("feature", "item", "value", "level", "offset")]
    rows = [
        {
            "feature": features[int(f)],
            "stimulus": items[int(i)],
            "value": float(v),
            "level": None if math.isnan(level) else float(level),
            "offset": float(offset),
        }
        for f, i, v, level, offset in zip(*columns, strict=True)
    ]
    levels = any(r["level"] is not None for r in rows)
    plain = alt_.value(theme.category_colours(1, dark)[0])
    chart = (
        alt_.Chart(alt_.Data(values=rows))
        .mark_circle(size=22, opacity=0.8)
        .encode(
            x=alt_.X("value:Q", title=f"Value in each stimulus ({attribution.unit(ds)})"),
            y=_features_axis(features[:FEATURES]),
            yOffset=alt_.YOffset("offset:Q", scale=alt_.Scale(domain=[-1.6, 1.6])),
            color=alt_.Color(
                "level:Q",
                title="Feature: low to high",
                scale=alt_.Scale(domain=[0, 1], range=theme.sampled("viridis", 11)),
            )
            if levels
            else plain,
            tooltip=[
                alt_.Tooltip("feature:N", title="Feature"),
                alt_.Tooltip("stimulus:N", title="Stimulus"),
                alt_.Tooltip("value:Q", format=".4g", title="Value"),
            ],
        )
    )
    return theme.style(chart.properties(width=width, height=alt_.Step(24)), dark)


def class_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw mean |values| by class and feature as a heat map."""
    import altair as alt_

    features, classes = answers.names(ds, "feature")[:FEATURES], answers.names(ds, "class")
    values = ds["class_importance"].to_numpy()
    rows = [
        {"feature": feature, "class": name, "value": float(values[i, j])}
        for i, name in enumerate(classes)
        for j, feature in enumerate(features)
        if math.isfinite(values[i, j])
    ]
    chart = (
        alt_.Chart(alt_.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt_.X("class:N", sort=classes, title="Class", axis=alt_.Axis(labelAngle=-40)),
            y=_features_axis(features),
            color=alt_.Color(
                "value:Q",
                title=f"Mean |value| ({attribution.unit(ds)})",
                scale=alt_.Scale(domain=_limits(0.0, values), range=theme.sampled("viridis", 11)),
            ),
            tooltip=["class:N", "feature:N", alt_.Tooltip("value:Q", format=".4g", title="Mean |value|")],
        )
    )
    return theme.style(chart.properties(width=width, height=alt_.Step(18)), dark)


def heat_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw every value, stimuli by features, diverging about zero; stimuli stand by class."""
    import altair as alt_

    features, items = answers.names(ds, "feature")[:FEATURES], answers.names(ds, "item")
    groups = [str(g) for g in ds["group"].to_numpy()]
    order = sorted(range(len(items)), key=lambda k: (groups[k], k))
    values = ds["value"].to_numpy()[:, : len(features)]
    rows = [
        {"feature": feature, "stimulus": items[k], "class": groups[k], "value": float(values[k, j])}
        for k in order
        for j, feature in enumerate(features)
        if math.isfinite(values[k, j])
    ]
    top = _limits(0.0, np.abs(values))[1]
    chart = (
        alt_.Chart(alt_.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt_.X(
                "stimulus:N", sort=[items[k] for k in order], title="Stimuli, by class", axis=_bare_axis()
            ),
            y=_features_axis(features),
            color=alt_.Color(
                "value:Q",
                title=f"Value ({attribution.unit(ds)})",
                scale=alt_.Scale(domain=[-top, top], range=theme.sampled("diverging", 11)),
            ),
            tooltip=[
                "stimulus:N",
                "class:N",
                "feature:N",
                alt_.Tooltip("value:Q", format=".4g", title="Value"),
            ],
        )
    )
    return theme.style(chart.properties(width=width, height=alt_.Step(18)), dark)


def _bare_axis() -> Any:
    import altair as alt_

    return alt_.Axis(labels=False, ticks=False)


def _features_axis(order: list[str]) -> Any:
    import altair as alt_

    return alt_.Y("feature:N", sort=order, title=None, axis=alt_.Axis(labelLimit=200))


def _limits(low: float, values: np.ndarray) -> list[float]:
    """Return the limits of a colour scale from ``low`` to the largest value; never empty."""
    found = values[np.isfinite(values)]
    return [low, float(found.max()) if found.size and found.max() > low else low + 1.0]


# --- places ----------------------------------------------------------------------------------------


def panels(ds: xr.Dataset) -> list[Panel]:
    """Return the mean of |maps|, the mean map, and the mean of |maps| of each class, on two scales."""
    unit = attribution.unit(ds)
    size, signed = ds["mean_size"].to_numpy(), ds["mean_map"].to_numpy()
    by_class = ds["class_size"].to_numpy()
    top = _limits(0.0, np.concatenate([size[None], by_class]))[1]
    bound = attribution.limit(signed, 100)
    title = f"All {ds.sizes['item']}"
    found = [
        Panel(title, None, size, 0.0, top, unit, "viridis", "mean of |maps|", f"It lies {_centre(size)}.")
    ]
    if attribution.signed(ds):
        words = "Evidence for (red) and against (blue) that does not cancel over the set."
        found.append(
            Panel(f"{title}, signed", None, signed, -bound, bound, unit, "diverging", "mean map", words)
        )
    if ds.sizes["class"] > 1:
        for name, one, n in zip(
            answers.names(ds, "class"), by_class, ds["count"].to_numpy().tolist(), strict=True
        ):
            words = f"It lies {_centre(one)}."
            found.append(Panel(name, None, one, 0.0, top, unit, "viridis", f"mean of |{n} maps|", words))
    return found


def mean_chart(ds: xr.Dataset, *, dark: bool = False, width: int = 640) -> Any:
    """Draw the mean maps, of all stimuli and of each class."""
    shown = panels(ds)
    columns = max(1, min(len(shown), width // 150))
    return overlay.chart(shown, columns=columns, side=max(80, width // columns - 14), dark=dark)


def where_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the share of |map| on the object of every picture by class, beside what chance would give."""
    import altair as alt_

    rows = [
        {"class": str(g), "stimulus": name, "share": float(s), "area": float(a)}
        for g, name, s, a in zip(
            ds["group"].to_numpy(),
            answers.names(ds, "item"),
            ds["mask_share"].to_numpy(),
            ds["mask_area"].to_numpy(),
            strict=True,
        )
        if math.isfinite(float(s))
    ]
    percent = alt_.Axis(format="%")
    base = alt_.Chart(alt_.Data(values=rows)).encode(
        y=alt_.Y("class:N", title="Class"), tooltip=["stimulus:N", _percent("share"), _percent("area")]
    )
    title = "Share of |map| on the object (dots), of the picture that it covers (ticks)"
    dots = base.mark_circle(size=46, color=theme.category_colours(1, dark)[0], opacity=0.8).encode(
        x=alt_.X("share:Q", title=title, axis=percent, scale=alt_.Scale(domainMin=0, nice=True))
    )
    ticks = base.mark_tick(color=theme.colour("text", dark), thickness=1.5).encode(x=alt_.X("area:Q"))
    chart: Any = ticks + dots
    mean = shares(ds)
    if mean is not None:
        own = alt_.Chart(alt_.Data(values=[{"mean": mean[0], "low": mean[1], "high": mean[2]}]))
        band = own.mark_rect(opacity=0.18, color=theme.category_colours(1, dark)[0]).encode(
            x=alt_.X("low:Q"), x2="high:Q"
        )
        line = own.mark_rule(strokeDash=[4, 3], color=theme.colour("text", dark)).encode(x="mean:Q")
        chart = band + line + chart
    return theme.style(chart.properties(width=width, height=alt_.Step(22)), dark)


def _percent(name: str) -> Any:
    import altair as alt_

    return alt_.Tooltip(f"{name}:Q", format=".1%", title=name.capitalize())


# --- files -----------------------------------------------------------------------------------------


def main_chart(ds: xr.Dataset, width: int = 640, *, dark: bool = False) -> Any:
    """Draw what stands first: the share on the object, mean maps of pictures, or the important features."""
    if "mask_share" in ds:
        return where_chart(ds, width=width - 120, dark=dark)
    if "importance" in ds:
        return importance_chart(ds, width=width - 160, dark=dark)
    return mean_chart(ds, width=width, dark=dark)


def importance_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per feature: mean |value|, its 95 % interval, in how many stimuli it occurs."""
    import pandas as pd

    low, high = ds["lower"].to_numpy(), ds["upper"].to_numpy()
    return pd.DataFrame(
        {
            "feature": answers.names(ds, "feature"),
            "importance": ds["importance"].to_numpy(),
            "lower": np.where(np.isfinite(low), low, ds["importance"].to_numpy()),
            "upper": np.where(np.isfinite(high), high, ds["importance"].to_numpy()),
            "stimuli": ds["times"].to_numpy(),
        }
    )


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus and feature; of large pictures one per stimulus: where its map lies."""
    import pandas as pd

    about = pd.DataFrame(
        {
            "stimulus": answers.names(ds, "item"),
            "class": [str(v) for v in ds["group"].to_numpy()],
            "target": [str(v) for v in ds["target"].to_numpy()],
            **{name: ds[name].to_numpy() for name in ("total", "mask_share", "mask_area") if name in ds},
        }
    )
    if "value" not in ds:
        return about
    values = ds["value"].to_numpy()
    long = pd.DataFrame(
        {
            "stimulus": np.repeat(np.array(answers.names(ds, "item"), dtype=object), values.shape[1]),
            "feature": answers.names(ds, "feature") * values.shape[0],
            "value": values.ravel(),
        }
    )
    return long[long["value"].notna()].merge(about, on="stimulus").reset_index(drop=True)
