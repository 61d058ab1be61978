"""Operations against published figures and closed forms, per layer and in total."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from dashboard import networks
from dashboard.networks import flops


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def conv(inputs: int, outputs: int, size: int, side: int) -> int:
    return 2 * inputs * outputs * size * size * side * side


# torchvision's documentation gives multiply-adds ("GFLOPS" of its table); twice that are operations.
@pytest.mark.parametrize(
    ("name", "giga"),
    [("vit_b_16", 35.13), ("resnet50", 8.18), ("swin_t", 8.98), ("alexnet", 1.428), ("vgg11", 15.22)],
)
def test_published_totals(name, giga):
    import torchvision

    with torch.device("meta"):
        module = getattr(torchvision.models, name)(weights=None)
    assert flops.count(module, (3, 224, 224)).total / 1e9 == pytest.approx(giga, rel=0.002)


def test_alexnet_layer_by_layer():
    import torchvision

    with torch.device("meta"):
        module = torchvision.models.alexnet(weights=None)
    found = flops.count(module, (3, 224, 224))
    expected = {
        "features.0": conv(3, 64, 11, 55),
        "features.3": conv(64, 192, 5, 27),
        "features.6": conv(192, 384, 3, 13),
        "features.8": conv(384, 256, 3, 13),
        "features.10": conv(256, 256, 3, 13),
        "classifier.1": 2 * 9216 * 4096,
        "classifier.4": 2 * 4096 * 4096,
        "classifier.6": 2 * 4096 * 1000,
        "features.1": 0,
    }
    assert {name: found.calls[name] for name in expected} == expected
    assert found.total == sum(expected.values()) == found.calls["features"] + found.calls["classifier"]


class Sequence(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], looks: bool):
        super().__init__()
        self.reader, self.looks = kind(32, 64, 2, batch_first=True), looks

    def forward(self, x):
        if self.looks and x.sum() > 3:
            x = x + 1
        return self.reader(x)[0]


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_in_closed_form(kind, gates, looks):
    """Two operations per weight and step: gates · hidden · (inputs + hidden), for each of the two layers."""
    expected = 2 * 20 * gates * 64 * ((32 + 64) + (64 + 64))
    found = flops.count(Sequence(kind, looks), (20, 32))
    assert found.total == found.calls["reader"] == expected


class UNet(nn.Module):
    """Two levels, with a branch that looks at the data: it cannot run without values."""

    def __init__(self):
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.pool, self.up = nn.MaxPool2d(2), nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out, self.never = nn.Conv2d(16, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        a = self.down(x)
        y = self.out(torch.cat([a, self.up(self.deep(self.pool(a)))], 1))
        return self.never(y) if x.mean() > 0.5 else y


def test_u_net_with_a_branch_on_the_data():
    found = flops.count(UNet(), (3, 32, 32))
    expected = {
        "down": conv(3, 8, 3, 32),
        "deep": conv(8, 16, 3, 16),
        "up": 2 * 16 * 8 * 32 * 32,
        "out": conv(16, 1, 3, 32),
        "pool": 0,
    }
    assert found.calls == expected
    assert found.total == sum(expected.values())


def test_attention_counts_the_same_when_the_network_must_run_for_real():
    import torchvision

    class Looking(nn.Module):
        def __init__(self, looks):
            super().__init__()
            self.vit, self.looks = (
                torchvision.models.VisionTransformer(32, 8, 2, 4, 64, 128, num_classes=10),
                looks,
            )

        def forward(self, x):
            return self.vit(x + 1 if self.looks and x.sum() > 3 else x)

    tokens, width, hidden = 17, 64, 128
    block = 2 * tokens * (4 * width * width + 2 * width * hidden) + 4 * tokens * tokens * width
    expected = conv(3, width, 8, 4) + 2 * block + 2 * width * 10
    before = torch.backends.mha.get_fastpath_enabled()
    assert flops.count(Looking(False).eval(), (3, 32, 32)).total == expected
    assert flops.count(Looking(True).eval(), (3, 32, 32)).total == expected
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_a_module_used_twice_has_two_counts():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(6, 6)

        def forward(self, x):
            return self.a(self.a(x))

    assert flops.count(Twice(), (6,)).calls == {"a": 72, "a:2": 72}


def test_costs_of_a_bundled_network():
    network = networks.load("bundled:tilt_cnn")
    found = {cost.name: cost for cost in networks.costs(network)}
    assert list(found) == [layer.name for layer in network.layers]
    for layer in network.layers:
        assert found[layer.name].memory_bytes == 4 * layer.units
    assert networks.total_flops(network) == sum(found[row.name].flops for row in network.layers if row.leaf)


def test_costs_of_a_vision_transformer_come_quickly():
    network = networks.load("torchvision:vit_b_16?untrained&seed=0")
    start = time.process_time()
    found = {cost.name: cost for cost in networks.costs(network)}
    assert time.process_time() - start < 3
    assert found["conv_proj"].receptive_field == 16
    assert "whole picture" in found["encoder.layers.encoder_layer_3"].reason
    assert networks.total_flops(network) / 1e9 == pytest.approx(35.13, rel=0.01)
    networks._loaded.clear()
