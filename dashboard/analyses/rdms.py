"""Which stimuli does each layer, and each brain area, tell apart?"""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.analyses.activations import extract
from dashboard.compute import compute
from dashboard.errors import InputError, caution, unknown
from dashboard.methods import mds, rdm
from dashboard.progress import part, report
from dashboard.recordings import Recording
from dashboard.reference import parse
from dashboard.specs import AreaRdmSpec, MapSpec, RdmSpec


def network_rdms(spec: RdmSpec) -> xr.Dataset:
    """Return the RDM of each chosen layer.

    Returns
    -------
    xarray.Dataset
        ``rdm`` (layer, pair) float64, condensed in scipy's `pdist` order, in the unit of the metric.
    """
    _refuse_fold_metric(spec.metric)
    _warn_of_projection(spec)
    with part(0.0, 0.7):
        extraction = extract(spec.network, spec.stimuli, spec.layers, spec.reducer)
    values, n_units = [], []
    for number, layer in enumerate(extraction.layers):
        report(0.7 + 0.3 * number / len(extraction.layers), f"RDM of {layer.name}")
        patterns = extraction.patterns(layer)
        n_units.append(patterns.shape[1])
        values.append(rdm.dissimilarities(patterns, spec.metric).numpy())
        del patterns  # before the next layer comes: one of them may be a gigabyte
    title = extraction.network.title
    return xr.Dataset(
        {
            "rdm": (("layer", "pair"), np.stack(values), {"units": rdm.METRICS[spec.metric].unit}),
            "n_units": ("layer", np.array(n_units)),
        },
        coords={
            "layer": [layer.name for layer in extraction.layers],
            "layer_kind": ("layer", [layer.kind for layer in extraction.layers]),
            "stimulus": list(extraction.shown.names),
            "category": ("stimulus", list(extraction.shown.categories)),
        },
        attrs={
            "title": f"Dissimilarity of {len(extraction.shown)} stimuli in {title}",
            "network": spec.network,
            "network_title": title,
            "stimuli": spec.stimuli,
            "stimuli_title": extraction.shown.title,
            "metric": spec.metric,
            "reducer": spec.reducer,
            "device": extraction.device,
            "simulated": "no",
        },
    )


def area_rdms(spec: AreaRdmSpec) -> xr.Dataset:
    """Return the RDMs of each brain area, one per subject, and of behaviour that comes with the recording.

    Behaviour stands after the areas and is compared with networks in the same way: its subjects are people
    who judged the stimuli.

    Returns
    -------
    xarray.Dataset
        ``rdm`` (area, subject, pair) float64, rows of NaN where an area lacks a subject; ``mean_rdm``
        (area, pair), the mean over subjects; ``unit`` (area,). Attribute ``behaviour`` (JSON) names those
        that are no brain areas.
    """
    recording = recordings.load(spec.recording)
    known = [*recording.areas, *recording.behaviour]
    areas = list(spec.areas or known)
    for area in areas:
        if area not in known:
            raise unknown(f"area of {recording.title}", area, known)
    found: dict[str, dict[str, np.ndarray]] = {}
    for number, area in enumerate(areas):
        report(number / len(areas), f"RDMs of {area}")
        found[area] = _subject_rdms(recording, area, spec.metric)
    subjects = list(dict.fromkeys(name for rdms in found.values() for name in rdms))
    n_pairs = len(next(iter(next(iter(found.values())).values())))
    values = np.full((len(areas), len(subjects), n_pairs), np.nan)
    for i, area in enumerate(areas):
        for name, condensed in found[area].items():
            values[i, subjects.index(name)] = condensed
    judged = [area for area in areas if area in recording.behaviour]
    given = all(area in recording.rdms for area in areas if area not in judged)
    unit = recording.rdm_unit if given else rdm.METRICS[spec.metric].unit
    units = [recording.behaviour_unit if area in judged else unit for area in areas]
    if given and spec.metric != recording.rdm_metric:
        caution(
            "metric-of-recording",
            f"{recording.title} was published as RDMs ({', '.join(dict.fromkeys(units))}); "
            f"the chosen metric, {spec.metric}, applies to the network only.",
        )
    stimuli = recording.stimuli
    return xr.Dataset(
        {
            "rdm": (("area", "subject", "pair"), values, {"units": units[0]}),
            "mean_rdm": (("area", "pair"), np.nanmean(values, axis=1), {"units": units[0]}),
            "n_subjects": ("area", [len(found[area]) for area in areas]),
            "unit": ("area", units),
        },
        coords={
            "area": areas,
            "subject": subjects,
            "stimulus": list(recording.stimulus_names),
            "category": ("stimulus", list(stimuli.categories) if stimuli else list(recording.stimulus_names)),
        },
        attrs={
            "title": f"Dissimilarity of {len(recording.stimulus_names)} stimuli in {recording.title}",
            "recording": spec.recording,
            "recording_title": recording.title,
            "metric": recording.rdm_metric if given else spec.metric,
            "behaviour": json.dumps(judged),
            "simulated": "yes" if recording.simulated else "no",
        },
    )


def _subject_rdms(recording: Recording, area: str, metric: str) -> dict[str, np.ndarray]:
    """Return subject -> condensed RDM (n_pairs,) of one area."""
    if area in recording.behaviour:
        return {f"person {k}": row for k, row in enumerate(recording.behaviour[area], 1)}
    if area in recording.rdms:
        return dict(zip(recording.subjects[area], recording.rdms[area], strict=True))
    found = {}
    # Cross-validated, poisson takes the repeats that all stimuli have.
    given = recording.responses[area] if metric == "poisson" else recording.all_repeats(area)
    for name, responses in zip(recording.subjects[area], given, strict=True):
        repeated = responses.ndim == 3
        if metric == "crossnobis" and not repeated:
            raise InputError(
                f"{recording.title} has no repeats in {area}, and crossnobis compares repeats.",
                "Choose another metric, such as correlation.",
            )
        folds = range(len(responses)) if repeated and metric in ("crossnobis", "poisson") else None
        found[name] = rdm.dissimilarities(responses, metric, folds=folds).numpy()
    return found


def _warn_of_projection(spec: RdmSpec) -> None:
    """Say that a plain projection loses the mean over units, which the correlation distance subtracts."""
    reducer = parse(spec.reducer)
    if spec.metric == "correlation" and reducer.name == "projection" and "centre" not in reducer.options:
        caution(
            "projection-without-centre",
            "A projection loses the mean over units, so its correlations come out near cosines: "
            "use projection?n=1024&centre with this metric.",
        )


def _refuse_fold_metric(metric: str) -> None:
    if metric == "crossnobis":
        raise InputError(
            "crossnobis compares repeated measurements, and a network answers the same every time.",
            "Choose sqeuclidean, which is what crossnobis estimates without noise.",
        )


def stimulus_map(spec: MapSpec) -> xr.Dataset:
    """Place the stimuli in the plane so that distances approach the dissimilarities.

    Returns
    -------
    xarray.Dataset
        ``position`` (source, stimulus, axis), in the unit of the dissimilarities; ``stress`` (source,),
        Kruskal's stress-1 (Kruskal 1964), of metric maps; ``explained`` (source,), share of both axes in the
        sum of positive eigenvalues, of classical maps (Torgerson 1952). A source is a layer or an area.
    """
    with part(0.0, 0.7):
        rdms = compute(spec.rdms)
    by_layer = "layer" in rdms.dims
    sources = list(rdms.layer.values if by_layer else rdms.area.values)
    values = rdms.rdm.values if by_layer else rdms.mean_rdm.values
    positions: list[np.ndarray] = []
    stress: list[float] = []
    explained: list[float] = []
    for number, condensed in enumerate(values):
        report(0.7 + 0.3 * number / len(values), f"Placing the stimuli of {sources[number]}")
        if spec.method == "classical":
            placed, share = mds.classical(condensed)
            explained.append(float(share.sum()))
            stress.append(np.nan)
        else:
            placed, found = mds.metric(condensed, seed=spec.seed)
            explained.append(np.nan)
            stress.append(found)
        positions.append(placed)
    units = [rdms.rdm.attrs["units"]] if by_layer else rdms.unit.values.tolist()
    unit = "; ".join(dict.fromkeys(units))
    return xr.Dataset(
        {
            "position": (("source", "stimulus", "axis"), np.stack(positions), {"units": unit}),
            "stress": ("source", np.array(stress)),
            "explained": ("source", np.array(explained)),
        },
        coords={"source": sources, "stimulus": rdms.stimulus.values, "category": rdms.category},
        attrs={
            "title": rdms.attrs["title"].replace("Dissimilarity", "Map", 1),
            "method": spec.method,
            "source_kind": "layer" if by_layer else "area",
            "metric": rdms.attrs["metric"],
            "simulated": rdms.attrs["simulated"],
        },
    )
