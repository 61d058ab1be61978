"""Networks of timm: names without importing it, its own preprocessing, labels and weight files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from dashboard import networks
from dashboard.errors import InputError
from dashboard.networks import timm_zoo


@pytest.fixture(autouse=True)
def tidy():
    torch.set_num_threads(1)
    yield
    networks._loaded.clear()


def test_names_are_those_of_timm_itself():
    import timm

    assert set(timm_zoo.builders()) == set(timm.list_models())
    assert set(timm_zoo.SHORT_LIST) <= set(timm_zoo.builders())


def test_a_tag_that_timm_does_not_have():
    with pytest.raises(
        InputError, match=r'no tag of vit_tiny_patch16_224 "augreg_in21".* Did you mean augreg_in21k'
    ):
        networks.load("timm:vit_tiny_patch16_224.augreg_in21")


def test_catalogue_is_a_short_list():
    listed = [entry for entry in networks.catalogue() if entry.scheme == "timm"]
    assert len(listed) == len(timm_zoo.SHORT_LIST) == 12


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("timm:vit_tiny_patch16_225", "Did you mean vit_tiny_patch16_224"),
        ("timm:vit_tiny_patch16_224.", "is not a tag of"),
        ("timm:resnet18?weights=A1_IN1K", "is not a weight file"),
        ("timm:resnet18?weights=nowhere.safetensors", 'no weight file "nowhere.safetensors"'),
        ("timm:resnet18?revision=x", "no option of timm:resnet18"),
        ("timm:resnet18?classes=3", "needs a weight file"),
    ],
)
def test_wrong_references(reference, words):
    with pytest.raises(InputError, match=words):
        networks.identity(reference)


def test_preprocessing_and_labels_are_its_own():
    from timm.data import create_transform, resolve_model_data_config

    network = networks.load("timm:vit_tiny_patch16_224?untrained&seed=0")
    picture = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    expected = create_transform(**resolve_model_data_config(network.module), is_training=False)
    assert torch.equal(network.preprocess(picture), expected(Image.fromarray(picture)))
    assert "bicubic" in network.preprocessing
    assert (network.input_shape, len(network.labels), network.n_parameters) == (
        (3, 224, 224),
        1000,
        5_717_416,
    )
    assert "tabby" in network.labels[281]
    assert [layer.kind for layer in network.defaults].count("Block") >= 8
    found = {cost.name: cost for cost in networks.costs(network)}
    assert found["patch_embed.proj"].receptive_field == 16
    # Touvron et al. 2021 give 1.3 GFLOPs, which are multiply-adds: 1.26e9 of them.
    assert networks.total_flops(network) == pytest.approx(2.51e9, rel=0.01)


def test_a_weight_file_of_one_s_own(homolog_home):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(3)
    source = timm.create_model("resnet18", num_classes=4).eval()
    folder = homolog_home / "weights" / "timm" / "resnet18"
    folder.mkdir(parents=True)
    save_file(source.state_dict(), folder / "model.safetensors")
    (folder / "labels.json").write_text('["a", "b", "c", "d"]')
    reference = "timm:resnet18?weights=timm/resnet18/model.safetensors"
    assert reference in {entry.reference for entry in networks.catalogue()}
    with pytest.raises(InputError, match="Add classes=4"):
        networks.load(reference)
    network = networks.load(f"{reference}&classes=4")
    assert network.labels == ("a", "b", "c", "d")
    x = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(network.module(x), source(x))


def test_published_weights_offline_are_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        InputError, match=r"\"timm/resnet18\.\w+\" is not a folder here, and .* cannot be reached"
    ):
        networks.load("timm:resnet18")
