"""Layer conductance: closed forms, captum's values, and what passes round a layer."""

from __future__ import annotations

import captum.attr
import pytest
import torch
from attributed import bundled, explained, state, target_of
from torch import nn

from dashboard.errors import InputError
from dashboard.methods.attribution.base import Explained, Truncated
from dashboard.methods.attribution.conductance import layer_conductance


class Square(nn.Module):
    """f(x) = Σ a_k (w_k · x)², with the products as a layer."""

    def __init__(self, skip=False):
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(6, 4, bias=False).double()
        self.weights, self.skip = torch.tensor([1.0, -2.0, 0.5, 3.0]).double(), skip

    def forward(self, x):
        found = (self.hidden(x) ** 2 @ self.weights)[:, None]
        return found + x.sum(1, keepdim=True) if self.skip else found


def square(skip=False):
    module = Square(skip).requires_grad_(False)
    torch.manual_seed(1)
    x, b = torch.randn(1, 6).double(), torch.randn(2, 6).double()
    return module, Explained(module, x, b, lambda out: out[:, 0], kind="table")


def test_of_a_square_it_is_the_difference_of_each_square():
    module, one = square()
    found = layer_conductance(one, "hidden", 0, steps=2)
    own, from_there = module.hidden(one.inputs)[0] ** 2, (module.hidden(one.baselines) ** 2).mean(0)
    assert torch.allclose(found.values, module.weights * (own - from_there), atol=1e-12)
    assert float(found.values.sum()) == pytest.approx(found.total, abs=1e-12)
    assert torch.allclose(found.activation, module.hidden(one.inputs)[0])
    assert torch.allclose(found.baseline_activation, module.hidden(one.baselines).mean(0))
    assert found.steps == 2


def test_what_goes_round_the_layer_is_missing_from_the_sum():
    _, one = square(skip=True)
    found = layer_conductance(one, "hidden", None, steps=4)
    round_it = float(one.inputs.sum() - one.baselines.sum(1).mean())
    assert found.total - float(found.values.sum()) == pytest.approx(round_it, abs=1e-10)
    assert found.steps == 36


@pytest.mark.parametrize("layer", ["block2", "block4"])
def test_it_is_captums_with_the_slope_at_the_start_of_each_part(layer):
    module, pictures = bundled("objects_cnn")
    one = explained(module, pictures[:2])
    ours = layer_conductance(one, layer, 0, steps=20, tolerance=0, ends="left")
    peer = captum.attr.LayerConductance(module, module.get_submodule(layer))
    theirs = peer.attribute(
        one.inputs,
        one.baselines,
        target_of(one),
        n_steps=20,
        method="riemann_trapezoid",
        internal_batch_size=10,
    )
    theirs = theirs[0].detach().double().flatten(1).sum(1)
    assert float((ours.values - theirs).abs().max() / theirs.abs().max()) < 1e-6


def test_channels_sum_to_the_change_of_the_score_and_leave_no_trace():
    module, pictures = bundled("objects_cnn")
    one = explained(module, pictures[:2])
    before = state(module, pictures)
    found = layer_conductance(one, "block4", 0, steps=20)
    assert found.values.shape == (128,)
    assert found.missing < 0.005
    assert state(module, pictures) == before


def test_a_unit_inside_is_explained_by_the_layers_before_it_only():
    module, pictures = bundled("objects_cnn")
    ended = Truncated(module, "block3")
    one = Explained(ended, pictures[:1], pictures[1:2], lambda out: out[:, 5].mean((1, 2)))
    assert layer_conductance(one, "network.block2", 0, steps=20).missing < 0.005
    with pytest.raises(InputError, match=r"reaches the score through block4\."):
        layer_conductance(one, "network.block4", 0, steps=2)


def test_bad_input_is_a_sentence():
    _, one = square()
    with pytest.raises(InputError, match="no layer"):
        layer_conductance(one, "hiden", 0)
    with pytest.raises(InputError, match="1 steps"):
        layer_conductance(one, "hidden", 0, steps=1)
