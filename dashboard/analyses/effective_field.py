"""Which part of its receptive field does one unit really use?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses.preferred import Responses, centre, responding
from dashboard.analyses.units import check_unit, chosen_layer, where_in_picture
from dashboard.errors import InputError, caution
from dashboard.methods import effective_field as method
from dashboard.networks import Layer, Network
from dashboard.progress import report
from dashboard.specs import EffectiveFieldSpec
from dashboard.stimuli import Stimuli

BATCH = 8
MOST = 512


def effective_field(spec: EffectiveFieldSpec) -> xr.Dataset:
    """Return the energy of the gradient of one unit, in the middle of its map, with respect to the picture.

    Returns
    -------
    xarray.Dataset
        ``energy`` (row, column), squared gradients summed over colours and averaged over stimuli, sum 1;
        ``box`` (edge,) of the theoretical field, NaN where it is the whole picture; and of the Gaussian
        ``centre_row``, ``centre_column``, ``along``, ``across`` (full widths at half maximum, pixels),
        ``angle``, ``explained``; ``radius`` that holds 95 % of the energy; ``area_share`` of the area inside
        half maximum in that of the theoretical field.

    Raises
    ------
    InputError
        When the network sees no pictures, has no such unit, or no gradient reaches the picture.
    """
    from dashboard.networks import pixels

    if not 1 <= spec.most <= MOST:
        message = f"most must be from 1 to {MOST}, not {spec.most}."
        raise InputError(message)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    levels = pixels.levels(network)
    layer = chosen_layer(network, spec.layer)
    check_unit(spec.unit, layer.channels, layer.name)
    network.check([shown.item(0)])
    chosen = _drawn(shown, spec)
    with responding(network, levels, layer, [spec.unit], "maximum") as respond:
        energy, silent = _energy(network, shown, layer, chosen, respond)
    if silent:
        caution(
            "silent",
            f"For {silent} of {len(chosen)} stimuli the unit had no gradient (it was silent): they do not "
            "count.",
        )
    found = method.fit(energy)
    where = where_in_picture(network, layer)
    box = np.array(where.box(centre(layer)), dtype=np.float64)
    whole = float(np.prod(energy.shape))
    # The theoretical field counts as it is clipped by the picture's border.
    theoretical = float((box[2] - box[0]) * (box[3] - box[1])) if np.isfinite(box).all() else whole
    return xr.Dataset(
        {
            "energy": (("row", "column"), energy / energy.sum()),
            "box": ("edge", box),
            "centre_row": ((), found.row),
            "centre_column": ((), found.column),
            "along": ((), found.along, {"units": "pixels"}),
            "across": ((), found.across, {"units": "pixels"}),
            "angle": ((), found.angle, {"units": "deg"}),
            "explained": ((), found.explained),
            "radius": ((), method.radius(energy), {"units": "pixels"}),
            "area_share": ((), found.area / theoretical),
        },
        attrs={
            "title": f"Effective field of unit {spec.unit} of {layer.name} of {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "layer": layer.name,
            "unit": spec.unit,
            "pixels": where.fields.pixels if where.fields is not None else 0,
            "note": where.note,
            "n_stimuli": len(chosen) - silent,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def _drawn(shown: Stimuli, spec: EffectiveFieldSpec) -> list[int]:
    n = min(spec.most, len(shown))
    return sorted(np.random.default_rng(spec.seed).choice(len(shown), n, replace=False).tolist())


def _energy(
    network: Network, shown: Stimuli, layer: Layer, chosen: list[int], respond: Responses
) -> tuple[np.ndarray, int]:
    """Return the mean energy (height, width) float64, and for how many stimuli there was no gradient."""
    import torch

    total = np.zeros(network.input_shape[1:])
    silent = 0
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        batch = network.prepare([shown.item(i) for i in part]).requires_grad_()
        with torch.enable_grad():
            rows = respond.unit(batch)[:, centre(layer)]
            (gradient,) = torch.autograd.grad(rows.sum(), batch)
        energy = gradient.double().square().sum(1).cpu().numpy()
        silent += int((energy.sum(axis=(1, 2)) == 0).sum())
        total += energy.sum(axis=0)
        report((start + len(part)) / len(chosen), f"Gradients: {start + len(part)} of {len(chosen)} stimuli")
    return total, silent
