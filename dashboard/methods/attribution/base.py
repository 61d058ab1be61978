"""What an attribution method is given and what it gives back. Imports torch: for workers and notebooks."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import nn

from dashboard.errors import ComputeError, InputError, unknown

T = TypeVar("T")

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
    tolerance : float
        Integrated gradients takes three times as many points, and again, while its values miss the change of
        the score by more than this share; 0 for exactly ``steps``.
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
    tolerance: float = 0.005
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


def refused_by(attempt: Callable[[Explained], object]) -> Callable[[Explained, Settings], str]:
    """Return the function for ``REFUSALS`` that says why an attempt is refused; ``""`` where it is not.

    Parameters
    ----------
    attempt : callable
        Raises `InputError` where its method cannot work.
    """

    def why_not(explained: Explained, _settings: Settings) -> str:
        try:
            attempt(explained)
        except InputError as error:
            return str(error)
        return ""

    return why_not


def chunks(rows: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Yield a tensor in parts of at most ``size`` rows."""
    for start in range(0, rows.shape[0], size):
        yield rows[start : start + size]


class Memory(Generic[T]):
    """What was found about a stimulus, kept as long as its `Explained` lives: several methods share it."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[Explained, dict[str, T | InputError]]
        self._kept = weakref.WeakKeyDictionary()

    def get(self, explained: Explained, key: str, make: Callable[[], T]) -> T:
        """Return what is kept under a key, else make it; what it refuses is kept, too."""
        known = self._kept.setdefault(explained, {})
        if key not in known:
            try:
                known[key] = make()
            except InputError as error:
                # Without its traceback, which would keep `explained` alive.
                known[key] = InputError(error.problem, error.remedy)
        found = known[key]
        if isinstance(found, InputError):
            raise InputError(found.problem, found.remedy)
        return found

    def found(self, explained: Explained) -> list[T]:
        """Return all that is kept and was not refused."""
        return [one for one in self._kept.get(explained, {}).values() if not isinstance(one, InputError)]


class Truncated(nn.Module):
    """A network that ends at one of its layers, so that a unit inside it can be explained.

    Parameters
    ----------
    network : torch.nn.Module
        Whole; it is held, not copied.
    layer : str
        Name of a module inside it; ``name:2`` for its second call.

    Raises
    ------
    InputError
        When there is no such module.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network = network
        self.layer = layer
        find(network, layer)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the output of the layer; nothing after it runs."""
        # Hooked at each call, so that a copy of this module reads its own network.
        module, wanted = find(self.network, self.layer)
        calls = 0

        def read(_module: nn.Module, _inputs: Any, output: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == wanted:
                raise _Reached(output)

        handle = module.register_forward_hook(read)
        try:
            self.network(inputs)
        except _Reached as reached:
            found = first_tensor(reached.output)
            if found is not None:
                return found
        finally:
            handle.remove()
        message = f"The layer {self.layer} gave no numbers for this stimulus."
        raise InputError(message, "Choose another layer.")


class _Reached(BaseException):
    """Carries a layer's output out of a forward pass; not an Exception, so that no network catches it."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


def find(network: nn.Module, layer: str) -> tuple[nn.Module, int]:
    """Return the module that a layer's name means, and which of its calls.

    Raises
    ------
    InputError
        When there is none; it tells the nearest names.
    """
    name, _, call = layer.partition(":")
    modules = dict(network.named_modules())
    if not name or name not in modules or not (call.isdigit() or not call):
        raise unknown("layer", layer, [known for known in modules if known])
    return modules[name], int(call or 1)


def private(module: nn.Module) -> nn.Module:
    """Return a copy for hooks of one's own that shares weights and buffers with the original."""
    memo: dict[int, Any] = {id(p): p for p in module.parameters()}
    memo.update({id(b): b for b in module.buffers()})
    return copy.deepcopy(module, memo).eval()


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first tensor of an output that may be a tuple, a list or a dict of them."""
    if isinstance(output, torch.Tensor):
        return output
    parts = output.values() if isinstance(output, dict) else output
    if isinstance(parts, str) or not hasattr(parts, "__iter__"):
        return None
    return next((found for part in parts if (found := first_tensor(part)) is not None), None)


def _shape(tensor: torch.Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "1"
