"""Pictures made here, so that every kind of good and bad file is at hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pixels() -> np.ndarray:
    """Random colours, (24, 32, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def encode():
    """Return a function that makes the bytes of a picture file."""

    def make(pixels, kind="PNG", **options) -> bytes:
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return make
