"""The game that Shapley values share out: the score with some segments present and the others replaced.

With coalition S, v(S) is the mean, over the baselines b, of the score of the stimulus that equals x on the
segments of S and b on all others (the interventional value function of Lundberg & Lee, 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from dashboard.methods.attribution import segments
from dashboard.methods.attribution.base import Attribution, Explained, Settings

Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Game:
    """Scores of coalitions of segments.

    Attributes
    ----------
    explained : Explained
    labels : torch.Tensor
        Segments, as `segments` makes them.
    batch : int
        Rows per forward pass.
    """

    explained: Explained
    labels: torch.Tensor
    batch: int = 8

    @classmethod
    def of(cls, explained: Explained, settings: Settings, most: int = segments.MOST) -> Game:
        """Make the game that the settings ask for."""
        labels = segments.of(explained, settings.segments, most)
        return cls(explained, labels, rows(explained, settings.batch))

    @property
    def players(self) -> int:
        """Number of segments."""
        return segments.count(self.labels)

    def inputs(self, coalitions: torch.Tensor) -> torch.Tensor:
        """Return the stimuli of coalitions (m, players): (m · n_baselines, *shape), baselines fastest."""
        return mixed(self.explained, present(coalitions, self.labels))

    def value(self, coalitions: torch.Tensor, report: Report | None = None) -> torch.Tensor:
        """Return v of coalitions (m, players) bool, (m,) float64."""
        n = self.explained.baselines.shape[0]
        step = max(1, self.batch // n)
        found = []
        with torch.inference_mode():
            for start in range(0, len(coalitions), step):
                inputs = self.inputs(coalitions[start : start + step])
                parts = [self.explained.scores(part) for part in inputs.split(self.batch)]
                found.append(torch.cat(parts).double().reshape(-1, n).mean(1))
                if report is not None:
                    report(min(1.0, (start + step) / len(coalitions)))
        return torch.cat(found).clone() if found else torch.zeros(0, dtype=torch.float64)

    def change(self) -> float:
        """Return v(all) − v(nobody): what additive values sum to."""
        empty, full = self.ends()
        return full - empty

    def ends(self) -> tuple[float, float]:
        """Return v(nobody) and v(all)."""
        both = torch.stack([torch.zeros(self.players), torch.ones(self.players)]).bool()
        empty, full = self.value(both).tolist()
        return empty, full

    def attribution(
        self,
        values: torch.Tensor,
        total: float | None,
        standard_error: torch.Tensor | None = None,
        *,
        shared: bool,
        notes: tuple[str, ...] = (),
    ) -> Attribution:
        """Lay the values of segments, (players,), over the stimulus.

        Parameters
        ----------
        shared : bool
            Whether the places of a segment share its value, so that the map sums to what the segments sum to;
            else each place gets the whole value.
        """
        error = None if standard_error is None else self.spread(standard_error, shared=shared)
        extra: dict[str, object] = {"segments": self.labels, "segment_values": values}
        if standard_error is not None:
            extra["segment_standard_error"] = standard_error
        return Attribution(self.spread(values, shared=shared), error, total, notes, extra)

    def spread(self, values: torch.Tensor, *, shared: bool) -> torch.Tensor:
        """Return a map like the labels from values of segments; 0 where nothing is ever switched."""
        free = self.labels >= 0
        if shared:
            values = values / torch.bincount(self.labels[free], minlength=self.players)
        return torch.where(free, values.double()[self.labels.clamp_min(0)], 0.0)


def rows(explained: Explained, batch: int) -> int:
    """Return how many rows one pass takes: more of small stimuli, which cost little each."""
    places = explained.inputs[0].numel()
    small = 32 if explained.kind == "text" else min(512, 65_536 // places)
    return max(batch, small)


def present(coalitions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return which places are shown, (m, *labels.shape) bool; places labelled −1 always are."""
    always = torch.ones(len(coalitions), 1, dtype=torch.bool)
    padded = torch.cat([coalitions.bool(), always], dim=1)  # the last column is what the label −1 picks
    return padded[:, labels.flatten()].reshape(len(coalitions), *labels.shape)


def mixed(explained: Explained, shown: torch.Tensor) -> torch.Tensor:
    """Mix stimulus and baselines; shown (m, *places) bool -> (m · n_baselines, *shape), baselines fastest."""
    x, b = explained.inputs, explained.baselines
    shown = shown.to(x.device)
    while shown.dim() < x.dim():  # channels share their places
        shown = shown[:, None]
    return torch.where(shown[:, None], x[:, None], b[None]).reshape(-1, *x.shape[1:])
