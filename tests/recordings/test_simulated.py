"""The simulated population: its tuning, modulation and noise against what is known in closed form."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import numpy as np
import pytest

from dashboard import recordings, stimuli
from dashboard.errors import InputError
from dashboard.recordings import simulated

GRATINGS = "gratings?orientations=36&spatial_frequencies=2:2.8:4:5.7:8:11.3:16&phases=8&size=64&aperture=0"


def reference(shown: str, **options) -> str:
    more = "".join(f"&{key}={value}" for key, value in options.items())
    return f"simulated-v1?stimuli={quote(shown, safe='')}{more}"


@pytest.fixture(scope="module")
def tuned():
    """Rates without noise of 60 cells: (orientation, spatial frequency, phase, cell), and the truth."""
    found = recordings.load(reference(GRATINGS, subjects=1, cells=60, noise="none"))
    rates = found.responses["simulated V1"][0].reshape(36, 7, 8, 60)
    return rates, found.truth["simulated V1"]


def test_preferred_orientation_is_recovered(tuned):
    rates, truth = tuned
    over_phase = rates.mean(axis=2)
    best = over_phase.max(axis=0).argmax(axis=0)
    curves = np.stack([over_phase[:, best[k], k] for k in range(60)]) - truth["baseline"][:, None]
    angles = np.deg2rad(np.arange(36) * 5.0)
    found = np.rad2deg(np.angle((curves * np.exp(2j * angles)).sum(axis=1))) / 2
    error = np.abs((found - truth["orientation"] + 90) % 180 - 90)
    assert np.median(error) < 0.5
    assert error.max() < 3


def test_preferred_spatial_frequency_is_recovered(tuned):
    rates, truth = tuned
    frequencies = np.array([2, 2.8, 4, 5.7, 8, 11.3, 16])
    found = frequencies[rates.mean(axis=2).max(axis=0).argmax(axis=0)]
    assert np.abs(np.log2(found / truth["spatial_frequency"])).max() < 0.6  # steps of half an octave


def test_simple_cells_follow_the_phase_and_complex_cells_do_not(tuned):
    rates, truth = tuned
    place = rates.mean(axis=2).reshape(-1, 60).argmax(axis=0)
    curves = rates.reshape(-1, 8, 60)[place, :, np.arange(60)]
    spectrum = np.fft.rfft(curves, axis=1) / 8
    modulation = 2 * np.abs(spectrum[:, 1]) / np.abs(spectrum[:, 0])
    simple = truth["kind"] == "simple"
    assert 15 < simple.sum() < 45
    assert modulation[simple].min() > 1
    assert modulation[~simple].max() < 0.1


def test_simple_phase_is_the_phase_of_the_best_grating(tuned):
    rates, truth = tuned
    place = rates.mean(axis=2).reshape(-1, 60).argmax(axis=0)
    curves = rates.reshape(-1, 8, 60)[place, :, np.arange(60)]
    orientation = np.deg2rad((place // 7) * 5.0)
    frequency = np.array([2, 2.8, 4, 5.7, 8, 11.3, 16])[place % 7]
    # The grating's phase is counted in the middle of the picture, the cell's in the middle of its field.
    shift = 360 * frequency * (truth["x"] * np.cos(orientation) + truth["y"] * np.sin(orientation))
    found = np.rad2deg(-np.angle(np.fft.rfft(curves, axis=1)[:, 1]))
    error = np.abs((found - truth["phase"] - shift + 180) % 360 - 180)
    assert np.median(error[truth["kind"] == "simple"]) < 10


def test_peak_rate_of_the_best_grating():
    cells = simulated.draw_cells(7, 0, 12)
    at = (np.arange(64) - 31.5) / 64
    pair = simulated.kernels(cells)
    for k in range(12):
        angle = np.deg2rad(cells.orientation[k])
        along = (at[None] - cells.x[k]) * np.cos(angle) + (at[:, None] - cells.y[k]) * np.sin(angle)
        wave = np.cos(2 * np.pi * cells.spatial_frequency[k] * along - np.deg2rad(cells.phase[k]))
        rate = simulated.rates((0.5 + 0.5 * wave).reshape(1, -1), cells, pair)[0, k]
        assert rate == pytest.approx(cells.baseline[k] + cells.peak[k], rel=0.01)


def test_grey_gives_the_baseline():
    cells = simulated.draw_cells(1, 0, 30)
    for grey in (0.1, 0.5, 0.9):
        rate = simulated.rates(np.full((1, 64 * 64), grey), cells, simulated.kernels(cells))
        assert np.abs(rate - cells.baseline).max() < 2e-6


def test_poisson_counts_have_the_variance_of_their_mean():
    shown = "gratings?orientations=6&spatial_frequencies=4:8&phases=1&size=64"
    ref = reference(shown, subjects=1, cells=40, repeats=100)
    counts = recordings.load(ref).repeats("simulated V1")[0] * simulated.WINDOW_S
    assert np.abs(counts - np.rint(counts)).max() < 1e-12
    mean, variance = counts.mean(axis=0), counts.var(axis=0, ddof=1)
    # Slope through 0 over 480 conditions of 100 repeats: standard error about 0.01.
    assert (variance * mean).sum() / (mean * mean).sum() == pytest.approx(1, abs=0.06)
    expected = recordings.load(reference(shown, subjects=1, cells=40, noise="none")).responses[
        "simulated V1"
    ][0]
    z = (mean - expected * simulated.WINDOW_S) / np.sqrt(expected * simulated.WINDOW_S / 100)
    assert abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1, abs=0.12)


def test_rates_are_realistic():
    found = recordings.load(reference("gratings?size=64", subjects=2, cells=100, noise="none"))
    rates = np.concatenate([r.ravel() for r in found.mean_responses("simulated V1")])
    assert rates.min() > 0
    assert 0.2 < np.median(rates) < 5
    assert rates.max() < 150


def test_same_seed_same_bytes():
    ref = reference("gratings?size=64&phases=1", subjects=2, cells=20, seed=5)

    def digest(ref):
        found = recordings.load(ref).responses["simulated V1"]
        return hashlib.sha256(b"".join(r.tobytes() for r in found)).hexdigest()

    assert digest(ref) == digest(ref)
    assert digest(ref) != digest(ref.replace("seed=5", "seed=6"))


def test_subjects_have_their_own_cells_and_do_not_depend_on_each_other():
    shown = "gratings?size=64&phases=1"
    few = recordings.load(reference(shown, subjects=2, cells=20))
    more = recordings.load(reference(shown, subjects=3, cells=20))
    for s in range(2):
        assert np.array_equal(few.responses["simulated V1"][s], more.responses["simulated V1"][s])
    assert not np.array_equal(
        few.truth["simulated V1"]["orientation"][:20], few.truth["simulated V1"]["orientation"][20:]
    )
    assert few.responses["simulated V1"][0].shape == (4, 36, 20)


def test_truth_lists_every_cell():
    found = recordings.load(reference("gratings?size=64&phases=1", subjects=3, cells=20))
    truth = found.truth["simulated V1"]
    assert {len(column) for column in truth.values()} == {60}
    assert truth["subject"][20] == "simulated subject 2"
    assert set(truth) >= {
        "orientation",
        "spatial_frequency",
        "phase",
        "kind",
        "x",
        "y",
        "sigma",
        "baseline",
        "peak",
    }


def test_it_says_everywhere_that_it_is_simulated():
    found = recordings.load(reference("gratings?size=64&phases=1", subjects=1, cells=5))
    assert found.simulated
    for text in (found.title, found.description, found.citation, found.species, found.signal, *found.areas):
        assert "simulated" in text.lower()
    assert all("simulated" in name for name in found.subjects["simulated V1"])


def test_identity_is_the_digest_and_follows_every_option():
    base = reference("gratings?size=64&phases=1", subjects=2, cells=5)
    assert recordings.identity(base) == recordings.load(base).digest
    refs = [
        base,
        base.replace("size%3D64", "size%3D65"),
        base.replace("subjects=2", "subjects=3"),
        base.replace("cells=5", "cells=6"),
        base + "&repeats=3",
        base + "&seed=1",
        base + "&noise=none",
    ]
    assert len({recordings.identity(ref) for ref in refs}) == len(refs)
    spelled = reference("gratings?phases=1&size=64&orientations=12", subjects=2, cells=5, seed=0)
    assert recordings.identity(spelled) == recordings.identity(base)


def test_pictures_of_the_recording_are_its_stimuli():
    ref = reference("gratings?size=64&phases=1", cells=5)
    assert stimuli.identity(f"recording:{ref}") == stimuli.identity("gratings?size=64&phases=1")
    assert stimuli.load(f"recording:{ref}").names == recordings.load(ref).stimulus_names


def test_any_pictures(data_folder):
    found = recordings.load("simulated-v1?stimuli=recording:kriegeskorte92&cells=30&subjects=2")
    assert found.responses["simulated V1"][0].shape == (4, 92, 30)
    assert found.stimulus_names[6] == "07 human bodypart"


def test_a_page_may_not_reach_other_folders_through_a_recording(tmp_path):
    inside = reference("gratings")
    outside = reference(f"folder:{tmp_path}")
    assert recordings.inside_roots(inside)
    assert stimuli.inside_roots(f"recording:{inside}")
    assert not recordings.inside_roots(outside)
    assert not stimuli.inside_roots(f"recording:{outside}")


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("simulated-v1?noise=some", 'noise of simulated-v1 must be poisson or none, not "some".'),
        ("simulated-v1?noise=none&repeats=3", "Without noise every repeat is the same."),
        ("simulated-v1?cells=1", 'cells of simulated-v1 must be a number from 2 to 5000, not "1".'),
        ("simulated-v1?cell=5", 'There is no option of simulated-v1 "cell". Did you mean cells?'),
        ("simulated-v1?stimuli=gratins", 'There is no source of stimuli "gratins". Did you mean gratings'),
        (
            "simulated-v1?cells=5000&subjects=50&repeats=100",
            "This simulation makes 3,600,000,000 responses, more",
        ),
    ],
)
def test_refusals(ref, sentence):
    with pytest.raises(InputError) as caught:
        recordings.load(ref)
    assert str(caught.value).startswith(sentence)
