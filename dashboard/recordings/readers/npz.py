"""NumPy files: ``.npz`` and ``.npy``, read from their headers first and never with pickles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.recordings.readers.source import (
    MOST_ARRAYS,
    MOST_BYTES,
    Array,
    Refused,
    Source,
    check_size,
    damaged,
    kind_of,
    shown,
    texts,
)

_MOST_HEADER = 10_000


def open_npy(path: Path, name: str) -> Source:
    """Open a ``.npy`` file; its one array is called ``array``."""
    data = path.read_bytes()
    found = _header(io.BytesIO(data), "array", name, len(data))

    def read(_: str, options: Mapping[str, Any]) -> np.ndarray:
        return _values(io.BytesIO(data), name)

    return Source("NumPy array", (found,), read)


def open_npz(path: Path, name: str) -> Source:
    """Open a ``.npz`` file.

    Raises
    ------
    InputError
        When it is damaged, holds objects (which can run code when opened), or would take too much.
    """
    return open_npz_bytes(path, name)


def open_npz_bytes(file: Any, name: str) -> Source:
    """Open the content of a ``.npz`` file: a path or a stream; see `open_npz`."""
    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except Exception as error:  # zipfile raises many kinds on damaged files
        raise damaged(name) from error
    _check_members(infos, name)
    arrays = []
    for info in infos:
        label = info.filename.removesuffix(".npy")
        try:
            with archive.open(info) as stream:
                arrays.append(_header(stream, label, name, info.file_size))
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise damaged(name) from error
    places = {array.name: info for array, info in zip(arrays, infos, strict=True)}

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        try:
            return _values(io.BytesIO(archive.read(places[label])), name)
        except Refused:
            raise
        except Exception as error:  # CRC, zlib, lzma
            raise damaged(name) from error

    return Source("NumPy archive", tuple(arrays), read)


def _check_members(infos: list[zipfile.ZipInfo], name: str) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise Refused(f'"{name}" holds an array twice.', "Save it again with every array once.")
    for info in infos:
        if not info.filename.endswith(".npy") or info.filename.startswith("/") or ".." in info.filename:
            message = f'"{name}" holds "{shown(info.filename, 40)}", which is no array.'
            raise Refused(message, "Save the arrays with numpy.savez and nothing else.")
        if info.flag_bits & 0x1:
            raise Refused(f'"{name}" is encrypted.', "Save it without a password.")
    if sum(info.file_size for info in infos) > MOST_BYTES or len(infos) > MOST_ARRAYS:
        message = f'"{name}" would unpack to {sum(i.file_size for i in infos) / 2**20:,.0f} MB.'
        raise Refused(
            message, f"The limit is {MOST_BYTES // 2**20} MB; save only the arrays that are needed."
        )


def _header(stream: Any, label: str, name: str, n_bytes: int) -> Array:
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version in reader:
            shape, _, dtype = reader[version](stream, max_header_size=_MOST_HEADER)
        else:
            shape, _, dtype = np.lib.format._read_array_header(  # type: ignore[attr-defined]
                stream, version, max_header_size=_MOST_HEADER
            )
    except Exception as error:  # the header is Python text: its parser raises many kinds
        raise damaged(name) from error
    if dtype.hasobject:
        message = f'"{shown(label)}" in "{name}" holds Python objects, which can run code when opened.'
        remedy = (
            "Where the file was made, save plain numbers and texts: numpy.savez(FILE, responses=responses."
            "astype(float), names=names.astype(str))."
        )
        raise Refused(message, remedy)
    if any(n < 0 for n in shape):
        raise damaged(name)
    check_size(shape, dtype.itemsize, label, name)
    if int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize > n_bytes:
        raise damaged(name)
    return Array(label, tuple(int(n) for n in shape), kind_of(dtype), note=dtype.name)


def _values(stream: io.BytesIO, name: str) -> np.ndarray:
    try:
        found = np.lib.format.read_array(stream, allow_pickle=False, max_header_size=_MOST_HEADER)
    except Exception as error:  # as above
        raise damaged(name) from error
    return texts(found) if found.dtype.kind in "US" else found
