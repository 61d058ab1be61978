"""Pictures with axes: heat maps of any size, colour bars, and sheets of pictures in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import raster, theme

if TYPE_CHECKING:
    import altair as alt


def picture(pixels: np.ndarray, width: int, height: int, *, smooth: bool = False) -> alt.Chart:
    """Draw pixels (rows, columns, 3) uint8 as they are; small ones are repeated so that nothing blurs."""
    import altair as alt

    shown = pixels if smooth else raster.enlarged(pixels, max(width, height))
    return (
        alt.Chart(alt.Data(values=[{"url": raster.data_uri(raster.png(shown))}]))
        .mark_image(width=width, height=height, aspect=False, aria=False)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2), url="url:N")
        .properties(width=width, height=height)
    )


def heat(
    values: np.ndarray,
    *,
    lut: str,
    limits: tuple[float, float],
    x: str,
    y: str,
    width: int = 240,
    height: int = 160,
) -> Any:
    """Draw a heat map (rows, columns) with rows from the top and columns from the left, both from 1.

    Parameters
    ----------
    values : (n_rows, n_columns)
    lut : str
        Colour map.
    limits : tuple of float
        Ends of the colour scale.
    x, y : str
        Titles of the axes.
    """
    import altair as alt

    n_rows, n_columns = values.shape
    base = picture(raster.coloured(values, theme.lut(lut), *limits), width, height)
    corner = alt.Chart(alt.Data(values=[{"x": 1, "y": 1}])).mark_point(opacity=0)
    axes = corner.encode(
        x=alt.X(
            "x:Q",
            scale=alt.Scale(domain=[0.5, n_columns + 0.5], nice=False),
            axis=alt.Axis(title=x, values=_ticks(n_columns, 8), format="d"),
        ),
        y=alt.Y(
            "y:Q",
            scale=alt.Scale(domain=[n_rows + 0.5, 0.5], nice=False),
            axis=alt.Axis(title=y, values=_ticks(n_rows, 6), format="d", grid=False),
        ),
    )
    return alt.layer(base, axes)


def _ticks(n: int, most: int) -> list[int]:
    """Return some whole numbers from 1 to ``n``, the first among them."""
    if n <= 2 * most - 2:
        return list(range(1, n + 1, 1 if n <= most else 2))
    step = next(s * 10**p for p in range(9) for s in (1, 2, 5) if n <= s * 10**p * (most - 1))
    return [1, *range(step, n + 1, step)]


def colour_bar(lut: str, limits: tuple[float, float], title: str, width: int = 240) -> Any:
    """Draw the scale of a heat map: its colours, both ends and the middle."""
    import altair as alt

    low, high = limits
    base = picture(theme.lut(lut)[None, :, :].repeat(8, axis=0), width, 8, smooth=True)
    axis = alt.Axis(
        values=[low, (low + high) / 2, high],
        format=f".{theme.decimals(low, high)}f",
        title=title,
        domain=False,
        labelFlush=True,
    )
    corner = alt.Chart(alt.Data(values=[{"value": low}])).mark_point(opacity=0)
    scale = alt.Scale(domain=[low, high], nice=False)
    return alt.layer(base, corner.encode(x=alt.X("value:Q", scale=scale, axis=axis)))


def sheet(
    pictures: np.ndarray,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    x: str | None = None,
    y: str | None = None,
    side: int = 56,
    gap: int = 4,
    background: int = 255,
    tips: Sequence[str] = (),
) -> Any:
    """Draw pictures in rows and columns with a name for each row and each column.

    Parameters
    ----------
    pictures : (n_rows, n_columns, height, width, 3) uint8
    rows, columns : sequence of str
        Names; without them there is no axis.
    x, y : str, optional
        Titles of the axes.
    side, gap : int
        Pixels of a picture on the page, and between two.
    background : int
        Grey between the pictures (0 to 255).
    tips : sequence of str (n_rows * n_columns,)
        What is said of each picture when it is pointed at.
    """
    import altair as alt

    n_rows, n_columns = pictures.shape[:2]
    width, height = n_columns * side, n_rows * side
    base = picture(_laid_out(pictures, side, gap, background), width, height, smooth=True)
    cells = [
        {"x": k % n_columns, "y": k // n_columns, "tip": tips[k] if len(tips) > k else ""}
        for k in range(n_rows * n_columns)
    ]

    def axis(names: Sequence[str], title: str | None) -> Any:
        if not names:
            return None
        shown = {str(k): theme.shortened(name, 18) for k, name in enumerate(names)}
        return alt.Axis(
            labelExpr=f"{theme.js(shown)}[datum.value]",
            title=title,
            domain=False,
            ticks=False,
            grid=False,
            labelAngle=0,
            labelLimit=max(side - 2, 110) if names is rows else side - 2,
        )

    scale = alt.Scale(padding=0)
    target = alt.Chart(alt.Data(values=cells)).mark_rect(opacity=0)
    if tips:
        target = target.encode(tooltip=alt.Tooltip("tip:N", title=" "))
    target = target.encode(
        x=alt.X("x:O", scale=scale, axis=axis(columns, x)), y=alt.Y("y:O", scale=scale, axis=axis(rows, y))
    )
    # Alone, a chart would be squeezed to make room for its axes, and the picture would not.
    return alt.hconcat(alt.layer(base, target).properties(width=width, height=height))


def _laid_out(pictures: np.ndarray, side: int, gap: int, background: int) -> np.ndarray:
    """Return one picture of all, each at twice its size on the page, so that it stays sharp."""
    from PIL import Image

    n_rows, n_columns = pictures.shape[:2]
    inner, step = 2 * (side - gap), 2 * side
    canvas = np.full((n_rows * step, n_columns * step, 3), background, dtype=np.uint8)
    for row in range(n_rows):
        for column in range(n_columns):
            large = Image.fromarray(pictures[row, column]).resize((inner, inner), Image.Resampling.NEAREST)
            top, left = row * step + gap, column * step + gap
            canvas[top : top + inner, left : left + inner] = np.asarray(large)
    return canvas


def ground(dark: bool) -> int:
    """Return the grey that stands between pictures: about the page's own."""
    return int(theme.colour("background", dark)[3:5], 16)
