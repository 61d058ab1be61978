"""The transformer block that the bundled picture and text transformers share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017) through `F.scaled_dot_product_attention`.

    Parameters
    ----------
    width : int
        Size of a token, a multiple of ``heads``.
    heads : int
        Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Tokens (n, t, width) -> (n, t, width).

        Parameters
        ----------
        x : (n, t, width)
        keep : (n, 1, 1, t) bool, optional
            Which tokens may be attended to.
        """
        n, t, width = x.shape
        query, key, value = self.qkv(x).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=keep)
        return self.project(mixed.transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm and beside a shortcut (pre-norm)."""

    def __init__(self, width: int, heads: int, expansion: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.gelu = nn.GELU()
        self.contract = nn.Linear(expansion * width, width)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Tokens (n, t, width) -> (n, t, width)."""
        x = x + self.attention(self.norm1(x), keep)
        return x + self.contract(self.gelu(self.expand(self.norm2(x))))
