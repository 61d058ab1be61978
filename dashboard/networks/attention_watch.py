"""Sees every attention of a network while it runs, and may change it.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dashboard.networks import attention_calls as calls
from dashboard.networks.attention_calls import Call, Fold, Kind
from dashboard.networks.layers import Recorder, first_tensor

_FUSED = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
_MULTI_HEAD = tuple(inspect.signature(F.multi_head_attention_forward).parameters)
_THIN = ("Softmax", "Dropout", "Identity")
"""Parts whose work belongs, in the eyes of users, to the part around them."""


@dataclass(frozen=True)
class Listener:
    """What is done with the calls; the defaults do nothing.

    Attributes
    ----------
    wants : callable
        From the name of a part to whether its calls matter.
    edit : callable or None
        From a call's layer and weights (N, H, L, S) to the weights to use. With it attention is computed step
        by step; without, the network's own kernel runs.
    seen : callable
        From a call to None, or to another output (N, H, L, D).
    changes : bool
        Whether ``seen`` may return another output.
    projected : callable or None
        From a call and the matrix (out, H · D) that its heads' outputs, side by side, are multiplied with.
    """

    wants: Callable[[str], bool] = lambda _name: True
    edit: Callable[[str, Tensor], Tensor] | None = None
    seen: Callable[[Call], Tensor | None] = lambda _call: None
    changes: bool = False
    projected: Callable[[Call, Tensor], None] | None = None


@dataclass
class Running:
    """A part that runs now."""

    name: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first tensor that the part was given."""
        given = first_tensor((*self.args, *self.kwargs.values()))
        return tuple(given.shape) if given is not None else ()


@dataclass
class Oddities:
    """What else happened in the parts that ran, to say why a part gave no map."""

    ran: dict[str, nn.Module] = field(default_factory=dict)
    other_axis: set[str] = field(default_factory=set)
    mixed: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)


@dataclass
class _Normalised:
    """The output of a softmax that may turn out to be an attention map."""

    layer: str
    output: Tensor
    scores: Tensor
    product: tuple[Tensor, Tensor] | None


@cache
def _multi_head_body() -> Callable[..., Any]:
    """Return `F.multi_head_attention_forward` without its dispatch, so that the fused call in it is seen.

    The same code runs in a namespace where ``has_torch_function`` says no. This depends on how torch writes
    the function; tests compare its weights with the function's own.
    """
    source = inspect.unwrap(F.multi_head_attention_forward)
    space = {**source.__globals__, "has_torch_function": lambda _tensors: False}
    body = types.FunctionType(
        source.__code__, space, source.__name__, source.__defaults__, source.__closure__
    )
    body.__kwdefaults__ = source.__kwdefaults__
    return body


def _named(names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


class Watch(TorchFunctionMode):
    """Follows a network of its own and hands every attention to a listener.

    Functions are recognised by name (torchlens, for one, puts wrappers in the place of torch's functions),
    and calls are named after the part that runs. The hooks sit on a private copy of the network and the mode
    belongs to one thread, so captures never see each other.

    Parameters
    ----------
    module : nn.Module
        A private copy in eval mode; see `capture.private`.
    listener : Listener
    """

    def __init__(self, module: nn.Module, listener: Listener) -> None:
        super().__init__()
        self.module, self.listener = module, listener
        self.oddities = Oddities()
        self.running: list[Running] = []
        self._recorder = Recorder()
        self._batch = 1
        self._kind: Kind = "sdpa"
        self._forget()

    @contextlib.contextmanager
    def on(self, batch: int) -> Iterator[Watch]:
        """Watch what the module does inside the block with a batch of so many stimuli."""
        self._batch, self._recorder, self.oddities = batch, Recorder(), Oddities()
        handles: list[Any] = []
        try:
            for name, inner in self.module.named_modules():
                if not isinstance(inner, torch.jit.ScriptModule):
                    handles += self._follow(name, inner)
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()
            self._drop_pending()
            self._forget()

    def _forget(self) -> None:
        self.running.clear()
        self._pending: _Normalised | None = None
        self._product: tuple[Tensor, Tensor, Tensor] | None = None
        self._unprojected: Call | None = None

    def _follow(self, name: str, inner: nn.Module) -> list[Any]:
        def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.running.append(Running(name, inner, args, kwargs))
            self.oddities.ran[name] = inner

        def after(_module: nn.Module, _args: Any, _output: Any) -> None:
            if self.running:
                self.running.pop()

        return [
            inner.register_forward_pre_hook(before, with_kwargs=True),
            inner.register_forward_hook(after, always_call=True),
        ]

    def _where(self) -> Running:
        for part in reversed(self.running):
            if not any(word in type(part.module).__name__ for word in _THIN):
                return part
        return Running("", self.module, (), {})

    # --- what torch's functions are asked ----------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        step = self._steps.get(getattr(func, "__name__", "").split(".")[0])
        return func(*args, **kwargs) if step is None else step(self, func, args, kwargs)

    def _fused(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Fused attention: the kernel runs as it is; weights are computed beside it for who asks."""
        part = self._where()
        if not self.listener.wants(part.name):
            return func(*args, **kwargs)  # type: ignore[no-any-return]
        given = _named(_FUSED, args, kwargs)
        fold = Fold.of(given["query"].shape, self._batch, part.module)
        value = calls.repeated(given["value"], given["query"], given)
        used: list[Tensor] = []
        if self.listener.edit is not None:
            used.append(self.listener.edit(self._next(part.name), fold.to(calls.weights(given))))
            output = fold.back(used[0] @ fold.to(value), self._batch)
        else:
            output = func(*args, **kwargs)
        call = Call(
            **self._named_call(part),
            kind=self._kind,
            heads=fold.heads,
            queries=given["query"].shape[-2],
            keys=given["key"].shape[-2],
            query=fold.to(given["query"]),
            key=fold.to(calls.repeated(given["key"], given["query"], given)),
            value=fold.to(value),
            scale=calls.scale(given),
            output=fold.to(output),
            weigh=lambda rows: calls.picked(used[0], rows) if used else fold.to(calls.weights(given, rows)),
            score=lambda rows: fold.to(calls.scores(given, rows)),
        )
        return self._told(call, fold, output)

    def _next(self, name: str) -> str:
        """Return what the next call of a part will be called."""
        count = self._recorder.counts[name] + 1
        return name if count == 1 else f"{name}:{count}"

    def _named_call(self, part: Running) -> dict[str, Any]:
        layer = self._recorder.call(part.name)
        count, module = self._recorder.counts[part.name], type(part.module).__name__
        return {"layer": layer, "count": count, "module": module, "batch": self._batch}

    def _told(self, call: Call, fold: Fold, output: Tensor) -> Tensor:
        """Hand a call over and return the output that the network goes on with."""
        self._unprojected = call if self.listener.projected is not None else None
        changed = self.listener.seen(call)
        return output if changed is None else fold.back(changed, self._batch)

    def _multi_head(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`nn.MultiheadAttention`: its body runs with a fused call inside, which `_fused` sees."""
        listener = self.listener
        if not listener.wants(self._where().name):
            return func(*args, **kwargs)
        given = _named(_MULTI_HEAD, args, kwargs)
        found: list[Call] = []

        def seen(call: Call) -> Tensor | None:
            found.append(call)
            return listener.seen(call)

        self.listener, self._kind = replace(listener, seen=seen), "mha"
        try:
            with self:
                output, _ = _multi_head_body()(**{**given, **_dense(given), "need_weights": False})
        finally:
            self.listener, self._kind = listener, "sdpa"
        if not given.get("need_weights", True):
            return output, None
        if listener.edit is None and not listener.changes:
            return func(*args, **kwargs)  # rounds otherwise than the fused call: the caller gets its own
        return output, _as_asked(found[-1].weigh(None), given)

    def _softmax(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """A softmax over the last of three axes or more may be an attention map: `_multiply` sees it used."""
        output: Tensor = func(*args, **kwargs)
        name = self._where().name
        given = _named(("input", "dim"), args, kwargs)
        if not isinstance(output, Tensor) or output.dim() < 3 or not self.listener.wants(name):
            return output
        if given.get("dim") not in (-1, output.dim() - 1):
            self.oddities.other_axis.add(name)
            return output
        self._drop_pending()
        if self.listener.edit is not None:
            fold = Fold.of(output.shape, self._batch, self._where().module)
            output = fold.back(self.listener.edit(self._next(name), fold.to(output)), self._batch)
        self._pending = _Normalised(name, output, given["input"], self._scored(given["input"]))
        return output

    def _scored(self, scores: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return query and key of the last product, when the scores can come from it."""
        if self._product is None:
            return None
        query, key, result = self._product
        fits = result.shape[-2:] == scores.shape[-2:] and result.numel() == scores.numel()
        return (query, key.transpose(-2, -1)) if fits and query.dim() == scores.dim() else None

    def _drop_pending(self) -> None:
        """A map that was never multiplied with values is no attention, or was mixed with others first."""
        if self._pending is not None:
            self.oddities.mixed.add(self._pending.layer)
            self._pending = None

    def _multiply(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        output: Tensor = func(*args, **kwargs)
        if len(args) != 2 or not all(isinstance(a, Tensor) and a.dim() >= 3 for a in args):
            return output
        left, right = args
        if self._pending is not None and _is_same(left, self._pending.output):
            pending, self._pending = self._pending, None
            return self._own(pending, left, right, output)
        self._product = (left, right, output)
        return output

    def _own(self, pending: _Normalised, weights: Tensor, value: Tensor, output: Tensor) -> Tensor:
        """The network's own softmax times its values: an attention, unless it mixes channels."""
        part = self._where()
        if _mixes_channels(weights, value, part.shape):
            self.oddities.channels.add(part.name)
            return output
        fold = Fold.of(weights.shape, self._batch, part.module)
        query, key = pending.product or (None, None)
        call = Call(
            **self._named_call(part),
            kind="softmax",
            heads=fold.heads,
            queries=weights.shape[-2],
            keys=weights.shape[-1],
            query=None if query is None else fold.to(query),
            key=None if key is None else fold.to(key),
            value=fold.to(value),
            scale=None,
            output=fold.to(output),
            weigh=lambda rows: fold.to(calls.picked(weights, rows)),
            score=lambda rows: fold.to(calls.picked(pending.scores.reshape(weights.shape), rows)),
        )
        return self._told(call, fold, output)

    def _linear(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        given = _named(("input", "weight"), args, kwargs)
        self._project(given.get("input"), given.get("weight"))
        return func(*args, **kwargs)  # type: ignore[no-any-return]

    def _addmm(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Linear maps of GPT-2: bias, input, transposed matrix."""
        if len(args) == 3:
            self._project(args[1], args[2].T)
        return func(*args, **kwargs)  # type: ignore[no-any-return]

    def _project(self, merged: Tensor | None, matrix: Tensor | None) -> None:
        """Hand over the output projection: the next linear map that is given the heads side by side."""
        call, self._unprojected = self._unprojected, None
        if call is None or merged is None or matrix is None or self.listener.projected is None:
            return
        if _is_merged(merged, call.output):
            self.listener.projected(call, matrix)

    _steps: dict[str, Callable[..., Any]] = {
        "scaled_dot_product_attention": _fused,
        "multi_head_attention_forward": _multi_head,
        "softmax": _softmax,
        "_softmax": _softmax,
        "matmul": _multiply,
        "__matmul__": _multiply,
        "bmm": _multiply,
        "linear": _linear,
        "addmm": _addmm,
    }


def _is_same(operand: Tensor, map_: Tensor) -> bool:
    """Tell whether an operand is a map itself or a view of it that is not transposed."""
    if operand is map_:
        return True
    shares = operand.untyped_storage()._cdata == map_.untyped_storage()._cdata
    fits = operand.shape[-2:] == map_.shape[-2:] and operand.numel() == map_.numel()
    return bool(shares and fits and operand.stride()[-2:] == map_.stride()[-2:])


def _mixes_channels(weights: Tensor, value: Tensor, given: tuple[int, ...]) -> bool:
    """Tell attention over channels (XCiT) from attention over tokens by the shape that the part was given."""
    if len(given) != 3 or weights.shape[-1] != weights.shape[-2] or weights.dim() != 4:
        return False
    _, tokens, width = given
    over_channels = weights.shape[-1] * weights.shape[1] == width and value.shape[-1] == tokens
    return over_channels and weights.shape[-1] != tokens


def _dense(given: dict[str, Any]) -> dict[str, Tensor]:
    """Return query, key and value without gaps in memory; what is one tensor stays one.

    `nn.MultiheadAttention` hands over transposed views where batches come first, and their projection takes
    twice the time of the fast path that a network takes when nobody watches.
    """
    query, key, value = given["query"], given["key"], given["value"]
    dense = {id(tensor): tensor.contiguous() for tensor in (query, key, value)}
    return {"query": dense[id(query)], "key": dense[id(key)], "value": dense[id(value)]}


def _as_asked(weights: Tensor, given: dict[str, Any]) -> Tensor:
    """Return weights (N, H, L, S) in the form that a caller of multi-head attention wants."""
    weights = weights.mean(1) if given.get("average_attn_weights", True) else weights
    return weights[0] if given["query"].dim() == 2 else weights


def _is_merged(merged: Tensor, output: Tensor) -> bool:
    """Tell whether a tensor (…, H · D) holds the heads' outputs (N, H, L, D) side by side."""
    n, heads, queries, width = output.shape
    if merged.numel() != output.numel() or merged.shape[-1] != heads * width or merged.is_meta:
        return False
    rows = merged.reshape(-1, heads, width)
    return any(
        torch.equal(rows, output.permute(*order).reshape(-1, heads, width))
        for order in ((0, 2, 1, 3), (2, 0, 1, 3))
    )
