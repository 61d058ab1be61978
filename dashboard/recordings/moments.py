"""When samples were taken: rows of tables put in their place in time, and neighbouring samples averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.errors import InputError

MOST_BINS = 100_000
SLACK = 1e-9
"""Part of a bin by which a time may miss its edge through rounding."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The time of every row of a table.

    Attributes
    ----------
    place : np.ndarray
        (n_rows,) position among `times`; -1 for rows outside the window.
    times_ms : np.ndarray
        (n_times,) rising.
    binned : bool
        Whether rows of several times share a place.
    """

    place: np.ndarray
    times_ms: np.ndarray
    binned: bool = False


def of_rows(told: np.ndarray, bin_ms: float | None, start: int | None, stop: int | None) -> Moments:
    """Return the moments of rows.

    Parameters
    ----------
    told : np.ndarray
        (n_rows,) time of each row in milliseconds.
    bin_ms : float or None
        Width of the bins that rows are gathered in, edges at multiples of it; None: every time is its own.
    start, stop : int or None
        Window, in places from 0.

    Raises
    ------
    InputError
        When a time is no number, or the window lies outside.
    """
    if not np.isfinite(told).all():
        message = f"{int((~np.isfinite(told)).sum())} of {len(told)} rows have no time."
        raise InputError(message, "Give every row a time, or leave these rows out of the file.")
    if bin_ms:
        number = np.floor(told / _width(bin_ms) + SLACK).astype(np.int64)
        kept, place = np.unique(number, return_inverse=True)
        times = (kept + 0.5) * bin_ms
    else:
        times, place = np.unique(told, return_inverse=True)
    first, last = 0 if start is None else start, len(times) if stop is None else stop
    if not 0 <= first < last <= len(times):
        message = f"The window from {first} to {last} lies outside the {len(times)} times of the table."
        raise InputError(message, "Give a start and an end between them, counted in times from 0.")
    place = np.where((place >= first) & (place < last), place - first, -1)
    return Moments(place, times[first:last], bool(bin_ms))


def averaged(values: np.ndarray, times: np.ndarray, bin_ms: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Average the samples of each time bin.

    Parameters
    ----------
    values : np.ndarray
        (…, n_times).
    times : np.ndarray
        (n_times,) rising, in milliseconds.
    bin_ms : float or None
        Width of the bins, edges at multiples of it; None leaves everything as it is.

    Returns
    -------
    values (…, n_bins) and the middles of the bins (n_bins,), without bins that hold no sample.
    """
    if not bin_ms:
        return values, times
    number = np.floor(times / _width(bin_ms) + SLACK).astype(np.int64)
    kept, first = np.unique(number, return_index=True)
    sums = np.add.reduceat(values, first, axis=-1)
    return sums / np.diff([*first, len(times)]), (kept + 0.5) * bin_ms


def _width(bin_ms: float) -> float:
    if not bin_ms > 0:
        raise InputError(f"A time bin cannot be {bin_ms:g} ms wide.", "Give a width above 0, such as 10.")
    return bin_ms


def edges(start: float, stop: float, width: float) -> np.ndarray:
    """Return the edges of whole bins from a start on, (n_bins + 1,), in the unit of the arguments.

    Raises
    ------
    InputError
        When not even one bin fits.
    """
    n = int(np.floor(min((stop - start) / width, 2 * MOST_BINS) + SLACK)) if width > 0 else 0
    if not 1 <= n <= MOST_BINS:
        message = f"{max(n, 0)} time bins of {1000 * width:g} ms fit between {start:g} and {stop:g} s."
        raise InputError(message, f"Give a window that holds from 1 to {MOST_BINS:,} of them.")
    return start + width * np.arange(n + 1)
