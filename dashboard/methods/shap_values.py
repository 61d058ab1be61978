"""SHAP values of tables, by feature: exact for linear decoders, estimated for any other, and their summaries.

Values are for rows (n, n_features) of a table against a background (n_background, n_features), in units of
the decoder's output: for classifiers of the log-odds, where these are what a linear decoder adds up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dashboard.errors import InputError
from dashboard.methods.attribution.shapley import FEWEST, regressed, sampled

Predict = Callable[[np.ndarray], np.ndarray]
"""From rows, (n, n_features), to outputs, (n, n_outputs) or (n,)."""
Report = Callable[[float], None]

AT_ONCE = 4096
"""Rows per call of a decoder."""

CONFIDENCE_Z = 1.96
"""Half width of a 95 % interval in standard errors."""


@dataclass(frozen=True, eq=False)
class ShapValues:
    """SHAP values of a table.

    Attributes
    ----------
    values : np.ndarray
        (n_rows, n_features, n_outputs) float64.
    base : np.ndarray
        (n_outputs,) mean output over the background.
    outputs : np.ndarray
        (n_rows, n_outputs) what the decoder says; equals base + the sum of the values.
    standard_error : np.ndarray or None
        Like ``values``, of estimated ones.
    source : str
    """

    values: np.ndarray
    base: np.ndarray
    outputs: np.ndarray
    standard_error: np.ndarray | None = None
    source: str = "Lundberg & Lee, 2017"

    @property
    def gap(self) -> float:
        """Largest difference between an output and the base plus its values."""
        return float(np.abs(self.base + self.values.sum(1) - self.outputs).max())


def linear(
    coefficients: np.ndarray, intercept: np.ndarray | float, table: np.ndarray, background: np.ndarray
) -> ShapValues:
    """Compute the SHAP values of a linear decoder: coefficient · (x − mean of the background), exactly.

    Parameters
    ----------
    coefficients : np.ndarray
        (n_outputs, n_features) or (n_features,).
    intercept : np.ndarray or float
        (n_outputs,).
    table, background : np.ndarray
        (n_rows, n_features) and (n_background, n_features).

    References
    ----------
    Lundberg & Lee, 2017, corollary 1 (features taken as independent).
    """
    table, background = _tables(table, background)
    weights = np.atleast_2d(np.asarray(coefficients, float))
    if weights.shape[1] != table.shape[1]:
        message = f"The decoder has {weights.shape[1]} coefficients and the table {table.shape[1]} features."
        raise InputError(message, "Use the features that the decoder was fitted to.")
    mean = background.mean(0)
    values = (table - mean)[:, :, None] * weights.T
    offset = np.broadcast_to(np.asarray(intercept, float), len(weights))
    return ShapValues(values, mean @ weights.T + offset, table @ weights.T + offset)


def kernel(
    predict: Predict,
    table: np.ndarray,
    background: np.ndarray,
    *,
    samples: int = 50,
    seed: int = 0,
    report: Report | None = None,
) -> ShapValues:
    """Estimate the SHAP values of any decoder by regression over subsets of features (KernelSHAP).

    Parameters
    ----------
    predict : callable
    table, background : np.ndarray
    samples : int
        ``samples`` · n_features subsets per row; at least 20.
    seed : int
        The same subsets serve every row.
    """
    if samples < FEWEST:
        message = f"{samples} samples are too few for a regression and its error."
        raise InputError(message, f"Take at least {FEWEST}.")

    def estimate(value: _Value, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        return regressed(value, n, samples * n, seed)

    return _estimated(estimate, predict, table, background, report)


def permutation(
    predict: Predict,
    table: np.ndarray,
    background: np.ndarray,
    *,
    samples: int = 20,
    seed: int = 0,
    report: Report | None = None,
) -> ShapValues:
    """Estimate the SHAP values of any decoder over random orders of features, each also backwards.

    Parameters
    ----------
    samples : int
        Orders per row; at least 2.

    References
    ----------
    Štrumbelj & Kononenko, 2010; Castro, Gómez & Tejada, 2009.
    """
    if samples < 2:
        raise InputError("One order tells no standard error.", "Take at least 2 samples.")

    def estimate(value: _Value, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        return sampled(value, n, samples, seed)

    return _estimated(estimate, predict, table, background, report)


def of_network(module: torch.nn.Module, shape: tuple[int, ...]) -> Predict:
    """Make a network answer rows of a table, (n, prod(shape)); ``shape`` is that of one stimulus."""
    dtype = next((p.dtype for p in module.parameters()), torch.float32)

    def predict(rows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.as_tensor(rows, dtype=dtype).reshape(-1, *shape)).double().numpy()

    return predict


# --- summaries over rows ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Importance:
    """How much features matter over a table.

    Attributes
    ----------
    mean : np.ndarray
        (n_features, n_outputs) mean |SHAP|.
    lower, upper : np.ndarray
        95 % interval of the mean over rows, not below 0.
    order : np.ndarray
        (n_features,) features from the most to the least important, over all outputs together.
    n : int
        Rows.
    source : str
    """

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    order: np.ndarray
    n: int
    source: str = "Lundberg et al., 2020, From local explanations to global understanding"

    def sentence(self, names: tuple[str, ...], unit: str = "") -> str:
        """Say which features matter most."""
        total = self.mean.sum(1)
        first = self.order[0]
        if total.sum() <= 0:
            return "No feature changes the output over these rows."
        few = self.order[: min(5, len(self.order))]
        share = total[few].sum() / total.sum()
        value = f"{total[first]:.3g}{' ' + unit if unit else ''}"
        return (
            f"{names[first]} matters most: it moves the output by {value} on average over {self.n} rows. "
            f"The first {len(few)} of {len(total)} features carry {100 * share:.0f} % of all changes."
        )


def importance(values: np.ndarray) -> Importance:
    """Average |SHAP| over rows with its interval.

    Parameters
    ----------
    values : np.ndarray
        (n_rows, n_features) or (n_rows, n_features, n_outputs).
    """
    size = np.abs(_three(values))
    n = len(size)
    mean = size.mean(0)
    error = size.std(0, ddof=1) / np.sqrt(n) if n > 1 else np.full_like(mean, np.nan)
    order = np.argsort(-mean.sum(1), kind="stable")
    lower = np.maximum(mean - CONFIDENCE_Z * error, 0)
    return Importance(mean, lower, mean + CONFIDENCE_Z * error, order, n)


def by_class(values: np.ndarray, classes: np.ndarray) -> dict[int, Importance]:
    """Summarise the rows of each class on their own; classes (n_rows,)."""
    values, classes = _three(values), np.asarray(classes)
    if len(values) != len(classes):
        message = f"There are {len(classes)} classes for {len(values)} rows."
        raise InputError(message, "Give one class per row.")
    return {int(c): importance(values[classes == c]) for c in np.unique(classes)}


def beeswarm(values: np.ndarray, table: np.ndarray, most: int = 20) -> dict[str, np.ndarray]:
    """Lay out the dots of a beeswarm of one output, the most important feature first.

    Parameters
    ----------
    values, table : np.ndarray
        (n_rows, n_features).
    most : int
        Features shown.

    Returns
    -------
    dict
        Each (n_shown · n_rows,): ``feature``, ``row`` (indices), ``value`` (SHAP), ``level`` (0 to 1, the
        rank of the feature's own value among the rows) and ``offset`` (−1 to 1, across, so that dots of like
        value lie beside each other).
    """
    values, table = np.asarray(values, float), np.asarray(table, float)
    if values.shape != table.shape or values.ndim != 2:
        raise InputError("The values and the table have different shapes.", "Give the values of one output.")
    shown = importance(values).order[:most]
    rows = len(values)
    picked, features = values[:, shown].T, table[:, shown].T
    level = features.argsort(1, kind="stable").argsort(1) / max(rows - 1, 1)
    # Equal features get one colour: the rank of the first and the last of them, halved.
    level = (level + (rows - 1 - (-features).argsort(1, kind="stable").argsort(1)) / max(rows - 1, 1)) / 2
    return {
        "feature": np.repeat(shown, rows),
        "row": np.tile(np.arange(rows), len(shown)),
        "value": picked.ravel(),
        "level": level.ravel(),
        "offset": np.concatenate([_offsets(line) for line in picked]),
    }


# --- pieces -----------------------------------------------------------------------------------------------

_Value = Callable[[torch.Tensor], torch.Tensor]


def _tables(table: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table, background = (np.asarray(a, float) for a in (table, background))
    if table.ndim != 2 or background.ndim != 2 or table.shape[1] != background.shape[1]:
        message = "The table and its background have different features."
        raise InputError(message, "Give rows of the same features.")
    if not len(table) or not len(background):
        raise InputError("The table or its background has no rows.", "Give at least one row of each.")
    if not (np.isfinite(table).all() and np.isfinite(background).all()):
        raise InputError(
            "The table or its background holds values that are no numbers.", "Fill or drop them."
        )
    return table, background


def _estimated(
    estimate: Callable[[_Value, int], tuple[torch.Tensor, torch.Tensor]],
    predict: Predict,
    table: np.ndarray,
    background: np.ndarray,
    report: Report | None,
) -> ShapValues:
    table, background = _tables(table, background)
    base, outputs = (_outputs(predict, rows) for rows in (background, table))
    n_outputs, n_features = outputs.shape[1], table.shape[1]
    values = np.empty((len(table), n_features, n_outputs))
    errors = np.empty_like(values)
    for number, row in enumerate(table):
        known = _Answers(predict, row, background)
        for output in range(n_outputs):
            found = estimate(known.of(output), n_features)
            values[number, :, output], errors[number, :, output] = (f.numpy() for f in found)
        if report is not None:
            report((number + 1) / len(table))
    return ShapValues(values, base.mean(0), outputs, errors)


class _Answers:
    """Outputs of coalitions of one row's features; the last question is kept for the other outputs."""

    def __init__(self, predict: Predict, row: np.ndarray, background: np.ndarray) -> None:
        self.predict, self.row, self.background = predict, row, background
        self.asked: torch.Tensor | None = None
        self.found = torch.zeros(0)

    def __call__(self, coalitions: torch.Tensor) -> torch.Tensor:
        if self.asked is None or not torch.equal(self.asked, coalitions):
            each = max(1, AT_ONCE // len(self.background))
            parts = [self._mean(part.numpy()) for part in coalitions.split(each)]
            self.asked, self.found = coalitions, torch.from_numpy(np.concatenate(parts))
        return self.found

    def of(self, output: int) -> _Value:
        """Return the game of one output."""
        return lambda coalitions: self(coalitions)[:, output]

    def _mean(self, coalitions: np.ndarray) -> np.ndarray:
        rows = np.where(coalitions[:, None], self.row, self.background).reshape(-1, len(self.row))
        found = _outputs(self.predict, rows)
        return found.reshape(len(coalitions), len(self.background), -1).mean(1)


def _outputs(predict: Predict, rows: np.ndarray) -> np.ndarray:
    found = np.asarray(predict(rows), float)
    return found[:, None] if found.ndim == 1 else found


def _three(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    if values.ndim not in (2, 3) or not len(values):
        raise InputError("There are no SHAP values to summarise.", "Give values of at least one row.")
    return values[:, :, None] if values.ndim == 2 else values


def _offsets(values: np.ndarray, bins: int = 40) -> np.ndarray:
    """Spread dots of like value across, symmetrically, as wide as the fullest bin allows."""
    span = np.ptp(values)
    bin_of = (
        np.zeros(len(values), int) if span == 0 else ((values - values.min()) / span * (bins - 1)).astype(int)
    )
    order = np.argsort(bin_of, kind="stable")
    starts = np.searchsorted(bin_of[order], np.arange(bins))
    place = np.empty(len(values), int)
    place[order] = np.arange(len(values)) - starts[bin_of[order]]
    side = np.where(place % 2, 1, -1) * ((place + 1) // 2)
    return side / max(np.abs(side).max(), 1)
