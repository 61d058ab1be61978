"""A Dataset as the bytes of one netCDF file with a sealed trailer, and back, exactly.

A packed answer is ``netCDF | about (JSON) | length of about (8 bytes) | SHA-256 (32 bytes) | mark (8
bytes)``. HDF5 ignores what stands behind its end of file, so any netCDF reader opens a packed answer as it
is. The digest covers everything before it: no bit of values, labels or attributes can change unseen, and
because digest and values are one file, no kill can come between them. ``about`` keeps what netCDF cannot
say exactly (fixed-width text, Python's own numbers in attributes, order) and what a list of answers shows
(key, kind, title).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

MARK = b"HOMOLOG1"
"""Last bytes of a packed answer; the digit is the version of the format."""

_TAIL = 8 + 32 + len(MARK)
_CARRIERS = {
    "M": "<i8",
    "m": "<i8",
    "e": "<u2",
}  # datetime64, timedelta64, float16: netCDF holds their bits only


class Damaged(ValueError):
    """These bytes are not a whole, unchanged answer that this program can read."""


def pack(answer: xr.Dataset, key: str = "", kind: str = "", title: str = "") -> bytes:
    """Return the bytes of a packed answer.

    Parameters
    ----------
    answer : xarray.Dataset
        Numbers, booleans, times and text; not bytes, not a MultiIndex.
    key, kind, title : str
        What `read_about` tells without reading the values.

    Raises
    ------
    TypeError, ValueError
        When something in it cannot be kept exactly.
    """
    answer = _plain(answer.load())
    about = {"key": key, "kind": kind, "title": title, **_layout(answer)}
    text = json.dumps(about, ensure_ascii=True).encode()
    body = _netcdf(answer) + text + len(text).to_bytes(8, "little")
    packed = body + hashlib.sha256(body).digest() + MARK
    if not same(unpack(packed), answer):
        message = "Something in this answer does not survive a netCDF file."
        raise ValueError(message)
    return packed


def unpack(packed: bytes, key: str | None = None) -> xr.Dataset:
    """Return the answer in packed bytes, in memory, its arrays read-only.

    Raises
    ------
    Damaged
        When the bytes are cut, changed, of another format or version, or hold the answer to another ``key``.
    """
    view = memoryview(packed)
    if len(view) <= _TAIL or view[-len(MARK) :] != MARK:
        message = "not an answer of this version"
        raise Damaged(message)
    body, digest = view[: -(32 + len(MARK))], view[-(32 + len(MARK)) : -len(MARK)]
    if hashlib.sha256(body).digest() != digest:
        message = "its SHA-256 does not match"
        raise Damaged(message)
    start = len(body) - 8 - int.from_bytes(body[-8:], "little")
    about = json.loads(bytes(body[start:-8]))
    if key is not None and about["key"] != key:
        message = "it is the answer to something else"
        raise Damaged(message)
    return _restore(bytes(body[:start]), about)


def read_about(path: Path) -> dict[str, Any]:
    """Return key, kind and title of a packed answer without reading or checking its values.

    Raises
    ------
    Damaged, OSError
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
        length = int.from_bytes(tail[:8], "little")
        if len(tail) < _TAIL or not tail.endswith(MARK) or length > size - _TAIL:
            message = "not an answer of this version"
            raise Damaged(message)
        file.seek(size - _TAIL - length)
        try:
            about = json.loads(file.read(length))
            return {name: str(about[name]) for name in ("key", "kind", "title")}
        except (ValueError, KeyError, TypeError) as error:
            message = "its labels cannot be read"
            raise Damaged(message) from error


def same(a: xr.Dataset, b: xr.Dataset) -> bool:
    """Say whether two answers are equal to the last bit of values, types, labels and attributes."""
    if list(a.data_vars) != list(b.data_vars) or list(a.coords) != list(b.coords) or _attrs(a) != _attrs(b):
        return False
    return all(_same_variable(a.variables[name], b.variables[name]) for name in a.variables)


def _same_variable(a: xr.Variable, b: xr.Variable) -> bool:
    x, y = np.asarray(a.values), np.asarray(b.values)
    if a.dims != b.dims or x.shape != y.shape or x.dtype != y.dtype or _attrs(a) != _attrs(b):
        return False
    return bool(np.array_equal(x, y) if x.dtype.kind in "OU" else x.tobytes() == y.tobytes())


def _attrs(thing: xr.Dataset | xr.Variable) -> str:
    return json.dumps(_freeze(dict(thing.attrs)), sort_keys=True)


# --- packing ------------------------------------------------------------------------------------------------


def _plain(answer: xr.Dataset) -> xr.Dataset:
    """Return the answer with numpy arrays only; pandas' text and number arrays become numpy's."""
    changed = {}
    for name, variable in answer.variables.items():
        if not isinstance(variable.dtype, np.dtype):
            values = np.asarray(
                variable.values, dtype=object if str(variable.dtype).startswith("str") else None
            )
            changed[name] = (variable.dims, values, variable.attrs)
        elif variable.dtype.kind in "OU":
            _check_text(str(name), variable.values)
    return answer.assign(changed).drop_encoding() if changed else answer.drop_encoding()


def _check_text(name: str, values: np.ndarray) -> None:
    for value in np.asarray(values).flat:
        # HDF5 ends a text at its first NUL.
        if not isinstance(value, str) or "\0" in value:
            message = f"{name} holds something else than text"
            raise TypeError(message)


def _layout(answer: xr.Dataset) -> dict[str, Any]:
    variables = [
        {
            "name": str(name),
            "dims": [str(dim) for dim in variable.dims],
            "dtype": variable.dtype.str,
            "shape": list(variable.shape),
            "coordinate": name in answer.coords,
            "attrs": _freeze(dict(variable.attrs)),
        }
        for name, variable in answer.variables.items()
    ]
    return {"variables": variables, "attrs": _freeze(dict(answer.attrs))}


def _netcdf(answer: xr.Dataset) -> bytes:
    """Return a netCDF file for any reader, in the types that netCDF has.

    Not by ``to_netcdf``: inside a Dask worker xarray takes a distributed lock for every file, which fails
    for one in memory.
    """
    import h5netcdf
    import h5py

    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        for dim, size in answer.sizes.items():
            file.dimensions[str(dim)] = size
        for name, variable in answer.variables.items():
            values, attrs = np.asarray(variable.values), _shown(variable.attrs)
            code = values.dtype.char if values.dtype.char == "e" else values.dtype.kind
            if code in _CARRIERS:
                values = values.view(_CARRIERS[code])
            elif code == "b":
                values, attrs = values.astype("i1"), {**attrs, "dtype": "bool"}  # xarray's convention
            dtype = h5py.string_dtype() if code in "OU" else values.dtype
            values = values.astype(object) if code in "OU" else values
            dims = tuple(str(dim) for dim in variable.dims)
            file.create_variable(str(name), dims, dtype, data=values if values.size else None).attrs.update(
                attrs
            )
        others = [str(name) for name in answer.coords if name not in answer.dims]
        file.attrs.update(_shown(answer.attrs))
        if others and not any(" " in name for name in others) and "coordinates" not in answer.attrs:
            file.attrs["coordinates"] = " ".join(others)
    return buffer.getvalue()


def _shown(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes as netCDF can hold them; `about` keeps them exactly."""

    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return str.__str__(value)
        small = type(value) is int and abs(value) < 2**63
        return value if small or isinstance(value, float | np.number) else json.dumps(_freeze(value))

    return {str(name): shown(value) for name, value in attrs.items()}


def _freeze(value: Any) -> Any:
    """Return a JSON value from which `_thaw` makes an equal one of the same type."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        if value.dtype.kind not in "biufU" or value.dtype.itemsize > 8 and value.dtype.kind != "U":
            message = f"attributes cannot hold {value.dtype}"
            raise TypeError(message)
        return {"numpy": value.dtype.str, "shape": list(value.shape), "values": value.ravel().tolist()}
    if isinstance(value, str):  # a class of another library, which must not be needed to read the answer
        return str.__str__(value)
    if isinstance(value, list):
        return [_freeze(v) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [_freeze(v) for v in value]}
    if isinstance(value, Mapping):
        return {"dict": [[str(k), _freeze(v)] for k, v in value.items()]}
    message = f"attributes cannot hold {type(value).__name__}"
    raise TypeError(message)


# --- unpacking ----------------------------------------------------------------------------------------------


def _thaw(value: Any) -> Any:
    if isinstance(value, list):
        return [_thaw(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_thaw(v) for v in value["tuple"])
    if "dict" in value:
        return {k: _thaw(v) for k, v in value["dict"]}
    array = np.array(value["values"], dtype=value["numpy"]).reshape(value["shape"])
    return array if value["shape"] else array[()]


def _restore(netcdf: bytes, about: Mapping[str, Any]) -> xr.Dataset:
    """Build the answer from netCDF values and layout; several times quicker than xarray does."""
    import h5py
    import xarray as xr

    coords: dict[str, xr.Variable] = {}
    data: dict[str, xr.Variable] = {}
    with h5py.File(h5py.h5f.open_file_image(netcdf), "r") as file:
        for entry in about["variables"]:
            values = _values(file[entry["name"]], np.dtype(entry["dtype"]), tuple(entry["shape"]))
            variable = xr.Variable(entry["dims"], values, _thaw(entry["attrs"]))
            (coords if entry["coordinate"] else data)[entry["name"]] = variable
    return xr.Dataset(data, coords, _thaw(about["attrs"]))


def _values(stored: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if 0 in shape:
        values = np.empty(shape, dtype)
    elif dtype.kind in "OU":
        values = np.asarray(stored.asstr()[()], dtype=object).astype(dtype).reshape(shape)
    else:
        values = np.asarray(stored[()])
        code = dtype.char if dtype.char == "e" else dtype.kind
        values = values.view(dtype) if code in _CARRIERS else values.astype(dtype, copy=False)
    values.setflags(write=False)
    return values
