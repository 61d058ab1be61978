"""How are the units of a layer, or the neurons of a recording, tuned to gratings?"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard import networks, recordings
from dashboard.analyses import activations
from dashboard.errors import InputError, caution, unknown
from dashboard.methods import tuning as measures
from dashboard.networks import Layer, Network
from dashboard.progress import part, report
from dashboard.recordings import Recording
from dashboard.specs import NeuronTuningSpec, TuningSpec

N_FREQUENCIES = 8
LOWEST, HIGHEST = 1 / 64, 0.35
"""The frequencies shown by default reach from here to there, in cycles per pixel, two a picture at least."""

FEW_ORIENTATIONS, FEW_PHASES = 12, 4
"""Gratings of several contrasts or sizes are shown at so many orientations and phases."""

STRETCHED = 0.02
MEASURES = (
    "preferred_orientation",
    "mean_orientation",
    "circular_variance",
    "osi",
    "half_width",
    "half_width_70",
    "preferred_frequency",
    "bandwidth",
    "f1_f0",
)
UNITS = {
    "preferred_orientation": "deg",
    "mean_orientation": "deg",
    "half_width": "deg",
    "half_width_70": "deg",
    "preferred_frequency": "cycles/picture",
    "bandwidth": "octaves",
}


@dataclass(frozen=True)
class Window:
    """What of a square picture reaches a network.

    Attributes
    ----------
    size : int
        Pixels of the network's input along its shorter side.
    picture : int
        Side of a square picture of which the network sees each pixel as one pixel.
    seen : float
        Part of the picture's side that the shorter side of the input shows.
    stretch : float
        How many times wider than high a square comes out, less one.
    """

    size: int
    picture: int
    seen: float
    stretch: float


def window(network: Network) -> Window:
    """Measure with ramps how preprocessing crops and resizes a square picture.

    Raises
    ------
    InputError
        When the network sees no pictures, or not the brightness of them.
    """
    if network.input_kind != "image" or len(network.input_shape) != 3:
        message = f"{network.title} sees no pictures, so that gratings cannot be shown to it."
        raise InputError(message, "Choose a network that sees pictures, such as bundled:objects_cnn.")
    height, width = network.input_shape[1:]
    side = max(height, width) * 2
    ramp = np.linspace(0, 255, side).astype(np.uint8)[None, :, None]
    across = np.broadcast_to(ramp, (side, side, 3))
    black, white = (np.full((side, side, 3), v, dtype=np.uint8) for v in (0, 255))
    low, high = (network.preprocess(p).double().numpy().mean(axis=0) for p in (black, white))
    if np.abs(high - low).min() < 1e-6:
        message = f"{network.title} does not tell white from black."
        raise InputError(message, "Check its preprocessing.")
    steps = []
    for picture, axis in ((across, 1), (across.swapaxes(0, 1), 0)):
        seen = (network.preprocess(np.ascontiguousarray(picture)).double().numpy().mean(axis=0) - low) / (
            high - low
        )
        line = seen.mean(axis=1 - axis)
        inner = slice(len(line) // 8, -len(line) // 8)  # the ends are blurred by resizing
        steps.append(float(np.polyfit(np.arange(len(line))[inner], line[inner], 1)[0]))
    short = min(height, width)
    step = steps[0] if width <= height else steps[1]
    side = max(short, round(1 / step))
    return Window(short, side, short / side, steps[1] / steps[0] - 1)


def tuning(spec: TuningSpec) -> xr.Dataset:
    """Return the tuning of every unit in the middle of a layer.

    Returns
    -------
    xarray.Dataset
        Over ``unit`` the measures of `methods.tuning.Tuning`, each with ``<measure>_reason``, ``peak``,
        ``blank``, and the curves ``orientation_curve`` (unit, orientation), ``frequency_curve`` (unit,
        frequency), ``phase_curve`` (unit, phase); when asked for, ``contrast_curve`` (unit, contrast) with
        ``r_max``, ``c50``, ``exponent``, and ``size_curve`` (unit, size) with ``suppression``, ``summation``.
        Frequencies are cycles per picture: per shorter side of what the network sees.

    Raises
    ------
    InputError
        When gratings cannot be shown to the network, or a setting does not fit.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    view = window(network)
    layer = _layer(network, spec.layer)
    protocol = _Protocol(spec, layer, view)
    with part(0.0, 0.6):
        responses = protocol.show()
        blank = protocol.blank()
    found = measures.tuning(responses, protocol.orientations, protocol.frequencies, protocol.phases, blank)
    answer = _dataset(found, protocol.orientations, protocol.frequencies, protocol.phases)
    with part(0.6, 1.0):
        answer = answer.assign(protocol.contrast(found, blank) | protocol.sizes(found, blank))
    _tell(network, layer, view, found)
    return answer.assign_attrs(
        title=f"Tuning of {layer.name} of {network.title}",
        network=spec.network,
        network_title=network.title,
        layer=layer.name,
        layers=json.dumps([one.name for one in network.layers if _can_be_shown(one)]),
        stimuli=protocol.reference(),
        per_channel="yes" if len(found.peak) == layer.channels else "no",
        n_gratings=int(np.prod(responses.shape[:3])),
        picture_pixels=view.size,
        aperture=spec.aperture,
        device=networks.device().type,
        simulated="no",
    )


def _can_be_shown(layer: Layer) -> bool:
    return layer.token_axis is None and layer.units > 0


def _layer(network: Network, name: str) -> Layer:
    """Return the named layer; else the first of the default selection with positions."""
    if name:
        return networks.select(network.layers, [name])[0]
    having = [layer for layer in network.defaults if len(layer.shape) > 1] or list(network.defaults)
    if not having:
        message = f"{network.title} has no layers that could be read."
        raise InputError(message, "Choose another network.")
    return having[0]


def _tell(network: Network, layer: Layer, view: Window, found: measures.Tuning) -> None:
    if abs(view.stretch) > STRETCHED:
        times = 1 + view.stretch
        caution(
            "stretched",
            f"{network.title} stretches a square picture to {times:.2f} times its width: orientations and "
            "frequencies are those of the picture before that.",
        )
    silent = int((found.reasons["osi"] == measures.SILENT).sum())
    if silent:
        caution(
            "silent-units",
            f"{silent} of {len(found.peak)} units of {layer.name} respond to no grating more than to grey: "
            "they have no tuning to gratings, which says nothing about other pictures.",
        )


# --- what is shown ---------------------------------------------------------------------------------------


class _Protocol:
    """Which gratings are shown, and the responses to them."""

    def __init__(self, spec: TuningSpec, layer: Layer, view: Window) -> None:
        if not 0 <= spec.aperture <= 1:
            message = f"The aperture must be from 0 to 1 of the picture's side, not {spec.aperture:g}."
            raise InputError(message)
        self.spec, self.layer, self.view = spec, layer, view
        self.frequencies = _frequencies(spec.frequencies, view.size)
        self.orientations = np.arange(spec.orientations) * (180.0 / spec.orientations)
        self.phases = np.arange(spec.phases) * (360.0 / spec.phases)

    def reference(
        self, *, orientations: int = 0, phases: int = 0, contrast: float = 1.0, aperture: float | None = None
    ) -> str:
        """Return the stimuli as a reference; frequencies and aperture in parts of the whole picture."""
        shown = ":".join(f"{f / self.view.seen:.10g}" for f in self.frequencies) + ":"
        size = self.spec.aperture if aperture is None else aperture
        return (
            f"gratings?orientations={orientations or self.spec.orientations}"
            f"&spatial_frequencies={shown}&phases={phases or self.spec.phases}"
            f"&contrast={contrast:g}&size={self.view.picture}&aperture={min(1.0, size * self.view.seen):.10g}"
        )

    def show(self, *, orientations: int = 0, phases: int = 0, **options: float) -> np.ndarray:
        """Return responses (n_orientations, n_frequencies, n_phases, n_units) float64."""
        shown = self.reference(orientations=orientations, phases=phases, **options)
        shape = (orientations or self.spec.orientations, len(self.frequencies), phases or self.spec.phases)
        return self._respond(shown).reshape(*shape, -1)

    def _respond(self, shown: str) -> np.ndarray:
        extraction = activations.extract(self.spec.network, shown, [self.layer.name], "centre")
        return extraction.patterns(self.layer).astype(np.float64)

    def blank(self) -> np.ndarray:
        """Return the responses to grey, (n_units,)."""
        size = self.view.picture
        grey = f"gratings?orientations=1&spatial_frequencies=2:&phases=1&contrast=0&size={size}"
        return self._respond(grey)[0]

    def contrast(self, found: measures.Tuning, blank: np.ndarray) -> dict[str, tuple]:
        """Return contrast responses and their fits, or nothing when not asked for."""
        levels = _numbers("contrasts", self.spec.contrasts, 0.0, 1.0)
        if not levels:
            return {}
        curve = self._series(found, blank, [{"contrast": level} for level in levels])
        fit = measures.contrast_response(np.array(levels), curve)
        return {
            "contrast": ("contrast", levels),
            "contrast_curve": (("unit", "contrast"), curve),
            "r_max": ("unit", fit.r_max),
            "c50": ("unit", fit.c50),
            "exponent": ("unit", fit.exponent),
            "contrast_explained": ("unit", fit.explained),
            "contrast_reason": ("unit", fit.reasons),
        }

    def sizes(self, found: measures.Tuning, blank: np.ndarray) -> dict[str, tuple]:
        """Return size tuning and its fits, or nothing when not asked for."""
        shown = _numbers("sizes", self.spec.sizes, 0.0, 1.0)
        if not shown:
            return {}
        curve = self._series(found, blank, [{"aperture": size} for size in shown])
        fit = measures.size_tuning(np.array(shown), curve)
        return {
            "size": ("size", shown),
            "size_curve": (("unit", "size"), curve),
            "suppression": ("unit", fit.suppression),
            "summation": ("unit", fit.summation),
            "size_explained": ("unit", fit.explained),
            "size_reason": ("unit", fit.reasons),
        }

    def _series(
        self, found: measures.Tuning, blank: np.ndarray, options: list[dict[str, float]]
    ) -> np.ndarray:
        """Return the mean drive over phases of each unit at its best grating, (n_units, n_options)."""
        n_orientations = min(FEW_ORIENTATIONS, self.spec.orientations)
        best = found.orientation_curve.argmax(axis=1) * 180.0 / self.spec.orientations
        nearest = np.round(best / (180.0 / n_orientations)).astype(int) % n_orientations
        frequency = found.frequency_curve.argmax(axis=1)
        unit = np.arange(len(blank))
        columns = []
        for k, option in enumerate(options):
            with part(k / len(options), (k + 1) / len(options)):
                seen = self.show(
                    orientations=n_orientations, phases=min(FEW_PHASES, self.spec.phases), **option
                )
            drive = np.maximum(seen - blank, 0.0).mean(axis=2)
            columns.append(drive[nearest, frequency, unit])
        return np.stack(columns, axis=1)


def _frequencies(text: str, size: int) -> np.ndarray:
    """Return the frequencies asked for, or eight in octaves' even steps, in cycles per picture."""
    limit = size / 2
    asked = _numbers("frequencies", text, 0.0, np.inf)
    if asked and max(asked) >= limit:
        message = f"A spatial frequency of {max(asked):g} cycles cannot be shown in {size} pixels."
        raise InputError(message, f"Stay below the Nyquist limit of {limit:g} cycles per picture.")
    if asked:
        return np.array(asked)
    low, high = max(LOWEST * size, 2.0), HIGHEST * size
    if high < 2 * low:
        message = f"A picture of {size} pixels is too small for gratings of several spatial frequencies."
        raise InputError(message, "Choose a network that sees larger pictures.")
    return np.array([float(f"{f:.4g}") for f in np.geomspace(low, high, N_FREQUENCIES)])


def _numbers(name: str, text: str, low: float, high: float) -> list[float]:
    """Read rising numbers above ``low`` and up to ``high`` with colons between."""
    try:
        found = [float(part) for part in text.split(":") if part.strip()]
    except ValueError:
        found = [np.nan]
    rising = all(a < b for a, b in itertools.pairwise(found))
    if not rising or not all(low < value <= high for value in found):
        message = f'{name} must be rising numbers above {low:g} and up to {high:g}, not "{text}".'
        raise InputError(message, "Put colons between them, such as 0.1:0.2:0.4:0.8.")
    return found


def _dataset(
    found: measures.Tuning, orientations: np.ndarray, frequencies: np.ndarray, phases: np.ndarray
) -> xr.Dataset:
    variables: dict[str, tuple] = {"peak": ("unit", found.peak), "blank": ("unit", found.blank)}
    for name in MEASURES:
        variables[name] = ("unit", getattr(found, name), {"units": UNITS.get(name, "")})
        variables[f"{name}_reason"] = ("unit", found.reasons[name].astype(np.str_))
    for name, dim in (("orientation", "orientation"), ("frequency", "frequency"), ("phase", "phase")):
        variables[f"{name}_curve"] = (("unit", dim), getattr(found, f"{name}_curve"))
    return xr.Dataset(
        variables,
        coords={
            "unit": np.arange(len(found.peak)),
            "orientation": ("orientation", orientations, {"units": "deg"}),
            "frequency": ("frequency", frequencies, {"units": "cycles/picture"}),
            "phase": ("phase", phases, {"units": "deg"}),
        },
    )


# --- neurons -----------------------------------------------------------------------------------------------


def neuron_tuning(spec: NeuronTuningSpec) -> xr.Dataset:
    """Return the tuning of every neuron of an area that was shown gratings.

    Returns
    -------
    xarray.Dataset
        As `tuning`, over ``unit`` all neurons of all subjects, with ``subject`` (unit,).

    Raises
    ------
    InputError
        When the recording has no responses to a full set of gratings.
    """
    report(0.0, f"Opening {spec.recording.partition('?')[0]}")
    recording = recordings.load(spec.recording)
    area = spec.area or recording.areas[0]
    if area not in recording.areas:
        raise unknown("area", area, recording.areas)
    axes, order = _design(recording)
    responses = recording.mean_responses(area)
    if not responses:
        message = f"{recording.title} has no single responses in {area}, only dissimilarities."
        raise InputError(message, "Choose a recording with responses, such as simulated-v1.")
    every = np.concatenate(responses, axis=1).astype(np.float64)
    cube = every[order].reshape(*(len(axis) for axis in axes), -1)
    orientations, frequencies, phases = axes
    found = measures.tuning(cube, orientations, frequencies, phases, np.zeros(cube.shape[-1]))
    caution(
        "no-blank",
        "No response to grey was recorded, so that the spontaneous rate is not subtracted: circular variance "
        "comes out higher and OSI lower than with it.",
    )
    subjects = [
        name for name, r in zip(recording.subjects[area], responses, strict=True) for _ in range(r.shape[1])
    ]
    return (
        _dataset(found, orientations, frequencies, phases)
        .assign(subject=("unit", subjects))
        .assign_attrs(
            title=f"Tuning of {area} of {recording.title}",
            recording=spec.recording,
            recording_title=recording.title,
            area=area,
            signal=recording.signal,
            simulated="yes" if recording.simulated else "no",
        )
    )


def _design(recording: Recording) -> tuple[list[np.ndarray], np.ndarray]:
    """Return orientations, frequencies and phases shown, and the order in which they are their product."""
    columns = {} if recording.stimuli is None else recording.stimuli.columns
    names = ("orientation", "spatial_frequency", "phase")
    lacking = [name for name in names if name not in columns]
    if lacking:
        message = (
            f"The stimuli of {recording.title} are not gratings of known {lacking[0].replace('_', ' ')}."
        )
        raise InputError(message, "Choose a recording of gratings, such as simulated-v1.")
    values = [np.asarray(columns[name], dtype=np.float64) for name in names]
    axes = [np.unique(value) for value in values]
    if np.prod([len(axis) for axis in axes]) != len(values[0]):
        message = f"{recording.title} does not hold every combination of orientation, frequency and phase."
        raise InputError(message, "Choose a recording with a full set of gratings.")
    return axes, np.lexsort(values[::-1])
