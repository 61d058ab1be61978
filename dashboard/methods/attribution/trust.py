"""How far a map can be trusted: each check is a number with its controls, and a sentence anyone understands.

Maps are laid over places: (height, width) of a picture, (n_tokens,), (n_features,). `places` brings a map
with channels there. Nothing here makes maps: callers pass them, or a function that does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Explained
from dashboard.methods.attribution.coalitions import mixed, rows

Report = Callable[[float], None]
MapOf = Callable[[torch.Tensor], torch.Tensor]
"""From a stimulus, (1, *shape), to its map."""

SMALL = 0.01
"""Change of the score, relative to its size, under which a relative error means nothing."""

FORGOTTEN = 0.3
"""Rank correlation under which two maps are called unlike."""

TINY = 1e-12


def places(values: torch.Tensor, *, size: bool = False) -> torch.Tensor:
    """Return a map without channels, float64.

    Parameters
    ----------
    values : torch.Tensor
        (channels, height, width), (height, width) or (n,).
    size : bool
        Whether channels are joined by the sum of their sizes rather than by their sum.
    """
    values = values.detach().double().cpu()
    if values.dim() == 3:
        return values.abs().sum(0) if size else values.sum(0)
    return values.abs() if size else values


# --- does it add up? --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Completeness:
    """Sum of a map against what it should be.

    Attributes
    ----------
    total, wanted : float
        Sum of the map; f(x) less the mean f of the baselines.
    error : float
        Size of the difference.
    relative : float
        ``error`` as a share of the size of ``wanted``; NaN where that is too small to judge by.
    verdict : {"good", "fair", "poor", "unknown"}
        Up to 1 %, up to 5 %, above, cannot be told.
    """

    total: float
    wanted: float
    error: float
    relative: float
    verdict: str
    source: str = "Sundararajan, Taly & Yan, 2017 (axiom of completeness)"

    @property
    def sentence(self) -> str:
        """What it means."""
        if self.verdict == "unknown":
            return (
                f"The score hardly differs from the baseline's ({_number(self.wanted)}): there is too "
                "little to share out to judge whether the map adds up."
            )
        ending = {
            "good": "it accounts for the whole change.",
            "fair": "a small part of the change is missing or made up.",
            "poor": "read single values with care.",
        }[self.verdict]
        return (
            f"The map sums to {_number(self.total)}, the score changed by {_number(self.wanted)}: "
            f"off by {_percent(self.relative)}, so {ending}"
        )


def completeness(values: torch.Tensor, wanted: float, level: float = 0.0) -> Completeness:
    """Compare the sum of a map with the change of the score, in float64.

    Parameters
    ----------
    values : torch.Tensor
    wanted : float
        f(x) less the mean f of the baselines (`Explained.levels`).
    level : float
        f(x), which tells how large a change is worth the name.
    """
    total = float(values.detach().double().sum())
    error = abs(total - wanted)
    if abs(wanted) <= max(SMALL * abs(level), TINY) and error <= max(SMALL * abs(level), TINY):
        return Completeness(total, wanted, error, math.nan, "unknown")
    relative = error / max(abs(wanted), TINY)
    verdict = "good" if relative <= 0.01 else "fair" if relative <= 0.05 else "poor"
    return Completeness(total, wanted, error, relative, verdict)


# --- is it sampled well enough? ---------------------------------------------------------------------------


@dataclass(frozen=True)
class SamplingError:
    """How much a sampled map hangs on its seed.

    Attributes
    ----------
    share : float
        Mean standard error over places, as a share of the mean size of the map.
    agreement : float
        Mean Spearman correlation of maps from different seeds; NaN where only one map is known.
    seeds : int
    standard_error : torch.Tensor
        Of the mean map, at each place.
    """

    share: float
    agreement: float
    seeds: int
    standard_error: torch.Tensor
    source: str = "Castro, Gómez & Tejada, 2009 (error of sampled Shapley values)"

    @property
    def sentence(self) -> str:
        """What it means."""
        if not math.isfinite(self.share):
            return "The map is zero everywhere: its sampling error says nothing."
        again = ""
        if math.isfinite(self.agreement):
            again = f" Ranks correlate with {self.agreement:.2f} over {self.seeds} seeds (1 is the same)."
        word = "little" if self.share < 0.1 else "noticeably" if self.share < 0.3 else "a lot"
        return (
            f"Another seed changes a value by {_percent(self.share)} of a typical value: "
            f"chance matters {word}.{again}"
        )


def sampling_error(maps: Sequence[torch.Tensor]) -> SamplingError:
    """Compare maps from different seeds; the error told is that of a single map.

    Parameters
    ----------
    maps : sequence of torch.Tensor
        At least two, of one shape.
    """
    if len(maps) < 2:
        raise InputError(
            "One map tells nothing about another seed.", "Compute the map with two seeds or more."
        )
    stack = torch.stack([places(m) for m in maps])
    error = stack.std(0)
    ranks = agreement({str(number): m for number, m in enumerate(maps)}).matrix
    upper = ranks[np.triu_indices(len(maps), 1)]
    return SamplingError(_share(error, stack.mean(0)), float(np.mean(upper)), len(maps), error)


def standard_error(values: torch.Tensor, error: torch.Tensor) -> SamplingError:
    """Tell the error that a sampled map knows itself."""
    own = error.detach().double().cpu()
    own = own.square().sum(0).sqrt() if own.dim() == 3 else own
    return SamplingError(_share(own, places(values)), math.nan, 1, own)


# --- does it depend on what the network learned, and on the class? ----------------------------------------


@dataclass(frozen=True)
class Randomisation:
    """Likeness of a map to those of networks whose layers lost what they learned.

    Attributes
    ----------
    stages : tuple of str
        What was randomised.
    correlations : tuple of float
        Spearman correlation of |map| with the |map| of each randomised network; NaN for a constant map.
    image : float
        The same with |x − baseline|, the picture itself, which no training can change.
    """

    stages: tuple[str, ...]
    correlations: tuple[float, ...]
    image: float
    source: str = "Adebayo et al., 2018, Sanity checks for saliency maps"

    @property
    def course(self) -> str:
        """What it means that layers were randomised one after the other, from the top."""
        pairs = list(zip(self.stages, self.correlations, strict=True))
        told = "Weights made random layer by layer from the top: the map"
        if not any(math.isfinite(value) for _, value in pairs):
            return f"{told} becomes constant, and nothing can be compared."
        lost = next((k for k, (_, value) in enumerate(pairs) if value < FORGOTTEN), None)
        ending = (
            f"{pairs[-1][1]:.2f} of 1 with all of them" if math.isfinite(pairs[-1][1]) else "constant then"
        )
        if lost is None:
            return f"{told} never becomes unlike this one ({ending}): part of it owes nothing to learning."
        return (
            f"{told} is unlike this one (below {FORGOTTEN} of 1) from {pairs[lost][0]} on, "
            f"step {lost + 1} of {len(pairs)} ({ending})."
        )

    @property
    def sentence(self) -> str:
        """What it means, by the most randomised network."""
        last = self.correlations[-1]
        if not math.isfinite(last):
            return "The map of the randomised network is constant: nothing can be compared."
        found = f"A network that has forgotten what it learned ({self.stages[-1]}) gives a map that is"
        if last < FORGOTTEN:
            return f"{found} unlike this one ({last:.2f} of 1): the map depends on what was learned."
        if last < 0.6:
            return (
                f"{found} somewhat like this one ({last:.2f} of 1): part of the map owes nothing to learning."
            )
        return (
            f"{found} much like this one ({last:.2f} of 1): the map shows the picture more than the network."
        )


def randomisation(
    values: torch.Tensor, others: Mapping[str, torch.Tensor], image: torch.Tensor | None = None
) -> Randomisation:
    """Compare |map| with the maps of randomised networks.

    Parameters
    ----------
    values : torch.Tensor
        Map of the trained network.
    others : mapping of str to torch.Tensor
        Maps of the same stimulus by what was randomised, the most randomised last.
    image : torch.Tensor, optional
        x − baseline, like the stimulus.
    """
    if not others:
        raise InputError("There is no randomised network to compare with.", "Randomise at least one layer.")
    own = places(values, size=True)
    found = tuple(_spearman(own, places(other, size=True)) for other in others.values())
    picture = math.nan if image is None else _spearman(own, places(image, size=True))
    return Randomisation(tuple(others), found, picture)


@dataclass(frozen=True)
class ClassSensitivity:
    """Likeness of the maps of two classes.

    Attributes
    ----------
    correlation : float
        Spearman, of the signed maps.
    other : str
        The class compared with.
    """

    correlation: float
    other: str
    source: str = "Adebayo et al., 2018; Sixt, Granz & Landgraf, 2020"

    @property
    def sentence(self) -> str:
        """What it means."""
        if not math.isfinite(self.correlation):
            return "One of the two maps is constant: nothing can be compared."
        name = self.other or "the runner-up"
        if self.correlation > 0.8:
            return (
                f"The map for {name} ranks the places almost alike ({self.correlation:.2f} of 1): this map "
                "shows what matters for both, not what tells them apart."
            )
        return (
            f"The map for {name} is different ({self.correlation:.2f} of 1): this one is about its own class."
        )


def class_sensitivity(values: torch.Tensor, other: torch.Tensor, name: str = "") -> ClassSensitivity:
    """Compare the map of the explained class with that of another, such as the runner-up."""
    return ClassSensitivity(_spearman(places(values), places(other)), name)


@dataclass(frozen=True, eq=False)
class Agreement:
    """Rank correlation of methods.

    Attributes
    ----------
    names : tuple of str
    matrix : np.ndarray
        (n, n) Spearman correlations; NaN for a constant map.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    source: str = "Krishna et al., 2022, The disagreement problem in explainable machine learning"

    @property
    def sentence(self) -> str:
        """What it means."""
        i, j = np.triu_indices(len(self.names), 1)
        pairs = self.matrix[i, j]
        if not np.isfinite(pairs).any():
            return "There are no two maps to compare."
        least = int(np.nanargmin(pairs))
        return (
            f"Two methods rank the places alike with {np.nanmean(pairs):.2f} on average (1 is the same); "
            f"{self.names[i[least]]} and {self.names[j[least]]} agree least ({pairs[least]:.2f})."
        )


def agreement(maps: Mapping[str, torch.Tensor], *, size: bool = False) -> Agreement:
    """Correlate maps of one stimulus with each other, by rank.

    Parameters
    ----------
    maps : mapping of str to torch.Tensor
        By method; all over the same places.
    size : bool
        Whether |map| is compared, as where some methods have no sign.
    """
    flat = {name: places(values, size=size) for name, values in maps.items()}
    shapes = {tuple(values.shape) for values in flat.values()}
    if len(shapes) > 1:
        raise InputError("The maps lie over different places.", "Compare maps of one stimulus.")
    values = list(flat.values())
    matrix = np.array([[_spearman(a, b) for b in values] for a in values])
    return Agreement(tuple(maps), matrix)


# --- does the score fall with what the map points at? -----------------------------------------------------


@dataclass(frozen=True, eq=False)
class Curves:
    """Scores while places are removed, or put back, in the order of the map, at random and by |x|.

    Attributes
    ----------
    kind : {"deletion", "insertion"}
    share : torch.Tensor
        (n_steps + 1,) share of places removed (deletion) or put back (insertion).
    map, image : torch.Tensor
        (n_steps + 1,) scores in the order of the map and of |x − baseline|.
    random : torch.Tensor
        (n_seeds, n_steps + 1).
    """

    kind: str
    share: torch.Tensor
    map: torch.Tensor
    image: torch.Tensor
    random: torch.Tensor
    source: str = "Petsiuk, Das & Saenko, 2018, RISE; Samek et al., 2017"

    @property
    def area(self) -> float:
        """Area under the map's curve; low is good for deletion, high for insertion."""
        return float(torch.trapezoid(self.map, self.share))

    @property
    def image_area(self) -> float:
        """Area under the curve of |x|."""
        return float(torch.trapezoid(self.image, self.share))

    @property
    def random_areas(self) -> tuple[float, ...]:
        """Areas of the random orders."""
        return tuple(torch.trapezoid(self.random, self.share, dim=1).tolist())

    @property
    def random_area(self) -> float:
        """Mean area of the random orders."""
        return float(np.mean(self.random_areas))

    @property
    def beats(self) -> tuple[bool, bool]:
        """Whether the map beats the mean random order, and |x|."""
        sign = -1 if self.kind == "deletion" else 1
        return sign * (self.area - self.random_area) > 0, sign * (self.area - self.image_area) > 0

    @property
    def sentence(self) -> str:
        """What it means."""
        does = "Removing" if self.kind == "deletion" else "Putting back"
        verb = "leaves" if self.kind == "deletion" else "gives"
        better = "lower" if self.kind == "deletion" else "higher"
        numbers = (
            f"{does} the places the map ranks first {verb} a mean score of {_number(self.area)}; random "
            f"places {_number(self.random_area)}, the most visible ones {_number(self.image_area)} "
            f"({better} is better):"
        )
        random, image = self.beats
        if random and image:
            return f"{numbers} the map points at what the network uses."
        if random:
            return f"{numbers} better than chance, but no better than the stimulus itself."
        return f"{numbers} no better than chance."


def deletion(explained: Explained, values: torch.Tensor, **more: object) -> Curves:
    """Replace the places of a stimulus by the baseline, those of the largest values first; see `curves`."""
    return curves(explained, values, kinds=("deletion",), **more)["deletion"]  # type: ignore[arg-type]


def insertion(explained: Explained, values: torch.Tensor, **more: object) -> Curves:
    """Start from the baseline and put places back, those of the largest values first; see `curves`."""
    return curves(explained, values, kinds=("insertion",), **more)["insertion"]  # type: ignore[arg-type]


def curves(
    explained: Explained,
    values: torch.Tensor,
    *,
    steps: int = 20,
    seeds: int = 5,
    seed: int = 0,
    kinds: Sequence[str] = ("deletion", "insertion"),
    batch: int = 8,
    report: Report | None = None,
) -> dict[str, Curves]:
    """Compute deletion and insertion curves with their controls, in batches.

    The score is `Explained.score`; RISE's is the probability of the class. With several baselines, the mean
    over these. Special tokens stay, and count as no place.

    Parameters
    ----------
    explained : Explained
    values : torch.Tensor
        The map.
    steps : int
        Steps from nothing to everything; fewer where there are fewer places.
    seeds : int
        Random orders.
    """
    if seeds < 1 or steps < 1:
        message = f"{steps} steps and {seeds} random orders make no curve."
        raise InputError(message, "Take at least 1 of each.")
    signed = places(values)
    free = _free(explained, signed)
    order = [_ranked(signed.flatten(), free), _ranked(_image(explained).flatten(), free)]
    random = torch.Generator().manual_seed(seed)
    order += [free[torch.randperm(len(free), generator=random)] for _ in range(seeds)]
    counts = torch.linspace(0, len(free), min(steps, len(free)) + 1).round().long()
    told = itertools.count(1)
    found = {}
    for kind in kinds:
        scores = []
        for one in order:
            shown = _shown(one, counts, signed.shape, deletion=kind == "deletion")
            scores.append(_scores(explained, shown, batch))
            if report is not None:
                report(next(told) / (len(kinds) * len(order)))
        share = counts.double() / len(free)
        found[kind] = Curves(kind, share, scores[0], scores[1], torch.stack(scores[2:]))
    return found


# --- is it stable, and does it predict? -------------------------------------------------------------------


@dataclass(frozen=True)
class Sensitivity:
    """Largest change of the map under small noise.

    Attributes
    ----------
    largest : float
        Norm of the change relative to the norm of the map.
    radius : float
        Largest noise, as a share of the range of the input.
    draws : int
    """

    largest: float
    radius: float
    draws: int
    source: str = "Yeh et al., 2019, On the (in)fidelity and sensitivity of explanations"

    @property
    def sentence(self) -> str:
        """What it means."""
        if not math.isfinite(self.largest):
            return "The map is zero everywhere: how it bears noise cannot be told."
        how = "hardly" if self.largest < 0.1 else "somewhat" if self.largest < 0.5 else "strongly"
        return (
            f"Noise of {_percent(self.radius)} of the input's range, which hardly shows, changes the map "
            f"{how}, by {_percent(self.largest)} at most in {self.draws} draws. A constant map would score 0."
        )


def sensitivity(
    map_of: MapOf,
    inputs: torch.Tensor,
    *,
    radius: float = 0.02,
    draws: int = 10,
    seed: int = 0,
    report: Report | None = None,
) -> Sensitivity:
    """Measure max-sensitivity: the map of the stimulus against the maps of noisy copies.

    Parameters
    ----------
    map_of : callable
        From a stimulus, (1, *shape), to its map; with a fixed seed where it samples.
    inputs : torch.Tensor
        (1, *shape) floating point.
    radius : float
        Noise is uniform within this share of the range of the input, to either side.
    """
    if not inputs.is_floating_point():
        message = "Tokens cannot be changed a little, so the map of a text has no sensitivity to noise."
        raise InputError(message, "Look at other checks.")
    own = map_of(inputs).double()
    random = torch.Generator().manual_seed(seed)
    reach = radius * float(inputs.max() - inputs.min())
    largest = 0.0
    for number in range(draws):
        noise = torch.rand(inputs.shape, generator=random, dtype=torch.float64) * 2 - 1
        other = map_of(inputs + (reach * noise).to(inputs)).double()
        largest = max(largest, float((other - own).norm()))
        if report is not None:
            report((number + 1) / draws)
    norm = float(own.norm())
    return Sensitivity(largest / norm if norm > TINY else math.nan, radius, draws)


@dataclass(frozen=True)
class Infidelity:
    """How badly a map predicts what happens when places are removed.

    Attributes
    ----------
    error : float
        Mean squared difference between the sum of the map over the places removed and the fall of the score,
        in squared units of the score.
    unexplained : float
        ``error`` as a share of the mean squared fall: 0 is perfect, 1 no better than predicting no fall.
    draws : int
    """

    error: float
    unexplained: float
    draws: int
    source: str = "Yeh et al., 2019, definition 2.1 (random places set to the baseline)"

    @property
    def sentence(self) -> str:
        """What it means."""
        if not math.isfinite(self.unexplained):
            return "Removing places does not change the score: there is nothing to predict."
        if self.unexplained >= 1:
            return "The map predicts what happens when places are removed no better than guessing no change."
        return (
            f"From the map one can tell what happens when random places are removed, but for "
            f"{_percent(self.unexplained)} of the change."
        )


def infidelity(
    explained: Explained, values: torch.Tensor, *, draws: int = 64, seed: int = 0, batch: int = 8
) -> Infidelity:
    """Remove random places, a random share of them at a time, and compare with what the map says.

    For maps that are in units of the score, such as additive ones. With several baselines, the mean fall.
    """
    signed = places(values)
    free = _free(explained, signed)
    random = torch.Generator().manual_seed(seed)
    share = torch.rand((draws, 1), generator=random, dtype=torch.float64)
    removed = torch.zeros(draws, signed.numel(), dtype=torch.bool)
    removed[:, free] = torch.rand((draws, len(free)), generator=random, dtype=torch.float64) < share
    said = (removed * signed.flatten()).sum(1)
    scores = _scores(explained, ~removed.reshape(-1, *signed.shape), batch)
    falls = explained.levels()[0] - scores
    error, scale = float((said - falls).square().mean()), float(falls.square().mean())
    return Infidelity(error, error / scale if scale > TINY else math.nan, draws)


# --- is it where the object is? ---------------------------------------------------------------------------


@dataclass(frozen=True)
class MaskShare:
    """Share of a map inside a mask.

    Attributes
    ----------
    share : float
        Of the size of the map, |values|, summed over channels.
    positive : float
        The same of the positive part alone; NaN without any.
    area : float
        Share of the places that the mask covers: what a map without knowledge would get.
    """

    share: float
    positive: float
    area: float
    source: str = "Kohlbrenner et al., 2020 (attribution inside the object); Zhang et al., 2018"

    @property
    def sentence(self) -> str:
        """What it means."""
        if not math.isfinite(self.share):
            return "The map is zero everywhere: it lies neither on the object nor beside it."
        times = self.share / self.area
        ending = "as chance would have it" if 0.9 <= times <= 1.1 else f"{times:.1f} times what chance gives"
        return (
            f"{_percent(self.share)} of the map lies on the object, which covers {_percent(self.area)} of "
            f"the picture: {ending}."
        )


def mask_share(values: torch.Tensor, mask: torch.Tensor) -> MaskShare:
    """Measure how much of a map lies inside a mask, (height, width) bool."""
    size, signed = places(values, size=True), places(values)
    mask = mask.bool().cpu()
    if mask.shape != size.shape:
        raise InputError("The mask and the map have different sizes.", "Use the mask of this picture.")
    if not mask.any() or mask.all():
        raise InputError("The mask covers nothing or everything.", "Choose a stimulus with an object in it.")
    positive = signed.clamp_min(0)
    area = float(mask.double().mean())
    return MaskShare(_inside(size, mask), _inside(positive, mask), area)


# --- pieces -----------------------------------------------------------------------------------------------


def _inside(values: torch.Tensor, mask: torch.Tensor) -> float:
    total = float(values.sum())
    return float(values[mask].sum()) / total if total > TINY else math.nan


def _free(explained: Explained, values: torch.Tensor) -> torch.Tensor:
    """Return the indices of places that may be replaced."""
    shape = tuple(explained.inputs.shape[1:])
    wanted = shape[-2:] if explained.kind == "image" and len(shape) > 1 else shape
    if tuple(values.shape) != wanted:
        raise InputError(
            "The map does not lie over the places of the stimulus.", "Use the map of this stimulus."
        )
    if explained.special:
        return (~torch.tensor(explained.special)).nonzero().flatten()
    return torch.arange(values.numel())


def _image(explained: Explained) -> torch.Tensor:
    """Return |x − mean baseline| over places; of a text, whether the token differs."""
    if not explained.inputs.is_floating_point():
        return (explained.inputs != explained.baselines).double().mean(0).cpu()
    return places((explained.inputs[0] - explained.baselines.mean(0)), size=True)


def _ranked(values: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    return free[values[free].argsort(descending=True, stable=True)]


def _shown(
    order: torch.Tensor, counts: torch.Tensor, shape: Sequence[int], *, deletion: bool
) -> torch.Tensor:
    """Return which places are shown at each step, (n_steps + 1, *shape) bool; others than ordered always."""
    n = math.prod(shape)
    rank = torch.full((n,), -1)
    rank[order] = torch.arange(len(order))
    first = rank < counts[:, None]
    shown = (~first if deletion else first) | (rank < 0)
    return shown.reshape(-1, *shape)


@torch.inference_mode()
def _scores(explained: Explained, shown: torch.Tensor, batch: int) -> torch.Tensor:
    """Return the mean score over baselines of stimuli that show some places, (m,) float64."""
    n, batch = explained.baselines.shape[0], rows(explained, batch)
    found = []
    for part in shown.split(max(1, batch // n)):
        inputs = mixed(explained, part)
        scores = torch.cat([explained.scores(some).double().cpu() for some in inputs.split(batch)])
        found.append(scores.reshape(-1, n).mean(1))
    return torch.cat(found).clone()


def _spearman(a: torch.Tensor, b: torch.Tensor) -> float:
    """Correlate ranks, ties at their mean rank; NaN where one is constant."""
    if a.shape != b.shape:
        raise InputError("The maps lie over different places.", "Compare maps of one stimulus.")
    ranks = [rankdata(v.flatten().numpy()) for v in (a, b)]
    if any(np.ptp(r) == 0 for r in ranks):
        return math.nan
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _share(error: torch.Tensor, values: torch.Tensor) -> float:
    size = float(values.abs().mean())
    return float(error.mean()) / size if size > TINY else math.nan


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _percent(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 0.01:
        return "less than 0.01 %"
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %"
