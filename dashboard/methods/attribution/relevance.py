"""Layer-wise relevance propagation through zennit, on a copy in which every step has a rule. Imports torch.

Shortcuts become a module that shares relevance in proportion to what each branch brings, batch norms are
folded into the convolutions before them, and every call gets a module of its own.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Attribution, Explained, Memory, refused_by
from dashboard.methods.attribution.gradients import gradient_of, gradients_on, readable, refuse_kinds
from dashboard.methods.attribution.safe_copy import (
    NotRepaired,
    UnsafeNetwork,
    name_of,
    not_in_place,
    pool_arguments,
    rewritten,
    traced,
)

_RULES = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
)
_NOTHING = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_RELUS: dict[Any, Callable[[], nn.Module]] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"), nn.ReLU),
    F.relu6: nn.ReLU6,
}
_ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_MOVES = {
    *(operator.getitem, operator.floordiv, getattr, torch.flatten, torch.cat, torch.permute, torch.transpose),
    *(F.dropout, "view", "reshape", "flatten", "size", "permute", "transpose", "contiguous", "squeeze"),
    *("unsqueeze", "chunk", "split", "dim"),
}


class _Shortcut(nn.Module):
    """Adds two branches by a module that zennit has a rule for."""

    def __init__(self) -> None:
        super().__init__()
        from zennit.layer import Sum

        self.sum = Sum()

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the sum of two tensors of one shape."""
        return self.sum(torch.stack(torch.broadcast_tensors(one, other), dim=-1))


def _ruled(node: fx.Node, modules: dict[str, nn.Module]) -> nn.Module | None:
    """Return a module with a rule for a call; None where relevance only moves."""
    if node.op == "call_module":
        return _ruled_module(modules[str(node.target)])
    if node.target in _RELUS:
        return _RELUS[node.target]()
    if node.target in _ADDITIONS and len(node.all_input_nodes) == 2:
        return _Shortcut()
    if node.target is F.adaptive_avg_pool2d:
        return nn.AdaptiveAvgPool2d((*node.args[1:], *node.kwargs.values())[0])  # type: ignore[arg-type]
    if node.target in (F.max_pool2d, torch.max_pool2d):
        return nn.MaxPool2d(**pool_arguments(node))
    if node.target not in _MOVES:
        raise NotRepaired(name_of(node.target))
    return None


def _ruled_module(module: nn.Module) -> nn.Module | None:
    if type(module) in _NOTHING:
        return None
    if type(module) in _NORMS:
        raise NotRepaired("batch norm that does not follow a convolution")
    if type(module) not in _RULES:
        raise NotRepaired(type(module).__name__)
    fresh = copy.deepcopy(module)
    not_in_place(fresh)
    return fresh


def _fold_norms(graph: fx.GraphModule) -> None:
    """Fold each batch norm into the convolution or linear layer that alone feeds it."""
    modules = dict(graph.named_modules())
    for number, node in enumerate(list(graph.graph.nodes)):
        before = node.args[0] if node.args else None
        if node.op != "call_module" or type(modules[str(node.target)]) not in _NORMS:
            continue
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        layer, norm = modules[str(before.target)], modules[str(node.target)]
        if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            continue
        fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        graph.add_submodule(f"_folded_{number}", fuse(layer, norm))
        before.target = f"_folded_{number}"
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)
    graph.recompile()


_COPIES: Memory[fx.GraphModule] = Memory()


def _ready(explained: Explained) -> fx.GraphModule:
    return _COPIES.get(explained, "", lambda: _ruled_copy(explained))


def _ruled_copy(explained: Explained) -> fx.GraphModule:
    """Return the copy; remembered.

    Raises
    ------
    InputError
        For texts, and with every operation named that has no rule.
    """
    refuse_kinds(explained)
    if explained.kind == "text":
        raise InputError(*_refusal(("an embedding of tokens",)))
    try:
        graph = traced(explained.module)
        _fold_norms(graph)
        return rewritten(graph, _ruled)
    except UnsafeNetwork as error:
        raise InputError(*_refusal(error.operations)) from error


def _refusal(operations: tuple[str, ...]) -> tuple[str, str]:
    message = f"This layer-wise relevance propagation has no rule for {', '.join(operations)}."
    return message, "Use integrated gradients."


def propagated(explained: Explained) -> Attribution:
    """Return the relevance of each input: the z+ rule at convolutions, the ε rule at linear layers.

    What goes backward first is each output times the slope of the score: of a logit the logit itself. Biases
    take their part, so the sum is near the score and not equal to it; ``extra["kept"]`` is their ratio.
    """
    from zennit.composites import EpsilonPlus

    ready = copy.deepcopy(_ready(explained))
    with gradients_on(ready, explained.inputs.device), readable(), EpsilonPlus().context(ready) as hooked:
        leaf = explained.inputs.detach().clone().requires_grad_()
        outputs = hooked(leaf)
        own = outputs.detach().clone().requires_grad_()
        score = explained.score(own)
        (slope,) = gradient_of(score, [own])
        (values,) = torch.autograd.grad(outputs, leaf, slope * own.detach())
    if not bool(torch.isfinite(values).all()):
        message = "The relevance of this score holds values that are no numbers."
        raise InputError(message, "Use integrated gradients.")
    values = values[0].double()
    sent = float((slope * own.detach()).double().sum())
    kept = float(values.sum()) / sent if sent else 0.0
    notes = (f"The values sum to {kept:.0%} of what was sent back; biases hold the rest.",)
    return Attribution(values, notes=notes, extra={"kept": kept})


no_relevance = refused_by(_ready)
"""Say why relevance cannot be propagated; ``""`` when it can."""
