"""How colours become numbers of a network's input, measured with plain pictures.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dashboard.errors import InputError
from dashboard.networks.network import Network

TOLERANCE = 0.02
"""How far, as a part of the range, a colour may lie from what the scaling says."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Preprocessing of colours without what it does to size: input = matrix · colour + offset.

    Attributes
    ----------
    matrix : torch.Tensor
        (n_channels, 3) float32.
    offset : torch.Tensor
        (n_channels,) float32.
    grey : bool
        Whether the network sees brightness only.
    """

    matrix: torch.Tensor
    offset: torch.Tensor
    grey: bool

    def prepared(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return pictures (n, 3, height, width) of 0 to 1 as the network's input (n, channels, …)."""
        mixed = torch.einsum("ck,nkhw->nchw", self.matrix, pictures)
        return mixed + self.offset[:, None, None]


def levels(network: Network) -> Levels:
    """Measure what preprocessing makes of black, red, green and blue, and check it with other colours.

    Raises
    ------
    InputError
        When the network sees no pictures, or does more to colours than scale them.
    """
    if network.input_kind != "image" or len(network.input_shape) != 3:
        message = f"{network.title} sees no pictures."
        raise InputError(message, "Choose a network that sees pictures, such as bundled:objects_cnn.")
    side = 2 * max(network.input_shape[1:])

    def seen(colour: tuple[int, int, int]) -> np.ndarray:
        plain = np.full((side, side, 3), colour, dtype=np.uint8)
        found: np.ndarray = network.preprocess(plain).double().numpy().mean(axis=(1, 2))
        return found

    black = seen((0, 0, 0))
    matrix = np.stack([seen(c) - black for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))], axis=1)
    size = np.abs(matrix).sum(axis=1).max()
    for colour in ((255, 255, 255), (128, 128, 128), (51, 153, 204)):
        guess = matrix @ (np.array(colour) / 255) + black
        if size == 0 or np.abs(seen(colour) - guess).max() > TOLERANCE * size:
            message = f"The preprocessing of {network.title} does more to colours than scale them."
            raise InputError(message, "Pictures for such a network cannot be synthesised; choose another.")
    # Rows that are multiples of one another: the network sees one mixture of the colours.
    grey = np.linalg.svd(matrix, compute_uv=False)[1:].max(initial=0.0) < 1e-6 * size
    return Levels(torch.from_numpy(matrix).float(), torch.from_numpy(black).float(), bool(grey))
