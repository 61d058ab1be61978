"""SHAP values of networks that are linear from input to score, in closed form; for all others, why not.

Whether a network is linear is not read from its layers but tried: in double precision its score must follow
one straight line at points between the stimulus and the baselines and far beside them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Attribution, Explained, Memory, Settings, refused_by

Report = Callable[[float], None]

ROUGH = 1e-3
"""Share of the score's size by which single precision may miss the line before the exact look is worth it."""

EXACT = 1e-9
"""Share of the score's size by which double precision may miss it."""

MIXED, BESIDE = 8, 8
"""Points that mix the features of stimulus and baseline, and points around the stimulus."""

REACH = 3.0
"""How far the points beside the stimulus lie, in ranges of the input: past the kinks of a piecewise line."""

_REMEDY = "Use KernelSHAP, or expected gradients where there are many features."


@dataclass(frozen=True, eq=False)
class _Line:
    """``weights``, the slope of the score (*shape) float64, and its change from the baselines."""

    weights: torch.Tensor
    change: float


_lines: Memory[_Line] = Memory()


def linear_shap(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Compute SHAP values of a linear network: weight · (x − mean of the baselines), exactly.

    Parameters
    ----------
    explained : Explained
        Its baselines are the background.
    settings : Settings
        None is used.
    report : callable, optional

    Returns
    -------
    Attribution
        Values of the stimulus's shape, float64, without error; their sum is the change of the score.

    Raises
    ------
    InputError
        When the score is not linear in the input.

    References
    ----------
    Lundberg & Lee, 2017, corollary 1: features are taken as independent.
    """
    line = _line(explained)
    if report is not None:
        report(1.0)
    mean = explained.baselines.detach().cpu().double().mean(0)
    values = line.weights * (explained.inputs[0].detach().cpu().double() - mean)
    return Attribution(values, total=line.change)


def _line(explained: Explained) -> _Line:
    return _lines.get(explained, "line", lambda: _fitted(explained))


REFUSALS = {"linear_shap": refused_by(_line)}


def _fitted(explained: Explained) -> _Line:
    if explained.kind == "text":
        message = "Linear SHAP needs numbers as input: the numbers of tokens cannot be averaged."
        raise InputError(message, "Use KernelSHAP, whose features are the tokens.")
    if not _roughly_linear(explained):
        raise _bent()
    try:
        exact = copy.deepcopy(explained.module).cpu().double()
        inputs = explained.inputs.detach().cpu().double().requires_grad_(True)
        own = _scores(explained, exact, inputs)
        (slope,) = torch.autograd.grad(own.sum(), inputs)
        with torch.inference_mode():
            points = _points(inputs.detach(), explained.baselines.cpu().double())
            found = _scores(explained, exact, points)
            levels = _scores(explained, exact, explained.baselines.cpu().double())
    except (RuntimeError, TypeError) as error:  # whatever a network says that knows single precision only
        message = "This network cannot be run in double precision, so whether it is linear is not certain."
        raise InputError(message, _REMEDY) from error
    line = own.detach() + ((points - inputs.detach()) * slope).flatten(1).sum(1)
    if not bool(slope.isfinite().all()) or _missed(found, line) > EXACT:
        raise _bent()
    return _Line(slope[0], float(own.detach() - levels.mean()))


def _roughly_linear(explained: Explained) -> bool:
    """Look at the points between: cheap, in the precision that is there, and enough for most networks."""
    with torch.inference_mode():
        first, last = explained.inputs, explained.baselines[:1]
        found = explained.scores(torch.cat([first, last, (first + last) / 2])).double()
    return _missed(found, torch.stack([found[0], found[1], (found[0] + found[1]) / 2])) <= ROUGH


def _missed(found: torch.Tensor, line: torch.Tensor) -> float:
    """Return the largest distance from the line as a share of the score's size; infinite without numbers."""
    size = max(float(found.abs().max()), float(line.abs().max()), 1e-12)
    off = float((found - line).abs().max()) / size
    return off if off == off else float("inf")


def _points(inputs: torch.Tensor, baselines: torch.Tensor) -> torch.Tensor:
    """Return baselines, mixtures of features, and points far beside the stimulus; the same every time."""
    generator = torch.Generator().manual_seed(0)
    few = baselines[:MIXED]
    shape = (MIXED, *inputs.shape[1:])
    kept = torch.rand(shape, generator=generator) < 0.5
    mixed = torch.where(kept, inputs, few[torch.arange(MIXED) % len(few)])
    reach = REACH * max(float((inputs - baselines).abs().max()), float(inputs.abs().max()), 1.0)
    noise = torch.randn((BESIDE, *inputs.shape[1:]), generator=generator, dtype=torch.float64)
    return torch.cat([few, mixed, inputs + reach * noise])


def _scores(explained: Explained, module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return explained.score(module(inputs)).double()


def _bent() -> InputError:
    message = "This network is not linear: its score leaves the straight line from baseline to stimulus."
    return InputError(message, _REMEDY)
