"""The Hugging Face Hub, played by a server on this machine: pinning, fetching, hashes, and being offline."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest
import torch

from dashboard import networks
from dashboard.errors import InputError
from dashboard.networks import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "someone/tiny-resnet"


class Hub(http.server.BaseHTTPRequestHandler):
    files: dict[str, bytes] = {}
    asked: list[str] = []
    spoiled = b""

    def do_GET(self):
        Hub.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path == f"/api/models/{NAME}/revision/main":
            body = json.dumps(
                {"sha": COMMIT, "siblings": [self.entry(n, d) for n, d in self.files.items()]}
            ).encode()
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            body = self.files[path.rpartition("/")[2]] + self.spoiled
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def entry(name: str, data: bytes) -> dict:
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        large = {"lfs": {"sha256": hashlib.sha256(data).hexdigest()}} if name.endswith(".safetensors") else {}
        return {"rfilename": name, "size": len(data), "blobId": blob, **large}

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    from transformers import ResNetConfig, ResNetModel

    torch.set_num_threads(1)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(tmp_path / "model")
    Hub.files = {f.name: f.read_bytes() for f in (tmp_path / "model").iterdir()}
    Hub.files["pytorch_model.bin"] = b"\x80\x02never fetched"
    Hub.asked, Hub.spoiled = [], b""
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{found.server_port}")
    yield found
    found.shutdown()
    found.server_close()
    networks._loaded.clear()


def left_behind(home: Path) -> list[str]:
    return [f.name for f in (home / "weights").rglob(".part-*")]


def test_a_network_is_pinned_fetched_once_and_never_as_pickle(server, homolog_home):
    first = networks.identity(f"hf:{NAME}")
    network = networks.load(f"hf:{NAME}")
    assert network.digest == first == networks.identity(f"hf:{NAME}")
    assert f"commit {COMMIT[:12]}" in network.weights
    assert network.title == "tiny-resnet"
    fetched = [path for path in Hub.asked if "/resolve/" in path]
    assert sorted(path.rpartition("/")[2] for path in fetched) == ["config.json", "model.safetensors"]
    assert sum("/api/" in path for path in Hub.asked) == 1
    networks._loaded.clear()
    networks.load(f"hf:{NAME}")
    assert [path for path in Hub.asked if "/resolve/" in path] == fetched
    assert left_behind(homolog_home) == []


def test_changed_bytes_are_refused_and_nothing_stays(server, homolog_home):
    Hub.spoiled = b"x"
    with pytest.raises(InputError, match="arrived cut short or changed, so it was deleted"):
        networks.load(f"hf:{NAME}")
    assert left_behind(homolog_home) == []
    assert not (hub.pin(NAME).folder / "config.json").exists()
    Hub.spoiled = b""
    assert networks.load(f"hf:{NAME}").n_parameters > 0


def test_published_without_safetensors(server):
    del Hub.files["model.safetensors"]
    with pytest.raises(InputError, match=r"published without \.safetensors weights, and others can run code"):
        networks.load(f"hf:{NAME}")
    assert not any("pytorch_model" in path for path in Hub.asked)


def test_remote_code_is_refused_before_the_weights_come(server):
    config = json.loads(Hub.files["config.json"])
    Hub.files["config.json"] = json.dumps({**config, "auto_map": {"AutoModel": "m.M"}}).encode()
    with pytest.raises(InputError, match="asks for its own code"):
        networks.load(f"hf:{NAME}")
    assert not any("safetensors" in path for path in Hub.asked)


def test_unknown_names_and_revisions(server):
    with pytest.raises(InputError, match="shows no such network or revision"):
        networks.identity("hf:someone/else")
    with pytest.raises(InputError, match="shows no such network or revision"):
        networks.identity(f"hf:{NAME}?revision=v9")


def test_paths_that_lead_out_are_refused(server):
    Hub.files["../../evil.json"] = b"{}"
    with pytest.raises(InputError, match="no usable list of files"):
        networks.identity(f"hf:{NAME}")


def test_offline_is_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError) as caught:
        networks.load("hf:bert-base-uncased")
    assert str(caught.value) == (
        '"bert-base-uncased" is not a folder here, and the Hugging Face Hub cannot be reached. '
        "Go online once, or give a folder with config.json and .safetensors weights."
    )
