"""Which channels of a layer, or which layers, does the similarity with an area come from?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard.analyses import compared, one_layer
from dashboard.analyses.activations import extract
from dashboard.analyses.one_layer import Area
from dashboard.errors import InputError, caution
from dashboard.methods import rsa, score_shares
from dashboard.networks import Layer
from dashboard.networks.reducers import reducer, subset
from dashboard.progress import part, report
from dashboard.specs import BrainWhySpec

MOST_GROUPS, MOST_ORDERS = 256, 20_000


@dataclass(frozen=True, eq=False)
class _Players:
    """Who shares the score: names, channels in each (0 for layers), the game, and what it is about."""

    names: list[str]
    channels: list[int]
    game: score_shares.Game
    layer: str
    title: str
    device: str
    silent: int = 0


def why(spec: BrainWhySpec) -> xr.Dataset:
    """Split the score of a layer between its channels, or that of combined layers between the layers.

    Returns
    -------
    xarray.Dataset
        ``share`` (player,): Shapley value, mean over subjects, whose sum is the attribute ``score``;
        ``error`` (player,): its standard error from random orders, 0 when exact; ``subject_share`` (player,
        subject); ``alone`` and ``without`` (player,): score of the player alone and of all others;
        ``channels`` (player,): how many channels are in it.

    Raises
    ------
    InputError
        When area, layer or reducer do not fit, or numbers are out of range.
    """
    _check(spec)
    with part(0.0, 0.05):
        area = one_layer.area(spec)
    with part(0.05, 0.6):
        players = _layers(spec, area) if spec.players == "layers" else _channels(spec, area)
    with part(0.6, 1.0):
        found = score_shares.split(
            players.game,
            area.subjects,
            spec.measure,
            orders=spec.orders,
            seed=spec.seed,
            report=lambda done: report(done, f"Scores of groups of {len(players.names)}"),
        )
    if players.silent and spec.metric == "correlation":
        caution(
            "silent-channels",
            f"{players.silent} channels give the same for every stimulus. They still count, because the "
            "correlation distance takes off each pattern's mean over all channels; with cosine or Euclidean "
            "distances silent channels have exactly 0.",
        )
    return _labelled(spec, area, players, found)


def _check(spec: BrainWhySpec) -> None:
    for name, value, low, high in (
        ("groups", spec.groups, 2, MOST_GROUPS),
        ("orders", spec.orders, 4, MOST_ORDERS),
    ):
        if not low <= value <= high:
            message = f"{name} must be from {low} to {high:,}, not {value}."
            raise InputError(message)


# --- players ------------------------------------------------------------------------------------------------


def _layers(spec: BrainWhySpec, area: Area) -> _Players:
    names, rdms, answer = compared.layers(spec, area.answer, spec.network, spec.layers)
    if len(names) < 2:
        message = "One layer has nothing to share the score with."
        raise InputError(message, "Choose two layers or more, or split one layer into channels.")
    game = score_shares.game_of_rdms(rdms, area.subjects, spec.measure)
    title, device = str(answer.attrs["network_title"]), str(answer.attrs.get("device", "cpu"))
    return _Players(names, [0] * len(names), game, f"{len(names)} layers", title, device)


def _channels(spec: BrainWhySpec, area: Area) -> _Players:
    with part(0.0, 0.6):
        name = one_layer.layer(spec, area)
        extraction = extract(spec.network, f"recording:{spec.recording}", [name], spec.reducer)
    layer = extraction.layers[0]
    owner = channel_of_columns(layer, spec.reducer)
    patterns = extraction.patterns(layer)[one_layer.order(extraction.shown.names, area)]
    metric = "sqeuclidean" if spec.metric == "crossnobis" else spec.metric  # a network has no noise
    given = score_shares.contributions(patterns, area.subjects, metric)
    columns = columns_of(owner)
    if len(columns) < 2:
        message = f"{layer.name} has one channel, which holds the whole score."
        raise InputError(message, "Choose another layer, or split the score between layers.")
    with part(0.6, 1.0):
        names, members = _grouped(spec, area, given, columns)
    game = score_shares.game_of_channels(given, [np.concatenate([columns[c] for c in m]) for m in members])
    flat = sum(bool((np.ptp(patterns[:, places], axis=0) == 0).all()) for places in columns)
    return _Players(
        names,
        [len(m) for m in members],
        game,
        layer.name,
        extraction.network.title,
        extraction.device,
        silent=flat,
    )


def channel_of_columns(layer: Layer, reference: str) -> np.ndarray:
    """Return the channel that each kept unit of a layer belongs to, (n_kept,).

    Raises
    ------
    InputError
        When the reducer mixes channels.
    """
    ref = reducer(reference).ref
    kept = reducer(reference).units(layer)
    every = np.broadcast_to(
        np.arange(layer.channels).reshape(
            [-1 if k == layer.channel_axis else 1 for k in range(len(layer.shape))]
        )
        if layer.channel_axis is not None
        else np.arange(layer.units).reshape(layer.shape),
        layer.shape,
    ).ravel()
    if kept == layer.units:
        return every
    if ref.name == "projection":
        message = "A random projection mixes the channels, so none of them has a share of its own."
        raise InputError(message, "Choose the reducer all, spatial-mean or subset.")
    if ref.name == "subset":
        return every[subset(layer, ref)]
    return np.arange(kept) % layer.channels


def columns_of(owner: np.ndarray) -> list[np.ndarray]:
    """Return the kept units of every channel that has any, in order of channels."""
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)


def _grouped(
    spec: BrainWhySpec, area: Area, given: score_shares.Contributions, columns: list[np.ndarray]
) -> tuple[list[str], list[list[int]]]:
    """Return names and channels of the players."""
    n = len(columns)
    if spec.players == "each" or n <= spec.groups:
        return [f"channel {k}" for k in range(n)], [[k] for k in range(n)]
    if spec.players == "blocks":
        members = [part.tolist() for part in np.array_split(np.arange(n), spec.groups)]
        return [span(part) for part in members], members
    fall = score_shares.losses(
        given,
        columns,
        area.subjects,
        spec.measure,
        report=lambda done: report(done, f"Score without each of {n} channels"),
    )
    first = np.argsort(-np.abs(fall), kind="stable")[: spec.groups - 1]
    single = sorted(int(k) for k in first)
    rest = sorted(set(range(n)) - set(single))
    return [*(f"channel {k}" for k in single), f"other {len(rest)} channels"], [*([k] for k in single), rest]


def span(members: list[int]) -> str:
    """Return what neighbouring channels are called."""
    return f"channel {members[0]}" if len(members) == 1 else f"channels {members[0]}–{members[-1]}"


# --- the answer ---------------------------------------------------------------------------------------------


def _labelled(spec: BrainWhySpec, area: Area, players: _Players, found: score_shares.Shares) -> xr.Dataset:
    label = rsa.MEASURES[spec.measure].label
    unit = {"units": label}
    return xr.Dataset(
        {
            "share": ("player", found.values.mean(1), unit),
            "error": ("player", found.error, unit),
            "subject_share": (("player", "subject"), found.values, unit),
            "alone": ("player", found.alone.mean(1), unit),
            "without": ("player", found.without.mean(1), unit),
            "channels": ("player", players.channels),
        },
        coords={"player": players.names, "subject": area.people},
        attrs={
            "title": f"Where the similarity of {players.layer} of {players.title} with {area.name} "
            "comes from",
            "network": spec.network,
            "network_title": players.title,
            "recording": spec.recording,
            "recording_title": area.answer.attrs["recording_title"],
            "area_name": area.name,
            "layer_name": players.layer,
            "players": spec.players,
            "score": float(found.score.mean()),
            "gap": found.gap,
            "exact": "yes" if found.exact else "no",
            "orders": found.orders,
            "measure": spec.measure,
            "measure_label": label,
            "metric": spec.metric,
            "reducer": spec.reducer,
            "device": players.device,
            "simulated": area.answer.attrs["simulated"],
        },
    )
