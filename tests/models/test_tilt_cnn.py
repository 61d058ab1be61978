from __future__ import annotations

import numpy as np
import pytest
import torch

import models
from dashboard import networks
from dashboard.stimuli.gratings import neuromatch_grating
from models import tilt_cnn
from models import train as training


@pytest.fixture(scope="module")
def network():
    torch.set_num_threads(1)
    return networks.load("bundled:tilt_cnn")


def test_architecture_is_that_of_the_course(network):
    rows = {layer.name: layer.shape for layer in network.layers}
    assert network.n_parameters == 3201
    assert rows == {
        "conv": (6, 48, 64),
        "relu": (6, 48, 64),
        "pool": (6, 6, 8),
        "fc": (10,),
        "relu:2": (10,),
        "out": (1,),
        "sigmoid": (1,),
    }


def test_filter_bank_against_its_formula():
    filters = tilt_cnn.filter_bank()
    assert filters.shape == (6, 7, 7)
    np.testing.assert_allclose(np.abs(filters).max((1, 2)), 1)
    np.testing.assert_array_equal(filters[0], -filters[1])
    # middle and one corner of the centre-surround filter, by hand
    corner = np.hypot(3.5, 3.5)
    middle = 1 - 0.5
    value = np.exp(-corner / (2 * 1.1**2)) - 0.5 * np.exp(-corner / (2 * 2.2**2))
    assert filters[0][0, 0] / filters[0][3, 3] == pytest.approx(value / middle)
    # Gabors are odd about the middle; 0 and 90 degrees are each other's transpose
    np.testing.assert_allclose(filters[2:], -filters[2:, ::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(filters[2], filters[4].T, atol=1e-12)
    point = np.exp(-3.5 / (2 * 0.4**2)) * np.cos(2 * np.pi * 3.5 / 10 + np.pi / 2)
    step = 7 / 6
    inner = np.exp(-step / (2 * 0.4**2)) * np.cos(2 * np.pi * step / 10 + np.pi / 2)
    assert filters[2][6, 3] / filters[2][4, 3] == pytest.approx(point / inner)


def test_it_tells_left_from_right(network):
    tilts = np.concatenate([np.linspace(-88, -4, 40), np.linspace(4, 88, 40)])
    pictures = [np.repeat((neuromatch_grating(t) * 255).astype(np.uint8)[..., None], 3, 2) for t in tilts]
    with torch.inference_mode():
        probability = network.module(network.prepare(pictures))[:, 0].numpy()
    assert ((probability > 0.5) == (tilts > 0)).mean() >= 0.975


def test_card_tells_the_figures_of_the_committed_weights(network):
    card = models.card("tilt_cnn")
    assert set(models.CARD_KEYS) <= set(card)
    pictures, labels = tilt_cnn.gratings(2000, 3_000_000)
    with torch.inference_mode():
        accuracy = ((network.module(pictures) > 0.5) == (labels > 0.5)).float().mean()
    assert float(accuracy) == pytest.approx(card["metrics"]["accuracy"], abs=0.001)
    assert card["metrics"]["accuracy"] > 0.98
    assert len(card["history"]) == 25


def test_a_second_training_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(tilt_cnn, "EPOCHS", 2)
    digests = []
    for seed, folder in ((0, "a"), (0, "b"), (1, "c")):
        (tmp_path / folder).mkdir()
        torch.manual_seed(seed + len(folder) + len(digests))
        state = torch.get_rng_state()
        training.train("tilt_cnn", seed, tmp_path / folder)
        assert torch.equal(torch.get_rng_state(), state)
        digests.append((tmp_path / folder / "tilt_cnn.safetensors").read_bytes())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_the_recipe_gives_the_committed_weights_to_the_tolerance_of_the_card(tmp_path, network):
    training.train("tilt_cnn", 0, tmp_path)
    from safetensors.torch import load_file

    state = network.module.state_dict()
    again = load_file(tmp_path / "tilt_cnn.safetensors")
    assert max(float((again[k] - state[k]).abs().max()) for k in state) < 0.01


def test_preprocessing_keeps_grey_exactly_and_fits_other_sizes():
    grating = neuromatch_grating(30)
    picture = np.repeat((grating * 255).astype(np.uint8)[..., None], 3, 2)
    np.testing.assert_array_equal(tilt_cnn.preprocess(picture)[0].numpy(), grating)
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 200
    assert tilt_cnn.preprocess(red)[0, 5, 5] == pytest.approx(0.299 * 200 / 255)
    for shape in ((224, 224, 3), (100, 400, 3), (7, 5, 3)):
        ready = tilt_cnn.preprocess(np.full(shape, 51, np.uint8))
        assert ready.shape == (1, 48, 64)
        assert ready.numpy() == pytest.approx(0.2, abs=1e-6)


def test_models_do_not_need_torch_to_be_listed():
    assert models.NETWORKS["tilt_cnn"] == "models.tilt_cnn"
    assert models.weights("tilt_cnn").is_file()
    assert "tilt_cnn" in training.recipes()
    assert "train" not in training.recipes()
