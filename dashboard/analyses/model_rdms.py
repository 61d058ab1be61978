"""Which stimuli do simple models tell apart: categories, columns, behaviour, and what pictures are like?"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import xarray as xr

from dashboard import recordings, stimuli
from dashboard.errors import InputError, unknown
from dashboard.methods import model_rdms
from dashboard.progress import report
from dashboard.recordings import Recording
from dashboard.specs import ModelRdmSpec
from dashboard.stimuli import Stimuli

PERIODS = MappingProxyType({"orientation": 180.0, "phase": 360.0, "hue": 360.0})
"""Columns that go round a circle, in degrees."""

FEW_LEVELS = 2


def models(spec: ModelRdmSpec) -> xr.Dataset:
    """Return the RDM of every chosen model, or of all that fit.

    Returns
    -------
    xarray.Dataset
        ``rdm`` (model, pair) float64; ``unit`` and ``label`` (model,). Attribute ``refused`` lists models
        that do not fit, with reasons.
    """
    shown = stimuli.load(spec.stimuli)
    recording = recordings.load(spec.recording) if spec.recording else None
    with_pictures = not spec.models or any(_sees(name) for name in spec.models)
    described = describe(shown, with_pictures)
    own = _of_recording(recording, shown)
    fits = model_rdms.fitting(described)
    chosen = list(spec.models) or [*(name for name, reason in fits.items() if not reason), *own]
    if not chosen:
        message = f"No model fits {shown.title}: it has neither pictures nor categories nor columns."
        raise InputError(message, "Add a column to the table of stimuli.")
    values, units = [], []
    for number, name in enumerate(chosen):
        report(0.5 + 0.5 * number / len(chosen), f"RDM of {name}")
        rdm, unit = own[name] if name in own else _computed(described, name, [*fits, *own])
        values.append(rdm)
        units.append(unit)
    return xr.Dataset(
        {"rdm": (("model", "pair"), np.stack(values)), "unit": ("model", units)},
        coords={
            "model": chosen,
            "stimulus": list(shown.names),
            "category": ("stimulus", list(shown.categories)),
        },
        attrs={
            "title": f"Models of {shown.title}",
            "stimuli": spec.stimuli,
            "stimuli_title": shown.title,
            "refused": "; ".join(f"{name}: {reason}" for name, reason in fits.items() if reason),
            "simulated": "no",
        },
    )


def _sees(name: str) -> bool:
    model = model_rdms.MODELS.get(name)
    return model is not None and model.kind == "picture"


def _computed(described: model_rdms.Described, name: str, known: list[str]) -> tuple[np.ndarray, str]:
    if ":" in name and not name.startswith("factor:"):
        raise unknown("model", name, known)
    return model_rdms.compute(described, name)


def describe(shown: Stimuli, with_pictures: bool) -> model_rdms.Described:
    """Return what models may know of the stimuli; pictures only where they are needed, for they are large."""
    pictures = masks = None
    if with_pictures and shown.kind == "image":
        side = model_rdms.SIDE
        pictures = np.empty((len(shown), side, side, 3), np.uint8)
        for i in range(len(shown)):
            if i % 16 == 0:
                report(0.5 * i / len(shown), f"Pictures: {i} of {len(shown)}")
            pictures[i] = shown.thumbnail(i, side)
        masks = _masks(shown)
    columns = {name: values for name, values in shown.columns.items() if values.ndim == 1}
    return model_rdms.Described(shown.categories, columns, PERIODS, pictures, masks)


def _masks(shown: Stimuli) -> np.ndarray | None:
    """Return the outlines that the stimuli know of, resized by nearest neighbour; None without them."""
    found = []
    for i in range(len(shown)):
        mask = shown.mask(i)
        if mask is None:
            return None
        rows, columns = ((np.arange(model_rdms.SIDE) * size) // model_rdms.SIDE for size in mask.shape)
        found.append(mask[np.ix_(rows, columns)])
    return np.stack(found)


def _of_recording(recording: Recording | None, shown: Stimuli) -> dict[str, tuple[np.ndarray, str]]:
    """Return behaviour (mean over subjects) and models that come with a recording, by name."""
    if recording is None or not (recording.behaviour or recording.models):
        return {}
    pairs = recordings.matching_pairs(list(recording.stimulus_names), list(shown.names))
    judged = {
        f"behaviour:{name}": (
            rdms.mean(axis=0)[pairs],
            f"{recording.behaviour_unit}, mean over {len(rdms)} people",
        )
        for name, rdms in recording.behaviour.items()
    }
    given = {f"model:{name}": (rdm[pairs], f"{name}, as published") for name, rdm in recording.models.items()}
    return judged | given
