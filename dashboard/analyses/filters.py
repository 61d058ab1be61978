"""What do the kernels of a layer look like, and where in a picture does each channel respond?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.errors import InputError, caution, unknown
from dashboard.methods import gabor
from dashboard.networks import Layer, Network
from dashboard.networks.reducers import patch_grid
from dashboard.progress import report
from dashboard.specs import FeatureMapsSpec, FiltersSpec, GaborsSpec

if TYPE_CHECKING:
    import torch

COLOURS = 4
"""Kernels over at most so many inputs are drawn as pictures in colour or grey."""

SLICES = 4
POWER_SIDE = 32
COMPONENTS = 16
LARGE = 8
"""Kernels of at least this side also get principal components: there are many, and most look alike."""

MOST_NORMS = 2048
MOST_MAPS = 4096


@dataclass(frozen=True, eq=False)
class Kernels:
    """The kernels of one layer.

    Attributes
    ----------
    layer : str
    weights : np.ndarray
        (n_units, n_inputs, height, width) float32.
    names : tuple of str
        Every layer of the network that has kernels, in the order of the modules.
    note : str
        How the layer's weights became kernels, when that is not plain.
    """

    layer: str
    weights: np.ndarray
    names: tuple[str, ...]
    note: str = ""


def kernels(network: Network, layer: str = "") -> Kernels:
    """Return the kernels of a layer, of the first that has any when none is named.

    Raises
    ------
    InputError
        When the network or the layer has no kernels.
    """
    found = _with_kernels(network)
    if not found:
        message = f"{network.title} has no layer that looks at a picture through kernels."
        raise InputError(message, "Choose a network that sees pictures, such as bundled:objects_cnn.")
    name = layer or next(iter(found))
    if name not in found:
        raise unknown("layer with kernels", name, found)
    module = found[name]
    weights = cast("torch.Tensor", module.weight).detach().to("cpu").float().numpy()
    note = ""
    if weights.ndim == 2:
        weights = weights.reshape(len(weights), *network.input_shape)
        note = f"{name} is fully connected: its weights are laid out as the picture that it reads."
    return Kernels(name, weights, tuple(found), note)


def _with_kernels(network: Network) -> dict[str, torch.nn.Module]:
    from torch import nn

    size = int(np.prod(network.input_shape))
    found: dict[str, nn.Module] = {}
    for name, module in network.module.named_modules():
        first = isinstance(module, nn.Linear) and not found and len(network.input_shape) == 3
        if isinstance(module, nn.Conv2d) or (first and module.in_features == size):
            found[name] = module
    return found


def filters(spec: FiltersSpec) -> xr.Dataset:
    """Return the kernels of a layer.

    Returns
    -------
    xarray.Dataset
        ``kernel`` (unit, slice, y, x): all inputs where there are at most four, else the four with the
        largest norm; ``source`` (unit, slice) tells which. ``norm`` (unit,), and ``input_norm`` (unit, input)
        where the layer is not too large. Kernels that are pictures also have ``power`` (unit, fy, fx), and
        large ones ``component`` (component, slice, y, x) with ``component_share``.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    found = kernels(network, spec.layer)
    n, inputs, height, width = found.weights.shape
    norms = np.sqrt((found.weights.astype(np.float64) ** 2).sum(axis=(2, 3)))
    order = np.sort(np.argsort(-norms, axis=1, kind="stable")[:, : min(inputs, SLICES)], axis=1)
    shown = np.take_along_axis(found.weights, order[:, :, None, None], axis=1)
    variables: dict[str, tuple] = {
        "kernel": (("unit", "slice", "y", "x"), shown),
        "source": (("unit", "slice"), order),
        "norm": ("unit", np.sqrt((norms**2).sum(axis=1))),
    }
    if n * inputs <= MOST_NORMS**2:
        variables["input_norm"] = (("unit", "input"), norms.astype(np.float32))
    if inputs <= COLOURS and min(height, width) > 1:
        variables |= _pictures(found.weights)
    if inputs > COLOURS:
        caution(
            "slices",
            f"Each kernel of {found.layer} reads {inputs} channels; the {shown.shape[1]} slices with the "
            "largest weights are shown: not the whole kernel, and no picture of what it looks for.",
        )
    attrs = {
        "title": f"Kernels of {found.layer} of {network.title}",
        "network": spec.network,
        "network_title": network.title,
        "layer": found.layer,
        "layers": json.dumps(found.names),
        "note": found.note,
        "n_inputs": inputs,
        "device": "cpu",
        "simulated": "no",
    }
    return xr.Dataset(variables, coords={"unit": np.arange(n)}, attrs=attrs)


def _pictures(weights: np.ndarray) -> dict[str, tuple]:
    """Return the Fourier power of kernels that are pictures, and the principal components of large ones."""
    grey, _, share = gabor.grey(weights)
    found: dict[str, tuple] = {
        "power": (("unit", "fy", "fx"), gabor.power(grey, POWER_SIDE).astype(np.float32)),
        "grey_share": ("unit", share),
    }
    if min(weights.shape[2:]) >= LARGE and len(weights) > COMPONENTS:
        flat = weights.reshape(len(weights), -1).astype(np.float64)
        _, s, v = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
        sign = np.sign(v[np.arange(len(v)), np.abs(v).argmax(axis=1)])[:, None]
        components = (sign * v)[:COMPONENTS].reshape(-1, *weights.shape[1:])
        found["component"] = (("component", "slice", "y", "x"), components.astype(np.float32))
        found["component_share"] = ("component", (s**2 / (s**2).sum())[:COMPONENTS])
    return found


def gabors(spec: GaborsSpec) -> xr.Dataset:
    """Return the best Gabor function of every kernel that is a picture.

    Returns
    -------
    xarray.Dataset
        Over ``unit`` the parameters of `methods.gabor.Gabors`, ``reason`` and ``grey_share`` (how much of a
        coloured kernel is in the one picture that is fitted); ``fitted`` (unit, y, x) float32 their pictures.

    Raises
    ------
    InputError
        When the kernels of the layer are no pictures.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    found = kernels(network, spec.layer)
    n, inputs, height, width = found.weights.shape
    if inputs > COLOURS or min(height, width) < gabor.SMALLEST:
        message = (
            f"The kernels of {found.layer} are {height} × {width} over {inputs} channels: "
            f"Gabors are fitted to kernels of at least {gabor.SMALLEST} × {gabor.SMALLEST} over a picture."
        )
        raise InputError(message, "Choose the first layer of a network with larger kernels.")
    grey, _, share = gabor.grey(found.weights)
    fit = gabor.fit(grey, lambda done: report(done, f"Gabor fits: {round(done * n)} of {n} kernels"))
    drawn = np.stack([gabor.draw(fit, k, height, width) for k in range(n)])
    # x and y are taken by the pixels of `fitted`
    renamed = {"x": "centre_x", "y": "centre_y"}
    numbers: dict[str, tuple] = {
        renamed.get(name, name): ("unit", values) for name, values in vars(fit).items() if name != "reasons"
    }
    for name in ("orientation", "phase"):
        numbers[name] = (*numbers[name], {"units": "deg"})
    numbers["frequency"] = (*numbers["frequency"], {"units": "cycles/pixel"})
    return xr.Dataset(
        {
            **numbers,
            "reason": ("unit", fit.reasons),
            "grey_share": ("unit", share),
            "fitted": (("unit", "y", "x"), drawn.astype(np.float32)),
        },
        coords={"unit": np.arange(n)},
        attrs={
            "title": f"Gabor fits of {found.layer} of {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "layer": found.layer,
            "good": gabor.GOOD,
            "device": "cpu",
            "simulated": "no",
        },
    )


# --- feature maps ------------------------------------------------------------------------------------------


def feature_maps(spec: FeatureMapsSpec) -> xr.Dataset:
    """Return where in one stimulus every channel of a layer responds.

    Returns
    -------
    xarray.Dataset
        ``map`` (unit, y, x) float32, ``mean``, ``lowest``, ``highest`` (unit,) over positions, and
        ``thumbnail`` (row, column, colour) of the stimulus.

    Raises
    ------
    InputError
        When the layer has no positions in the picture, or the stimulus does not exist.
    """
    from dashboard.networks import capture

    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    item = spec.item or shown.names[0]
    if item not in shown.names:
        raise unknown("stimulus", item, shown.names)
    layer = _layer(network, spec.layer)
    place = shown.names.index(item)
    with capture.capture(network, [layer], "all") as respond:
        flat = respond(network.prepare([shown.item(place)]))[layer.name][0]
    maps, note = _maps(flat.reshape(layer.shape), layer)
    if len(maps) > MOST_MAPS:
        message = f"{layer.name} has {len(maps):,} channels, more than {MOST_MAPS:,} maps."
        raise InputError(message, "Choose another layer.")
    return xr.Dataset(
        {
            "map": (("unit", "y", "x"), maps),
            "mean": ("unit", maps.mean(axis=(1, 2), dtype=np.float64)),
            "lowest": ("unit", maps.min(axis=(1, 2))),
            "highest": ("unit", maps.max(axis=(1, 2))),
            "thumbnail": (("row", "column", "colour"), shown.thumbnail(place, 128)),
        },
        coords={"unit": np.arange(len(maps))},
        attrs={
            "title": f"Maps of {layer.name} of {network.title} for {item}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "item": item,
            "layer": layer.name,
            "note": note,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def _layer(network: Network, name: str) -> Layer:
    """Return a layer with positions; the first of the default selection when none is named.

    Raises
    ------
    InputError
        When there is none, or the named layer has no positions.
    """
    if not name:
        having = [layer for layer in (*network.defaults, *network.layers) if _has_positions(layer)]
        if not having:
            message = f"{network.title} has no layer with positions in a picture."
            raise InputError(message, "Choose a network that sees pictures, such as bundled:objects_cnn.")
        return having[0]
    layer = networks.select(network.layers, [name])[0]
    if not _has_positions(layer):
        message = f"{layer.name} has shape {layer.shape_text}: it has no positions in the picture."
        raise InputError(message, "Choose a convolution, or another layer with height and width.")
    return layer


def _has_positions(layer: Layer) -> bool:
    if layer.token_axis is not None or layer.channel_axis is None:
        return False
    return len(layer.shape) == 3 or (patch_grid(layer) is not None)


def _maps(output: np.ndarray, layer: Layer) -> tuple[np.ndarray, str]:
    """Return (channels, height, width) float32 of one layer's output, and how tokens were laid out."""
    if output.ndim == 3:
        return np.moveaxis(output, layer.channel_axis or 0, 0), ""
    grid = patch_grid(layer)
    assert grid is not None
    before, side = grid
    note = f"The {side * side} patch tokens lie as their patches do" + (
        f"; {before} token{'s' if before > 1 else ''} before them left out." if before else "."
    )
    return np.moveaxis(output[before:].reshape(side, side, -1), -1, 0), note
