"""How much of its receptive field a unit really uses: a Gaussian fitted to the energy of its gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dashboard.errors import InputError

FWHM = 2 * np.sqrt(2 * np.log(2))
MOST_PIXELS = 96
"""Larger pictures are averaged over blocks before the fit."""


@dataclass(frozen=True)
class Gaussian:
    """A two-dimensional Gaussian in pixels of the picture.

    Attributes
    ----------
    row, column : float
        Centre; pixel 0 reaches from −0.5 to 0.5.
    along, across : float
        Full width at half maximum along its longer and its shorter axis.
    angle : float
        Direction of the longer axis in degrees, 0 to the right, 90 downwards.
    explained : float
        Share of the variance of the energy over pixels that the fit explains.
    """

    row: float
    column: float
    along: float
    across: float
    angle: float
    explained: float

    @property
    def area(self) -> float:
        """Area inside half of the maximum, in pixels."""
        return float(np.pi / 4 * self.along * self.across)


def fit(energy: ArrayLike) -> Gaussian:
    """Fit a Gaussian to the gradient's energy, by least squares.

    Luo, Li, Urtasun & Zemel (2016), NeurIPS 29 (arXiv 1701.04128) found effective fields to be Gaussian and
    much smaller than theoretical ones.

    Parameters
    ----------
    energy : (height, width)
        Squared gradient of one unit with respect to each pixel, summed over colours, averaged over stimuli.

    Raises
    ------
    InputError
        When no pixel has any energy.
    """
    energy = np.asarray(energy, dtype=np.float64)
    total = energy.sum()
    if not np.isfinite(total) or total <= 0:
        message = "No gradient of the unit reaches the picture for any of these stimuli."
        raise InputError(message, "Choose another unit, or more stimuli.")
    found, times = _coarse(energy / energy.max())
    from scipy.optimize import least_squares

    rows, columns = np.meshgrid(*(np.arange(n) for n in found.shape), indexing="ij")

    def drawn(p: np.ndarray) -> np.ndarray:
        # The precision matrix as a product with its transpose is positive whatever the numbers.
        y, x = rows - p[1], columns - p[2]
        return np.asarray(p[0] * np.exp(-0.5 * ((p[3] * y + p[4] * x) ** 2 + (p[5] * x) ** 2)))

    start = _start(found, rows, columns)

    def wrong(p: np.ndarray) -> np.ndarray:
        return (drawn(p) - found).ravel()

    best = least_squares(wrong, start, method="lm", max_nfev=400)
    p = best.x
    factor = np.array([[p[3], p[4]], [0.0, p[5]]])
    sizes, axes = np.linalg.eigh(factor.T @ factor)
    widths = times * FWHM / np.sqrt(np.maximum(sizes, 1e-12))  # the smaller precision is the longer axis
    rest = ((drawn(p) - found) ** 2).sum() / max(((found - found.mean()) ** 2).sum(), 1e-300)
    offset = (times - 1) / 2
    return Gaussian(
        float(p[1] * times + offset),
        float(p[2] * times + offset),
        float(widths[0]),
        float(widths[1]),
        float(np.rad2deg(np.arctan2(axes[0, 0], axes[1, 0])) % 180),
        float(1 - rest),
    )


def _coarse(energy: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the energy averaged over square blocks, and how many pixels a block is wide."""
    times = -(-max(energy.shape) // MOST_PIXELS)
    if times == 1:
        return energy, 1
    height, width = (n // times * times for n in energy.shape)
    blocks = energy[:height, :width].reshape(height // times, times, width // times, times)
    return blocks.mean(axis=(1, 3)), times


def _start(energy: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the parameters of a round Gaussian with the moments of the energy near its centre."""
    share = energy / energy.sum()
    row, column = (share * rows).sum(), (share * columns).sum()
    spread = np.sqrt((share * ((rows - row) ** 2 + (columns - column) ** 2)).sum() / 2)
    one = 1 / max(spread, 0.4)
    return np.array([energy.max(), row, column, one, 0.0, one])


def radius(energy: ArrayLike, share: float = 0.95) -> float:
    """Return the radius in pixels around the energy's centre of mass that holds a share of it."""
    energy = np.asarray(energy, dtype=np.float64)
    part = energy / energy.sum()
    rows, columns = np.indices(energy.shape)
    distance = np.hypot(rows - (part * rows).sum(), columns - (part * columns).sum()).ravel()
    order = np.argsort(distance, kind="stable")
    reached = np.searchsorted(np.cumsum(part.ravel()[order]), share - 1e-12)
    return float(distance[order][min(int(reached), len(order) - 1)])
