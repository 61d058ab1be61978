"""Where in the picture the receptive field of each position of a map lies, from its two outermost units.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from dashboard.networks import receptive_field
from dashboard.networks.differentiable import reading
from dashboard.networks.network import Layer, Network

TRIES = 4
"""Noise pictures whose gradients are added: what one ReLU shuts off in one, another lets through."""


@dataclass(frozen=True)
class Fields:
    """Fields of all positions of a map in the network's input.

    Attributes
    ----------
    pixels : int
        Side of the theoretical receptive field.
    start : tuple of float
        Row and column of the first pixel of the field of position (0, 0); negative: it begins in the padding.
    step : tuple of float
        Pixels from one position to the next, downwards and to the right.
    size : tuple of int
        Height and width of the input.
    """

    pixels: int
    start: tuple[float, float]
    step: tuple[float, float]
    size: tuple[int, int]

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return top, left, bottom, right (exclusive) of a position's field, clipped at the border."""
        edges = []
        for place, start, step, size in zip((row, column), self.start, self.step, self.size, strict=True):
            low = round(start + place * step)
            edges.append((max(low, 0), min(low + self.pixels, size)))
        (top, bottom), (left, right) = edges
        return top, left, bottom, right


def fields(network: Network, layer: Layer) -> tuple[Fields | None, str]:
    """Return where the fields of a layer's positions lie, or None and the reason in a sentence.

    The size is the theoretical one (`receptive_field.fields`). The place follows from the gradients of the
    first and the last position: the inner edge of a field at a corner is never cut off by the border.
    """
    found = receptive_field.fields(network.module, network.input_shape, [layer])[layer.name]
    if found.pixels is None:
        return None, found.reason
    if len(layer.shape) != 3 or layer.channel_axis is None:
        return None, receptive_field.NO_PLACE
    height, width = network.input_shape[1:]
    if found.pixels >= max(height, width):
        return None, f"Its field of {found.pixels} pixels is at least as large as the picture."
    first, last = (_support(network, layer, corner) for corner in (0, -1))
    if first is None or last is None:
        return None, "The field could not be placed: no gradient reached the picture."
    shape = [n for k, n in enumerate(layer.shape) if k != layer.channel_axis]
    start, step = [], []
    for axis, n in enumerate(shape):
        begin = first[axis][1] - found.pixels + 1
        start.append(float(begin))
        step.append((last[axis][0] - begin) / (n - 1) if n > 1 else 0.0)
    return Fields(found.pixels, (start[0], start[1]), (step[0], step[1]), (height, width)), ""


def _support(network: Network, layer: Layer, corner: int) -> list[tuple[int, int]] | None:
    """Return the first and last row, and column, on which the units at a corner of the map depend."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((TRIES, *network.input_shape), generator=generator).requires_grad_()
    with torch.enable_grad():
        output = read(network.module, layer, noise)
        maps = output.movedim(1 + (layer.channel_axis or 0), 1)
        weight = torch.randn((1, maps.shape[1]), generator=generator)
        (gradient,) = torch.autograd.grad((maps[:, :, corner, corner] * weight).sum(), noise)
    there = (gradient != 0).any(0).any(0)
    if not there.any():
        return None
    lines = [there.any(1 - axis).nonzero().flatten() for axis in (0, 1)]
    return [(int(line[0]), int(line[-1])) for line in lines]


def read(module: nn.Module, layer: Layer, batch: torch.Tensor) -> torch.Tensor:
    """Return the output of a layer, (n, *layer.shape), with its graph; what comes after is not run."""
    with reading(module, layer) as respond:
        return respond(batch)
