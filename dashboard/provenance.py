"""Where an answer comes from: its record, the line under a figure, the command to repeat it, the methods."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from dashboard import __version__, reference, specs
from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS as ATTRIBUTIONS
from dashboard.specs import Spec

PACKAGES = (
    "numpy",
    "scipy",
    "xarray",
    "zarr",
    "torch",
    "torchvision",
    "safetensors",
    "pillow",
    "dask",
    "captum",
    "shap",
)
"""Packages that take part in numbers; a record tells their versions."""

VERBS = {
    "network": "describe",
    "rdm": "rdm",
    "brain": "brain",
    "inference": "inference",
    "rdm-partition": "rdm-partition",
    "influence": "influence",
    "time-rsa": "time-rsa",
    "time-decoding": "time-decode",
    "flexible": "combine",
    "brain-why": "brain-why",
    "brain-where": "brain-where",
    "cortex": "cortex",
    "reweighted": "reweigh",
    "attribution": "attribute",
    "attribution-set": "attribute-set",
    "conductance": "conductance",
    "attention": "attention",
    "filters": "filters",
    "tuning": "tuning",
    "decoding": "decode",
    "probe": "probe",
    "encoding": "encode",
    "alignment": "align",
}
"""Kinds of spec with a verb of their own on the command line; all others are run from a file."""

CORTEX_REGIONS = {
    "folds": "Desikan et al. (2006; of the left hemisphere, mirrored for the right by sulcal depth)",
    "centres": "Dosenbach et al. (2010; vertices within 10 mm of its centres, whose MNI "
    "coordinates were taken as those of fsaverage)",
}

LABELS = {
    "network": "Layers",
    "outline": "Layers, before the weights are read",
    "stimuli": "Stimuli",
    "recording": "Recording",
    "look": "Look into files",
    "inspect": "Quality of responses",
    "activations": "Activations",
    "rdm": "RDMs",
    "area-rdm": "RDMs of areas",
    "map": "Map",
    "brain": "Similarity with the brain",
    "inference": "Tests of layers",
    "model-rdm": "Simple models",
    "rdm-partition": "Variance of RDMs",
    "influence": "Influence of stimuli",
    "time-rsa": "Similarity over time",
    "time-decoding": "Decoding over time",
    "flexible": "Combined layers",
    "brain-why": "Where the similarity comes from",
    "brain-where": "Gradient of the similarity",
    "cortex": "Areas on the cortex",
    "reweighted": "Weighted channels",
    "predictions": "Predictions",
    "training": "Training",
    "costs": "Costs of layers",
    "health": "Health",
    "attention": "Attention",
    "recurrent": "Gates and states",
    "attribution": "Attributions",
    "attribution-set": "Attributions over a set",
    "attribution-methods": "Attribution methods",
    "latents": "Latent numbers",
    "traversal": "Latent traversal",
    "versus": "Two networks",
    "walk": "Walk between latents",
    "trust": "Trust in attributions",
    "conductance": "Conductance of a layer",
    "head-brain": "Brain similarity without heads",
    "filters": "Filters",
    "gabors": "Gabor fits",
    "feature-maps": "Feature maps",
    "tuning": "Tuning",
    "neuron-tuning": "Tuning of neurons",
    "units": "Unit",
    "preferred": "Preferred pictures",
    "effective-field": "Effective field",
    "connections": "Connections",
    "selectivity": "Selectivity for categories",
    "concepts": "Concepts",
    "probe": "Readout of layers",
    "decoding": "Decoding of areas",
    "encoding": "Encoding",
    "alignment": "Alignment of layers",
    "variance-partition": "Shared variance of layers",
}
"""What an answer of each kind is called in a list."""

METRIC_WORDS = {
    "correlation": "one minus the Pearson correlation between activation patterns",
    "cosine": "one minus the cosine of the angle between patterns",
    "euclidean": "the root mean square difference between patterns over units",
    "sqeuclidean": "the squared Euclidean distance between patterns, divided by the number of units",
    "mahalanobis": "the squared Mahalanobis distance between patterns divided by the number of units",
    "crossnobis": "the cross-validated squared Mahalanobis distance between patterns (Walther et al., 2016)",
    "poisson": "the symmetrised Kullback-Leibler divergence of Poisson rates (Schütt et al., 2023)",
}
MEASURE_WORDS = {
    "pearson": "Pearson correlation",
    "spearman": "Spearman rank correlation",
    "rho-a": "the expected Spearman rank correlation under random tie breaking (rho-a; Schütt et al., 2023)",
    "tau-a": "Kendall's tau-a",
    "tau-b": "Kendall's tau-b",
    "cosine": "cosine similarity",
    "whitened-cosine": "whitened cosine similarity (Diedrichsen et al., 2021)",
    "whitened-pearson": "whitened Pearson correlation (Diedrichsen et al., 2021)",
}
RESAMPLE_WORDS = {
    "stimuli": "stimuli",
    "subjects": "subjects",
    "both": "both stimuli and subjects",
    "dual": "both stimuli and subjects, corrected for the two factors (Schütt et al., 2023)",
}


def record(
    spec: Spec,
    inputs: Mapping[str, str],
    seconds: float,
    *,
    device: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the record of an answer: what was asked, of which bytes, by which programs, where and when.

    Parameters
    ----------
    spec : Spec
    inputs : mapping
        Digest of every input, by field of the spec.
    seconds : float
        Duration of the computation.
    device : str, optional
        Such as ``"cpu"`` or ``"cuda"``.
    seed : int, optional
        Taken from the spec when it has one.

    Returns
    -------
    dict
        Plain text and numbers, ready for JSON. No name of a machine or person.
    """
    if seed is None:
        seed = getattr(spec, "seed", None)
    return {
        "spec": spec.to_dict(),
        "inputs": {str(name): str(digest) for name, digest in inputs.items()},
        "versions": versions(),
        "platform": f"{platform.system()} {platform.machine()}".strip(),
        # str(), because a device may come as another library's text class.
        "device": None if device is None else str.__str__(str(device)),
        "seed": None if seed is None else int(seed),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(float(seconds), 3),
    }


@lru_cache(maxsize=1)
def _versions() -> tuple[tuple[str, str], ...]:
    found = {"homolog": __version__, "commit": _commit(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple((name, version) for name, version in found.items() if version)


def versions() -> dict[str, str]:
    """Return the versions of Homolog, its commit in a checkout, Python and `PACKAGES`; imports none."""
    return dict(_versions())


def _commit() -> str:
    """Return the commit of the checkout this runs from, marked when files differ from it; else ``""``."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    describe = ["describe", "--always", "--dirty=+changes", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *describe], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def title(spec: Spec) -> str:
    """Return what a spec asks for in a few words: ``"RDMs: torchvision:resnet18 × gratings"``."""
    label = LABELS.get(spec.kind, spec.kind)
    sources = " × ".join(shown(text) for text in _sources(spec))
    return f"{label}: {sources}" if sources else label


_UPLOAD = re.compile(r"(upload:[0-9a-f]{8})[0-9a-f]+")


def shown(text: str) -> str:
    """Return a reference as pages show it: files by their base names.

    Examples
    --------
    >>> shown("torchvision:resnet18?weights=/lab/weights/model.safetensors")
    'torchvision:resnet18?weights=model.safetensors'
    """
    try:
        parsed = reference.parse(text)
    except InputError:
        return text
    if "upload:" in text:  # whoever knows the whole of it can open the files
        return _UPLOAD.sub(r"\1…", text)
    options = {name: _base_name(value) for name, value in parsed.options.items()}
    name = f"{parsed.scheme}:{_base_name(parsed.rest)}" if parsed.scheme in ("folder", "zip") else parsed.name
    return str(reference.Reference(name, options))


def sentence(record: Mapping[str, Any]) -> str:
    """Return the grey line under a figure: versions, device, seed, duration and date."""
    used = record.get("versions", {})
    parts = [f"Homolog {used.get('homolog', '?')}" + (f" ({used['commit']})" if used.get("commit") else "")]
    parts += [f"{name} {used[name]}" for name in ("torch", "numpy") if name in used]
    if record.get("device"):
        parts.append(f"on {record['device']}")
    if record.get("seed") is not None:
        parts.append(f"seed {record['seed']}")
    parts += [f"{name.rpartition('.')[2]} {digest[:8]}" for name, digest in record.get("inputs", {}).items()]
    parts.append(f"computed in {_duration(float(record.get('seconds', 0.0)))}")
    if record.get("created"):
        parts.append(datetime.fromisoformat(record["created"]).strftime("%Y-%m-%d %H:%M UTC"))
    return " · ".join(parts)


def command(spec: Spec, out: str = "") -> str:
    """Return the command line that repeats an answer; settings at their default are left out.

    Parameters
    ----------
    spec : Spec
    out : str, optional
        File to write, such as ``"brain.csv"``.
    """
    start = "python -m dashboard"
    end = f" --out {shlex.quote(out)}" if out else ""
    if spec.kind not in VERBS:
        return f"{start} run {spec.kind}.json{end}"
    query = spec.to_flat_query()
    words = [VERBS[spec.kind], *([query.pop("network")] if "network" in query else [])]
    for name, text in query.items():
        # A value that starts with a dash would be taken for an option.
        words += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return f"{start} {shlex.join(words)}{end}"


def described(spec: Spec) -> str:
    """Return what was done to answer a spec, in words; empty for kinds that only describe an input."""
    from dashboard import wording

    describe = METHODS.get(spec.kind) or wording.TEXTS.get(spec.kind)
    return describe(spec) if describe else ""


def methods_text(record: Mapping[str, Any]) -> str:
    """Return a paragraph for a methods section, from the record of an answer.

    Kinds without a text of their own get the sentence about versions alone.
    """
    return f"{described(specs.from_dict(record['spec']))} {made_with(record)}".strip()


def made_with(record: Mapping[str, Any]) -> str:
    """Return the sentence about versions in a methods section."""
    used = record.get("versions", {})
    tools = ", ".join(f"{name} {used[name]}" for name in ("torch", "numpy", "scipy") if name in used)
    made = f"Computed with Homolog {used.get('homolog', '')}".strip()
    return f"{made}{f' ({tools})' if tools else ''}."


def _rdm_text(spec: Any) -> str:
    return (
        f"Activations of {shown(spec.network)} to the stimuli of {shown(spec.stimuli)} were taken from "
        f"{_layers(spec)}{_reduced(spec)}. Dissimilarity between two stimuli was "
        f"{METRIC_WORDS[spec.metric]}."
    )


def _area_rdm_text(spec: Any) -> str:
    return (
        f"Dissimilarity between two stimuli in {_areas(spec)} of {shown(spec.recording)} was, where "
        f"responses were published, {METRIC_WORDS[spec.metric]}."
    )


def _brain_text(spec: Any) -> str:
    controls = (
        f"RDMs of simple models of the stimuli ({', '.join(spec.controls)}) were compared in the same way. "
        if spec.controls
        else ""
    )
    return (
        f"Activations of {shown(spec.network)} to the stimuli of {shown(spec.recording)} were taken from "
        f"{_layers(spec)}{_reduced(spec)}. Representational dissimilarity matrices held "
        f"{METRIC_WORDS[spec.metric]}. Each layer was compared with each subject's matrix for "
        f"{_areas(spec)} by {MEASURE_WORDS[spec.measure]}, and the values were averaged over subjects "
        f"(Kriegeskorte et al., 2008). {controls}The noise ceiling is the range from leave-one-subject-out "
        f"to all-subjects means (Nili et al., 2014). Standard errors and 95 % intervals come from "
        f"{spec.bootstrap} bootstrap samples of {RESAMPLE_WORDS[spec.resample]} (seed {spec.seed})."
    )


CORRECTION_WORDS = {
    "fdr": "p values were adjusted for the false discovery rate (Benjamini & Hochberg, 1995)",
    "max": "p values of the test by shuffled labels are against the largest standardised score over all "
    "models and areas (Nichols & Holmes, 2002), all others were adjusted by Holm's method (1979)",
    "holm": "p values were adjusted by Holm's method (1979)",
    "none": "p values are not corrected for the number of tests",
}


def _inference_text(spec: Any) -> str:
    variance = (
        "the bootstrap variance (Schütt et al., 2023)"
        if spec.resample == "subjects"
        else "variances from leaving out one and two stimuli (bias-corrected jackknife; Efron & Stein, 1981)"
    )
    second = ""
    if spec.second:
        chosen = ", ".join(spec.second_layers) or "its default selection of layers"
        second = f" Layers of {shown(spec.second)} ({chosen}) entered the same tests."
    labels = ""
    if spec.permutations:
        labels = (
            f" That a layer has anything to do with an area was also tested with {spec.permutations} random "
            "relabellings of the stimuli, the same for all layers and areas (Kriegeskorte et al., 2008; "
            f"seed {spec.seed})."
        )
    return (
        f"{_brain_text(spec)}{second} Scores were tested against zero (one-sided), against the lower noise "
        f"ceiling and pair by pair (two-sided) by t tests with {variance}."
        f"{labels} Over all layers and areas, {CORRECTION_WORDS[spec.correction]}."
    )


def _rdm_partition_text(spec: Any) -> str:
    ranks = "ranks of the dissimilarities" if spec.measure == "spearman" else "dissimilarities"
    return (
        f"The matrices of each subject for {_areas(spec)} of {shown(spec.recording)} were regressed on those "
        f"of {', '.join(spec.models)} ({ranks}; layers are of {shown(spec.network)}, with "
        f"{METRIC_WORDS[spec.metric]}). Unique and shared variance come from R² of all subsets of models "
        "(commonality analysis; Nimon et al., 2008); unique contributions were tested by partial correlation "
        f"(one-sided t). Standard errors come from {spec.bootstrap} bootstrap samples of "
        f"{RESAMPLE_WORDS[spec.resample]} (seed {spec.seed})."
    )


def _flexible_text(spec: Any) -> str:
    folds = f"{spec.folds} folds" if spec.folds else "2 to 5 folds, by their number"
    return (
        f"RDMs of {_layers(spec)} of {shown(spec.network)} ({METRIC_WORDS[spec.metric]}) were combined "
        "with non-negative weights (least squares to the pooled RDM of the training subjects), by the best "
        "mixture of two neighbours, and by choice of one. Every combination was fitted to all subjects but "
        f"one and to part of the stimuli ({folds}; {spec.repeats} random partitions, seed {spec.seed}) and "
        f"scored by {MEASURE_WORDS[spec.measure]} on the held-out subject and stimuli of {_areas(spec)} of "
        f"{shown(spec.recording)} (Storrs et al., 2021; Schütt et al., 2023)."
    )


def _influence_text(spec: Any) -> str:
    return (
        f"{spec.layer or 'The best layer'} of {shown(spec.network)} was compared with "
        f"{spec.area or 'the first area'} of {shown(spec.recording)} by {MEASURE_WORDS[spec.measure]} of "
        f"dissimilarities ({METRIC_WORDS[spec.metric]}). The influence of a stimulus is the score with all "
        "stimuli minus the score without it. Disagreement about a pair is its rank in the layer minus its "
        "rank in the mean of the subjects' ranks, both from 0 to 1."
    )


PLAYER_WORDS = {
    "top": "single channels and the rest as one",
    "blocks": "groups of neighbouring channels",
    "each": "single channels",
    "layers": "layers, whose RDMs were summed on the scale that the measure looks at",
}


def _brain_why_text(spec: Any) -> str:
    what = _layers(spec) if spec.players == "layers" else spec.layer or "the best layer"
    groups = f" (at most {spec.groups})" if spec.players in ("top", "blocks") else ""
    return (
        f"The score of {what} of {shown(spec.network)}{_reduced(spec)} with "
        f"{spec.area or 'the first area'} of {shown(spec.recording)} is "
        f"{MEASURE_WORDS[spec.measure]} of dissimilarities "
        f"({METRIC_WORDS[spec.metric]}), averaged over subjects. It was split by Shapley values (Štrumbelj & "
        f"Kononenko, 2010) between {PLAYER_WORDS[spec.players]}{groups}; the score of nothing is 0, "
        "dissimilarities were computed anew for every group, and the values sum to the score. Up to 12 "
        "players all groups were scored; for more, "
        f"{spec.orders} random orders in pairs of an order and its reverse (Mitchell et al., 2022; seed "
        f"{spec.seed})."
    )


def _cortex_text(spec: Any) -> str:
    labels = f"the labels of {shown(spec.labels)}" if spec.labels else CORTEX_REGIONS[spec.parcellation]
    which = spec.layer or "the best layer of each area"
    placed = ", ".join(spec.regions) or "those that bear the names of the areas"
    return (
        f"{_brain_text(spec.brain)} The score of {which} was drawn on the inflated surface fsaverage5 "
        "(Fischl et al., 1999; as nilearn brings it), one colour per area, in the regions of "
        f"{labels}: {placed}."
    )


def _brain_where_text(spec: Any) -> str:
    return (
        f"The score of {spec.layer or 'the best layer'} of {shown(spec.network)}{_reduced(spec)} with "
        f"{spec.area or 'the first area'} of {shown(spec.recording)} is {MEASURE_WORDS[spec.measure]} of "
        f"dissimilarities ({METRIC_WORDS[spec.metric]}), averaged over subjects. Its gradient was taken to "
        "the colours of all pixels of all pictures together; maps show the sum over colours. It was checked "
        "by moving all pictures along it."
    )


def _reweighted_text(spec: Any) -> str:
    folds = f"{spec.folds} folds" if spec.folds else "2 to 5 folds, by their number"
    which = f"{spec.layer or 'the best layer'} of {shown(spec.network)}{_reduced(spec)}"
    return (
        f"Channels of {which} were put into {spec.groups} groups of neighbours, whose squared distances sum "
        f"to the layer's dissimilarities ({METRIC_WORDS[spec.metric]}). Non-negative weights of the groups "
        "were fitted to the pooled matrix of the training subjects, by least squares with a ridge penalty on "
        "their difference from a common weight, chosen by cross-validation over training stimuli "
        "(feature-reweighted RSA; Kaniuth & Hebart, 2022). They were fitted to all subjects but one and to "
        f"part of the stimuli ({folds}; {spec.repeats} random partitions, seed {spec.seed}) and scored by "
        f"{MEASURE_WORDS[spec.measure]} on the held-out subject and stimuli of "
        f"{spec.area or 'the first area'} of {shown(spec.recording)}."
    )


def _recurrent_text(spec: Any) -> str:
    return (
        f"Gates and states of {spec.layer or 'the first recurrent layer'} of {shown(spec.network)} for the "
        f"stimuli of {shown(spec.stimuli)} were computed again from its weights in float64. Dissimilarity "
        f"between two stimuli at a step was {METRIC_WORDS[spec.metric]}; the RDMs of two steps were compared "
        "by Spearman rank correlation."
    )


def _attribution_text(spec: Any) -> str:
    entry = ATTRIBUTIONS.get(spec.method)
    if entry is None:
        return ""
    used = {
        "steps": f"{spec.steps} steps",
        "samples": f"{spec.samples} samples",
        "seed": f"seed {spec.seed}",
        "layer": f"layer {spec.layer}" if spec.layer else "",
        "segments": f"segments: {spec.segments}",
    }
    settings = ", ".join(used[name] for name in entry.settings if used.get(name))
    baseline = f" against {_baseline(spec)}" if "baseline" in entry.settings else ""
    target = {"top": "the likeliest class", "true": "the true class"}.get(spec.target, spec.target)
    which = f"{len(spec.items)} stimuli" if len(spec.items) > 1 else "one stimulus"
    return (
        f"The {spec.score} of {target} of {shown(spec.network)} was attributed to the parts of {which} of "
        f"{shown(spec.stimuli)} by {entry.label} ({entry.source}){baseline}"
        f"{f' ({settings})' if settings else ''}."
    )


def _trust_text(spec: Any) -> str:
    return (
        f"{_attribution_text(spec.attribution)} The map was compared with that of the untrained network and "
        f"of the runner-up class (Adebayo et al., 2018), with maps of {spec.seeds} seeds where it is "
        f"sampled, and under uniform noise of {100 * spec.noise:g} % of the input's range (Yeh et al., "
        "2019); deletion and insertion (Petsiuk et al., 2018) stand beside random orders and |x − baseline|."
    )


def _attribution_set_text(spec: Any) -> str:
    one = _attribution_text(spec.attribution)
    return (
        f"{one.replace('one stimulus', f'up to {spec.most} stimuli', 1)} Over them, |values| were averaged, "
        "with 95 % intervals of the mean (Lundberg et al., 2020)."
    )


def _conductance_text(spec: Any) -> str:
    target = {"top": "the likeliest class", "true": "the true class"}.get(spec.target, spec.target)
    return (
        f"The {spec.score} of {target} of {shown(spec.network)} for one stimulus of {shown(spec.stimuli)} "
        f"was shared out among the units of {spec.layer or 'the last layer before the answer'} by layer "
        f"conductance against {_baseline(spec)} (at least {spec.steps} steps; Dhamdhere, Sundararajan & Yan, "
        "2019)."
    )


def _head_brain_text(spec: Any) -> str:
    return (
        f"Each attention head of {shown(spec.network)} in turn was replaced by zeros before the output "
        f"projection. Dissimilarity in {spec.read or 'the last layer before the answer'} for the stimuli of "
        f"{shown(spec.recording)} was {METRIC_WORDS[spec.metric]}; it was compared with each subject's "
        f"matrix for {_areas(spec)} by {MEASURE_WORDS[spec.measure]}, and the change was averaged over "
        "subjects."
    )


def _baseline(spec: Any) -> str:
    return {
        "black": "a black picture",
        "mean": "a picture of the set's mean colour (of texts: neutral tokens)",
        "blur": "a blurred copy",
        "noise": f"{spec.background} pictures of uniform noise",
        "samples": f"{spec.background} other stimuli of the set",
    }[spec.baseline]


ATTENTION_WORDS = {
    "heads": "Attention weights of every head were read while the network ran as it is; entropy was "
    "divided by "
    "the logarithm of the number of keys allowed, and distance is the weighted mean over patches "
    "(Dosovitskiy et "
    "al., 2021).",
    "rollout": "Attention was averaged over heads, mixed in equal parts with the identity and multiplied "
    "through "
    "the layers (attention rollout; Abnar & Zuidema, 2020).",
    "relevance": "Attention weights were multiplied by the gradient of the score with respect to them, "
    "positive "
    "parts averaged over heads and carried through the layers (Chefer, Gur & Wolf, 2021).",
    "query-key": "Queries and keys of one head were read while the network ran.",
    "ablation": "Each head in turn was replaced by zeros before the output projection, and the change of "
    "the score "
    "was noted.",
    "agreement": "Attention of each head was compared, by Spearman correlation over places, with the "
    "absolute "
    "change of the score when a place was replaced by the baseline, and with integrated gradients "
    "(Sundararajan, "
    "Taly & Yan, 2017).",
}


def _attention_text(spec: Any) -> str:
    view = spec.view if spec.view in ATTENTION_WORDS else "heads"
    what = (
        f'"{spec.item}" of {shown(spec.stimuli)}'
        if spec.item
        else f"the first stimulus of {shown(spec.stimuli)}"
    )
    weighed = (
        " Weights were multiplied by the length of each value behind the output projection (Kobayashi et "
        "al., 2020)."
        if spec.weighting == "values"
        else ""
    )
    return f"{shown(spec.network)} was given {what}. {ATTENTION_WORDS[view]}{weighed}"


def _unit(spec: Any) -> str:
    return f"unit {spec.unit} of {spec.layer or 'the first default layer'} of {shown(spec.network)}"


def _tuning_text(spec: Any) -> str:
    frequencies = f"at {spec.frequencies.strip(':').replace(':', ', ')} cycles per picture"
    extra = [
        words
        for asked, words in (
            (spec.contrasts, "contrast responses were fitted by Naka & Rushton's (1966) function"),
            (spec.sizes, "size tuning as in Cavanaugh, Bair & Movshon (2002)"),
        )
        if asked
    ]
    return (
        f"The unit in the middle of every channel of {spec.layer or 'the first default layer'} of "
        f"{shown(spec.network)} was shown sinusoidal gratings of {spec.orientations} orientations, "
        f"{frequencies if spec.frequencies else 'eight spatial frequencies'} and {spec.phases} phases, of "
        "full "
        "contrast and equal mean luminance. Responses are those to the grating less that to grey, zero where "
        "below it. Circular variance after Ringach, Shapley & Hawken (2002), orientation selectivity as in "
        "Mazurek, Kager & Van Hooser (2014), widths at half height, F1/F0 after Skottun et al. (1991)"
        f"{'; ' + ', '.join(extra) if extra else ''}."
    )


def _preferred_text(spec: Any) -> str:
    return (
        f"Pictures were synthesised that drive {_unit(spec)}: gradient ascent over {spec.steps} steps on the "
        "Fourier coefficients of a picture with decorrelated colours (Olah, Mordvintsev & Schubert, 2017; "
        "Mordvintsev et al., 2018), which was shifted, scaled and rotated at random, less and less towards "
        "the "
        f"end, from {spec.seeds} seeds (from {spec.seed}). The response reached is that to the picture "
        "rounded "
        f"to bytes; the best stimulus is that of {shown(spec.stimuli)}."
    )


def _effective_field_text(spec: Any) -> str:
    return (
        f"The effective receptive field of {_unit(spec)} is the squared gradient of the unit in the middle "
        "with "
        f"respect to each pixel, summed over colours and averaged over up to {spec.most} stimuli of "
        f"{shown(spec.stimuli)} (after Luo et al., 2016), fitted by a two-dimensional Gaussian."
    )


def _concepts_text(spec: Any) -> str:
    return (
        f"Concept activation vectors (Kim et al., 2018) for {spec.concept or 'a concept'} were the normals "
        f"of ridge classifiers between responses of {_layers(spec)} of {shown(spec.network)}, averaged over "
        f"positions, to {spec.examples} stimuli of {shown(spec.stimuli)} with it and as many without (fewer "
        "where there are not so many). The score is the share of pictures of "
        f"{spec.target or 'the class'} for which the derivative of its score along the vector is positive, "
        f"over {spec.runs} draws (seed {spec.seed}); it was compared with scores of random concepts by "
        "Welch's two-sided t test, corrected for the number of layers (Holm, 1979)."
    )


def _selectivity_text(spec: Any) -> str:
    return (
        f"Of each channel of {_layers(spec)} of {shown(spec.network)} the maximum over positions was taken "
        "for "
        f"every stimulus of {shown(spec.stimuli)}. Selectivity for a category is d′ against all other "
        "stimuli "
        "(Green & Swets, 1966); the best unit was chosen on one half of the stimuli and measured on the "
        "other, "
        "both ways."
    )


METHODS: dict[str, Callable[[Any], str]] = {
    "tuning": _tuning_text,
    "preferred": _preferred_text,
    "effective-field": _effective_field_text,
    "concepts": _concepts_text,
    "selectivity": _selectivity_text,
    "attention": _attention_text,
    "recurrent": _recurrent_text,
    "attribution": _attribution_text,
    "attribution-set": _attribution_set_text,
    "trust": _trust_text,
    "conductance": _conductance_text,
    "head-brain": _head_brain_text,
    "rdm": _rdm_text,
    "area-rdm": _area_rdm_text,
    "brain": _brain_text,
    "inference": _inference_text,
    "rdm-partition": _rdm_partition_text,
    "influence": _influence_text,
    "flexible": _flexible_text,
    "brain-why": _brain_why_text,
    "brain-where": _brain_where_text,
    "cortex": _cortex_text,
    "reweighted": _reweighted_text,
}
"""Kind of spec -> its text for a methods section."""


def _layers(spec: Any) -> str:
    if not spec.layers:
        return "the default selection of layers"
    return f"the layers {', '.join(spec.layers)}" if len(spec.layers) > 1 else f"the layer {spec.layers[0]}"


def _areas(spec: Any) -> str:
    return ", ".join(spec.areas) if spec.areas else "every area"


def _reduced(spec: Any) -> str:
    return "" if spec.reducer == "all" else f", reduced by {spec.reducer}"


def _sources(spec: Spec) -> list[str]:
    found: list[str] = []
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Spec):
            found += _sources(value)
        elif "source" in field.metadata and value:
            found.append(value)
    return found


def _base_name(text: str) -> str:
    return PurePath(text.replace("\\", "/")).name or text


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
