"""Linear SHAP: the closed form, shap's own, and the sentence for every network that is not linear."""

from __future__ import annotations

import attributed
import numpy as np
import pytest
import torch
from torch import nn

from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS
from dashboard.methods.attribution.base import Explained, Settings

ENTRY = METHODS["linear-shap"]


def decoder(features: int = 12, outputs: int = 3) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, outputs)).eval().requires_grad_(False)


def rows(n: int = 21, features: int = 12) -> torch.Tensor:
    return torch.randn(n, features, generator=torch.Generator().manual_seed(2)) * 3 + 5


def test_values_are_weight_times_distance_from_the_mean():
    module, table = decoder(), rows()
    found = ENTRY.run(attributed.explained(module, table, target=1, kind="table"), Settings())
    weights, x = module[1].weight[1].double(), table.double()
    assert torch.allclose(found.values, weights * (x[0] - x[1:].mean(0)), rtol=0, atol=1e-10)
    assert float(found.values.sum()) == pytest.approx(found.total, abs=1e-10)
    assert found.standard_error is None


def test_values_equal_those_of_shap():
    shap = pytest.importorskip("shap")
    module, table = decoder(), rows()
    weights, bias = module[1].weight.double().numpy(), module[1].bias.double().numpy()
    # as many rows as it takes, or the masker draws some of them
    masker = shap.maskers.Independent(table[1:].double().numpy(), max_samples=100)
    theirs = shap.LinearExplainer((weights, bias), masker).shap_values(table[:1].double().numpy())
    theirs = np.asarray(theirs).reshape(1, 12, 3)
    for k in range(3):
        found = ENTRY.run(attributed.explained(module, table, target=k, kind="table"), Settings())
        assert np.abs(found.values.numpy() - theirs[0, :, k]).max() < 1e-10


def test_layers_that_are_linear_together_are_linear():
    """A convolution, a mean over places and two matrices, with batch norm in eval mode: one affine map."""
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.Linear(5, 2),
    )
    module.eval().requires_grad_(False)
    pictures = torch.randn(4, 3, 8, 8)
    one = attributed.explained(module, pictures, target=0)
    found = ENTRY.run(one, Settings())
    assert found.values.shape == (3, 8, 8)
    assert float(found.values.sum()) == pytest.approx(found.total, abs=1e-10)
    exact = METHODS["shapley"].run(attributed.explained(module, pictures[:2], target=0), Settings(samples=2))
    first = ENTRY.run(attributed.explained(module, pictures[:2], target=0), Settings())
    # of a linear game every order gives the Shapley values: the sums over segments agree
    labels = exact.extra["segments"]
    sums = torch.stack([first.values.sum(0)[labels == k].sum() for k in range(int(labels.max()) + 1)])
    assert torch.allclose(sums, torch.as_tensor(exact.extra["segment_values"]).double(), atol=1e-4)


class Kink(nn.Module):
    """Linear for every value below a bound, and flat above it."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.clamp(rows, max=self.bound).sum(1, keepdim=True)


class Single(nn.Module):
    """Knows single precision only."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ torch.ones(rows.shape[1], 1)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1)), "not linear"),
        (nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1)), "not linear"),
        (nn.Sequential(nn.Linear(12, 1), nn.Sigmoid()), "not linear"),
        (Kink(25.0), "not linear"),
        (Single(), "double precision"),
    ],
    ids=["relu", "tanh", "probability", "kink far away", "single precision"],
)
def test_others_are_refused_in_words(module, words):
    torch.manual_seed(4)
    one = attributed.explained(module.eval().requires_grad_(False), rows(), target=0, kind="table")
    said = ENTRY.why_not(one, Settings())
    assert words in said
    assert said.count(". ") == 1
    with pytest.raises(InputError, match=words):
        ENTRY.run(one, Settings())


def test_a_slight_bend_is_seen():
    """A thousandth of a percent of a tanh passes in single precision, and is refused all the same."""

    class Slight(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return (rows + 1e-5 * torch.tanh(rows)).sum(1, keepdim=True)

    one = attributed.explained(Slight(), rows(), target=0, kind="table")
    assert "not linear" in ENTRY.why_not(one, Settings())


def test_texts_are_refused():
    tokens = torch.tensor([[1, 2, 3]])
    one = Explained(nn.Identity(), tokens, tokens, lambda found: found[:, 0], kind="text")
    assert "numbers of tokens" in ENTRY.why_not(one, Settings())


def test_the_network_is_left_as_it_was():
    module, table = decoder(), rows()
    before = attributed.state(module, table)
    ENTRY.run(attributed.explained(module, table, target=0, kind="table"), Settings())
    assert attributed.state(module, table) == before
    assert module[1].weight.dtype == torch.float32
    assert not table.requires_grad
