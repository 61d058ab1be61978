"""How do the layers of a network respond to the stimuli? Extracted once, kept in chunks, shared by all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
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
    reducer : str
        What was kept of each layer.
    device : str
        Where the network runs.
    """

    network: Network
    shown: Stimuli
    layers: tuple[Layer, ...]
    keys: dict[str, str]
    reducer: str
    device: str

    def patterns(self, layer: Layer) -> np.ndarray:
        """Return the responses of one layer, (n_stimuli, n_units) float32.

        What was removed or damaged since is extracted again.

        Raises
        ------
        ComputeError
            When the disk does not keep them.
        """
        arrays = store.default().arrays
        found = arrays.read(self.keys[layer.name])
        if found is None:
            _fill(self, [layer], arrays)
            found = arrays.read(self.keys[layer.name])
        if found is None:
            raise ComputeError(
                f"The responses of {layer.name} are damaged each time they are stored.",
                "Check the server's disk.",
            )
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
    chosen = networks.chosen(opened, layers)
    if not chosen:
        raise InputError("No layer is chosen.", "Choose at least one layer.")
    keys = {layer.name: _key(network, shown, layer.name, reducer) for layer in chosen}
    extraction = Extraction(opened, pictures, tuple(chosen), keys, reducer, networks.device().type)
    arrays = store.default().arrays
    missing = [layer for layer in chosen if not arrays.has(keys[layer.name])]
    if missing:
        _fill(extraction, missing, arrays)
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


def _fill(extraction: Extraction, missing: list[Layer], arrays: ArrayStore) -> None:
    """Extract the layers that are not stored, or say in a sentence that the disk does not take them."""
    _foresee(extraction, missing, arrays)
    try:
        _extract(extraction, missing, arrays)
    except OSError as error:
        raise ComputeError(
            "The responses cannot be kept: the store's disk is full or cannot be written to.",
            "Free some space, or clean the store on the Jobs page; what was finished is kept.",
        ) from error


def _foresee(extraction: Extraction, missing: list[Layer], arrays: ArrayStore) -> None:
    """Say what the extraction will need, and refuse it when the disk cannot hold it.

    Raises
    ------
    ComputeError
        Before anything is run.
    """
    coming = networks.forecast(extraction.network, len(extraction.shown), missing, extraction.reducer)
    size, count = coming.bytes / 1e9, len(missing)
    what = f"{len(extraction.shown)} stimuli, {count} layer{'s' if count > 1 else ''}"
    folder = next(path for path in (arrays.root, *arrays.root.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 1e9
    if size > free:
        raise ComputeError(
            f"The responses ({what}) would take {size:.3g} GB, and the store's disk has {free:.3g} GB free.",
            "Choose fewer layers, or a reducer such as spatial-mean, or clean the store on the Jobs page.",
        )
    report(0.0, f"{what}: {size:.2g} GB, about {max(1, round(coming.seconds))} s for the network alone")


def _extract(extraction: Extraction, missing: list[Layer], arrays: ArrayStore) -> None:
    """Run the network from the first stimulus that any of the missing layers lacks."""
    network, shown = extraction.network, extraction.shown
    reduce = networks.reducer(extraction.reducer)
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
