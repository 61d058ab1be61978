"""An outline says of a network what the network with its weights would say, and says it sooner."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file

from dashboard import compute, networks
from dashboard.analyses import network as analysis
from dashboard.errors import InputError, collect_cautions
from dashboard.networks import files, weights
from dashboard.specs import NetworkSpec, OutlineSpec


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


# --- by the header of the weight file ---------------------------------------------------------------

OWN = "torchvision:squeezenet1_1?weights=own.safetensors"


@pytest.fixture
def own_file(homolog_home, monkeypatch):
    """Weights in a folder of the server, which a small file is large enough for here."""
    import torchvision

    monkeypatch.setattr(networks, "_LARGE_BYTES", 1)
    folder = homolog_home / "weights"
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = torchvision.models.squeezenet1_1().state_dict()
    save_file(state, folder / "own.safetensors")
    return folder / "own.safetensors"


def unread(monkeypatch):
    monkeypatch.setattr(weights, "_bytes", lambda _: pytest.fail("the weights were read"))
    monkeypatch.setattr(files, "sha256", lambda _: pytest.fail("the file was hashed"))


def test_a_header_says_what_the_whole_file_says_of_layers(own_file, monkeypatch):
    with monkeypatch.context() as forbidden:
        unread(forbidden)
        first = analysis.first_glance(OutlineSpec(network=OWN))
    whole = analysis.layer_table(NetworkSpec(network=OWN))
    assert first.drop_attrs().identical(whole.drop_attrs())
    other = {name for name in whole.attrs if first.attrs[name] != whole.attrs[name]}
    assert other == {"digest", "weights"}
    assert first.attrs["digest"] == ""
    assert first.attrs["weights"] == "Weights from own.safetensors."
    assert hashlib.sha256(own_file.read_bytes()).hexdigest()[:12] in whole.attrs["weights"]


def test_keys_hold_the_header_alone_and_see_it_change(own_file, monkeypatch):
    spec, whole = OutlineSpec(network=OWN), NetworkSpec(network=OWN)
    keys = compute.key(spec), compute.key(whole)
    state = weights.read_file(own_file)
    state["classifier.1.bias"] += 1
    save_file(state, own_file)
    assert compute.key(spec) == keys[0]  # nothing that it says has changed
    assert compute.key(whole) != keys[1]
    save_file({**state, "more": torch.zeros(1)}, own_file)
    assert compute.key(spec) != keys[0]
    with pytest.raises(InputError, match="1 unexpected"):
        networks.outline(OWN, unread=True)


def test_a_header_that_changes_under_the_reader_is_noticed(own_file, monkeypatch):
    real, calls = files.header, []

    def changing(file):
        calls.append(file)
        if len(calls) == 4:  # after the network was named, before its layers are made
            save_file({"a": torch.zeros(2)}, own_file)
        return real(file)

    monkeypatch.setattr(files, "header", changing)
    with pytest.raises(InputError, match="changed while it was read"):
        networks.outline(OWN, unread=True)
    assert len(calls) >= 4


@pytest.mark.parametrize("damage", ["short", "long", "shape"])
def test_a_header_that_does_not_fit_its_file_is_refused(own_file, damage):
    data = own_file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    table["classifier.1.bias"]["shape"] = [999]
    other = json.dumps(table).encode()
    changed = {
        "short": data[:-4],
        "long": data + b"\0",
        "shape": len(other).to_bytes(8, "little") + other + data[8 + length :],
    }
    own_file.write_bytes(changed[damage])
    with pytest.raises(InputError, match="not complete or is damaged"):
        networks.outline(OWN, unread=True)


def test_types_are_told_by_the_header_and_values_only_by_the_weights(own_file):
    state = {name: t.half() for name, t in weights.read_file(own_file).items()}
    state["classifier.1.bias"][3] = float("nan")
    save_file(state, own_file)
    with collect_cautions() as first:
        networks.outline(OWN, unread=True)
    with collect_cautions() as then:
        networks.outline(OWN)
    assert [told.code for told in first] == ["float16-weights"]
    assert [told.code for told in then] == ["float16-weights", "weights-not-finite"]


@pytest.mark.parametrize(
    "reference",
    [
        "bundled:digits_mlp",
        "torchvision:squeezenet1_1?untrained&seed=0",
        "torchvision:squeezenet1_1",
        "torchvision:squeezenet1_1?weights=missing.safetensors",
        "torchvision:squeezenet1_1?weights=own.pt",
        "nothing",
    ],
)
def test_only_own_safetensors_files_have_a_header_to_begin_with(own_file, reference):
    torch.save(weights.read_file(own_file), own_file.with_suffix(".pt"))
    assert not networks.first_glance(reference)
    assert networks.first_glance(OWN)


def test_types_of_headers_are_those_that_are_read():
    from dashboard.networks import formats

    assert weights._TYPES.keys() == formats.ITEM_BYTES.keys()
    assert {n: t.itemsize for n, t in weights._TYPES.items()} == formats.ITEM_BYTES


def test_a_digest_is_learnt_behind_the_page(own_file, monkeypatch):
    now = files.time.time
    monkeypatch.setattr(files.time, "time", lambda: now() + 60)
    assert not networks.digest_known(OWN)
    networks.learn_digest(OWN)
    for thread in files.threading.enumerate():
        if thread.name == "digest":
            thread.join(20)
    assert networks.digest_known(OWN)
    assert networks.digest_known("bundled:digits_mlp")
