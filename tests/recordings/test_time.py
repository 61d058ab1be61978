"""Recordings over time: simulated ones, and files with an axis that counts time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dashboard import recordings
from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import simulated_time
from dashboard.recordings.assemble import assemble
from dashboard.recordings.guesses import guess
from dashboard.recordings.readers import open_all
from dashboard.recordings.recipe import Recipe

SMALL = "simulated-time?stimuli=gratings%3Forientations%3D4%26phases%3D1%26size%3D32&subjects=2&cells=6"
VALUES = np.random.default_rng(0).random((2, 12, 5, 7))  # repeat, stimulus, unit, time
TIMES = np.arange(-2, 5) * 10.0


def test_the_simulated_code_begins_at_its_latency():
    found = recordings.load(f"{SMALL}&noise=0&latency=80")
    course = found.over_time("simulated V1")[0]
    times = np.array(found.times_ms)
    assert course.shape == (6, len(found.stimulus_names), 6, 50)
    spread = np.ptp(course[0], axis=0).max(axis=0)  # over stimuli, (n_times,)
    assert (spread[times < 80] < 1e-12).all()
    assert (spread[times > 80] > 1e-3).all()
    common = course[0].mean(axis=0).max(axis=0)
    assert (
        common[times < simulated_time.COMMON_MS].max() == 0 < common[times > simulated_time.COMMON_MS].min()
    )
    assert found.simulated
    assert "Simulated" in found.title


def test_the_noise_is_as_told_and_the_digest_known():
    ref = f"{SMALL}&noise=3&repeats=40"
    found = recordings.load(ref)
    course = found.over_time("simulated V1")[0]
    noise = course - course.mean(axis=0)
    assert noise.std() == pytest.approx(3 * np.sqrt(39 / 40), rel=0.02)
    related = (noise[..., 1:] * noise[..., :-1]).mean() / (noise**2).mean()
    assert related == pytest.approx(simulated_time.RELATED, abs=0.02)
    np.testing.assert_allclose(found.mean_responses("simulated V1")[0], course.mean(axis=(0, 3)))
    assert recordings.identity(ref) == found.digest
    picked = found.select(found.stimulus_names[::-1])
    np.testing.assert_array_equal(picked.over_time("simulated V1")[0], course[:, ::-1])


def npz(tmp_path: Path, **more) -> Path:
    path = tmp_path / "timed.npz"
    names = np.array([f"item {k}" for k in range(12)])
    np.savez(path, responses=VALUES, stimulus_names=names, **more)
    return path


def test_npz_with_times(tmp_path):
    source = open_all([(npz(tmp_path, times_ms=TIMES), "timed.npz")])
    recipe = Recipe(
        values=("responses",),
        axes=("repeat", "stimulus", "unit", "time"),
        names="stimulus_names",
        course="keep",
        times="times_ms",
        start=1,
        stop=6,
    )
    with collect_cautions() as told:
        parts = assemble(source, recipe)
    assert parts.times_ms == tuple(TIMES[1:6])
    np.testing.assert_array_equal(parts.courses["all units"]["subject 1"], VALUES[..., 1:6])
    np.testing.assert_allclose(parts.responses["all units"]["subject 1"], VALUES[..., 1:6].mean(axis=-1))
    assert "time-averaged" in {c.code for c in told}


def test_netcdf_names_its_time_in_seconds_and_the_guess_keeps_it(tmp_path):
    path = tmp_path / "timed.nc"
    xr.Dataset(
        {"responses": (("presentation_time", "stimulus", "neuron"), VALUES[0].transpose(2, 0, 1))},
        coords={"presentation_time": TIMES / 1000, "stimulus": [f"item {k}" for k in range(12)]},
    ).to_netcdf(path)
    source = open_all([(path, "timed.nc")])
    recipe = guess(source)
    assert recipe.axes == ("time", "stimulus", "unit")
    assert (recipe.course, recipe.time_unit) == ("keep", "s")
    parts = assemble(source, recipe)
    np.testing.assert_allclose(parts.times_ms, TIMES)
    np.testing.assert_array_equal(parts.courses["all units"]["subject 1"][0], VALUES[0])


def test_times_that_do_not_fit_are_refused_and_missing_ones_numbered(tmp_path):
    source = open_all([(npz(tmp_path, t=TIMES[:3], times_ms=TIMES[::-1]), "timed.npz")])
    recipe = {"values": ("responses",), "axes": ("repeat", "stimulus", "unit", "time"), "course": "keep"}
    with pytest.raises(InputError, match="3 times for 7 samples"):
        assemble(source, Recipe(**recipe, times="t"))
    with pytest.raises(InputError, match="do not rise"):
        assemble(source, Recipe(**recipe, times="times_ms"))
    with collect_cautions() as told:
        assert assemble(source, Recipe(**recipe)).times_ms == tuple(map(float, range(7)))
    assert "times-by-number" in {c.code for c in told}
