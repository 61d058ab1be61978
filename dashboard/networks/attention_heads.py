"""Heads as layers: what each head of an attention layer gives, before heads are mixed.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from dashboard.errors import InputError, unknown
from dashboard.networks import attention
from dashboard.networks.network import Layer, Network

KIND = "AttentionHead"
PATTERN = "heads"
"""Chooses every head."""

_NAME = re.compile(r"(?P<layer>.*)#head(?P<head>\d+)")


def name(layer: str, head: int) -> str:
    """Return the name of a head, counted from 0: ``blocks.3.attention#head2``."""
    return f"{layer}{attention.HEAD}{head}"


def split(layer: str) -> tuple[str, int] | None:
    """Return attention layer and number of a head's name; None for the names of other layers."""
    found = _NAME.fullmatch(layer)
    return (found["layer"], int(found["head"])) if found else None


def heads(network: Network) -> tuple[Layer, ...]:
    """Return every head of every attention layer that can be read, in the order of computation.

    One head is a layer of (tokens, width): weights times values, the slice that the output projection is
    given. Cut into windows it is (windows, tokens, width).
    """
    return tuple(
        Layer(
            name=name(found.layer, head),
            kind=KIND,
            shape=(found.queries, found.width)
            if found.windows == 1
            else (found.windows, found.queries, found.width),
            parameters=0,
            units=found.windows * found.queries * found.width,
            depth=found.layer.count(".") + 1,
            channel_axis=1 if found.windows == 1 else 2,
            token_axis=0 if network.text is not None and found.windows == 1 else None,
        )
        for found in attention.survey(network).maps
        for head in range(found.heads)
    )


def select(network: Network, patterns: Sequence[str]) -> tuple[Layer, ...]:
    """Choose heads by ``heads``, names, or globs such as ``blocks.3.*#head*``.

    Raises
    ------
    InputError
        When the network has no heads that can be read, or a pattern matches none.
    """
    table = heads(network)
    if not table:
        raise InputError(attention.why_not(network), "Choose layers by name.")
    names = [layer.name for layer in table]
    chosen: set[str] = set()
    for pattern in patterns:
        found = (
            names
            if pattern == PATTERN
            else [n for n in names if n == pattern or fnmatch.fnmatchcase(n, pattern)]
        )
        if not found:
            raise unknown("head", pattern, names)
        chosen.update(found)
    return tuple(layer for layer in table if layer.name in chosen)


def merged(network: Network, layers: Sequence[Layer], chosen: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return layers and heads in the order of computation: heads before the layer that holds them."""
    place = {layer.name: (i, 1) for i, layer in enumerate(network.layers)}
    for layer in chosen:
        found = split(layer.name)
        assert found is not None
        place[layer.name] = (place.get(found[0], (len(place), 0))[0], 0)
    return tuple(sorted((*layers, *chosen), key=lambda layer: place[layer.name]))
