"""What is in a stimulus set, and what in a recording?"""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from dashboard import recordings, stimuli
from dashboard.progress import report
from dashboard.specs import RecordingSpec, StimuliSpec

THUMBNAIL_PIXELS = 64


def stimulus_set(spec: StimuliSpec) -> xr.Dataset:
    """Return names, categories, columns and thumbnails of a stimulus set.

    Returns
    -------
    xarray.Dataset
        ``thumbnail`` (stimulus, y, x, channel) uint8, one variable per column of the table, and of texts
        ``text`` (stimulus,); the attribute ``kind`` says what they are.
    """
    shown = stimuli.load(spec.stimuli)
    thumbnails = np.empty((len(shown), THUMBNAIL_PIXELS, THUMBNAIL_PIXELS, 3), dtype=np.uint8)
    for i in range(len(shown)):
        if i % 16 == 0:
            report(i / len(shown), f"Thumbnails: {i} of {len(shown)}")
        thumbnails[i] = shown.thumbnail(i, THUMBNAIL_PIXELS)
    taken = {"stimulus", "category", "thumbnail", "text"}
    columns = {
        name: ("stimulus", values if values.dtype.kind in "biuf" else values.astype(str).astype(object))
        for name, values in shown.columns.items()
        if name not in taken
    }
    if shown.texts:
        columns["text"] = ("stimulus", np.array(shown.texts, dtype=object))
    return xr.Dataset(
        {"thumbnail": (("stimulus", "y", "x", "channel"), thumbnails), **columns},
        coords={"stimulus": list(shown.names), "category": ("stimulus", list(shown.categories))},
        attrs={
            "title": shown.title,
            "description": shown.description,
            "reference": spec.stimuli,
            "digest": shown.digest,
            "kind": shown.kind,
            "generated": "yes" if shown.generated else "no",
            "simulated": "no",
        },
    )


def _timed(found: recordings.Recording, area: str) -> bool:
    return area in found.courses or area in found.movies


def recording(spec: RecordingSpec) -> xr.Dataset:
    """Return the facts about each area of a recording.

    Returns
    -------
    xarray.Dataset
        ``n_subjects``, ``n_stimuli``, ``n_units`` of one subject (0 where unknown), ``has_responses`` and
        ``has_repeats`` (0 or 1), ``n_times`` (0 without a course over time), each (area,). Attributes
        ``behaviour`` and ``models`` (JSON): people by name of a behaviour, and names of models that come
        along.
    """
    found = recordings.load(spec.recording)
    responses = [found.responses.get(area, ()) for area in found.areas]
    return xr.Dataset(
        {
            "n_subjects": ("area", [len(found.subjects[area]) for area in found.areas]),
            "n_stimuli": ("area", [len(found.stimulus_names)] * len(found.areas)),
            "n_units": ("area", [found.units.get(area, 0) for area in found.areas]),
            "has_responses": ("area", np.array([bool(rs) for rs in responses], dtype=np.int8)),
            "n_times": ("area", [len(found.times_ms) * _timed(found, a) for a in found.areas]),
            "has_repeats": (
                "area",
                np.array([any(r.ndim == 3 for r in rs) for rs in responses], dtype=np.int8),
            ),
        },
        coords={"area": list(found.areas)},
        attrs={
            "times_ms": list(found.times_ms),
            "behaviour": json.dumps({name: len(rdms) for name, rdms in found.behaviour.items()}),
            "models": json.dumps(list(found.models)),
            "title": found.title,
            "description": found.description,
            "reference": spec.recording,
            "citation": found.citation,
            "species": found.species,
            "signal": found.signal,
            "terms": found.terms,
            "digest": found.digest,
            "simulated": "yes" if found.simulated else "no",
        },
    )
