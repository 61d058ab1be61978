"""Maps over a picture: what the overlay in the browser and the exported figure are given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.errors import InputError
from dashboard.figures import raster, theme

if TYPE_CHECKING:
    import altair as alt

OPACITY = 0.85
"""How much of the strongest colours covers the picture, at first and in files."""

PICTURE_PIXELS = 512
"""An exported picture has about this many pixels to a side."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture with a map over it, or bare.

    Attributes
    ----------
    title : str
        Stands above it.
    picture : np.ndarray (height, width, 3) uint8 or None
        What lies beneath; None for a map alone.
    values : np.ndarray (rows, columns) or None
        The map, of any resolution; it is stretched over the picture. What is not finite is not drawn. None
        for the bare picture.
    lo, hi : float
        Values of the first and the last colour.
    unit : str
        Stands beside the colour scale.
    lut : str
        Colour map: ``"diverging"`` for signed values (with ``lo = -hi``), ``"viridis"`` otherwise.
    caption : str
        A sentence below it.
    words : str
        The result in words, for those who cannot see it.
    smooth : bool
        Whether coarse maps are interpolated; the values that are read stay exact.
    regions : np.ndarray (rows, columns) int or None
        Number of the segment at each place of the map; their borders are drawn.
    """

    title: str
    picture: np.ndarray | None = None
    values: np.ndarray | None = None
    lo: float = -1.0
    hi: float = 1.0
    unit: str = ""
    lut: str = "diverging"
    caption: str = ""
    words: str = ""
    smooth: bool = False
    regions: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.picture is None and self.values is None:
            problem = f'"{self.title}" has neither a picture nor a map.'
            raise InputError(problem)
        if self.values is not None and (self.values.ndim != 2 or not self.lo < self.hi):
            problem = f'The map "{self.title}" must have rows and columns, and limits that differ.'
            raise InputError(problem)

    @property
    def scale(self) -> tuple[float, float, str, str]:
        """Limits, unit and colour map: panels of one scale share one bar."""
        return self.lo, self.hi, self.unit, self.lut


def scales(panels: Sequence[Panel]) -> list[tuple[float, float, str, str]]:
    """Return every scale once, in order."""
    return list(dict.fromkeys(p.scale for p in panels if p.values is not None))


def describe(panel: Panel) -> str:
    """Return what a panel shows in words; without words of its own, where the extremes lie."""
    if panel.values is None:
        return panel.words or f"{panel.title}: the picture itself."
    if panel.words:
        return f"{panel.title}: {panel.words}"
    values = np.asarray(panel.values, dtype=np.float64)
    if not np.isfinite(values).any():
        return f"{panel.title}: no values."
    high, low = np.nanargmax(values), np.nanargmin(values)
    text = f"{panel.title}: largest {theme.three_digits(values.flat[high])} {place(high, values.shape)}"
    if values.flat[low] < 0:
        text += f", smallest {theme.three_digits(values.flat[low])} {place(low, values.shape)}"
    return f"{text} ({panel.unit})." if panel.unit else f"{text}."


def place(index: Any, shape: tuple[int, ...]) -> str:
    """Say in words where an element of a map lies.

    Examples
    --------
    >>> place(0, (9, 9)), place(40, (9, 9)), place(5, (9, 9))
    ('at the top left', 'in the middle', 'at the top')
    """
    row, column = np.unravel_index(int(index), shape)
    up = ("top", "", "bottom")[min(2, 3 * int(row) // shape[0])]
    side = ("left", "", "right")[min(2, 3 * int(column) // shape[1])]
    found = " ".join(word for word in (up, side) if word)
    return f"at the {found}" if found else "in the middle"


def borders(regions: np.ndarray) -> np.ndarray:
    """Return True at every place whose right or lower neighbour is of another segment, (rows, columns)."""
    found = np.zeros(regions.shape, dtype=bool)
    found[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    found[:-1] |= regions[:-1] != regions[1:]
    return found


def blended(panel: Panel, *, opacity: float = OPACITY, fade: bool = True, grey: bool = True) -> np.ndarray:
    """Lay the map of a panel over its picture.

    Parameters
    ----------
    opacity : float
        Cover of the strongest values, 0 to 1.
    fade : bool
        Let the picture through where values are near zero (sequential maps: near the lower limit).
    grey : bool
        Take the colour out of the picture, so that only the map is coloured.

    Returns
    -------
    np.ndarray (height, width, 3) uint8
        At least `PICTURE_PIXELS` to the longer side.
    """
    picture = None if panel.picture is None else raster.enlarged(panel.picture, PICTURE_PIXELS)
    if panel.values is None:
        assert picture is not None  # noqa: S101 - checked when the panel was made
        return picture
    values = np.asarray(panel.values, dtype=np.float64)
    height, width = raster.enlarged(values, PICTURE_PIXELS).shape if picture is None else picture.shape[:2]
    finite = np.isfinite(values)
    zero = 0.0 if panel.lo < 0 < panel.hi else panel.lo
    strength = np.abs(np.where(finite, values, zero) - zero) / max(panel.hi - zero, zero - panel.lo)
    alpha = opacity * np.sqrt(np.clip(strength, 0, 1)) if fade else np.full(values.shape, opacity)
    cover = np.where(finite, alpha if picture is not None else 1.0, 0.0)
    colours = raster.coloured(np.where(finite, values, zero), theme.lut(panel.lut), panel.lo, panel.hi)
    layers = _stretched(np.dstack([colours, 255 * cover]), (height, width), panel.smooth)
    cover = layers[:, :, 3:] / 255
    pixels = cover * layers[:, :, :3] + (1 - cover) * _ground(picture, (height, width), grey)
    if panel.regions is not None:
        pixels[borders(_stretched(panel.regions[:, :, None], (height, width), smooth=False)[:, :, 0])] = 255
    return np.rint(pixels).astype(np.uint8)


def _stretched(layers: np.ndarray, shape: tuple[int, int], smooth: bool) -> np.ndarray:
    """Stretch (rows, columns, n) to another shape: linearly, or each element as it is."""
    if not smooth:
        rows, columns = (np.arange(n) * m // n for n, m in zip(shape, layers.shape[:2], strict=True))
        return layers[rows][:, columns]
    found = layers.astype(np.float64)
    for axis, size in enumerate(shape):
        last = found.shape[axis] - 1
        place = np.clip((np.arange(size) + 0.5) * (last + 1) / size - 0.5, 0, last)
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1 if k == axis else 1 for k in range(3)])
        high = np.minimum(low + 1, last)
        found = (1 - share) * found.take(low, axis) + share * found.take(high, axis)
    return found


def _ground(picture: np.ndarray | None, shape: tuple[int, int], grey: bool) -> np.ndarray:
    if picture is None:
        return np.full((*shape, 3), 255.0)
    if not grey:
        return picture.astype(np.float64)
    luminance = picture.astype(np.float64) @ (0.299, 0.587, 0.114)
    return np.repeat(luminance[:, :, None], 3, axis=2)


def chart(
    panels: Sequence[Panel],
    *,
    dark: bool = False,
    columns: int | None = None,
    side: int = 200,
    title: str = "",
) -> alt.ConcatChart:
    """Draw panels as embedded pictures with titles and colour bars, for files.

    Parameters
    ----------
    side : int
        Longer side of one panel in pixels.
    columns : int, optional
        Panels in a row; by default at most four.

    Raises
    ------
    InputError
        When there is no panel.
    """
    import altair as alt

    if not panels:
        problem = "There is no map to draw."
        raise InputError(problem)
    columns = columns or min(len(panels), 4)
    grid = alt.concat(*(_panel_chart(p, side, dark) for p in panels), columns=columns, spacing=14)
    bars = [_bar(scale, side, dark) for scale in scales(panels)]
    whole = alt.vconcat(grid, alt.hconcat(*bars, spacing=30), spacing=12) if bars else grid
    whole = whole.properties(description=" ".join(map(describe, panels)))
    if title:
        whole = whole.properties(title=title)
    return theme.style(whole, dark)


def _panel_chart(panel: Panel, side: int, dark: bool) -> Any:
    import altair as alt

    pixels = blended(panel)
    uri = raster.data_uri(raster.png(pixels))
    scale = side / max(pixels.shape[:2])
    height, width = (max(1, round(n * scale)) for n in pixels.shape[:2])
    heading = alt.TitleParams(
        theme.shortened(panel.title, max(14, side // 6)),
        subtitle=panel.caption if len(panel.caption) * 5.5 < side else "",
        fontSize=12,
        offset=4,
    )
    return (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=width, height=height, aspect=False, aria=False)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2), url="url:N")
        .properties(width=width, height=height, title=heading)
    )


def _bar(scale: tuple[float, float, str, str], side: int, dark: bool) -> Any:
    import altair as alt

    lo, hi, unit, lut = scale
    uri = raster.data_uri(raster.png(np.repeat(theme.lut(lut)[None], 8, axis=0)))
    width = max(120, min(side, 200))
    shown = [lo, 0.0, hi] if lo < 0 < hi else [lo, hi]
    axis = alt.Axis(values=shown, labelExpr=_labels(shown), orient="bottom", title=unit, ticks=True)
    image = (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=width, height=10, aspect=False, aria=False)
        .encode(x=alt.value(width / 2), y=alt.value(5), url="url:N")
    )
    ruler = (
        alt.Chart(alt.Data(values=[{"value": v} for v in shown]))
        .mark_tick(opacity=0)
        .encode(x=alt.X("value:Q", scale=alt.Scale(domain=[lo, hi], nice=False), axis=axis))
    )
    return (image + ruler).properties(width=width, height=10)


def _labels(values: Sequence[float]) -> str:
    words = {repr(v): theme.three_digits(v) for v in values}
    cases = "".join(f"abs(datum.value - ({v})) < 1e-12 ? '{text}' : " for v, text in words.items())
    return f"{cases}datum.label" if all(math.isfinite(v) for v in values) else "datum.label"
