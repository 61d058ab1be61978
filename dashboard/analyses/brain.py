"""Which layer of the network is most like each area of the brain?"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.compute import compute
from dashboard.errors import InputError, caution
from dashboard.methods import rsa
from dashboard.progress import part, report
from dashboard.specs import AreaRdmSpec, BrainSpec, Metric, RdmSpec

Values = dict[str, np.ndarray]


def compare(spec: BrainSpec) -> xr.Dataset:
    """Compare the RDMs of layers with the RDMs of areas, with noise ceilings and error bars.

    Returns
    -------
    xarray.Dataset
        Dimensions area, layer, subject, sample; see `_one_area` for the variables. With controls also model:
        ``model_score``, ``model_sem``, ``model_ci_low``, ``model_ci_high``, ``model_as_good`` (1 where the
        best layer cannot be told apart from it), ``model_itself`` (1 where it is the area's own RDM) (area,
        model), ``model_subject_score`` (area, subject, model).
    """
    if spec.bootstrap < 2:
        raise InputError(
            f"bootstrap must be at least 2, not {spec.bootstrap}.", "Use 1000 for a publication."
        )
    with part(0.0, 0.02):
        area_answer = compute(AreaRdmSpec(recording=spec.recording, areas=spec.areas, metric=spec.metric))
    with part(0.02, 0.7):
        layer_answer = compute(network_rdms(spec, spec.network, spec.layers))
    pairs = recordings.matching_pairs(list(layer_answer.stimulus.values), list(area_answer.stimulus.values))
    models = layer_answer.rdm.values[:, pairs]
    names: list[str] = []
    if spec.controls:
        from dashboard.analyses import compared  # which asks this module for the layers

        names, simple = compared.simple(spec.recording, area_answer, spec.controls)
        models = np.concatenate([models, simple])
    areas = list(area_answer.area.values)
    subjects = [area_answer.rdm.sel(area=area).values for area in areas]
    present = [~np.isnan(rdms).all(axis=1) for rdms in subjects]
    with part(0.7, 1.0):
        report(0.0, "Comparing layers with areas")
        results = rsa.bootstraps(
            models,
            [rdms[there] for rdms, there in zip(subjects, present, strict=True)],
            spec.measure,
            resample=spec.resample,
            n=spec.bootstrap,
            seed=spec.seed,
            report=lambda fraction: report(fraction, "Bootstrap"),
        )
    for area, (_, given) in zip(areas, results, strict=True):
        for each in given:
            caution(each.code, f"{area}: {each.message[0].lower()}{each.message[1:]}")
    found = [
        _one_area(result, models[len(models) - len(names) :], rdms, there)
        for (result, _), rdms, there in zip(results, subjects, present, strict=True)
    ]
    return _labelled(spec, layer_answer, area_answer, areas, names, found)


def network_rdms(spec: Any, network: str, layers: tuple[str, ...]) -> RdmSpec:
    """Return the question for a network's RDMs of the stimuli of the spec's recording."""
    metric: Metric = spec.metric
    if metric == "crossnobis":
        # A network answers the same every time: without noise, crossnobis is the squared distance.
        metric = "sqeuclidean"
        caution(
            "crossnobis-network",
            "The network has no noise, so its layers use sqeuclidean, which crossnobis estimates.",
        )
    return RdmSpec(
        network=network,
        stimuli=f"recording:{spec.recording}",
        layers=layers,
        metric=metric,
        reducer=spec.reducer,
    )


def _one_area(
    result: rsa.BootstrapResult, controls: np.ndarray, subjects: np.ndarray, present: np.ndarray
) -> Values:
    """Name what the bootstrap of all layers, and of the simple models after them, found for one area.

    Parameters
    ----------
    result : BootstrapResult
    controls : (n_controls, n_pairs)
        RDMs of the simple models, the last of its models.
    subjects : (n_subjects, n_pairs)
    present : (n_subjects,) bool
        Which subjects of the recording have this area.

    Returns
    -------
    dict of ndarray
        score, sem, ci_low, ci_high, p_zero, indistinguishable (n_layers,); subject_score (n_subjects,
        n_layers); sample_score (n_samples, n_layers); ceiling_low, ceiling_high, n_subjects, n_stimuli ().
    """
    n = len(result.score) - len(controls)
    score = result.score[:n]
    best = int(np.nanargmax(score)) if np.isfinite(score).any() else 0
    subject_score = np.full((len(present), len(result.score)), np.nan)
    subject_score[present] = result.subject_scores
    indices = range(len(result.score))
    same = np.array([j == best or not result.distinguishable(best, j) for j in indices], np.int8)
    return {
        "score": score,
        "sem": result.sem[:n],
        "ci_low": result.ci[:n, 0],
        "ci_high": result.ci[:n, 1],
        "p_zero": result.p_zero[:n],
        "indistinguishable": same[:n],
        "best": np.array(best),
        "subject_score": subject_score[:, :n],
        "sample_score": result.scores[:, :n],
        "model_score": result.score[n:],
        "model_sem": result.sem[n:],
        "model_ci_low": result.ci[n:, 0],
        "model_ci_high": result.ci[n:, 1],
        "model_as_good": same[n:],
        "model_itself": compared_with_itself(controls, subjects[present]),
        "model_subject_score": subject_score[:, n:],
        "ceiling_low": np.array(result.ceiling[0]),
        "ceiling_high": np.array(result.ceiling[1]),
        "n_subjects": np.array(present.sum()),
        "n_stimuli": np.array(result.n_stimuli),
        "dof": np.array(result.dof),
    }


def compared_with_itself(models: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Return 1 for models (n_models, n_pairs) that are the mean RDM of the subjects itself, int8."""
    mean = subjects.mean(axis=0)
    return np.array([np.allclose(model, mean, rtol=1e-12, atol=0) for model in models], dtype=np.int8)


_DIMENSIONS = {
    "score": ("area", "layer"),
    "sem": ("area", "layer"),
    "ci_low": ("area", "layer"),
    "ci_high": ("area", "layer"),
    "p_zero": ("area", "layer"),
    "indistinguishable": ("area", "layer"),
    "subject_score": ("area", "subject", "layer"),
    "sample_score": ("area", "sample", "layer"),
    "ceiling_low": ("area",),
    "ceiling_high": ("area",),
    "n_subjects": ("area",),
    "n_stimuli": ("area",),
    "dof": ("area",),
}
_OF_CONTROLS = {
    **dict.fromkeys(
        ("model_score", "model_sem", "model_ci_low", "model_ci_high", "model_as_good", "model_itself"),
        ("area", "model"),
    ),
    "model_subject_score": ("area", "subject", "model"),
}


def _labelled(
    spec: BrainSpec,
    layer_answer: xr.Dataset,
    area_answer: xr.Dataset,
    areas: list[str],
    controls: list[str],
    found: list[Values],
) -> xr.Dataset:
    layers = layer_answer.layer.values
    label = rsa.MEASURES[spec.measure].label
    dimensions: dict[str, tuple[str, ...]] = {**_DIMENSIONS, **(_OF_CONTROLS if controls else {})}
    variables = {name: (dims, np.stack([f[name] for f in found])) for name, dims in dimensions.items()}
    coords = {"area": areas, "layer": layers, "subject": area_answer.subject.values}
    answer = xr.Dataset(
        variables,
        coords={**coords, "model": controls} if controls else coords,
        attrs={
            "title": f"Similarity of the layers of {layer_answer.attrs['network_title']} "
            f"to {area_answer.attrs['recording_title']}",
            "network": spec.network,
            "network_title": layer_answer.attrs["network_title"],
            "recording": spec.recording,
            "recording_title": area_answer.attrs["recording_title"],
            "metric": spec.metric,
            "measure": spec.measure,
            "measure_label": label,
            "reducer": spec.reducer,
            "resample": spec.resample,
            "bootstrap": spec.bootstrap,
            "seed": spec.seed,
            "behaviour": area_answer.attrs["behaviour"],
            "simulated": area_answer.attrs["simulated"],
            "device": layer_answer.attrs.get("device", "cpu"),
        },
    )
    answer["best"] = ("area", [str(layers[int(f["best"])]) for f in found])
    for name in ("score", "sem", "ci_low", "ci_high", "subject_score", "sample_score"):
        answer[name].attrs["units"] = label
    return answer
