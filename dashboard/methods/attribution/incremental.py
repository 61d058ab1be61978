"""Scores of many pictures that differ from one picture in a small window, without redoing the rest.

Early layers of a convolutional network see little: what lies outside the window's reach is the same in every
picture and is computed once. A network is cut where one map holds all that later layers need; up to the last
cut that pays, only a crop around the change goes through (Nakandala, Kumar & Papakonstantinou, 2019,
"Incremental and approximate inference for faster occlusion-based deep CNN explanations"). The values are the
network's own, but for the order of the sums. Networks that cannot be traced are run whole.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse

WORTH = 0.6
"""Largest share of a map that a crop may have and still pay for being cut out and put back."""

_POINTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Hardswish,
    nn.Hardsigmoid, nn.Identity, nn.Dropout, nn.Dropout2d, nn.BatchNorm2d,
)  # fmt: skip
_POINTWISE_FUNCTIONS = (torch.relu, torch.relu_, nn.functional.relu, nn.functional.relu6, nn.functional.silu)
_SUMS = (operator.add, operator.iadd, torch.add)


@dataclass(frozen=True)
class _Reach:
    """Output o depends on inputs o · step − before to o · step + after, in pixels of the stage's input."""

    step: int = 1
    before: int = 0
    after: int = 0

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> _Reach | None:
        """Return the reach after a convolution or pooling; None where padding reaches past the kernel."""
        span = (kernel - 1) * dilation
        if padding > span:
            return None
        return _Reach(
            self.step * stride, self.before + padding * self.step, self.after + (span - padding) * self.step
        )


@dataclass(frozen=True, eq=False)
class _Stage:
    """Nodes from one cut to the next, the reach of the last, and the whole map at the first."""

    nodes: tuple[fx.Node, ...]
    reach: _Reach
    base: torch.Tensor  # (1, height, width, channels) of what goes in
    size: tuple[int, int]  # height and width of what comes out


class Incremental:
    """A network cut for windows of one size over one picture.

    Parameters
    ----------
    module : torch.nn.Module
        In eval mode. It is copied, never changed.
    inputs : torch.Tensor
        (1, channels, height, width).
    window : (int, int)
        Height and width of the window.

    Raises
    ------
    Exception
        Of any kind, where the network cannot be traced: `prepared` turns it into None.
    """

    def __init__(self, module: nn.Module, inputs: torch.Tensor, window: tuple[int, int]) -> None:
        traced: Any = fuse(fx.symbolic_trace(module))
        self.graph: fx.GraphModule = traced.to(memory_format=torch.channels_last)
        self.inputs = inputs.contiguous(memory_format=torch.channels_last)
        self.nodes = tuple(self.graph.graph.nodes)
        self.constants = [node for node in self.nodes if node.op == "get_attr"]
        self.maps: dict[fx.Node, torch.Tensor] = {}
        self._whole()
        self.stages = self._stages(window)
        last = self.stages[-1].nodes[-1] if self.stages else self._placeholder()
        self.rest = self.nodes[self.nodes.index(last) + 1 :]
        self.base = _channels_last(self.maps[last])
        self.maps = {}

    @torch.inference_mode()
    def outputs(self, patches: torch.Tensor, corners: torch.Tensor) -> Any:
        """Return what the network gives for pictures whose window is replaced.

        Parameters
        ----------
        patches : torch.Tensor
            (n, channels, window height, window width): what stands in the windows.
        corners : torch.Tensor
            (n, 2) int64: top row and left column of each window.
        """
        values = patches.permute(0, 2, 3, 1)
        for stage in self.stages:
            values, corners = self._through(stage, values, corners)
        n = len(values)
        pasted = self.base.expand(n, -1, -1, -1).clone()
        _paste(pasted, values, corners)
        return self._run(self.rest, {self._source(): pasted.permute(0, 3, 1, 2)})

    def _source(self) -> fx.Node:
        return self.stages[-1].nodes[-1] if self.stages else self._placeholder()

    def _placeholder(self) -> fx.Node:
        return next(node for node in self.nodes if node.op == "placeholder")

    def _through(
        self, stage: _Stage, values: torch.Tensor, corners: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take changed squares (n, h, w, channels) through a stage: what they change, and where."""
        step, found = stage.reach.step, []
        for axis in range(2):
            length, crop = _extents(stage, values.shape[1 + axis], axis)
            corner = corners[:, axis]
            first = -((stage.reach.after - corner) // step)  # the first output that sees it: rounded up
            first = first.clamp(0, stage.size[axis] - length)
            begin = torch.minimum((first * step - stage.reach.before).clamp_min(0), corner) // step * step
            found.append((length, crop, first, begin.clamp_max(stage.base.shape[1 + axis] - crop)))
        lengths, crops, firsts, begins = zip(*found, strict=True)
        changed, where = torch.stack(firsts, 1), torch.stack(begins, 1)
        cut = _cut(stage.base, where, crops)
        _paste(cut, values, corners - where)
        result = self._run(stage.nodes[1:], {stage.nodes[0]: cut.permute(0, 3, 1, 2)})
        return _cut(result.permute(0, 2, 3, 1), changed - where // step, lengths), changed

    @torch.inference_mode()
    def _whole(self) -> None:
        """Run the picture itself and keep every map."""
        interpreter = fx.Interpreter(self.graph, garbage_collect_values=False)
        interpreter.run(self.inputs)
        self.maps = {n: v for n, v in interpreter.env.items() if isinstance(v, torch.Tensor)}

    def _run(self, nodes: Sequence[fx.Node], known: dict[fx.Node, torch.Tensor]) -> Any:
        """Run nodes and return what the last gives; what nobody needs any more gives its memory back."""
        interpreter = fx.Interpreter(self.graph)
        interpreter.env.update(known)
        found: Any = None
        for node in self.constants:
            interpreter.env[node] = interpreter.run_node(node)
        for node in nodes:
            if node.op == "get_attr":
                continue
            found = interpreter.env[node] = interpreter.run_node(node)
            for unused in interpreter.user_to_last_uses.get(node, []):
                interpreter.env.pop(unused, None)
        return found

    def _stages(self, window: tuple[int, int]) -> list[_Stage]:
        """Cut after every map that is all later layers need, while crops stay small."""
        stages: list[_Stage] = []
        start, changed = self._placeholder(), window
        while True:
            stage = self._next(start)
            if stage is None:
                return stages
            extents = [_extents(stage, changed[axis], axis) for axis in range(2)]
            size = stage.base.shape[1:3]
            if extents[0][1] * extents[1][1] > WORTH * size[0] * size[1]:
                return stages
            stages.append(stage)
            start, changed = stage.nodes[-1], (extents[0][0], extents[1][0])

    def _next(self, start: fx.Node) -> _Stage | None:
        """Return the shortest stage after a node, or None where a layer is not local."""
        reaches = {start: _Reach()}
        first = self.nodes.index(start)
        for position in range(first + 1, len(self.nodes)):
            node = self.nodes[position]
            if node.op == "get_attr":
                continue
            reach = self._reach(node, reaches)
            if reach is None:
                return None
            reaches[node] = reach
            seen = self.nodes[first : position + 1]
            later = set(self.nodes[position + 1 :])
            alive = [n for n in seen if n.op != "get_attr" and any(user in later for user in n.users)]
            if alive == [node] and not self._is_light(node):
                return _Stage(seen, reach, _channels_last(self.maps[start]), tuple(self.maps[node].shape[2:]))  # type: ignore[arg-type]
        return None

    def _is_light(self, node: fx.Node) -> bool:
        """Whether what follows is a layer without reach that had better run in the same stage."""
        users = list(node.users)
        return len(users) == 1 and self._pointwise(users[0]) and users[0].op != "output"

    def _reach(self, node: fx.Node, reaches: dict[fx.Node, _Reach]) -> _Reach | None:
        given = [n for n in node.all_input_nodes if n.op != "get_attr"]
        if not given or any(n not in reaches for n in given) or self.maps[node].dim() != 4:
            return None
        if self._pointwise(node):
            return reaches[given[0]]
        if node.op == "call_function" and node.target in (*_SUMS, torch.cat):
            return self._joined(node, [reaches[n] for n in given])
        if node.op == "call_module":
            return _windowed(self.graph.get_submodule(str(node.target)), reaches[given[0]])
        return None

    def _pointwise(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self.graph.get_submodule(str(node.target)), _POINTWISE)
        return node.op == "call_function" and node.target in _POINTWISE_FUNCTIONS

    def _joined(self, node: fx.Node, reaches: list[_Reach]) -> _Reach | None:
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if len({r.step for r in reaches}) != 1 or (node.target is torch.cat and axis != 1):
            return None
        if any(self.maps[n].shape[2:] != self.maps[node].shape[2:] for n in node.all_input_nodes):
            return None
        return _Reach(reaches[0].step, max(r.before for r in reaches), max(r.after for r in reaches))


def prepared(
    module: nn.Module, inputs: torch.Tensor, window: tuple[int, int], tolerance: float = 1e-4
) -> Incremental | None:
    """Cut a network for windows; None where that fails, does not pay, or does not give the same output.

    Parameters
    ----------
    module : torch.nn.Module
        Copied, never changed.
    inputs : torch.Tensor
        (1, channels, height, width).
    window : (int, int)
    tolerance : float
        Largest difference of outputs, relative to their largest size, in a trial with two windows.
    """
    if inputs.dim() != 4 or not inputs.is_floating_point() or module.training:
        return None
    try:
        found = Incremental(module, inputs, window)
        if not found.stages:
            return None
        corners = torch.tensor([[0, 0], [(inputs.shape[2] - window[0]) // 2, inputs.shape[3] - window[1]]])
        patches = torch.zeros(2, inputs.shape[1], *window, dtype=inputs.dtype, device=inputs.device)
        cheap = found.outputs(patches, corners)
        with torch.inference_mode():
            pictures = inputs.permute(0, 2, 3, 1).repeat(2, 1, 1, 1)
            _paste(pictures, patches.permute(0, 2, 3, 1), corners)
            whole = module(pictures.permute(0, 3, 1, 2).contiguous())
        same = float((cheap - whole).abs().max()) <= tolerance * max(float(whole.abs().max()), 1e-12)
        return found if same else None
    except Exception:  # whatever stops a trace, the network still runs whole
        return None


def _windowed(module: nn.Module, reach: _Reach) -> _Reach | None:
    """Return the reach after a convolution or pooling of one size in both directions, else None."""
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) or getattr(module, "ceil_mode", False):
        return None
    if getattr(module, "padding_mode", "zeros") != "zeros" or isinstance(module.padding, str):
        return None
    names = ("kernel_size", "stride", "padding", "dilation")
    sizes = [_pair(getattr(module, name, 1)) for name in names]
    return reach.through(*(size[0] for size in sizes)) if all(a == b for a, b in sizes) else None


def _pair(value: Any) -> tuple[int, int]:
    return (value[0], value[1]) if isinstance(value, tuple) else (value, value)


def _extents(stage: _Stage, changed: int, axis: int) -> tuple[int, int]:
    """Return how many outputs a change of so many inputs reaches, and the inputs these depend on."""
    reach, whole = stage.reach, stage.base.shape[1 + axis]
    length = min(stage.size[axis], (changed - 1 + reach.before + reach.after) // reach.step + 1)
    crop = max((length - 1) * reach.step + 1, changed) + reach.before + reach.after
    crop += 2 * (reach.step - 1)  # it starts at a whole step, at or before the change
    crop += (whole - crop) % reach.step  # so that a crop at the far border starts at a whole step
    return length, min(whole, crop)


def _channels_last(values: torch.Tensor) -> torch.Tensor:
    return values.permute(0, 2, 3, 1).contiguous()


def _cut(maps: torch.Tensor, corners: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Cut a square out of each map (n or 1, height, width, channels) at its corner (n, 2)."""
    rows, columns = _places(corners, size, maps.device)
    return maps[torch.arange(len(maps), device=maps.device)[:, None, None], rows, columns]


def _paste(maps: torch.Tensor, values: torch.Tensor, corners: torch.Tensor) -> None:
    """Put squares (n, h, w, channels) into maps (n, height, width, channels) at their corners."""
    rows, columns = _places(corners, values.shape[1:3], maps.device)
    maps[torch.arange(len(maps), device=maps.device)[:, None, None], rows, columns] = values


def _places(
    corners: torch.Tensor, size: Sequence[int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    corners = corners.to(device)
    rows = corners[:, 0, None, None] + torch.arange(size[0], device=device)[:, None]
    return rows, corners[:, 1, None, None] + torch.arange(size[1], device=device)
