"""What the score loses when a part of the stimulus is replaced: by windows, or by segments."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dashboard.errors import InputError
from dashboard.methods.attribution import incremental
from dashboard.methods.attribution.base import Attribution, Explained, Settings
from dashboard.methods.attribution.coalitions import Game

Report = Callable[[float], None]

ROWS = 16
"""Windows per forward pass at least, where the network allows: fewer leave the processor waiting."""

ABLATED = 256
"""Segments that are ablated by default at most: each costs one pass."""


def occlusion(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Slide a window of the baseline over a picture; drop a token of a text or a feature of a table.

    Each place holds the mean fall of the score over the windows that cover it, as in captum. With several
    baselines, the mean over these.

    Parameters
    ----------
    explained : Explained
    settings : Settings
        ``window`` and ``stride`` in pixels; ``batch``.
    report : callable, optional
        Told the share that is done.

    Returns
    -------
    Attribution
        values (height, width), or (n_tokens,), (n_features,).

    References
    ----------
    Zeiler & Fergus, 2014, "Visualizing and understanding convolutional networks".
    """
    if explained.kind != "image":
        return ablation(explained, settings, report)
    if refused := _occlusion_refused(explained, settings):
        raise InputError(refused)
    windows = _Windows(explained, settings)
    falls = windows.falls(max(settings.batch, ROWS), report)
    return Attribution(windows.average(falls), extra={"windows": falls})


def ablation(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Replace one segment at a time by the baseline.

    Returns
    -------
    Attribution
        Every place of a segment holds the whole fall of the score; ``extra["segment_values"]`` has one value
        per segment.
    """
    game = Game.of(explained, settings, ABLATED)
    _, full = game.ends()
    without = ~torch.eye(game.players, dtype=torch.bool)
    return game.attribution(full - game.value(without, report), None, shared=False)


def window(height: int, width: int) -> tuple[int, int]:
    """Return a window and a stride that suit a picture: about a fourteenth of it, in half steps."""
    side = max(1, round(min(height, width) / 14))
    return side, max(1, side // 2)


def _occlusion_refused(explained: Explained, settings: Settings) -> str:
    if explained.kind != "image":
        return ""
    height, width = explained.inputs.shape[-2:]
    if not 1 <= settings.window <= min(height, width):
        return (
            f"A window of {settings.window} pixels does not fit a picture of {height} × {width}. "
            f"Choose 1 to {min(height, width)}."
        )
    if not 1 <= settings.stride <= settings.window:
        return (
            f"Steps of {settings.stride} pixels leave gaps between windows of {settings.window}. "
            f"Choose 1 to {settings.window}."
        )
    return ""


REFUSALS: dict[str, Callable[[Explained, Settings], str]] = {"occlusion": _occlusion_refused}


class _Windows:
    """All places of a window on a picture; windows past the far border are cut off there."""

    def __init__(self, explained: Explained, settings: Settings) -> None:
        self.explained = explained
        self.side = settings.window
        height, width = explained.inputs.shape[-2:]
        self.rows = _starts(height, settings.window, settings.stride)
        self.columns = _starts(width, settings.window, settings.stride)
        self.covers = [_covers(self.rows, self.side, height), _covers(self.columns, self.side, width)]
        self.row = torch.arange(len(self.rows)).repeat_interleave(len(self.columns))
        self.column = torch.arange(len(self.columns)).repeat(len(self.rows))

    def falls(self, batch: int, report: Report | None) -> torch.Tensor:
        """Return by how much each window lowers the score, (n rows, n columns) float64."""
        explained = self.explained
        own = float(explained.levels(batch)[0])
        quick = incremental.prepared(explained.module, explained.inputs, (self.side, self.side))
        found = []
        with torch.inference_mode():
            for number, baseline in enumerate(explained.baselines):
                done = 0
                for part in torch.arange(len(self.row)).split(batch):
                    found.append(self._scores(part, baseline, quick).double().cpu())
                    done += len(part)
                    if report is not None:
                        report((number + done / len(self.row)) / len(explained.baselines))
        scores = torch.cat(found).clone().reshape(len(explained.baselines), len(self.rows), len(self.columns))
        return own - scores.mean(0)

    def average(self, falls: torch.Tensor) -> torch.Tensor:
        """Return the mean fall over the windows that cover each pixel, (height, width)."""
        down, across = self.covers[0].double(), self.covers[1].double()
        return (down.T @ falls @ across) / (down.sum(0)[:, None] * across.sum(0))

    def _scores(
        self, part: torch.Tensor, baseline: torch.Tensor, quick: incremental.Incremental | None
    ) -> torch.Tensor:
        explained = self.explained
        if quick is not None:
            return explained.score(quick.outputs(*self._patches(part, baseline)))
        hidden = self.covers[0][self.row[part]][:, :, None] & self.covers[1][self.column[part]][:, None]
        inputs = torch.where(hidden[:, None].to(baseline.device), baseline, explained.inputs)
        return explained.scores(inputs)

    def _patches(self, part: torch.Tensor, baseline: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what stands in the windows, (n, channels, side, side), and their corners, (n, 2)."""
        places, hidden = [], []
        for starts, index, cover in zip(
            (self.rows, self.columns), (self.row, self.column), self.covers, strict=True
        ):
            corner = starts[index[part]].clamp_max(cover.shape[1] - self.side)
            place = corner[:, None] + torch.arange(self.side)
            places.append(place)
            hidden.append(place >= starts[index[part]][:, None])
        rows, columns = places[0][:, :, None], places[1][:, None]
        old, new = (
            picture.permute(1, 2, 0)[rows, columns] for picture in (self.explained.inputs[0], baseline)
        )
        inside = (hidden[0][:, :, None] & hidden[1][:, None])[..., None].to(new.device)
        patches = torch.where(inside, new, old).permute(0, 3, 1, 2)
        return patches, torch.stack([rows[:, 0, 0], columns[:, 0, 0]], 1)


def _starts(length: int, side: int, stride: int) -> torch.Tensor:
    """Return where windows start so that they reach the end, (n,)."""
    return torch.arange(-(-(length - side) // stride) + 1) * stride


def _covers(starts: torch.Tensor, side: int, length: int) -> torch.Tensor:
    """Return which places each window covers, (n, length) bool."""
    offset = torch.arange(length) - starts[:, None]
    return (offset >= 0) & (offset < side)
