"""Are the activations, gradients and weights of a network healthy on the chosen stimuli?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses import predictions
from dashboard.errors import InputError
from dashboard.networks import Layer, Network
from dashboard.progress import part, report
from dashboard.specs import HealthSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    import torch

LEVELS = (0.01, 0.25, 0.5, 0.75, 0.99)
"""Quantiles that are kept of activations and weights."""

SAMPLE = 200_000
"""Activations of a layer of which quantiles are taken: fixed random units, all stimuli."""

MOST_WEIGHTS = 1_000_000
"""Of larger modules every so-and-so-manieth weight counts for the quantiles."""

MOST_BATCH = 256

BINS = 60
"""Bins of a histogram, over the whole range of a layer's values, or of all modules' gradients."""


def health(spec: HealthSpec) -> xr.Dataset:
    """Return what activations, gradients and weights look like.

    Returns
    -------
    xarray.Dataset
        Per layer ``activation`` (layer, level) quantiles, ``mean``, ``sd``, ``zero_share``, ``units``,
        ``dead`` (units that are zero for every stimulus), ``constant`` (units with one value for every
        stimulus), ``channels``, ``dead_channels`` and ``not_finite``. Per module with weights, in order of
        execution, ``weight`` (module, level) quantiles, ``n_weights``, ``zero_weights``, ``gradient_norm``
        and ``gradient_rms`` (root mean square over weights) for one batch. Histograms without exact zeros:
        ``activation_count`` (layer, bin) between ``activation_edge`` (layer, edge), ``weight_count`` and
        ``weight_edge`` (module, …), each over its own range; ``gradient_count`` (module, bin) of the log₁₀ of
        absolute gradients over one ``gradient_edge`` (edge,) for all, and ``gradient_zeros`` (module,).

    Raises
    ------
    InputError
        When the network reads no pictures, or a setting does not fit.
    """
    if not 1 <= spec.batch <= MOST_BATCH:
        message = f"batch must be 1 to {MOST_BATCH}."
        raise InputError(message)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    if network.input_kind == "text":
        message = f"{network.title} reads text, and its tokens differ in number from text to text."
        raise InputError(message, "Choose a network that sees pictures.")
    network.check([shown.item(0)])
    chosen = networks.select(network.layers, spec.layers)
    if not chosen:
        message = "No layer is chosen."
        raise InputError(message, "Choose at least one layer.")
    with part(0.0, 0.9):
        watched = _watch(network, shown, chosen, spec.seed)
    report(0.9, "Gradients of a batch")
    modules = _modules(network)
    gradients, loss = _gradients(network, shown, modules, spec)
    return xr.Dataset(
        {**_activation_columns(chosen, watched), **_weight_columns(network, modules), **gradients},
        coords={"layer": [layer.name for layer in chosen], "module": modules, "level": list(LEVELS)},
        attrs={
            "title": f"Health of {network.title} on {shown.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "n_stimuli": len(shown),
            "n_batch": min(spec.batch, len(shown)),
            "loss": loss,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


# --- activations -----------------------------------------------------------------------------------


@dataclass
class _Watched:
    """What has been seen of one layer so far."""

    picked: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kept: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    zeros: int = 0
    not_finite: int = 0
    total: float = 0.0
    squares: float = 0.0

    def see(self, rows: np.ndarray) -> None:
        """Take in the responses (batch, units) of some stimuli."""
        np.minimum(self.low, rows.min(axis=0), out=self.low)
        np.maximum(self.high, rows.max(axis=0), out=self.high)
        finite = np.isfinite(rows)
        self.not_finite += int(rows.size - finite.sum())
        values = np.where(finite, rows, 0).astype(np.float64)
        self.count += int(finite.sum())
        self.zeros += int((rows == 0).sum())
        self.total += float(values.sum())
        self.squares += float((values**2).sum())
        self.kept.append(rows[:, self.picked])


def _watch(network: Network, shown: Stimuli, layers: Sequence[Layer], seed: int) -> dict[str, _Watched]:
    """Run all stimuli through the network and sum up each layer."""
    rng = np.random.default_rng(seed)
    watched: dict[str, _Watched] = {}
    inputs = networks.batches(network, (shown.item(i) for i in range(len(shown))))
    for found in networks.activations(network, inputs, layers, "all", total=len(shown)):
        for layer in layers:
            rows = found[layer.name]
            if layer.name not in watched:
                units = rows.shape[1]
                few = min(units, max(1, SAMPLE // len(shown)))
                picked = np.sort(rng.choice(units, few, replace=False))
                edges = np.full(units, np.inf, dtype=np.float32), np.full(units, -np.inf, dtype=np.float32)
                watched[layer.name] = _Watched(picked, *edges)
            watched[layer.name].see(rows)
    return watched


def _activation_columns(layers: Sequence[Layer], watched: dict[str, _Watched]) -> dict[str, tuple]:
    seen = [watched[layer.name] for layer in layers]
    dead = [(w.low == 0) & (w.high == 0) for w in seen]
    means = [w.total / max(w.count, 1) for w in seen]
    spread = [
        math.sqrt(max(w.squares / max(w.count, 1) - m**2, 0.0)) for w, m in zip(seen, means, strict=True)
    ]
    channels = [_channels(layer, d) for layer, d in zip(layers, dead, strict=True)]
    kept = [np.concatenate(w.kept) for w in seen]
    counts, edges = zip(*(_histogram(values) for values in kept), strict=True)
    return {
        "activation": (("layer", "level"), np.stack([_quantiles(values) for values in kept])),
        "activation_count": (("layer", "bin"), np.stack(counts)),
        "activation_edge": (("layer", "edge"), np.stack(edges)),
        "mean": ("layer", means),
        "sd": ("layer", spread),
        "zero_share": ("layer", [w.zeros / max(w.count + w.not_finite, 1) for w in seen]),
        "units": ("layer", [w.low.size for w in seen]),
        "dead": ("layer", [int(d.sum()) for d in dead]),
        "constant": ("layer", [int((w.low == w.high).sum()) for w in seen]),
        "channels": ("layer", [n for n, _ in channels]),
        "dead_channels": ("layer", [n for _, n in channels]),
        "not_finite": ("layer", [w.not_finite for w in seen]),
    }


def _channels(layer: Layer, dead: np.ndarray) -> tuple[int, int]:
    """Return the number of channels, and of those that are zero at every place for every stimulus."""
    if layer.channel_axis is None or dead.size != math.prod(layer.shape):
        return dead.size, int(dead.sum())
    by_channel = np.moveaxis(dead.reshape(layer.shape), layer.channel_axis, 0).reshape(layer.channels, -1)
    return layer.channels, int(by_channel.all(axis=1).sum())


def _quantiles(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    return np.quantile(finite, LEVELS) if finite.size else np.full(len(LEVELS), np.nan)


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count what is finite and not exactly zero in `BINS` bins from the least to the largest value."""
    shown = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value: bins of no width hold nothing
        middle = (low + high) / 2
        low, high = middle - max(abs(middle), 1.0) / 2, middle + max(abs(middle), 1.0) / 2
    return np.histogram(shown, bins=BINS, range=(low, high))


# --- weights and gradients -------------------------------------------------------------------------


def _modules(network: Network) -> list[str]:
    """Return the modules that hold weights of two or more axes, in the order in which they run."""
    holders = [
        name
        for name, module in network.module.named_modules()
        if any(p.dim() > 1 for p in module.parameters(recurse=False))
    ]
    order = {
        name: k
        for k, name in reversed(list(enumerate(layer.name.partition(":")[0] for layer in network.layers)))
    }
    named = {name: k for k, name in enumerate(holders)}
    return sorted(holders, key=lambda name: (order.get(name, len(order)), named[name]))


def _weight_columns(network: Network, modules: Sequence[str]) -> dict[str, tuple]:
    quantiles, numbers, zeros, counts, edges = [], [], [], [], []
    for name in modules:
        held = network.module.get_submodule(name).parameters(recurse=False)
        flat = np.concatenate([p.detach().cpu().float().numpy().ravel() for p in held if p.dim() > 1])
        part = flat[:: max(1, flat.size // MOST_WEIGHTS)].astype(np.float64)
        quantiles.append(_quantiles(part))
        count, edge = _histogram(part)
        counts.append(count)
        edges.append(edge)
        numbers.append(flat.size)
        zeros.append(int((flat == 0).sum()))
    return {
        "weight": (("module", "level"), np.array(quantiles).reshape(-1, len(LEVELS))),
        "weight_count": (("module", "bin"), np.array(counts, dtype=np.int64).reshape(-1, BINS)),
        "weight_edge": (("module", "edge"), np.array(edges).reshape(-1, BINS + 1)),
        "n_weights": ("module", np.array(numbers, dtype=np.int64)),
        "zero_weights": ("module", np.array(zeros, dtype=np.int64)),
    }


def _gradients(
    network: Network, shown: Stimuli, modules: Sequence[str], spec: HealthSpec
) -> tuple[dict[str, tuple], str]:
    """Return norms of the gradient of the loss of one batch by module, and which loss it was.

    The batch is spread evenly over the stimuli. The network is copied and in eval mode.
    """
    import copy

    import torch

    where = networks.device()
    rows = np.unique(np.linspace(0, len(shown) - 1, min(spec.batch, len(shown))).round().astype(int))
    module = copy.deepcopy(network.module).to(where).eval().requires_grad_(True)
    batch = network.prepare([shown.item(int(i)) for i in rows]).to(where)
    # cuDNN has no backward pass for recurrent layers in eval mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=where.type != "cuda"):
        value, words = _loss(network, module(batch), shown, rows, spec.truth)
        value.backward()
    norms, means, flat = [], [], []
    for name in modules:
        held = [p for p in module.get_submodule(name).parameters(recurse=False) if p.dim() > 1]
        known = [p.grad.double().pow(2) for p in held if p.grad is not None]
        squares = sum(float(g.sum()) for g in known) if known else math.nan
        norms.append(math.sqrt(squares))
        means.append(math.sqrt(squares / sum(p.numel() for p in held)))
        sizes = [p.grad.abs().double().cpu().numpy().ravel() for p in held if p.grad is not None]
        flat.append(np.concatenate([np.zeros(0), *sizes]))
    found = {"gradient_norm": ("module", norms), "gradient_rms": ("module", means)}
    return {**found, **_log_gradients(flat)}, words


def _log_gradients(flat: list[np.ndarray]) -> dict[str, tuple]:
    """Count the orders of magnitude of gradients in one set of bins for all modules."""
    logs = [np.log10(sizes[(sizes > 0) & np.isfinite(sizes)]) for sizes in flat]
    every = np.concatenate([np.zeros(0), *logs])
    low, high = (math.floor(every.min()), math.ceil(every.max())) if every.size else (-1, 0)
    edges = np.linspace(low, max(high, low + 1), BINS + 1)
    counts = [np.histogram(values, bins=edges)[0] for values in logs]
    return {
        "gradient_count": (("module", "bin"), np.array(counts, dtype=np.int64).reshape(-1, BINS)),
        "gradient_edge": ("edge", edges),
        "gradient_zeros": ("module", [int((sizes == 0).sum()) for sizes in flat]),
    }


def _loss(
    network: Network, output: object, shown: Stimuli, rows: np.ndarray, column: str
) -> tuple[torch.Tensor, str]:
    """Return a loss of a batch, and in words what it is."""
    import torch

    from dashboard.networks.layers import first_tensor

    found = first_tensor(output)
    if found is None:
        message = f"{network.title} gives no tensor, so it has no gradient."
        raise InputError(message)
    if predictions.why_not(network) or found.dim() != 2:
        return found.double().pow(2).mean() / 2, "half the mean square of the outputs"
    names = predictions.class_names(network.labels)
    truth = torch.from_numpy(predictions.true_classes(shown, names, column)[0][rows]).to(found.device)
    log = _log_probabilities(network, found.double())
    wanted = torch.where(truth >= 0, truth, log.argmax(dim=1))
    words = "the cross-entropy with the true classes"
    if not bool((truth >= 0).any()):
        words = "the cross-entropy with the network's own likeliest classes, as the true ones are not known"
    elif not bool((truth >= 0).all()):
        words += ", or the network's own where the truth is not known"
    return -log.gather(1, wanted[:, None]).mean(), words


def _log_probabilities(network: Network, values: torch.Tensor) -> torch.Tensor:
    """Return log probabilities (batch, classes) of what a classifier gives."""
    import torch

    last = network.layers[-1].kind if network.layers else ""
    tiny = torch.finfo(values.dtype).tiny
    if values.shape[1] == 1:
        if last == "Sigmoid":
            return torch.cat([(1 - values).clamp_min(tiny).log(), values.clamp_min(tiny).log()], dim=1)
        return torch.cat([-values, values], dim=1).sigmoid().clamp_min(tiny).log()
    if last == "LogSoftmax":
        return values
    return values.clamp_min(tiny).log() if last == "Softmax" else values.log_softmax(dim=1)
