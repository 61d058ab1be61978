"""Theoretical receptive fields: which pixels a unit can depend on, found by touching every pixel once.

The network's own forward pass runs on a strip of picture, one pixel high: a batch with one stimulus per
pixel, in which only that pixel differs, and one in which none does. A convolution or pooling hands on whether
anything in its window differs, in any channel; normalisations and activations hand on what they get. So a
unit differs for exactly the pixels inside its field, shortcuts and branches included, for all layers at once.
Strips show one axis; both are run when a window is not square. Normalisation over places (GroupNorm) is taken
as local. The definition is that of Araujo, Norris & Sim 2019, Distill.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dashboard.networks.layers import Recorder, first_tensor, shared_copy
from dashboard.networks.network import Layer

STRIPS = (512, 2048)
"""Lengths of the strip that are tried, in pixels: a field that reaches an end needs a longer one."""

MOST_PHASES = 64
"""Units behind an upsampling differ in reach; so many neighbours are looked at."""

MOST_NUMBERS = 10**8
"""Largest output that is looked at; a pass that grows beyond it is given up."""

_LEAST = 1e-6
"""Smallest difference that counts: above rounding, below one pixel in the mean over the longest strip."""

WHOLE = "Its units see the whole picture."
NO_PLACE = "Its units have no place in the picture."
NOT_A_PICTURE = "The input of this network is no picture."
NOT_TRACED = "The field could not be traced through this network."
ATTENTION = "Attention joins distant places, so its units can see the whole picture."
ADAPTIVE = "Adaptive pooling comes before it, so its field depends on the size of the picture."
RECURRENT = "A recurrent layer comes before it, which remembers all that was read."


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer.

    Attributes
    ----------
    pixels : int or None
        Side in pixels of the input, the longer one if they differ; None where there is no such number.
    reason : str
        Why there is none, a sentence; else ``""``.
    """

    pixels: int | None
    reason: str = ""


def fields(module: nn.Module, input_shape: Sequence[int], layers: Iterable[Layer]) -> dict[str, Field]:
    """Return the receptive field of each layer.

    Parameters
    ----------
    module : nn.Module
        The network; left as it is.
    input_shape : sequence of int
        (channels, height, width).
    layers : iterable of Layer
        Layers of that network.

    Returns
    -------
    dict of str to Field
        By the name of the layer.
    """
    layers = list(layers)
    if len(input_shape) != 3:
        return {layer.name: Field(None, NOT_A_PICTURE) for layer in layers}
    open_ = {layer.name: layer for layer in layers if _has_places(layer)}
    found = {layer.name: Field(None, NO_PLACE) for layer in layers if layer.name not in open_}
    across, square = _along(module, input_shape, open_, axis=1)
    if not square:
        down, _ = _along(module, input_shape, open_, axis=0)
        across = {name: _longer(across[name], down[name]) for name in across}
    return {layer.name: {**found, **across}[layer.name] for layer in layers}


def _has_places(layer: Layer) -> bool:
    return len(layer.shape) >= 2 and layer.channel_axis is not None and layer.positions > 1


def _longer(a: Field, b: Field) -> Field:
    if a.pixels is None or b.pixels is None:
        return a if a.pixels is None else b
    return a if a.pixels >= b.pixels else b


# --- one axis of the picture -----------------------------------------------------------------------


def _along(
    module: nn.Module, input_shape: Sequence[int], layers: dict[str, Layer], axis: int
) -> tuple[dict[str, Field], bool]:
    """Return the fields along one axis (0 height, 1 width), and whether all windows were square.

    One channel stands for all. A network that counts its channels (a channel shuffle, say) is run again with
    all of them, and one that insists on the size of its input with that size. What is seen whole is tried
    again on a longer strip.
    """
    short, long = ((length, 1) if axis == 0 else (1, length) for length in STRIPS)
    channels = input_shape[0]
    first = _Trace(layers, axis).run(module, (channels, *short))
    found, rest = first.found, first.limit or _suspected(module)
    for shape, thin in (((channels, *short), False), (tuple(input_shape), True)):
        missed = {name: layer for name, layer in layers.items() if name not in found}
        if missed and not first.limit and (thin or rest == NOT_TRACED):
            found = {**_Trace(missed, axis, thin).run(module, shape).found, **found}
    whole = {name: layer for name, layer in layers.items() if first.found.get(name) == Field(None, WHOLE)}
    if whole:
        found = {**found, **_Trace(whole, axis).run(module, (channels, *long)).found}
    return {name: found.get(name, Field(None, rest)) for name in layers}, first.square


def _suspected(module: nn.Module) -> str:
    """Return why a pass most likely did not reach a layer, where it broke off without a word."""
    if any("attention" in type(inner).__name__.lower() for inner in module.modules()):
        return ATTENTION
    return RECURRENT if any(isinstance(inner, nn.RNNBase) for inner in module.modules()) else NOT_TRACED


class _Stop(Exception):
    """Raised to end a pass when no later layer has a field that could be told."""


@dataclass
class _Trace:
    """One forward pass along a strip, with the field of each layer that it reached."""

    layers: dict[str, Layer]
    axis: int
    thin: bool = True
    found: dict[str, Field] = field(default_factory=dict)
    square: bool = True
    limit: str = ""

    def run(self, module: nn.Module, shape: Sequence[int]) -> _Trace:
        n = shape[1 + self.axis]
        pixels = torch.cat([torch.eye(n), torch.zeros((1, n))]) + 1
        spread = pixels[:, None, :, None] if self.axis == 0 else pixels[:, None, None, :]
        mode, recorder, twin = _Reach(self.axis, self.thin), Recorder(), shared_copy(module)

        def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def read(_module: nn.Module, _inputs: Any, output: Any) -> None:
                call, tensor = recorder.call(name), first_tensor(output)
                if tensor is not None and tensor.numel() > MOST_NUMBERS:
                    raise _Stop
                if call in self.layers and tensor is not None:
                    self.found[call] = self._field(call, tensor, mode)

            return read

        for name, inner in twin.named_modules():
            if name:
                inner.register_forward_hook(hook(name))
        # A forward that insists on sizes stops where they differ; what came before counts.
        with contextlib.suppress(Exception), torch.inference_mode(), mode:
            twin(spread.expand(-1, *shape))
        self.square, self.limit = mode.square, mode.limit
        return self

    def _field(self, call: str, output: torch.Tensor, mode: _Reach) -> Field:
        """Return how many pixels, from the first to the last, reach the unit in the middle."""
        layer = self.layers[call]
        if output.dim() != len(layer.shape) + 1:
            return Field(None, NOT_TRACED)
        with mode.off():
            seen = _differs(output).movedim(1 + (layer.channel_axis or 0), -1).flatten(1, -2).any(-1)[:-1]
        n, units = seen.shape
        middle = units // 2
        seen = seen[:, middle : middle + (MOST_PHASES if mode.upsampled else 1)]
        if not bool(seen.any(0).all()):
            return Field(None, NOT_TRACED)
        low = seen.int().argmax(0)
        high = n - 1 - seen.flip(0).int().argmax(0)
        if int(low.min()) == 0 or int(high.max()) == n - 1:
            return Field(None, WHOLE)
        return Field(int((high - low).max()) + 1)


def _differs(x: torch.Tensor) -> torch.Tensor:
    """Return where each stimulus differs from the last one, in which no pixel was touched."""
    return (x - x[-1:]).abs() > _LEAST


# --- what every operation hands on -----------------------------------------------------------------

_SAME = frozenset(
    ("relu", "relu_", "relu6", "gelu", "silu", "silu_", "hardswish", "hardswish_", "hardsigmoid", "sigmoid")
    + (
        "hardsigmoid_",
        "sigmoid_",
        "tanh",
        "tanh_",
        "leaky_relu",
        "leaky_relu_",
        "elu",
        "elu_",
        "selu",
        "selu_",
    )
    + (
        "celu",
        "celu_",
        "mish",
        "softplus",
        "softsign",
        "prelu",
        "hardtanh",
        "hardtanh_",
        "rrelu",
        "logsigmoid",
    )
    + ("exp", "abs", "square", "sqrt", "clamp", "clamp_", "dropout", "dropout1d", "dropout2d", "dropout3d")
    + ("alpha_dropout", "feature_dropout", "feature_alpha_dropout", "batch_norm", "layer_norm", "group_norm")
    + ("instance_norm", "rms_norm", "normalize", "local_response_norm")
)
"""Operations on each place by itself."""

_ATTENTION = frozenset(
    ("softmax", "scaled_dot_product_attention", "multi_head_attention_forward", "matmul", "__matmul__", "bmm")
    + ("baddbmm", "einsum", "_transformer_encoder_layer_fwd", "_native_multi_head_attention")
)
_RECURRENT = frozenset(
    ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
)
_PRODUCTS = frozenset(("mul", "__mul__", "__rmul__", "multiply", "div", "__truediv__"))

_IN_PLACE: dict[str, Callable[..., torch.Tensor]] = {
    # One channel that stands for all is shown many times, and nothing can be written into it.
    "__iadd__": torch.add,
    "add_": torch.add,
    "__isub__": torch.add,
    "sub_": torch.add,
    "__imul__": torch.mul,
    "mul_": torch.mul,
    "__itruediv__": torch.div,
    "div_": torch.div,
}


class _Reach(TorchFunctionMode):
    """While it is entered, operations hand on along one axis whether anything in their window differs.

    What is handed on is 1, or 2 where it differs from the last stimulus of the batch; sums and products of
    these keep the difference. Subtraction of equal branches aside, nothing cancels.
    """

    def __init__(self, axis: int, thin: bool) -> None:
        super().__init__()
        self.axis = axis
        self.thin = thin
        self.limit = ""
        self.square = True
        self.upsampled = False
        self._rules: dict[str, Callable[..., torch.Tensor]] = {
            "conv2d": self._conv,
            "conv_transpose2d": self._conv_transpose,
            "max_pool2d": self._pool,
            "avg_pool2d": self._pool,
            "adaptive_avg_pool2d": self._adaptive,
            "adaptive_max_pool2d": self._adaptive,
            "interpolate": self._interpolate,
            "linear": self._linear,
            "cat": self._cat,
            "concat": self._cat,
        }

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name in _SAME:
            return next(v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor))
        if name in self._rules:
            return self._rules[name](*args, **kwargs)
        self._note(name)
        func = _IN_PLACE.get(name, func)
        if name in _PRODUCTS or func in (torch.mul, torch.div):
            return self._product(func, *args)
        return func(*args, **kwargs)

    def _product(self, func: Any, *factors: Any) -> torch.Tensor:
        """Multiply, but not with weights: one that is 0 would hide a difference."""
        if self.thin:
            factors = tuple(factor for factor in factors if not isinstance(factor, nn.Parameter))
        else:
            factors = tuple(torch.ones_like(f) if isinstance(f, nn.Parameter) else f for f in factors)
        return func(*factors) if len(factors) > 1 else factors[0]

    def _cat(self, tensors: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
        """Lay branches on each other: with one channel for all, several need no more room."""
        if not self.thin or dim not in (1, -3) or tensors[0].dim() != 4:
            return torch.cat(list(tensors), dim)
        return 1 + torch.stack([_differs(t).any(1, keepdim=True) for t in tensors]).any(0).to(
            tensors[0].dtype
        )

    def _note(self, name: str) -> None:
        if name in _ATTENTION:
            self._stop(ATTENTION)
        if name in _RECURRENT:
            self._stop(RECURRENT)

    def _stop(self, reason: str) -> None:
        """End the pass: no later layer has a field that could be told."""
        self.limit = reason
        raise _Stop

    @staticmethod
    def off() -> contextlib.AbstractContextManager[Any]:
        """Return a context in which operations are themselves."""
        return torch._C.DisableTorchFunction()

    # A value for one axis, and one for (height, width).

    def _one(self, value: Any) -> int:
        if isinstance(value, int):
            return value
        self.square = self.square and len(set(value)) == 1
        return int(value[self.axis]) if len(value) == 2 else int(value[0])

    def _both(self, value: int, other: int) -> tuple[int, int]:
        return (value, other) if self.axis == 0 else (other, value)

    def _strip(self, x: torch.Tensor) -> torch.Tensor:
        """Return 1 where anything across the strip differs, else 0."""
        if 0 in x.shape:
            message = "no channel is left of the one that stands for all"
            raise ValueError(message)
        for axis in (1, 3 - self.axis):  # shown many times, looked at once
            if x.stride(axis) == 0:
                x = x.narrow(axis, 0, 1)
        return _differs(x).any(3 - self.axis, keepdim=True).to(x.dtype)

    def _told(self, found: torch.Tensor, channels: int) -> torch.Tensor:
        marked = 1 + (found > 0).to(found.dtype)
        return marked if self.thin else marked.expand(-1, channels, -1, -1)

    # The operations; arguments as torch has them.

    def _conv(
        self,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> torch.Tensor:
        size, step = self._one(tuple(weight.shape[2:])), self._one(dilation)
        x = self._strip(input).amax(1, keepdim=True)
        before, after = self._padding(padding, step * (size - 1))
        if before or after:
            x = F.pad(x, (0, 0, before, after) if self.axis == 0 else (before, after, 0, 0))
        return self._told(self._windows(x, size, self._one(stride), step), weight.shape[0])

    def _windows(self, x: torch.Tensor, size: int, stride: int, step: int) -> torch.Tensor:
        """Return the largest value in each window; far cheaper than a convolution with ones."""
        axis = 2 + self.axis
        last = x.shape[axis] - 1 - step * (size - 1)
        if last < 0:
            message = "the window is longer than the strip"
            raise ValueError(message)
        places = (slice(None),) * axis
        parts = [x[(*places, slice(k * step, k * step + last + 1, stride))] for k in range(size)]
        found = parts[0]
        for part in parts[1:]:
            found = torch.maximum(found, part)
        return found

    def _padding(self, padding: Any, reach: int) -> tuple[int, int]:
        if padding == "same":
            return reach // 2, reach - reach // 2
        pad = 0 if padding == "valid" else self._one(padding)
        return pad, pad

    def _conv_transpose(
        self,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> torch.Tensor:
        self.upsampled = True
        x = self._strip(input).amax(1, keepdim=True)
        found = F.conv_transpose2d(
            x,
            x.new_ones((1, 1, *self._both(self._one(tuple(weight.shape[2:])), 1))),
            stride=self._both(self._one(stride), 1),
            padding=self._both(self._one(padding), 0),
            output_padding=self._both(self._one(output_padding), 0),
            dilation=self._both(self._one(dilation), 1),
        )
        return self._told(found, weight.shape[1] * groups)

    def _pool(
        self,
        input: torch.Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        *rest: Any,
        **more: Any,
    ) -> torch.Tensor:
        if isinstance(dilation, bool):  # avg_pool2d has ceil_mode in this place
            dilation, ceil_mode = 1, dilation
        size = self._one(kernel_size)
        found = F.max_pool2d(
            self._strip(input),
            self._both(size, 1),
            stride=self._both(size if stride is None or stride == [] else self._one(stride), 1),
            padding=self._both(self._one(padding), 0),
            dilation=self._both(self._one(dilation), 1),
            ceil_mode=ceil_mode,
        )
        return 1 + found

    def _adaptive(self, input: torch.Tensor, output_size: Any, *rest: Any, **more: Any) -> torch.Tensor:
        size = output_size if isinstance(output_size, int) else output_size[self.axis]
        if size != 1:
            self._stop(ADAPTIVE)
        x = self._strip(input)
        return 1 + F.adaptive_max_pool2d(x, self._both(x.shape[2 + self.axis] if size is None else size, 1))

    def _interpolate(
        self,
        input: torch.Tensor,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        *rest: Any,
        **more: Any,
    ) -> torch.Tensor:
        self.upsampled = True
        x = self._strip(input)
        if size is None:
            scale = scale_factor if isinstance(scale_factor, int | float) else scale_factor[self.axis]
            length = int(x.shape[2 + self.axis] * scale)
        else:
            length = size if isinstance(size, int) else int(size[self.axis])
        found = F.interpolate(x, self._both(length, 1), mode=mode, align_corners=align_corners)
        return 1 + (found != 0).to(x.dtype)

    def _linear(self, input: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
        marked = 1 + _differs(input).any(-1, keepdim=True).to(input.dtype)
        return marked if self.thin else marked.expand(*input.shape[:-1], weight.shape[0])
