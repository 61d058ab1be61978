"""What is kept of a layer's output: all units, a mean over positions, a sample or a projection of units.

Imports torch lazily: the registry and the numbers of units can be asked without it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dashboard.errors import InputError, unknown
from dashboard.networks.network import Layer
from dashboard.reference import Reference, parse

if TYPE_CHECKING:
    import torch

Reduce = Callable[["torch.Tensor"], "torch.Tensor"]
ReduceTokens = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""From outputs (batch, *layer.shape) and the mask of real tokens (batch, tokens) to (batch, units)."""

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
    plan_tokens : callable or None
        As ``plan``, for layers with a row per token of a text; None where texts of different lengths would
        give different units.
    """

    units: Callable[[Layer, Reference], int]
    plan: Callable[[Layer, Reference], Reduce]
    options: tuple[str, ...]
    sentence: str
    plan_tokens: Callable[[Layer, Reference], ReduceTokens] | None = None


@dataclass(frozen=True)
class Reducer:
    """A reducer with its options read and checked."""

    ref: Reference
    kind: Kind

    def units(self, layer: Layer) -> int:
        """Return the number of units kept of a layer.

        Raises
        ------
        InputError
            When the reducer would keep every token of texts of different lengths, or the first token of a
            layer without tokens.
        """
        if layer.token_axis is not None and self.kind.plan_tokens is None:
            message = f"{self.ref.name} would keep every token of {layer.name}, and texts differ in length."
            raise InputError(message, "Choose the reducer spatial-mean, or cls for the first token.")
        return self.kind.units(layer, self.ref)

    def plan(self, layer: Layer) -> Reduce:
        """Return the function from (batch, *layer.shape) to (batch, units)."""
        self.units(layer)
        return self.kind.plan(layer, self.ref)

    def plan_tokens(self, layer: Layer) -> ReduceTokens:
        """Return the function from outputs and mask of a layer with tokens of texts to (batch, units)."""
        self.units(layer)
        assert self.kind.plan_tokens is not None
        return self.kind.plan_tokens(layer, self.ref)


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


def _plan_mean_of_tokens(layer: Layer, ref: Reference) -> ReduceTokens:
    """Average over the tokens of the text; what stands at padded places, even NaN, does not count."""
    axis, channel = layer.token_axis or 0, layer.channel_axis

    def reduce(output: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        tokens = output.movedim(1 + axis, 1)
        keep = keep.to(tokens.device).view(*keep.shape, *(1,) * (tokens.dim() - 2))
        mean = tokens.where(keep, 0).sum(1) / keep.sum(1)
        if mean.dim() < 3 or channel is None:
            return mean.flatten(1)
        place = channel - (channel > axis)
        return mean.movedim(1 + place, -1).flatten(1, -2).mean(1)

    return reduce


# --- the unit in the middle ------------------------------------------------------------------------


def patch_grid(layer: Layer) -> tuple[int, int] | None:
    """Return how many tokens come before the patches and the side of their square, or None.

    Only for outputs of (tokens, features): what is left after a class token, a distillation token or up to
    four registers must be a square number.
    """
    if layer.channel_axis != 1 or len(layer.shape) != 2 or layer.token_axis is not None:
        return None
    for before in range(6):
        side = round((layer.shape[0] - before) ** 0.5)
        if side > 1 and side * side == layer.shape[0] - before:
            return before, side
    return None


def _plan_centre(layer: Layer, ref: Reference) -> Reduce:
    axis, shape = layer.channel_axis, layer.shape
    grid = patch_grid(layer)
    if grid is not None:
        middle = grid[0] + (grid[1] // 2) * grid[1] + grid[1] // 2
        return lambda output: output[:, middle].clone()
    if axis is None or len(shape) < 3:
        return _plan_all(layer, ref)
    place = tuple(slice(None) if k == axis else size // 2 for k, size in enumerate(shape))
    return lambda output: output[(slice(None), *place)].clone()


def _units_centre(layer: Layer, ref: Reference) -> int:
    return layer.channels if len(layer.shape) > 2 or patch_grid(layer) is not None else layer.units


# --- the first token -------------------------------------------------------------------------------


def _has_first_token(layer: Layer) -> bool:
    return len(layer.shape) == 2 and layer.channel_axis == 1


def _units_first(layer: Layer, ref: Reference) -> int:
    if len(layer.shape) > 1 and layer.token_axis is None and not _has_first_token(layer):
        message = f"The reducer cls keeps the first token, and {layer.name} has no tokens."
        raise InputError(message, "Leave it out, or choose the reducer spatial-mean.")
    return layer.channels


def _plan_first(layer: Layer, ref: Reference) -> Reduce:
    if not _has_first_token(layer):
        return _plan_all(layer, ref)
    return lambda output: output[:, 0].clone()


def _plan_first_token(layer: Layer, ref: Reference) -> ReduceTokens:
    axis, channel = layer.token_axis or 0, layer.channel_axis or 0

    def reduce(output: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        first = output.select(1 + axis, 0)
        place = channel - (channel > axis)
        return first.movedim(1 + place, -1).flatten(1, -2).mean(1) if first.dim() > 2 else first.clone()

    return reduce


# --- the highest place of each channel -------------------------------------------------------------


def _peak_channels(layer: Layer) -> int:
    return 1 if layer.channel_axis is None and layer.token_axis is not None else layer.channels


def _plan_peak(layer: Layer, ref: Reference) -> Reduce:
    n = _peak_channels(layer)

    def reduce(output: torch.Tensor) -> torch.Tensor:
        import torch

        first = output if layer.channel_axis is None else output.movedim(1 + layer.channel_axis, 1)
        channels = first.reshape(len(output), n, -1)
        highest, place = channels.max(2)
        return torch.cat([highest, place.to(highest.dtype), channels.mean(2)], 1)

    return reduce


def _plan_peak_token(layer: Layer, ref: Reference) -> ReduceTokens:
    """As `_plan_peak` over the tokens of the text; the place counts tokens, padded ones left out."""
    axis, channel = layer.token_axis or 0, layer.channel_axis

    def reduce(output: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        import torch

        tokens = output.movedim(1 + axis, 1)
        if channel is not None:
            tokens = tokens.movedim(1 + channel + (channel < axis), -1)
        tokens = tokens.reshape(len(tokens), tokens.shape[1], -1, _peak_channels(layer)).amax(2)
        there = keep.to(tokens.device)[:, :, None]
        highest, place = tokens.masked_fill(~there, -torch.inf).max(1)
        mean = tokens.where(there, 0).sum(1) / there.sum(1)
        return torch.cat([highest, place.to(highest.dtype), mean], 1)

    return reduce


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
        "Each channel is averaged over positions (each feature over the tokens of the text).",
        _plan_mean_of_tokens,
    ),
    "cls": Kind(
        _units_first,
        _plan_first,
        (),
        "Of a transformer only the first token is kept, which stands for the whole picture or text.",
        _plan_first_token,
    ),
    "centre": Kind(
        _units_centre,
        _plan_centre,
        (),
        "Of each channel only the unit in the middle of the picture is kept, as an electrode would.",
    ),
    "peak": Kind(
        lambda layer, ref: 3 * _peak_channels(layer),
        _plan_peak,
        (),
        "Of each channel three numbers are kept: its maximum over positions, where that is, and its mean.",
        _plan_peak_token,
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
