"""HDF5 and what is made of it (MATLAB 7.3, netCDF 4, rsatoolbox): walked and checked before anything is read.

HDF5 reads any file that the server can read when a link says so, and no switch stops it; therefore every
link and dataset is looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import HomologError, InputError
from dashboard.recordings.readers.source import (
    MOST_ARRAYS,
    Array,
    Refused,
    Source,
    check_size,
    damaged,
    kind_of,
    shown,
    texts,
)

MOST_DEPTH = 32
MOST_CHUNK_BYTES = 64 * 2**20
_MOST_TEXTS = 1_000_000


def open_hdf5(path: Path, name: str) -> Source:
    """Open an HDF5 file of plain arrays.

    Raises
    ------
    InputError
        When it is damaged, points to other files, loops, or would take too much.
    """
    file, datasets = checked(path, name)
    arrays = tuple(describe(label, dataset) for label, dataset in datasets.items())
    facts = {key: text for key in ("dissimilarity_measure", "type") if (text := _attribute(file, key))}
    if _attribute(file, "rsatoolbox_version"):
        facts["layout"] = "rsatoolbox"
    return Source("HDF5", arrays, guarded(name, lambda label, _: values(datasets[label])), facts=facts)


def open_mat73(path: Path, name: str) -> Source:
    """Open a MATLAB 7.3 file; the axes are turned round, for MATLAB counts them from the other end."""
    file, datasets = checked(path, name)
    datasets = {label: d for label, d in datasets.items() if not label.startswith("#")}
    arrays = []
    skipped = []
    for label, dataset in datasets.items():
        made = _matlab_class(dataset)
        if (
            made in ("function_handle", "FileWrapper__")
            or dataset.attrs.get("MATLAB_object_decode") is not None
        ):
            skipped.append(label)
            continue
        found = describe(label, dataset)
        kind = "text" if made in ("char", "cell", "string") else found.kind
        shape = () if made == "char" else _squeezed(found.shape[::-1])
        arrays.append(Array(label, shape, kind, note=made or found.note))

    def read(label: str, _: Mapping[str, Any]) -> np.ndarray:
        return _matlab_values(file, datasets[label], name)

    notes = ["MATLAB 7.3 stores the axes the other way round; they are turned back here."]
    if skipped:
        notes.append(
            f"Left out, because they are functions or objects: {', '.join(map(shown, skipped[:5]))}."
        )
    return Source("MATLAB 7.3", tuple(arrays), guarded(name, read), notes=tuple(notes))


def open_netcdf4(path: Path, name: str) -> Source:
    """Open a netCDF 4 file; the names of the dimensions come along."""
    _, datasets = checked(path, name)
    arrays = []
    for label, dataset in datasets.items():
        if _attribute(dataset, "NAME").startswith("This is a netCDF dimension but not a netCDF variable"):
            continue
        found = describe(label, dataset)
        arrays.append(Array(label, found.shape, found.kind, dims=_dimensions(dataset), note=found.note))
    return Source("netCDF 4", tuple(arrays), guarded(name, lambda label, _: values(datasets[label])))


# --- the checks ------------------------------------------------------------------------------------


def checked(path: Path, name: str) -> tuple[Any, dict[str, Any]]:
    """Return an opened file and its datasets by path, every one of them checked.

    Raises
    ------
    InputError
        As `open_hdf5`.
    """
    import h5py

    try:
        file = h5py.File(path, "r", locking=False)
    except Exception as error:  # the library raises many kinds on damaged files
        raise damaged(name) from error
    try:
        found = dict(_walk(file, name))
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise damaged(name) from error
    return file, found


def _walk(file: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every dataset by its path; a stack, and the addresses of the groups on the way."""
    import h5py

    seen: set[Any] = set()
    waiting: list[tuple[Any, str, tuple[Any, ...]]] = [(file, "", (_address(file),))]
    count = 0
    while waiting:
        group, prefix, above = waiting.pop()
        if len(above) > MOST_DEPTH:
            raise Refused(f'"{name}" nests more than {MOST_DEPTH} groups.', "Save it with fewer levels.")
        for key in group:
            count += 1
            if count > MOST_ARRAYS:
                raise Refused(f'"{name}" holds more than {MOST_ARRAYS:,} parts.', "Save only what is needed.")
            if not _leads_inside(group, key, name):
                continue
            item = group[key]
            address = _address(item)
            if isinstance(item, h5py.Group):
                if address in above:
                    raise Refused(f'"{name}" holds a group inside itself.', "Save it without links.")
                if address not in seen:
                    seen.add(address)
                    waiting.append((item, f"{prefix}{key}/", (*above, address)))
            elif isinstance(item, h5py.Dataset):
                check_dataset(item, f"{prefix}{key}", name)
                yield f"{prefix}{key}", item


def _leads_inside(group: Any, key: str, name: str) -> bool:
    """Tell whether a link is the thing itself; what a soft link names is found where it lies."""
    import h5py

    link = group.get(key, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise _elsewhere(name, "an external link")
    return isinstance(link, h5py.HardLink)


def check_dataset(dataset: Any, label: str, name: str) -> None:
    """Refuse a dataset that lies in another file, or would take too much."""
    if dataset.external:
        raise _elsewhere(name, "external storage")
    if dataset.is_virtual:
        raise _elsewhere(name, "a virtual dataset")
    item = dataset.dtype.itemsize
    check_size(dataset.shape or (), item, label, name)
    if dataset.chunks:
        chunk = int(np.prod([int(n) for n in dataset.chunks], dtype=object)) * item
        if chunk > MOST_CHUNK_BYTES:
            message = f'"{shown(label)}" in "{name}" is stored in pieces of {chunk / 2**20:,.0f} MB.'
            raise Refused(message, f"Save it in pieces of at most {MOST_CHUNK_BYTES // 2**20} MB.")


def _elsewhere(name: str, what: str) -> Refused:
    return Refused(f'"{name}" points to another file ({what}).', "Save it with the data inside.")


def _address(item: Any) -> Any:
    import h5py

    info = h5py.h5o.get_info(item.id)
    return (info.fileno, info.addr)


def guarded(name: str, read: Callable[..., np.ndarray]) -> Callable[[str, Mapping[str, Any]], np.ndarray]:
    """Return a reader whose failures are one sentence."""

    def reading(label: str, options: Mapping[str, Any]) -> np.ndarray:
        try:
            return read(label, options)
        except (HomologError, MemoryError):
            raise
        except Exception as error:  # the library raises many kinds on damaged files
            raise damaged(name) from error

    return reading


# --- values ----------------------------------------------------------------------------------------


def describe(label: str, dataset: Any) -> Array:
    """Return what a file says of a dataset."""
    import h5py

    text = h5py.check_string_dtype(dataset.dtype) is not None
    kind = "text" if text else kind_of(dataset.dtype)
    return Array(
        label, tuple(map(int, dataset.shape or ())), kind, note="text" if text else str(dataset.dtype)
    )


def values(dataset: Any) -> np.ndarray:
    """Return the values of a dataset; texts as str."""
    import h5py

    if h5py.check_string_dtype(dataset.dtype) is not None:
        if dataset.size > _MOST_TEXTS:
            raise ValueError
        return texts(np.asarray(dataset[()], dtype=object))
    found = np.asarray(dataset[()])
    return texts(found) if found.dtype.kind in "US" else found


def _dimensions(dataset: Any) -> tuple[str, ...]:
    names = []
    for axis, dimension in enumerate(dataset.dims):
        label = dimension[0].name.rpartition("/")[2] if len(dimension) else ""
        names.append(label or dimension.label or f"axis {axis + 1}")
    if dataset.is_scale and len(names) == 1:
        return (dataset.name.rpartition("/")[2],)
    return tuple(names)


def _attribute(item: Any, key: str) -> str:
    value = item.attrs.get(key, "")
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return shown(value) if isinstance(value, str) else ""


def _matlab_class(dataset: Any) -> str:
    return _attribute(dataset, "MATLAB_class")


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _matlab_values(file: Any, dataset: Any, name: str) -> np.ndarray:
    made = _matlab_class(dataset)
    if dataset.attrs.get("MATLAB_empty"):
        return np.empty(0)
    if made == "char":
        return texts(np.array(_characters(dataset), dtype=object))
    if made == "cell":
        return _cell(file, dataset, name)
    found = values(dataset)
    if found.dtype.names == ("real", "imag"):
        found = found["real"] + 1j * found["imag"]
    return np.squeeze(found.T)


def _cell(file: Any, dataset: Any, name: str) -> np.ndarray:
    if dataset.size > _MOST_TEXTS:
        raise ValueError
    parts = []
    for reference in dataset[()].T.ravel():
        target = file[reference]
        check_dataset(target, "a cell", name)
        parts.append(_characters(target) if _matlab_class(target) == "char" else str(np.squeeze(target[()])))
    found = np.empty(len(parts), dtype=object)
    found[:] = parts
    return found


def _characters(dataset: Any) -> str:
    if dataset.attrs.get("MATLAB_empty") or dataset.size > _MOST_TEXTS:
        return ""
    codes = np.asarray(dataset[()], dtype=np.uint16).T.ravel()
    return codes.astype("<u2").tobytes().decode("utf-16-le", "replace")
