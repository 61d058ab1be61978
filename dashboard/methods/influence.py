"""What carries a similarity of RDMs: each stimulus left out in turn, and the pairs that disagree most."""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard import errors
from dashboard.methods import measures
from dashboard.methods.condensed import n_stimuli, rank_transform


def leave_one_out(
    model_rdms: Any,
    subject_rdms: Any,
    measure: str = "rho-a",
    *,
    digits: int | None = measures.RANK_DIGITS,
) -> np.ndarray:
    """Return how much the score falls when a stimulus is left out.

    Parameters
    ----------
    model_rdms : array_like (n_models, n_pairs)
    subject_rdms : array_like (n_subjects, n_pairs)
    measure, digits
        As in `rsa.similarity`.

    Returns
    -------
    ndarray (n_models, n_stimuli)
        Score of all stimuli minus score without this one, mean over subjects: above 0 where the stimulus
        adds to the agreement.

    Raises
    ------
    InputError
        As `rsa.similarity`; also fewer than 4 stimuli.
    """
    from dashboard.methods.resampling import kernel

    models, subjects = measures.vectors(model_rdms, "model RDMs"), measures.vectors(subject_rdms, "RDMs")
    keep = measures.shared_pairs(models, subjects)
    n = n_stimuli(len(keep))
    if n < 4:
        message = f"{n} stimuli are too few to leave one out."
        raise errors.InputError(message, "Give at least 4 stimuli.")
    models, subjects = models[:, keep], subjects[:, keep]
    whole = measures.compare(models, subjects, measure, keep, digits).mean(1)
    engine = kernel(models, subjects, keep, measure, digits)
    counts = 1 - np.eye(n, dtype=np.int64)
    found = np.empty((len(models), n))
    for start in range(0, n, engine.chunk):
        part = slice(start, start + engine.chunk)
        found[:, part] = whole[:, None] - engine.sample(counts[part]).similarity.mean(2).T
    return found


def disagreement(model_rdm: Any, subject_rdms: Any) -> np.ndarray:
    """Return by how much a model ranks each pair higher than the brain does, (n_pairs,) from -1 to 1.

    Ranks from 0 (most alike) to 1 (most different); the brain's are ranks of the mean of the subjects' ranks.
    Pairs without a value stay NaN.
    """
    brain = rank_transform(rank_transform(np.atleast_2d(subject_rdms)).mean(0))
    return rank_transform(model_rdm) - brain
