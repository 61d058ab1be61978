"""NWB files, read by their layout from HDF5: spikes counted and fluorescence averaged per presentation.

Each comes also over time, in bins from the start of the presentation.

The layout is that of the NWB 2 schema (Rübel et al. 2022, eLife 11:e78362): ragged ``units/spike_times``,
tables of intervals with ``start_time`` and ``stop_time``, and series with ``timestamps`` or a rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import InputError, caution
from dashboard.recordings import moments
from dashboard.recordings.readers import hdf5
from dashboard.recordings.readers.source import OVER_TIME, TIMES_OF, Array, Refused, Source, check_size, shown

SPIKES, MEAN = "spikes per second in ", " in "
AREA = "areas of units"
EARLIER = 1e-6
"""Part of a bin by which it begins early."""

BIN_S = 0.01
"""Width of a bin of spikes in seconds, where none is asked for."""


def open_nwb(path: Path, name: str) -> Source:
    """Open an NWB file.

    Raises
    ------
    InputError
        When it is damaged, points to other files, or holds no presentations of stimuli.
    """
    file, found = hdf5.checked(path, name)
    if any(label.rpartition("/")[2] == "external_file" for label in found):
        raise Refused(f'"{name}" points to another file (external_file).', "Save it with the data inside.")
    tables = _tables(found)
    made: dict[str, Any] = {}
    arrays: list[Array] = []
    for table, columns in tables.items():
        n = int(found[columns["start_time"]].shape[0])
        if "units/spike_times" in found and "units/spike_times_index" in found:
            _add_spikes(found, table, columns, n, made, arrays, name)
        for series in _series(file, found):
            _add_series(found, series, table, columns, n, made, arrays, name)
        for label, place in columns.items():
            if not label.startswith("_") and len(found[place].shape) == 1 and found[place].shape[0] == n:
                arrays.append(hdf5.describe(place, found[place]))
    area = _areas(found)
    if area is not None:
        made[AREA] = lambda _: area
        arrays.append(Array(AREA, area.shape, "text"))

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        return made[label](options) if label in made else hdf5.values(found[label])

    notes = () if tables else ("There is no table of intervals with start and stop times.",)
    return Source("NWB", tuple(arrays), hdf5.guarded(name, read), notes=notes)


def _tables(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the tables of intervals: by path, the columns by name."""
    tables: dict[str, dict[str, str]] = {}
    for label in found:
        group, _, column = label.rpartition("/")
        if f"{group}/start_time" in found and f"{group}/stop_time" in found:
            tables.setdefault(group, {})[column] = label
    return tables


def _add_spikes(
    found: Mapping[str, Any],
    table: str,
    columns: Mapping[str, str],
    n: int,
    made: dict[str, Any],
    arrays: list[Array],
    name: str,
) -> None:
    index = found["units/spike_times_index"]
    units = int(index.shape[0])
    label = f"{SPIKES}{table}"
    check_size((n, units), 8, label, name)

    def count(options: Mapping[str, Any]) -> np.ndarray:
        start, stop = _windows(found, columns, options)
        return spike_rates(found["units/spike_times"][()], index[()], start, stop)

    made[label] = count
    arrays.append(Array(label, (n, units), "number", ("presentation", "unit"), "counted from spike times"))

    def binned(onset: np.ndarray, edges: np.ndarray) -> np.ndarray:
        spikes, ends = found["units/spike_times"][()], index[()]
        each = [
            spike_rates(spikes, ends, onset + a, onset + b) for a, b in zip(edges, edges[1:], strict=False)
        ]
        return np.stack(each, axis=-1)

    _add_binned(found, columns, label, (n, units), BIN_S, binned, made, arrays, name)


def _add_binned(
    found: Mapping[str, Any],
    columns: Mapping[str, str],
    label: str,
    shape: tuple[int, int],
    usual: float,
    make: Callable[[np.ndarray, np.ndarray], np.ndarray],
    made: dict[str, Any],
    arrays: list[Array],
    name: str,
) -> None:
    """Add an array over time, (presentation, unit, bin), and the middles of its bins in seconds.

    Parameters
    ----------
    usual : float
        Width of a bin in seconds where the recipe has none.
    make : callable
        From onsets (n_presentations,) and edges (n_bins + 1,) to the values.
    """
    onset, shortest = _onsets(found, columns)
    if not 0 < usual <= shortest <= usual * moments.MOST_BINS:
        return

    def edges(options: Mapping[str, Any]) -> np.ndarray:
        start, stop, width = (options.get(key) for key in ("start", "stop", "bin_ms"))
        return moments.edges(
            0.0 if start is None else float(start),
            shortest if stop is None else float(stop),
            usual if width is None else float(width) / 1000,
        )

    def values(options: Mapping[str, Any]) -> np.ndarray:
        chosen = edges(options)
        check_size((*shape, len(chosen) - 1), 8, f"{label}{OVER_TIME}", name)
        # What lies on an edge belongs to the later bin, though sums of times miss it by rounding.
        return make(onset, chosen - EARLIER * (chosen[1] - chosen[0]))

    def middles(options: Mapping[str, Any]) -> np.ndarray:
        chosen = edges(options)
        return (chosen[1:] + chosen[:-1]) / 2

    bins = len(edges({})) - 1
    long = f"{label}{OVER_TIME}"
    made |= {long: values, f"{TIMES_OF}{long}": middles}
    note = f"in bins of {1000 * usual:g} ms, or as asked for"
    arrays.append(Array(long, (*shape, bins), "number", ("presentation", "unit", "bin"), note))
    arrays.append(Array(f"{TIMES_OF}{long}", (bins,), "number", ("bin",), "seconds from the start"))


def _onsets(found: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[np.ndarray, float]:
    """Return the starts of the presentations (n_presentations,) and the shortest length, in seconds."""
    onset = np.asarray(found[columns["start_time"]][()], dtype=np.float64)
    end = np.asarray(found[columns["stop_time"]][()], dtype=np.float64)
    return onset, float((end - onset).min()) if len(onset) == len(end) > 0 else float("nan")


def spike_rates(times: np.ndarray, index: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Count the spikes of each unit in each window and divide by its length.

    Parameters
    ----------
    times : np.ndarray
        (n_spikes,) seconds, unit after unit.
    index : np.ndarray
        (n_units,) position behind the last spike of each unit.
    start, stop : np.ndarray
        (n_windows,) seconds; a spike at the start counts, one at the stop does not.

    Returns
    -------
    np.ndarray
        (n_windows, n_units) float64, spikes per second.
    """
    ends = np.asarray(index, dtype=np.int64)
    begins = np.concatenate([[0], ends[:-1]])
    if (ends < begins).any() or (ends > len(times)).any():
        raise ValueError
    rates = np.empty((len(start), len(ends)))
    for unit, (low, high) in enumerate(zip(begins, ends, strict=True)):
        spikes = np.sort(np.asarray(times[low:high], dtype=np.float64))
        rates[:, unit] = np.searchsorted(spikes, stop) - np.searchsorted(spikes, start)
    return rates / (stop - start)[:, None]


def _windows(
    found: Mapping[str, Any], columns: Mapping[str, str], options: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return start and stop of the window of every presentation, in seconds."""
    onset = np.asarray(found[columns["start_time"]][()], dtype=np.float64)
    end = np.asarray(found[columns["stop_time"]][()], dtype=np.float64)
    given = (options.get("start"), options.get("stop"))
    start = onset if given[0] is None else onset + float(given[0])
    stop = end if given[1] is None else onset + float(given[1])
    if not (stop > start).all():
        message = f"The window ends before it starts in {int((~(stop > start)).sum())} presentations."
        raise InputError(message, "Give a later end, in seconds from the start of a presentation.")
    return start, stop


def _series(file: Any, found: Mapping[str, Any]) -> list[str]:
    """Return the groups of series of regions or units over time: two-dimensional data with times."""
    groups = []
    for label in found:
        group, _, column = label.rpartition("/")
        timed = f"{group}/timestamps" in found or f"{group}/starting_time" in found
        if column == "data" and timed and len(found[label].shape) == 2 and "rois" in file[group]:
            groups.append(group)
    return groups


def _add_series(
    found: Mapping[str, Any],
    series: str,
    table: str,
    columns: Mapping[str, str],
    n: int,
    made: dict[str, Any],
    arrays: list[Array],
    name: str,
) -> None:
    data = found[f"{series}/data"]
    label = f"{series}{MEAN}{table}"

    def mean(options: Mapping[str, Any]) -> np.ndarray:
        start, stop = _windows(found, columns, options)
        return window_means(_times(found, series), data[()], start, stop)

    made[label] = mean
    shape = (n, int(data.shape[1]))
    arrays.append(Array(label, shape, "number", ("presentation", "roi"), "mean over the presentation"))

    def binned(onset: np.ndarray, edges: np.ndarray) -> np.ndarray:
        times, values = _times(found, series), data[()]
        each = [
            window_means(times, values, onset + a, onset + b) for a, b in zip(edges, edges[1:], strict=False)
        ]
        return np.stack(each, axis=-1)

    _add_binned(found, columns, label, shape, _two_samples(found, series), binned, made, arrays, name)


def _two_samples(found: Mapping[str, Any], series: str) -> float:
    """Return how long two samples take in seconds, NaN where the file does not tell.

    No bin of this width is empty, wherever between two samples a presentation begins.
    """
    try:
        steps = np.diff(_times(found, series)[:1000])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return float("nan")
    return 2 * float(np.median(steps)) if len(steps) else float("nan")


def _times(found: Mapping[str, Any], series: str) -> np.ndarray:
    if f"{series}/timestamps" in found:
        return np.asarray(found[f"{series}/timestamps"][()], dtype=np.float64)
    start = found[f"{series}/starting_time"]
    return float(start[()]) + np.arange(found[f"{series}/data"].shape[0]) / float(start.attrs["rate"])


def window_means(times: np.ndarray, data: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Average a series over windows; NaN where a window holds no sample, which is told.

    Parameters
    ----------
    times : np.ndarray
        (n_samples,) rising, seconds.
    data : np.ndarray
        (n_samples, n_units)
    start, stop : np.ndarray
        (n_windows,) seconds.

    Returns
    -------
    np.ndarray
        (n_windows, n_units) float64
    """
    low, high = np.searchsorted(times, start), np.searchsorted(times, stop)
    empty = high <= low
    if empty.any():
        caution("empty-windows", f"{int(empty.sum())} of {len(start)} presentations hold no sample.")
    means = np.full((len(start), data.shape[1]), np.nan)
    for i in np.flatnonzero(~empty):
        means[i] = np.mean(data[low[i] : high[i]], axis=0, dtype=np.float64)
    return means


def _areas(found: Mapping[str, Any]) -> np.ndarray | None:
    """Return the location of the first electrode of every unit, where the file tells it."""
    needed = ("units/electrodes", "units/electrodes_index", "general/extracellular_ephys/electrodes/location")
    if any(label not in found for label in needed):
        return None
    rows, ends, location = (hdf5.values(found[label]) for label in needed)
    begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    if (begins >= len(rows)).any() or (rows[begins] >= len(location)).any():
        return None
    found_areas = np.empty(len(ends), dtype=object)
    found_areas[:] = [shown(location[int(row)]) for row in rows[begins]]
    return found_areas
