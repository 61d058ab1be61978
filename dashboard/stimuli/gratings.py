"""Gratings: drawn one at a time from their parameters, in one convention of orientation.

Orientation of the bars: 0 degrees is vertical and angles grow clockwise, so 45 degrees leans to the right
like ``/`` and 90 degrees is horizontal. The tilt of the Neuromatch gratings is the same angle, -90 to 90.
"""

from __future__ import annotations

import numpy as np

NEUROMATCH_SIZE = (48, 64)
"""Height and width in pixels that the course uses (a tenth of 480 x 640)."""

_FULL_HEIGHT, _FULL_WIDTH = 480, 640
_RADIANS_PER_PIXEL = 1 / 28
_PATCH_TURN_RAD = 0.1


def neuromatch_grating(
    angle_deg: float, height: int = 48, width: int = 64, patch: bool = False
) -> np.ndarray:
    """Draw the square-wave grating of the Neuromatch deep-learning day.

    The wave runs over a field of 640 x 480 pixels (wavelength 2 pi 28 = 176 pixels) that is sampled at
    ``width`` x ``height`` points, with phase 0 in the upper left corner and full contrast.

    Parameters
    ----------
    angle_deg : float
        Tilt from vertical in degrees; negative tilts left, positive tilts right.
    height, width : int
        Size of the picture in pixels.
    patch : bool
        Show the wave, turned by another 0.1 radian, only in a disc right of the middle, on grey.

    Returns
    -------
    np.ndarray
        (height, width) float32 of 0 and 1, and 0.5 around a patch.

    Notes
    -----
    Source: NeuromatchAcademy course-content, W1D5 Deep Learning, Tutorial 3 (described, not copied).
    """
    angle = np.deg2rad(angle_deg) + (_PATCH_TURN_RAD if patch else 0.0)
    x = _RADIANS_PER_PIXEL * np.arange(width) * (_FULL_WIDTH / width)
    y = _RADIANS_PER_PIXEL * np.arange(height) * (_FULL_HEIGHT / height)
    wave = np.cos(x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle))
    grating = (wave > 0).astype(np.float32)
    if patch:
        distance = np.hypot(np.arange(width)[None, :] - 0.75 * width, np.arange(height)[:, None] - height / 2)
        grating[distance >= width / 6] = 0.5
    return grating
