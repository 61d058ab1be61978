"""Methods in words for kinds of answers that are described by a sentence or two, with their sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.provenance import MEASURE_WORDS, METRIC_WORDS, _reduced, shown


def _layer(spec: Any, default: str) -> str:
    return f"the layer {spec.layer}" if spec.layer else default


def _one_unit(spec: Any) -> str:
    layer = _layer(spec, "the first default layer with positions")
    return f"unit {spec.unit} of {layer} of {shown(spec.network)}"


def _map(spec: Any) -> str:
    from dashboard.provenance import described

    placed = {
        "classical": "classical scaling (Torgerson, 1952)",
        "metric": "metric scaling by majorisation (De Leeuw, 1977), with the least stress (Kruskal, 1964) of "
        f"several starts (seed {spec.seed})",
    }[spec.method]
    return f"{described(spec.rdms)} Stimuli were placed in the plane by {placed}."


def _predictions(spec: Any) -> str:
    truth = f" against the column {spec.truth}" if spec.truth else ""
    return (
        f"{shown(spec.network)} was shown the stimuli of {shown(spec.stimuli)}, and its answers were "
        f"scored{truth}: classes by accuracy with Wilson's interval (Wilson, 1927) and by the expected "
        f"calibration error over {spec.bins} bins (Naeini, Cooper & Hauskrecht, 2015), masks by intersection "
        "over union, and orientations by the mean absolute error."
    )


def _training(spec: Any) -> str:
    return f"The history that was kept when {shown(spec.network)} was trained is shown as it is."


def _costs(spec: Any) -> str:
    return (
        f"Parameters, multiplications and receptive fields of {shown(spec.network)} were counted layer by "
        f"layer "
        "during one forward pass."
    )


def _health(spec: Any) -> str:
    return (
        f"Activations of {shown(spec.network)} for the stimuli of {shown(spec.stimuli)}, its weights, and "
        f"the "
        f"gradients of its loss on one batch of {spec.batch} (seed {spec.seed}) are summarised by quantiles "
        "and shares of zeros."
    )


def _activations(spec: Any) -> str:
    return (
        f"Activations of {shown(spec.network)} to the stimuli of {shown(spec.stimuli)} were "
        f"taken{_reduced(spec)}."
    )


def _latents(spec: Any) -> str:
    return (
        f"{shown(spec.network)} encoded and drew again the stimuli of {shown(spec.stimuli)}. For each latent "
        "number, the divergence from a standard normal distribution (Kingma & Welling, 2014) and the "
        "adjusted "
        "share of its variance that each column of the stimuli explains (Ezekiel, 1930) were computed."
    )


def _traversal(spec: Any) -> str:
    which = spec.stimulus or "a stimulus"
    return (
        f"Starting from the latent numbers of {which} of {shown(spec.stimuli)}, each in turn was set to "
        f"{spec.steps} values within ±{spec.span:g} standard deviations, and {shown(spec.network)} drew the "
        "pictures."
    )


def _versus(spec: Any) -> str:
    return (
        f"Layers of {shown(spec.network)} and {shown(spec.second)} were matched by name, or else by kind in "
        "order (Ratcliff & Metzener, 1988); weights are compared by the root mean square of their difference."
    )


def _walk(spec: Any) -> str:
    return (
        f"{shown(spec.network)} drew {spec.steps} pictures along the great circle (Shoemake, 1985) between "
        f"the "
        f"latent points of seeds {spec.first} and {spec.last}, and {spec.samples} random ones."
    )


def _attribution_methods(spec: Any) -> str:
    return (
        f"Every attribution method was asked whether it works on {shown(spec.network)} and "
        f"{shown(spec.stimuli)}, "
        "and its cost was forecast from measured forward and backward passes."
    )


def _filters(spec: Any) -> str:
    layer = _layer(spec, "the first convolution")
    return f"The kernels of {layer} of {shown(spec.network)} are shown as they are."


def _gabors(spec: Any) -> str:
    return (
        f"A Gabor function with nine parameters was fitted by least squares to each kernel of "
        f"{_layer(spec, 'the first convolution')} of {shown(spec.network)} (Ringach, 2002); fits that "
        f"explain "
        "less than 70 % of the variance are marked."
    )


def _feature_maps(spec: Any) -> str:
    which = spec.item or "the first stimulus"
    return (
        f"The responses of {_layer(spec, 'the first convolution')} of {shown(spec.network)} to {which} of "
        f"{shown(spec.stimuli)} are shown at every position."
    )


_TUNED = (
    "Preferred orientation is the peak of the interpolated curve; circular variance follows Ringach, "
    "Shapley & "
    "Hawken (2002), the orientation selectivity index Mazurek, Kager & Van Hooser (2014), bandwidth in "
    "octaves "
    "De Valois, Albrecht & Thorell (1982), and F1/F0 Skottun et al. (1991)."
)


def _neuron_tuning(spec: Any) -> str:
    area = f" in {spec.area}" if spec.area else ""
    return f"Tuning of the neurons{area} of {shown(spec.recording)} to gratings was measured. {_TUNED}"


def _unit(spec: Any) -> str:
    by = {"maximum": "largest", "mean": "mean"}[spec.by]
    return (
        f"The {by} response of {_one_unit(spec)} to every stimulus of {shown(spec.stimuli)} was taken. "
        "Selectivity for a category is d′ against all other stimuli (Green & Swets, 1966); sparseness "
        f"follows Vinje & Gallant (2000). Random stimuli were drawn with seed {spec.seed}."
    )


_DECODERS = {
    "ridge": "Ridge decoders of {column} were cross-validated in {folds} folds, with features standardised "
    "and the penalty chosen inside each training set by leave-one-out error.",
    "logistic": "Logistic regressions (multinomial, ridge penalty, C = 1; Cox, 1958) of {column} were "
    "cross-validated in {folds} folds, with features standardised inside each training set.",
    "svm": "Linear support vector machines (C = 1, one class against the rest; Cortes & Vapnik, 1995) for "
    "{column} were cross-validated in {folds} folds, with features standardised inside each training set.",
    "mlp": "Networks with one hidden layer of 32 rectified units, trained on {column} for 200 steps of AdamW "
    "(rate and weight decay 0.01; Loshchilov & Hutter, 2019), were cross-validated in {folds} folds, with "
    "features standardised inside each training set.",
}


def _decoded(spec: Any) -> str:
    decoder = _DECODERS[spec.model].format(column=spec.column, folds=spec.folds)
    return (
        f"{decoder} Each score was compared with {spec.permutations} shuffles of the labels (seed "
        f"{spec.seed}); p values count the score itself (Phipson & Smyth, 2010), and those over several sets "
        "are against the best of each shuffle (Nichols & Holmes, 2002)."
    )


def _probe(spec: Any) -> str:
    return (
        f"From the activations of layers of {shown(spec.network)} to {shown(spec.stimuli)}{_reduced(spec)}, "
        f"what "
        f"the stimuli are was read out. {_decoded(spec)}"
    )


def _decoding(spec: Any) -> str:
    return (
        f"From the responses in each area of {shown(spec.recording)}, what the stimuli are was read out "
        f"linearly. "
        f"{_decoded(spec)}"
    )


def _time_rsa(spec: Any) -> str:
    metric = (
        "the cross-validated squared Mahalanobis distance (Walther et al., 2016) where stimuli were "
        "repeated, "
        "else one minus the Pearson correlation"
        if spec.metric == "auto"
        else METRIC_WORDS[spec.metric]
    )
    shuffle = {
        "stimuli": "random labellings of the stimuli, standardised over labellings",
        "subjects": "flips of the subjects' signs, as t values",
    }[spec.shuffle]
    return (
        f"In {spec.area or 'the first area'} of {shown(spec.recording)}, a representational dissimilarity "
        "matrix "
        f"of each subject was computed at each time; it held {metric}. Layers of {shown(spec.network)}"
        f"{_reduced(spec)} were compared with it by {MEASURE_WORDS[spec.measure]}, averaged over subjects "
        "(Cichy "
        "et al., 2014). Clusters of neighbouring times were tested by their mass against "
        f"{spec.permutations} {shuffle}, with times above the one-sided level {spec.forming:g} forming "
        "clusters "
        "and p corrected over times and layers (Maris & Oostenveld, 2007). Onset is the start of the first "
        "cluster with p at most .05, which is a rough measure of latency (Sassenhagen & Draschkow, 2019); "
        f"intervals come from {spec.bootstrap} resamples of stimuli and subjects (seed {spec.seed}). The "
        "noise "
        "ceiling at each time is the range from leave-one-subject-out to all-subjects means (Nili et al., "
        "2014)."
    )


_TIMED_DECODERS = {
    "ridge": "ridge regression",
    "logistic": "logistic regression (multinomial, C = 1)",
    "svm": "linear support vector machines (C = 1, one class against the rest; Cortes & Vapnik, 1995)",
    "mlp": "networks with one hidden layer of 32 rectified units (AdamW, 200 steps of 0.01, weight decay "
    "0.01, squared error)",
}


def _time_decoding(spec: Any) -> str:
    split = {
        "stimulus": f"in {spec.folds} folds over stimuli, on means over repeats",
        "repeat": f"in at most {spec.folds} folds over repeats",
    }[spec.split]
    penalty = "and the penalty chosen " if spec.model == "ridge" else ""
    return (
        f"From the responses in {spec.area or 'the first area'} of {shown(spec.recording)} (units of all "
        "subjects "
        f"together), {spec.column} was decoded at each time by {_TIMED_DECODERS[spec.model]} and each "
        f"decoder was tested at all times (King & Dehaene, 2014), cross-validated {split}, with features "
        f"standardised {penalty}inside each training set. Clusters of pairs of times were tested by their "
        f"mass against {spec.permutations} shuffles of the stimuli's labels, with points better than the "
        f"best constant answer and above the one-sided level {spec.forming:g} forming clusters (Maris & "
        f"Oostenveld, 2007; seed {spec.seed})."
    )


_RIDGE = (
    "with the penalty of each unit chosen by a second cross-validation inside its training stimuli (Hastie & "
    "Tibshirani, 2004)"
)
_REGRESSIONS = {
    "ridge": f"by ridge regression, {_RIDGE}",
    "pls": "by partial least squares with 25 components at most, as Brain-Score does (Schrimpf et al., 2018)",
}


def _encoded(spec: Any, regression: str) -> str:
    return (
        f"Units of {shown(spec.recording)} were predicted from layers of "
        f"{shown(spec.network)}{_reduced(spec)}, cross-validated in {spec.folds} folds, "
        f"{_REGRESSIONS[regression]}."
    )


def _encoding(spec: Any) -> str:
    return (
        f"{_encoded(spec, spec.regression)} Intervals come from {spec.bootstrap} bootstrap samples (seed "
        f"{spec.seed})."
    )


def _partition(spec: Any) -> str:
    layers = ", ".join(spec.layers) or "the default selection of layers"
    return (
        f"{_encoded(spec, 'ridge')} What {layers} explain alone and together was found from the fits "
        "of every combination of them."
    )


def _network(spec: Any) -> str:
    return (
        f"Layers of {shown(spec.network)} are listed with the shapes of their outputs and their numbers of "
        "parameters, as one forward pass met them."
    )


def _stimuli(spec: Any) -> str:
    return f"The stimuli of {shown(spec.stimuli)} are shown with their names, categories and columns."


def _recording(spec: Any) -> str:
    return f"Areas, subjects and stimuli of {shown(spec.recording)} were counted."


def _look(spec: Any) -> str:
    return (
        f"The files {shown(spec.upload)} were read as a {spec.brings}, without running anything in them."
        if spec.brings != "stimuli"
        else f"The files {shown(spec.upload)} were read as stimuli, without running anything in them."
    )


def _model_rdm(spec: Any) -> str:
    chosen = ", ".join(spec.models) or "every simple model that fits"
    judged = (
        f" Behaviour and published models come with {shown(spec.recording)}, behaviour averaged over its "
        "subjects."
        if spec.recording
        else ""
    )
    return (
        f"RDMs of simple models of the stimuli of {shown(spec.stimuli)} ({chosen}): categories and columns "
        "of text are 0 where they are the same and 1 where they differ, columns of numbers give the absolute "
        "difference (of angles the shorter way round), pixels the root mean square difference of red, green "
        "and blue, luminance the difference of means, silhouettes one minus the intersection over union of "
        "outlines, and the GIST-like model the energy of oriented filters in four octaves over 4 × 4 places "
        f"(after Oliva & Torralba, 2001).{judged}"
    )


_ALIGNED = {
    "cka": "linear centred kernel alignment (Kornblith et al., 2019) with the unbiased estimate of HSIC "
    "(Song et al., 2012)",
    "rbf-cka": "centred kernel alignment of Gaussian kernels with a standard deviation of 0.8 median "
    "distances (Kornblith et al., 2019) and the unbiased estimate of HSIC (Song et al., 2012)",
    "procrustes": "Procrustes similarity, the nuclear norm of the cross product of centred responses of unit "
    "norm (Williams et al., 2021)",
    "cca": "the mean canonical correlation (Hotelling, 1936; Raghu et al., 2017)",
    "svcca": "the mean canonical correlation of the principal components that hold 99 % of each layer's "
    "variance (SVCCA; Raghu et al., 2017)",
}


def _alignment(spec: Any) -> str:
    one = spec.network == spec.second
    partner = "each other" if one else f"those of {shown(spec.second)}"
    samples = (
        "bootstrap samples of the stimuli, in which only distinct stimuli are compared"
        if "cka" in spec.measure.split("-")
        else "jackknife samples that leave out a fifth of the stimuli (Shao & Wu, 1989)"
    )
    return (
        f"Responses of the layers of {shown(spec.network)} to the stimuli of {shown(spec.stimuli)}"
        f"{_reduced(spec)} were compared with {partner} by {_ALIGNED[spec.measure]}. Intervals of 95 % come "
        f"from {spec.bootstrap} {samples} (seed {spec.seed}); chance is the mean over 20 shuffles of the "
        "stimuli of one side."
    )


def _connections(spec: Any) -> str:
    return (
        f"The strongest connections (up to {spec.most} to either side) of {_one_unit(spec)} with units of "
        "the neighbouring weighted layers are single weights, or norms of kernels. Which units are joined, "
        "also across pooling, normalisation and shortcuts, was found by replacing the outputs of weighted "
        "layers by noise and noting what depends on what."
    )


def _inspect(spec: Any) -> str:
    return (
        f"Reliability of the units of {shown(spec.recording)} is the correlation between random halves of "
        f"the "
        f"repeats (seed {spec.seed}), stepped up to all of them (Spearman, 1910; Brown, 1910). The noise "
        f"ceiling "
        "of an area is the range from leave-one-subject-out to all-subjects means (Nili et al., 2014)."
    )


TEXTS: dict[str, Callable[[Any], str]] = {
    "network": _network,
    "outline": _network,
    "stimuli": _stimuli,
    "recording": _recording,
    "look": _look,
    "model-rdm": _model_rdm,
    "alignment": _alignment,
    "connections": _connections,
    "activations": _activations,
    "map": _map,
    "inspect": _inspect,
    "predictions": _predictions,
    "training": _training,
    "costs": _costs,
    "health": _health,
    "latents": _latents,
    "traversal": _traversal,
    "versus": _versus,
    "walk": _walk,
    "attribution-methods": _attribution_methods,
    "filters": _filters,
    "gabors": _gabors,
    "feature-maps": _feature_maps,
    "neuron-tuning": _neuron_tuning,
    "units": _unit,
    "probe": _probe,
    "decoding": _decoding,
    "time-rsa": _time_rsa,
    "time-decoding": _time_decoding,
    "encoding": _encoding,
    "variance-partition": _partition,
}
"""Kind of spec -> its text; further ones stand in `provenance.METHODS`."""
