"""Similarity with RDMs that change over time: courses, onsets, peaks, and their spread over resamples.

Cichy, Pantazis and Oliva (2014), Nat. Neurosci. 17:455, for the similarity of models with RDMs of every time;
Nili et al. (2014), PLoS Comput. Biol. 10:e1003553, for the noise ceiling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.errors import InputError, collect_cautions
from dashboard.methods import clusters, decoding, measures, rsa
from dashboard.methods.classification import orientations
from dashboard.methods.condensed import n_stimuli, pair_indices

Report = Callable[[float], None] | None

LABELLINGS_AT_ONCE = 32
"""Labellings that a decoder without a shared decomposition is trained on between two reports."""

FEWEST_DISTINCT = 4
"""Distinct stimuli that a resample needs at the least."""


def courses(models: np.ndarray, movies: np.ndarray, measure: str) -> np.ndarray:
    """Compare every model with every subject at every time.

    Parameters
    ----------
    models : np.ndarray
        (n_models, n_pairs) condensed RDMs.
    movies : np.ndarray
        (n_subjects, n_times, n_pairs) condensed RDMs of the same stimuli.
    measure : str
        A key of `rsa.MEASURES`.

    Returns
    -------
    np.ndarray
        (n_subjects, n_models, n_times).
    """
    subjects, times, pairs = movies.shape
    found = rsa.similarity(models, movies.reshape(subjects * times, pairs), measure)
    return found.reshape(len(models), subjects, times).swapaxes(0, 1)


def ceilings(movies: np.ndarray, measure: str) -> np.ndarray:
    """Return the lower and upper noise ceiling at every time, (2, n_times); NaN with one subject."""
    with collect_cautions():
        found = [rsa.noise_ceiling(movies[:, t], measure) for t in range(movies.shape[1])]
    return np.array(found).T


def resampled(
    models: np.ndarray,
    movies: np.ndarray,
    measure: str,
    *,
    n: int,
    seed: int = 0,
    report: Report = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean courses of stimuli and subjects drawn again, and t of the mean over subjects.

    Both are (n_samples, n_models, n_times); t is NaN for samples of one subject. Pairs of two copies of a
    stimulus are left out, and ranks are taken again in each sample. Samples of too few distinct stimuli are
    drawn again.
    """
    subjects, _, n_pairs = movies.shape
    size = n_stimuli(n_pairs)
    a, b = pair_indices(size)
    place = np.zeros((size, size), dtype=np.int64)
    place[a, b] = place[b, a] = np.arange(n_pairs)
    random = np.random.default_rng([seed, 0xB007])
    found, t = (np.full((n, len(models), movies.shape[1]), np.nan) for _ in range(2))
    for k in range(n):
        drawn = random.integers(size, size=size)
        while len(set(drawn.tolist())) < min(FEWEST_DISTINCT, size):
            drawn = random.integers(size, size=size)
        first, second = drawn[a], drawn[b]
        kept = first != second
        pairs = place[first[kept], second[kept]]
        who, counts = np.unique(random.integers(subjects, size=subjects), return_counts=True)
        flat = movies[who][:, :, pairs].reshape(-1, len(pairs))
        scores = measures.compare(models[:, pairs], flat, measure, kept, measures.RANK_DIGITS)
        drawn_again = np.repeat(scores.reshape(len(models), len(who), -1), counts, axis=1)
        found[k] = drawn_again.mean(axis=1)
        if len(who) > 1:
            spread = drawn_again.std(axis=1, ddof=1)
            np.divide(found[k] * np.sqrt(subjects), spread, out=t[k], where=spread > 0)
        if report is not None:
            report((k + 1) / n)
    return found, t


@dataclass(frozen=True, eq=False)
class Latency:
    """When courses begin and peak, in the unit of the times.

    Attributes
    ----------
    onset, peak : np.ndarray
        (n_models,) start of the first significant cluster, and time of the largest score; NaN without a
        significant cluster.
    onset_ci, peak_ci : np.ndarray
        (n_models, 2) 2.5th and 97.5th percentile over resamples with such a cluster; NaN where fewer than
        half have one.
    found : np.ndarray
        (n_models,) share of resamples with a significant cluster.
    """

    onset: np.ndarray
    onset_ci: np.ndarray
    peak: np.ndarray
    peak_ci: np.ndarray
    found: np.ndarray


def onsets(statistic: np.ndarray, threshold: float, critical: float) -> np.ndarray:
    """Return the place where the first cluster of critical mass begins in every course, -1 without one.

    Parameters
    ----------
    statistic : np.ndarray
        (n_courses, n_times).
    threshold, critical : float
        Points above the first form clusters; clusters count whose mass is at least the second.
    """
    above = statistic > threshold
    run, start = np.zeros(len(statistic)), np.zeros(len(statistic), dtype=np.int64)
    found = np.full(len(statistic), -1)
    for t in range(statistic.shape[1]):
        start = np.where(above[:, t] & (run == 0), t, start)
        run = np.where(above[:, t], run + np.where(above[:, t], statistic[:, t], 0.0), 0.0)
        found = np.where((found < 0) & (run >= critical * (1 - clusters.EQUAL)) & (run > 0), start, found)
    return found


def latencies(
    true: np.ndarray,
    samples: np.ndarray,
    times: np.ndarray,
    threshold: float,
    critical: float,
    score: np.ndarray,
    sample_score: np.ndarray,
) -> Latency:
    """Return onset and peak of every course with intervals over resamples.

    Parameters
    ----------
    true, samples : np.ndarray
        (n_models, n_times) and (n_samples, n_models, n_times) statistics.
    times : np.ndarray
        (n_times,).
    threshold, critical : float
        As in `onsets`.
    score, sample_score : np.ndarray
        Scores in the same shapes, for the peaks.
    """
    n, models = samples.shape[:2]
    first = onsets(true, threshold, critical)
    again = onsets(samples.reshape(n * models, len(times)), threshold, critical).reshape(n, models)
    there = first >= 0
    onset = np.where(there, times[first], np.nan)
    peak = np.where(there, times[np.nanargmax(np.nan_to_num(score, nan=-np.inf), axis=1)], np.nan)
    tops = times[np.argmax(np.nan_to_num(sample_score, nan=-np.inf), axis=2)]
    onset_ci, peak_ci = np.full((models, 2), np.nan), np.full((models, 2), np.nan)
    share = (again >= 0).mean(axis=0) if n else np.zeros(models)
    for k in np.flatnonzero(there & (share >= 0.5)):
        kept = again[:, k] >= 0
        onset_ci[k] = np.percentile(times[again[kept, k]], [2.5, 97.5])
        peak_ci[k] = np.percentile(tops[kept, k], [2.5, 97.5])
    return Latency(onset, onset_ci, peak, peak_ci, share)


# --- decoding over time -------------------------------------------------------------------------------------


def neighbours_averaged(values: np.ndarray, times: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring time bins until there are at most ``most``.

    Parameters
    ----------
    values : np.ndarray
        (…, n_times).
    times : np.ndarray
        (n_times,).

    Raises
    ------
    InputError
        When fewer than 2 are asked for.
    """
    if most < 2:
        raise InputError(f"{most} time bins make no course.", "Ask for 2 or more, such as 50.")
    step = -(-len(times) // most)
    if step == 1:
        return values, times
    parts = [slice(k, k + step) for k in range(0, len(times), step)]
    return (
        np.stack([values[..., part].mean(axis=-1) for part in parts], axis=-1),
        np.array([times[part].mean() for part in parts]),
    )


def generalised(
    patterns: np.ndarray,
    target: np.ndarray,
    task: decoding.Task,
    fold: np.ndarray,
    orders: np.ndarray,
    report: Report = None,
    model: decoding.Model = "ridge",
    seed: int = 0,
) -> np.ndarray:
    """Decode at every time with the decoder of every other time.

    King and Dehaene (2014), Trends Cogn. Sci. 18:203. On the diagonal stand the scores that
    `decoding.decode` gives for each time alone.

    Parameters
    ----------
    patterns : np.ndarray
        (n_samples, n_units, n_times).
    target : np.ndarray
        (n_samples,) positions of classes, degrees of orientation, or numbers.
    task : "classes", "orientation" or "number"
    fold : np.ndarray
        (n_samples,); a sample is never predicted by a decoder that saw a sample of its fold, at any time.
    orders : np.ndarray
        (n_labellings, n_samples) orders of the labels, the true one first; see `label_orders`.
    report : callable, optional
    model : "ridge", "logistic", "svm" or "mlp"
        Scaled and trained on the samples of one time alone. All but ridge are trained again for every
        labelling.
    seed : int
        Of the weights that networks start from, the same at every time and for every labelling.

    Returns
    -------
    np.ndarray
        (n_labellings, n_times trained, n_times tested): accuracy, mean absolute error in degrees, or R².
    """
    decoding.check_model(model, task)
    x = np.asarray(patterns, dtype=np.float64)
    if not np.isfinite(x).all():
        raise InputError("Some responses are no numbers.", "Check the recording.")
    coded = decoding.coded(target, task)
    n, _, times = x.shape
    total = np.zeros((len(orders), times, times))
    parts = np.unique(fold)
    for f, held_out in enumerate(parts):
        test, train = fold == held_out, fold != held_out
        goals = np.stack([coded[order][train] for order in orders], axis=1)
        truth = target[orders][:, test]  # (n_labellings, n_test)
        tested = np.moveaxis(x[test], 2, 0)  # (n_times, n_test, n_units)
        for t in range(times):
            done = (f * times + t) / (len(parts) * times)
            said = _said(
                decoding.FITS[model](x[train, :, t], seed),
                tested.reshape(-1, x.shape[1]),
                goals,
                model,
                lambda share, done=done: (
                    report(done + share / (len(parts) * times))  # type: ignore[misc]
                    if report is not None
                    else None
                ),
            )
            total[:, t] += _errors(said.reshape(times, len(truth[0]), *said.shape[1:]), truth, task)
    if task == "number":
        spread = float(((target - target.mean()) ** 2).sum())
        return 1 - total / spread if spread else np.full(total.shape, np.nan)
    return total / n


def _said(
    fit: Any, tested: np.ndarray, goals: np.ndarray, model: decoding.Model, tell: Callable[[float], None]
) -> np.ndarray:
    """Train on goals (n_train, n_labellings, n_columns), and predict what is tested.

    Returns
    -------
    np.ndarray
        (n_tested, n_labellings, n_columns).
    """
    if model == "ridge":
        said: np.ndarray = fit.predicted(tested, goals)
        tell(1.0)
        return said
    parts = []
    for start in range(0, goals.shape[1], LABELLINGS_AT_ONCE):
        parts.append(fit.predict(tested, goals[:, start : start + LABELLINGS_AT_ONCE])[0])
        tell(min(1.0, (start + LABELLINGS_AT_ONCE) / goals.shape[1]))
    return np.concatenate(parts, axis=1)


def _errors(said: np.ndarray, truth: np.ndarray, task: decoding.Task) -> np.ndarray:
    """Sum hits, absolute errors or squared errors over samples.

    Parameters
    ----------
    said : np.ndarray
        (n_times, n_test, n_labellings, n_columns).
    truth : np.ndarray
        (n_labellings, n_test).

    Returns
    -------
    np.ndarray
        (n_labellings, n_times).
    """
    asked = truth.T[None]  # (1, n_test, n_labellings)
    if task == "classes":
        return (said.argmax(axis=3) == asked).sum(axis=1).T.astype(np.float64)
    if task == "orientation":
        decided = orientations(said.reshape(-1, 2)).reshape(said.shape[:3])
        apart = np.abs(np.mod(asked, 180.0) - decided)  # both from 0 to 180
        return np.minimum(apart, 180.0 - apart).sum(axis=1).T
    return ((said[..., 0] - asked) ** 2).sum(axis=1).T


def label_orders(fold: np.ndarray, n_stimuli: int, n: int, seed: int = 0) -> np.ndarray:
    """Return orders that shuffle the labels of stimuli, (n + 1, n_samples), the true one first.

    Where every stimulus is one sample, labels are shuffled within folds, as in `decoding.decode`. Where folds
    hold repeats, all samples of a stimulus get the same new label: repeats of one stimulus are not
    exchangeable with those of another.

    Parameters
    ----------
    fold : np.ndarray
        (n_samples,); samples are stimuli, or all stimuli of the first repeat, then of the second, and so on.
    n_stimuli : int
    n, seed : int
    """
    true = np.arange(len(fold))
    if len(fold) == n_stimuli:
        return np.array([true, *decoding.shuffles(fold, n, seed)])
    random = np.random.default_rng([seed, 0xDEC0DE])
    start = np.arange(0, len(fold), n_stimuli)[:, None]
    return np.array([true, *((start + random.permutation(n_stimuli)).ravel() for _ in range(n))])
