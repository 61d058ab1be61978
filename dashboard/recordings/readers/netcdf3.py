"""Classic netCDF files, read by scipy from memory."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.recordings.readers.source import MOST_BYTES, Array, Refused, Source, damaged, kind_of, texts


def open_netcdf3(path: Path, name: str) -> Source:
    """Open a classic netCDF file (version 1 or 2).

    Raises
    ------
    InputError
        When it is damaged or larger than the limit.
    """
    from scipy.io import netcdf_file

    if path.stat().st_size > MOST_BYTES:
        raise Refused(f'"{name}" is larger than {MOST_BYTES // 2**20} MB.', "Save only what is needed.")
    try:
        file: Any = io.BytesIO(path.read_bytes())
        with netcdf_file(file, "r", mmap=False) as opened:
            found = {key: (v.dimensions, np.array(v.data)) for key, v in opened.variables.items()}
    except Exception as error:  # scipy raises many kinds on damaged files
        raise damaged(name) from error
    arrays = {key: _array(values) for key, (_, values) in found.items()}
    listed = []
    for key, values in arrays.items():
        kind = "text" if values.dtype == object else kind_of(values.dtype)
        listed.append(Array(key, values.shape, kind, tuple(found[key][0])[: values.ndim], note=kind))

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        return arrays[label]

    return Source("netCDF 3", tuple(listed), read)


def _array(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "S":
        return values
    if values.dtype.itemsize == 1 and values.ndim:  # characters one by one: the last axis is the text
        joined = [b"".join(row.ravel()).rstrip(b"\0 ") for row in values.reshape(-1, values.shape[-1])]
        return texts(np.array(joined, dtype=object)).reshape(values.shape[:-1])
    return texts(values)
