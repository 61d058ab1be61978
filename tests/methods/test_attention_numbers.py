"""Numbers that follow from attention maps, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dashboard.errors import InputError
from dashboard.methods import attention


def maps(n=2, heads=3, tokens=5, seed=0):
    weights = np.random.default_rng(seed).exponential(size=(n, heads, tokens, tokens))
    return weights / weights.sum(-1, keepdims=True)


def test_entropy_is_zero_on_one_key_and_one_when_even():
    weights = np.zeros((1, 1, 3, 4))
    weights[0, 0, 0, 2] = 1
    weights[0, 0, 1] = 0.25
    weights[0, 0, 2, :2] = 0.5
    np.testing.assert_allclose(attention.entropy(weights)[0, 0], [0, 1, 0.5], atol=1e-12)
    allowed = np.array([[[4, 4, 2]]])
    np.testing.assert_allclose(attention.entropy(weights, allowed)[0, 0], [0, 1, 1], atol=1e-12)


def test_entropy_of_causal_rows_is_that_of_their_own_keys():
    weights = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    found = attention.entropy(weights[None, None], np.arange(1, 5)[None, None])[0, 0]
    assert np.isnan(found[0])  # one key: there is nothing to spread over
    np.testing.assert_allclose(found[1:], 1, atol=1e-12)


def test_attention_received_and_shares():
    weights = maps()
    np.testing.assert_allclose(attention.received(weights).sum(-1), 1)
    rows = np.array([[True, True, False, False, False], [False, False, False, True, False]])
    found = attention.received(weights, rows)
    np.testing.assert_allclose(found[0], weights[0, :, :2].mean(1))
    np.testing.assert_allclose(found[1], weights[1, :, 3])
    special = np.array([True, False, False, False, True])
    np.testing.assert_allclose(attention.share(weights, special), weights[..., 0] + weights[..., 4])
    np.testing.assert_allclose(attention.share(weights, special) + attention.share(weights, ~special), 1)


def test_distance_on_a_line():
    """A query in the corner of 1 × 3 places, 10 pixels apart, and a special token that lies nowhere."""
    centres = np.array([[[np.nan, np.nan], [5, 5], [5, 15], [5, 25]]])
    weights = np.zeros((1, 2, 4, 4))
    weights[0, 0, 1] = [0.5, 0.1, 0.2, 0.2]  # half of it to the special token
    weights[0, 1, 2] = [0, 0.5, 0, 0.5]
    weights[0, 1, 3, 0] = 1
    found = attention.distance(weights, centres, centres)
    assert found[0, 0, 1] == pytest.approx((0.2 * 10 + 0.2 * 20) / 0.5)
    assert found[0, 1, 2] == pytest.approx(10)
    assert np.isnan(found[0, 1, 3])  # looks only at the special token
    assert np.isnan(found[0, :, 0]).all()


def test_distance_of_even_attention_is_the_mean_distance():
    side = 4
    centres = 8.0 * np.stack(np.divmod(np.arange(side**2), side), axis=-1)[None]
    found = attention.distance(np.full((1, 1, 16, 16), 1 / 16), centres, centres)
    expected = np.linalg.norm(centres[0][:, None] - centres[0][None], axis=-1).mean(1)
    np.testing.assert_allclose(found[0, 0], expected)


def test_distance_in_windows_uses_the_places_of_each():
    centres = np.array([[[0.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [4.0, 0.0]]])  # two windows of two tokens
    weights = np.tile(np.array([[0.0, 1.0], [1.0, 0.0]]), (4, 1, 1, 1))  # of two stimuli
    found = attention.distance(weights, centres, centres)
    np.testing.assert_allclose(found[:, 0, 0], [3, 4, 3, 4])
    np.testing.assert_allclose(attention.per_head(found, 2), [[3.5], [3.5]])


def test_means_over_queries_leave_out_what_is_unknown():
    values = np.array([[[1.0, np.nan, 3.0]], [[np.nan, np.nan, np.nan]]])
    found = attention.per_head(values, 2)
    assert found[0, 0] == 2
    assert np.isnan(found[1, 0])
    assert attention.per_head(values, 2, np.array([[True, True, False]] * 2))[0, 0] == 1


def test_rollout_of_one_layer_and_of_many():
    one, two = maps(seed=1), maps(seed=2)
    eye = np.eye(5)
    np.testing.assert_allclose(attention.rollout([one]), (one.mean(1) + eye) / 2)
    first, second = (one.mean(1) + eye) / 2, (two.mean(1) + eye) / 2
    np.testing.assert_allclose(attention.rollout([one, two]), second @ first)
    np.testing.assert_allclose(attention.rollout([one, two, one]).sum(-1), 1)


def test_rollout_through_a_chain():
    """Every token looks at the one before it: after three layers what is held is binomial."""
    step = np.eye(6, k=-1)
    step[0, 0] = 1
    found = attention.rollout([step[None, None]] * 3)[0]
    np.testing.assert_allclose(found[5], [0, 0, 1 / 8, 3 / 8, 3 / 8, 1 / 8])


def test_relevance_keeps_only_what_helps():
    weights, slopes = maps(1, 2, 3, seed=3), np.random.default_rng(4).normal(size=(1, 2, 3, 3))
    kept = np.maximum(weights * slopes, 0).mean(1)
    np.testing.assert_allclose(attention.relevance([weights], [slopes]), np.eye(3) + kept)
    found = attention.relevance([weights, weights], [slopes, slopes])
    np.testing.assert_allclose(found, np.linalg.matrix_power((np.eye(3) + kept)[0], 2)[None])
    np.testing.assert_array_equal(attention.relevance([weights], [-np.abs(slopes)])[0], np.eye(3))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([], "no attention map"),
        ([(4, 16, 16)], "within windows"),
        ([(1, 16, 4)], "not the same tokens"),
        ([(1, 16, 16), (1, 4, 4)], "not the same tokens"),
    ],
)
def test_flow_is_refused_where_it_is_not_defined(shapes, words):
    assert words in attention.why_no_flow(shapes)


def test_maps_of_windows_and_pooled_keys_are_refused():
    assert attention.why_no_flow([(1, 5, 5)] * 3) == ""
    with pytest.raises(InputError, match="not the same tokens"):
        attention.rollout([np.ones((1, 2, 16, 4)) / 4])
    with pytest.raises(InputError, match="within windows"):
        attention.rollout([np.ones((8, 2, 16, 16)) / 16, np.ones((2, 2, 16, 16)) / 16])
    with pytest.raises(InputError, match="no attention map"):
        attention.relevance([], [])


def test_lengths_of_values_weigh_the_map():
    weights, lengths = maps(1, 2, 3), np.array([[[1.0, 2.0, 0.0], [0.0, 1.0, 4.0]]])
    found = attention.value_weighted(weights, lengths)
    np.testing.assert_allclose(found[0, 1, 2], weights[0, 1, 2] * [0, 1, 4])
    assert found[0, 0, 0, 2] == 0  # all the weight on a value of no length adds nothing


def test_products_sum_to_the_score():
    random = np.random.default_rng(0)
    query, key = random.normal(size=(2, 8))
    assert attention.products(query, key, 0.25).sum() == pytest.approx(0.25 * query @ key)


def test_agreement_is_spearmans():
    random = np.random.default_rng(5)
    a, b = random.normal(size=(2, 3, 20))
    a[0] = np.round(a[0])  # ties
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(attention.agreement(a, b), expected, atol=1e-12)
    assert attention.agreement(b[0], np.exp(b[0])) == pytest.approx(1)
    assert np.isnan(attention.agreement(np.ones(5), b[0, :5]))
    holed = b[0].copy()
    holed[3] = np.nan
    assert attention.agreement(a[1], holed) == pytest.approx(
        stats.spearmanr(np.delete(a[1], 3), np.delete(b[0], 3)).statistic
    )
