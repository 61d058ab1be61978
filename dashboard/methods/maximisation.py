"""Pictures that make a unit respond: gradient ascent on the spectrum of a picture that keeps being moved.

Activation maximisation after Olah, Mordvintsev & Schubert (2017), Distill, doi:10.23915/distill.00007, with
the Fourier parametrisation of Mordvintsev, Pezzotti, Schubert & Olah (2018), Distill,
doi:10.23915/distill.00012: coefficients are divided by their frequency, which favours large structure, and
colours are mixed from decorrelated axes. The picture is shifted, scaled and rotated a little at every step,
less and less towards the end, so that what is found does not hang on single pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from dashboard.errors import InputError

RATE = 0.05
START = 0.01
SHIFT, SCALE, TURN = 1 / 16, 0.1, 8.0
"""Largest shift as a part of the side, change of size, and rotation in degrees."""

STILL = 0.6
"""From this part of the steps on the movements become smaller; at the end the picture stands still."""

GENTLE = 1 / 8
"""During this first part of the steps gradients may pass rectifiers that are shut."""

AXES = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])
GAINS = np.array([1.0, 0.3, 0.15])
"""Brightness, yellow–blue and red–green, decorrelated in natural scenes, with falling spread (Ruderman,
Cronin & Chiao, 1998, J Opt Soc Am A 15:2036)."""

Respond = Callable[[torch.Tensor, bool], torch.Tensor]
"""From pictures (n, 3, height, width) of 0 to 1, and whether shut rectifiers let pass, to responses (n,)."""


@dataclass(frozen=True, eq=False)
class Preferred:
    """What came out.

    Attributes
    ----------
    pictures : np.ndarray
        (n, height, width, 3) uint8.
    climb : np.ndarray
        (n, n_steps) float64: response to the moved picture at every step.
    """

    pictures: np.ndarray
    climb: np.ndarray


def maximise(
    respond: Respond,
    size: tuple[int, int],
    seeds: list[int],
    *,
    steps: int = 256,
    grey: bool = False,
    report: Callable[[float], None] | None = None,
) -> Preferred:
    """Return a picture per seed for which the response is high.

    Parameters
    ----------
    respond : callable
        See `Respond`; picture k may be meant for another unit than picture k + 1.
    size : tuple of int
        (height, width) of the pictures.
    seeds : list of int
        Of the start and of the movements; the same seeds in the same order give the same pictures.
    steps : int
    grey : bool
        Whether all three colours are the same.
    report : callable, optional
        Told the part that is done at every step.

    Raises
    ------
    InputError
        When there is no seed or no step.
    """
    if steps < 1 or not seeds:
        message = f"There must be a step and a seed at least, not {steps} steps and {len(seeds)} seeds."
        raise InputError(message)
    spectrum = _start(size, seeds, 1 if grey else 3).requires_grad_()
    weight = _weight(size)
    random = [np.random.default_rng([seed, 1]) for seed in seeds]
    climber = torch.optim.Adam([spectrum], lr=RATE)
    climb = []
    for step in range(steps):
        climber.zero_grad()
        done = step / steps
        strength = min(1.0, (1 - done) / (1 - STILL)) if steps > 1 else 0.0
        moved = _moved(_picture(spectrum, weight, size), random, strength)
        response = respond(moved, done < GENTLE)
        (-response.sum()).backward()  # type: ignore[no-untyped-call]
        climber.step()
        climb.append(response.detach().double().cpu().numpy())
        if report is not None:
            report((step + 1) / steps)
    with torch.no_grad():
        found = _picture(spectrum, weight, size)
    pixels = (found * 255).round().to(torch.uint8).movedim(1, -1).numpy()
    return Preferred(np.ascontiguousarray(pixels), np.stack(climb, axis=1))


def _start(size: tuple[int, int], seeds: list[int], channels: int) -> torch.Tensor:
    """Return random coefficients (n, channels, height, width // 2 + 1, 2)."""
    shape = (channels, size[0], size[1] // 2 + 1, 2)
    drawn = [np.random.default_rng([seed, 0]).normal(scale=START, size=shape) for seed in seeds]
    return torch.from_numpy(np.stack(drawn)).float()


def _weight(size: tuple[int, int]) -> torch.Tensor:
    """Return one over the frequency of each coefficient, in pixels; that of the mean counts as the next."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    return torch.from_numpy(1 / np.maximum(frequency, 1 / max(size))).float()


def _picture(spectrum: torch.Tensor, weight: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return pictures (n, 3, height, width) of 0 to 1."""
    plane = torch.fft.irfft2(torch.view_as_complex(spectrum) * weight, s=size, norm="ortho") / 4
    if plane.shape[1] == 1:
        return torch.sigmoid(plane).expand(-1, 3, -1, -1)
    mix = torch.from_numpy((AXES * GAINS[:, None]).T).float()  # (colour, axis)
    return torch.sigmoid(torch.einsum("ka,nahw->nkhw", mix, plane))


def _moved(pictures: torch.Tensor, random: list[np.random.Generator], strength: float) -> torch.Tensor:
    """Shift, scale and rotate each picture at random; its mirror image is seen beyond its border."""
    if strength <= 0:
        return pictures
    height, width = pictures.shape[2:]
    turns = []
    for draw in random:
        x, y, scale, angle = draw.uniform(-1, 1, 4) * strength
        cos, sin = (f(np.deg2rad(TURN * angle)) / (1 + SCALE * scale) for f in (np.cos, np.sin))
        # In units of half the side, which differ between the axes.
        turns.append(
            [[cos, -sin * height / width, 2 * SHIFT * x], [sin * width / height, cos, 2 * SHIFT * y]]
        )
    grid = F.affine_grid(torch.tensor(turns, dtype=torch.float32), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
