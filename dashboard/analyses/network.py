"""What is this network: its layers, shapes and parameters, and how was it trained?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.analyses import latents, recurrent, walk
from dashboard.errors import InputError
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import CostsSpec, NetworkSpec, OutlineSpec, TrainingSpec

NOT_ON_CARD = ("history", "vocabulary", "labels")
"""Long parts of a card; the history has an answer of its own."""

MOST_LABELS = 2000
"""Attributes of a netCDF file have a limit; of more labels the first are kept."""

MOST_DETAIL = 200


def _no_masks(network: Network) -> str:
    """Say in a sentence why a network draws no masks; ``""`` when it does."""
    return "" if network.card.get("output") == "mask" else f"{network.title} gives no mask of a picture."


PANELS: dict[str, Callable[[Network], str]] = {
    "states": recurrent.why_not,
    "latents": latents.why_not,
    "samples": walk.why_not,
    "masks": _no_masks,
}
"""What only some networks can show, with the function that says why another cannot (``""`` when it can)."""


def layer_table(spec: NetworkSpec) -> xr.Dataset:
    """Return one row per module call, in the order in which data pass through.

    Returns
    -------
    xarray.Dataset
        ``kind``, ``shape`` (output, without the batch axis), ``shape_in`` (of the first input, ``""`` where
        there is none), ``detail`` (settings of the module), ``parameters``, ``units``, ``depth``, ``leaf`` (1
        for modules without modules inside) and ``default`` (1 for the layers that are chosen when none are),
        each (layer,).
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    return _table(networks.outline(spec.network), spec.network)


def first_glance(spec: OutlineSpec) -> xr.Dataset:
    """Return the same as `layer_table` from the header of the weight file, while its weights are unread.

    Without a digest, which only the whole file gives, and without the cautions that need values.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    answer = _table(networks.outline(spec.network, unread=True), spec.network)
    answer.attrs["digest"] = ""
    return answer


def _table(network: Network, reference: str) -> xr.Dataset:
    layers = network.layers
    shapes = [() if network.input_kind == "text" else layer.given for layer in layers]

    def whole(values: list[int] | list[bool], kind: type) -> tuple[str, np.ndarray]:
        return "layer", np.array(values, dtype=kind)

    return xr.Dataset(
        {
            "kind": ("layer", [layer.kind for layer in layers]),
            "shape": ("layer", [layer.shape_text for layer in layers]),
            "shape_in": ("layer", [" × ".join(map(str, shape)) for shape in shapes]),
            "detail": ("layer", [_detail(network, layer.name) for layer in layers]),
            "parameters": whole([layer.parameters for layer in layers], np.int64),
            "units": whole([layer.units for layer in layers], np.int64),
            "depth": whole([layer.depth for layer in layers], np.int64),
            "leaf": whole([layer.leaf for layer in layers], np.int8),
            "default": whole([layer.default for layer in layers], np.int8),
        },
        coords={"layer": [layer.name for layer in layers]},
        attrs={
            "title": network.title,
            "reference": reference,
            "name": network.title,
            "n_parameters": network.n_parameters,
            "weight_bytes": sum(t.numel() * t.element_size() for t in network.module.state_dict().values()),
            "digest": network.digest,
            "preprocessing": network.preprocessing,
            "weights": network.weights,
            "input_shape": " × ".join(map(str, network.input_shape)),
            "input_kind": network.input_kind,
            "output": str(network.card.get("output") or ("classes" if network.labels else "")),
            "labels": json.dumps(list(network.labels or [])[:MOST_LABELS]),
            "n_labels": len(network.labels or ()),
            "card": json.dumps(_card(network)),
            "panels": ",".join(name for name, why_not in PANELS.items() if not why_not(network)),
            "has_history": "yes" if network.card.get("history") else "no",
        },
    )


def _card(network: Network) -> dict[str, Any]:
    """Return what the card says, without its long parts; of an untrained twin only what still holds."""
    card = {name: value for name, value in network.card.items() if name not in NOT_ON_CARD}
    if "untrained" in network.reference:
        for name in ("metrics", "minutes", "sha256", "why", "hyperparameters", "seed"):
            card.pop(name, None)
    return card


def _detail(network: Network, call: str) -> str:
    """Return the settings of a module as torch writes them, such as ``3, 16, kernel_size=(5, 5)``."""
    try:
        text = network.module.get_submodule(call.partition(":")[0]).extra_repr()
    except AttributeError:
        return ""
    return " ".join(text.split())[:MOST_DETAIL]


# --- training --------------------------------------------------------------------------------------


def training(spec: TrainingSpec) -> xr.Dataset:
    """Return the history of the training that a bundled network's card keeps.

    Returns
    -------
    xarray.Dataset
        ``loss`` and ``metric`` (part, epoch) for training and validation, ``learning_rate`` (epoch,), and
        ``gradient_norm`` (module, epoch), the mean norm over the steps of an epoch; NaN where not recorded.

    Raises
    ------
    InputError
        When no history comes with the weights.
    """
    network = networks.load(spec.network)
    history = network.card.get("history") or []
    if not history or "untrained" in network.reference:
        message = f"No training history comes with {network.title}."
        raise InputError(message, "Bundled networks bring theirs; for others look at their publication.")
    parts = ("train", "validation")
    modules = list(dict.fromkeys(name for row in history for name in row.get("gradient_norm", {})))

    def column(name: str) -> list[float]:
        return [float(row[name]) if row.get(name) is not None else np.nan for row in history]

    norms = [[row.get("gradient_norm", {}).get(name, np.nan) for row in history] for name in modules]
    return xr.Dataset(
        {
            "loss": (("part", "epoch"), [column(f"{part}_loss") for part in parts]),
            "metric": (("part", "epoch"), [column(f"{part}_metric") for part in parts]),
            "learning_rate": ("epoch", column("learning_rate")),
            "gradient_norm": (("module", "epoch"), np.array(norms, dtype=float).reshape(-1, len(history))),
        },
        coords={
            "part": ["training", "validation"],
            "epoch": [int(row["epoch"]) for row in history],
            "module": modules,
        },
        attrs={
            "title": f"Training of {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "metric_name": str(network.card.get("metric", "metric")),
            "simulated": "no",
        },
    )


# --- costs -----------------------------------------------------------------------------------------


def costs(spec: CostsSpec) -> xr.Dataset:
    """Return operations, memory and receptive field of every layer, for one stimulus.

    Returns
    -------
    xarray.Dataset
        ``flops`` (a multiplication and an addition are two), ``memory`` in bytes of the output,
        ``receptive_field`` in pixels of the input (NaN where there is no such number) and
        ``receptive_field_note``, why there is none, each (layer,).
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.outline(spec.network)
    report(0.2, "Operations and receptive fields")
    found = networks.costs(network)
    fields = [np.nan if cost.receptive_field is None else cost.receptive_field for cost in found]
    return xr.Dataset(
        {
            "flops": ("layer", np.array([cost.flops for cost in found], dtype=np.int64)),
            "memory": ("layer", np.array([cost.memory_bytes for cost in found], dtype=np.int64)),
            "receptive_field": ("layer", np.array(fields, dtype=np.float64)),
            "receptive_field_note": ("layer", [cost.reason for cost in found]),
        },
        coords={"layer": [cost.name for cost in found]},
        attrs={
            "title": f"Costs of {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "total_flops": networks.total_flops(network),
            "input_pixels": int(network.input_shape[-1]),
            "simulated": "no",
        },
    )
