"""Occlusion and ablation against captum and closed forms; the incremental passes against whole ones."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from captum.attr import FeatureAblation, Occlusion
from torch import nn

from dashboard import networks
from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS, incremental, perturbation, segments
from dashboard.methods.attribution.base import Explained, Settings


def small_cnn() -> nn.Module:
    """Everything that incremental passes must get right: strides, dilation, pooling, in-place ReLU, skips."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 5, 2, 2, bias=False)
            self.norm1 = nn.BatchNorm2d(6)
            self.relu = nn.ReLU(inplace=True)
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.conv2 = nn.Conv2d(6, 6, 3, 1, 2, dilation=2)
            self.conv3 = nn.Conv2d(12, 8, 3, 2, 0)
            self.head = nn.Linear(8, 4)

        def forward(self, x):
            x = self.pool(self.relu(self.norm1(self.conv1(x))))
            y = torch.relu(self.conv2(x))
            y += x
            x = torch.cat([x, y], dim=1)
            return self.head(self.conv3(x).mean((2, 3)))

    torch.manual_seed(0)
    net = Net()
    net.norm1.running_mean.normal_()
    net.norm1.running_var.uniform_(0.5, 2)
    nn.init.uniform_(net.norm1.weight, 0.5, 2)
    return net.eval().requires_grad_(False)


def picture(seed=0, side=66):
    return torch.randn(1, 3, side, side + 7, generator=torch.Generator().manual_seed(seed))


def explain(module, inputs, baselines=None, target=1, **more):
    baselines = torch.zeros_like(inputs) if baselines is None else baselines
    return Explained(module, inputs, baselines, lambda out: out[:, target], **more)


@pytest.mark.parametrize(("side", "stride"), [(8, 4), (7, 5), (16, 16), (66, 3)])
def test_occlusion_equals_captums(side, stride):
    net, x = small_cnn(), picture()
    settings = Settings(window=side, stride=stride)
    got = METHODS["occlusion"].run(explain(net, x), settings).values
    want = Occlusion(net).attribute(x, (3, side, side), strides=(3, stride, stride), target=1)
    assert got.shape == x.shape[2:]
    assert got.dtype == torch.float64
    # captum gives every channel the whole fall
    torch.testing.assert_close(got, want[0, 0].double(), atol=2e-6, rtol=0)


def test_occlusion_takes_the_mean_over_baselines():
    net, x = small_cnn(), picture()
    baselines = torch.cat([torch.zeros_like(x), picture(3)])
    settings = Settings(window=10, stride=7)
    both = perturbation.occlusion(explain(net, x, baselines), settings).values
    each = [perturbation.occlusion(explain(net, x, b[None]), settings).values for b in baselines]
    torch.testing.assert_close(both, torch.stack(each).mean(0), atol=1e-6, rtol=0)


def test_incremental_passes_are_used_and_equal_whole_ones():
    net, x = small_cnn(), picture()
    quick = incremental.prepared(net, x, (6, 6))
    assert quick is not None
    assert len(quick.stages) >= 2
    corners = torch.cartesian_prod(torch.arange(0, 61, 5), torch.arange(0, 68, 3))
    corners = torch.cat([corners, torch.tensor([[60, 67], [60, 0], [0, 67]])])
    patches = torch.randn(len(corners), 3, 6, 6, generator=torch.Generator().manual_seed(1))
    whole = x.repeat(len(corners), 1, 1, 1)
    for row, (r, c) in enumerate(corners.tolist()):
        whole[row, :, r : r + 6, c : c + 6] = patches[row]
    torch.testing.assert_close(quick.outputs(patches, corners), net(whole), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v2", "squeezenet1_0"])
def test_incremental_passes_equal_whole_ones_on_known_networks(name):
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.randn(1, 3, 96, 96)
    quick = incremental.prepared(net, x, (8, 8))
    assert quick is not None
    corners = torch.tensor([[0, 0], [41, 3], [88, 88], [17, 60]])
    patches = torch.zeros(4, 3, 8, 8)
    whole = x.repeat(4, 1, 1, 1)
    for row, (r, c) in enumerate(corners.tolist()):
        whole[row, :, r : r + 8, c : c + 8] = 0
    want = net(whole)
    assert float((quick.outputs(patches, corners) - want).abs().max()) <= 1e-5 * float(want.abs().max())


def test_a_network_that_cannot_be_traced_is_run_whole():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            x = self.conv(x)
            return x.mean((2, 3)) if x.sum() > -1e9 else x.amax((2, 3))

    torch.manual_seed(0)
    net, x = Branching().eval().requires_grad_(False), picture()
    assert incremental.prepared(net, x, (8, 8)) is None
    got = perturbation.occlusion(explain(net, x), Settings(window=8, stride=8)).values
    want = Occlusion(net).attribute(x, (3, 8, 8), strides=(3, 8, 8), target=1)[0, 0]
    torch.testing.assert_close(got, want.double(), atol=1e-6, rtol=0)


def test_a_network_whose_pictures_influence_each_other_is_caught():
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3, padding=1, padding_mode="zeros")

        def forward(self, x):
            return (self.conv(x).mean((2, 3)) * x.std()).flip(1)

    torch.manual_seed(0)
    net, x = Mixing().eval(), picture()
    assert incremental.prepared(net, x, (8, 8)) is None  # x is needed later: no cut before the end


def test_the_network_is_left_alone():
    net = small_cnn()
    before = copy.deepcopy(net.state_dict())
    perturbation.occlusion(explain(net, picture()), Settings(window=9, stride=9))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    names = [type(m).__name__ for m in net.modules()]
    assert names == [type(m).__name__ for m in small_cnn().modules()]
    assert not any(m._forward_hooks for m in net.modules())
    assert net.conv1.weight.is_contiguous()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(window=70, stride=8), "window of 70 pixels does not fit a picture of 66 × 73"),
        (Settings(window=4, stride=5), "leave gaps"),
        (Settings(window=0, stride=1), "window of 0 pixels"),
    ],
)
def test_windows_that_do_not_fit_are_refused(settings, sentence):
    assert sentence in METHODS["occlusion"].why_not(explain(small_cnn(), picture()), settings)
    with pytest.raises(InputError, match=sentence):
        METHODS["occlusion"].run(explain(small_cnn(), picture()), settings)


def test_window_suits_the_picture():
    assert perturbation.window(224, 224) == (16, 8)
    assert perturbation.window(8, 8) == (1, 1)


def test_ablation_equals_captums():
    net, x = small_cnn(), picture()
    labels = segments.slic(x[0], 12)
    baselines = picture(5)
    got = METHODS["ablation"].run(explain(net, x, baselines), Settings(segments=labels))
    want = FeatureAblation(net).attribute(x, baselines=baselines, target=1, feature_mask=labels[None, None])
    torch.testing.assert_close(got.values, want[0, 0].double(), atol=1e-6, rtol=0)
    per_segment = got.extra["segment_values"]
    torch.testing.assert_close(got.values, per_segment[labels])


def test_ablation_of_a_linear_network_is_weight_times_distance():
    torch.manual_seed(0)
    net = nn.Linear(6, 3).double().requires_grad_(False)
    x, b = torch.randn(1, 6).double(), torch.randn(4, 6).double()
    got = METHODS["ablation"].run(explain(net, x, b, kind="table"), Settings()).values
    torch.testing.assert_close(got, net.weight[1] * (x - b).mean(0))
    torch.testing.assert_close(
        METHODS["occlusion"].run(explain(net, x, b, kind="table"), Settings()).values, got
    )


def test_tokens_of_a_text():
    network = networks.load("bundled:tiny_text")
    ids = network.prepare(["the keys to the old cabinet"])
    hidden = torch.full_like(ids, 1)  # [UNK]
    hidden[0, 0] = ids[0, 0]
    special = (True, *(~network.text.mask(ids)[0, 1:]).tolist())
    e = Explained(network.module, ids, hidden, lambda out: out[:, 1], "text", special=special)
    got = METHODS["ablation"].run(e, Settings()).values
    assert got.shape == ids.shape[1:]
    assert got[0] == 0
    keys = ids.clone()
    keys[0, 2] = 1
    want = float(network.module(ids)[0, 1] - network.module(keys)[0, 1])
    assert float(got[2]) == pytest.approx(want, abs=1e-5)
    assert int(got.argmax()) == 2  # "keys" makes the verb plural


def test_progress_is_told_and_may_stop_it():
    told = []
    perturbation.occlusion(explain(small_cnn(), picture()), Settings(window=16, stride=16), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perturbation.occlusion(explain(small_cnn(), picture()), Settings(), stop)
