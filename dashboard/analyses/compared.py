"""RDMs that are compared with a recording: of layers and of simple models, in its order of stimuli."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.analyses.brain import compared_with_itself, network_rdms
from dashboard.compute import compute
from dashboard.errors import caution
from dashboard.methods.model_rdms import MODELS
from dashboard.specs import ModelRdmSpec

PREFIXES = ("factor:", "behaviour:", "model:")
"""How names of models begin that are no key of `MODELS`."""


def is_simple(name: str) -> bool:
    """Tell whether a name is that of a simple model rather than of a layer."""
    return name in MODELS or name.startswith(PREFIXES)


def layers(
    spec: Any, areas: xr.Dataset, network: str, names: tuple[str, ...]
) -> tuple[list[str], np.ndarray, xr.Dataset]:
    """Return names and RDMs (n_layers, n_pairs) of layers of a network, and their answer.

    Parameters
    ----------
    spec : Spec
        With recording, metric and reducer.
    areas : xarray.Dataset
        Answer of kind area-rdm, whose order of stimuli counts.
    network : str
    names : tuple of str
        Layers or patterns; empty for the default selection.
    """
    answer = compute(network_rdms(spec, network, names))
    pairs = recordings.matching_pairs(list(answer.stimulus.values), list(areas.stimulus.values))
    return [str(name) for name in answer.layer.values], answer.rdm.values[:, pairs], answer


def simple(recording: str, areas: xr.Dataset, names: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """Return names and RDMs (n_models, n_pairs) of simple models of a recording's stimuli.

    One that is the RDM of an area itself is told.
    """
    chosen = tuple(names)
    if not chosen:
        return [], np.empty((0, areas.sizes["pair"]))
    answer = compute(ModelRdmSpec(stimuli=f"recording:{recording}", recording=recording, models=chosen))
    pairs = recordings.matching_pairs(list(answer.stimulus.values), list(areas.stimulus.values))
    names, rdms = [str(name) for name in answer.model.values], answer.rdm.values[:, pairs]
    for area, subjects in zip(areas.area.values, subjects_of(areas), strict=True):
        for k in np.flatnonzero(compared_with_itself(rdms, subjects)):
            caution("same-rdm", f"{names[k]} is the RDM of {area} itself, so its score there says nothing.")
    return names, rdms


def subjects_of(areas: xr.Dataset) -> list[np.ndarray]:
    """Return the subjects' RDMs of every area, (n_subjects, n_pairs), without subjects it lacks."""
    return [rdms[~np.isnan(rdms).all(axis=1)] for rdms in areas.rdm.values]
