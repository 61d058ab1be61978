"""Readers of recordings: what a file is, told from its bytes, and its arrays; what runs code is refused.

``look(paths)`` tells what is in some files without building a recording; ``open_all`` gives their arrays.
"""

from __future__ import annotations

import importlib
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import HomologError
from dashboard.networks.formats import looks_like
from dashboard.recordings.readers import volumes
from dashboard.recordings.readers.nifti import ImageSource, packed_kind
from dashboard.recordings.readers.source import Array, Refused, Source, damaged, shown

__all__ = ["FORMATS", "REFUSALS", "Array", "Format", "Refused", "Source", "look", "open_all", "recognise"]


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """A format that is read.

    Attributes
    ----------
    title, note : str
        For lists; what is read of it.
    endings : tuple of str
        For the upload; the bytes decide.
    module, function : str
        Where ``(path, name) -> Source`` lives.
    """

    title: str
    note: str
    endings: tuple[str, ...]
    module: str
    function: str

    def open(self, path: Path, name: str) -> Source:
        """Open a file of this format; see `Source`."""
        module = importlib.import_module(f"dashboard.recordings.readers.{self.module}")
        found: Source = getattr(module, self.function)(path, name)
        return found


FORMATS: dict[str, Format] = {
    "npz": Format("NumPy archive", "arrays of numbers and texts, no objects", ("npz",), "npz", "open_npz"),
    "npy": Format("NumPy array", "one array, no objects", ("npy",), "npz", "open_npy"),
    "mat": Format("MATLAB, -v7 and before", "arrays, structs, cells", ("mat",), "matlab", "open_mat5"),
    "mat73": Format("MATLAB, -v7.3", "arrays and cells of texts", ("mat",), "hdf5", "open_mat73"),
    "nwb": Format("NWB", "spikes and fluorescence per presentation", ("nwb",), "nwb", "open_nwb"),
    "netcdf4": Format("netCDF 4", "variables with named dimensions", ("nc",), "hdf5", "open_netcdf4"),
    "netcdf3": Format("netCDF 3", "variables with named dimensions", ("nc",), "netcdf3", "open_netcdf3"),
    "hdf5": Format("HDF5, rsatoolbox", "datasets, data inside", ("h5", "hdf5"), "hdf5", "open_hdf5"),
    "csv": Format(
        "CSV, TSV", "wide or long tables with a header", ("csv", "tsv", "txt"), "tables", "open_csv"
    ),
    "nifti": Format(
        "NIfTI",
        "a volume per stimulus, with a mask or label image and a table beside it",
        ("nii", "nii.gz"),
        "nifti",
        "open_nifti",
    ),
    "labels": Format("Names of labels", "of a label image", ("json",), "nifti", "open_labels"),
    "parquet": Format("Parquet", "wide or long tables", ("parquet", "pq"), "tables", "open_parquet"),
}
"""Every format that is read; another one is a function ``(path, name) -> Source`` and an entry."""

_NUMPY = "Where it was made, save its arrays with numpy.savez as plain numbers and texts, and use the .npz."

REFUSALS: dict[str, tuple[str, str]] = {
    "pickle": ("can run code when opened", _NUMPY),
    "program": ("holds a program, not data", _NUMPY),
    "torch": (
        "is a PyTorch file, not a recording",
        "Add it as a network, or save its arrays with numpy.savez.",
    ),
    "safetensors": ("holds weights, not a recording", "Add it as a network."),
    "keras": ("is a Keras or TensorFlow model, not a recording", "Use the file with the responses."),
    "onnx": ("is an ONNX file, not a recording", "Use the file with the responses."),
    "workbook": ("is a spreadsheet workbook, which can hold macros", "Save the sheet as CSV and use that."),
    "packed": ("is a compressed file or an archive", "Unpack it, and use the file inside."),
    "zip": ("is a zip without NumPy arrays", "Unpack it, and use the files inside."),
    "picture": ("is a picture, not a recording", "Add pictures as stimuli."),
    "netcdf5": ("is a netCDF file of the 64-bit data kind", "Save it as netCDF 4, as xarray does."),
    "empty": ("is empty (0 bytes)", "Copy or download it again."),
    "web page": ("is a web page, not a recording", "Download the file itself, not the page about it."),
    "pointer": (
        "is only a pointer to a file that Git LFS or git-annex keeps elsewhere",
        "Fetch the real file with git lfs pull or git annex get.",
    ),
    "unknown": (
        "is not a recording that is read",
        "Save it as .npz, .mat, .h5, .nc, .nwb, .csv, .parquet or .nii.gz.",
    ),
}
"""Every kind of file that is not opened: why, and what to do."""


def refuse(kind: str, name: str) -> Refused:
    """Return the error for a file of a kind that is not opened."""
    problem, remedy = REFUSALS[kind]
    return Refused(f'"{shown(name)}" {problem}.', remedy)


def recognise(path: Path, name: str) -> str:
    """Return the key of the format of a file, from its bytes, or refuse it.

    Raises
    ------
    Refused
        For every file that is not in `FORMATS`.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    ending = name.lower().rpartition(".")[2]
    if not head:
        raise refuse("empty", name)
    kind = next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), "")
    if kind in FORMATS:
        return kind
    if kind:
        raise refuse(kind, name)
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path, name)
    if head.startswith(b"\x1f\x8b") and packed_kind(path, name):
        return "nifti"
    if head.startswith(b"\x89HDF\r\n\x1a\n") or head[:10] == b"MATLAB 7.3":
        return "mat73" if head[:10] == b"MATLAB 7.3" else _hdf5_kind(path, name)
    if head[4:9] == b"\0\0\0\0{":
        raise refuse("safetensors", name)
    return _kind_by_name(head, ending, name)


def _kind_by_name(head: bytes, ending: str, name: str) -> str:
    """Return the format of a file that its first bytes do not tell, or refuse it."""
    found = looks_like(head, ending)
    if found is not None:
        raise refuse(found if found in REFUSALS else "unknown", name)
    if ending in FORMATS["csv"].endings:
        return "csv"
    if ending == "json":
        return "labels"
    if ending in ("nii", "npz", "npy", "mat", "h5", "hdf5", "nc", "nwb", "parquet", "pq"):
        raise damaged(shown(name))
    raise refuse("unknown", name)


_MARKS = {
    b"\x93NUMPY": "npy",
    b"MATLAB 5.0": "mat",
    b"CDF\x01": "netcdf3",
    b"CDF\x02": "netcdf3",
    b"PAR1": "parquet",
    b"CDF\x05": "netcdf5",
    b"\x89PNG": "picture",
    b"\xff\xd8\xff": "picture",
    b"GIF8": "picture",
    b"\xd0\xcf\x11\xe0": "workbook",
    b"\x5c\x01\x00\x00": "nifti",
    b"\x00\x00\x01\x5c": "nifti",
    b"\x1c\x02\x00\x00": "nifti",
    b"\x00\x00\x02\x1c": "nifti",
}


def _zip_kind(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except Exception as error:  # zipfile raises many kinds on damaged files
        raise damaged(shown(name)) from error
    if "[Content_Types].xml" in members:
        raise refuse("workbook", name)
    if any(f"/{m}".endswith("/data.pkl") for m in members):
        raise refuse("program" if any("/code/" in f"/{m}" for m in members) else "torch", name)
    if any(m.endswith(("saved_model.pb", "model.weights.h5")) for m in members):
        raise refuse("keras", name)
    if not any(m.endswith(".npy") for m in members):
        raise refuse("zip", name)
    return "npz"


def _hdf5_kind(path: Path, name: str) -> str:
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            attributes = set(file.attrs)
            # Reading the type of every attribute first: a broken one must not decide.
            dimensions = any("CLASS" in item.attrs for item in _top(file))
    except Exception as error:  # the library raises many kinds on damaged files
        raise damaged(shown(name)) from error
    if attributes & {"keras_version", "model_config", "layer_names"}:
        raise refuse("keras", name)
    if "nwb_version" in attributes:
        return "nwb"
    return "netcdf4" if "_NCProperties" in attributes or dimensions else "hdf5"


def _top(file: Any) -> list[Any]:
    import h5py

    keys = [key for _, key in zip(range(1000), file, strict=False)]
    hard = [key for key in keys if isinstance(file.get(key, getlink=True), h5py.HardLink)]
    return [file[key] for key in hard]


def open_all(files: Sequence[tuple[Path, str]]) -> Source:
    """Open one or several files as one source; with several, every array is called ``FILE: ARRAY``.

    Parameters
    ----------
    files : sequence of (Path, str)
        Where each lies, and what it is called.

    Raises
    ------
    InputError
        When one of them is refused or damaged.
    """
    opened = [(name, _open(path, name)) for path, name in files]
    if any(isinstance(source, ImageSource) for _, source in opened):
        return _guarded(opened[0][0], lambda: volumes.joined(opened))
    for name, source in opened:
        if source.format == FORMATS["labels"].title:
            problem = f'"{shown(name)}" is JSON, which is read only as names of labels beside a brain image.'
            raise Refused(problem, "Add the image, or give responses in another format.")
    if len(opened) == 1:
        return opened[0][1]
    arrays: list[Array] = []
    places: dict[str, tuple[Source, str]] = {}
    notes: list[str] = []
    facts: dict[str, str] = {}
    for name, source in opened:
        for array in source.arrays:
            label = f"{shown(name)}: {array.name}"
            places[label] = (source, array.name)
            arrays.append(Array(label, array.shape, array.kind, array.dims, array.note))
        notes += [f"{shown(name)}: {note}" for note in source.notes]
        facts |= source.facts

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        source, own = places[label]
        return source.read(own, options)

    titles = dict.fromkeys(source.format for _, source in opened)
    return Source(" and ".join(titles), tuple(arrays), read, tuple(notes), facts, partial(_partner, places))


def _partner(places: Mapping[str, tuple[Source, str]], label: str, values: str) -> str:
    """Return the array called like ``label`` in the file of the values: every file names its own rows."""
    if label not in places or values not in places:
        return label
    beside = f"{values.removesuffix(places[values][1])}{places[label][1]}"
    return beside if beside in places else label


def _open(path: Path, name: str) -> Source:
    form = FORMATS[recognise(path, name)]
    source = _guarded(name, lambda: form.open(path, shown(name)))
    if not source.arrays:
        raise Refused(f'"{shown(name)}" holds no arrays that are read.', REFUSALS["unknown"][1])
    return source


def _guarded(name: str, make: Callable[[], Source]) -> Source:
    """Return what ``make`` gives; what a library makes of damaged bytes is its own affair."""
    try:
        return make()
    except (HomologError, MemoryError):
        raise
    except Exception as error:
        log.info("%s: %r", shown(name), error)
        raise damaged(shown(name)) from error


def look(files: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Tell what is in some files: JSON-ready, from their headers, with a guess of the recipe.

    Parameters
    ----------
    files : sequence of (path, name)

    Returns
    -------
    dict
        ``format``, ``notes``, ``arrays`` (name, shape, kind, dims, note) and ``recipe``.

    Raises
    ------
    InputError
        As `open_all`.
    """
    from dashboard.recordings.guesses import guess

    source = open_all([(Path(path), name) for path, name in files])
    return {
        "format": source.format,
        "notes": list(source.notes),
        "arrays": [
            {
                "name": a.name,
                "shape": list(a.shape),
                "kind": a.kind,
                "dims": list(a.dims),
                "note": shown(a.note),
            }
            for a in source.arrays
        ],
        "recipe": guess(source).to_dict(),
    }
