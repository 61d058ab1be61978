"""Responses of layers to stimuli, read by hooks, reduced at once, in batches, no deeper than asked for.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dashboard.errors import ComputeError, InputError
from dashboard.networks.attention_calls import Call
from dashboard.networks.attention_watch import Listener, Watch
from dashboard.networks.layers import Recorder, first_tensor, shared_copy
from dashboard.networks.network import Layer, Network, TextInput
from dashboard.networks.reducers import Reducer, ReduceTokens, reducer
from dashboard.progress import report

Rows = dict[str, np.ndarray]
"""Responses of one batch: name of the layer to (batch, units) float32."""

ACCELERATOR_BATCH = 32
MOST_PER_BATCH = 64
TEXTS_PER_BATCH = 16
"""Few, because a batch is padded to its longest text."""

CACHE_BYTES = 8 * 2**20
"""Room for the largest output of a batch: what is still in the processor's cache is cheap to reduce."""


class _Enough(BaseException):
    """Raised by a hook when every layer asked for has answered.

    Not an Exception, so that no network catches it.
    """


def device() -> torch.device:
    """Return where networks run here: CUDA, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def private(module: nn.Module, where: torch.device) -> nn.Module:
    """Return a copy of a shared network for hooks of one's own, on a device.

    On the CPU the copy shares weights and buffers; elsewhere they are copied there.
    """
    if where.type == "cpu":
        return shared_copy(module)
    import copy

    return copy.deepcopy(module).to(where).eval()


@contextlib.contextmanager
def capture(
    network: Network,
    layers: Sequence[Layer],
    reduce: Reducer | str = "all",
    where: torch.device | None = None,
) -> Iterator[Callable[[torch.Tensor], Rows]]:
    """Give a function from a batch of inputs to the reduced responses of the layers.

    The hooks sit on a private copy, so any number of captures may run on one network at once, in any
    threads. An output is reduced inside the hook, before an in-place operation can rewrite it, and the
    forward pass stops when the deepest layer has answered.

    Parameters
    ----------
    network : Network
        The network.
    layers : sequence of Layer
        What to read, from `Network.layers`.
    reduce : Reducer or str, optional
        What to keep of each layer.
    where : torch.device, optional
        Where to run; `device` by default.

    Yields
    ------
    callable
        From (batch, *network.input_shape) float32 to a dict of (batch, units) float32 arrays by layer name.

    Raises
    ------
    InputError
        When no layer is chosen.
    ComputeError
        When a layer did not run for these inputs.
    """
    if not layers:
        message = "No layer is chosen."
        raise InputError(message, "Choose at least one layer.")
    reduce = reducer(reduce) if isinstance(reduce, str) else reduce
    where = where or device()
    reading = _Reading({layer.name: (layer, _plan(reduce, layer)) for layer in layers}, network.text)
    module = private(network.module, where)
    handles = reading.attach(module)
    try:
        yield lambda batch: reading.run(module, batch.to(where))
    finally:
        for handle in handles:
            handle.remove()
        reading.attention = None


def _plan(reduce: Reducer, layer: Layer) -> ReduceTokens:
    """Return the function from outputs and the mask of tokens, if any, to rows."""
    if layer.token_axis is not None:
        return reduce.plan_tokens(layer)
    plain = reduce.plan(layer)
    return lambda output, _keep: plain(output)


class _Reading:
    """What one capture reads, and what it has read of the current batch."""

    def __init__(self, wanted: dict[str, tuple[Layer, ReduceTokens]], text: TextInput | None) -> None:
        self.wanted = wanted
        self.text = text
        self._keep = torch.empty(0, dtype=torch.bool)
        self._recorder = Recorder()
        self._found: dict[str, torch.Tensor] = {}
        self._batch = 0
        self.attention: Watch | None = None

    def attach(self, module: nn.Module) -> list[Any]:
        heads = {call.partition("#")[0].partition(":")[0] for call in self.wanted if "#" in call}
        if heads:
            self.attention = Watch(module, Listener(wants=heads.__contains__, seen=self._read_heads))
        names = {call.partition(":")[0] for call in self.wanted}
        return [
            inner.register_forward_hook(self._hook(name))
            for name, inner in module.named_modules()
            if name in names
        ]

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def read(_module: nn.Module, _inputs: Any, output: Any) -> None:
            call = self._recorder.call(name)
            if call not in self.wanted:
                return
            self._keep_one(call, first_tensor(output))

        return read

    def _keep_one(self, call: str, output: torch.Tensor | None) -> None:
        self._found[call] = self._reduced(call, output)
        if len(self._found) == len(self.wanted):
            raise _Enough

    def _read_heads(self, call: Call) -> None:
        """Keep what the heads asked for give, before the output projection mixes them."""
        for head in range(call.heads):
            name = f"{call.layer}#head{head}"
            if name in self.wanted:
                self._keep_one(name, call.output[:, head])

    def _reduced(self, call: str, output: torch.Tensor | None) -> torch.Tensor:
        layer, reduce = self.wanted[call]
        if output is None or output.shape[layer.batch_axis] % self._batch:
            message = f"The output of {call} does not have a row per stimulus."
            raise ComputeError(message)
        rows = output if layer.batch_axis == 0 else output.movedim(layer.batch_axis, 0)
        if len(rows) != self._batch:
            rows = rows.unflatten(0, (self._batch, -1))
        if layer.token_axis is not None and rows.shape[1 + layer.token_axis] != self._keep.shape[1]:
            message = f"The output of {call} does not have a row per token."
            raise ComputeError(message, "Leave it out.")
        return reduce(rows, self._keep).to(torch.float32)

    def run(self, module: nn.Module, batch: torch.Tensor) -> Rows:
        self._recorder, self._found, self._batch = Recorder(), {}, len(batch)
        if self.text is not None:
            self._keep = self.text.mask(batch)
        watching = contextlib.nullcontext() if self.attention is None else self.attention.on(len(batch))
        with torch.inference_mode(), contextlib.suppress(_Enough), _exact(batch.device), watching:
            module(batch)
        lacking = [name for name in self.wanted if name not in self._found]
        if lacking:
            message = f"The layer {lacking[0]} did not run for these stimuli."
            raise ComputeError(message, "Leave it out.")
        return {name: self._found[name].cpu().numpy() for name in self.wanted}


def _exact(where: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Keep convolutions on CUDA in full float32: TF32 would round to 10 bits of mantissa."""
    if where.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return contextlib.nullcontext()


def batch_size(network: Network, where: torch.device | None = None) -> int:
    """Return how many stimuli to run at once: on a CPU so many that the largest output stays in its cache."""
    if (where or device()).type != "cpu":
        return ACCELERATOR_BATCH
    if network.text is not None:
        return TEXTS_PER_BATCH
    largest = max((layer.units for layer in network.layers), default=1)
    return min(max(CACHE_BYTES // (4 * largest), 1), MOST_PER_BATCH)


def batches(
    network: Network, stimuli: Iterable[np.ndarray | str], size: int | None = None
) -> Iterator[torch.Tensor]:
    """Preprocess stimuli and hand them out in batches of at most ``size``.

    Parameters
    ----------
    network : Network
        The network.
    stimuli : iterable of np.ndarray or of str
        Pictures, (height, width, 3) uint8, or texts.
    size : int, optional
        Most stimuli in a batch; `batch_size` by default.

    Raises
    ------
    InputError
        When a text network is given pictures, or the other way round.
    """
    size = size or batch_size(network)
    group: list[np.ndarray | str] = []
    for stimulus in stimuli:
        group.append(stimulus)
        if len(group) == size:
            yield network.prepare(group)
            group = []
    if group:
        yield network.prepare(group)


def activations(
    network: Network,
    inputs: Iterable[torch.Tensor],
    layers: Sequence[Layer],
    reduce: Reducer | str = "all",
    *,
    total: int | None = None,
    where: torch.device | None = None,
) -> Iterator[Rows]:
    """Yield the responses of the layers, batch by batch, and say how far it is in between.

    Parameters
    ----------
    network : Network
        The network.
    inputs : iterable of torch.Tensor
        Batches of preprocessed stimuli, such as `batches` gives; they are taken one at a time.
    layers : sequence of Layer
        What to read.
    reduce : Reducer or str, optional
        What to keep of each layer.
    total : int, optional
        Number of stimuli in all, for the progress.
    where : torch.device, optional
        Where to run.

    Yields
    ------
    dict of str to np.ndarray
        (batch, units) float32 by layer name, layers in the order given.
    """
    done = 0
    with capture(network, layers, reduce, where) as respond:
        for batch in inputs:
            yield respond(batch)
            done += len(batch)
            of = f" of {total}" if total else ""
            report(done / total if total else 0.0, f"Responses to stimulus {done}{of}")


@dataclass(frozen=True)
class Forecast:
    """What an extraction will need.

    Attributes
    ----------
    bytes : int
        Size of the result: stimuli × units kept × 4.
    working_bytes : int
        Rough memory above the network while it runs: one batch of results, and inputs and outputs of the
        largest layers of the network for one batch.
    seconds : float
        Time of one timed stimulus up to the deepest layer, times their number. Preprocessing and disk are not
        in it, and batches are somewhat faster than single stimuli; expect the right order of size, not the
        second.
    units : dict of str to int
        Units kept of each layer.
    """

    bytes: int
    working_bytes: int
    seconds: float
    units: dict[str, int]


def forecast(
    network: Network,
    n_stimuli: int,
    layers: Sequence[Layer],
    reduce: Reducer | str = "all",
    where: torch.device | None = None,
) -> Forecast:
    """Tell memory and time of an extraction before it runs, from the layers and one timed stimulus."""
    reduce = reducer(reduce) if isinstance(reduce, str) else reduce
    units = {layer.name: reduce.units(layer) for layer in layers}
    kept = 4 * sum(units.values())
    largest = max((layer.units for layer in network.layers), default=0)
    working = min(batch_size(network, where), n_stimuli) * (kept + 3 * 4 * largest)
    return Forecast(n_stimuli * kept, working, n_stimuli * _seconds(network, layers, reduce, where), units)


def _seconds(network: Network, layers: Sequence[Layer], reduce: Reducer, where: torch.device | None) -> float:
    """Return the seconds of one forward pass; the first pass, which prepares memory, is not counted."""
    stimulus = torch.zeros((1, *network.input_shape))
    with capture(network, layers, reduce, where) as respond:
        respond(stimulus)
        start = time.perf_counter()
        respond(stimulus)
        return time.perf_counter() - start
