"""A simulated recording over time: when the code for the stimulus begins is known; nothing is measured.

The cells are those of `simulated`. What a cell tells of the stimuli is its rate less its mean over stimuli;
it enters from a known latency on, fast and passing in one half of the cells, slow and lasting in the other. A
response that is the same for every stimulus begins earlier, so that onset of a response and onset of
information differ. Noise is Gaussian and related from one time bin to the next (a first-order process).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from dashboard import progress
from dashboard.errors import InputError
from dashboard.recordings import simulated
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever a response changes; part of the digest."""

AREA = "simulated V1"
START_MS, STOP_MS, BIN_MS = -100.0, 400.0, 10.0
"""First and last edge of the time bins, from the start of the stimulus, and their width."""

COMMON_MS = 40.0
"""When the response begins that is the same for every stimulus."""

RISE_MS, FALL_MS, SLOW_MS = 8.0, 60.0, 60.0
"""Time constants: rise and fall of passing cells, rise of lasting ones."""

RELATED = 0.5
"""Correlation of the noise of neighbouring time bins."""

STIMULI = "gratings?orientations=12&spatial_frequencies=4:8&phases=1"
OPTIONS = ("stimuli", "subjects", "cells", "repeats", "seed", "noise", "latency")


@dataclass(frozen=True)
class Plan:
    """The options of a simulation."""

    stimuli: str
    subjects: int
    cells: int
    repeats: int
    seed: int
    noise: float
    latency: float


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
    """Simulate ``simulated-time?stimuli=…&subjects=6&cells=60&repeats=6&seed=0&noise=1&latency=60``.

    ``latency`` is when the code for the stimulus begins, in milliseconds; ``noise`` the standard deviation of
    a bin in one repeat, where the stimuli's own is 1 on average over cells. The same options give the same
    bytes.

    Raises
    ------
    InputError
        When an option is unknown or out of range, or the stimuli cannot be loaded.
    """
    plan = read_plan(reference)
    stimuli = load_stimuli(reference)
    times = bins()
    _check_amount(plan, len(stimuli), len(times))
    names = tuple(f"simulated subject {s + 1}" for s in range(plan.subjects))
    populations = [simulated.draw_cells(plan.seed, s, plan.cells) for s in range(plan.subjects)]
    rates = simulated.shown_rates(stimuli, populations)
    courses = []
    for s in range(plan.subjects):
        progress.report(s / plan.subjects, f"noise of simulated subject {s + 1}")
        courses.append(course(plan, s, rates[s], times))
    return Recording(
        reference=str(reference),
        title="Simulated V1 over time",
        description=(
            f"Simulated, not measured: {plan.cells} cells in each of {plan.subjects} simulated subjects see "
            f"{stimuli.title[:1].lower()}{stimuli.title[1:]} {plan.repeats} times. A response without any "
            f"information begins {COMMON_MS:g} ms, the code for the stimulus {plan.latency:g} ms after it "
            f"appears; Gaussian noise of {plan.noise:g} standard deviations of the signal in each bin of "
            f"{BIN_MS:g} ms."
        ),
        citation="Simulated after Adelson and Bergen (1985), J Opt Soc Am A 2:284-299; not measured.",
        terms="Made here; free to use.",
        species="none (simulated)",
        signal=f"simulated responses in bins of {BIN_MS:g} ms (standard deviations of the signal)",
        digest=_digest(plan, stimuli.digest),
        stimulus_names=stimuli.names,
        areas=(AREA,),
        subjects={AREA: names},
        responses={AREA: tuple(_averaged(c) for c in courses)},
        courses={AREA: tuple(courses)},
        times_ms=tuple(times),
        units={AREA: plan.cells},
        notes={AREA: "Simulated cells; nothing here was measured."},
        stimuli=stimuli,
        simulated=True,
    )


def read_plan(reference: Reference) -> Plan:
    """Read and check the options."""
    reference.check_options(OPTIONS)
    return Plan(
        stimuli=reference.options.get("stimuli") or STIMULI,
        subjects=reference.integer("subjects", 6, low=1, high=50),
        cells=reference.integer("cells", 60, low=2, high=1000),
        repeats=reference.integer("repeats", 6, low=1, high=100),
        seed=reference.integer("seed", 0),
        noise=reference.number("noise", 1.0, low=0, high=1000),
        latency=reference.number("latency", 60.0, low=0, high=STOP_MS - BIN_MS),
    )


def bins() -> np.ndarray:
    """Return the middle of each time bin in milliseconds from the start of the stimulus, (n_times,)."""
    return np.arange(START_MS, STOP_MS, BIN_MS) + BIN_MS / 2


def gains(times: np.ndarray, latency: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how strongly passing and lasting cells tell the stimuli at each time, (n_times,) each.

    Both are exactly 0 before the latency; the first has its peak at 1, the second rises to 1.
    """
    since = np.maximum(times - latency, 0.0)
    passing = (1 - np.exp(-since / RISE_MS)) * np.exp(-since / FALL_MS)
    top = RISE_MS * np.log(1 + FALL_MS / RISE_MS)
    return passing / ((1 - np.exp(-top / RISE_MS)) * np.exp(-top / FALL_MS)), 1 - np.exp(-since / SLOW_MS)


def course(plan: Plan, subject: int, rates: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the responses of one subject over time.

    Parameters
    ----------
    plan : Plan
    subject : int
        Its number, from 0.
    rates : np.ndarray
        (n_stimuli, n_cells) expected rates.
    times : np.ndarray
        (n_times,).

    Returns
    -------
    np.ndarray
        (n_repeats, n_stimuli, n_cells, n_times) float64.
    """
    random = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(subject, 2)))
    told = rates - rates.mean(axis=0)
    told = told / (np.sqrt((told**2).mean()) or 1.0)
    lasting = random.random(told.shape[1]) < 0.5
    passing, slow = gains(times, plan.latency)
    gain = np.where(lasting[:, None], slow, passing)  # (n_cells, n_times)
    common = random.gamma(2.0, 0.5, told.shape[1])[:, None] * gains(times, COMMON_MS)[0]
    signal = told[:, :, None] * gain + common
    return signal + plan.noise * _noise(random, (plan.repeats, *signal.shape))


def _noise(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return Gaussian noise of variance 1 whose last axis is a first-order process."""
    found = random.standard_normal(shape)
    for t in range(1, shape[-1]):
        found[..., t] = RELATED * found[..., t - 1] + np.sqrt(1 - RELATED**2) * found[..., t]
    return found


def _averaged(course: np.ndarray) -> np.ndarray:
    """Return the mean over time, as recordings without time have it."""
    mean = course.mean(axis=-1)
    return mean if len(mean) > 1 else mean[0]


def _check_amount(plan: Plan, n_stimuli: int, n_times: int) -> None:
    values = plan.subjects * plan.cells * plan.repeats * n_stimuli * n_times
    if values > simulated.MOST_VALUES:
        message = f"This simulation makes {values:,} responses, more than {simulated.MOST_VALUES:,}."
        raise InputError(message, "Ask for fewer subjects, cells, repeats or stimuli.")


def _digest(plan: Plan, stimuli_digest: str) -> str:
    return digest_of("simulated-time", VERSION, {**asdict(plan), "stimuli": stimuli_digest})
