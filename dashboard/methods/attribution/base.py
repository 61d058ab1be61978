"""What an attribution method is given and what it gives back. Imports torch: for workers and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from dashboard.errors import ComputeError, InputError

Score = Callable[[torch.Tensor], torch.Tensor]
"""From what the network gives for a batch, (batch, ...), to one number per row, (batch,)."""


@dataclass(frozen=True, eq=False)
class Explained:
    """One stimulus, one network and the score to be explained.

    Attributes
    ----------
    module : torch.nn.Module
        A private copy in eval mode with frozen parameters; a method that installs hooks or changes it takes
        a copy of its own.
    inputs : torch.Tensor
        (1, *shape): the preprocessed stimulus; of a text the numbers of its tokens.
    baselines : torch.Tensor
        (n_baselines, *shape): what stands for "nothing there".
    score : Score
        What is explained; gradients flow through it.
    kind : "image", "text" or "table"
    grid : (int, int) or None
        Rows and columns of patches of a transformer that sees pictures; None for all others.
    prefix : int
        Tokens before the patches: class, distillation and register tokens.
    embedding : str
        Name of the module whose output stands for the tokens of a text; gradients are taken there.
    special : tuple of bool
        Of a text: which tokens are special ones ([CLS], [SEP]), never replaced.
    """

    module: nn.Module
    inputs: torch.Tensor
    baselines: torch.Tensor
    score: Score
    kind: Literal["image", "text", "table"] = "image"
    grid: tuple[int, int] | None = None
    prefix: int = 0
    embedding: str = ""
    special: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if self.inputs.shape[0] != 1 or self.baselines.shape[1:] != self.inputs.shape[1:]:
            message = (
                f"The baseline has shape {_shape(self.baselines[0])} and the stimulus "
                f"{_shape(self.inputs[0])}: they must be alike."
            )
            raise InputError(message, "Choose another baseline.")
        if self.inputs.is_floating_point() and not bool(torch.isfinite(self.inputs).all()):
            message = "The preprocessed stimulus holds values that are no numbers."
            raise InputError(message, "Check the stimulus and the preprocessing.")

    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the score of each row of a batch, (batch,)."""
        found = self.score(self.module(inputs))
        if found.shape != inputs.shape[:1]:
            message = "The score to be explained is not one number for each stimulus."
            raise ComputeError(message, "Choose another target.")
        return found

    @torch.no_grad()
    def levels(self, batch: int = 16) -> tuple[float, float]:
        """Return f(x) and the mean of f over the baselines."""
        own = float(self.scores(self.inputs).double())
        parts = [self.scores(part).double() for part in chunks(self.baselines, batch)]
        return own, float(torch.cat(parts).mean())


@dataclass(frozen=True)
class Settings:
    """What changes a map; each method uses those that its registry entry names.

    Attributes
    ----------
    steps : int
        Points on the way from baseline to stimulus (integrated gradients).
    samples : int
        Random draws: noisy copies, orders of segments, subsets.
    noise : float
        Standard deviation of SmoothGrad's noise as a share of the range of the input.
    window, stride : int
        Side and step of the occluding square in pixels.
    segments : torch.Tensor or None
        (height, width) int64, 0 to n − 1: the segments that perturbation methods switch; of a table or a text
        (n_features,). None: each method's default (patches, grid, tokens, features).
    layer : str
        Module at which class activation maps are read; ``""`` for the method's default.
    seed : int
    batch : int
        Rows per forward pass.
    """

    steps: int = 50
    samples: int = 50
    noise: float = 0.15
    window: int = 16
    stride: int = 8
    segments: torch.Tensor | None = None
    layer: str = ""
    seed: int = 0
    batch: int = 8


@dataclass(frozen=True, eq=False)
class Attribution:
    """A map.

    Attributes
    ----------
    values : torch.Tensor
        float64. Like the stimulus, (channels, height, width); or without the channels, (height, width), where
        the method has none; of a text (n_tokens,); of a table (n_features,).
    standard_error : torch.Tensor or None
        Of sampled methods: the standard error of each value, same shape.
    total : float or None
        What the values should sum to: f(x) less the mean f of the baselines; None without such a promise.
    notes : tuple of str
        Sentences that must stand beside the map.
    extra : dict
        What else the method knows, such as ``layer`` (str) or ``segment_values`` (n_segments,).
    """

    values: torch.Tensor
    standard_error: torch.Tensor | None = None
    total: float | None = None
    notes: tuple[str, ...] = ()
    extra: dict[str, object] = field(default_factory=dict)


def chunks(rows: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Yield a tensor in parts of at most ``size`` rows."""
    for start in range(0, rows.shape[0], size):
        yield rows[start : start + size]


def _shape(tensor: torch.Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "1"
