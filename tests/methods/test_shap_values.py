"""SHAP values of tables against closed forms and shap."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from dashboard import networks
from dashboard.errors import InputError
from dashboard.methods import shap_values as sv

RANDOM = np.random.default_rng(0)


def decoder(features=15, outputs=3):
    table, background = RANDOM.normal(size=(20, features)), RANDOM.normal(size=(50, features))
    fitted = Ridge().fit(background, RANDOM.normal(size=(50, outputs)))
    return fitted, table, background


def test_linear_decoders_are_exact():
    fitted, table, background = decoder()
    found = sv.linear(fitted.coef_, fitted.intercept_, table, background)
    want = fitted.coef_.T * (table - background.mean(0))[:, :, None]
    np.testing.assert_allclose(found.values, want, atol=1e-10, rtol=0)
    np.testing.assert_allclose(found.outputs, fitted.predict(table), atol=1e-10)
    assert found.gap < 1e-10


def test_linear_decoders_agree_with_shaps_linear_explainer():
    import shap

    fitted, table, background = decoder(outputs=1)
    theirs = shap.LinearExplainer((fitted.coef_.ravel(), fitted.intercept_[0]), background).shap_values(table)
    ours = sv.linear(fitted.coef_, fitted.intercept_, table, background)
    np.testing.assert_allclose(ours.values[:, :, 0], theirs, atol=1e-10, rtol=0)


def test_classifiers_are_explained_in_log_odds():
    _, table, background = decoder()
    fitted = LogisticRegression().fit(background, background[:, 0] > 0)
    found = sv.linear(fitted.coef_, fitted.intercept_, table, background)
    np.testing.assert_allclose(found.outputs[:, 0], fitted.decision_function(table), atol=1e-10)
    assert sv.importance(found.values).order[0] == 0


@pytest.mark.parametrize("estimate", [sv.kernel, sv.permutation])
def test_estimates_of_a_linear_decoder_are_exact(estimate):
    fitted, table, background = decoder()
    exact = sv.linear(fitted.coef_, fitted.intercept_, table[:3], background)
    found = estimate(fitted.predict, table[:3], background, samples=20)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-8)
    assert found.gap < 1e-8
    assert found.standard_error.max() < 1e-8


@pytest.mark.parametrize("estimate", [sv.kernel, sv.permutation])
def test_the_v1_decoder(estimate):
    network = networks.load("bundled:v1_decoder")
    random = np.random.default_rng(1)
    responses = random.uniform(-1, 2, size=(12, 200))
    predict = sv.of_network(network.module, (200,))
    found = estimate(predict, responses[:1], responses[2:], samples=24)
    assert found.values.shape == (1, 200, 2)
    assert found.gap < 1e-4
    again = estimate(predict, responses[:1], responses[2:], samples=24)
    assert np.array_equal(found.values, again.values)
    other = estimate(predict, responses[:1], responses[2:], samples=24, seed=1)
    typical = np.sqrt((found.standard_error**2 + other.standard_error**2).mean())
    assert np.sqrt(((found.values - other.values) ** 2).mean()) == pytest.approx(typical, rel=0.35)


def test_the_pixels_of_digits():
    from models import _digits

    network = networks.load("bundled:digits_mlp")
    rows = _digits.split(0)[2].inputs[:12].reshape(12, -1).numpy()
    predict = sv.of_network(network.module, (1, 8, 8))
    a = sv.permutation(predict, rows[:2], rows[2:], samples=30)
    b = sv.kernel(predict, rows[:2], rows[2:], samples=30)
    assert a.values.shape == (2, 64, 10)
    assert max(a.gap, b.gap) < 1e-4
    assert np.corrcoef(a.values.ravel(), b.values.ravel())[0, 1] > 0.95


def test_importance_has_the_mean_and_its_interval():
    values = RANDOM.normal(size=(400, 3)) * [1, 3, 0.1]
    found = sv.importance(values)
    assert found.order.tolist() == [1, 0, 2]
    np.testing.assert_allclose(found.mean[:, 0], np.abs(values).mean(0))
    # E|x| of a normal variable is sd · sqrt(2 / pi); 95 % intervals hold it (with this seed)
    truth = np.array([1, 3, 0.1]) * np.sqrt(2 / np.pi)
    assert ((found.lower[:, 0] < truth) & (truth < found.upper[:, 0])).all()
    assert "cell 2 matters most" in found.sentence(("cell 1", "cell 2", "cell 3"))
    assert (
        sv.importance(values * 0).sentence(("a", "b", "c"))
        == "No feature changes the output over these rows."
    )


def test_summaries_by_class():
    values = np.array([[1.0, 0], [3, 0], [0, -2]])
    found = sv.by_class(values, np.array([4, 4, 7]))
    assert set(found) == {4, 7}
    assert found[4].mean[:, 0].tolist() == [2, 0]
    assert found[7].order.tolist() == [1, 0]
    with pytest.raises(InputError, match="2 classes for 3 rows"):
        sv.by_class(values, np.array([1, 2]))


def test_beeswarm_lays_out_every_dot():
    values = RANDOM.normal(size=(30, 4)) * [1, 4, 2, 0.5]
    table = np.tile(np.arange(30.0)[:, None], (1, 4))
    table[:, 3] = 5.0
    found = sv.beeswarm(values, table, most=4)
    assert found["feature"][::30].tolist() == [1, 2, 0, 3]
    first = found["feature"] == 1
    np.testing.assert_array_equal(found["value"][first], values[:, 1])
    np.testing.assert_allclose(found["level"][first], np.arange(30) / 29)
    np.testing.assert_allclose(found["level"][found["feature"] == 3], 0.5)  # one value, one colour
    assert np.abs(found["offset"]).max() == 1
    assert sv.beeswarm(values[:1], table[:1])["offset"].tolist() == [0] * 4


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: sv.linear(np.ones(3), 0, np.ones((2, 4)), np.ones((2, 4))),
            "3 coefficients and the table 4",
        ),
        (lambda: sv.linear(np.ones(3), 0, np.ones((2, 3)), np.ones((2, 4))), "different features"),
        (lambda: sv.linear(np.ones(3), 0, np.ones((0, 3)), np.ones((2, 3))), "no rows"),
        (lambda: sv.linear(np.ones(3), 0, np.full((1, 3), np.nan), np.ones((2, 3))), "no numbers"),
        (lambda: sv.kernel(np.sum, np.ones((1, 3)), np.ones((2, 3)), samples=3), "3 samples are too few"),
        (lambda: sv.permutation(np.sum, np.ones((1, 3)), np.ones((2, 3)), samples=1), "no standard error"),
        (lambda: sv.beeswarm(np.ones((2, 3)), np.ones((3, 3))), "different shapes"),
        (lambda: sv.importance(np.ones(3)), "no SHAP values"),
    ],
)
def test_bad_input_is_told(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_a_network_keeps_its_precision():
    module = torch.nn.Linear(4, 2).double()
    rows = RANDOM.normal(size=(3, 2, 2))
    want = module(torch.from_numpy(rows.reshape(3, 4))).detach().numpy()
    np.testing.assert_allclose(sv.of_network(module, (4,))(rows.reshape(3, 4)), want, atol=1e-12)
