"""A simulated primary visual cortex: simple and complex cells that see any pictures; nothing is measured.

Simple cells are half-wave rectified Gabor filters, complex cells the energy of a pair in quadrature (Adelson
and Bergen 1985, J Opt Soc Am A 2:284). Spikes are Poisson counts. Every parameter of every cell is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from dashboard import progress
from dashboard.errors import InputError
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever a response changes; part of the digest."""

AREA = "simulated V1"
SIDE = 64
"""The central square of every picture is seen at this many pixels."""

WINDOW_S = 0.5
"""Seconds over which spikes are counted."""

FREQUENCIES = (2.0, 16.0)
"""Range of preferred spatial frequencies in cycles per side of the square; log-uniform."""

ECCENTRICITY = 0.2
"""Receptive fields lie within this part of the side from the middle, in x and in y."""

SIGMA_CYCLES = 0.416
"""Standard deviation of the Gaussian in cycles: a bandwidth of 1.4 octaves at half height."""

PEAK_MEDIAN, PEAK_SPREAD = 30.0, 0.4
"""Median (spikes/s) and standard deviation (natural log) of what the best full-contrast grating adds."""

BASELINE = (0.2, 1.4)
"""Range of the spontaneous rate in spikes/s; uniform."""

OPTIONS = ("stimuli", "subjects", "cells", "repeats", "seed", "noise")
MOST_VALUES = 100_000_000
_CHUNK = 256


@dataclass(frozen=True)
class Plan:
    """The options of a simulation."""

    stimuli: str
    subjects: int
    cells: int
    repeats: int
    seed: int
    noise: str


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one subject, each array (n_cells,).

    Attributes
    ----------
    orientation : np.ndarray
        Preferred orientation in degrees, [0, 180), 0 vertical bars, clockwise, as in the gratings.
    spatial_frequency : np.ndarray
        Cycles per side of the square that is seen.
    phase : np.ndarray
        Degrees; 0 has the bright stripe in the middle of the receptive field.
    x, y : np.ndarray
        Middle of the receptive field, to the right of and below the middle, in parts of the side.
    sigma : np.ndarray
        Standard deviation of its Gaussian in parts of the side.
    complex : np.ndarray
        True for complex cells.
    baseline, peak : np.ndarray
        Spontaneous rate and what the best grating adds to it, in spikes/s.
    """

    orientation: np.ndarray
    spatial_frequency: np.ndarray
    phase: np.ndarray
    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    complex: np.ndarray
    baseline: np.ndarray
    peak: np.ndarray

    def __len__(self) -> int:
        return len(self.orientation)


def identify(reference: Reference) -> str:
    """Return the digest of the recording without simulating it."""
    from dashboard import stimuli

    plan = read_plan(reference)
    return _digest(plan, stimuli.identity(plan.stimuli))


def identify_stimuli(reference: Reference) -> str:
    """Return the digest of the pictures that the population sees."""
    from dashboard import stimuli

    return stimuli.identity(read_plan(reference).stimuli)


def load_stimuli(reference: Reference) -> Stimuli:
    """Load the pictures that the population sees."""
    from dashboard import stimuli

    return stimuli.load(read_plan(reference).stimuli)


def load(reference: Reference) -> Recording:
    """Simulate ``simulated-v1?stimuli=gratings&subjects=4&cells=200&repeats=4&seed=0&noise=poisson``.

    ``noise=none`` gives the rates themselves, without repeats. The same options give the same bytes.

    Raises
    ------
    InputError
        When an option is unknown or out of range, or the stimuli cannot be loaded.
    """
    plan = read_plan(reference)
    stimuli = load_stimuli(reference)
    _check_amount(plan, len(stimuli))
    names = tuple(f"simulated subject {s + 1}" for s in range(plan.subjects))
    populations = [draw_cells(plan.seed, s, plan.cells) for s in range(plan.subjects)]
    rates = shown_rates(stimuli, populations)
    responses = tuple(_responses(plan, s, rates[s]) for s in range(plan.subjects))
    noise = f"Poisson noise, {plan.repeats} repeats" if plan.noise == "poisson" else "without noise"
    return Recording(
        reference=str(reference),
        title="Simulated V1",
        description=(
            f"Simulated, not measured: {plan.cells} simple and complex cells in each of {plan.subjects} "
            f"simulated subjects ({noise}) see {stimuli.title[:1].lower()}{stimuli.title[1:]}."
        ),
        citation="Simulated after Adelson and Bergen (1985), J Opt Soc Am A 2:284-299; not measured.",
        terms="Made here; free to use.",
        species="none (simulated)",
        signal=f"simulated spike rates (spikes/s), counted over {WINDOW_S:g} s",
        digest=_digest(plan, stimuli.digest),
        stimulus_names=stimuli.names,
        areas=(AREA,),
        subjects={AREA: names},
        responses={AREA: responses},
        units={AREA: plan.cells},
        notes={AREA: "Simulated simple and complex cells; nothing here was measured."},
        truth={AREA: _truth(names, populations)},
        stimuli=stimuli,
        simulated=True,
    )


def read_plan(reference: Reference) -> Plan:
    """Read and check the options."""
    reference.check_options(OPTIONS)
    noise = reference.options.get("noise", "poisson")
    if noise not in ("poisson", "none"):
        message = f'noise of {reference.name} must be poisson or none, not "{noise}".'
        raise InputError(message)
    if noise == "none" and "repeats" in reference.options:
        message = "Without noise every repeat is the same."
        raise InputError(message, "Leave out repeats, or ask for noise=poisson.")
    return Plan(
        stimuli=reference.options.get("stimuli") or "gratings",
        subjects=reference.integer("subjects", 4, low=1, high=50),
        cells=reference.integer("cells", 200, low=2, high=5000),
        repeats=reference.integer("repeats", 4, low=1, high=100) if noise == "poisson" else 1,
        seed=reference.integer("seed", 0),
        noise=noise,
    )


def draw_cells(seed: int, subject: int, n: int) -> Cells:
    """Draw the parameters of ``n`` cells of a subject, numbered from 0; about half are complex."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(subject, 0)))
    low, high = (math.log(f) for f in FREQUENCIES)
    frequency = np.exp(rng.uniform(low, high, n))
    return Cells(
        spatial_frequency=frequency,
        orientation=rng.uniform(0, 180, n),
        phase=rng.uniform(0, 360, n),
        x=rng.uniform(-ECCENTRICITY, ECCENTRICITY, n),
        y=rng.uniform(-ECCENTRICITY, ECCENTRICITY, n),
        sigma=SIGMA_CYCLES / frequency,
        complex=rng.random(n) < 0.5,
        baseline=rng.uniform(*BASELINE, n),
        peak=PEAK_MEDIAN * np.exp(PEAK_SPREAD * rng.standard_normal(n)),
    )


def kernels(cells: Cells, side: int = SIDE) -> np.ndarray:
    """Return the Gabor pairs of the cells.

    Each has mean 0, so that grey gives no response, and is scaled so that the grating of its frequency and
    orientation at full contrast gives an amplitude of 1 over phases.

    Returns
    -------
    np.ndarray
        (2, n_cells, side * side) float64: at the cell's phase, and a quarter of a cycle later.
    """
    at = (np.arange(side) - (side - 1) / 2) / side
    found = np.empty((2, len(cells), side * side))
    for k in range(len(cells)):
        x, y = at - cells.x[k], at - cells.y[k]
        angle = np.deg2rad(cells.orientation[k])
        # Gaussian and wave are products of a part in x and one in y: 2 * side exponentials, not side ** 2.
        turn = 2j * np.pi * cells.spatial_frequency[k]
        wave = np.outer(np.exp(turn * np.sin(angle) * y), np.exp(turn * np.cos(angle) * x))
        window = np.outer(*(np.exp(-(z**2) / (2 * cells.sigma[k] ** 2)) for z in (y, x)))
        pair = window * wave * np.exp(-1j * np.deg2rad(cells.phase[k]))
        for part, gabor in enumerate((pair.real, pair.imag)):
            gabor = gabor - window * (gabor.sum() / window.sum())
            found[part, k] = (gabor / (0.5 * abs((gabor * wave).sum()))).ravel()
    return found


def rates(luminance: np.ndarray, cells: Cells, pair: np.ndarray) -> np.ndarray:
    """Return the expected rates in spikes/s.

    Parameters
    ----------
    luminance : np.ndarray
        (n_stimuli, side * side) from 0 to 1.
    cells : Cells
        Their baseline, peak and kind.
    pair : np.ndarray
        (2, n_cells, side * side) of `kernels`.

    Returns
    -------
    np.ndarray
        (n_stimuli, n_cells) float64.
    """
    first, second = ((luminance - 0.5) @ kernel.T for kernel in pair)
    drive = np.where(cells.complex, first**2 + second**2, np.maximum(first, 0))
    # Rounded, so that the last bit of a matrix product does not decide about a spike.
    return np.round(cells.baseline + cells.peak * drive, 6)


def shown_rates(stimuli: Stimuli, populations: list[Cells]) -> list[np.ndarray]:
    """Show every picture to every subject: (n_stimuli, n_cells) per subject."""
    pairs = [kernels(cells) for cells in populations]
    found: list[list[np.ndarray]] = [[] for _ in populations]
    for seen in _chunks(stimuli):
        for s, cells in enumerate(populations):
            found[s].append(rates(seen, cells, pairs[s]))
    return [np.concatenate(parts) for parts in found]


def _chunks(stimuli: Stimuli) -> Iterator[np.ndarray]:
    """Yield the luminance of the central square of the pictures: (up to 256, SIDE * SIDE) float64."""
    for start in range(0, len(stimuli), _CHUNK):
        rows = []
        for i in range(start, min(start + _CHUNK, len(stimuli))):
            rows.append(_square(stimuli.array(i)).ravel())
            progress.report(i / len(stimuli), f"simulated cells see picture {i + 1} of {len(stimuli)}")
        yield np.array(rows, dtype=np.float64)


def _square(picture: np.ndarray) -> np.ndarray:
    """Cut out the central square and average it down to (SIDE, SIDE)."""
    from PIL import Image

    height, width = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = Image.fromarray(
        np.ascontiguousarray(picture[top : top + side, left : left + side], dtype=np.float32)
    )
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))


def _responses(plan: Plan, subject: int, expected: np.ndarray) -> np.ndarray:
    """Count spikes: (n_repeats, n_stimuli, n_cells) in spikes/s, or (n_stimuli, n_cells) of one repeat."""
    if plan.noise == "none":
        return expected
    rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(subject, 1)))
    counts = rng.poisson(expected * WINDOW_S, (plan.repeats, *expected.shape)) / WINDOW_S
    return counts if plan.repeats > 1 else counts[0]


def _truth(names: tuple[str, ...], populations: list[Cells]) -> dict[str, np.ndarray]:
    """Return the parameters of all cells in one table, with the subject and the unit's number."""
    tables = [
        {
            "subject": np.full(len(cells), name),
            "unit": np.arange(len(cells)),
            "kind": np.where(cells.complex, "complex", "simple"),
            **{k: v for k, v in vars(cells).items() if k != "complex"},
        }
        for name, cells in zip(names, populations, strict=True)
    ]
    return {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}


def _check_amount(plan: Plan, n_stimuli: int) -> None:
    values = plan.subjects * plan.cells * plan.repeats * n_stimuli
    if values > MOST_VALUES:
        message = f"This simulation makes {values:,} responses, more than {MOST_VALUES:,}."
        raise InputError(message, "Ask for fewer subjects, cells, repeats or stimuli.")


def _digest(plan: Plan, stimuli_digest: str) -> str:
    return digest_of("simulated-v1", VERSION, {**asdict(plan), "stimuli": stimuli_digest})
