"""Where the tokens of an attention map lie in the picture, also behind windows, pooling and special tokens.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dashboard.networks import attention, capture
from dashboard.networks.attention import Found, Record
from dashboard.networks.attention_calls import Call
from dashboard.networks.attention_watch import Listener, Watch
from dashboard.networks.network import Network

MOST_SPECIAL = 16
_NAMES = (
    (("cls_token", "class_token", "cls_embed"), "CLS"),
    (("dist_token", "distillation_token"), "distillation"),
    (("reg_token", "register_tokens", "storage_tokens"), "register"),
)
"""Parameters that hold tokens without a place, in the order in which they stand before the patches."""


@dataclass(frozen=True)
class Tokens:
    """The queries or keys of a map. W counts windows, T tokens of one window.

    Attributes
    ----------
    special : tuple of str
        Names of the tokens at the start that have no place: ``CLS``, ``distillation``, ``register 1``.
    grid : (int, int) or None
        Rows and columns of the places; None when there are none.
    cells : np.ndarray (W, T) int64
        Number of each token's place, row by row; −1 for special tokens and padding.
    boxes : np.ndarray (W, T, 4) float64
        Top, left, bottom, right in pixels of what the network is given; NaN without a place.
    """

    special: tuple[str, ...]
    grid: tuple[int, int] | None
    cells: np.ndarray
    boxes: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """Row and column of every token's centre in pixels, (W, T, 2); NaN without a place."""
        return (self.boxes[..., :2] + self.boxes[..., 2:]) / 2

    def place(self, values: np.ndarray) -> np.ndarray:
        """Put values of tokens (…, W, T) into the picture, (…, rows, columns); NaN where no token lies.

        Where several tokens share a place, their values are averaged.
        """
        assert self.grid is not None
        rows, columns = self.grid
        used = self.cells.reshape(-1) >= 0
        cells = self.cells.reshape(-1)[used]
        flat = np.asarray(values, dtype=np.float64).reshape(*values.shape[:-2], -1)[..., used]
        total = np.zeros((*flat.shape[:-1], rows * columns))
        np.add.at(np.moveaxis(total, -1, 0), cells, np.moveaxis(flat, -1, 0))
        count = np.bincount(cells, minlength=rows * columns)
        placed = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return placed.reshape(*flat.shape[:-1], rows, columns)

    def at(self, row: float, column: float) -> tuple[int, int] | None:
        """Return (window, token) of the token that lies at a point in pixels; None where there is none."""
        top, left, bottom, right = np.moveaxis(self.boxes, -1, 0)
        inside = (top <= row) & (row < bottom) & (left <= column) & (column < right)
        found = np.argwhere(inside)
        return (int(found[0][0]), int(found[0][1])) if len(found) else None


@dataclass(frozen=True)
class Layout:
    """How a map relates to what the network is shown.

    Attributes
    ----------
    kind : {"picture", "text", "none"}
        Whether tokens lie in a picture, are the tokens of a text in order, or cannot be placed.
    queries, keys : Tokens
    size : (int, int)
        Height and width in pixels of what the network is given; (0, 0) for texts.
    why : str
        Why the tokens cannot be placed, in a sentence; ``""`` when they can.
    """

    kind: Literal["picture", "text", "none"]
    queries: Tokens
    keys: Tokens
    size: tuple[int, int]
    why: str = ""


_layouts: weakref.WeakKeyDictionary[Network, dict[str, Layout]] = weakref.WeakKeyDictionary()


def layout(network: Network, map_: Record | Found | str) -> Layout:
    """Tell where queries and keys of a map lie.

    Windows are found by sending numbered tokens through the network's own padding, rolling and cutting, so
    shifted windows (Swin) come out right whoever wrote them.

    Parameters
    ----------
    network : Network
    map_ : Record, Found or str
        The map, or the name of its layer.
    """
    known = _layouts.setdefault(network, {})
    name = map_ if isinstance(map_, str) else map_.layer
    if name not in known:
        found = next(f for f in attention.survey(network).maps if f.layer == name)
        known[name] = _layout(network, found)
    return known[name]


def _layout(network: Network, found: Found) -> Layout:
    if network.text is not None:
        return Layout("text", _nowhere(1, found.queries), _nowhere(1, found.keys), (0, 0))
    if len(network.input_shape) != 3:
        return _unplaced(found, (0, 0), "What the network is shown is not a picture.")
    size = network.input_shape[1], network.input_shape[2]
    if any(type(part).__name__ == "Unroll" for part in network.module.modules()):
        return _unplaced(found, size, "The network reorders its tokens, so their places are not known.")
    if found.windows > 1:
        return _windowed(network, found, size)
    names = special_names(network.module)
    queries, keys = (_in_order(n, names, size) for n in (found.queries, found.keys))
    if keys is None or queries is None:
        return _unplaced(
            found, size, "The tokens of this layer do not fill a grid, so their places are not known."
        )
    return Layout("picture", queries, keys, size)


def _nowhere(windows: int, n: int, special: tuple[str, ...] = ()) -> Tokens:
    return Tokens(special, None, np.full((windows, n), -1), np.full((windows, n, 4), np.nan))


def _unplaced(found: Found, size: tuple[int, int], why: str) -> Layout:
    queries, keys = (_nowhere(found.windows, n) for n in (found.queries, found.keys))
    return Layout("none", queries, keys, size, why)


def _placed(
    special: tuple[str, ...], grid: tuple[int, int], cells: np.ndarray, size: tuple[int, int]
) -> Tokens:
    """Return tokens with the boxes of their places."""
    rows, columns = grid
    height, width = size[0] / rows, size[1] / columns
    row, column = np.divmod(cells, columns)
    boxes = np.stack([row * height, column * width, (row + 1) * height, (column + 1) * width], axis=-1)
    return Tokens(special, grid, cells, np.where(cells[..., None] >= 0, boxes, np.nan))


# --- tokens in order, behind special ones ----------------------------------------------------------


def special_names(module: nn.Module) -> tuple[str, ...]:
    """Return the names of a vision transformer's tokens without a place, in their order."""
    sizes = {name.rpartition(".")[2]: p.shape for name, p in module.named_parameters() if p is not None}
    names: list[str] = []
    for words, label in _NAMES:
        shape = next((sizes[word] for word in words if word in sizes), None)
        count = 0 if shape is None else math.prod(shape[:-1])
        names += (
            [f"{label} {i + 1}" for i in range(count)] if label == "register" else [label] * min(count, 1)
        )
    return tuple(names)


def _in_order(n: int, names: Sequence[str], size: tuple[int, int]) -> Tokens | None:
    """Return n tokens: special ones, then places row by row; None when the rest fills no grid."""
    if n <= len(names):
        return _nowhere(1, n, tuple(names[:n]))
    for before in dict.fromkeys((len(names), *range(MOST_SPECIAL + 1))):
        grid = _grid(n - before, size)
        if grid is None:
            continue
        special = tuple(names) if before == len(names) else tuple(f"special {i + 1}" for i in range(before))
        cells = np.concatenate([np.full(before, -1), np.arange(n - before)])[None]
        return _placed(special, grid, cells, size)
    return None


def _grid(n: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return rows and columns of n places in the proportions of the picture."""
    height, width = size
    rows = round(math.sqrt(max(n, 0) * height / width))
    if rows < 1 or n % rows or rows * width != n // rows * height or n < 4:
        return None
    return rows, n // rows


# --- windows ---------------------------------------------------------------------------------------


class _Seen(BaseException):
    """Raised when the attention that was waited for has run; no network catches it."""


def _windowed(network: Network, found: Found, size: tuple[int, int]) -> Layout:
    cells = grid = None
    if found.queries == found.keys:
        grid = _around_grid(found, size)
    if grid is not None:
        cells = _cells(network, found, grid[0], math.prod(grid[1]))
    if grid is None or cells is None:
        return _unplaced(
            found,
            size,
            "This layer attends within groups of tokens whose places in the picture are not known.",
        )
    tokens = _placed((), grid[1], cells, size)
    return Layout("picture", tokens, tokens, size)


def _around_grid(found: Found, size: tuple[int, int]) -> tuple[str, tuple[int, int]] | None:
    """Return the innermost part around a map that is given all places of a stimulus, and their grid."""
    for name, shape in reversed(found.around):
        if not shape or shape[0] != 1:
            continue
        if len(shape) == 4 and name and _fits(shape[1] * shape[2], found):
            return name, (shape[1], shape[2])
        grid = _grid(shape[1], size) if len(shape) == 3 else None
        if grid is not None and _fits(shape[1], found):
            return name, grid
    return None


def _fits(n: int, found: Found) -> bool:
    """Tell whether so many places, padded to whole windows, are the tokens of a map."""
    return found.windows * found.queries // 4 < n <= found.windows * found.queries


def _cells(network: Network, found: Found, around: str, n: int) -> np.ndarray | None:
    """Return the place of every token of every window, (W, T), −1 for padding; None when it does not show.

    The part is run on tokens of two kinds, once for every binary digit of their number; from the values of
    the heads, which each token makes for itself, the digits are read again behind roll and windows.
    """
    part, args, kwargs = _given(network, around)
    place, given = next((i, a) for i, a in enumerate(args) if isinstance(a, Tensor))
    digits = max(n - 1, 1).bit_length()
    kinds = torch.randn((2, given.shape[-1]), generator=torch.Generator().manual_seed(0))
    bits = torch.tensor([[i >> digit & 1 for i in range(n)] for digit in range(digits)])
    which = torch.cat([torch.zeros(1, n, dtype=torch.int64), torch.ones(1, n, dtype=torch.int64), bits])
    probe = kinds[which].reshape(len(which), *given.shape[1:])
    values = _values(part, (*args[:place], probe, *args[place + 1 :]), kwargs, found, around)
    if values is None or values.shape[:3] != (len(which), found.windows, found.keys):
        return None
    first, second, coded = values[0], values[1], values[2:]
    apart = (first - second).norm(dim=-1)
    to_first, to_second = (coded - first).norm(dim=-1), (coded - second).norm(dim=-1)
    real = apart > 1e-3 * apart.max()
    if not bool((torch.minimum(to_first, to_second)[:, real] < 1e-2 * apart[real]).all()):
        return None
    numbers = ((to_second < to_first).long() * 2 ** torch.arange(digits).view(-1, 1, 1)).sum(0)
    cells = torch.where(real, numbers, -1).numpy()
    return cells if np.array_equal(np.sort(cells[cells >= 0]), np.arange(n)) else None


def _given(network: Network, name: str) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Return a part of a private copy and what it is given for a grey stimulus."""
    module = capture.private(network.module, torch.device("cpu"))
    kept: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    part = module.get_submodule(name)

    def remember(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept.append((args, kwargs))
        raise _Seen

    handle = part.register_forward_pre_hook(remember, with_kwargs=True)
    try:
        with torch.inference_mode():
            module(torch.zeros((1, *network.input_shape)))
    except _Seen:
        pass
    finally:
        handle.remove()
    return part, *kept[0]


def _values(
    part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], found: Found, around: str
) -> Tensor | None:
    """Run a part and return the values of the heads of one map, (stimuli, windows, tokens, H · D)."""
    kept: list[Tensor] = []
    inner = found.layer.removeprefix(around).removeprefix(".")

    def seen(call: Call) -> None:
        if call.layer == inner:
            kept.append(call.value)
            raise _Seen

    n = len(next(a for a in args if isinstance(a, Tensor)))
    watch = Watch(part, Listener(seen=seen))
    try:
        with torch.inference_mode(), watch.on(n):
            part(*args, **kwargs)
    except _Seen:
        pass
    except Exception:  # a part that takes one stimulus only says so in its own way
        return None
    if not kept or len(kept[0]) % n:
        return None
    return kept[0].transpose(1, 2).flatten(2).unflatten(0, (n, -1))


# --- texts -----------------------------------------------------------------------------------------

_MARKS = ("<s>", "</s>", "<pad>", "<unk>", "<mask>", "<cls>", "<sep>", "<|endoftext|>")


def is_special(words: Iterable[str]) -> np.ndarray:
    """Tell which tokens of a text stand for no word: ``[CLS]``, ``[SEP]``, ``<s>`` and the like, (n,) bool.

    An unknown word stands for a word.
    """
    return np.array([_is_mark(word) for word in words], dtype=bool)


def _is_mark(word: str) -> bool:
    if word.casefold() in ("[unk]", "<unk>"):
        return False
    bracketed = word.startswith("[") and word.endswith("]") and word[1:-1].isupper()
    return bracketed or word.casefold() in _MARKS or (word.startswith("<|") and word.endswith("|>"))
