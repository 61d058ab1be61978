r"""Dissimilarities between stimuli: seven metrics, in float64, as matrix products that do not cancel.

Conventions, p = number of units (rsatoolbox 0.3.2's name in brackets where it has the metric):

============  =====================================================================================
correlation   1 - Pearson r of the two patterns [correlation]
cosine        1 - cosine of the two patterns
sqeuclidean   \|b_i - b_j\|² / p [euclidean: it is squared and divided there too]
euclidean     root of sqeuclidean, so the root mean square difference per unit
mahalanobis   (b_i - b_j)' A (b_i - b_j) / p with the noise precision A; squared [mahalanobis]
crossnobis    mean over folds f of (t_i - t_j)' A (h_i - h_j) / p, h = mean of fold f, t = mean of
              all repeats of the other folds; unbiased, so it may be negative [crossnobis]; with unequal
              repeats k_ii + k_jj - 2 k_ij, k the mean of x' A y / p over all pairs of repeats x of one
              and y of the other stimulus in different folds [calc_rdm_unbalanced]
poisson       sum over units of (a_i - a_j)(ln a_i - ln a_j) / p, a = (b + 0.1) / 1.1; with folds
              the first factor comes from the other folds and the second from fold f, and the mean
              over folds is taken [poisson, poisson_cv; the latter returns its last fold only]
============  =====================================================================================

Sources: Kriegeskorte, Mur and Bandettini (2008), Front. Syst. Neurosci. 2:4 (RDMs); Walther et al.
(2016), NeuroImage 137:188 (crossnobis); Schütt et al. (2023), eLife 12:e82566 (Poisson).

Every metric converts to float64 first, subtracts the mean that it is invariant to, and then multiplies.
Pairs that are close to each other compared with their norms are computed again from direct differences.
torch is imported on use, so that pages can list `METRICS` without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard import errors
from dashboard.methods import wide
from dashboard.methods.condensed import condense, n_stimuli, pair_indices, rank_transform, square

if TYPE_CHECKING:
    import torch

__all__ = [
    "METRICS",
    "Metric",
    "condense",
    "dissimilarities",
    "n_stimuli",
    "pair_indices",
    "rank_transform",
    "responses",
    "square",
]

PRIOR_RATE = 1.0
PRIOR_WEIGHT = 0.1
"""Gamma prior of the poisson metric, as in rsatoolbox: a = (b + rate · weight) / (1 + weight)."""

NEAR = 1e-5
"""A pair whose distance is below this share of its squared norms is recomputed by direct difference."""

BLOCK = 256
"""Rows per block: only blocks on and above the diagonal are multiplied."""

FEW_STIMULI = 4
WIDE_VALUES = 1 << 24
"""Patterns of more values (128 MB in float64) are read block by block where the metric allows it."""

WITHOUT = {
    "correlation": "have the same response in all units",
    "cosine": "have no response in any unit",
}
"""What is wrong with a pattern for which a metric is undefined."""

CHUNK_VALUES = 2_000_000


@dataclass(frozen=True)
class Metric:
    """A way to measure how different two patterns are.

    Attributes
    ----------
    label, unit, help : str
        For menus, axes and explanations.
    uses_precision, non_negative : bool
        Whether a noise precision is used; whether responses must not be negative.
    needs_folds, takes_folds : bool
        Whether repeats of each stimulus are needed, or put to use when folds are given.
    """

    label: str
    unit: str
    help: str
    compute: Callable[[_Data], torch.Tensor]
    uses_precision: bool = False
    non_negative: bool = False
    needs_folds: bool = False
    takes_folds: bool = False

    def cross_validated(self, *, folds: bool = False) -> bool:
        """Tell whether distances are cross-validated, so that their expectation is 0 without a difference."""
        return self.needs_folds or (self.takes_folds and folds)


@dataclass(frozen=True)
class _Data:
    """Checked input: responses (n_repeats, n_stimuli, n_units), a fold number per repeat, precision."""

    repeats: torch.Tensor
    folds: np.ndarray | None
    precision: torch.Tensor | None
    resolution: float

    @property
    def mean(self) -> torch.Tensor:
        """Mean pattern of every stimulus, (n_stimuli, n_units)."""
        return self.repeats[0] if len(self.repeats) == 1 else self.repeats.mean(0)

    def halves(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return per fold the mean over all other repeats and its own mean, both (n_stimuli, n_units)."""
        import torch

        folds = np.arange(len(self.repeats)) if self.folds is None else self.folds
        held_out = [torch.as_tensor(folds == f) for f in np.unique(folds)]
        return [(self.repeats[~held].mean(0), self.repeats[held].mean(0)) for held in held_out]


def dissimilarities(
    patterns: Any,
    metric: str = "correlation",
    *,
    folds: Sequence[Any] | np.ndarray | None = None,
    precision: Any = None,
) -> torch.Tensor:
    """Compute the condensed RDM of response patterns.

    Parameters
    ----------
    patterns : array_like or Tensor, (n_stimuli, n_units) or (n_repeats, n_stimuli, n_units)
        Responses of any real type. Repeats are averaged unless the metric is cross-validated. A repeat in
        which all units of a stimulus are NaN was not measured: stimuli may have unequal numbers of repeats.
    metric : str
        A key of `METRICS`.
    folds : sequence of n_repeats labels, optional
        Repeats with equal labels form one fold. Default for crossnobis: every repeat is a fold. With
        ``poisson`` they switch cross-validation on.
    precision : array_like (n_units, n_units) or (n_units,), optional
        Noise precision (inverse covariance) for mahalanobis and crossnobis; default: identity.

    Returns
    -------
    Tensor (n_pairs,) float64
        In scipy's ``pdist`` order. NaN only for pairs of a pattern without variance (correlation) or
        without any response (cosine), and never without the caution ``constant-pattern``.

    Raises
    ------
    InputError
        Unknown metric; fewer than 2 stimuli; wrong shape or type; NaN or infinite responses; negative
        responses with poisson; folds or precision that do not fit; fewer than 2 patterns not constant; a
        stimulus in fewer than 2 folds (crossnobis), or unequal repeats with folds (poisson).
    """
    if metric not in METRICS:
        raise errors.unknown("metric", metric, METRICS)
    entry = METRICS[metric]
    if metric in wide.METRICS and folds is None and precision is None and _is_wide(patterns):
        return _wide(patterns, metric)
    patterns, measured = _measured(patterns)
    values, resolution = responses(patterns)
    n_repeats, n, n_units = values.shape
    if n < FEW_STIMULI:
        _tell_few(n)
    labels = _fold_numbers(folds, n_repeats, entry, metric)
    if entry.non_negative and bool((values < 0).any()):
        count = int((values < 0).sum())
        message = f"The metric {metric} is for counts and rates, but {count} responses are negative."
        raise errors.InputError(message, "Choose another metric, or give responses that are not normalised.")
    noise = _precision(precision, n_units, entry, metric)
    if measured is not None:
        if entry.needs_folds:
            return _unbalanced(values, measured, labels, noise)
        if labels is not None:
            message = (
                f"Stimuli have {_range(measured.sum(0))} repeats, and {metric} is cross-validated over folds."
            )
            raise errors.InputError(message, "Leave the surplus repeats out, or choose crossnobis.")
        values = (values.sum(0) / measured.sum(0)[:, None])[None]
    return entry.compute(_Data(values, labels, noise, resolution))


def _tell_few(n: int) -> None:
    pairs = n * (n - 1) // 2
    errors.caution("few-stimuli", f"Only {n} stimuli: the RDM has {pairs} value{'s' if pairs > 1 else ''}.")


def _is_wide(patterns: Any) -> bool:
    """Tell whether a float64 copy of the patterns would be large, and they can be read block by block."""
    native = isinstance(patterns, np.ndarray) and patterns.ndim == 2 and patterns.dtype.isnative
    return native and patterns.dtype.kind == "f" and len(patterns) > 1 and patterns.size > WIDE_VALUES


def _wide(patterns: np.ndarray, metric: str) -> torch.Tensor:
    """Answer `dissimilarities` for many units, (n_stimuli, n_units), block by block."""
    import torch

    n, n_units = patterns.shape
    mean = wide.row_means(patterns)
    if not bool(torch.isfinite(mean).all()):
        _refuse_not_finite(torch.from_numpy(patterns)[None])
    if n < FEW_STIMULI:
        _tell_few(n)
    if metric in ("euclidean", "sqeuclidean"):
        products = wide.gram(patterns, _less_column_means)
        found = wide.squared_distances(patterns, products, _less_column_means, NEAR) / n_units
        return found if metric == "sqeuclidean" else found.sqrt()
    shift = mean[:, None] if metric == "correlation" else torch.zeros(n, 1, dtype=torch.float64)
    products = wide.gram(patterns, lambda block: block.sub_(shift))
    smallest = max(1e-8, float(np.finfo(patterns.dtype).eps)) * shift[:, 0].abs()
    norms = _norms(products.diagonal().sqrt(), smallest, n_units, WITHOUT[metric])
    cosines = (products / (norms[:, None] * norms)).fill_diagonal_(1.0)
    found = (
        wide.squared_distances(patterns, cosines, lambda block: block.sub_(shift).div_(norms[:, None]), NEAR)
        / 2
    )
    i, j = (torch.from_numpy(index) for index in pair_indices(n))
    return torch.where(torch.isnan(norms[i] + norms[j]), torch.nan, found)


def _less_column_means(block: torch.Tensor) -> None:
    block -= block.mean(0)


# --- input ------------------------------------------------------------------------------------------------


def responses(patterns: Any) -> tuple[torch.Tensor, float]:
    """Check response patterns and convert them to float64.

    Parameters
    ----------
    patterns : array_like or Tensor, (n_stimuli, n_units) or (n_repeats, n_stimuli, n_units)

    Returns
    -------
    values : Tensor (n_repeats, n_stimuli, n_units) float64
    resolution : float
        Relative spread below which a pattern counts as constant: the rounding step of its type.

    Raises
    ------
    InputError
        Wrong shape or type, fewer than 2 stimuli, NaN or infinite values (which units, how many).
    """
    import torch

    if isinstance(patterns, torch.Tensor):
        if patterns.is_complex():
            raise _not_real("complex numbers")
        kind = patterns.dtype
        step = float(torch.finfo(kind).eps) if kind.is_floating_point else 0.0
        values = patterns.detach().to("cpu", torch.float64)
    else:
        array = np.asarray(patterns)
        if array.dtype.kind not in "biuf":
            raise _not_real("complex numbers" if array.dtype.kind == "c" else f"values of type {array.dtype}")
        step = float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
        # Type and byte order first, arithmetic later: uint8 wraps and float16 overflows.
        array = np.ascontiguousarray(array, dtype=np.float64)
        values = torch.from_numpy(array if array.flags.writeable else array.copy())
    if values.ndim not in (2, 3) or 0 in values.shape:
        message = f"Responses of shape {tuple(values.shape)} cannot be read."
        raise errors.InputError(message, "Give stimulus × unit, or repeat × stimulus × unit.")
    values = values if values.ndim == 3 else values[None]
    if values.shape[1] < 2:
        message = "One stimulus has no dissimilarity."
        raise errors.InputError(message, "Give at least two stimuli.")
    _refuse_not_finite(values)
    return values, max(1e-8, step)


def _measured(patterns: Any) -> tuple[Any, torch.Tensor | None]:
    """Return responses with 0 for repeats that were not measured, and which were, (n_repeats, n_stimuli).

    None where all were, and where a stimulus has no repeat at all, which other checks refuse.
    """
    import torch

    if getattr(patterns, "ndim", 0) != 3 or 0 in patterns.shape:
        return patterns, None
    values = patterns if isinstance(patterns, torch.Tensor) else np.asarray(patterns)
    if isinstance(values, np.ndarray):
        if values.dtype.kind != "f" or not np.isnan(values[:, :, 0]).any():
            return patterns, None
        values = torch.from_numpy(np.array(values, dtype=np.float64))
    measured = ~torch.isnan(values).all(2)
    if bool(measured.all()) or not bool(measured.any(0).all()):
        return patterns, None
    return torch.where(measured[:, :, None], values, 0.0), measured


def _range(counts: torch.Tensor) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _not_real(what: str) -> errors.InputError:
    return errors.InputError(f"Responses must be real numbers, not {what}.", "Convert them before the RDM.")


def _refuse_not_finite(values: torch.Tensor) -> None:
    """Raise `InputError` that names the units with NaN or infinite values."""
    import torch

    if bool(torch.isfinite(values.sum())):  # one cheap pass; a sum hides no NaN and no Inf
        return
    bad = ~torch.isfinite(values)
    if not bool(bad.any()):
        message = f"Responses are too large for sums (largest {float(values.abs().max()):.1e})."
        raise errors.InputError(message, "Divide them by a common number.")
    units = torch.nonzero(bad.any(0).any(0))[:, 0].tolist()
    stimuli = torch.nonzero(bad.any(0).any(1))[:, 0].tolist()
    message = (
        f"{int(bad.sum())} responses are NaN or infinite, in {len(units)} of {values.shape[2]} units "
        f"(unit {errors.listing(map(str, units))}) and {len(stimuli)} of {values.shape[1]} stimuli "
        f"(stimulus {errors.listing(map(str, stimuli))})."
    )
    raise errors.InputError(message, "Leave these units or stimuli out.")


def _fold_numbers(folds: Any, n_repeats: int, entry: Metric, metric: str) -> np.ndarray | None:
    """Return a fold number per repeat, or None."""
    if folds is None:
        if entry.needs_folds and n_repeats < 2:
            message = f"The metric {metric} needs at least 2 repeats of every stimulus."
            raise errors.InputError(message, "Give repeat × stimulus × unit, or choose another metric.")
        return None
    if not entry.takes_folds:
        message = f"The metric {metric} takes no folds."
        raise errors.InputError(message, "Choose crossnobis or poisson, or leave the folds out.")
    labels = np.asarray(folds)
    if labels.shape != (n_repeats,):
        message = f"There are {n_repeats} repeats, but folds of shape {labels.shape}."
        raise errors.InputError(message, "Give one label per repeat.")
    numbers = np.unique(labels, return_inverse=True)[1]
    if numbers.max() < 1:
        message = "All repeats are in one fold."
        raise errors.InputError(message, "Cross-validation needs at least two folds.")
    return numbers


def _precision(precision: Any, n_units: int, entry: Metric, metric: str) -> torch.Tensor | None:
    """Return the noise precision as (n_units, n_units) or (n_units,) float64, or None."""
    import torch

    if not entry.uses_precision:
        if precision is not None:
            message = f"The metric {metric} uses no noise precision."
            raise errors.InputError(message, "Choose mahalanobis or crossnobis, or leave the precision out.")
        return None
    if precision is None:
        if metric == "mahalanobis":
            errors.caution("no-precision", "Without a noise precision, mahalanobis equals sqeuclidean.")
        return None
    values = torch.as_tensor(precision).detach().to("cpu", torch.float64)
    if tuple(values.shape) not in ((n_units, n_units), (n_units,)):
        message = f"The noise precision has shape {tuple(values.shape)}, but there are {n_units} units."
        raise errors.InputError(message, "Give unit × unit, or one value per unit.")
    if not bool(torch.isfinite(values).all()):
        message = "The noise precision holds NaN or infinite values."
        raise errors.InputError(message, "Estimate it from more residuals, or with shrinkage.")
    if values.ndim == 2 and not torch.allclose(
        values, values.T, rtol=1e-8, atol=1e-8 * float(values.abs().max())
    ):
        message = "The noise precision is not symmetric."
        raise errors.InputError(message, "Give the inverse of a covariance matrix.")
    return values


# --- metrics ----------------------------------------------------------------------------------------------


def _correlation(data: _Data) -> torch.Tensor:
    # A spread below the rounding of its own mean is a constant pattern.
    patterns = data.mean
    mean = patterns.mean(1, keepdim=True)
    smallest = data.resolution * mean[:, 0].abs()
    return _angles(patterns - mean, smallest, WITHOUT["correlation"])


def _cosine(data: _Data) -> torch.Tensor:
    import torch

    return _angles(data.mean, torch.zeros(len(data.mean), dtype=torch.float64), WITHOUT["cosine"])


def _angles(rows: torch.Tensor, smallest: torch.Tensor, what: str) -> torch.Tensor:
    """Return 1 - cosine of all pairs of rows; undefined where the root mean square is too small."""
    import torch

    norms = _norms(torch.linalg.vector_norm(rows, dim=1), smallest, rows.shape[1], what)

    def finish(products: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        distance = 1 - products / (norms[i] * norms[j])
        return distance, distance < NEAR

    def direct(i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        gap = rows[i] / norms[i, None] - rows[j] / norms[j, None]
        return torch.linalg.vecdot(gap, gap) / 2

    return _pairs(rows, rows, finish, direct)


def _norms(norms: torch.Tensor, smallest: torch.Tensor, n_units: int, what: str) -> torch.Tensor:
    """Return the norms, NaN where the root mean square is not above ``smallest``, and say which."""
    import torch

    undefined = norms <= smallest * n_units**0.5
    _tell_constant(undefined.numpy(), what)
    return torch.where(undefined, torch.nan, norms)


def _tell_constant(undefined: np.ndarray, what: str) -> None:
    """Raise when all patterns are constant, caution when some are."""
    where = np.flatnonzero(undefined).tolist()
    if not where:
        return
    if len(where) >= len(undefined) - 1:
        message = f"{len(where)} of {len(undefined)} stimuli {what}, so no dissimilarity is defined."
        raise errors.InputError(message, "Choose another layer or area, or the metric euclidean.")
    errors.caution(
        "constant-pattern",
        f"{len(where)} of {len(undefined)} stimuli {what} (stimulus {errors.listing(map(str, where))}): "
        "their dissimilarities are undefined and left out.",
    )


def _sqeuclidean(data: _Data) -> torch.Tensor:
    mean = data.mean
    return _contrasts([(mean, mean)], None)


def _euclidean(data: _Data) -> torch.Tensor:
    return _sqeuclidean(data).sqrt()


def _mahalanobis(data: _Data) -> torch.Tensor:
    mean = data.mean
    return _contrasts([(mean, mean)], data.precision)


def _crossnobis(data: _Data) -> torch.Tensor:
    return _contrasts(data.halves(), data.precision)


def _unbalanced(
    values: torch.Tensor, measured: torch.Tensor, folds: np.ndarray | None, precision: torch.Tensor | None
) -> torch.Tensor:
    """Return crossnobis distances where stimuli have unequal numbers of repeats.

    Every product of two repeats in different folds is an unbiased estimate of the product of two mean
    patterns, and all of them count alike, as in rsatoolbox's calc_rdm_unbalanced. Where folds are shared, the
    sum depends on the origin, because folds weigh unequally; the mean pattern over stimuli is taken for it.

    Parameters
    ----------
    values : Tensor (n_repeats, n_stimuli, n_units)
        0 where not measured.
    measured : Tensor (n_repeats, n_stimuli) bool
    folds, precision
        As in `_Data`.
    """
    import torch

    count = measured.to(torch.float64)
    centre = (values.sum(0) / count.sum(0)[:, None]).mean(0)
    values = (values - centre) * count[:, :, None]
    label = torch.as_tensor(np.arange(len(values)) if folds is None else folds, dtype=torch.int64)
    n_folds = int(label.max()) + 1
    sums = torch.zeros(n_folds, *values.shape[1:], dtype=torch.float64).index_add_(0, label, values)
    counts = torch.zeros(n_folds, values.shape[1], dtype=torch.float64).index_add_(0, label, count)
    few = torch.nonzero((counts > 0).sum(0) < 2)[:, 0].tolist()
    if few:
        which = errors.listing(map(str, few))
        message = f"{len(few)} of {len(count[0])} stimuli (stimulus {which}) were measured in one fold only."
        raise errors.InputError(
            message, "Leave them out, or choose a metric without folds, such as correlation."
        )
    total, number = sums.sum(0), counts.sum(0)
    products = _times(total, precision) @ total.T
    weights = torch.outer(number, number) - counts.T @ counts
    for fold in sums:
        products -= _times(fold, precision) @ fold.T
    k = products / weights / values.shape[2]
    own = k.diagonal()
    i, j = (torch.from_numpy(index) for index in pair_indices(len(k)))
    return own[i] + own[j] - k[i, j] - k[j, i]


def _poisson(data: _Data) -> torch.Tensor:
    import torch

    pairs = [(data.mean, data.mean)] if data.folds is None else data.halves()

    def smooth(rates: torch.Tensor) -> torch.Tensor:
        return (rates + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)

    return _contrasts([(smooth(a), torch.log(smooth(b))) for a, b in pairs], None)


def _contrasts(
    terms: list[tuple[torch.Tensor, torch.Tensor]], precision: torch.Tensor | None
) -> torch.Tensor:
    """Return the mean over terms (t, h) of (t_i - t_j)' A (h_i - h_j) / p for all pairs of stimuli.

    With column means subtracted (they cancel in every difference) this is k_ii + k_jj - k_ij - k_ji,
    where k = t A h'.
    """
    import torch

    # Same patterns on both sides and a symmetric precision make k symmetric: one product, doubled.
    symmetric = len(terms) == 1 and terms[0][0] is terms[0][1]
    right = _side([h for _, h in terms], None)
    left = right if symmetric and precision is None else _side([t for t, _ in terms], precision)
    scale = 1.0 / right.shape[1]
    own = torch.linalg.vecdot(left, right)
    size = torch.linalg.vector_norm(left, dim=1) * torch.linalg.vector_norm(right, dim=1)

    def finish(products: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        contrast = own[i] + own[j] - (2 * products if symmetric else products)
        return contrast * scale, contrast.abs() < NEAR * (size[i] + size[j])

    def direct(i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        parts = [torch.linalg.vecdot(_times(t[i] - t[j], precision), h[i] - h[j]) for t, h in terms]
        return torch.stack(parts).sum(0) * scale

    return _pairs(left, right, finish, direct, symmetric)


def _side(patterns: list[torch.Tensor], precision: torch.Tensor | None) -> torch.Tensor:
    """Return the patterns without their column means, times the precision, side by side."""
    import torch

    columns = [_times(p - p.mean(0), precision) for p in patterns]
    return columns[0] if len(columns) == 1 else torch.cat(columns, 1)


def _times(rows: torch.Tensor, precision: torch.Tensor | None) -> torch.Tensor:
    if precision is None:
        return rows
    return rows * precision if precision.ndim == 1 else rows @ precision


# --- pairs ------------------------------------------------------------------------------------------------


def _pairs(
    left: torch.Tensor,
    right: torch.Tensor,
    finish: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    direct: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    symmetric: bool = True,
) -> torch.Tensor:
    """Multiply rows block by block above the diagonal and finish each pair, near ones by direct difference.

    Parameters
    ----------
    left, right : Tensor (n_stimuli, n_columns)
    finish : callable
        (products, i, j), each (n_pairs of the block,), to (distance, whether too near for a product).
    direct : callable
        (i, j) to distance.
    symmetric : bool
        Whether left_i · right_j = left_j · right_i; otherwise both are added.

    Returns
    -------
    Tensor (n_pairs,) float64
    """
    import torch

    n = len(left)
    found = torch.empty(n * (n - 1) // 2, dtype=torch.float64)
    start = 0
    for row in range(0, n - 1, BLOCK):
        stop = min(row + BLOCK, n)
        products = left[row:stop] @ right[row:].T
        if not symmetric:
            products += right[row:stop] @ left[row:].T
        # Row-major upper triangle of the block: exactly the next stretch of the condensed order.
        i, j = torch.triu_indices(stop - row, n - row, 1)
        values, near = finish(products[i, j], i + row, j + row)
        _recompute(values, near, i + row, j + row, direct, left.shape[1])
        found[start : start + len(values)] = values
        start += len(values)
    return found


def _recompute(
    values: torch.Tensor,
    near: torch.Tensor,
    i: torch.Tensor,
    j: torch.Tensor,
    direct: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    n_columns: int,
) -> None:
    """Overwrite the near pairs of ``values`` by direct differences, a bounded number at a time."""
    where = near.nonzero()[:, 0]
    for part in where.split(max(1, CHUNK_VALUES // n_columns)):
        values[part] = direct(i[part], j[part])


METRICS: dict[str, Metric] = {
    "correlation": Metric(
        "Correlation distance",
        "1 − Pearson r",
        "Compares the shape of two patterns; ignores their mean and size.",
        _correlation,
    ),
    "cosine": Metric(
        "Cosine distance",
        "1 − cosine",
        "Compares the direction of two patterns; ignores their size.",
        _cosine,
    ),
    "euclidean": Metric(
        "Euclidean distance",
        "root mean square difference",
        "Root of the mean squared difference over units, in units of the response.",
        _euclidean,
    ),
    "sqeuclidean": Metric(
        "Squared Euclidean distance",
        "mean squared difference",
        "Mean squared difference over units (what rsatoolbox calls euclidean).",
        _sqeuclidean,
    ),
    "mahalanobis": Metric(
        "Mahalanobis distance",
        "squared distance ÷ units",
        "Squared distance after whitening with the noise precision, divided by the number of units.",
        _mahalanobis,
        uses_precision=True,
    ),
    "crossnobis": Metric(
        "Crossnobis distance",
        "cross-validated squared distance ÷ units",
        "Unbiased by noise: 0 on average without a difference, so negative values are right.",
        _crossnobis,
        uses_precision=True,
        needs_folds=True,
        takes_folds=True,
    ),
    "poisson": Metric(
        "Poisson KL distance",
        "symmetrised Kullback–Leibler divergence ÷ units",
        "For spike counts and rates; cross-validated when folds are given.",
        _poisson,
        non_negative=True,
        takes_folds=True,
    ),
}
"""Every metric by name."""
