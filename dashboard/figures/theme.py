"""How figures look: colours by meaning, colour maps, limits of a scale, and numbers in words."""

from __future__ import annotations

import json
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from dashboard.errors import InputError, unknown

Role = Literal["network", "brain", "second", "third", "ceiling", "control", "simulated", "caution"]
Ink = Literal["text", "muted", "grid", "background", "panel"]
Scaling = Literal["full", "robust"]

LIGHT: dict[str, str] = {
    "network": "#2F6DB5",
    "brain": "#C4572B",
    "second": "#1B8A7A",
    "third": "#8A5A9E",
    "ceiling": "#808080",
    "control": "#6B7280",
    "simulated": "#808080",
    "caution": "#8A6100",
    "text": "#11161F",
    "muted": "#5B6270",
    "grid": "#E3E6EB",
    "background": "#FFFFFF",
    "panel": "#F4F5F7",
}
DARK: dict[str, str] = {
    "network": "#7FB2E8",
    "brain": "#F09A6E",
    "second": "#5CC7B6",
    "third": "#C79ADB",
    "ceiling": "#9A9A9A",
    "control": "#A7AEBA",
    "simulated": "#9A9A9A",
    "caution": "#E3B341",
    "text": "#E8EAED",
    "muted": "#A7AEBA",
    "grid": "#31363F",
    "background": "#15181D",
    "panel": "#20242B",
}
CEILING_OPACITY = 0.25

SHAPES: dict[str, str] = {
    "network": "circle",
    "brain": "square",
    "second": "triangle-up",
    "third": "diamond",
    "control": "cross",
}
"""Marker by role: blue and plum look alike with deuteranopia, and no two roles differ in greyscale."""

DASHES: dict[str, tuple[int, ...]] = {
    "network": (1, 0),
    "brain": (1, 0),
    "second": (8, 2),
    "third": (2, 2),
    "control": (5, 4),
}

CATEGORIES_LIGHT: tuple[str, ...] = (
    "#2F6DB5",
    "#C4572B",
    "#1B8A7A",
    "#8A5A9E",
    "#A87B00",
    "#C2508C",
    "#5F7A1F",
    "#6B7684",
)
CATEGORIES_DARK: tuple[str, ...] = (
    "#7FB2E8",
    "#F09A6E",
    "#5CC7B6",
    "#C79ADB",
    "#E0BE5A",
    "#F08CB8",
    "#A9C46C",
    "#A7AEBA",
)
CATEGORY_SHAPES: tuple[str, ...] = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)

FONT = "Source Sans, Liberation Sans, Arial, Helvetica, sans-serif"
EXPORT_FONT = "Liberation Sans, Arial, Helvetica, DejaVu Sans, sans-serif"
"""Arial's widths under names that nearly every machine has, so that exported text stays text and fits."""

_COLORMAPS = Path(__file__).resolve().parents[2] / "assets" / "colormaps"


def colour(name: Role | Ink, dark: bool = False) -> str:
    """Return the hex colour of a role or ink.

    Examples
    --------
    >>> colour("brain"), colour("brain", dark=True)
    ('#C4572B', '#F09A6E')
    """
    palette = DARK if dark else LIGHT
    if name not in palette:
        raise unknown("colour", name, palette)
    return palette[name]


def category_colours(n: int, dark: bool = False) -> list[str]:
    """Return ``n`` colours for categories: eight hues, then paler, then darker ones, so give shapes too.

    They repeat after twenty-four.
    """
    colours = CATEGORIES_DARK if dark else CATEGORIES_LIGHT
    rounds = (None, (255, 0.55), (0, 0.45))
    return [_towards(colours[k % len(colours)], rounds[k // len(colours) % len(rounds)]) for k in range(n)]


def _towards(colour: str, end: tuple[int, float] | None) -> str:
    """Mix a colour with white (255) or black (0) by a share."""
    if end is None:
        return colour
    grey, share = end
    channels = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round((1 - share) * c + share * grey):02X}" for c in channels)


def style(chart: Any, dark: bool = False, *, background: str = "transparent", font: str = FONT) -> Any:
    """Return a copy of a top-level chart in the house style.

    Pages show it with ``st.altair_chart(..., theme=None)`` and ``dark=st.context.theme.type == "dark"``.
    """
    import altair as alt

    config = alt.Config(**_config(dark, background, font))
    styled = chart.copy(deep=False)
    styled.config = config
    return styled


def unfitted(chart: Any) -> Any:
    """Return a chart whose plot keeps its size on a page, so that a picture in it stays under its axes.

    Where nothing is said, pages fit title, legend and axes into the size of the plot, which shrinks scales
    but not pictures.
    """
    import altair as alt

    return chart.properties(autosize=alt.AutoSizeParams(type="pad"))


def darkened(chart: Mapping[str, Any]) -> dict[str, Any]:
    """Return a light Vega-Lite specification in the colours of the dark theme.

    Every colour of ours has its partner there by meaning; pictures inside stay as they are.
    """
    text = _HEX.sub(lambda found: _PARTNERS.get(found[0].upper(), found[0]), json.dumps(chart))
    turned: dict[str, Any] = json.loads(text)
    turned["config"] = {**turned.get("config", {}), "background": "transparent"}
    return turned


def partners() -> dict[str, str]:
    """Return the dark colour of each light one, in capitals."""
    return dict(_PARTNERS)


_HEX = re.compile(r"#[0-9A-Fa-f]{6}\b")
_PARTNERS = {
    **{light.upper(): dark for light, dark in zip(CATEGORIES_LIGHT, CATEGORIES_DARK, strict=True)},
    **{light.upper(): DARK[name] for name, light in LIGHT.items()},
}


def _config(dark: bool, background: str, font: str) -> dict[str, Any]:
    text, muted, grid = (colour(name, dark) for name in ("text", "muted", "grid"))
    label = {"labelColor": text, "titleColor": text, "labelFontSize": 11, "titleFontSize": 12}
    return {
        "background": background,
        "font": font,
        "padding": 6,
        "view": {"stroke": None},
        "axis": {
            **label,
            "titleFontWeight": "normal",
            "labelColor": muted,
            "gridColor": grid,
            "gridWidth": 1,
            "domainColor": muted,
            "tickColor": muted,
            "tickSize": 4,
            "titlePadding": 8,
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False, "tickCount": 5},
        "legend": {**label, "titleFontWeight": "normal", "orient": "top", "symbolSize": 60},
        "header": {**label, "titleFontWeight": "normal", "labelFontSize": 12},
        "title": {
            "color": text,
            "subtitleColor": muted,
            "fontSize": 13,
            "subtitleFontSize": 11,
            "fontWeight": 600,
            "anchor": "start",
            "offset": 8,
        },
        "text": {"color": text, "fontSize": 11},
        "concat": {"spacing": 24},
        "range": {
            "category": list(CATEGORIES_DARK if dark else CATEGORIES_LIGHT),
            "ramp": sampled("viridis", 10),
            "heatmap": sampled("viridis", 10),
            "diverging": sampled("diverging", 10),
        },
    }


def across(chart: Any, width: int | str) -> Any:
    """Let a chart that is as wide as its place keep its height, however long the labels of its axes are."""
    import altair as alt

    if width != "container":
        return chart
    return chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))


def joined(concat: Callable[..., Any], *charts: Any, **options: Any) -> Any:
    """Concatenate charts that share one selection, which is what altair warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        return concat(*charts, **options)


def js(words: Mapping[str, str]) -> str:
    """Write a mapping as an object of Vega's expression language, for the labels of an axis."""
    return json.dumps(dict(words), ensure_ascii=False)


# --- colour maps --------------------------------------------------------------------------------------------


def _from_file(name: str) -> np.ndarray:
    lines = (_COLORMAPS / f"{name}.txt").read_text("ascii").split()
    return np.array([[int(line[k : k + 2], 16) for k in (1, 3, 5)] for line in lines], dtype=np.uint8)


def _diverging() -> np.ndarray:
    """Blue, white, red in even steps of OKLab (B. Ottosson, 2020), both ends equally light."""
    to_lms = np.array(
        [
            [1.0, 0.3963377774, 0.2158037573],
            [1.0, -0.1055613458, -0.0638541728],
            [1.0, -0.0894841775, -1.2914855480],
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    blue, white, red = np.array([[0.44, -0.035, -0.135], [1.0, 0.0, 0.0], [0.44, 0.15, 0.075]])
    step = np.linspace(-1, 1, 256)[:, None]
    lab = white + np.where(step < 0, -step * (blue - white), step * (red - white))
    linear = np.clip((lab @ to_lms.T) ** 3 @ to_rgb.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


COLORMAPS = {
    "viridis": lambda: _from_file("viridis"),
    "cividis": lambda: _from_file("cividis"),
    "diverging": _diverging,
}


@cache
def lut(name: str = "viridis") -> np.ndarray:
    """Return a colour map as a read-only table.

    Returns
    -------
    np.ndarray (256, 3) uint8

    Raises
    ------
    InputError
        When there is no colour map of that name.
    """
    if name not in COLORMAPS:
        raise unknown("colour map", name, COLORMAPS)
    table = COLORMAPS[name]()
    table.setflags(write=False)
    return table


def sampled(name: str, n: int) -> list[str]:
    """Return ``n`` evenly spaced hex colours of a colour map."""
    rows = lut(name)[np.round(np.linspace(0, 255, n)).astype(int)]
    return ["#" + "".join(f"{int(c):02X}" for c in row) for row in rows]


# --- limits -------------------------------------------------------------------------------------------------


def sequential_limits(
    *values: np.ndarray, scaling: Scaling = "full", zero: bool = False
) -> tuple[float, float]:
    """Return limits of one scale for all given arrays.

    Parameters
    ----------
    *values : np.ndarray
        Any shapes; what is not finite does not count.
    scaling : {"full", "robust"}
        Smallest to largest value, or 2nd to 98th percentile.
    zero : bool
        Let the scale contain zero.

    Raises
    ------
    InputError
        When ``scaling`` is unknown.
    """
    low, high = _extent(values, scaling)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if low < high else (low, low + 1.0)


def signed_limits(*values: np.ndarray, scaling: Scaling = "full") -> tuple[float, float]:
    """Return limits that are symmetric about zero; see `sequential_limits`."""
    bound = max(abs(v) for v in _extent(tuple(np.abs(v) for v in values), scaling))
    return (-bound, bound) if bound > 0 else (-1.0, 1.0)


def _extent(values: tuple[np.ndarray, ...], scaling: str) -> tuple[float, float]:
    if scaling not in get_args(Scaling):
        raise unknown("scaling", scaling, get_args(Scaling))
    if not values:
        message = "There is nothing to scale."
        raise InputError(message)
    flat = np.concatenate([np.asarray(v, dtype=np.float64).ravel() for v in values])
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return 0.0, 1.0
    low, high = (flat.min(), flat.max()) if scaling == "full" else np.percentile(flat, [2, 98])
    return float(low), float(high)


# --- numbers in words ---------------------------------------------------------------------------------------

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def three_digits(x: float) -> str:
    """Write a number to three significant digits.

    Examples
    --------
    >>> three_digits(0.30504), three_digits(-0.3), three_digits(1234567), three_digits(0)
    ('0.305', '−0.300', '1.23 × 10⁶', '0')
    """
    x = float(x)
    if math.isnan(x):
        return "not available"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    mantissa, exponent = f"{x:.2e}".split("e")
    power = int(exponent)
    if -4 < power < 4:
        return _minus(f"{float(f'{x:.2e}'):.{max(0, 2 - power)}f}")
    return f"{_minus(mantissa)} × 10{str(power).translate(_SUPERSCRIPTS)}"


def decimals(lo: float, hi: float) -> int:
    """Return how many decimals show the width of an interval to two digits (at least two, at most six)."""
    width = abs(hi - lo)
    if not math.isfinite(width) or width == 0:
        return 3
    return min(max(2, 1 - math.floor(math.log10(width))), 6)


def fixed(x: float, places: int) -> str:
    """Write a number with so many decimals, a true minus sign, and never "−0.00"."""
    text = f"{x:.{places}f}"
    return _minus(text) if float(text) != 0 else text.lstrip("-")


def interval(lo: float, hi: float) -> str:
    """Write an interval in brackets, to two digits of its width.

    Examples
    --------
    >>> interval(0.2404, 0.3811), interval(-0.02, 0.1)
    ('[0.24, 0.38]', '[−0.02, 0.10]')
    """
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return "[not available]"
    places = decimals(lo, hi)
    return f"[{fixed(lo, places)}, {fixed(hi, places)}]"


def p_value(p: float) -> str:
    """Write a p value to three decimals, never as zero or one.

    Examples
    --------
    >>> p_value(0.0213), p_value(0), p_value(1)
    ('p = .021', 'p < .001', 'p > .999')
    """
    if not 0 <= p <= 1:
        return "p not available"
    if p < 0.001:
        return "p < .001"
    if p > 0.999:
        return "p > .999"
    return f"p = {p:.3f}".replace("0.", ".")


def short_names(names: tuple[str, ...], limit: int = 24) -> dict[str, str]:
    """Shorten names for an axis so that they stay different: what all share at the end goes first.

    Examples
    --------
    >>> list(short_names(("block.layer1.conv.normalised", "block.layer2.conv.normalised"), 16).values())
    ['block.layer1…', 'block.layer2…']
    """
    if max(map(len, names), default=0) <= limit:
        return {name: name for name in names}
    tail = 0
    if len(names) > 1:
        backwards = [name[::-1] for name in names]
        shared = os.path.commonprefix(backwards)
        tail = shared.rfind(".") + 1 if len(shared) < min(map(len, names)) else 0
    return {name: shortened(name[: len(name) - tail] + ("…" if tail else ""), limit) for name in names}


def shortened(name: str, limit: int = 28) -> str:
    """Shorten a long name at its start, because the ends of layer paths tell them apart.

    Examples
    --------
    >>> shortened("features.denseblock3.conv2", 12)
    '…lock3.conv2'
    """
    return name if len(name) <= limit else "…" + name[-(limit - 1) :]
