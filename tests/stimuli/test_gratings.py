"""Gratings: pixels against the formula, the convention of orientation, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dashboard.stimuli import gratings


def bar_orientation(picture: np.ndarray) -> float:
    """Orientation of the bars from the structure tensor: 0 vertical, clockwise, in [0, 180)."""
    dy, dx = np.gradient(gaussian_filter(np.asarray(picture, dtype=np.float64), 4, mode="nearest"))
    across = 0.5 * np.arctan2(2 * (dx * dy).sum(), (dx * dx - dy * dy).sum())
    return float(np.rad2deg(across) % 180)


def angle_between(a: float, b: float) -> float:
    return abs((a - b + 90) % 180 - 90)


class TestNeuromatch:
    def test_every_pixel_follows_the_formula(self):
        got = gratings.neuromatch_grating(-35.0)
        assert got.shape == (48, 64)
        assert got.dtype == np.float32
        a = np.deg2rad(-35.0)
        for row, column in [(0, 0), (0, 63), (47, 0), (20, 33), (47, 63)]:
            value = np.cos(column * 10 / 28 * np.cos(a) + row * 10 / 28 * np.sin(a))
            assert got[row, column] == (1.0 if value > 0 else 0.0)

    def test_wavelength_of_176_pixels(self):
        full = gratings.neuromatch_grating(0.0, height=480, width=640)
        edges = np.flatnonzero(np.diff(full[0]))
        assert np.allclose(np.diff(edges), np.pi * 28, atol=1)

    @pytest.mark.parametrize("tilt", [-60.0, -20.0, 20.0, 60.0])
    def test_positive_tilts_right(self, tilt):
        drawn = gratings.neuromatch_grating(tilt, height=480, width=640)
        assert angle_between(bar_orientation(drawn), tilt) < 3

    def test_zero_is_vertical(self):
        drawn = gratings.neuromatch_grating(0.0)
        assert (drawn == drawn[:1]).all()

    def test_small_size_is_a_sample_of_the_full_field(self):
        full = gratings.neuromatch_grating(33.0, height=480, width=640)
        assert np.array_equal(gratings.neuromatch_grating(33.0), full[::10, ::10])

    def test_patch_is_a_disc_on_grey(self):
        drawn = gratings.neuromatch_grating(10.0, patch=True)
        grey = drawn == 0.5
        assert grey[:, :30].all()
        assert not grey[24, 48]
        assert (~grey).sum() == pytest.approx(np.pi * (64 / 6) ** 2, rel=0.05)
        inside = np.hypot(np.arange(64)[None] - 48, np.arange(48)[:, None] - 24) < 64 / 6
        turned = gratings.neuromatch_grating(10.0 + np.rad2deg(0.1))
        assert np.array_equal(drawn[inside], turned[inside])
