"""A copy of a convolutional network on which the rescale rule of DeepLIFT is exact.

Libraries hook modules, so on ordinary networks they overlook functional activations, mix up modules that are
called twice, break on in-place ones, collide where two nonlinear modules touch, and lose differences where
windows of a max-pooling overlap. The copy computes the same numbers without any of that; what cannot be
repaired is refused by name. Imports torch.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx, nn
from torch.nn import functional as F

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Truncated, find, private

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh, nn.Softplus)
"""Kinds that both captum and shap know, by exact type."""

_CALLED: dict[Any, Callable[[], nn.Module]] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"), nn.ReLU),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, "sigmoid"), nn.Sigmoid),
    **dict.fromkeys((F.tanh, torch.tanh, "tanh"), nn.Tanh),
}
_AFFINE = (
    *(nn.Linear, nn.Identity, nn.Flatten, nn.Unflatten),
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.Upsample, nn.ZeroPad2d),
)
"""Kinds that are affine in eval mode: the plain gradient is already exact."""

_AFFINE_CALLS = {
    *(operator.add, operator.sub, operator.getitem, operator.floordiv, operator.neg, getattr),
    *(torch.add, torch.sub, torch.cat, torch.flatten, torch.mean, torch.sum, torch.permute, torch.transpose),
    *(F.avg_pool2d, F.adaptive_avg_pool2d, F.pad, F.dropout),
    *("add", "view", "reshape", "flatten", "mean", "sum", "size", "permute", "transpose", "contiguous"),
    *("squeeze", "unsqueeze", "chunk", "split", "clone", "dim"),
}
_SCALINGS = {operator.mul, torch.mul, "mul"}
_DIVISIONS = {operator.truediv, torch.div, "div"}
_PLAIN = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    "add_": "add",
    "mul_": "mul",
    "div_": "div",
}
"""What overwrites its input, and what does the same without."""

_POOL_ARGUMENTS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")


class UnsafeNetwork(InputError):
    """A network that cannot be repaired.

    Attributes
    ----------
    operations : tuple of str
        What stands in the way.
    """

    def __init__(self, operations: tuple[str, ...]) -> None:
        self.operations = operations
        message = f"This network uses {', '.join(operations)}, for which DeepLIFT is not exact."
        super().__init__(message, "Use integrated gradients.")


class NotRepaired(Exception):
    """Names one operation that nothing can be put in the place of."""


class Apart(nn.Module):
    """Hands on a copy, so that two nonlinear modules never meet in one tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a copy."""
        return x.clone()


class TwoReLUs(nn.Module):
    """ReLU6 as ``relu(x) - relu(x - 6)``."""

    def __init__(self) -> None:
        super().__init__()
        self.apart = Apart()
        self.floor, self.ceiling = nn.ReLU(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Clip to 0 … 6."""
        return self.floor(self.apart(x)) - self.ceiling(x - 6)


class SideBySide(nn.Module):
    """`nn.MaxPool2d` with its windows laid side by side first, so that no two of them share a number.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int or (int, int)
    ceil_mode : bool
        As of `nn.MaxPool2d`.
    return_indices : bool
        Refused.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise NotRepaired("max-pooling that returns places")
        self.kernel, self.padding, self.dilation = _pair(kernel_size), _pair(padding), _pair(dilation)
        self.stride = self.kernel if stride is None or stride == [] else _pair(stride)
        self.ceil_mode = ceil_mode
        self.apart = Apart()
        self.pool = nn.MaxPool1d(self.kernel[0] * self.kernel[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) -> the same pooled."""
        n, channels = x.shape[:2]
        (rows, below), (columns, right) = self._fit(x.shape[2], 0), self._fit(x.shape[3], 1)
        # Padded with the lowest finite number: the difference of two infinities would be no number.
        lowest = torch.finfo(x.dtype).min
        x = F.pad(x, (self.padding[1], right, self.padding[0], below), value=lowest)
        windows = F.unfold(x, self.kernel, dilation=self.dilation, stride=self.stride)
        windows = windows.view(n, channels, -1, windows.shape[-1])[..., : rows * columns]
        flat = windows.transpose(2, 3).flatten(2)
        return self.pool(self.apart(flat)).unflatten(2, (rows, columns))

    def _fit(self, size: int, axis: int) -> tuple[int, int]:
        """Return how many windows there are along an axis, and the padding after its end."""
        step, before = self.stride[axis], self.padding[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        whole, rest = divmod(size + 2 * before - reach, step)
        count = whole + 1
        # With ceil_mode a last, incomplete window counts if it starts before the padding at the end.
        if self.ceil_mode and rest and count * step < size + before:
            count += 1
        return count, max(0, (count - 1) * step + reach - size - before)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple | list) else (int(value), int(value))


class _Tracer(fx.Tracer):
    """Traces a network and remembers which node each call of a module gave."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, list[fx.Node]] = {}

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        found = super().call_module(m, forward, args, kwargs)
        if isinstance(found, fx.Proxy):
            self.given.setdefault(self.path_of_module(m), []).append(found.node)
        return found


def traced(network: nn.Module) -> fx.GraphModule:
    """Return the graph of a network, on a copy that shares its weights; a `Truncated` one ends at its layer.

    Raises
    ------
    UnsafeNetwork
        When what the network does depends on the values it sees.
    """
    own = private(network.network if isinstance(network, Truncated) else network)
    tracer = _Tracer()
    if tracer.is_leaf_module(own, "") and not isinstance(network, Truncated):
        own = nn.Sequential(own)  # a network that is one layer: as the root it would be traced into its call
    try:
        graph = tracer.trace(own)
    except Exception as error:  # fx raises whatever the network's own code raises when it meets a symbol
        raise UnsafeNetwork(("steps that depend on its values",)) from error
    if isinstance(network, Truncated):
        _, call = find(own, network.layer)
        nodes = tracer.given.get(network.layer.partition(":")[0], [])
        if len(nodes) < call:
            raise UnsafeNetwork((f"{network.layer} in a way that cannot be traced",))
        (end,) = (node for node in graph.nodes if node.op == "output")
        end.args = (nodes[call - 1],)
    found = fx.GraphModule(own, graph).eval()
    found.graph.eliminate_dead_code()
    found.recompile()
    return found


def safe_copy(network: nn.Module) -> fx.GraphModule:
    """Return a copy that gives the same numbers and on which DeepLIFT and DeepSHAP are exact.

    It shares weights with the network, and nothing else.

    Parameters
    ----------
    network : torch.nn.Module
        Takes pictures (n, channels, height, width) or rows; in eval mode.

    Raises
    ------
    UnsafeNetwork
        With every operation named that is neither affine nor repaired.
    """
    return rewritten(traced(network), _repaired)


Repair = Callable[[fx.Node, dict[str, nn.Module]], nn.Module | None]


def rewritten(graph: fx.GraphModule, repair: Repair) -> fx.GraphModule:
    """Put what ``repair`` gives in the place of each call; it gives None to leave one as it is."""
    modules, refused = dict(graph.named_modules()), dict[str, None]()
    for number, node in enumerate(list(graph.graph.nodes)):
        if not node.op.startswith("call_"):
            continue
        try:
            new = repair(node, modules)
        except NotRepaired as error:
            refused[str(error)] = None
            continue
        if new is None:
            continue
        graph.add_submodule(f"_repaired_{number}", new.eval())
        tensors = node.all_input_nodes
        with graph.graph.inserting_after(node):
            put = graph.graph.call_module(f"_repaired_{number}", tuple(tensors))
        node.replace_all_uses_with(put)
        graph.graph.erase_node(node)
    if refused:
        raise UnsafeNetwork(tuple(refused))
    graph.graph.lint()
    graph.recompile()
    return graph


def _repaired(node: fx.Node, modules: dict[str, nn.Module]) -> nn.Module | None:
    if node.op == "call_module":
        return _repaired_module(modules[str(node.target)])
    node.target = cast(Any, _PLAIN.get(node.target, node.target))
    if node.target in _CALLED:
        return nn.Sequential(Apart(), _CALLED[node.target]())
    if node.target is F.relu6:
        return TwoReLUs()
    if node.target in (F.max_pool2d, torch.max_pool2d):
        return SideBySide(**pool_arguments(node))
    if not is_affine(node):
        raise NotRepaired(name_of(node.target))
    return None


def _repaired_module(module: nn.Module) -> nn.Module | None:
    kind = type(module)
    if kind in _ACTIVATIONS:
        fresh = copy.deepcopy(module)
        not_in_place(fresh)
        return nn.Sequential(Apart(), fresh)
    if kind is nn.ReLU6:
        return TwoReLUs()
    if kind is nn.MaxPool2d:
        return SideBySide(**{name: getattr(module, name) for name in _POOL_ARGUMENTS})
    if kind in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d) or kind.__name__ == "StochasticDepth":
        return nn.Identity()
    if kind is nn.Upsample and getattr(module, "mode", "") not in ("nearest", "bilinear"):
        raise NotRepaired("Upsample")
    if kind not in _AFFINE:
        raise NotRepaired(kind.__name__)
    return None


def not_in_place(module: nn.Module) -> None:
    """Let an activation leave its input alone."""
    if hasattr(module, "inplace"):
        setattr(module, "inplace", False)  # noqa: B010 - mypy knows only tensors and modules here


def pool_arguments(node: fx.Node) -> dict[str, Any]:
    """Return the settings of a functional max-pooling."""
    found: dict[str, Any] = dict(zip(_POOL_ARGUMENTS, node.args[1:], strict=False))
    return found | {name: value for name, value in node.kwargs.items() if name in _POOL_ARGUMENTS}


def is_affine(node: fx.Node) -> bool:
    """Say whether a function or method is affine in the tensors that it gets (two multiplied are not)."""
    if node.target in _SCALINGS:
        return len(node.all_input_nodes) < 2
    if node.target in _DIVISIONS:
        return len(node.args) > 1 and not isinstance(node.args[1], fx.Node)
    return node.target in _AFFINE_CALLS


def name_of(target: Any) -> str:
    """Return the name of a function or method, as people know it."""
    name = getattr(target, "__name__", str(target)).strip("_")
    return {"mul": "gating (tensors multiplied)", "imul": "gating (tensors multiplied)"}.get(name, name)
