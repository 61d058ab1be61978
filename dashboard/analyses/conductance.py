"""How much does each unit of a layer contribute to a score of the network?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses.attribution import MOST_STEPS, said
from dashboard.errors import InputError, unknown
from dashboard.progress import report
from dashboard.specs import AttributionSpec, ConductanceSpec

if TYPE_CHECKING:
    from torch import nn

    from dashboard.networks import Layer, Network

ASKED = ("network", "stimuli", "target", "score", "baseline", "background", "seed")
"""Settings that mean the same for a map of the input."""


def conductance(spec: ConductanceSpec) -> xr.Dataset:
    """Return layer conductance: the share of the score's change that passes through each channel of a layer.

    Returns
    -------
    xarray.Dataset
        ``conductance`` (channel,) in units of the score, ``activation`` and ``baseline_activation``
        (channel,) mean over places; ``likeliest`` and ``probability`` (item, rank) where there are classes.
        Attributes ``score``, ``baseline_score``, ``total`` (their difference), ``summed``, ``steps`` (parts
        of the way that were taken), ``layer``, ``target``, ``truth``, ``item``, ``unit``.

    Raises
    ------
    InputError
        When a layer, stimulus or target does not exist, or no gradient passes through the layer.
    """
    from dashboard.analyses.explaining import question
    from dashboard.methods.attribution.conductance import layer_conductance

    if not 2 <= spec.steps <= MOST_STEPS:
        message = f"steps must be 2 to {MOST_STEPS}, not {spec.steps}."
        raise InputError(message)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    layer = chosen_layer(network, spec.layer)
    asked = question(AttributionSpec(**{name: getattr(spec, name) for name in ASKED}), spec.item)
    found = layer_conductance(
        asked.explained,
        named_inside(asked.explained.module, layer.name),
        layer.channel_axis,
        steps=spec.steps,
        report=lambda fraction: report(fraction, f"Conductance of {layer.name}"),
    )
    score, baseline_score = asked.explained.levels()
    return xr.Dataset(
        {
            "conductance": ("channel", found.values.numpy()),
            "activation": ("channel", found.activation.numpy()),
            "baseline_activation": ("channel", found.baseline_activation.numpy()),
            **said([asked]),
        },
        coords={"channel": np.arange(len(found.values)), "item": [asked.name]},
        attrs={
            "title": f"Conductance of {layer.name} of {network.title} for {asked.name} of {shown.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "stimuli_title": shown.title,
            "layer": layer.name,
            "layer_kind": layer.kind,
            "places": layer.positions,
            "target": asked.target.words,
            "truth": asked.truth,
            "unit": asked.target.unit,
            "score": score,
            "baseline_score": baseline_score,
            "total": found.total,
            "summed": float(found.values.sum()),
            "steps": found.steps,
            "source": found.source,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def named_inside(module: nn.Module, layer: str) -> str:
    """Return what a layer of the network is called inside the modules that were put around it."""
    from dashboard.analyses.explaining import Unpadded
    from dashboard.methods.attribution.base import Truncated

    while isinstance(module, Unpadded | Truncated):
        module, layer = module.network, f"network.{layer}"
    return layer


def chosen_layer(network: Network, name: str) -> Layer:
    """Return a layer by name; of ``""`` the last of the default selection before the network's answer.

    Raises
    ------
    InputError
        When there is no such layer, or its output does not count stimuli on its first axis.
    """
    known = {row.name: row for row in network.layers}
    if name and name not in known:
        raise unknown("layer", name, known)
    usable = [row for row in network.layers if row.batch_axis == 0 and row.units > 1]
    hidden = [row for row in usable if row.default and row is not network.layers[-1]] or usable
    if not name and not hidden:
        message = f"{network.title} has no layer with more than one unit."
        raise InputError(message, "Choose another network.")
    layer = known[name] if name else hidden[-1]
    if layer.batch_axis != 0:
        message = f"{layer.name} mixes stimuli: its output does not count them on its first axis."
        raise InputError(message, "Choose another layer.")
    return layer
