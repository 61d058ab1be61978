"""Tuning measures against the closed form of Gabor filters and of generated curves."""

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import tuning

ORIENTATIONS = np.arange(24) * 7.5
FREQUENCIES = np.geomspace(2, 24, 8)
PHASES = np.arange(8) * 45.0
DENSE = np.linspace(0, 180, 7200, endpoint=False)


class Bank:
    """Gabor filters of known parameters: half simple (rectified), half complex (energy)."""

    def __init__(self, n=120, seed=0):
        rng = np.random.default_rng(seed)
        self.theta, self.f0 = rng.uniform(0, 180, n), rng.uniform(5, 12, n)
        self.sigma, self.complex = 0.416 / self.f0, np.arange(n) % 2 == 1

    def amplitude(self, orientation, frequency, units=slice(None)):
        """Amplitude of the filter's response to a grating, both its lobes; (..., n)."""
        angle = np.deg2rad(orientation)
        k = frequency[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        own = np.deg2rad(self.theta[units])
        centre = self.f0[units, None] * np.stack([np.cos(own), np.sin(own)], axis=-1)
        total = 0
        for sign in (1, -1):
            distance = ((k[..., None, :] - sign * centre) ** 2).sum(axis=-1)
            total = total + np.exp(-2 * (np.pi * self.sigma[units]) ** 2 * distance)
        return total

    def responses(self, baseline=0.0):
        o, f = np.meshgrid(ORIENTATIONS, FREQUENCIES, indexing="ij")
        amplitude = self.amplitude(o, f)[:, :, None]
        wave = np.cos(np.deg2rad(PHASES))[:, None]
        energy = amplitude**2 * np.ones((len(PHASES), 1))
        return baseline + np.where(self.complex, energy, np.maximum(amplitude * wave, 0))

    def dense(self, frequency):
        """Orientation curves at one frequency per unit; (n, 7200), up to a factor."""
        found = [self.amplitude(DENSE, np.full_like(DENSE, f), [k])[:, 0] for k, f in enumerate(frequency)]
        return np.stack(found) ** np.where(self.complex, 2, 1)[:, None]


@pytest.fixture(scope="module")
def bank():
    return Bank()


@pytest.fixture(scope="module")
def found(bank):
    return tuning.tuning(bank.responses(0.3), ORIENTATIONS, FREQUENCIES, PHASES, np.full(len(bank.f0), 0.3))


def test_preferred_orientation_and_frequency_of_a_gabor_bank(bank, found):
    error = (found.preferred_orientation - bank.theta + 90) % 180 - 90
    assert np.abs(error).max() < 0.1
    assert np.abs(found.preferred_frequency / bank.f0 - 1).max() < 0.01


def test_selectivity_and_width_equal_the_closed_form(bank, found):
    best = FREQUENCIES[bank.responses().mean(axis=2).max(axis=0).argmax(axis=0)]
    curve = bank.dense(best)
    turn = np.exp(2j * np.deg2rad(DENSE))
    np.testing.assert_allclose(
        found.circular_variance, 1 - np.abs(curve @ turn) / curve.sum(axis=1), rtol=1e-6
    )
    top = curve.argmax(axis=1)
    unit = np.arange(len(top))
    peak, orthogonal = curve[unit, top], curve[unit, (top + 3600) % 7200]
    np.testing.assert_allclose(found.osi, (peak - orthogonal) / (peak + orthogonal), rtol=1e-4)
    for measured, share in ((found.half_width, 0.5), (found.half_width_70, np.sqrt(0.5))):
        width = (curve > share * peak[:, None]).sum(axis=1) * (180 / 7200) / 2
        np.testing.assert_allclose(measured, width, rtol=0.01)


def test_bandwidth_in_octaves_equals_the_closed_form(bank, found):
    dense = np.geomspace(0.3, 60, 20000)
    at = ORIENTATIONS[bank.responses().mean(axis=2).max(axis=1).argmax(axis=0)]
    for k in range(0, len(at), 7):
        curve = bank.amplitude(np.full_like(dense, at[k]), dense, [k])[:, 0] ** (2 if bank.complex[k] else 1)
        inside = dense[curve > curve.max() / 2]
        assert found.bandwidth[k] == pytest.approx(np.log2(inside[-1] / inside[0]), rel=0.02)


def test_simple_cells_are_modulated_and_complex_cells_are_not(bank, found):
    assert (found.f1_f0[~bank.complex] > 1).all()
    assert (found.f1_f0[bank.complex] < 0.1).all()


def test_a_log_gaussian_passband_is_within_two_per_cent():
    centre, octaves = np.linspace(4, 12, 30), 1.2
    curve = np.exp(-(np.log2(FREQUENCIES / centre[:, None]) ** 2) / (2 * (octaves / 2.3548) ** 2))
    responses = np.broadcast_to(curve.T[None, :, None, :], (4, 8, 1, 30))
    found = tuning.tuning(responses, np.arange(4) * 45.0, FREQUENCIES, np.array([0.0]), np.zeros(30))
    np.testing.assert_allclose(found.preferred_frequency, centre, rtol=0.02)
    np.testing.assert_allclose(found.bandwidth, octaves, rtol=0.02)


def test_what_a_unit_does_not_have_is_nan_with_the_reason():
    shape = (24, 8, 8)
    responses = np.zeros((*shape, 3))
    responses[..., 1] = 2.0  # alike everywhere
    responses[..., 2] = 1 / FREQUENCIES[:, None]  # low-pass, no orientation
    found = tuning.tuning(responses, ORIENTATIONS, FREQUENCIES, PHASES, np.array([1.0, 1.0, 0.0]))
    assert np.isnan(found.osi[0])
    assert found.reasons["osi"][0] == tuning.SILENT
    assert found.reasons["half_width"][1] == tuning.FLAT
    assert found.circular_variance[1] == pytest.approx(1)
    assert found.osi[1] == pytest.approx(0)
    assert found.reasons["bandwidth"][2] == tuning.LOWEST
    assert np.isnan(found.bandwidth[2])


def test_a_broad_curve_never_falls_to_half_height():
    curve = 4 + np.cos(np.deg2rad(2 * (ORIENTATIONS - 30)))
    responses = np.broadcast_to(curve[:, None, None, None], (24, 8, 8, 1))
    found = tuning.tuning(responses, ORIENTATIONS, FREQUENCIES, PHASES, np.zeros(1))
    assert np.isnan(found.half_width[0])
    assert found.reasons["half_width"][0] == tuning.WIDE
    assert found.preferred_orientation[0] == pytest.approx(30, abs=0.1)
    assert found.circular_variance[0] == pytest.approx(0.875)
    # 4 + cos 2x falls to 5/√2 where cos 2x is 5/√2 − 4
    assert found.half_width_70[0] == pytest.approx(np.rad2deg(np.arccos(5 / np.sqrt(2) - 4)) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"orientations": np.r_[0.0, 10, 90, 100]}, "not evenly spaced"),
        ({"frequencies": np.array([4.0, 2.0])}, "do not rise"),
        ({"blank": np.zeros(2)}, "shape"),
        ({"responses": np.full((4, 2, 1, 1), np.nan)}, "no numbers"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    given = {
        "responses": np.ones((4, 2, 1, 1)),
        "orientations": np.arange(4) * 45.0,
        "frequencies": np.array([2.0, 4.0]),
        "phases": np.array([0.0]),
        "blank": np.zeros(1),
    }
    with pytest.raises(InputError, match=words):
        tuning.tuning(**(given | change))


def test_naka_rushton_is_recovered():
    rng = np.random.default_rng(3)
    contrasts = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
    true = np.stack([rng.uniform(1, 10, 12), rng.uniform(0.1, 0.6, 12), rng.uniform(1, 3, 12)], axis=1)
    curves = np.array([tuning.naka_rushton(contrasts, *row, 0.5) for row in true])
    fit = tuning.contrast_response(contrasts, curves)
    np.testing.assert_allclose(np.stack([fit.r_max, fit.c50, fit.exponent], axis=1), true, rtol=0.03)
    np.testing.assert_allclose(fit.offset, 0.5, atol=1e-3)
    assert tuning.contrast_response(contrasts, np.ones((1, 7))).reasons[0] == tuning.FLAT


def test_surround_suppression_is_recovered():
    rng = np.random.default_rng(4)
    sizes = np.linspace(0.05, 1, 12)
    true = [(5, rng.uniform(0.1, 0.3), rng.uniform(0.3, 3), rng.uniform(0.4, 0.7)) for _ in range(6)]
    fit = tuning.size_tuning(sizes, np.array([tuning.ratio_of_gaussians(sizes, *row) for row in true]))
    dense = np.linspace(0, 1, 20001)[1:]
    for k, row in enumerate(true):
        curve = tuning.ratio_of_gaussians(dense, *row)
        assert fit.suppression[k] == pytest.approx(
            (curve.max() - curve[-1]) / curve.max(), rel=0.03, abs=1e-6
        )
        assert fit.summation[k] == pytest.approx(dense[(curve >= 0.95 * curve.max()).argmax()], rel=0.03)
        assert fit.centre[k] == pytest.approx(row[1], rel=0.03)
