"""Digits, sentences and latent numbers as stimuli, and the bundled networks on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import models
from dashboard import networks, stimuli
from dashboard.errors import InputError
from dashboard.stimuli import digits


def answers(reference: str, shown: stimuli.Stimuli) -> np.ndarray:
    network = networks.load(reference)
    with torch.inference_mode():
        return network.module(network.prepare([shown.item(i) for i in range(len(shown))])).numpy()


def share_right(reference: str, shown: stimuli.Stimuli) -> float:
    said = answers(reference, shown).argmax(1)
    labels = networks.load(reference).labels
    return float(np.mean([labels[k] == truth for k, truth in zip(said, shown.categories, strict=True)]))


@pytest.mark.parametrize("name", ["digits_mlp", "digits_lstm", "digits_gru"])
def test_held_out_digits_give_the_accuracy_of_the_card(name):
    shown = stimuli.load("digits?split=held-out&n=500")
    assert share_right(f"bundled:{name}", shown) == pytest.approx(
        models.card(name)["metrics"]["accuracy"], abs=0.0021
    )


def test_the_parts_of_a_split_share_no_digit():
    parts = digits.split(3)
    assert {name: len(part) for name, part in parts.items()} == digits.PARTS
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1797))
    assert (digits.split(0)["held-out"] != parts["held-out"]).any()


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    truth, shown = load_digits(), stimuli.load("digits?n=40&split=training&seed=2")
    for i in (0, 17, 39):
        scan = shown.columns["scan"][i]
        assert shown.categories[i] == str(truth.target[scan])
        np.testing.assert_array_equal(np.rint(shown.picture(i)[:, :, 1] * (16 / 255)), truth.images[scan])


def test_a_tiny_picture_keeps_its_squares():
    shown = stimuli.load("digits?n=3")
    np.testing.assert_array_equal(shown.thumbnail(1, 64)[::8, ::8], shown.picture(1))
    assert (shown.thumbnail(1, 64)[:8, :8] == shown.picture(1)[0, 0]).all()


def test_fresh_sentences_give_the_accuracy_of_the_card():
    shown = stimuli.load("sentences?n=600&seed=3")
    metrics = models.card("tiny_text")["metrics"]
    assert share_right("bundled:tiny_text", shown) == pytest.approx(metrics["accuracy"], abs=0.015)
    hard = np.flatnonzero(shown.columns["misleading_last_noun"])
    few = shown.subset([shown.names[i] for i in hard])
    assert 0.1 < len(few) / len(shown) < 0.5
    expected = metrics["accuracy_misleading_last_noun"]
    assert share_right("bundled:tiny_text", few) == pytest.approx(expected, abs=0.03)


def test_sentences_are_texts_with_categories():
    shown = stimuli.load("sentences?n=30&seed=1")
    assert shown.kind == "text"
    assert set(shown.categories) == {"singular verb", "plural verb"}
    assert shown.texts[:10] == stimuli.load("sentences?n=10&seed=1").texts
    assert shown.thumbnail(0).shape == (64, 64, 3)


def test_latents_are_standard_normal_vectors():
    shown = stimuli.load("latents?n=400&size=48&seed=1")
    numbers = np.stack([shown.item(i) for i in range(len(shown))])
    assert shown.kind == "vector"
    assert (numbers.shape, numbers.dtype) == ((400, 48), np.float32)
    # standard errors: 1 / sqrt(19200) of the mean, 1 / sqrt(2 * 19200) of the standard deviation
    assert abs(numbers.mean()) < 4 * 0.0072
    assert abs(numbers.std() - 1) < 4 * 0.0051
    assert shown.subset(["latent 007"]).item(0).tolist() == numbers[7].tolist()
    with pytest.raises(InputError, match="latent numbers, not pictures"):
        shown.picture(0)


@pytest.mark.parametrize("ref", ["digits", "sentences", "latents"])
def test_identity_is_the_digest(ref):
    assert stimuli.identity(ref) == stimuli.load(ref).digest
    assert stimuli.identity(ref) != stimuli.identity(f"{ref}?seed=1")


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("digits?split=test", "held-out"),
        ("digits?n=501", "500"),
        ("digits?group=x", "group"),
        ("sentences?n=0", "n"),
        ("latents?size=0", "size"),
    ],
)
def test_bad_options_are_refused_in_words(ref, words):
    with pytest.raises(InputError, match=words):
        stimuli.load(ref)


def test_a_network_refuses_stimuli_of_another_kind():
    network = networks.load("bundled:digits_mlp")
    with pytest.raises(InputError, match="sees pictures, and these stimuli are latent numbers"):
        network.prepare([stimuli.load("latents?n=1").item(0)])
    with pytest.raises(InputError, match="sees pictures, and these stimuli are texts"):
        network.prepare([stimuli.load("sentences?n=1").item(0)])


@pytest.mark.parametrize("name", sorted(models.NETWORKS))
def test_every_card_names_stimuli_that_its_network_takes(name):
    suited = networks.suited_stimuli(f"bundled:{name}") or "gratings"
    assert suited == networks.suited_stimuli(f"bundled:{name}?untrained&seed=1") or name == "tilt_cnn"
    shown, network = stimuli.load(suited), networks.load(f"bundled:{name}")
    assert list(network.prepare([shown.item(0)]).shape[1:]) == list(network.input_shape)


def test_other_networks_were_made_for_nothing_here():
    assert networks.suited_stimuli("torchvision:resnet18") == ""
