"""Objects: pictures of coloured, textured shapes on textured backgrounds, with every factor known.

Picture ``i`` of seed ``s`` has its own stream of random numbers (Philox with the key ``(s, i)``), so it is
the same whatever the number of pictures asked for. All is computed in float64 before it becomes bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dashboard.errors import InputError, unknown

VERSION = 1
"""Raised whenever a byte of any picture changes; part of the digest."""

SIDE = 64
"""Height and width of a picture in pixels."""

SMALLEST, LARGEST = 12.0, 22.0
"""Range of the size factor: the radius in pixels of the circle that holds the object."""

Floats = NDArray[np.float64]
Group = Literal["training", "transfer", "all"]


# Shapes -------------------------------------------------------------------------------------------------
# A shape is its signed distance to the outline (negative inside) in units of its size; u points right, v up.
# Every shape stays within the unit circle. Distances need to be right only near the outline, where they make
# the edge soft over one pixel.


def _box(u: Floats, v: Floats, half_width: float, half_height: float) -> Floats:
    """Signed distance to an upright rectangle."""
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def _polygon(u: Floats, v: Floats, *corners: tuple[float, float]) -> Floats:
    """Signed distance to a convex polygon whose corners run anticlockwise."""
    distance = np.full_like(u, -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = float(np.hypot(x1 - x0, y1 - y0))
        np.maximum(distance, ((y1 - y0) * (u - x0) - (x1 - x0) * (v - y0)) / length, out=distance)
    return distance


def _disc(u: Floats, v: Floats) -> Floats:
    return np.hypot(u, v) - 0.88


def _square(u: Floats, v: Floats) -> Floats:
    return _box(u, v, 0.7, 0.7)


def _triangle(u: Floats, v: Floats) -> Floats:
    return _polygon(u, v, (-0.86, -0.5), (0.86, -0.5), (0.0, 1.0))


def _star(u: Floats, v: Floats) -> Floats:
    radius, angle = np.hypot(u, v), np.arctan2(u, v)
    folded = np.abs(np.mod(angle + np.pi / 5, 2 * np.pi / 5) - np.pi / 5)
    inner_x, inner_y = 0.42 * np.cos(np.pi / 5), 0.42 * np.sin(np.pi / 5)
    length = float(np.hypot(1 - inner_x, inner_y))
    return (inner_y * (radius * np.cos(folded) - 1) + (1 - inner_x) * radius * np.sin(folded)) / length


def _cross(u: Floats, v: Floats) -> Floats:
    return np.minimum(_box(u, v, 0.93, 0.3), _box(u, v, 0.3, 0.93))


def _ring(u: Floats, v: Floats) -> Floats:
    return np.abs(np.hypot(u, v) - 0.7) - 0.22


def _crescent(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.hypot(u, v) - 1.0, 0.85 - np.hypot(u - 0.5, v))


def _heart(u: Floats, v: Floats) -> Floats:
    half = 0.76
    radius = half / np.sqrt(2)
    diamond = (np.abs(u) + np.abs(v + 0.15) - half) / np.sqrt(2)
    return np.minimum(diamond, np.hypot(np.abs(u) - half / 2, v + 0.15 - half / 2) - radius)


def _arrow(u: Floats, v: Floats) -> Floats:
    head = _polygon(u, v, (-0.78, 0.0), (0.78, 0.0), (0.0, 1.0))
    return np.minimum(head, _box(u, v + 0.45, 0.24, 0.5))


def _drop(u: Floats, v: Floats) -> Floats:
    radius, centre = 0.58, -0.4
    sine = radius / (1.0 - centre)
    cone = np.abs(u) * np.sqrt(1 - sine**2) + (v - 1.0) * sine
    cone = np.maximum(cone, centre + radius * sine - v)
    return np.minimum(cone, np.hypot(u, v - centre) - radius)


def _flower(u: Floats, v: Floats) -> Floats:
    radius, angle = np.hypot(u, v), 5 * np.arctan2(u, v)
    slope = 1.35 * np.sin(angle) / np.maximum(radius, 0.3)
    return (radius - 0.71 - 0.27 * np.cos(angle)) / np.sqrt(1 + slope**2)


def _hourglass(u: Floats, v: Floats) -> Floats:
    waist = (np.abs(u) - 0.68 * np.abs(v) - 0.1) / np.hypot(1.0, 0.68)
    return np.maximum(waist, np.abs(v) - 0.76)


def _bar(u: Floats, v: Floats) -> Floats:
    return _box(u, v, 0.26, 0.95)


def _arch(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(np.hypot(u, v + 0.2) - 0.72) - 0.2, -v - 0.4)


def _bolt(u: Floats, v: Floats) -> Floats:
    upper = _polygon(u, v, (0.28, 0.95), (-0.6, -0.14), (0.16, -0.14))
    lower = _polygon(u, v, (-0.28, -0.95), (0.6, 0.14), (-0.16, 0.14))
    return np.minimum(upper, lower)


@dataclass(frozen=True)
class Shape:
    """A category: how it is drawn, what kind of outline it has, and which group it belongs to."""

    distance: Callable[[Floats, Floats], Floats]
    outline: Literal["curved", "straight"]
    group: Literal["training", "transfer"] = "training"


SHAPES: MappingProxyType[str, Shape] = MappingProxyType(
    {
        "disc": Shape(_disc, "curved"),
        "square": Shape(_square, "straight"),
        "ring": Shape(_ring, "curved"),
        "triangle": Shape(_triangle, "straight"),
        "crescent": Shape(_crescent, "curved"),
        "cross": Shape(_cross, "straight"),
        "heart": Shape(_heart, "curved"),
        "star": Shape(_star, "straight"),
        "drop": Shape(_drop, "curved"),
        "arrow": Shape(_arrow, "straight"),
        "flower": Shape(_flower, "curved"),
        "hourglass": Shape(_hourglass, "straight"),
        "arch": Shape(_arch, "curved", "transfer"),
        "bolt": Shape(_bolt, "straight", "transfer"),
        "bar": Shape(_bar, "straight", "transfer"),
    }
)


def categories(group: Group = "training") -> tuple[str, ...]:
    """Names of the shapes of a group, in the order in which the pictures cycle through them.

    Raises
    ------
    InputError
        When the group is not one of ``training``, ``transfer`` and ``all``.
    """
    if group == "all":
        return tuple(SHAPES)
    if group not in ("training", "transfer"):
        raise unknown("group of objects", group, ["training", "transfer", "all"])
    return tuple(name for name, shape in SHAPES.items() if shape.group == group)


# Colours, textures, backgrounds -------------------------------------------------------------------------

COLOURS: MappingProxyType[str, tuple[float, float, float]] = MappingProxyType(
    {
        "red": (0.85, 0.15, 0.15),
        "orange": (0.95, 0.55, 0.10),
        "yellow": (0.92, 0.88, 0.20),
        "green": (0.20, 0.68, 0.25),
        "cyan": (0.20, 0.80, 0.85),
        "blue": (0.20, 0.30, 0.90),
        "purple": (0.58, 0.22, 0.78),
        "pink": (0.95, 0.55, 0.75),
    }
)


def _wave(phase: Floats) -> Floats:
    """A square wave with soft edges, -1 to 1."""
    return np.clip(2.5 * np.sin(phase), -1.0, 1.0)


def _plain(x: Floats, y: Floats, k: float) -> Floats:
    return np.zeros_like(x)


def _stripes(x: Floats, y: Floats, k: float) -> Floats:
    return _wave(k * x)


def _checks(x: Floats, y: Floats, k: float) -> Floats:
    return np.clip(4.0 * np.sin(k * x) * np.sin(k * y), -1.0, 1.0)


def _dots(x: Floats, y: Floats, k: float) -> Floats:
    return np.clip(3.0 * (np.cos(k * x) + np.cos(k * y) - 0.6), -1.0, 1.0)


def _shaded(x: Floats, y: Floats, k: float) -> Floats:
    return np.clip(x / 14.0, -1.0, 1.0)


TEXTURES: MappingProxyType[str, Callable[[Floats, Floats, float], Floats]] = MappingProxyType(
    {"plain": _plain, "stripes": _stripes, "checks": _checks, "dots": _dots, "shaded": _shaded}
)
"""Textures of the object's surface: (x, y in pixels along its own axes, radians per pixel) -> -1 to 1."""

BACKGROUNDS = ("noise", "patches", "waves")
"""1/f noise, the same cut into plain patches, and a sum of three gratings."""


# Factors ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factors:
    """All that is varied in one picture.

    Attributes
    ----------
    category, outline, colour, texture, background : str
        The shape, the kind of its outline, and the names of the surface and the background.
    size : float
        Radius in pixels of the circle that holds the object.
    x, y : float
        Centre of the object in pixels from the left and the top edge.
    rotation : float
        Degrees anticlockwise, [0, 360).
    red, green, blue : float
        Mean colour of the object, 0 to 1.
    background_red, background_green, background_blue : float
        Mean colour of the background, 0 to 1.
    background_contrast : float
        Standard deviation of the background's lightness.
    texture_period : float
        Period of the surface texture in pixels.
    """

    category: str
    outline: str
    colour: str
    texture: str
    background: str
    size: float
    x: float
    y: float
    rotation: float
    red: float
    green: float
    blue: float
    background_red: float
    background_green: float
    background_blue: float
    background_contrast: float
    texture_period: float


_N_FACTORS = 40


def _stream(index: int, seed: int) -> np.random.Generator:
    """Random numbers of one picture. Only `Generator.random` is used: numpy keeps its stream stable."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))


def _pick(names: Iterable[str], uniform: float) -> str:
    names = tuple(names)
    return names[int(uniform * len(names))]


def _background_colour(uniforms: Floats, colour: Floats) -> Floats:
    """First of eight random colours that is far enough from the object's colour, else the farthest."""
    candidates = 0.15 + 0.7 * uniforms.reshape(8, 3)
    distance = ((candidates - colour) ** 2).sum(axis=1)
    far = distance >= 0.45**2
    return candidates[int(far.argmax() if far.any() else distance.argmax())]


def _factors(uniforms: Floats, category: str) -> Factors:
    """Turn uniform numbers into factors; ``uniforms`` : (40,)."""
    u = uniforms
    size = SMALLEST + (LARGEST - SMALLEST) * u[0]
    room = SIDE - 2 * (size + 1)
    colour_name = _pick(COLOURS, u[4])
    colour = np.clip(np.array(COLOURS[colour_name]) + 0.16 * (u[5:8] - 0.5), 0.0, 1.0)
    ground = _background_colour(u[16:40], colour)
    return Factors(
        category=category,
        outline=SHAPES[category].outline,
        colour=colour_name,
        texture=_pick(TEXTURES, u[8]),
        background=_pick(BACKGROUNDS, u[10]),
        size=float(size),
        x=float(size + 1 + room * u[1]),
        y=float(size + 1 + room * u[2]),
        rotation=float(360 * u[3]),
        red=float(colour[0]),
        green=float(colour[1]),
        blue=float(colour[2]),
        background_red=float(ground[0]),
        background_green=float(ground[1]),
        background_blue=float(ground[2]),
        background_contrast=float(0.06 + 0.1 * u[11]),
        texture_period=float(4.5 + 4.5 * u[9]),
    )


# Drawing ------------------------------------------------------------------------------------------------

_CENTRES = np.arange(SIDE) + 0.5


def _amplitude(exponent: float) -> Floats:
    """Amplitude 1/f**exponent on the half plane of `numpy.fft.irfft2`; (64, 33), without a mean."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = np.inf
    return frequency**-exponent


_PINK, _SMOOTH = _amplitude(1.0), _amplitude(2.0)


def _noise(random: np.random.Generator, amplitude: Floats) -> Floats:
    """Noise with an amplitude spectrum, mean 0 and standard deviation 1; (64, 64)."""
    parts = random.random((2, *amplitude.shape)) - 0.5
    field = np.fft.irfft2(amplitude * (parts[0] + 1j * parts[1]), s=(SIDE, SIDE))
    return field / np.sqrt(np.square(field).mean())


def _gratings(random: np.random.Generator) -> Floats:
    """Sum of three gratings with random orientations, periods of 6 to 24 pixels; (64, 64)."""
    angle, scale, shift = random.random((3, 3))
    k = 2 * np.pi / (6 + 18 * scale)
    across = np.outer(k * np.cos(np.pi * angle), _CENTRES)
    down = np.outer(k * np.sin(np.pi * angle), _CENTRES) + 2 * np.pi * shift[:, None]
    # sin(a + b) from products: 64 sines in place of 4096
    return (np.sin(down).T @ np.cos(across) + np.cos(down).T @ np.sin(across)) / np.sqrt(1.5)


def _ground(factors: Factors, random: np.random.Generator) -> Floats:
    """The background; (3, 64, 64), about 0 to 1."""
    if factors.background == "waves":
        field = _gratings(random)
    elif factors.background == "patches":
        field = np.clip(np.round(_noise(random, _SMOOTH)), -2.0, 2.0)
    else:
        field = _noise(random, _PINK)
    mean = np.array([factors.background_red, factors.background_green, factors.background_blue])
    # The three channels do not vary quite alike, so the background has some colour of its own.
    weights = factors.background_contrast * (0.6 + 0.8 * random.random(3))
    return weights[:, None, None] * field + mean[:, None, None]


def _window(factors: Factors) -> tuple[slice, slice]:
    """Rows and columns that hold the object and its soft edge."""
    reach = factors.size + 1
    low_x, low_y = int(factors.x - reach), int(factors.y - reach)
    return slice(low_y, min(int(factors.y + reach) + 1, SIDE)), slice(
        low_x, min(int(factors.x + reach) + 1, SIDE)
    )


def _coordinates(factors: Factors, window: tuple[slice, slice]) -> tuple[Floats, Floats]:
    """Pixels along the object's own axes, right and up, from its centre; two (height, width)."""
    angle = np.deg2rad(factors.rotation)
    right = _CENTRES[None, window[1]] - factors.x
    up = factors.y - _CENTRES[window[0], None]
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * right + sine * up, cosine * up - sine * right


def _coverage(factors: Factors, x: Floats, y: Floats) -> Floats:
    """Share of each pixel that the object covers; (height, width), 0 to 1."""
    distance = SHAPES[factors.category].distance(x / factors.size, y / factors.size)
    return np.clip(0.5 - factors.size * distance, 0.0, 1.0)


def _mask(factors: Factors) -> NDArray[np.bool_]:
    """Pixels of which the object covers more than half; (64, 64)."""
    mask = np.zeros((SIDE, SIDE), bool)
    window = _window(factors)
    mask[window] = _coverage(factors, *_coordinates(factors, window)) > 0.5
    return mask


def _draw(factors: Factors, random: np.random.Generator) -> NDArray[np.uint8]:
    """Picture; (64, 64, 3)."""
    picture = _ground(factors, random)
    window = _window(factors)
    x, y = _coordinates(factors, window)
    surface = TEXTURES[factors.texture](x, y, 2 * np.pi / factors.texture_period)
    colour = np.array([factors.red, factors.green, factors.blue])
    part = picture[:, window[0], window[1]]
    part += _coverage(factors, x, y) * (colour[:, None, None] * (1 + 0.3 * surface) - part)
    picture *= 255
    picture += 0.5
    return np.clip(picture, 0.5, 255.5, out=picture).transpose(1, 2, 0).astype(np.uint8)


# The set ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objects:
    """The pictures ``0`` to ``n - 1`` of a seed; a stimulus set that is drawn when it is looked at.

    Parameters
    ----------
    n : int
        Number of pictures, at least 1.
    seed : int
        Which pictures, 0 to 2**63 - 1.
    group : {"training", "transfer", "all"}
        The 12 categories that the bundled networks were trained on, the 3 that they never saw, or both.
        Picture ``i`` shows category ``i`` modulo their number, so every category comes equally often.

    Raises
    ------
    InputError
        When the number, the seed or the group is out of range.

    Examples
    --------
    >>> objects = Objects(24, seed=0)
    >>> objects.categories[:3]
    ('disc', 'square', 'ring')
    >>> objects.picture(0).shape
    (64, 64, 3)
    """

    n: int = 240
    seed: int = 0
    group: Group = "training"

    def __post_init__(self) -> None:
        categories(self.group)
        if not 1 <= self.n <= 1_000_000:
            raise InputError(f"objects needs n from 1 to 1000000, not {self.n}.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"objects needs a seed from 0 to 2**63 - 1, not {self.seed}.")

    def __len__(self) -> int:
        return self.n

    @property
    def title(self) -> str:
        """What the set is, for headings."""
        return f"Objects, {self.n} pictures, seed {self.seed}"

    @property
    def digest(self) -> str:
        """SHA-256 over all that the pictures depend on."""
        text = f"objects/{VERSION}/{self.n}/{self.seed}/{self.group}/{','.join(categories(self.group))}"
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Category of each picture; (n,)."""
        names = categories(self.group)
        return tuple(names[i % len(names)] for i in range(self.n))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each picture, such as ``"star-00007"``; (n,)."""
        return tuple(f"{category}-{i:05d}" for i, category in enumerate(self.categories))

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """The factors of all pictures, each (n,); lengths in pixels, rotation in degrees, colours 0 to 1."""
        rows = [self.factors(i) for i in range(self.n)]
        return {field.name: np.array([getattr(row, field.name) for row in rows]) for field in fields(Factors)}

    def _check(self, i: int) -> None:
        if not 0 <= i < self.n:
            raise InputError(f"objects has the pictures 0 to {self.n - 1}, not {i}.")

    def factors(self, i: int) -> Factors:
        """All factors of picture ``i``."""
        self._check(i)
        return _factors(_stream(i, self.seed).random(_N_FACTORS), self._category(i))

    def _category(self, i: int) -> str:
        names = categories(self.group)
        return names[i % len(names)]

    def picture(self, i: int) -> NDArray[np.uint8]:
        """Picture ``i``; (64, 64, 3)."""
        self._check(i)
        random = _stream(i, self.seed)
        return _draw(_factors(random.random(_N_FACTORS), self._category(i)), random)

    def mask(self, i: int) -> NDArray[np.bool_]:
        """Where the object of picture ``i`` is; (64, 64)."""
        return _mask(self.factors(i))

    def array(self, i: int) -> NDArray[np.float32]:
        """Lightness of picture ``i``, the mean of red, green and blue; (64, 64), 0 to 1."""
        return (self.picture(i).astype(np.float32).mean(axis=2) / np.float32(255)).astype(np.float32)

    def thumbnail(self, i: int, size: int = 64) -> NDArray[np.uint8]:
        """Picture ``i`` at another size by its nearest pixels; (size, size, 3)."""
        take = (np.arange(size) * SIDE) // size
        return self.picture(i)[take][:, take]

    def pictures(self) -> NDArray[np.uint8]:
        """All pictures; (n, 64, 64, 3)."""
        pictures = np.empty((self.n, SIDE, SIDE, 3), np.uint8)
        for i in range(self.n):
            pictures[i] = self.picture(i)
        return pictures

    def masks(self) -> NDArray[np.bool_]:
        """Where the objects are; (n, 64, 64)."""
        masks = np.empty((self.n, SIDE, SIDE), bool)
        for i in range(self.n):
            masks[i] = self.mask(i)
        return masks

    def labels(self) -> NDArray[np.int64]:
        """Category of each picture as an index into ``categories(group)``; (n,)."""
        return np.arange(self.n) % len(categories(self.group))
