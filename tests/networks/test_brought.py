"""Weights that somebody brings: what they are told to be from names and shapes, and what is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from torch import nn

from dashboard import kept, networks
from dashboard.errors import CautionWarning, InputError, collect_cautions
from dashboard.networks import recognise, uploaded

pytestmark = pytest.mark.filterwarnings(f"ignore::{CautionWarning.__module__}.{CautionWarning.__name__}")


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def small():
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(0)
    return shufflenet_v2_x0_5(num_classes=6).eval()


def answers_alike(reference: str, module: nn.Module) -> None:
    network = networks.load(reference)
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.module(pixels), module(pixels))


def prefixed(state: dict, prefix: str) -> dict:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


CHECKPOINTS = {
    "plain": lambda s: s,
    "nested": lambda s: {"epoch": 3, "model": s, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2, 2)}}}},
    "ddp": lambda s: prefixed(s, "module."),
    "compiled": lambda s: {"model_state_dict": prefixed(s, "_orig_mod.module.")},
    "lightning": lambda s: {
        "epoch": 4,
        "global_step": 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": prefixed(s, "backbone.") | {"loss.weight": torch.ones(6)},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    },
}


@pytest.mark.parametrize("form", CHECKPOINTS)
def test_a_checkpoint_is_recognised_whatever_the_training_program_wrapped_around_it(form, small):
    data = saved(CHECKPOINTS[form](dict(small.state_dict())))
    names = b'["a", "b", "c", "d", "e", "f"]'
    upload = kept.keep([("mine.ckpt", data), ("classes.json", names)], "s")
    found = uploaded.look(upload.reference)
    assert found["fits"][0]["architecture"] == "torchvision:shufflenet_v2_x0_5"
    assert found["recipe"]["classes"] == 6
    reference = kept.with_recipe(upload.reference, found["recipe"]).reference
    with collect_cautions() as told:
        answers_alike(reference, small)
    assert networks.load(reference).labels == tuple("abcdef")
    assert ("weights-left-out" in [c.code for c in told]) == (form == "lightning")


def test_a_moving_average_is_offered_beside_the_last_weights(small):
    state = dict(small.state_dict())
    average = {n: t * 0.5 if t.is_floating_point() else t for n, t in state.items()}
    upload = kept.keep([("m.pth", saved({"state_dict": state, "state_dict_ema": average}))], "s")
    found = uploaded.look(upload.reference)
    assert {fit["key"] for fit in found["fits"]} == {"state_dict", "state_dict_ema"}
    recipe = {**found["recipe"], "key": "state_dict_ema"}
    network = networks.load(kept.with_recipe(upload.reference, recipe).reference)
    torch.testing.assert_close(network.module.fc.weight, small.fc.weight * 0.5)


def test_parts_of_one_network_are_joined(small):
    state = list(small.state_dict().items())
    halves = [("1.pt", saved(dict(state[:80]))), ("2.pt", saved(dict(state[80:])))]
    upload = kept.keep(halves, "s")
    found = uploaded.look(upload.reference)
    answers_alike(kept.with_recipe(upload.reference, found["recipe"]).reference, small)
    with pytest.raises(InputError, match="another file both hold"):
        uploaded.look(kept.keep([halves[0], ("3.pt", halves[0][1])], "s").reference)


def test_a_head_inside_a_sequential_is_renamed(small):
    state = dict(small.state_dict())
    state = {n.replace("fc.", "fc.1."): t for n, t in state.items()}
    upload = kept.keep([("m.pt", saved(state))], "s")
    found = uploaded.look(upload.reference)
    answers_alike(kept.with_recipe(upload.reference, found["recipe"]).reference, small)


def test_the_real_squeezenet_is_recognised_and_sees_a_cat(data_folder):
    skimage = pytest.importorskip("skimage")
    file = data_folder / "weights" / "squeezenet1_0" / "model.safetensors"
    upload = kept.keep([("something.bin", file.read_bytes())], "s")
    found = uploaded.look(upload.reference)
    assert found["fits"][0]["architecture"] == "torchvision:squeezenet1_0"
    network = networks.load(kept.with_recipe(upload.reference, found["recipe"]).reference)
    with torch.no_grad():
        scores = network.module(network.preprocess(np.asarray(skimage.data.chelsea()))[None])[0]
    assert network.labels[int(scores.argmax())].lower() == "egyptian cat"


def test_what_fits_nothing_says_what_differs(small):
    upload = kept.keep([("m.pt", saved({"a.weight": torch.ones(3, 4), "a.bias": torch.ones(3)}))], "s")
    assert uploaded.look(upload.reference)["fits"] == []
    recipe = {"kind": "network", "version": 1, "architecture": "torchvision:shufflenet_v2_x0_5"}
    reference = kept.with_recipe(upload.reference, recipe).reference
    with pytest.raises(InputError, match="does not fit shufflenet_v2_x0_5: \\d+ missing, 2 unexpected"):
        networks.load(reference)


OWN = '''
"""A small network of our own."""
from torch import nn

CLASSES = 4
INPUT = (3, 32, 32)
RESIZE = 32
HEAD = "head"
LABELS = ("disc", "square", "star", "heart")


class Small(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, classes)

    def forward(self, pictures):
        return self.head(self.body(pictures))


def build(classes):
    return Small(classes)
'''


def test_an_administrators_own_file_is_an_architecture_like_any_other(tmp_path, monkeypatch):
    (tmp_path / "small.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("raise SystemError\n")
    monkeypatch.setenv("HOMOLOG_ARCHITECTURES", str(tmp_path))
    twin = networks.load("own:small?untrained&seed=3")
    assert twin.labels == ("disc", "square", "star", "heart")
    assert twin.input_shape == (3, 32, 32)
    state = {f"net.{n}": t for n, t in twin.module.state_dict().items()}
    upload = kept.keep([("m.pt", saved({"state_dict": state}))], "s")
    found = uploaded.look(upload.reference)
    assert found["fits"][0]["architecture"] == "own:small"
    answers_alike(kept.with_recipe(upload.reference, found["recipe"]).reference, twin.module)
    with pytest.raises(InputError, match='no network of this server "other"'):
        networks.identity("own:other?untrained")
    with pytest.raises(InputError, match="own:small needs weights"):
        networks.identity("own:small")


def test_the_preparation_of_pictures_can_be_said(small):
    upload = kept.keep([("m.pt", saved(dict(small.state_dict())))], "s")
    recipe = {**uploaded.look(upload.reference)["recipe"], "crop": 96, "mean": [0.5] * 3, "std": [0.5] * 3}
    network = networks.load(kept.with_recipe(upload.reference, recipe).reference)
    prepared = network.preprocess(np.full((200, 300, 3), 255, dtype=np.uint8))
    assert prepared.shape == (3, 96, 96)
    torch.testing.assert_close(prepared, torch.ones(3, 96, 96))
    assert "minus 0.5, 0.5, 0.5" in network.preprocessing


@pytest.mark.parametrize(
    ("name", "data", "labels"),
    [
        ("a.json", b'["x", "y"]', ("x", "y")),
        ("a.json", b'{"1": "y", "0": "x"}', ("x", "y")),
        ("a.json", b'{"0": ["n01", "x"], "1": ["n02", "y"]}', ("x", "y")),
        ("a.json", b'{"y": 1, "x": 0}', ("x", "y")),
        ("a.txt", "x\nÿ, z\n".encode(), ("x", "ÿ, z")),
        ("a.csv", b"index,name\n1,y\n0,x\n", ("x", "y")),
        ("a.csv", b'0;"x; or so"\n1;y\n', ("x; or so", "y")),
        ("a.csv", "x\nÿ\n".encode("utf-16"), ("x", "ÿ")),
    ],
)
def test_class_names_are_read_in_the_usual_forms(name, data, labels):
    assert uploaded.read_labels(data, name) == labels


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"0,x\n1,y,z\n", 'Line 2 of "a.csv" has 3 cells'),
        ("a.csv", b'0,"x\n', "not a complete CSV"),
        ("a.txt", b"a\0b", "not a text file"),
        ("a.txt", b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_table_of_names_is_read_as_every_other_table(name, data, words):
    with pytest.raises(InputError, match=words):
        uploaded.read_labels(data, name)


@pytest.mark.parametrize("data", [b"[1, 2]", b"{", b"\xff\xfe\x00", json.dumps({"a": {}}).encode()])
def test_other_lists_of_names_are_refused(data):
    with pytest.raises(InputError, match="is not a list of class names"):
        uploaded.read_labels(data, "a.json")


@pytest.mark.parametrize(
    "name", ["resnet50", "regnet_y_400mf", "vit_b_16", "googlenet", "mobilenet_v3_small"]
)
def test_the_table_holds_what_the_installed_library_builds(name):
    """The table in assets is of the installed versions: signatures made now are those in it."""
    entries = {entry[0]: entry[1:] for entry in recognise.table()}
    build = next(b for n, b, _ in recognise._of_torchvision() if n == f"torchvision:{name}")
    head = recognise._head_of_torchvision(name)
    assert entries[f"torchvision:{name}"] == recognise.described(build, head)
