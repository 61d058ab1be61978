"""Selectivity of units against closed forms."""

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import selectivity


def test_d_prime_of_two_samples():
    inside, outside = np.array([[1.0], [3.0]]), np.array([[0.0], [0.0], [3.0]])
    # variances 2 and 3, means 2 and 1
    assert selectivity.d_prime(inside, outside)[0] == pytest.approx(1 / np.sqrt(2.5))
    assert np.isnan(selectivity.d_prime(inside[:1], outside)[0])
    assert np.isnan(selectivity.d_prime(np.ones((2, 1)), np.zeros((2, 1)))[0])


def test_d_prime_of_normal_responses():
    rng = np.random.default_rng(0)
    found = selectivity.d_prime(rng.normal(1.5, 1, (4000, 3)), rng.normal(0, 1, (4000, 3)))
    np.testing.assert_allclose(found, 1.5, atol=0.1)


def test_categories_against_all_others():
    responses = np.array([[4.0, -1.0], [2.0, 1.0], [1.0, 0.0], [1.0, 2.0]])
    found = selectivity.categories(responses, ["face", "face", "house", "tool"])
    assert found.names == ("face", "house", "tool")
    assert found.mean[0].tolist() == [3.0, 0.0]
    assert found.index[0, 0] == pytest.approx((3 - 1) / (3 + 1))
    assert found.index[0, 1] == -1
    assert np.isnan(found.d_prime[1]).all()  # one house alone has no variance
    with pytest.raises(InputError, match="one category"):
        selectivity.categories(responses, ["face"] * 4)
    with pytest.raises(InputError, match="3 categories"):
        selectivity.categories(responses, ["a", "b", "c"])


def test_sparseness_from_none_to_all():
    responses = np.array([[1.0, 5.0, 0.0, 2.0], [1.0, 0.0, 0.0, 0.0], [1.0, -3.0, 0.0, 2.0]])
    found = selectivity.sparseness(responses)
    np.testing.assert_allclose(found[:2], [0, 1], atol=1e-12)
    assert np.isnan(found[2])
    assert found[3] == pytest.approx((1 - (4 / 3) ** 2 / (8 / 3)) / (2 / 3))
    with pytest.raises(InputError, match="two stimuli"):
        selectivity.sparseness(responses[:1])
