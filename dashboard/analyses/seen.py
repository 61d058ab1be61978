"""What a network saw of a picture, for the page to draw maps on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dashboard.networks import Network

if TYPE_CHECKING:
    import torch


def as_seen(network: Network, prepared: torch.Tensor, picture: np.ndarray) -> np.ndarray:
    """Return a preprocessed picture as it was before values were scaled, (height, width, 3) uint8.

    Preprocessing scales each channel linearly, so that black and white tell how to undo it; cuts and sizes
    stay, for the map lies on them. What is no picture any more is shown as it was.
    """
    if prepared.dim() != 3:
        return picture
    ends = [
        network.prepare([np.full_like(picture, value)])[0].double().mean((1, 2), keepdim=True)
        for value in (0, 255)
    ]
    span = ends[1] - ends[0]
    if not bool((span.abs() > 1e-9).all()):
        return picture
    level = ((prepared.double() - ends[0]) / span).clamp(0, 1)
    pixels = np.rint(255 * level.permute(1, 2, 0).numpy()).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
