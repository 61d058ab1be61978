"""Arrays to pixels: colour-mapped matrices, PNG bytes, data URIs and sprites of thumbnails."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dashboard.errors import InputError

MISSING = (200, 200, 200), (160, 160, 160)
"""The two greys that hatch a missing value."""

MATRIX_PIXELS = 900
"""An exported matrix has about this many pixels to a side, so that no program blurs its cells."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """Many equal square pictures in one file.

    Attributes
    ----------
    data : bytes
        The encoded picture.
    mime : str
        Its media type.
    size : int
        Side of one tile in pixels.
    columns : int
        Tiles in a row; tile ``k`` is at row ``k // columns``, column ``k % columns``.
    """

    data: bytes
    mime: str
    size: int
    columns: int


def png(pixels: np.ndarray, *, level: int = 6) -> bytes:
    """Encode pixels (height, width), (height, width, 3) or (height, width, 4) uint8 as PNG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8)).save(out, "PNG", compress_level=level)
    return out.getvalue()


def webp(pixels: np.ndarray) -> bytes:
    """Return a small picture for a page, (height, width, 3) uint8, as WebP, slightly lossy."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=85)
    return out.getvalue()


def data_uri(data: bytes, mime: str = "image/png") -> str:
    """Return bytes as an address that holds its own data."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def coloured(values: np.ndarray, lut: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Map values to colours; what is not finite becomes a grey checkerboard.

    Parameters
    ----------
    values : np.ndarray (rows, columns)
    lut : np.ndarray (256, 3) uint8
    lo, hi : float
        Values of the first and the last colour; values beyond them are clipped.

    Returns
    -------
    np.ndarray (rows, columns, 3) uint8
    """
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    level = np.clip((np.where(finite, values, lo) - lo) / (hi - lo), 0, 1)
    pixels = lut[np.minimum((level * 256).astype(int), 255)]
    if not finite.all():
        rows, columns = np.nonzero(~finite)
        pixels[rows, columns] = np.array(MISSING, dtype=np.uint8)[(rows + columns) % 2]
    return pixels


def enlarged(pixels: np.ndarray, side: int = MATRIX_PIXELS) -> np.ndarray:
    """Repeat pixels a whole number of times, so that the longer side has about ``side`` of them."""
    times = max(1, math.ceil(side / max(pixels.shape[:2])))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def tiles(thumbnails: np.ndarray, columns: int, background: int = 255) -> np.ndarray:
    """Lay thumbnails (n, s, s, 3) uint8 out in rows of ``columns`` as one picture."""
    n, size = thumbnails.shape[:2]
    rows = math.ceil(n / columns)
    sheet = np.full((rows * columns, size, size, 3), background, dtype=np.uint8)
    sheet[:n] = thumbnails
    return sheet.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)


def sprite(thumbnails: np.ndarray, columns: int | None = None) -> Sprite:
    """Put thumbnails into one PNG, near square unless ``columns`` is given.

    Parameters
    ----------
    thumbnails : np.ndarray (n, s, s, 3) uint8

    Raises
    ------
    InputError
        When the array has another shape or type, or holds no picture.
    """
    thumbnails = np.asarray(thumbnails)
    square = thumbnails.ndim == 4 and thumbnails.shape[1] == thumbnails.shape[2] and thumbnails.shape[3] == 3
    if not square or thumbnails.dtype != np.uint8 or not len(thumbnails):
        message = f"Thumbnails must be (n, s, s, 3) uint8, not {thumbnails.shape} {thumbnails.dtype}."
        raise InputError(message)
    columns = columns or math.ceil(math.sqrt(len(thumbnails)))
    return Sprite(png(tiles(thumbnails, columns)), "image/png", thumbnails.shape[1], columns)
