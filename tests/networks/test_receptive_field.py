"""Receptive fields against published figures and against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dashboard.networks import receptive_field
from dashboard.networks.layers import tabulate


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def fields(module: nn.Module, shape=(3, 64, 64)):
    module = module.eval()
    return receptive_field.fields(module, shape, tabulate(module, shape))


def pixels(module: nn.Module, shape=(3, 64, 64)) -> dict[str, int | None]:
    return {name: found.pixels for name, found in fields(module, shape).items()}


def by_gradient(module: nn.Module, shape) -> int:
    """Extent of the gradient of the middle unit of the output along the longer side."""
    x = torch.rand((1, *shape), dtype=torch.float64, requires_grad=True)
    y = module.double()(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero()
    return int((seen.max(0).values - seen.min(0).values).max()) + 1


# Araujo, Norris & Sim 2019, with the stride of ResNet-50 in the 3 × 3 convolution as torchvision has it.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "resnet50",
            {"conv1": 7, "maxpool": 11, "layer1": 35, "layer2": 91, "layer3": 267, "layer4": 427, "fc": None},
        ),
        (
            "alexnet",
            {"features.0": 11, "features.3": 51, "features.6": 99, "features.8": 131, "features.10": 163}
            | {"features.12": 195, "avgpool": None, "classifier.6": None},
        ),
    ],
)
def test_published_figures(name, expected):
    import torchvision

    with torch.device("meta"):
        module = getattr(torchvision.models, name)(weights=None)
    layers = tabulate(module, (3, 224, 224))
    found = receptive_field.fields(module.eval(), (3, 224, 224), layers)
    assert {key: found[key].pixels for key in expected} == expected
    assert all(field.reason for field in found.values() if field.pixels is None)


def test_dilation_strides_and_pooling_by_hand():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=2, dilation=2),  # 1 + 2 · 2
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),  # 5 + 2
        nn.MaxPool2d(2),  # 7 + 1 · 2
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 9 + 2 · 4
    )
    assert pixels(module) == {"0": 5, "1": 5, "2": 7, "3": 9, "4": 17}


class Shortcut(nn.Module):
    """A residual block with in-place addition, and branches of different reach beside each other."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2)
        self.norm, self.point, self.wide = (
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 2, 1),
            nn.Conv2d(8, 2, 7, padding=3),
        )
        self.last = nn.Identity()

    def forward(self, x):
        y = self.a(x)
        z = self.norm(self.b(y))
        z += y
        z = F.relu(z)
        return self.last(torch.cat([self.point(z), self.wide(z)], 1))


def test_shortcuts_and_branches():
    found = pixels(Shortcut())
    assert found == {"a": 3, "b": 7, "norm": 7, "point": 7, "wide": 13, "last": 13}


def test_strided_and_upsampled_equal_the_gradient():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 5, stride=3, padding=2),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1),
        nn.Conv2d(4, 3, 1),
    )
    # Of the units behind an upsampling some reach further: the most that one of them sees.
    found = pixels(module, (2, 90, 90))["3"]
    shifts = [by_gradient(nn.Sequential(*module, _Shift(s)), (2, 90, 90)) for s in (0, 1)]
    assert found == max(shifts)
    assert min(shifts) < max(shifts)


class _Shift(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return torch.roll(x, (self.by, self.by), (2, 3))


def test_windows_that_are_not_square_give_the_longer_side():
    module = nn.Sequential(nn.Conv2d(3, 4, (7, 1), padding=(3, 0)), nn.Conv2d(4, 4, (1, 3), padding=(0, 1)))
    assert pixels(module) == {"0": 7, "1": 7}


def test_a_network_that_counts_its_channels():
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)

        def forward(self, x):
            left, right = self.a(x).chunk(2, 1)
            return self.b(left) + right.repeat(1, 2, 1, 1)

    assert pixels(Shuffled()) == {"a": 3, "b": 5}


def test_squeeze_and_excitation_sees_the_whole_picture():
    class Squeeze(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.gate = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
            self.out = nn.Identity()

        def forward(self, x):
            y = self.a(x)
            return self.out(y * self.gate(y.mean((2, 3), keepdim=True)).sigmoid())

    found = fields(Squeeze())
    assert found["a"].pixels == 3
    assert found["out"] == receptive_field.Field(None, receptive_field.WHOLE)


def test_attention_has_a_reason_and_the_patches_a_number():
    import torchvision

    module = torchvision.models.VisionTransformer(32, 8, 2, 4, 64, 128, num_classes=10)
    found = fields(module, (3, 32, 32))
    assert found["conv_proj"].pixels == 8
    assert found["encoder.layers.encoder_layer_1"].reason == receptive_field.ATTENTION
    assert found["heads.head"].reason == receptive_field.NO_PLACE


def test_recurrent_layers_have_a_reason():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.reader, self.last = nn.LSTM(8, 5, batch_first=True), nn.Linear(5, 4)

        def forward(self, x):
            return self.last(self.reader(x.squeeze(1))[0])

    found = fields(Rows(), (1, 8, 8))
    assert found["reader"].reason == found["last"].reason == receptive_field.RECURRENT


def test_inputs_that_are_no_pictures():
    found = receptive_field.fields(nn.Linear(3, 2), (3,), tabulate(nn.Sequential(nn.Linear(3, 2)), (3,)))
    assert found["0"].reason == receptive_field.NOT_A_PICTURE


def test_the_network_is_left_alone():
    module = Shortcut().train().requires_grad_(True)
    receptive_field.fields(module, (3, 64, 64), tabulate(module, (3, 64, 64)))
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    assert not any(m._forward_hooks for m in module.modules())
