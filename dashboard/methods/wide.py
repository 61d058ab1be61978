"""RDMs of layers with very many units: float64 sums over blocks of units, never a float64 copy of the whole.

The numbers are those of `rdm.dissimilarities`; only the order of summation differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from dashboard.methods.condensed import pair_indices

if TYPE_CHECKING:
    import torch

UNITS = 1 << 13
"""Units per block: 92 stimuli make 6 MB of float64, which stay in a processor's cache."""

METRICS = ("correlation", "cosine", "euclidean", "sqeuclidean")
"""Metrics that are sums over units of products of two stimuli."""

Centre = Callable[["torch.Tensor"], object]
"""Changes a block (n_stimuli, at most `UNITS`) in place."""


def blocks(patterns: np.ndarray, centre: Centre) -> Iterator[torch.Tensor]:
    """Yield centred float64 blocks of patterns (n_stimuli, n_units), all in one piece of memory."""
    import torch

    n, n_units = patterns.shape
    memory = torch.empty(n * min(UNITS, n_units), dtype=torch.float64)
    for start in range(0, n_units, UNITS):
        stop = min(start + UNITS, n_units)
        block = memory[: n * (stop - start)].view(n, stop - start)
        block.copy_(torch.from_numpy(patterns[:, start:stop]))
        centre(block)
        yield block


def row_means(patterns: np.ndarray) -> torch.Tensor:
    """Return the mean over units of every stimulus, (n_stimuli,) float64."""
    import torch

    return torch.from_numpy(patterns.mean(axis=1, dtype=np.float64))


def gram(patterns: np.ndarray, centre: Centre) -> torch.Tensor:
    """Return the inner products (n_stimuli, n_stimuli) of the centred patterns."""
    import torch

    total = torch.zeros((len(patterns), len(patterns)), dtype=torch.float64)
    for rows in blocks(patterns, centre):
        total.addmm_(rows, rows.T)
    return total


def squared_gaps(patterns: np.ndarray, centre: Centre, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    """Return the sum over units of the squared differences of the pairs (i, j), each (n_pairs,).

    The direct way, for pairs that are too near for inner products.
    """
    import torch

    total = torch.zeros(len(i), dtype=torch.float64)
    for rows in blocks(patterns, centre):
        for part in torch.arange(len(i)).split(64):
            gap = rows[i[part]] - rows[j[part]]
            total[part] += torch.linalg.vecdot(gap, gap)
    return total


def squared_distances(
    patterns: np.ndarray,
    products: torch.Tensor,
    centre: Centre,
    near: float,
) -> torch.Tensor:
    """Return condensed squared distances (n_pairs,); those below ``near`` of the norms the direct way."""
    import torch

    i, j = (torch.from_numpy(index) for index in pair_indices(len(products)))
    size = products.diagonal()
    found = size[i] + size[j] - 2 * products[i, j]
    close = torch.nonzero(found < near * (size[i] + size[j]))[:, 0]
    if len(close):
        found[close] = squared_gaps(patterns, centre, i[close], j[close])
    return found
