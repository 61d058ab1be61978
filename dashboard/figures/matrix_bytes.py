"""Matrices packed for the view in a browser: exact values, colour map and pictures in one block of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import InputError
from dashboard.figures import block, rdms, theme

if TYPE_CHECKING:
    from dashboard.figures.raster import Sprite
    from dashboard.figures.rdms import Matrix


def packed(
    matrices: Sequence[Matrix],
    sprite: Sprite | None,
    names: Sequence[str],
    lut: str = "viridis",
    widest: int = 520,
    pinned: tuple[str, str] | None = None,
) -> bytes:
    """Pack matrices for the view.

    Parameters
    ----------
    matrices : sequence of Matrix
        All with the same labels in the same order.
    sprite : Sprite or None
        Pictures of the stimuli ``names``, in that order.
    names : sequence of str
    lut : str
        Colour map.
    widest : int
        Largest side of a matrix in pixels.
    pinned : tuple of str, optional
        Pair that is pinned at first.

    Returns
    -------
    bytes
        uint32 length of the header, the header as JSON, then colour map, values as float32 and sprite, at the
        offsets behind the header that its ``parts`` give.

    Raises
    ------
    InputError
        When there is no matrix, or the matrices have different labels.
    """
    _check(matrices)
    labels, categories = matrices[0].labels, matrices[0].categories
    parts: dict[str, bytes] = {"lut": theme.lut(lut).tobytes()}
    parts |= {f"values{k}": _values(m) for k, m in enumerate(matrices)}
    pictures = None
    if sprite is not None:
        tile = {name: k for k, name in enumerate(names)}
        tiles = [tile.get(label, -1) for label in labels]
        pictures = {"mime": sprite.mime, "size": sprite.size, "columns": sprite.columns, "tiles": tiles}
        parts["sprite"] = sprite.data
    kinds = list(dict.fromkeys(categories))
    colours = theme.category_colours(len(kinds))
    place = {name: k for k, name in enumerate(kinds)}
    header = {
        "labels": labels,
        "kind": [place[c] for c in categories],
        "kinds": [{"name": n, "colour": c} for n, c in zip(kinds, colours, strict=True)],
        "panels": [_panel(m) for m in matrices],
        "scales": _scales(matrices),
        "note": rdms.scale_note(matrices) if len({m.unit for m in matrices}) > 1 else "",
        "sprite": pictures,
        "widest": widest,
        "pinned": pinned,
    }
    return block.packed(header, parts, apart="pinned")


def _check(matrices: Sequence[Matrix]) -> None:
    if not matrices:
        problem = "There is no matrix to draw."
        raise InputError(problem, "Choose at least one layer or area.")
    if any(m.labels != matrices[0].labels for m in matrices):
        problem = "The matrices have different stimuli or orders."
        raise InputError(problem, "Order all of them alike.")


def _symmetric(matrix: Matrix) -> bool:
    return np.array_equal(matrix.values, matrix.values.T, equal_nan=True)


def _values(matrix: Matrix) -> bytes:
    """Return the values as little-endian float32: of a symmetric matrix the upper triangle with diagonal."""
    values = matrix.values.astype("<f4", copy=False)
    return (values[np.triu_indices(len(values))] if _symmetric(matrix) else values).tobytes()


def _panel(matrix: Matrix) -> dict[str, Any]:
    return {
        "title": matrix.title,
        "role": matrix.role,
        "lo": matrix.lo,
        "hi": matrix.hi,
        "symmetric": _symmetric(matrix),
        "alt": rdms.matrix_alt(matrix),
        "whole": _whole(matrix),
    }


def _whole(matrix: Matrix) -> bool:
    """Say whether the values are counts."""
    return bool(matrix.words) and bool(np.all(np.mod(matrix.values, 1) == 0))


def _scales(matrices: Sequence[Matrix]) -> list[dict[str, str]]:
    scales = dict.fromkeys((m.lo, m.hi, m.unit, _whole(m)) for m in matrices)
    found = []
    for lo, hi, unit, whole in scales:
        places = 0 if whole else theme.decimals(lo, hi)
        found.append({"lo": theme.fixed(lo, places), "hi": theme.fixed(hi, places), "unit": unit})
    return found
