"""What do gates and states of a recurrent layer do, step by step, on the stimuli?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.errors import ComputeError, InputError, caution, unknown
from dashboard.methods import rdm, recurrent, rsa
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import RecurrentSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    from torch import nn

KINDS = ("LSTM", "GRU", "RNN")
MOST_STIMULI = 200
MOST_VALUES = 12_000_000
"""Numbers that one answer may hold (48 MB); of more stimuli a part is shown, evenly spread."""

TOLERANCE = 1e-4
"""How far our states may lie from the network's own, which computes in float32."""


def why_not(network: Network) -> str:
    """Say in a sentence why a network has no gates and states to show; ``""`` when it has."""
    if not _modules(network):
        return f"{network.title} has no recurrent layer (LSTM, GRU or RNN)."
    if network.input_kind != "image":
        return f"{network.title} reads texts, whose steps differ in number; states are shown for pictures."
    return ""


def states(spec: RecurrentSpec) -> xr.Dataset:
    """Return gates and states of one recurrent layer at every step, their plane and their RDMs.

    Gates are computed again from the weights in float64; the hidden state must be the network's own.

    Returns
    -------
    xarray.Dataset
        ``state`` (cell, trace, stimulus, step, unit) float32, where a cell is one of the stacked layers in
        one direction; ``position`` (cell, stimulus, step, axis) of the hidden state in its principal plane
        with ``explained`` (cell, axis); ``rdm`` (cell, step, pair) of the hidden states and
        ``step_similarity`` (cell, step, other_step), the Spearman correlation of the RDMs of two steps.

    Raises
    ------
    InputError
        When the network has no such layer, or reads its input in a way that cannot be followed.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    refusal = why_not(network)
    if refusal:
        raise InputError(refusal, "Choose a recurrent network, such as bundled:digits_lstm.")
    name, module = _chosen(network, spec.layer)
    rows = _rows(shown, network, name, module)
    report(0.1, "States step by step")
    inputs, start, output = _seen(network, shown, name, rows)
    found = _unrolled(module, inputs, start)
    deviation = _deviation(found, output)
    if deviation > TOLERANCE:
        message = f"The states of {name} could not be computed again: they differ by {deviation:.2g}."
        raise ComputeError(message, "Its forward pass does more than torch's own layer.")
    cells = {_cell_name(module, k, d): one for k, row in enumerate(found) for d, one in enumerate(row)}
    traces = list(next(iter(cells.values())))
    values = np.stack([np.stack([one[t] for t in traces]) for one in cells.values()])
    report(0.5, "RDM of every step")
    return xr.Dataset(
        {
            "state": (("cell", "trace", "stimulus", "step", "unit"), values.astype(np.float32)),
            **_planes(cells),
            **_rdms(cells, spec.metric),
        },
        coords={
            "cell": list(cells),
            "trace": traces,
            "stimulus": [shown.names[i] for i in rows],
            "category": ("stimulus", [shown.categories[i] for i in rows]),
            "step": np.arange(1, inputs.shape[1] + 1),
            "other_step": np.arange(1, inputs.shape[1] + 1),
        },
        attrs={
            "title": f"States of {name} in {network.title} for {shown.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "layer": name,
            "kind_of_layer": module.mode,
            "layers": "\n".join(_modules(network)),
            "metric": spec.metric,
            "deviation": deviation,
            "device": "cpu",
            "simulated": "no",
        },
    )


# --- the layer and what it is given ----------------------------------------------------------------


def _modules(network: Network) -> dict[str, Any]:
    return {
        name: module
        for name, module in network.module.named_modules()
        if type(module).__name__ in KINDS and hasattr(module, "mode")
    }


def _chosen(network: Network, name: str) -> tuple[str, Any]:
    found = _modules(network)
    if name and name not in found:
        raise unknown("recurrent layer", name, found)
    name = name or next(iter(found))
    if found[name].proj_size:
        message = f"{name} projects its states (proj_size), which is not followed here."
        raise InputError(message, "Choose another recurrent layer.")
    return name, found[name]


def _rows(shown: Stimuli, network: Network, name: str, module: Any) -> list[int]:
    """Return which stimuli are shown: all, or as many as fit, spread evenly."""
    steps = [layer.shape[0] for layer in network.layers if layer.name == name and len(layer.shape) > 1]
    each = max(1, *steps, 1) * module.hidden_size * module.num_layers * (2 if module.bidirectional else 1) * 6
    most = max(2, min(MOST_STIMULI, MOST_VALUES // each))
    if len(shown) < 2:
        message = f"{shown.title} has one stimulus; states over time are compared between stimuli."
        raise InputError(message, "Choose a set of at least two.")
    if len(shown) <= most:
        return list(range(len(shown)))
    caution("few-of-many", f"{most} of the {len(shown)} stimuli are shown, spread evenly; all would not fit.")
    return np.unique(np.linspace(0, len(shown) - 1, most).round().astype(int)).tolist()


def _seen(network: Network, shown: Stimuli, name: str, rows: list[int]) -> tuple[Any, Any, Any]:
    """Return inputs (n, steps, inputs), states before (2, cells, n, units) and outputs (n, steps, units).

    They are read from the first call of the layer in the network's own forward pass, as float64.
    """
    import torch

    from dashboard.networks.layers import shared_copy

    module = shared_copy(network.module)
    layer = module.get_submodule(name)
    calls: list[tuple[Any, ...]] = []

    def remember(_module: nn.Module, given: Any, named: Any, output: Any) -> None:
        before = given[1] if len(given) > 1 else named.get("hx")
        calls.append((given[0] if given else named["input"], before, output[0]))

    handle = layer.register_forward_hook(remember, with_kwargs=True)
    found = []
    try:
        for batch in _parts(rows, 64):
            calls.clear()
            with torch.inference_mode():
                module(network.prepare([shown.picture(i) for i in batch]))
            if len(calls) > 1:
                caution("first-call", f"{name} runs {len(calls)} times in one pass; the first is shown.")
            found.append(_arrays(layer, name, len(batch), *calls[0]))
            report(0.1 + 0.4 * len(found) * 64 / len(rows), "States step by step")
    finally:
        handle.remove()
    inputs, start, output = zip(*found, strict=True)
    return np.concatenate(inputs), np.concatenate(start, axis=2), np.concatenate(output)


def _parts(rows: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _arrays(layer: Any, name: str, n: int, given: Any, before: Any, output: Any) -> tuple[Any, Any, Any]:
    import torch

    if not isinstance(given, torch.Tensor) or given.dim() != 3:
        message = f"{name} is given packed or single sequences, which are not followed here."
        raise InputError(message, "Choose a network that gives its recurrent layer a batch.")
    if not layer.batch_first:
        given, output = given.transpose(0, 1), output.transpose(0, 1)
    if given.shape[0] != n:
        message = f"{name} is given {given.shape[0]} sequences for {n} stimuli, so steps have no stimulus."
        raise InputError(message, "Its stimuli are not read one sequence each.")
    cells = layer.num_layers * (2 if layer.bidirectional else 1)
    start = np.zeros((2, cells, n, layer.hidden_size))
    if before is not None:
        for k, state in enumerate(before if isinstance(before, tuple) else (before,)):
            start[k] = state.double().numpy()
    return given.double().numpy(), start, output.double().numpy()


# --- numbers ---------------------------------------------------------------------------------------


def _unrolled(module: Any, inputs: Any, start: Any) -> list[list[recurrent.Traces]]:
    directions = 2 if module.bidirectional else 1
    held = [[_weights(module, k, d) for d in range(directions)] for k in range(module.num_layers)]
    return recurrent.unroll_stack(module.mode, held, inputs, start[0], start[1])


def _weights(module: Any, layer: int, direction: int) -> recurrent.Weights:
    end = f"_l{layer}" + ("_reverse" if direction else "")

    def array(name: str) -> np.ndarray:
        found = getattr(module, name + end, None)
        if found is None:  # a layer without biases
            return np.zeros(getattr(module, f"weight_ih{end}").shape[0])
        return np.asarray(found.detach().cpu().double().numpy())

    return recurrent.Weights(*map(array, ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))


def _deviation(found: list[list[recurrent.Traces]], output: np.ndarray) -> float:
    again = np.concatenate([one["hidden state"] for one in found[-1]], axis=2)
    return float(np.abs(again - output).max())


def _cell_name(module: Any, layer: int, direction: int) -> str:
    name = f"layer {layer + 1}"
    return f"{name}, {'backward' if direction else 'forward'}" if module.bidirectional else name


def _planes(cells: dict[str, recurrent.Traces]) -> dict[str, tuple]:
    found = [recurrent.principal_plane(one["hidden state"]) for one in cells.values()]
    return {
        "position": (("cell", "stimulus", "step", "axis"), np.stack([position for position, _ in found])),
        "explained": (("cell", "axis"), np.stack([share for _, share in found])),
    }


def _rdms(cells: dict[str, recurrent.Traces], metric: str) -> dict[str, tuple]:
    """Return the RDM of hidden states at every step, and how alike the RDMs of two steps are."""
    found = []
    for k, one in enumerate(cells.values()):
        hidden = one["hidden state"]
        rows = [rdm.dissimilarities(hidden[:, t], metric).numpy() for t in range(hidden.shape[1])]
        found.append(np.stack(rows))
        report(0.5 + 0.4 * (k + 1) / len(cells), "RDM of every step")
    alike = [rsa.similarity(rows, rows, "spearman") if rows.shape[1] > 2 else _none(rows) for rows in found]
    return {
        "rdm": (("cell", "step", "pair"), np.stack(found).astype(np.float32), {"units": _unit(metric)}),
        "step_similarity": (("cell", "step", "other_step"), np.stack(alike)),
    }


def _none(rows: np.ndarray) -> np.ndarray:
    return np.full((len(rows), len(rows)), np.nan)


def _unit(metric: str) -> str:
    return str(rdm.METRICS[metric].unit)
