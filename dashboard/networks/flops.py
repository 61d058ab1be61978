"""How much a network computes: floating-point operations per layer and in total, counted, not estimated.

A multiplication and an addition are two operations. Only what torch counts is counted: convolutions, matrix
products and attention; normalisation, activations and pooling are left out, as is usual. Imports torch: for
workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dashboard.networks.layers import Recorder, on_meta, shared_copy

_slow_path = threading.Lock()


@dataclass
class Flops:
    """Floating-point operations for one stimulus.

    Attributes
    ----------
    total : int
        Of the whole network.
    calls : dict of str to int
        Of each call of a module and what it contains, by the names of `Layer`.
    """

    total: int = 0
    calls: dict[str, int] = field(default_factory=dict)


def count(module: nn.Module, input_shape: Sequence[int]) -> Flops:
    """Count the operations of one forward pass for one stimulus.

    The pass runs on a copy without memory, where attention and recurrent layers show their products. A
    network that looks at values cannot run there: it is run for real, for an input of zeros, with the fused
    routines that hide their products switched off, and recurrent layers are counted by formula.

    Parameters
    ----------
    module : nn.Module
        The network; left as it is.
    input_shape : sequence of int
        Shape of one input, without the batch.
    """
    shape = (1, *input_shape)
    try:
        return _counted(on_meta(module), torch.zeros(shape, device="meta"))
    except Exception:  # a forward that looks at values cannot run without any
        with _plain_routines():
            return _counted(shared_copy(module), torch.zeros(shape))


def recurrent(module: nn.Module, steps: int, batch: int = 1) -> int:
    """Return the operations of a recurrent layer: two per weight, step and sequence.

    Parameters
    ----------
    module : nn.LSTM, nn.GRU or nn.RNN
        The layer.
    steps, batch : int
        Length and number of the sequences.
    """
    weights = sum(
        p.numel() for name, p in module.named_parameters(recurse=False) if name.startswith("weight")
    )
    return 2 * weights * steps * batch


@dataclass
class _Counter:
    """Sums operations while calls begin and end inside each other."""

    mode: FlopCounterMode
    found: Flops = field(default_factory=Flops)
    recorder: Recorder = field(default_factory=Recorder)
    starts: list[int] = field(default_factory=list)
    hidden: int = 0

    @property
    def now(self) -> int:
        return self.mode.get_total_flops() + self.hidden

    def attach(self, module: nn.Module) -> list[Any]:
        handles: list[Any] = []
        for name, inner in module.named_modules():
            if name:
                handles.append(inner.register_forward_pre_hook(self._begin))
                handles.append(inner.register_forward_hook(self._end(name)))
        return handles

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self.starts.append(self.now)

    def _end(self, name: str) -> Any:
        def end(module: nn.Module, inputs: Any, output: Any) -> None:
            start = self.starts.pop()
            # On a processor, a fused LSTM shows none of its products.
            if isinstance(module, nn.RNNBase) and self.now == start:
                self.hidden += recurrent(module, *_steps(module, inputs[0]))
            self.found.calls[self.recorder.call(name)] = self.now - start

        return end


def _steps(module: nn.RNNBase, given: Any) -> tuple[int, int]:
    """Return length and number of the sequences that a recurrent layer is given."""
    if not isinstance(given, torch.Tensor):  # packed sequences
        return len(given.data), 1
    if given.dim() == 2:
        return given.shape[0], 1
    time = 1 if module.batch_first else 0
    return given.shape[time], given.shape[1 - time]


def _counted(module: nn.Module, stimulus: torch.Tensor) -> Flops:
    with FlopCounterMode(display=False) as mode:
        counter = _Counter(mode)
        handles = counter.attach(module.eval())
        try:
            with torch.no_grad():
                module(stimulus)
        finally:
            for handle in handles:
                handle.remove()
        counter.found.total = counter.now
    return counter.found


@contextlib.contextmanager
def _plain_routines() -> Iterator[None]:
    """Switch off the routines that compute attention in one go and do not tell how much."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with _slow_path, sdpa_kernel(SDPBackend.MATH):
        before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(before)
