"""Shapley and Owen values of segments: what each adds to the score, shared out fairly.

Shapley values are the only shares that sum to the score's change, treat equal segments alike, give nothing to
a segment that never matters, and add over games (Shapley, 1953). They are sampled here, or estimated by
regression, or computed exactly where that costs no more; over a hierarchy they are Owen values (Owen, 1977).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from dashboard.errors import InputError
from dashboard.methods.attribution import segments
from dashboard.methods.attribution.base import Attribution, Explained, Settings
from dashboard.methods.attribution.coalitions import Game

Report = Callable[[float], None]
Value = Callable[[torch.Tensor], torch.Tensor]
"""From coalitions, (m, players) bool, to their values, (m,) float64."""

REGRESSIONS = 5
"""Independent parts of KernelSHAP's sample, whose spread tells its standard error."""

FEWEST = 4 * REGRESSIONS
"""Samples of KernelSHAP at least: four times as many coalitions as segments in each part."""

TOLD = 16
"""Coalitions between two reports of progress, a whole number of batches."""

EXACT = 10
"""Players up to which all coalitions are tried where that costs no more than sampling."""


def shapley_sampling(
    explained: Explained, settings: Settings, report: Report | None = None, *, antithetic: bool = True
) -> Attribution:
    """Average what each segment adds when it joins, over random orders.

    The values of one order sum to the score's change, so their mean does too, whatever the number of orders.

    Parameters
    ----------
    explained : Explained
    settings : Settings
        ``samples`` orders; ``segments``, ``seed``, ``batch``.
    report : callable, optional
    antithetic : bool
        Whether every second order is the one before it backwards, which cancels part of the noise
        (Mitchell et al., 2022, "Sampling permutations for Shapley value estimation", section 3.3).

    Returns
    -------
    Attribution
        The places of a segment share its value; ``extra`` holds ``segment_values`` and
        ``segment_standard_error``, (n_segments,).

    References
    ----------
    Štrumbelj & Kononenko, 2010; Castro, Gómez & Tejada, 2009.
    """
    _allowed(_sampling_refused(explained, settings))
    game = Game.of(explained, settings)
    values, error = sampled(game.value, game.players, settings.samples, settings.seed, report, antithetic)
    return game.attribution(values, game.change(), error, shared=True)


def kernel_shap(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Estimate Shapley values by weighted regression over random coalitions.

    ``samples`` counts in orders, as in `shapley_sampling`: as many coalitions are drawn as so many orders
    would visit, in pairs of a coalition and its complement. With few segments all coalitions are used, which
    gives the Shapley values themselves.

    Parameters
    ----------
    explained : Explained
    settings : Settings
    report : callable, optional

    Returns
    -------
    Attribution
        As `shapley_sampling`; the standard error comes from independent parts of the sample.

    References
    ----------
    Lundberg & Lee, 2017, "A unified approach to interpreting model predictions", theorem 2;
    Covert & Lee, 2021, "Improving KernelSHAP", equation 7 (the solution) and section 3.3 (pairs).
    """
    _allowed(_regression_refused(explained, settings))
    game = Game.of(explained, settings)
    n, wanted = game.players, settings.samples * game.players
    if _all_tried(n, settings.samples):
        values = exact(game.value, n, report)
        note = f"All {2**n} subsets of the {n} segments were tried: these are the Shapley values themselves."
        return game.attribution(values, game.change(), torch.zeros_like(values), shared=True, notes=(note,))
    values, error = regressed(game.value, n, wanted, settings.seed, report)
    return game.attribution(values, game.change(), error, shared=True)


def partition_shap(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Share the score's change over a hierarchy of neighbouring segments.

    Halves of the stimulus share the change first, then halves of these, those that matter most first, until
    ``samples`` times the number of segments passes are spent; what is left undivided is shared equally.

    Parameters
    ----------
    explained : Explained
    settings : Settings
    report : callable, optional

    Returns
    -------
    Attribution
        Owen values. They depend on the hierarchy but on no seed.

    References
    ----------
    Owen, 1977, "Values of games with a priori unions"; the hierarchical form of shap's PartitionExplainer.
    """
    game = Game.of(explained, settings)
    tree = hierarchy(game.labels)
    values, undivided = owen(game.value, game.players, tree, settings.samples * game.players, report)
    notes: tuple[str, ...] = ()
    if undivided:
        notes = (
            f"{undivided} of the {game.players} segments share the value of their neighbourhood equally: "
            "more samples would divide it.",
        )
    return game.attribution(values, game.change(), shared=True, notes=notes)


# --- values of any game -----------------------------------------------------------------------------------


def exact(value: Value, n: int, report: Report | None = None) -> torch.Tensor:
    """Compute Shapley values from all coalitions, (n,) float64; 2^n passes."""
    if n > 20:
        raise InputError(f"{n} segments have too many subsets to try them all.", "Use at most 20 segments.")
    codes = torch.arange(2**n)
    bits = (codes[:, None] >> torch.arange(n)) & 1
    values = _told(value, bits.bool(), report)
    size = bits.sum(1)
    weight = torch.tensor([1 / (n * math.comb(n - 1, s)) for s in range(n)], dtype=torch.float64)
    found = []
    for player in range(n):
        without = codes[bits[:, player] == 0]
        gain = values[without + 2**player] - values[without]
        found.append((weight[size[without]] * gain).sum())
    return torch.stack(found)


def sampled(
    value: Value, n: int, orders: int, seed: int, report: Report | None = None, antithetic: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample Shapley values over random orders.

    Returns
    -------
    values, standard_error : torch.Tensor
        (n,) float64. The error counts a pair of antithetic orders as one draw.
    """
    antithetic = antithetic and orders >= 4
    order = _orders(n, orders, seed, antithetic)
    rank = order.argsort(1)
    place = torch.arange(1, n)
    joined = (rank[:, None] < place[:, None]).reshape(-1, n)  # the coalitions of 1 to n − 1 players
    ends = torch.stack([torch.zeros(n), torch.ones(n)]).bool()
    scores = _told(value, torch.cat([ends, joined]), report)
    inner = scores[2:].reshape(orders, n - 1)
    whole = torch.cat([scores[0].expand(orders, 1), inner, scores[1].expand(orders, 1)], 1)
    gains = whole.diff(dim=1).gather(1, rank)
    return gains.mean(0), _standard_error(gains, antithetic)


def regressed(
    value: Value, n: int, coalitions: int, seed: int, report: Report | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimate Shapley values by KernelSHAP's regression, whose values sum to v(all) − v(nobody) exactly.

    Coalitions are drawn from the Shapley kernel, so that the regression itself needs no weights.

    Returns
    -------
    values, standard_error : torch.Tensor
        (n,) float64.
    """
    ends = torch.stack([torch.zeros(n), torch.ones(n)]).bool()
    if n == 1:
        first, last = value(ends).tolist()
        return torch.tensor([last - first], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    pairs = math.ceil(coalitions / (2 * REGRESSIONS)) * REGRESSIONS
    drawn = _from_kernel(n, pairs, seed)
    scores = _told(value, torch.cat([ends, drawn]), report)
    empty, change = scores[0], scores[1] - scores[0]
    # Pairs stay together: every part holds whole pairs of a coalition and its complement.
    rows = drawn.double().reshape(REGRESSIONS, -1, n)
    gains = (scores[2:] - empty).reshape(REGRESSIONS, -1)
    parts = torch.stack([_constrained(z, y, change) for z, y in zip(rows, gains, strict=True)])
    whole = _constrained(rows.reshape(-1, n), gains.flatten(), change)
    return whole, parts.std(0) / math.sqrt(REGRESSIONS)


@dataclass(frozen=True)
class Node:
    """A part of a hierarchy: the segments in it and the two parts it divides into, or none."""

    members: tuple[int, ...]
    parts: tuple[Node, ...] = field(default=(), repr=False)


_Item = tuple[float, int, Node, torch.Tensor, float, float, float]
"""−importance, tie-break, node, outside, v(outside), v(outside and node), weight."""


def owen(
    value: Value, n: int, tree: Node, passes: int, report: Report | None = None
) -> tuple[torch.Tensor, int]:
    """Compute Owen values over a hierarchy of halves.

    A node with the outside coalition A gives its halves ``(v(A ∪ L) − v(A) + v(A ∪ L ∪ R) − v(A ∪ R)) / 2``
    and the same for R; each half goes on with and without the other, weighted by a half. Nodes with the
    largest difference between the two halves' ways come first.

    Returns
    -------
    values : torch.Tensor
        (n,) float64, which sum to v(all) − v(nobody).
    undivided : int
        Segments in nodes that the passes did not suffice to divide.
    """
    ends = torch.stack([torch.zeros(n), torch.ones(n)]).bool()
    empty, full = value(ends).tolist()
    values = torch.zeros(n, dtype=torch.float64)
    number, spent, undivided = itertools.count(), 2, set[int]()
    waiting: list[_Item] = [(-abs(full - empty), next(number), tree, ends[0], empty, full, 1.0)]
    while waiting:
        taken = _taken(waiting, (passes - spent) // 2)
        for _, _, node, _, low, high, weight in taken.leaves:
            values[list(node.members)] += weight * (high - low) / len(node.members)
            undivided.update(node.members if len(node.members) > 1 else ())
        if not taken.inner:
            continue
        asked = torch.stack([row for item in taken.inner for row in _halves(item[2], item[3])])
        scores = value(asked).reshape(-1, 2).tolist()
        spent += len(asked)
        for (_, _, node, outside, low, high, weight), (left, right) in zip(taken.inner, scores, strict=True):
            for half, other, own, with_other in (
                (node.parts[0], node.parts[1], left, right),
                (node.parts[1], node.parts[0], right, left),
            ):
                joined = outside.clone()
                joined[list(other.members)] = True
                for around, below, above in ((outside, low, own), (joined, with_other, high)):
                    gain = abs(above - below) * weight / 2
                    heapq.heappush(waiting, (-gain, next(number), half, around, below, above, weight / 2))
        if report is not None:
            report(min(1.0, spent / max(passes, 1)))
    if report is not None:
        report(1.0)
    return values, len(undivided)


def hierarchy(labels: torch.Tensor) -> Node:
    """Halve a stimulus again and again where it is longest, so that neighbours stay together.

    Parameters
    ----------
    labels : torch.Tensor
        Segments; a picture is halved by the centres of its segments, a text or a table by their order.
    """
    n = segments.count(labels)
    free = labels >= 0
    places = free.nonzero().double()
    centres = torch.zeros(n, places.shape[1], dtype=torch.float64)
    centres.index_add_(0, labels[free], places)
    centres /= torch.bincount(labels[free], minlength=n)[:, None]
    return _halved(torch.arange(n), centres)


# --- pieces -----------------------------------------------------------------------------------------------


def _orders(n: int, orders: int, seed: int, antithetic: bool) -> torch.Tensor:
    """Return random orders, (orders, n)."""
    random = torch.Generator().manual_seed(seed)
    drawn = math.ceil(orders / 2) if antithetic else orders
    order = torch.rand((drawn, n), generator=random, dtype=torch.float64).argsort(1)
    if antithetic:
        order = torch.stack([order, order.flip(1)], 1).reshape(-1, n)
    return order[:orders]


def _standard_error(gains: torch.Tensor, antithetic: bool) -> torch.Tensor:
    orders = len(gains)
    if not antithetic:
        return gains.std(0) / math.sqrt(orders)
    even = orders - orders % 2
    pairs = gains[:even].reshape(-1, 2, gains.shape[1]).mean(1)
    return pairs.std(0) / math.sqrt(len(pairs))


def _from_kernel(n: int, pairs: int, seed: int) -> torch.Tensor:
    """Draw coalitions with the Shapley kernel's probabilities, each before its complement, (2 pairs, n)."""
    random = torch.Generator().manual_seed(seed)
    size = torch.arange(1, n, dtype=torch.float64)
    drawn = torch.multinomial(1 / (size * (n - size)), pairs, replacement=True, generator=random) + 1
    rank = torch.rand((pairs, n), generator=random, dtype=torch.float64).argsort(1).argsort(1)
    chosen = rank < drawn[:, None]
    return torch.stack([chosen, ~chosen], 1).reshape(-1, n)


def _constrained(z: torch.Tensor, y: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Least squares of y on z under sum = change (Covert & Lee, 2021, equation 7)."""
    n = z.shape[1]
    a = z.T @ z / len(z)
    a = a + 1e-12 * a.diagonal().mean() * torch.eye(n, dtype=a.dtype)
    b = z.T @ y / len(y)
    solved = torch.linalg.solve(a, torch.stack([b, torch.ones(n, dtype=a.dtype)], 1))
    free, ones = solved[:, 0], solved[:, 1]
    return free - ones * (free.sum() - change) / ones.sum()


def _told(value: Value, coalitions: torch.Tensor, report: Report | None) -> torch.Tensor:
    """Ask a game for values and tell the progress."""
    if report is None:
        return value(coalitions)
    found = []
    parts = coalitions.split(max(TOLD, len(coalitions) // 100 // TOLD * TOLD))
    for number, part in enumerate(parts, 1):
        found.append(value(part))
        report(number / len(parts))
    return torch.cat(found)


@dataclass(frozen=True)
class _Taken:
    inner: list[_Item]
    leaves: list[_Item]


def _taken(waiting: list[_Item], affordable: int) -> _Taken:
    """Take the most important nodes: up to 32 that can be divided, and those that cannot or may not be."""
    inner: list[_Item] = []
    leaves: list[_Item] = []
    while waiting and len(inner) < 32:
        item = heapq.heappop(waiting)
        divisible = bool(item[2].parts) and len(inner) < affordable
        (inner if divisible else leaves).append(item)
    return _Taken(inner, leaves)


def _halves(node: Node, outside: torch.Tensor) -> list[torch.Tensor]:
    """Return the outside with the left half and with the right half."""
    found = []
    for part in node.parts:
        row = outside.clone()
        row[list(part.members)] = True
        found.append(row)
    return found


def _halved(members: torch.Tensor, centres: torch.Tensor) -> Node:
    own = tuple(members.tolist())
    if len(own) == 1:
        return Node(own)
    here = centres[members]
    axis = int((here.max(0).values - here.min(0).values).argmax())
    order = here[:, axis].argsort(stable=True)
    middle = (len(own) + 1) // 2
    parts = members[order[:middle]], members[order[middle:]]
    return Node(own, tuple(_halved(part, centres) for part in parts))


def _all_tried(players: int, samples: int) -> bool:
    return players <= EXACT and 2**players <= samples * players + 2


def _sampling_refused(explained: Explained, settings: Settings) -> str:
    return "" if settings.samples >= 2 else "One order tells no standard error. Take at least 2 samples."


def _regression_refused(explained: Explained, settings: Settings) -> str:
    players = segments.count(segments.of(explained, settings.segments))
    if settings.samples >= FEWEST or _all_tried(players, settings.samples):
        return ""
    return (
        f"{settings.samples} samples are too few for a regression with {players} segments and its error. "
        f"Take at least {FEWEST}."
    )


def _allowed(refusal: str) -> None:
    if refusal:
        raise InputError(refusal)


REFUSALS: dict[str, Callable[[Explained, Settings], str]] = {
    "shapley_sampling": _sampling_refused,
    "kernel_shap": _regression_refused,
}
