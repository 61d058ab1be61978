"""How do the layers of a network respond to the stimuli? Extracted once, kept in chunks, shared by all."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard import networks, stimuli, store
from dashboard.arrays import ArrayStore
from dashboard.errors import ComputeError, InputError
from dashboard.networks import Layer, Network
from dashboard.progress import part, report
from dashboard.specs import ActivationsSpec
from dashboard.stimuli import Stimuli

CHUNK_ROWS, FEW_ROWS = 64, 8
MANY_UNITS = 100_000
"""Layers above this are written batch by batch, because rows that wait for a whole chunk fill memory."""

VERSION = 1
"""Raised when the numbers change, so that activations of older code are not used."""


@dataclass(frozen=True)
class Extraction:
    """The chosen layers of a network and the stimuli that they respond to, with their responses on disk.

    Attributes
    ----------
    network : Network
    shown : Stimuli
    layers : tuple of Layer
    keys : dict of str to str
        Name of the layer to the key of its array in the store.
    device : str
        Where the network runs.
    """

    network: Network
    shown: Stimuli
    layers: tuple[Layer, ...]
    keys: dict[str, str]
    device: str

    def patterns(self, layer: Layer) -> np.ndarray:
        """Return the responses of one layer, (n_stimuli, n_units) float32.

        Raises
        ------
        ComputeError
            When the stored responses were removed or damaged meanwhile.
        """
        found = store.default().arrays.read(self.keys[layer.name])
        if found is None:
            raise ComputeError(f"The stored responses of {layer.name} are gone or damaged.", "Try again.")
        return found


def extract(network: str, shown: str, layers: Sequence[str], reducer: str) -> Extraction:
    """Make sure that the responses of the chosen layers are stored, going on where an earlier run stopped.

    Parameters
    ----------
    network, shown, reducer : str
        References.
    layers : sequence of str
        Names or patterns; empty for the default selection.

    Raises
    ------
    InputError
        When something named does not exist or does not fit.
    ComputeError
        When the disk is full.
    """
    report(0.0, f"Opening {networks.shown_name(network)}")
    opened = networks.load(network)
    pictures = stimuli.load(shown)
    chosen = networks.select(opened.layers, layers)
    if not chosen:
        raise InputError("No layer is chosen.", "Choose at least one layer.")
    keys = {layer.name: _key(network, shown, layer.name, reducer) for layer in chosen}
    extraction = Extraction(opened, pictures, tuple(chosen), keys, networks.device().type)
    arrays = store.default().arrays
    missing = [layer for layer in chosen if arrays.open(keys[layer.name]) is None]
    if missing:
        try:
            _fill(extraction, missing, reducer, arrays)
        except OSError as error:
            raise ComputeError(
                "The responses cannot be kept: the store's disk is full or cannot be written to.",
                "Free some space, or clean the store on the Jobs page; what was finished is kept.",
            ) from error
        store.default().evict()
    return extraction


def _key(network: str, shown: str, layer: str, reducer: str) -> str:
    payload = {
        "network": networks.identity(network),
        "stimuli": stimuli.identity(shown),
        "layer": layer,
        "reducer": str(networks.reducer(reducer).ref),
        "version": VERSION,
    }
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def _fill(extraction: Extraction, missing: list[Layer], reducer: str, arrays: ArrayStore) -> None:
    """Extract the layers that are not stored yet, from the first stimulus that any of them lacks."""
    network, shown = extraction.network, extraction.shown
    reduce = networks.reducer(reducer)
    with contextlib.ExitStack() as stack:
        writers = {}
        # In the order of the keys, so that two processes never wait for each other.
        for layer in sorted(missing, key=lambda layer: extraction.keys[layer.name]):
            writer = arrays.begin(
                extraction.keys[layer.name],
                len(shown),
                reduce.units(layer),
                batch=FEW_ROWS if reduce.units(layer) > MANY_UNITS else CHUNK_ROWS,
                title=f"{network.title}, {layer.name}, {shown.title}",
                waiting=lambda: report(0.0, "Waiting for another process that extracts the same"),
            )
            writers[layer.name] = stack.enter_context(writer)
        missing = [layer for layer in missing if not writers[layer.name].complete]
        done = min((writers[layer.name].position for layer in missing), default=len(shown))
        rest = (shown.item(i) for i in range(done, len(shown)))
        start = done
        with part(start / len(shown), 1.0):
            responses = networks.activations(
                network, networks.batches(network, rest), missing, reduce, total=len(shown) - start
            )
            for rows in responses if missing else ():
                for layer in missing:
                    writers[layer.name].append(done, rows[layer.name])
                done += len(rows[missing[0].name])
        for layer in missing:
            writers[layer.name].finish()


def activations(spec: ActivationsSpec) -> xr.Dataset:
    """Return the responses of the chosen layers.

    Returns
    -------
    xarray.Dataset
        One variable per layer, (stimulus, unit of that layer) float32.
    """
    extraction = extract(spec.network, spec.stimuli, spec.layers, spec.reducer)
    return xr.Dataset(
        {
            layer.name: (("stimulus", f"unit of {layer.name}"), extraction.patterns(layer))
            for layer in extraction.layers
        },
        coords={"stimulus": list(extraction.shown.names)},
        attrs={
            "title": f"Responses of {extraction.network.title} to {extraction.shown.title}",
            "network": spec.network,
            "stimuli": spec.stimuli,
            "reducer": spec.reducer,
            "device": extraction.device,
        },
    )
