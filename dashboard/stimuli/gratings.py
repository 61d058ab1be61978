"""Gratings: drawn one at a time from their parameters, in one convention of orientation.

Orientation of the bars: 0 degrees is vertical and angles grow clockwise, so 45 degrees leans to the right
like ``/`` and 90 degrees is horizontal. The tilt of the Neuromatch gratings is the same angle, -90 to 90.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from dashboard.errors import InputError
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of, short_texts

VERSION = 1
"""Raised whenever a pixel of any grating changes; part of the digest."""

MOST = 20_000
"""Most gratings in a set."""

EDGE = 0.2
"""Part of the aperture's radius over which the grating fades out."""

OPTIONS = ("orientations", "spatial_frequencies", "phases", "contrast", "size", "aperture")
NEUROMATCH_OPTIONS = ("n", "low", "high", "patch", "height", "width")

_FULL_HEIGHT, _FULL_WIDTH = 480, 640
_RADIANS_PER_PIXEL = 1 / 28
_PATCH_TURN_RAD = 0.1


# Sinusoidal gratings ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gratings:
    """Every combination of orientation, spatial frequency and phase, in this order, the last fastest.

    Attributes
    ----------
    orientations : tuple of float
        Degrees in [0, 180); 0 vertical bars, clockwise.
    spatial_frequencies : tuple of float
        Cycles per picture side, above 0 and below the Nyquist limit ``size / 2``.
    phases : tuple of float
        Degrees in [0, 360); 0 has the middle of a bright bar in the middle of the picture.
    contrast : float
        Michelson contrast, 0 to 1.
    size : int
        Height and width in pixels.
    aperture : float
        Diameter of the round aperture as a part of the picture's side; 0 is no aperture.
    """

    orientations: tuple[float, ...]
    spatial_frequencies: tuple[float, ...]
    phases: tuple[float, ...]
    contrast: float = 1.0
    size: int = 224
    aperture: float = 0.9

    @cached_property
    def parameters(self) -> np.ndarray:
        """Orientation, spatial frequency and phase of every grating; (n_stimuli, 3) float64."""
        return np.array(list(itertools.product(self.orientations, self.spatial_frequencies, self.phases)))

    @cached_property
    def window(self) -> np.ndarray:
        """The aperture: (size, size) float64, 1 inside, falling to 0 as half a cosine over the `EDGE`."""
        if self.aperture == 0:
            return np.ones((self.size, self.size))
        radius = self.aperture / 2
        inward = (radius - np.hypot(*self._coordinates)) / (EDGE * radius)
        return 0.5 - 0.5 * np.cos(np.pi * np.clip(inward, 0, 1))

    @property
    def _coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the right of and below the middle in parts of the side; (1, size) and (size, 1)."""
        x = (np.arange(self.size) - (self.size - 1) / 2) / self.size
        return x[None, :], x[:, None]

    def draw(self, i: int) -> np.ndarray:
        """Draw grating ``i``.

        The mean over the picture is 0.5, whatever the phase: where the aperture cuts a wave unevenly, the
        mean in the aperture is taken off, and the rest is scaled so that no value is further from 0.5 than
        half the contrast.

        Returns
        -------
        np.ndarray
            (size, size) float32 from 0 to 1.
        """
        orientation, frequency, phase = self.parameters[i]
        x, y = self._coordinates
        angle = np.deg2rad(orientation)
        across = 2 * np.pi * frequency * np.cos(angle) * x - np.deg2rad(phase)
        down = 2 * np.pi * frequency * np.sin(angle) * y
        # cos(across + down) by the sum formula: 4 * size cosines and sines instead of size * size.
        wave = np.cos(down) * np.cos(across) - np.sin(down) * np.sin(across)
        mean = float(np.vdot(self.window, wave) / self.window.sum())
        amplitude = 0.5 * self.contrast / (1 + abs(mean))
        return (0.5 + amplitude * self.window * (wave - mean)).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Such as ``"ori 045.0 sf 8 ph 090.0"``; (n_stimuli,)."""
        orientations = short_texts(self.orientations, 3)
        frequencies = [f"{value:.6g}" for value in self.spatial_frequencies]
        phases = short_texts(self.phases, 3)
        return tuple(
            f"ori {o} sf {f} ph {p}" for o, f, p in itertools.product(orientations, frequencies, phases)
        )


def load_gratings(reference: Reference) -> Stimuli:
    """Load ``gratings?orientations=…&spatial_frequencies=…&phases=…&contrast=…&size=…&aperture=…``.

    ``orientations`` and ``phases``: one number says how many, evenly spaced from 0; several with colons
    between are the degrees themselves, and so is one with a colon behind it (``45:``).
    ``spatial_frequencies``: cycles per picture with colons between. Defaults: 12 orientations, those of 4, 8
    and 16 cycles per picture that are below the Nyquist limit, 4 phases, contrast 1, 224 pixels, and an
    aperture of 0.9.

    Raises
    ------
    InputError
        When an option is unknown or out of range, or a spatial frequency is not below the Nyquist limit.
    """
    gratings = read_gratings(reference)
    orientation, frequency, phase = gratings.parameters.T
    n = len(orientation)
    texts = dict(zip(gratings.orientations, short_texts(gratings.orientations, 3), strict=True))
    columns = {
        "orientation": orientation,
        "spatial_frequency": frequency,
        "phase": phase,
        "contrast": np.full(n, gratings.contrast),
    }
    return Stimuli(
        reference=str(reference),
        title="Gratings",
        description=_describe(gratings, n),
        names=gratings.names,
        categories=tuple(f"{texts[value]} deg" for value in orientation),
        columns=columns,
        units={"orientation": "deg", "spatial_frequency": "cycles/picture", "phase": "deg"},
        digest=_digest(gratings),
        generated=True,
        draw=gratings.draw,
    )


def identify_gratings(reference: Reference) -> str:
    """Return the digest that `load_gratings` gives, without drawing."""
    return _digest(read_gratings(reference))


def read_gratings(reference: Reference) -> Gratings:
    """Read and check the options of a ``gratings`` reference."""
    reference.check_options(OPTIONS)
    size = reference.integer("size", 224, low=8, high=1024)
    gratings = Gratings(
        orientations=_angles(reference, "orientations", 12, 180),
        spatial_frequencies=_frequencies(reference, size),
        phases=_angles(reference, "phases", 4, 360),
        contrast=reference.number("contrast", 1.0, low=0, high=1),
        size=size,
        aperture=reference.number("aperture", 0.9, low=0, high=1),
    )
    n = len(gratings.orientations) * len(gratings.spatial_frequencies) * len(gratings.phases)
    if n > MOST:
        message = f"These options make {n:,} gratings, more than {MOST:,}."
        raise InputError(message, "Ask for fewer orientations, spatial frequencies or phases.")
    if 0 < gratings.aperture * size < 4:
        message = f"An aperture of {gratings.aperture:g} is smaller than 4 of {size} pixels."
        raise InputError(message, "Make it larger, or 0 for none.")
    return gratings


def _digest(gratings: Gratings) -> str:
    return digest_of("gratings", VERSION, asdict(gratings))


def _describe(gratings: Gratings, n: int) -> str:
    frequencies = ", ".join(f"{value:g}" for value in gratings.spatial_frequencies)
    shape = (
        f"in a soft round aperture of {gratings.aperture:g} of the side" if gratings.aperture else "unframed"
    )
    return (
        f"{n} generated sinusoidal gratings: {len(gratings.orientations)} orientations (0 degrees is "
        f"vertical, clockwise), {frequencies} cycles per picture, {len(gratings.phases)} phases, contrast "
        f"{gratings.contrast:g}, {gratings.size} pixels, {shape}, mean luminance 0.5."
    )


def _angles(reference: Reference, name: str, default: int, turn: int) -> tuple[float, ...]:
    """Read how many angles, evenly spaced over ``turn`` degrees, or the angles themselves."""
    text = reference.options.get(name, str(default))
    if ":" not in text:
        count = reference.integer(name, default, low=1, high=turn)
        return tuple(turn * k / count for k in range(count))
    return _numbers(reference, name, text, lambda value: 0 <= value < turn, f"from 0 to below {turn} degrees")


def _frequencies(reference: Reference, size: int) -> tuple[float, ...]:
    name = "spatial_frequencies"
    limit = size / 2
    if name not in reference.options:
        return tuple(value for value in (4.0, 8.0, 16.0) if value < limit) or (size / 8,)
    values = _numbers(reference, name, reference.options[name], lambda v: v > 0, "above 0")
    if max(values) >= limit:
        message = (
            f"A spatial frequency of {max(values):g} cycles per picture cannot be drawn in {size} pixels."
        )
        raise InputError(message, f"Stay below the Nyquist limit of {limit:g}, or ask for a larger size.")
    return values


def _numbers(
    reference: Reference, name: str, text: str, fits: Callable[[float], bool], wanted: str
) -> tuple[float, ...]:
    """Read numbers with colons between them; none may come twice."""
    values = []
    for part in text.removesuffix(":").split(":"):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not fits(value):
            message = f'{name} of {reference.name} must be numbers {wanted}, not "{part}".'
            raise InputError(message, "Put colons between them, such as 2:4:8.")
        values.append(value + 0.0)  # no negative zero
    if len(set(values)) < len(values):
        message = f'{name} of {reference.name} gives a number twice: "{text}".'
        raise InputError(message)
    return tuple(values)


# The gratings of the Neuromatch course ------------------------------------------------------------------


def neuromatch_grating(
    angle_deg: float, height: int = 48, width: int = 64, patch: bool = False
) -> np.ndarray:
    """Draw the square-wave grating of the Neuromatch deep-learning day.

    The wave runs over a field of 640 x 480 pixels (wavelength 2 pi 28 = 176 pixels) that is sampled at
    ``width`` x ``height`` points, with phase 0 in the upper left corner and full contrast.

    Parameters
    ----------
    angle_deg : float
        Tilt from vertical in degrees; negative tilts left, positive tilts right.
    height, width : int
        Size of the picture in pixels.
    patch : bool
        Show the wave, turned by another 0.1 radian, only in a disc right of the middle, on grey.

    Returns
    -------
    np.ndarray
        (height, width) float32 of 0 and 1, and 0.5 around a patch.

    Notes
    -----
    Source: NeuromatchAcademy course-content, W1D5 Deep Learning, Tutorial 3 (described, not copied).
    """
    angle = np.deg2rad(angle_deg) + (_PATCH_TURN_RAD if patch else 0.0)
    x = _RADIANS_PER_PIXEL * np.arange(width) * (_FULL_WIDTH / width)
    y = _RADIANS_PER_PIXEL * np.arange(height) * (_FULL_HEIGHT / height)
    wave = np.cos(x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle))
    grating = (wave > 0).astype(np.float32)
    if patch:
        distance = np.hypot(np.arange(width)[None, :] - 0.75 * width, np.arange(height)[:, None] - height / 2)
        grating[distance >= width / 6] = 0.5
    return grating


@dataclass(frozen=True)
class NeuromatchGratings:
    """Neuromatch gratings with evenly spaced tilts."""

    n: int
    low: float
    high: float
    patch: bool
    height: int
    width: int

    @cached_property
    def tilts(self) -> np.ndarray:
        """Tilt of each grating in degrees; (n,)."""
        # Tilts of -90 and 90 are one and the same picture, so the last is left out then.
        whole_turns = (self.high - self.low) % 180 == 0
        return np.linspace(self.low, self.high, self.n, endpoint=not whole_turns) + 0.0

    def draw(self, i: int) -> np.ndarray:
        """Draw grating ``i``: (height, width) float32."""
        return neuromatch_grating(self.tilts[i], self.height, self.width, self.patch)


def load_neuromatch(reference: Reference) -> Stimuli:
    """Load ``neuromatch-gratings?n=60&low=-90&high=90&patch=no``, tilts in degrees, evenly spaced.

    Both ends are included, unless they are the same orientation (180 degrees apart): then the upper is not.

    Raises
    ------
    InputError
        When an option is unknown or out of range.
    """
    gratings = _read_neuromatch(reference)
    tilts = gratings.tilts
    sides = np.where(tilts > 0, "right", np.where(tilts < 0, "left", "vertical"))
    return Stimuli(
        reference=str(reference),
        title="Neuromatch gratings",
        description=(
            f"{gratings.n} generated square-wave gratings as in the Neuromatch deep-learning day, "
            f"tilted from {tilts[0]:g} to {tilts[-1]:g} degrees from vertical (positive tilts right), "
            f"{gratings.width} x {gratings.height} pixels{', in a disc' if gratings.patch else ''}."
        ),
        names=tuple(f"tilt {text}" for text in short_texts(list(tilts))),
        categories=tuple(map(str, sides)),
        columns={"tilt": tilts, "label": (tilts > 0).astype(np.int64)},
        units={"tilt": "deg"},
        digest=_neuromatch_digest(gratings),
        generated=True,
        draw=gratings.draw,
    )


def identify_neuromatch(reference: Reference) -> str:
    """Return the digest that `load_neuromatch` gives, without drawing."""
    return _neuromatch_digest(_read_neuromatch(reference))


def _neuromatch_digest(gratings: NeuromatchGratings) -> str:
    return digest_of("neuromatch-gratings", VERSION, asdict(gratings))


def _read_neuromatch(reference: Reference) -> NeuromatchGratings:
    reference.check_options(NEUROMATCH_OPTIONS)
    patch = reference.options.get("patch", "no")
    if patch not in ("yes", "no"):
        message = f'patch of {reference.name} must be yes or no, not "{patch}".'
        raise InputError(message)
    low = reference.number("low", -90, low=-180, high=180)
    high = reference.number("high", 90, low=-180, high=180)
    n = reference.integer("n", 60, low=1, high=MOST)
    if high < low or (high == low and n > 1):
        message = f"high of {reference.name} ({high:g} degrees) must be above low ({low:g} degrees)."
        raise InputError(message)
    height = reference.integer("height", 48, low=8, high=1024)
    width = reference.integer("width", 64, low=8, high=1024)
    return NeuromatchGratings(n, low, high, patch == "yes", height, width)
