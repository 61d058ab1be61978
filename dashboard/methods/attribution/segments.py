"""The parts of a stimulus that are switched together: cells, superpixels, patches, tokens and features.

Segments are int64 labels from 0 to n − 1, one per place of the stimulus: (height, width) for a picture,
(n_tokens,) for a text, (n_features,) for a table. A place labelled −1 is never switched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from dashboard.errors import InputError

if TYPE_CHECKING:
    from dashboard.methods.attribution.base import Explained

MOST = 64
"""Segments that a default makes at most where each costs many passes."""


def grid(height: int, width: int, rows: int, columns: int) -> torch.Tensor:
    """Cut a picture into cells of (nearly) equal size.

    Returns
    -------
    torch.Tensor
        (height, width) int64, row by row from the top left.

    Raises
    ------
    InputError
        When there are more cells than pixels, or none.
    """
    if not (1 <= rows <= height and 1 <= columns <= width):
        message = f"A picture of {height} × {width} pixels has no {rows} × {columns} cells."
        raise InputError(message, f"Ask for 1 × 1 to {height} × {width} cells.")
    row = torch.arange(height) * rows // height
    column = torch.arange(width) * columns // width
    return row[:, None] * columns + column


def patches(height: int, width: int, count: tuple[int, int], block: int = 1) -> torch.Tensor:
    """Follow the patches that a transformer sees.

    Parameters
    ----------
    count : (int, int)
        Rows and columns of patches.
    block : int
        Side, in patches, of what is switched together.

    Returns
    -------
    torch.Tensor
        (height, width) int64.
    """
    rows, columns = count
    own = grid(height, width, rows, columns)
    row, column = own // columns // block, own % columns // block
    return row * math.ceil(columns / block) + column


def slic(picture: torch.Tensor, n: int = 50, compactness: float = 10.0) -> torch.Tensor:
    """Cut a picture into superpixels that follow its edges.

    Parameters
    ----------
    picture : torch.Tensor
        (channels, height, width), any range.
    n : int
        Wanted number of superpixels; about so many are found.
    compactness : float
        How much closeness counts against likeness of colour.

    Returns
    -------
    torch.Tensor
        (height, width) int64.

    References
    ----------
    Achanta et al., 2012, "SLIC superpixels compared to state-of-the-art superpixel methods".
    """
    if not 1 <= n <= picture.shape[1] * picture.shape[2]:
        message = f"A picture of {picture.shape[1]} × {picture.shape[2]} pixels has no {n} superpixels."
        raise InputError(message, "Choose fewer superpixels, at least 1.")
    from skimage.segmentation import slic as simple_linear_iterative  # takes a second to import

    values = picture.detach().cpu().double()
    values = values - values.min()
    values = values / values.max().clamp_min(1e-12)
    found = simple_linear_iterative(
        values.permute(1, 2, 0).numpy(), n_segments=n, compactness=compactness, start_label=0, channel_axis=-1
    )
    return compact(torch.from_numpy(found.astype("int64")))


def tokens(special: Sequence[bool]) -> torch.Tensor:
    """Make each token of a text its own segment; special tokens stay, (n_tokens,) int64 with −1 there."""
    free = ~torch.as_tensor(list(special), dtype=torch.bool)
    return torch.where(free, free.cumsum(0) - 1, -1)


def features(n: int) -> torch.Tensor:
    """Make each feature of a table its own segment, (n,) int64."""
    return torch.arange(n)


def compact(labels: torch.Tensor) -> torch.Tensor:
    """Number labels from 0 without gaps, in their order; negative labels become −1."""
    free = labels >= 0
    found = torch.full_like(labels, -1, dtype=torch.int64)
    found[free] = torch.unique(labels[free], return_inverse=True)[1]
    return found


def default(explained: Explained, most: int = MOST) -> torch.Tensor:
    """Return the segments taken where none are given: patches, cells, tokens or features.

    Parameters
    ----------
    most : int
        Segments of a picture at most: patches are joined to blocks until there are no more. Tokens and
        features are never joined.
    """
    shape = tuple(explained.inputs.shape[1:])
    if explained.kind == "text":
        special = explained.special or (False,) * shape[0]
        return tokens(special)
    if explained.kind == "table" or len(shape) < 2:
        return features(math.prod(shape)).reshape(shape)
    height, width = shape[-2:]
    side = max(1, math.isqrt(most))
    if explained.grid is None:
        return grid(height, width, min(side, height), min(side, width))
    block = 1
    while math.prod(math.ceil(n / block) for n in explained.grid) > most:
        block += 1
    return patches(height, width, explained.grid, block)


def of(explained: Explained, given: torch.Tensor | None, most: int = MOST) -> torch.Tensor:
    """Return the segments to use: those given, checked, or the default.

    Raises
    ------
    InputError
        When the labels do not fit the stimulus, or switch nothing or a special token.
    """
    if given is None:
        labels = default(explained, most)
    else:
        labels = given.long()
        _check(explained, labels)
    if int(labels.max()) < 0:
        message = "The stimulus has no part that could be switched off."
        raise InputError(message, "Choose a stimulus with more than special tokens.")
    return labels


def count(labels: torch.Tensor) -> int:
    """Return the number of segments."""
    return int(labels.max()) + 1


def _check(explained: Explained, labels: torch.Tensor) -> None:
    shape = tuple(explained.inputs.shape[1:])
    wanted = shape[-2:] if explained.kind == "image" else shape
    if tuple(labels.shape) != wanted:
        sizes = [" × ".join(map(str, size)) for size in (labels.shape, wanted)]
        message = f"The segments have shape {sizes[0]}, and the stimulus has {sizes[1]}."
        raise InputError(message, "Make the segments for this stimulus.")
    n = count(labels)
    if int(labels.min()) < -1 or len(torch.unique(labels[labels >= 0])) != n:
        message = f"The segments are not numbered from 0 to {n - 1} without gaps."
        raise InputError(message, "Number them from 0; -1 stands for what is never switched.")
    if explained.special and bool((labels[torch.tensor(explained.special)] >= 0).any()):
        message = "The segments hold a special token, and the network reads no text without these."
        raise InputError(message, "Label special tokens -1.")
