"""A network made ready: module, preprocessing, labels and layers, all of it read-only.

Imports no torch, so that pages may hold the table of layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from dashboard.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from dashboard.errors import Caution

InputKind = Literal["image", "text", "vector"]
"""What a network is shown: pictures, texts, or the latent numbers of a generator."""


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
    token_axis : int or None
        Axis of `shape` that counts the tokens of a text and is as long as the text; None elsewhere.
    given : tuple of int
        Shape of the first input without its first axis; empty where there is none.
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
    token_axis: int | None = None
    given: tuple[int, ...] = ()

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


@dataclass(frozen=True)
class TextInput:
    """How texts become batches; only text networks have it.

    Attributes
    ----------
    pad : callable
        From the tokens of some texts, as `Network.preprocess` gives them, to one batch of equal lengths.
    mask : callable
        From a batch to (n, n_tokens) bool: True where a token belongs to the text, False where it was padded.
    words : callable or None
        From a text to the tokens as people read them, as many as `Network.preprocess` gives.
    dropped : callable or None
        From a text to how many of its tokens are cut off because the network reads no more.
    """

    pad: Callable[[list[torch.Tensor]], torch.Tensor]
    mask: Callable[[torch.Tensor], torch.Tensor]
    words: Callable[[str], tuple[str, ...]] | None = None
    dropped: Callable[[str], int] | None = None


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
        From a picture, (height, width, 3) uint8, to the network's input, (channels, height, width) float32;
        from a text to its tokens when `input_kind` is ``"text"``.
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
        (channels, height, width); of a text network the tokens of the longest text.
    cautions : tuple of Caution
        What was told while it was loaded.
    text : TextInput or None
        How texts become batches; None for networks that see pictures.
    """

    reference: str
    title: str
    module: torch.nn.Module
    preprocess: Callable[[Any], torch.Tensor]
    labels: tuple[str, ...]
    layers: tuple[Layer, ...]
    digest: str
    card: Mapping[str, Any]
    preprocessing: str
    weights: str
    input_shape: tuple[int, ...]
    cautions: tuple[Caution, ...] = ()
    text: TextInput | None = None

    @property
    def input_kind(self) -> InputKind:
        """What the network is shown: pictures, texts, or the latent numbers of a generator."""
        if self.text is not None:
            return "text"
        return "vector" if self.card.get("input") == "vector" else "image"

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def defaults(self) -> tuple[Layer, ...]:
        """The layers of the default selection."""
        return tuple(layer for layer in self.layers if layer.default)

    def prepare(self, stimuli: Sequence[np.ndarray | str]) -> torch.Tensor:
        """Return a batch of preprocessed stimuli.

        Parameters
        ----------
        stimuli : sequence of np.ndarray or of str
            Pictures, (height, width, 3) uint8, texts, or vectors of numbers, as `input_kind` says.

        Returns
        -------
        torch.Tensor
            (n, channels, height, width) float32, or the tokens of the texts padded to the longest of them.

        Raises
        ------
        InputError
            When the network is given stimuli of another kind than its own, or vectors of another length.
        """
        import torch

        self.check(stimuli)
        rows = [self.preprocess(stimulus) for stimulus in stimuli]
        return torch.stack(rows) if self.text is None else self.text.pad(rows)

    def check(self, stimuli: Iterable[np.ndarray | str]) -> None:
        """Refuse stimuli of another kind than the network takes, and vectors of another length."""
        for stimulus in stimuli:
            kind = _kind(stimulus)
            if kind != self.input_kind:
                message = f"{self.title} {_TAKES[self.input_kind]}, and these stimuli are {_CALLED[kind]}."
                raise InputError(message, _REMEDIES[self.input_kind])
            if kind == "vector" and len(stimulus) != self.input_shape[0]:
                message = f"{self.title} takes {self.input_shape[0]} numbers, and these have {len(stimulus)}."
                raise InputError(message, f"Write latents?size={self.input_shape[0]}.")


_TAKES = {"image": "sees pictures", "text": "reads texts", "vector": "makes pictures from latent numbers"}
_CALLED = {"image": "pictures", "text": "texts", "vector": "latent numbers"}
_REMEDIES = {
    "image": "Choose stimuli that are pictures, or a network that takes what these are.",
    "text": "Choose text stimuli, such as text:PATH or sentences.",
    "vector": "Choose latents as stimuli.",
}


def _kind(stimulus: np.ndarray | str) -> Literal["image", "text", "vector"]:
    if isinstance(stimulus, str):
        return "text"
    return "vector" if stimulus.ndim == 1 else "image"


@dataclass(frozen=True)
class Opened:
    """What a scheme hands over; `networks.load` adds layers and digest."""

    module: torch.nn.Module
    preprocess: Callable[[Any], torch.Tensor]
    input_shape: tuple[int, ...]
    title: str
    preprocessing: str
    weights: str
    labels: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    text: TextInput | None = None


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
