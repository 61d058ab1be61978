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
