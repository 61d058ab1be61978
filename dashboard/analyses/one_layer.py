"""One layer against one area: which they are, and the stimuli in the order of the recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.analyses import compared
from dashboard.compute import compute
from dashboard.errors import InputError, unknown
from dashboard.methods import rsa
from dashboard.specs import AreaRdmSpec


@dataclass(frozen=True, eq=False)
class Area:
    """One area of a recording.

    Attributes
    ----------
    name : str
    subjects : np.ndarray
        (n_subjects, n_pairs) RDMs of the subjects that have the area.
    people : list of str
        Names of these subjects.
    answer : xarray.Dataset
        Answer of kind area-rdm.
    """

    name: str
    subjects: np.ndarray
    people: list[str]
    answer: xr.Dataset

    @property
    def stimuli(self) -> list[str]:
        """Names of the stimuli, in order."""
        return [str(name) for name in self.answer.stimulus.values]


def area(spec: Any) -> Area:
    """Return the area that a spec with recording, area and metric asks for; of "" the first.

    Raises
    ------
    InputError
        When the recording has no such area.
    """
    answer = compute(AreaRdmSpec(recording=spec.recording, metric=spec.metric))
    known = [str(name) for name in answer.area.values]
    name = spec.area or known[0]
    if name not in known:
        raise unknown("area", name, known)
    rdms = answer.rdm.values[known.index(name)]
    present = ~np.isnan(rdms).all(axis=1)
    people = [str(who) for who, there in zip(answer.subject.values, present, strict=True) if there]
    return Area(name, rdms[present], people, answer)


def layer(spec: Any, of: Area) -> str:
    """Return the layer that a spec asks for; of "" the one most similar to the area.

    Raises
    ------
    InputError
        When no layer has a score.
    """
    if spec.layer:
        return str(spec.layer)
    names, rdms, _ = compared.layers(spec, of.answer, spec.network, ())
    scores = rsa.similarity(rdms, of.subjects, spec.measure).mean(1)
    if not np.isfinite(scores).any():
        raise InputError("No layer has a score, so there is nothing to split.", "Choose another layer.")
    return names[int(np.nanargmax(scores))]


def order(names: Any, of: Area) -> np.ndarray:
    """Return the positions (n_stimuli,) of the recording's stimuli among those that the network was shown."""
    recordings.matching_pairs(list(names), of.stimuli)  # refuses names that do not match
    places = {str(name): k for k, name in enumerate(names)}
    return np.array([places[name] for name in of.stimuli])
