"""Which stimuli carry the similarity of a layer with an area, and about which pairs do they disagree?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import compared
from dashboard.compute import compute
from dashboard.errors import InputError
from dashboard.methods import influence as method
from dashboard.methods import rsa
from dashboard.methods.condensed import rank_transform
from dashboard.progress import part, report
from dashboard.specs import AreaRdmSpec, InfluenceSpec


def influence(spec: InfluenceSpec) -> xr.Dataset:
    """Leave out each stimulus in turn, and rank the pairs in layer and area.

    Returns
    -------
    xarray.Dataset
        ``influence`` (stimulus,): score minus score without the stimulus; ``gap`` (pair,): rank of a pair in
        the layer minus its rank in the area, from -1 to 1; ``layer_rank``, ``area_rank`` (pair,).
    """
    with part(0.0, 0.05):
        areas = compute(AreaRdmSpec(recording=spec.recording, metric=spec.metric))
    known = [str(name) for name in areas.area.values]
    area = spec.area or known[0]
    if area not in known:
        areas = compute(AreaRdmSpec(recording=spec.recording, areas=(area,), metric=spec.metric))
    subjects = compared.subjects_of(areas)[[str(n) for n in areas.area.values].index(area)]
    with part(0.05, 0.8):
        layer, model, title, device = _layer(spec, areas, subjects)
    report(0.8, f"Leaving out each of {areas.sizes['stimulus']} stimuli")
    effect = method.leave_one_out(model[None], subjects, spec.measure)[0]
    layer_rank = rank_transform(model)
    gap = method.disagreement(model, subjects)
    label = rsa.MEASURES[spec.measure].label
    score = float(np.nanmean(rsa.similarity(model[None], subjects, spec.measure)))
    return xr.Dataset(
        {
            "influence": ("stimulus", effect, {"units": label}),
            "gap": ("pair", gap),
            "layer_rank": ("pair", layer_rank),
            "area_rank": ("pair", layer_rank - gap),
        },
        coords={"stimulus": areas.stimulus.values, "category": areas.category},
        attrs={
            "title": f"Influence of each stimulus on the similarity of {layer} with {area}",
            "network": spec.network,
            "network_title": title,
            "recording": spec.recording,
            "recording_title": areas.attrs["recording_title"],
            "layer_name": layer,
            "area_name": area,
            "score": score,
            "measure": spec.measure,
            "measure_label": label,
            "metric": spec.metric,
            "simulated": areas.attrs["simulated"],
            "device": device,
        },
    )


def _layer(spec: InfluenceSpec, areas: xr.Dataset, subjects: np.ndarray) -> tuple[str, np.ndarray, str, str]:
    """Return name and RDM of the layer asked for, or of the most similar one, with title and device."""
    names, rdms, answer = compared.layers(spec, areas, spec.network, (spec.layer,) if spec.layer else ())
    scores = rsa.similarity(rdms, subjects, spec.measure).mean(1)
    if not np.isfinite(scores).any():
        raise InputError("No layer has a score, so no stimulus has an influence.", "Choose another layer.")
    k = int(np.nanargmax(scores))
    return names[k], rdms[k], str(answer.attrs["network_title"]), str(answer.attrs.get("device", "cpu"))
