"""Attributions from the slope of the score: one shared pass, and averages of slopes over many points.

Slopes are taken with respect to the stimulus only (of a text: to the output of its embedding, summed over
features to one value per token). Values are kept in float64. Imports torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from dashboard.errors import InputError, unknown
from dashboard.methods.attribution import Report, layers
from dashboard.methods.attribution.base import (
    Attribution,
    Explained,
    Memory,
    Settings,
    chunks,
    first_tensor,
    private,
    refused_by,
)

IG_CHUNK = 10
"""Most points per forward pass of integrated gradients: more take memory and no less time."""

MOST_REFINED = 9
"""Most times as many steps as asked for that integrated gradients takes to follow the score."""

NO_GRADIENT = (
    "No gradient reaches the input: on its way the network rounds, counts, compares or works with integers."
)
IN_PLACE = "This network overwrites values that its gradient needs."
QUANTISED = "This network is quantised to integers, which have no gradient."
PERTURB = "Use occlusion or Shapley values, which need no gradient."
TOKENS = "Token numbers cannot be scaled or averaged, and this network has no embedding to work on instead."


# --- where slopes are taken ------------------------------------------------------------------------


class Place:
    """What is varied: the stimulus itself, or of a text what its embedding gives.

    Attributes
    ----------
    module : torch.nn.Module
        A private copy of the network that shares its weights.
    own : torch.Tensor
        (1, ...): the stimulus, or its embedded tokens (1, n_tokens, n_features).
    baselines : torch.Tensor
        (n_baselines, ...) likewise.
    """

    def __init__(self, explained: Explained) -> None:
        refuse_kinds(explained)
        self.explained = explained
        self.module = private(explained.module)
        self._given: torch.Tensor | None = None
        self._seen: torch.Tensor | None = None
        if explained.kind != "text":
            self.own, self.baselines = explained.inputs, explained.baselines
            return
        modules = dict(self.module.named_modules())
        if explained.embedding not in modules:
            raise unknown("layer", explained.embedding, [name for name in modules if name])
        modules[explained.embedding].register_forward_hook(self._exchange)
        self.own = self._embed(explained.inputs)
        self.baselines = torch.cat([self._embed(row) for row in chunks(explained.baselines, 16)])

    def scores(self, values: torch.Tensor) -> torch.Tensor:
        """Return the score of each row of ``values``, (batch, ...) like `own`; gradients flow."""
        return self.explained.score(self.outputs(values))

    def outputs(self, values: torch.Tensor) -> torch.Tensor:
        """Return what the network gives for each row of ``values``."""
        if self.explained.kind != "text":
            return self.module(values)
        rows = self.explained.inputs.expand(len(values), *self.explained.inputs.shape[1:])
        self._given = values
        try:
            return self.module(rows)
        finally:
            self._given = None

    def fold(self, values: torch.Tensor) -> torch.Tensor:
        """Sum a map over the features of each token; the map of a picture or a table stays as it is."""
        return values.sum(-1) if self.explained.kind == "text" else values

    @torch.no_grad()
    def levels(self, batch: int) -> tuple[float, list[float]]:
        """Return f(x) and f of every baseline, where slopes are taken."""
        parts = [self.scores(part).double() for part in chunks(self.baselines, batch)]
        return float(self.scores(self.own).double()), torch.cat(parts).tolist()

    def slopes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the score at each row of ``values``, float64, same shape."""
        with gradients_on(self.module, values.device):
            leaf = values.detach().clone().requires_grad_()
            with readable():
                # The copy lets a network begin with an in-place operation.
                scores = self.scores(leaf.clone())
                return gradient_of(scores, [leaf])[0].double()

    def _exchange(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        self._seen = output
        return output if self._given is None else self._given

    @torch.no_grad()
    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        self._seen = None
        self.module(tokens)
        seen = self._seen
        if seen is None or seen.ndim != 3 or seen.shape[:2] != (len(tokens), tokens.shape[-1]):
            message = f"The layer {self.explained.embedding} does not give one row of features per token."
            raise InputError(message, "Choose the layer that embeds the tokens.")
        return seen.clone()


@contextlib.contextmanager
def gradients_on(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Record gradients, also when the caller does not; recurrent layers on CUDA without cuDNN.

    cuDNN has no backward pass for recurrent layers in eval mode.
    """
    recurrent = device.type == "cuda" and any(isinstance(part, nn.RNNBase) for part in module.modules())
    plain = torch.backends.cudnn.flags(enabled=False) if recurrent else contextlib.nullcontext()
    with torch.inference_mode(False), torch.enable_grad(), plain:
        yield


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn what torch says about missing gradients into a sentence."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        text = str(error).lower()
        if "inplace operation" in text or "in-place operation" in text or "is a view" in text:
            raise InputError(IN_PLACE, PERTURB) from error
        if "derivative" in text or "does not require grad" in text or "can require gradients" in text:
            raise InputError(NO_GRADIENT, PERTURB) from error
        raise


def gradient_of(scores: torch.Tensor, wanted: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the gradient of the summed scores; zeros where they do not depend on a tensor, except the first.

    Raises
    ------
    InputError
        When no gradient reaches the first tensor, or it holds values that are no numbers.
    """
    if not scores.requires_grad:
        raise InputError(NO_GRADIENT, PERTURB)
    found = torch.autograd.grad(scores.sum(), wanted, allow_unused=True)
    if found[0] is None:
        raise InputError(NO_GRADIENT, PERTURB)
    if not bool(torch.isfinite(found[0]).all()):
        message = "The gradient of this score holds values that are no numbers."
        raise InputError(message, "Choose another score, or a method without gradients.")
    return [
        torch.zeros_like(tensor) if grad is None else grad for tensor, grad in zip(wanted, found, strict=True)
    ]


def refuse_kinds(explained: Explained) -> None:
    """Refuse what has no gradient for a reason that shows without running it.

    Raises
    ------
    InputError
        For quantised networks, and token numbers without an embedding.
    """
    if explained.kind == "text" and not explained.embedding:
        raise InputError(TOKENS, PERTURB)
    if explained.kind != "text" and not explained.inputs.is_floating_point():
        raise InputError(NO_GRADIENT, PERTURB)
    if any("quantized" in type(part).__module__.split(".") for part in explained.module.modules()):
        raise InputError(QUANTISED, PERTURB)


# --- one pass for five maps ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shared:
    """What one forward and one backward pass tell.

    Attributes
    ----------
    score : float
    own : torch.Tensor
        (1, ...): the stimulus, or the embedded tokens of a text.
    gradient : torch.Tensor
        (1, ...): of the score with respect to `own`.
    layer : str
        Name of the layer that was read; ``""`` when the network has none that keeps the places of a picture.
    activation, layer_gradient : torch.Tensor or None
        Its output and the gradient of the score with respect to it, (1, ...).
    channel_axis : int
        Axis of `activation` that counts channels.
    grid : (int, int) or None
        Rows and columns of the places of `activation`; None when it has no such places.
    prefix : int
        Tokens of `activation` before those of the grid.
    """

    score: float
    own: torch.Tensor
    gradient: torch.Tensor
    layer: str = ""
    activation: torch.Tensor | None = None
    layer_gradient: torch.Tensor | None = None
    channel_axis: int = 1
    grid: tuple[int, int] | None = None
    prefix: int = 0


_PASSES: Memory[Shared] = Memory()


def shared_pass(explained: Explained, layer: str = "") -> Shared:
    """Return saliency's, input × gradient's, Grad-CAM's and a layer's raw material from one pass.

    It is remembered as long as ``explained`` lives, so that several methods share it.

    Parameters
    ----------
    explained : Explained
    layer : str, optional
        The layer to be read; by default the one that class activation maps use (`layers.Reader`).

    Raises
    ------
    InputError
        When no gradient reaches the input, or there is no such layer.
    """
    return _PASSES.get(explained, layer, lambda: _pass(explained, layer))


def _pass(explained: Explained, layer: str) -> Shared:
    place = Place(explained)
    with gradients_on(place.module, place.own.device), readable():
        reader = layers.Reader(place.module, explained, layer)
        leaf = place.own.detach().clone().requires_grad_()
        outputs = place.outputs(leaf.clone())
        scores = explained.score(outputs)
        reader.finish(first_tensor(outputs))
        gradient, *at_layers = gradient_of(scores, [leaf, *reader.tensors])
    chosen = reader.choose(at_layers)
    shared = Shared(float(scores.detach().double()), place.own, gradient)
    if chosen is None:
        return shared
    reading, layer_gradient = chosen
    return replace(
        shared,
        layer=reading.name,
        activation=reading.tensor.detach(),
        layer_gradient=layer_gradient,
        channel_axis=reading.channel_axis,
        grid=reading.grid,
        prefix=reading.prefix,
    )


def _any_pass(explained: Explained) -> Shared:
    """Return a pass that was made already, whatever layer it read, else make one."""
    done = _PASSES.found(explained)
    return done[0] if done else shared_pass(explained)


no_gradient = refused_by(_any_pass)
"""Say why there is no gradient; ``""`` when there is one."""


_METHODS = ("saliency", "input_x_gradient", "smoothgrad", "integrated_gradients", "expected_gradients")
REFUSALS = dict.fromkeys(_METHODS, no_gradient)


# --- maps ------------------------------------------------------------------------------------------


def saliency(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return the absolute gradient (Simonyan, Vedaldi & Zisserman 2014); of a token the sum over features."""
    shared = _any_pass(explained)
    values = shared.gradient.double().abs()
    values = values.sum(-1) if explained.kind == "text" else values
    return Attribution(values[0], notes=_flat(shared.gradient))


def input_x_gradient(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return gradient × (stimulus − mean baseline) (Shrikumar, Greenside & Kundaje 2017)."""
    shared = _any_pass(explained)
    baselines = explained.baselines if explained.kind != "text" else Place(explained).baselines
    values = shared.gradient.double() * (shared.own.double() - baselines.double().mean(0))
    values = values.sum(-1) if explained.kind == "text" else values
    return Attribution(values[0], notes=_flat(shared.gradient))


def smoothgrad(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return the mean gradient over noisy copies (Smilkov et al. 2017, equation 2), with its standard error.

    The noise is Gaussian; its standard deviation is `Settings.noise` times the range of the stimulus.
    """
    place = Place(explained)
    deviation = settings.noise * float(place.own.max() - place.own.min())
    random = _random(settings)

    def draw() -> torch.Tensor:
        noise = torch.randn(place.own.shape[1:], generator=random, dtype=place.own.dtype)
        return place.own[0] + deviation * noise.to(place.own.device)

    def part(points: torch.Tensor) -> torch.Tensor:
        return place.fold(place.slopes(points))

    mean, error = _sampled(draw, part, settings, report)
    return Attribution(mean, standard_error=error, extra={"noise": deviation})


Rule = Literal["midpoint", "trapezoid", "left", "right"]


def points_on_way(steps: int, rule: Rule = "midpoint") -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions between baseline (0) and stimulus (1) and their weights, float64, (steps,) each.

    The rules are captum's ``riemann_middle``, ``riemann_trapezoid``, ``riemann_left`` and ``riemann_right``
    at the same number of steps. (Its trapezoid divides by the number of steps, not by one less: so do we.)

    Raises
    ------
    InputError
        For fewer than 2 steps, or an unknown rule.
    """
    if steps < 2:
        message = f"Integrated gradients with {steps} steps cannot be computed."
        raise InputError(message, "Choose at least 2; 20 to 100 are usual.")
    ends = {
        "midpoint": (1 / (2 * steps), 1 - 1 / (2 * steps)),
        "trapezoid": (0.0, 1.0),
        "left": (0.0, 1 - 1 / steps),
        "right": (1 / steps, 1.0),
    }
    if rule not in ends:
        raise unknown("rule", rule, ends)
    weights = torch.full((steps,), 1 / steps, dtype=torch.float64)
    if rule == "trapezoid":
        weights[[0, -1]] /= 2
    return torch.linspace(*ends[rule], steps, dtype=torch.float64), weights


def integrated_gradients(
    explained: Explained, settings: Settings, report: Report | None = None, rule: Rule = "midpoint"
) -> Attribution:
    """Return integrated gradients (Sundararajan, Taly & Yan 2017, equation 3), the mean over baselines.

    The integral is a Riemann sum over the midpoints of `Settings.steps` parts of the straight way from each
    baseline. Where its values miss the change of the score by more than `Settings.tolerance`, every part is
    cut in three, at most twice; the points there were are used again.

    Returns
    -------
    Attribution
        ``total`` is f(x) less the mean score of the baselines; ``extra["steps"]`` the steps taken from each
        baseline. Of a text all is computed at the embedding.
    """
    points_on_way(settings.steps, rule)
    place = Place(explained)
    own, levels = place.levels(settings.batch)
    ways = [
        _Way(place, baseline, own - level) for baseline, level in zip(place.baselines, levels, strict=True)
    ]
    for i, way in enumerate(ways):
        for fraction in way.walk(settings, rule):
            if report is not None:
                report((i + fraction) / len(ways))
    values = torch.stack([way.values for way in ways]).mean(0)
    notes = () if all(way.steps == settings.steps for way in ways) else (_refined(ways, settings),)
    extra: dict[str, object] = {"rule": rule, "steps": tuple(way.steps for way in ways)}
    return Attribution(place.fold(values), total=own - sum(levels) / len(levels), notes=notes, extra=extra)


class _Way:
    """The straight way from one baseline to the stimulus, and the slopes met on it."""

    def __init__(self, place: Place, baseline: torch.Tensor, change: float) -> None:
        self.place, self.baseline, self.change = place, baseline, change
        self.way = place.own[0] - baseline
        self.steps = 0
        self.values = torch.zeros_like(self.way, dtype=torch.float64)

    @property
    def missed(self) -> float:
        """How far the values miss the change of the score, as a share of it."""
        gap = abs(float(self.values.sum()) - self.change)
        return gap / abs(self.change) if self.change else 0.0

    def walk(self, settings: Settings, rule: Rule) -> Iterator[float]:
        """Take steps until the values are close enough; yield the share of the way that is done."""
        positions, weights = points_on_way(settings.steps, rule)
        yield from self._add(positions, weights, settings, 0.0)
        self.steps = settings.steps
        while (
            rule == "midpoint"
            and 0 < settings.tolerance < self.missed
            and self.steps < MOST_REFINED * settings.steps
        ):
            positions, weights = points_on_way(3 * self.steps)
            new = torch.arange(len(positions)) % 3 != 1  # the others are the midpoints there were
            self.values /= 3
            share = self.steps / len(positions)
            yield from self._add(positions[new], weights[new], settings, share)
            self.steps = len(positions)
        yield 1.0

    def _add(
        self, positions: torch.Tensor, weights: torch.Tensor, settings: Settings, done: float
    ) -> Iterator[float]:
        size = max(1, min(settings.batch, IG_CHUNK))
        summed = torch.zeros_like(self.values)
        for at, weight in zip(positions.split(size), weights.split(size), strict=True):
            points = self.baseline + _column(at.to(self.way.dtype), self.place.own) * self.way
            summed += (self.place.slopes(points) * _column(weight, self.place.own)).sum(0)
            done += (1 - done) * len(at) / len(positions) * 0.9
            yield done
        self.values += summed * self.way.double()


def _refined(ways: list[_Way], settings: Settings) -> str:
    taken = max(way.steps for way in ways)
    told = f"{settings.steps} steps did not follow the score closely enough, so up to {taken} were taken"
    worst = max(way.missed for way in ways)
    if worst <= settings.tolerance:
        return f"{told}."
    return f"{told}; from the worst baseline the values still miss the change by {worst:.1%}."


def expected_gradients(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return expected gradients (Erion et al. 2021, equation 4) with their standard error.

    Each sample takes one baseline and one point on the way from it, both at random; the expectation is
    integrated gradients averaged over the baselines, which GradientSHAP offers as SHAP values.
    """
    place = Place(explained)
    random = _random(settings)
    rows = torch.randint(len(place.baselines), (settings.samples,), generator=random)
    positions = torch.rand(settings.samples, generator=random, dtype=torch.float64)
    drawn = iter(zip(rows.tolist(), positions.tolist(), strict=True))

    def draw() -> torch.Tensor:
        row, position = next(drawn)
        baseline = place.baselines[row]
        way = place.own[0] - baseline
        return torch.stack([baseline + position * way, way])

    def part(points: torch.Tensor) -> torch.Tensor:
        return place.fold(place.slopes(points[:, 0]) * points[:, 1].double())

    mean, error = _sampled(draw, part, settings, report)
    own, levels = place.levels(settings.batch)
    return Attribution(mean, standard_error=error, total=own - sum(levels) / len(levels))


def _sampled(
    draw: Callable[[], torch.Tensor],
    part: Callable[[torch.Tensor], torch.Tensor],
    settings: Settings,
    report: Report | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of samples and its standard error; the draws do not depend on the batch."""
    if settings.samples < 2:
        message = f"{settings.samples} samples give no standard error."
        raise InputError(message, "Choose at least 2; 50 are usual.")
    sums = _Sums()
    for start in range(0, settings.samples, settings.batch):
        n = min(settings.batch, settings.samples - start)
        sums.add(part(torch.stack([draw() for _ in range(n)])))
        if report is not None:
            report((start + n) / settings.samples)
    return sums.mean_and_error()


class _Sums:
    """Sums of samples and their squares about the first, so that the variance does not drown in rounding."""

    def __init__(self) -> None:
        self.n = 0

    def add(self, rows: torch.Tensor) -> None:
        if not self.n:
            self.first = rows[0].clone()
            self.sum, self.squares = torch.zeros_like(self.first), torch.zeros_like(self.first)
        self.n += len(rows)
        self.sum += (rows - self.first).sum(0)
        self.squares += (rows - self.first).square().sum(0)

    def mean_and_error(self) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.sum / self.n
        variance = (self.squares - self.n * mean.square()).clamp_min(0) / (self.n - 1)
        return self.first + mean, (variance / self.n).sqrt()


def _random(settings: Settings) -> torch.Generator:
    return torch.Generator().manual_seed(settings.seed)


def _column(numbers: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return (n,) numbers as (n, 1, ...), to multiply n stimuli of the rank that ``like`` (1, ...) has."""
    return numbers.to(like.device).view(-1, *[1] * (like.ndim - 1))


def _flat(gradient: torch.Tensor) -> tuple[str, ...]:
    if bool(gradient.any()):
        return ()
    return ("The gradient is zero everywhere: a small change of the stimulus does not change this score.",)
