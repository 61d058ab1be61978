"""How models share the explanation of brain RDMs: unique and shared variance, and partial correlations.

Every subject's RDM is regressed on the models' RDMs; R² of all subsets of models gives, by inclusion and
exclusion, what each model explains alone and what sets of them explain in common (commonality analysis;
Nimon et al. 2008, Behav. Res. Methods 40:457; for RDMs Groen et al. 2018, eLife 7:e32962). A shared part can
be negative: one model then suppresses what disturbs the other. R² never falls when a model is added, so
whether a unique part is real is tested with the partial correlation, which has a sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods import measures, rsa
from dashboard.methods.condensed import n_stimuli

MOST_MODELS = 4
MEASURES = ("pearson", "spearman")
"""Measures whose squares are shares of variance: of the dissimilarities, or of their ranks."""

ALIKE = 1e-10
"""Models whose correlation matrix has an eigenvalue below this say the same."""


@dataclass(frozen=True)
class Partition:
    """Shares of the variance of brain RDMs, means over subjects.

    Attributes
    ----------
    members : tuple of tuple of int (n_parts,)
        Which models a part belongs to: one model for what it explains alone, several for what they share.
    part, part_sem : ndarray (n_parts,)
        Share of variance, and its bootstrap standard error.
    total, total_sem : float
        R² of all models together: the sum of the parts.
    part_ci, total_ci : ndarray (n_parts, 2), (2,)
        Intervals of 95 %.
    partial, partial_sem, p : ndarray (n_models,)
        Correlation of each model with the brain after the others are taken out of both, and the p value of a
        positive one (one-sided t).
    partial_ci : ndarray (n_models, 2)
    n_stimuli, n_subjects, dof : int
    """

    members: tuple[tuple[int, ...], ...]
    part: np.ndarray
    part_sem: np.ndarray
    part_ci: np.ndarray
    total: float
    total_sem: float
    total_ci: np.ndarray
    partial: np.ndarray
    partial_sem: np.ndarray
    partial_ci: np.ndarray
    p: np.ndarray
    n_stimuli: int
    n_subjects: int
    dof: int


def subsets(k: int) -> tuple[tuple[int, ...], ...]:
    """Return every non-empty set of k models, single models first."""
    return tuple(members for size in range(1, k + 1) for members in combinations(range(k), size))


def explained(within: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return R² of every subset of models from correlations.

    Parameters
    ----------
    within : ndarray (..., k, k)
        Correlations of the models.
    across : ndarray (..., k, s)
        Correlations of the models with the subjects.

    Returns
    -------
    ndarray (..., 2^k - 1, s)
        In the order of `subsets`; r' C⁻¹ r.
    """
    found = []
    for members in subsets(within.shape[-1]):
        m = list(members)
        c, r = within[..., m, :][..., m], across[..., m, :]
        found.append((r * np.linalg.solve(c, r)).sum(-2))
    return np.stack(found, -2)


def commonality(r_squared: np.ndarray) -> np.ndarray:
    """Return what each set of models explains and no smaller set, (..., 2^k - 1, s), from R² of all subsets.

    With U the set of all models, part(A) = sum over B within A of (-1)^(|B| + 1) R²(B and U less A).
    """
    count = r_squared.shape[-2]
    k = int(count + 1).bit_length() - 1
    sets = subsets(k)
    place = {members: i for i, members in enumerate(sets)}
    found = np.zeros_like(r_squared)
    for i, members in enumerate(sets):
        rest = [m for m in range(k) if m not in members]
        for size in range(len(members) + 1):
            sign = 1.0 if size % 2 else -1.0
            for inner in combinations(members, size):
                key = tuple(sorted([*rest, *inner]))
                if key:
                    found[..., i, :] += sign * r_squared[..., place[key], :]
    return found


def partial_correlations(within: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return the correlation of each model with each subject given all other models, (..., k, s).

    From the inverse of the correlation matrix of models and subject: -q_xy / sqrt(q_xx q_yy).
    """
    k, s = across.shape[-2:]
    found = np.empty(across.shape)
    whole = np.ones((*within.shape[:-2], k + 1, k + 1))
    whole[..., :k, :k] = within
    for t in range(s):
        whole[..., :k, k] = whole[..., k, :k] = across[..., t]
        q = np.linalg.inv(whole)
        own = np.diagonal(q, axis1=-2, axis2=-1)
        found[..., t] = -q[..., :k, k] / np.sqrt(own[..., :k] * own[..., k:])
    return found


def partition(
    model_rdms: Any,
    subject_rdms: Any,
    measure: str = "spearman",
    resample: str = "dual",
    *,
    n: int = 1000,
    seed: int = 0,
    digits: int | None = measures.RANK_DIGITS,
    report: Callable[[float], None] | None = None,
) -> Partition:
    """Split the variance of brain RDMs between two to four models, with bootstrap errors.

    Parameters
    ----------
    model_rdms : array_like (2 to 4, n_pairs)
    subject_rdms : array_like (n_subjects, n_pairs)
    measure : "pearson" or "spearman"
    resample, n, seed, digits, report
        As in `rsa.bootstrap`, whose draws are used.

    Raises
    ------
    InputError
        Another measure, too few or many models, or models that say the same.
    """
    _check(measure, np.shape(model_rdms))
    plan = rsa.planned(model_rdms, subject_rdms, measure, resample, (n, seed, None), digits)
    k = len(plan.models)
    both = np.concatenate([plan.models, plan.subjects])
    similar = measures.compare(plan.models, both, measure, plan.keep, digits)
    _check_distinct(similar[:, :k])
    observed = _parts(similar[None])[0]  # (values, subjects)
    runs = rsa.resampled(plan, both, _parts, observed, report)
    mean = observed.mean(1)
    sem, dof = rsa.errors_of(runs, plan)
    half = rsa.t_quantile(dof) * sem
    ci = np.stack([mean - half, mean + half], 1)
    sets = subsets(k)
    c = len(sets)
    return Partition(
        members=sets,
        part=mean[:c],
        part_sem=sem[:c],
        part_ci=ci[:c],
        total=float(mean[c]),
        total_sem=float(sem[c]),
        total_ci=ci[c],
        partial=mean[c + 1 :],
        partial_sem=sem[c + 1 :],
        partial_ci=ci[c + 1 :],
        p=np.array([rsa.p_above(m, e, dof) for m, e in zip(mean[c + 1 :], sem[c + 1 :], strict=True)]),
        n_stimuli=n_stimuli(len(plan.keep)),
        n_subjects=len(plan.subjects),
        dof=dof,
    )


def _parts(similar: np.ndarray) -> np.ndarray:
    """Return parts, total and partial correlations of every sample, (B, 2^k - 1 + 1 + k, s).

    ``similar`` (B, k, k + s) holds correlations of the models with models and subjects.
    """
    k = similar.shape[1]
    within, across = similar[:, :, :k], similar[:, :, k:]
    bad = ~np.isfinite(similar).all((1, 2)) | (np.linalg.eigvalsh(np.nan_to_num(within))[:, 0] < ALIKE)
    within = np.where(bad[:, None, None], np.eye(k), within)
    across = np.where(bad[:, None, None], 0.0, across)
    r_squared = explained(within, across)
    found = np.concatenate(
        [commonality(r_squared), r_squared[:, -1:], partial_correlations(within, across)], 1
    )
    found[bad] = np.nan
    return found


def _check(measure: str, shape: tuple[int, ...]) -> None:
    if measure not in MEASURES:
        message = f"Variance is split with {' or '.join(MEASURES)}, not {measure}."
        raise errors.InputError(message, "The square of another measure is no share of variance.")
    if len(shape) != 2 or not 2 <= shape[0] <= MOST_MODELS:
        given = shape[0] if len(shape) == 2 else 1
        message = f"Variance is split between 2 to {MOST_MODELS} models, not {given}."
        raise errors.InputError(message, "With more, the parts are too many to be read.")


def _check_distinct(within: np.ndarray) -> None:
    if not np.isfinite(within).all():
        raise errors.InputError("A model has no variance, so it explains nothing.", "Choose another model.")
    if np.linalg.eigvalsh(within)[0] < ALIKE:
        message = "Some of the models say the same, so their unique parts are undefined."
        raise errors.InputError(message, "Choose models that differ.")


def names_of(members: tuple[tuple[int, ...], ...], names: list[str]) -> Iterator[str]:
    """Name every part: "only A", or "A and B"."""
    for group in members:
        chosen = [names[m] for m in group]
        if len(chosen) == 1:
            yield f"only {chosen[0]}"
        else:
            yield f"{', '.join(chosen[:-1])} and {chosen[-1]}"
