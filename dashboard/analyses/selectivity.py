"""Which layers and units care for a category, and how does a concept move a class?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.analyses import activations
from dashboard.errors import ComputeError, InputError, caution, unknown
from dashboard.methods import concepts as tcav_method
from dashboard.methods import selectivity as method
from dashboard.networks import Layer, Network
from dashboard.progress import part, report
from dashboard.specs import ConceptsSpec, SelectivitySpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    import torch

MOST_RUNS, MOST_EXAMPLES = 500, 1000
CLASS_STIMULI = 64
"""Pictures of the class whose derivatives are taken."""


def selectivity(spec: SelectivitySpec) -> xr.Dataset:
    """Return the most selective unit of each layer for each category of the stimuli.

    The response of a channel is its maximum over positions, as on the Unit page. The largest of many d′ is
    large by chance, so the unit is also chosen on one half of the stimuli and measured on the other, both
    ways.

    Returns
    -------
    xarray.Dataset
        Over (layer, category_name): ``best_unit``, ``d_prime`` (all stimuli), ``index``, ``held_out`` (mean
        d′ of the two halves); over ``layer``: ``n_units``, ``sparseness`` (median over units that respond).

    Raises
    ------
    InputError
        When there are no two categories with four stimuli each.
    """
    with part(0.0, 0.8):
        extraction = activations.extract(spec.network, spec.stimuli, spec.layers, "peak")
    shown = extraction.shown
    labels, kept = _labels(shown)
    half = _halves(labels)
    names: tuple[str, ...] = ()
    columns: dict[str, list[Any]] = {
        name: [] for name in ("best_unit", "d_prime", "index", "held_out", "n_units", "sparseness")
    }
    for k, layer in enumerate(extraction.layers):
        report(0.8 + 0.2 * k / len(extraction.layers), f"Selectivity of {layer.name}")
        n = networks.reducer("peak").units(layer) // 3
        response = extraction.patterns(layer)[kept, :n].astype(np.float64)
        found = method.categories(response, labels)
        names, best = found.names, _best(found.d_prime)
        columns["best_unit"].append(best)
        columns["d_prime"].append(_taken(found.d_prime, best))
        columns["index"].append(_taken(found.index, best))
        columns["held_out"].append(_held_out(response, labels, half))
        columns["n_units"].append(n)
        sparse = method.sparseness(response)
        columns["sparseness"].append(np.nanmedian(sparse) if np.isfinite(sparse).any() else np.nan)
    both = ("layer", "category_name")
    dims = {"n_units": ("layer",), "sparseness": ("layer",)}
    return xr.Dataset(
        {name: (dims.get(name, both), np.array(values)) for name, values in columns.items()},
        coords={"layer": [layer.name for layer in extraction.layers], "category_name": list(names)},
        attrs={
            "title": f"Selectivity of {extraction.network.title} for categories",
            "network": spec.network,
            "network_title": extraction.network.title,
            "stimuli": spec.stimuli,
            "stimuli_title": shown.title,
            "n_stimuli": len(labels),
            "device": extraction.device,
            "simulated": "no",
        },
    )


def _labels(shown: Stimuli) -> tuple[list[str], np.ndarray]:
    """Return the categories with four stimuli at least, one per stimulus, and which stimuli have one."""
    counts = {c: list(shown.categories).count(c) for c in set(shown.categories) if c}
    kept = np.array([counts.get(c, 0) >= 4 for c in shown.categories])
    labels = [c for c, k in zip(shown.categories, kept, strict=True) if k]
    if len(set(labels)) < 2:
        message = f"{shown.title} has no two categories with four stimuli each."
        raise InputError(message, "Choose more stimuli, or stimuli with categories such as objects.")
    return labels, kept


def _halves(labels: list[str]) -> np.ndarray:
    """Return which half each stimulus belongs to; the stimuli of a category take turns."""
    seen: dict[str, int] = {}
    half = []
    for label in labels:
        half.append(seen.get(label, 0) % 2)
        seen[label] = seen.get(label, 0) + 1
    return np.array(half)


def _best(d: np.ndarray) -> np.ndarray:
    """Return the unit with the largest d′ for each category, (n_categories,)."""
    best: np.ndarray = np.where(np.isfinite(d), d, -np.inf).argmax(axis=1)
    return best


def _taken(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    taken: np.ndarray = values[np.arange(len(unit)), unit]
    return taken


def _held_out(response: np.ndarray, labels: list[str], half: np.ndarray) -> np.ndarray:
    """Return d′ on one half of the unit that was chosen on the other, the mean of both ways."""
    given = np.array(labels)
    parts = [method.categories(response[half == k], list(given[half == k])) for k in (0, 1)]
    # Categories are in the order of first appearance, which may differ between the halves.
    whole = list(dict.fromkeys(labels))
    d = [one.d_prime[[one.names.index(name) for name in whole]] for one in parts]
    found: np.ndarray = (_taken(d[1], _best(d[0])) + _taken(d[0], _best(d[1]))) / 2
    return found


# --- concepts ----------------------------------------------------------------------------------------


def concepts(spec: ConceptsSpec) -> xr.Dataset:
    """Return how a concept moves a class at each layer, beside random concepts (Kim et al., 2018).

    Responses and derivatives are averaged (summed) over positions, so that a concept has a direction in
    channels wherever it is in the picture.

    Returns
    -------
    xarray.Dataset
        Over (layer, run): ``score``, ``random_score``, ``accuracy``, ``random_accuracy``; over ``layer``:
        ``p`` (two-sided), ``p_corrected`` (Holm, over layers), ``n_units``.

    Raises
    ------
    InputError
        When the network gives no classes, or concept or class do not exist.
    """
    _check(spec)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    with part(0.0, 0.4):
        extraction = activations.extract(spec.network, spec.stimuli, spec.layers, "spatial-mean")
    network, shown = extraction.network, extraction.shown
    layers = [layer for layer in extraction.layers if layer.units > 1]
    name, is_concept = having(shown, spec.concept)
    target, place = _class(network, spec.target)
    chosen = _class_stimuli(shown, target)
    found = []
    for k, layer in enumerate(layers):
        with part(0.4 + 0.6 * k / len(layers), 0.4 + 0.6 * (k + 1) / len(layers)):
            report(0.0, f"Derivatives at {layer.name}")
            gradients = np.concatenate(list(_gradients(network, layer, shown, chosen, place)))
            found.append(
                tcav_method.tcav(
                    extraction.patterns(layer),
                    is_concept,
                    gradients,
                    runs=spec.runs,
                    examples=spec.examples,
                    seed=spec.seed,
                )
            )
    p = np.array([one.p for one in found])
    both = ("layer", "run")
    return xr.Dataset(
        {
            "score": (both, np.stack([one.concept for one in found])),
            "random_score": (both, np.stack([one.random for one in found])),
            "accuracy": (both, np.stack([one.accuracy for one in found])),
            "random_accuracy": (both, np.stack([one.random_accuracy for one in found])),
            "p": ("layer", p),
            "p_corrected": ("layer", tcav_method.holm(p)),
            "n_units": ("layer", [layer.channels for layer in layers]),
        },
        coords={"layer": [layer.name for layer in layers], "run": np.arange(spec.runs)},
        attrs={
            "title": f"{name.capitalize()} and {target} in {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "concept": name,
            "target": target,
            "n_concept": int(is_concept.sum()),
            "n_class": len(chosen),
            "device": extraction.device,
            "simulated": "no",
        },
    )


def _check(spec: ConceptsSpec) -> None:
    limits = (("runs", spec.runs, 2, MOST_RUNS), ("examples", spec.examples, 4, MOST_EXAMPLES))
    for name, value, low, high in limits:
        if not low <= value <= high:
            message = f"{name} must be from {low} to {high:,}, not {value}."
            raise InputError(message)


def having(shown: Stimuli, concept: str) -> tuple[str, np.ndarray]:
    """Return what a concept is called and which stimuli have it.

    Parameters
    ----------
    shown : Stimuli
    concept : str
        ``COLUMN=VALUE``, or a category; empty for the first value of the first column of texts.
    """
    columns = {"category": np.array(shown.categories), **shown.columns}
    texts = {k: np.asarray(v).astype(str) for k, v in columns.items() if np.asarray(v).dtype.kind in "OU"}
    texts = {k: v for k, v in texts.items() if len(set(v.tolist()) - {""}) > 1}
    if not texts:
        message = f"The stimuli of {shown.title} are all of one kind, so that nothing stands for a concept."
        raise InputError(message, "Choose stimuli with categories or factors, such as objects.")
    column, _, value = concept.rpartition("=")
    column = column or ("category" if concept else list(texts)[-1])
    if column not in texts:
        raise unknown("column of the stimuli", column, texts)
    known = sorted(set(texts[column].tolist()) - {""})
    value = value or known[0]
    if value not in known:
        raise unknown(f"value of {column}", value, known)
    return (f"{column} {value}" if column != "category" else value), texts[column] == value


def _class(network: Network, target: str) -> tuple[str, int]:
    """Return the name and the place of the class."""
    if not network.labels or str(network.card.get("output") or "classes") != "classes":
        message = f"{network.title} does not choose between named classes."
        raise InputError(message, "Choose a network that does, such as bundled:objects_cnn.")
    name = target or network.labels[0]
    if name not in network.labels:
        raise unknown("class", name, network.labels)
    return name, network.labels.index(name)


def _class_stimuli(shown: Stimuli, target: str) -> list[int]:
    """Return the stimuli of the class; all of them, and a caution, when none is of it."""
    own = [k for k, category in enumerate(shown.categories) if category == target]
    if not own:
        caution(
            "no-class-stimuli",
            f"No stimulus is of the category {target}: the derivatives are those for the first "
            f"{min(len(shown), CLASS_STIMULI)} stimuli, whatever they show.",
        )
    return (own or list(range(len(shown))))[:CLASS_STIMULI]


def _gradients(
    network: Network, layer: Layer, shown: Stimuli, chosen: list[int], place: int
) -> Iterator[np.ndarray]:
    """Yield the derivatives of the score of a class with respect to each channel, (batch, n_channels)."""
    import torch

    from dashboard.analyses.explaining import logits
    from dashboard.networks.capture import batch_size
    from dashboard.networks.differentiable import opened_at

    size = min(batch_size(network), 16)
    with opened_at(network.module, layer, networks.device()) as run:
        for start in range(0, len(chosen), size):
            batch = network.prepare([shown.item(k) for k in chosen[start : start + size]])
            with torch.enable_grad():
                output, outputs = run(batch)
                values = logits(network, outputs)
                column = place + (values.shape[1] - outputs.shape[1])
                (gradient,) = torch.autograd.grad(values[:, column].sum(), output, allow_unused=True)
            if gradient is None:
                message = f"The classes do not depend on {layer.name}."
                raise ComputeError(message, "Leave it out.")
            yield _over_positions(gradient.detach(), layer)
            report(min(1.0, (start + size) / len(chosen)), f"Derivatives at {layer.name}")


def _over_positions(gradient: torch.Tensor, layer: Layer) -> np.ndarray:
    rows = gradient.movedim(layer.batch_axis, 0)
    if layer.channel_axis is not None:
        rows = rows.movedim(1 + layer.channel_axis, 1)
    found: np.ndarray = rows.reshape(len(rows), layer.channels, -1).sum(2).double().cpu().numpy()
    return found
