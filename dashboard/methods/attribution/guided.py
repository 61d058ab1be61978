"""Guided backpropagation, by taking over every call of ReLU during one pass: no hooks, nothing overlooked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Explained, Memory, refused_by
from dashboard.methods.attribution.gradients import Place, gradient_of, gradients_on, readable

NO_RELU = (
    "Guided backpropagation only changes ReLUs and this network has none: the map would be the plain "
    "gradient under another name."
)
TRANSFORMER = (
    "Guided backpropagation only changes ReLUs, and the blocks of a transformer have none: the map would be "
    "nearly the plain gradient under another name."
)
WARNING = (
    "Guided backpropagation shows the edges of a picture, whatever the class: beside a network with random "
    "weights its maps hardly change (Adebayo et al. 2018)."
)
_RELUS = {F.relu, torch.relu, torch.Tensor.relu}
_RELUS_IN_PLACE = {torch.relu_, torch.Tensor.relu_}
_CLIPPED = {F.hardtanh, F.relu6}
_OTHERS = {
    F.gelu: "GELU",
    F.silu: "SiLU",
    F.elu: "ELU",
    F.selu: "SELU",
    F.leaky_relu: "LeakyReLU",
    F.hardswish: "Hardswish",
    F.mish: "Mish",
    F.softplus: "Softplus",
}


class _Guided(torch.autograd.Function):
    """A ReLU, with a ceiling or none, that sends back only positive gradients of units that were on."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, ceiling: float) -> torch.Tensor:
        ctx.save_for_backward((x > 0) & (x < ceiling))
        return x.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (on,) = ctx.saved_tensors
        return gradients[0].clamp_min(0) * on, None


class _Mode(TorchFunctionMode):
    """Puts `_Guided` in the place of every ReLU and ReLU6 called by this thread, and counts activations."""

    def __init__(self) -> None:
        super().__init__()
        self.relus = 0
        self.others: Counter[str] = Counter()
        self.attends = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        ceiling = _ceiling(func, args, kwargs)
        if ceiling is not None:
            self.relus += 1
            x = args[0] if args else kwargs["input"]
            y = _Guided.apply(x, ceiling)
            in_place = func in _RELUS_IN_PLACE or kwargs.get("inplace", False)
            return x.copy_(y) if in_place and not x.is_leaf else y
        if func in _OTHERS:
            self.others[_OTHERS[func]] += 1
        self.attends |= func is F.scaled_dot_product_attention or func is F.multi_head_attention_forward
        return func(*args, **kwargs)


def _ceiling(func: Any, args: Any, kwargs: Any) -> float | None:
    """Return where a kind of ReLU is cut off above (inf for the usual one); None for any other function."""
    if func in _RELUS or func in _RELUS_IN_PLACE:
        return float("inf")
    if func is F.relu6:
        return 6.0
    if func is not F.hardtanh:
        return None
    given = dict(zip(("input", "min_val", "max_val"), args, strict=False)) | kwargs
    return float(given.get("max_val", 1.0)) if given.get("min_val", -1.0) == 0 else None


@dataclass(frozen=True, eq=False)
class GuidedGradient:
    """The guided gradient (1, ...) where slopes are taken, and what it passed through."""

    gradient: torch.Tensor
    relus: int
    others: tuple[str, ...]


_FOUND: Memory[GuidedGradient] = Memory()


def guided_gradient(explained: Explained) -> GuidedGradient:
    """Return the guided gradient (Springenberg et al. 2015), from one pass that is remembered.

    Raises
    ------
    InputError
        When the network has no ReLU, is a transformer, or has no gradient.
    """
    return _FOUND.get(explained, "", lambda: _guided(explained))


def _guided(explained: Explained) -> GuidedGradient:
    place = Place(explained)
    attention = any(isinstance(part, nn.MultiheadAttention) for part in place.module.modules())
    with gradients_on(place.module, place.own.device), readable(), _Mode() as mode:
        leaf = place.own.detach().clone().requires_grad_()
        scores = place.scores(leaf.clone())
    if attention or mode.attends or explained.grid is not None:
        raise InputError(TRANSFORMER, "Use integrated gradients.")
    if not mode.relus:
        raise InputError(NO_RELU, "Use saliency or integrated gradients.")
    with gradients_on(place.module, place.own.device), readable():
        (gradient,) = gradient_of(scores, [leaf])
    return GuidedGradient(gradient.double(), mode.relus, tuple(sorted(mode.others)))


no_guided = refused_by(guided_gradient)
"""Say why there is no guided gradient; ``""`` when there is one."""


def notes(found: GuidedGradient) -> tuple[str, ...]:
    """Return what must stand beside a map made of guided gradients."""
    if not found.others:
        return (WARNING,)
    others = " and ".join(found.others)
    return (WARNING, f"Only the ReLUs are guided; {others} pass the plain gradient.")
