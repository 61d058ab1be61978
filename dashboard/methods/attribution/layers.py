"""Which layer class activation maps read, how its output lies over the picture, and reading it in passing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dashboard.methods.attribution.base import find, first_tensor

if TYPE_CHECKING:
    from dashboard.methods.attribution.base import Explained

MOST_PREFIX = 8
"""Most class, distillation and register tokens before the patches that are believed without being told."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The output of one call of a layer.

    Attributes
    ----------
    name : str
    tensor : torch.Tensor
        (1, ...), part of the graph of gradients.
    channel_axis : int
    grid : (int, int) or None
        Rows and columns of its places; None when it does not keep the places of the picture.
    prefix : int
        Tokens before those of the grid.
    """

    name: str
    tensor: torch.Tensor
    channel_axis: int
    grid: tuple[int, int] | None
    prefix: int = 0


class Reader:
    """Reads layers while a stimulus goes forward.

    Without a name it reads every candidate and chooses afterwards: of a transformer the last norm whose
    patches still reach the score (later ones only feed the class token), else the last convolution or block
    of convolutions with more than one place. In a network that answers with a map (segmentation), the last
    one at its coarsest resolution: the last of all would be the answer itself.

    Parameters
    ----------
    module : torch.nn.Module
        A private copy: it gets hooks.
    explained : Explained
    layer : str
        Name of one layer, or ``""``.
    """

    def __init__(self, module: nn.Module, explained: Explained, layer: str) -> None:
        self._grid, self._prefix = explained.grid, explained.prefix
        self._calls: Counter[str] = Counter()
        self._named: Reading | None = None
        self._tokens: list[Reading] = []
        self._maps: dict[tuple[int, int], Reading] = {}
        self._last: Reading | None = None
        self._patches: tuple[int, int] | None = None
        self._asked = layer
        self._candidates: list[Reading] = []
        if self._grid is None:
            for part in module.modules():
                if isinstance(part, nn.Conv2d):
                    part.register_forward_hook(self._note_patches)
        if layer:
            part, wanted = find(module, layer)
            part.register_forward_hook(self._reading_one(wanted))
        elif explained.kind == "image":
            for name, part in module.named_modules():
                if name and _is_candidate(part):
                    part.register_forward_hook(self._reading_any(name))

    @property
    def tensors(self) -> list[torch.Tensor]:
        """What gradients are wanted for, after `finish`."""
        return [reading.tensor for reading in self._candidates]

    def finish(self, output: torch.Tensor | None) -> None:
        """Say that the forward pass is over and what it gave."""
        if self._asked:
            self._candidates = [self._named] if self._named is not None else []
            return
        chosen = self._last
        if output is not None and output.ndim == 4 and output[0, 0].numel() > 1 and self._maps:
            chosen = self._maps[min(self._maps, key=lambda size: size[0] * size[1])]
        self._candidates = self._tokens or ([chosen] if chosen is not None else [])

    def choose(self, gradients: list[torch.Tensor]) -> tuple[Reading, torch.Tensor] | None:
        """Return the layer and the gradient at it; None when no layer was read."""
        pairs = list(zip(self._candidates, gradients, strict=True))
        if self._asked or len(pairs) < 2:
            return pairs[0] if pairs else None
        reaching = [pair for pair in pairs if bool(pair[1][:, pair[0].prefix :].any())]
        return (reaching or pairs)[-1]

    def _note_patches(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        """Remember how many places the last convolution had: it may have cut the picture into patches."""
        self._patches = (int(output.shape[-2]), int(output.shape[-1]))

    def _reading_one(self, wanted: int) -> Any:
        def read(module: nn.Module, _inputs: Any, output: Any) -> Any:
            self._calls[self._asked] += 1
            found = first_tensor(output)
            if self._calls[self._asked] != wanted or found is None or not found.requires_grad:
                return None
            self._named = self._described(self._asked, module, found)
            return found.clone() if found is output else None

        return read

    def _reading_any(self, name: str) -> Any:
        def read(module: nn.Module, _inputs: Any, output: Any) -> Any:
            self._calls[name] += 1
            if not isinstance(output, torch.Tensor) or not output.requires_grad or len(output) != 1:
                return None
            called = name if self._calls[name] == 1 else f"{name}:{self._calls[name]}"
            reading = self._described(called, module, output)
            if reading.grid is None or reading.grid == (1, 1):
                return None
            if output.ndim == 3:
                self._tokens.append(reading)
            elif _holds_convolution(module):
                self._maps[reading.grid] = self._last = reading
            else:
                return None
            # What follows may overwrite its input in place: it gets a copy.
            return output.clone()

        return read

    def _described(self, name: str, module: nn.Module, output: torch.Tensor) -> Reading:
        """Return the output with what its axes mean."""
        if output.ndim == 4:
            axis = 3 if _channels_last(module, output) else 1
            height, width = (output.shape[1:3]) if axis == 3 else output.shape[2:]
            return Reading(name, output, axis, (int(height), int(width)))
        if output.ndim == 3:
            return Reading(name, output, 2, *self._token_grid(output.shape[1]))
        return Reading(name, output, output.ndim - 1, None)

    def _token_grid(self, n_tokens: int) -> tuple[tuple[int, int] | None, int]:
        """Return the grid that so many tokens make, and how many stand before it.

        Without a grid that was told, it is that of the last convolution, which cut the picture into patches.
        Stages that merge patches halve both sides.
        """
        grid, prefix = self._grid, self._prefix
        if grid is None and self._patches is not None:
            grid = self._patches
            prefix = n_tokens - grid[0] * grid[1]
            if not 0 <= prefix <= MOST_PREFIX:
                prefix = 0
        while grid is not None and grid[0] * grid[1] + prefix > n_tokens:
            grid = (grid[0] // 2, grid[1] // 2) if grid[0] % 2 == grid[1] % 2 == 0 else None
        if grid is None or grid[0] * grid[1] + prefix != n_tokens:
            return None, 0
        return grid, prefix


def _is_candidate(part: nn.Module) -> bool:
    return "Norm" in type(part).__name__ or _holds_convolution(part)


def _holds_convolution(part: nn.Module) -> bool:
    return any(isinstance(inner, nn.Conv2d) for inner in part.modules())


def _channels_last(module: nn.Module, output: torch.Tensor) -> bool:
    """Say whether (1, a, b, c) means rows, columns, channels: by the kind of the layer, else by its sides."""
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm) or "2d" in type(module).__name__:
        return False
    if isinstance(module, nn.LayerNorm | nn.Linear):
        return True
    _, a, b, c = output.shape
    return a == b and b != c
