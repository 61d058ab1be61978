"""Dissimilarity matrices and maps of the stimuli: what the canvas shows, and charts for export."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dashboard.errors import InputError, listing, unknown
from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr

Order = Literal["category", "cluster", "given"]

RANK_UNIT = "dissimilarity, rank from 0 to 1"
FEW_STIMULI = 12
"""Up to this many stimuli are named on the axis of an exported matrix; of more, the categories are."""

PICTURE_LIMIT = 150
"""Maps of more stimuli than this are drawn as dots: smaller pictures cannot be told apart."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """One square matrix, ready to draw.

    Attributes
    ----------
    title : str
        Layer or area.
    values : np.ndarray (n, n) float32
        Rows and columns in drawing order; NaN where there is no value.
    labels, categories : tuple of str (n,)
        Stimulus names and their categories in the same order.
    lo, hi : float
        Ends of the colour scale.
    unit : str
        What the values are, such as ``"1 − Pearson r"``.
    role : {"network", "brain", "control"}
        Where the matrix comes from.
    words : str
        What the matrix shows, where it is no matrix of dissimilarities.
    """

    title: str
    values: np.ndarray
    labels: tuple[str, ...]
    categories: tuple[str, ...]
    lo: float
    hi: float
    unit: str
    role: Literal["network", "brain", "control"]
    words: str = ""


# --- from answers to matrices -------------------------------------------------------------------------------


def matrices(
    rdm_ds: xr.Dataset | None,
    area_ds: xr.Dataset | None = None,
    order: Order = "category",
    ranked: bool = False,
    simple_ds: xr.Dataset | None = None,
) -> list[Matrix]:
    """Return one matrix per layer, per area and per simple model, all in the same order of stimuli.

    Panels with the same unit share one colour scale that contains zero; so do all panels when ranked. Whether
    there is more than one scale, `scale_note` says.

    Parameters
    ----------
    rdm_ds : xr.Dataset or None
        Answer of kind rdm.
    area_ds : xr.Dataset or None
        Answer of kind area-rdm; its stimuli are matched by name.
    order : {"category", "cluster", "given"}
        Categories together in order of their first stimulus; average linkage with optimal leaf order
        (Z. Bar-Joseph et al., 2001) on the mean of all panels' ranks; or as the first answer has them.
    ranked : bool
        Replace values by their average ranks, scaled to 0 to 1 in every panel.
    simple_ds : xr.Dataset or None
        Answer of kind model-rdm: one matrix per simple model, after all others.

    Raises
    ------
    InputError
        When there is nothing to draw, or the stimuli of the answers do not match.
    """
    if order not in get_args(Order):
        raise unknown("order", order, get_args(Order))
    sources = [ds for ds in (rdm_ds, area_ds, simple_ds) if ds is not None]
    if not sources:
        message = "There is no matrix to draw."
        raise InputError(message, "Choose at least one layer or area.")
    labels, groups = answers.names(sources[0], "stimulus"), answers.categories(sources[0])
    panels = [panel for ds in sources for panel in _panels(ds, labels)]
    if ranked:
        panels = [replace(p, values=_ranked(p.values), unit=RANK_UNIT) for p in panels]
    rows = _order(order, panels, groups)
    names, kinds = tuple(labels[i] for i in rows), tuple(groups[i] for i in rows)
    ordered = [
        replace(p, values=p.values[np.ix_(rows, rows)], labels=names, categories=kinds) for p in panels
    ]
    return _with_limits(ordered, ranked)


def _panels(ds: xr.Dataset, labels: Sequence[str]) -> list[Matrix]:
    rows = _rows_of(answers.names(ds, "stimulus"), labels)
    network = answers.kind(ds) == "rdm"
    simple = "model" in ds["rdm"].dims
    dim: str = "layer" if network else "model" if simple else "area"
    condensed = ds["rdm"] if network or "mean_rdm" not in ds else ds["mean_rdm"]
    if "subject" in condensed.dims:
        condensed = condensed.mean("subject", skipna=True)
    found = []
    for name, values in zip(answers.names(ds, dim), condensed.transpose(dim, "pair").to_numpy(), strict=True):
        square = squared(values, len(rows))[np.ix_(rows, rows)]
        role: Literal["network", "brain", "control"] = (
            "network" if network else "control" if simple else "brain"
        )
        unit = str(ds["unit"].sel({dim: name}).item()) if "unit" in ds else answers.unit(ds)
        found.append(Matrix(name, square, (), (), 0.0, 1.0, unit, role))
    return found


def _rows_of(have: Sequence[str], want: Sequence[str]) -> list[int]:
    """Return where each wanted stimulus stands; the same names must be in both."""
    place = {name: k for k, name in enumerate(have)}
    missing = [name for name in want if name not in place]
    extra = sorted(set(have) - set(want))
    if missing or extra or len(place) != len(have):
        which = (
            f"missing {listing(missing)}"
            if missing
            else f"only there {listing(extra)}"
            if extra
            else "repeats"
        )
        message = f"The stimuli of the network and of the recording do not match by name ({which})."
        raise InputError(message, "Compute both with the stimuli of the recording.")
    return [place[name] for name in want]


def squared(condensed: np.ndarray, n: int) -> np.ndarray:
    """Return a condensed RDM (n_pairs,) in scipy's `pdist` order as (n, n) float32 with zero diagonal."""
    square = np.zeros((n, n), dtype=np.float32)
    rows, columns = np.triu_indices(n, 1)
    square[rows, columns] = condensed
    square[columns, rows] = condensed
    return square


def _ranked(square: np.ndarray) -> np.ndarray:
    """Replace what lies beside the diagonal by average ranks from 0 to 1; missing values stay missing."""
    from scipy.stats import rankdata

    n = len(square)
    upper = square[np.triu_indices(n, 1)].astype(np.float64)
    finite = np.isfinite(upper)
    ranks = np.full(upper.shape, np.nan)
    if finite.any():
        ranks[finite] = (rankdata(upper[finite]) - 1) / max(finite.sum() - 1, 1)
    return squared(ranks, n)


def _order(order: Order, panels: list[Matrix], groups: Sequence[str]) -> list[int]:
    n = len(groups)
    if order == "category":
        first = {group: k for k, group in reversed(list(enumerate(groups)))}
        return sorted(range(n), key=lambda k: first[groups[k]])
    if order == "cluster" and n > 2:
        return _clustered(np.stack([_ranked(p.values) for p in panels]))
    return list(range(n))


def _clustered(ranks: np.ndarray) -> list[int]:
    """Return the leaf order of the mean of rank matrices (n_panels, n, n)."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    upper = ranks[:, *np.triu_indices(ranks.shape[1], 1)].astype(np.float64)
    counted = np.isfinite(upper).sum(axis=0)
    mean = np.nansum(upper, axis=0) / np.maximum(counted, 1)
    mean[counted == 0] = 0.5
    return [int(k) for k in leaves_list(linkage(mean, "average", optimal_ordering=True))]


def _with_limits(panels: list[Matrix], ranked: bool) -> list[Matrix]:
    limits = {
        unit: (0.0, 1.0)
        if ranked
        else theme.sequential_limits(*(p.values for p in panels if p.unit == unit), zero=True)
        for unit in {p.unit for p in panels}
    }
    return [replace(p, lo=limits[p.unit][0], hi=limits[p.unit][1]) for p in panels]


def scale_note(panels: Sequence[Matrix]) -> str:
    """Say in a sentence whether the panels share one colour scale.

    Raises
    ------
    InputError
        When there is no panel.
    """
    if not panels:
        message = "There is no matrix to describe."
        raise InputError(message)
    units = list(dict.fromkeys(p.unit for p in panels))
    if len(units) == 1:
        ends = theme.interval(panels[0].lo, panels[0].hi)
        return f"All panels share one colour scale, {ends} ({units[0]})." if len(panels) > 1 else ""
    return (
        f"The panels have different units ({'; '.join(units)}), so each unit has its own colour scale: "
        "compare patterns, not colours, or switch to ranks."
    )


# --- results in words ---------------------------------------------------------------------------------------


def contrast(panel: Matrix) -> tuple[float, float]:
    """Return the mean value within and between categories (NaN where there is no such pair)."""
    rows, columns = np.triu_indices(len(panel.labels), 1)
    values = panel.values[rows, columns].astype(np.float64)
    groups = np.array(panel.categories)
    same = groups[rows] == groups[columns]
    return _mean(values[same]), _mean(values[~same])


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else math.nan


def separation(panel: Matrix) -> float:
    """Return how often a pair of different categories is less alike than a pair of the same one.

    Returns
    -------
    float
        Share of all comparisons of two such pairs, ties counted half: the area under the ROC curve
        (D. Bamber, 1975); 0.5 is chance, NaN when there are no such pairs.
    """
    from scipy.stats import rankdata

    rows, columns = np.triu_indices(len(panel.labels), 1)
    values = panel.values[rows, columns].astype(np.float64)
    groups = np.array(panel.categories)
    finite = np.isfinite(values)
    between = (groups[rows] != groups[columns])[finite]
    n_between, n_within = int(between.sum()), int((~between).sum())
    if not n_between or not n_within:
        return math.nan
    ranks = rankdata(values[finite])
    return float((ranks[between].sum() - n_between * (n_between + 1) / 2) / (n_between * n_within))


def verdict(rdm_ds: xr.Dataset | None, area_ds: xr.Dataset | None = None) -> str:
    """Sum up in a sentence where the categories of the stimuli stand apart most, layers first, areas beside.

    The sentence describes these stimuli and claims nothing about others, so that it has no interval.

    Raises
    ------
    InputError
        When there is nothing to draw, or the stimuli of the answers do not match.
    """
    panels = matrices(rdm_ds, area_ds, order="given")
    start = "Simulated recording: " if area_ds is not None and answers.simulated(area_ds) else ""
    shares = {p.title: separation(p) for p in panels}
    main = [p for p in panels if p.role == panels[0].role]
    known = [p for p in main if math.isfinite(shares[p.title])]
    if not known:
        return start + matrix_alt(panels[0])
    best = max(known, key=lambda p: shares[p.title])
    what = "layer" if best.role == "network" else "area"
    if shares[best.title] <= 0.5:
        return f"{start}In no {what} are stimuli of different categories less alike than those of the same."
    head = f"Categories stand apart {'most ' if len(known) > 1 else ''}in {best.title}"
    beside = ", ".join(
        f"{p.title} {100 * shares[p.title]:.0f} %"
        for p in panels
        if p.role != best.role and math.isfinite(shares[p.title])
    )
    share = f"{100 * shares[best.title]:.0f} % of comparisons" + (f" ({beside})" if beside else "")
    return (
        f"{start}{head}: of these {len(best.labels)} stimuli, two of different categories are less alike "
        f"than two of the same in {share}; chance is 50 %."
    )


def matrix_alt(panel: Matrix) -> str:
    """Say what one matrix shows, for those who cannot see it."""
    if panel.words:
        return panel.words
    rows, columns = np.triu_indices(len(panel.labels), 1)
    values = panel.values[rows, columns]
    head = f"{panel.title}: dissimilarities of {len(panel.labels)} stimuli ({panel.unit})"
    if not np.isfinite(values).any():
        return f"{head}; no value is available."
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    ends = " and ".join(
        f"{word} {theme.three_digits(values[k])} ({panel.labels[rows[k]]}, {panel.labels[columns[k]]})"
        for word, k in (("smallest", low), ("largest", high))
    )
    within, between = contrast(panel)
    if math.isnan(within) or math.isnan(between):
        return f"{head}; {ends}."
    means = f"{theme.three_digits(within)} within and {theme.three_digits(between)} between categories"
    return f"{head}; mean {means}; {ends}."


# --- charts for export --------------------------------------------------------------------------------------


def matrices_chart(
    panels: Sequence[Matrix],
    *,
    lut: str = "viridis",
    dark: bool = False,
    columns: int | None = None,
    side: int = 220,
    title: str = "",
) -> alt.ConcatChart:
    """Draw matrices as embedded pictures inside vector axes, with colour bars.

    Screens use the canvas component; this is for files: a matrix of vector cells would take minutes to open.

    Parameters
    ----------
    side : int
        Side of one matrix in pixels.
    columns : int, optional
        Matrices in a row; by default at most four, near square.

    Raises
    ------
    InputError
        When there is no matrix.
    """
    import altair as alt

    note = scale_note(panels)
    columns = columns or min(len(panels), 4, math.ceil(math.sqrt(len(panels))))
    charts = [_matrix_chart(p, lut, dark, side, named=k % columns == 0) for k, p in enumerate(panels)]
    grid = alt.concat(*charts, columns=columns, spacing=18, align="each")
    scales = {(p.unit, p.lo, p.hi): p for p in panels}
    bars = alt.hconcat(*(_colour_bar(p, lut, side) for p in scales.values()), spacing=36)
    alt_text = " ".join(matrix_alt(p) for p in panels)
    whole = alt.vconcat(grid, bars, spacing=14).properties(description=alt_text)
    if title or note:
        whole = whole.properties(title=alt.TitleParams(title or "Dissimilarity matrices", subtitle=note))
    return theme.style(whole, dark)


def _picture(pixels: np.ndarray, width: int, height: int) -> alt.Chart:
    import altair as alt

    uri = raster.data_uri(raster.png(raster.enlarged(pixels)))
    return (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=width, height=height, aspect=False, aria=False)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2), url="url:N")
        .properties(width=width, height=height)
    )


def _matrix_chart(panel: Matrix, lut: str, dark: bool, side: int, named: bool) -> Any:
    import altair as alt

    n = len(panel.labels)
    picture = _picture(raster.coloured(panel.values, theme.lut(lut), panel.lo, panel.hi), side, side)
    frame = _category_frame(panel, dark, named) if n > FEW_STIMULI else _name_frame(panel, named)
    title = alt.TitleParams(
        theme.shortened(panel.title, max(12, side // 7)),
        color=theme.colour(panel.role, dark),
        fontSize=12,
        frame="group",
    )
    return alt.layer(picture, *frame).properties(title=title)


def _name_frame(panel: Matrix, named: bool) -> list[Any]:
    """Return axes with the name of every stimulus."""
    return [_axes(panel, [k + 0.5 for k in range(len(panel.labels))], panel.labels, named)]


def _category_frame(panel: Matrix, dark: bool, named: bool) -> list[Any]:
    """Return an axis with the names of the categories, and lines between them where they stand together."""
    import altair as alt

    runs = category_runs(panel.categories)
    if not 1 < len(runs) <= FEW_STIMULI:
        n = len(panel.labels)
        return [_axes(panel, [0.5, n - 0.5], ["1", str(n)], named, title="Stimulus")]
    middles = [(run["start"] + run["stop"]) / 2 for run in runs]
    edges = alt.Chart(alt.Data(values=[{"edge": run["start"]} for run in runs[1:]]))
    rule = edges.mark_rule(color=theme.colour("background", dark), strokeWidth=0.75, opacity=0.8)
    ends = [0, len(panel.labels)]
    axis: dict[str, Any] = {"title": None} if named else {"axis": None}  # None would take the labels away
    return [
        _axes(panel, middles, [run["category"] for run in runs], named),
        rule.encode(x=alt.X("edge:Q", scale=alt.Scale(domain=ends, nice=False), axis=None)),
        rule.encode(y=alt.Y("edge:Q", scale=alt.Scale(domain=ends[::-1], nice=False), **axis)),
    ]


def _axes(
    panel: Matrix, places: Sequence[float], words: Sequence[str], named: bool, title: str | None = None
) -> Any:
    """Label rows at the given places; columns are in the same order and need no labels."""
    import altair as alt

    n = len(panel.labels)
    shown = {f"{place:g}": theme.shortened(word, 22) for place, word in zip(places, words, strict=True)}
    axis = alt.Axis(
        values=list(places),
        tickCount=len(places),
        labelExpr=f"{theme.js(shown)}[format(datum.value, '~g')] || ''",
        title=title,
        grid=False,
        labelLimit=140,
        labelOverlap=False,
    )
    corner = alt.Chart(alt.Data(values=[{"x": 0.0, "y": 0.0}])).mark_point(opacity=0)
    return corner.encode(
        x=alt.X("x:Q", scale=alt.Scale(domain=[0, n], nice=False), axis=None),
        y=alt.Y("y:Q", scale=alt.Scale(domain=[n, 0], nice=False), axis=axis if named else None),
    )


def category_runs(categories: Sequence[str]) -> list[dict[str, Any]]:
    """Return the runs of equal category: start, stop (exclusive) and category."""
    runs: list[dict[str, Any]] = []
    for k, name in enumerate(categories):
        if runs and runs[-1]["category"] == name:
            runs[-1]["stop"] = k + 1
        else:
            runs.append({"start": k, "stop": k + 1, "category": name})
    return runs


def _colour_bar(panel: Matrix, lut: str, side: int) -> Any:
    import altair as alt

    picture = _picture(theme.lut(lut)[None, :, :].repeat(8, axis=0), side, 10)
    middle = (panel.lo + panel.hi) / 2
    axis = (
        alt.Chart(alt.Data(values=[{"value": panel.lo}]))
        .mark_point(opacity=0)
        .encode(
            x=alt.X(
                "value:Q",
                scale=alt.Scale(domain=[panel.lo, panel.hi], nice=False),
                axis=alt.Axis(
                    values=[panel.lo, middle, panel.hi],
                    format=f".{theme.decimals(panel.lo, panel.hi)}f",
                    title=panel.unit,
                    domain=False,
                ),
            )
        )
    )
    return alt.layer(picture, axis)


# --- maps ---------------------------------------------------------------------------------------------------


def map_chart(
    map_ds: xr.Dataset,
    thumbnails: Mapping[str, np.ndarray] | None = None,
    *,
    dark: bool = False,
    columns: int = 3,
    side: int = 260,
) -> Any:
    """Draw the stimuli of every layer or area in the plane, so that near means alike.

    Parameters
    ----------
    map_ds : xr.Dataset
        Answer of kind map.
    thumbnails : mapping of str to np.ndarray (s, s, 3) uint8, optional
        Pictures by stimulus name; without them, or with more than 150 stimuli, dots by category.
    columns, side : int
        Maps in a row, and the side of one in pixels.

    Notes
    -----
    Both axes of a map have one scale. Each map fills its panel, because distances compare within a map only.
    """
    import altair as alt

    pictures = _pictures(map_ds, thumbnails)
    panels = [_one_map(map_ds, k, pictures, dark, side) for k in range(map_ds.sizes["source"])]
    chart = theme.joined(alt.concat, *panels, columns=columns, spacing=20).properties(
        title=alt.TitleParams(
            f"Stimuli by dissimilarity ({answers.unit(map_ds, 'position')})",
            subtitle="Near means alike. Each map fills its panel: compare distances within a map only.",
        )
    )
    return theme.style(_with_pictures(chart, pictures), dark)


def map_charts(
    map_ds: xr.Dataset,
    thumbnails: Mapping[str, np.ndarray] | None = None,
    *,
    dark: bool = False,
    side: int = 260,
) -> list[Any]:
    """Return one map per layer or area, for pages that wrap them to the screen; see `map_chart`.

    Each carries its own pictures, as small WebP files, because a page draws each as a chart of its own.
    """
    pictures = _pictures(map_ds, thumbnails, small=True)
    sources = range(map_ds.sizes["source"])
    return [theme.style(_one_map(map_ds, k, pictures, dark, side, inline=True), dark) for k in sources]


def _pictures(
    map_ds: xr.Dataset, thumbnails: Mapping[str, np.ndarray] | None, *, small: bool = False
) -> dict[str, str]:
    """Return an address per stimulus that holds its picture; none where dots are drawn instead."""
    names = answers.names(map_ds, "stimulus")
    if thumbnails is None or len(names) > PICTURE_LIMIT or any(name not in thumbnails for name in names):
        return {}
    if small:
        return {name: raster.data_uri(raster.webp(thumbnails[name]), "image/webp") for name in names}
    return {name: raster.data_uri(raster.png(thumbnails[name])) for name in names}


def _with_pictures(chart: Any, pictures: Mapping[str, str]) -> Any:
    """Put the pictures into the chart once, for all maps in it."""
    if pictures:
        chart.datasets = {"pictures": [{"stimulus": n, "image": u} for n, u in pictures.items()]}
    return chart


def _points(map_ds: xr.Dataset, k: int) -> list[dict[str, Any]]:
    place = map_ds["position"].transpose("source", "stimulus", "axis").to_numpy()[k]
    rows = zip(answers.names(map_ds, "stimulus"), answers.categories(map_ds), place, strict=True)
    return [
        {"stimulus": name, "category": category or "all", "x": float(x), "y": float(y)}
        for name, category, (x, y) in rows
        if math.isfinite(x) and math.isfinite(y)
    ]


def _square_ends(points: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the ends of both axes: equally long, with all points and some room inside."""
    spans = {
        a: (min((p[a] for p in points), default=0), max((p[a] for p in points), default=0)) for a in "xy"
    }
    half = 0.58 * max(high - low for low, high in spans.values()) or 1.0
    return {a: [(low + high) / 2 - half, (low + high) / 2 + half] for a, (low, high) in spans.items()}


def fit(map_ds: xr.Dataset, k: int) -> str:
    """Say how well the plane shows the dissimilarities: explained variance where known, else stress."""
    if "explained" in map_ds and math.isfinite(float(map_ds["explained"].to_numpy()[k])):
        return f"shows {100 * float(map_ds['explained'].to_numpy()[k]):.0f} % of the variance"
    return f"stress {theme.three_digits(float(map_ds['stress'].to_numpy()[k]))}"


def _one_map(
    map_ds: xr.Dataset, k: int, pictures: Mapping[str, str], dark: bool, side: int, *, inline: bool = False
) -> alt.Chart:
    import altair as alt

    points = _points(map_ds, k)
    if inline:
        points = [{**point, "image": pictures.get(point["stimulus"], "")} for point in points]
    ends = {a: alt.Scale(domain=d, nice=False, zero=False) for a, d in _square_ends(points).items()}
    from_brain = answers.spec(map_ds).get("rdms", {}).get("kind") == "area-rdm" or "recording" in map_ds.attrs
    role: theme.Role = "brain" if from_brain else "network"
    title = alt.TitleParams(
        theme.shortened(answers.names(map_ds, "source")[k], 34),
        subtitle=fit(map_ds, k),
        color=theme.colour(role, dark),
        fontSize=12,
    )
    picked = alt.selection_point(name="picked", fields=["stimulus"], on="click")
    tooltip: list[Any] = [
        alt.Tooltip("stimulus:N", title="Stimulus"),
        alt.Tooltip("category:N", title="Category"),
    ]
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("x:Q", scale=ends["x"], axis=None), y=alt.Y("y:Q", scale=ends["y"], axis=None)
    )
    if pictures:
        size = 30 if len(points) <= 40 else 22
        if not inline:
            shared = alt.LookupData(alt.NamedData(name="pictures"), "stimulus", ["image"])
            base = base.transform_lookup(lookup="stimulus", from_=shared)
        marks = base.mark_image(width=size, height=size).encode(
            url="image:N", description="stimulus:N", tooltip=[*tooltip, "image:N"]
        )
    else:
        marks = _dots(base, map_ds, tooltip, dark)
    return marks.add_params(picked).properties(width=side, height=side, title=title)


def _dots(base: alt.Chart, map_ds: xr.Dataset, tooltip: list[Any], dark: bool) -> alt.Chart:
    import altair as alt

    kinds = list(dict.fromkeys(c or "all" for c in answers.categories(map_ds)))
    shapes = [theme.CATEGORY_SHAPES[k % len(theme.CATEGORY_SHAPES)] for k in range(len(kinds))]
    legend = alt.Legend(title=None, columns=4, labelLimit=140) if 1 < len(kinds) <= 12 else None
    return base.mark_point(filled=True, size=34, opacity=0.8).encode(
        color=alt.Color(
            "category:N",
            scale=alt.Scale(domain=kinds, range=theme.category_colours(len(kinds), dark)),
            legend=legend,
        ),
        shape=alt.Shape("category:N", scale=alt.Scale(domain=kinds, range=shapes), legend=legend),
        tooltip=tooltip,
    )
