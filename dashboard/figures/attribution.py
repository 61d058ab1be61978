"""Why a network answered as it did: maps over pictures, words about them, and how well methods agree."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dashboard.errors import InputError, listing, unknown
from dashboard.figures import answers, overlay, theme
from dashboard.figures.overlay import Panel
from dashboard.methods.attribution import METHODS

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Scaling = Literal["each", "score"]

ROBUST = 99.5
"""Percentile of |value| at which the colours of a map end: single pixels must not pale all others."""

AMBER, RED = 0.01, 0.05
"""Relative completeness errors from which a sum is doubtful, and wrong."""

TOO_SMALL = 1e-3
"""Below this share of |f(x)| + |f(baseline)| the change of the score is too small to judge a sum by it."""

MAP_UNITS = {
    "saliency": "|slope|",
    "smoothgrad": "slope",
    "guided-backprop": "changed slope",
    "guided-grad-cam": "changed slope × weight",
    "grad-cam": "activation × weight",
}
"""Units of maps that are not in units of the score."""


@dataclass(frozen=True, eq=False)
class TokenRow:
    """The words of a text with a value each.

    Attributes
    ----------
    title : str
    words : tuple of str (n_tokens,)
    values : np.ndarray (n_tokens,)
    bound : float
        Value of the strongest colour.
    signed : bool
        Whether colours diverge about zero.
    caption : str
        Stands below it.
    alt : str
        The result in words.
    """

    title: str
    words: tuple[str, ...]
    values: np.ndarray
    bound: float
    signed: bool = True
    caption: str = ""
    alt: str = ""


# --- what an answer holds ---------------------------------------------------------------------------


def label(ds: xr.Dataset) -> str:
    """Return what pages call the method of an answer."""
    name = str(ds.attrs.get("method", ""))
    return METHODS[name].label if name in METHODS else name


def notes(ds: xr.Dataset) -> list[str]:
    """Return the sentences that must stand beside the maps."""
    found: list[str] = json.loads(ds.attrs.get("notes", "[]"))
    return found


def all_notes(maps: Sequence[xr.Dataset]) -> list[str]:
    """Return the sentences that must stand beside several maps, each with its method."""
    found = [f"{label(ds)}: {note}" for ds in maps for note in notes(ds)]
    return list(dict.fromkeys(found))


def row(ds: xr.Dataset, item: str = "") -> int:
    """Return the position of a stimulus; of ``""`` the first.

    Raises
    ------
    InputError
        When the answer has no such stimulus.
    """
    names = answers.names(ds, "item")
    if item and item not in names:
        raise unknown("stimulus of this answer", item, names)
    return names.index(item) if item else 0


def values(ds: xr.Dataset, item: str = "") -> np.ndarray:
    """Return the map of one stimulus; of texts without what fills short ones up.

    Of methods that switch segments, every place has the value of its whole segment.
    """
    k = row(ds, item)
    found = ds["attribution"].to_numpy()[k]
    if "segment" in ds:
        number = ds["segment"].to_numpy()[k]
        whole = ds["segment_value"].to_numpy()[k]
        return np.where(number >= 0, whole[np.maximum(number, 0)], 0.0)
    return found[np.isfinite(found)] if found.ndim == 1 else found


def unit(ds: xr.Dataset) -> str:
    """Return the unit of the values of a map."""
    return MAP_UNITS.get(str(ds.attrs.get("method")), str(ds.attrs.get("unit", "")))


def signed(ds: xr.Dataset) -> bool:
    """Say whether values below zero mean evidence against."""
    name = str(ds.attrs.get("method"))
    return METHODS[name].signed if name in METHODS else True


def picture(ds: xr.Dataset, item: str = "", which: str = "picture") -> np.ndarray | None:
    """Return the picture of a stimulus or its baseline, (height, width, 3) uint8; None of texts."""
    if which not in ds:
        return None
    return ds[which].to_numpy()[row(ds, item)]


# --- words -----------------------------------------------------------------------------------------


def completeness(ds: xr.Dataset, item: str = "") -> tuple[float, float]:
    """Return the error of the sum of a map, |sum − total|, and the same over |total|.

    Not a number where the method promises no sum; the second is infinite where the change of the score is
    too small to judge.
    """
    k = row(ds, item)
    total, summed = float(ds["total"].to_numpy()[k]), float(ds["summed"].to_numpy()[k])
    if not math.isfinite(total):
        return math.nan, math.nan
    size = abs(float(ds["score"].to_numpy()[k])) + abs(float(ds["baseline_score"].to_numpy()[k]))
    error = abs(summed - total)
    return error, (error / abs(total) if abs(total) > TOO_SMALL * size and total else math.inf)


def completeness_words(ds: xr.Dataset, item: str = "") -> tuple[str, str]:
    """Return the level of the sum (good, amber, red, grey or "") and a sentence about it."""
    error, share = completeness(ds, item)
    if math.isnan(error):
        return "", "Its values are not parts of the score and need not sum to anything."
    k = row(ds, item)
    total, summed = (theme.three_digits(float(ds[name].to_numpy()[k])) for name in ("total", "summed"))
    if math.isinf(share):
        return "grey", f"The score changes by {total} only, too little to judge the sum ({summed})."
    level = "red" if share > RED else "amber" if share > AMBER else "good"
    shown = "below 0.01 %" if share < 1e-4 else f"{theme.three_digits(100 * share)} %"
    return level, f"It sums to {summed}; the score changes by {total} (off by {shown})."


def panel_words(ds: xr.Dataset, item: str = "") -> str:
    """Return the few words below a map: how far it can be trusted, as far as the map alone tells."""
    return " · ".join(words for words in (_sum_words(ds, item), _object_words(ds, item)) if words)


def _object_words(ds: xr.Dataset, item: str) -> str:
    if "mask_share" not in ds:
        return ""
    k = row(ds, item)
    share, area = (float(ds[name].to_numpy()[k]) for name in ("mask_share", "mask_area"))
    return f"{100 * share:.0f} % on the object (chance {100 * area:.0f} %)" if math.isfinite(share) else ""


def _sum_words(ds: xr.Dataset, item: str) -> str:
    error, share = completeness(ds, item)
    if math.isnan(error):
        where = str(ds.attrs.get("layer", ""))
        return f"read at {where}" if where else ""
    if math.isinf(share):
        return "sum: too small to judge"
    return f"sum off by {'< 0.01' if share < 1e-4 else theme.three_digits(100 * share)} %"


def said(ds: xr.Dataset, item: str = "") -> str:
    """Say what the network takes the stimulus for."""
    k = row(ds, item)
    name = answers.names(ds, "item")[k]
    who = str(ds.attrs.get("network_title", "The network"))
    if "likeliest" not in ds:
        return f"{who} gives {theme.three_digits(float(ds['score'].to_numpy()[k]))} for {name}"
    best, chance = str(ds["likeliest"].to_numpy()[k, 0]), float(ds["probability"].to_numpy()[k, 0])
    truth = str(ds["truth"].to_numpy()[k])
    right = "" if not truth else ", which is right" if truth == best else f"; it is {truth}"
    shown = "above 0.999" if chance >= 0.9995 else theme.three_digits(chance)
    return f"{who} takes {name} for {best} (probability {shown}){right}"


def verdict(maps: Sequence[xr.Dataset], item: str = "") -> str:
    """Sum up in two sentences what is explained, where the evidence lies, and whether the methods agree."""
    first = maps[0]
    k = row(first, item)
    text = f"{said(first, item)}. Explained is the {first['target'].to_numpy()[k]}"
    if first.attrs.get("input_kind") == "text":
        words = top_words(first, item)
        return f"{text}; by {label(first).lower()}, {words}."
    if first.attrs.get("input_kind") == "table":
        return f"{text}; by {label(first)}, {top_features(first, item)}."
    text += f"; by {label(first).lower()}, most of the evidence lies {centre(first, item)}."
    if len(maps) < 2:
        return text
    matrix = agreement(maps, item)
    mean = float(matrix[np.triu_indices(len(maps), 1)].mean())
    how = "agree well" if mean > 0.6 else "agree in part" if mean > 0.3 else "hardly agree"
    return f"{text} The {len(maps)} methods {how} (mean rank correlation of |values| {mean:.2f})."


def centre(ds: xr.Dataset, item: str = "") -> str:
    """Say where the centre of |values| lies, and how much of them the middle third holds."""
    found = np.abs(values(ds, item))
    if found.ndim != 2 or not found.sum() > 0:
        return "nowhere: the map is zero" if found.ndim == 2 else "in single features"
    rows, columns = (np.arange(n) for n in found.shape)
    at = (
        int(round(float((found.sum(1) * rows).sum() / found.sum()))),
        int(round(float((found.sum(0) * columns).sum() / found.sum()))),
    )
    return overlay.place(np.ravel_multi_index(at, found.shape), found.shape)


def top_words(ds: xr.Dataset, item: str = "", most: int = 3) -> str:
    """Name the tokens with the largest values for and against."""
    found, words = values(ds, item), tokens(ds, item)
    order = np.argsort(-found)
    speak = [words[k] for k in order[:most] if found[k] > 0]
    against = [words[k] for k in order[::-1][:most] if found[k] < 0]
    parts = [f"{listing(speak)} speak most for it"] if speak else []
    parts += [f"{listing(against)} most against it"] if against else []
    return " and ".join(parts) or "no word matters"


def top_features(ds: xr.Dataset, item: str = "", most: int = 3) -> str:
    """Name the features with the largest |values|, and how few hold half of all."""
    found, names = values(ds, item), features(ds)
    size = np.abs(found)
    if not size.sum() > 0:
        return "no feature matters"
    order = np.argsort(-size, kind="stable")
    few = int(np.searchsorted(np.cumsum(size[order]) / size.sum(), 0.5) + 1)
    shown = listing([names[k] for k in order[:most]])
    return f"{shown} matter most; {few} of {len(names)} features hold half of all |values|"


def likeliest(ds: xr.Dataset, item: str = "") -> list[str]:
    """Return the likeliest classes of a stimulus, the first first; nothing without classes."""
    if "likeliest" not in ds:
        return []
    return [str(v) for v in ds["likeliest"].to_numpy()[row(ds, item)] if str(v)]


def classes(ds: xr.Dataset) -> list[str]:
    """Return the names of all classes from an answer about methods, the likeliest first."""
    named: list[str] = json.loads(ds.attrs.get("classes", "[]"))
    return list(dict.fromkeys([*likeliest(ds), *named])) if len(named) != 1 else likeliest(ds)


def short_targets(ds: xr.Dataset) -> list[str]:
    """Return what is explained of each stimulus without the scale: ``heart``."""
    return [str(v).rpartition(" of ")[2] for v in ds["target"].to_numpy()]


def tokens(ds: xr.Dataset, item: str = "") -> list[str]:
    """Return the words of a text, without what fills short texts up."""
    k = row(ds, item)
    kept = np.isfinite(ds["attribution"].to_numpy()[k])
    return [str(w) for w, keep in zip(ds["word"].to_numpy()[k], kept, strict=True) if keep]


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    parts = [f"{label(ds)}. {said(ds)}."]
    for item in answers.names(ds, "item")[:4]:
        if ds.attrs.get("input_kind") == "text":
            parts.append(f"{item}: {top_words(ds, item)}.")
        elif ds.attrs.get("input_kind") == "image":
            parts.append(f"{item}: most of the evidence lies {centre(ds, item)}.")
        parts.append(completeness_words(ds, item)[1])
    return " ".join(parts)


# --- agreement -------------------------------------------------------------------------------------


def agreement(maps: Sequence[xr.Dataset], item: str = "") -> np.ndarray:
    """Return the Spearman rank correlation of |values| between maps, (n, n); 0 with a constant map."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(np.abs(ds["attribution"].to_numpy()[row(ds, item)].ravel())) for ds in maps])
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    norm = np.sqrt((ranks**2).sum(axis=1))
    safe = np.where(norm > 0, norm, 1.0)
    return np.clip((ranks / safe[:, None]) @ (ranks / safe[:, None]).T, -1, 1)


def agreement_words(maps: Sequence[xr.Dataset], item: str = "") -> str:
    """Name the pair of methods that agrees best and the one that agrees least."""
    matrix = agreement(maps, item)
    first, second = np.triu_indices(len(maps), 1)
    pairs = matrix[first, second]
    best, worst = int(pairs.argmax()), int(pairs.argmin())

    def named(k: int) -> str:
        text = f"{pairs[k]:.2f}".replace("-", "−")
        return f"{label(maps[first[k]])} and {label(maps[second[k]])} ({text})"

    text = f"{named(best)} agree most"
    return f"{text}, {named(worst)} least." if len(pairs) > 1 else f"{text}."


def sameness_words(maps: Sequence[xr.Dataset], titles: Sequence[str], item: str = "") -> str:
    """Say how alike maps of several classes or networks are to the first."""
    if any(ds["attribution"].shape[1:] != maps[0]["attribution"].shape[1:] for ds in maps):
        return "The maps have different resolutions."
    first = agreement(maps, item)[0, 1:]
    parts = [f"{title} {value:.2f}".replace("-", "−") for title, value in zip(titles[1:], first, strict=True)]
    if not parts:
        return ""
    alike = " They are nearly the same map: it tells little about this one alone." if min(first) > 0.9 else ""
    return f"Rank correlation of |values| with {titles[0]}: {', '.join(parts)}.{alike}"


def agreement_chart(
    maps: Sequence[xr.Dataset], item: str = "", *, dark: bool = False, side: int = 340
) -> Any:
    """Draw how well methods agree: rank correlations with their values in the cells."""
    import altair as alt_

    matrix, names = agreement(maps, item), [label(ds) for ds in maps]
    rows = [
        {"a": a, "b": b, "value": float(matrix[i, j]), "words": f"{matrix[i, j]:.2f}".replace("-", "−")}
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    ]
    base = alt_.Chart(alt_.Data(values=rows)).encode(
        x=alt_.X("a:N", sort=names, title=None, axis=alt_.Axis(labelAngle=-40)),
        y=alt_.Y("b:N", sort=names, title=None),
        tooltip=[alt_.Tooltip("a:N", title="Method"), alt_.Tooltip("b:N", title="with"), "words:N"],
    )
    colour = alt_.Color(
        "value:Q",
        title="Rank correlation of |values|",
        scale=alt_.Scale(domain=[-1, 1], range=theme.sampled("diverging", 11)),
    )
    ink = alt_.condition("abs(datum.value) > 0.6", alt_.value("#FFFFFF"), alt_.value("#11161F"))
    chart = base.mark_rect().encode(color=colour) + base.mark_text().encode(text="words:N", color=ink)
    return theme.style(chart.properties(width=side, height=alt_.Step(34)), dark)


# --- maps over pictures -----------------------------------------------------------------------------


def limit(array: np.ndarray, percentile: float = ROBUST) -> float:
    """Return the percentile of |values| at which colours end; of coarse maps the largest."""
    size = np.abs(array[np.isfinite(array)])
    if not size.size or not size.max() > 0:
        return 1.0
    found = float(np.percentile(size, percentile))
    return found if found > 0 else float(size.max())


def panel(
    ds: xr.Dataset, item: str = "", *, title: str = "", bound: float | None = None, shown_unit: str = ""
) -> Panel:
    """Return one map over its picture.

    Parameters
    ----------
    bound : float, optional
        Value of the last colour; without it the map is divided by its own `limit`, so that maps in different
        units stand on one scale.
    """
    array = values(ds, item)
    if array.ndim != 2:
        problem = "This answer has no map to lay over a picture."
        raise InputError(problem)
    if bound is None:
        array, bound = array / limit(array), 1.0
        shown_unit = "of the strong values of each map"
    both = signed(ds)
    name = answers.names(ds, "item")[row(ds, item)]
    regions = ds["segment"].to_numpy()[row(ds, item)] + 1 if "segment" in ds else None
    return Panel(
        title or label(ds),
        picture(ds, item),
        array,
        -bound if both else 0.0,
        bound,
        shown_unit or unit(ds),
        "diverging" if both else "viridis",
        panel_words(ds, item),
        f"of {name}, the evidence lies mostly {centre(ds, item)}. {completeness_words(ds, item)[1]}",
        regions=regions,
    )


def method_panels(
    maps: Sequence[xr.Dataset], item: str = "", *, scaling: Scaling = "each", baseline: bool = True
) -> list[Panel]:
    """Return the bare picture, the baseline where one is used, and a map for each method.

    Parameters
    ----------
    scaling : {"each", "score"}
        Every map by its own strong values, or those in units of the score on one scale of that unit.
    """
    found = bare(maps[0], item)
    against = next((ds for ds in maps if uses_baseline(ds)), None)
    nothing = picture(against, item, "baseline_picture") if against is not None else None
    if baseline and against is not None and nothing is not None:
        many = int(against.attrs.get("n_baselines", 1))
        title = "Baseline" if many == 1 else f"Baseline, 1 of {many}"
        found.append(Panel(title, nothing, words='What stands for "nothing there".'))
    bound = None
    if scaling == "score":
        bound = max((limit(values(ds, item)) for ds in maps if in_score(ds)), default=None)
    for ds in maps:
        own = bound if scaling == "score" and in_score(ds) else None
        found.append(panel(ds, item, bound=own))
    return found


def uses_baseline(ds: xr.Dataset) -> bool:
    """Say whether the method of an answer compares with a baseline."""
    name = str(ds.attrs.get("method"))
    return name in METHODS and "baseline" in METHODS[name].settings


def in_score(ds: xr.Dataset) -> bool:
    """Say whether the values of a map are in units of the score."""
    return str(ds.attrs.get("method")) not in MAP_UNITS


def compared(maps: Sequence[xr.Dataset], titles: Sequence[str], items: Sequence[str] = ()) -> list[Panel]:
    """Return maps of one method on one scale in its own unit: of several classes, networks or pictures."""
    chosen = list(items) or [""] * len(maps)
    bound = max(limit(values(ds, item)) for ds, item in zip(maps, chosen, strict=True))
    return [
        panel(ds, item, title=title, bound=bound)
        for ds, item, title in zip(maps, chosen, titles, strict=True)
    ]


def bare(ds: xr.Dataset, item: str = "") -> list[Panel]:
    """Return the picture without a map, if there is one."""
    found = picture(ds, item)
    return [] if found is None else [Panel("Picture", found, words="The picture as the network sees it.")]


def main_chart(maps: Sequence[xr.Dataset], item: str = "", *, width: int = 640, dark: bool = False) -> Any:
    """Draw what stands on the page, for files: maps over the picture, or bars of tokens or features."""
    if maps[0].attrs.get("input_kind") != "image":
        return bars(maps[0], item, dark=dark, width=width - 160)
    panels = method_panels(maps, item)
    columns = min(len(panels), 2 if width < 400 else 4)
    side = max(80, min(240, (width - 14 * columns) // columns))
    return overlay.chart(panels, columns=columns, side=side, dark=dark)


def all_items_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw the map of every stimulus of one answer."""
    if ds.attrs.get("input_kind") != "image" or ds.sizes["item"] == 1:
        return main_chart([ds], width=width)
    items = answers.names(ds, "item")
    panels = compared([ds] * len(items), items, items)
    columns = min(len(panels), 4)
    return overlay.chart(panels, columns=columns, side=max(80, (width - 60) // columns))


# --- texts ------------------------------------------------------------------------------------------


def token_rows(maps: Sequence[xr.Dataset], item: str = "") -> list[TokenRow]:
    """Return the words of a text with the values that each method gives them, each on its own scale."""
    found = []
    for ds in maps:
        array = values(ds, item)
        bound = limit(array, 100)
        both = signed(ds)
        words = f"{label(ds)}: {top_words(ds, item)}. {completeness_words(ds, item)[1]}"
        caption = " · ".join(
            part for part in (f"±{theme.three_digits(bound)} {unit(ds)}", panel_words(ds, item)) if part
        )
        found.append(TokenRow(label(ds), tuple(tokens(ds, item)), array, bound, both, caption, words))
    return found


# --- bars, tables ----------------------------------------------------------------------------------


def bars(
    ds: xr.Dataset, item: str = "", *, dark: bool = False, width: Any = "container", most: int = 30
) -> Any:
    """Draw the values of tokens, features or segments as bars, the largest |values| first, texts in order."""
    import altair as alt_

    table_ = parts(ds, item)
    text = ds.attrs.get("input_kind") == "text"
    if not text:
        table_ = table_.reindex(table_["value"].abs().sort_values(ascending=False).index)
    rows = table_.head(most).to_dict("records")
    names = [r["name"] for r in rows]
    base = alt_.Chart(alt_.Data(values=rows)).encode(
        y=alt_.Y("name:N", sort=names, title=None, axis=alt_.Axis(labelLimit=180)),
        tooltip=[alt_.Tooltip("name:N", title="Part"), alt_.Tooltip("value:Q", format=".4g", title="Value")],
    )
    colours = [theme.sampled("diverging", 11)[k] for k in (9, 1)]
    chart: Any = base.mark_bar().encode(
        x=alt_.X("value:Q", title=f"{label(ds)} ({unit(ds)})", axis=alt_.Axis(tickCount=8)),
        color=alt_.condition("datum.value >= 0", alt_.value(colours[0]), alt_.value(colours[1])),
    )
    if rows and "standard error" in rows[0]:
        whisker = (
            alt_.Chart(
                alt_.Data(
                    values=[
                        {
                            "name": r["name"],
                            "low": r["value"] - 1.96 * r["standard error"],
                            "high": r["value"] + 1.96 * r["standard error"],
                        }
                        for r in rows
                    ]
                )
            )
            .mark_rule(color=theme.colour("text", dark))
            .encode(y=alt_.Y("name:N", sort=names), x=alt_.X("low:Q", title=None), x2="high:Q")
        )
        chart = chart + whisker
    return theme.style(chart.properties(width=width, height=alt_.Step(22)), dark)


def parts(ds: xr.Dataset, item: str = "") -> pd.DataFrame:
    """Return one row per token, feature, segment or (of small pictures) pixel: its name and value."""
    import pandas as pd

    k = row(ds, item)
    kind = ds.attrs.get("input_kind")
    if kind == "image" and "segment_value" in ds:
        found = ds["segment_value"].to_numpy()[k]
        found = found[np.isfinite(found)]
        return pd.DataFrame({"name": [f"segment {n + 1}" for n in range(len(found))], "value": found})
    array = ds["attribution"].to_numpy()[k]
    if kind == "image":
        rows, columns = np.indices(array.shape)
        names = [f"row {i + 1}, column {j + 1}" for i, j in zip(rows.ravel(), columns.ravel(), strict=True)]
    elif kind == "text":
        names = [f"{n + 1} {word}" for n, word in enumerate(tokens(ds, item))]
    else:
        names = features(ds)
    columns_ = {"name": names, "value": array[np.isfinite(array)].ravel()}
    if "standard_error" in ds:
        error = ds["standard_error"].to_numpy()[k]
        columns_["standard error"] = error[np.isfinite(array)].ravel()
    return pd.DataFrame(columns_)


def features(ds: xr.Dataset) -> list[str]:
    """Return what the numbers of a table are called."""
    if "feature" in ds.coords:
        return answers.names(ds, "feature")
    return [f"feature {n + 1}" for n in range(ds.sizes["feature"])]


def axis_chart(
    maps: Sequence[xr.Dataset],
    item: str = "",
    *,
    dark: bool = False,
    width: Any = "container",
    height: int = 260,
) -> Any:
    """Draw the values of features over what they stand for, such as the orientation that a cell prefers."""
    import altair as alt_

    at = maps[0]["feature_axis"]
    names = [label(ds) for ds in maps]
    rows = [
        {"feature": name, "at": float(x), "value": float(value), "method": method}
        for ds, method in zip(maps, names, strict=True)
        for name, x, value in zip(features(ds), at.to_numpy(), values(ds, item), strict=True)
    ]
    colours = theme.category_colours(len(names), dark)
    zero = (
        alt_.Chart(alt_.Data(values=[{"value": 0}]))
        .mark_rule(color=theme.colour("muted", dark))
        .encode(y="value:Q")
    )
    dots = (
        alt_.Chart(alt_.Data(values=rows))
        .mark_point(filled=True, size=36, opacity=0.8)
        .encode(
            x=alt_.X("at:Q", title=str(at.attrs.get("title", "")), scale=alt_.Scale(nice=False)),
            y=alt_.Y("value:Q", title=f"Value ({unit(maps[0])})"),
            color=alt_.Color("method:N", title="Method", scale=alt_.Scale(domain=names, range=colours)),
            shape=alt_.Shape(
                "method:N",
                title="Method",
                scale=alt_.Scale(domain=names, range=theme.CATEGORY_SHAPES[: len(names)]),
            ),
            tooltip=[
                alt_.Tooltip("feature:N", title="Feature"),
                alt_.Tooltip("method:N", title="Method"),
                alt_.Tooltip("value:Q", format=".4g", title="Value"),
            ],
        )
    )
    return theme.style((zero + dots).properties(width=width, height=height), dark)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per place (token, feature) of every stimulus: value, standard error, segment."""
    names = [n for n in ("attribution", "standard_error", "segment", "word") if n in ds]
    kept = ds[names].drop_attrs(deep=False) if hasattr(ds, "drop_attrs") else ds[names]
    frame = (
        kept.to_dataframe()
        .reset_index()
        .rename(columns={"attribution": "value", "standard_error": "standard error"})
    )
    return frame[frame["value"].notna()].reset_index(drop=True)


def refused(ds: xr.Dataset) -> dict[str, str]:
    """Return from an answer about methods the sentence that refuses each method that cannot work."""
    pairs = zip(answers.names(ds, "method"), ds["why_not"].to_numpy(), strict=True)
    return {name: str(sentence) for name, sentence in pairs if sentence}


def refusal_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per method: whether it works here, or why not, what it means and its source."""
    import pandas as pd

    found = refused(ds)
    rows = [
        {
            "method": m.label,
            "works here": "no" if m.name in found else "yes",
            "why not": found.get(m.name, ""),
            "a value means": m.sentence,
            "source": m.source,
        }
        for m in METHODS.values()
    ]
    return pd.DataFrame(rows)
