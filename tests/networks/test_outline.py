"""An outline says of a network what the network with its weights would say, and says it sooner."""

from __future__ import annotations

import pytest
import torch

from dashboard import networks


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch):
    """Two threads that wait for each other on a busy machine take longer than one."""
    from collections import OrderedDict

    monkeypatch.setattr(networks, "_loaded", OrderedDict())
    monkeypatch.setattr(networks, "_outlined", OrderedDict())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "googlenet"])
def test_layers_and_costs_are_those_of_the_whole_network(name):
    reference = f"torchvision:{name}?untrained&seed=0"
    bare, whole = networks.outline(reference), networks.load(reference)
    assert bare is not whole or name == "swin_t"  # its builder computes with values
    assert bare.layers == whole.layers
    assert (bare.digest, bare.n_parameters, bare.labels) == (whole.digest, whole.n_parameters, whole.labels)
    sizes = [[t.numel() * t.element_size() for t in n.module.state_dict().values()] for n in (bare, whole)]
    assert sizes[0] == sizes[1]
    assert networks.total_flops(bare) == networks.total_flops(whole)
    assert networks.costs(bare) == networks.costs(whole)


def test_only_untrained_twins_of_libraries_lack_weights():
    assert networks.outline("bundled:digits_mlp") is networks.load("bundled:digits_mlp")
    reference = "torchvision:squeezenet1_1?untrained&seed=0"
    assert not any(p.any() for p in networks.outline(reference).module.parameters())
    whole = networks.load(reference)
    assert any(bool(p.any()) for p in whole.module.parameters())
    assert networks.outline(reference) is whole


def test_the_process_keeps_its_random_numbers():
    before = torch.get_rng_state()
    networks.outline("torchvision:squeezenet1_1?untrained&seed=3")
    assert torch.equal(torch.get_rng_state(), before)
