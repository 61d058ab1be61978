"""Orientations and masks that networks predict, against scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, networks, specs, stimuli
from dashboard.analyses import regression
from dashboard.errors import collect_cautions

torch = pytest.importorskip("torch")
GRATINGS = "gratings?orientations=12&spatial_frequencies=4:8&phases=2"
DECODED = specs.PredictionsSpec(network="bundled:v1_decoder", stimuli=GRATINGS)
MASKED = specs.PredictionsSpec(network="bundled:objects_unet", stimuli="objects?n=24&seed=9")


def test_orientations_are_half_the_angle_that_the_network_answers_with():
    network, shown = networks.load(DECODED.network), stimuli.load(GRATINGS)
    with torch.no_grad():
        given = (
            network.module(network.prepare([shown.picture(i) for i in range(len(shown))])).double().numpy()
        )
    answer = compute.compute(DECODED)
    np.testing.assert_allclose(
        np.exp(2j * np.deg2rad(answer.predicted)) * answer.strength, given[:, 0] + 1j * given[:, 1], atol=1e-5
    )
    np.testing.assert_array_equal(answer.true, shown.columns["orientation"])


def test_mean_error_is_scikit_learns_and_goes_the_short_way_round():
    metrics = pytest.importorskip("sklearn.metrics")
    answer = compute.compute(DECODED)
    apart = np.abs(answer.predicted.to_numpy() - answer.true.to_numpy())
    short = np.minimum(apart, 180 - apart)
    np.testing.assert_allclose(np.abs(answer.error), short, atol=1e-9)
    wanted = metrics.mean_absolute_error(np.zeros(len(short)), short)
    assert answer.attrs["mean_error"] == pytest.approx(wanted)
    assert answer.attrs["mean_error_low"] < answer.attrs["mean_error"] < answer.attrs["mean_error_high"]
    assert answer.attrs["mean_error"] < 5
    # Twelve evenly spaced orientations: any constant is off by the mean of 0, 15, …, 90 degrees both ways.
    assert answer.attrs["constant_error"] == pytest.approx(45)


def test_a_tilt_is_an_orientation_and_a_truth_that_is_missing_in_part_is_told():
    tilted = compute.compute(DECODED.replace(stimuli="neuromatch-gratings?n=6"))
    assert tilted.attrs["truth"] == "tilt"
    assert tilted.true.min() >= 0
    with collect_cautions() as told:
        found = regression._quality(np.array([10.0, np.nan]), np.array([2.0, np.nan]))
    assert found["n_labelled"] == 1
    assert found["mean_error"] == 2
    assert "1 of 2 stimuli" in told[0].message
    unknown = compute.compute(DECODED.replace(stimuli="objects?n=2"))
    assert unknown.attrs["n_labelled"] == 0
    assert np.isnan(unknown.error).all()


def test_iou_is_scikit_learns_jaccard_score_of_every_picture():
    metrics = pytest.importorskip("sklearn.metrics")
    answer = compute.compute(MASKED)
    shown = stimuli.load(MASKED.stimuli)
    network = networks.load(MASKED.network)
    with torch.no_grad():
        logits = network.module(network.prepare([shown.picture(i) for i in range(len(shown))]))[:, 0].numpy()
    wanted = [metrics.jaccard_score(shown.mask(i).ravel(), logits[i].ravel() > 0) for i in range(len(shown))]
    np.testing.assert_allclose(answer.iou, wanted, atol=1e-12)
    assert answer.attrs["mean_iou"] == pytest.approx(np.mean(wanted))
    assert answer.attrs["mean_iou"] > 0.9
    shares = [shown.mask(i).mean() for i in range(len(shown))]
    np.testing.assert_allclose(answer.true_share, shares)
    assert answer.attrs["everything_iou"] == pytest.approx(np.mean(shares))


def test_pictures_without_masks_get_a_mask_and_no_judgement():
    answer = compute.compute(MASKED.replace(stimuli="gratings?orientations=2&phases=1&size=96"))
    assert answer.predicted_mask.shape[1:] == (64, 64)
    assert answer.attrs["n_labelled"] == 0
    assert "true_mask" not in answer
    assert set(answer.height.values) == {96}


def test_masks_follow_their_pictures_into_a_subset():
    shown = stimuli.load("objects?n=6")
    two = shown.subset([shown.names[4], shown.names[1]])
    np.testing.assert_array_equal(two.mask(0), shown.mask(4))
    assert stimuli.load("gratings").mask(0) is None
