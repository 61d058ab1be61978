r"""Similarity of RDMs: eight measures, the pooled RDM that each of them favours, and what is undefined.

x and y are condensed RDMs of P pairs of n stimuli, r their average ranks (mean rank (P + 1) / 2):

================  =================================================================================
cosine            x'y / (\|x\| \|y\|)
pearson           cosine after subtracting each mean [corr in rsatoolbox]
spearman          pearson of r
rho-a             12 sum (r_x - mean)(r_y - mean) / (P³ - P): no correction for ties
tau-a             (concordant - discordant) / (P (P - 1) / 2): no correction for ties
tau-b             the same over the geometric mean of the pairs not tied in x and in y
whitened-cosine   Frobenius cosine of the doubly centred matrices -HDH/2 [cosine_cov]; on squared
                  Euclidean RDMs this is linear CKA
whitened-pearson  the same after subtracting the mean of each vector [corr_cov]
================  =================================================================================

Sources: Nili et al. (2014), PLoS Comput. Biol. 10:e1003553 (tau-a, noise ceilings); Schütt et al. (2023),
eLife 12:e82566 (rho-a, bootstrap); Diedrichsen et al. (2021), Neurons Behav. Data Anal. Theory 5(3)
(whitening).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dashboard import errors
from dashboard.methods.condensed import n_stimuli, pair_indices

RANK_DIGITS = 12
"""Significant digits that two dissimilarities must differ in to have different ranks."""

FLAT = 1e-12
"""A vector whose variance is below this share of its raw sum of squares has none."""


@dataclass(frozen=True)
class Measure:
    """A way to compare two RDMs.

    Attributes
    ----------
    label, help : str
        For menus and axes; one sentence of explanation.
    family : str
        ``"linear"``, ``"whitened"``, ``"ranks"`` or ``"tau"``: how it is computed.
    centred : bool
        Whether a constant added to all dissimilarities changes nothing.
    ranked : bool
        Whether only the order of dissimilarities counts.
    tie_safe : bool
        Whether a model that predicts ties gains nothing by them.
    """

    label: str
    help: str
    family: Literal["linear", "whitened", "ranks", "tau"]
    centred: bool = True
    ranked: bool = False
    tie_safe: bool = True


MEASURES: dict[str, Measure] = {
    "pearson": Measure(
        "Pearson r",
        "Linear correlation of the dissimilarities; assumes that the model is on a ratio scale.",
        "linear",
    ),
    "spearman": Measure(
        "Spearman ρ",
        "Correlation of ranks, corrected for ties; favours models that predict many ties.",
        "ranks",
        ranked=True,
        tie_safe=False,
    ),
    "rho-a": Measure(
        "ρ-a",
        "Correlation of ranks without correction for ties; fair to models with ties.",
        "ranks",
        ranked=True,
    ),
    "tau-a": Measure(
        "τ-a",
        "Share of concordant minus discordant pairs of pairs; fair to models with ties; slow.",
        "tau",
        ranked=True,
    ),
    "tau-b": Measure(
        "τ-b",
        "Kendall's τ corrected for ties; favours models that predict many ties; slow.",
        "tau",
        ranked=True,
        tie_safe=False,
    ),
    "cosine": Measure(
        "cosine",
        "Angle of the dissimilarities without centring; for cross-validated distances.",
        "linear",
        centred=False,
    ),
    "whitened-cosine": Measure(
        "whitened cosine",
        "Cosine that allows for the dependence of dissimilarities on shared stimuli; linear CKA.",
        "whitened",
        centred=False,
    ),
    "whitened-pearson": Measure(
        "whitened Pearson r",
        "Pearson r that allows for the dependence of dissimilarities on shared stimuli.",
        "whitened",
    ),
}
"""Every measure by name."""


def lookup(measure: str) -> Measure:
    """Return the registry entry of a measure or raise `InputError`."""
    if measure not in MEASURES:
        raise errors.unknown("measure", measure, MEASURES)
    return MEASURES[measure]


# --- input ------------------------------------------------------------------------------------------------


def vectors(rdms: Any, what: str) -> np.ndarray:
    """Return condensed RDMs as (n_rdms, n_pairs) float64, NaN where a pair has no value.

    Raises
    ------
    InputError
        When they are no condensed RDMs, none, complex or infinite, or of fewer than 3 stimuli.
    """
    if hasattr(rdms, "detach"):
        rdms = rdms.detach().cpu().numpy()
    values = np.asarray(rdms)
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2) or 0 in values.shape:
        message = (
            f"The {what} must be condensed RDMs, RDM × pair, not {values.dtype} of shape {values.shape}."
        )
        raise errors.InputError(message)
    values = np.atleast_2d(values.astype(np.float64))
    if n_stimuli(values.shape[1]) < 3:
        message = f"The {what} have 2 stimuli: one dissimilarity cannot be compared."
        raise errors.InputError(message, "Give at least 3 stimuli.")
    if np.isinf(values).any():
        where = np.flatnonzero(np.isinf(values).any(1)).tolist()
        which = errors.listing(map(str, where))
        message = f"{len(where)} of {len(values)} {what} hold infinite dissimilarities (number {which})."
        raise errors.InputError(message, "Leave them out.")
    return values


def shared_pairs(*sets: np.ndarray) -> np.ndarray:
    """Return which pairs have a value in every RDM, (n_pairs,) bool; caution when some have not.

    Raises
    ------
    InputError
        When the sets are of different stimuli, or fewer than 3 pairs are left.
    """
    sizes = [s.shape[1] for s in sets]
    if len(set(sizes)) > 1:
        a, b = n_stimuli(sizes[0]), n_stimuli(next(s for s in sizes if s != sizes[0]))
        message = f"RDMs of {a} stimuli cannot be compared with RDMs of {b} stimuli."
        raise errors.InputError(message, "Give RDMs of the same stimuli in the same order.")
    missing = np.logical_or.reduce([np.isnan(s).any(0) for s in sets])
    count, total = int(missing.sum()), sizes[0]
    if total - count < 3:
        message = f"Only {total - count} of {total} pairs have a dissimilarity in every RDM."
        raise errors.InputError(message, "Leave out the stimuli or layers with constant patterns.")
    if count:
        errors.caution(
            "missing-pairs",
            f"{count} of {total} pairs of stimuli have no dissimilarity in at least one RDM "
            "and are left out of all.",
        )
    return ~missing


def significant(values: np.ndarray, digits: int | None) -> np.ndarray:
    """Round to so many significant digits, so that rounding noise of equal values makes no order."""
    if digits is None:
        return values
    with np.errstate(divide="ignore"):
        power = np.floor(np.log10(np.abs(values)))
    scale = 10.0 ** (digits - 1 - np.where(np.isfinite(power), power, 0.0))
    scaled = values * scale
    return np.where(np.isfinite(scaled), np.rint(scaled) / scale, values)


# --- similarity -------------------------------------------------------------------------------------------


def compare(a: np.ndarray, b: np.ndarray, measure: str, keep: np.ndarray, digits: int | None) -> np.ndarray:
    """Compare checked RDMs; NaN where undefined.

    Parameters
    ----------
    a, b : ndarray (n_a, n_kept), (n_b, n_kept)
        Only pairs that have a value everywhere.
    keep : ndarray (n_pairs,) bool
        Which pairs these are, of all.

    Returns
    -------
    ndarray (n_a, n_b)
    """
    entry = lookup(measure)
    if entry.ranked:
        a, b = ranks(a, digits), ranks(b, digits)
    if entry.family == "tau":
        return _taus(a, b, measure)
    if entry.family == "whitened" and keep.all():
        found = _whitened_products(a, b, entry)
        if found is not None:
            return found
    return products(_directions(a, measure, keep), _directions(b, measure, keep))


def directions(values: np.ndarray, measure: str, keep: np.ndarray, digits: int | None) -> np.ndarray:
    """Return vectors whose inner products are the similarities of `compare`; no tau has such vectors.

    Parameters
    ----------
    values : ndarray (n, n_kept)
    measure, keep, digits
        As in `compare`.

    Returns
    -------
    ndarray (n, n_kept), of whitened measures (n, n_kept + n_stimuli) with the diagonal at the end
        NaN for RDMs without variance.
    """
    ranked = lookup(measure).ranked
    return _directions(ranks(values, digits) if ranked else values, measure, keep)


def _directions(values: np.ndarray, measure: str, keep: np.ndarray) -> np.ndarray:
    """Return `directions` of values that are ranks already where the measure wants ranks."""
    if measure == "rho-a":
        p = float(values.shape[1])
        return (values - (p + 1) / 2) * np.sqrt(12.0 / (p**3 - p))
    return _units(values, lookup(measure), keep)


def ranks(values: np.ndarray, digits: int | None) -> np.ndarray:
    """Return average ranks along the last axis of (n, p), from 1.

    Where all neighbours in order are further apart than rounding could bring them, the order gives the
    ranks; only other rows are rounded and their ties averaged.
    """
    from scipy.stats import rankdata

    rows = np.atleast_2d(values)
    order = np.argsort(rows, axis=-1)
    ordered = np.take_along_axis(rows, order, -1)
    step = 0.0 if digits is None else 10.0 ** (1 - digits)
    size = np.maximum(np.abs(ordered[:, 1:]), np.abs(ordered[:, :-1]))
    plain = (np.diff(ordered, axis=-1) > step * size).all(-1)
    found = np.empty(rows.shape)
    np.put_along_axis(found, order, np.arange(1.0, rows.shape[-1] + 1)[None], -1)
    if not plain.all():
        found[~plain] = rankdata(significant(rows[~plain], digits), axis=-1)
    return found.reshape(np.shape(values))


def _units(values: np.ndarray, entry: Measure, keep: np.ndarray) -> np.ndarray:
    """Return the vectors whose inner products are the similarities; NaN for those without variance."""
    raw = np.einsum("rp,rp->r", values, values)
    if entry.centred:
        values = values - values.mean(1, keepdims=True)
    if entry.family == "whitened":
        values = _whitened(values, keep)
    squares = np.einsum("rp,rp->r", values, values)
    norms = np.sqrt(np.where(squares > FLAT**2 * raw, squares, np.nan))
    return values / norms[:, None]


def _whitened(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return vectors whose inner products are those of the doubly centred matrices -D/2.

    Double centring is the least-squares fit of row effects e_i + e_j to the matrix, subtracted; with pairs
    missing the fit goes over the remaining ones and the diagonal, as in rsatoolbox.
    """
    from dashboard.methods.triangles import row_sums

    n = n_stimuli(len(keep))
    i, j = (index[keep] for index in pair_indices(n))
    half = -values / 2
    if keep.all():  # the matrix of the fit is n I + 1 1'
        sums, _ = row_sums(half, n)
        effects = sums / n - sums.sum(1, keepdims=True) / (2 * n**2)
    else:
        normal = np.zeros((n, n))
        normal[i, j] = normal[j, i] = 1.0
        normal[np.diag_indices(n)] = normal.sum(1) + 2.0
        sums = np.array([np.bincount(i, row, n) + np.bincount(j, row, n) for row in half])
        effects = np.linalg.solve(normal, sums.T).T
    off = half - effects[:, i] - effects[:, j]
    return np.concatenate([np.sqrt(2.0) * off, -2.0 * effects], axis=1)


LITTLE_LEFT = 1e-6
"""Share of a squared norm that must be left after centring for sums of products to be exact enough."""


def whitened_as_given(rdms_a: Any, rdms_b: Any, measure: str) -> np.ndarray | None:
    """Compare sets of RDMs by a whitened measure without looking at them first.

    Every pass over the numbers costs as much as the comparison, so that gaps, infinite values and RDMs
    without variance are seen in its result.

    Returns
    -------
    ndarray (n_a, n_b) or None
        None where the input needs checks, words or more care: then go through `vectors` and `compare`.
    """
    entry = lookup(measure)
    sets = (rdms_a, rdms_b)
    plain = all(isinstance(s, np.ndarray) and s.dtype == np.float64 and s.ndim == 2 for s in sets)
    if entry.family != "whitened" or not plain or 0 in (rdms_a.size, rdms_b.size):
        return None
    if rdms_a.shape[1] != rdms_b.shape[1] or n_stimuli(rdms_a.shape[1]) < 3:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        a, b = (np.require(s, requirements=("C", "W")) for s in sets)
        return _whitened_products(a, b, entry)


def _whitened_products(a: np.ndarray, b: np.ndarray, entry: Measure) -> np.ndarray | None:
    """Compare complete RDMs without centring a matrix; None where too few digits would be left.

    Of matrices D and E with row sums s and r and totals t and u, double centring leaves the product
    <D, E> - 2 s'r / n + t u / n² (Diedrichsen et al. 2021): products of the vectors and of few sums.
    """
    from dashboard.methods.triangles import row_sums

    n, m = n_stimuli(a.shape[1]), len(a)
    sizes = None
    if entry.centred:
        sizes = np.concatenate([np.linalg.vecdot(a, a), np.linalg.vecdot(b, b)])
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    sums, squares = (np.concatenate(both) for both in zip(row_sums(a, n), row_sums(b, n), strict=True))
    sizes = squares if sizes is None else sizes
    totals = sums.sum(1) / n
    left = 2 * squares - 2 / n * np.linalg.vecdot(sums, sums) + totals**2
    if not (left > LITTLE_LEFT * sizes).all():  # nor where it is NaN
        return None
    found = products(a, b)
    found *= 2
    found -= (2 / n * sums[:m]) @ sums[m:].T
    found += totals[:m, None] * totals[m:]
    norms = np.sqrt(left)
    found /= norms[:m, None] * norms[m:]
    return found


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner products (n_a, n_b) of writable rows; torch's way with few long rows is the faster."""
    import torch

    found: np.ndarray = (torch.from_numpy(a) @ torch.from_numpy(b).T).numpy()
    return found


def _taus(a: np.ndarray, b: np.ndarray, measure: str) -> np.ndarray:
    return np.array([[kendall(x, y, measure) for y in b] for x in a])


def kendall(x: np.ndarray, y: np.ndarray, measure: str) -> float:
    """Return Kendall's tau of two vectors; tau-b is NaN when one of them has no two different values.

    scipy gives tau-b, of which concordant - discordant is an exact whole number again after rounding.
    """
    from scipy.stats import kendalltau

    pairs = len(x) * (len(x) - 1) // 2
    untied = float(pairs - _tied(x)), float(pairs - _tied(y))
    if min(untied) == 0:
        return 0.0 if measure == "tau-a" else np.nan
    tau_b = float(kendalltau(x, y, method="asymptotic").statistic)
    if measure == "tau-b":
        return tau_b
    return round(tau_b * untied[0] ** 0.5 * untied[1] ** 0.5) / pairs


def _tied(x: np.ndarray) -> int:
    """Count the pairs of equal values."""
    counts = np.unique(x, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


# --- pooled RDM -------------------------------------------------------------------------------------------


def pool(rdms: np.ndarray, measure: str, digits: int | None) -> np.ndarray:
    """Return the one RDM that is on average most similar to all, (n_pairs,); input without NaN.

    Mean of RDMs scaled to unit mean square (cosine), of z-scored RDMs (pearson), or of ranks. For tau the
    mean of ranks is only close to the best.
    """
    entry = lookup(measure)
    if entry.ranked:
        return ranks(rdms, digits).sum(0)  # a sum of half-integers is exact, so ties stay ties
    if entry.centred:
        rdms = rdms - rdms.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):  # an RDM without variance makes the pool undefined
        return (rdms / np.sqrt(np.mean(rdms**2, axis=1, keepdims=True))).mean(0)
