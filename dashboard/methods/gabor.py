"""What a small linear filter looks for: its Fourier power, and the Gabor function that fits it best.

Orientation is that of the grating that the filter prefers, [0, 180) degrees, 0 vertical bars, clockwise; the
filter's wave runs along (cos θ, sin θ) with x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dashboard.errors import InputError

SMALLEST = 5
"""Sides below this hold too few numbers for the nine parameters."""

GOOD = 0.7
"""Share of the variance that a fit must explain before its orientation means anything."""

TOO_SMALL = f"has fewer than {SMALLEST} × {SMALLEST} pixels, too few for the nine parameters of a Gabor"
CONSTANT = "has no structure: all of its values are alike"
FEWEST_CYCLES = 0.5
"""A filter with less of its wave between its sides shows an edge or a blob, whose frequency is a guess."""

WIDE = "shows less than half a cycle of its wave: an edge or a blob, whose spatial frequency cannot be told"
POOR = f"is fitted poorly: the best Gabor explains less than {GOOD:.0%} of its variance"


@dataclass(frozen=True, eq=False)
class Gabors:
    """The best Gabor function of each filter, every array (n_filters,).

    Source: Ringach (2002), J Neurophysiol 88:455, whose n_x and n_y are `sigma_across` and `sigma_along`
    times `frequency`.

    Attributes
    ----------
    orientation, phase : np.ndarray
        Degrees; phase 0 has the bright stripe in the middle of the envelope.
    frequency : np.ndarray
        Cycles per pixel.
    x, y : np.ndarray
        Middle of the envelope in pixels, right of and below the middle of the filter.
    sigma_across, sigma_along : np.ndarray
        Standard deviation of the envelope in pixels across the stripes (along the wave) and along them.
    amplitude, offset : np.ndarray
        In the unit of the weights.
    explained : np.ndarray
        Share of the variance that the Gabor explains.
    reasons : np.ndarray of str
        Why a filter should not be described by its Gabor; ``""`` where it may. All numbers but `explained`
        are NaN where there was no fit; poor fits keep theirs.
    """

    orientation: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray
    x: np.ndarray
    y: np.ndarray
    sigma_across: np.ndarray
    sigma_along: np.ndarray
    amplitude: np.ndarray
    offset: np.ndarray
    explained: np.ndarray
    reasons: np.ndarray


def grey(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split filters of several colours into the best single picture and its weights of the colours.

    The first pair of singular vectors of the filter seen as colours × pixels; one colour is left as it is.

    Parameters
    ----------
    kernels : np.ndarray
        (n_filters, n_colours, height, width).

    Returns
    -------
    pictures : np.ndarray
        (n_filters, height, width) float64, signed so that its colour weights sum to a number above 0.
    weights : np.ndarray
        (n_filters, n_colours) of unit length.
    share : np.ndarray
        (n_filters,) share of the filter's energy that the picture holds.
    """
    kernels = np.asarray(kernels, dtype=np.float64)
    n, colours, height, width = kernels.shape
    if colours == 1:
        return kernels[:, 0], np.ones((n, 1)), np.ones(n)
    u, s, v = np.linalg.svd(kernels.reshape(n, colours, -1), full_matrices=False)
    sign = np.where(u[:, :, 0].sum(axis=1) < 0, -1.0, 1.0)
    energy = (s**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(energy > 0, s[:, 0] ** 2 / energy, np.nan)
    pictures = (sign * s[:, 0])[:, None] * v[:, 0]
    return pictures.reshape(n, height, width), sign[:, None] * u[:, :, 0], share


def power(pictures: np.ndarray, size: int = 64) -> np.ndarray:
    """Return the Fourier power of filters, less their mean, zero frequency in the middle.

    Parameters
    ----------
    pictures : np.ndarray
        (n_filters, height, width).
    size : int
        Side of the spectrum: filters are padded with zeros, which interpolates between frequencies.

    Returns
    -------
    np.ndarray
        (n_filters, size, size) float64; column and row k stand for (k − size // 2) / size cycles per pixel.
    """
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    return np.abs(np.fft.fftshift(np.fft.fft2(centred, s=(size, size)), axes=(1, 2))) ** 2


def peak(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return orientation (degrees) and frequency (cycles per pixel) at the peak of each power spectrum."""
    n, size, _ = spectrum.shape
    row, column = np.unravel_index(spectrum.reshape(n, -1).argmax(axis=1), (size, size))
    fy, fx = ((row - size // 2) / size, (column - size // 2) / size)
    return np.rad2deg(np.arctan2(fy, fx)) % 180.0, np.hypot(fx, fy)


def fit(pictures: np.ndarray, report: Callable[[float], None] | None = None) -> Gabors:
    """Fit a Gabor function to every filter by least squares.

    Amplitude, phase and offset are solved for exactly inside the search over the six other parameters, which
    starts at the strongest places of the Fourier power.

    Parameters
    ----------
    pictures : np.ndarray
        (n_filters, height, width).
    report : callable, optional
        Told the share done.

    Raises
    ------
    InputError
        When some values are not finite.
    """
    pictures = np.asarray(pictures, dtype=np.float64)
    if not np.isfinite(pictures).all():
        message = "Some weights are no numbers."
        raise InputError(message, "Check the file of the weights.")
    rows = []
    for k, picture in enumerate(pictures):
        rows.append(_fit_one(picture))
        if report is not None:
            report((k + 1) / len(pictures))
    values = np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 10)
    return Gabors(*values.T, np.array([row[1] for row in rows], dtype=np.str_))  # type: ignore[call-arg]


def draw(fitted: Gabors, k: int, height: int, width: int) -> np.ndarray:
    """Draw the Gabor of filter ``k``: (height, width) float64."""
    shape = _shape_values(fitted, k)
    wave, window = _carrier(shape, height, width)
    turned = wave * np.exp(-1j * np.deg2rad(fitted.phase[k]))
    return fitted.amplitude[k] * window * turned.real + fitted.offset[k]


def _shape_values(fitted: Gabors, k: int) -> np.ndarray:
    theta, frequency = np.deg2rad(fitted.orientation[k]), fitted.frequency[k]
    turned = (fitted.x[k], fitted.y[k], np.log(fitted.sigma_across[k]), np.log(fitted.sigma_along[k]))
    return np.array([*turned, frequency * np.cos(theta), frequency * np.sin(theta)])


def _carrier(p: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the complex wave about the envelope's middle, and the envelope, of x, y, log sigmas, fx, fy."""
    x = np.arange(width) - (width - 1) / 2 - p[0]
    y = (np.arange(height) - (height - 1) / 2)[:, None] - p[1]
    frequency = max(np.hypot(p[4], p[5]), 1e-9)
    across, along = (p[4] * x + p[5] * y) / frequency, (p[4] * y - p[5] * x) / frequency
    window = np.exp(-0.5 * ((across / np.exp(p[2])) ** 2 + (along / np.exp(p[3])) ** 2))
    return np.exp(2j * np.pi * frequency * across), window


def _solved(p: np.ndarray, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best weights of cosine, sine and constant for a shape, and the picture that they make."""
    wave, window = _carrier(p, *picture.shape)
    basis = np.stack(
        [(window * wave.real).ravel(), (window * wave.imag).ravel(), np.ones(picture.size)], axis=1
    )
    weights = np.linalg.lstsq(basis, picture.ravel(), rcond=None)[0]
    return weights, basis @ weights


def _fit_one(picture: np.ndarray) -> tuple[tuple[float, ...], str]:
    from scipy.optimize import least_squares

    nothing = (np.nan,) * 10
    side = min(picture.shape)
    if side < SMALLEST:
        return nothing, TOO_SMALL
    spread = float(((picture - picture.mean()) ** 2).sum())
    if spread <= 1e-20 * max(float((picture**2).sum()), 1e-300):
        return nothing, CONSTANT
    scaled = (picture - picture.mean()) / np.sqrt(spread)
    height, width = picture.shape
    longest = max(height, width)
    low = np.array([-width / 2, -height / 2, np.log(0.4), np.log(0.4), -0.5, -0.5])
    high = np.array([width / 2, height / 2, np.log(2.0 * longest), np.log(2.0 * longest), 0.5, 0.5])

    def residual(p: np.ndarray) -> np.ndarray:
        return _solved(p, scaled)[1] - scaled.ravel()

    fits = [
        least_squares(
            residual,
            np.clip(start, low, high),
            bounds=(low, high),
            x_scale=np.array([1.0, 1.0, 0.3, 0.3, 0.05, 0.05]),
            max_nfev=200,
        )
        for start in _starts(scaled)
    ]
    best = min(fits, key=lambda found: found.cost).x
    (cosine, sine, offset), model = _solved(best, scaled)
    explained = 1 - float(((model - scaled.ravel()) ** 2).sum())
    scale = np.sqrt(spread)
    values = _described(best, cosine * scale, sine * scale, offset * scale + picture.mean(), explained)
    return values, _objection(values, picture.shape)


def _objection(values: tuple[float, ...], shape: tuple[int, ...]) -> str:
    """Say why a filter should not be described by its fit; nothing where it may."""
    theta, frequency = np.deg2rad(values[0]), values[1]
    if values[-1] < GOOD:
        return POOR
    across = shape[1] * abs(np.cos(theta)) + shape[0] * abs(np.sin(theta))  # the filter along its wave
    return WIDE if frequency * across < FEWEST_CYCLES else ""


def _starts(picture: np.ndarray) -> list[np.ndarray]:
    """Return shapes to start from: the two strongest frequencies and two sizes, at the middle of energy."""
    height, width = picture.shape
    energy = picture**2 / (picture**2).sum()
    x = float((energy.sum(axis=0) * (np.arange(width) - (width - 1) / 2)).sum())
    y = float((energy.sum(axis=1) * (np.arange(height) - (height - 1) / 2)).sum())
    spectrum = power(picture[None])[0]
    size = len(spectrum)
    found: list[np.ndarray] = []
    axis = (np.arange(size) - size // 2) / size
    for _ in range(2):
        row, column = np.unravel_index(int(spectrum.argmax()), spectrum.shape)
        fx, fy = axis[column], axis[row]
        found += [
            np.array([x, y, np.log(s), np.log(s), fx, fy])
            for s in (min(height, width) / 6, min(height, width) / 3)
        ]
        near = (np.hypot(axis[None] - fx, axis[:, None] - fy) < 0.08) | (
            np.hypot(axis[None] + fx, axis[:, None] + fy) < 0.08
        )
        spectrum = np.where(near, 0.0, spectrum)
    return found


def _described(
    p: np.ndarray, cosine: float, sine: float, offset: float, explained: float
) -> tuple[float, ...]:
    """Turn shape and weights into the ten numbers of `Gabors`, orientation in [0, 180)."""
    theta, phase = np.rad2deg(np.arctan2(p[5], p[4])), np.rad2deg(np.arctan2(sine, cosine))
    if not 0 <= theta < 180:  # the same wave, run through the other way
        theta, phase = theta % 180.0, -phase
    return (
        theta,
        float(np.hypot(p[4], p[5])),
        phase % 360.0,
        p[0],
        p[1],
        float(np.exp(p[2])),
        float(np.exp(p[3])),
        float(np.hypot(cosine, sine)),
        offset,
        explained,
    )
