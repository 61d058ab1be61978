"""Kernels, feature maps and tuning of real networks and of the simulated population."""

from __future__ import annotations

import json
from urllib.parse import quote

import numpy as np
import pytest
import torch

from dashboard import compute, networks, recordings, specs
from dashboard.analyses import filters, tuning
from dashboard.errors import CautionWarning, InputError
from dashboard.methods import gabor
from dashboard.stimuli import load as load_stimuli

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
CNN, VIT = "bundled:objects_cnn", "bundled:objects_vit"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


# --- kernels ------------------------------------------------------------------------------------------


def test_first_kernels_are_the_weights_themselves():
    answer = compute.compute(specs.FiltersSpec(network=CNN))
    assert compute.stored(specs.FiltersSpec(network=CNN)) is not None
    weights = networks.load(CNN).module.get_submodule("stem.0").weight.numpy()
    np.testing.assert_array_equal(answer["kernel"].to_numpy(), weights)
    norms = np.linalg.norm(weights.reshape(16, -1).astype(np.float64), axis=1)
    np.testing.assert_allclose(answer["norm"].to_numpy(), norms)
    assert json.loads(answer.attrs["layers"])[0] == answer.attrs["layer"] == "stem.0"


def test_deeper_kernels_are_slices_and_say_so():
    with pytest.warns(CautionWarning, match="not the whole kernel"):
        answer = compute.compute(specs.FiltersSpec(network=CNN, layer="block2.conv1"))
    weights = networks.load(CNN).module.get_submodule("block2.conv1").weight.numpy()
    norms = np.linalg.norm(weights.reshape(*weights.shape[:2], -1), axis=2)
    for unit in (0, 5):
        shown = answer["source"].to_numpy()[unit]
        assert set(shown) == set(np.argsort(-norms[unit])[:4])
        np.testing.assert_array_equal(answer["kernel"].to_numpy()[unit, 2], weights[unit, shown[2]])
    assert "power" not in answer


def test_a_layer_that_reads_the_whole_picture_is_laid_out_as_one():
    answer = compute.compute(specs.FiltersSpec(network="bundled:digits_mlp"))
    assert answer.sizes["y"] == answer.sizes["x"] == 8
    assert "laid out as the picture" in answer.attrs["note"]


def test_gabors_of_the_first_layer_and_refusals():
    small = specs.GaborsSpec(network="bundled:tilt_cnn")
    answer = compute.compute(small)
    assert compute.stored(small) is not None
    weights = networks.load("bundled:tilt_cnn").module.get_submodule("conv").weight.numpy()
    found = gabor.fit(gabor.grey(weights[:2])[0])
    np.testing.assert_allclose(answer["orientation"].to_numpy()[:2], found.orientation)
    with pytest.raises(InputError, match="at least 5 × 5"):
        compute.compute(specs.GaborsSpec(network=CNN, layer="block2.conv1"))
    with pytest.raises(InputError, match="no layer that looks at a picture"):
        compute.compute(specs.FiltersSpec(network="bundled:tiny_text"))
    with pytest.raises(InputError, match=r"stem\.0"):
        compute.compute(specs.FiltersSpec(network=CNN, layer="stem.9"))


# --- feature maps ------------------------------------------------------------------------------------------


def test_feature_maps_are_the_output_of_the_layer():
    shown = load_stimuli("objects?n=3&seed=4")
    spec = specs.FeatureMapsSpec(
        network=CNN, stimuli="objects?n=3&seed=4", item=shown.names[1], layer="stem.0"
    )
    answer = compute.compute(spec)
    assert compute.stored(spec) is not None
    network = networks.load(CNN)
    with torch.no_grad():
        expected = network.module.get_submodule("stem.0")(network.prepare([shown.picture(1)]))[0].numpy()
    np.testing.assert_allclose(answer["map"].to_numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(answer["mean"].to_numpy(), expected.mean(axis=(1, 2)), atol=1e-6)


def test_patch_tokens_lie_as_their_patches_do():
    network = networks.load(VIT)
    tokens = next(x for x in network.layers if len(x.shape) == 2 and x.channel_axis == 1 and x.shape[0] > 4)
    answer = compute.compute(specs.FeatureMapsSpec(network=VIT, stimuli="objects?n=1", layer=tokens.name))
    assert answer.sizes["y"] * answer.sizes["x"] in (tokens.shape[0], tokens.shape[0] - 1)
    assert "patch tokens lie" in answer.attrs["note"]


def test_layers_without_positions_and_unknown_pictures_are_refused():
    head = networks.load(CNN).layers[-1].name
    with pytest.raises(InputError, match="no positions"):
        compute.compute(specs.FeatureMapsSpec(network=CNN, stimuli="objects?n=1", layer=head))
    with pytest.raises(InputError, match="stimulus"):
        compute.compute(specs.FeatureMapsSpec(network=CNN, stimuli="objects?n=1", item="nothing"))


# --- tuning ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "pixels", "seen"),
    [(CNN, 64, 1.0), ("bundled:tilt_cnn", 48, 0.75), ("torchvision:alexnet?untrained&seed=0", 224, 0.875)],
)
def test_ramps_tell_how_a_picture_is_cropped(network, pixels, seen):
    found = tuning.window(networks.load(network))
    assert found.size == pixels
    assert found.seen == pytest.approx(seen, rel=0.005)
    assert abs(found.stretch) < 1e-3


def test_tuning_shows_what_it_says_and_reads_the_unit_in_the_middle():
    spec = specs.TuningSpec(network=CNN, layer="stem.0", orientations=6, phases=3, frequencies="4:8:16")
    answer = compute.compute(spec)
    shown = load_stimuli(answer.attrs["stimuli"])
    assert len(shown) == 54 == answer.attrs["n_gratings"]
    network = networks.load(CNN)
    with torch.no_grad():
        maps = network.module.get_submodule("stem.0")(network.prepare([shown.picture(k) for k in range(54)]))
        grey = network.module.get_submodule("stem.0")(network.prepare([np.full((64, 64, 3), 128, np.uint8)]))
    middle, blank = maps[:, :, 16, 16].double().numpy(), grey[0, :, 16, 16].double().numpy()
    drive = np.maximum(middle - blank, 0).reshape(6, 3, 3, -1).mean(axis=2)
    np.testing.assert_allclose(answer["peak"].to_numpy(), drive.max(axis=(0, 1)), atol=2e-2)
    assert (answer["orientation_curve"].max("orientation") == answer["peak"]).all()


def test_contrast_and_size_are_fitted_when_asked_for():
    spec = specs.TuningSpec(
        network=CNN,
        layer="stem.2",
        orientations=4,
        phases=3,
        frequencies="4:8",
        contrasts="0.1:0.2:0.4:0.7:1",
        sizes="0.1:0.2:0.4:0.7:1",
    )
    answer = compute.compute(spec)
    assert compute.stored(spec) is not None
    curve = answer["contrast_curve"].to_numpy()
    assert curve.shape == (16, 5)
    driven = curve[:, -1] > 0.1
    assert (np.diff(curve[driven], axis=1) > -1e-3).all()  # a rectified filter grows with contrast
    assert answer["size_curve"].shape == (16, 5)
    assert np.nanmax(answer["suppression"].to_numpy()) <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frequencies": "4:40"}, "Nyquist limit of 32"),
        ({"frequencies": "8:4"}, "rising numbers"),
        ({"contrasts": "0.5:1"}, "five contrasts"),
        ({"aperture": 2.0}, "aperture"),
        ({"network": "bundled:tiny_text"}, "sees no pictures"),
    ],
)
def test_what_cannot_be_shown_is_refused(change, words):
    given = {"network": CNN, "layer": "", "orientations": 6, "phases": 3}
    with pytest.raises(InputError) as error:
        compute.compute(specs.TuningSpec(**(given | change)))
    assert words in str(error.value)


def test_the_simulated_population_is_recovered():
    gratings = "gratings?orientations=24&spatial_frequencies=2:2.7:3.6:4.8:6.5:8.7:11.8:15:&phases=8"
    reference = f"simulated-v1?stimuli={quote(gratings, safe='')}&subjects=1&cells=150&repeats=8"
    recording = recordings.load(reference)
    answer = compute.compute(specs.NeuronTuningSpec(recording=reference))
    truth = recording.truth["simulated V1"]
    # signal: what the best grating adds; noise: the standard error of that rate
    rate = answer["orientation_curve"].to_numpy()
    signal = rate.max(axis=1) - rate.min(axis=1)
    good = signal >= 2 * np.sqrt(rate.max(axis=1))
    error = np.abs((answer["mean_orientation"].to_numpy() - truth["orientation"] + 90) % 180 - 90)[good]
    assert good.sum() > 100
    assert (error <= 2).mean() >= 0.95
    simple = truth["kind"] == "simple"
    ratio = answer["f1_f0"].to_numpy()
    assert np.nanmedian(ratio[simple & good]) > 1 > np.nanmedian(ratio[~simple & good])


def test_recordings_without_gratings_are_refused():
    with pytest.raises(InputError, match="not gratings"):
        compute.compute(specs.NeuronTuningSpec(recording="simulated-v1?stimuli=objects&subjects=1&cells=4"))


def test_kernels_are_found_in_order():
    network = networks.load(CNN)
    assert filters.kernels(network).names[0] == "stem.0"
