"""Representational similarity analysis: compare RDMs, and say how sure the comparison is.

The score of a model is the mean over subjects of its similarity with each subject's RDM, and the noise
ceiling belongs to that mean: upper = mean similarity of a subject with the pool of all subjects, lower = with
the pool of the others (Nili et al. 2014). Uncertainty comes from the bootstrap over stimuli, subjects or
both; "dual" corrects the two-factor variance, which is otherwise too large (Schütt et al. 2023, eLife
12:e82566). Intervals of scores are those of the bootstrap; tests take their variance from leaving out
stimuli, which keeps their level (`dashboard.methods.jackknife`).
Formulas of the measures: `dashboard.methods.measures`; of the samples: `dashboard.methods.resampling`.
torch is imported on use, so that pages can list `MEASURES` and `RESAMPLES` without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dashboard import errors
from dashboard.methods import jackknife
from dashboard.methods.condensed import n_stimuli
from dashboard.methods.measures import (
    MEASURES,
    RANK_DIGITS,
    Measure,
    compare,
    lookup,
    pool,
    shared_pairs,
    significant,
    vectors,
    whitened_as_given,
)

if TYPE_CHECKING:
    from dashboard.methods.resampling import Kernel

__all__ = [
    "MEASURES",
    "RESAMPLES",
    "BootstrapResult",
    "Difference",
    "Measure",
    "bootstrap",
    "bootstraps",
    "noise_ceiling",
    "similarity",
]

RESAMPLES: dict[str, str] = {
    "stimuli": "Generalises to other stimuli for these subjects.",
    "subjects": "Generalises to other subjects for these stimuli.",
    "both": "Generalises to other stimuli and subjects; intervals are somewhat too wide.",
    "dual": "Generalises to other stimuli and subjects, with the corrected variance.",
}
"""What is drawn with replacement, by name."""

FEW_STIMULI, FEW_SUBJECTS = 20, 5
SATURATED = 0.8
"""Similarity of a model without any structure above which an uncentred measure says little."""
TIED_SHARE = 0.05
CONFIDENCE = 0.975
MINIMUM_DISTINCT = 3
"""A sample with fewer different stimuli has no RDM to compare, as in rsatoolbox."""


def similarity(
    rdms_a: Any,
    rdms_b: Any,
    measure: str = "rho-a",
    *,
    digits: int | None = RANK_DIGITS,
    undefined: float = np.nan,
) -> np.ndarray:
    """Compare every RDM of one set with every RDM of another.

    Parameters
    ----------
    rdms_a, rdms_b : array_like (n_a, n_pairs), (n_b, n_pairs)
        Condensed RDMs of the same stimuli. Pairs without a value (NaN) in any RDM are left out of all.
    measure : str
        A key of `MEASURES`.
    digits : int or None
        Significant digits kept before ranking, so that rounding noise breaks no ties; None keeps all, as
        rsatoolbox does.
    undefined : float
        Value where an RDM has no variance; 0 reproduces rsatoolbox (whose tau-b gives NaN).

    Returns
    -------
    ndarray (n_a, n_b) float64

    Raises
    ------
    InputError
        Unknown measure, no condensed RDMs, different numbers of stimuli, infinite values, no pairs left.
    """
    lookup(measure)
    found = whitened_as_given(rdms_a, rdms_b, measure)
    if found is not None:
        return found
    a, b = vectors(rdms_a, "first RDMs"), vectors(rdms_b, "second RDMs")
    keep = shared_pairs(a, b)
    found = compare(a[:, keep], b[:, keep], measure, keep, digits)
    return _defined(found, undefined, measure)


def noise_ceiling(
    subject_rdms: Any, measure: str = "rho-a", *, digits: int | None = RANK_DIGITS, undefined: float = np.nan
) -> tuple[float, float]:
    """Return the lower and upper bound of the score that the best possible model would reach.

    Parameters
    ----------
    subject_rdms : array_like (n_subjects, n_pairs)
    measure, digits, undefined
        As in `similarity`.

    Returns
    -------
    lower, upper : float
        Leave-one-subject-out, and pool of all subjects. Both NaN for one subject, with a caution.
    """
    lookup(measure)
    subjects = vectors(subject_rdms, "subject RDMs")
    if len(subjects) < 2:
        _tell_no_ceiling()
        return np.nan, np.nan
    keep = shared_pairs(subjects)
    lower, upper = _ceilings(subjects[:, keep], measure, keep, digits)
    return float(_defined(lower, undefined, measure).mean()), float(
        _defined(upper, undefined, measure).mean()
    )


def _ceilings(
    subjects: np.ndarray, measure: str, keep: np.ndarray, digits: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity of each subject with the pool of the others and of all, (1, n_subjects) each."""
    upper = compare(pool(subjects, measure, digits)[None], subjects, measure, keep, digits)
    lower = [
        compare(
            pool(np.delete(subjects, t, 0), measure, digits)[None], subjects[t : t + 1], measure, keep, digits
        )
        for t in range(len(subjects))
    ]
    return np.concatenate(lower, 1), upper


def _tell_no_ceiling() -> None:
    errors.caution(
        "no-ceiling", "One subject has no noise ceiling: it takes at least two to see what they share."
    )


def _defined(found: np.ndarray, undefined: float, measure: str) -> np.ndarray:
    """Replace undefined similarities and tell how many there are."""
    missing = np.isnan(found)
    if not missing.any():
        return found
    rows, columns = missing.all(1).sum(), missing.all(0).sum()
    if np.isnan(undefined):
        errors.caution(
            "undefined-similarity",
            f"{int(missing.sum())} of {found.size} similarities ({MEASURES[measure].label}) are undefined: "
            f"{max(int(rows), int(columns), 1)} RDM(s) have no variance.",
        )
    return np.where(missing, undefined, found)


# --- bootstrap --------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """A difference of two scores: mean, standard error, interval of 95 %, and two-sided p (t)."""

    mean: float
    sem: float
    ci: tuple[float, float]
    p: float


@dataclass(frozen=True)
class BootstrapResult:
    """Scores of models with their uncertainty.

    Attributes
    ----------
    measure, resample : str
        As computed; ``resample`` is "stimuli" when one subject left no other choice.
    score : ndarray (n_models,)
        Mean over subjects of the similarity, on all data.
    subject_scores : ndarray (n_subjects, n_models)
    ceiling : tuple of float
        Lower and upper noise ceiling on all data; NaN for one subject.
    scores : ndarray (n, n_models)
        Scores in each sample; NaN in samples of fewer than 3 different stimuli.
    ceilings : ndarray (n, 2)
        Lower and upper ceiling in each sample; NaN when not asked for.
    covariances : ndarray (1 or 3, n_models + 2, n_models + 2)
        Raw covariance over samples of models, lower and upper ceiling: of the one bootstrap, or of both
        factors, subjects only and stimuli only ("dual").
    held : ndarray (1 or 3, n_models + 1, n_models + 1)
        The same of models and of the lower ceiling with its pools held: each subject's similarity with the
        pool of all others is resampled as a score is, without copies in the pools.
    left_out : jackknife.Components or None
        Variances of the same columns for tests, where stimuli are resampled. None: tests use ``held`` and
        ``covariances`` themselves, as rsatoolbox does.
    sem : ndarray (n_models,)
        Corrected standard error of the score.
    ci : ndarray (n_models, 2)
        Interval of 95 %: score ± t(0.975, dof) · sem.
    dof : int
        Degrees of freedom of the intervals: drawn units - 1, the smaller number when both are drawn.
    n_stimuli, n_subjects, n_dropped : int
        Sizes, and the samples that could not be used.
    """

    measure: str
    resample: str
    score: np.ndarray
    subject_scores: np.ndarray
    ceiling: tuple[float, float]
    scores: np.ndarray
    ceilings: np.ndarray
    covariances: np.ndarray
    held: np.ndarray
    left_out: jackknife.Components | None
    sem: np.ndarray
    ci: np.ndarray
    dof: int
    n_stimuli: int
    n_subjects: int
    n_dropped: int

    @property
    def covariance(self) -> np.ndarray:
        """Corrected covariance of the scores, (n_models, n_models), from the variances of all pairs."""
        m = len(self.score)
        own = np.array([self._variance(_unit(m + 2, a)) for a in range(m)])
        found = np.diag(own)
        for a in range(m):
            for b in range(a):
                gap = self._variance(_unit(m + 2, a) - _unit(m + 2, b))
                found[a, b] = found[b, a] = (own[a] + own[b] - gap) / 2
        return found

    @property
    def p_zero(self) -> np.ndarray:
        """One-sided p of a score above 0, (n_models,)."""
        m = len(self.score)
        tested = [self._tested(_unit(m + 1, k)) for k in range(m)]
        return np.array(
            [p_above(score, sem, dof) for score, (sem, dof) in zip(self.score, tested, strict=True)]
        )

    def difference(self, i: int, j: int) -> Difference:
        """Compare the scores of models i and j."""
        m = len(self.score)
        return self._test(float(self.score[i] - self.score[j]), _unit(m + 1, i) - _unit(m + 1, j))

    def below_ceiling(self, i: int) -> Difference:
        """Compare the lower noise ceiling with the score of model i.

        In a sample of subjects a pool leaves out all copies of a subject and so holds fewer people: its
        gap to a score varies about twice as much as the one it stands for, and a test with it rejected none
        of 1,000 true null hypotheses (`benchmarks.inference`). Here pools stay those of the data.
        """
        m = len(self.score)
        return self._test(float(self.ceiling[0] - self.score[i]), _unit(m + 1, m) - _unit(m + 1, i))

    def distinguishable(self, i: int, j: int) -> bool:
        """Tell whether the interval of the difference of two models leaves out 0."""
        low, high = self.difference(i, j).ci
        return low > 0 or high < 0

    def _test(self, mean: float, contrast: np.ndarray) -> Difference:
        sem, dof = self._tested(contrast)
        half = t_quantile(dof) * sem
        p = np.minimum(1.0, 2 * p_above(abs(mean), sem, dof))  # NaN stays NaN
        return Difference(mean, sem, (mean - half, mean + half), float(p))

    def _tested(self, contrast: np.ndarray) -> tuple[float, float]:
        """Return the standard error and the degrees of freedom of a test of models and the held ceiling."""
        if self.left_out is not None:
            found, dof = self.left_out.variance(contrast, people=self.resample != "stimuli")
            if not np.isnan(found):
                return float(np.sqrt(found)), dof
        return float(np.sqrt(self._variance(contrast, self.held))), self.dof

    def _variance(self, contrast: np.ndarray, covariances: np.ndarray | None = None) -> float:
        used = self.covariances if covariances is None else covariances
        return _variance(used, contrast, self.resample, self.n_stimuli, self.n_subjects)


@dataclass(frozen=True)
class Plan:
    """Checked input of a bootstrap: kept pairs of models and subjects, and how often what is drawn."""

    models: np.ndarray
    subjects: np.ndarray
    keep: np.ndarray
    measure: str
    resample: str
    stimuli: np.ndarray | None
    people: np.ndarray | None
    digits: int | None
    undefined: float
    ceiling: bool

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.stimuli if self.stimuli is not None else self.people)  # type: ignore[arg-type]


def bootstrap(
    model_rdms: Any,
    subject_rdms: Any,
    measure: str = "rho-a",
    resample: str = "both",
    n: int = 1000,
    seed: int = 0,
    *,
    draws: tuple[Any, Any] | None = None,
    ceiling: bool = True,
    digits: int | None = RANK_DIGITS,
    undefined: float = np.nan,
    report: Callable[[float], None] | None = None,
) -> BootstrapResult:
    """Score models against subjects, and resample stimuli and subjects to see how sure the scores are.

    Parameters
    ----------
    model_rdms : array_like (n_models, n_pairs)
    subject_rdms : array_like (n_subjects, n_pairs)
        Condensed RDMs of the same stimuli. Pairs without a value in any RDM are left out of all.
    measure : str
        A key of `MEASURES`. tau-a and tau-b take about ten times as long as rank correlations.
    resample : str
        A key of `RESAMPLES`. With one subject always "stimuli", with a caution.
    n, seed : int
        Number of samples; seed of the draws, which are the same for every measure and machine.
    draws : tuple of (stimuli, subjects), optional
        Explicit draws instead of n and seed: whole numbers (n, n_stimuli) and (n, n_subjects), None for what
        is not resampled.
    ceiling : bool
        Whether to compute the ceiling in each sample.
    digits, undefined
        As in `similarity`.
    report : callable, optional
        Called with the fraction done after every chunk; may raise to cancel.

    Returns
    -------
    BootstrapResult

    Raises
    ------
    InputError
        As `similarity`; also fewer than 2 samples, or draws that do not fit.
    """
    plan = planned(model_rdms, subject_rdms, measure, resample, (n, seed, draws), digits, undefined, ceiling)
    return _answer(plan, *_run([plan], report)[0])


def bootstraps(
    model_rdms: Any,
    areas: Sequence[Any],
    measure: str = "rho-a",
    resample: str = "both",
    n: int = 1000,
    seed: int = 0,
    *,
    digits: int | None = RANK_DIGITS,
    report: Callable[[float], None] | None = None,
) -> list[tuple[BootstrapResult, list[errors.Caution]]]:
    """Answer `bootstrap` for several sets of subject RDMs, and rank the models once for all of them.

    Parameters
    ----------
    areas : sequence of array_like (n_subjects, n_pairs)
        Subject RDMs of each area. Everything else as in `bootstrap`.

    Returns
    -------
    list of (BootstrapResult, cautions)
        What `bootstrap` gives for every area, and what it cautions about.
    """
    plans, told = [], []
    for subjects in areas:
        with errors.collect_cautions() as given:
            plans.append(
                planned(model_rdms, subjects, measure, resample, (n, seed, None), digits, ceiling=True)
            )
        told.append(given)
    found = []
    for plan, given, run in zip(plans, told, _run(plans, report), strict=True):
        with errors.collect_cautions() as more:
            found.append((_answer(plan, *run), given))
        given += more
    return found


def _answer(
    plan: Plan, runs: np.ndarray, bounds: np.ndarray, left_out: jackknife.Components | None
) -> BootstrapResult:
    similar = compare(plan.models, plan.subjects, plan.measure, plan.keep, plan.digits)
    similar = _defined(similar, plan.undefined, plan.measure)
    observed = _observed_ceiling(plan)
    _tell(plan, similar.mean(1))
    return _result(plan, similar, observed, (runs, bounds, left_out))


def _observed_ceiling(plan: Plan) -> tuple[float, float]:
    if len(plan.subjects) < 2:
        _tell_no_ceiling()
        return np.nan, np.nan
    lower, upper = _ceilings(plan.subjects, plan.measure, plan.keep, plan.digits)
    fill = np.where(np.isnan([lower, upper]), plan.undefined, [lower, upper])
    return float(fill[0].mean()), float(fill[1].mean())


def planned(
    model_rdms: Any,
    subject_rdms: Any,
    measure: str,
    resample: str,
    drawing: tuple[int, int, tuple[Any, Any] | None],
    digits: int | None = RANK_DIGITS,
    undefined: float = np.nan,
    ceiling: bool = False,
) -> Plan:
    """Check the input and draw; ``drawing`` is number, seed and given draws as in `bootstrap`."""
    lookup(measure)
    if resample not in RESAMPLES:
        raise errors.unknown("resampling", resample, RESAMPLES)
    models, subjects = vectors(model_rdms, "model RDMs"), vectors(subject_rdms, "subject RDMs")
    keep = shared_pairs(models, subjects)
    if len(subjects) < 2 and resample != "stimuli":
        errors.caution(
            "one-subject",
            "There is one subject, so only stimuli are resampled: nothing is said about other people.",
        )
        resample = "stimuli"
    sizes = n_stimuli(models.shape[1]), len(subjects)
    stimuli, people = _counts(drawing, resample, sizes)
    models, subjects = models[:, keep], subjects[:, keep]
    return Plan(models, subjects, keep, measure, resample, stimuli, people, digits, undefined, ceiling)


def _counts(
    drawing: tuple[int, int, tuple[Any, Any] | None], resample: str, sizes: tuple[int, int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return how often each stimulus and each subject is drawn, (n, size) each, or None."""
    n, seed, given_draws = drawing
    wanted = resample != "subjects", resample != "stimuli"
    draws: tuple[Any, ...]
    if given_draws is not None:
        draws = given_draws
    else:
        if n < 2:
            message = f"A bootstrap of {n} samples says nothing about uncertainty."
            raise errors.InputError(message, "Use at least 100 samples.")
        # One stream per factor: the same stimuli are drawn whether or not subjects are.
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)]
        draws = tuple(rng.integers(0, size, (n, size)) for rng, size in zip(streams, sizes, strict=True))
    counts = [
        _multiplicity(given, size, what) if want else None
        for given, size, what, want in zip(draws, sizes, ("stimuli", "subjects"), wanted, strict=True)
    ]
    if counts[0] is not None and counts[1] is not None and len(counts[0]) != len(counts[1]):
        message = f"There are {len(counts[0])} draws of stimuli, but {len(counts[1])} of subjects."
        raise errors.InputError(message)
    return counts[0], counts[1]


def _multiplicity(draws: Any, size: int, what: str) -> np.ndarray:
    """Return how often each of ``size`` things occurs in each row of draws."""
    values = np.asarray(draws)
    fits = values.ndim == 2 and values.dtype.kind in "iu" and len(values) > 1 and values.shape[1] > 0
    if not fits or values.min() < 0 or values.max() >= size:
        message = f"The draws of {what} must be at least 2 rows of whole numbers from 0 to {size - 1}."
        raise errors.InputError(message)
    flat = values + size * np.arange(len(values))[:, None]
    return np.bincount(flat.ravel(), minlength=size * len(values)).reshape(-1, size)


# --- samples ----------------------------------------------------------------------------------------------


Runs = tuple[np.ndarray, np.ndarray]
"""Scores (runs, n, n_models) and ceilings (runs, n, 3): lower, upper, and lower with pools held."""

Found = tuple[np.ndarray, np.ndarray, jackknife.Components | None]
"""Runs, and the variances for tests where stimuli are resampled."""


def _run(plans: list[Plan], report: Callable[[float], None] | None) -> list[Found]:
    """Evaluate all samples of plans of the same models.

    One run; for "dual" three from the same draws: both factors, subjects only, stimuli only.
    """
    from dashboard.methods.resampling import kernel

    groups: dict[tuple[Any, ...], list[int]] = {}
    for k, plan in enumerate(plans):
        shared = MEASURES[plan.measure].family in ("ranks", "tau")
        key = (plan.resample, plan.keep.tobytes()) if shared else (k,)
        groups.setdefault(key, []).append(k)
    found: dict[int, Found] = {}
    for number, members in enumerate(groups.values()):
        some = [plans[k] for k in members]
        subjects = np.concatenate([plan.subjects for plan in some])
        engine = kernel(some[0].models, subjects, some[0].keep, some[0].measure, some[0].digits)
        share = number / len(groups), (number + 1) / len(groups)
        found |= dict(zip(members, _run_group(engine, some, report, share), strict=True))
    return [found[k] for k in range(len(plans))]


def _run_group(
    engine: Kernel, plans: list[Plan], report: Callable[[float], None] | None, share: tuple[float, float]
) -> list[Found]:
    """Evaluate all samples of plans whose subjects stand one after the other in the engine."""
    found = []
    stops = np.cumsum([len(plan.subjects) for plan in plans])
    columns = [
        slice(int(stop) - len(plan.subjects), int(stop)) for stop, plan in zip(stops, plans, strict=True)
    ]
    middle = share[0] + {"dual": 0.3, "subjects": 1.0}.get(plans[0].resample, 0.0) * (share[1] - share[0])
    for k, (plan, where) in enumerate(zip(plans, columns, strict=True)):
        n_runs = 3 if plan.resample == "dual" else 1
        scores = np.full((n_runs, plan.n, len(plan.models)), np.nan)
        ceilings = np.full((n_runs, plan.n, 3), np.nan)
        if plan.resample in ("subjects", "dual"):
            step = (middle - share[0]) / len(plans)
            part = share[0] + k * step, share[0] + (k + 1) * step
            scores[n_runs // 2], ceilings[n_runs // 2] = _subject_run(engine, plan, where, report, part)
        found.append((scores, ceilings))
    stimuli = plans[0].stimuli
    if stimuli is None:
        return [(*runs, None) for runs in found]

    def evaluate(part: slice) -> None:
        sample = engine.sample(stimuli[part])
        sets = [each for plan, where in zip(plans, columns, strict=True) for each in _sets(plan, where, part)]
        bounds = iter(engine.ceilings(sample, sets) if any(map(_has_ceiling, plans)) else [None] * len(sets))
        for plan, where, (scores, ceilings) in zip(plans, columns, found, strict=True):
            similar = sample.similarity[:, :, where]
            whole = next(bounds)
            runs = [(-1, np.ones((len(similar), len(plan.subjects)), np.int64), whole)]
            if plan.people is not None:
                drawn = (0, plan.people[part], next(bounds))
                runs = [drawn, (2, *runs[0][1:])] if plan.resample == "dual" else [drawn]
            for run, people, bound in runs:
                both = None if bound is None or whole is None else (*bound, whole[0])
                scores[run, part], ceilings[run, part] = _evaluate(similar, both, people, plan)

    late = middle + 0.6 * (share[1] - middle)
    _spread(evaluate, plans[0].n, engine, report, (middle, late))
    poor = (stimuli > 0).sum(1) < MINIMUM_DISTINCT
    for scores, ceilings in found:
        scores[:, poor], ceilings[:, poor] = np.nan, np.nan
    parts = _leave_out(engine, plans, columns, report, (late, share[1]))
    return [(*runs, part) for runs, part in zip(found, parts, strict=True)]


def _leave_out(
    engine: Kernel,
    plans: list[Plan],
    columns: list[slice],
    report: Callable[[float], None] | None,
    share: tuple[float, float],
) -> list[jackknife.Components | None]:
    """Evaluate models and held ceilings without one and without two stimuli, for tests."""
    n = n_stimuli(len(plans[0].keep))
    if n < jackknife.FEWEST:
        return [None] * len(plans)
    counts, pairs = jackknife.left_out(n)
    counts = np.concatenate([np.ones((1, n), np.int64), counts])
    has = any(map(_has_ceiling, plans))
    found = [np.full((len(counts), len(p.models) + 1, len(p.subjects)), np.nan) for p in plans]

    def evaluate(part: slice) -> None:
        sample = engine.sample(counts[part])
        everyone = [np.ones((part.stop - part.start, len(p.subjects)), np.int64) for p in plans]
        sets = list(zip(columns, everyone, strict=True))
        bounds = engine.ceilings(sample, sets) if has else [None] * len(plans)
        for plan, where, values, bound in zip(plans, columns, found, bounds, strict=True):
            values[part, :-1] = sample.similarity[:, :, where]
            if bound is not None and _has_ceiling(plan):
                values[part, -1] = bound[0]
            values[part][np.isnan(values[part])] = plan.undefined

    _spread(evaluate, len(counts), engine, report, share)
    return [jackknife.components(v[0], v[1 : n + 1], v[n + 1 :], pairs) for v in found]


def _sets(plan: Plan, where: slice, part: slice) -> list[tuple[slice, np.ndarray]]:
    """List for which subjects, how often, pools are asked for: everyone once, then as they were drawn."""
    everyone = np.ones((part.stop - part.start, len(plan.subjects)), np.int64)
    return [(where, everyone)] if plan.people is None else [(where, everyone), (where, plan.people[part])]


def _has_ceiling(plan: Plan) -> bool:
    return plan.ceiling and len(plan.subjects) > 1


def _spread(
    evaluate: Callable[[slice], None],
    n: int,
    engine: Kernel,
    report: Callable[[float], None] | None,
    share: tuple[float, float],
) -> None:
    """Evaluate chunk by chunk; in as many threads as torch has where the kernel does not use these itself."""
    import torch

    chunks = _chunks(n, engine.chunk, report, share)
    threads = min(torch.get_num_threads(), -(-n // engine.chunk)) if engine.together else 1
    if threads < 2:
        for part in chunks:
            evaluate(part)
        return
    parts = list(_chunks(n, engine.chunk, None, share))
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(evaluate, part) for part in parts]
        try:
            for _, done in zip(chunks, waiting, strict=True):
                done.result()
        finally:
            for job in waiting:  # after a cancel nothing new is begun
                job.cancel()


def _chunks(
    n: int, size: int, report: Callable[[float], None] | None, share: tuple[float, float]
) -> Iterator[slice]:
    """Cut n samples into chunks, and report after each how much of ``share`` of the whole is done."""
    for start in range(0, n, size):
        stop = min(start + size, n)
        yield slice(start, stop)
        if report is not None:
            report(share[0] + (share[1] - share[0]) * stop / n)


def _subject_run(
    engine: Kernel,
    plan: Plan,
    where: slice,
    report: Callable[[float], None] | None,
    share: tuple[float, float],
) -> Runs:
    """Resample subjects only: one sample of stimuli serves all, equal sets of subjects are computed once."""
    assert plan.people is not None
    sample = engine.sample(np.ones((1, n_stimuli(len(plan.keep))), np.int64))
    distinct, which = np.unique(plan.people, axis=0, return_inverse=True)
    has, everyone = _has_ceiling(plan), np.ones((1, len(plan.subjects)), np.int64)
    held = engine.ceilings(sample, [(where, everyone)])[0][0] if has else None
    parts = []
    for part in _chunks(len(distinct), max(8, engine.chunk), report, share):
        bound = None if held is None else (*engine.ceilings(sample, [(where, distinct[part])])[0], held)
        parts.append(_evaluate(sample.similarity[:, :, where], bound, distinct[part], plan))
    scores, ceilings = (np.concatenate(column)[which.ravel()] for column in zip(*parts, strict=True))
    return scores, ceilings


def _evaluate(
    similar: np.ndarray, bounds: tuple[np.ndarray, ...] | None, people: np.ndarray, plan: Plan
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (B, M) over drawn subjects with copies, and ceilings (B, 3): see `Runs`.

    ``similar`` (1 or B, M, S) are the similarities, ``bounds`` those of subjects with their pools: of the
    others drawn, of all drawn, and of all others in the data, (1 or B, S) each. The first two are averaged
    over distinct subjects, as in rsatoolbox, the third with copies.
    """
    filled = np.where(np.isnan(similar), plan.undefined, similar)
    filled = np.broadcast_to(filled, (len(people), *filled.shape[1:]))
    weights = people / people.sum(1, keepdims=True)
    scores = _weighted(filled, weights)
    ceilings = np.full((len(people), 3), np.nan)
    if bounds is not None and _has_ceiling(plan):
        present = people > 0
        for column, bound in enumerate(bounds[:2]):
            bound = np.where(np.isnan(bound), plan.undefined, bound)
            ceilings[:, column] = np.where(present, bound, 0.0).sum(1) / present.sum(1)
        # One distinct subject: nobody is left to pool, so the subject stands for the pool of the others.
        alone = present.sum(1) == 1
        ceilings[alone, 0] = ceilings[alone, 1]
        held = np.where(np.isnan(bounds[2]), plan.undefined, bounds[2])
        ceilings[:, 2] = _weighted(np.broadcast_to(held, people.shape)[:, None], weights)[:, 0]
    return scores, ceilings


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average values (B, M, S) with weights (B, S); what is undefined with others does no harm."""
    found = np.einsum("bms,bs->bm", np.nan_to_num(values), weights)
    found[np.einsum("bms,bs->bm", np.isnan(values), weights) > 0] = np.nan
    return found


def resampled(
    plan: Plan,
    targets: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    observed: np.ndarray,
    report: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Return a statistic of similarities in every sample, mean over the drawn subjects.

    Parameters
    ----------
    plan : Plan
    targets : ndarray (n_targets, n_kept)
        RDMs that the models are compared with in every sample.
    statistic : callable
        Takes similarities (B, n_models, n_targets), gives values (B, n_values, n_subjects).
    observed : ndarray (n_values, n_subjects)
        The statistic on all stimuli.

    Returns
    -------
    ndarray (runs, n, n_values)
        One run; for "dual" both factors, subjects only, stimuli only. NaN where undefined.
    """
    from dashboard.methods.resampling import kernel

    n_runs = 3 if plan.resample == "dual" else 1
    runs = np.full((n_runs, plan.n, len(observed)), np.nan)
    if plan.people is not None:
        drawn = plan.people / plan.people.sum(1, keepdims=True)
        if plan.stimuli is None or n_runs == 3:
            runs[1 if n_runs == 3 else 0] = drawn @ observed.T
    if plan.stimuli is None:
        return runs
    engine = kernel(plan.models, targets, plan.keep, plan.measure, plan.digits)
    for part in _chunks(plan.n, engine.chunk, report, (0.0, 1.0)):
        values = statistic(engine.sample(plan.stimuli[part]).similarity)
        everyone = values.mean(2)
        runs[0, part] = everyone if plan.people is None else np.einsum("bcs,bs->bc", values, drawn[part])
        if n_runs == 3:
            runs[2, part] = everyone
    runs[:, (plan.stimuli > 0).sum(1) < MINIMUM_DISTINCT] = np.nan
    return runs


def errors_of(runs: np.ndarray, plan: Plan) -> tuple[np.ndarray, int]:
    """Return corrected standard errors (n_values,) of `resampled` values, and the degrees of freedom."""
    n_stim, n_subj = n_stimuli(len(plan.keep)), len(plan.subjects)
    dof = {"stimuli": n_stim, "subjects": n_subj}.get(plan.resample, min(n_stim, n_subj)) - 1
    covariances, _ = _covariances(runs, runs.shape[2])
    variances = [
        _variance(covariances, _unit(runs.shape[2], k), plan.resample, n_stim, n_subj)
        for k in range(runs.shape[2])
    ]
    return np.sqrt(variances), dof


# --- inference --------------------------------------------------------------------------------------------


def _result(plan: Plan, similar: np.ndarray, observed: tuple[float, float], found: Found) -> BootstrapResult:
    """Turn samples into standard errors and intervals."""
    runs, bounds, left_out = found
    n_stim, n_subj = n_stimuli(len(plan.keep)), len(plan.subjects)
    dof = {"stimuli": n_stim, "subjects": n_subj}.get(plan.resample, min(n_stim, n_subj)) - 1
    covariances, dropped = _covariances(np.concatenate([runs, bounds], axis=2), len(plan.models))
    score, m = similar.mean(1), len(similar)
    held = [*range(m), m + 2]
    variances = [_variance(covariances, _unit(m + 3, k), plan.resample, n_stim, n_subj) for k in range(m)]
    sem = np.sqrt(variances)
    half = t_quantile(dof) * sem
    return BootstrapResult(
        measure=plan.measure,
        resample=plan.resample,
        score=score,
        subject_scores=similar.T,
        ceiling=observed,
        scores=runs[0],
        ceilings=bounds[0, :, :2],
        covariances=covariances[:, : m + 2, : m + 2],
        held=covariances[:, held][:, :, held],
        left_out=left_out,
        sem=sem,
        ci=np.stack([score - half, score + half], 1),
        dof=dof,
        n_stimuli=n_stim,
        n_subjects=n_subj,
        n_dropped=dropped,
    )


def _covariances(columns: np.ndarray, n_models: int) -> tuple[np.ndarray, int]:
    """Covariance of each run over the samples in which everything that can be computed was.

    A column that is missing in most samples (a constant model, a ceiling not asked for) gets NaN instead of
    costing the others their samples.
    """
    valid = ~np.isnan(columns).any(0)
    usable = valid.mean(0) >= 0.5
    rows = valid[:, usable].all(1) if usable.any() else np.zeros(len(valid), bool)
    if usable[:n_models].any() and rows.sum() < len(rows):
        errors.caution(
            "dropped-samples",
            f"{int((~rows).sum())} of {len(rows)} bootstrap samples had fewer than {MINIMUM_DISTINCT} "
            "different stimuli or an RDM without variance and are left out.",
        )
    found = np.full((len(columns), columns.shape[2], columns.shape[2]), np.nan)
    if rows.sum() > 1:
        where = np.flatnonzero(usable)
        for run, values in enumerate(columns):
            found[run][np.ix_(where, where)] = np.atleast_2d(np.cov(values[rows][:, where].T))
    return found, int((~rows).sum())


def _variance(
    covariances: np.ndarray, contrast: np.ndarray, resample: str, n_stim: int, n_subj: int
) -> float:
    """Return the corrected variance of a contrast of models and ceilings."""
    used = np.flatnonzero(contrast)
    c = contrast[used]
    raw = [float(np.maximum(c @ v[np.ix_(used, used)] @ c, 0.0)) for v in covariances]  # NaN stays NaN
    if resample != "dual":
        k = {"stimuli": n_stim, "subjects": n_subj}.get(resample, min(n_stim, n_subj))
        return k / (k - 1) * raw[0]
    both, subjects, stimuli = raw
    f_r, f_p = n_subj / (n_subj - 1), n_stim / (n_stim - 1)
    found = f_r * subjects + f_p * stimuli - f_r * f_p * (both - subjects - stimuli)
    return float(np.minimum(np.maximum(found, max(f_r * subjects, f_p * stimuli)), both))


def _unit(size: int, k: int) -> np.ndarray:
    found = np.zeros(size)
    found[k] = 1.0
    return found


def t_quantile(dof: float) -> float:
    """Return the 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(dof, CONFIDENCE))


def p_above(mean: float, sem: float, dof: float) -> float:
    """One-sided p of a mean above 0 by Student's t."""
    from scipy.special import stdtr

    if np.isnan(mean) or np.isnan(sem):
        return np.nan
    if sem == 0:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(dof, -mean / sem))


# --- cautions ---------------------------------------------------------------------------------------------


def _tell(plan: Plan, score: np.ndarray) -> None:
    """Say in words what weakens the answer."""
    entry, n_stim, n_subj = MEASURES[plan.measure], n_stimuli(len(plan.keep)), len(plan.subjects)
    if n_stim < FEW_STIMULI:
        errors.caution(
            "few-stimuli",
            f"{n_stim} stimuli are few: below {FEW_STIMULI} the bootstrap over stimuli is unreliable.",
        )
    if n_subj < FEW_SUBJECTS:
        errors.caution(
            "few-subjects",
            f"{n_subj} subject{'s are' if n_subj > 1 else ' is'} few: below {FEW_SUBJECTS} intervals over "
            "subjects are wide and unreliable.",
        )
    tied = _tied_models(plan) if entry.ranked and not entry.tie_safe else 0
    if tied:
        errors.caution(
            "ties",
            f"{tied} of {len(plan.models)} models predict{'s' if tied == 1 else ''} many equal "
            f"dissimilarities, which {entry.label} favours; ρ-a treats ties fairly.",
        )
    if not entry.centred:
        _tell_saturated(plan)
    if np.all(score[~np.isnan(score)] < 0) and not np.isnan(score).all():
        errors.caution(
            "all-negative",
            "Every score is negative: check that both sides are dissimilarities of the same stimuli "
            "in the same order.",
        )


def _tied_models(plan: Plan) -> int:
    rounded = significant(plan.models, plan.digits)
    shares = [1 - len(np.unique(row)) / len(row) for row in rounded]
    return sum(share > TIED_SHARE for share in shares)


def _tell_saturated(plan: Plan) -> None:
    """Compare subjects with a model that tells no stimuli apart from any other."""
    blank = np.ones((1, plan.models.shape[1]))
    flat = float(np.nanmean(compare(blank, plan.subjects, plan.measure, plan.keep, plan.digits)))
    if flat > SATURATED:
        errors.caution(
            "saturated",
            f"A model in which all stimuli differ equally scores {flat:.2f} "
            f"({MEASURES[plan.measure].label}), "
            "so high scores say little; compare with the noise ceiling, or choose a centred measure.",
        )
