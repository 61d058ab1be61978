"""Open recordings that are fetched from where their authors or a course put them, and the layout of each."""

from __future__ import annotations

import io
from types import MappingProxyType

import numpy as np

from dashboard.errors import InputError, caution
from dashboard.recordings.downloads import Download, File
from dashboard.recordings.readers import npz
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference
from dashboard.stimuli.gratings import neuromatch_grating
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever the same files give other values, names or columns; part of the digest."""

TUNING, TRIALS = "orientation_binned_tuning.npz", "orientation_decoder_ready_top1000.npz"
IMAGES = "kay_images.npz"
EMBEDDING, CONCEPTS = "spose_embedding_49d_sorted.txt", "unique_id.txt"

_SMALL = (
    "https://raw.githubusercontent.com/rohanaryagondi/Beng2800Project/"
    "88924c2ccef25d75484a731ce76ce79b00be6de3/data/processed/"
)
DOWNLOADS = MappingProxyType(
    {
        "stringer-tuning": Download("stringer-tuning", _SMALL, {TUNING: File(0)}),
        "stringer-trials": Download("stringer-trials", _SMALL, {TRIALS: File(0)}),
        "kay": Download("kay", "https://osf.io/", {IMAGES: File(0, place="ymnjv/download")}),
        "things-similarity": Download(
            "things-similarity",
            "https://osf.io/",
            {EMBEDDING: File(0, place="4pgk8/download"), CONCEPTS: File(0, place="2y463/download")},
        ),
    }
)
"""Files without a checksum: no source tells one."""

STRINGER = (
    "Stringer, Michaelos, Tsyboulski, Lindo and Pachitariu (2021). High-precision coding in visual cortex. "
    "Cell 184:2767-2778. Made smaller in the repository rohanaryagondi/Beng2800Project."
)
KAY = (
    "Kay, Naselaris, Prenger and Gallant (2008). Identifying natural images from human brain activity. "
    "Nature 452:352-355. Prepared for the Neuromatch course."
)
THINGS = (
    "Hebart, Zheng, Pereira and Baker (2020). Revealing the multidimensional mental representations of "
    "natural objects underlying human similarity judgements. Nature Human Behaviour 4:1173-1185."
)
MOST_TEXT = 8 * 2**20
_FILES = {
    "stringer-tuning": ("stringer-tuning", (TUNING,)),
    "stringer-trials": ("stringer-trials", (TRIALS,)),
    "kay-training": ("kay", (IMAGES,)),
    "kay-validation": ("kay", (IMAGES,)),
    "things-similarity": ("things-similarity", (EMBEDDING, CONCEPTS)),
}


def identify(reference: Reference) -> str:
    """Return the digest of the recording, from the checksums of the first fetch, without reading the files.

    Raises
    ------
    InputError
        When a file never came: nothing is known of its content then.
    """
    return _identity(reference, "fetched")


def identify_stimuli(reference: Reference) -> str:
    """Return the digest of the pictures likewise; see `identify`."""
    return _identity(reference, "recording:fetched")


def load(reference: Reference) -> Recording:
    """Load one of the recordings.

    Raises
    ------
    InputError
        When a file cannot be fetched, is not the one that came first, or is not laid out as described.
    """
    reference.check_options(())
    if reference.name == "things-similarity":
        return _things(reference)
    if reference.name.startswith("kay"):
        return _kay(reference)
    return _stringer(reference)


def load_stimuli(reference: Reference) -> Stimuli:
    """Load only the pictures of a recording."""
    if reference.name.startswith("kay"):
        return _pictures(reference, _kay_arrays(reference))
    if reference.name == "things-similarity":
        message = "things-similarity brings no pictures."
        raise InputError(message, "Get those of THINGS from its authors, and add them on the Add page.")
    return _gratings(reference, *_stringer_arrays(reference))


def _identity(reference: Reference, kind: str) -> str:
    reference.check_options(())
    name, files = _FILES[reference.name]
    return digest_of(kind, VERSION, reference.name, [DOWNLOADS[name].digest(file) for file in files])


def _arrays(reference: Reference, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the arrays of a NumPy archive by name; those of objects are refused by the reader."""
    name, (file, *_) = _FILES[reference.name]
    source = npz.open_npz_bytes(io.BytesIO(DOWNLOADS[name].read(file)), file)
    return {key: np.asarray(source.read(source.array(key).name, {})) for key in wanted}


def _otherwise(file: str, expected: str) -> InputError:
    """Return the error for another layout; such a file does not count as what came first."""
    next(download for download in DOWNLOADS.values() if file in download.files).forget(file)
    message = f'"{file}" does not hold {expected}.'
    return InputError(message, "Fetch it again; should it have changed, add it on the Add page.")


# --- Stringer et al., made smaller ------------------------------------------------------------------


def _stringer_arrays(reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Return responses, (n_stimuli, n_neurons), and angles in degrees, (n_stimuli,)."""
    tuning = reference.name == "stringer-tuning"
    keys = ("tuning_mean", "angle_bin_centers_deg") if tuning else ("X", "theta_deg")
    found = _arrays(reference, keys)
    values, degrees = found[keys[0]], found[keys[1]].astype(np.float64)
    values = values.T if tuning else values
    if values.ndim != 2 or degrees.shape != values.shape[:1]:
        file = TUNING if tuning else TRIALS
        raise _otherwise(file, "neurons × angles" if tuning else "trials × neurons")
    return values.astype(np.float64), degrees


def _stringer(reference: Reference) -> Recording:
    values, degrees = _stringer_arrays(reference)
    stimuli = _gratings(reference, values, degrees)
    tuning = reference.name == "stringer-tuning"
    what = "mean responses in bins of orientation" if tuning else "single trials of selected neurons"
    return Recording(
        reference=str(reference),
        title="Mouse V1, orientation tuning" if tuning else "Mouse V1, single trials",
        description=f"{values.shape[1]:,} neurons, {len(stimuli):,} gratings, {what}.",
        citation=STRINGER,
        terms="No licence is told: cite the paper, do not pass the file on.",
        species="mouse",
        signal="two-photon calcium",
        digest=identify(reference),
        stimulus_names=stimuli.names,
        areas=("V1",),
        subjects={"V1": ("mouse 1",)},
        responses={"V1": (values,)},
        units={"V1": values.shape[1]},
        stimuli=stimuli,
    )


def _gratings(reference: Reference, values: np.ndarray, degrees: np.ndarray) -> Stimuli:
    """Return gratings drawn at the angles; the phases in the experiment varied."""
    tuning = reference.name == "stringer-tuning"
    names = tuple(
        f"grating {a:05.1f} deg" if tuning else f"trial {i:04d}" for i, a in enumerate(degrees, start=1)
    )
    return Stimuli(
        reference=f"recording:{reference}",
        title="Gratings of Stringer et al.",
        description=f"{len(degrees):,} gratings, drawn here at the angles that were shown.",
        names=names,
        columns={"angle": degrees, "orientation": degrees % 180},
        units={"angle": "deg", "orientation": "deg"},
        digest=identify_stimuli(reference),
        generated=True,
        draw=lambda i: neuromatch_grating(float(degrees[i]) - 90),
    )


# --- Kay et al. -------------------------------------------------------------------------------------


def _kay_arrays(reference: Reference) -> dict[str, np.ndarray]:
    """Return stimuli, responses, roi and roi_names of one part, after a look at the layout."""
    part = "_test" if reference.name == "kay-validation" else ""
    keys = (f"stimuli{part}", f"responses{part}", "roi", "roi_names")
    found = dict(
        zip(("stimuli", "responses", "roi", "roi_names"), _arrays(reference, keys).values(), strict=True)
    )
    n, units = len(found["stimuli"]), found["roi"].size
    roi = found["roi"].ravel()
    whole = np.issubdtype(roi.dtype, np.number) and bool((roi == np.round(roi)).all())
    within = whole and units and roi.min() >= 0 and roi.max() < found["roi_names"].size
    if found["stimuli"].ndim != 3 or found["responses"].shape != (n, units) or not within:
        raise _otherwise(IMAGES, "pictures, responses and areas of voxels")
    return {**found, "roi": roi.astype(int)}


def _kay(reference: Reference) -> Recording:
    found = _kay_arrays(reference)
    stimuli = _pictures(reference, found)
    values = found["responses"].astype(np.float64)
    finite = np.isfinite(values).all(axis=0)
    if not finite.all():
        caution(
            "voxels-left-out", f"{int((~finite).sum())} voxels without a response everywhere are left out."
        )
    areas = {
        str(name): values[:, (found["roi"] == k) & finite]
        for k, name in enumerate(found["roi_names"].ravel())
        if ((found["roi"] == k) & finite).any()
    }
    part = "validation" if reference.name == "kay-validation" else "training"
    return Recording(
        reference=str(reference),
        title=f"Human visual cortex, natural images ({part})",
        description=f"{int(finite.sum()):,} voxels in {len(areas)} areas, {len(stimuli):,} grey pictures.",
        citation=KAY,
        terms="The original is at CRCNS behind an account; of the course's file no licence is told.",
        species="human",
        signal="fMRI, 4 T, response amplitude of a voxel",
        digest=identify(reference),
        stimulus_names=stimuli.names,
        areas=tuple(areas),
        subjects=dict.fromkeys(areas, ("subject 1",)),
        responses={area: (given,) for area, given in areas.items()},
        units={area: given.shape[1] for area, given in areas.items()},
        stimuli=stimuli,
    )


def _pictures(reference: Reference, found: dict[str, np.ndarray]) -> Stimuli:
    """Return the pictures, the smallest number of all of them black and the largest white."""
    values = found["stimuli"]
    low, high = float(np.min(values)), float(np.max(values))
    scale = 255 / (high - low) if high > low else 0.0

    def draw(i: int) -> np.ndarray:
        grey = np.rint((values[i].astype(np.float64) - low) * scale).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)

    part = "validation" if reference.name == "kay-validation" else "training"
    return Stimuli(
        reference=f"recording:{reference}",
        title=f"Natural images of Kay et al. ({part})",
        description=f"{len(values):,} grey pictures; one scale from black to white for all of them.",
        names=tuple(f"{part} {i:04d}" for i in range(1, len(values) + 1)),
        digest=identify_stimuli(reference),
        draw=draw,
    )


# --- THINGS -----------------------------------------------------------------------------------------


def _things(reference: Reference) -> Recording:
    """Return the dimensions that explain judgements of similarity as the units of one area of behaviour."""
    download = DOWNLOADS["things-similarity"]
    names = tuple(line.strip() for line in _lines(download.read(CONCEPTS), CONCEPTS) if line.strip())
    rows = [line.split() for line in _lines(download.read(EMBEDDING), EMBEDDING) if line.strip()]
    try:
        values = np.array([[float(cell) for cell in row] for row in rows])
    except ValueError as error:
        raise _otherwise(EMBEDDING, "a row of numbers for each concept") from error
    if values.ndim != 2 or len(values) != len(names):
        raise _otherwise(EMBEDDING, f"a row of numbers for each of the {len(names):,} concepts")
    area = "similarity judgements"
    return Recording(
        reference=str(reference),
        title="THINGS, similarity judgements",
        description=f"{values.shape[1]} dimensions behind judgements of {len(names):,} concepts.",
        citation=THINGS,
        terms="The judgements are CC BY 4.0; of the file of dimensions no licence is told.",
        species="human",
        signal="dimensions of a model of odd-one-out judgements (behaviour, not a brain)",
        digest=identify(reference),
        stimulus_names=names,
        areas=(area,),
        subjects={area: ("all raters",)},
        responses={area: (values,)},
        units={area: values.shape[1]},
    )


def _lines(data: bytes, file: str) -> list[str]:
    try:
        if len(data) > MOST_TEXT:
            raise ValueError
        return data.decode("utf-8-sig").splitlines()
    except ValueError as error:
        raise _otherwise(file, "lines of text") from error
