"""What do attention heads do for a class, and does attention point at what matters?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard.analyses import attention as maps
from dashboard.analyses.attention import Subject
from dashboard.errors import InputError, unknown
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import AttentionSpec

if TYPE_CHECKING:
    import torch

TOP = "top"


@dataclass(frozen=True)
class Target:
    """The score that is asked about.

    Attributes
    ----------
    position : int
        Of the class; −1 where there are no classes.
    name : str
    score : callable
        From what the network gives, (n, ...), to one number per stimulus, (n,).
    """

    position: int
    name: str
    score: Callable[[torch.Tensor], torch.Tensor]


def target(network: Network, output: torch.Tensor, wanted: str) -> Target:
    """Return the score of a class: the likeliest for ``"top"``, or one by its name.

    A network without classes is asked for its output along the direction that it has with all heads.

    Raises
    ------
    InputError
        When there is no such class.
    """
    from dashboard.networks.attention_edit import class_score

    classes = maps.class_names(network, output.numpy())
    if not classes:
        if wanted != TOP:
            raise unknown("class", wanted, [TOP])
        own = output[:1].flatten(1).double()
        own = own / own.norm().clamp_min(1e-12)

        def along(given: torch.Tensor) -> torch.Tensor:
            return given.flatten(1).double() @ own[0].to(given.device)

        return Target(-1, "the output's own direction", along)
    if wanted != TOP and wanted not in classes:
        raise unknown("class", wanted, [TOP, *classes])
    position = int(output[0].argmax()) if wanted == TOP else classes.index(wanted)
    return Target(position, classes[position], class_score(position))


def _told(network: Network, output: torch.Tensor, chosen: Target) -> dict[str, Any]:
    """Return the attributes that every effect has."""
    return {
        **maps.about(network, output.double().numpy()),
        "target": chosen.position,
        "target_name": chosen.name,
        "score": float(chosen.score(output.double())[0]),
    }


def _output(network: Network, one: Subject) -> torch.Tensor:
    """Return what the network gives for one stimulus, on the CPU."""
    from dashboard.networks import attention as capture

    with capture.reading(network, capture.Keep(rows=(0,), layers=("",))) as read:
        _, output = read(one.batch)
    return output


# --- relevance -------------------------------------------------------------------------------------


def relevance(spec: AttentionSpec, network: Network, one: Subject) -> xr.Dataset:
    """Return attention weighed by its gradient and carried through all layers (Chefer, Gur & Wolf, 2021).

    Returns
    -------
    xarray.Dataset
        ``relevance`` (query, key): row of the CLS token, what each token gives to the class. The diagonal is
        without the 1 that every token starts with.

    Raises
    ------
    InputError
        When tokens are not the same in every layer.
    """
    from dashboard.methods import attention as methods
    from dashboard.networks import attention as capture
    from dashboard.networks import attention_edit

    found, lost = maps.chosen_maps(network, ())
    survey = capture.survey(network)
    why = methods.why_no_flow([(f.windows, f.queries, f.keys) for f in survey.maps])
    if why or survey.unread:
        problem = f"Relevance is not defined here. {why or 'It needs the attention of every layer.'}"
        raise InputError(problem, "Look at what removing a head does instead.")
    chosen = target(network, _output(network, one), spec.target)
    report(0.3, f"Relevance for {chosen.name}")
    records, output = attention_edit.gradients(network, one.batch, chosen.score)
    weights = [r.weights for r in records if r.weights is not None]
    slopes = [r.gradient for r in records if r.gradient is not None]
    total = methods.relevance(weights, slopes)[0]
    total = total - np.eye(len(total))
    n = len(one.words) or len(total)
    reads, _ = maps.read_maps(network, one, found)
    names = list(one.words) or maps.token_names(reads[-1].layout)
    answer = xr.Dataset(
        {"relevance": (("query", "key"), total[:n, :n])},
        coords={"token_name": ("query", [f"{k + 1} {name}" for k, name in enumerate(names)])},
        attrs=_told(network, output, chosen)
        | {
            "places": json.dumps([maps.place(read, one) for read in reads]),
            "unread": json.dumps(lost, ensure_ascii=False),
            "query": spec.query or maps.default_query(reads),
        },
    )
    return maps.with_picture(answer, one)


# --- heads removed ---------------------------------------------------------------------------------


def ablation(spec: AttentionSpec, network: Network, one: Subject) -> xr.Dataset:
    """Return what removing each head does to the score of a class.

    Returns
    -------
    xarray.Dataset
        ``effect`` (layer, head): score without the head less score with all; NaN where a layer has fewer.
    """
    from dashboard.networks import attention_edit

    found, lost = maps.chosen_maps(network, spec.layers)
    output = _output(network, one)
    chosen = target(network, output, spec.target)
    names = tuple(f.layer for f in found)
    done = attention_edit.ablations(network, one.batch, chosen.score, names)
    reads, _ = maps.read_maps(network, one, found)
    return xr.Dataset(
        {"effect": (("layer", "head"), done.change[0])},
        coords={"layer": list(done.layers), "head": np.arange(1, done.change.shape[2] + 1)},
        attrs=_told(network, output, chosen)
        | {
            "places": json.dumps([maps.place(read, one) for read in reads]),
            "unread": json.dumps(lost, ensure_ascii=False),
        },
    )


# --- agreement with what matters -------------------------------------------------------------------

MOST_PLACES = 256
"""Patches are removed one by one: of finer grids, a coarser one of at most so many places is taken."""

OTHERS: dict[str, str] = {"ablation": "Patch ablation", "integrated-gradients": "Integrated gradients"}
"""Attribution methods that attention is compared with: name in their registry, and what it is called here."""


def agreement(spec: AttentionSpec, network: Network, one: Subject) -> xr.Dataset:
    """Return how well each head's map agrees with what matters for a class by two other methods.

    Returns
    -------
    xarray.Dataset
        ``agreement`` (method, layer, head): Spearman correlation, over places, of a head's attention (of the
        CLS token, or the mean over all) with the absolute value of ``importance`` (method, row, column): by
        how much the score falls without the patch, and integrated gradients added up over the patch.
    """
    found, lost = maps.chosen_maps(network, spec.layers)
    reads, _ = maps.read_maps(network, one, found)
    grid = _grid(reads, one)
    importance, label, score = _importance(spec, one, grid)
    query = spec.query or maps.default_query(reads)
    values = _agreement(reads, query, importance)
    answer = xr.Dataset(
        {
            "agreement": (("method", "layer", "head"), values),
            "importance": (("method", "row", "column"), importance),
        },
        coords={
            "method": [_called(name, one) for name in OTHERS],
            "layer": [read.record.layer for read in reads],
            "head": np.arange(1, values.shape[2] + 1),
        },
        attrs={
            "target_name": label,
            "score": score,
            "query": query,
            "places": json.dumps([maps.place(read, one) for read in reads]),
            "unread": json.dumps(lost, ensure_ascii=False),
        },
    )
    return maps.with_picture(answer, one)


def _called(name: str, one: Subject) -> str:
    return OTHERS[name].replace("Patch", "Word") if one.words else OTHERS[name]


def _grid(reads: list[maps.Read], one: Subject) -> tuple[int, int]:
    """Return rows and columns of the places that are removed one by one."""
    if one.words:
        return 1, len(one.words)
    grids = [read.layout.keys.grid for read in reads if read.layout.keys.grid is not None]
    few = [grid for grid in grids if grid[0] * grid[1] <= MOST_PLACES]
    return max(few or [(14, 14)], key=lambda grid: grid[0] * grid[1])


def _importance(spec: AttentionSpec, one: Subject, grid: tuple[int, int]) -> tuple[np.ndarray, str, float]:
    """Return the importance of every place, (method, rows, columns), what it is for, and its score."""
    import torch

    from dashboard.analyses import explaining
    from dashboard.methods.attribution import method
    from dashboard.methods.attribution.base import Settings
    from dashboard.specs import AttributionSpec

    asked = AttributionSpec(network=spec.network, stimuli=spec.stimuli, target=spec.target)
    question = explaining.question(asked, one.name)
    labels = None
    if not one.words:
        height, width = question.explained.inputs.shape[-2:]
        down, across = (np.arange(n) * g // n for n, g in zip((height, width), grid, strict=True))
        labels = torch.from_numpy(down[:, None] * grid[1] + across[None, :])
    settings = Settings(segments=labels, steps=32)
    found = []
    for k, name in enumerate(OTHERS):

        def tell(fraction: float, k: int = k, name: str = name) -> None:
            report((k + fraction) / len(OTHERS), f"{OTHERS[name]}: {fraction:.0%}")

        values = method(name).run(question.explained, settings, tell).values.double().cpu().numpy()
        values = values.sum(axis=0) if values.ndim == 3 else values
        found.append(_pooled(values, labels, grid, total=name != "ablation"))
    if one.special is not None:
        found = [np.where(one.special[None], np.nan, values) for values in found]
    score, _ = question.explained.levels()
    return np.stack(found), question.target.words, score


def _pooled(values: np.ndarray, labels: Any, grid: tuple[int, int], *, total: bool) -> np.ndarray:
    """Return one value per place: the sum over its pixels, or their mean where all have the same."""
    if labels is None:
        return values.reshape(grid)
    flat = labels.numpy().reshape(-1)
    added = np.bincount(flat, weights=values.reshape(-1), minlength=grid[0] * grid[1])
    return (added if total else added / np.bincount(flat)).reshape(grid)


def _agreement(reads: list[maps.Read], query: str, importance: np.ndarray) -> np.ndarray:
    """Return Spearman correlations, (method, layer, head)."""
    from dashboard.methods import attention as methods

    most = max(read.weights.shape[1] for read in reads)
    values = np.full((len(importance), len(reads), most), np.nan)
    size = np.abs(importance)
    for k, read in enumerate(reads):
        rows = maps.row(read, query, reads)
        grid = read.layout.keys.grid
        if grid is None:
            seen = rows[:, None, :]
        else:
            seen = rows[:, rows.shape[1] - grid[0] * grid[1] :].reshape(-1, *grid)
        seen = regridded(seen, (importance.shape[1], importance.shape[2]))
        for m in range(len(importance)):
            values[m, k, : len(seen)] = methods.agreement(seen.reshape(len(seen), -1), size[m].reshape(1, -1))
    return values


def regridded(maps_: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Return maps (n, rows, columns) on another grid: means of what is joined, repeats of what is cut."""
    for axis, wanted in ((1, grid[0]), (2, grid[1])):
        size = maps_.shape[axis]
        if size > wanted:
            starts = np.arange(wanted) * size // wanted
            counts = np.diff([*starts, size])
            shape = [1, 1, 1]
            shape[axis] = wanted
            maps_ = np.add.reduceat(maps_, starts, axis=axis) / counts.reshape(shape)
        elif size < wanted:
            maps_ = np.take(maps_, np.arange(wanted) * size // wanted, axis=axis)
    return maps_
