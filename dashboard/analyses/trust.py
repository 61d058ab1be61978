"""How far can a map be trusted? Checks of one map, each a sentence with its source."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks, reference, stimuli
from dashboard.analyses.attribution import check, settings_for
from dashboard.errors import HomologError, InputError
from dashboard.methods.attribution import Method, method
from dashboard.progress import part, report
from dashboard.specs import AttributionSpec, TrustSpec

if TYPE_CHECKING:
    from torch import nn

    from dashboard.analyses.explaining import Question
    from dashboard.methods.attribution.base import Attribution
    from dashboard.methods.attribution.trust import Randomisation

MOST_SEEDS = 20
STAGES = 6
"""Layers, evenly spaced from the top, down to which weights are made random: each costs a whole map."""

DRAWS = 4
"""Noisy copies for the sensitivity: each costs a whole map."""

Row = tuple[str, float, str, str, str]
"""Name, number, level ("good", "amber", "red", "grey" or ""), sentence, source."""

LEVELS = {"good": "good", "fair": "amber", "poor": "red", "unknown": "grey"}


def trust(spec: TrustSpec) -> xr.Dataset:
    """Check one map: its sum, its seeds, what training and class do to it, noise, deletion, the object.

    Returns
    -------
    xarray.Dataset
        ``number`` (check,), ``level`` (good, amber, red, grey or nothing), ``sentence`` and ``source``
        (check,); ``score`` (curve, order, step) along ``share`` (step,), for deletion and insertion in the
        order of the map, of |x − baseline| and at random; ``likeness`` (stage,), the rank correlation of
        |map| with that of the network whose layers have random weights from the top down to the one that
        names the stage. Checks that do not apply are left out.

    Raises
    ------
    InputError
        When the map cannot be made.
    """
    asked = spec.attribution
    entry = method(asked.method)
    check(asked)
    if not 2 <= spec.seeds <= MOST_SEEDS:
        message = f"seeds must be 2 to {MOST_SEEDS}, not {spec.seeds}."
        raise InputError(message)
    name = asked.items[0] if asked.items else stimuli.load(asked.stimuli).names[0]
    with part(0.0, 0.2):
        question, found = _map(asked, entry, name)
    rows: list[Row] = []
    rows += _sum(entry, question, found) + _removals(spec, entry, question, found)
    with part(0.2, 0.5):
        rows += _seeds(spec, entry, question, found)
    with part(0.5, 0.65):
        cascade, fading = _cascade(asked, entry, question, found)
        rows += fading
        rows += _untrained(asked, entry, question, found, name)
        rows += _runner_up(asked, entry, question, found, name)
    with part(0.65, 0.8):
        curves, said = _curves(spec, question, found)
        rows += said
    rows += _object(asked, found, name)
    with part(0.8, 1.0):
        rows += _noise(spec, entry, question)
    network, shown = networks.load(asked.network), stimuli.load(asked.stimuli)
    return xr.Dataset(
        {
            "number": ("check", [r[1] for r in rows]),
            **{
                key: ("check", np.array([r[k] for r in rows], dtype=object))
                for key, k in (("level", 2), ("sentence", 3), ("source", 4))
            },
            **curves,
            **cascade,
        },
        coords={"check": [r[0] for r in rows]},
        attrs={
            "title": f"Trust in {entry.label} of {network.title} for {name} of {shown.title}",
            "network": asked.network,
            "network_title": network.title,
            "stimuli": asked.stimuli,
            "method": entry.name,
            "item": name,
            "target": question.target.words,
            "unit": question.target.unit,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def _map(asked: AttributionSpec, entry: Method, name: str) -> tuple[Question, Attribution]:
    from dashboard.analyses.explaining import question

    ready = question(asked, name)
    given = settings_for(asked, ready)
    refusal = entry.why_not(ready.explained, given)
    if refusal:
        raise InputError(refusal, "Choose another method.")
    return ready, entry.run(ready.explained, given, lambda f: report(f, f"{entry.label}: {name}"))


def _sum(entry: Method, question: Question, found: Attribution) -> list[Row]:
    from dashboard.methods.attribution import trust as checks

    if found.total is None:
        return []
    result = checks.completeness(found.values, found.total, question.explained.levels()[0])
    return [("Sum", result.relative, LEVELS[result.verdict], result.sentence, result.source)]


def _seeds(spec: TrustSpec, entry: Method, question: Question, found: Attribution) -> list[Row]:
    from dashboard.methods.attribution import trust as checks

    if not entry.sampled:
        return []
    maps = [found.values]
    for k in range(1, spec.seeds):
        given = settings_for(spec.attribution.replace(seed=spec.attribution.seed + k), question)
        maps.append(entry.run(question.explained, given).values)
        report(k / spec.seeds, f"Another seed: {k} of {spec.seeds - 1}")
    result = checks.sampling_error(maps)
    level = "good" if result.agreement > 0.9 else "amber" if result.agreement > 0.6 else "red"
    return [("Seeds", result.agreement, level, result.sentence, result.source)]


def _untrained(
    asked: AttributionSpec, entry: Method, question: Question, found: Attribution, name: str
) -> list[Row]:
    """Compare with the map of the untrained twin for the same class."""
    from dashboard.methods.attribution import trust as checks

    if "untrained" in reference.parse(asked.network).options:
        return []
    twin = reference.untrained(asked.network)
    target = question.target.fixed or asked.target
    if asked.target == "top" and question.likeliest:
        target = question.likeliest[0][0]
    try:
        _, other = _map(asked.replace(network=twin, target=target), entry, name)
        result = checks.randomisation(found.values, {"all layers": other.values}, _change(question, found))
    except HomologError:
        return []
    return [_forgotten("Training", result)]


def _cascade(
    asked: AttributionSpec, entry: Method, question: Question, found: Attribution
) -> tuple[dict[str, Any], list[Row]]:
    """Compare with the maps of the network whose layers get random weights one by one, from the top."""
    import dataclasses

    from dashboard.methods.attribution import trust as checks
    from dashboard.networks.seeding import seeded

    module = copy.deepcopy(question.explained.module).requires_grad_(False)
    trained = _trained(module, question)
    if not trained or "untrained" in reference.parse(asked.network).options:
        return {}, []
    wanted = np.unique(np.linspace(0, len(trained) - 1, min(STAGES, len(trained))).round().astype(int))
    maps: dict[str, Any] = {}
    explained = dataclasses.replace(question.explained, module=module)
    with seeded(0):
        for k, (name, layer) in enumerate(trained):
            _forget(layer)
            if k not in wanted:
                continue
            report(len(maps) / len(wanted), f"The map with random weights down to {name}")
            try:
                # Made anew: methods remember what they found about one `Explained`.
                again = dataclasses.replace(explained)
                maps[name] = entry.run(again, settings_for(asked, question)).values
            except HomologError:
                break
    if not maps:
        return {}, []
    last = next(iter(maps))
    rows = [_forgotten("Last layer", checks.randomisation(found.values, {"the last layer": maps[last]}))]
    if len(maps) == 1:
        return {}, rows
    result = checks.randomisation(found.values, maps)
    columns = {
        "stage": ("stage", [_inside(name) for name in maps]),
        "likeness": ("stage", np.array(result.correlations)),
    }
    named = dataclasses.replace(result, stages=tuple(_inside(name) for name in maps))
    return columns, [*rows, _forgotten("Cascade", named)[:3] + (named.course, result.source)]


def _inside(name: str) -> str:
    """Return the name of a layer in the network itself, without what was put around it."""
    return name.removeprefix("network.")


def _trained(module: nn.Module, question: Question) -> list[tuple[str, nn.Module]]:
    """Return the modules with weights of their own that run for the stimulus, the last one first."""
    import torch

    seen: dict[str, nn.Module] = {}

    def noting(name: str) -> Any:
        def note(part: nn.Module, _inputs: Any, _outputs: Any) -> None:
            seen.pop(name, None)  # a module that runs twice counts by its last call
            seen[name] = part

        return note

    hooks = [
        part.register_forward_hook(noting(name))
        for name, part in module.named_modules()
        if next(part.parameters(recurse=False), None) is not None
    ]
    try:
        with torch.inference_mode():
            module(question.explained.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return list(seen.items())[::-1]


def _forget(layer: nn.Module) -> None:
    """Give a layer random weights: drawn as before training, or its own in random order."""
    import torch

    for name in ("reset_parameters", "_reset_parameters"):
        if callable(getattr(layer, name, None)):
            getattr(layer, name)()
            return
    with torch.no_grad():
        for weights in layer.parameters(recurse=False):
            shuffled = weights.flatten()[torch.randperm(weights.numel()).to(weights.device)]
            weights.copy_(shuffled.view_as(weights))


def _forgotten(name: str, result: Randomisation) -> Row:
    value = result.correlations[-1]
    level = "grey" if math.isnan(value) else "good" if value < 0.3 else "amber" if value < 0.7 else "red"
    return (name, value, level, result.sentence, result.source)


def _removals(spec: TrustSpec, entry: Method, question: Question, found: Attribution) -> list[Row]:
    """Measure how well an additive map predicts what happens when random places are removed."""
    from dashboard.methods.attribution import trust as checks

    if not entry.additive:
        return []
    try:
        result = checks.infidelity(question.explained, found.values, seed=spec.attribution.seed)
    except InputError:  # a map of another resolution than the stimulus
        return []
    value = result.unexplained
    level = "grey" if math.isnan(value) else "good" if value < 0.1 else "amber" if value < 0.5 else "red"
    return [("Removals", value, level, result.sentence, result.source)]


def _change(question: Question, found: Attribution) -> Any:
    """Return stimulus less mean baseline, where it has the shape of the map."""
    explained = question.explained
    if explained.kind == "text":
        return None
    return (explained.inputs[0].double() - explained.baselines.double().mean(0)).cpu()


def _runner_up(
    asked: AttributionSpec, entry: Method, question: Question, found: Attribution, name: str
) -> list[Row]:
    from dashboard.methods.attribution import trust as checks

    if asked.target not in ("top", "true") or len(question.likeliest) < 2:
        return []
    second = question.likeliest[1][0]
    _, other = _map(asked.replace(target=second), entry, name)
    result = checks.class_sensitivity(found.values, other.values, second)
    value = result.correlation
    level = "grey" if math.isnan(value) else "good" if value < 0.5 else "amber" if value < 0.9 else "red"
    return [("Class", value, level, result.sentence, result.source)]


def _curves(spec: TrustSpec, question: Question, found: Attribution) -> tuple[dict[str, Any], list[Row]]:
    from dashboard.methods.attribution import trust as checks

    explained = question.explained
    if explained.kind == "text" and sum(not s for s in explained.special) < 2:
        return {}, []
    both = checks.curves(
        explained,
        found.values,
        seeds=spec.seeds,
        seed=spec.attribution.seed,
        report=lambda f: report(f, "Deletion and insertion"),
    )
    scores = [[c.map, c.image, c.random] for c in both.values()]
    columns = {
        "score": (("curve", "order", "step"), np.array([[_plain(s) for s in row] for row in scores])),
        "share": ("step", _plain(next(iter(both.values())).share)),
        "curve": ("curve", list(both)),
        "order": ("order", ["map", "|x − baseline|", "random"]),
    }
    rows = [(kind.capitalize(), c.area, _beaten(*c.beats), c.sentence, c.source) for kind, c in both.items()]
    return columns, rows


def _beaten(random: bool, image: bool) -> str:
    """Return the level of a curve: no better than chance, than the stimulus itself, or better than both."""
    return "red" if not random else "good" if image else "amber"


def _plain(values: Any) -> np.ndarray:
    array: np.ndarray = values.double().cpu().numpy()
    return array if array.ndim == 1 else array.mean(axis=0)


def _object(asked: AttributionSpec, found: Attribution, name: str) -> list[Row]:
    """Measure how much of the map lies on the object, where the picture was drawn by rule."""
    from dashboard.analyses.explaining import on_object

    result = on_object(asked.stimuli, name, found.values)
    if result is None:
        return []
    level = "good" if result.share > 2 * result.area else "amber" if result.share > result.area else "red"
    return [("Object", result.share, level, result.sentence, result.source)]


def _noise(spec: TrustSpec, entry: Method, question: Question) -> list[Row]:
    """Measure how much the map changes when the stimulus changes a little."""
    import dataclasses

    from dashboard.methods.attribution import trust as checks

    explained = question.explained
    if not explained.inputs.is_floating_point():
        return []
    given = settings_for(spec.attribution, question)

    def map_of(inputs: Any) -> Any:
        return entry.run(dataclasses.replace(explained, inputs=inputs), given).values

    result = checks.sensitivity(
        map_of,
        explained.inputs,
        radius=spec.noise,
        draws=DRAWS,
        seed=spec.attribution.seed,
        report=lambda f: report(f, "Small changes of the stimulus"),
    )
    value = result.largest
    level = "grey" if math.isnan(value) else "good" if value < 0.1 else "amber" if value < 0.5 else "red"
    return [("Noise", value, level, result.sentence, result.source)]
