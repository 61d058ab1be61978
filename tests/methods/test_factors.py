"""The share of variance that a factor carries, against closed forms and simulated chance."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import factors


def test_a_factor_that_makes_the_response_explains_all_of_it():
    kinds = np.array(["a", "b", "c", "a", "b", "c", "a", "b", "c"])
    response = np.array([{"a": 1.0, "b": -2.0, "c": 5.0}[k] for k in kinds])[:, None]
    np.testing.assert_allclose(factors.explained(response, factors.design(kinds)), 1, atol=1e-12)
    angle = np.arange(0, 360, 15.0)
    turned = 3 * np.cos(np.deg2rad(angle - 40))[:, None] + 7
    np.testing.assert_allclose(factors.explained(turned, factors.design(angle, 360)), 1, atol=1e-12)
    assert factors.explained(turned, factors.design(angle))[0] < 0.5  # a line does not close upon itself


def test_two_groups_give_the_adjusted_squared_correlation():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=30), rng.normal(size=(30, 4))
    r2 = np.array([np.corrcoef(x, y[:, k])[0, 1] ** 2 for k in range(4)])
    np.testing.assert_allclose(factors.explained(y, factors.design(x)), 1 - (1 - r2) * 29 / 28, atol=1e-12)


def test_a_factor_that_says_nothing_explains_nothing_on_average():
    rng = np.random.default_rng(1)
    kinds = np.array(list("abcdefghijkl") * 5)
    shares = factors.explained(rng.normal(size=(60, 4000)), factors.design(kinds))
    assert abs(shares.mean()) < 0.01  # without adjustment 11 / 59 = 0.19


@pytest.mark.parametrize(
    "values", [np.array(["a"] * 8), np.array(list("abcdefgh")), np.zeros(8), np.array([1.0, np.nan] * 4)]
)
def test_what_is_no_factor_gives_no_predictors(values):
    assert factors.design(values) is None


def test_a_response_without_variance_has_no_share_and_few_stimuli_are_refused():
    assert np.isnan(factors.explained(np.ones((6, 1)), np.arange(6.0)[:, None])[0])
    with pytest.raises(InputError, match="too few for a factor with 1 predictors"):
        factors.explained(np.ones((3, 1)), np.arange(3.0)[:, None])
