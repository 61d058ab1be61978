"""What is kept of a layer's output: all units, a mean over positions, a sample or a projection of units.

Imports torch lazily: the registry and the numbers of units can be asked without it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dashboard.errors import unknown
from dashboard.networks.network import Layer
from dashboard.reference import Reference, parse

if TYPE_CHECKING:
    import torch

Reduce = Callable[["torch.Tensor"], "torch.Tensor"]

DEFAULT_SUBSET = 4096
DEFAULT_PROJECTION = 1024


@dataclass(frozen=True)
class Kind:
    """One way to reduce a layer.

    Attributes
    ----------
    units : callable
        Number of units kept of a layer.
    plan : callable
        The function that turns an output, (batch, *layer.shape), into (batch, units) on the same device.
    options : tuple of str
        Options of its reference.
    sentence : str
        What it does, for pages.
    """

    units: Callable[[Layer, Reference], int]
    plan: Callable[[Layer, Reference], Reduce]
    options: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Reducer:
    """A reducer with its options read and checked."""

    ref: Reference
    kind: Kind

    def units(self, layer: Layer) -> int:
        """Return the number of units kept of a layer."""
        return self.kind.units(layer, self.ref)

    def plan(self, layer: Layer) -> Reduce:
        """Return the function from (batch, *layer.shape) to (batch, units)."""
        return self.kind.plan(layer, self.ref)


def reducer(reference: str = "all") -> Reducer:
    """Read the reference of a reducer, such as ``"subset?n=4096&seed=0"``.

    Raises
    ------
    InputError
        When there is no such reducer or option.
    """
    ref = parse(reference)
    if ref.name not in REDUCERS:
        raise unknown("reducer", ref.name, REDUCERS)
    kind = REDUCERS[ref.name]
    ref.check_options(kind.options)
    if "n" in kind.options:
        _number(ref)
    if "seed" in kind.options:
        ref.integer("seed", 0)
    return Reducer(ref, kind)


def _number(ref: Reference) -> int:
    default = DEFAULT_SUBSET if ref.name == "subset" else DEFAULT_PROJECTION
    return ref.integer("n", default, low=1, high=1_000_000)


def _generator(layer: Layer, ref: Reference) -> np.random.Generator:
    """Return the random numbers of one layer: they depend on the seed and the layer's name alone."""
    return np.random.default_rng([ref.integer("seed", 0), zlib.crc32(layer.name.encode())])


# --- all units -------------------------------------------------------------------------------------


def _plan_all(layer: Layer, ref: Reference) -> Reduce:
    # A copy, because a later in-place operation (ReLU) would rewrite the output.
    return lambda output: output.flatten(1).clone()


# --- mean over positions ---------------------------------------------------------------------------


def _plan_mean(layer: Layer, ref: Reference) -> Reduce:
    axis = layer.channel_axis
    if axis is None or len(layer.shape) < 2:
        return _plan_all(layer, ref)
    if axis == 0:
        return _mean_of_maps
    return lambda output: output.flatten(1, -2).mean(1)


def _mean_of_maps(output: torch.Tensor) -> torch.Tensor:
    """Average (batch, channels, …) over positions to (batch, channels).

    A product with a vector reads each number once by the fastest routine there is; it takes down to half the
    time of ``mean`` on small maps.
    """
    maps = output.flatten(2)
    n = maps.shape[-1]
    weights = maps.new_full((n,), 1 / n)
    return maps.reshape(-1, n).mv(weights).view(maps.shape[:2])


# --- a fixed random subset of units ----------------------------------------------------------------


def subset(layer: Layer, ref: Reference) -> np.ndarray:
    """Return the positions, (n,) sorted, of the units kept of a flattened output."""
    n = min(_number(ref), layer.units)
    return np.sort(_generator(layer, ref).choice(layer.units, n, replace=False))


def _plan_subset(layer: Layer, ref: Reference) -> Reduce:
    if layer.units <= _number(ref):
        return _plan_all(layer, ref)
    import torch

    units = torch.from_numpy(subset(layer, ref))
    return lambda output: output.flatten(1).index_select(1, units.to(output.device))


# --- sparse random projection ----------------------------------------------------------------------


def projection(layer: Layer, ref: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a sparse random matrix, (n, units), as row starts (n + 1), columns and values (CSR).

    Entries are +√(s/n) or −√(s/n) with probability 1/(2 s) each, else 0, with s = √units: squared lengths and
    distances are kept on average. It takes about 8 n √units bytes. A mean over units is not kept: for the
    correlation distance use ``centre``, which subtracts each pattern's mean first.

    Notes
    -----
    Achlioptas 2003, J Comput Syst Sci 66:671 (s = 3); Li, Hastie & Church 2006, KDD (s = √units).
    """
    n, units = _number(ref), layer.units
    rng = _generator(layer, ref)
    s = float(np.sqrt(units))
    counts = rng.binomial(units, 1 / s, size=n)
    columns = np.concatenate([np.sort(rng.choice(units, k, replace=False)) for k in counts])
    values = rng.choice(np.array([-1, 1], np.float32), size=len(columns)) * np.float32(np.sqrt(s / n))
    starts = np.concatenate([[0], np.cumsum(counts)])
    return starts.astype(np.int32), columns.astype(np.int32), values.astype(np.float32)


def _plan_projection(layer: Layer, ref: Reference) -> Reduce:
    if layer.units <= _number(ref):
        return _plan_all(layer, ref)
    import torch

    starts, columns, values = (torch.from_numpy(part) for part in projection(layer, ref))
    centre = "centre" in ref.options

    def reduce(output: torch.Tensor) -> torch.Tensor:
        flat = output.flatten(1).float()
        if centre:
            flat = flat - flat.mean(1, keepdim=True)
        where = flat.device
        # The units are the rows of a table; each result is a weighted sum of a bag of rows.
        bags = torch.nn.functional.embedding_bag(
            columns.to(where),
            flat.T.contiguous(),
            starts.to(where),
            mode="sum",
            per_sample_weights=values.to(where),
            include_last_offset=True,
        )
        return bags.T.contiguous()

    return reduce


REDUCERS: dict[str, Kind] = {
    "all": Kind(lambda layer, ref: layer.units, _plan_all, (), "Every unit is kept."),
    "spatial-mean": Kind(
        lambda layer, ref: layer.channels,
        _plan_mean,
        (),
        "Each channel is averaged over positions (each feature over tokens).",
    ),
    "subset": Kind(
        lambda layer, ref: min(layer.units, _number(ref)),
        _plan_subset,
        ("n", "seed"),
        "A fixed random sample of units is kept.",
    ),
    "projection": Kind(
        lambda layer, ref: min(layer.units, _number(ref)),
        _plan_projection,
        ("n", "seed", "centre"),
        "Units are mixed by a fixed sparse random matrix that keeps distances on average; with centre, the "
        "mean over units is taken off first, as the correlation distance needs.",
    ),
}
"""Every reducer by name."""
