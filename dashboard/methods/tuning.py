"""Tuning to gratings, defined as physiologists do: orientation, spatial frequency, phase, contrast and size.

A unit's drive is its response less that to the blank (a grey picture), and zero where it is suppressed below
it. Orientations are those of the gratings, [0, 180) degrees. A number that a curve does not have is NaN, with
the reason in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dashboard.errors import InputError

GRID_DEG = 0.1
"""Spacing of the interpolated orientation curve."""

_STEPS = 2048
_FLOOR = 0.01
_HALF, _SQRT_HALF = 0.5, 1 / np.sqrt(2)

SILENT = "responds to no grating more than to grey"
FLAT = "responds alike to every grating"
WIDE = "never falls to half height"
WIDE_70 = "never falls to 1/√2 of the peak"
ONE_ORIENTATION = "fewer than four orientations were shown"
ONE_FREQUENCY = "fewer than three spatial frequencies were shown"
LOWEST = "peaks at the lowest spatial frequency shown"
HIGHEST = "peaks at the highest spatial frequency shown"
FEW_PHASES = "fewer than three phases were shown"


@dataclass(frozen=True, eq=False)
class Tuning:
    """The tuning of many units; every array begins with (n_units,).

    Attributes
    ----------
    peak : np.ndarray
        Mean drive over phases at the best grating, in the unit of the responses.
    blank : np.ndarray
        Response to grey.
    preferred_orientation : np.ndarray
        Degrees, [0, 180): where the interpolated orientation curve is highest.
    mean_orientation : np.ndarray
        Degrees: half the angle of Σ r e^(2iθ), the vector average; steadier than the peak in noise.
    circular_variance : np.ndarray
        1 − abs(Σ r e^(2iθ)) / Σ r; 0 sharp, 1 flat (Ringach, Shapley & Hawken, 2002, J Neurosci 22:5639).
    osi : np.ndarray
        (R_pref − R_orth) / (R_pref + R_orth) (as discussed by Mazurek, Kager & Van Hooser, 2014, Front Neural
        Circuits 8:92).
    half_width, half_width_70 : np.ndarray
        Half the width of the orientation curve at half its height, and at 1/√2 of it, in degrees.
    preferred_frequency : np.ndarray
        In the unit of the frequencies given: where the interpolated frequency curve is highest.
    bandwidth : np.ndarray
        log2(f_high / f_low) at half height, in octaves (De Valois, Albrecht & Thorell, 1982).
    f1_f0 : np.ndarray
        First harmonic over mean of the drive over phase at the best grating; above 1 simple, below 1 complex
        (Skottun et al., 1991).
    orientation_curve : np.ndarray
        (n_units, n_orientations): mean drive over phases at the best spatial frequency.
    frequency_curve : np.ndarray
        (n_units, n_frequencies): mean drive over phases at the best orientation.
    phase_curve : np.ndarray
        (n_units, n_phases): drive at the best grating.
    reasons : Mapping of str to np.ndarray of str
        Name of a measure above to (n_units,) texts: why it is NaN; ``""`` where it is a number.
    """

    peak: np.ndarray
    blank: np.ndarray
    preferred_orientation: np.ndarray
    mean_orientation: np.ndarray
    circular_variance: np.ndarray
    osi: np.ndarray
    half_width: np.ndarray
    half_width_70: np.ndarray
    preferred_frequency: np.ndarray
    bandwidth: np.ndarray
    f1_f0: np.ndarray
    orientation_curve: np.ndarray
    frequency_curve: np.ndarray
    phase_curve: np.ndarray
    reasons: Mapping[str, np.ndarray]


def tuning(
    responses: np.ndarray,
    orientations: np.ndarray,
    frequencies: np.ndarray,
    phases: np.ndarray,
    blank: np.ndarray,
) -> Tuning:
    """Return the tuning of every unit.

    Parameters
    ----------
    responses : np.ndarray
        (n_orientations, n_frequencies, n_phases, n_units).
    orientations : np.ndarray
        (n_orientations,) degrees, evenly spaced over [0, 180).
    frequencies : np.ndarray
        (n_frequencies,) ascending, in any unit.
    phases : np.ndarray
        (n_phases,) degrees, evenly spaced over [0, 360).
    blank : np.ndarray
        (n_units,) responses to grey.

    Raises
    ------
    InputError
        When sizes do not fit, angles are not evenly spaced, or responses are not finite.
    """
    responses = _checked(responses, orientations, frequencies, phases, blank)
    drive = np.maximum(responses - blank, 0.0)
    mean = drive.mean(axis=2)
    best_o, best_f = _best(mean)
    unit = np.arange(mean.shape[-1])
    by_orientation = mean[:, best_f, unit].T
    by_frequency = mean[best_o, :, unit]
    by_phase = drive[best_o, best_f, :, unit]
    silent = np.where(by_orientation.max(axis=1) > 0, "", SILENT)
    found, reasons = _orientation(by_orientation, orientations, silent)
    more, why = _frequency(by_frequency, np.asarray(frequencies, dtype=np.float64), silent)
    ratio, why_ratio = _modulation(by_phase, phases, silent)
    return Tuning(
        peak=mean[best_o, best_f, unit],
        blank=np.asarray(blank, dtype=np.float64),
        f1_f0=ratio,
        orientation_curve=by_orientation,
        frequency_curve=by_frequency,
        phase_curve=by_phase,
        reasons=MappingProxyType({**reasons, **why, "f1_f0": why_ratio}),
        **found,
        **more,
    )


def _checked(
    responses: np.ndarray,
    orientations: np.ndarray,
    frequencies: np.ndarray,
    phases: np.ndarray,
    blank: np.ndarray,
) -> np.ndarray:
    found = np.asarray(responses, dtype=np.float64)
    expected = (len(orientations), len(frequencies), len(phases), len(blank))
    if found.shape != expected:
        message = f"The responses to gratings have shape {found.shape}, not {expected}."
        raise InputError(message)
    if not (np.isfinite(found).all() and np.isfinite(blank).all()):
        message = "Some responses to gratings are no numbers."
        raise InputError(message, "Check the network's weights and preprocessing.")
    for name, angles, turn in (("orientations", orientations, 180.0), ("phases", phases, 360.0)):
        steps = np.diff(np.asarray(angles, dtype=np.float64))
        if len(angles) > 1 and not np.allclose(steps, turn / len(angles), atol=1e-6):
            message = f"The {name} of the gratings are not evenly spaced over {turn:g} degrees."
            raise InputError(message, f"Ask for a number of {name} instead of naming them.")
    if (np.diff(np.asarray(frequencies, dtype=np.float64)) <= 0).any():
        message = "The spatial frequencies of the gratings do not rise."
        raise InputError(message, "Give them from low to high.")
    return found


def _best(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the best orientation and frequency of each unit; mean is (o, f, n_units)."""
    flat = mean.reshape(-1, mean.shape[-1]).argmax(axis=0)
    return np.unravel_index(flat, mean.shape[:2])  # type: ignore[return-value]


# --- orientation -------------------------------------------------------------------------------------------


def _orientation(
    curve: np.ndarray, orientations: np.ndarray, silent: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    names = (
        "preferred_orientation",
        "mean_orientation",
        "circular_variance",
        "osi",
        "half_width",
        "half_width_70",
    )
    reasons = {name: silent.copy() for name in names}
    n_units, n = curve.shape
    if n < 4:
        return (
            {name: np.full(n_units, np.nan) for name in names},
            {name: np.where(silent == "", ONE_ORIENTATION, silent) for name in names},
        )
    good = silent == ""
    flat = good & (np.ptp(curve, axis=1) <= 1e-9 * curve.max(axis=1))
    for name in ("preferred_orientation", "mean_orientation", "half_width", "half_width_70"):
        reasons[name] = np.where(flat, FLAT, reasons[name])
    fine = upsampled(curve)
    step = 180.0 / fine.shape[1]
    top = fine.argmax(axis=1)
    unit = np.arange(n_units)
    peak, orthogonal = fine[unit, top], fine[unit, (top + fine.shape[1] // 2) % fine.shape[1]]
    orthogonal = np.maximum(orthogonal, 0.0)  # interpolation may undershoot a curve that touches zero
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "preferred_orientation": np.where(good & ~flat, (orientations[0] + top * step) % 180.0, np.nan),
            "mean_orientation": np.where(good & ~flat, mean_orientation(curve, orientations), np.nan),
            "circular_variance": np.where(good, circular_variance(curve, orientations), np.nan),
            "osi": np.where(good, (peak - orthogonal) / (peak + orthogonal), np.nan),
        }
    for name, share, why in (("half_width", _HALF, WIDE), ("half_width_70", _SQRT_HALF, WIDE_70)):
        width = _half_widths(fine, top, share * peak, step)
        found[name] = np.where(good & ~flat, width, np.nan)
        reasons[name] = np.where(good & ~flat & np.isnan(width), why, reasons[name])
    return found, reasons


def mean_orientation(curve: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Return half the angle of Σ r e^(2iθ) over the last axis, in degrees from 0 to below 180."""
    turn = np.exp(2j * np.deg2rad(np.asarray(orientations, dtype=np.float64)))
    return np.rad2deg(np.angle(curve @ turn)) / 2 % 180.0


def circular_variance(curve: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Return 1 − abs(Σ r e^(2iθ)) / Σ r over the last axis.

    Source: Ringach, Shapley & Hawken (2002), J Neurosci 22:5639.

    Parameters
    ----------
    curve : np.ndarray
        (..., n_orientations), not negative.
    orientations : np.ndarray
        (n_orientations,) degrees.
    """
    turn = np.exp(2j * np.deg2rad(np.asarray(orientations, dtype=np.float64)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - np.abs(curve @ turn) / curve.sum(axis=-1)


def upsampled(curve: np.ndarray, step: float = GRID_DEG) -> np.ndarray:
    """Interpolate periodic curves by their Fourier series, exactly at the points measured.

    Parameters
    ----------
    curve : np.ndarray
        (n_units, n) over evenly spaced angles of one period.
    step : float
        Spacing of the new points in degrees of a period of 180.

    Returns
    -------
    np.ndarray
        (n_units, m), m the multiple of n at least 180 / step and even.
    """
    n = curve.shape[1]
    factor = int(np.ceil(180.0 / step / n))
    factor += factor % 2
    spectrum = np.fft.rfft(curve, axis=1)
    if n % 2 == 0:  # the highest frequency stands for two, of which one moves on
        spectrum[:, -1] *= 0.5
    return np.fft.irfft(spectrum, n * factor, axis=1) * factor


def _half_widths(fine: np.ndarray, top: np.ndarray, height: np.ndarray, step: float) -> np.ndarray:
    """Return half the distance between the first crossings of a height on either side of the peak, or NaN."""
    n_units, n = fine.shape
    place = (top[:, None] + np.arange(n)) % n
    right = np.take_along_axis(fine, place, axis=1)
    left = np.take_along_axis(fine, (2 * top[:, None] - place) % n, axis=1)
    widths = [_first_crossing(side[:, : n // 2 + 1], height) * step for side in (left, right)]
    return (widths[0] + widths[1]) / 2


def _first_crossing(side: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return where (in steps, interpolated) rows that start at their peak first fall to a height, or NaN."""
    below = side <= height[:, None]
    first = below.argmax(axis=1)
    unit = np.arange(len(side))
    before = np.maximum(first - 1, 0)
    high, low = side[unit, before], side[unit, first]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (high - height) / (high - low)
    return np.where(below.any(axis=1) & (first > 0), before + share, np.nan)


# --- spatial frequency -------------------------------------------------------------------------------------


def _frequency(
    curve: np.ndarray, frequencies: np.ndarray, silent: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    n_units = len(curve)
    if len(frequencies) < 3:
        best = np.where(silent == "", frequencies[curve.argmax(axis=1)], np.nan)
        few = np.where(silent == "", ONE_FREQUENCY, silent)
        found = {"preferred_frequency": best, "bandwidth": np.full(n_units, np.nan)}
        return found, {"preferred_frequency": silent, "bandwidth": few}
    good = silent == ""
    rows = [_passband(row, frequencies) if ok else (np.nan,) * 3 for row, ok in zip(curve, good, strict=True)]
    best, low, high = np.array(rows).T
    edge = np.where(best <= frequencies[0], LOWEST, np.where(best >= frequencies[-1], HIGHEST, ""))
    bandwidth = np.where(edge == "", np.log2(high / low), np.nan)
    why = np.where(edge != "", edge, np.where(np.isnan(bandwidth), WIDE, ""))
    found = {"preferred_frequency": best, "bandwidth": bandwidth}
    return found, {"preferred_frequency": silent, "bandwidth": np.where(good, why, silent)}


def _passband(row: np.ndarray, frequencies: np.ndarray) -> tuple[float, float, float]:
    """Return where an interpolated curve peaks and where it falls to half height on either side, or NaN.

    The logarithm of the drive is interpolated over frequency by a cubic spline through the points around the
    peak that are above `_FLOOR` of it: exact for Gaussian passbands, such as those of Gabor filters, which
    eight frequencies would otherwise sample too coarsely.
    """
    from scipy.interpolate import CubicSpline

    first, last = _around_peak(row)
    x = frequencies[first : last + 1]
    y = np.log(np.maximum(row[first : last + 1], 0.1 * _FLOOR * row.max()))
    ends = frequencies[max(first - 1, 0)], frequencies[min(last + 1, len(row) - 1)]
    grid = np.linspace(*ends, _STEPS)
    fine = CubicSpline(x, y)(grid) if len(x) > 3 else np.polyval(np.polyfit(x, y, len(x) - 1), grid)
    top = int(fine.argmax())
    height = np.array([fine[top] + np.log(_HALF)])
    step = float(grid[1] - grid[0])
    below = float(_first_crossing(fine[None, top::-1], height)[0])
    above = float(_first_crossing(fine[None, top:], height)[0])
    return float(grid[top]), float(grid[top] - below * step), float(grid[top] + above * step)


def _around_peak(row: np.ndarray) -> tuple[int, int]:
    """Return the first and last point of the peak: all neighbours above the floor, three at least."""
    floor = _FLOOR * row.max()
    first = last = int(row.argmax())
    while first > 0 and row[first - 1] > floor:
        first -= 1
    while last < len(row) - 1 and row[last + 1] > floor:
        last += 1
    while last - first < 2:
        if first > 0 and (last == len(row) - 1 or row[first - 1] >= row[last + 1]):
            first -= 1
        else:
            last += 1
    return first, last


# --- phase -------------------------------------------------------------------------------------------------


def harmonics(curve: np.ndarray, phases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (F0) and amplitude of the first harmonic (F1) over the last axis, evenly spaced phases."""
    wave = np.exp(-1j * np.deg2rad(np.asarray(phases, dtype=np.float64)))
    return curve.mean(axis=-1), 2 * np.abs(curve @ wave) / curve.shape[-1]


def _modulation(curve: np.ndarray, phases: np.ndarray, silent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(phases) < 3:
        return np.full(len(curve), np.nan), np.where(silent == "", FEW_PHASES, silent)
    mean, first = harmonics(curve, phases)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(silent == "", first / mean, np.nan), silent


# --- contrast and size -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Contrast:
    """Fitted contrast response R(c) = R_max cⁿ / (cⁿ + c50ⁿ) + b; every array (n_units,).

    Source: Naka & Rushton (1966), J Physiol 185:536; Albrecht & Hamilton (1982), J Neurophysiol 48:217.
    """

    r_max: np.ndarray
    c50: np.ndarray
    exponent: np.ndarray
    offset: np.ndarray
    explained: np.ndarray
    reasons: np.ndarray


def naka_rushton(
    contrasts: np.ndarray, r_max: float, c50: float, exponent: float, offset: float
) -> np.ndarray:
    """Return R_max cⁿ / (cⁿ + c50ⁿ) + b."""
    power = np.asarray(contrasts, dtype=np.float64) ** exponent
    return r_max * power / (power + c50**exponent) + offset


def contrast_response(contrasts: np.ndarray, responses: np.ndarray) -> Contrast:
    """Fit the Naka–Rushton function to each unit by least squares.

    Parameters
    ----------
    contrasts : np.ndarray
        (n_contrasts,) from 0 to 1, at least five.
    responses : np.ndarray
        (n_units, n_contrasts): drive to the best grating.

    Raises
    ------
    InputError
        When there are fewer than five contrasts.
    """
    contrasts = np.asarray(contrasts, dtype=np.float64)
    if len(contrasts) < 5:
        message = f"A contrast response with four parameters needs five contrasts, not {len(contrasts)}."
        raise InputError(message, "Show more contrasts.")
    rows = []
    for curve in np.asarray(responses, dtype=np.float64):
        size = float(np.ptp(curve))
        if size <= 1e-12 * max(abs(curve).max(), 1e-300):
            rows.append((*[np.nan] * 5, FLAT))
            continue
        starts = [(1.0, c50, n, 0.0) for c50 in (0.1, 0.3, 0.7) for n in (1.0, 2.5)]
        bounds = ([0.0, 1e-3, 0.1, -1.0], [20.0, 10.0, 20.0, 1.0])
        low = float(curve.min())
        fit, explained = _fitted(
            lambda p: naka_rushton(contrasts, *p),
            (curve - low) / size,
            starts,
            bounds,  # noqa: B023
        )
        why = "saturates at no contrast shown: R_max and c50 are extrapolated" if fit[1] > 1 else ""
        rows.append((fit[0] * size, fit[1], fit[2], fit[3] * size + low, explained, why))
    return Contrast(*_columns(rows, 5))


@dataclass(frozen=True, eq=False)
class SizeTuning:
    """Size tuning, every array (n_units,).

    Attributes
    ----------
    suppression : np.ndarray
        Surround suppression index (R_peak − R_plateau) / R_peak of the fitted curve, the plateau at the
        largest size shown.
    summation : np.ndarray
        Diameter at which the fitted curve first reaches 95 % of its peak (grating summation field).
    centre, surround : np.ndarray
        Fitted widths w of centre and surround, in the unit of the diameters.
    explained : np.ndarray
        Share of the variance over sizes that the fit explains.
    reasons : np.ndarray of str
    """

    suppression: np.ndarray
    summation: np.ndarray
    centre: np.ndarray
    surround: np.ndarray
    explained: np.ndarray
    reasons: np.ndarray


def ratio_of_gaussians(
    diameters: np.ndarray, k_centre: float, centre: float, k_surround: float, surround: float
) -> np.ndarray:
    """Return k_c L_c / (1 + k_s L_s) with L(x) = erf(x / w)², the integral of a Gaussian over the grating.

    Source: Cavanaugh, Bair & Movshon (2002), J Neurophysiol 88:2530, ratio-of-Gaussians model.
    """
    from scipy.special import erf

    x = np.asarray(diameters, dtype=np.float64)
    return k_centre * erf(x / centre) ** 2 / (1 + k_surround * erf(x / surround) ** 2)


def size_tuning(diameters: np.ndarray, responses: np.ndarray) -> SizeTuning:
    """Fit size tuning of each unit by the ratio of Gaussians.

    Parameters
    ----------
    diameters : np.ndarray
        (n_sizes,) ascending, at least five.
    responses : np.ndarray
        (n_units, n_sizes): drive to the best grating.

    Raises
    ------
    InputError
        When there are fewer than five sizes.
    """
    diameters = np.asarray(diameters, dtype=np.float64)
    if len(diameters) < 5:
        message = f"Size tuning with four parameters needs five sizes, not {len(diameters)}."
        raise InputError(message, "Show more sizes.")
    fine = np.linspace(0, diameters[-1], 2001)[1:]
    rows = []
    for curve in np.asarray(responses, dtype=np.float64):
        peak = float(curve.max())
        if peak <= 0:
            rows.append((*[np.nan] * 5, SILENT))
            continue
        ends = diameters[0], diameters[-1]
        starts = [
            (1.0, c, s, w)
            for c in np.geomspace(*ends, 4)[:3]
            for s, w in ((0.1, ends[1]), (1.0, 2 * c), (1.0, ends[1] / 2))
        ]
        bounds = ([0.0, ends[0] / 20, 0.0, ends[0] / 20], [50.0, 20 * ends[1], 50.0, 20 * ends[1]])
        fit, explained = _fitted(lambda p: ratio_of_gaussians(diameters, *p), curve / peak, starts, bounds)
        model = ratio_of_gaussians(fine, *fit)
        top = float(model.max())
        first = fine[(model >= 0.95 * top).argmax()]
        rows.append(
            (float((top - model[-1]) / top), first, min(fit[1], fit[3]), max(fit[1], fit[3]), explained, "")
        )
    return SizeTuning(*_columns(rows, 5))


def _fitted(
    model: Callable[[np.ndarray], np.ndarray],
    target: np.ndarray,
    starts: Sequence[Sequence[float]],
    bounds: tuple[Sequence[float], Sequence[float]],
) -> tuple[np.ndarray, float]:
    """Return the best of several least-squares fits and the share of variance that it explains."""
    from scipy.optimize import least_squares

    def residual(p: np.ndarray) -> np.ndarray:
        return model(p) - target

    low, high = (np.asarray(b) for b in bounds)
    fits = [
        least_squares(residual, np.clip(np.asarray(s), low, high), bounds=(low, high), x_scale="jac")
        for s in starts
    ]
    best = min(fits, key=lambda f: f.cost)
    spread = float(((target - target.mean()) ** 2).sum())
    return best.x, 1 - 2 * best.cost / spread if spread > 0 else np.nan


def _columns(rows: list[tuple], numbers: int) -> list[np.ndarray]:
    """Turn rows of numbers and a reason into columns."""
    values = [np.array([row[k] for row in rows], dtype=np.float64) for k in range(numbers)]
    return [*values, np.array([row[numbers] for row in rows], dtype=np.str_)]
