"""Which units of the neighbouring weighted layers one unit is wired to, and how strongly.

What lies between two weighted layers (normalisation, rectifier, pooling, sums and joins of branches) is not
known by name but probed: every weighted layer's output is replaced by noise, so that nothing passes a weight,
and what still depends on what is a direct connection. Shortcuts and branches are included.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from dashboard.errors import InputError
from dashboard.networks.layers import Recorder, shared_copy
from dashboard.networks.network import Layer, Network

PROBES = 8
"""Inputs of noise that are tried at once: what a rectifier or a pooling shuts off in one, another lets
through."""

DIRECT = 0.1
"""A channel counts as connected when it depends on the unit at least so much as the one that does most: a
normalisation over channels makes all of them depend a little."""

OPAQUE = (nn.RNNBase, nn.MultiheadAttention)
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)
PICTURE = "the input itself"
Kind = Literal["norm", "weight"]


@dataclass(frozen=True)
class Connection:
    """One connection.

    Attributes
    ----------
    layer : str
        The weighted layer at the other end; `PICTURE` for the channels of the network's input.
    unit : int
        The unit there.
    strength : float
        The weight, or the norm of all weights of the kernel.
    kind : "norm" or "weight"
    through : str
        The layer whose weights these are.
    also : tuple of str
        Other layers that feed the same channel, through a shortcut or a branch.
    """

    layer: str
    unit: int
    strength: float
    kind: Kind
    through: str
    also: tuple[str, ...] = ()


class _Probe:
    """Forward passes in which every weighted layer gives noise that depends on its name alone."""

    def __init__(self, network: Network) -> None:
        self.module = shared_copy(network.module)
        self.network = network
        self.inputs: dict[str, torch.Tensor] = {}
        self.outputs: dict[str, torch.Tensor] = {}
        self.gradients = False
        self._given: torch.Tensor | None = None
        self._recorder = Recorder()
        self._of = {id(m): n for n, m in self.module.named_modules() if isinstance(m, WEIGHTED)}
        for inner in self.module.modules():
            if id(inner) in self._of:
                inner.register_forward_hook(self._hook)

    def _hook(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        call = self._recorder.call(self._of[id(module)])
        self.inputs[call] = inputs[0].clone()
        noise = _noise(call, output.shape).requires_grad_(self.gradients)
        self.outputs[call] = noise
        return noise.clone()  # what comes next may write into it

    def run(self, layer: Layer | None = None, change: Callable[[torch.Tensor], Any] | None = None) -> None:
        """Run the network; what ``change`` gives takes the place of the layer's output."""
        self.inputs, self.outputs, self._recorder = {}, {}, Recorder()
        recorder, handle = Recorder(), None
        if layer is not None and change is not None:
            name = layer.name.partition(":")[0]

            def swap(_module: nn.Module, _inputs: Any, output: Any) -> Any:
                return change(output) if recorder.call(name) == layer.name else None

            handle = self.module.get_submodule(name).register_forward_hook(swap)
        try:
            with torch.set_grad_enabled(self.gradients):
                self.module(self.input().clone())
        finally:
            if handle is not None:
                handle.remove()

    def input(self) -> torch.Tensor:
        """Return the network's input, noise as well."""
        if self._given is None:
            self._given = _noise("input", (PROBES, *self.network.input_shape))
        return self._given.requires_grad_(self.gradients)


def _noise(name: str, shape: Any) -> torch.Tensor:
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(tuple(shape), generator=random)


def check(network: Network) -> None:
    """Refuse networks of which the connections are not fixed weights.

    Raises
    ------
    InputError
    """
    if network.text is not None:
        message = f"{network.title} reads texts: the connections of its units are not looked up."
        raise InputError(message, "Choose a network that sees pictures.")
    for name, inner in network.module.named_modules():
        if isinstance(inner, OPAQUE):
            message = f"{name} of {network.title} is a {type(inner).__name__}: what it passes on depends on "
            raise InputError(
                f"{message}more than fixed weights.",
                "Connections are shown for networks without such layers.",
            )


def outgoing(network: Network, layer: Layer, unit: int) -> list[Connection]:
    """Return the connections of a unit to the units of the weighted layers that read it, in their order.

    Parameters
    ----------
    network : Network
    layer : Layer
    unit : int

    Raises
    ------
    InputError
        When connections are not fixed weights, or the layer's output is not a single tensor.
    """
    check(network)
    probe = _Probe(network)
    base = _noise(f"{layer.name} as it was", (PROBES, *layer.shape))
    changed = base.clone()
    axis = layer.channel_axis
    part = changed if axis is None else changed.select(1 + axis, unit)
    part.copy_(_noise(f"{layer.name} changed", part.shape))

    def put(value: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        def change(output: torch.Tensor) -> torch.Tensor:
            if not isinstance(output, torch.Tensor) or output.numel() != value.numel():
                message = f"{layer.name} gives more than one output, so that its connections are not known."
                raise InputError(message, "Choose a layer inside it.")
            return value.movedim(0, layer.batch_axis).reshape(output.shape).clone()

        return change

    seen = []
    for value in (base, changed):
        probe.run(layer, put(value))
        seen.append(probe.inputs)
    found: list[Connection] = []
    for call, before in seen[0].items():
        name = call.partition(":")[0]
        if call == layer.name or call not in seen[1]:
            continue
        channels = _changed(before, seen[1][call], probe.module.get_submodule(name))
        if channels:
            found += _from_channels(call, probe.module.get_submodule(name), channels)
    return found


def _changed(before: torch.Tensor, after: torch.Tensor, module: nn.Module) -> list[int]:
    """Return the channels of a weighted layer's input that differ."""
    rows = _channels_first((after - before).abs(), module)
    size = rows.flatten(1).mean(1)
    most = float(size.max())
    return (size > DIRECT * most).nonzero().flatten().tolist() if most > 0 else []


def _channels_first(x: torch.Tensor, module: nn.Module) -> torch.Tensor:
    if isinstance(module, nn.Linear):
        return x.movedim(-1, 0)
    return x.movedim(-2 if isinstance(module, nn.Conv1d) else -3, 0)


def _from_channels(call: str, module: nn.Module, channels: list[int]) -> list[Connection]:
    """Return how each unit of a weighted layer weighs some channels of its input, taken together."""
    weight = _full(module)[:, channels].flatten(1)
    if weight.shape[1] == 1:
        return [Connection(call, k, float(w), "weight", call) for k, w in enumerate(weight[:, 0])]
    return [Connection(call, k, float(w), "norm", call) for k, w in enumerate(weight.norm(dim=1))]


def _full(module: nn.Module) -> torch.Tensor:
    """Return weights (units, channels, …) float64, those between groups of a convolution filled with zero."""
    weight = module.weight.detach().to("cpu", torch.float64)  # type: ignore[union-attr,operator]
    groups = int(getattr(module, "groups", 1))
    if groups == 1:
        return weight
    n, each = weight.shape[0] // groups, weight.shape[1]
    full = weight.new_zeros((weight.shape[0], each * groups, *weight.shape[2:]))
    for g in range(groups):
        full[g * n : (g + 1) * n, g * each : (g + 1) * each] = weight[g * n : (g + 1) * n]
    return full


def incoming(network: Network, layer: Layer, unit: int, most: int = 10) -> list[Connection]:
    """Return the strongest connections from units of earlier weighted layers to a unit, strongest first.

    A layer without weights is fed by the weighted layers before it (two of them behind a shortcut): their
    kernels count, all together.

    Raises
    ------
    InputError
        When connections are not fixed weights.
    """
    check(network)
    probe = _Probe(network)
    probe.gradients = True
    kept: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> None:
        if isinstance(output, torch.Tensor):
            kept.append(output)

    probe.run(layer, keep)
    feeders = [(layer.name, unit)] if layer.name in probe.inputs else _feeders(probe, kept, layer, unit)
    strengths = [
        (call, channel, *_strength(probe, call, k, channel))
        for call, k in feeders
        for channel in _strongest(probe.module.get_submodule(call.partition(":")[0]), k, most)
    ]
    strengths.sort(key=lambda one: -abs(one[2]))
    found = []
    for call, channel, strength, kind in strengths[:most]:
        *others, (source, k) = _sources(probe, call, channel) or [(PICTURE, channel)]
        also = tuple(name for name, _ in others)
        found.append(Connection(source, k, strength, kind, call, also))
    return found


def _feeders(probe: _Probe, kept: list[torch.Tensor], layer: Layer, unit: int) -> list[tuple[str, int]]:
    """Return the units of weighted layers that reach a unit of a layer without weights of its own."""
    if not kept:
        return []
    output = kept[0].movedim(layer.batch_axis, 0)
    rows = output if layer.channel_axis is None else output.select(1 + layer.channel_axis, unit)
    return _depends(probe, rows)


def _depends(probe: _Probe, rows: torch.Tensor) -> list[tuple[str, int]]:
    """Return the channel of each weighted layer (or of the input) on which some numbers depend most."""
    leaves = {PICTURE: probe.input(), **probe.outputs}  # the nearest last
    if not rows.requires_grad:
        return []
    mixed = (rows * _noise("mix", rows.shape)).sum()
    gradients = torch.autograd.grad(mixed, list(leaves.values()), allow_unused=True, retain_graph=True)
    found = []
    for (call, _), gradient in zip(leaves.items(), gradients, strict=True):
        if gradient is None or not bool((gradient != 0).any()):
            continue
        if call == PICTURE:
            size = gradient.abs().flatten(2).sum((0, 2)) if gradient.dim() > 2 else gradient.abs().sum(0)
        else:
            module = probe.module.get_submodule(call.partition(":")[0])
            size = _channels_first(gradient.abs(), module).flatten(1).sum(1)
        found.append((call, int(size.argmax())))
    return found


def _strongest(module: nn.Module, unit: int, most: int) -> list[int]:
    size = _full(module)[unit].reshape(-1, _kernel(module)).norm(dim=1)
    order = torch.argsort(size, descending=True, stable=True)[:most]
    return [int(k) for k in order if size[k] > 0]


def _kernel(module: nn.Module) -> int:
    """Return how many weights join one channel of the input with one unit."""
    return int(module.weight[0, 0].numel())  # type: ignore[union-attr,index,operator]


def _strength(probe: _Probe, call: str, unit: int, channel: int) -> tuple[float, Kind]:
    weight = _full(probe.module.get_submodule(call.partition(":")[0]))[unit, channel]
    return (float(weight), "weight") if weight.numel() == 1 else (float(weight.norm()), "norm")


def _sources(probe: _Probe, call: str, channel: int) -> list[tuple[str, int]]:
    """Return the units that give a channel of a weighted layer's input, several behind a shortcut."""
    module = probe.module.get_submodule(call.partition(":")[0])
    return _depends(probe, _channels_first(probe.inputs[call], module)[channel])
