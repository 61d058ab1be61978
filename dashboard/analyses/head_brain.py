"""What does taking out a head of a transformer do to its similarity with the brain?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks, recordings, stimuli
from dashboard.analyses.conductance import chosen_layer
from dashboard.compute import compute
from dashboard.errors import InputError
from dashboard.methods import rdm, rsa
from dashboard.progress import part, report
from dashboard.specs import AreaRdmSpec, HeadBrainSpec

if TYPE_CHECKING:
    from dashboard.networks.attention import Found

MOST_INPUT_BYTES = 512 * 2**20
"""All stimuli, made ready, are kept while heads are taken out one after the other: at most so much."""


def without_heads(spec: HeadBrainSpec) -> xr.Dataset:
    """Take out every head in turn and compare the RDM of a later layer with the areas again.

    Returns
    -------
    xarray.Dataset
        ``score`` (area,): similarity of the layer with all heads, mean over subjects; ``change`` (area,
        layer, head): that without the head less that with it, NaN where a layer has fewer heads; ``sem``
        likewise: standard error of the change over subjects, NaN with one; ``n_subjects`` (area,). Here
        ``layer`` is where the heads are; the layer that is compared is the attribute ``read``.

    Raises
    ------
    InputError
        When the network has no attention that can be read, or a layer, area or recording does not exist.
    """
    from dashboard.networks import attention

    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    refusal = attention.why_not(network)
    if refusal:
        raise InputError(refusal, "Choose a network with attention, such as bundled:objects_vit.")
    with part(0.0, 0.05):
        areas = compute(AreaRdmSpec(recording=spec.recording, areas=spec.areas, metric=spec.metric))
    shown = stimuli.load(f"recording:{spec.recording}")
    pairs = recordings.matching_pairs(list(shown.names), list(areas.stimulus.values))
    with part(0.05, 1.0):
        maps, rdms = _rdms(spec, pairs)
    scores = _scores(rdms, areas.rdm.values, spec.measure)
    return _answer(spec, areas, maps, scores)


def _rdms(spec: HeadBrainSpec, pairs: np.ndarray) -> tuple[tuple[Found, ...], np.ndarray]:
    """Return the heads' maps, and RDMs of the layer with all heads and without each, (1 + heads, pairs)."""
    from dashboard.analyses.attention import chosen_maps
    from dashboard.networks import attention_edit, capture

    network, shown = networks.load(spec.network), stimuli.load(f"recording:{spec.recording}")
    network.check([shown.item(0)])
    maps, _ = chosen_maps(network, spec.layers)
    size = 4 * len(shown) * int(np.prod(network.input_shape))
    if size > MOST_INPUT_BYTES:
        message = f"The {len(shown)} stimuli of this recording take {size / 2**20:.0f} MB for this network."
        raise InputError(message, "Choose a recording with fewer stimuli, or a network with a smaller input.")
    batches = list(capture.batches(network, (shown.item(k) for k in range(len(shown)))))
    layer = chosen_layer(network, spec.read)
    rows = [
        rdm.dissimilarities(patterns, spec.metric).numpy()[pairs]
        for patterns in attention_edit.responses_without(network, batches, layer, maps)
    ]
    return maps, np.stack(rows)


def _scores(rdms: np.ndarray, areas: np.ndarray, measure: str) -> list[np.ndarray]:
    """Return for each area the similarity of every RDM with every subject, (1 + heads, subjects)."""
    found = []
    for subjects in areas:
        present = ~np.isnan(subjects).all(axis=1)
        found.append(rsa.similarity(rdms, subjects[present], measure))
    return found


def _answer(
    spec: HeadBrainSpec, areas: xr.Dataset, maps: tuple[Found, ...], scores: list[np.ndarray]
) -> xr.Dataset:
    network = networks.load(spec.network)
    layer = chosen_layer(network, spec.read)
    most = max(found.heads for found in maps)
    change, sem = (np.full((len(scores), len(maps), most), np.nan) for _ in range(2))
    places = [(i, head) for i, found in enumerate(maps) for head in range(found.heads)]
    for area, values in enumerate(scores):
        differences = values[1:] - values[:1]
        for (i, head), row in zip(places, differences, strict=True):
            change[area, i, head] = row.mean()
            if len(row) > 1:
                sem[area, i, head] = row.std(ddof=1) / np.sqrt(len(row))
    label = rsa.MEASURES[spec.measure].label
    return xr.Dataset(
        {
            "score": ("area", [float(values[0].mean()) for values in scores], {"units": label}),
            "change": (("area", "layer", "head"), change, {"units": label}),
            "sem": (("area", "layer", "head"), sem, {"units": label}),
            "n_subjects": ("area", [values.shape[1] for values in scores]),
        },
        coords={
            "area": list(areas.area.values),
            "layer": [found.layer for found in maps],
            "head": np.arange(1, most + 1),
        },
        attrs={
            "title": f"Similarity of {layer.name} of {network.title} to {areas.attrs['recording_title']} "
            "without each head",
            "network": spec.network,
            "network_title": network.title,
            "recording": spec.recording,
            "recording_title": areas.attrs["recording_title"],
            "read": layer.name,
            "metric": spec.metric,
            "measure": spec.measure,
            "measure_label": label,
            "heads": json.dumps([found.heads for found in maps]),
            "n_stimuli": areas.sizes["stimulus"],
            "device": networks.device().type,
            "simulated": areas.attrs["simulated"],
        },
    )
