"""Brain images with a mask or labels, and tables beside them, become responses: volumes × voxels by area."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.errors import InputError, caution, listing
from dashboard.recordings.readers.nifti import MOST_LABELS, Image, ImageSource
from dashboard.recordings.readers.source import Array, Refused, Source, check_size, shown, texts
from dashboard.stimuli.sets import natural

RESPONSES, AREA, RUN, FILE = "responses", "area", "run", "file"
ALL_VOXELS = "all voxels"

_SUBJECT = re.compile(r"(?:^|_)(sub-[A-Za-z0-9]+)")
_RUN = re.compile(r"_(run-[A-Za-z0-9]+)")
_LABEL = re.compile(r"_(?:label|roi)-([A-Za-z0-9]+)", re.I)
_PLAIN_MASK = re.compile(r"(^|[_.-])(brain[_-]?)?mask$", re.I)
_INDEX = re.compile(r"^(index|label|id|value)$", re.I)
_NAME = re.compile(r"^(name|region|area|roi|structure)", re.I)
_TABLES = ("CSV", "Parquet", "Names of labels")
_SHIFT = 1e-3
"""Millimetres by which two grids may differ and still be one."""


@dataclass(frozen=True, eq=False)
class Labels:
    """A mask or label image.

    Attributes
    ----------
    image : Image
    values : np.ndarray
        (x, y, z) int64, 0 where nothing is.
    names : dict
        Name of the area by label.
    """

    image: Image
    values: np.ndarray
    names: dict[int, str]


@dataclass(frozen=True, eq=False)
class Subject:
    """The images of one subject.

    Attributes
    ----------
    name : str
        As in the names of the files, such as ``sub-01``; ``""`` where they say none.
    images : tuple of Image
        In the order in which their volumes are joined.
    labels : tuple of Labels
    columns : dict
        Facts about the volumes by name: (n_volumes,).
    """

    name: str
    images: tuple[Image, ...]
    labels: tuple[Labels, ...]
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_volumes(self) -> int:
        """Volumes of all images."""
        return sum(image.volumes for image in self.images)


def joined(opened: Sequence[tuple[str, Source]]) -> Source:
    """Make one source of images, masks or labels, and tables.

    Parameters
    ----------
    opened : sequence of (str, Source)
        Name and content of each file; one of them at least is an image.

    Raises
    ------
    InputError
        When there are no responses, no voxels, or tables do not fit; it names the file.
    """
    images = [source.image for _, source in opened if isinstance(source, ImageSource) and source.image]
    others = [(name, source) for name, source in opened if not isinstance(source, ImageSource)]
    wrong = [name for name, source in others if not source.format.startswith(_TABLES)]
    if wrong:
        message = f'"{shown(wrong[0])}" is no table, and cannot be read together with brain images.'
        raise InputError(message, "Give a CSV or TSV with one row per volume, or leave it out.")
    notes = [f"{shown(name)}: {note}" for name, source in others for note in source.notes]
    named, tables = _sorted_tables(others, notes)
    masks, responses = _sorted_images(sorted(images, key=lambda i: natural(i.name)), named, notes)
    subjects = _subjects(responses, masks, tables)
    return _source(subjects, tuple(notes))


# --- what is what ----------------------------------------------------------------------------------


def _sorted_tables(
    others: Sequence[tuple[str, Source]], notes: list[str]
) -> tuple[dict[int, str], list[tuple[str, Source]]]:
    """Return the names of labels, and the tables about volumes; tables about people are left out."""
    named: dict[int, str] = {}
    tables = []
    for name, source in others:
        columns = {a.name: a.kind for a in source.arrays if len(a.shape) == 1}
        index = next((c for c, kind in columns.items() if _INDEX.search(c) and kind == "number"), "")
        text = next((c for c, kind in columns.items() if _NAME.search(c) and kind == "text"), "")
        if index and text and not any(c in columns for c in ("onset", "trial_type")):
            named |= _label_names(source, index, text, name)
        elif re.search(r"(^|_)participants\.", name):
            notes.append(f"{shown(name)} is about people, not volumes, and is left out.")
        else:
            tables.append((name, source))
    return named, tables


def _label_names(source: Source, index: str, text: str, name: str) -> dict[int, str]:
    numbers, words = source.read(index, {}), source.read(text, {})
    bad = [i for i, n in enumerate(numbers, 1) if not (np.isfinite(n) and float(n).is_integer() and n >= 0)]
    if bad:
        message = f'"{shown(name)}" has no whole number as label in row {listing(map(str, bad))}.'
        raise InputError(message, f'Give a number per area in the column "{shown(index, 40)}".')
    twice = len(set(numbers.tolist())) < len(numbers)
    if twice or len(numbers) > MOST_LABELS:
        message = f'"{shown(name)}" names {"a label twice" if twice else f"{len(numbers):,} labels"}.'
        raise InputError(message, f"Give each of at most {MOST_LABELS:,} labels one row.")
    return {int(n): shown(str(w), 60) for n, w in zip(numbers, words, strict=True)}


def _sorted_images(
    images: Sequence[Image], named: Mapping[int, str], notes: list[str]
) -> tuple[list[Labels], list[Image]]:
    """Return masks and label images (whole numbers, one volume), and images of responses."""
    masks, responses = [], []
    for image in images:
        values = image.volume() if image.volumes == 1 else None
        whole = None if values is None else _whole(values)
        if whole is None:
            responses.append(image)
        else:
            masks.append(Labels(image, whole, _area_names(image, whole, named, notes)))
    if not responses:
        message = f"{listing(shown(i.name) for i in images)} {'hold' if len(images) > 1 else 'holds'} labels."
        raise InputError(message, "Add the responses: a 4-D image, or one map per stimulus.")
    for image in responses:
        if image.volumes > 1 and image.seconds > 0:
            notes.append(
                f"The volumes of {shown(image.name)} are {image.seconds:g} s apart, so it may be a raw time "
                "series: each volume is taken for the response to one stimulus, which only estimates (betas) "
                "are."
            )
    return masks, responses


def _whole(values: np.ndarray) -> np.ndarray | None:
    """Return labels as int64 where a map holds nothing but whole numbers from 0; missing ones are 0."""
    values = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
    if values.min() < 0 or values.max() >= 2**31 or (values != np.floor(values)).any():
        return None
    return values.astype(np.int64)


def _area_names(
    image: Image, values: np.ndarray, named: Mapping[int, str], notes: list[str]
) -> dict[int, str]:
    """Return the area of each label that has voxels; names without voxels are told."""
    labels = [int(v) for v in np.unique(values) if v]
    if not labels:
        message = f'"{shown(image.name)}" is 0 in every voxel, so it marks no area.'
        raise InputError(message, "Give a mask with 1 in the voxels that count, or a number per area.")
    if len(labels) > MOST_LABELS:
        message = f'"{shown(image.name)}" holds {len(labels):,} different whole numbers.'
        raise InputError(message, f"The limit is {MOST_LABELS:,}; save responses as a 4-D image.")
    if labels == [1] and 1 not in named:
        return {1: _mask_name(image)}
    empty = [name for label, name in named.items() if label and label not in labels]
    if empty:
        notes.append(f"{shown(image.name)} has no voxels of {listing(empty, 6)}.")
    unnamed = [label for label in labels if label not in named]
    if unnamed:
        notes.append(
            f"Nothing names {len(unnamed)} labels of {shown(image.name)}: they are called by their number."
        )
    return {label: named.get(label, f"label {label}") for label in labels}


def _mask_name(image: Image) -> str:
    """Return the area that a mask is of, from its name."""
    entity = _LABEL.search(image.stem)
    if entity:
        return entity[1]
    bare = _SUBJECT.sub("", image.stem).strip("_")
    return "masked voxels" if _PLAIN_MASK.search(bare) or not bare else shown(bare, 60)


def _subject_of(name: str) -> str:
    found = _SUBJECT.search(name)
    return found[1] if found else ""


def _subjects(
    responses: Sequence[Image], masks: Sequence[Labels], tables: Sequence[tuple[str, Source]]
) -> list[Subject]:
    """Gather images, masks and tables by the subject in the names of the files."""
    found = []
    names = list(dict.fromkeys(_subject_of(image.name) for image in responses))
    for name in names:
        images = tuple(image for image in responses if _subject_of(image.name) == name)
        labels = tuple(m for m in masks if _subject_of(m.image.name) in ("", name) or len(names) == 1)
        own = [t for t in tables if _subject_of(t[0]) in ("", name) or len(names) == 1]
        if masks and not labels:
            message = f"No mask or label image is of {name or shown(images[0].name)}."
            raise InputError(message, "Give one per subject, or one for all without a subject in its name.")
        _check_grid(images)
        found.append(Subject(name, images, labels, _columns(images, own)))
    return found


def _check_grid(images: Sequence[Image]) -> None:
    for image in images[1:]:
        if not same_grid(image, images[0]):
            message = (
                f'"{shown(image.name)}" ({image.grid_text}) and "{shown(images[0].name)}" '
                f"({images[0].grid_text}) do not lie on one grid."
            )
            raise InputError(message, "Resample responses where they were made; here it would blur them.")


def same_grid(one: Image, other: Image) -> bool:
    """Tell whether two images have the same voxels in the same places, to a thousandth of a millimetre."""
    if one.shape != other.shape:
        return False
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*one.shape, 1]
    return bool(np.abs((one.affine - other.affine) @ corners.T).max() <= _SHIFT)


# --- tables about volumes --------------------------------------------------------------------------


def _columns(images: Sequence[Image], tables: Sequence[tuple[str, Source]]) -> dict[str, np.ndarray]:
    """Return the facts about the volumes of a subject: (n_volumes,) each."""
    counts = [image.volumes for image in images]
    columns: dict[str, np.ndarray] = {}
    if max(counts) == 1:
        columns[FILE] = _repeated([image.stem for image in images], counts)
    elif len(images) > 1:
        columns[RUN] = _repeated([_run_of(image) for image in images], counts)
    parts = sorted(tables, key=lambda t: natural(t[0]))
    rows = [_rows(source) for _, source in parts]
    if rows == counts and len(rows) > 1:
        return columns | _stacked([_cells(source) for _, source in parts])
    for (name, source), n in zip(parts, rows, strict=True):
        cells = _cells(source)
        if n == sum(counts):
            columns |= cells
        elif set(counts) == {n}:
            columns |= _stacked([cells] * len(counts))
        else:
            message = f'"{shown(name)}" has {n} rows for {sum(counts)} volumes of {_called(images)}.'
            raise InputError(message, "Give one row per volume, in their order.")
    return columns


def _run_of(image: Image) -> str:
    found = _RUN.search(image.stem)
    return found[1] if found else shown(image.stem, 60)


def _called(images: Sequence[Image]) -> str:
    return listing(f'"{shown(image.name)}"' for image in images)


def _rows(source: Source) -> int:
    return source.arrays[0].shape[0]


def _cells(source: Source) -> dict[str, np.ndarray]:
    return {a.name: source.read(a.name, {}) for a in source.arrays if len(a.shape) == 1}


def _stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join the columns that all parts have, one part after the other; as texts where one part has texts."""
    found = {}
    for name in parts[0]:
        if all(name in part for part in parts):
            columns = [part[name] for part in parts]
            mixed = len({column.dtype == object for column in columns}) > 1
            found[name] = np.concatenate([_worded(c) if mixed else c for c in columns])
    return found


def _worded(column: np.ndarray) -> np.ndarray:
    if column.dtype == object:
        return column
    return texts(np.array(["n/a" if np.isnan(v) else f"{v:.10g}" for v in column], dtype=object))


def _repeated(words: Sequence[str], counts: Sequence[int]) -> np.ndarray:
    return texts(np.array([w for w, n in zip(words, counts, strict=True) for _ in range(n)], dtype=object))


# --- responses -------------------------------------------------------------------------------------


def _source(subjects: Sequence[Subject], notes: tuple[str, ...]) -> Source:
    """Return the source of what was gathered; with several subjects, one array each."""
    names = [subject.name or RESPONSES for subject in subjects] if len(subjects) > 1 else [RESPONSES]
    by_name = dict(zip(names, subjects, strict=True))
    voxels = {name: _places(subject) for name, subject in by_name.items()}
    arrays: list[Array] = []
    partners: dict[tuple[str, str], str] = {}
    values: dict[str, np.ndarray] = {}
    for name, subject in by_name.items():
        counts = (subject.n_volumes, sum(map(len, voxels[name].values())))
        check_size(counts, 8, name, subject.images[0].name)
        n = len(subject.images)
        text = f"{n} {'image' if n == 1 else 'images'}, {listing(voxels[name], 6)}"
        arrays.append(Array(name, counts, "number", ("volume", "voxel"), text))
    for name, subject in by_name.items():
        for label, column in _beside(subject, voxels[name]).items():
            own = label if name == names[0] else f"{label} of {name}"
            partners[label, name] = own
            values[own] = column
            note = ", ".join(shown(v, 20) for v in column[:3])
            arrays.append(Array(own, column.shape, "text" if column.dtype == object else "number", (), note))

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        if label in values:
            column = values[label]
            return _worded(column) if options.get("text") else column
        _decided(by_name[label], options)
        return _responses(by_name[label], voxels[label])

    moved = _moved(by_name.values())
    told = [f"{_apart(*pair)}." for pair in moved]
    return Source(
        "NIfTI images",
        tuple(arrays),
        read,
        (*notes, *told),
        partner=lambda label, name: partners.get((label, name), label),
    )


def _beside(subject: Subject, places: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what stands beside the responses: facts about volumes, maps by file name, area of each voxel."""
    found = dict(subject.columns)
    if subject.labels:
        areas = [name for name, voxels in places.items() for _ in range(len(voxels))]
        found[AREA] = texts(np.array(areas, dtype=object))
    return found


def _moved(subjects: Any) -> list[tuple[Labels, Image]]:
    """Return the label images that do not lie on the grid of their responses."""
    pairs = [(labels, s.images[0]) for s in subjects for labels in s.labels]
    return [(labels, image) for labels, image in pairs if not same_grid(labels.image, image)]


def _apart(labels: Labels, image: Image) -> str:
    return (
        f'"{shown(labels.image.name)}" ({labels.image.grid_text}) does not lie on the grid of '
        f'"{shown(image.name)}" ({image.grid_text})'
    )


def _decided(subject: Subject, options: Mapping[str, Any]) -> None:
    """Refuse labels on another grid, unless they may be moved; then it is told."""
    for labels, image in _moved([subject]):
        if options.get("grid") != "nearest":
            remedy = "Resample it where it was made, or choose to move its labels to the nearest voxels."
            raise InputError(f"{_apart(labels, image)}.", remedy)
        caution("moved-labels", f"{_apart(labels, image)}; each voxel got the label that is nearest.")


def _places(subject: Subject) -> dict[str, np.ndarray]:
    """Return the voxels of each area, as places in the flat image in the order of nilearn's maskers."""
    image = subject.images[0]
    if not subject.labels:
        return {ALL_VOXELS: np.arange(int(np.prod(image.shape)))}
    found: dict[str, list[np.ndarray]] = {}
    for labels in subject.labels:
        values = labels.values if same_grid(labels.image, image) else _nearest(labels, image)
        for label, name in labels.names.items():
            found.setdefault(name, []).append(np.flatnonzero(values == label))
    places = {name: np.unique(np.concatenate(parts)) for name, parts in found.items()}
    lost = [name for name, voxels in places.items() if not len(voxels)]
    told = f'{listing(lost, 6)} {"has" if len(lost) == 1 else "have"} no voxels in "{shown(image.name)}"'
    if len(lost) == len(places):
        raise Refused(f"{told}.", "Check that both images lie in one space.")
    if lost:
        caution("lost-areas", f"{told} and cannot be looked at.")
    return {name: voxels for name, voxels in places.items() if len(voxels)}


def _nearest(labels: Labels, image: Image) -> np.ndarray:
    """Return labels on the grid of an image: that of the nearest voxel, 0 outside."""
    from nibabel import Nifti1Image
    from nilearn.image import resample_img

    source = Nifti1Image(labels.values.astype(np.int32), labels.image.affine)
    try:
        moved = resample_img(
            source,
            target_affine=image.affine,
            target_shape=image.shape,
            interpolation="nearest",
            force_resample=True,
            copy_header=True,
        )
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # the two do not meet
        return np.zeros(image.shape, dtype=np.int64)
    return np.asarray(moved.dataobj).astype(np.int64)


def _responses(subject: Subject, places: Mapping[str, np.ndarray]) -> np.ndarray:
    """Read the responses of the voxels of all areas, area after area: (n_volumes, n_voxels) float64."""
    from nibabel import Nifti1Image
    from nilearn.masking import apply_mask

    image = subject.images[0]
    inside = np.unique(np.concatenate(list(places.values())))
    mask = np.zeros(int(np.prod(image.shape)), dtype=np.int8)
    mask[inside] = 1
    mask_image = Nifti1Image(mask.reshape(image.shape), image.affine)
    order = np.searchsorted(inside, np.concatenate(list(places.values())))
    parts = [
        apply_mask(Nifti1Image(block, image.affine), mask_image, dtype=np.float64, ensure_finite=False)
        for one in subject.images
        for block in one.blocks()
    ]
    return np.concatenate(parts)[:, order]
