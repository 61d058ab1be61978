"""How much each unit of a layer contributes to a score: layer conductance.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Explained, chunks, find, first_tensor
from dashboard.methods.attribution.gradients import (
    IG_CHUNK,
    MOST_REFINED,
    Place,
    gradient_of,
    gradients_on,
    readable,
)

Ends = Literal["mean", "left"]
"""Where the slope of a part of the way is taken: the mean of both its ends, or its start as captum does."""


@dataclass(frozen=True, eq=False)
class Conductance:
    """What the units of a layer contribute.

    Attributes
    ----------
    values : torch.Tensor
        (n_channels,) float64, summed over places and averaged over baselines, in units of the score.
    activation, baseline_activation : torch.Tensor
        (n_channels,) mean over places, for the stimulus and over the baselines.
    total : float
        f(x) less the mean f of the baselines: the sum of the values when all that reaches the score passes
        through this layer.
    steps : int
        Parts of the way that were taken in the end.
    source : str
    """

    values: torch.Tensor
    activation: torch.Tensor
    baseline_activation: torch.Tensor
    total: float
    steps: int
    source: str = "Dhamdhere, Sundararajan & Yan, 2019; Shrikumar, Su & Kundaje, 2018"

    @property
    def missing(self) -> float:
        """Share of the change of the score that the values do not sum to."""
        return abs(float(self.values.sum()) - self.total) / max(abs(self.total), 1e-12)


def layer_conductance(
    explained: Explained,
    layer: str,
    channel_axis: int | None,
    *,
    steps: int = 50,
    tolerance: float = 0.005,
    ends: Ends = "mean",
    report: Callable[[float], None] | None = None,
) -> Conductance:
    """Return the conductance of every channel of a layer (Dhamdhere et al. 2019, equation 3).

    On the straight way from each baseline to the stimulus, the change of every unit from point to point is
    multiplied by the slope of the score with respect to it (Shrikumar et al. 2018). Where the values miss the
    change of the score by more than ``tolerance``, the way is cut three times as finely, at most twice.

    Parameters
    ----------
    explained : Explained
    layer : str
        Name of a module; ``name:2`` for its second call.
    channel_axis : int or None
        Axis of its output, without that of the batch, that counts channels; None: every number is a unit.
    steps : int
        Parts of the way, at least 2.
    tolerance : float
        0 for exactly ``steps``.
    ends : "mean" or "left"
        The mean of the slopes at both ends of each part is right for a piecewise quadratic score; "left" is
        captum's ``LayerConductance`` with ``method="riemann_trapezoid"``.
    report : callable, optional

    Raises
    ------
    InputError
        When there is no such layer, or no gradient passes through it to the score.
    """
    if steps < 2:
        message = f"Conductance with {steps} steps cannot be computed."
        raise InputError(message, "Choose at least 2; 20 to 100 are usual.")
    place = Place(explained)
    own, levels = place.levels(IG_CHUNK)
    reader = _Hidden(place, layer, channel_axis)
    total = own - sum(levels) / len(levels)
    most = steps * (MOST_REFINED if tolerance else 1)
    while True:
        parts = []
        for k, baseline in enumerate(place.baselines.split(1)):
            parts.append(reader.along(baseline, steps, ends))
            if report is not None:
                report((k + 1) / len(place.baselines))
        values, first, last = (torch.stack(column).mean(0) for column in zip(*parts, strict=True))
        found = Conductance(values, last, first, total, steps)
        if found.missing <= tolerance or 3 * steps > most:
            return found
        steps *= 3


class _Hidden:
    """Reads one layer and the slope of the score at it."""

    def __init__(self, place: Place, layer: str, channel_axis: int | None) -> None:
        self._place, self._axis, self._layer = place, channel_axis, layer
        module, self._wanted = find(place.module, layer)
        self._calls, self._seen = 0, torch.zeros(0)
        module.register_forward_hook(self._read)

    def along(
        self, baseline: torch.Tensor, steps: int, ends: Ends
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return conductance, and the activation at the baseline and the stimulus, (n_channels,) each."""
        total: torch.Tensor | None = None
        first = last = slope = torch.zeros(0)
        for points in self._points(baseline, steps):
            outputs, slopes = self._at(points)
            if total is None:
                first, total = outputs[:1], torch.zeros_like(outputs[0])
            else:
                outputs, slopes = torch.cat([last, outputs]), torch.cat([slope, slopes])
            weights = slopes[:-1] if ends == "left" else (slopes[:-1] + slopes[1:]) / 2
            total = total + (weights * (outputs[1:] - outputs[:-1])).sum(0)
            last, slope = outputs[-1:], slopes[-1:]
        assert total is not None
        before, after = self._channels(first[0], torch.mean), self._channels(last[0], torch.mean)
        return self._channels(total, torch.sum), before, after

    def _points(self, baseline: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
        at = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        for part in chunks(at, IG_CHUNK):
            share = part.to(baseline).view(-1, *[1] * (baseline.dim() - 1))
            yield baseline + share * (self._place.own - baseline)

    def _at(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output of the layer at each point and the slope of the score there, float64."""
        self._calls, self._seen = 0, torch.zeros(0)
        with gradients_on(self._place.module, points.device), readable():
            leaf = points.detach().clone().requires_grad_()
            scores = self._place.scores(leaf.clone())
            if not len(self._seen) or not self._seen.requires_grad:
                name = self._layer.removeprefix("network.")
                message = f"Nothing of the stimulus reaches the score through {name}."
                raise InputError(message, "Choose an earlier layer.")
            slopes = gradient_of(scores, [self._seen])[0]
        return self._seen.detach().double(), slopes.double()

    def _read(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        self._calls += 1
        found = first_tensor(output)
        if self._calls != self._wanted or found is None:
            return None
        self._seen = found
        # What follows may overwrite its input in place: it gets a copy.
        return found.clone() if found is output else None

    def _channels(self, values: torch.Tensor, join: Callable[..., torch.Tensor]) -> torch.Tensor:
        if self._axis is None:
            return values.flatten().cpu()
        values = values.movedim(self._axis, 0)
        return join(values.reshape(len(values), -1), dim=1).cpu()
