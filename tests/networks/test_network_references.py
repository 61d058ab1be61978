from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from dashboard import networks
from dashboard.errors import InputError, collect_cautions
from dashboard.networks import zoo

SQUEEZENET = "torchvision:squeezenet1_0?weights=squeezenet1_0/model.safetensors"
TWIN = "torchvision:squeezenet1_0?untrained&seed=0"


@pytest.fixture(autouse=True)
def forget():
    yield
    networks._loaded.clear()


def test_names_are_those_of_torchvision_itself():
    import torchvision

    assert list(zoo.builders()) == torchvision.models.list_models(module=torchvision.models)


def test_catalogue_lists_every_builder_every_bundled_network_and_found_files(homolog_home, data_folder):
    entries = {e.reference: e.weights for e in networks.catalogue()}
    assert entries["bundled:tilt_cnn"] == "bundled"
    assert entries["torchvision:resnet50"] == "download"
    assert entries[SQUEEZENET] == "file"
    assert "torchvision:resnet18?weights=resnet18/model.safetensors" not in entries
    (homolog_home / "weights" / "resnet18").mkdir(parents=True)
    (homolog_home / "weights" / "resnet18" / "model.safetensors").write_bytes(b"x")
    (homolog_home / "weights" / "not_a_network").mkdir()
    (homolog_home / "weights" / "not_a_network" / "model.safetensors").write_bytes(b"x")
    entries = {e.reference for e in networks.catalogue()}
    assert "torchvision:resnet18?weights=resnet18/model.safetensors" in entries
    assert not any("not_a_network" in reference for reference in entries)
    assert all(str(homolog_home) not in reference for reference in entries)


def test_identity_and_catalogue_need_no_torch(tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"x")
    code = f"""
import sys
from dashboard import networks
networks.identity("bundled:tilt_cnn")
networks.identity("torchvision:resnet18?untrained&seed=3")
networks.identity("torchvision:resnet18?weights={file}")
networks.catalogue(); networks.inside_roots("torchvision:resnet18?weights={file}")
networks.reducer("subset?n=3"); networks.select(())
heavy = {{"torch", "torchvision", "streamlit", "safetensors"}} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr


def test_identity_changes_with_each_thing_that_answers_depend_on(tmp_path, monkeypatch):
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"0123456789")
    reference = f"torchvision:resnet18?weights={file}"
    seen = {
        networks.identity(r)
        for r in (
            reference,
            reference.replace("resnet18", "resnet34"),
            f"{reference}&classes=10",
            "torchvision:resnet18",
            "torchvision:resnet18?weights=IMAGENET1K_V1",
            "torchvision:resnet18?untrained&seed=0",
            "torchvision:resnet18?untrained&seed=1",
            "bundled:tilt_cnn",
            "bundled:tilt_cnn?untrained",
        )
    }
    file.write_bytes(b"0123456780")
    os.utime(file, ns=(1, 1))
    seen.add(networks.identity(reference))
    (tmp_path / "labels.json").write_text('["a"]')
    seen.add(networks.identity(reference))
    monkeypatch.setattr(zoo, "PREPROCESSING_VERSION", 2)
    seen.add(networks.identity(reference))
    monkeypatch.setattr(zoo, "version", lambda package: "0")
    seen.add(networks.identity(reference))
    assert len(seen) == 13
    assert all(len(digest) == 64 for digest in seen)


def test_identity_is_the_same_from_another_path(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.pt").write_bytes(b"same")
    one, two = (networks.identity(f"torchvision:resnet18?weights={tmp_path}/{f}/w.pt") for f in "ab")
    assert one == two


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("torchvison:resnet18", "Did you mean torchvision"),
        ("resnet18", 'no source of networks "resnet18"'),
        ("torchvision:resnet19", "Did you mean resnet1"),
        ("bundled:tilt", 'no bundled network "tilt"'),
        ("torchvision:resnet18?weight=x.pt", "Did you mean weights"),
        ("torchvision:resnet18?seed=3", "has a seed but is not untrained"),
        ("torchvision:resnet18?untrained=yes", "takes no value"),
        ("torchvision:resnet18?untrained&seed=-1", "must be a number from 0"),
        ("torchvision:resnet18?classes=3", "needs a weight file"),
        ("torchvision:resnet18?weights=nowhere/w.pt", 'no weight file "w.pt"'),
        ("bundled:tilt_cnn?weights=x.pt", "no option of bundled:tilt_cnn"),
    ],
)
def test_wrong_references_are_refused_before_torch_is_needed(reference, words):
    with pytest.raises(InputError, match=words):
        networks.identity(reference)


def test_unknown_published_weights():
    with pytest.raises(InputError, match="IMAGENET1K_V1"):
        networks.load("torchvision:resnet18?weights=IMAGENET1K_V9")


def test_untrained_twins_follow_their_seed_and_leave_random_numbers_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = networks.load(TWIN).module.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    networks._loaded.clear()
    again = networks.load(TWIN).module.state_dict()
    other = networks.load(TWIN.replace("seed=0", "seed=1")).module.state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])
    tilt = networks.load("bundled:tilt_cnn?untrained&seed=0")
    assert tilt.title == "Tilt CNN, untrained"
    assert not torch.equal(
        tilt.module.state_dict()["fc.weight"],
        networks.load("bundled:tilt_cnn").module.state_dict()["fc.weight"],
    )


def test_a_loaded_network_is_ready_and_shared():
    network = networks.load(TWIN)
    assert networks.load(TWIN) is network
    assert not network.module.training
    assert not any(p.requires_grad for p in network.module.parameters())
    assert network.digest == networks.identity(TWIN)
    assert network.n_parameters == 1_248_424
    assert network.input_shape == (3, 224, 224)
    assert len(network.labels) == 1000
    assert "seed 0" in network.weights


def test_preprocessing_is_that_of_the_weights():
    from PIL import Image
    from torchvision.models import SqueezeNet1_0_Weights

    network = networks.load(TWIN)
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    expected = SqueezeNet1_0_Weights.DEFAULT.transforms()(Image.fromarray(picture))
    assert torch.equal(network.preprocess(picture), expected)
    assert "short side to 256 pixels (bilinear), centre crop 224 × 224" in network.preprocessing
    constant = np.full((256, 256, 3), 128, dtype=np.uint8)
    value = (128 / 255 - 0.485) / 0.229
    assert network.preprocess(constant)[0].numpy() == pytest.approx(value, abs=1e-5)
    assert network.prepare([picture, constant]).shape == (2, 3, 224, 224)


def test_inception_and_vision_transformers_are_built_as_their_weights_expect():
    assert networks.load("torchvision:googlenet?untrained").module.transform_input is True
    _, build = None, zoo._builder("vit_h_14", zoo._published("vit_h_14", "DEFAULT"), 1000)
    with torch.device("meta"):
        assert build().image_size == 518


# With real weights ---------------------------------------------------------------------------------


def test_real_squeezenet_knows_a_cat_and_a_cup(data_folder):
    from skimage import data

    with collect_cautions() as told:
        network = networks.load(SQUEEZENET)
    assert [c.code for c in told] == ["float16-weights"]
    with torch.inference_mode():
        scores = network.module(network.prepare([data.chelsea(), data.coffee()])).softmax(1)
    assert [network.labels[i] for i in scores.argmax(1)] == ["Egyptian cat", "espresso"]
    assert scores.max(1).values.numpy() == pytest.approx([0.71, 0.81], abs=0.006)  # the card of the weights
    assert network.reference == "torchvision:squeezenet1_0?weights=model.safetensors"
    with collect_cautions() as again:
        networks.load(SQUEEZENET)
    assert again == told


def test_labels_fall_back_to_those_of_torchvision(data_folder, homolog_home):
    folder = homolog_home / "weights" / "other"
    folder.mkdir(parents=True)
    source = data_folder / "weights" / "squeezenet1_0" / "model.safetensors"
    (folder / "w.safetensors").write_bytes(source.read_bytes())
    network = networks.load("torchvision:squeezenet1_0?weights=other/w.safetensors")
    assert network.labels[285] == "Egyptian cat"
    (folder / "labels.json").write_text('["only one"]')
    with collect_cautions() as told:
        network = networks.load("torchvision:squeezenet1_0?weights=other/w.safetensors")
    assert "labels-do-not-fit" in [c.code for c in told]
    assert network.labels[285] == "Egyptian cat"


def test_weights_of_another_network_are_refused_with_counts(data_folder):
    with pytest.raises(InputError, match="does not fit alexnet") as caught:
        networks.load("torchvision:alexnet?weights=squeezenet1_0/model.safetensors")
    problems = {row["problem"] for row in caught.value.table}
    assert {"missing", "unexpected"} <= problems


def test_another_class_head_is_told_and_can_be_asked_for(homolog_home):
    import torchvision
    from safetensors.torch import save_file

    (homolog_home / "weights").mkdir()
    source = torchvision.models.mnasnet0_5(num_classes=7)
    save_file(source.state_dict(), homolog_home / "weights" / "mine.safetensors")
    with pytest.raises(
        InputError, match="class head of 7 classes, where mnasnet0_5 has 1000 here. Add classes=7"
    ):
        networks.load("torchvision:mnasnet0_5?weights=mine.safetensors")
    network = networks.load("torchvision:mnasnet0_5?weights=mine.safetensors&classes=7")
    assert network.labels == tuple(f"class {i}" for i in range(7))
    for key, value in source.state_dict().items():
        assert torch.equal(network.module.state_dict()[key], value)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "regnet_y_400mf"])
def test_weights_put_into_a_network_without_memory_give_the_same_outputs(name):
    """RegNet cannot be built without memory, so it goes the other way."""
    build = zoo._builder(name, zoo._published(name, "DEFAULT"), 1000)
    source = build().eval()
    filled = zoo.filled(build, {k: v.clone() for k, v in source.state_dict().items()}, "w", name).eval()
    x = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(filled(x), source(x))
