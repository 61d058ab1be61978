"""Where do the heads of a transformer look in one picture or text?"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses.seen import as_seen
from dashboard.errors import InputError, caution, unknown
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import AttentionSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    import torch

    from dashboard.networks.attention import Found, Record
    from dashboard.networks.attention_layout import Layout

MOST_KEPT_BYTES = 28 * 2**20
"""Up to this size the maps of all queries are kept, so that another query needs no other run."""

MOST_TEXT_BYTES = 96 * 2**20
"""Of a text all maps are drawn, so all are kept up to this size."""

CLS = "cls"
NO_ATTENTION = "Choose a network with attention, such as bundled:objects_vit with objects."


@dataclass(frozen=True, eq=False)
class Subject:
    """One stimulus made ready.

    Attributes
    ----------
    name : str
    batch : torch.Tensor
        (1, *input_shape) as the network is given it.
    picture : np.ndarray or None
        (height, width, 3) uint8, as the network sees it; None for texts.
    given : (int, int) or None
        Height and width of the picture before preprocessing.
    words : tuple of str
        Tokens of a text.
    special : np.ndarray
        (n_tokens,) bool: which tokens of a text stand for no word.
    """

    name: str
    batch: torch.Tensor
    picture: np.ndarray | None = None
    given: tuple[int, int] | None = None
    words: tuple[str, ...] = ()
    special: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Read:
    """One layer's maps for one stimulus.

    Attributes
    ----------
    record : Record
    layout : Layout
    weights : np.ndarray (windows, heads, queries, keys)
        Of a text without the padding.
    allowed : np.ndarray (windows, heads or 1, queries)
    """

    record: Record
    layout: Layout
    weights: np.ndarray
    allowed: np.ndarray

    @property
    def windows(self) -> int:
        """Number of windows."""
        return int(self.weights.shape[0])


def attention(spec: AttentionSpec) -> xr.Dataset:
    """Return what a view of attention shows; see the function of each view in `VIEWS`.

    Raises
    ------
    InputError
        When the network has no attention that can be read, reads another kind of stimuli, or a setting does
        not fit.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    from dashboard.networks import attention as capture

    refusal = capture.why_not(network)
    if refusal:
        raise InputError(refusal, NO_ATTENTION)
    one = subject(network, shown, spec.item)
    report(0.1, f"Attention: {one.name}")
    answer = _views()[spec.view](spec, network, one)
    return answer.assign_attrs(
        {
            "title": f"Attention of {network.title} in {one.name}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "item": one.name,
            "view": spec.view,
            "input_kind": network.input_kind,
            "tokens": json.dumps(one.words, ensure_ascii=False),
            "special": json.dumps([] if one.special is None else one.special.tolist()),
            "device": networks.device().type,
            "simulated": "no",
        }
    )


def _views() -> dict[str, Callable[[AttentionSpec, Network, Subject], xr.Dataset]]:
    """Return the function of every view."""
    from dashboard.analyses import attention_effects as effects

    return {
        "heads": heads,
        "rollout": heads,
        "distance": heads,
        "entropy": heads,
        "query-key": query_key,
        "relevance": effects.relevance,
        "ablation": effects.ablation,
        "agreement": effects.agreement,
    }


# --- the stimulus ----------------------------------------------------------------------------------


def subject(network: Network, shown: Stimuli, item: str) -> Subject:
    """Return one stimulus made ready; the first when no name is given.

    Raises
    ------
    InputError
        When there is no stimulus of this name, or the network reads another kind.
    """
    if item and item not in shown.names:
        raise unknown("stimulus", item, shown.names)
    place = shown.names.index(item) if item else 0
    given = shown.item(place)
    batch = network.prepare([given])
    name = shown.names[place]
    if isinstance(given, str):
        words, special = _words(network, given, batch)
        return Subject(name, batch, words=words, special=special)
    return Subject(name, batch, picture=as_seen(network, batch[0], given), given=given.shape[:2])


def _words(network: Network, text: str, batch: torch.Tensor) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the tokens that the network reads, and which stand for no word; say how many were cut off."""
    from dashboard.networks.attention_layout import is_special

    assert network.text is not None  # noqa: S101 - Network.check gives texts to text networks only
    n = int(network.text.mask(batch)[0].sum())
    found = network.text.words(text) if network.text.words is not None else ()
    words = tuple(found[:n]) if len(found) >= n else tuple(f"token {k + 1}" for k in range(n))
    lost = network.text.dropped(text) if network.text.dropped is not None else 0
    if lost:
        caution(
            "text-cut",
            f"{network.title} reads {n} tokens: the last {lost} of this text were dropped and have no part "
            "in "
            "what is shown.",
        )
    return words, is_special(words)


# --- reading ---------------------------------------------------------------------------------------


def chosen_maps(network: Network, patterns: Sequence[str]) -> tuple[tuple[Found, ...], list[tuple[str, str]]]:
    """Return the maps that can be shown, and the layers that cannot, each with the reason.

    Raises
    ------
    InputError
        When a pattern names no layer with attention, or no layer can be shown.
    """
    from dashboard.networks import attention as capture
    from dashboard.networks.attention_layout import layout

    known = capture.survey(network)
    names = [found.layer for found in known.maps]
    wanted = set(names)
    if patterns and "all" not in patterns:
        wanted = set()
        for pattern in patterns:
            hits = fnmatch.filter(names, pattern)
            if not hits:
                raise unknown("layer with attention", pattern, names)
            wanted.update(hits)
    lost = list(known.unread.items())
    usable = []
    for found in known.maps:
        where = layout(network, found)
        if where.kind == "none":
            lost.append((found.layer, where.why))
        elif found.layer in wanted:
            usable.append(found)
    if not usable:
        name, why = next(iter(lost))
        message = f"The attention of {network.title} can be read, but not drawn (such as {name}). {why}"
        raise InputError(message, NO_ATTENTION)
    return tuple(usable), lost


def read_maps(
    network: Network, one: Subject, maps: Sequence[Found], **keep: Any
) -> tuple[list[Read], np.ndarray]:
    """Run the network on one stimulus; return the maps and what the network gave for it."""
    from dashboard.networks import attention as capture
    from dashboard.networks.attention_layout import layout

    layouts = {found.layer: layout(network, found) for found in maps}
    given = {"summaries": {"allowed": lambda record: record.allowed}, **keep}
    with capture.reading(network, capture.Keep(layers=tuple(layouts), **given)) as read:
        records, output = read(one.batch)
    n = len(one.words)
    found = []
    for record in records:
        weights, allowed = record.of(0), record.summary["allowed"]
        if n:
            weights, allowed = weights[..., :n, :n], allowed[..., :n]
        found.append(Read(record, layouts[record.layer], weights, allowed))
    return found, np.asarray(output.detach().double().numpy())


# --- heads -----------------------------------------------------------------------------------------


def heads(spec: AttentionSpec, network: Network, one: Subject) -> xr.Dataset:
    """Return where every head of every layer looks, and how far, how widely, and how much past the picture.

    Returns
    -------
    xarray.Dataset
        For layer k ``received{k}`` (head, key), the mean over queries, and ``map{k}`` (head, query, key), or
        with windows (window, head, query, key) and ``cell{k}`` (window, key), the number of each place. When
        the maps are too large, or ``whole`` is off, ``row{k}`` (head, key) of the query instead. Special
        tokens come first. ``entropy``, ``distance`` (pixels) and ``special_share`` (layer, head), NaN where a
        layer has fewer heads; ``rollout`` (query, key) where it is defined; ``picture`` (y, x, channel).
    """
    maps, lost = chosen_maps(network, spec.layers)
    reads, output = read_maps(network, one, maps, values=spec.weighting == "values")
    report(0.6, "Measures of heads")
    answer = _measures(reads, one)
    answer = answer.assign(_flow(spec, network, reads, maps))
    unit = "share of attention"
    if spec.weighting == "values":
        reads, unit = _value_weighted(reads, lost), "length of what is added"
        answer = answer.isel(layer=[list(answer.layer.values).index(r.record.layer) for r in reads])
    size = sum(read.weights.nbytes for read in reads)
    text = network.input_kind == "text"
    whole = text or (spec.whole and size <= MOST_KEPT_BYTES)
    if text and size > MOST_TEXT_BYTES:
        message = f"The maps of this text take {size / 2**20:.0f} MB."
        raise InputError(message, "Choose fewer layers under More, or a shorter text.")
    query = spec.query or default_query(reads)
    for k, read in enumerate(reads):
        answer = answer.assign(_stored(k, read, whole, query, reads))
    answer.attrs |= about(network, output) | {
        "unit": unit,
        "kept": "maps" if whole else "rows",
        "query": query,
        "places": json.dumps([place(read, one) for read in reads]),
        "unread": json.dumps(lost, ensure_ascii=False),
    }
    _tell_small(one, reads)
    return with_picture(answer, one)


def default_query(reads: Sequence[Read]) -> str:
    """Return the CLS token where every layer has one that looks, else the mean over all."""
    return CLS if all("CLS" in read.layout.queries.special for read in reads) else "received"


def place(read: Read, one: Subject) -> dict[str, Any]:
    """Return what figures must know of the tokens of a layer."""
    n = len(one.words)
    keys, queries = read.layout.keys, read.layout.queries
    return {
        "name": read.record.layer,
        "heads": read.weights.shape[1],
        "grid": [1, n] if n else list(keys.grid or (0, 0)),
        "queries": [1, n] if n else list(queries.grid or (0, 0)),
        "special": [] if n else list(keys.special),
        "looking": [] if n else list(queries.special),
        "windowed": read.windows > 1,
    }


def _measures(reads: Sequence[Read], one: Subject) -> xr.Dataset:
    """Return entropy, distance and special share, (layer, head)."""
    from dashboard.methods import attention as methods

    most = max(read.weights.shape[1] for read in reads)
    found = {name: np.full((len(reads), most), np.nan) for name in ("entropy", "distance", "special_share")}
    for k, read in enumerate(reads):
        n_heads = read.weights.shape[1]
        values = {"entropy": methods.entropy(read.weights, read.allowed)}
        if one.special is not None:
            values["special_share"] = methods.share(read.weights, one.special)
        else:
            values["distance"] = methods.distance(
                read.weights, read.layout.queries.centres, read.layout.keys.centres
            )
            keys = read.layout.keys
            outside = (np.arange(read.weights.shape[-1]) < len(keys.special)) & (keys.cells[0] < 0)
            values["special_share"] = methods.share(read.weights, outside)
        for name, per_query in values.items():
            found[name][k, :n_heads] = methods.per_head(per_query, 1)[0]
    kept = {name: (("layer", "head"), v) for name, v in found.items() if np.isfinite(v).any()}
    answer = xr.Dataset(
        kept, coords={"layer": [r.record.layer for r in reads], "head": np.arange(1, most + 1)}
    )
    if "distance" in answer:
        answer["distance"].attrs["units"] = "pixels"
    return answer


def _flow(
    spec: AttentionSpec, network: Network, reads: Sequence[Read], maps: Sequence[Found]
) -> dict[str, Any]:
    """Return rollout over all layers, or nothing where it is not defined."""
    from dashboard.methods import attention as methods
    from dashboard.networks import attention as capture

    every = len(maps) == len(capture.survey(network).maps) and not capture.unread(network)
    why = methods.why_no_flow([(r.windows, *r.weights.shape[-2:]) for r in reads])
    if not every:
        why = "Rollout needs the attention of every layer."
    if why:
        if spec.view == "rollout":
            raise InputError(f"Rollout is not defined here. {why}", "Look at single heads instead.")
        return {}
    found = methods.rollout([read.weights for read in reads])[0]
    return {"rollout": (("query", "key"), found.astype(np.float32))}


def _value_weighted(reads: Sequence[Read], lost: list[tuple[str, str]]) -> list[Read]:
    """Return the maps times the length of each value behind the output projection."""
    import dataclasses

    from dashboard.methods import attention as methods

    found = []
    for read in reads:
        norms = read.record.value_norms
        if norms is None:
            lost.append((read.record.layer, "What its values become behind the heads cannot be seen."))
            continue
        norms = norms[..., : read.weights.shape[-1]]
        weighted = methods.value_weighted(read.weights, norms).astype(np.float32)
        found.append(dataclasses.replace(read, weights=weighted))
    if not found:
        message = "The values of this network cannot be seen behind its heads."
        raise InputError(message, "Choose weights.")
    return found


def _stored(k: int, read: Read, whole: bool, query: str, reads: Sequence[Read]) -> dict[str, Any]:
    """Return the variables of one layer."""
    heads = (f"head{k}",)
    found: dict[str, Any] = {f"received{k}": ((*heads, f"key{k}"), _received(read))}
    pair = (*heads, f"query{k}", f"key{k}")
    if read.windows > 1:
        window, of = f"window{k}", f"token{k}"
        found[f"map{k}"] = ((window, heads[0], f"from{k}", of), read.weights)
        found[f"cell{k}"] = ((window, of), read.layout.keys.cells.astype(np.int32))
    elif whole:
        found[f"map{k}"] = (pair, read.weights[0])
    else:
        found[f"row{k}"] = ((*heads, f"key{k}"), row(read, query, reads))
    return found


def _received(read: Read) -> np.ndarray:
    """Return the mean attention that every token receives, (heads, keys), special tokens first."""
    from dashboard.methods import attention as methods

    found = methods.received(read.weights)
    if read.windows == 1:
        return found[0].astype(np.float32)
    placed = read.layout.keys.place(found.swapaxes(0, 1))
    return placed.reshape(len(placed), -1).astype(np.float32)


def row(read: Read, query: str, reads: Sequence[Read]) -> np.ndarray:
    """Return the row of one query, (heads, keys)."""
    if query == "received":
        return _received(read)
    special, grid = read.layout.queries.special, read.layout.queries.grid
    if query == CLS and CLS.upper() in special:
        return read.weights[0][:, special.index(CLS.upper())]
    row, _, column = query.partition(",")
    finest = max((r.layout.queries.grid or (0, 0) for r in reads), key=math.prod)
    fits = row.isdecimal() and column.isdecimal() and int(row) < finest[0] and int(column) < finest[1]
    if not fits or grid is None:
        message = f'"{query}" is no query of this layer.'
        raise InputError(message, f"Write cls, received, or row,column below {finest[0]},{finest[1]}.")
    i, j = int(row) * grid[0] // finest[0], int(column) * grid[1] // finest[1]
    return read.weights[0][:, len(special) + i * grid[1] + j]


def about(network: Network, output: np.ndarray) -> dict[str, Any]:
    """Return what the network said, when it chooses between classes."""
    classes = class_names(network, output)
    return {
        "classes": json.dumps(classes, ensure_ascii=False),
        "predicted": int(output[0].argmax()) if classes else -1,
        "input_pixels": int(network.input_shape[-1]),
    }


def class_names(network: Network, output: np.ndarray) -> list[str]:
    """Return names of the classes; nothing when the network does not choose between any."""
    if output.ndim != 2 or str(network.card.get("output") or "classes") != "classes":
        return []
    if len(network.labels) == output.shape[1]:
        return list(network.labels)
    head = network.layers[-1].kind if network.layers else ""
    return [f"output {k + 1}" for k in range(output.shape[1])] if "Linear" in head else []


def with_picture(answer: xr.Dataset, one: Subject) -> xr.Dataset:
    """Add the picture as the network sees it."""
    return answer if one.picture is None else answer.assign(picture=(("y", "x", "channel"), one.picture))


def _tell_small(one: Subject, reads: Sequence[Read]) -> None:
    """Say when the picture that was given is smaller than a patch."""
    grid = max((read.layout.keys.grid or (0, 0) for read in reads), key=math.prod)
    if one.given is None or not math.prod(grid):
        return
    height, width = reads[0].layout.size
    patch = height / grid[0], width / grid[1]
    if one.given[0] < patch[0] or one.given[1] < patch[1]:
        caution(
            "smaller-than-a-patch",
            f"The picture has {one.given[0]} × {one.given[1]} pixels, fewer than a patch ({patch[0]:.0f} × "
            f"{patch[1]:.0f}): it was enlarged, and where heads look in it means little.",
        )


# --- queries and keys ------------------------------------------------------------------------------


def query_key(spec: AttentionSpec, network: Network, one: Subject) -> xr.Dataset:
    """Return queries and keys of one head: ``query_vector``, ``key_vector`` (token, dimension), ``weight``.

    The layer is the first that ``layers`` names.

    Raises
    ------
    InputError
        When the head does not exist, or the network does not show its queries and keys.
    """
    maps, _ = chosen_maps(network, spec.layers)
    found = maps[0]
    if not 0 <= spec.head < found.heads:
        raise unknown("head", str(spec.head), map(str, range(found.heads)))
    if found.windows > 1:
        message = f"{found.layer} looks within windows: its queries and keys have no common list of tokens."
        raise InputError(message, "Choose a layer whose tokens look at all others.")
    reads, _ = read_maps(network, one, [found], vectors=True)
    record, n = reads[0].record, reads[0].weights.shape[-1]
    if record.query is None or record.key is None:
        message = f"{found.layer} does not show the queries and keys behind its softmax."
        raise InputError(message, "Choose another layer.")
    scale = _scale(record, spec.head)
    names = list(one.words) or token_names(reads[0].layout)
    return xr.Dataset(
        {
            "query_vector": (("token", "dimension"), record.query[0, spec.head, :n]),
            "key_vector": (("token", "dimension"), record.key[0, spec.head, :n]),
            "weight": (("token", "seen"), reads[0].weights[0, spec.head]),
        },
        coords={"token_name": ("token", [f"{k + 1} {name}" for k, name in enumerate(names[:n])])},
        attrs={"layer": record.layer, "head": spec.head, "scale": scale},
    )


def _scale(record: Record, head: int) -> float:
    """Return the factor of the products; where a softmax of the network's own hides it, from the scores."""
    if record.scale is not None:
        return float(record.scale)
    assert record.query is not None and record.key is not None and record.scores is not None  # noqa: S101, PT018
    plain = record.query[0, head].astype(np.float64) @ record.key[0, head].T.astype(np.float64)
    scores = record.scores[0, head].astype(np.float64)
    used = np.isfinite(scores) & (scores > -1e4)
    return float((plain[used] * scores[used]).sum() / (plain[used] ** 2).sum())


def token_names(layout: Layout) -> list[str]:
    """Return a name for every token of a picture: special ones, then row and column of each patch."""
    rows, columns = layout.keys.grid or (0, 0)
    patches = [f"patch {i + 1},{j + 1}" for i in range(rows) for j in range(columns)]
    return [*layout.keys.special, *patches]
