"""What is asked: frozen specs that are link, key, job, command and record in one.

A spec names networks, stimuli and recordings by reference and holds plain settings. It goes to a URL's
query and to JSON and comes back equal. Reading refuses unknown kinds, fields and choices and newer versions
with a sentence.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, Self

from dashboard.errors import InputError, listing, unknown

Metric = Literal["correlation", "cosine", "euclidean", "sqeuclidean", "mahalanobis", "crossnobis", "poisson"]
Measure = Literal[
    "pearson", "spearman", "rho-a", "tau-a", "tau-b", "cosine", "whitened-cosine", "whitened-pearson"
]
Resample = Literal["stimuli", "subjects", "both", "dual"]
MapMethod = Literal["classical", "metric"]
Source = Literal["network", "stimuli", "recording", "upload", "outline"]
Brings = Literal["recording", "network", "stimuli", "labels"]
Explains = Literal["logit", "probability"]
Baseline = Literal["black", "mean", "blur", "noise", "samples"]
Segments = Literal["auto", "grid", "slic", "patches"]
AttentionView = Literal[
    "heads", "rollout", "distance", "entropy", "relevance", "query-key", "ablation", "agreement"
]
Weighting = Literal["weights", "values"]
Correction = Literal["fdr", "max", "holm", "none"]
Summary = Literal["maximum", "mean"]
Regression = Literal["ridge", "pls"]
Decoder = Literal["ridge", "logistic", "svm", "mlp"]
Players = Literal["top", "blocks", "each", "layers"]
Smooth = Literal["pearson", "cosine"]
TimeMetric = Literal["auto", "correlation", "cosine", "euclidean", "sqeuclidean", "crossnobis"]
Shuffle = Literal["stimuli", "subjects"]
Parcellation = Literal["folds", "centres"]
SplitBy = Literal["stimulus", "repeat"]
Alignment = Literal["cka", "rbf-cka", "procrustes", "cca", "svcca"]

KINDS: dict[str, type[Spec]] = {}
"""Every kind of spec by name; filled as the classes below are defined."""


def _source(kind: Source) -> Any:
    """Return a required field that holds a reference; its identity, not its text, enters the answer's key."""
    return field(metadata={"source": kind})


def _another(kind: Source) -> Any:
    """Return a field like `_source` that may stay empty."""
    return field(default="", metadata={"source": kind})


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of all specs: conversion to and from JSON and URL queries."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = _checked(getattr(self, f.name), _hints(self.kind)[f.name], self.kind, f.name)
            object.__setattr__(self, f.name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict with kind, version and every field."""
        values = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"kind": self.kind, "version": self.version, **values}

    def to_json(self) -> str:
        """Return canonical JSON: sorted keys, no spaces to spare; equal specs give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def to_query(self) -> dict[str, str]:
        """Return the URL query: a text per field that differs from its default."""
        return {
            f.name: _to_text(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != f.default
        }

    def to_flat_query(self) -> dict[str, str]:
        """Return the query with the settings of a spec inside this one beside its own; see `flat_fields`."""
        found = self.to_query()
        for name, inner in _inner(type(self)).items():
            found.pop(name, None)
            nested = getattr(self, name).to_query()
            found = {key: text for key, text in nested.items() if key in _flat(inner, type(self))} | found
        return found

    @classmethod
    def from_flat_query(cls, query: Mapping[str, str]) -> Self:
        """Read a query as written by `to_flat_query`."""
        nested = {
            name: {key: query[key] for key in _flat(inner, cls) if key in query}
            for name, inner in _inner(cls).items()
        }
        used = {key for keys in nested.values() for key in keys}
        own = {key: text for key, text in query.items() if key not in used}
        inside = {name: _inner(cls)[name].from_query(given).to_json() for name, given in nested.items()}
        return cls.from_query(own | inside)

    @classmethod
    def flat_fields(cls) -> list[tuple[type[Spec], dataclasses.Field[Any]]]:
        """Return every setting with the kind of spec it belongs to; a spec inside stands for its settings."""
        found: list[tuple[type[Spec], dataclasses.Field[Any]]] = []
        for f in dataclasses.fields(cls):
            inner = _inner(cls).get(f.name)
            kept = _flat(inner, cls) if inner is not None else ()
            found += (
                [(inner, g) for g in dataclasses.fields(inner) if g.name in kept] if inner else [(cls, f)]
            )
        return found

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read a URL query as written by `to_query`."""
        hints = _hints(cls.kind)
        for name in query:
            if name not in hints:
                raise unknown(f"setting of {cls.kind}", name, hints)
        values = {name: _from_text(text, hints[name], cls.kind, name) for name, text in query.items()}
        return cls._build(values)

    @classmethod
    def _build(cls, values: Mapping[str, Any]) -> Self:
        missing = [
            f.name
            for f in dataclasses.fields(cls)
            if f.default is dataclasses.MISSING and f.name not in values
        ]
        if missing:
            message = f'The {cls.kind} request lacks "{listing(missing)}".'
            raise InputError(message, "Choose it and try again.")
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def from_dict(record: Any) -> Spec:
    """Read a spec from what `Spec.to_dict` gave.

    Raises
    ------
    InputError
        When the kind or a field is unknown, a value does not fit, or the version is newer than ours.
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("kind"), str):
        message = "This is not a Homolog spec: it has no kind."
        raise InputError(message, "Export the JSON spec from a panel and use that file.")
    kind = record["kind"]
    if kind not in KINDS:
        raise unknown("kind of spec", kind, KINDS)
    cls = KINDS[kind]
    version = record.get("version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= cls.version:
        message = (
            f"This {kind} spec has version {version!r}; this program reads versions up to {cls.version}."
        )
        raise InputError(message, "Update Homolog, or export the spec again.")
    hints = _hints(cls.kind)
    values = {}
    for name, value in record.items():
        if name in ("kind", "version"):
            continue
        if name not in hints:
            raise unknown(f"setting of {kind}", str(name), hints)
        values[name] = _revive(value, hints[name])
    return cls._build(values)


def from_json(text: str) -> Spec:
    """Read a spec from JSON text; see `from_dict`."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = "This is not JSON."
        raise InputError(message, "Export the JSON spec from a panel and use that file.") from error
    return from_dict(record)


# --- values ------------------------------------------------------------


@cache
def _hints(kind: str) -> dict[str, Any]:
    cls = KINDS[kind]
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: hint for name, hint in typing.get_type_hints(cls).items() if name in names}


def _inner(cls: type[Spec]) -> dict[str, type[Spec]]:
    """Return the fields that hold a spec of one kind."""
    hints = _hints(cls.kind)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Spec)}


def _flat(inner: type[Spec], outer: type[Spec]) -> list[str]:
    """Return the settings of a spec inside another that the outer one has no setting of the same name for."""
    own = {f.name for f in dataclasses.fields(outer)}
    return [f.name for f in dataclasses.fields(inner) if f.name not in own]


def _is_spec(hint: Any) -> bool:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return all(isinstance(o, type) and issubclass(o, Spec) for o in options)


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def _revive(value: Any, hint: Any) -> Any:
    if _is_spec(hint):
        return from_dict(value)
    return tuple(value) if isinstance(value, list) else value


def _to_text(value: Any) -> str:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, tuple):
        return ",".join(v.replace("%", "%25").replace(",", "%2C") for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, float) else str(value)


def _from_text(text: str, hint: Any, kind: str, name: str) -> Any:
    if _is_spec(hint):
        return from_json(text)
    if typing.get_origin(hint) is tuple:
        parts = text.split(",") if text else []
        return tuple(p.replace("%2C", ",").replace("%25", "%") for p in parts)
    if hint is bool and text in ("yes", "no"):
        return text == "yes"
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            message = f'{name} of {kind} must be a number, not "{text}".'
            raise InputError(message) from None
    return text


def _checked(value: Any, hint: Any, kind: str, name: str) -> Any:
    """Return ``value`` in the type that the field wants, or refuse it."""
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise unknown(name, str(value), typing.get_args(hint))
        return value
    if typing.get_origin(hint) is tuple:
        if isinstance(value, str) or not all(isinstance(v, str) and v for v in value):
            message = f"{name} of {kind} must be a list of names."
            raise InputError(message)
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    fits = isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        message = f"{name} of {kind} cannot be {value!r}."
        raise InputError(message)
    return value


# --- the specs ------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NetworkSpec(Spec):
    """What is this network: its layers, shapes and parameters?"""

    kind: ClassVar[str] = "network"
    network: str = _source("network")


@dataclass(frozen=True, kw_only=True)
class OutlineSpec(Spec):
    """What does a network look like by the names and shapes of its weights, before they are read?"""

    kind: ClassVar[str] = "outline"
    network: str = _source("outline")


@dataclass(frozen=True, kw_only=True)
class StimuliSpec(Spec):
    """Which stimuli are in this set: names, categories, columns and thumbnails?"""

    kind: ClassVar[str] = "stimuli"
    stimuli: str = _source("stimuli")


@dataclass(frozen=True, kw_only=True)
class RecordingSpec(Spec):
    """What is in this recording: areas, subjects, stimuli?"""

    kind: ClassVar[str] = "recording"
    recording: str = _source("recording")


@dataclass(frozen=True, kw_only=True)
class ActivationsSpec(Spec):
    """How do the layers of a network respond to the stimuli?"""

    kind: ClassVar[str] = "activations"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layers: tuple[str, ...] = ()
    reducer: str = "all"


@dataclass(frozen=True, kw_only=True)
class RdmSpec(Spec):
    """Which stimuli does each layer of a network tell apart?"""

    kind: ClassVar[str] = "rdm"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layers: tuple[str, ...] = ()
    metric: Metric = "correlation"
    reducer: str = "all"


@dataclass(frozen=True, kw_only=True)
class AreaRdmSpec(Spec):
    """Which stimuli does each brain area of a recording tell apart?"""

    kind: ClassVar[str] = "area-rdm"
    recording: str = _source("recording")
    areas: tuple[str, ...] = ()
    metric: Metric = "correlation"


@dataclass(frozen=True, kw_only=True)
class MapSpec(Spec):
    """Where do the stimuli lie when the dissimilarities of one layer or area are drawn in the plane?"""

    kind: ClassVar[str] = "map"
    rdms: RdmSpec | AreaRdmSpec
    method: MapMethod = "classical"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class BrainSpec(Spec):
    """Which layer of the network is most like each area of the brain?

    `controls` are simple models that stand beside the layers, such as "pixels" or "model:HMAX".
    """

    kind: ClassVar[str] = "brain"
    network: str = _source("network")
    recording: str = _source("recording")
    areas: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    metric: Metric = "correlation"
    measure: Measure = "spearman"
    reducer: str = "all"
    resample: Resample = "dual"
    bootstrap: int = 1000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class InferenceSpec(Spec):
    """Which layers, of one network or two, are like each area, and which can be told apart?"""

    kind: ClassVar[str] = "inference"
    network: str = _source("network")
    recording: str = _source("recording")
    second: str = _another("network")
    areas: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    second_layers: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    metric: Metric = "correlation"
    measure: Measure = "spearman"
    reducer: str = "all"
    resample: Resample = "dual"
    bootstrap: int = 1000
    permutations: int = 1000
    correction: Correction = "fdr"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelRdmSpec(Spec):
    """Which stimuli do simple models tell apart: categories, columns, behaviour, looks of pictures?"""

    kind: ClassVar[str] = "model-rdm"
    stimuli: str = _source("stimuli")
    recording: str = _another("recording")
    models: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RdmPartitionSpec(Spec):
    """What does each of a few models explain of an area alone, and what do they share?

    `models` are layers of the network, or simple models such as "category", "pixels" or "factor:orientation".
    """

    kind: ClassVar[str] = "rdm-partition"
    network: str = _source("network")
    recording: str = _source("recording")
    models: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    metric: Metric = "correlation"
    measure: Literal["pearson", "spearman"] = "spearman"
    reducer: str = "all"
    resample: Resample = "dual"
    bootstrap: int = 1000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class FlexibleSpec(Spec):
    """Do several layers together resemble an area more than one of them, on data held out?"""

    kind: ClassVar[str] = "flexible"
    network: str = _source("network")
    recording: str = _source("recording")
    areas: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    metric: Metric = "correlation"
    measure: Measure = "spearman"
    reducer: str = "all"
    folds: int = 0
    repeats: int = 10
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class InfluenceSpec(Spec):
    """Which stimuli carry the similarity of a layer with an area, and about which pairs do they disagree?"""

    kind: ClassVar[str] = "influence"
    network: str = _source("network")
    recording: str = _source("recording")
    area: str = ""
    layer: str = ""
    metric: Metric = "correlation"
    measure: Measure = "spearman"
    reducer: str = "all"


@dataclass(frozen=True, kw_only=True)
class BrainWhySpec(Spec):
    """Which channels of a layer, or which layers, does the similarity with an area come from?

    `players` are the channels that matter most with the rest as one ("top"), channels in groups by number
    ("blocks"), every channel, or layers combined with equal weight.
    """

    kind: ClassVar[str] = "brain-why"
    network: str = _source("network")
    recording: str = _source("recording")
    area: str = ""
    layer: str = ""
    layers: tuple[str, ...] = ()
    players: Players = "top"
    groups: int = 10
    orders: int = 200
    metric: Metric = "correlation"
    measure: Measure = "spearman"
    reducer: str = "all"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CortexSpec(Spec):
    """Where on the cortex do the areas lie that a network is compared with?

    `labels` is an upload with regions of fsaverage (empty: those of the `parcellation` that comes along),
    `regions` are pairs "AREA=REGION", `layer` is whose scores are drawn (empty: the best layer of each area).
    """

    kind: ClassVar[str] = "cortex"
    brain: BrainSpec
    labels: str = _another("upload")
    parcellation: Parcellation = "folds"
    regions: tuple[str, ...] = ()
    layer: str = ""


@dataclass(frozen=True, kw_only=True)
class BrainWhereSpec(Spec):
    """Where in the pictures would a small change make a layer more like an area?"""

    kind: ClassVar[str] = "brain-where"
    network: str = _source("network")
    recording: str = _source("recording")
    area: str = ""
    layer: str = ""
    metric: Metric = "correlation"
    measure: Smooth = "pearson"
    reducer: str = "all"
    most: int = 8


@dataclass(frozen=True, kw_only=True)
class ReweightedSpec(Spec):
    """Does weighing the channels of a layer make it more like an area, on data held out?"""

    kind: ClassVar[str] = "reweighted"
    network: str = _source("network")
    recording: str = _source("recording")
    area: str = ""
    layer: str = ""
    groups: int = 8
    metric: Metric = "correlation"
    measure: Measure = "spearman"
    reducer: str = "all"
    folds: int = 0
    repeats: int = 10
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class TimeRsaSpec(Spec):
    """When does each layer of the network resemble an area of the brain?

    The metric "auto" is crossnobis where the recording has repeats, else correlation. `shuffle` says whether
    labels of stimuli are shuffled or signs of subjects flipped; `forming` is the level from which on a time
    joins a cluster.
    """

    kind: ClassVar[str] = "time-rsa"
    network: str = _source("network")
    recording: str = _source("recording")
    area: str = ""
    layers: tuple[str, ...] = ()
    metric: TimeMetric = "auto"
    measure: Measure = "spearman"
    reducer: str = "all"
    shuffle: Shuffle = "stimuli"
    permutations: int = 1000
    forming: float = 0.05
    bootstrap: int = 200
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PredictionsSpec(Spec):
    """What does the network say of the stimuli, and how good is it?"""

    kind: ClassVar[str] = "predictions"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    truth: str = ""
    top: int = 5
    bins: int = 10


@dataclass(frozen=True, kw_only=True)
class TrainingSpec(Spec):
    """How was the network trained: loss, metric, learning rate and gradients over epochs?"""

    kind: ClassVar[str] = "training"
    network: str = _source("network")


@dataclass(frozen=True, kw_only=True)
class LookSpec(Spec):
    """What is in the files that somebody brought?"""

    kind: ClassVar[str] = "look"
    upload: str = _source("upload")
    brings: Brings = "recording"


@dataclass(frozen=True, kw_only=True)
class InspectSpec(Spec):
    """How good are the responses of a recording: reliability, noise ceiling, missing and constant units?"""

    kind: ClassVar[str] = "inspect"
    recording: str = _source("recording")
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class HealthSpec(Spec):
    """Are activations, gradients and weights of the network healthy on these stimuli?"""

    kind: ClassVar[str] = "health"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layers: tuple[str, ...] = ()
    batch: int = 32
    truth: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CostsSpec(Spec):
    """What does each layer of the network cost, and how much of the picture does it see?"""

    kind: ClassVar[str] = "costs"
    network: str = _source("network")


@dataclass(frozen=True, kw_only=True)
class RecurrentSpec(Spec):
    """What do gates and states of a recurrent layer do, step by step, on these stimuli?"""

    kind: ClassVar[str] = "recurrent"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layer: str = ""
    metric: Metric = "correlation"


@dataclass(frozen=True, kw_only=True)
class AttentionSpec(Spec):
    """Where does a transformer look in one picture or text, and what do its heads do for a class?"""

    kind: ClassVar[str] = "attention"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    item: str = ""
    view: AttentionView = "heads"
    layers: tuple[str, ...] = ()
    query: str = ""
    head: int = 0
    weighting: Weighting = "weights"
    target: str = "top"
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class HeadBrainSpec(Spec):
    """What does taking out a head do to the similarity of a later layer with each brain area?"""

    kind: ClassVar[str] = "head-brain"
    network: str = _source("network")
    recording: str = _source("recording")
    areas: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    read: str = ""
    metric: Metric = "correlation"
    measure: Measure = "spearman"


@dataclass(frozen=True, kw_only=True)
class AttributionSpec(Spec):
    """Which parts of a stimulus raise or lower a score of the network?"""

    kind: ClassVar[str] = "attribution"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    items: tuple[str, ...] = ()
    method: str = "integrated-gradients"
    target: str = "top"
    score: Explains = "logit"
    baseline: Baseline = "mean"
    background: int = 10
    steps: int = 50
    samples: int = 50
    noise: float = 0.15
    segments: Segments = "auto"
    pieces: int = 50
    window: int = 0
    layer: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AttributionSetSpec(Spec):
    """What matters to the network over a whole set: which features, and is it the object?"""

    kind: ClassVar[str] = "attribution-set"
    attribution: AttributionSpec
    most: int = 48


@dataclass(frozen=True, kw_only=True)
class AttributionMethodsSpec(Spec):
    """Which attribution methods work on this network and target, and what does a forward pass cost?"""

    kind: ClassVar[str] = "attribution-methods"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    item: str = ""
    target: str = "top"
    score: Explains = "logit"


@dataclass(frozen=True, kw_only=True)
class ConductanceSpec(Spec):
    """How much does each unit of a layer contribute to a score of the network?"""

    kind: ClassVar[str] = "conductance"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    item: str = ""
    layer: str = ""
    target: str = "top"
    score: Explains = "logit"
    baseline: Baseline = "mean"
    background: int = 10
    steps: int = 50
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LatentsSpec(Spec):
    """How well does an autoencoder draw the stimuli again, and what do its latent numbers carry?"""

    kind: ClassVar[str] = "latents"
    network: str = _source("network")
    stimuli: str = _source("stimuli")


@dataclass(frozen=True, kw_only=True)
class TraversalSpec(Spec):
    """What does the decoder draw when one latent number after the other is turned?"""

    kind: ClassVar[str] = "traversal"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    stimulus: str = ""
    base: tuple[str, ...] = ()
    steps: int = 9
    span: float = 3.0


@dataclass(frozen=True, kw_only=True)
class VersusSpec(Spec):
    """In what do two networks differ: card, layers, weights, training?"""

    kind: ClassVar[str] = "versus"
    network: str = _source("network")
    second: str = _source("network")


@dataclass(frozen=True, kw_only=True)
class WalkSpec(Spec):
    """What does a generator draw between two latent points, and what from random ones?"""

    kind: ClassVar[str] = "walk"
    network: str = _source("network")
    first: int = 0
    last: int = 1
    steps: int = 9
    samples: int = 48


@dataclass(frozen=True, kw_only=True)
class TrustSpec(Spec):
    """How far can this map be trusted?"""

    kind: ClassVar[str] = "trust"
    attribution: AttributionSpec
    seeds: int = 5
    noise: float = 0.02


@dataclass(frozen=True, kw_only=True)
class FiltersSpec(Spec):
    """What do the kernels of a layer look like?"""

    kind: ClassVar[str] = "filters"
    network: str = _source("network")
    layer: str = ""


@dataclass(frozen=True, kw_only=True)
class GaborsSpec(Spec):
    """Which Gabor function does each kernel of a layer resemble?"""

    kind: ClassVar[str] = "gabors"
    network: str = _source("network")
    layer: str = ""


@dataclass(frozen=True, kw_only=True)
class FeatureMapsSpec(Spec):
    """Where in one stimulus does each channel of a layer respond?"""

    kind: ClassVar[str] = "feature-maps"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    item: str = ""
    layer: str = ""


@dataclass(frozen=True, kw_only=True)
class TuningSpec(Spec):
    """How are the units of a layer tuned to orientation, spatial frequency, phase, contrast and size?

    `frequencies` (cycles per picture), `contrasts` (0 to 1) and `sizes` (diameter as a part of the picture's
    side) are numbers with colons between, or empty: frequencies for eight suited to the input, contrasts and
    sizes for none.
    """

    kind: ClassVar[str] = "tuning"
    network: str = _source("network")
    layer: str = ""
    orientations: int = 24
    frequencies: str = ""
    phases: int = 8
    aperture: float = 1.0
    contrasts: str = ""
    sizes: str = ""


@dataclass(frozen=True, kw_only=True)
class NeuronTuningSpec(Spec):
    """How are the neurons of a recording tuned to gratings?"""

    kind: ClassVar[str] = "neuron-tuning"
    recording: str = _source("recording")
    area: str = ""


@dataclass(frozen=True, kw_only=True)
class ProbeSpec(Spec):
    """What of the stimuli can be read out of each layer of a network?"""

    kind: ClassVar[str] = "probe"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    column: str = "category"
    layers: tuple[str, ...] = ()
    reducer: str = "spatial-mean"
    model: Decoder = "ridge"
    folds: int = 5
    permutations: int = 200
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DecodingSpec(Spec):
    """What of the stimuli can be read out of each area of a recording?"""

    kind: ClassVar[str] = "decoding"
    recording: str = _source("recording")
    column: str = "category"
    areas: tuple[str, ...] = ()
    model: Decoder = "ridge"
    folds: int = 5
    permutations: int = 200
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class TimeDecodingSpec(Spec):
    """When can it be read out of an area, and does a decoder of one time work at another?"""

    kind: ClassVar[str] = "time-decoding"
    recording: str = _source("recording")
    column: str = "category"
    area: str = ""
    split: SplitBy = "stimulus"
    model: Decoder = "ridge"
    folds: int = 5
    bins: int = 50
    permutations: int = 100
    forming: float = 0.01
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class EncodingSpec(Spec):
    """Which layer of the network predicts each unit of a recording best?

    `alphas` are penalties per feature with colons between, or empty for ten from 1e-5 to 1e4.
    """

    kind: ClassVar[str] = "encoding"
    network: str = _source("network")
    recording: str = _source("recording")
    areas: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    reducer: str = "projection?n=5000"
    regression: Regression = "ridge"
    folds: int = 5
    alphas: str = ""
    bootstrap: int = 200
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PartitionSpec(Spec):
    """What do two to four layers explain of each unit of a recording, alone and together?"""

    kind: ClassVar[str] = "variance-partition"
    network: str = _source("network")
    recording: str = _source("recording")
    layers: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    reducer: str = "projection?n=5000"
    folds: int = 5
    alphas: str = ""
    mixes: int = 20
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AlignmentSpec(Spec):
    """Which layers of two networks, or of one, represent the same stimuli alike?"""

    kind: ClassVar[str] = "alignment"
    network: str = _source("network")
    second: str = _source("network")
    stimuli: str = _source("stimuli")
    layers: tuple[str, ...] = ()
    second_layers: tuple[str, ...] = ()
    measure: Alignment = "cka"
    reducer: str = "all"
    bootstrap: int = 200
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class UnitSpec(Spec):
    """What makes one unit of a layer respond, and what does not?"""

    kind: ClassVar[str] = "units"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layer: str = ""
    unit: int = 0
    by: Summary = "maximum"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PreferredSpec(Spec):
    """Which picture, made for the purpose, does one unit respond to most?"""

    kind: ClassVar[str] = "preferred"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layer: str = ""
    unit: int = 0
    by: Summary = "maximum"
    seeds: int = 4
    steps: int = 256
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class EffectiveFieldSpec(Spec):
    """Which part of its receptive field does one unit really use?"""

    kind: ClassVar[str] = "effective-field"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layer: str = ""
    unit: int = 0
    most: int = 32
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ConnectionsSpec(Spec):
    """With which units of the neighbouring weighted layers is one unit connected, and how strongly?"""

    kind: ClassVar[str] = "connections"
    network: str = _source("network")
    layer: str = ""
    unit: int = 0
    most: int = 10


@dataclass(frozen=True, kw_only=True)
class SelectivitySpec(Spec):
    """Which unit of each layer tells a category best from all others?"""

    kind: ClassVar[str] = "selectivity"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConceptsSpec(Spec):
    """Does a concept, such as texture=stripes, raise or lower a class, and at which layers?"""

    kind: ClassVar[str] = "concepts"
    network: str = _source("network")
    stimuli: str = _source("stimuli")
    concept: str = ""
    target: str = ""
    layers: tuple[str, ...] = ()
    runs: int = 20
    examples: int = 40
    seed: int = 0
