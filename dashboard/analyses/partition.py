"""What does each of a few models explain of an area alone, and what do they share?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import compared
from dashboard.compute import compute
from dashboard.errors import InputError, caution, collect_cautions
from dashboard.methods import partition, rsa
from dashboard.progress import part, report
from dashboard.specs import AreaRdmSpec, RdmPartitionSpec


def parts(spec: RdmPartitionSpec) -> xr.Dataset:
    """Split the variance of the areas' RDMs between layers and simple models.

    Returns
    -------
    xarray.Dataset
        ``share``, ``share_sem``, ``share_low``, ``share_high`` (area, part), whose sum is ``total`` (area,);
        ``members`` (part,) with the number of models in a part; ``partial``, ``partial_low``,
        ``partial_high`` and ``p`` (area, model).
    """
    if not 2 <= len(spec.models) <= partition.MOST_MODELS:
        message = f"Variance is split between 2 to {partition.MOST_MODELS} models, not {len(spec.models)}."
        raise InputError(message, 'Name layers or simple models, such as "pixels".')
    with part(0.0, 0.05):
        areas = compute(AreaRdmSpec(recording=spec.recording, areas=spec.areas, metric=spec.metric))
    with part(0.05, 0.6):
        names, rdms, title, device = _models(spec, areas)
    found = []
    subjects = compared.subjects_of(areas)
    for k, area in enumerate(map(str, areas.area.values)):
        ends = 0.6 + 0.4 * k / len(subjects), 0.6 + 0.4 * (k + 1) / len(subjects)
        with part(*ends), collect_cautions() as given:
            report(0.0, f"Splitting the variance of {area}")
            found.append(
                partition.partition(
                    rdms,
                    subjects[k],
                    spec.measure,
                    spec.resample,
                    n=spec.bootstrap,
                    seed=spec.seed,
                    report=lambda fraction, area=area: report(fraction, f"Bootstrap for {area}"),  # type: ignore[misc]
                )
            )
        for each in given:
            caution(each.code, f"{area}: {each.message[0].lower()}{each.message[1:]}")
    return _labelled(spec, areas, names, found, title, device)


def _models(spec: RdmPartitionSpec, areas: xr.Dataset) -> tuple[list[str], np.ndarray, str, str]:
    """Return names and RDMs in the order asked for, the network's title and the device."""
    chosen = [name for name in spec.models if not compared.is_simple(name)]
    found: dict[str, np.ndarray] = {}
    device, title = "cpu", ""
    if chosen:
        names, rdms, answer = compared.layers(spec, areas, spec.network, tuple(chosen))
        if len(names) != len(chosen):
            message = f"The layers {', '.join(chosen)} are {len(names)} layers of the network."
            raise InputError(message, "Name each layer once, without patterns.")
        found |= dict(zip(chosen if set(names) != set(chosen) else names, rdms, strict=True))
        device, title = str(answer.attrs.get("device", "cpu")), str(answer.attrs["network_title"])
    names, rdms = compared.simple(spec.recording, areas, (n for n in spec.models if compared.is_simple(n)))
    found |= dict(zip(names, rdms, strict=True))
    return list(spec.models), np.stack([found[name] for name in spec.models]), title, device


def _labelled(
    spec: RdmPartitionSpec,
    areas: xr.Dataset,
    names: list[str],
    found: list[partition.Partition],
    title: str,
    device: str,
) -> xr.Dataset:
    two, three = ("area", "part"), ("area", "model")
    return xr.Dataset(
        {
            "share": (two, np.stack([f.part for f in found])),
            "share_sem": (two, np.stack([f.part_sem for f in found])),
            "share_low": (two, np.stack([f.part_ci[:, 0] for f in found])),
            "share_high": (two, np.stack([f.part_ci[:, 1] for f in found])),
            "total": ("area", [f.total for f in found]),
            "total_sem": ("area", [f.total_sem for f in found]),
            "total_low": ("area", [f.total_ci[0] for f in found]),
            "total_high": ("area", [f.total_ci[1] for f in found]),
            "members": ("part", [len(group) for group in found[0].members]),
            "partial": (three, np.stack([f.partial for f in found])),
            "partial_low": (three, np.stack([f.partial_ci[:, 0] for f in found])),
            "partial_high": (three, np.stack([f.partial_ci[:, 1] for f in found])),
            "p": (three, np.stack([f.p for f in found])),
            "n_subjects": ("area", [f.n_subjects for f in found]),
            "n_stimuli": ("area", [f.n_stimuli for f in found]),
        },
        coords={
            "area": areas.area.values,
            "model": names,
            "part": list(partition.names_of(found[0].members, names)),
        },
        attrs={
            "title": f"Variance of {areas.attrs['recording_title']} explained by {', '.join(names)}",
            "network": spec.network,
            "network_title": title,
            "recording": spec.recording,
            "recording_title": areas.attrs["recording_title"],
            "metric": spec.metric,
            "measure": spec.measure,
            "measure_label": rsa.MEASURES[spec.measure].label,
            "resample": spec.resample,
            "bootstrap": spec.bootstrap,
            "seed": spec.seed,
            "simulated": areas.attrs["simulated"],
            "device": device,
        },
    )
