"""What is this network: its layers, shapes and parameters?"""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.progress import report
from dashboard.specs import NetworkSpec


def layer_table(spec: NetworkSpec) -> xr.Dataset:
    """Return one row per module call, in the order in which data pass through.

    Returns
    -------
    xarray.Dataset
        ``kind``, ``shape`` (output, without the batch axis), ``parameters``, ``units`` and ``default`` (1 for
        the layers that are chosen when none are), each (layer,).
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    layers = network.layers
    shapes = [layer.shape_text for layer in layers]
    return xr.Dataset(
        {
            "kind": ("layer", [layer.kind for layer in layers]),
            "shape": ("layer", shapes),
            "parameters": ("layer", np.array([layer.parameters for layer in layers], dtype=np.int64)),
            "units": ("layer", np.array([layer.units for layer in layers], dtype=np.int64)),
            "default": ("layer", np.array([layer.default for layer in layers], dtype=np.int8)),
        },
        coords={"layer": [layer.name for layer in layers]},
        attrs={
            "title": network.title,
            "reference": spec.network,
            "name": network.title,
            "n_parameters": network.n_parameters,
            "digest": network.digest,
            "preprocessing": network.preprocessing,
            "weights": network.weights,
            "input_shape": " × ".join(map(str, network.input_shape)),
            "labels": json.dumps(list(network.labels or [])),
        },
    )
