"""Do several layers together resemble an area more than one of them, on held-out stimuli and subjects?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import compared
from dashboard.compute import compute
from dashboard.errors import InputError, caution
from dashboard.methods import flexible, rsa
from dashboard.progress import part, report
from dashboard.specs import AreaRdmSpec, FlexibleSpec


def combine(spec: FlexibleSpec) -> xr.Dataset:
    """Fit sums, mixtures and choices of layers, and score them on stimuli and subjects held out.

    Returns
    -------
    xarray.Dataset
        ``score`` (area, fit, subject) and ``single`` (area, layer, subject): mean similarity with the
        held-out subject; ``weight`` (area, fit, layer), which sum to 1; ``ceiling`` (area, subject). NaN
        where an area lacks a subject.
    """
    if spec.repeats < 1 or spec.folds < 0:
        message = f"{spec.repeats} partitions into {spec.folds} folds hold nothing out."
        raise InputError(message, "Use at least one repeat; 0 folds for a number that suits the stimuli.")
    with part(0.0, 0.05):
        areas = compute(AreaRdmSpec(recording=spec.recording, areas=spec.areas, metric=spec.metric))
    with part(0.05, 0.6):
        names, rdms, answer = compared.layers(spec, areas, spec.network, spec.layers)
    found = []
    for k, subjects in enumerate(compared.subjects_of(areas)):
        area, n = str(areas.area.values[k]), areas.sizes["area"]
        with part(0.6 + 0.4 * k / n, 0.6 + 0.4 * (k + 1) / n):
            found.append(
                flexible.cross_validate(
                    rdms,
                    subjects,
                    spec.measure,
                    folds=spec.folds,
                    repeats=spec.repeats,
                    seed=spec.seed,
                    report=lambda fraction, area=area: report(fraction, f"Fitting layers to {area}"),  # type: ignore[misc]
                )
            )
        if found[-1].shared_subject:
            caution(
                "one-subject-fitted",
                f"{area}: with one subject only stimuli are held out; part of the fit may be to its noise.",
            )
    return _labelled(spec, areas, names, found, answer)


def _labelled(
    spec: FlexibleSpec,
    areas: xr.Dataset,
    names: list[str],
    found: list[flexible.HeldOut],
    answer: xr.Dataset,
) -> xr.Dataset:
    present = ~np.isnan(areas.rdm.values).all(axis=2)

    def spread(values: np.ndarray, k: int) -> np.ndarray:
        """Put values of the subjects of area k, (..., n), at their places among all subjects."""
        wide = np.full((*values.shape[:-1], present.shape[1]), np.nan)
        wide[..., present[k]] = values
        return wide

    fits = list(flexible.FITS)
    scores = [spread(np.stack([f.fitted[name] for name in fits]), k) for k, f in enumerate(found)]
    found_weights = np.stack([np.stack([f.weights[name] for name in fits]) for f in found])
    label = rsa.MEASURES[spec.measure].label
    return xr.Dataset(
        {
            "score": (("area", "fit", "subject"), np.stack(scores), {"units": label}),
            "single": (
                ("area", "layer", "subject"),
                np.stack([spread(f.single, k) for k, f in enumerate(found)]),
                {"units": label},
            ),
            "weight": (("area", "fit", "layer"), found_weights),
            "ceiling": (
                ("area", "subject"),
                np.stack([spread(f.ceiling, k) for k, f in enumerate(found)]),
            ),
            "folds": ("area", [f.folds for f in found]),
        },
        coords={
            "area": areas.area.values,
            "fit": fits,
            "layer": names,
            "subject": areas.subject.values,
            "called": ("fit", [flexible.FITS[name][0] for name in fits]),
        },
        attrs={
            "title": f"Combined layers of {answer.attrs['network_title']} and "
            f"{areas.attrs['recording_title']}",
            "network": spec.network,
            "network_title": answer.attrs["network_title"],
            "recording": spec.recording,
            "recording_title": areas.attrs["recording_title"],
            "measure": spec.measure,
            "measure_label": label,
            "metric": spec.metric,
            "repeats": spec.repeats,
            "seed": spec.seed,
            "simulated": areas.attrs["simulated"],
            "device": str(answer.attrs.get("device", "cpu")),
        },
    )
