"""Thousands of neurons of mouse V1 and gratings (Stringer et al. 2021), binned for the Neuromatch course."""

from __future__ import annotations

import io
from types import MappingProxyType

import numpy as np

from dashboard.errors import InputError
from dashboard.recordings.downloads import Download, File
from dashboard.recordings.readers import npz
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference
from dashboard.stimuli.gratings import neuromatch_grating
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever the same files give other values, names or columns; part of the digest."""

CITATION = (
    "Stringer, Michaelos, Tsyboulski, Lindo and Pachitariu (2021). High-precision coding in visual cortex. "
    "Cell 184:2767-2778. Binned by the authors of the Neuromatch course on deep learning."
)
TERMS = "Published at OSF for the Neuromatch course without a licence: cite the paper, do not pass them on."

BINS, HALVES = "W3D4_stringer_oribinned1.npz", "W3D4_stringer_oribinned6_split.npz"
_OF = {"stringer-orientations": BINS, "stringer-halves": HALVES}
DOWNLOADS = MappingProxyType(
    {
        "stringer-orientations": Download(
            name="stringer-orientations",
            url="https://osf.io/",
            files={BINS: File(0, md5="436599dfd8ebe6019f066c38aed20580", place="683xc/download")},
        ),
        "stringer-halves": Download(
            name="stringer-halves",
            url="https://osf.io/",
            files={HALVES: File(0, md5="b3f7245c6221234a676b71a1f43c3bb5", place="p3aeb/download")},
        ),
    }
)
AREA = "V1"


def identify(reference: Reference) -> str:
    """Return the digest of the recording, from the known checksum, without reading the file."""
    return digest_of("stringer", VERSION, _file(reference).md5)


def identify_stimuli(reference: Reference) -> str:
    """Return the digest of the gratings, which the file tells, from its known checksum."""
    return digest_of("recording:stringer", VERSION, _file(reference).md5)


def load(reference: Reference) -> Recording:
    """Load the recording: one mouse, responses to gratings; in halves, two means of different trials.

    Raises
    ------
    InputError
        When the file cannot be fetched, is not the one that we know, or is not laid out as described.
    """
    arrays = _arrays(reference)
    stimuli = _gratings(reference, arrays["stimuli"])
    values = arrays["resp"] if "resp" in arrays else np.stack([arrays["resp_train"], arrays["resp_test"]])
    halves = values.ndim == 3
    kind = "two halves of the trials" if halves else "all trials"
    return Recording(
        reference=str(reference),
        title=f"Mouse V1, gratings{' in halves' if halves else ''}",
        description=f"{values.shape[-1]:,} neurons, {len(stimuli)} gratings, means over {kind}.",
        citation=CITATION,
        terms=TERMS,
        species="mouse",
        signal="two-photon calcium, z-scores of the authors",
        digest=identify(reference),
        stimulus_names=stimuli.names,
        areas=(AREA,),
        subjects={AREA: ("mouse 1",)},
        responses={AREA: (values,)},
        units={AREA: values.shape[-1]},
        notes={AREA: "Responses are z-scored over stimuli by the authors: negative values are right."},
        stimuli=stimuli,
    )


def load_stimuli(reference: Reference) -> Stimuli:
    """Load the gratings, drawn here at the angles of the file."""
    return _gratings(reference, _arrays(reference)["stimuli"])


def _file(reference: Reference) -> File:
    reference.check_options(())
    return DOWNLOADS[reference.name].files[_OF[reference.name]]


def _arrays(reference: Reference) -> dict[str, np.ndarray]:
    """Return the arrays by name, float64, after a look at their layout."""
    _file(reference)
    name = _OF[reference.name]
    data = DOWNLOADS[reference.name].read(name)
    source = npz.open_npz_bytes(io.BytesIO(data), name)
    wanted = ("resp_train", "resp_test", "stimuli") if name == HALVES else ("resp", "stimuli")
    found = {key: np.asarray(source.read(source.array(key).name, {}), dtype=np.float64) for key in wanted}
    n = found["stimuli"].size
    shapes = [found[key].shape for key in wanted if key != "stimuli"]
    if found["stimuli"].ndim != 1 or any(len(s) != 2 or s[0] != n for s in shapes) or len(set(shapes)) > 1:
        message = f'"{name}" does not hold stimuli × neurons.'
        raise InputError(message, "Fetch it again; should it have changed, add it on the Add page.")
    return found


def _gratings(reference: Reference, degrees: np.ndarray) -> Stimuli:
    """Return the gratings at these angles; at 90 degrees they are vertical.

    The course draws them as `neuromatch_grating` does (see its source); the phases in the experiment varied.
    """
    return Stimuli(
        reference=f"recording:{reference}",
        title="Gratings of Stringer et al.",
        description=f"{len(degrees)} gratings, drawn here at the angles that were shown.",
        names=tuple(f"grating {angle:05.1f} deg" for angle in degrees),
        columns={"angle": degrees, "orientation": degrees % 180},
        units={"angle": "deg", "orientation": "deg"},
        digest=identify_stimuli(reference),
        generated=True,
        draw=lambda i: neuromatch_grating(float(degrees[i]) - 90),
    )
