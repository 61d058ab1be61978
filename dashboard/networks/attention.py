"""Attention maps of any network, read while it runs as it is, reduced at once; and what cannot be read.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dashboard.errors import InputError
from dashboard.networks import capture
from dashboard.networks.attention_calls import Call, Kind, Rows
from dashboard.networks.attention_watch import Listener, Oddities, Watch
from dashboard.networks.layers import first_tensor, on_meta
from dashboard.networks.network import Network

MOST_BYTES = 512 * 2**20
"""Most that one batch may keep, unless `Keep.most_bytes` says otherwise."""

HEAD = "#head"
"""Between the name of an attention layer and the number of a head, in the names of heads as layers."""


# --- what is kept ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """One attention map of one batch, as far as it was kept. N is batch × windows.

    Attributes
    ----------
    layer : str
        Name of the part that computed it; its second map of the same pass is ``name:2``.
    call : int
        Which map of this part in the pass, from 1.
    module : str
        Class of the part.
    kind : {"sdpa", "mha", "softmax"}
        Computed by the fused kernel, by `nn.MultiheadAttention`, or by a softmax of the network's own.
    batch, windows, heads, queries, keys : int
        Sizes of the whole map; ``windows`` is 1 unless the tokens of a stimulus are cut into windows.
    rows : tuple of int or None
        The queries that `weights` holds; None for all. Maps of windows always keep all.
    weights : np.ndarray or None
        (N, heads, queries, keys) float32, heads 1 when their mean is kept, queries as in `rows`.
    allowed : np.ndarray
        (N, heads or 1, queries) int64: how many keys each query may attend to (padding and causal masks).
    summary : Mapping of str to np.ndarray
        What the functions of `Keep.summaries` gave.
    query, key, value : np.ndarray or None
        (N, heads, tokens, width) float32, when vectors are kept and the network shows them.
    scale : float or None
        Factor of query · key; None where an own softmax hides it.
    scores : np.ndarray or None
        (N, heads, queries, keys) float32: what the softmax was taken of, −inf where masked.
    value_norms : np.ndarray or None
        (N, heads, keys) float32: length of what each token adds per unit of weight, its value times the
        head's part of the output projection (Kobayashi et al. 2020); None where the projection is not found.
    gradient : np.ndarray or None
        Derivative of a score by `weights`, see `gradients`.
    """

    layer: str
    call: int
    module: str
    kind: Kind
    batch: int
    windows: int
    heads: int
    queries: int
    keys: int
    rows: Rows = None
    weights: np.ndarray | None = None
    allowed: np.ndarray | None = None
    summary: Mapping[str, np.ndarray] = field(default_factory=dict)
    query: np.ndarray | None = None
    key: np.ndarray | None = None
    value: np.ndarray | None = None
    scale: float | None = None
    scores: np.ndarray | None = None
    value_norms: np.ndarray | None = None
    gradient: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(heads, windows, queries, keys) of one stimulus."""
        return self.heads, self.windows, self.queries, self.keys

    def of(self, stimulus: int) -> np.ndarray:
        """Return the kept weights of one stimulus of the batch, (windows, heads, queries, keys)."""
        if self.weights is None:
            raise ValueError
        return self.weights[stimulus * self.windows : (stimulus + 1) * self.windows]


@dataclass(frozen=True)
class Keep:
    """What is kept of every map.

    Attributes
    ----------
    rows : tuple of int or None
        Which queries, ``(0,)`` for the CLS token; None for all.
    heads : {"each", "mean"}
        Every head, or their mean.
    weights : bool
        Whether weights are kept at all.
    summaries : Mapping of str to callable
        Functions of the whole map: they are given the `Record` with all its weights, which is then dropped.
    vectors : bool
        Whether queries, keys, values and scores are kept.
    values : bool
        Whether the lengths of the projected values are kept.
    layers : tuple of str
        Names of the layers to read; empty for all.
    most_bytes : int
        Most that one batch may keep.
    """

    rows: Rows = None
    heads: Literal["each", "mean"] = "each"
    weights: bool = True
    summaries: Mapping[str, Callable[[Record], np.ndarray]] = field(default_factory=dict)
    vectors: bool = False
    values: bool = False
    layers: tuple[str, ...] = ()
    most_bytes: int = MOST_BYTES

    @classmethod
    def queries(cls, rows: Sequence[int], **more: Any) -> Keep:
        """Keep the rows of some queries, such as ``(0,)`` for the CLS token, of every head."""
        return cls(rows=tuple(rows), **more)

    @classmethod
    def mean(cls, **more: Any) -> Keep:
        """Keep whole maps averaged over heads."""
        return cls(heads="mean", **more)

    @classmethod
    def full(cls, **more: Any) -> Keep:
        """Keep everything, if it fits."""
        return cls(**more)

    @classmethod
    def only(cls, summaries: Mapping[str, Callable[[Record], np.ndarray]], **more: Any) -> Keep:
        """Keep what functions of the whole maps give, such as entropies, and no weights."""
        return cls(weights=False, summaries=summaries, **more)

    def bytes(self, found: Found) -> int:
        """Return how much is kept of one map for one stimulus, without summaries."""
        rows = found.queries if self.rows is None or found.windows > 1 else len(self.rows)
        heads = 1 if self.heads == "mean" else found.heads
        kept = heads * rows * found.keys if self.weights else 0
        if self.vectors:
            kept += found.heads * (
                (found.queries + 2 * found.keys) * found.width + found.queries * found.keys
            )
        return 4 * found.windows * kept


# --- reading ---------------------------------------------------------------------------------------


class Reading:
    """Reads the maps of batches; made by `reading`.

    Call it with a batch to get ``(records, output)``: a list of `Record` in the order in which the network
    computes them, and what the network gave, a tensor on the CPU.
    """

    def __init__(self, network: Network, keep: Keep, where: torch.device) -> None:
        self.network, self.keep, self.where = network, keep, where
        self._module = capture.private(network.module, where)
        self._records: list[Record] = []
        self._lock = threading.Lock()
        projected = self._projected if keep.values else None
        wanted = {name.partition(":")[0] for name in keep.layers}
        self._watch = Watch(
            self._module,
            Listener(wants=lambda name: not wanted or name in wanted, seen=self._seen, projected=projected),
        )

    def __call__(self, batch: Tensor) -> tuple[list[Record], Tensor]:
        """Run the network on (batch, *network.input_shape) and return records and output."""
        refuse_too_much(self.network, self.keep, batch)
        with self._lock:
            self._records = []
            with torch.inference_mode(), capture._exact(self.where), self._watch.on(len(batch)):
                output = self._module(batch.to(self.where))
            records, self._records = self._records, []
        found = first_tensor(output)
        assert found is not None
        return records, found.cpu()

    def _seen(self, call: Call) -> None:
        if self.keep.layers and call.layer not in self.keep.layers:
            return
        self._records.append(_record(call, self.keep))

    def _projected(self, call: Call, matrix: Tensor) -> None:
        place = next((i for i, r in enumerate(self._records) if r.layer == call.layer), None)
        if place is not None:
            norms = _array(_value_norms(call, matrix))
            self._records[place] = dataclasses.replace(self._records[place], value_norms=norms)


@contextlib.contextmanager
def reading(
    network: Network, keep: Keep | None = None, where: torch.device | None = None
) -> Iterator[Reading]:
    """Give a reader of the network's attention maps.

    The network computes what it always computes, with its own kernels; the maps are computed beside. It works
    on a private copy, so any number of readings may run on one network at once, in any threads.

    Parameters
    ----------
    network : Network
    keep : Keep, optional
        What to keep; whole maps by default.
    where : torch.device, optional
        Where to run; `capture.device` by default.

    Yields
    ------
    Reading
        ``records, output = read(batch)``.

    Raises
    ------
    InputError
        When a batch would keep more than ``keep.most_bytes``, or a map has no such query.
    """
    read = Reading(network, keep or Keep(), where or capture.device())
    try:
        yield read
    finally:
        read._records = []


def _array(tensor: Tensor) -> np.ndarray:
    """Return a copy that the network cannot rewrite, float32 or int64."""
    kind = torch.float32 if tensor.is_floating_point() else torch.int64
    return tensor.detach().to("cpu", kind, copy=True).contiguous().numpy()


def _record(call: Call, keep: Keep) -> Record:
    """Return what is kept of a call."""
    rows = None if call.windows > 1 else keep.rows
    whole = call.weigh(None) if keep.summaries or rows is None and keep.weights else None
    record = Record(
        call.layer,
        call.count,
        call.module,
        call.kind,
        call.batch,
        call.windows,
        call.heads,
        call.queries,
        call.keys,
        scale=call.scale,
    )
    changes: dict[str, Any] = {"rows": rows}
    if keep.summaries:
        assert whole is not None
        shown = dataclasses.replace(record, weights=_array(whole), allowed=_array(call.allowed()))
        changes["summary"] = {name: np.asarray(make(shown)) for name, make in keep.summaries.items()}
    if keep.weights:
        kept = whole if rows is None else call.weigh(rows)
        assert kept is not None
        changes["weights"] = _array(kept.mean(1, keepdim=True) if keep.heads == "mean" else kept)
    if keep.vectors:
        changes |= _vectors(call)
    return dataclasses.replace(record, **changes)


def _vectors(call: Call) -> dict[str, np.ndarray | None]:
    pair = {"query": call.query, "key": call.key}
    found = {name: None if tensor is None else _array(tensor) for name, tensor in pair.items()}
    return {
        **found,
        "value": _array(call.value),
        "scores": _array(call.score(None)),
        "allowed": _array(call.allowed()),
    }


def _value_norms(call: Call, matrix: Tensor) -> Tensor:
    """Return ‖value · W_O of its head‖, (N, H, S), from the output projection (out, H · D)."""
    n, heads, keys, width = call.value.shape
    norms = call.value.new_empty((n, heads, keys))
    for head in range(heads):
        norms[:, head] = (call.value[:, head] @ matrix[:, head * width : (head + 1) * width].T).norm(dim=-1)
    return norms


def refuse_too_much(network: Network, keep: Keep, batch: Tensor) -> None:
    """Refuse what would not fit into memory, or asks for queries that are not there."""
    if keep.weights and keep.rows is not None and not keep.vectors and not any(keep.rows):
        return  # the first row of every map is always there and small
    maps = _asked(network, keep)
    if network.text is not None:  # the survey is of the longest text
        n = batch.shape[-1]
        maps = [dataclasses.replace(f, queries=min(f.queries, n), keys=min(f.keys, n)) for f in maps]
    for found in maps:
        if found.windows == 1 and max(keep.rows or (0,)) >= found.queries:
            message = (
                f"{found.layer} has {found.queries} queries, so there is no query {max(keep.rows or ())}."
            )
            raise InputError(message, "Queries are counted from 0; choose another, or leave the layer out.")
    size = len(batch) * sum(map(keep.bytes, maps))
    if size > keep.most_bytes:
        message = (
            f"The attention maps of {len(batch)} stimuli would take {size / 1e9:.2g} GB, "
            f"and {keep.most_bytes / 1e9:.2g} GB are allowed."
        )
        raise InputError(
            message, "Choose fewer stimuli or layers, the rows of one token, or the mean of heads."
        )


def _asked(network: Network, keep: Keep) -> list[Found]:
    return [f for f in survey(network).maps if not keep.layers or f.layer in keep.layers]


# --- what there is to read -------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """An attention map that a network computes for one stimulus.

    Attributes
    ----------
    layer, call, module, kind
        As in `Record`.
    heads, windows, queries, keys : int
        Sizes for one stimulus (of a text network, one of the longest texts).
    width : int
        Width of one head's output.
    around : tuple of (str, tuple of int)
        Names of the parts around the map, outermost first, and the shapes of what they are given.
    """

    layer: str
    call: int
    module: str
    kind: Kind
    heads: int
    windows: int
    queries: int
    keys: int
    width: int
    around: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Survey:
    """The attention of a network.

    Attributes
    ----------
    maps : tuple of Found
        What can be read, in the order in which the network computes it.
    unread : Mapping of str to str
        Name of every attention-like layer that ran without a map to why it has none.
    """

    maps: tuple[Found, ...]
    unread: Mapping[str, str]


_surveys: weakref.WeakKeyDictionary[Network, Survey] = weakref.WeakKeyDictionary()


def survey(network: Network) -> Survey:
    """Return what attention a network has, from one pass without memory if possible; remembered."""
    known = _surveys.get(network)
    if known is None:
        known = _surveys[network] = _survey(network)
    return known


def _survey(network: Network) -> Survey:
    shape = (1, *network.input_shape)
    try:
        return _watched(on_meta(network.module), torch.zeros(shape, device="meta"))
    except Exception:  # a forward that looks at values cannot run without any
        return _watched(capture.private(network.module, torch.device("cpu")), torch.zeros(shape))


def _watched(module: nn.Module, batch: Tensor) -> Survey:
    found: list[Found] = []

    def seen(call: Call) -> None:
        around = tuple((part.name, part.shape) for part in watch.running)
        found.append(
            Found(
                call.layer,
                call.count,
                call.module,
                call.kind,
                call.heads,
                call.windows,
                call.queries,
                call.keys,
                call.output.shape[-1],
                around,
            )
        )

    watch = Watch(module, Listener(seen=seen))
    with torch.inference_mode(), watch.on(len(batch)):
        module(batch)
    return Survey(tuple(found), _unread(module, found, watch.oddities))


def unread(network: Network) -> dict[str, str]:
    """Return every attention-like layer that cannot be read, with the reason in a sentence."""
    return dict(survey(network).unread)


def _unread(module: nn.Module, found: Sequence[Found], odd: Oddities) -> dict[str, str]:
    """Compare the parts that look like attention with those that gave a map."""
    read = {f.layer.partition(":")[0] for f in found}
    closed = {name: part for name, part in module.named_modules() if isinstance(part, torch.jit.ScriptModule)}
    suspects = [name for name, part in (odd.ran | closed).items() if name and _looks_like_attention(part)]
    suspects += sorted((odd.other_axis | odd.mixed | odd.channels) - set(suspects))
    lacking = [name for name in suspects if not any(_related(name, other) for other in read)]
    innermost = [n for n in lacking if not any(o != n and o.startswith(f"{n}.") for o in lacking)]
    return {name: _reason(name, odd, closed) for name in innermost if _telling(name, module, odd)}


def _looks_like_attention(part: nn.Module) -> bool:
    kind = str(getattr(part, "original_name", "") or type(part).__name__).lower()
    return "attention" in kind or "attn" in kind


def _related(name: str, other: str) -> bool:
    return name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.")


def _telling(name: str, module: nn.Module, odd: Oddities) -> bool:
    """A softmax outside of attention-like parts (class scores, say) is no sign of attention."""
    if name in odd.channels:
        return True
    return any(
        _looks_like_attention(part)
        for around, part in module.named_modules()
        if around and (around == name or name.startswith(f"{around}.") or around.startswith(f"{name}."))
    )


def _reason(name: str, odd: Oddities, closed: Mapping[str, nn.Module]) -> str:
    def inside(names: set[str]) -> bool:
        return any(_related(name, other) for other in names)

    if inside(set(closed)):
        return "It is compiled TorchScript, into which Python cannot look."
    if inside(odd.channels):
        return "It attends over channels, so there is no map from tokens to tokens."
    if inside(odd.other_axis):
        return "It is factorised: its softmax does not run over the keys of a query, so there is no map."
    if inside(odd.mixed):
        return "It mixes the maps of its heads after the softmax, so none of them is what it uses."
    return (
        "It computes no softmax that can be seen: either a kernel of its own hides the weights (flex "
        "attention, xformers), or it weighs channels or places without comparing queries with keys."
    )


def why_not(network: Network) -> str:
    """Say in a sentence why a network has no attention maps; ``""`` when it has."""
    known = survey(network)
    if known.maps:
        return ""
    if not known.unread:
        n = len([layer for layer in network.layers if layer.leaf])
        return f"{network.title} has no attention: none of its {n} layers compares queries with keys."
    name, reason = next(iter(known.unread.items()))
    n = len(known.unread)
    return (
        f"The attention of {network.title} cannot be read ({n} layer{'s' if n > 1 else ''}, such as {name}). "
        f"{reason}"
    )


@dataclass(frozen=True)
class Forecast:
    """What a reading will keep.

    Attributes
    ----------
    bytes : int
        Size of all records, without summaries.
    working_bytes : int
        Largest map that is held at once for one stimulus.
    maps : int
        Number of records per batch.
    """

    bytes: int
    working_bytes: int
    maps: int


def forecast(network: Network, keep: Keep | None = None, n_stimuli: int = 1) -> Forecast:
    """Tell how much memory a reading takes, before it runs; for texts, as if all were of the longest."""
    keep = keep or Keep()
    maps = _asked(network, keep)
    largest = max((4 * f.windows * f.heads * f.queries * f.keys for f in maps), default=0)
    return Forecast(n_stimuli * sum(map(keep.bytes, maps)), largest, len(maps))
