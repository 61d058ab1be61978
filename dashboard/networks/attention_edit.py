"""Attention computed step by step: maps changed, heads taken out, derivatives of a score by every map.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dashboard.errors import InputError
from dashboard.networks import attention, capture
from dashboard.networks.attention import Found, Keep, Record
from dashboard.networks.attention_calls import Call
from dashboard.networks.attention_watch import Listener, Watch
from dashboard.networks.layers import first_tensor
from dashboard.networks.network import Layer, Network
from dashboard.progress import report

Score = Callable[[Tensor], Tensor]
"""From what a network gives for a batch to one number per stimulus, (n,)."""


def class_score(classes: int | Sequence[int]) -> Score:
    """Return the score of one class for all stimuli, or of one class for each."""

    def score(output: Tensor) -> Tensor:
        chosen = torch.as_tensor(classes, device=output.device).expand(len(output))
        return output.gather(1, chosen[:, None])[:, 0]

    return score


@contextlib.contextmanager
def editing(
    network: Network, edit: Callable[[str, Tensor], Tensor], where: torch.device | None = None
) -> Iterator[Callable[[Tensor], Tensor]]:
    """Give a function from a batch to the network's output with its attention maps changed.

    Attention is computed step by step, so the output of unchanged maps differs by rounding.

    Parameters
    ----------
    network : Network
    edit : callable
        From the name of a layer, as `Record.layer`, and its weights (batch · windows, heads, queries, keys)
        to the weights to use instead. Gradients flow through both.
    where : torch.device, optional
        Where to run.
    """
    where = where or capture.device()
    module = capture.private(network.module, where)
    watch = Watch(module, Listener(edit=edit))

    def run(batch: Tensor) -> Tensor:
        with capture._exact(where), watch.on(len(batch)):
            output = first_tensor(module(batch.to(where)))
        assert output is not None
        return output

    yield run


def gradients(
    network: Network,
    batch: Tensor,
    score: Score,
    layers: Sequence[str] = (),
    where: torch.device | None = None,
) -> tuple[list[Record], Tensor]:
    """Return every map with the derivative of a score by it.

    Each map is one step of the computation: the derivative goes through everything behind it, later maps
    included, as Chefer, Gur & Wolf (2021) have it.

    Parameters
    ----------
    network : Network
    batch : (n, *network.input_shape)
    score : callable
        See `class_score`.
    layers : sequence of str, optional
        Names of the maps wanted; all by default.
    where : torch.device, optional
        Where to run.

    Returns
    -------
    list of Record
        With `weights`, `gradient` and `allowed`, in the order of computation.
    Tensor
        What the network gave, on the CPU.

    Raises
    ------
    InputError
        When the maps would not fit into memory.
    """
    where = where or capture.device()
    keep = Keep(layers=tuple(layers), most_bytes=attention.MOST_BYTES)
    attention.refuse_too_much(network, keep, batch)
    module = capture.private(network.module, where)
    maps: dict[str, Tensor] = {}
    records: list[Record] = []

    def edit(name: str, weights: Tensor) -> Tensor:
        if layers and name not in layers:
            return weights
        # A map that nothing before it makes differentiable is where differentiation starts.
        maps[name] = weights if weights.requires_grad else weights.detach().requires_grad_()
        return maps[name].clone()

    def seen(call: Call) -> None:
        if call.layer in maps:
            with torch.no_grad():
                record = attention._record(call, keep)
                records.append(dataclasses.replace(record, allowed=attention._array(call.allowed())))

    watch = Watch(module, Listener(edit=edit, seen=seen))
    with torch.enable_grad(), capture._exact(where):
        with watch.on(len(batch)):
            output = first_tensor(module(batch.to(where)))
        assert output is not None
        wanted = [maps[record.layer] for record in records]
        total = score(output).sum()
        slopes = torch.autograd.grad(total, wanted, allow_unused=True) if wanted else ()
    found = [
        dataclasses.replace(r, gradient=attention._array(torch.zeros_like(m) if g is None else g))
        for r, m, g in zip(records, wanted, slopes, strict=True)
    ]
    return found, output.detach().cpu()


@dataclass(frozen=True)
class Ablation:
    """What taking out heads does to a score.

    Attributes
    ----------
    layers : tuple of str
        Names of the attention layers.
    heads : tuple of int
        Number of heads of each.
    baseline : np.ndarray (n,) float64
        Score of every stimulus with all heads.
    change : np.ndarray (n, layers, heads) float64
        Score without the head less the baseline; NaN where a layer has fewer heads than others.
    """

    layers: tuple[str, ...]
    heads: tuple[int, ...]
    baseline: np.ndarray
    change: np.ndarray


def ablations(
    network: Network,
    batch: Tensor,
    score: Score,
    layers: Sequence[str] = (),
    where: torch.device | None = None,
) -> Ablation:
    """Take out every head in turn: its slice before the output projection becomes zero.

    Costs one pass per head; says how far it is in between.

    Parameters
    ----------
    network : Network
    batch : (n, *network.input_shape)
    score : callable
        See `class_score`; it is given the outputs of as many copies of the batch as fit at once.
    layers : sequence of str, optional
        Names of the attention layers; all by default.
    where : torch.device, optional
        Where to run.

    Raises
    ------
    InputError
        When the network has no attention that can be read.
    """
    where = where or capture.device()
    maps = [f for f in attention.survey(network).maps if not layers or f.layer in layers]
    if not maps:
        raise InputError(attention.why_not(network) or "No layer is chosen.", "Choose a transformer.")
    n = len(batch)
    most = max(max(f.heads for f in maps), 1)
    change = np.full((n, len(maps), most), np.nan)
    runner = _Ablator(network, where)
    baseline = _scored(score, runner(batch), n, 1)[0]
    at_once = max(capture.batch_size(network, where) // n, 1)
    done, total = 0, sum(f.heads for f in maps)
    for place, found in enumerate(maps):
        for start in range(0, found.heads, at_once):
            heads = range(start, min(start + at_once, found.heads))
            output = runner(batch.repeat(len(heads), *[1] * (batch.dim() - 1)), found, heads, n)
            change[:, place, heads] = (_scored(score, output, n, len(heads)) - baseline).T
            done += len(heads)
            report(done / total, f"Without head {done} of {total}")
    return Ablation(tuple(f.layer for f in maps), tuple(f.heads for f in maps), baseline, change)


def _scored(score: Score, output: Tensor, n: int, copies: int) -> np.ndarray:
    """Return the scores of copies of a batch, (copies, n) float64."""
    parts = [score(part).double().cpu().numpy() for part in output.split(n)]
    assert len(parts) == copies
    return np.stack(parts)


class _Ablator:
    """Runs copies of a batch, each without one head."""

    def __init__(self, network: Network, where: torch.device) -> None:
        self.where = where
        self.module = capture.private(network.module, where)
        self._out: tuple[Found, Sequence[int], int] | None = None
        self._watch = Watch(self.module, Listener(seen=self._silence, changes=True))

    def __call__(
        self, batch: Tensor, found: Found | None = None, heads: Sequence[int] = (), n: int = 0
    ) -> Tensor:
        self._out = None if found is None else (found, heads, n)
        with torch.inference_mode(), capture._exact(self.where), self._watch.on(len(batch)):
            output = first_tensor(self.module(batch.to(self.where)))
        assert output is not None
        return output

    def _silence(self, call: Call) -> Tensor | None:
        if self._out is None or call.layer != self._out[0].layer:
            return None
        _, heads, n = self._out
        output = call.output.clone()
        rows = n * call.windows
        for copy, head in enumerate(heads):
            output[copy * rows : (copy + 1) * rows, head] = 0
        return output


def responses_without(
    network: Network,
    batches: Sequence[Tensor],
    layer: Layer,
    maps: Sequence[Found],
    where: torch.device | None = None,
) -> Iterator[np.ndarray]:
    """Yield the responses of a layer with all heads, then without each head in turn.

    A head is taken out as in `ablations`. Costs one pass over the batches per head; says how far it is.

    Parameters
    ----------
    network : Network
    batches : sequence of (n, *network.input_shape)
    layer : Layer
        What is read.
    maps : sequence of Found
        Attention whose heads are taken out, in this order.
    where : torch.device, optional
        Where to run.

    Yields
    ------
    np.ndarray
        (n_stimuli, units) float32.
    """
    where = where or capture.device()
    runner = _Ablator(network, where)
    name, _, call = layer.name.partition(":")
    seen: list[Tensor] = []

    def read(_module: object, _inputs: object, output: object) -> None:
        found = first_tensor(output)
        if found is not None:
            seen.append(found)

    handle = runner.module.get_submodule(name).register_forward_hook(read)
    heads: list[tuple[Found | None, int]] = [(None, 0)]
    heads += [(found, head) for found in maps for head in range(found.heads)]
    try:
        for k, (found, head) in enumerate(heads):
            rows = []
            for batch in batches:
                seen.clear()
                runner(batch, found, () if found is None else (head,), len(batch))
                rows.append(seen[int(call or 1) - 1].float().flatten(1).cpu().numpy())
            report((k + 1) / len(heads), f"Without head {k} of {len(heads) - 1}")
            yield np.concatenate(rows)
    finally:
        handle.remove()
