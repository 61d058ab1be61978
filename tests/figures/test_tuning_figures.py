"""The map of preferred orientations, brushing, and what the tuning figures refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from dashboard import provenance, specs
from dashboard.errors import InputError
from dashboard.figures import tuning as figure

ORIENTATIONS = np.array([0.0, 45.0, 90.0, 135.0, np.nan])


@pytest.fixture
def answer():
    return xr.Dataset(
        {
            "preferred_orientation": ("unit", ORIENTATIONS),
            "circular_variance": ("unit", [0.0, 0.5, 1.0, 0.2, np.nan]),
            "preferred_frequency": ("unit", [2.0, 4.0, 8.0, 16.0, 32.0]),
        },
        coords={"unit": np.arange(5)},
        attrs={"title": "Tuning", "layer": "conv", "network_title": "Toy"},
    )


def cells(chart) -> list[dict]:
    return chart.to_dict()["data"]["values"] if "data" in chart.to_dict() else _found(chart.to_dict())


def _found(spec) -> list[dict]:
    return next(layer["data"]["values"] for layer in spec["layer"] if layer.get("data"))


def test_bars_lie_at_the_preferred_orientation(answer):
    rows = cells(figure.orientation_map(answer, among=[1]))
    for row, orientation, variance in zip(rows[:4], ORIENTATIONS, answer["circular_variance"], strict=False):
        right, up = row["x2"] - row["x1"], row["y1"] - row["y2"]  # rows count downwards
        assert math.hypot(right, up) == pytest.approx(0.16 + 0.72 * (1 - float(variance)))
        # 0 degrees is vertical, clockwise: 45 degrees leans to the right
        assert math.degrees(math.atan2(right, up)) % 180 == pytest.approx(orientation)
    assert [row["tuned"] for row in rows] == [True] * 4 + [False]
    assert [row["among"] for row in rows] == [False, True, False, False, False]
    assert {(row["row"], row["column"]) for row in rows} == {(k // 4, k % 4) for k in range(5)}
    assert all(row["among"] for row in cells(figure.orientation_map(answer)))
    words = figure.orientation_words(answer)
    assert words.startswith("Of 4 units with a preferred orientation 1 vertical, 1 at 45°")


def test_a_brush_holds_the_units_between_its_ends(answer):
    ranges = {"x": [40, 140], "y": [9.0, 3.0]}
    names = ("preferred_orientation", "preferred_frequency")
    assert figure.inside(answer, *names, ranges).tolist() == [1, 2]
    assert figure.inside(answer, *names, {"x": [40, 140], "y": [0.3, 0.9]}, 10.0).tolist() == [1, 2]
    for none in (None, {}, {"x": [0, 1]}, {"x": [0, 1], "y": []}):
        assert len(figure.inside(answer, *names, none)) == 0
    params = {p["name"] for p in _params(figure.scatter(answer, *names).to_dict())}
    assert params == {"unit", "brush"}


def _params(spec) -> list[dict]:
    found = list(spec.get("params", []))
    for layer in spec.get("layer", []):
        found += _params(layer)
    return found


def test_distributions_show_brushed_units_beside_all(answer):
    title = figure.histogram(answer, "preferred_frequency", among=[0, 1]).to_dict()["title"]
    text = title["text"] if isinstance(title, dict) else title
    assert "brushed units (teal, n = 2)" in str(text)


def test_a_picture_of_no_size_is_refused():
    assert figure.degrees_across(None) == 0
    assert figure.degrees_across(8.0) == 8
    for size in (0.0, -1.0):
        with pytest.raises(InputError, match="has no size"):
            figure.degrees_across(size)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            specs.TuningSpec(network="bundled:tilt_cnn", layer="conv", sizes="0.1:1"),
            "Ringach, Shapley & Hawken",
        ),
        (
            specs.PreferredSpec(network="bundled:tilt_cnn", stimuli="gratings", unit=3),
            "Mordvintsev et al., 2018",
        ),
        (specs.EffectiveFieldSpec(network="bundled:tilt_cnn", stimuli="gratings"), "Luo et al., 2016"),
        (
            specs.ConceptsSpec(network="bundled:tilt_cnn", stimuli="objects", concept="ring"),
            "Kim et al., 2018",
        ),
        (specs.SelectivitySpec(network="bundled:tilt_cnn", stimuli="objects"), "Green & Swets, 1966"),
    ],
)
def test_methods_texts_name_their_source(spec, words):
    text = provenance.methods_text({"spec": spec.to_dict(), "versions": {}})
    assert words in text
    assert "bundled:tilt_cnn" in text or spec.kind == "concepts"


def test_a_measure_that_no_unit_has_is_said_and_not_drawn(answer):
    nothing = answer.assign(circular_variance=answer["circular_variance"] * np.nan)
    assert figure.empty(nothing, "circular_variance")
    assert not figure.empty(nothing, "circular_variance", answer)  # neurons of a recording have it
    assert "no unit has a value" in figure.empty_words("circular_variance")
    with pytest.raises(InputError, match="No unit has a value of Circular variance"):
        figure.histogram(nothing, "circular_variance")
    assert len(figure.overview(nothing.assign_attrs(title="Tuning")).to_dict()["concat"]) == 2
