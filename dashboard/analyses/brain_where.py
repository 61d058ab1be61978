"""Where in the pictures would a small change make a layer more like an area?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses import one_layer
from dashboard.analyses.one_layer import Area
from dashboard.analyses.seen import as_seen
from dashboard.errors import InputError
from dashboard.methods import rsa
from dashboard.networks import Layer, Network
from dashboard.progress import part, report
from dashboard.specs import BrainWhereSpec

if TYPE_CHECKING:
    import torch

    from dashboard.methods.score_gradient import Target

BATCH = 8
MOST = 64
MOST_INPUT_BYTES = 512 * 2**20
"""All stimuli, made ready, are kept for moving them: at most so much."""

STEPS = (0.25, 1.0, 4.0)
"""How far, at most, a pixel is moved when the gradient is checked, in levels of 255."""


def where(spec: BrainWhereSpec) -> xr.Dataset:
    """Compute the gradient of the score to the pixels of all pictures, and check it by moving them.

    Returns
    -------
    xarray.Dataset
        ``gradient`` (shown, row, column): change of the score when a pixel gets brighter by one level of 255,
        of the stimuli with the largest ``norm``, with their ``picture`` (shown, row, column, colour) uint8 as
        the network sees it; ``norm`` (stimulus,): length of the gradient of all its pixels and colours;
        ``predicted`` and ``measured`` (step,): rise of the score when all pictures are moved along the
        gradient, no pixel by more than ``step`` levels.

    Raises
    ------
    InputError
        When the network sees no pictures, or area, layer or metric do not fit.
    """
    from dashboard.methods import score_gradient

    if not 1 <= spec.most <= MOST:
        message = f"most must be from 1 to {MOST}, not {spec.most}."
        raise InputError(message)
    with part(0.0, 0.05):
        area = one_layer.area(spec)
    with part(0.05, 0.4):
        layer = _layer(spec, area)
    network = networks.load(spec.network)
    inputs, mixing, shown = _inputs(spec, network, area)
    with _reading(network, layer, spec.reducer) as read, part(0.4, 1.0):
        with part(0.0, 0.2):
            patterns = _patterns(inputs, read)
        metric = "sqeuclidean" if spec.metric == "crossnobis" else spec.metric  # a network has no noise
        target = score_gradient.target(patterns, area.subjects, metric, spec.measure)
        score, pull = target.gradient(patterns)
        with part(0.2, 0.6):
            colours = _pixels(inputs, pull, mixing, read)
        with part(0.6, 1.0):
            predicted, measured = _moved(inputs, colours, mixing, read, target, score)
    norm = np.sqrt((colours**2).sum((1, 2, 3)))
    chosen = np.argsort(-norm, kind="stable")[: spec.most]
    pictures = np.stack([as_seen(network, inputs[int(k)], shown[int(k)]) for k in chosen])
    return _labelled(
        spec, area, network, layer, _Found(colours, norm, chosen, pictures, predicted, measured, score)
    )


@dataclass(frozen=True, eq=False)
class _Found:
    colours: np.ndarray
    norm: np.ndarray
    chosen: np.ndarray
    pictures: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray
    score: float


def _layer(spec: BrainWhereSpec, area: Area) -> Layer:
    network = networks.load(spec.network)
    layer = networks.select(network.layers, [one_layer.layer(spec, area)])[0]
    if "#" in layer.name:
        message = f"{layer.name} is one head, whose output is not followed back to the pixels."
        raise InputError(message, "Choose the attention layer itself.")
    return layer


def _inputs(
    spec: BrainWhereSpec, network: Network, area: Area
) -> tuple[torch.Tensor, torch.Tensor, list[np.ndarray]]:
    """Return prepared pictures in the recording's order, how colours enter them, and the pictures."""
    import torch

    from dashboard.networks import pixels

    shown = stimuli.load(f"recording:{spec.recording}")
    network.check([shown.item(0)])
    mixing = pixels.levels(network).matrix
    size = 4 * len(shown) * int(np.prod(network.input_shape))
    if size > MOST_INPUT_BYTES:
        message = f"The {len(shown)} stimuli of this recording take {size / 2**20:.0f} MB for this network."
        raise InputError(message, "Choose a recording with fewer stimuli, or a network with a smaller input.")
    pictures = [shown.picture(int(k)) for k in one_layer.order(shown.names, area)]
    return torch.cat([network.prepare([picture]) for picture in pictures]), mixing, pictures


@contextmanager
def _reading(
    network: Network, layer: Layer, reference: str
) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
    """Give the function from inputs (n, …) to patterns (n, n_units) with their graph."""
    from dashboard.networks.differentiable import reading

    reduce = networks.reducer(reference).plan(layer)
    with reading(network.module, layer, networks.device()) as read:
        yield lambda batch: reduce(read(batch))


def _patterns(inputs: torch.Tensor, read: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return the patterns of all inputs, (n, n_units) float64, without their graph."""
    import torch

    rows = []
    for start in range(0, len(inputs), BATCH):
        with torch.no_grad():
            rows.append(read(inputs[start : start + BATCH]).double().cpu())
        report((start + len(rows[-1])) / len(inputs), f"Responses to {start + len(rows[-1])} pictures")
    return torch.cat(rows)


def _pixels(
    inputs: torch.Tensor,
    pull: torch.Tensor,
    mixing: torch.Tensor,
    read: Callable[[torch.Tensor], torch.Tensor],
) -> np.ndarray:
    """Return the gradient to the colours (0 to 1) of all pictures, (n, 3, height, width) float64."""
    import torch

    found = []
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH].clone().requires_grad_()
        with torch.enable_grad():
            rows = read(batch).double()
            total = (rows * pull[start : start + len(batch)].to(rows.device)).sum()
            (gradient,) = torch.autograd.grad(total, batch)
        found.append(torch.einsum("nchw,ck->nkhw", gradient.double().cpu(), mixing.double()).numpy())
        report((start + len(batch)) / len(inputs), f"Gradients of {start + len(batch)} pictures")
    return np.concatenate(found)


def _moved(
    inputs: torch.Tensor,
    colours: np.ndarray,
    mixing: torch.Tensor,
    read: Callable[[torch.Tensor], torch.Tensor],
    target: Target,
    score: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rise of the score that the gradient predicts, and the one measured, of every step."""
    import torch

    largest, squared = np.abs(colours).max(), float((colours**2).sum())
    if not largest > 0:
        message = "No gradient reaches the pixels: the layer does not respond to small changes."
        raise InputError(message, "Choose another layer.")
    way = torch.einsum("nkhw,ck->nchw", torch.from_numpy(colours), mixing.double())
    predicted, measured = [], []
    for number, levels in enumerate(STEPS):
        length = levels / 255 / largest
        with part(number / len(STEPS), (number + 1) / len(STEPS)):
            patterns = _patterns((inputs.double() + length * way).float(), read)
        predicted.append(length * squared)
        measured.append(float(target.score(patterns)) - score)
    return np.array(predicted), np.array(measured)


def _labelled(spec: BrainWhereSpec, area: Area, network: Network, layer: Layer, found: _Found) -> xr.Dataset:
    label = rsa.MEASURES[spec.measure].label
    names = area.stimuli
    maps = found.colours[found.chosen].sum(1) / 255
    return xr.Dataset(
        {
            "gradient": (("shown", "row", "column"), maps, {"units": f"{label} per level of 255"}),
            "picture": (("shown", "row", "column", "colour"), found.pictures),
            "norm": ("stimulus", found.norm, {"units": label}),
            "predicted": ("step", found.predicted, {"units": label}),
            "measured": ("step", found.measured, {"units": label}),
        },
        coords={
            "shown": [names[int(k)] for k in found.chosen],
            "stimulus": names,
            "step": list(STEPS),
        },
        attrs={
            "title": f"Gradient of the similarity of {layer.name} of {network.title} with {area.name}",
            "network": spec.network,
            "network_title": network.title,
            "recording": spec.recording,
            "recording_title": area.answer.attrs["recording_title"],
            "area_name": area.name,
            "layer_name": layer.name,
            "score": found.score,
            "measure": spec.measure,
            "measure_label": label,
            "metric": spec.metric,
            "reducer": spec.reducer,
            "device": networks.device().type,
            "simulated": area.answer.attrs["simulated"],
        },
    )
