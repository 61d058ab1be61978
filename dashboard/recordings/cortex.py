"""The cortical surface fsaverage5 as nilearn brings it, and regions of it: those it brings, or a label file.

fsaverage is the average of 40 human brains (Fischl et al., 1999, Human Brain Mapping 8, 272-284); version 5
has 10,242 vertices per hemisphere, which are the first 10,242 of the finer ones.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dashboard.errors import ComputeError, InputError, caution, listing
from dashboard.recordings.readers.nifti import inflated
from dashboard.recordings.readers.source import Refused, damaged, shown

Hemisphere = Literal["left", "right"]
HEMISPHERES: tuple[Hemisphere, ...] = ("left", "right")
VERTICES = 10_242
FINER = (40_962, 163_842)
"""Vertices of fsaverage6 and fsaverage; the first 10,242 of them are those of fsaverage5."""

ENDINGS = ("annot", "label", "gii", "gii.gz", "csv")
MOST_BYTES = 64 * 2**20
MOST_REGIONS = 2000
RADIUS_MM = 10.0
"""Vertices within this distance of a centre of Dosenbach et al. belong to its region."""

Parcellation = Literal["folds", "centres"]
"""Regions that come along: folds of the cortex (Desikan et al.), or around centres (Dosenbach et al.)."""

TITLES: dict[Parcellation, str] = {
    "folds": "gyri and sulci of Desikan et al. (2006), NeuroImage 31, 968-980, as nilearn brings them for "
    "the left hemisphere; those of the right are their mirror image, turned until the sulci agree",
    "centres": "Dosenbach et al. (2010), Science 329, 1358-1361: vertices within 10 mm of its 160 centres",
}
MIRROR_RAD = (0.0783, 0.2180, -0.1839)
"""Rotation of the mirrored left sphere after which its sulcal depth correlates best with the right's (0.93).

The spheres of both hemispheres are turned so that like folds lie at unlike places; without the rotation the
correlation is 0.05.
"""
_BELOW = re.compile(r"cerebellum|thalamus|basal ganglia")
_SIDES: dict[Hemisphere, re.Pattern[str]] = {
    "left": re.compile(r"(^|[._-])(lh|left|l)([._-]|$)|hemi-l", re.I),
    "right": re.compile(r"(^|[._-])(rh|right|r)([._-]|$)|hemi-r", re.I),
}
_NOTHING = re.compile(r"^(\?+|unknown|medial[_ ]?wall|none|background|corpuscallosum)$", re.I)
_AGAIN = (
    "Give a FreeSurfer .annot or .label file, a GIFTI .label.gii, or a .csv with the columns vertex and "
    "region, of fsaverage5 or fsaverage."
)


@dataclass(frozen=True, eq=False)
class Mesh:
    """One hemisphere.

    Attributes
    ----------
    points : np.ndarray
        (10242, 3) millimetres, inflated; right, front and up are positive.
    faces : np.ndarray
        (20480, 3)
    sulcal : np.ndarray
        (10242,) depth: above 0 in sulci.
    """

    points: np.ndarray
    faces: np.ndarray
    sulcal: np.ndarray


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of both hemispheres.

    Attributes
    ----------
    title : str
        Where they come from.
    names : tuple of str
        (n_regions,) unique.
    place : dict
        By hemisphere: (10242,) int32, position in ``names``, -1 outside all regions.
    """

    title: str
    names: tuple[str, ...]
    place: dict[Hemisphere, np.ndarray]


@cache
def mesh(hemisphere: Hemisphere) -> Mesh:
    """Load the inflated surface of a hemisphere from the installed nilearn."""
    points, faces = _arrays(f"infl_{hemisphere}")
    (sulcal,) = _arrays(f"sulc_{hemisphere}")
    return Mesh(points.astype(np.float64), faces.astype(np.int64), sulcal.astype(np.float64))


def _folder() -> Path:
    found = importlib.util.find_spec("nilearn")  # finding it is faster than importing it
    if found is None or found.origin is None:
        message = "The cortical surface is not here: nilearn is not installed."
        raise ComputeError(message, "Install what requirements.txt names.")
    return Path(found.origin).parent


def _arrays(name: str) -> list[np.ndarray]:
    import nibabel

    image: Any = nibabel.load(_folder() / "datasets" / "data" / "fsaverage5" / f"{name}.gii.gz")
    return [np.asarray(array.data) for array in image.darrays]


# --- regions ---------------------------------------------------------------------------------------


def regions(reference: str, parcellation: Parcellation = "folds") -> Regions:
    """Return the regions of an upload, or (of ``""``) those that come along.

    Raises
    ------
    InputError
        When a file is refused, or is of another surface.
    """
    if not reference:
        return _folds() if parcellation == "folds" else _centres()
    from dashboard import guarded, kept

    found = kept.opened(reference)
    files = [[str(file.checked()), file.name] for file in found.files]
    read = guarded.call("dashboard.recordings.cortex:read", files, name=found.files[0].name)
    place = {side: np.array(read["place"][side], dtype=np.int32) for side in HEMISPHERES}
    return Regions(", ".join(shown(f.name) for f in found.files), tuple(read["names"]), place)


def look(reference: str) -> dict[str, Any]:
    """Tell which regions the files of an upload have."""
    found = regions(reference)
    return {"regions": list(found.names), "title": found.title}


@cache
def _folds() -> Regions:
    """Return the folds that nilearn has for one hemisphere, on both; without them, the centres."""
    path = _folder() / "surface" / "tests" / "data" / "test.annot"
    try:
        found = _annot(path.read_bytes(), path.name)
    except (OSError, InputError):
        caution("no-folds", "The installed nilearn brings no folds of the cortex: the centres are drawn.")
        return _centres()
    left = np.full(VERTICES, -1, dtype=np.int32)
    for k, (_, vertices) in enumerate(found):
        left[vertices] = k
    names = tuple(name for name, _ in found)
    return Regions(TITLES["folds"], names, {"left": left, "right": left[mirrored()]})


def mirrored() -> np.ndarray:
    """Return the vertex of the left hemisphere that lies where each of the right does: (10242,)."""
    left = (_arrays("sphere_left")[0] * [-1, 1, 1]) @ _turn(np.array(MIRROR_RAD)).T
    right = _arrays("sphere_right")[0].astype(np.float32)
    # On a sphere the nearest is what has the largest inner product; vertices lie millimetres apart.
    across = np.ascontiguousarray(left.T, dtype=np.float32)
    parts = [(part @ across).argmax(axis=1) for part in np.array_split(right, 32)]
    return np.concatenate(parts)


def _turn(vector: np.ndarray) -> np.ndarray:
    """Return the matrix of a rotation by the length of a vector around it, Rodrigues' formula: (3, 3)."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across)


@cache
def _centres() -> Regions:
    with (_folder() / "datasets" / "data" / "dosenbach_2010.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not _BELOW.search(row["name"])]
    names = tuple(sorted({row["name"] for row in rows}, key=str.casefold))
    centres = np.array([[float(row[axis]) for axis in "xyz"] for row in rows])
    which = np.array([names.index(row["name"]) for row in rows], dtype=np.int32)
    place = {}
    for side in HEMISPHERES:
        middle = (_arrays(f"pial_{side}")[0] + _arrays(f"white_{side}")[0]) / 2.0
        own = np.flatnonzero(centres[:, 0] < 0 if side == "left" else centres[:, 0] >= 0)
        distance = np.linalg.norm(middle[:, None] - centres[own][None], axis=2)
        nearest = own[distance.argmin(axis=1)]
        place[side] = np.where(distance.min(axis=1) <= RADIUS_MM, which[nearest], -1).astype(np.int32)
    return Regions(TITLES["centres"], names, place)


# --- label files, read in a process of its own ---------------------------------------------------------


def read(files: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Read label files: JSON-ready names and, by hemisphere, the position of each vertex in them.

    Parameters
    ----------
    files : sequence of (path, name)

    Raises
    ------
    InputError
        When a file is none, damaged, of another surface, or names no hemisphere.
    """
    names: list[str] = []
    place = {side: np.full(VERTICES, -1, dtype=np.int32) for side in HEMISPHERES}
    for path, name in files:
        for side, region, vertices in _sided(Path(path), name):
            if region not in names:
                names.append(region)
            taken = place[side][vertices] >= 0
            if taken.any():
                message = (
                    f'{region} of "{shown(name)}" overlaps another region in {int(taken.sum())} vertices.'
                )
                raise InputError(message, "Give regions that do not overlap, or one of them at a time.")
            place[side][vertices] = names.index(region)
    if not names:
        message = f"{listing(shown(name) for _, name in files)} mark no region."
        raise InputError(message, _AGAIN)
    if len(names) > MOST_REGIONS:
        raise InputError(f"There are {len(names):,} regions.", f"The limit is {MOST_REGIONS:,}.")
    return {"names": names, "place": {side: found.tolist() for side, found in place.items()}}


def _sided(path: Path, name: str) -> list[tuple[Hemisphere, str, np.ndarray]]:
    """Return the regions of one file: hemisphere, name and vertices."""
    data = _bytes(path, shown(name))
    if name.lower().endswith(".csv"):
        return _table(data, name)
    side = _side(name)
    return [(side, region, vertices) for region, vertices in _read(data, shown(name))]


def _side(name: str) -> Hemisphere:
    found = [side for side, pattern in _SIDES.items() if pattern.search(name)]
    if len(found) != 1:
        message = f'The name of "{shown(name)}" does not say which hemisphere it is of.'
        raise InputError(message, "Call it as FreeSurfer does, such as lh.aparc.annot and rh.aparc.annot.")
    return found[0]


def _bytes(path: Path, name: str) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Refused(f'"{name}" has {size / 2**20:,.0f} MB.', f"The limit is {MOST_BYTES // 2**20} MB.")
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    data = inflated(path, MOST_BYTES + 1, name) if packed else path.read_bytes()
    if len(data) > MOST_BYTES:
        raise Refused(f'"{name}" unpacks to too much.', f"The limit is {MOST_BYTES // 2**20} MB.")
    return data


def _read(data: bytes, name: str) -> list[tuple[str, np.ndarray]]:
    """Return the regions of one file of a hemisphere: name and vertices."""
    low = name.lower()
    if low.endswith(".label"):
        return _label(data, name)
    if low.endswith((".gii", ".gii.gz")):
        return _gifti(data, name)
    if low.endswith(".annot"):
        return _annot(data, name)
    raise Refused(f'"{name}" is no file of labels that is read.', _AGAIN)


def _table(data: bytes, name: str) -> list[tuple[Hemisphere, str, np.ndarray]]:
    """Read a table with a row per vertex; its hemisphere is in a column, or in the name of the file."""
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True))
        found: dict[tuple[Hemisphere, str], list[int]] = {}
        for row in rows:
            side = _side(f"{row['hemisphere'].strip()}.csv" if "hemisphere" in row else name)
            if region := row["region"].strip():
                found.setdefault((side, _region(region)), []).append(int(row["vertex"]))
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError, AttributeError, TypeError) as error:
        message = f'"{shown(name)}" is no table with the columns vertex (a whole number) and region.'
        raise InputError(
            message, "Its first line names them; a column hemisphere says left or right."
        ) from error
    marked = [
        (side, region, np.array(vertices))
        for (side, region), vertices in found.items()
        if not _NOTHING.match(region)
    ]
    for _, _, vertices in marked:
        if not 0 <= vertices.min() <= vertices.max() < max(FINER):
            raise _foreign(shown(name), int(vertices.max()) + 1)
    _tell_finer(shown(name), any((vertices >= VERTICES).any() for _, _, vertices in marked))
    return [(side, region, np.unique(v[v < VERTICES])) for side, region, v in marked]


def _label(data: bytes, name: str) -> list[tuple[str, np.ndarray]]:
    """Read a FreeSurfer label: a count, then a vertex, its place and a value per line."""
    lines = data.decode("ascii", "replace").splitlines()
    try:
        count = int(lines[1])
        vertices = np.array([int(line.split()[0]) for line in lines[2 : 2 + count]], dtype=np.int64)
    except (IndexError, ValueError) as error:
        raise damaged(name) from error
    if not lines[0].startswith("#!ascii") or len(vertices) != count:
        raise damaged(name)
    if count and not 0 <= vertices.min() <= vertices.max() < max(FINER):
        raise _foreign(name, int(vertices.max()) + 1)
    kept = np.unique(vertices[vertices < VERTICES])
    _tell_finer(name, len(kept) < len(vertices))
    region = re.sub(r"^(lh|rh)\.", "", name.rpartition(".")[0], flags=re.I)
    return [(_region(region), kept)]


def _annot(data: bytes, name: str) -> list[tuple[str, np.ndarray]]:
    """Read a FreeSurfer annotation, a colour per vertex and names of colours, trusting no count in it."""
    count = int.from_bytes(data[:4], "big")
    if count != VERTICES and count not in FINER:
        raise _foreign(name, count)
    start = 4 + 8 * count
    try:
        pairs = np.frombuffer(data, ">i4", 2 * count, offset=4).reshape(count, 2)
        if struct.unpack_from(">i", data, start)[0] != 1 or not np.array_equal(pairs[:, 0], np.arange(count)):
            raise damaged(name)
        words = _colour_table(data, start + 4)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise damaged(name) from error
    return _named(pairs[:, 1], words, name)


def _colour_table(data: bytes, place: int) -> dict[int, str]:
    """Return name by colour, packed as in the annotation; both versions of the table."""

    def number() -> int:
        nonlocal place
        place += 4
        return int(struct.unpack_from(">i", data, place - 4)[0])

    def text() -> str:
        nonlocal place
        length = number()
        if not 0 <= length <= len(data) - place:
            raise ValueError(length)
        place += length
        return data[place - length : place].rstrip(b"\0").decode()

    count = number()
    newer = count < 0  # then it is minus the version
    if newer:
        number()
    text()  # where the table came from
    if newer:
        count = number()
    words = {}
    for _ in range(min(count, MOST_REGIONS + 1)):
        if newer:
            number()
        word = text()
        red, green, blue, _ = (number() for _ in range(4))
        words[red + (green << 8) + (blue << 16)] = word
    return words


def _gifti(data: bytes, name: str) -> list[tuple[str, np.ndarray]]:
    """Read a GIFTI label file; what points to another file or defines entities is refused."""
    from nibabel import GiftiImage

    if b"ExternalFileBinary" in data or b"<!ENTITY" in data:
        raise Refused(f'"{name}" points to another file.', "Save it with the data inside.")
    try:
        image = GiftiImage.from_bytes(data)
        arrays = image.darrays
        words = image.labeltable.get_labels_as_dict()
        labels = np.asarray(arrays[0].data) if arrays else np.empty(0)
    except MemoryError:
        raise
    except Exception as error:  # the library and its parser raise many kinds on damaged files
        raise damaged(name) from error
    if len(arrays) != 1 or labels.ndim != 1 or labels.dtype.kind not in "iu" or not words:
        message = f'"{name}" holds no table of labels with one label per vertex.'
        raise InputError(message, _AGAIN)
    return _named(labels, {int(k): str(v) for k, v in words.items()}, name)


def _named(labels: np.ndarray, words: dict[int, str], name: str) -> list[tuple[str, np.ndarray]]:
    if len(labels) != VERTICES and len(labels) not in FINER:
        raise _foreign(name, len(labels))
    _tell_finer(name, len(labels) > VERTICES)
    labels = labels[:VERTICES]
    found: dict[str, list[np.ndarray]] = {}
    for label, word in words.items():
        vertices = np.flatnonzero(labels == label)
        if len(vertices) and word.strip() and not _NOTHING.match(word.strip()):
            found.setdefault(_region(word), []).append(vertices)
    return [(word, np.concatenate(parts)) for word, parts in found.items()]


def _region(word: str) -> str:
    """Return the name of a region without its hemisphere, so that both sides have one name."""
    bare = re.sub(r"^(lh|rh|l|r|left|right)[._]|_ROI$", "", shown(word.strip(), 60), flags=re.I)
    return bare or shown(word, 60)


def _foreign(name: str, count: int) -> InputError:
    message = f'"{name}" is of a surface with {count:,} vertices, and fsaverage5 has {VERTICES:,}.'
    return InputError(message, "Bring it to fsaverage first, for instance with FreeSurfer's mri_surf2surf.")


def _tell_finer(name: str, finer: bool) -> None:
    if finer:
        caution(
            "finer-surface",
            f'"{name}" is of a finer fsaverage: its first {VERTICES:,} vertices, as in fsaverage5, are used.',
        )
