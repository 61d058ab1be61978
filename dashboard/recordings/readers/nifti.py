"""NIfTI images, ``.nii`` and ``.nii.gz``: the header first, then no more bytes than it declares."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import InputError
from dashboard.recordings.readers.source import (
    Array,
    Refused,
    Source,
    check_size,
    damaged,
    kind_of,
    shown,
    texts,
)

ENDINGS = (".nii.gz", ".nii")
MOST_LABELS = 4096
"""Most entries of a file with names of labels, and most areas of a label image."""

_HEADER = {1: 348, 2: 540}
_MOST_OFFSET = 2**20  # extensions between header and data; they are skipped, never read
_SLACK = 2**16  # what may follow the data
_PIECE = 2**20
_BLOCK = 64 * 2**20
_AGAIN = "Save it again as one .nii or .nii.gz file, as nibabel does."


@dataclass(frozen=True)
class Image:
    """A NIfTI file of which only the header was read.

    Attributes
    ----------
    name : str
        What it is called.
    shape : tuple of int
        Voxels along the three axes of space.
    volumes : int
        Images one after the other; 1 for a map or labels.
    affine : np.ndarray
        (4, 4) from voxel indices to millimetres.
    seconds : float
        Time from one volume to the next where the header gives one in seconds, else 0.
    """

    name: str
    path: Path
    packed: bool
    dtype: np.dtype
    offset: int
    slope: float
    inter: float
    shape: tuple[int, int, int]
    volumes: int
    affine: np.ndarray
    seconds: float

    @property
    def stem(self) -> str:
        """The name without its ending."""
        low = self.name.lower()
        return next((self.name[: -len(e)] for e in ENDINGS if low.endswith(e)), self.name)

    @property
    def grid_text(self) -> str:
        """The grid as people write it: ``10 × 12 × 8 voxels of 2 × 2 × 2 mm``."""
        sides = np.linalg.norm(self.affine[:3, :3], axis=0)
        return f"{' × '.join(map(str, self.shape))} voxels of {' × '.join(f'{s:.3g}' for s in sides)} mm"

    def blocks(self) -> Iterator[np.ndarray]:
        """Give the volumes, a block at a time: (x, y, z, n) float64, n so that a block stays small.

        Raises
        ------
        InputError
            When the file ends early, or holds more than its header declares.
        """
        per_volume = int(np.prod(self.shape))
        raw = np.frombuffer(self._bytes(per_volume * self.volumes * self.dtype.itemsize), dtype=self.dtype)
        step = max(1, _BLOCK // (8 * per_volume))
        for start in range(0, self.volumes, step):
            stop = min(start + step, self.volumes)
            flat = raw[start * per_volume : stop * per_volume]
            values = flat.reshape(*self.shape, stop - start, order="F").astype(np.float64)
            if (self.slope, self.inter) != (1.0, 0.0):
                with np.errstate(over="ignore", invalid="ignore"):
                    values = values * self.slope + self.inter
            yield values

    def volume(self) -> np.ndarray:
        """Return the only volume of a map: (x, y, z) float64."""
        return next(self.blocks())[..., 0]

    def _bytes(self, n: int) -> bytes:
        if not self.packed:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(n)
        else:
            data = inflated(self.path, self.offset + n, self.name, whole=True)[self.offset :]
        if len(data) < n:
            raise damaged(self.name)
        return data


def inflated(path: Path, n: int, name: str, *, whole: bool = False) -> bytes:
    """Unpack the first ``n`` bytes of a gzip file, in pieces.

    Parameters
    ----------
    path : Path
    n : int
        Bytes to unpack; the rest is not.
    name : str
        For messages.
    whole : bool
        Check that the file ends there, with its checksum, give or take 64 kB.

    Raises
    ------
    InputError
        When it is damaged, or (with ``whole``) goes on.
    """
    most = n + _SLACK if whole else n
    found = bytearray()
    inflater, ended = zlib.decompressobj(31), False
    try:
        with path.open("rb") as file:
            rest = file.read(_PIECE)
            while rest and len(found) <= most:
                found += inflater.decompress(rest, min(_PIECE, most + 1 - len(found)))
                rest, ended = inflater.unconsumed_tail, inflater.eof
                if ended:  # another member may follow, as block compressors write them
                    rest, inflater = inflater.unused_data, zlib.decompressobj(31)
                rest = rest or file.read(_PIECE)
    except zlib.error as error:
        raise damaged(name) from error
    if whole and len(found) > most:
        message = f'"{name}" unpacks to more than its header declares.'
        raise Refused(message, _AGAIN)
    if whole and not ended:
        raise damaged(name)
    return bytes(found[:n])


def packed_kind(path: Path, name: str) -> bool:
    """Tell whether a gzip file holds a NIfTI image, by its first bytes.

    Raises
    ------
    InputError
        When it is called ``.nii.gz`` and cannot be unpacked.
    """
    try:
        return is_nifti(inflated(path, 4, name))
    except InputError:
        if name.lower().endswith(".nii.gz"):
            raise
        return False


def is_nifti(head: bytes) -> bool:
    """Tell by the size of the header, in either byte order."""
    return _version(head) > 0


def _version(head: bytes) -> int:
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    return next((version for version, size in _HEADER.items() if size in sizes), 0)


# --- the header ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageSource(Source):
    """A source that is one image; `volumes.joined` makes responses of several."""

    image: Image | None = None


def open_nifti(path: Path, name: str) -> ImageSource:
    """Look at the header of a NIfTI file.

    Raises
    ------
    InputError
        When it is damaged, one half of a pair, of an odd kind, or would take too much.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        head = inflated(path, max(_HEADER.values()), name)
    else:
        with path.open("rb") as file:
            head = file.read(max(_HEADER.values()))
    image = _image(path, name, packed, head)
    array = Array("image", (*image.shape, image.volumes), kind_of(image.dtype), ("x", "y", "z", "volume"))

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        return np.concatenate(list(image.blocks()), axis=3)

    return ImageSource("NIfTI image", (array,), read, image=image)


def _image(path: Path, name: str, packed: bool, head: bytes) -> Image:
    version = _version(head)
    if len(head) < _HEADER[version]:
        raise damaged(name)
    magic = head[344:348] if version == 1 else head[4:8]
    if version == 1 and magic not in (b"n+1\0", b"ni1\0") or magic in (b"ni1\0", b"ni2\0"):
        message = f'"{name}" is a brain image of the ANALYZE kind, or one half of a pair of files.'
        raise Refused(message, _AGAIN)
    facts = _parsed(head[: _HEADER[version]], version, name)
    dtype, dims = facts["dtype"], facts["dims"]
    if kind_of(dtype) == "complex":
        raise InputError(f'"{name}" holds complex numbers.', "Save their absolute values or real parts.")
    if kind_of(dtype) != "number":
        raise InputError(f'"{name}" holds colours, not one number per voxel.', "Use the image of numbers.")
    shape, volumes = _counts(dims, name)
    check_size((*shape, volumes), dtype.itemsize, "the image", name)
    affine = facts["affine"]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        message = f'The header of "{name}" gives no usable place in space (affine).'
        raise InputError(message, _AGAIN)
    if not _HEADER[version] <= facts["offset"] <= _MOST_OFFSET:
        raise damaged(name)
    image = Image(name, path, packed, shape=shape, volumes=volumes, **_but(facts, "dims"))
    if not packed and path.stat().st_size < image.offset + dtype.itemsize * volumes * int(np.prod(shape)):
        raise damaged(name)
    return image


def _but(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


def _parsed(head: bytes, version: int, name: str) -> dict[str, Any]:
    """Return what a header says, as nibabel understands it; extensions are not looked at."""
    from nibabel.nifti1 import Nifti1Header  # here, because it takes half a second
    from nibabel.nifti2 import Nifti2Header

    try:
        header = (Nifti1Header if version == 1 else Nifti2Header)(head, check=False)
        slope, inter = header.get_slope_inter()
        seconds = float(header["pixdim"][4]) if header.get_xyzt_units()[1] == "sec" else 0.0
        facts = {
            "dtype": header.get_data_dtype(),
            "dims": tuple(int(n) for n in header.get_data_shape()),
            "affine": np.asarray(header.get_best_affine(), dtype=np.float64),
            "offset": int(header["vox_offset"]),
            "slope": 1.0 if slope is None else float(slope),
            "inter": 0.0 if inter is None else float(inter),
            "seconds": seconds if np.isfinite(seconds) else 0.0,
        }
    except Exception as error:  # the library raises many kinds on odd headers
        raise damaged(name) from error
    if not np.isfinite([facts["slope"], facts["inter"]]).all():
        raise damaged(name)
    return facts


def _counts(dims: tuple[int, ...], name: str) -> tuple[tuple[int, int, int], int]:
    """Return voxels by axis and the number of volumes; axes of length 1 beyond space count for nothing."""
    beyond = [n for n in dims[3:] if n != 1]
    if len(dims) < 3 or min(dims) < 1 or len(beyond) > 1:
        message = f'"{name}" has the shape {" × ".join(map(str, dims)) or "0"}.'
        raise InputError(message, "Give an image with three axes of space, and at most one of volumes.")
    return (dims[0], dims[1], dims[2]), beyond[0] if beyond else 1


# --- names of labels -------------------------------------------------------------------------------


def open_labels(path: Path, name: str) -> Source:
    """Open JSON that names labels: ``{"1": "V1"}``, ``{"V1": 1}`` or a list from label 0 on.

    Raises
    ------
    InputError
        When it is something else.
    """
    wrong = InputError(
        f'"{name}" does not name the labels of an image.', 'Give JSON such as {"1": "V1", "2": "V4"}.'
    )
    if path.stat().st_size > 2**20:
        raise wrong
    try:
        given = json.load(io.StringIO(path.read_text("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        raise wrong from error
    pairs = dict(_pairs(given))
    if not pairs or len(pairs) > MOST_LABELS:
        raise wrong
    columns = {
        "index": np.array(list(pairs), dtype=np.float64),
        "name": texts(np.array(list(pairs.values()), dtype=object)),
    }
    arrays = (Array("index", (len(pairs),), "number"), Array("name", (len(pairs),), "text"))
    return Source("Names of labels", arrays, lambda label, _: columns[label])


def _pairs(given: Any) -> Iterator[tuple[int, str]]:
    """Give label and name of every entry that is a pair of both."""
    items = list(enumerate(given)) if isinstance(given, list) else []
    if isinstance(given, dict):
        items = list(given.items())
    for one, other in items:
        index, name = (one, other) if isinstance(other, str) else (other, one)
        if isinstance(name, str) and name.strip() and re.fullmatch(r"\d{1,9}", str(index)):
            yield int(index), shown(name.strip(), 60)
