"""The output of a layer with its graph: what comes after is not run, and rectifiers may let gradients pass.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dashboard.errors import ComputeError
from dashboard.networks.capture import private
from dashboard.networks.layers import Recorder, first_tensor
from dashboard.networks.network import Layer

Read = Callable[[torch.Tensor], torch.Tensor]


class _Stop(BaseException):
    """Ends a forward pass at the layer that was asked for; no Exception, so that no network catches it."""


@contextlib.contextmanager
def reading(module: nn.Module, layer: Layer, where: torch.device | None = None) -> Iterator[Read]:
    """Give a function from a batch of inputs to the output of a layer, with its graph.

    Parameters
    ----------
    module : nn.Module
        The network; hooks sit on a private copy.
    layer : Layer
    where : torch.device, optional
        Where to run, the CPU by default; on CUDA convolutions are exact and give the same again.

    Yields
    ------
    callable
        From (n, *input_shape) to (n, *layer.shape), stimuli first.

    Raises
    ------
    ComputeError
        When the layer gives no tensor with a row per stimulus.
    """
    where = where or torch.device("cpu")
    twin = private(module, where)
    name = layer.name.partition(":")[0]
    recorder, kept = Recorder(), list[torch.Tensor]()

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if recorder.call(name) == layer.name and tensor is not None:
            kept.append(tensor)
            raise _Stop

    def read(batch: torch.Tensor) -> torch.Tensor:
        recorder.counts.clear()
        kept.clear()
        with contextlib.suppress(_Stop), _steady(where):
            twin(batch.to(where))
        if not kept or kept[0].shape[layer.batch_axis] % len(batch):
            message = f"The output of {layer.name} does not have a row per stimulus."
            raise ComputeError(message, "Choose another layer.")
        rows = kept.pop().movedim(layer.batch_axis, 0)
        return rows if len(rows) == len(batch) else rows.unflatten(0, (len(batch), -1))

    handle = twin.get_submodule(name).register_forward_hook(hook)
    try:
        yield read
    finally:
        handle.remove()


def _steady(where: torch.device) -> contextlib.AbstractContextManager[Any]:
    if where.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    return contextlib.nullcontext()


class _Through(torch.autograd.Function):
    """A rectifier whose gradient passes as if it were not there."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class PassingRectifiers(TorchFunctionMode):
    """While it is entered, rectifiers hand gradients on from below zero too.

    A unit that is silent for the picture at hand has no gradient otherwise, and could never be climbed.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("relu", "relu_"):
            return _Through.apply(args[0] if args else (kwargs or {})["input"])
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def opened_at(
    module: nn.Module, layer: Layer, where: torch.device | None = None
) -> Iterator[Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]]:
    """Give a function from a batch to a layer's output, cut off from what is before, and the answer.

    The derivative of the answer with respect to the layer's output can be taken; what comes before is not
    part of the graph.

    Raises
    ------
    ComputeError
        When the layer did not run, or one of the two is no single tensor.
    """
    where = where or torch.device("cpu")
    twin = private(module, where)
    name = layer.name.partition(":")[0]
    recorder, kept = Recorder(), list[torch.Tensor]()

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if recorder.call(name) != layer.name or not isinstance(output, torch.Tensor):
            return None
        kept.append(output.detach().clone().requires_grad_())
        return kept[0].clone()  # what comes next may write into it

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        recorder.counts.clear()
        kept.clear()
        with _steady(where):
            answer = first_tensor(twin(batch.to(where)))
        if not kept or answer is None or answer.dim() != 2:
            message = f"{layer.name} gives more than one output, or the network more than scores of classes."
            raise ComputeError(message, "Choose another layer.")
        return kept[0], answer

    handle = twin.get_submodule(name).register_forward_hook(hook)
    try:
        yield run
    finally:
        handle.remove()
