"""The table of a network's layers: every call of a module in execution order, with shape and kind.

The table is made on a copy without memory (torch's meta device), else by real forward passes. Choosing layers
from it does not import torch; making it does.
"""

from __future__ import annotations

import copy
import fnmatch
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dashboard.errors import InputError, unknown
from dashboard.networks.network import Layer

if TYPE_CHECKING:
    import torch
    from torch import nn

MOST_DEFAULTS = 10
FEW = 5
_TRUNK_SHARE = 1 / 3
_CHANNELS_FIRST = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm2d", "MaxPool", "AvgPool")
_CHANNELS_LAST = ("Linear", "LayerNorm", "MultiheadAttention", "Embedding", "LSTM", "GRU", "RNN")
_PLAIN_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


# --- choosing, without torch -----------------------------------------------------------------------


def select(layers: Sequence[Layer], patterns: Iterable[str] = ()) -> tuple[Layer, ...]:
    """Choose layers by name, in execution order.

    Parameters
    ----------
    layers : sequence of Layer
        The table of a network.
    patterns : iterable of str
        Nothing for the default selection, ``"all"``, ``"leaves"`` (layers without layers inside), exact
        names, or globs such as ``"features.*"``.

    Raises
    ------
    InputError
        When a name or glob matches no layer; it tells the nearest names.
    """
    patterns = tuple(patterns)
    if not patterns:
        return tuple(layer for layer in layers if layer.default)
    names = [layer.name for layer in layers]
    chosen: set[str] = set()
    for pattern in patterns:
        chosen.update(_matching(pattern, layers, names))
    return tuple(layer for layer in layers if layer.name in chosen)


def _matching(pattern: str, layers: Sequence[Layer], names: list[str]) -> list[str]:
    if pattern in names:
        return [pattern]
    if pattern == "all":
        return names
    if pattern == "leaves":
        return [layer.name for layer in layers if layer.leaf]
    found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        raise unknown("layer", pattern, names)
    return found


# --- making the table, with torch ------------------------------------------------------------------


@dataclass
class _Call:
    """One call of a module as the hooks saw it."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    given: tuple[int, ...] = ()


@dataclass
class _Layout:
    """Which axis counted channels in the last output, and how many there were."""

    axis: int = 0
    channels: int | None = None


@dataclass
class Recorder:
    """Names the calls of modules: ``relu``, then ``relu:2``."""

    counts: Counter[str] = field(default_factory=Counter)

    def call(self, name: str) -> str:
        """Return the name of the next call of a module."""
        self.counts[name] += 1
        return name if self.counts[name] == 1 else f"{name}:{self.counts[name]}"


def tabulate(module: nn.Module, input_shape: Sequence[int], texts: bool = False) -> tuple[Layer, ...]:
    """Return the table of layers; the module is left as it is, also when it is in train mode.

    Two runs, with one and with two stimuli, show which axis counts stimuli. An output that does not depend on
    the number of stimuli (a table of positions, say) has no row, because it is not a response to a stimulus;
    of an output of several tensors the first counts. An axis that counts more rows than stimuli (the windows
    of an attention block, say) is taken to hold the rows of one stimulus side by side. For text networks a
    third run, one token shorter, shows which axis counts tokens; an output in which several do has no row.

    Parameters
    ----------
    module : nn.Module
        The network.
    input_shape : sequence of int
        Shape of one input, without the batch; of a text network the last axis counts tokens.
    texts : bool, optional
        Whether it is a text network.

    Raises
    ------
    InputError
        When the network cannot process inputs of this shape.
    """
    shape = tuple(input_shape)
    inputs = [(1, *shape), (2, *shape)] + ([(1, *shape[:-1], shape[-1] - 1)] if texts else [])
    one, two, *shorter = _runs(module, inputs)
    short = {call.name: call.shape for call in (shorter[0] if shorter else one)}
    if [call.name for call in one] != [call.name for call in two]:
        message = "The network runs other layers for two stimuli than for one."
        raise InputError(message, "It cannot be analysed stimulus by stimulus.")
    rows, layout = [], _Layout()
    depth = {name: name.count(".") for name, _ in module.named_modules()}
    for a, b in zip(one, two, strict=True):
        where = _batch_axis(a.shape, b.shape)
        if where is None:
            continue
        axis, per_stimulus = where
        tokens = _grown(short.get(a.name, a.shape), a.shape)
        if len(tokens) > 1 or (tokens and (per_stimulus > 1 or tokens[0] == axis)):
            continue
        shape = a.shape[:axis] + a.shape[axis + 1 :] if per_stimulus == 1 else a.shape[:axis] + a.shape[axis:]
        row = _row(a, shape, axis, layout, depth)
        rows.append(_with_tokens(row, tokens[0] - (tokens[0] > axis)) if tokens else row)
    return _with_defaults(module, rows)


def _with_tokens(row: Layer, axis: int) -> Layer:
    """Return the row of a layer whose axis ``axis`` counts tokens, which are not channels."""
    channels = row.channel_axis
    if channels == axis:
        channels = next((i for i in reversed(range(len(row.shape))) if i != axis), None)
    return replace(row, token_axis=axis, channel_axis=channels)


def _runs(module: nn.Module, inputs: list[tuple[int, ...]]) -> list[list[_Call]]:
    """Return the calls of one forward pass per input shape, without memory for the weights if possible."""
    try:
        ghost = on_meta(module)
        return [_run(ghost, shape, "meta") for shape in inputs]
    except Exception:  # a forward that looks at values cannot run without any
        pass
    try:
        real = shared_copy(module)
        return [_run(real, shape, "cpu") for shape in inputs]
    except Exception as error:
        size = " × ".join(map(str, inputs[0][1:]))
        message = f"The network cannot process an input of {size}."
        raise InputError(message, "Check its preprocessing and its input size.") from error


def _run(module: nn.Module, shape: tuple[int, ...], where: str) -> list[_Call]:
    import torch

    calls: list[_Call] = []
    recorder = Recorder()

    def hook(name: str) -> Any:
        def remember(inner: nn.Module, inputs: Any, output: Any) -> None:
            call = recorder.call(name)
            tensor, given = first_tensor(output), first_tensor(inputs)
            if tensor is not None and tensor.dim() > 0:
                shape = () if given is None else tuple(given.shape[1:])
                calls.append(_Call(call, inner, tuple(tensor.shape), shape))

        return remember

    handles = [inner.register_forward_hook(hook(name)) for name, inner in module.named_modules() if name]
    try:
        with torch.inference_mode():
            module.eval()(torch.zeros(shape, device=where))
    finally:
        for handle in handles:
            handle.remove()
    return calls


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return the output, or the first tensor in an output of several (tuple, list, dict or record)."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        return next((t for t in map(first_tensor, output) if t is not None), None)
    return None


def on_meta(module: nn.Module) -> nn.Module:
    """Return a copy of a module whose weights have shapes but no memory."""
    from torch import nn

    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().to("meta"), requires_grad=False) for p in module.parameters()
    }
    memo.update({id(b): b.detach().to("meta") for b in module.buffers()})
    return copy.deepcopy(module, memo).eval()


def without_weights() -> AbstractContextManager[Any]:
    """Return a context in which modules are built without memory and nothing is drawn for them."""
    import torch

    return torch.device("meta")


def zeroed(module: nn.Module) -> None:
    """Give every weight and buffer that has no memory one zero, shown at all its places; in place."""
    import torch
    from torch import nn

    for inner in module.modules():
        for name, held in (*inner.named_parameters(recurse=False), *inner.named_buffers(recurse=False)):
            if held.is_meta:
                shown = torch.zeros((), dtype=held.dtype).expand(held.shape)
                is_weight = isinstance(held, nn.Parameter)
                setattr(inner, name, nn.Parameter(shown, requires_grad=False) if is_weight else shown)


def shared_copy(module: nn.Module) -> nn.Module:
    """Return a copy with module objects of its own that shares weights and buffers with the original.

    Hooks on the copy are seen by nobody else, and it takes no memory to speak of.
    """
    memo: dict[int, Any] = {id(p): p for p in module.parameters()}
    memo.update({id(b): b for b in module.buffers()})
    return copy.deepcopy(module, memo).eval()


def _batch_axis(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the axis that grows with the batch and its size per stimulus (windows of a Swin block, say)."""
    grown = _grown(one, two)
    if len(grown) != 1 or two[grown[0]] != 2 * one[grown[0]]:
        return None
    return grown[0], one[grown[0]]


def _grown(one: tuple[int, ...], two: tuple[int, ...]) -> list[int]:
    """Return the axes in which two shapes differ; none when they have not as many axes."""
    if len(one) != len(two):
        return []
    return [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]


def _row(call: _Call, shape: tuple[int, ...], axis: int, layout: _Layout, depth: dict[str, int]) -> Layer:
    units = 1
    for n in shape:
        units *= n
    leaf = next(call.module.children(), None) is None
    _follow(layout, call.module, shape, leaf)
    return Layer(
        name=call.name,
        kind=type(call.module).__name__,
        shape=shape,
        parameters=sum(p.numel() for p in call.module.parameters()),
        units=units,
        depth=depth.get(call.name.partition(":")[0], 0),
        leaf=leaf,
        batch_axis=axis,
        channel_axis=_channel_axis(layout, shape),
        given=call.given,
    )


def _follow(layout: _Layout, module: nn.Module, shape: tuple[int, ...], leaf: bool) -> None:
    """Update which axis counts channels when a module fixes it; other modules keep what came in."""
    kind = type(module).__name__
    if not shape or not leaf and kind != "MultiheadAttention":
        return
    if kind == "Permute":
        layout.axis = 0 if list(getattr(module, "dims", ()))[1:2] == [3] else len(shape) - 1
    elif any(word in kind for word in _CHANNELS_FIRST):
        layout.axis = 0
    elif any(word in kind for word in _CHANNELS_LAST):
        layout.axis = len(shape) - 1
    else:
        return
    layout.channels = shape[layout.axis]


def _channel_axis(layout: _Layout, shape: tuple[int, ...]) -> int | None:
    """Return the axis that counts channels: the one with the known number, else the last known side."""
    if not shape:
        return None
    fitting = [i for i in (0, len(shape) - 1) if shape[i] == layout.channels]
    if len(set(fitting)) == 1:
        return fitting[0]
    return 0 if layout.axis == 0 else len(shape) - 1


# --- the default selection -------------------------------------------------------------------------


def _with_defaults(module: nn.Module, rows: list[Layer]) -> tuple[Layer, ...]:
    """Mark about eight layers: the outermost blocks, and convolutions and linear layers outside of blocks.

    A small network shows all its layers, a text network its blocks. A layer of one unit has no pattern, so it
    is not marked.
    """
    rows_with_pattern = [row for row in rows if row.units > 1]
    outer = set(_outermost(module))
    blocks = _repeated(module, outer) if any(row.token_axis is not None for row in rows) else set()
    candidates = [row.name for row in rows_with_pattern if row.name.partition(":")[0] in (blocks or outer)]
    leaves = [row.name for row in rows_with_pattern if row.leaf]
    if not candidates or (not blocks and len(candidates) < FEW and len(leaves) <= MOST_DEFAULTS):
        candidates = leaves
    kept = set(_thinned(candidates, MOST_DEFAULTS))
    return tuple(replace(row, default=row.name in kept) for row in rows)


def _repeated(module: nn.Module, names: set[str]) -> set[str]:
    """Return those of the names that belong to blocks of a kind that occurs more than once."""
    kinds = Counter(type(inner).__name__ for inner in module.modules())
    return {
        name
        for name, inner in module.named_modules()
        if name in names and next(inner.children(), None) is not None and kinds[type(inner).__name__] > 1
    }


def _outermost(module: nn.Module) -> list[str]:
    """Return the names of blocks, from the outside in, and of weighted layers that lie in no block."""
    kinds = Counter(type(inner).__name__ for inner in module.modules())
    total = max(sum(p.numel() for p in module.parameters()), 1)
    found = []

    def look(inner: nn.Module, path: str) -> None:
        for name, child in inner.named_children():
            where = f"{path}{name}"
            if next(child.children(), None) is None:
                if _is_weighted(child):
                    found.append(where)
            elif _is_block(child, kinds, total):
                found.append(where)
            else:
                look(child, f"{where}.")

    look(module, "")
    return found


def _is_weighted(leaf: nn.Module) -> bool:
    """Tell convolutions, linear and recurrent layers from normalisations and activations."""
    return "Norm" not in type(leaf).__name__ and any(p.dim() > 1 for p in leaf.parameters(recurse=False))


def _is_block(module: nn.Module, kinds: Counter[str], total: int) -> bool:
    """Tell a block from a container and from the one trunk that holds the blocks."""
    kind = type(module).__name__
    size = sum(p.numel() for p in module.parameters())
    if kind in _PLAIN_CONTAINERS or size == 0:
        return False
    return kinds[kind] > 1 or size / total < _TRUNK_SHARE


def _thinned(names: list[str], most: int) -> list[str]:
    """Return at most ``most`` names, evenly spread, with the first and the last."""
    if len(names) <= most:
        return names
    step = (len(names) - 1) / (most - 1)
    return [names[round(i * step)] for i in range(most)]
