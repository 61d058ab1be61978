"""Does weighing the channels of a layer make it more like an area, on held-out stimuli and subjects?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import one_layer
from dashboard.analyses.activations import Extraction, extract
from dashboard.analyses.brain_why import channel_of_columns, columns_of, span
from dashboard.analyses.one_layer import Area
from dashboard.errors import InputError, caution
from dashboard.methods import flexible, reweighted, rsa
from dashboard.progress import part, report
from dashboard.specs import ReweightedSpec

MOST_GROUPS = 64


def reweigh(spec: ReweightedSpec) -> xr.Dataset:
    """Fit non-negative weights of channel groups, and score them on stimuli and subjects held out.

    Returns
    -------
    xarray.Dataset
        ``score`` (fit, subject): mean similarity with the held-out subject, of fitted and of equal weights;
        ``single`` (group, subject): of every group alone; ``weight`` (group,): mean over fits, 1 being the
        weight of a channel in the unweighted layer; ``channels`` (group,); ``ceiling`` (subject,).

    Raises
    ------
    InputError
        When area, layer, metric or measure do not fit, or nothing is held out.
    """
    _check(spec)
    with part(0.0, 0.05):
        area = one_layer.area(spec)
    with part(0.05, 0.6):
        name = one_layer.layer(spec, area)
        extraction = extract(spec.network, f"recording:{spec.recording}", [name], spec.reducer)
    names, sizes, rdms = _groups(spec, area, extraction)
    with part(0.6, 1.0):
        found = flexible.cross_validate(
            rdms,
            area.subjects,
            spec.measure,
            folds=spec.folds,
            repeats=spec.repeats,
            seed=spec.seed,
            fits=reweighted.FITS,
            report=lambda done: report(done, f"Fitting {len(names)} weights to {area.name}"),
        )
    if found.shared_subject:
        caution(
            "one-subject-fitted",
            f"{area.name}: with one subject only stimuli are held out; part of the fit may be to its noise.",
        )
    return _labelled(spec, area, extraction, (names, sizes), found)


def _check(spec: ReweightedSpec) -> None:
    if spec.repeats < 1 or spec.folds < 0:
        message = f"{spec.repeats} partitions into {spec.folds} folds hold nothing out."
        raise InputError(message, "Use at least one repeat; 0 folds for a number that suits the stimuli.")
    if not 2 <= spec.groups <= MOST_GROUPS:
        message = f"groups must be from 2 to {MOST_GROUPS}, not {spec.groups}."
        raise InputError(message)


def _groups(
    spec: ReweightedSpec, area: Area, extraction: Extraction
) -> tuple[list[str], list[int], np.ndarray]:
    """Return names, numbers of channels and RDMs (n_groups, n_pairs) of neighbouring channels."""
    layer = extraction.layers[0]
    columns = columns_of(channel_of_columns(layer, spec.reducer))
    patterns = extraction.patterns(layer)[one_layer.order(extraction.shown.names, area)]
    members = np.array_split(np.arange(len(columns)), min(spec.groups, len(columns)))
    metric = "sqeuclidean" if spec.metric == "crossnobis" else spec.metric  # a network has no noise
    rdms = reweighted.group_rdms(patterns, [np.concatenate([columns[k] for k in m]) for m in members], metric)
    return [span(m.tolist()) for m in members], [len(m) for m in members], rdms


def _labelled(
    spec: ReweightedSpec,
    area: Area,
    extraction: Extraction,
    groups: tuple[list[str], list[int]],
    found: flexible.HeldOut,
) -> xr.Dataset:
    names, sizes = groups
    label = rsa.MEASURES[spec.measure].label
    fits = list(reweighted.FITS)
    layer, title = extraction.layers[0].name, extraction.network.title
    return xr.Dataset(
        {
            "score": (("fit", "subject"), np.stack([found.fitted[f] for f in fits]), {"units": label}),
            "single": (("group", "subject"), found.single, {"units": label}),
            "weight": ("group", found.weights["reweighted"] * len(names)),
            "channels": ("group", sizes),
            "ceiling": ("subject", found.ceiling),
        },
        coords={
            "fit": fits,
            "called": ("fit", [reweighted.FITS[f][0] for f in fits]),
            "group": names,
            "subject": area.people,
        },
        attrs={
            "title": f"Weighted channels of {layer} of {title} and {area.name}",
            "network": spec.network,
            "network_title": title,
            "recording": spec.recording,
            "recording_title": area.answer.attrs["recording_title"],
            "area_name": area.name,
            "layer_name": layer,
            "measure": spec.measure,
            "measure_label": label,
            "metric": spec.metric,
            "reducer": spec.reducer,
            "folds": found.folds,
            "repeats": found.repeats,
            "seed": spec.seed,
            "device": extraction.device,
            "simulated": area.answer.attrs["simulated"],
        },
    )
