"""Gates and states of recurrent layers, recomputed from their weights, against torch's own output."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import recurrent

torch = pytest.importorskip("torch")
nn = torch.nn


def weights_of(module, layer: int, direction: int) -> recurrent.Weights:
    end = f"_l{layer}" + ("_reverse" if direction else "")
    zeros = torch.zeros(module.weight_ih_l0.shape[0], dtype=torch.float64)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return recurrent.Weights(*(getattr(module, name + end, zeros).detach().numpy() for name in names))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {}),
        ("LSTM", {"num_layers": 3, "bidirectional": True}),
        ("LSTM", {"num_layers": 2, "bias": False}),
        ("GRU", {"num_layers": 2}),
        ("GRU", {"bidirectional": True}),
        ("RNN", {"num_layers": 2}),
        ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    ],
)
def test_states_equal_those_of_torch(kind, options):
    torch.manual_seed(3)
    module = getattr(nn, kind)(5, 7, batch_first=True, **options).double()
    layers, directions = module.num_layers, 2 if module.bidirectional else 1
    x = torch.randn(4, 6, 5, dtype=torch.float64)
    start = torch.randn(2, layers * directions, 4, 7, dtype=torch.float64)
    output, last = module(x, (start[0], start[1]) if kind == "LSTM" else start[0])
    held = [[weights_of(module, k, d) for d in range(directions)] for k in range(layers)]
    found = recurrent.unroll_stack(module.mode, held, x.numpy(), start[0].numpy(), start[1].numpy())
    hidden = np.concatenate([one["hidden state"] for one in found[-1]], axis=2)
    np.testing.assert_allclose(hidden, output.detach().numpy(), atol=1e-12)
    ends = [(0 if d else -1) for d in range(directions)]
    for k in range(layers):
        for d in range(directions):
            place = k * directions + d
            wanted = last[0] if kind == "LSTM" else last
            got = found[k][d]["hidden state"][:, ends[d]]
            np.testing.assert_allclose(got, wanted[place].detach().numpy(), atol=1e-12)
            if kind == "LSTM":
                cell = found[k][d]["cell state"][:, ends[d]]
                np.testing.assert_allclose(cell, last[1][place].detach().numpy(), atol=1e-12)


def test_a_shut_forget_gate_forgets_and_an_open_one_keeps():
    weights = recurrent.Weights(
        np.zeros((4, 1)), np.zeros((4, 1)), np.array([-50.0, 50.0, 0.0, 50.0]), np.zeros(4)
    )
    kept = recurrent.unroll("LSTM", weights, np.ones((1, 3, 1)), np.zeros((1, 1)), np.full((1, 1), 0.7))
    np.testing.assert_allclose(kept["cell state"].ravel(), 0.7, atol=1e-12)
    weights.bias_inputs[1] = -50
    lost = recurrent.unroll("LSTM", weights, np.ones((1, 3, 1)), np.zeros((1, 1)), np.full((1, 1), 0.7))
    np.testing.assert_allclose(lost["cell state"].ravel(), 0, atol=1e-12)


def test_an_update_gate_that_is_open_keeps_the_state():
    weights = recurrent.Weights(np.zeros((3, 1)), np.zeros((3, 1)), np.array([0.0, 50.0, 1.0]), np.zeros(3))
    found = recurrent.unroll("GRU", weights, np.ones((1, 4, 1)), np.full((1, 1), 0.3), np.zeros((1, 1)))
    np.testing.assert_allclose(found["hidden state"].ravel(), 0.3, atol=1e-12)


def test_plane_of_points_on_a_line_explains_everything_with_one_axis():
    along = np.linspace(-1, 1, 6).reshape(2, 3, 1) * np.array([3.0, 4.0])
    position, explained = recurrent.principal_plane(along)
    np.testing.assert_allclose(explained, [1, 0], atol=1e-12)
    np.testing.assert_allclose(position[..., 0].ravel(), 5 * np.linspace(-1, 1, 6), atol=1e-12)
    assert np.isnan(recurrent.principal_plane(np.ones((2, 3, 4)))[1]).all()


def test_what_does_not_fit_is_refused():
    weights = recurrent.Weights(np.zeros((4, 2)), np.zeros((4, 1)), np.zeros(4), np.zeros(4))
    state = np.zeros((1, 1))
    with pytest.raises(InputError, match="do not fit a recurrent layer of 2 inputs"):
        recurrent.unroll("LSTM", weights, np.ones((1, 3, 5)), state, state)
    with pytest.raises(InputError, match="GRU"):
        recurrent.unroll("GRUU", weights, np.ones((1, 3, 2)), state, state)
