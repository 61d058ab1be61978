"""Pictures that climb: the optimum of a linear unit is known, and a seed gives one picture."""

import numpy as np
import pytest
import torch

from dashboard.errors import InputError
from dashboard.methods import maximisation

SIZE = (16, 20)


def template(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(3, *SIZE))).float()


def linear(weight):
    return lambda pictures, through: (pictures * weight).sum((1, 2, 3))


def test_a_linear_unit_comes_near_its_best_picture():
    # Of values from 0 to 1 the best picture is 1 where the weight is positive, and 0 elsewhere.
    angle = torch.arange(20) * 2 * torch.pi / 20
    weight = torch.sin(angle).expand(3, *SIZE)
    found = maximisation.maximise(linear(weight), SIZE, [0, 1], steps=96)
    pictures = torch.from_numpy(found.pictures).movedim(-1, 1) / 255
    reached = (pictures * weight).sum((1, 2, 3))
    assert (reached > 0.5 * weight.clamp(min=0).sum()).all()
    assert np.corrcoef(pictures[0].ravel(), weight.ravel())[0, 1] > 0.75
    assert found.climb.shape == (2, 96)
    assert (found.climb[:, -1] > found.climb[:, 0]).all()


def test_the_same_seed_gives_the_same_picture_and_another_seed_another():
    first, again = (maximisation.maximise(linear(template()), SIZE, [3, 4], steps=8) for _ in range(2))
    np.testing.assert_array_equal(first.pictures, again.pictures)
    np.testing.assert_array_equal(first.climb, again.climb)
    assert (first.pictures[0] != first.pictures[1]).any()


def test_grey_pictures_have_one_value_for_all_colours():
    found = maximisation.maximise(linear(template()), SIZE, [0], steps=8, grey=True).pictures
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()
    assert np.ptp(found) > 0


def test_colours_are_mixed_from_uncorrelated_axes():
    np.testing.assert_allclose(maximisation.AXES @ maximisation.AXES.T, np.eye(3), atol=1e-12)


def test_movements_shrink_to_nothing_and_keep_the_mean():
    pictures = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    still = maximisation._moved(pictures, [np.random.default_rng(0)], 0.0)
    assert still is pictures
    moved = maximisation._moved(pictures, [np.random.default_rng(0)], 1.0)
    assert moved.mean() == pytest.approx(float(pictures.mean()), abs=0.02)
    assert not torch.equal(moved, pictures)


def test_shift_is_by_the_pixels_that_were_drawn():
    class Drawn:
        def uniform(self, low, high, n):
            return np.array([1.0, 0.0, 0.0, 0.0])

    pictures = torch.arange(32.0).expand(1, 3, 32, 32) / 32
    moved = maximisation._moved(pictures, [Drawn()], 1.0)
    torch.testing.assert_close(moved[..., 4:20], pictures[..., 6:22])  # 32 / 16 pixels to the side


def test_no_seed_and_no_step_are_refused():
    with pytest.raises(InputError, match="a step and a seed"):
        maximisation.maximise(linear(template()), SIZE, [], steps=4)
    with pytest.raises(InputError, match="a step and a seed"):
        maximisation.maximise(linear(template()), SIZE, [0], steps=0)
