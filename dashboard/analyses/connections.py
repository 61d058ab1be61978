"""From which units of the layer before does a unit get its input, and to which does it hand it on?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.analyses.units import check_unit, chosen_layer
from dashboard.errors import InputError, caution
from dashboard.progress import report
from dashboard.specs import ConnectionsSpec

if TYPE_CHECKING:
    from dashboard.networks.connections import Connection

MOST, MOST_LAYERS = 100, 3


def connections(spec: ConnectionsSpec) -> xr.Dataset:
    """Return the strongest connections of one unit with units of the neighbouring weighted layers.

    Returns
    -------
    xarray.Dataset
        Over ``connection``: ``direction`` (from, to), ``layer``, ``unit``, ``strength``, ``kind`` (weight, or
        norm of a kernel), ``through`` (the layer whose weights these are) and ``also`` (further layers that
        feed the same channel); strongest first within a direction.

    Raises
    ------
    InputError
        When the layer has no such unit, or connections are not fixed weights.
    """
    from dashboard.networks import connections as method

    if not 1 <= spec.most <= MOST:
        message = f"most must be from 1 to {MOST}, not {spec.most}."
        raise InputError(message)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    layer = chosen_layer(network, spec.layer)
    check_unit(spec.unit, layer.channels, layer.name)
    report(0.2, "Connections to later layers")
    after = method.outgoing(network, layer, spec.unit)
    report(0.6, "Connections from earlier layers")
    before = method.incoming(network, layer, spec.unit, spec.most)
    readers = list(dict.fromkeys(one.layer for one in after))
    if len(readers) > MOST_LAYERS:
        caution(
            "more-readers",
            f"{len(readers)} layers read this unit, most through shortcuts; the nearest {MOST_LAYERS} are "
            "compared.",
        )
    near = [one for one in after if one.layer in readers[:MOST_LAYERS]]
    near.sort(key=lambda one: -abs(one.strength))
    return _dataset(before, near[: spec.most]).assign_attrs(
        title=f"Connections of unit {spec.unit} of {layer.name} of {network.title}",
        network=spec.network,
        network_title=network.title,
        layer=layer.name,
        unit=spec.unit,
        n_to=len(after),
        input=method.PICTURE,
        device="cpu",
        simulated="no",
    )


def _dataset(before: Sequence[Connection], after: Sequence[Connection]) -> xr.Dataset:
    every = [("from", one) for one in before] + [("to", one) for one in after]

    def text(values: list[str]) -> np.ndarray:
        return np.array(values, dtype=np.str_) if values else np.empty(0, dtype="<U1")

    return xr.Dataset(
        {
            "direction": ("connection", text([direction for direction, _ in every])),
            "layer": ("connection", text([one.layer for _, one in every])),
            "unit": ("connection", np.array([one.unit for _, one in every], dtype=np.int64)),
            "strength": ("connection", np.array([one.strength for _, one in every], dtype=np.float64)),
            "kind": ("connection", text([one.kind for _, one in every])),
            "through": ("connection", text([one.through for _, one in every])),
            "also": ("connection", text([", ".join(one.also) for _, one in every])),
        }
    )
