"""What can be read out of patterns: cross-validated decoders with a permutation null.

Ridge: the penalty is chosen inside each training set by leave-one-out error, and permutations share one
decomposition per fold, so that hundreds cost little more than one. Logistic regression, a linear support
vector machine and a small network stand beside it. Features are standardised with the training set's means
and deviations, and every permutation goes through all of this again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dashboard.errors import InputError
from dashboard.methods.classification import angle_errors, orientations

Task = Literal["classes", "orientation", "number"]
Model = Literal["ridge", "logistic", "svm", "mlp"]
CLASSIFIERS = ("logistic", "svm")
"""Models that decode classes only."""
HIDDEN, STEPS, RATE, DECAY = 32, 200, 0.01, 0.01
"""Of the network: hidden units, steps, learning rate and weight decay."""
ALPHAS = tuple(float(a) for a in np.logspace(-2, 6, 9))
"""Penalties tried."""

_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Decoding:
    """Cross-validated predictions of one set of patterns.

    Attributes
    ----------
    predicted : np.ndarray
        (n_stimuli,) the held-out prediction of each stimulus: position of a class, degrees, or the number.
    score : float
        Accuracy; mean absolute error in degrees; or the share of variance explained, R².
    null : np.ndarray
        (n_permutations,) scores with shuffled labels.
    alpha : np.ndarray
        (n_folds,) penalties that were chosen.
    """

    predicted: np.ndarray
    score: float
    null: np.ndarray
    alpha: np.ndarray


def folds(labels: np.ndarray | None, n: int, n_folds: int = 5, seed: int = 0) -> np.ndarray:
    """Return the fold of each stimulus, (n,) from 0; classes are spread evenly over folds when given.

    Parameters
    ----------
    labels : np.ndarray or None
        (n,) positions of classes.
    n : int
        Number of stimuli.
    n_folds, seed : int

    Raises
    ------
    InputError
        When there are fewer stimuli, or fewer of a class, than folds.
    """
    if not 2 <= n_folds <= n:
        message = f"{n} stimuli cannot be split into {n_folds} folds."
        raise InputError(message, "Ask for 2 folds or more, and no more than there are stimuli.")
    if labels is None:
        from sklearn.model_selection import KFold

        splitter = KFold(n_folds, shuffle=True, random_state=seed).split(np.zeros(n))
    else:
        from sklearn.model_selection import StratifiedKFold

        few = np.bincount(labels)
        if few[few > 0].min() < n_folds:
            message = f"The smallest class has {few[few > 0].min()} stimuli, fewer than the {n_folds} folds."
            raise InputError(message, "Ask for fewer folds, or for stimuli with more of each class.")
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(np.zeros(n), labels)
    found = np.empty(n, dtype=np.int64)
    for k, (_, test) in enumerate(splitter):
        found[test] = k
    return found


def decode(
    patterns: np.ndarray,
    target: np.ndarray,
    task: Task,
    fold: np.ndarray,
    *,
    permutations: int = 0,
    seed: int = 0,
    model: Model = "ridge",
    report: Callable[[float], None] | None = None,
) -> Decoding:
    """Decode a target from patterns.

    Parameters
    ----------
    patterns : np.ndarray
        (n_stimuli, n_units).
    target : np.ndarray
        (n_stimuli,) positions of classes, degrees of orientation [0, 180), or numbers.
    task : "classes", "orientation" or "number"
        Orientations are decoded as cosine and sine of twice the angle.
    fold : np.ndarray
        (n_stimuli,) of `folds`; a stimulus is never predicted by a decoder that saw it.
    permutations : int
        How often the labels are shuffled within folds.
    seed : int
        Of the shuffles; the same for every set of patterns, so that maxima over sets can be taken. Also of
        the network's first weights.
    model : "ridge", "logistic", "svm" or "mlp"
        Logistic regression and a support vector machine decode classes only.

    Returns
    -------
    Decoding

    Raises
    ------
    InputError
        When sizes do not fit, patterns are not finite, or the model does not suit the task.
    """
    check_model(model, task)
    x = _checked(patterns, target, fold)
    orders = [np.arange(len(x)), *shuffles(fold, permutations, seed)]
    columns = coded(target, task)
    n_columns = columns.shape[1]
    held_out = np.empty((len(orders), len(x), n_columns))
    chosen = []
    parts = np.unique(fold)
    for k, part in enumerate(parts):
        test = fold == part
        train = ~test
        fit = FITS[model](x[train], seed)
        for start in range(0, len(orders), _AT_ONCE):
            some = orders[start : start + _AT_ONCE]
            goals = np.stack([columns[order][train] for order in some], axis=1)
            said, alpha = fit.predict(x[test], goals)
            held_out[start : start + len(some), test] = said.swapaxes(0, 1)
            if start == 0:
                chosen.append(alpha[0])
        if report is not None:
            report((k + 1) / len(parts))
    scores = [
        score(_decided(h, task), target[order], task) for h, order in zip(held_out, orders, strict=True)
    ]
    return Decoding(_decided(held_out[0], task), scores[0], np.array(scores[1:]), np.array(chosen))


def check_model(model: str, task: Task) -> None:
    """Refuse a classifier for what is no class.

    Raises
    ------
    InputError
    """
    if model in CLASSIFIERS and task != "classes":
        name = {"svm": "A support vector machine", "logistic": "Logistic regression"}[model]
        raise InputError(f"{name} decodes classes only.", "Choose ridge or mlp.")


def score(predicted: np.ndarray, target: np.ndarray, task: Task) -> float:
    """Return accuracy, mean absolute error in degrees, or R² against the mean of the target."""
    if task == "classes":
        return float((predicted == target).mean())
    if task == "orientation":
        return float(np.abs(angle_errors(target, predicted)).mean())
    spread = float(((target - target.mean()) ** 2).sum())
    return 1 - float(((target - predicted) ** 2).sum()) / spread if spread else float("nan")


def p_values(
    scores: Sequence[float] | np.ndarray, nulls: np.ndarray, task: Task
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each set of patterns p against its own null, and against the best of all sets.

    The second holds the family-wise error over sets (Nichols & Holmes, 2002); p = (1 + n as good) / (1 + n)
    (Phipson & Smyth, 2010).

    Parameters
    ----------
    scores : array_like
        (n_sets,).
    nulls : np.ndarray
        (n_sets, n_permutations), the same shuffles in every row.
    """
    sign = -1.0 if task == "orientation" else 1.0
    found, null = sign * np.asarray(scores), sign * nulls
    n = null.shape[1]
    single = (1 + (null >= found[:, None] - 1e-12).sum(axis=1)) / (1 + n)
    best = null.max(axis=0) if n else np.empty(0)
    return single, (1 + (best >= found[:, None] - 1e-12).sum(axis=1)) / (1 + n)


def coefficients(patterns: np.ndarray, target: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Fit one decoder to all stimuli and return its weights on the patterns as given.

    Returns
    -------
    weights : np.ndarray
        (n_columns, n_units); columns are classes, cosine and sine, or the number.
    intercept : np.ndarray
        (n_columns,).
    """
    x = np.asarray(patterns, dtype=np.float64)
    fit = Ridge(x)
    goals = coded(np.asarray(target), task)[:, None]
    alpha = fit.best(goals)[0]
    centred = goals[:, 0] - goals[:, 0].mean(axis=0)
    shrunk = fit.s / (fit.s**2 + alpha)
    weights = (fit.v.T @ (shrunk[:, None] * (fit.u.T @ centred))) / fit.scale[:, None]
    return weights.T, goals[:, 0].mean(axis=0) - fit.mean @ weights


def _checked(patterns: np.ndarray, target: np.ndarray, fold: np.ndarray) -> np.ndarray:
    x = np.asarray(patterns, dtype=np.float64)
    if x.ndim != 2 or len(x) != len(target) or len(x) != len(fold):
        message = f"There are {len(x)} patterns for {len(target)} targets and {len(fold)} folds."
        raise InputError(message)
    if not np.isfinite(x).all():
        message = "Some responses are no numbers."
        raise InputError(message, "Check the recording or the network's weights.")
    return x


def shuffles(fold: np.ndarray, permutations: int, seed: int) -> list[np.ndarray]:
    """Return orders that shuffle stimuli within folds.

    The folds hold every class alike; shuffled over folds, labels would not be so evenly spread, which pushes
    cross-validated scores below chance, and any data would look better than that.
    """
    random = np.random.default_rng([seed, 0xDEC0DE])
    members = [np.flatnonzero(fold == k) for k in np.unique(fold)]
    orders = []
    for _ in range(permutations):
        order = np.empty(len(fold), dtype=np.int64)
        for here in members:
            order[here] = random.permutation(here)
        orders.append(order)
    return orders


def coded(target: np.ndarray, task: Task) -> np.ndarray:
    """Return what the ridge regression predicts: −1 and 1 per class, cosine and sine, or the number."""
    if task == "classes":
        kinds = int(target.max()) + 1
        return np.where(target[:, None] == np.arange(kinds), 1.0, -1.0)
    if task == "orientation":
        angle = 2 * np.deg2rad(np.asarray(target, dtype=np.float64))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(target, dtype=np.float64)[:, None]


def _decided(said: np.ndarray, task: Task) -> np.ndarray:
    if task == "classes":
        return said.argmax(axis=1)
    return orientations(said) if task == "orientation" else said[:, 0]


def _standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and deviations as scikit-learn's StandardScaler: what never changes is only centred."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    constant = deviation <= 10 * np.finfo(np.float64).eps * np.maximum(np.abs(mean), 1e-300)
    return mean, np.where(constant, 1.0, deviation)


class Ridge:
    """Ridge regression on one training set: its decomposition, shared by all targets and penalties."""

    def __init__(self, x: np.ndarray, seed: int = 0) -> None:
        self.mean, self.scale = _standard(x)
        self.u, self.s, self.v = np.linalg.svd((x - self.mean) / self.scale, full_matrices=False)

    def best(self, goals: np.ndarray) -> np.ndarray:
        """Return the penalty with the least leave-one-out error of each target, (n_targets,).

        Parameters
        ----------
        goals : np.ndarray
            (n_train, n_targets, n_columns).
        """
        n = len(goals)
        centred = (goals - goals.mean(axis=0)).reshape(n, -1)
        inside = self.u.T @ centred
        errors = []
        for alpha in ALPHAS:
            shrunk = self.u * (self.s**2 / (self.s**2 + alpha))
            leverage = 1 / n + (self.u * shrunk).sum(axis=1)
            left_out = (centred - shrunk @ inside) / np.maximum(1 - leverage, 1e-12)[:, None]
            errors.append((left_out**2).mean(axis=0).reshape(goals.shape[1:]).mean(axis=1))
        return np.array(ALPHAS)[np.argmin(errors, axis=0)]

    def predicted(self, x: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Return the predictions of `predict` by one matrix product, for many samples and targets."""
        mean, alpha = goals.mean(axis=0), self.best(goals)
        shrunk = self.s[:, None] / (self.s[:, None] ** 2 + alpha)
        flat = (goals - mean).reshape(len(goals), -1)
        inside = (self.u.T @ flat).reshape(-1, *goals.shape[1:]) * shrunk[:, :, None]
        seen = ((x - self.mean) / self.scale) @ self.v.T
        said: np.ndarray = (seen @ inside.reshape(len(inside), -1)).reshape(len(x), *goals.shape[1:])
        return mean + said

    def predict(self, x: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions (n_test, n_targets, n_columns) and the penalties (n_targets,)."""
        alpha = self.best(goals)
        mean = goals.mean(axis=0)
        shrunk = self.s[:, None] / (self.s[:, None] ** 2 + alpha)
        inside = np.einsum("nk,ntc->ktc", self.u, goals - mean) * shrunk[:, :, None]
        seen = ((x - self.mean) / self.scale) @ self.v.T
        return mean + np.einsum("nk,ktc->ntc", seen, inside), alpha


class _Classifier:
    """Linear classifiers on one training set, one for every target."""

    def made(self) -> Any:
        """Return an estimator that is not trained yet."""
        raise NotImplementedError

    def __init__(self, x: np.ndarray, seed: int = 0) -> None:
        self.mean, self.scale = _standard(x)
        self.ready = (x - self.mean) / self.scale

    def predict(self, x: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return margins (n_test, n_targets, n_classes), and NaN for penalties (n_targets,)."""
        new = (x - self.mean) / self.scale
        found = np.full((len(x), *goals.shape[1:]), -np.inf)
        for t in range(goals.shape[1]):
            labels = goals[:, t].argmax(axis=1)
            fit = self.made().fit(self.ready, labels)
            margins = fit.decision_function(new)
            if margins.ndim == 1:  # two classes have one margin
                margins = np.stack([-margins, margins], axis=1)
            found[:, t, fit.classes_] = margins
        return found, np.full(goals.shape[1], np.nan)


class _Svm(_Classifier):
    """Linear support vector machines, one class against the rest."""

    def made(self) -> Any:
        from sklearn.svm import LinearSVC

        return LinearSVC(random_state=0, max_iter=5000)


class _Logistic(_Classifier):
    """Logistic regression with a ridge penalty, over all classes at once."""

    def made(self) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)


class _Network:
    """Small networks on one training set, one per target, trained side by side.

    Patterns are turned into the space that the training set spans, which loses nothing of them.
    """

    def __init__(self, x: np.ndarray, seed: int = 0) -> None:
        self.mean, self.scale = _standard(x)
        ready = (x - self.mean) / self.scale
        _, s, v = np.linalg.svd(ready, full_matrices=False)
        self.axes = v[s > s[0] * 1e-10] if len(s) and s[0] > 0 else v[:0]
        self.size = max(1e-12, float(np.sqrt((ready**2).sum(axis=1).mean())))
        self.ready, self.seed = self._turned(x), seed

    def _turned(self, x: np.ndarray) -> np.ndarray:
        return ((x - self.mean) / self.scale) @ self.axes.T / self.size

    def predict(self, x: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs (n_test, n_targets, n_columns), and NaN for penalties (n_targets,)."""
        import torch

        mean, spread = goals.mean(axis=0), goals.std(axis=0) + 1e-12
        truth = torch.from_numpy(((goals - mean) / spread).swapaxes(0, 1)).float()
        inputs = torch.from_numpy(self.ready).float()
        random = torch.Generator().manual_seed(self.seed)
        n, columns, width = goals.shape[1], goals.shape[2], inputs.shape[1]
        # Every target starts from the same weights, so that shuffled labels differ in nothing else.
        first = torch.randn(width, HIDDEN, generator=random) * 2**0.5
        second = torch.randn(HIDDEN, columns, generator=random) * (1 / HIDDEN) ** 0.5
        weights = [
            first.expand(n, -1, -1).clone(),
            torch.zeros(n, 1, HIDDEN),
            second.expand(n, -1, -1).clone(),
            torch.zeros(n, 1, columns),
        ]
        for weight in weights:
            weight.requires_grad_(True)
        optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY)
        with torch.enable_grad():
            for _ in range(STEPS):
                optimiser.zero_grad(set_to_none=True)
                # Summed over targets: each network's gradient is that of its own error.
                (_forward(inputs, weights) - truth).square().mean(dim=(1, 2)).sum().backward()
                optimiser.step()
        with torch.no_grad():
            said = _forward(torch.from_numpy(self._turned(x)).float(), weights)
        return mean + spread * said.numpy().swapaxes(0, 1).astype(np.float64), np.full(n, np.nan)


def _forward(inputs: Any, weights: list[Any]) -> Any:
    """Run all networks: inputs (n, width) to outputs (n_targets, n, columns)."""
    first, bias, second, shift = weights
    return (inputs @ first + bias).relu() @ second + shift


FITS: dict[str, Any] = {"ridge": Ridge, "logistic": _Logistic, "svm": _Svm, "mlp": _Network}
"""Decoders by name, made of a training set (n_train, n_units) and a seed."""
