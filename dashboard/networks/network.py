"""A network made ready: module, preprocessing, labels and layers, all of it read-only.

Imports no torch, so that pages may hold the table of layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

    from dashboard.errors import Caution


@dataclass(frozen=True)
class Layer:
    """One call of a module.

    Attributes
    ----------
    name : str
        Name of the module inside the network; the second call of one module is ``name:2``.
    kind : str
        Class of the module, such as ``"Conv2d"``.
    shape : tuple of int
        Shape of the output for one stimulus, without the batch.
    parameters : int
        Number of trained numbers in the module and what it contains.
    units : int
        Number of outputs for one stimulus.
    depth : int
        How many modules contain it, 0 at the top.
    default : bool
        Whether it belongs to the default selection.
    leaf : bool
        Whether it contains no other module.
    batch_axis : int
        Axis of the output that counts stimuli.
    channel_axis : int or None
        Axis of `shape` that counts channels (features of tokens); None for a single number per stimulus.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    units: int
    depth: int
    default: bool = False
    leaf: bool = True
    batch_axis: int = 0
    channel_axis: int | None = 0

    @property
    def shape_text(self) -> str:
        """The shape as people write it: ``64 × 55 × 55``."""
        return " × ".join(map(str, self.shape)) or "1"

    @property
    def channels(self) -> int:
        """Number of channels, or of units where there are no positions."""
        return self.shape[self.channel_axis] if self.channel_axis is not None else self.units

    @property
    def positions(self) -> int:
        """Number of places (or tokens) at which each channel is read."""
        return math.prod(self.shape) // max(self.channels, 1)


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, or its untrained twin, ready for use.

    Attributes
    ----------
    reference : str
        What it was asked by.
    title : str
        What pages call it.
    module : torch.nn.Module
        In eval mode and without gradients. Shared by everyone in the process: never put hooks on it or change
        it; take a copy with `capture.private`.
    preprocess : callable
        From a picture, (height, width, 3) uint8, to the network's input, (channels, height, width) float32.
    labels : tuple of str
        Names of the outputs, in order; empty when they have none.
    layers : tuple of Layer
        Every call of a module in the order in which outputs become ready.
    digest : str
        What `identity` returns: changes with architecture, library, weights and preprocessing.
    card : Mapping
        What is known about it: source, data, licence.
    preprocessing : str
        The sentence that says what happens to a picture.
    weights : str
        The sentence that says where the weights come from.
    input_shape : tuple of int
        (channels, height, width).
    cautions : tuple of Caution
        What was told while it was loaded.
    """

    reference: str
    title: str
    module: torch.nn.Module
    preprocess: Callable[[np.ndarray], torch.Tensor]
    labels: tuple[str, ...]
    layers: tuple[Layer, ...]
    digest: str
    card: Mapping[str, Any]
    preprocessing: str
    weights: str
    input_shape: tuple[int, ...]
    cautions: tuple[Caution, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def defaults(self) -> tuple[Layer, ...]:
        """The layers of the default selection."""
        return tuple(layer for layer in self.layers if layer.default)

    def prepare(self, pictures: list[np.ndarray]) -> torch.Tensor:
        """Return a batch, (n, channels, height, width) float32, of preprocessed pictures."""
        import torch

        return torch.stack([self.preprocess(picture) for picture in pictures])


@dataclass(frozen=True)
class Opened:
    """What a scheme hands over; `networks.load` adds layers and digest."""

    module: torch.nn.Module
    preprocess: Callable[[np.ndarray], torch.Tensor]
    input_shape: tuple[int, ...]
    title: str
    preprocessing: str
    weights: str
    labels: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Entry:
    """A network that can be opened here.

    Attributes
    ----------
    reference : str
        What to ask it by.
    title : str
        What pages call it.
    scheme : str
        Where the architecture comes from, such as ``"torchvision"``.
    weights : {"bundled", "file", "download"}
        Whether the weights come with Homolog, lie in a weights folder, or must be fetched from the internet.
    """

    reference: str
    title: str
    scheme: str
    weights: Literal["bundled", "file", "download"]
