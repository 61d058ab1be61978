"""What is summed up over a set: against closed forms on a digits network, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.analyses import attribution, attribution_set
from dashboard.errors import InputError, collect_cautions
from dashboard.figures import attribution_set as figure
from dashboard.specs import AttributionSetSpec, AttributionSpec

DIGITS = AttributionSpec(
    network="bundled:digits_mlp", stimuli="digits?n=12", method="integrated-gradients", target="3", steps=8
)


@pytest.fixture(scope="module")
def digits():
    return attribution_set.over_set(AttributionSetSpec(attribution=DIGITS, most=6))


def test_rows_are_the_maps_of_single_stimuli(digits):
    names = tuple(str(v) for v in digits["item"].values)
    maps = attribution.attribution(DIGITS.replace(items=names))["attribution"].values.reshape(6, 64)
    places = [f"row {i + 1}, column {j + 1}" for i, j in np.ndindex(8, 8)]
    order = [places.index(str(name)) for name in digits["feature"].values]
    assert np.allclose(digits["value"].values, maps[:, order], atol=1e-12)
    assert np.allclose(digits["importance"].values, np.abs(maps).mean(0)[order], atol=1e-12)
    assert np.all(np.diff(digits["importance"].values) <= 0)
    assert np.allclose(digits["mean_map"].values, maps.mean(0).reshape(8, 8), atol=1e-12)
    weights = digits["count"].values[:, None] / len(names)
    assert np.allclose((digits["class_importance"].values * weights).sum(0), digits["importance"].values)


def test_interval_is_that_of_the_mean(digits):
    size = np.abs(digits["value"].values)
    half = 1.96 * size.std(0, ddof=1) / np.sqrt(len(size))
    assert np.allclose(digits["upper"].values, size.mean(0) + half)
    assert np.allclose(digits["lower"].values, np.maximum(size.mean(0) - half, 0))


def test_every_view_has_the_numbers(digits):
    top = str(digits["feature"].values[0])
    for make in (figure.importance_chart, figure.beeswarm_chart, figure.class_chart, figure.heat_chart):
        assert top in str(make(digits).to_dict())
    assert len(figure.panels(digits)) == 2 + digits.sizes["class"]
    assert f"Most important is {top}:" in figure.verdict(digits)
    assert len(figure.table(digits)) == digits["value"].size


def test_pictures_tell_how_much_lies_on_the_object():
    asked = AttributionSpec(
        network="bundled:objects_cnn", stimuli="objects?n=12&seed=7", method="input-x-gradient"
    )
    with collect_cautions() as said:
        ds = attribution_set.over_set(AttributionSetSpec(attribution=asked, most=4))
    names = tuple(str(v) for v in ds["item"].values)
    single = attribution.attribution(asked.replace(items=names))
    assert np.allclose(ds["mask_share"].values, single["mask_share"].values)
    mean, low, high, _ = figure.shares(ds)
    assert low < mean < high
    assert mean == pytest.approx(float(ds["mask_share"].mean()))
    assert [c.code for c in said] == ["mixed-targets"]
    figure.main_chart(ds).to_dict()


def test_words_of_texts_are_features():
    asked = AttributionSpec(network="bundled:tiny_text", stimuli="sentences?n=6", method="input-x-gradient")
    with collect_cautions():
        ds = attribution_set.over_set(AttributionSetSpec(attribution=asked))
    assert ds.sizes["item"] == 6
    times = np.isfinite(ds["value"].values).sum(0)
    assert np.array_equal(times, ds["times"].values)
    assert np.all(np.diff((times >= 2).astype(int)) <= 0)
    figure.main_chart(ds).to_dict()


@pytest.mark.parametrize(
    ("asked", "most", "sentence"),
    [
        (DIGITS, 1, "most must be"),
        (DIGITS.replace(method="grad-cam"), 4, "keeps the places"),
        (DIGITS.replace(target="12"), 4, "target"),
    ],
)
def test_bad_questions_are_refused(asked, most, sentence):
    with pytest.raises(InputError, match=sentence):
        attribution_set.over_set(AttributionSetSpec(attribution=asked, most=most))
