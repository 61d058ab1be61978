"""What each layer costs and sees: operations, memory of its output, and its receptive field.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from dashboard.networks import flops, receptive_field
from dashboard.networks.network import Network

BYTES_PER_NUMBER = 4


@dataclass(frozen=True)
class LayerCost:
    """What one call of a module costs for one stimulus, and what its units see of it.

    Attributes
    ----------
    name : str
        Name of the layer, as in `Network.layers`.
    flops : int
        Floating-point operations of the call and all that it contains; one multiplication and one addition
        are two.
    memory_bytes : int
        Size of its output in float32.
    receptive_field : int or None
        Side, in pixels of the network's input, of what one unit can depend on; None where there is none.
    reason : str
        Why there is no receptive field, a sentence; else ``""``.
    """

    name: str
    flops: int
    memory_bytes: int
    receptive_field: int | None
    reason: str


_counted: weakref.WeakKeyDictionary[Network, flops.Flops] = weakref.WeakKeyDictionary()


def costs(network: Network) -> list[LayerCost]:
    """Return the costs of every layer of a network, in the order of `Network.layers`.

    A text network is counted for the longest text that it reads.
    """
    counted = _count(network)
    fields = receptive_field.fields(network.module, network.input_shape, network.layers)
    return [
        LayerCost(
            name=layer.name,
            flops=counted.calls.get(layer.name, 0),
            memory_bytes=BYTES_PER_NUMBER * layer.units,
            receptive_field=fields[layer.name].pixels,
            reason=fields[layer.name].reason,
        )
        for layer in network.layers
    ]


def total_flops(network: Network) -> int:
    """Return the floating-point operations of the whole network for one stimulus."""
    return _count(network).total


def _count(network: Network) -> flops.Flops:
    if network not in _counted:
        _counted[network] = flops.count(network.module, network.input_shape)
    return _counted[network]
