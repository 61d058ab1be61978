"""Where a transformer looks: small maps of all heads, maps over the picture, tokens, and what heads do."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import InputError, listing, unknown
from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CLS, RECEIVED = "cls", "received"
"""Queries that are no patch: the token that is read out, and the mean over all that look."""

MEAN = "mean"
"""Stands for the mean over the heads of a layer."""

ROLLOUT = "Rollout"
"""Title of the panel with rollout."""

MOST_IN_CHART = 40
"""Texts of more tokens have their matrix on a canvas: a chart of so many cells is slow."""

CAVEATS: tuple[tuple[str, str], ...] = (
    (
        "Attention is not explanation: a head may look at a place that does not matter for the answer. "
        "Compare "
        "with relevance, and with what happens when the head or the place is removed.",
        "Jain & Wallace, 2019; Wiegreffe & Pinter, 2019",
    ),
    (
        "A large weight on a token whose value vector is short moves little; the setting values under More "
        "shows "
        "weights times these lengths.",
        "Kobayashi et al., 2020",
    ),
)
ROLLOUT_CAVEAT = (
    "Rollout averages the heads, takes half of every token from the shortcut beside attention, and ignores "
    "values, norms and perceptrons; it is the same for every class.",
    "Abnar & Zuidema, 2020",
)
REGISTER_CAVEAT = (
    "Vision transformers without register tokens may look at a few patches of the ground that hold no local "
    "information; with registers maps are cleaner, which does not make them explanations.",
    "Darcet et al., 2024",
)


@dataclass(frozen=True)
class Place:
    """What is known of the tokens of one layer.

    Attributes
    ----------
    name : str
    heads : int
    grid, queries : (int, int)
        Rows and columns of what is looked at, and of who looks; of a text 1 and the number of tokens.
    special : tuple of str
        Tokens in front of what is looked at that are no place, such as the CLS token.
    looking : tuple of str
        The same of who looks.
    windowed : bool
        Whether tokens look only within their window.
    """

    name: str
    heads: int
    grid: tuple[int, int]
    queries: tuple[int, int]
    special: tuple[str, ...] = ()
    looking: tuple[str, ...] = ()
    windowed: bool = False


@dataclass(frozen=True, eq=False)
class Look:
    """Where all heads of a layer look from one query.

    Attributes
    ----------
    place : Place
    maps : np.ndarray (n_heads, rows, columns)
        Weight of every place.
    special : np.ndarray (n_heads,)
        Weight of all special tokens together.
    """

    place: Place
    maps: np.ndarray
    special: np.ndarray

    def one(self, head: int | str) -> tuple[np.ndarray, float]:
        """Return map and special weight of a head, or of the mean over heads."""
        if head == MEAN:
            return self.maps.mean(axis=0), float(self.special.mean())
        return self.maps[int(head)], float(self.special[int(head)])


@dataclass(frozen=True, eq=False)
class HeadRow:
    """The heads of one layer as the grid draws them.

    Attributes
    ----------
    name, short : str
        Name of the layer, and what stands there where room is scarce.
    heads : tuple of str
        (n_heads,) what stands above each column.
    maps : np.ndarray (n_heads, rows, columns)
        Values from 0 to 1, where 1 gets the last colour.
    words : tuple of str
        (n_heads,) a sentence about each head.
    """

    name: str
    short: str
    heads: tuple[str, ...]
    maps: np.ndarray
    words: tuple[str, ...]


# --- reading an answer -------------------------------------------------------------------------------------


def places(ds: xr.Dataset) -> tuple[Place, ...]:
    """Return what is known of every layer that was read, in order of depth."""
    return _places(str(ds.attrs["places"]))


@lru_cache(maxsize=32)
def _places(text: str) -> tuple[Place, ...]:
    return tuple(
        Place(
            one["name"],
            int(one["heads"]),
            (int(one["grid"][0]), int(one["grid"][1])),
            (int(one["queries"][0]), int(one["queries"][1])),
            tuple(one["special"]),
            tuple(one["looking"]),
            bool(one["windowed"]),
        )
        for one in json.loads(text)
    )


def is_text(ds: xr.Dataset) -> bool:
    """Say whether the network reads texts."""
    return ds.attrs.get("input_kind") == "text"


def tokens(ds: xr.Dataset) -> list[str]:
    """Return the tokens of a text as people read them."""
    return [str(token) for token in json.loads(ds.attrs.get("tokens", "[]"))]


def special(ds: xr.Dataset) -> np.ndarray:
    """Return which tokens of a text carry no word, (n_tokens,) bool."""
    return np.array(json.loads(ds.attrs.get("special", "[]")), dtype=bool)


def whole(ds: xr.Dataset) -> bool:
    """Say whether the answer holds the maps of all queries."""
    return ds.attrs.get("kept") == "maps"


def unread(ds: xr.Dataset) -> list[tuple[str, str]]:
    """Return layers whose attention cannot be read, each with the reason."""
    return [(str(name), str(why)) for name, why in json.loads(ds.attrs.get("unread", "[]"))]


def queries(ds: xr.Dataset) -> tuple[str, ...]:
    """Return the queries that are no patch and that every layer has."""
    has_cls = all("CLS" in place.looking for place in places(ds))
    return (CLS, RECEIVED) if has_cls else (RECEIVED,)


def query_grid(ds: xr.Dataset) -> tuple[int, int]:
    """Return rows and columns of the patches that can be asked where they look: the finest of any layer."""
    return max((place.queries for place in places(ds)), key=math.prod)


def cell(query: str, grid: tuple[int, int]) -> tuple[int, int] | None:
    """Return row and column that a query ``"row,column"`` names on a grid, else None.

    Examples
    --------
    >>> cell("2,5", (8, 8)), cell("cls", (8, 8)), cell("9,0", (8, 8))
    ((2, 5), None, None)
    """
    row, _, column = query.partition(",")
    if not (row.isdecimal() and column.isdecimal()):
        return None
    found = int(row), int(column)
    return found if found[0] < grid[0] and found[1] < grid[1] else None


def query_words(ds: xr.Dataset, query: str) -> str:
    """Say who looks."""
    if query == CLS:
        return "the CLS token"
    at = cell(query, query_grid(ds))
    if at is None:
        return "all tokens on average"
    return f"the patch in row {at[0] + 1}, column {at[1] + 1}"


def looks(ds: xr.Dataset, query: str) -> list[Look]:
    """Return where the heads of every layer look from one query.

    Parameters
    ----------
    ds : xr.Dataset
        Answer of kind attention, view heads.
    query : str
        ``"cls"``, ``"received"`` (mean over all queries), or ``"row,column"`` of `query_grid`. A patch of the
        finest grid stands, in coarser layers, for the patch that holds it.

    Raises
    ------
    InputError
        When the query is none of these, or the answer does not hold it.
    """
    grid = query_grid(ds)
    at = cell(query, grid)
    if at is None and query not in queries(ds):
        raise unknown("query", query, queries(ds))
    return [_look(ds, k, place, query, at, grid) for k, place in enumerate(places(ds))]


def _look(
    ds: xr.Dataset, k: int, place: Place, query: str, at: tuple[int, int] | None, grid: tuple[int, int]
) -> Look:
    n_special = len(place.special)
    if at is None and query == RECEIVED:
        rows = ds[f"received{k}"].to_numpy()
    elif not whole(ds) and not place.windowed:
        if str(ds.attrs.get("query")) != query:
            message = "This answer holds the maps of another query."
            raise InputError(message, "Ask for this query.")
        rows = ds[f"row{k}"].to_numpy()
    elif at is None:
        rows = ds[f"map{k}"].to_numpy()[:, place.looking.index("CLS")]
    elif not math.prod(place.queries):  # only special tokens look (class attention)
        rows = np.zeros((place.heads, n_special + math.prod(place.grid)))
    else:
        row, column = (a * q // g for a, q, g in zip(at, place.queries, grid, strict=True))
        flat = row * place.queries[1] + column
        rows = (
            windowed(ds, k, flat)
            if place.windowed
            else ds[f"map{k}"].to_numpy()[:, len(place.looking) + flat]
        )
    rows = np.asarray(rows, dtype=np.float64)
    return Look(place, rows[:, n_special:].reshape(-1, *place.grid), rows[:, :n_special].sum(axis=1))


def windowed(ds: xr.Dataset, k: int, flat: int) -> np.ndarray:
    """Return where a patch of a layer with windows looks: zero outside its window, (n_heads, n_keys)."""
    place = places(ds)[k]
    of = ds[f"cell{k}"].to_numpy()
    window, query = np.argwhere(of == flat)[0]
    found = np.zeros((place.heads, math.prod(place.grid)))
    inside = of[window] >= 0
    found[:, of[window][inside]] = ds[f"map{k}"].to_numpy()[window, :, query][:, inside]
    return found


def text_map(ds: xr.Dataset, layer: int, head: int | str) -> np.ndarray:
    """Return who looks at whom in a text, (n_tokens, n_tokens): rows look, columns are looked at."""
    found = ds[f"map{layer}"].to_numpy().astype(np.float64)
    return found.mean(axis=0) if head == MEAN else found[int(head)]


def without(ds: xr.Dataset, found: np.ndarray, hide: bool) -> tuple[np.ndarray, list[str], float]:
    """Leave out the special tokens of a text; what is left is not scaled up.

    Returns
    -------
    np.ndarray (n, n)
    list of str (n,)
        The tokens, each with its place in the text, so that they differ.
    float
        Share of the attention of the tokens shown that is hidden with them.
    """
    named = [f"{k + 1} {token}" for k, token in enumerate(tokens(ds))]
    if not hide or not special(ds).any() or special(ds).all():
        return found, named, 0.0
    keep = ~special(ds)
    rows = found[keep]
    total = rows.sum()
    hidden = float(rows[:, ~keep].sum() / total) if total else 0.0
    return rows[:, keep], [name for name, kept in zip(named, keep, strict=True) if kept], hidden


def head_of(ds: xr.Dataset, layer: int, head: int) -> dict[str, float]:
    """Return the measures of one head by name."""
    names = ("entropy", "distance", "special_share")
    return {name: float(ds[name].to_numpy()[layer, head]) for name in names if name in ds}


# --- words -------------------------------------------------------------------------------------------------


def percent(share: float) -> str:
    """Write a share in per cent, never as 0 or 100 when it is neither."""
    places = 0 if 0.1 <= share <= 0.9 else 1
    text = f"{100 * share:.{places}f}"
    if share > 0 and float(text) == 0:
        return "less than 0.1 %"
    return "more than 99.9 %" if share < 1 and float(text) == 100 else f"{text} %"


def verdict(ds: xr.Dataset) -> str:
    """Say in a sentence or two where the heads look, from their measures."""
    view = str(ds.attrs.get("view", "heads"))
    told = {"ablation": ablation_words, "agreement": agreement_words, "relevance": relevance_words}
    if view in told:
        return told[view](ds)
    if view == "query-key":
        return product_words(ds)
    return _text_verdict(ds) if is_text(ds) else _picture_verdict(ds)


def _names(ds: xr.Dataset) -> list[str]:
    return [place.name for place in places(ds)]


def _picture_verdict(ds: xr.Dataset) -> str:
    name = ds.attrs.get("network_title", "The network")
    entropy = ds["entropy"].to_numpy()
    count = int(np.isfinite(entropy).sum())
    row, column = np.unravel_index(int(np.nanargmin(entropy)), entropy.shape)
    text = (
        f"{name} has {count} heads that can be read; {_names(ds)[row]}, head {column + 1}, looks most "
        f"narrowly (entropy {theme.three_digits(entropy[row, column])} of 1)."
    )
    near = np.nanmean(ds["distance"].to_numpy(), axis=1) if "distance" in ds else np.array([])
    if len(near) > 1 and np.isfinite(near[[0, -1]]).all():
        text += (
            f" On average heads look {theme.three_digits(near[0])} pixels away in the first layer and "
            f"{theme.three_digits(near[-1])} in the last."
        )
    return text


def _text_verdict(ds: xr.Dataset) -> str:
    name = ds.attrs.get("network_title", "The network")
    share = np.nanmean(ds["special_share"].to_numpy(), axis=1)
    named = [token for token, is_special in zip(tokens(ds), special(ds), strict=True) if is_special]
    if not named:
        entropy = ds["entropy"].to_numpy()
        row, column = np.unravel_index(int(np.nanargmin(entropy)), entropy.shape)
        return f"{name}: {_names(ds)[row]}, head {column + 1}, looks most narrowly."
    k = int(np.argmax(share))
    return (
        f"{name} spends {percent(float(np.nanmean(ds['special_share'].to_numpy())))} of its attention on "
        f"{' and '.join(dict.fromkeys(named))}, most in {_names(ds)[k]} ({percent(float(share[k]))})."
    )


def special_words(ds: xr.Dataset) -> str:
    """Say how much of the attention goes to tokens that are no place and no word; "" without such tokens."""
    if "special_share" not in ds:
        return ""
    share = ds["special_share"].to_numpy()
    if not np.isfinite(share).any() or not np.nanmax(share) > 0:
        return ""
    row, column = np.unravel_index(int(np.nanargmax(share)), share.shape)
    who = "special tokens" if is_text(ds) else " and ".join(_special_names(ds))
    return (
        f"{percent(float(np.nanmean(share)))} of all attention goes to {who}, most in {_names(ds)[row]}, "
        "head "
        f"{column + 1} ({percent(float(share[row, column]))}). Maps show the rest, not scaled up."
    )


def _special_names(ds: xr.Dataset) -> tuple[str, ...]:
    return max((place.special for place in places(ds)), key=lambda names: len(names))


def unread_words(ds: xr.Dataset) -> str:
    """Name the layers whose attention cannot be read, with the reasons; "" when all can."""
    found = unread(ds)
    if not found:
        return ""
    reasons: dict[str, list[str]] = {}
    for name, why in found:
        reasons.setdefault(why, []).append(name)
    return " ".join(f"Not shown: {listing(names, 6)}. {why}" for why, names in reasons.items())


def target_words(ds: xr.Dataset) -> str:
    """Name the class that relevance or ablation is about."""
    name = str(ds.attrs.get("target_name", ""))
    return name or f"output {int(ds.attrs.get('target', 0)) + 1}"


def ablation_words(ds: xr.Dataset) -> str:
    """Say which head matters most for the class."""
    effect = ds["effect"].to_numpy()
    row, column = np.unravel_index(int(np.nanargmax(np.abs(effect))), effect.shape)
    value = float(effect[row, column])
    how = "lowers" if value < 0 else "raises"
    return (
        f"Of {int(np.isfinite(effect).sum())} heads, {_names(ds)[row]}, head {column + 1}, matters most for "
        f"{target_words(ds)}: without it the score changes from {theme.three_digits(ds.attrs['score'])} by "
        f"{theme.three_digits(value)}, so removing it {how} the score."
    )


def relevance_words(ds: xr.Dataset) -> str:
    """Say what the relevance is about."""
    return (
        f"Relevance for {target_words(ds)} (score {theme.three_digits(ds.attrs['score'])}): attention "
        "weighed "
        "by its gradient, carried through all layers."
    )


def agreement_words(ds: xr.Dataset) -> str:
    """Say whether attention points at what matters by other methods."""
    found = ds["agreement"].transpose("method", "layer", "head").to_numpy()
    lines = []
    for method, grid in zip(answers.names(ds, "method"), found, strict=True):
        if not np.isfinite(grid).any():
            continue
        row, column = np.unravel_index(int(np.nanargmax(grid)), grid.shape)
        lines.append(
            f"{method}: heads agree with rank correlations from {theme.three_digits(np.nanmin(grid))} to "
            f"{theme.three_digits(np.nanmax(grid))} (best {_names(ds)[row]}, head {column + 1}; median "
            f"{theme.three_digits(np.nanmedian(grid))})."
        )
    return f"For {target_words(ds)}. " + " ".join(lines)


def product_words(ds: xr.Dataset) -> str:
    """Say what the answer about queries and keys holds."""
    return (
        f"{ds.attrs['layer']}, head {int(ds.attrs['head']) + 1}: queries and keys of {ds.sizes['token']} "
        "tokens in "
        f"{ds.sizes['dimension']} dimensions; their products, times "
        f"{theme.three_digits(ds.attrs['scale'])}, go "
        "into the softmax."
    )


def pair_words(ds: xr.Dataset, i: int, j: int) -> str:
    """Say how one weight came about from query and key."""
    names = answers.names(ds, "token_name")
    parts = _products(ds, i, j)
    best = int(np.argmax(np.abs(parts)))
    return (
        f"{names[i]} looks at {names[j]} with weight {theme.three_digits(ds['weight'].to_numpy()[i, j])}: "
        "the "
        f"products add up to {theme.three_digits(parts.sum())}; dimension {best + 1} gives most "
        f"({theme.three_digits(parts[best])})."
    )


def short_caveat(ds: xr.Dataset) -> str:
    """Return the sentence that stands above every map, with how much special tokens take."""
    said = special_words(ds)
    return f"{said} " * bool(said) + "Attention is not explanation: see Relevance and Heads removed below."


def caveats(ds: xr.Dataset) -> list[tuple[str, str]]:
    """Return the caveats that hold here, each with its source."""
    found = list(CAVEATS)
    if "rollout" in ds:
        found.append(ROLLOUT_CAVEAT)
    tokens_in_front = {name for place in places(ds) for name in place.special}
    if "CLS" in tokens_in_front and not any(name.startswith("register") for name in tokens_in_front):
        found.append(REGISTER_CAVEAT)
    return found


def narrowest(ds: xr.Dataset) -> tuple[int, int]:
    """Return layer and head with the lowest entropy."""
    values = ds["entropy"].to_numpy()
    row, column = np.unravel_index(int(np.nanargmin(values)), values.shape)
    return int(row), int(column)


def head_words(ds: xr.Dataset, layer: int, head: int) -> str:
    """Describe one head by its measures."""
    found = head_of(ds, layer, head)
    parts = []
    if math.isfinite(found.get("entropy", math.nan)):
        parts.append(f"entropy {theme.three_digits(found['entropy'])}")
    if math.isfinite(found.get("distance", math.nan)):
        parts.append(f"distance {theme.three_digits(found['distance'])} pixels")
    if found.get("special_share", 0) > 0:
        parts.append(f"{percent(found['special_share'])} to special tokens")
    return f"head {head + 1}: {', '.join(parts)}."


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return " ".join(part for part in (verdict(ds), special_words(ds), unread_words(ds)) if part)


# --- the grid of heads -------------------------------------------------------------------------------------


def head_rows(ds: xr.Dataset, query: str = "", *, shared: bool = False, hide: bool = False) -> list[HeadRow]:
    """Return all heads of all layers for the grid, with the mean over heads at the end of each row.

    Parameters
    ----------
    ds : xr.Dataset
    query : str
        See `looks`; of a text all queries are drawn.
    shared : bool
        One scale for all heads, from 0 to the largest weight; else every head has its own, so that weak
        patterns are seen as well.
    hide : bool
        Leave the special tokens of a text out.
    """
    if is_text(ds):
        found = [
            np.stack([without(ds, m, hide)[0] for m in ds[f"map{k}"].to_numpy()])
            for k in range(len(places(ds)))
        ]
    else:
        found = [look.maps for look in looks(ds, query)]
    top = max(float(maps.max()) for maps in found)
    rows = []
    for k, (place, maps) in enumerate(zip(places(ds), found, strict=True)):
        maps = np.concatenate([maps, maps.mean(axis=0, keepdims=True)])
        most = np.full(len(maps), top) if shared else maps.max(axis=(1, 2))
        words = [
            f"{head_words(ds, k, h)} Brightest here: {theme.three_digits(maps[h].max())}."
            for h in range(place.heads)
        ]
        rows.append(
            HeadRow(
                place.name,
                str(k + 1),
                (*(str(h + 1) for h in range(place.heads)), MEAN),
                maps / np.where(most > 0, most, 1)[:, None, None],
                (*words, f"mean over heads. Brightest here: {theme.three_digits(maps[-1].max())}."),
            )
        )
    return rows


def sheet(rows: Sequence[HeadRow], *, dark: bool = False, width: int = 640) -> Any:
    """Draw the grid of heads as a chart, for files: one embedded picture per layer."""
    import altair as alt

    most = max(len(row.heads) for row in rows)
    charts = []
    for row in rows:
        high, wide = row.maps.shape[1:]
        times = max(1, 96 // max(high, wide))
        tile = max(8, (width - 10) // most - 3)
        tall = max(6, round(tile * high / wide))
        values = [
            {
                "head": name,
                "url": raster.data_uri(
                    raster.png(raster.coloured(m, theme.lut(), 0, 1).repeat(times, 0).repeat(times, 1))
                ),
            }
            for name, m in zip(row.heads, row.maps, strict=True)
        ]
        charts.append(
            alt.Chart(alt.Data(values=values))
            .mark_image(width=tile, height=tall, aspect=False)
            .encode(
                x=alt.X(
                    "head:N",
                    sort=None,
                    title=None,
                    axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False),
                ),
                url="url:N",
            )
            .properties(
                width=(tile + 3) * len(row.heads),
                height=tall,
                title=alt.TitleParams(row.name, fontSize=11, offset=2),
            )
        )
    return theme.style(alt.vconcat(*charts, spacing=4), dark)


# --- maps over the picture ---------------------------------------------------------------------------------


def picture(ds: xr.Dataset) -> np.ndarray:
    """Return the picture as the network was shown it, (height, width, 3) uint8."""
    return ds["picture"].transpose("y", "x", "channel").to_numpy()


def main_maps(ds: xr.Dataset, query: str, layer: int, head: int | str) -> list[tuple[str, np.ndarray, str]]:
    """Return the maps that belong over the picture for one head: title, map and caption.

    The head, the mean over the heads of its layer, and rollout where it is defined.
    """
    look = looks(ds, query)[layer]
    name = look.place.name
    chosen = (
        [("Mean over heads", MEAN)]
        if head == MEAN
        else [(f"Head {int(head) + 1}", head), ("Mean over heads", MEAN)]
    )
    found = []
    for title, which in chosen:
        values, aside = look.one(which)
        tail = f"; {percent(aside)} to special tokens" if look.place.special else ""
        found.append((title, values, f"{name}{tail}."))
    rolled = token_map(ds, "rollout", query)
    if rolled is not None:
        found.append((ROLLOUT, rolled, "Through all layers."))
    return found


def token_map(ds: xr.Dataset, variable: str, query: str) -> np.ndarray | None:
    """Return the row of a (query, key) matrix as a map of places; None where there is none."""
    if variable not in ds:
        return None
    place = places(ds)[-1]
    n = len(place.special)
    values = ds[variable].to_numpy()
    if query == CLS and "CLS" in place.special:
        row = values[place.special.index("CLS")]
    elif query == RECEIVED:
        row = values.mean(axis=0)
    else:
        at = cell(query, place.queries)
        if at is None:
            return None
        row = values[n + at[0] * place.queries[1] + at[1]]
    return row[n:].reshape(place.grid)


def overlays(
    ds: xr.Dataset, query: str, layer: int, head: int | str, others: Sequence[xr.Dataset] = ()
) -> list[Any]:
    """Return panels for the overlay: the maps of one head, those of other answers, and the bare picture.

    Parameters
    ----------
    others : sequence of xr.Dataset
        Answers with the view relevance or agreement for the same picture.
    """
    from dashboard.figures.overlay import Panel

    shown = picture(ds)
    unit = str(ds.attrs.get("unit", "share of attention"))
    found = main_maps(ds, query, layer, head)
    # Head and mean over heads are compared, so they share a scale; rollout is another quantity.
    most = max(float(values.max()) for title, values, _ in found if title != ROLLOUT)
    panels = [
        _over(title, shown, values, "rollout", caption)
        if title == ROLLOUT
        else _over(title, shown, values, unit, caption, most)
        for title, values, caption in found
    ]
    for other in others:
        panels += _others(other, query, shown)
    return [*panels, Panel("Picture", shown, caption="As the network is shown it.")]


def _over(
    title: str, shown: np.ndarray, values: np.ndarray, unit: str, caption: str = "", most: float = 0.0
) -> Any:
    """Return a panel with a map from zero on; of a map that is zero everywhere, the picture and a sentence.

    Such a map has no upper limit, and one that was made up would stand beside the colours as a value.
    """
    from dashboard.figures.overlay import Panel

    if not values.max() > 0:
        said = f"Zero everywhere. {caption}".strip()
        return Panel(title, shown, caption=said, words="zero everywhere.")
    return Panel(title, shown, values, 0.0, max(most, float(values.max())), unit, "viridis", caption)


def importances(ds: xr.Dataset) -> list[Any]:
    """Return the panels of what matters by other methods, and the bare picture."""
    from dashboard.figures.overlay import Panel

    shown = picture(ds)
    return [*_others(ds, "", shown), Panel("Picture", shown)]


def _others(ds: xr.Dataset, query: str, shown: np.ndarray) -> list[Any]:
    from dashboard.figures.overlay import Panel

    panels = []
    relevant = token_map(ds, "relevance", query)
    if relevant is not None:
        panels.append(_over("Relevance", shown, relevant, "relevance", f"For {target_words(ds)}."))
    for k, method in enumerate(answers.names(ds, "method") if "importance" in ds else []):
        values = ds["importance"].transpose("method", "row", "column").to_numpy()[k]
        lo, hi = theme.signed_limits(values)
        panels.append(
            Panel(
                method, shown, values, lo, hi, "change of the score", "diverging", f"For {target_words(ds)}."
            )
        )
    return panels


# --- measures of heads -------------------------------------------------------------------------------------

MEASURES: dict[str, tuple[str, str]] = {
    "distance": (
        "Attention distance",
        "How far from its place a head looks, on average over places, weighted.",
    ),
    "entropy": (
        "Entropy (0 one token, 1 all alike)",
        "Divided by the logarithm of the number of keys allowed.",
    ),
    "special_share": ("Share to special tokens", "Tokens that are no place of the picture and no word."),
}
"""Measures of a head by name: title of the axis, and what it means."""


def measure_chart(
    ds: xr.Dataset,
    measure: str,
    *,
    degrees: float = 0.0,
    dark: bool = False,
    width: Any = "container",
    height: int = 280,
) -> Any:
    """Draw one measure of every head against depth; the mean of each layer as a line.

    Parameters
    ----------
    measure : str
        One of `MEASURES`.
    degrees : float
        Degrees of visual angle that the width of the picture takes; 0 leaves distances in pixels.
    """
    import altair as alt

    title, factor = MEASURES[measure][0], 1.0
    if measure == "distance":
        factor = degrees / int(ds.attrs["input_pixels"]) if degrees > 0 else 1.0
        title += " (degrees)" if degrees > 0 else " (pixels)"
    values = ds[measure].to_numpy() * factor
    names = _names(ds)
    rows = [
        {"layer": names[i], "order": i, "head": j + 1, "value": float(values[i, j])}
        for i in range(len(names))
        for j in range(values.shape[1])
        if math.isfinite(values[i, j])
    ]
    if not rows:
        message = f"There is no {title.lower()} for these layers."
        raise InputError(message)
    short = theme.short_names(tuple(names))
    axis = alt.Axis(labelExpr=f"{theme.js(short)}[datum.value]", labelAngle=-40, labelOverlap=True)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("layer:N", sort=names, title="Layer, in order of depth", axis=axis)
    )
    colour = theme.colour("network", dark)
    top = 1.0 if measure != "distance" else None
    scale = alt.Scale(domain=[0, top]) if top else alt.Scale(zero=True)
    dots = base.mark_circle(size=48, opacity=0.75, color=colour).encode(
        y=alt.Y("value:Q", title=title, scale=scale),
        tooltip=[
            alt.Tooltip("layer:N", title="Layer"),
            alt.Tooltip("head:Q", title="Head"),
            alt.Tooltip("value:Q", title=title, format=".3g"),
        ],
    )
    line = base.mark_line(color=colour, strokeWidth=1.5, opacity=0.6).encode(
        y=alt.Y("mean(value):Q", title=title)
    )
    words = f"{title} of {len(rows)} heads in {len(names)} layers."
    return theme.style((line + dots).properties(width=width, height=height, description=words), dark)


def effect_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the change of the class's score when each head is removed, heads by layers."""
    values = ds["effect"].to_numpy()
    return _heat(ds, values, "Change of the score", theme.signed_limits(values), "diverging", dark, width)


def agreement_chart(ds: xr.Dataset, method: str, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the rank correlation of each head's map with that of another method, heads by layers."""
    values = ds["agreement"].sel({"method": method}).transpose("layer", "head").to_numpy()
    return _heat(ds, values, f"Spearman ρ with {method}", (-1.0, 1.0), "diverging", dark, width)


def _heat(
    ds: xr.Dataset,
    values: np.ndarray,
    title: str,
    limits: tuple[float, float],
    lut: str,
    dark: bool,
    width: Any,
) -> Any:
    names = _names(ds)
    rows = [
        {"layer": names[i], "head": j + 1, "value": float(values[i, j])}
        for i in range(len(names))
        for j in range(values.shape[1])
        if math.isfinite(values[i, j])
    ]
    return _tiles(rows, title, limits, lut, verdict(ds), dark, width)


def _tiles(
    rows: list[dict[str, Any]],
    title: str,
    limits: tuple[float, float],
    lut: str,
    words: str,
    dark: bool,
    width: Any,
) -> Any:
    """Draw one value per head, layers from above in order of depth."""
    import altair as alt

    names = list(dict.fromkeys(row["layer"] for row in rows))
    short = theme.short_names(tuple(names))
    colour = alt.Color(
        "value:Q",
        title=f"{title}, {theme.three_digits(limits[0])} to {theme.three_digits(limits[1])}",
        scale=alt.Scale(domain=list(limits), range=theme.sampled(lut, 11)),
        legend=alt.Legend(gradientLength=180, titleLimit=420),
    )
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(stroke=theme.colour("grid", dark), strokeWidth=0.5)
        .encode(
            x=alt.X("head:O", title="Head", axis=alt.Axis(labelAngle=0, orient="bottom")),
            y=alt.Y(
                "layer:N",
                sort=names,
                title=None,
                axis=alt.Axis(labelExpr=f"{theme.js(short)}[datum.value]", labelLimit=180),
            ),
            color=colour,
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("head:O", title="Head"),
                alt.Tooltip("value:Q", title=title, format=".3g"),
            ],
        )
        .properties(width=width, height=alt.Step(22), description=words)
    )
    return theme.style(chart, dark)


# --- texts -------------------------------------------------------------------------------------------------


def matrix_chart(
    ds: xr.Dataset,
    layer: int,
    head: int | str,
    *,
    hide: bool = False,
    dark: bool = False,
    side: int = 420,
    width: Any = None,
) -> Any:
    """Draw who looks at whom in a text, tokens by tokens; for texts of up to `MOST_IN_CHART` tokens."""
    import altair as alt

    values, names, _ = without(ds, text_map(ds, layer, head), hide)
    words = {name: name.partition(" ")[2] for name in names}
    rows = [
        {"from": a, "to": b, "value": float(values[i, j])}
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    ]
    unit = str(ds.attrs.get("unit", "share of attention"))
    most = float(values.max()) or 1.0
    labels = f"{theme.js(words)}[datum.value]"
    step = max(11, side // max(len(names), 1))
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt.X(
                "to:N",
                sort=names,
                title="… at",
                axis=alt.Axis(labelExpr=labels, labelAngle=-60, orient="top"),
            ),
            y=alt.Y("from:N", sort=names, title="Looks …", axis=alt.Axis(labelExpr=labels)),
            color=alt.Color(
                "value:Q",
                title=f"{unit.capitalize()}, 0 to {theme.three_digits(most)}",
                scale=alt.Scale(domain=[0, most], range=theme.sampled("viridis", 10)),
                legend=alt.Legend(orient="bottom", titleLimit=300),
            ),
            tooltip=[
                alt.Tooltip("from:N", title="Looks"),
                alt.Tooltip("to:N", title="at"),
                alt.Tooltip("value:Q", title=unit.capitalize(), format=".3g"),
            ],
        )
        .properties(
            width=width or alt.Step(step),
            height=alt.Step(step),
            description=matrix_words(ds, layer, head, hide),
        )
    )
    return theme.style(chart, dark)


def matrix_words(ds: xr.Dataset, layer: int, head: int | str, hide: bool = False) -> str:
    """Name the strongest looks of a head in a text."""
    values, names, hidden = without(ds, text_map(ds, layer, head), hide)
    best = np.argsort(-values, axis=None, kind="stable")[:3]
    pairs = [np.unravel_index(int(k), values.shape) for k in best]
    told = ", ".join(
        f"{names[i].partition(' ')[2]} at {names[j].partition(' ')[2]} ({theme.three_digits(values[i, j])})"
        for i, j in pairs
    )
    who = "the mean over heads" if head == MEAN else f"head {int(head) + 1}"
    text = f"{places(ds)[layer].name}, {who}: strongest {told}."
    return f"{text} {percent(hidden)} of the attention is hidden with the special tokens." if hidden else text


def matrix(ds: xr.Dataset, layer: int, head: int | str, *, hide: bool = False) -> Any:
    """Return the same for the canvas, for texts of any length."""
    from dashboard.figures.rdms import Matrix

    values, names, _ = without(ds, text_map(ds, layer, head), hide)
    return Matrix(
        "Looks (rows) at (columns)",
        values.astype(np.float32),
        tuple(names),
        ("",) * len(names),
        0.0,
        float(values.max()) or 1.0,
        str(ds.attrs.get("unit", "share of attention")),
        "network",
        words=matrix_words(ds, layer, head, hide),
    )


def token_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the relevance of every token of a text for the class."""
    import altair as alt

    names = answers.names(ds, "token_name")
    values = ds["relevance"].to_numpy()[0]
    words = {name: name.partition(" ")[2] for name in names}
    rows = [{"token": name, "value": float(v)} for name, v in zip(names, values, strict=True)]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=theme.colour("network", dark))
        .encode(
            y=alt.Y(
                "token:N",
                sort=names,
                title=None,
                axis=alt.Axis(labelExpr=f"{theme.js(words)}[datum.value]", labelLimit=200),
            ),
            x=alt.X("value:Q", title="Relevance, as the first token gathers it"),
            tooltip=[
                alt.Tooltip("token:N", title="Token"),
                alt.Tooltip("value:Q", title="Relevance", format=".3g"),
            ],
        )
        .properties(width=width, height=alt.Step(20), description=relevance_words(ds))
    )
    return theme.style(chart, dark)


# --- heads and brain ---------------------------------------------------------------------------------------


def _by_head(ds: xr.Dataset, area: str) -> list[dict[str, Any]]:
    """Return layer, head and score of every head in an answer of kind brain."""
    scores = ds["score"].sel(area=area).to_numpy()
    low, high = (ds[name].sel(area=area).to_numpy() for name in ("ci_low", "ci_high"))
    rows = []
    for k, name in enumerate(answers.names(ds, "layer")):
        layer, _, head = name.rpartition("#head")
        if head.isdecimal() and math.isfinite(scores[k]):
            ends = {"low": float(low[k]), "high": float(high[k])}
            rows.append({"layer": layer, "head": int(head) + 1, "value": float(scores[k]), **ends})
    return rows


def brain_words(ds: xr.Dataset, area: str) -> str:
    """Say which head is most like an area, with its interval."""
    rows = _by_head(ds, area)
    if not rows:
        return f"No head could be compared with {area}."
    best = max(rows, key=lambda row: row["value"])
    return (
        f"Of {len(rows)} heads, {best['layer']}, head {best['head']}, is most like {area} "
        f"({theme.three_digits(best['value'])}, 95 % interval {theme.interval(best['low'], best['high'])})."
    )


def brain_chart(ds: xr.Dataset, area: str, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the similarity of every head with an area, heads by layers."""
    from dashboard.figures.brain import measure_label

    rows = _by_head(ds, area)
    values = np.array([row["value"] for row in rows])
    limits = theme.signed_limits(values)
    return _tiles(
        rows, f"{measure_label(ds)} with {area}", limits, "diverging", brain_words(ds, area), dark, width
    )


# --- queries and keys --------------------------------------------------------------------------------------


def _products(ds: xr.Dataset, i: int, j: int) -> np.ndarray:
    query, key = ds["query_vector"].to_numpy()[i], ds["key_vector"].to_numpy()[j]
    return query * key * float(ds.attrs["scale"])


def strongest_pair(ds: xr.Dataset) -> tuple[int, int]:
    """Return the token that looks and the one it looks at with the largest weight between two tokens."""
    weight = ds["weight"].to_numpy().copy()
    if len(weight) > 1:
        np.fill_diagonal(weight, -1)
    i, j = np.unravel_index(int(weight.argmax()), weight.shape)
    return int(i), int(j)


def product_chart(ds: xr.Dataset, i: int, j: int, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw query, key and their product in every dimension, for the token that looks and one it looks at."""
    import altair as alt

    query, key = ds["query_vector"].to_numpy()[i], ds["key_vector"].to_numpy()[j]
    parts = {"Query": query, "Key": key, "Product, scaled": _products(ds, i, j)}
    rows = [
        {"what": what, "dimension": d + 1, "value": float(v)}
        for what, values in parts.items()
        for d, v in enumerate(values)
    ]
    colours = [theme.colour("network", dark), theme.colour("second", dark), theme.colour("third", dark)]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(size=max(2, min(10, 560 // len(query))))
        .encode(
            x=alt.X(
                "dimension:Q", title="Dimension of the head", scale=alt.Scale(domain=[0, len(query) + 1])
            ),
            y=alt.Y("value:Q", title=None),
            color=alt.Color("what:N", scale=alt.Scale(domain=list(parts), range=colours), legend=None),
            tooltip=[
                alt.Tooltip("what:N", title="What"),
                alt.Tooltip("dimension:Q", title="Dimension"),
                alt.Tooltip("value:Q", title="Value", format=".3g"),
            ],
        )
        .properties(width=width if width != "container" else 620, height=90, description=pair_words(ds, i, j))
        .facet(row=alt.Row("what:N", sort=list(parts), title=None))
        .resolve_scale(y="independent")
    )
    return theme.style(chart, dark)


# --- files -------------------------------------------------------------------------------------------------


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return the numbers of an answer, one observation a row; which ones depends on its view."""
    view = str(ds.attrs.get("view", "heads"))
    if view in ("rollout", "relevance"):
        return _matrix_table(ds, view)
    if view == "query-key":
        return _vector_table(ds)
    return _head_table(ds)


def _head_table(ds: xr.Dataset) -> pd.DataFrame:
    import pandas as pd

    names = _names(ds)
    heads = ds.sizes["head"]
    columns: dict[str, Any] = {
        "layer": np.repeat(np.array(names, dtype=object), heads),
        "head": np.tile(np.arange(1, heads + 1), len(names)),
    }
    for name in ("entropy", "distance", "special_share", "effect"):
        if name in ds:
            columns[name] = ds[name].transpose("layer", "head").to_numpy().ravel()
    for method in answers.names(ds, "method") if "agreement" in ds else []:
        columns[f"agreement: {method}"] = (
            ds["agreement"].sel({"method": method}).transpose("layer", "head").to_numpy().ravel()
        )
    found = pd.DataFrame(columns)
    return found[found.iloc[:, 2:].notna().any(axis=1)].reset_index(drop=True)


def _matrix_table(ds: xr.Dataset, variable: str) -> pd.DataFrame:
    import pandas as pd

    if variable not in ds:
        message = f"There is no {variable} for this network."
        raise InputError(message, "It is defined where every layer attends among the same tokens.")
    names = np.array(answers.names(ds, "token_name"), dtype=object)
    values = ds[variable].to_numpy()
    return pd.DataFrame(
        {"from": np.repeat(names, len(names)), "to": np.tile(names, len(names)), variable: values.ravel()}
    )


def _vector_table(ds: xr.Dataset) -> pd.DataFrame:
    import pandas as pd

    names = np.array(answers.names(ds, "token_name"), dtype=object)
    n, d = ds.sizes["token"], ds.sizes["dimension"]
    return pd.DataFrame(
        {
            "token": np.repeat(names, d),
            "dimension": np.tile(np.arange(1, d + 1), n),
            "query": ds["query_vector"].to_numpy().ravel(),
            "key": ds["key_vector"].to_numpy().ravel(),
        }
    )


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Return the figure that stands for an answer of any view."""
    view = str(ds.attrs.get("view", "heads"))
    if view == "ablation":
        return effect_chart(ds, width=max(160, width - 220))
    if view == "agreement":
        return agreement_chart(ds, answers.names(ds, "method")[0], width=max(160, width - 220))
    if view in ("distance", "entropy"):
        return measure_chart(ds, view, width=width - 60)
    if view == "query-key":
        return product_chart(ds, *strongest_pair(ds), width=width - 80)
    if is_text(ds):
        return (
            token_chart(ds, width=width - 120) if view == "relevance" else sheet(head_rows(ds), width=width)
        )
    query = str(ds.attrs.get("query") or queries(ds)[0])
    if view in ("rollout", "relevance"):
        from dashboard.figures import overlay

        return overlay.chart(single(ds, view, query), side=min(240, width // 2 - 20))
    return sheet(head_rows(ds, query), width=width)


def single(ds: xr.Dataset, view: str, query: str) -> list[Any]:
    """Return the panels of rollout or relevance: the bare picture, and the map over it."""
    from dashboard.figures.overlay import Panel

    values = token_map(ds, view, query)
    if values is None:
        message = f"There is no {view} for this network."
        raise InputError(message, "It is defined where every layer attends among the same tokens.")
    shown = picture(ds)
    return [Panel("Picture", shown), _over(view.capitalize(), shown, values, view)]
