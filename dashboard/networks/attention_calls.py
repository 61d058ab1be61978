"""One attention of a forward pass, in one form whichever way a network computes it.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Kind = Literal["sdpa", "mha", "softmax"]
Rows = tuple[int, ...] | None
"""The queries wanted, by number; None for all."""

MASKED_BELOW = 80.0
"""Networks mask by adding −100 (Swin) or the most negative number; e⁻⁸⁰ is nothing beside 1 in float32."""


@dataclass(frozen=True, eq=False)
class Call:
    """One attention of one forward pass. N is batch × windows, H heads, L queries, S keys, D a head's width.

    Attributes
    ----------
    layer : str
        Name of the part that computes it; its second map of the pass is ``name:2``.
    count : int
        Which map of this part in the pass, from 1.
    module : str
        Class of the part.
    kind : {"sdpa", "mha", "softmax"}
        Fused kernel, `nn.MultiheadAttention`, or the network's own softmax.
    batch : int
        Number of stimuli.
    heads, queries, keys : int
    query, key : Tensor (N, H, L, D), (N, H, S, D), or None
        What is multiplied; None where an own softmax hides them.
    value : Tensor (N, H, S, D)
    scale : float or None
        Factor of the products; None where an own softmax hides it.
    output : Tensor (N, H, L, D)
        Weights times values, before the output projection.
    weigh : callable
        From the rows wanted to weights (N, H, rows, S).
    score : callable
        From the rows wanted to what the softmax is taken of, (N, H, rows, S), −inf where masked.
    """

    layer: str
    count: int
    module: str
    kind: Kind
    batch: int
    heads: int
    queries: int
    keys: int
    query: Tensor | None
    key: Tensor | None
    value: Tensor
    scale: float | None
    output: Tensor
    weigh: Callable[[Rows], Tensor]
    score: Callable[[Rows], Tensor]

    @property
    def windows(self) -> int:
        """Number of windows that the tokens of one stimulus are cut into."""
        return max(len(self.output) // self.batch, 1)

    def allowed(self) -> Tensor:
        """Return how many keys each query may attend to, (N, H, L)."""
        found = self.score(None)
        most = found.amax(-1, keepdim=True).nan_to_num(neginf=0.0)
        return (found > most - MASKED_BELOW).sum(-1)


@dataclass(frozen=True)
class Fold:
    """How the leading axes of a network's tensors become (batch × windows, heads).

    Attributes
    ----------
    rank : int
        Number of axes of the network's tensors.
    many, heads : int
        Sizes of the two axes.
    heads_second : bool
        Of five axes, whether the heads are the second (else the third).
    """

    rank: int
    many: int
    heads: int
    heads_second: bool = True

    @classmethod
    def of(cls, shape: Sequence[int], batch: int, module: nn.Module) -> Fold:
        """Read it from the shape (…, L, D) of queries or weights.

        Three axes are batch × heads, as `nn.MultiheadAttention` folds them, unless the part says otherwise.
        """
        known = n_heads(module)
        if len(shape) == 2:
            return cls(2, 1, 1)
        if len(shape) == 3:
            heads = known if known and shape[0] % known == 0 and shape[0] > known * batch - 1 else 0
            heads = heads or max(shape[0] // batch, 1)
            return cls(3, shape[0] // heads, heads)
        if len(shape) == 4:
            return cls(4, shape[0], shape[1])
        second = known is None or shape[1] == known
        return cls(5, shape[0] * shape[2 if second else 1], shape[1 if second else 2], second)

    def to(self, tensor: Tensor) -> Tensor:
        """Return (N, H, ·, ·) of a tensor of the network; what all heads share is repeated."""
        if self.rank == 2:
            return tensor[None, None]
        if self.rank == 3:
            return tensor.unflatten(0, (self.many, self.heads))
        if self.rank == 5:
            tensor = tensor.transpose(1, 2) if self.heads_second else tensor
            tensor = tensor.flatten(0, 1)
        if tensor.shape[1] != self.heads and tensor.shape[1] == 1:
            tensor = tensor.expand(-1, self.heads, -1, -1)
        return tensor

    def back(self, tensor: Tensor, batch: int) -> Tensor:
        """Return the network's own form of (N, H, ·, ·)."""
        if self.rank == 2:
            return tensor[0, 0]
        if self.rank == 3:
            return tensor.flatten(0, 1)
        if self.rank == 5:
            tensor = tensor.unflatten(0, (batch, -1))
            return tensor.transpose(1, 2) if self.heads_second else tensor
        return tensor


def n_heads(module: nn.Module) -> int | None:
    """Return the number of heads that a part says it has."""
    for name in ("num_heads", "num_attention_heads", "n_heads", "heads", "nhead"):
        found = getattr(module, name, None)
        if isinstance(found, int) and found > 0:
            return found
    return None


# --- the fused kernel, computed by hand ------------------------------------------------------------


def picked(tensor: Tensor, rows: Rows) -> Tensor:
    """Return the rows wanted of (…, L, ·)."""
    return tensor if rows is None else tensor[..., list(rows), :]


def repeated(tensor: Tensor, query: Tensor, given: dict[str, Any]) -> Tensor:
    """Give every head its keys where groups of heads share them (grouped-query attention)."""
    if not given.get("enable_gqa") or tensor.shape[-3] == query.shape[-3]:
        return tensor
    return tensor.repeat_interleave(query.shape[-3] // tensor.shape[-3], dim=-3)


def scale(given: dict[str, Any]) -> float:
    """Return the factor of the products of a fused call."""
    said = given.get("scale")
    return float(given["query"].shape[-1] ** -0.5 if said is None else said)


def scores(given: dict[str, Any], rows: Rows = None) -> Tensor:
    """Return query · key × scale + mask of a fused call, (…, H, rows, S), −inf where masked.

    Parameters
    ----------
    given : dict
        The arguments of `scaled_dot_product_attention` by name.
    rows : tuple of int, optional
    """
    query = given["query"]
    key = repeated(given["key"], query, given)
    found = (picked(query, rows) * scale(given)) @ key.transpose(-2, -1)
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    if given.get("is_causal"):
        past = torch.ones(n_queries, n_keys, dtype=torch.bool, device=query.device).tril()
        found = found.masked_fill(~picked(past, rows), -torch.inf)
    mask = given.get("attn_mask")
    if mask is None:
        return found
    if mask.dim() > 1 and mask.shape[-2] == n_queries and n_queries > 1:
        mask = picked(mask, rows)
    return found.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else found + mask


def weights(given: dict[str, Any], rows: Rows = None) -> Tensor:
    """Return the softmax of the scores; a query that may attend to nothing gets zeros, as in the kernel."""
    found = scores(given, rows).softmax(-1)
    return found if given.get("attn_mask") is None else torch.nan_to_num(found)
