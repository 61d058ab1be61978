"""Predictions of a network: probabilities, matching with the truth, and what follows from both."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dashboard import compute, networks, specs, stimuli
from dashboard.analyses import predictions
from dashboard.errors import InputError

pytest.importorskip("torch")
OBJECTS = specs.PredictionsSpec(network="bundled:objects_cnn", stimuli="objects?n=36&seed=5", top=12)
TILT = specs.PredictionsSpec(network="bundled:tilt_cnn", stimuli="neuromatch-gratings?n=24")


@pytest.fixture(scope="module")
def logits():
    import torch

    network, shown = networks.load(OBJECTS.network), stimuli.load(OBJECTS.stimuli)
    with torch.no_grad():
        return network.module(network.prepare([shown.picture(i) for i in range(len(shown))])).numpy()


def test_probabilities_are_the_softmax_of_the_whole_set_in_one_batch(logits):
    answer = compute.compute(OBJECTS)
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(answer.top_class, np.argsort(-wanted, axis=1))
    np.testing.assert_allclose(answer.top_probability, -np.sort(-wanted, axis=1), atol=2e-6)
    np.testing.assert_allclose(answer.top_probability.sum("rank"), 1, atol=1e-12)
    truth = np.arange(36) % 12
    np.testing.assert_array_equal(answer.true_class, truth)
    np.testing.assert_allclose(answer.true_probability, wanted[np.arange(36), truth], atol=2e-6)
    np.testing.assert_array_equal(
        answer.true_rank, 1 + (wanted > wanted[np.arange(36), truth][:, None]).sum(axis=1)
    )


def test_quality_equals_scikit_learn_on_the_same_predictions(logits):
    metrics = pytest.importorskip("sklearn.metrics")
    answer = compute.compute(OBJECTS)
    truth, said = np.arange(36) % 12, logits.argmax(axis=1)
    assert answer.attrs["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    np.testing.assert_array_equal(answer.confusion, metrics.confusion_matrix(truth, said))
    wanted = metrics.precision_recall_fscore_support(truth, said, zero_division=np.nan)
    for name, theirs in zip(("precision", "recall", "f1", "support"), wanted, strict=True):
        np.testing.assert_allclose(answer[name], theirs)
    assert answer.attrs["accuracy"] >= 0.9


def test_one_output_means_a_class_and_its_opposite_and_whole_numbers_are_positions():
    answer = compute.compute(TILT)
    assert list(answer["class"].values) == ["not tilted right", "tilted right"]
    assert answer.attrs["truth"] == "label"
    np.testing.assert_array_equal(answer.true_class, stimuli.load(TILT.stimuli).columns["label"])
    np.testing.assert_allclose(answer.top_probability.sum("rank"), 1, atol=1e-12)
    assert answer.attrs["accuracy"] > 0.8


def test_stimuli_without_classes_of_the_network_get_predictions_and_no_quality():
    answer = compute.compute(TILT.replace(stimuli="gratings?orientations=2&spatial_frequencies=4&phases=1"))
    assert answer.attrs["n_labelled"] == 0
    assert answer.attrs["truth"] == ""
    assert "confusion" not in answer
    assert (answer.true_class == -1).all()


def test_a_single_class_and_stimuli_outside_the_classes_are_told():
    one = compute.compute(OBJECTS.replace(stimuli="objects?n=1"))
    assert "one class, disc" in json.loads(one.attrs["cautions"])[0]["message"]
    some = compute.compute(OBJECTS.replace(stimuli="objects?n=30&group=all"))
    told = json.loads(some.attrs["cautions"])[0]["message"]
    assert "6 of 30 stimuli" in told
    assert "arch, bar, bolt" in told
    assert some.attrs["n_labelled"] == 24


def test_names_are_matched_whatever_their_case_and_hyphens_and_ambiguous_ones_not_at_all():
    classes = predictions.class_names(["Tabby cat", "crane", "crane"])
    assert classes == ("Tabby cat", "crane (1)", "crane (2)")
    found = predictions._positions(np.array(["tabby_cat", "TABBY-CAT", "crane", ""]), classes)
    np.testing.assert_array_equal(found, [0, 0, -1, -1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "bundled:objects_vae"}, "its output is reconstruction"),
        ({"network": "bundled:objects_unet", "truth": "size"}, "draws masks"),
        ({"network": "bundled:v1_decoder", "truth": "colour"}, "holds no numbers"),
        ({"network": "bundled:v1_decoder", "truth": "no_such"}, "no_such"),
        ({"network": "bundled:tiny_text"}, "reads text"),
        ({"truth": "colr"}, "Did you mean colour"),
        ({"top": 0}, "top must be"),
        ({"bins": 0}, "bins"),
    ],
)
def test_what_cannot_be_predicted_says_why(changes, words):
    with pytest.raises(InputError) as error:
        compute.compute(OBJECTS.replace(stimuli="objects?n=2", **changes))
    assert words in str(error.value)
