"""Objects: the bytes, the factors, the masks, and that a linear model cannot name the shapes."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.stimuli.objects import (
    BACKGROUNDS,
    COLOURS,
    LARGEST,
    SHAPES,
    SMALLEST,
    TEXTURES,
    Objects,
    categories,
)


def test_the_bytes_never_change_unnoticed():
    digest = hashlib.sha256(Objects(24, seed=0).pictures().tobytes()).hexdigest()
    assert digest == "a0fe7e23a3a725262462a75a550d4cea824be8b895563c7c5db44c3a9c2e953b"


def test_a_picture_does_not_depend_on_the_number():
    few, many = Objects(13, seed=4), Objects(200, seed=4)
    for i in (0, 7, 12):
        np.testing.assert_array_equal(few.picture(i), many.picture(i))
        np.testing.assert_array_equal(few.mask(i), many.mask(i))
        assert few.factors(i) == many.factors(i)


def test_other_seeds_and_other_groups_are_other_pictures():
    pictures = [Objects(30, 0), Objects(30, 1), Objects(30, 0, "transfer")]
    assert len({p.picture(5).tobytes() for p in pictures}) == 3
    assert len({p.digest for p in [*pictures, Objects(31, 0)]}) == 4
    assert len({Objects(40, 2).picture(i).tobytes() for i in range(40)}) == 40


def test_groups_are_disjoint_and_balanced():
    assert len(categories("training")) == 12
    assert len(categories("transfer")) == 3
    assert set(categories("all")) == set(SHAPES) == set(categories("training")) | set(categories("transfer"))
    _, counts = np.unique(Objects(240).categories, return_counts=True)
    np.testing.assert_array_equal(counts, 20)


def test_the_table_tells_what_is_drawn():
    objects = Objects(600, seed=11, group="all")
    table = objects.columns
    assert all(column.shape == (600,) for column in table.values())
    assert len(set(objects.names)) == 600
    assert set(table["colour"]) == set(COLOURS)
    assert set(table["texture"]) == set(TEXTURES)
    assert set(table["background"]) == set(BACKGROUNDS)
    assert SMALLEST <= table["size"].min() < SMALLEST + 0.5
    assert LARGEST - 0.5 < table["size"].max() <= LARGEST
    reach = table["size"] + 1
    assert np.all((table["x"] >= reach) & (table["x"] <= 64 - reach))
    assert np.all((table["y"] >= reach) & (table["y"] <= 64 - reach))
    assert np.histogram(table["rotation"], 8, (0, 360))[0].min() > 40


def test_factors_are_drawn_apart_from_one_another():
    table = Objects(3000, seed=12).columns
    numbers = np.stack(
        [table[name] for name in ("size", "rotation", "background_contrast", "texture_period")]
    )
    where = np.stack([table["x"] - 32, table["y"] - 32])
    correlations = np.corrcoef(np.concatenate([numbers, where]))[np.triu_indices(6, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(3000)


@pytest.mark.parametrize("shape", ["disc", "square", "ring", "cross"])
def test_masks_have_the_area_of_the_shape(shape):
    areas = {
        "disc": np.pi * 0.88**2,
        "square": 1.4**2,
        "ring": np.pi * (0.92**2 - 0.48**2),
        "cross": 2 * 1.86 * 0.6 - 0.6**2,
    }
    objects = Objects(240, seed=3)
    of_shape = [i for i in range(240) if objects.categories[i] == shape]
    found = [objects.mask(i).sum() / objects.columns["size"][i] ** 2 for i in of_shape]
    assert np.mean(found) == pytest.approx(areas[shape], rel=0.01)


def test_masks_lie_where_the_table_says():
    objects = Objects(120, seed=5)
    rows, columns = np.mgrid[:64, :64] + 0.5
    for i in range(120):
        mask, factors = objects.mask(i), objects.factors(i)
        if factors.category in ("disc", "square", "ring", "cross", "star", "flower", "hourglass"):
            assert columns[mask].mean() == pytest.approx(factors.x, abs=0.3)
            assert rows[mask].mean() == pytest.approx(factors.y, abs=0.3)
        distance = np.hypot(columns - factors.x, rows - factors.y)[mask]
        assert distance.max() <= factors.size + 0.75


def test_rotation_is_anticlockwise():
    objects = Objects(240, seed=6)
    rows, columns = np.mgrid[:64, :64] + 0.5
    for i in range(8, 240, 12):  # drops, whose weight lies opposite to their tip
        factors, mask = objects.factors(i), objects.mask(i)
        assert factors.category == "drop"
        right, up = columns[mask].mean() - factors.x, factors.y - rows[mask].mean()
        down_of_the_drop = np.rad2deg(np.arctan2(up, right)) + 90
        assert abs((down_of_the_drop - factors.rotation + 180) % 360 - 180) < 12


def test_the_object_has_its_colour_and_stands_out():
    objects = Objects(240, seed=7)
    table = objects.columns
    colour = np.stack([table["red"], table["green"], table["blue"]], 1)
    ground = np.stack([table["background_red"], table["background_green"], table["background_blue"]], 1)
    plain = np.flatnonzero(table["texture"] == "plain")
    for i in plain:
        inside = objects.picture(i)[objects.mask(i)] / 255
        np.testing.assert_allclose(np.median(inside, 0), colour[i], atol=0.01)
    assert np.linalg.norm(colour - ground, axis=1).min() > 0.3


def test_noise_falls_as_one_over_frequency():
    objects = Objects(240, seed=8)
    noise = [i for i in range(240) if objects.factors(i).background == "noise"]
    power = np.zeros((64, 64))
    for i in noise:
        grey = objects.array(i).astype(float)
        outside = np.where(objects.mask(i), grey[~objects.mask(i)].mean(), grey)
        power += np.abs(np.fft.fft2(outside - outside.mean())) ** 2
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None])
    band = (frequency > 0.15) & (frequency < 0.45)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.35)


def test_a_linear_model_cannot_name_the_shapes():
    from sklearn.linear_model import RidgeClassifier

    train, test = Objects(1200, seed=20), Objects(360, seed=21)
    grey = [
        np.stack([o.array(i)[::2, ::2].ravel() for i in range(len(o))]).astype(np.float64)
        for o in (train, test)
    ]
    scores = [
        RidgeClassifier(alpha=alpha).fit(grey[0], train.labels()).score(grey[1], test.labels())
        for alpha in (10.0, 1000.0)
    ]
    assert max(scores) < 0.40


def test_views_agree():
    objects = Objects(6, seed=1)
    np.testing.assert_array_equal(objects.pictures()[3], objects.picture(3))
    np.testing.assert_array_equal(objects.masks()[3], objects.mask(3))
    np.testing.assert_array_equal(objects.thumbnail(3), objects.picture(3))
    assert objects.thumbnail(3, 16).shape == (16, 16, 3)
    np.testing.assert_allclose(objects.array(3), objects.picture(3).mean(2) / 255, atol=1e-6)
    assert [categories()[k] for k in objects.labels()] == list(objects.categories)


def test_it_is_fast():
    objects = Objects(200, seed=9)
    objects.picture(0)
    start = time.process_time()
    objects.pictures()
    assert 200 / (time.process_time() - start) > 150  # 700 on a quiet machine of 2019


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n from 1"),
        ({"seed": -1}, "seed from 0"),
        ({"group": "trainig"}, "Did you mean training"),
    ],
)
def test_bad_options_are_refused_in_words(options, words):
    with pytest.raises(InputError, match=words):
        Objects(**options)


def test_a_picture_that_does_not_exist():
    with pytest.raises(InputError, match="0 to 9, not 10"):
        Objects(10).picture(10)
