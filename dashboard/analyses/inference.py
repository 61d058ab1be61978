"""Which layers, of one network or two, are like each area, and which can be told apart?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard.analyses import compared
from dashboard.compute import compute
from dashboard.errors import InputError, caution
from dashboard.methods import inference, rsa
from dashboard.progress import part, report
from dashboard.specs import AreaRdmSpec, InferenceSpec

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Models:
    """RDMs that are tested, in the order of the recording's stimuli.

    Attributes
    ----------
    names, sources : tuple of str (n_models,)
        Unique names; "first" or "second" network, or "control".
    rdms : np.ndarray (n_models, n_pairs)
    title, second_title : str
        What the networks are called; "" without a second one.
    device : str
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    rdms: np.ndarray
    title: str
    second_title: str
    device: str


def tests(spec: InferenceSpec) -> xr.Dataset:
    """Test layers against zero, the noise ceiling and each other.

    Returns
    -------
    xarray.Dataset
        Dimensions area, model, other (the same models again): ``score``, ``sem``, ``ci_low``, ``ci_high``,
        ``below`` (lower ceiling minus score), p values ``p_zero`` and ``p_ceiling`` by t tests,
        ``p_labels`` and ``p_labels_max`` by shuffled labels (NaN where there were none), (area, model);
        ``difference`` (row minus column), ``difference_sem``, ``p_pair`` (area, model, other); each
        p of t tests also as ``…_adjusted``.
    """
    _check(spec)
    if spec.correction != "none":  # the bootstrap is stored once, whatever the correction
        return _corrected(compute(spec.replace(correction="none")), spec)
    with part(0.0, 0.02):
        areas = compute(AreaRdmSpec(recording=spec.recording, areas=spec.areas, metric=spec.metric))
    with part(0.02, 0.6):
        models = tested_models(spec, areas)
    present = compared.subjects_of(areas)
    with part(0.6, 0.9):
        report(0.0, "Comparing models with areas")
        results = rsa.bootstraps(
            models.rdms,
            present,
            spec.measure,
            resample=spec.resample,
            n=spec.bootstrap,
            seed=spec.seed,
            report=lambda fraction: report(fraction, "Bootstrap"),
        )
    for area, (_, given) in zip(areas.area.values, results, strict=True):
        for each in given:
            caution(each.code, f"{area}: {each.message[0].lower()}{each.message[1:]}")
    found = [_one_area(result) for result, _ in results]
    with part(0.9, 1.0):
        labels = _labels(models.rdms, present, spec)
    answer = _labelled(spec, models, areas, found, labels)
    left_out = all(result.left_out is not None for result, _ in results)
    answer.attrs["variance"] = "stimuli left out" if left_out else "bootstrap"
    return answer


def _check(spec: InferenceSpec) -> None:
    if spec.bootstrap < 2:
        message = f"bootstrap must be at least 2, not {spec.bootstrap}."
        raise InputError(message, "Use 1000 for a publication.")
    if spec.correction == "max" and spec.permutations < 19:
        message = f"The maximum statistic with {spec.permutations} shuffles cannot reach p = .05."
        raise InputError(message, "Use at least 1000 permutations, or another correction.")
    if spec.permutations < 0:
        raise InputError(f"permutations must be at least 0, not {spec.permutations}.")
    if not rsa.MEASURES[spec.measure].centred and spec.metric not in ("crossnobis",):
        caution(
            "uncentred",
            f"{rsa.MEASURES[spec.measure].label} is above zero even for unrelated RDMs, so the t test "
            "against zero says nothing; the test by shuffled labels holds.",
        )


def tested_models(spec: InferenceSpec, areas: xr.Dataset) -> Models:
    """Return the RDMs of the layers of one network or two, and of simple models as controls."""
    asked = [(spec.network, spec.layers, "first")]
    asked += [(spec.second, spec.second_layers, "second")] if spec.second else []
    names: list[str] = []
    sources: list[str] = []
    rdms, titles, device = [], {"first": "", "second": ""}, "cpu"
    for number, (network, layers, source) in enumerate(asked):
        with part(0.9 * number / len(asked), 0.9 * (number + 1) / len(asked)):
            found, values, answer = compared.layers(spec, areas, network, layers)
        titles[source] = str(answer.attrs["network_title"])
        device = str(answer.attrs.get("device", device))
        tail = f" ({titles[source]})" if source == "second" else ""
        found = [f"{name}{tail}" for name in found]
        if set(found) & set(names):  # the same network under the same title, say with other weights
            found = [f"{name} 2" for name in found]
        names += found
        sources += [source] * len(found)
        rdms.append(values)
    with part(0.9, 1.0):
        found, values = compared.simple(spec.recording, areas, spec.controls)
    names += [f"{name} (control)" if name in names else name for name in found]
    sources += ["control"] * len(found)
    rdms.append(values)
    return Models(
        tuple(names), tuple(sources), np.concatenate(rdms), titles["first"], titles["second"], device
    )


def _one_area(result: rsa.BootstrapResult) -> Values:
    """Test from the bootstrap of one area."""
    tested = inference.from_bootstrap(result)
    return {
        "score": result.score,
        "sem": result.sem,
        "ci_low": result.ci[:, 0],
        "ci_high": result.ci[:, 1],
        "below": tested.below,
        "p_zero": tested.zero,
        "p_ceiling": tested.ceiling,
        "difference": tested.difference,
        "difference_sem": tested.difference_sem,
        "p_pair": tested.pairs,
        "ceiling_low": np.array(result.ceiling[0]),
        "ceiling_high": np.array(result.ceiling[1]),
        "n_subjects": np.array(result.n_subjects),
        "n_stimuli": np.array(result.n_stimuli),
        "dof": np.array(result.dof),
    }


def _labels(models: np.ndarray, present: list[np.ndarray], spec: InferenceSpec) -> Values:
    """Shuffle stimulus labels for all areas together; NaN without shuffles."""
    if not spec.permutations:
        nothing = np.full((len(present), len(models)), np.nan)
        return {"p_labels": nothing, "p_labels_max": nothing.copy()}
    found = inference.label_permutation(
        models,
        present,
        spec.measure,
        n=spec.permutations,
        seed=spec.seed,
        report=lambda fraction: report(fraction, "Shuffling stimulus labels"),
    )
    return {"p_labels": found.p, "p_labels_max": found.p_max}


_DIMENSIONS = {
    **dict.fromkeys(("score", "sem", "ci_low", "ci_high", "below", "p_zero", "p_ceiling"), ("area", "model")),
    **dict.fromkeys(("difference", "difference_sem", "p_pair"), ("area", "model", "other")),
    **dict.fromkeys(("ceiling_low", "ceiling_high", "n_subjects", "n_stimuli", "dof"), ("area",)),
}


def _labelled(
    spec: InferenceSpec, models: Models, areas: xr.Dataset, found: list[Values], labels: Values
) -> xr.Dataset:
    variables = {name: (dims, np.stack([f[name] for f in found])) for name, dims in _DIMENSIONS.items()}
    variables |= {name: (("area", "model"), value) for name, value in labels.items()}
    both = f" and {models.second_title}" if spec.second else ""
    answer = xr.Dataset(
        variables,
        coords={
            "area": areas.area.values,
            "model": list(models.names),
            "other": list(models.names),
            "source": ("model", list(models.sources)),
        },
        attrs={
            "title": f"Tests of the layers of {models.title}{both} against {areas.attrs['recording_title']}",
            "network": spec.network,
            "network_title": models.title,
            "second_title": models.second_title,
            "recording": spec.recording,
            "recording_title": areas.attrs["recording_title"],
            "metric": spec.metric,
            "measure": spec.measure,
            "measure_label": rsa.MEASURES[spec.measure].label,
            "resample": spec.resample,
            "bootstrap": spec.bootstrap,
            "permutations": spec.permutations,
            "seed": spec.seed,
            "simulated": areas.attrs["simulated"],
            "device": models.device,
        },
    )
    for name in ("score", "sem", "ci_low", "ci_high", "below", "difference", "difference_sem"):
        answer[name].attrs["units"] = rsa.MEASURES[spec.measure].label
    return _corrected(answer, spec)


def _corrected(answer: xr.Dataset, spec: InferenceSpec) -> xr.Dataset:
    """Return the answer with p values corrected over all models and areas, each kind of test a family."""
    adjust = inference.lookup(spec.correction).adjust
    pairs = inference.adjusted_pairs(answer.p_pair.values, spec.correction)
    found = answer.assign(
        p_zero_adjusted=(("area", "model"), adjust(answer.p_zero.values)),
        p_ceiling_adjusted=(("area", "model"), adjust(answer.p_ceiling.values)),
        p_pair_adjusted=(("area", "model", "other"), pairs),
    )
    found.attrs |= {
        "correction": spec.correction,
        "correction_label": inference.lookup(spec.correction).label,
    }
    return found
