"""A recording: responses and RDMs by area and subject, with the stimuli that were shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import InputError, unknown

if TYPE_CHECKING:
    from dashboard.stimuli import Stimuli

WITHOUT_TIME = "Choose simulated-time, or bring responses with an axis that counts time."
"""What to do about a recording without time."""


def _empty() -> Any:
    return field(default_factory=lambda: MappingProxyType({}))


def _mean(repeats: np.ndarray) -> np.ndarray:
    """Return the mean over the repeats that there are, (n_stimuli, n_units)."""
    found: np.ndarray = np.nanmean(repeats, axis=0) if np.isnan(repeats).any() else repeats.mean(axis=0)
    return found


@dataclass(frozen=True, eq=False)
class Recording:
    """Neural data of one experiment, real or simulated; made by the readers and checked by `validate`.

    Attributes
    ----------
    reference, title, description : str
        The reference that was loaded, a heading, and what it is in one sentence.
    citation, terms, species, signal : str
        Whom to cite, under which terms it may be used, whose brain, and what was measured with its unit.
    digest : str
        SHA-256 in hexadecimal of all that the values depend on.
    stimulus_names : tuple of str
        (n_stimuli,) unique names in the order of every array below.
    areas : tuple of str
        Brain areas, in the order to show them.
    subjects : Mapping of str to tuple of str
        Names of the subjects, by area.
    responses : Mapping of str to tuple of np.ndarray
        By area, per subject: (n_stimuli, n_units), or (n_repeats, n_stimuli, n_units) where stimuli were
        repeated. Areas with only RDMs are missing here.
    surplus : Mapping of str to tuple of np.ndarray
        By area, per subject: (n_more, n_stimuli, n_units) repeats beyond those that all stimuli have, NaN
        for stimuli without. `responses` holds the repeats that all have.
    courses : Mapping of str to tuple of np.ndarray
        By area, per subject: (n_repeats, n_stimuli, n_units, n_times) where responses are known over time,
        one repeat where there were none; `responses` holds their mean over time.
    times_ms : tuple of float
        (n_times,) middle of each time bin in milliseconds from the start of the stimulus, rising; empty
        without `courses` and `movies`.
    rdms : Mapping of str to np.ndarray
        By area: (n_subjects, n_pairs) float64, condensed in scipy's `pdist` order, as published.
    movies : Mapping of str to np.ndarray
        By area: (n_subjects, n_times, n_pairs) RDMs over time, as given; `rdms` holds their mean over time.
    rdm_metric, rdm_unit : str
        What the numbers in `rdms` and `movies` are: the name of a metric and the unit to show.
    units : Mapping of str to int
        Units (cells, voxels) behind one subject's data, by area, where known.
    notes : Mapping of str to str
        What a reader must know about an area, in one sentence.
    behaviour : Mapping of str to np.ndarray
        Behavioural RDMs by name: (n_subjects, n_pairs); other people than `subjects`, as a rule.
    behaviour_unit : str
        Unit of these to show.
    models : Mapping of str to np.ndarray
        RDMs of models that come with the recording: (n_pairs,).
    truth : Mapping of str to Mapping of str to np.ndarray
        For simulated areas the parameters of every cell, by area and name: (n_cells of all subjects,).
    stimuli : Stimuli or None
        The pictures that were shown, in the order of `stimulus_names`.
    simulated : bool
        True when nothing was measured.
    """

    reference: str
    title: str
    description: str
    citation: str
    terms: str
    species: str
    signal: str
    digest: str
    stimulus_names: tuple[str, ...]
    areas: tuple[str, ...]
    subjects: Mapping[str, tuple[str, ...]]
    responses: Mapping[str, tuple[np.ndarray, ...]] = _empty()
    surplus: Mapping[str, tuple[np.ndarray, ...]] = _empty()
    courses: Mapping[str, tuple[np.ndarray, ...]] = _empty()
    times_ms: tuple[float, ...] = ()
    rdms: Mapping[str, np.ndarray] = _empty()
    movies: Mapping[str, np.ndarray] = _empty()
    rdm_metric: str = ""
    rdm_unit: str = ""
    units: Mapping[str, int] = _empty()
    notes: Mapping[str, str] = _empty()
    behaviour: Mapping[str, np.ndarray] = _empty()
    behaviour_unit: str = "dissimilarity as judged"
    models: Mapping[str, np.ndarray] = _empty()
    truth: Mapping[str, Mapping[str, np.ndarray]] = _empty()
    stimuli: Stimuli | None = None
    simulated: bool = False

    def mean_responses(self, area: str) -> tuple[np.ndarray, ...]:
        """Return the responses averaged over all repeats, per subject: (n_stimuli, n_units)."""
        found = self.all_repeats(area)
        return tuple(_mean(r) if r.ndim == 3 else r for r in found)

    def all_repeats(self, area: str) -> tuple[np.ndarray, ...]:
        """Return `responses` per subject with the surplus repeats, NaN for stimuli that have fewer."""
        found = self.responses.get(self._area(area), ())
        more = self.surplus.get(area, (np.empty(0),) * len(found))
        pairs = zip(found, more, strict=True)
        return tuple(np.concatenate([r, rest]) if rest.size else r for r, rest in pairs)

    def repeats(self, area: str) -> tuple[np.ndarray, ...]:
        """Return the single repeats per subject: (n_repeats, n_stimuli, n_units); empty without repeats."""
        return tuple(r for r in self.responses.get(self._area(area), ()) if r.ndim == 3)

    def over_time(self, area: str) -> tuple[np.ndarray, ...]:
        """Return the responses over time per subject, (n_repeats, n_stimuli, n_units, n_times).

        Raises
        ------
        InputError
            When the recording has no such area, or no responses over time there.
        """
        found = self.courses.get(self._area(area), ())
        if not found:
            only = ", only RDMs" if area in self.movies else ""
            message = f"{self.title} has no responses over time in {area}{only}."
            raise InputError(message, WITHOUT_TIME)
        return found

    def select(self, names: Iterable[str]) -> Recording:
        """Return the recording for these stimuli in this order.

        Raises
        ------
        InputError
            When a name is unknown or given twice.
        """
        from dashboard.recordings.matching import find, pairs_of
        from dashboard.stimuli.sets import clean_names, digest_of

        wanted = clean_names(names, self.title)
        order = find(self.stimulus_names, wanted, self.title)
        pairs = pairs_of(order, len(self.stimulus_names))
        return replace(
            self,
            stimulus_names=wanted,
            digest=self.digest if wanted == self.stimulus_names else digest_of("select", self.digest, wanted),
            responses={a: tuple(r.take(order, axis=-2) for r in rs) for a, rs in self.responses.items()},
            surplus={a: tuple(r.take(order, axis=1) for r in rs) for a, rs in self.surplus.items()},
            courses={a: tuple(c.take(order, axis=1) for c in cs) for a, cs in self.courses.items()},
            rdms={a: rdms[:, pairs] for a, rdms in self.rdms.items()},
            movies={a: movie[:, :, pairs] for a, movie in self.movies.items()},
            behaviour={name: rdms[:, pairs] for name, rdms in self.behaviour.items()},
            models={name: rdm[pairs] for name, rdm in self.models.items()},
            stimuli=None if self.stimuli is None else self.stimuli.subset(wanted),
        )

    def _area(self, area: str) -> str:
        if area not in self.areas:
            raise unknown(f"area of {self.title}", area, self.areas)
        return area
