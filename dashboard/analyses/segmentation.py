"""Which pixels does the network give to the object, and how well do they cover the true ones?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.analyses import outputs
from dashboard.errors import InputError
from dashboard.methods import classification
from dashboard.networks import Network
from dashboard.specs import PredictionsSpec
from dashboard.stimuli import Stimuli

MOST_PICTURES = 5_000
"""Every picture keeps two masks, which come to some kilobytes."""


def masks(spec: PredictionsSpec, network: Network, shown: Stimuli) -> xr.Dataset:
    """Return the mask that the network gives to every picture and, where it is known, how well it fits.

    Returns
    -------
    xarray.Dataset
        ``predicted_mask`` and ``true_mask`` (stimulus, y, x) uint8 at the network's resolution, the latter
        only where masks are known; ``iou`` (stimulus,) their intersection over union, NaN where unknown,
        ``predicted_share`` and ``true_share`` (stimulus,) of the pixels, ``height`` and ``width`` (stimulus,)
        of the picture in pixels. In the attributes the mean of ``iou`` with its 95 % interval over pictures,
        the median, and the mean that calling every pixel object would give.

    Raises
    ------
    InputError
        When there are far too many pictures, or a column of truth is asked for.
    """
    if len(shown) > MOST_PICTURES:
        message = f"{shown.title} holds {len(shown):,} pictures, more than {MOST_PICTURES:,}."
        raise InputError(message, "Ask for fewer, such as objects?n=240.")
    if spec.truth:
        message = f'"{spec.truth}" cannot be the truth: {network.title} draws masks.'
        raise InputError(message, "Leave the truth out; true masks come with the stimuli, as with objects.")
    said = _said(network, shown)
    size = [shown.picture(i).shape[:2] for i in range(len(shown))]
    true = None if shown.outline is None else _true(shown, said.shape[1:])
    iou = np.full(len(shown), np.nan) if true is None else classification.iou(true, said)
    place, every = ("stimulus", "y", "x"), "stimulus"
    answer = xr.Dataset(
        {
            "predicted_mask": (place, said.astype(np.uint8)),
            "iou": (every, iou),
            "predicted_share": (every, said.mean(axis=(1, 2))),
            "height": (every, np.array([h for h, _ in size])),
            "width": (every, np.array([w for _, w in size])),
        },
        coords={"stimulus": list(shown.names), "category": (every, list(shown.categories))},
        attrs={
            **outputs.attributes(spec, network, shown, "mask", "" if true is None else "masks"),
            **({"n_labelled": 0} if true is None else _quality(true, iou)),
        },
    )
    if true is not None:
        answer["true_mask"] = (place, true.astype(np.uint8))
        answer["true_share"] = (every, true.mean(axis=(1, 2)))
    return answer


def _said(network: Network, shown: Stimuli) -> np.ndarray:
    """Return the masks that the network gives, (n_pictures, height, width) bool: logits above 0."""
    least = 0.5 if network.layers and network.layers[-1].kind == "Sigmoid" else 0.0
    found = []
    for _, given in outputs.forward(network, shown):
        if given.dim() != 4 or given.shape[1] != 1:
            raise outputs.unexpected(network, given, "one map of the object")
        found.append((given[:, 0] > least).cpu().numpy())
    return np.concatenate(found)


def _true(shown: Stimuli, shape: tuple[int, ...]) -> np.ndarray:
    """Return the true masks at the network's resolution, (n_pictures, *shape) bool."""
    found = np.empty((len(shown), *shape), dtype=bool)
    for i in range(len(shown)):
        mask = shown.mask(i)
        assert mask is not None  # noqa: S101 - a set has masks for all its pictures or for none
        rows, columns = (
            ((np.arange(n) + 0.5) * have / n).astype(int) for n, have in zip(shape, mask.shape, strict=True)
        )
        found[i] = mask[np.ix_(rows, columns)]
    return found


def _quality(true: np.ndarray, iou: np.ndarray) -> dict[str, float | int]:
    mean, low, high = classification.mean_interval(iou)
    return {
        "n_labelled": len(iou),
        "mean_iou": mean,
        "mean_iou_low": low,
        "mean_iou_high": high,
        "median_iou": float(np.median(iou)),
        "smallest_iou": float(iou.min()),
        "everything_iou": float(true.mean(axis=(1, 2)).mean()),
    }
