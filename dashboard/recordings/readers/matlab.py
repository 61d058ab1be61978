"""MATLAB version 5 files: variables, fields of structs that fit together, and cells of texts or arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.recordings.mat import read_mat
from dashboard.recordings.readers.source import MOST_ARRAYS, Array, Source, kind_of, shown, texts

_DEEPEST = 6


def open_mat5(path: Path, name: str) -> Source:
    """Open a MATLAB version 5 file (saved with -v7 or -v6).

    Raises
    ------
    InputError
        As `read_mat`.
    """
    found = dict(_plain(read_mat(path.read_bytes(), name)))
    arrays = tuple(
        Array(label, v.shape, "text" if v.dtype == object else kind_of(v.dtype), note=_note(v))
        for label, v in found.items()
    )

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        return found[label]

    return Source("MATLAB", arrays, read)


def _note(values: np.ndarray) -> str:
    return "text" if values.dtype == object else str(values.dtype)


def _plain(variables: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield arrays of numbers and texts by name; a struct's fields are ``struct.field``."""
    waiting = [(str(name), value, 0) for name, value in list(variables.items())[::-1]]
    count = 0
    while waiting and count < MOST_ARRAYS:
        name, value, depth = waiting.pop()
        count += 1
        fields = _fields(value)
        if fields is not None:
            if depth < _DEEPEST:
                waiting.extend(
                    (f"{name}.{shown(f, 60)}", v, depth + 1) for f, v in list(fields.items())[::-1]
                )
            continue
        array = _array(value)
        if array is not None:
            yield shown(name, 200), array


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a struct, or of an array of structs with each field stacked; None for others."""
    if hasattr(value, "_fieldnames"):
        return {f: getattr(value, f) for f in value._fieldnames}
    if not isinstance(value, np.ndarray) or value.dtype != object or not value.size:
        return None
    if not all(hasattr(part, "_fieldnames") for part in value.flat):
        return None
    names = [f for f in value.flat[0]._fieldnames if all(hasattr(part, f) for part in value.flat)]
    stacked = {}
    for f in names:
        column = np.empty(value.shape, dtype=object)
        for place, part in np.ndenumerate(value):
            column[place] = getattr(part, f)
        stacked[f] = column
    return stacked


def _array(value: Any) -> np.ndarray | None:
    """Return numbers, or texts as an object array; equal-sized cells are stacked; None for anything else."""
    if type(value).__module__.startswith("scipy.sparse"):
        value = value.toarray() if np.prod(value.shape, dtype=object) < 2**26 else None
    if isinstance(value, str):
        return texts(np.array(value, dtype=object))
    if not isinstance(value, np.ndarray | np.generic | int | float | complex):
        return None
    array = np.asarray(value)
    if array.dtype.kind in "biufc":
        return array
    if array.dtype.kind in "US":
        return texts(np.char.strip(array.astype(str)))
    return _cells(array) if array.dtype == object else None


def _cells(cells: np.ndarray) -> np.ndarray | None:
    parts = list(cells.flat)
    if all(isinstance(part, str) or (isinstance(part, np.ndarray) and not part.size) for part in parts):
        return texts(np.array([p if isinstance(p, str) else "" for p in parts], dtype=object)).reshape(
            cells.shape
        )
    arrays = [np.asarray(part) for part in parts]
    if any(a.dtype.kind not in "biuf" for a in arrays) or len({a.shape for a in arrays}) != 1:
        return None
    return np.stack(arrays).reshape(cells.shape + arrays[0].shape)
