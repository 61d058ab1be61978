"""The bundled networks: every figure is computed from the committed weights, on pictures new to them."""

from __future__ import annotations

import hashlib
import importlib
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import models
from dashboard.stimuli.objects import Objects

SEED = 7
"""Of the Objects here; the recipes use seeds above a million."""

NAMES = sorted(set(models.NETWORKS) - {"tilt_cnn"})


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def opened(name: str) -> torch.nn.Module:
    """The network with its committed weights, ready to answer."""
    network = importlib.import_module(f"models.{name}").build()
    network.load_state_dict(load_file(models.weights(name)))
    return network.eval()


def answers(name: str, pictures) -> torch.Tensor:
    """What the network says about bytes (n, height, width, 3), through its own preprocessing."""
    preprocess = importlib.import_module(f"models.{name}").preprocess
    network = opened(name)
    with torch.no_grad():
        inputs = torch.stack([preprocess(picture) for picture in pictures])
        return torch.cat([network(part) for part in inputs.split(100)])


@pytest.fixture(scope="session")
def objects() -> Objects:
    return Objects(360, seed=SEED)


@pytest.fixture(scope="session")
def pictures(objects) -> np.ndarray:
    return objects.pictures()


# Cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_complete_and_true(name):
    card, network = models.card(name), opened(name)
    assert {*models.CARD_KEYS, "family", "minutes"} <= set(card)
    assert card["name"] == name
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["minutes"] > 0
    assert hashlib.sha256(models.weights(name).read_bytes()).hexdigest() == card["sha256"]
    assert models.weights(name).stat().st_size < 2e6


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_whole(name):
    card, network = models.card(name), opened(name)
    history = card["history"]
    assert [entry["epoch"] for entry in history] == list(range(1, card["hyperparameters"]["epochs"] + 1))
    layers = dict(network.named_modules())
    for entry in history:
        numbers = [entry[f"{part}_{what}"] for part in ("train", "validation") for what in ("loss", "metric")]
        assert all(
            math.isfinite(x) for x in [*numbers, entry["learning_rate"], *entry["gradient_norm"].values()]
        )
        assert entry["gradient_norm"]
        assert set(entry["gradient_norm"]) <= set(layers)


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_gives_the_input_of_the_card(name):
    card, recipe = models.card(name), importlib.import_module(f"models.{name}")
    if card["input_shape"] == "text":
        pytest.skip("reads text")
    for shape in ((64, 64, 3), (90, 51, 3)):
        picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        before = picture.copy()
        x = recipe.preprocess(picture)
        assert list(x.shape) == card["input_shape"]
        assert x.dtype == torch.float32
        np.testing.assert_array_equal(picture, before)


# Digits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "least"), [("digits_mlp", 0.96), ("digits_lstm", 0.95), ("digits_gru", 0.95)]
)
def test_digits_are_read(name, least):
    from models._digits import split

    _, _, held_out = split(models.card(name)["seed"])
    found = answers(name, held_out.pictures).argmax(1)
    accuracy = float((found == held_out.labels).float().mean())
    assert accuracy >= least
    assert accuracy == pytest.approx(models.card(name)["metrics"]["accuracy"], abs=0.005)


def test_digits_are_split_without_overlap():
    from models._digits import split

    parts = [{p.tobytes() for p in part.pictures} for part in split(0)]
    assert [len(part.labels) for part in split(0)] == [1097, 200, 500]
    assert not parts[2] & (parts[0] | parts[1])


@pytest.mark.slow
def test_the_recipe_gives_the_committed_weights(tmp_path):
    from models.train import train

    card = train("digits_mlp", seed=models.card("digits_mlp")["seed"], folder=tmp_path)
    again, committed = load_file(tmp_path / "digits_mlp.safetensors"), load_file(models.weights("digits_mlp"))
    # Another processor adds in another order; within one, the bytes are the same.
    same = card["sha256"] == models.card("digits_mlp")["sha256"]
    both = torch.stack(
        [torch.cat([file[key].flatten() for key in sorted(file)]) for file in (again, committed)]
    )
    assert same or torch.corrcoef(both)[0, 1] > 0.99
    assert card["metrics"]["accuracy"] >= 0.96
