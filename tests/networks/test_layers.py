from __future__ import annotations

import pytest
import torch
from torch import nn

from dashboard import networks
from dashboard.errors import InputError
from dashboard.networks.layers import select, tabulate


@pytest.fixture(scope="module")
def table():
    """Return a function that gives the layers of an architecture, by name, without memory for its weights."""
    import torchvision

    def make(name: str):
        with torch.device("meta"):
            module = getattr(torchvision.models, name)(weights=None)
        return tabulate(module, (3, 224, 224)), sum(p.numel() for p in module.parameters())

    return make


def by_name(rows):
    return {row.name: row for row in rows}


# Parameter counts: Krizhevsky 2014 (AlexNet as in torchvision), torchvision's documentation of each network.
@pytest.mark.parametrize(
    ("name", "parameters", "shapes"),
    [
        (
            "alexnet",
            61_100_840,
            {"features.0": (64, 55, 55), "features.12": (256, 6, 6), "classifier.6": (1000,)},
        ),
        (
            "vgg11",
            132_863_336,
            {"features.0": (64, 224, 224), "features.20": (512, 7, 7), "classifier.6": (1000,)},
        ),
        (
            "resnet50",
            25_557_032,
            {"conv1": (64, 112, 112), "layer4.2": (2048, 7, 7), "avgpool": (2048, 1, 1)},
        ),
        ("vit_b_16", 86_567_656, {"conv_proj": (768, 14, 14), "encoder": (197, 768), "heads": (1000,)}),
        ("squeezenet1_0", 1_248_424, {"features.3": (128, 54, 54), "features.12": (512, 13, 13)}),
    ],
)
def test_shapes_and_parameters(table, name, parameters, shapes):
    rows, total = table(name)
    assert total == parameters
    found = by_name(rows)
    assert {key: found[key].shape for key in shapes} == shapes
    assert all(row.batch_axis == 0 for row in rows)


def test_parameters_of_a_layer_include_what_it_contains(table):
    rows = by_name(table("squeezenet1_0")[0])
    assert rows["features.0"].parameters == 96 * 3 * 49 + 96
    inside = [rows[f"features.3.{part}"].parameters for part in ("squeeze", "expand1x1", "expand3x3")]
    assert rows["features.3"].parameters == sum(inside)
    assert rows["features.3"].units == 128 * 54 * 54
    assert (rows["features.3"].depth, rows["features.3.squeeze"].depth) == (1, 2)


def test_default_layers(table):
    def defaults(name):
        return [row.name for row in table(name)[0] if row.default]

    fires = [f"features.{i}" for i in (3, 4, 5, 7, 8, 9, 10, 12)]
    assert defaults("squeezenet1_0") == ["features.0", *fires, "classifier.1"]
    convolutions = [f"features.{i}" for i in (0, 3, 6, 8, 10)]
    assert defaults("alexnet") == [*convolutions, "classifier.1", "classifier.4", "classifier.6"]
    resnet = defaults("resnet50")
    assert (resnet[0], resnet[-1], len(resnet)) == ("conv1", "fc", 10)
    assert {name.partition(".")[0] for name in resnet[1:-1]} == {"layer1", "layer2", "layer3", "layer4"}
    vit = defaults("vit_b_16")
    assert (vit[0], vit[-1], len(vit)) == ("conv_proj", "heads.head", 10)
    assert (vit[1], vit[-2]) == ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11")
    assert len(defaults("vgg11")) == 10


def test_rows_come_in_the_order_in_which_outputs_are_ready(table):
    names = [row.name for row in table("resnet50")[0]]
    assert names.index("layer1.0.conv1") < names.index("layer1.0.relu") < names.index("layer1.0.relu:3")
    assert names.index("layer1.0.relu:3") < names.index("layer1.0") < names.index("layer1.1.conv1")


def test_a_module_used_twice_has_two_rows():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.relu = nn.Linear(3, 5), nn.Linear(5, 2), nn.ReLU()

        def forward(self, x):
            return self.relu(self.b(self.relu(self.a(x))))

    rows = by_name(tabulate(Twice(), (3,)))
    assert (rows["relu"].shape, rows["relu:2"].shape) == ((5,), (2,))


def test_batch_axis_channel_axis_and_rows_that_are_no_responses():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 1)
            self.first = nn.LSTM(6, 4)  # (time, batch, features)
            self.table = nn.Linear(2, 2)
            self.windows = nn.Linear(4, 7)

        def forward(self, x):
            y = self.conv(x).flatten(2).permute(2, 0, 1)
            y, _ = self.first(y)
            self.table(x.new_zeros(3, 2))
            y = y.transpose(0, 1)
            return self.windows(y.reshape(-1, 2, 4)).sum((1, 2))

    rows = by_name(tabulate(Odd(), (3, 2, 3)))
    assert (rows["conv"].channel_axis, rows["conv"].positions) == (0, 6)
    assert (rows["first"].shape, rows["first"].batch_axis, rows["first"].channel_axis) == ((6, 4), 1, 1)
    assert (rows["windows"].shape, rows["windows"].channels) == ((3, 2, 7), 7)
    assert "table" not in rows


def test_channels_last_is_found_in_swin(table):
    rows = by_name(table("swin_t")[0])
    assert rows["features.0.0"].channel_axis == 0
    assert (rows["features.7.1"].shape, rows["features.7.1"].channels) == ((7, 7, 768), 768)
    assert (rows["permute"].shape, rows["permute"].channels) == ((768, 7, 7), 768)


def test_networks_that_look_at_values_are_run_for_real_and_mode_is_kept():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.norm(self.a(x)) if x.sum() < 1 else x

    module = Branching().train()
    mean = module.norm.running_mean.clone()
    assert [row.name for row in tabulate(module, (1, 5, 5))] == ["a", "norm"]
    assert module.training
    assert torch.equal(module.norm.running_mean, mean)
    assert not module.a._forward_hooks


def test_input_that_does_not_fit_is_one_sentence():
    with pytest.raises(InputError, match="cannot process an input of 3 × 4"):
        tabulate(nn.Linear(7, 2), (3, 4))


def test_a_small_network_shows_all_layers_but_single_units():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    assert [row.name for row in tabulate(module, (4,)) if row.default] == ["0", "1"]


def test_select(table):
    rows = table("squeezenet1_0")[0]
    names = [row.name for row in rows]
    assert [r.name for r in select(rows, ["all"])] == names
    assert [r.name for r in select(rows)] == [r.name for r in rows if r.default]
    assert [r.name for r in select(rows, ["classifier.1", "features.0"])] == ["features.0", "classifier.1"]
    assert [r.name for r in select(rows, ["features.3.*"])] == [
        n for n in names if n.startswith("features.3.")
    ]
    assert all(r.leaf for r in select(rows, ["leaves"]))
    with pytest.raises(InputError, match=r"Did you mean .*features\.3") as caught:
        select(rows, ["feature.3"])
    assert 'no layer "feature.3"' in caught.value.problem
    with pytest.raises(InputError, match="no layer"):
        networks.select(rows, ["nothing.*"])
