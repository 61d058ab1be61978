"""How much two sets of responses to the same stimuli are alike, up to rotation: linear CKA and Procrustes.

Imports torch on use. Sources: Kornblith et al. (2019), ICML (linear CKA); Song et al. (2012), JMLR 13:1393
(unbiased HSIC); Ding et al. (2021), NeurIPS (orthogonal Procrustes distance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard import errors
from dashboard.methods.rdm import responses

if TYPE_CHECKING:
    import torch


def cka(x: Any, y: Any, unbiased: bool = True) -> float:
    """Compare two sets of responses by linear centred kernel alignment.

    Parameters
    ----------
    x, y : array_like or Tensor, (n_stimuli, n_units_x), (n_stimuli, n_units_y)
        Responses to the same stimuli in the same order.
    unbiased : bool
        Use the unbiased estimate of HSIC, which is 0 on average for unrelated responses and may be negative.
        The biased one goes to 1 when there are many more units than stimuli.

    Returns
    -------
    float
        At most 1, reached when the responses agree up to rotation, scale and shift; NaN, with the caution
        ``constant-responses``, when one side does not vary over stimuli.

    Raises
    ------
    InputError
        Different numbers of stimuli, fewer than 3 (unbiased: 4), or responses that `rdm.responses` refuses.
    """
    a, b = _pair(x, y, 4 if unbiased else 3)
    k, m = _gram(a, unbiased), _gram(b, unbiased)
    own = float((k * k).sum()), float((m * m).sum())
    if not _varies(a, b):
        return float("nan")
    return float((k * m).sum()) / (own[0] ** 0.5 * own[1] ** 0.5)


def procrustes(x: Any, y: Any) -> float:
    """Compare two sets of responses by the best rotation of one onto the other.

    With both centred and scaled to norm 1 this is the nuclear norm s of x'y, the largest inner product that
    any rotation reaches; the squared Procrustes distance is 2 - 2s, and the angular one of Williams et al.
    (2021), NeurIPS, is arccos s.

    Parameters
    ----------
    x, y : array_like or Tensor, (n_stimuli, n_units_x), (n_stimuli, n_units_y)

    Returns
    -------
    float
        From 0 (orthogonal) to 1 (equal up to rotation, reflection, scale and shift); NaN, with the caution
        ``constant-responses``, when one side does not vary over stimuli.

    Raises
    ------
    InputError
        As in `cka`.
    """
    import torch

    a, b = _pair(x, y, 3)
    if not _varies(a, b):
        return float("nan")
    # x'y = Q_x R_x R_y' Q_y' with orthonormal Q: its singular values are those of the small R_x R_y'.
    factors = [torch.linalg.qr(side.T, mode="r").R / torch.linalg.matrix_norm(side) for side in (a, b)]
    return float(torch.linalg.svdvals(factors[0] @ factors[1].T).sum())


def _pair(x: Any, y: Any, least: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both sides in float64 without their column means."""
    sides = [responses(side)[0].mean(0) for side in (x, y)]
    n = [len(side) for side in sides]
    if n[0] != n[1]:
        message = f"Responses to {n[0]} stimuli cannot be aligned with responses to {n[1]} stimuli."
        raise errors.InputError(message, "Give responses to the same stimuli in the same order.")
    if n[0] < least:
        message = f"{n[0]} stimuli are too few."
        raise errors.InputError(message, f"Give at least {least}.")
    return sides[0] - sides[0].mean(0), sides[1] - sides[1].mean(0)


def _varies(*sides: torch.Tensor) -> bool:
    """Tell whether all sides vary over stimuli; caution when one does not."""
    flat = [k for k, side in enumerate(sides) if not bool((side != 0).any())]
    if flat:
        which = " and ".join(("first", "second")[k] for k in flat)
        errors.caution(
            "constant-responses",
            f"The {which} responses do not vary over stimuli, so alignment is undefined.",
        )
    return not flat


def _gram(side: torch.Tensor, unbiased: bool) -> torch.Tensor:
    """Return the centred Gram matrix whose Frobenius products are HSIC, up to one factor.

    Unbiased: the U-centred matrix, zero on its diagonal (Székely and Rizzo 2014; the same number as Song's).
    """
    gram = side @ side.T
    if not unbiased:
        return gram  # columns are centred already, so rows and columns of the Gram matrix are
    n = len(gram)
    gram.fill_diagonal_(0.0)
    rows = gram.sum(1)
    gram = gram - rows[:, None] / (n - 2) - rows / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return gram.fill_diagonal_(0.0)
