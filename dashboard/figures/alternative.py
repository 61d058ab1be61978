"""What each figure shows, in words, for those who cannot see it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dashboard.errors import listing
from dashboard.figures import (
    alignment,
    answers,
    attention,
    attribution,
    attribution_set,
    brain,
    brain_where,
    brain_why,
    conductance,
    connections,
    cortex,
    decoding,
    effective_field,
    encoding,
    filters,
    flexible,
    head_brain,
    health,
    inference,
    influence,
    inspect,
    latents,
    network,
    partition,
    preferred,
    rdms,
    recurrent,
    reweighted,
    selectivity,
    tasks,
    theme,
    time_decoding,
    time_rsa,
    trust,
    tuning,
    units,
    versus,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr


def _brain(ds: xr.Dataset) -> str:
    found = []
    for area in answers.names(ds, "area"):
        p = brain.profile(ds, area)
        line = brain.verdict(ds, area)
        if all(map(math.isfinite, p.ceiling)):
            line += f" The noise ceiling is {theme.interval(*p.ceiling)}."
        found.append(line)
    layers = ds.sizes["layer"]
    counts = f"{layers} {_plural('layer', layers)} with {len(found)} {_plural('area', len(found))}"
    return f"{brain.measure_label(ds)} of {counts}. " + " ".join(found)


def _plural(word: str, n: int) -> str:
    return word if n == 1 else {"stimulus": "stimuli"}.get(word, f"{word}s")


def _rdm(ds: xr.Dataset) -> str:
    panels = rdms.matrices(ds, order="given")
    return " ".join(f"{rdms.matrix_alt(p)}" for p in panels)


def _map(ds: xr.Dataset) -> str:
    fits = [rdms.fit(ds, k) for k in range(ds.sizes["source"])]
    parts = [
        f"{name} ({told}): {_nearest(ds, k)}"
        for k, (name, told) in enumerate(zip(answers.names(ds, "source"), fits, strict=True))
    ]
    n = ds.sizes["stimulus"]
    return f"Maps of {n} {_plural('stimulus', n)} by dissimilarity. " + " ".join(parts)


def _nearest(ds: xr.Dataset, k: int) -> str:
    """Name the two stimuli that lie nearest and the two that lie farthest apart."""
    place = ds["position"].transpose("source", "stimulus", "axis").to_numpy()[k]
    names = answers.names(ds, "stimulus")
    rows, columns = np.triu_indices(len(names), 1)
    distance = np.linalg.norm(place[rows] - place[columns], axis=1)
    if not np.isfinite(distance).any():
        return "no positions."
    near, far = int(np.nanargmin(distance)), int(np.nanargmax(distance))
    return (
        f"{names[rows[near]]} and {names[columns[near]]} lie nearest, "
        f"{names[rows[far]]} and {names[columns[far]]} farthest apart."
    )


def _stimuli(ds: xr.Dataset) -> str:
    n = ds.sizes["stimulus"]
    kinds = [c for c in dict.fromkeys(answers.categories(ds)) if c]
    tail = (
        f" in {len(kinds)} {'category' if len(kinds) == 1 else 'categories'}: {listing(kinds, 6)}"
        if kinds
        else ""
    )
    return f"{ds.attrs.get('title', 'Stimuli')}: {n} {_plural('stimulus', n)}{tail}."


def _network(ds: xr.Dataset) -> str:
    return f"{ds.attrs.get('name') or ds.attrs.get('title', 'Network')}: {network.facts(ds)}."


def _recording(ds: xr.Dataset) -> str:
    subjects = ds["n_subjects"].to_numpy()
    areas = [
        f"{a} ({int(n)} {_plural('subject', int(n))})"
        for a, n in zip(answers.names(ds, "area"), subjects, strict=True)
    ]
    return f"{ds.attrs.get('title', 'Recording')}: {', '.join(areas)}."


ALTERNATIVES: dict[str, Callable[[xr.Dataset], str]] = {
    "brain": _brain,
    "inference": inference.words,
    "model-rdm": lambda ds: " ".join(rdms.matrix_alt(p) for p in rdms.matrices(None, ds, order="given")),
    "rdm-partition": partition.words,
    "influence": influence.words,
    "time-rsa": time_rsa.words,
    "time-decoding": time_decoding.verdict,
    "flexible": flexible.words,
    "brain-why": brain_why.words,
    "brain-where": brain_where.words,
    "cortex": cortex.words,
    "reweighted": reweighted.words,
    "rdm": _rdm,
    "area-rdm": lambda ds: " ".join(rdms.matrix_alt(p) for p in rdms.matrices(None, ds, order="given")),
    "map": _map,
    "stimuli": _stimuli,
    "network": _network,
    "recording": _recording,
    "inspect": inspect.verdict,
    "predictions": tasks.alt,
    "training": network.training_words,
    "costs": network.costs_words,
    "health": health.alt,
    "attention": attention.alt,
    "recurrent": recurrent.alt,
    "attribution": attribution.alt,
    "attribution-set": attribution_set.alt,
    "latents": latents.alt,
    "traversal": latents.traversal_words,
    "versus": versus.verdict,
    "walk": walk.words,
    "trust": trust.alt,
    "conductance": conductance.alt,
    "head-brain": head_brain.alt,
    "filters": filters.words,
    "gabors": filters.words,
    "feature-maps": filters.words,
    "tuning": tuning.verdict,
    "neuron-tuning": tuning.verdict,
    "units": units.alt_text,
    "preferred": preferred.verdict,
    "effective-field": effective_field.verdict,
    "connections": connections.verdict,
    "selectivity": selectivity.verdict,
    "concepts": selectivity.concept_verdict,
    "probe": decoding.verdict,
    "decoding": decoding.verdict,
    "encoding": encoding.alt_text,
    "alignment": alignment.verdict,
    "variance-partition": encoding.partition_verdict,
}
"""Words by kind of answer."""


def alt_text(ds: xr.Dataset) -> str:
    """Return the result that a figure of this answer shows, in one paragraph.

    Raises
    ------
    InputError
        When it is no answer of ours.
    """
    kind = answers.kind(ds)
    words = ALTERNATIVES[kind](ds) if kind in ALTERNATIVES else str(ds.attrs.get("title", kind))
    return f"Simulated data. {words}" if answers.simulated(ds) and kind != "brain" else words
