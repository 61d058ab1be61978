"""Words, tables and charts of predictions, from a small answer made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from dashboard.analyses.predictions import _quality
from dashboard.errors import InputError
from dashboard.figures import export, predictions, tasks
from dashboard.figures.alternative import alt_text
from tests.figures import samples

TRUTH = [0, 0, 1, 1, 2, -1]
BEST = [[0, 1], [1, 0], [1, 2], [1, 0], [1, 2], [2, 0]]
SURE = [[0.9, 0.1], [0.7, 0.3], [0.6, 0.3], [0.99, 0.01], [0.8, 0.15], [0.5, 0.3]]


@pytest.fixture
def answer():
    ds = xr.Dataset(
        {
            "top_class": (("stimulus", "rank"), np.array(BEST)),
            "top_probability": (("stimulus", "rank"), np.array(SURE)),
            "true_class": ("stimulus", np.array(TRUTH)),
            "true_probability": ("stimulus", [0.9, 0.3, 0.6, 0.99, 0.15, np.nan]),
            "true_rank": ("stimulus", [1, 2, 1, 1, 2, 0]),
        },
        {
            "stimulus": [f"p{k}" for k in range(6)],
            "category": ("stimulus", ["cat", "cat", "dog", "dog", "owl", "fish"]),
            "rank": [1, 2],
            "class": ["cat", "dog", "owl"],
        },
        samples.attrs("predictions", network_title="A net", network="net"),
    )
    return ds.merge(_quality(ds, 5), combine_attrs="no_conflicts")


def test_verdict_counts_and_gives_the_interval(answer):
    said = predictions.verdict(answer)
    assert "3 of 5 pictures right: accuracy 60.0 % (95 % interval 23.1 % to 88.2 %)" in said
    assert "40.0 %, so it is no better than that" in said


def test_a_share_below_one_is_never_written_as_all():
    assert predictions._percent(0.99999) == "99.9 %"
    assert predictions._percent(1.0) == "100.0 %"
    assert predictions._probability(0.9999) == "above 0.999"


def test_mistakes_are_sorted_by_confidence_and_cells_find_their_pictures(answer):
    assert predictions.mistakes(answer) == ["p4", "p1"]
    assert predictions.confused(answer, "cat", "dog") == ["p1"]
    assert predictions.confused(answer, "dog", "dog") == ["p2", "p3"]
    assert predictions.confused(answer, "dog", "nothing") == []
    assert "2 wrong, no confusion more than once" in predictions.confusion_words(answer)


def test_words_about_one_picture(answer):
    assert predictions.words_about(answer, "p0") == "cat, with probability 0.900. Right."
    assert "Wrong: it is cat, which has rank 2 (probability 0.300)" in predictions.words_about(answer, "p1")
    assert "no class of this network" in predictions.words_about(answer, "p5")
    with pytest.raises(InputError):
        predictions.words_about(answer, "p9")


def test_calibration_words_give_direction_and_error(answer):
    # mean confidence 0.798 of the five, 0.6 right
    said = predictions.calibration_words(answer)
    assert "surer than it is right, by 19.8 percentage points" in said


def test_table_names_unknown_truth_by_nothing(answer):
    found = predictions.table(answer)
    assert list(found["truth"]) == ["cat", "cat", "dog", "dog", "owl", ""]
    assert list(found["verdict"]) == ["right", "wrong", "right", "right", "wrong", ""]
    assert export.export("csv", answer).decode().count("\n") == 7


def test_matrix_for_the_canvas_holds_counts_and_words(answer):
    panel = predictions.confusion(answer)
    np.testing.assert_array_equal(panel.values, [[1, 1, 0], [0, 2, 0], [0, 1, 0]])
    assert "Confusion matrix of 3 classes" in panel.words


def test_charts_hold_the_numbers(answer):
    top = predictions.top_chart(answer, "p1").to_dict()
    rows = top["data"]["values"] if "values" in top.get("data", {}) else top["layer"][0]["data"]["values"]
    assert [(r["label"], r["probability"]) for r in rows] == [("dog", 0.7), ("cat (true)", 0.3)]
    twin = predictions.top_chart(answer, "p1", twin=answer).to_dict()
    assert "facet" in twin
    assert len(json.dumps(predictions.calibration_chart(answer).to_dict())) > 500
    for ending in ("png", "html"):
        assert len(export.export(ending, answer)) > 2000


def test_alternative_text_holds_the_result(answer):
    assert "60.0 %" in alt_text(answer)
    bare = answer.drop_dims(["truth", "predicted", "bin"]).assign_attrs(n_labelled=0)
    assert "cannot be told" in alt_text(bare)


def test_twin_is_compared_by_intervals(answer):
    assert "overlap" in predictions.twin_words(answer, answer)
    worse = answer.assign_attrs(accuracy=0.1, accuracy_low=0.05, accuracy_high=0.2)
    assert "Training made the difference" in predictions.twin_words(answer, worse)


def test_networks_that_predict_nothing_say_so_before_anything_is_computed():
    net = samples.network()
    assert tasks.why_not(net) == ""
    assert tasks.why_not(net.assign_attrs(output="mask")) == ""
    assert "its output is reconstruction" in tasks.why_not(net.assign_attrs(output="reconstruction"))


def test_texts_are_called_texts(answer):
    said = alt_text(answer.assign_attrs(stimulus_kind="text"))
    assert "5 texts right" in said
    assert "picture" not in said
