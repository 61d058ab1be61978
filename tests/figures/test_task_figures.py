"""Words and charts of orientations and masks, from small answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from dashboard.analyses.regression import _quality as angle_quality
from dashboard.analyses.segmentation import _quality as mask_quality
from dashboard.figures import export, regression, segmentation, tasks
from dashboard.figures.alternative import alt_text
from dashboard.methods import classification
from tests.figures import samples


@pytest.fixture
def angles():
    true = np.array([1.0, 90.0, 179.0, 45.0])
    said = np.array([179.0, 93.0, 2.0, 45.0])
    error = classification.angle_errors(true, said)
    return xr.Dataset(
        {
            "predicted": ("stimulus", said),
            "true": ("stimulus", true),
            "error": ("stimulus", error),
            "strength": ("stimulus", np.ones(4)),
        },
        {"stimulus": list("abcd"), "category": ("stimulus", [""] * 4)},
        samples.attrs("predictions", task="orientation", network_title="A net", **angle_quality(true, error)),
    )


@pytest.fixture
def masks():
    true = np.zeros((2, 4, 4), np.uint8)
    true[:, 1:3, 1:3] = 1
    said = true.copy()
    said[1, 1, 1:3] = 0
    iou = classification.iou(true, said)
    place = ("stimulus", "y", "x")
    return xr.Dataset(
        {
            "predicted_mask": (place, said),
            "true_mask": (place, true),
            "iou": ("stimulus", iou),
            "predicted_share": ("stimulus", said.mean(axis=(1, 2))),
            "true_share": ("stimulus", true.mean(axis=(1, 2))),
            "height": ("stimulus", [40, 40]),
            "width": ("stimulus", [40, 20]),
        },
        {"stimulus": ["good", "half"], "category": ("stimulus", ["x", "y"])},
        samples.attrs("predictions", task="mask", network_title="A net", **mask_quality(true, iou)),
    )


def test_error_is_said_in_degrees_with_its_interval_and_a_control(angles):
    said = regression.verdict(angles)
    assert "off by 2.00° on average (95 % interval" in said
    assert "best single orientation" in said
    assert "largest is 3.00° (b)" in regression.error_words(angles)
    assert regression.words_about(angles, "a") == "179.0°, true 1.0°: off by 2.0° anticlockwise."
    assert regression.worst(angles)[:2] == ["b", "c"]
    assert "off by" in alt_text(angles)


def test_a_prediction_across_the_border_is_drawn_beside_its_truth(angles):
    drawn = regression.scatter_chart(angles, "a").to_dict()
    rows = drawn["layer"][1]["data"]["values"]
    assert [r["beside"] for r in rows] == [-1, 93, 182, 45]
    assert [r["chosen"] for r in rows] == [True, False, False, False]
    counted = regression.error_chart(angles).to_dict()["layer"][0]["data"]["values"]
    assert sum(r["stimuli"] for r in counted) == 4


def test_overlap_is_said_with_its_interval_and_a_control(masks):
    assert "mean IoU of 0.750 (95 % interval 0.500 to 1.000) over 2 pictures" in segmentation.verdict(masks)
    assert "would give 0.250" in segmentation.verdict(masks)
    assert "12.5 % of the pixels are called object, 25.0 % are" in segmentation.words_about(masks, "half")
    assert segmentation.order(masks) == ["half", "good"]
    assert list(segmentation.table(masks)["IoU"]) == [0.5, 1.0]


def test_outline_goes_round_the_mask():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:5] = True
    assert sorted(map(tuple, segmentation.outline(mask))) == [
        (2, 1, 2, 3),
        (2, 1, 5, 1),
        (2, 3, 5, 3),
        (5, 1, 5, 3),
    ]
    assert segmentation.outline(np.zeros((3, 3))).shape == (0, 4)
    assert len(segmentation.outline(np.ones((3, 3)))) == 4


def test_outline_lies_on_the_thumbnail_of_a_narrow_picture(masks):
    drawn = segmentation.overlay_chart(masks, "half").to_dict()
    pieces = drawn["layer"][1]["data"]["values"]
    # A picture of 20 x 40 pixels fills the middle half; its mask goes from a quarter to three quarters of it.
    assert {p["x"] for p in pieces} | {p["x2"] for p in pieces} == {0.375, 0.625}
    assert {p["y"] for p in pieces} | {p["y2"] for p in pieces} == {0.25, 0.75}


@pytest.mark.parametrize("which", ["angles", "masks"])
def test_answers_can_be_exported_and_compared_with_a_twin(which, request):
    answer = request.getfixturevalue(which)
    assert export.export("csv", answer).decode().count("\n") == answer.sizes["stimulus"] + 1
    assert len(export.export("png", answer)) > 2000
    assert "overlap" in tasks.module(answer).twin_words(answer, answer)
    bare = answer.assign_attrs(n_labelled=0)
    drawn = tasks.main_chart(bare).to_dict()
    assert which == "angles" or "hconcat" in drawn  # a picture must not be stretched to the column
    assert "cannot be told" in alt_text(bare)
    assert len(export.export("png", bare)) > 2000
