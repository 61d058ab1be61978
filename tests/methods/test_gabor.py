"""Gabor fits against filters of known parameters."""

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import gabor
from dashboard.stimuli.gratings import Gratings


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(1)
    n = 10
    frequency = rng.uniform(0.08, 0.3, n)
    width = [np.clip(rng.uniform(0.3, 0.7, n) / frequency, 1.2, 3.5) for _ in range(2)]
    return gabor.Gabors(
        rng.uniform(0, 180, n),
        frequency,
        rng.uniform(0, 360, n),
        rng.uniform(-1.5, 1.5, n),
        rng.uniform(-1.5, 1.5, n),
        *width,
        rng.uniform(0.5, 2, n),
        rng.normal(0, 0.2, n),
        np.ones(n),
        np.full(n, ""),
    )


def test_parameters_come_back(known):
    pictures = np.stack([gabor.draw(known, k, 11, 11) for k in range(10)])
    found = gabor.fit(pictures)
    for name in ("frequency", "amplitude", "x", "y", "sigma_across", "sigma_along", "offset"):
        np.testing.assert_allclose(getattr(found, name), getattr(known, name), rtol=1e-4, atol=1e-5)
    for name, turn in (("orientation", 180), ("phase", 360)):
        error = (getattr(found, name) - getattr(known, name) + turn / 2) % turn - turn / 2
        assert np.abs(error).max() < 0.01
    assert (found.explained > 0.9999).all()
    assert not found.reasons.any()
    np.testing.assert_allclose(gabor.draw(found, 3, 11, 11), pictures[3], atol=1e-6)


def test_orientation_is_that_of_the_gratings():
    grating = Gratings((30.0, 120.0), (5.0,), (0.0,), size=31, aperture=0.9)
    pictures = np.stack([grating.draw(i) for i in range(2)]).astype(np.float64)
    np.testing.assert_allclose(gabor.fit(pictures).orientation, [30, 120], atol=1)
    orientation, frequency = gabor.peak(gabor.power(pictures))
    np.testing.assert_allclose(orientation, [30, 120], atol=5)
    np.testing.assert_allclose(frequency * 31, 5, rtol=0.1)


def test_noise_small_and_constant_filters_say_so():
    noise = gabor.fit(np.random.default_rng(0).normal(size=(2, 11, 11)))
    assert (noise.reasons == gabor.POOR).all()
    assert np.isfinite(noise.orientation).all()
    assert gabor.fit(np.ones((1, 7, 7))).reasons[0] == gabor.CONSTANT
    small = gabor.fit(np.eye(3)[None])
    assert small.reasons[0] == gabor.TOO_SMALL
    assert np.isnan(small.orientation[0])
    with pytest.raises(InputError, match="no numbers"):
        gabor.fit(np.full((1, 7, 7), np.nan))


def test_an_edge_has_no_spatial_frequency():
    x = np.linspace(-1, 1, 5)
    edge, wave = np.tile(x, (5, 1)), np.tile(np.cos(2 * np.pi * 0.2 * np.arange(9)), (9, 1))
    found = gabor.fit(edge[None])
    assert found.explained[0] > 0.99
    assert found.reasons[0] == gabor.WIDE
    assert gabor.fit(wave[None]).reasons[0] == ""


def test_the_grey_part_of_a_coloured_filter():
    rng = np.random.default_rng(2)
    picture, colour = rng.normal(size=(7, 7)), np.array([0.6, 0.7, -0.1])
    pictures, weights, share = gabor.grey((colour[:, None, None] * picture)[None])
    np.testing.assert_allclose(weights[0], colour / np.linalg.norm(colour), atol=1e-12)
    np.testing.assert_allclose(pictures[0], picture * np.linalg.norm(colour), atol=1e-12)
    assert share[0] == pytest.approx(1)


def test_power_has_the_energy_of_the_filter():
    picture = np.random.default_rng(5).normal(size=(1, 9, 9))
    centred = picture - picture.mean()
    assert gabor.power(picture, 64).sum() / 64**2 == pytest.approx((centred**2).sum())
