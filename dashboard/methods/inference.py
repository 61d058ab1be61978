"""Tests of RDM models: against zero, against the noise ceiling and against each other, with corrections.

Two kinds of test stand beside each other. t tests (Schütt et al. 2023, eLife 12:e82566) say whether a score
would stay above zero, a gap to the ceiling or between two models would stay, with other stimuli or subjects.
From shuffled stimulus labels comes an exact test of no relation at all, and, with the largest statistic over
models and areas, one that is right for the whole family (Nichols & Holmes 2002, Hum. Brain Mapp. 15:1).
Shuffled labels cannot tell two models apart that are both related to the brain, because shuffling destroys
both relations: pairs and ceilings are therefore tested by t.

Where stimuli are drawn anew the t tests take their variance from leaving out stimuli
(`dashboard.methods.jackknife`): with the variance of the bootstrap they rejected as few as none of 1,000 true
null hypotheses at level .05. `benchmarks.inference` has the rates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods import measures
from dashboard.methods.condensed import pair_indices, square
from dashboard.methods.rsa import BootstrapResult

CHUNK_VALUES = 4_000_000
"""Values of shuffled RDMs held at a time."""

EQUAL = 1e-12
"""Statistics nearer than this are ties, whatever the order of summation gave."""

Report = Callable[[float], None] | None


# --- corrections for many tests -----------------------------------------------------------------------------


def benjamini_hochberg(p: Any) -> np.ndarray:
    """Return p values adjusted for the false discovery rate (Benjamini & Hochberg 1995, J. R. Stat. Soc. B).

    Parameters
    ----------
    p : array_like
        Any shape: one family. NaN is no test and stays NaN.

    Returns
    -------
    ndarray of the same shape
        Tests at or below a level q have an expected share of false discoveries of at most q.
    """
    values = np.asarray(p, dtype=np.float64)
    flat = values.ravel()
    tested = np.flatnonzero(~np.isnan(flat))
    order = tested[np.argsort(-flat[tested], kind="stable")]  # largest first
    m = len(order)
    scaled = flat[order] * m / (m - np.arange(m))
    found = np.full(flat.shape, np.nan)
    found[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return found.reshape(values.shape)


def holm(p: Any) -> np.ndarray:
    """Return p values adjusted for the chance of any false positive (Holm 1979, Scand. J. Stat. 6:65).

    Parameters and shape as in `benjamini_hochberg`; valid whatever the dependence of the tests.
    """
    values = np.asarray(p, dtype=np.float64)
    flat = values.ravel()
    tested = np.flatnonzero(~np.isnan(flat))
    order = tested[np.argsort(flat[tested], kind="stable")]
    scaled = flat[order] * (len(order) - np.arange(len(order)))
    found = np.full(flat.shape, np.nan)
    found[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return found.reshape(values.shape)


@dataclass(frozen=True)
class Correction:
    """How a family of tests is corrected: what menus say, and what is done with p values of the bootstrap."""

    label: str
    help: str
    adjust: Callable[[Any], np.ndarray]
    source: str = ""


CORRECTIONS: dict[str, Correction] = {
    "fdr": Correction(
        "false discovery rate",
        "At most 5 % of what is called significant is expected to be false.",
        benjamini_hochberg,
        "Benjamini & Hochberg, 1995",
    ),
    "max": Correction(
        "family-wise, maximum statistic",
        "At most a 5 % chance of any false positive: against the largest statistic over all models and "
        "areas with shuffled stimulus labels; Holm's method where labels cannot be shuffled.",
        holm,
        "Nichols & Holmes, 2002; Holm, 1979",
    ),
    "holm": Correction(
        "family-wise, Holm",
        "At most a 5 % chance of any false positive, from the bootstrap alone.",
        holm,
        "Holm, 1979",
    ),
    "none": Correction(
        "none", "Every test by itself: with many models some are significant by chance.", np.asarray
    ),
}
"""Every correction by name."""


# --- t tests -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tests:
    """p values from a bootstrap, uncorrected.

    Attributes
    ----------
    zero : ndarray (n_models,)
        One-sided: the score is above 0.
    ceiling : ndarray (n_models,)
        Two-sided: the score differs from the lower noise ceiling; NaN without a ceiling.
    below : ndarray (n_models,)
        Lower noise ceiling minus score.
    pairs : ndarray (n_models, n_models)
        Two-sided: two scores differ; NaN on the diagonal.
    difference, difference_sem : ndarray (n_models, n_models)
        Score of the row minus score of the column, and its standard error.
    """

    zero: np.ndarray
    ceiling: np.ndarray
    below: np.ndarray
    pairs: np.ndarray
    difference: np.ndarray
    difference_sem: np.ndarray


def from_bootstrap(result: BootstrapResult) -> Tests:
    """Test each model against zero and the lower noise ceiling, and each pair, by t.

    Variances and degrees of freedom are those of the result, see `BootstrapResult.left_out`.
    """
    m = len(result.score)
    gaps = [result.below_ceiling(k) for k in range(m)]
    pairs, sem = np.full((m, m), np.nan), np.zeros((m, m))
    for a in range(m):
        for b in range(a):
            gap = result.difference(a, b)
            pairs[a, b] = pairs[b, a] = gap.p
            sem[a, b] = sem[b, a] = gap.sem
    return Tests(
        zero=result.p_zero,
        ceiling=np.array([gap.p for gap in gaps]),
        below=np.array([gap.mean for gap in gaps]),
        pairs=pairs,
        difference=result.score[:, None] - result.score,
        difference_sem=sem,
    )


def adjusted_pairs(pairs: np.ndarray, correction: str) -> np.ndarray:
    """Correct symmetric p values over all pairs of all areas, each pair once.

    Parameters
    ----------
    pairs : ndarray (n_areas, n_models, n_models)
    correction : str
        A key of `CORRECTIONS`.
    """
    a, b = pair_indices(pairs.shape[-1])
    found = np.full(pairs.shape, np.nan)
    found[:, a, b] = found[:, b, a] = lookup(correction).adjust(pairs[:, a, b])
    return found


def lookup(correction: str) -> Correction:
    """Return the registry entry of a correction or raise `InputError`."""
    if correction not in CORRECTIONS:
        raise errors.unknown("correction", correction, CORRECTIONS)
    return CORRECTIONS[correction]


# --- shuffled stimulus labels -------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelTest:
    """What shuffled stimulus labels say.

    Attributes
    ----------
    score : ndarray (n_areas, n_models)
        Mean over subjects of the similarity.
    p : ndarray (n_areas, n_models)
        Share of labellings, the true one included, with at least this score.
    p_max : ndarray (n_areas, n_models)
        The same for the largest standardised score over all models and areas.
    n : int
        Number of shuffles; no p is below 1 / (n + 1).
    n_stimuli : int
        Stimuli whose dissimilarities are all there.
    """

    score: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    n: int
    n_stimuli: int


def label_permutation(
    model_rdms: Any,
    subject_rdms: Sequence[Any],
    measure: str = "rho-a",
    *,
    n: int = 1000,
    seed: int = 0,
    digits: int | None = measures.RANK_DIGITS,
    report: Report = None,
) -> LabelTest:
    """Test whether models have anything to do with areas, by shuffling which stimulus is which.

    The null hypothesis is that stimuli are exchangeable between model and brain. The same shuffles serve all
    models and areas, so that the largest statistic keeps their dependence. Before the largest is taken,
    scores are standardised by mean and standard deviation over all labellings, the true one included, which
    keeps the test exact and lets models and areas of unequal spread count alike.

    Parameters
    ----------
    model_rdms : array_like (n_models, n_pairs)
    subject_rdms : sequence of array_like (n_subjects, n_pairs)
        One set per area, of the same stimuli. Stimuli without all their dissimilarities are left out.
    measure : str
        A key of `measures.MEASURES`. tau-a and tau-b compare every shuffle anew and take minutes.
    n, seed : int
        Number of shuffles and their seed.
    digits : int or None
        As in `rsa.similarity`.
    report : callable, optional
        Called with the fraction done; may raise to cancel.

    Raises
    ------
    InputError
        Unknown measure, RDMs that do not fit, no shuffles, or fewer than 4 complete stimuli.
    """
    found, n_stim = label_scores(
        model_rdms, subject_rdms, measure, n=n, seed=seed, digits=digits, report=report
    )
    return _label_test(found, n_stim)


def label_scores(
    model_rdms: Any,
    subject_rdms: Sequence[Any],
    measure: str = "rho-a",
    *,
    n: int = 1000,
    seed: int = 0,
    digits: int | None = measures.RANK_DIGITS,
    report: Report = None,
) -> tuple[np.ndarray, int]:
    """Return the scores of every labelling, the true one first, for tests of one's own.

    Parameters and errors as in `label_permutation`.

    Returns
    -------
    scores : ndarray (n + 1, n_areas, n_models)
    n_stimuli : int
        Stimuli whose dissimilarities are all there.
    """
    family = measures.lookup(measure).family
    if n < 1:
        raise errors.InputError(f"{n} shuffles of the labels test nothing.", "Use at least 1000.")
    models = measures.vectors(model_rdms, "model RDMs")
    areas = [measures.vectors(rdms, "subject RDMs") for rdms in subject_rdms]
    models, areas, n_stim = _complete(models, areas)
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[2])
    orders = rng.permuted(np.tile(np.arange(n_stim), (n, 1)), axis=1)
    orders = np.concatenate([np.arange(n_stim)[None], orders])  # the true labelling first
    shuffled = _taus if family == "tau" else _products
    found = shuffled(models, areas, orders, measure, digits, report)  # (n + 1, areas, models)
    return found, n_stim


def _complete(models: np.ndarray, areas: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], int]:
    """Leave out stimuli, those with most gaps first, until every pair has a value in every RDM."""
    sizes = {s.shape[1] for s in (models, *areas)}
    if len(sizes) > 1:
        measures.shared_pairs(models, *areas)  # raises with the right sentence
    missing = np.logical_or.reduce([np.isnan(s).any(0) for s in (models, *areas)])
    gaps = square(missing.astype(float))
    stay = np.arange(len(gaps))
    while gaps[np.ix_(stay, stay)].any():
        worst = int(gaps[np.ix_(stay, stay)].sum(1).argmax())
        stay = np.delete(stay, worst)
    dropped = len(gaps) - len(stay)
    if len(stay) < 4:
        message = f"Only {len(stay)} stimuli have all their dissimilarities: too few labels to shuffle."
        raise errors.InputError(message, "Leave out layers or areas with missing dissimilarities.")
    if dropped:
        errors.caution(
            "incomplete-stimuli",
            f"{dropped} of {len(gaps)} stimuli lack dissimilarities and are left out of the test by shuffled "
            "labels.",
        )
    a, b = pair_indices(len(gaps))
    inside = np.isin(a, stay) & np.isin(b, stay)
    return models[:, inside], [area[:, inside] for area in areas], len(stay)


def _products(
    models: np.ndarray,
    areas: list[np.ndarray],
    orders: np.ndarray,
    measure: str,
    digits: int | None,
    report: Report,
) -> np.ndarray:
    """Scores of every labelling, (n_orders, n_areas, n_models), as products of unit vectors.

    A shuffle changes neither norms nor ranks, so the mean of the subjects' unit vectors is shuffled as a
    matrix, and all models meet all shuffles in one matrix product.
    """
    n = orders.shape[1]
    keep = np.ones(models.shape[1], bool)
    x = measures.directions(models, measure, keep, digits)
    a, b = pair_indices(n)
    means = []
    for subjects in areas:
        mean = measures.directions(subjects, measure, keep, digits).mean(0)
        matrix = square(mean[: len(a)])
        if len(mean) > len(a):  # whitened: the diagonal takes part
            matrix[np.diag_indices(n)] = mean[len(a) :]
        means.append(matrix)
    stacked = np.stack(means).reshape(len(areas), -1)
    diagonal = x.shape[1] > len(a)
    found = np.empty((len(orders), len(areas), len(models)))
    size = max(1, CHUNK_VALUES // (len(areas) * x.shape[1]))
    for start in range(0, len(orders), size):
        part = orders[start : start + size]
        where = part[:, a] * n + part[:, b]
        if diagonal:
            where = np.concatenate([where, part * (n + 1)], axis=1)
        for k, flat in enumerate(stacked):
            found[start : start + size, k] = flat[where] @ x.T
        if report is not None:
            report(min(1.0, (start + size) / len(orders)))
    return found


def _taus(
    models: np.ndarray,
    areas: list[np.ndarray],
    orders: np.ndarray,
    measure: str,
    digits: int | None,
    report: Report,
) -> np.ndarray:
    """Scores of every labelling, (n_orders, n_areas, n_models), one comparison at a time."""
    keep = np.ones(models.shape[1], bool)
    a, b = pair_indices(orders.shape[1])
    squares = [square(subjects) for subjects in areas]
    found = np.empty((len(orders), len(areas), len(models)))
    for number, order in enumerate(orders):
        for k, matrices in enumerate(squares):
            shuffled = matrices[:, order[a], order[b]]
            found[number, k] = measures.compare(models, shuffled, measure, keep, digits).mean(1)
        if report is not None:
            report((number + 1) / len(orders))
    return found


def _label_test(found: np.ndarray, n_stim: int) -> LabelTest:
    """Turn scores of every labelling, the true one first, into p values."""
    missing = np.isnan(found).any(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (found - found.mean(0)) / found.std(0)
    usable = ~missing & (found.std(0) > EQUAL)
    largest = np.where(usable, z, -np.inf).max((1, 2))
    p = (found >= found[0] - EQUAL).mean(0)
    p_max = (largest[:, None, None] >= z[0] - EQUAL).mean(0)
    return LabelTest(
        score=found[0],
        p=np.where(missing, np.nan, p),
        p_max=np.where(usable, p_max, np.where(missing, np.nan, 1.0)),
        n=len(found) - 1,
        n_stimuli=n_stim,
    )
