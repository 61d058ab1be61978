"""What does the network say of the stimuli, and how good is it?"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.analyses import outputs
from dashboard.errors import InputError, caution, listing, unknown
from dashboard.methods import classification
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import PredictionsSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    import torch

MOST_TOP, MOST_BINS = 20, 100
NO_TRUTH = -1
"""Stands for the true class of a stimulus that has none."""


TASKS: dict[str, tuple[str, str]] = {
    "classes": ("predictions", "chosen_classes"),
    "orientation": ("regression", "orientations"),
    "mask": ("segmentation", "masks"),
}
"""What a network's card calls its output -> module and function that answer for such networks."""


def output(network: Network) -> str:
    """Return what the network answers with: one of `TASKS`, or what else its card says."""
    return str(network.card.get("output") or ("classes" if network.labels else "nothing with names"))


def why_not(network: Network) -> str:
    """Say in a sentence why a network has no predictions of classes; ``""`` when it has."""
    answers = output(network)
    if answers != "classes":
        return f"{network.title} does not choose between classes: its output is {answers}."
    return ""


def predictions(spec: PredictionsSpec) -> xr.Dataset:
    """Return what a network says of every stimulus and, where the truth is known, how good that is.

    The attribute ``task`` says what it says: one of `TASKS`, whose functions describe the variables.

    Raises
    ------
    InputError
        When the network predicts nothing that could be judged, or a setting does not fit.
    """
    if not (1 <= spec.top <= MOST_TOP and 1 <= spec.bins <= MOST_BINS):
        message = f"top must be 1 to {MOST_TOP} and bins 1 to {MOST_BINS}."
        raise InputError(message)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    task = output(network)
    if task not in TASKS:
        message = f"{network.title} predicts nothing that could be right or wrong: its output is {task}."
        raise InputError(message, "Choose a classifier, such as bundled:objects_cnn with objects.")
    module, function = TASKS[task]
    answer = getattr(importlib.import_module(f"dashboard.analyses.{module}"), function)
    return cast("xr.Dataset", answer(spec, network, shown))


def chosen_classes(spec: PredictionsSpec, network: Network, shown: Stimuli) -> xr.Dataset:
    """Return the likeliest classes of every stimulus and, where the truth is known, how good they are.

    Returns
    -------
    xarray.Dataset
        ``top_class`` (stimulus, rank) position of a class and ``top_probability``; ``true_class`` (stimulus,)
        with -1 for unknown, ``true_probability`` and ``true_rank`` (1 is the best). Over the labelled stimuli
        ``confusion`` (truth, predicted), ``precision``, ``recall`` with ``recall_low`` and ``recall_high``,
        ``f1``, ``support`` and ``called`` (truth,), and over bins of confidence ``bin_confidence``,
        ``bin_accuracy``, ``bin_count`` (bin,). Intervals are Wilson's, 95 %.
    """
    classes = class_names(network.labels)
    truth, source = true_classes(shown, classes, spec.truth)
    found = _run(network, shown, truth, len(classes), spec.top)
    answer = xr.Dataset(
        found,
        coords={
            "stimulus": list(shown.names),
            "category": ("stimulus", list(shown.categories)),
            "rank": np.arange(1, found["top_class"][1].shape[1] + 1),
            "class": list(classes),
        },
        attrs=outputs.attributes(spec, network, shown, "classes", source),
    )
    return answer.merge(_quality(answer, spec.bins), combine_attrs="no_conflicts")


def class_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return unique names of the classes; one output alone stands for a class and its opposite."""
    if len(labels) == 1:
        return f"not {labels[0]}", labels[0]
    often = Counter(labels)
    return tuple(name if often[name] == 1 else f"{name} ({k})" for k, name in enumerate(labels))


# --- the truth -------------------------------------------------------------------------------------


def true_classes(shown: Stimuli, classes: Sequence[str], column: str = "") -> tuple[np.ndarray, str]:
    """Match what is known of the stimuli with the classes of a network.

    Text is matched by name, whatever its case and its blanks, hyphens and underscores; whole numbers are
    positions of classes.

    Parameters
    ----------
    shown : Stimuli
    classes : sequence of str
        Names of the classes in order.
    column : str
        ``category`` or a column of the stimuli; ``""`` takes the category, or else a column ``label``.

    Returns
    -------
    np.ndarray (n_stimuli,) int64
        Position of the true class, -1 where it is not known.
    str
        The column that was taken; ``""`` when none fits.

    Raises
    ------
    InputError
        When the stimuli have no such column.
    """
    known = {"category": np.array(shown.categories), **shown.columns}
    if column and column not in known:
        raise unknown("column of the stimuli", column, known)
    for name in [column] if column else [n for n in ("category", "label") if n in known]:
        found = _positions(known[name], classes)
        if (found != NO_TRUTH).any():
            _tell_unmatched(known[name], found, name)
            return found, name
    return np.full(len(shown), NO_TRUTH, dtype=np.int64), ""


def _positions(values: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    if values.dtype.kind in "biu" or (values.dtype.kind == "f" and (np.mod(values, 1) == 0).all()):
        whole = values.astype(np.int64)
        return np.where((whole >= 0) & (whole < len(classes)), whole, NO_TRUTH)
    place = {folded(name): k for k, name in enumerate(classes)}
    return np.array([place.get(folded(str(v)), NO_TRUTH) for v in values], dtype=np.int64)


def folded(name: str) -> str:
    """Return a name without what does not tell names apart: case, blanks, hyphens, underscores."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _tell_unmatched(values: np.ndarray, found: np.ndarray, column: str) -> None:
    lacking = found == NO_TRUTH
    if lacking.any():
        names = sorted({str(v) for v in values[lacking]} - {""})
        which = f" ({column} {listing(names)})" if names else ""
        caution(
            "labels-do-not-match",
            f"{int(lacking.sum())} of {len(found)} stimuli{which} have no class of this network; they are "
            "shown, but not counted in accuracy and what follows from it.",
        )


# --- the answers of the network --------------------------------------------------------------------


def _run(network: Network, shown: Stimuli, truth: np.ndarray, n_classes: int, top: int) -> dict:
    """Return the likeliest classes of every stimulus, and what is said of the true one."""
    kept = min(top, n_classes)
    n = len(shown)
    best = np.empty((n, kept), dtype=np.int64)
    sure = np.empty((n, kept))
    true_sure, true_rank = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    done = 0
    for rows in probabilities(network, shown, n_classes):
        here = slice(done, done + len(rows))
        order = np.argsort(-rows, axis=1, kind="stable")
        best[here] = order[:, :kept]
        sure[here] = np.take_along_axis(rows, best[here], axis=1)
        place = np.argsort(order, axis=1, kind="stable")
        labelled = truth[here] != NO_TRUTH
        index = np.arange(len(rows))[labelled], truth[here][labelled]
        true_sure[here][labelled], true_rank[here][labelled] = rows[index], place[index] + 1
        done += len(rows)
    return {
        "top_class": (("stimulus", "rank"), best),
        "top_probability": (("stimulus", "rank"), sure),
        "true_class": ("stimulus", truth),
        "true_probability": ("stimulus", true_sure),
        "true_rank": ("stimulus", true_rank),
    }


def probabilities(network: Network, shown: Stimuli, n_classes: int) -> Iterator[np.ndarray]:
    """Yield the probabilities of the classes, (batch, n_classes) float64, batch by batch.

    Raises
    ------
    ComputeError
        When the network gives no finite number per class.
    """
    for _, found in outputs.forward(network, shown):
        yield _as_probabilities(network, found, n_classes)


def _as_probabilities(network: Network, found: torch.Tensor, n_classes: int) -> np.ndarray:
    """Turn what a network gives into probabilities: through softmax unless its last layer has done so."""
    wanted = 1 if len(network.labels) == 1 else n_classes
    if found.dim() != 2 or found.shape[1] != wanted:
        raise outputs.unexpected(network, found, f"a number for each of {wanted} labels")
    values: torch.Tensor = found.double()
    last = network.layers[-1].kind if network.layers else ""
    if wanted == 1:
        values = values if last == "Sigmoid" else values.sigmoid()
        return np.concatenate([1 - values.cpu().numpy(), values.cpu().numpy()], axis=1)
    if last == "LogSoftmax":
        values = values.exp()
    elif last != "Softmax":
        values = values.softmax(dim=1)
    return values.cpu().numpy()


# --- how good they are -----------------------------------------------------------------------------


def _quality(answer: xr.Dataset, bins: int) -> xr.Dataset:
    """Return what follows from truth and predictions; without truth only the counts in the attributes."""
    labelled = answer["true_class"].to_numpy() != NO_TRUTH
    truth = answer["true_class"].to_numpy()[labelled]
    said = answer["top_class"].to_numpy()[labelled, 0]
    n = len(truth)
    if not n:
        return xr.Dataset(attrs={"n_labelled": 0})
    if len(set(truth.tolist())) == 1:
        only = str(answer["class"].to_numpy()[truth[0]])
        caution(
            "one-class",
            f"All labelled stimuli are of one class, {only}: accuracy is the recall of this class, and how "
            "often others are mistaken for it cannot be seen.",
        )
    used = np.unique(np.concatenate([truth, said]))
    counts = classification.confusion(np.searchsorted(used, truth), np.searchsorted(used, said), len(used))
    names = answer["class"].to_numpy()[used]
    per = classification.per_class(counts)
    low, high = classification.wilson(np.diag(counts), per.support)
    right = said == truth
    sure = np.clip(answer["top_probability"].to_numpy()[labelled, 0], 0, 1)
    fit = classification.calibration(sure, right, bins)
    fit_low, fit_high = classification.wilson(
        np.round(np.nan_to_num(fit.accuracy) * fit.n).astype(int), fit.n
    )
    ends = classification.wilson(right.sum(), n)
    rank = answer["true_rank"].to_numpy()[labelled]
    return xr.Dataset(
        {
            "confusion": (("truth", "predicted"), counts),
            "precision": ("truth", per.precision),
            "recall": ("truth", per.recall),
            "recall_low": ("truth", low),
            "recall_high": ("truth", high),
            "f1": ("truth", per.f1),
            "support": ("truth", per.support),
            "called": ("truth", per.called),
            "bin_confidence": ("bin", fit.confidence),
            "bin_accuracy": ("bin", fit.accuracy),
            "bin_low": ("bin", fit_low),
            "bin_high": ("bin", fit_high),
            "bin_count": ("bin", fit.n),
        },
        coords={"truth": names, "predicted": names, "bin": (fit.edges[:-1] + fit.edges[1:]) / 2},
        attrs={
            "n_labelled": n,
            "n_right": int(right.sum()),
            "accuracy": float(right.mean()),
            "accuracy_low": float(ends[0]),
            "accuracy_high": float(ends[1]),
            "top5_accuracy": float((rank <= 5).mean()),
            "most_frequent": float(per.support.max() / n),
            "chance": 1 / answer.sizes["class"],
            "calibration_error": fit.error,
            "classes_known": json.dumps([str(v) for v in names[per.support > 0]]),
        },
    )
