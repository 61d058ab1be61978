"""The table of layers, the history of training, and the health of a network, against numbers by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import models
from dashboard import compute, networks, specs, stimuli
from dashboard.errors import InputError

torch = pytest.importorskip("torch")
TILT = "bundled:tilt_cnn"
HEALTH = specs.HealthSpec(network=TILT, stimuli="neuromatch-gratings?n=10", layers=("all",), batch=10)


def test_shapes_that_go_in_and_come_out_of_every_call():
    answer = compute.compute(specs.NetworkSpec(network=TILT))
    found = [
        tuple(map(str, row))
        for row in zip(answer.layer.values, answer.shape_in.values, answer["shape"].values, strict=True)
    ]
    assert found == [
        ("conv", "1 × 48 × 64", "6 × 48 × 64"),
        ("relu", "6 × 48 × 64", "6 × 48 × 64"),
        ("pool", "6 × 48 × 64", "6 × 6 × 8"),
        ("fc", "288", "10"),
        ("relu:2", "10", "10"),
        ("out", "10", "1"),
        ("sigmoid", "1", "1"),
    ]
    assert "kernel_size=(7, 7)" in str(answer.detail.values[0])
    assert answer.attrs["weight_bytes"] == 4 * answer.attrs["n_parameters"] == 4 * 3201
    assert json.loads(answer.attrs["card"])["licence"].startswith("MIT")


def test_card_of_the_untrained_twin_claims_no_result():
    answer = compute.compute(specs.NetworkSpec(network=f"{TILT}?untrained&seed=0"))
    assert "metrics" not in json.loads(answer.attrs["card"])


def test_training_is_the_history_of_the_card():
    history = models.card("digits_mlp")["history"]
    answer = compute.compute(specs.TrainingSpec(network="bundled:digits_mlp"))
    np.testing.assert_array_equal(
        answer.loss.sel(part="validation"), [row["validation_loss"] for row in history]
    )
    name = str(answer.module.values[0])
    np.testing.assert_array_equal(
        answer.gradient_norm.sel(module=name), [row["gradient_norm"][name] for row in history]
    )
    without = compute.compute(specs.TrainingSpec(network=TILT))
    assert without.sizes["module"] == 0
    for reference in (f"{TILT}?untrained&seed=0", "torchvision:squeezenet1_0?untrained&seed=0"):
        with pytest.raises(InputError, match="No training history"):
            compute.compute(specs.TrainingSpec(network=reference))


def test_activations_and_dead_units_equal_a_count_over_all_responses():
    answer = compute.compute(HEALTH)
    given = compute.compute(specs.ActivationsSpec(network=TILT, stimuli=HEALTH.stimuli, layers=("all",)))
    for name in map(str, answer.layer.values):
        values = given[name].to_numpy().astype(np.float64)
        one = answer.sel(layer=name)
        assert int(one.dead) == int((values == 0).all(axis=0).sum())
        assert int(one.constant) == int((values == values[0]).all(axis=0).sum())
        assert float(one["mean"]) == pytest.approx(values.mean(), abs=1e-9)
        assert float(one.sd) == pytest.approx(values.std(), abs=1e-7)
        assert float(one.zero_share) == pytest.approx((values == 0).mean())
        if values.size <= 200_000:  # else quantiles are those of random units
            np.testing.assert_allclose(one.activation, np.quantile(values, answer.level), atol=1e-7)
    relu = given["relu"].to_numpy().reshape(10, 6, -1)
    assert int(answer.sel(layer="relu").dead_channels) == int((relu == 0).all(axis=(0, 2)).sum())


def test_gradient_norms_equal_those_of_torch_for_the_loss_that_is_named():
    import copy

    answer = compute.compute(HEALTH)
    network, shown = networks.load(TILT), stimuli.load(HEALTH.stimuli)
    module = copy.deepcopy(network.module).requires_grad_(True)
    output = module(network.prepare([shown.picture(i) for i in range(10)])).double()
    truth = torch.tensor(shown.columns["label"]).double()[:, None]
    torch.nn.functional.binary_cross_entropy(output, truth).backward()
    wanted = [float(getattr(module, name).weight.grad.norm()) for name in ("conv", "fc", "out")]
    assert list(answer.module.values) == ["conv", "fc", "out"]
    np.testing.assert_allclose(answer.gradient_norm, wanted, rtol=1e-4)
    np.testing.assert_allclose(answer.gradient_rms, np.array(wanted) / np.sqrt([294, 2880, 10]), rtol=1e-4)
    assert "true classes" in answer.attrs["loss"]
    assert all(p.grad is None and not p.requires_grad for p in network.module.parameters())


def test_quantiles_of_weights():
    answer = compute.compute(HEALTH)
    weights = networks.load(TILT).module.fc.weight.detach().numpy()
    np.testing.assert_allclose(
        answer.weight.sel(module="fc"), np.quantile(weights.astype(np.float64), answer.level), atol=1e-12
    )
    assert list(answer.n_weights.values) == [294, 2880, 10]


def test_histograms_count_every_value_that_is_not_zero():
    answer = compute.compute(HEALTH)
    given = compute.compute(specs.ActivationsSpec(network=TILT, stimuli=HEALTH.stimuli, layers=("all",)))
    values = given["fc"].to_numpy().astype(np.float64)
    one = answer.sel(layer="fc")
    wanted, edges = np.histogram(values[values != 0], bins=60)
    np.testing.assert_array_equal(one.activation_count, wanted)
    np.testing.assert_allclose(one.activation_edge, edges, rtol=1e-6)
    relu = answer.sel(layer="relu:2")
    kept = int((given["relu:2"].to_numpy() != 0).sum())
    assert int(relu.activation_count.sum()) == kept
    np.testing.assert_array_equal(answer.weight_count.sum("bin") + answer.zero_weights, answer.n_weights)
    np.testing.assert_array_equal(answer.gradient_count.sum("bin") + answer.gradient_zeros, answer.n_weights)
    middle = (answer.gradient_edge.values[1:] + answer.gradient_edge.values[:-1]) / 2
    rms = np.sqrt((answer.gradient_count * 100.0**middle).sum("bin") / answer.n_weights)
    np.testing.assert_allclose(rms, answer.gradient_rms, rtol=0.15)


@pytest.mark.parametrize("network", ["bundled:digits_lstm", "bundled:v1_decoder", "bundled:objects_unet"])
def test_every_family_has_gradients_and_no_dead_answer(network):
    answer = compute.compute(specs.HealthSpec(network=network, stimuli="objects?n=3", batch=2))
    assert (answer.gradient_norm > 0).all()
    assert (answer.not_finite == 0).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 0}, "batch must be"),
        ({"network": "bundled:tiny_text"}, "reads text"),
        ({"layers": ("convv",)}, "Did you mean conv"),
    ],
)
def test_what_does_not_fit_says_why(changes, words):
    with pytest.raises(InputError) as error:
        compute.compute(HEALTH.replace(**changes))
    assert words in str(error.value)


def test_costs_of_the_tilt_network_against_a_count_by_hand():
    answer = compute.compute(specs.CostsSpec(network=TILT))
    # multiplications and additions: 6 kernels of 7 x 7 at 48 x 64 places, then two products
    conv, fc, out = 2 * 6 * 49 * 48 * 64, 2 * 288 * 10, 2 * 10
    np.testing.assert_array_equal(answer.flops.sel(layer=["conv", "fc", "out"]), [conv, fc, out])
    assert answer.attrs["total_flops"] == conv + fc + out
    np.testing.assert_array_equal(answer.receptive_field.sel(layer=["conv", "pool"]), [7, 14])
    assert np.isnan(answer.receptive_field.sel(layer="fc"))
    assert "place" in str(answer.receptive_field_note.sel(layer="fc").values)
    assert int(answer.memory.sel(layer="conv")) == 4 * 6 * 48 * 64
