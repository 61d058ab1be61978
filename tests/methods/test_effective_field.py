"""The Gaussian of an effective field, against Gaussians that were drawn."""

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import effective_field as method


def drawn(shape, row, column, long, short, angle):
    y, x = np.indices(shape)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    u = (x - column) * cos + (y - row) * sin
    v = -(x - column) * sin + (y - row) * cos
    return np.exp(-0.5 * ((u / long) ** 2 + (v / short) ** 2))


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 140.0])
def test_a_gaussian_is_found_again(angle):
    found = method.fit(7 * drawn((40, 56), 17.3, 30.8, 6.0, 3.0, angle))
    assert (found.row, found.column) == pytest.approx((17.3, 30.8), abs=1e-3)
    assert (found.along, found.across) == pytest.approx((6 * method.FWHM, 3 * method.FWHM), rel=1e-4)
    assert (found.angle - angle + 90) % 180 - 90 == pytest.approx(0, abs=0.01)
    assert found.explained == pytest.approx(1)
    assert found.area == pytest.approx(np.pi / 4 * 18 * method.FWHM**2, rel=1e-3)


def test_large_pictures_are_averaged_over_blocks():
    found = method.fit(drawn((224, 224), 100.0, 120.0, 20.0, 20.0, 0.0))
    assert (found.row, found.column) == pytest.approx((100, 120), abs=0.1)
    assert found.along == pytest.approx(20 * method.FWHM, rel=0.01)


def test_a_single_pixel_and_an_even_field_do_not_fail():
    one = np.zeros((9, 9))
    one[4, 5] = 2
    found = method.fit(one)
    assert (found.row, found.column) == pytest.approx((4, 5), abs=0.1)
    assert found.along < 2
    assert np.isfinite(method.fit(np.ones((9, 9))).along)


def test_radius_holds_the_share():
    energy = drawn((81, 81), 40, 40, 8.0, 8.0, 0.0)
    # of a round Gaussian 1 − exp(−r² / 2σ²) lies within r
    assert method.radius(energy, 0.95) == pytest.approx(8 * np.sqrt(-2 * np.log(0.05)), abs=0.6)


def test_no_energy_is_refused():
    with pytest.raises(InputError, match="No gradient"):
        method.fit(np.zeros((5, 5)))
