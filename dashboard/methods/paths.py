"""Ways between two points of a latent space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def great_circle(first: ArrayLike, last: ArrayLike, shares: ArrayLike) -> NDArray[np.float64]:
    """Walk from one point to another along a great circle, with the length changing evenly.

    Straight lines leave the shell in which nearly all of a normal prior lies; a great circle does not
    (K. Shoemake, 1985; for latent spaces T. White, 2016). Points in one direction, or in opposite ones, where
    the circle is not unique, are joined by a straight line.

    Parameters
    ----------
    first, last : (n,)
    shares : (n_steps,)
        Part of the way, 0 to 1.

    Returns
    -------
    np.ndarray (n_steps, n)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(last, dtype=np.float64)
    t = np.asarray(shares, dtype=np.float64)[:, None]
    sizes = np.linalg.norm(a), np.linalg.norm(b)
    cosine = float(np.clip(a @ b / (sizes[0] * sizes[1]), -1, 1)) if min(sizes) > 0 else 1.0
    if abs(cosine) > 1 - 1e-9:
        return np.asarray((1 - t) * a + t * b)
    angle = np.arccos(cosine)
    direction = (np.sin((1 - t) * angle) * a / sizes[0] + np.sin(t * angle) * b / sizes[1]) / np.sin(angle)
    return np.asarray(direction * ((1 - t) * sizes[0] + t * sizes[1]))
