"""Which orientation does the network read out of each stimulus, and how far off is it?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import outputs
from dashboard.errors import InputError, caution, unknown
from dashboard.methods import classification
from dashboard.networks import Network
from dashboard.specs import PredictionsSpec
from dashboard.stimuli import Stimuli

PERIOD = 180.0
"""Degrees after which an orientation comes back to itself."""

COLUMNS = ("orientation", "tilt")
"""Where the truth is looked for when no column is said; a tilt is an orientation from -90 to 90."""


def orientations(spec: PredictionsSpec, network: Network, shown: Stimuli) -> xr.Dataset:
    """Return the orientation that the network gives to every stimulus and, where it is known, the error.

    Returns
    -------
    xarray.Dataset
        ``predicted`` and ``true`` (stimulus,) in degrees, [0, 180), NaN where the truth is not known;
        ``error`` (stimulus,) predicted minus true, -90 to 90 the short way round; ``strength`` (stimulus,)
        length of the answered vector, about 1 where the network is sure. In the attributes the mean absolute
        error with its 95 % interval over stimuli, the median, the mean of the signed errors and the mean
        absolute error of the best single orientation.

    Raises
    ------
    InputError
        When the stimuli have no such column of truth, or it holds no numbers.
    """
    true, source = true_orientations(shown, spec.truth)
    given = np.empty((len(shown), 2))
    for start, found in outputs.forward(network, shown):
        if found.dim() != 2 or found.shape[1] != 2:
            raise outputs.unexpected(network, found, "cosine and sine of twice an orientation")
        given[start : start + len(found)] = found.double().cpu().numpy()
    predicted = classification.orientations(given)
    error = classification.angle_errors(true, predicted, PERIOD)
    angle = {"units": "deg"}
    return xr.Dataset(
        {
            "predicted": ("stimulus", predicted, angle),
            "true": ("stimulus", true, angle),
            "error": ("stimulus", error, angle),
            "strength": ("stimulus", np.hypot(given[:, 0], given[:, 1])),
        },
        coords={"stimulus": list(shown.names), "category": ("stimulus", list(shown.categories))},
        attrs={
            **outputs.attributes(spec, network, shown, "orientation", source),
            "preprocessing": network.preprocessing,
            "period": PERIOD,
            **_quality(true, error),
        },
    )


def true_orientations(shown: Stimuli, column: str = "") -> tuple[np.ndarray, str]:
    """Return the true orientations in degrees, [0, 180), NaN where unknown, and the column they are from.

    Parameters
    ----------
    shown : Stimuli
    column : str
        ``""`` takes the first of `COLUMNS` that there is.
    """
    if column and column not in shown.columns:
        raise unknown("column of the stimuli", column, shown.columns or {"(none)"})
    name = column or next((known for known in COLUMNS if known in shown.columns), "")
    if not name:
        return np.full(len(shown), np.nan), ""
    values = shown.columns[name]
    if values.dtype.kind not in "iuf":
        message = f'The column "{name}" of {shown.title} holds no numbers.'
        raise InputError(message, "Choose a column of angles in degrees.")
    return np.mod(values.astype(np.float64), PERIOD), name


def _quality(true: np.ndarray, error: np.ndarray) -> dict[str, float | int]:
    """Return what sums up the errors, for the attributes; without truth only that there is none."""
    known = np.isfinite(true)
    n = int(known.sum())
    if not n:
        return {"n_labelled": 0}
    if n < len(true):
        caution(
            "truth-unknown",
            f"The true orientation of {len(true) - n} of {len(true)} stimuli is not known; they are shown, "
            "but not counted.",
        )
    size = np.abs(error[known])
    mean, low, high = classification.mean_interval(size)
    constant, constant_error = classification.best_constant_angle(true[known], PERIOD)
    return {
        "n_labelled": n,
        "mean_error": mean,
        "mean_error_low": low,
        "mean_error_high": high,
        "median_error": float(np.median(size)),
        "largest_error": float(size.max()),
        "bias": float(error[known].mean()),
        "constant": constant,
        "constant_error": constant_error,
    }
