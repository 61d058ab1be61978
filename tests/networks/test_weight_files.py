from __future__ import annotations

import pickle
from pathlib import Path

import bad_weights
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dashboard import networks
from dashboard.errors import InputError, collect_cautions
from dashboard.networks import files, weights
from dashboard.networks.formats import WeightsRefused

NAMES = [bad.name + str(i) for i, bad in enumerate(bad_weights.every("/"))]


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 5))


@pytest.fixture(scope="module")
def marker(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("marker") / "ran"


@pytest.fixture(scope="module")
def bad_files(marker) -> list[bad_weights.Bad]:
    return bad_weights.every(str(marker))


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_bad_file_gives_its_sentence_and_runs_nothing(index, bad_files, marker, tmp_path):
    bad = bad_files[index]
    file = tmp_path / bad.name
    file.write_bytes(bad.data)
    with pytest.raises(WeightsRefused) as caught:
        weights.read_file(file)
    said = str(caught.value)
    assert bad.words in said
    assert bad.name in said
    assert str(tmp_path) not in said
    assert "weights_only" not in said
    assert caught.value.problem.count(". ") == 0
    assert not marker.exists()


def test_payload_of_the_bad_files_does_run_in_pickle(tmp_path):
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(bad_weights.Payload(str(marker))))
    assert marker.exists()


def test_refusals_of_code_come_with_the_conversion(tmp_path):
    file = tmp_path / "module.pt"
    torch.save(nn.Linear(2, 2), file)
    with pytest.raises(WeightsRefused) as caught:
        weights.read_file(file)
    assert "save_file" in caught.value.conversion
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.conversion) == (str(caught.value), caught.value.conversion)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match='no weight file "nowhere.pt"'):
        weights.read_file(tmp_path / "nowhere.pt")
    with pytest.raises(InputError, match="is a folder"):
        weights.read_file(tmp_path)


@pytest.mark.parametrize("kind", ["safetensors", "pt", "wrapped", "prefixed", "half", "parameters"])
def test_good_files_give_the_same_numbers(kind, tmp_path):
    source, target = small(), small()
    with torch.no_grad():
        for p in target.parameters():
            p.zero_()
    state = {k: v.clone() for k, v in source.state_dict().items()}
    file = tmp_path / ("w.safetensors" if kind in ("safetensors", "half") else "w.pth")
    if kind == "safetensors":
        save_file(state, file)
    elif kind == "half":
        save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, file)
    elif kind == "wrapped":
        torch.save({"epoch": 3, "state_dict": source.state_dict(), "optimizer": {"lr": 0.1}}, file)
    elif kind == "prefixed":
        torch.save({f"module._orig_mod.{k}": v for k, v in state.items()}, file)
    elif kind == "parameters":
        torch.save(dict(source.named_parameters()) | dict(source.named_buffers()), file)
    else:
        torch.save(source.state_dict(), file)
    with collect_cautions() as told:
        weights.put(weights.read_file(file), target, file.name, "small")
    for key, value in target.state_dict().items():
        assert value.dtype == state[key].dtype
        tolerance = 1e-3 if kind == "half" else 0
        np.testing.assert_allclose(value.numpy(), state[key].numpy(), rtol=tolerance, atol=tolerance)
    codes = [c.code for c in told]
    expected = {"wrapped": ["weights-unwrapped"], "prefixed": ["weights-prefix"], "half": ["float16-weights"]}
    assert codes == expected.get(kind, [])
    if kind == "prefixed":
        assert '"module._orig_mod."' in told[0].message


def test_weights_that_do_not_fit_give_a_table_and_change_nothing():
    module = small()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = dict(before)
    state["extra.weight"] = torch.zeros(2, 3)
    del state["1.running_mean"]
    state["0.weight"] = torch.zeros(4, 3, 5, 5)
    with pytest.raises(weights.WeightsDoNotFit) as caught:
        weights.put(state, module, "w.pt", "small")
    error = caught.value
    assert "1 missing, 1 unexpected, 1 of another shape" in error.problem
    assert {(r["name"], r["problem"], r["expected"], r["found"]) for r in error.table} == {
        ("1.running_mean", "missing", "4", ""),
        ("extra.weight", "unexpected", "", "2 × 3"),
        ("0.weight", "shape", "4 × 3 × 3 × 3", "4 × 3 × 5 × 5"),
    }
    assert pickle.loads(pickle.dumps(error)).table == error.table
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_class_head_of_another_size_is_named_as_such():
    state = small().state_dict()
    state["3.weight"], state["3.bias"] = torch.zeros(7, 4), torch.zeros(7)
    with pytest.raises(weights.WeightsDoNotFit, match="class head of 7 classes, where small has 5"):
        weights.put(dict(state), small(), "w.pt", "small")


def test_a_wider_inner_layer_is_not_called_a_head():
    state = small().state_dict()
    state["0.weight"], state["0.bias"] = torch.zeros(6, 3, 3, 3), torch.zeros(6)
    with pytest.raises(weights.WeightsDoNotFit, match="2 of another shape"):
        weights.put(dict(state), small(), "w.pt", "small")


def test_weights_that_are_not_finite_are_counted():
    state = {k: v.clone() for k, v in small().state_dict().items()}
    state["3.weight"][0, 0] = float("nan")
    state["3.weight"][1, 1] = float("inf")
    with collect_cautions() as told:
        weights.put(state, small(), "w.pt", "small")
    assert [c.code for c in told] == ["weights-not-finite"]
    assert told[0].message.startswith("2 of ")


def test_old_counters_and_densenet_names_are_mended():
    own = {"block.denselayer1.norm1.weight": torch.zeros(2), "bn.num_batches_tracked": torch.tensor(0)}
    mended = weights._match_names({"block.denselayer1.norm.1.weight": torch.ones(2)}, own, "w")
    assert set(mended) == set(own)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(InputError, match="changed while it was read"):
        weights.read_file(file, "0" * 64)


# Where files are -----------------------------------------------------------------------------------


def test_paths_are_looked_for_in_the_working_folder_then_in_the_roots(homolog_home, tmp_path, monkeypatch):
    root = homolog_home / "weights"
    (root / "net").mkdir(parents=True)
    (root / "net" / "w.pt").write_bytes(b"root")
    monkeypatch.chdir(tmp_path)
    reference = "torchvision:alexnet?weights=net/w.pt"
    assert networks.weight_file(reference).read_bytes() == b"root"
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "w.pt").write_bytes(b"here")
    assert networks.weight_file(reference).read_bytes() == b"here"
    assert not networks.inside_roots(reference)
    assert networks.weight_file("torchvision:alexnet?weights=IMAGENET1K_V1") is None
    with pytest.raises(InputError, match='no weight file "gone.pt"'):
        networks.weight_file("torchvision:alexnet?weights=net/gone.pt")


def test_pages_open_only_what_truly_lies_in_a_root(homolog_home, tmp_path):
    root = homolog_home / "weights"
    root.mkdir()
    (root / "in.pt").write_bytes(b"x")
    outside = tmp_path / "out.pt"
    outside.write_bytes(b"x")
    (root / "link.pt").symlink_to(outside)
    (root / "loop.pt").symlink_to(root / "loop.pt")
    (root / "folder").symlink_to(tmp_path)
    allowed = {
        "in.pt": True,
        str(root / "in.pt"): True,
        "nowhere.pt": True,
        str(outside): False,
        "link.pt": False,
        "folder/out.pt": False,
        "../../etc/passwd": False,
        "/etc/nothing-here": False,
        f"{root}/../../{tmp_path.name}/out.pt": False,
    }
    for path, expected in allowed.items():
        assert networks.inside_roots(f"torchvision:alexnet?weights={path}") is expected, path
    assert networks.inside_roots("bundled:tilt_cnn")


def test_digest_of_a_file_follows_its_bytes(tmp_path):
    import hashlib

    file = tmp_path / "w.pt"
    for data in (b"one", b"two!"):
        file.write_bytes(data)
        assert files.sha256(file) == hashlib.sha256(data).hexdigest()


def test_shown_reference_has_no_path():
    assert (
        networks.shown_name("torchvision:alexnet?weights=/srv/secret/w.pt")
        == "torchvision:alexnet?weights=w.pt"
    )
