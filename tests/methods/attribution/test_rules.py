from __future__ import annotations

import copy
import itertools
import warnings

import captum.attr
import numpy as np
import pytest
import torch
from attributed import bundled, explained, filled, state, target_of
from torch import nn
from torch.nn import functional as F

from dashboard import networks
from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS
from dashboard.methods.attribution.base import Explained, Settings, Truncated
from dashboard.methods.attribution.safe_copy import SideBySide, UnsafeNetwork, safe_copy


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class DigitsCNN(nn.Module):
    """One ReLU in place, used twice; overlapping max-pooling; a functional ReLU and a ReLU6."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.hidden, self.out = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(self.relu(self.conv1(x)), 3, 2, padding=1)
        x = F.max_pool2d(self.relu(self.conv2(x)), kernel_size=2)
        return self.out(F.relu6(F.relu(self.hidden(x.flatten(1)))))


def digits():
    """Trained for a moment, so that scores change."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.from_numpy(data.images).float()[:, None] / 16
    y = torch.from_numpy(data.target)
    torch.manual_seed(0)
    module = DigitsCNN()
    optimiser = torch.optim.Adam(module.parameters(), 3e-3)
    for part in torch.randperm(1600).split(64):
        optimiser.zero_grad()
        F.cross_entropy(module(x[part]), y[part]).backward()
        optimiser.step()
    return module.eval().requires_grad_(False), x[1600:1604]


NETWORKS = {
    "resnet18": lambda: filled("resnet18"),
    "vgg11": lambda: filled("vgg11"),
    "alexnet": lambda: filled("alexnet", 96),
    "squeezenet1_0": lambda: filled("squeezenet1_0"),
    "densenet121": lambda: filled("densenet121"),
    "objects_cnn": lambda: bundled("objects_cnn", 4),
    "digits": digits,
}


def by_shap(module, inputs, baselines, target):
    """DeepSHAP by shap's DeepExplainer, on a repaired copy of a private copy."""
    import shap

    safe = safe_copy(copy.deepcopy(module))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.DeepExplainer(_OneScore(safe, target), baselines)
        values = explainer.shap_values(inputs.clone(), check_additivity=False)
    return torch.from_numpy(np.asarray(values)).reshape(inputs.shape)


class _OneScore(nn.Module):
    def __init__(self, network, target):
        super().__init__()
        self.network, self.target = network, target

    def forward(self, x):
        return self.network(x)[:, [self.target]]


@pytest.mark.parametrize("name", list(NETWORKS))
def test_deepshap_is_complete_and_both_libraries_agree(name):
    module, pictures = NETWORKS[name]()
    with torch.no_grad():  # of random weights most scores hardly change: take the one that changes most
        change = module(pictures[:1])[0] - module(pictures[1:3]).mean(0)
    one = explained(module, pictures[:1], pictures[1:3], int(change.abs().argmax()))
    small = name in ("resnet18", "objects_cnn", "digits")
    before = state(module, pictures[:1]) if small else None
    assert METHODS["deepshap"].why_not(one, Settings()) == ""
    found = METHODS["deepshap"].run(one, Settings())
    assert abs(float(found.values.sum()) - found.total) <= 1e-5 * abs(found.total)
    assert found.notes == ()
    theirs = by_shap(module, one.inputs, one.baselines, target_of(one))
    assert float((found.values - theirs[0]).abs().max()) <= 1e-6 * max(1, float(found.values.abs().max()))
    assert not small or state(module, pictures[:1]) == before


def test_on_a_network_that_needs_no_repair_it_is_captums():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3))
    module.requires_grad_(False)
    x = torch.randn(3, 6)
    one = Explained(module, x[:1], x[1:], lambda out: out[:, 2], kind="table")
    theirs = captum.attr.DeepLiftShap(module).attribute(x[:1].clone(), x[1:].clone(), target=2)
    assert torch.allclose(METHODS["deeplift"].run(one, Settings()).values, theirs[0].double(), atol=1e-6)


def test_scores_that_are_not_linear_in_the_outputs_are_complete_too():
    module, pictures = bundled("objects_cnn", 4)
    for score in (lambda out: out.softmax(1)[:, 3], lambda out: out[:, 1] - out[:, 2]):
        one = Explained(module, pictures[:1], pictures[1:], score)
        found = METHODS["deepshap"].run(one, Settings(batch=2))
        assert abs(float(found.values.sum()) - found.total) <= 1e-4 * abs(found.total) + 1e-7


def test_why_a_unit_fires_by_deeplift():
    module, pictures = bundled("objects_cnn", 3)
    inside = Truncated(module, "block3")
    one = Explained(inside, pictures[:1], pictures[1:], lambda out: out[:, :8].mean((1, 2, 3)))
    assert torch.allclose(safe_copy(inside)(pictures), inside(pictures), atol=1e-6)
    found = METHODS["deepshap"].run(one, Settings())
    assert abs(float(found.values.sum()) - found.total) <= 1e-5 * abs(found.total)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_windows_side_by_side_are_max_pooling(ceil_mode):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 11, 14)
    for kernel, stride, padding, dilation in itertools.product(
        (2, 3, (3, 2)), (None, 1, 2, 3), (0, 1), (1, 2)
    ):
        settings = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        settings["ceil_mode"] = ceil_mode
        assert torch.equal(SideBySide(**settings)(x), nn.MaxPool2d(**settings)(x))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilenet_v3_small", ["Hardswish", "Hardsigmoid", "gating"]),
        ("efficientnet_b0", ["SiLU", "Sigmoid"]),
        ("convnext_tiny", ["GELU"]),
    ],
)
def test_operations_without_a_rule_are_named(name, words):
    module, pictures = filled(name)
    told = METHODS["deepshap"].why_not(explained(module, pictures[:1]), Settings())
    assert told.endswith("for which DeepLIFT is not exact. Use integrated gradients.")
    for word in words[:1]:
        assert word in told
    with pytest.raises(InputError):
        METHODS["deeplift"].run(explained(module, pictures[:1]), Settings())


def test_transformers_and_recurrent_networks_are_refused():
    module, pictures = bundled("objects_vit", 1)
    assert "LayerNorm and attention" in METHODS["deeplift"].why_not(explained(module, pictures), Settings())
    network = networks.load("bundled:digits_lstm")
    one = explained(network.module, torch.rand(1, *network.input_shape))
    assert "LSTM" in METHODS["deeplift"].why_not(one, Settings())


# --- relevance -------------------------------------------------------------------------------------


def test_relevance_of_one_layer_is_the_epsilon_rule():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).requires_grad_(False)
    x = torch.randn(1, 5)
    one = Explained(module, x, torch.zeros_like(x), lambda out: out[:, 1], kind="table")
    hidden = module[0](x).clamp_min(0)[0]
    above = hidden * module[2].weight[1] / module(x)[0, 1] * module(x)[0, 1]
    below = (x[0] * module[0].weight / (module[0](x)[0])[:, None] * above[:, None]).sum(0)
    found = METHODS["lrp"].run(one, Settings())
    assert torch.allclose(found.values, below.double(), atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0", "mobilenet_v2"])
def test_relevance_of_networks_with_shortcuts(name):
    module, pictures = filled(name)
    one = explained(module, pictures[:1])
    assert METHODS["lrp"].why_not(one, Settings()) == ""
    found = METHODS["lrp"].run(one, Settings())
    assert torch.isfinite(found.values).all()
    assert found.values.any()


def test_relevance_of_a_resnet_is_zennits_own():
    from zennit.composites import EpsilonPlus
    from zennit.torchvision import ResNetCanonizer

    module, pictures = filled("resnet18")
    before = state(module, pictures[:1])
    one = explained(module, pictures[:1])
    found = METHODS["lrp"].run(one, Settings()).values
    assert state(module, pictures[:1]) == before
    own, x = copy.deepcopy(module), pictures[:1].clone().requires_grad_()
    with EpsilonPlus(canonizers=[ResNetCanonizer()]).context(own) as hooked:
        out = hooked(x)
        relevance = torch.zeros_like(out)
        relevance[0, target_of(one)] = out[0, target_of(one)].detach()
        (theirs,) = torch.autograd.grad(out, x, relevance)
    assert float((found - theirs[0].double()).abs().max() / theirs.abs().max()) < 1e-3


@pytest.mark.parametrize(("name", "words"), [("densenet121", "batch norm"), ("convnext_tiny", "GELU")])
def test_relevance_without_a_rule_is_refused(name, words):
    module, pictures = filled(name)
    told = METHODS["lrp"].why_not(explained(module, pictures[:1]), Settings())
    assert told.startswith("This layer-wise relevance propagation has no rule for")
    assert words in told


# --- a network that is one layer ---------------------------------------------------------------------


def test_one_linear_layer_has_its_closed_form():
    """DeepLIFT: weight times distance from the baseline; relevance: the share of weight times input."""
    torch.manual_seed(3)
    module = nn.Linear(6, 4).eval().requires_grad_(False)
    inputs, baselines = torch.randn(1, 6), torch.randn(5, 6)
    one = explained(module, inputs, baselines, target=2)
    weight, bias = module.weight[2].double(), float(module.bias[2])
    given = inputs[0].double()
    for name in ("deeplift", "deepshap", "linear-shap"):
        assert METHODS[name].why_not(one, Settings()) == ""
        found = METHODS[name].run(one, Settings())
        assert torch.allclose(found.values, weight * (given - baselines.double().mean(0)), atol=1e-6)
        assert not found.notes
    relevance = METHODS["lrp"].run(one, Settings())
    assert torch.allclose(relevance.values, weight * given, rtol=1e-5, atol=1e-6)
    logit = float(weight @ given) + bias
    assert relevance.extra["kept"] == pytest.approx(float(weight @ given) / logit, rel=1e-4)
    before = state(module, inputs)
    METHODS["deeplift"].run(one, Settings())
    assert state(module, inputs) == before


@pytest.mark.parametrize(("module", "words"), [(nn.LSTM(6, 4), "LSTM"), (nn.LayerNorm(6), "LayerNorm")])
def test_one_layer_without_a_rule_is_named(module, words):
    with pytest.raises(UnsafeNetwork, match=words):
        safe_copy(module.eval())
