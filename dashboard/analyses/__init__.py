"""Which analysis answers which kind of spec; heavy modules are imported only when an analysis runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from dashboard.specs import Spec

if TYPE_CHECKING:
    import xarray as xr

Lane = Literal["short", "long"]


@dataclass(frozen=True)
class Analysis:
    """How one kind of spec is answered.

    Attributes
    ----------
    module, function : str
        Where the function ``(spec) -> xarray.Dataset`` lives.
    version : int
        Raised whenever the numbers change, so that stored answers of older code are not used.
    lane : "short" or "long"
        Whether a person waits for it between two clicks, or a bar is shown.
    builds_on : tuple of str
        Kinds of spec whose answers it asks for; their versions count too.
    slow : tuple of str
        Values of the spec's ``view`` for which the long lane is right although ``lane`` is short.
    kept : bool
        Whether the answer goes to the store (activations keep themselves, in chunks).
    """

    module: str
    function: str
    version: int
    lane: Lane = "short"
    builds_on: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    kept: bool = True

    def lane_of(self, spec: Spec) -> Lane:
        """Return the lane of one spec of this kind."""
        return "long" if getattr(spec, "view", "") in self.slow else self.lane

    def run(self, spec: Spec) -> xr.Dataset:
        """Answer the spec."""
        module = importlib.import_module(f"dashboard.analyses.{self.module}")
        return cast("Callable[[Spec], xr.Dataset]", getattr(module, self.function))(spec)


ANALYSES: dict[str, Analysis] = {
    "stimuli": Analysis("sources", "stimulus_set", 2),
    "recording": Analysis("sources", "recording", 3),
    "network": Analysis("network", "layer_table", 3),
    "outline": Analysis("network", "first_glance", 1),
    "look": Analysis("adding", "look", 1),
    "inspect": Analysis("inspect", "inspect", 2),
    "activations": Analysis("activations", "activations", 1, lane="long", kept=False),
    "rdm": Analysis("rdms", "network_rdms", 1, lane="long", builds_on=("activations",)),
    "area-rdm": Analysis("rdms", "area_rdms", 2),
    "map": Analysis("rdms", "stimulus_map", 2, builds_on=("rdm", "area-rdm")),
    "brain": Analysis("brain", "compare", 4, lane="long", builds_on=("rdm", "area-rdm", "model-rdm")),
    "inference": Analysis("inference", "tests", 3, lane="long", builds_on=("rdm", "area-rdm", "model-rdm")),
    "model-rdm": Analysis("model_rdms", "models", 2),
    "rdm-partition": Analysis(
        "partition", "parts", 1, lane="long", builds_on=("rdm", "area-rdm", "model-rdm")
    ),
    "flexible": Analysis("flexible", "combine", 1, lane="long", builds_on=("rdm", "area-rdm")),
    "influence": Analysis("influence", "influence", 1, lane="long", builds_on=("rdm", "area-rdm")),
    "brain-why": Analysis("brain_why", "why", 1, lane="long", builds_on=("activations", "rdm", "area-rdm")),
    "cortex": Analysis("cortex", "draw", 2, lane="long", builds_on=("brain",)),
    "brain-where": Analysis("brain_where", "where", 1, lane="long", builds_on=("rdm", "area-rdm")),
    "reweighted": Analysis(
        "reweighted", "reweigh", 1, lane="long", builds_on=("activations", "rdm", "area-rdm")
    ),
    "time-rsa": Analysis("time_rsa", "answer", 3, lane="long", builds_on=("rdm",)),
    "predictions": Analysis("predictions", "predictions", 2, lane="long"),
    "training": Analysis("network", "training", 1),
    "costs": Analysis("network", "costs", 1),
    "health": Analysis("health", "health", 2, lane="long"),
    "recurrent": Analysis("recurrent", "states", 1, lane="long"),
    "attribution": Analysis("attribution", "attribution", 3, lane="long"),
    "attribution-set": Analysis("attribution_set", "over_set", 2, lane="long", builds_on=("attribution",)),
    "attribution-methods": Analysis("attribution", "methods", 1),
    "conductance": Analysis("conductance", "conductance", 1, lane="long"),
    "latents": Analysis("latents", "latents", 1, lane="long"),
    "traversal": Analysis("latents", "traversal", 1),
    "versus": Analysis("versus", "versus", 1, lane="long", builds_on=("network", "costs", "training")),
    "walk": Analysis("walk", "walk", 1),
    "trust": Analysis("trust", "trust", 3, lane="long", builds_on=("attribution",)),
    "attention": Analysis("attention", "attention", 1, slow=("ablation", "agreement")),
    "head-brain": Analysis("head_brain", "without_heads", 1, lane="long", builds_on=("area-rdm",)),
    "filters": Analysis("filters", "filters", 1),
    "gabors": Analysis("filters", "gabors", 2, lane="long"),
    "feature-maps": Analysis("filters", "feature_maps", 1),
    "tuning": Analysis("tuning", "tuning", 2, lane="long", builds_on=("activations",)),
    "neuron-tuning": Analysis("tuning", "neuron_tuning", 1),
    "units": Analysis("units", "units", 1, lane="long", builds_on=("activations",)),
    "preferred": Analysis("preferred", "preferred", 1, lane="long", builds_on=("activations",)),
    "connections": Analysis("connections", "connections", 1),
    "selectivity": Analysis("selectivity", "selectivity", 1, lane="long", builds_on=("activations",)),
    "concepts": Analysis("selectivity", "concepts", 1, lane="long", builds_on=("activations",)),
    "effective-field": Analysis("effective_field", "effective_field", 1, lane="long"),
    "probe": Analysis("decoding", "probe", 2, lane="long", builds_on=("activations",)),
    "decoding": Analysis("decoding", "decoding", 2, lane="long"),
    "time-decoding": Analysis("time_decoding", "generalisation", 2, lane="long"),
    "encoding": Analysis("encoding", "encode", 1, lane="long", builds_on=("activations",)),
    "alignment": Analysis("alignment", "align", 1, lane="long", builds_on=("activations",)),
    "variance-partition": Analysis("encoding", "partition", 1, lane="long", builds_on=("activations",)),
}
"""Kind of spec -> its analysis. Adding one is a function and a line here."""


def versions(kind: str) -> dict[str, int]:
    """Return the versions of an analysis and of all that it builds on."""
    return dict(sorted(_versions(kind)))


def _versions(kind: str) -> Iterator[tuple[str, int]]:
    analysis = ANALYSES[kind]
    yield kind, analysis.version
    for other in analysis.builds_on:
        yield from _versions(other)
