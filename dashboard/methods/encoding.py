"""How well features of a network predict single units: ridge and PLS regression with nested cross-validation.

Every penalty is chosen per unit, inside the training stimuli of its fold, by a second cross-validation; a
stimulus is never predicted by a model that saw it. All penalties and units share one decomposition per fold
(Hastie & Tibshirani 2004, Biostatistics 5:329). Imports torch on use; all arithmetic is in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import InputError

if TYPE_CHECKING:
    import torch

Report = Callable[[float], None]

ALPHAS = tuple(10.0**k for k in range(-5, 5))
"""Penalties tried, in units of the number of features: 1 shrinks the average direction by about half."""

INNER_FOLDS = 5
"""Parts into which the training stimuli of a fold are split to choose the penalty."""

PLS_COMPONENTS = 25
"""As Brain-Score's PLS regression (Schrimpf et al. 2018)."""

LEAST_RELIABILITY = 0.1
"""Below this a unit's noise ceiling is too uncertain to divide by."""

_TARGETS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Encoding:
    """Held-out predictions of every unit.

    Attributes
    ----------
    predicted : np.ndarray
        (n_stimuli, n_units) what was predicted, less the mean response of the training stimuli.
    observed : np.ndarray
        (n_stimuli, n_units) the responses, less the same means.
    alpha : np.ndarray
        (n_folds, n_units) penalties that were chosen, per feature; NaN for PLS.
    inner : np.ndarray
        (n_folds, n_units) mean R² over the inner folds with the chosen penalty; choosing a model by it uses
        no stimulus of the fold.
    mix : np.ndarray
        (n_folds, n_units, n_bands) weights of the bands, summing to 1.
    parts : np.ndarray
        (n_bands, n_stimuli, n_units) what each band adds to `predicted`; empty unless asked for.
    """

    predicted: np.ndarray
    observed: np.ndarray
    alpha: np.ndarray
    inner: np.ndarray
    mix: np.ndarray
    parts: np.ndarray


# --- folds ------------------------------------------------------------------------------------------------


def folds(n: int, n_folds: int = 5, seed: int = 0) -> np.ndarray:
    """Return the fold of each stimulus, (n,) from 0, as scikit-learn's shuffled KFold gives them.

    Raises
    ------
    InputError
        When there are too few stimuli for folds with an inner cross-validation.
    """
    if n_folds < 2 or n < 2 * n_folds:
        message = f"{n} stimuli cannot be split into {n_folds} folds of at least two."
        raise InputError(message, "Ask for 2 folds or more, and for at least twice as many stimuli.")
    found = np.empty(n, dtype=np.int64)
    for k, test in enumerate(_parts(n, n_folds, seed)):
        found[test] = k
    return found


def _parts(n: int, n_folds: int, seed: int) -> list[np.ndarray]:
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)  # noqa: NPY002 - the order of scikit-learn's KFold
    return [np.sort(part) for part in np.array_split(order, n_folds)]


# --- ridge ------------------------------------------------------------------------------------------------


def ridge(
    bands: Sequence[np.ndarray],
    responses: np.ndarray,
    fold: np.ndarray,
    *,
    alphas: Sequence[float] = ALPHAS,
    mixes: int = 20,
    seed: int = 0,
    split: bool = False,
    device: str = "cpu",
    report: Report | None = None,
) -> Encoding:
    """Predict units by ridge regression; with several bands of features each gets a weight of its own.

    Features are standardised with the training stimuli's means and deviations. With one band this is
    scikit-learn's ``RidgeCV(alphas * n_features, cv=KFold)`` of every unit. With several, the kernel is
    sum_b w_b Z_b Z_b' / n_features_b, and weights w and penalty are chosen together by random search
    (banded ridge: Nunez-Elizalde, Huth & Gallant 2019, NeuroImage 197:482; Dupré la Tour et al. 2022,
    NeuroImage 264:119728).

    Parameters
    ----------
    bands : sequence of np.ndarray
        (n_stimuli, n_features) each.
    responses : np.ndarray
        (n_stimuli, n_units).
    fold : np.ndarray
        (n_stimuli,) of `folds`.
    alphas : sequence of float
        Positive penalties per feature.
    mixes : int
        How many weightings of the bands are tried, equal weights and each band alone among them.
    seed : int
        Of inner folds and weightings.
    split : bool
        Return what each band adds to the predictions.
    device : str
        Where torch computes.
    report : callable, optional
        Takes the fraction that is done.

    Raises
    ------
    InputError
        When sizes do not fit, a number is not finite, or a penalty is not positive.
    """
    import torch

    x = [_checked(band, responses, fold) for band in bands]
    y = np.asarray(responses, dtype=np.float64)
    penalties = torch.tensor(_checked_alphas(alphas), dtype=torch.float64, device=device)
    weights = weightings(len(x), mixes, seed)
    parts = np.unique(fold)
    n_units, n_bands = y.shape[1], len(x)
    found = Encoding(
        np.empty_like(y),
        np.empty_like(y),
        np.empty((len(parts), n_units)),
        np.full((len(parts), n_units), -np.inf),
        np.full((len(parts), n_units, n_bands), np.nan),
        np.zeros((n_bands, *y.shape) if split else (0, 0, 0)),
    )
    steps = _Steps(len(parts) * len(weights) * (INNER_FOLDS + 1), report)
    for f, here in enumerate(parts):
        test, train = np.flatnonzero(fold == here), np.flatnonzero(fold != here)
        mean = y[train].mean(axis=0)
        found.observed[test] = y[test] - mean
        problem = _Problem(x, train, test, device)
        goals = torch.as_tensor(y[train] - mean, device=device)
        for weight in weights:
            _try(problem, goals, weight, penalties, seed, (f, test), found, steps)
    return found


class _Steps:
    """Counts decompositions for a progress report."""

    def __init__(self, total: int, report: Report | None) -> None:
        self.total, self.done, self.report = total, 0, report

    def step(self) -> None:
        self.done += 1
        if self.report is not None:
            self.report(min(1.0, self.done / self.total))


def weightings(n_bands: int, n: int, seed: int = 0) -> np.ndarray:
    """Return weights of bands to try, (n, n_bands): equal ones, each alone, then Dirichlet draws.

    Half of the draws are sparse (concentration 0.3), half even (1), as in Dupré la Tour et al. (2022).
    """
    if n_bands == 1:
        return np.ones((1, 1))
    random = np.random.default_rng([seed, 0xBA2D])
    fixed = np.concatenate([np.full((1, n_bands), 1 / n_bands), np.eye(n_bands)])
    concentration = (0.3, 1.0)
    drawn = [random.dirichlet(np.full(n_bands, concentration[k % 2])) for k in range(max(0, n - len(fixed)))]
    return np.concatenate([fixed, np.array(drawn).reshape(-1, n_bands)])


def _try(
    problem: _Problem,
    goals: torch.Tensor,
    weight: np.ndarray,
    alphas: torch.Tensor,
    seed: int,
    place: tuple[int, np.ndarray],
    found: Encoding,
    steps: _Steps,
) -> None:
    """Fit one weighting of the bands in one fold and keep it for the units that it suits better so far."""
    import torch

    f, test = place
    side = problem.weighted(weight)
    n = len(goals)
    inner = _parts(n, min(INNER_FOLDS, n), seed)
    scores = torch.zeros((len(alphas), goals.shape[1]), dtype=goals.dtype, device=goals.device)
    for held in inner:
        rest = np.setdiff1d(np.arange(n), held)
        scores += _inner_scores(side, goals, rest, held, alphas) / len(inner)
        steps.step()
    best, choice = scores.max(dim=0)
    better = np.flatnonzero(best.cpu().numpy() > found.inner[f])
    if not len(better):
        steps.step()
        return
    index = _long(better, goals.device)
    alpha = alphas[choice[index]]
    predicted, parts = problem.predict(side, goals[:, index], alpha, weight if found.parts.size else None)
    found.predicted[np.ix_(test, better)] = predicted
    found.inner[f, better] = best[index].cpu().numpy()
    found.alpha[f, better] = alpha.cpu().numpy()
    found.mix[f, better] = weight
    for b, part in enumerate(parts):
        found.parts[b][np.ix_(test, better)] = part
    steps.step()


def _long(index: np.ndarray, device: torch.device) -> torch.Tensor:
    import torch

    return torch.as_tensor(index, device=device)


def _inner_scores(
    side: _Side, goals: torch.Tensor, rest: np.ndarray, held: np.ndarray, alphas: torch.Tensor
) -> torch.Tensor:
    """Return R² of each penalty and unit on the held part of the training stimuli, (n_alphas, n_units)."""
    import torch

    values, seen, inside = side.decomposed(rest, held)
    found = torch.empty((len(alphas), goals.shape[1]), dtype=goals.dtype, device=goals.device)
    a, b = _long(rest, goals.device), _long(held, goals.device)
    for start in range(0, goals.shape[1], _TARGETS_AT_ONCE):
        part = goals[:, start : start + _TARGETS_AT_ONCE]
        mean = part[a].mean(dim=0)
        z = inside(part[a] - mean)
        truth = part[b]
        spread = ((truth - truth.mean(dim=0)) ** 2).sum(dim=0)
        left = truth - mean
        for k, alpha in enumerate(alphas):
            missed = ((left - seen @ (z / (values + alpha)[:, None])) ** 2).sum(dim=0)
            # As scikit-learn's r2_score: responses that do not vary give 0.
            score = torch.where(spread > 0, 1 - missed / spread, torch.zeros_like(missed))
            found[k, start : start + _TARGETS_AT_ONCE] = score
    return found


class _Problem:
    """The standardised features of one fold, per band, and its kernels."""

    def __init__(self, bands: Sequence[np.ndarray], train: np.ndarray, test: np.ndarray, device: str) -> None:
        import torch

        self.train: list[torch.Tensor] = []
        self.test: list[torch.Tensor] = []
        for band in bands:
            x = torch.as_tensor(band, dtype=torch.float64, device=device)
            a, b = x[_long(train, x.device)], x[_long(test, x.device)]
            mean, scale = _standard(a)
            width = band.shape[1] ** 0.5
            self.train.append((a - mean) / (scale * width))
            self.test.append((b - mean) / (scale * width))
        self.dual = sum(t.shape[1] for t in self.train) >= len(train)
        self.kernels = (
            [(a @ a.T, b @ a.T) for a, b in zip(self.train, self.test, strict=True)] if self.dual else []
        )

    def weighted(self, weight: np.ndarray) -> _Side:
        """Return the features or kernels of one weighting of the bands."""
        import torch

        if self.dual:
            own = sum((float(w) * k[0] for w, k in zip(weight, self.kernels, strict=True)), start=0.0)
            new = sum((float(w) * k[1] for w, k in zip(weight, self.kernels, strict=True)), start=0.0)
            return _Kernel(own, new)  # type: ignore[arg-type]
        roots = [float(w) ** 0.5 for w in weight]
        return _Features(
            torch.cat([w * a for w, a in zip(roots, self.train, strict=True)], dim=1),
            torch.cat([w * a for w, a in zip(roots, self.test, strict=True)], dim=1),
        )

    def predict(
        self, side: _Side, goals: torch.Tensor, alpha: torch.Tensor, weight: np.ndarray | None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Fit all training stimuli with each unit's penalty; predict the fold, and by band when asked."""
        values, seen, inside = side.decomposed(None, None)
        shrunk = inside(goals) / (values[:, None] + alpha)
        predicted = (seen @ shrunk).cpu().numpy()
        if weight is None:
            return predicted, []
        return predicted, [part.cpu().numpy() for part in side.by_band(shrunk, weight, self)]


class _Side:
    """Features or kernels of one fold, ready to be decomposed for any part of its training stimuli."""

    def decomposed(
        self, rest: np.ndarray | None, held: np.ndarray | None
    ) -> tuple[torch.Tensor, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        """Return eigenvalues (k,), features of the held stimuli (n_held, k), and how to bring goals there.

        Predictions with penalty a are ``features @ (inside(goals) / (values + a))``. Without ``rest`` and
        ``held`` all training stimuli are fitted and those of the fold are predicted.
        """
        raise NotImplementedError

    def by_band(self, shrunk: torch.Tensor, weight: np.ndarray, problem: _Problem) -> Iterator[torch.Tensor]:
        """Yield what each band adds to the predictions of the fold."""
        raise NotImplementedError


class _Kernel(_Side):
    """Inner products of stimuli, for more features than stimuli."""

    def __init__(self, own: torch.Tensor, new: torch.Tensor) -> None:
        self.own, self.new = own, new

    def decomposed(self, rest: Any, held: Any) -> Any:
        import torch

        if rest is None:
            own, new = self.own, self.new
        else:
            a, b = _long(rest, self.own.device), _long(held, self.own.device)
            own, new = self.own[a][:, a], self.own[b][:, a]
        rows, whole = own.mean(dim=0), own.mean()
        values, vectors = torch.linalg.eigh(own - rows[:, None] - rows + whole)
        # The stimuli that are held out are centred with the training stimuli's mean.
        seen = (new - new.mean(dim=1, keepdim=True) - rows + whole) @ vectors
        if rest is None:
            self.vectors = vectors
        return values.clamp(min=0), seen, lambda goals: vectors.T @ goals

    def by_band(self, shrunk: torch.Tensor, weight: np.ndarray, problem: _Problem) -> Iterator[torch.Tensor]:
        dual = self.vectors @ shrunk
        for w, (_, new) in zip(weight, problem.kernels, strict=True):
            # Standardised features have mean 0 over training stimuli, so no further centring is needed.
            yield float(w) * (new @ dual)


class _Features(_Side):
    """Features themselves, for fewer of them than stimuli."""

    def __init__(self, own: torch.Tensor, new: torch.Tensor) -> None:
        self.own, self.new = own, new

    def decomposed(self, rest: Any, held: Any) -> Any:
        import torch

        if rest is None:
            own, new = self.own, self.new
        else:
            own, new = self.own[_long(rest, self.own.device)], self.own[_long(held, self.own.device)]
        mean = own.mean(dim=0)
        own = own - mean
        values, vectors = torch.linalg.eigh(own.T @ own)
        if rest is None:
            self.vectors = vectors
        return values.clamp(min=0), (new - mean) @ vectors, lambda goals: vectors.T @ (own.T @ goals)

    def by_band(self, shrunk: torch.Tensor, weight: np.ndarray, problem: _Problem) -> Iterator[torch.Tensor]:
        weights = self.vectors @ shrunk
        start = 0
        for part in problem.test:
            stop = start + part.shape[1]
            yield self.new[:, start:stop] @ weights[start:stop]
            start = stop


def _standard(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return means and deviations; a feature that never changes is only centred, as in scikit-learn."""
    import torch

    mean, scale = a.mean(dim=0), a.std(dim=0, correction=0)
    least = 10 * torch.finfo(torch.float64).eps * mean.abs().clamp(min=1e-300)
    return mean, torch.where(scale <= least, torch.ones_like(scale), scale)


def _checked(features: np.ndarray, responses: np.ndarray, fold: np.ndarray) -> np.ndarray:
    x = np.asarray(features)
    if x.ndim != 2 or not len(x) == len(responses) == len(fold):
        message = f"There are features of {len(x)} stimuli for responses to {len(responses)}."
        raise InputError(message, "Give both for the same stimuli in the same order.")
    if not np.isfinite(x).all():
        raise InputError("Some features are no numbers.", "Check the network's weights.")
    if not np.isfinite(responses).all():
        raise InputError("Some responses are no numbers.", "Leave out units with missing responses.")
    return x


def _checked_alphas(alphas: Sequence[float]) -> list[float]:
    found = [float(a) for a in alphas]
    if not found or not all(np.isfinite(a) and a > 0 for a in found):
        raise InputError("Penalties must be positive numbers.", "Leave them out for ten from 1e-5 to 1e4.")
    return found


# --- partial least squares --------------------------------------------------------------------------------


def pls(
    features: np.ndarray,
    responses: np.ndarray,
    fold: np.ndarray,
    *,
    components: int = PLS_COMPONENTS,
    report: Report | None = None,
) -> Encoding:
    """Predict units by partial least squares, as Brain-Score does: all units share the components.

    scikit-learn's ``PLSRegression(components, scale=False)``; features are first turned into the space that
    the training stimuli span, which changes no prediction. One stimulus less than the training set has, or
    the number of features, bounds the components.
    """
    from sklearn.cross_decomposition import PLSRegression

    x = np.asarray(_checked(features, responses, fold), dtype=np.float64)
    y = np.asarray(responses, dtype=np.float64)
    parts = np.unique(fold)
    nothing = np.full((len(parts), y.shape[1]), np.nan)
    found = Encoding(
        np.empty_like(y), np.empty_like(y), nothing, nothing.copy(), nothing[:, :, None], np.zeros((0, 0, 0))
    )
    for f, here in enumerate(parts):
        test = fold == here
        centre, mean = x[~test].mean(axis=0), y[~test].mean(axis=0)
        a, b = x[~test] - centre, x[test] - centre
        if a.shape[1] > len(a):
            basis = np.linalg.qr(a.T)[0]
            a, b = a @ basis, b @ basis
        goals = y[~test] - mean
        rank = int(np.linalg.matrix_rank(a))
        n = min(components, rank, len(a) - 1)
        found.observed[test] = y[test] - mean
        found.predicted[test] = 0.0
        if n and goals.any():
            fit = PLSRegression(n_components=n, scale=False).fit(a, goals)
            found.predicted[test] = fit.predict(b).reshape(len(b), -1)
        # The penalty is fixed; which layer suits a unit is told by its fit to the training stimuli's parts.
        found.inner[f] = _pls_inner(a, goals, components)
        if report is not None:
            report((f + 1) / len(parts))
    return found


def _pls_inner(x: np.ndarray, y: np.ndarray, components: int) -> np.ndarray:
    """Return the mean R² of each unit over inner folds, (n_units,)."""
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.metrics import r2_score

    inner = _parts(len(x), min(INNER_FOLDS, len(x)), 0)
    scores = np.zeros(y.shape[1])
    for held in inner:
        rest = np.setdiff1d(np.arange(len(x)), held)
        n = min(components, int(np.linalg.matrix_rank(x[rest] - x[rest].mean(axis=0))), len(rest) - 1)
        said = np.broadcast_to(y[rest].mean(axis=0), (len(held), y.shape[1]))
        if n and (y[rest] != y[rest[0]]).any():
            fit = PLSRegression(n_components=n, scale=False).fit(x[rest], y[rest])
            said = fit.predict(x[held]).reshape(len(held), -1)
        scores += r2_score(y[held], said, multioutput="raw_values") / len(inner)
    return scores


# --- scores -----------------------------------------------------------------------------------------------


def correlations(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return Pearson's r of each unit over stimuli, (n_units,); NaN where either side does not vary."""
    a, b = observed - observed.mean(axis=0), predicted - predicted.mean(axis=0)
    spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12 * _size(observed, predicted), (a * b).sum(axis=0) / spread, np.nan)


def _size(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.sqrt((observed**2).sum(axis=0) * (predicted**2).sum(axis=0)) + 1e-300


def explained(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return R² of each unit against its training means, (n_units,): 1 − Σ(y − ŷ)² / Σ(y − ȳ)²."""
    total = (observed**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 1 - ((observed - predicted) ** 2).sum(axis=0) / total, np.nan)


def shares(observed: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Split R² among bands, (n_bands, n_units), summing to it: Σ ŷ_b (2y − ŷ) / Σ y² (product measure).

    Parameters
    ----------
    observed : np.ndarray
        (n_stimuli, n_units).
    parts : np.ndarray
        (n_bands, n_stimuli, n_units) of `ridge`.

    Notes
    -----
    Pratt (1987); as in Dupré la Tour et al. (2022), equation 15.
    """
    whole = parts.sum(axis=0)
    total = (observed**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (parts * (2 * observed - whole)).sum(axis=1) / total, np.nan)


def partition(r2: dict[frozenset[int], np.ndarray], n: int) -> dict[frozenset[int], np.ndarray]:
    """Return unique and common variance of models from R² of every union of them (commonality analysis).

    The part that exactly the members of S explain together, and no other model does, is
    −Σ_{T ⊆ S} (−1)^|T| R²(T ∪ rest) with R²(∅) = 0 (Seibold & McPhee 1979). Parts may be negative; they sum
    to R² of all models.

    Parameters
    ----------
    r2 : dict
        R² (n_units,) by set of models, for every non-empty set out of ``range(n)``.
    n : int
        Number of models.
    """
    everything = frozenset(range(n))
    found = {}
    for size in range(1, n + 1):
        for members in map(frozenset, itertools.combinations(range(n), size)):
            total = np.zeros_like(r2[everything])
            for union, sign in _unions(members, everything - members):
                total -= sign * r2[union] if union else 0.0
            found[members] = total
    return found


def _unions(members: frozenset[int], rest: frozenset[int]) -> Iterator[tuple[frozenset[int], int]]:
    """Yield every T ∪ rest of T ⊆ members with the sign (−1)^|T|."""
    for k in range(len(members) + 1):
        for some in itertools.combinations(sorted(members), k):
            yield rest | set(some), (-1) ** k


# --- noise ------------------------------------------------------------------------------------------------


def reliability(repeats: np.ndarray, *, splits: int = 50, seed: int = 0) -> np.ndarray:
    """Return the reliability of each unit's mean over repeats, (n_units,), by split halves.

    Repeats are split in two halves in every way, or in ``splits`` random ways where there are more; Pearson
    correlations over stimuli between the means of halves are averaged and brought to all repeats by the
    Spearman–Brown formula, m r / (1 + (m − 1) r) with m = n_repeats / half (Spearman 1910; Brown 1910). Its
    root is the largest correlation that a model can have with the mean response.

    Parameters
    ----------
    repeats : np.ndarray
        (n_repeats, n_stimuli, n_units).

    Raises
    ------
    InputError
        With fewer than two repeats.
    """
    n = len(repeats)
    if n < 2:
        raise InputError("Without repeats there is no noise ceiling.", "Record every stimulus twice or more.")
    half = n // 2
    found = np.zeros(repeats.shape[2])
    halves = _halves(n, half, splits, seed)
    for one, other in halves:
        found += correlations(repeats[list(one)].mean(axis=0), repeats[list(other)].mean(axis=0)) / len(
            halves
        )
    m = n / half
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(found > -0.5, m * found / (1 + (m - 1) * found), np.nan)


def _halves(n: int, half: int, splits: int, seed: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return pairs of disjoint halves of ``half`` repeats each."""
    random = np.random.default_rng([seed, 0x5B])
    if n <= 8:
        pairs = [
            (one, other)
            for one in itertools.combinations(range(n), half)
            for other in itertools.combinations(sorted(set(range(n)) - set(one)), half)
            if one < other
        ]
        if len(pairs) <= splits:
            return pairs
    orders = [random.permutation(n).tolist() for _ in range(splits)]
    return [(tuple(order[:half]), tuple(order[half : 2 * half])) for order in orders]


def ceilings(reliable: np.ndarray) -> np.ndarray:
    """Return the largest correlation that a model can reach, (n_units,); NaN below `LEAST_RELIABILITY`."""
    with np.errstate(invalid="ignore"):
        return np.where(reliable >= LEAST_RELIABILITY, np.sqrt(np.clip(reliable, 0, 1)), np.nan)


def resampled(encoding: Encoding, groups: Sequence[np.ndarray], *, n: int = 200, seed: int = 0) -> np.ndarray:
    """Return the median r of groups of units in bootstrap samples of the stimuli, (n, n_groups).

    Held-out predictions are drawn again, models are not fitted again; a stimulus drawn twice adds nothing
    to a correlation but weight. The same seed draws the same stimuli, so that layers can be compared.

    Parameters
    ----------
    encoding : Encoding
    groups : sequence of np.ndarray
        Positions of the units of each group.
    """
    observed, predicted = encoding.observed, encoding.predicted
    rows = len(observed)
    random = np.random.default_rng([seed, 0xB007])
    counts = np.stack([np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(n)])
    weight = counts / rows
    centre, middle = observed.mean(axis=0), predicted.mean(axis=0)
    a, b = observed - centre, predicted - middle  # for digits only: moments below are taken again
    found = np.empty((n, len(groups)))
    r = np.empty((n, observed.shape[1]))
    for start in range(0, observed.shape[1], _TARGETS_AT_ONCE):
        part = slice(start, start + _TARGETS_AT_ONCE)
        x, y = a[:, part], b[:, part]
        mx, my = weight @ x, weight @ y
        vx, vy = weight @ x**2 - mx**2, weight @ y**2 - my**2
        with np.errstate(invalid="ignore", divide="ignore"):
            r[:, part] = (weight @ (x * y) - mx * my) / np.sqrt(vx * vy)
    for g, units in enumerate(groups):
        found[:, g] = _median(r[:, units])
    return found


def _median(values: np.ndarray) -> np.ndarray:
    """Return medians of rows over what is finite, NaN where nothing is."""
    clean = np.where(np.isfinite(values), values, np.nan)
    whole = np.isfinite(clean).any(axis=1)
    found = np.full(len(clean), np.nan)
    found[whole] = np.nanmedian(clean[whole], axis=1)
    return found


def operations(n_stimuli: int, n_features: int, n_units: int, n_folds: int, n_alphas: int) -> float:
    """Return about how many floating-point operations `ridge` of one layer needs, for a forecast."""
    train = n_stimuli * (1 - 1 / n_folds)
    inner = train * (1 - 1 / INNER_FOLDS)
    size = min(inner, n_features)
    kernel = 2 * n_stimuli * train * n_features
    decomposed = INNER_FOLDS * 22 * size**3
    tried = INNER_FOLDS * 2 * size * n_units * (inner + n_alphas * train / INNER_FOLDS)
    return n_folds * (kernel + decomposed + tried)
