from __future__ import annotations

import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from dashboard import networks
from dashboard.errors import Cancelled, InputError
from dashboard.networks import download, weights, zoo
from dashboard.progress import listening

DATA = bytes(range(256)) * 3000
HASH = hashlib.sha256(DATA).hexdigest()[:8]
GOOD, WRONG = f"net-{HASH}.pth", "net-00000000.pth"


class Server(BaseHTTPRequestHandler):
    """Serves DATA under any name; parts of the path say what goes wrong."""

    served: dict[str, bytes] = {}
    requests = 0

    def do_GET(self):
        Server.requests += 1
        name = self.path.rpartition("/")[2]
        data = self.served.get(name, DATA)
        if "missing" in self.path:
            self.send_error(404)
            return
        if "elsewhere" in self.path:
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if "cut" in self.path else data)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def left_behind(home):
    return [p.name for p in (home / "weights").iterdir()]


def test_a_good_file_is_fetched_once_and_kept(address, homolog_home):
    told = []
    before = Server.requests
    with listening(lambda fraction, phrase: told.append((fraction, phrase))):
        file = download.fetch(f"{address}/{GOOD}")
    assert file.read_bytes() == DATA
    assert left_behind(homolog_home) == [GOOD]
    assert told[-1] == (1.0, f"Downloading {GOOD}")
    assert len(told) > 1
    assert download.fetch(f"{address}/{GOOD}") == file
    assert Server.requests == before + 1


def test_a_damaged_file_in_the_cache_is_fetched_again(address, homolog_home):
    (homolog_home / "weights").mkdir()
    (homolog_home / "weights" / GOOD).write_bytes(DATA[:-1])
    assert download.fetch(f"{address}/{GOOD}").read_bytes() == DATA


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"cut/{GOOD}", "broke off after 384,000 of 768,000 bytes"),
        (WRONG, "another SHA-256 than published"),
        (f"missing/{GOOD}", "answered 404"),
        (f"elsewhere/{GOOD}", "could not be downloaded"),
        ("net.pth", "no checksum in its name"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_nothing(path, words, address, homolog_home):
    (homolog_home / "weights").mkdir()
    with pytest.raises(InputError, match=words):
        download.fetch(f"{address}/{path}")
    assert left_behind(homolog_home) == []


def test_offline_says_which_file_to_put_where(homolog_home):
    with pytest.raises(InputError) as caught:
        download.fetch(f"http://127.0.0.1:9/{GOOD}")
    assert "127.0.0.1:9 cannot be reached" in caught.value.problem
    assert f'Put the file "{GOOD}" into the folder "weights" of HOMOLOG_HOME' in caught.value.remedy
    assert str(homolog_home) not in str(caught.value)


def test_cancelling_leaves_nothing(address, homolog_home):
    def cancel(fraction, phrase):
        raise Cancelled

    with listening(cancel), pytest.raises(Cancelled):
        download.fetch(f"{address}/{GOOD}")
    assert left_behind(homolog_home) == []


@pytest.mark.parametrize("legacy", [False, True])
def test_published_weights_are_loaded_by_name(legacy, address, monkeypatch):
    """The whole way of ``torchvision:NAME``, with our own server in place of PyTorch's."""
    import torchvision

    torch.manual_seed(5)
    source = torchvision.models.squeezenet1_1(weights=None)
    file = io.BytesIO()
    torch.save(source.state_dict(), file, _use_new_zipfile_serialization=not legacy)
    name = f"squeezenet1_1-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"
    monkeypatch.setitem(Server.served, name, file.getvalue())

    class Entry:
        name = "IMAGENET1K_V1"
        meta = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.meta
        transforms = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.transforms
        url = f"{address}/{name}"

    Entry.url = f"{address}/{name}"
    monkeypatch.setattr(zoo, "_published", lambda network, entry: Entry)
    network = networks.load("torchvision:squeezenet1_1?weights=IMAGENET1K_V1")
    for key, value in source.state_dict().items():
        assert torch.equal(network.module.state_dict()[key], value)
    assert name in network.weights
    networks._loaded.clear()


def test_a_file_with_the_published_name_but_a_program_inside_does_not_run(tmp_path, homolog_home):
    import bad_weights

    marker = tmp_path / "ran"
    data = bad_weights.saved({"a": bad_weights.Payload(str(marker))})
    file = tmp_path / f"w-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    file.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        weights.read_verified(file)
    assert not marker.exists()
