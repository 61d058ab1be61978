"""Which layers of two networks, or of one, represent the same stimuli alike?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import activations
from dashboard.errors import InputError, caution
from dashboard.methods import alignments as method
from dashboard.progress import part, report
from dashboard.specs import AlignmentSpec

MOST_PAIRS = 2500
MOST_SAMPLES = 5000


def align(spec: AlignmentSpec) -> xr.Dataset:
    """Align every layer of a network with every layer of a second one, which may be the same.

    Returns
    -------
    xarray.Dataset
        ``score``, ``low``, ``high``, ``chance`` (layer, partner): alignment, its 95 % interval over stimuli
        and its mean with stimuli of one side shuffled; ``reason`` (layer, partner), why there is no score;
        ``n_units`` (layer,) and ``n_partner_units`` (partner,).

    Raises
    ------
    InputError
        When there are too few stimuli or too many pairs, or a setting does not fit.
    """
    if not 2 <= spec.bootstrap <= MOST_SAMPLES:
        raise InputError(f"bootstrap must be from 2 to {MOST_SAMPLES:,}, not {spec.bootstrap}.")
    measure = method.known(spec.measure)
    with part(0.0, 0.35):
        first = activations.extract(spec.network, spec.stimuli, spec.layers, spec.reducer)
    with part(0.35, 0.7):
        second = activations.extract(
            spec.second, spec.stimuli, spec.second_layers or _default(spec), spec.reducer
        )
    pairs = len(first.layers) * len(second.layers)
    if pairs > MOST_PAIRS:
        message = f"{pairs:,} pairs of layers are more than {MOST_PAIRS:,}."
        raise InputError(message, "Choose fewer layers.")
    sides = [_summaries(extraction, spec.measure) for extraction in (first, second)]
    with part(0.75, 1.0):
        found = method.matrix(
            sides[0][0],
            sides[1][0],
            spec.measure,
            n=spec.bootstrap,
            seed=spec.seed,
            report=lambda done: report(done, f"{pairs} pairs of layers, {spec.bootstrap} samples"),
        )
    n = len(first.shown)
    _tell(spec, found, n)
    same = spec.network == spec.second
    return xr.Dataset(
        {
            "score": (("layer", "partner"), found.score),
            "low": (("layer", "partner"), found.low),
            "high": (("layer", "partner"), found.high),
            "chance": (("layer", "partner"), found.chance),
            "reason": (("layer", "partner"), found.reason.astype(str)),
            "n_units": ("layer", sides[0][1]),
            "n_partner_units": ("partner", sides[1][1]),
        },
        coords={
            "layer": [layer.name for layer in first.layers],
            "partner": [layer.name for layer in second.layers],
        },
        attrs={
            "title": f"Alignment of {first.network.title} with {'itself' if same else second.network.title}",
            "network": spec.network,
            "network_title": first.network.title,
            "second": spec.second,
            "second_title": second.network.title,
            "stimuli": spec.stimuli,
            "stimuli_title": first.shown.title,
            "measure": spec.measure,
            "measure_label": measure.label,
            "caveat": measure.caveat,
            "invariant": measure.invariant,
            "source": measure.source,
            "kernel": "yes" if measure.kernel else "no",
            "reducer": spec.reducer,
            "bootstrap": spec.bootstrap,
            "n_stimuli": n,
            "same": "yes" if same else "no",
            "device": first.device,
            "simulated": "no",
        },
    )


def _default(spec: AlignmentSpec) -> tuple[str, ...]:
    """Return the layers of the second network: within one network those of the first side."""
    return spec.layers if spec.second == spec.network else ()


def _summaries(extraction: activations.Extraction, measure: str) -> tuple[list[np.ndarray], list[int]]:
    """Return the summary and the number of units of every layer."""
    found, units = [], []
    for k, layer in enumerate(extraction.layers):
        report(0.7 + 0.05 * k / len(extraction.layers), f"Stimuli side by side in {layer.name}")
        patterns = extraction.patterns(layer)
        units.append(patterns.shape[1])
        found.append(method.summary(patterns, measure))
        del patterns  # before the next layer comes: one of them may be a gigabyte
    return found, units


def _tell(spec: AlignmentSpec, found: method.Matrix, n: int) -> None:
    lost = int((found.reason != "").sum())
    if lost:
        first = next(str(r) for r in found.reason.ravel() if r)
        caution(
            "no-alignment",
            f"{lost} of {found.reason.size} pairs of layers have no value. {first}"
            + (" Choose svcca or cka, or the reducer spatial-mean." if "CCA" in first else ""),
        )
    if n < 50:
        caution("few-stimuli", f"With {n} stimuli intervals are wide, and any measure is easily fooled.")
    if not method.MEASURES[spec.measure].kernel and np.isfinite(found.chance).any():
        high = float(np.nanmax(found.chance))
        if high > 0.3:
            caution(
                "chance-is-high",
                f"With shuffled stimuli this measure still reaches {high:.2f}: compare with that, not with "
                "0.",
            )
