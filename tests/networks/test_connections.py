"""Connections between units, against the weights themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dashboard import compute, networks, specs
from dashboard.errors import InputError
from dashboard.figures import alternative, export
from dashboard.figures import connections as figure
from dashboard.networks import connections
from dashboard.networks.layers import tabulate
from dashboard.networks.network import Network

CNN = "bundled:objects_cnn"


def opened(module: nn.Module, shape: tuple[int, ...]) -> Network:
    return Network(
        reference="toy",
        title="Toy",
        module=module.eval().requires_grad_(False),
        preprocess=lambda p: p,
        labels=(),
        layers=tabulate(module, shape),
        digest="toy",
        card={},
        preprocessing="",
        weights="",
        input_shape=shape,
    )


class Joined(nn.Module):
    """A shortcut and a join: `last` reads a's four channels after `norm`, then the three of b."""

    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 3, 1)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.last, self.pool = nn.Conv2d(7, 5, 3), nn.MaxPool2d(2)
        self.head = nn.Linear(5 * 9, 6)

    def forward(self, x):
        x = torch.relu(self.norm(self.a(x)))
        y = x + self.grouped(x)
        return self.head(self.pool(torch.relu_(self.last(torch.cat([y, self.b(x)], 1)))).flatten(1))


@pytest.fixture(scope="module")
def toy():
    torch.manual_seed(0)
    return opened(Joined(), (2, 8, 8))


def layer(network, name):
    return networks.select(network.layers, [name])[0]


def named(found):
    return {(c.layer, c.unit): c.strength for c in found}


def test_a_unit_is_read_by_all_that_see_its_channel(toy):
    found = connections.outgoing(toy, layer(toy, "a"), 1)
    weights = {name: m.weight for name, m in toy.module.named_modules() if hasattr(m, "weight")}
    expected = {("b", k): float(w) for k, w in enumerate(weights["b"][:, 1, 0, 0])}
    # Channel 1 belongs to the first group of two channels, which feeds units 0 and 1.
    expected |= {("grouped", k): float(weights["grouped"][k, 1].norm()) * (k < 2) for k in range(4)}
    expected |= {("last", k): float(weights["last"][k, 1].norm()) for k in range(5)}
    assert named(found) == pytest.approx(expected, rel=1e-5)
    assert {c.layer: c.kind for c in found} == {"b": "weight", "grouped": "norm", "last": "norm"}


def test_a_join_shifts_channels_and_flattening_gives_blocks(toy):
    assert {c.layer for c in connections.outgoing(toy, layer(toy, "b"), 2)} == {"last"}
    found = named(connections.outgoing(toy, layer(toy, "b"), 2))
    assert found["last", 3] == pytest.approx(float(toy.module.last.weight[3, 6].norm()))
    found = named(connections.outgoing(toy, layer(toy, "last"), 4))
    assert found["head", 5] == pytest.approx(float(toy.module.head.weight[5, 36:45].norm()))
    assert connections.outgoing(toy, layer(toy, "head"), 0) == []


def test_inputs_are_named_after_the_units_that_feed_them(toy):
    found = connections.incoming(toy, layer(toy, "last"), 3)
    expected = toy.module.last.weight[3].flatten(1).norm(dim=1)
    order = torch.argsort(expected, descending=True).tolist()
    assert [c.strength for c in found] == pytest.approx(expected[order].tolist())
    names = [("b", k - 4) if k >= 4 else ("grouped", k) for k in order]
    assert [(c.layer, c.unit) for c in found] == names
    assert {c.also for c in found if c.layer == "grouped"} == {("a",)}  # the shortcut
    first = connections.incoming(toy, layer(toy, "a"), 0)
    assert {(c.layer, c.unit) for c in first} == {(connections.PICTURE, 0), (connections.PICTURE, 1)}


def test_layers_without_weights_are_fed_by_those_before(toy):
    found = connections.incoming(toy, layer(toy, "norm"), 2)
    assert {c.through for c in found} == {"a"}
    strengths = toy.module.a.weight[2].flatten(1).norm(dim=1)
    assert sorted(c.strength for c in found) == pytest.approx(sorted(strengths.tolist()))
    assert named(connections.outgoing(toy, layer(toy, "norm"), 1)) == pytest.approx(
        named(connections.outgoing(toy, layer(toy, "a"), 1))
    )


def test_recurrent_and_text_networks_are_refused():
    rows = nn.Sequential(nn.LSTM(8, 5, batch_first=True))
    with pytest.raises(InputError, match="0 of Toy is a LSTM"):
        connections.check(Network("toy", "Toy", rows, lambda p: p, (), (), "toy", {}, "", "", (8, 8)))
    with pytest.raises(InputError, match="reads texts"):
        compute.compute(specs.ConnectionsSpec(network="bundled:tiny_text"))


def test_connections_of_bundled_networks_and_their_figure():
    answer = compute.compute(specs.ConnectionsSpec(network=CNN, layer="block2.conv1", unit=3))
    module = networks.load(CNN).module
    weight = module.get_submodule("block2.conv1").weight[3].flatten(1).norm(dim=1)
    k = int(figure.places(answer, "from")[0])
    assert float(answer["strength"][k]) == pytest.approx(float(weight.max()), rel=1e-5)
    assert int(answer["unit"][k]) == int(weight.argmax())
    assert set(answer["layer"].to_numpy()[figure.places(answer, "to")]) == {"block2.conv2"}
    strengths = answer["strength"].to_numpy()[figure.places(answer, "to")]
    assert (np.diff(strengths) <= 0).all()
    assert "block2.conv2" in alternative.alt_text(answer)
    assert len(export.table(answer)) == 20
    assert export.export("svg", answer).startswith(b"<svg")
    vit = compute.compute(
        specs.ConnectionsSpec(network="bundled:objects_vit", layer="blocks.1.expand", unit=3)
    )
    assert set(vit["layer"].to_numpy()[figure.places(vit, "to")]) == {"blocks.1.contract"}
    assert set(vit["kind"].to_numpy()) == {"weight"}
    last = compute.compute(specs.ConnectionsSpec(network=CNN, layer="head", unit=0))
    assert "no weighted layer reads it" in figure.verdict(last)
    with pytest.raises(InputError, match="none of them"):
        compute.compute(specs.ConnectionsSpec(network=CNN, layer="stem.0", unit=16))
