"""Models with something to fit: weighted sums, interpolations and choices of RDMs, judged on held-out data.

Weights are fitted to some stimuli and subjects and scored on others, so that a model with more freedom gains
nothing by it alone (Storrs et al. 2021, J. Cogn. Neurosci. 33:2044; Schütt et al. 2023, eLife 12:e82566).
Training and test stimuli share no pair: pairs of one training and one test stimulus are used for neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods import measures
from dashboard.methods.condensed import n_stimuli, pair_indices

Fit = Callable[[np.ndarray, np.ndarray, str], np.ndarray]

SMALLEST_FOLD = 3
"""Stimuli that a fold needs: fewer have no RDM to compare."""


def default_folds(n: int) -> int:
    """Return into how many parts n stimuli are split, as rsatoolbox does."""
    return 2 if n < 12 else 3 if n < 24 else 4 if n < 40 else 5


# --- fitting ------------------------------------------------------------------------------------------------


def weigh(models: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Return non-negative weights of the sum that is most similar to the target.

    Non-negative least squares gives the direction of largest cosine (centred: Pearson) with the target; rank
    measures are fitted by Pearson.

    Parameters
    ----------
    models : ndarray (n_models, n_pairs)
    target : ndarray (n_pairs,)
    measure : str

    Returns
    -------
    ndarray (n_models,)
        Sum 1; all equal when no non-negative sum is positively related to the target.
    """
    from scipy.optimize import nnls

    x, y = models, target
    if measures.lookup(measure).centred:
        x, y = x - x.mean(1, keepdims=True), y - y.mean()
    scale = np.sqrt((x**2).mean(1))
    usable = np.where(scale > 0, scale, 1.0)
    weights = nnls((x / usable[:, None]).T, y)[0] / usable
    weights[scale == 0] = 0.0
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(models), 1 / len(models))


def choose(models: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Return weight 1 for the model most similar to the target, 0 for all others."""
    keep = np.ones(models.shape[1], bool)
    found = measures.compare(models, target[None], _fitted(measure), keep, None)[:, 0]
    weights = np.zeros(len(models))
    weights[int(np.argmax(np.nan_to_num(found, nan=-2.0)))] = 1.0
    return weights


def interpolate(models: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Return the weights of the best mixture of two neighbours in the order of the models."""
    keep = np.ones(models.shape[1], bool)
    best, weights = -np.inf, choose(models, target, measure)
    for k in range(len(models) - 1):
        pair = weigh(models[k : k + 2], target, measure)
        score = measures.compare((pair @ models[k : k + 2])[None], target[None], _fitted(measure), keep, None)
        if score[0, 0] > best:
            best = float(score[0, 0])
            weights = np.zeros(len(models))
            weights[k : k + 2] = pair
    return weights


def _fitted(measure: str) -> str:
    """Return the linear measure that is maximised in place of one that is not differentiable."""
    return "pearson" if measures.lookup(measure).centred else "cosine"


FITS: dict[str, tuple[str, Fit]] = {
    "weighted": ("weighted sum of all", weigh),
    "interpolated": ("mixture of two neighbours", interpolate),
    "selected": ("one, chosen in training", choose),
}
"""Flexible models by name: what they are called, and how they are fitted."""


# --- held-out scores ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeldOut:
    """Scores on stimuli and subjects that took no part in fitting.

    Attributes
    ----------
    fitted : dict of str to ndarray (n_subjects,)
        By name of the fits: mean over folds and repeats.
    single : ndarray (n_models, n_subjects)
        Every model alone, on the same held-out data.
    weights : dict of str to ndarray (n_models,)
        Mean over fits; they sum to 1.
    ceiling : ndarray (n_subjects,)
        Similarity of the mean of the training subjects with the held-out one: what the best model could
        reach; NaN for one subject.
    folds, repeats : int
    shared_subject : bool
        Whether the only subject was in training too.
    """

    fitted: dict[str, np.ndarray]
    single: np.ndarray
    weights: dict[str, np.ndarray]
    ceiling: np.ndarray
    folds: int
    repeats: int
    shared_subject: bool


def cross_validate(
    model_rdms: Any,
    subject_rdms: Any,
    measure: str = "pearson",
    *,
    folds: int = 0,
    repeats: int = 10,
    seed: int = 0,
    fits: Mapping[str, tuple[str, Fit]] = FITS,
    digits: int | None = measures.RANK_DIGITS,
    report: Callable[[float], None] | None = None,
) -> HeldOut:
    """Fit every flexible model on part of the stimuli and all subjects but one; score it on the rest.

    Parameters
    ----------
    model_rdms : array_like (n_models, n_pairs)
        In an order that makes sense, such as depth: interpolation mixes neighbours.
    subject_rdms : array_like (n_subjects, n_pairs)
    measure : str
        A linear or rank measure; whitened ones are not fitted.
    folds : int
        Parts of the stimuli; 0 for a number that suits their count.
    repeats, seed : int
        Random partitions into folds, and their seed.
    fits : mapping
        Flexible models by name, as `FITS`.
    digits, report
        As in `rsa.bootstrap`.

    Raises
    ------
    InputError
        A measure that cannot be fitted, fewer than 2 models, gaps, or folds of fewer than 3 stimuli.
    """
    models, subjects = measures.vectors(model_rdms, "model RDMs"), measures.vectors(subject_rdms, "RDMs")
    keep = measures.shared_pairs(models, subjects)
    n = n_stimuli(len(keep))
    folds = folds or default_folds(n)
    _check(models, keep, measure, n, folds)
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(4)[3])
    s = len(subjects)
    scores: dict[str, list[np.ndarray]] = {name: [] for name in fits}
    weights: dict[str, list[np.ndarray]] = {name: [] for name in fits}
    single, ceiling = [], []
    for repeat in range(repeats):
        for train, test in splits(rng.permutation(n), folds):
            held = {name: np.empty(s) for name in fits}
            alone, bound = np.empty((len(models), s)), np.full(s, np.nan)
            for t in range(s):
                target = _target(subjects, t, train, measure)
                for name, (_, fit) in fits.items():
                    w = fit(models[:, train], target, measure)
                    weights[name].append(w)
                    held[name][t] = _score(w @ models[:, test], subjects[t, test], measure, digits)
                alone[:, t] = _compare(models[:, test], subjects[t, test], measure, digits)
                if s > 1:
                    rest = measures.pool(np.delete(subjects[:, test], t, 0), measure, digits)
                    bound[t] = _score(rest, subjects[t, test], measure, digits)
            for name, values in held.items():
                scores[name].append(values)
            single.append(alone)
            ceiling.append(bound)
        if report is not None:
            report((repeat + 1) / repeats)
    return HeldOut(
        fitted={name: np.mean(values, 0) for name, values in scores.items()},
        single=np.mean(single, 0),
        weights={name: np.mean(values, 0) for name, values in weights.items()},
        ceiling=np.mean(ceiling, 0),
        folds=folds,
        repeats=repeats,
        shared_subject=s == 1,
    )


def _check(models: np.ndarray, keep: np.ndarray, measure: str, n: int, folds: int) -> None:
    if measures.lookup(measure).family in ("whitened", "tau"):
        message = f"{measures.lookup(measure).label} is not fitted."
        raise errors.InputError(message, "Choose pearson, cosine, spearman or rho-a.")
    if len(models) < 2:
        message = "One model has nothing to be weighed against."
        raise errors.InputError(message, "Give at least two.")
    if not keep.all():
        message = "Some pairs of stimuli have no dissimilarity, so folds would differ in what they hold."
        raise errors.InputError(message, "Leave out the stimuli with constant patterns.")
    if folds < 2 or n // folds < SMALLEST_FOLD:
        message = f"{n} stimuli in {folds} folds leave fewer than {SMALLEST_FOLD} in one."
        raise errors.InputError(message, "Use at least two folds of three stimuli or more.")


def splits(order: np.ndarray, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return training and test pairs of every fold, each (n_pairs,) bool."""
    i, j = pair_indices(len(order))
    found = []
    for part in np.array_split(order, folds):
        inside = np.zeros(len(order), bool)
        inside[part] = True
        found.append((~inside[i] & ~inside[j], inside[i] & inside[j]))
    return found


def _target(subjects: np.ndarray, t: int, train: np.ndarray, measure: str) -> np.ndarray:
    """Return what is fitted to: the pool of all subjects but t; of the only one itself."""
    rest = subjects if len(subjects) == 1 else np.delete(subjects, t, 0)
    return measures.pool(rest[:, train], _fitted(measure), None)


def _score(model: np.ndarray, subject: np.ndarray, measure: str, digits: int | None) -> float:
    return float(_compare(model[None], subject, measure, digits)[0])


def _compare(models: np.ndarray, subject: np.ndarray, measure: str, digits: int | None) -> np.ndarray:
    keep = np.ones(models.shape[1], bool)
    return measures.compare(models, subject[None], measure, keep, digits)[:, 0]
