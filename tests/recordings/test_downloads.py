"""Downloads against a local server: good, cut off, wrong, missing and disguised files, and no server."""

from __future__ import annotations

import hashlib
import http.server
import threading

import pytest

from dashboard import progress
from dashboard.errors import Cancelled, InputError
from dashboard.recordings import kriegeskorte92
from dashboard.recordings.downloads import Download, File

GOOD = bytes(range(256)) * 1200
REMEDY = (
    "Run python -m dashboard fetch tiny when you are online, "
    "or put the files in a folder tiny below HOMOLOG_DATA."
)


@pytest.fixture
def server(monkeypatch):
    """Serve `pages` (name to status, headers and body) and count the requests."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HOMOLOG_DATA", raising=False)

    class Handler(http.server.BaseHTTPRequestHandler):
        pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        requests: list[str] = []

        def do_GET(self):  # noqa: N802, the name is given
            name = self.path.rsplit("/", 1)[-1]
            self.requests.append(name)
            status, headers, body = self.pages.get(name, (404, {}, b"<html>Not found</html>"))
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        Handler.url = f"http://127.0.0.1:{httpd.server_address[1]}/data/"
        Handler.pages, Handler.requests = {}, []
        yield Handler
        httpd.shutdown()
        thread.join()


def tiny(url: str) -> Download:
    return Download("tiny", url, {"a.mat": File(len(GOOD), hashlib.sha256(GOOD).hexdigest())})


def refusal(url: str) -> str:
    with pytest.raises(InputError) as caught:
        tiny(url).read("a.mat")
    return str(caught.value)


def test_good_file_is_fetched_once(server, homolog_home):
    server.pages["a.mat"] = (200, {}, GOOD)
    assert not tiny(server.url).present()
    assert tiny(server.url).read("a.mat") == GOOD
    assert tiny(server.url).read("a.mat") == GOOD
    assert server.requests == ["a.mat"]
    assert tiny(server.url).present()
    assert [p.name for p in (homolog_home / "downloads" / "tiny").iterdir()] == ["a.mat"]


def test_progress_ends_at_one_and_never_goes_back(server):
    server.pages["a.mat"] = (200, {}, GOOD)
    told = []
    with progress.listening(lambda fraction, phrase: told.append((fraction, phrase))):
        tiny(server.url).fetch()
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 3
    assert told[0][1].startswith("fetching a.mat: 0.")


def test_truncated(server, homolog_home):
    server.pages["a.mat"] = (200, {}, GOOD[:1000])
    sentence = refusal(server.url)
    found, expected = hashlib.sha256(GOOD[:1000]).hexdigest(), hashlib.sha256(GOOD).hexdigest()
    assert sentence == (
        f'"a.mat" is not complete: 1,000 of 307,200 bytes (SHA-256 {found[:12]}…, '
        f"expected {expected[:12]}…). {REMEDY}"
    )
    assert list((homolog_home / "downloads" / "tiny").iterdir()) == []


def test_connection_cut_off(server):
    server.pages["a.mat"] = (200, {"Content-Length": str(len(GOOD))}, GOOD[:5000])
    assert refusal(server.url).startswith('"a.mat" is not complete: ')


def test_wrong_bytes_of_the_right_length(server):
    server.pages["a.mat"] = (200, {}, GOOD[::-1])
    sentence = refusal(server.url)
    assert sentence.startswith('"a.mat" has the wrong content: SHA-256 ')
    assert hashlib.sha256(GOOD).hexdigest()[:12] in sentence


def test_far_too_long_is_stopped(server):
    server.pages["a.mat"] = (200, {}, GOOD * 3)
    assert refusal(server.url) == f'"a.mat" is larger than the 307,200 bytes that it should have. {REMEDY}'


def test_missing_on_the_server(server):
    assert refusal(server.url) == f'"a.mat" could not be fetched: the server answered 404. {REMEDY}'


def test_web_page_in_place_of_the_file(server):
    server.pages["a.mat"] = (200, {}, b"\n<!DOCTYPE html><html>Sign in</html>")
    assert refusal(server.url) == f'"a.mat" is a web page, not the file. {REMEDY}'


def test_no_server(server):
    assert refusal("http://127.0.0.1:9/") == f'"a.mat" is not here and its server cannot be reached. {REMEDY}'


def test_damaged_file_here_is_replaced_or_named(server, homolog_home):
    place = homolog_home / "downloads" / "tiny" / "a.mat"
    place.parent.mkdir(parents=True)
    place.write_bytes(GOOD[:70])
    sentence = refusal("http://127.0.0.1:9/")
    assert sentence.startswith('"a.mat" is not complete: 70 of 307,200 bytes')
    assert "its server cannot be reached" in sentence
    server.pages["a.mat"] = (200, {}, GOOD)
    assert tiny(server.url).read("a.mat") == GOOD
    assert place.read_bytes() == GOOD


def test_same_bytes_in_the_data_folder_need_no_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMOLOG_DATA", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.mat").write_bytes(GOOD)
    assert tiny(server.url).present()
    assert tiny(server.url).read("a.mat") == GOOD
    (tmp_path / "tiny" / "a.mat").write_bytes(GOOD[:-1] + b"x")
    server.pages["a.mat"] = (200, {}, GOOD)
    assert tiny(server.url).read("a.mat") == GOOD
    assert server.requests == ["a.mat"]


def test_cancel_leaves_nothing(server, homolog_home):
    server.pages["a.mat"] = (200, {}, GOOD)

    def cancel(fraction, phrase):
        raise Cancelled

    with progress.listening(cancel), pytest.raises(Cancelled):
        tiny(server.url).fetch()
    assert list((homolog_home / "downloads" / "tiny").iterdir()) == []


def test_recording_names_the_command(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HOMOLOG_DATA", raising=False)
    offline = Download("kriegeskorte92", "http://127.0.0.1:9/", kriegeskorte92.DOWNLOAD.files)
    monkeypatch.setattr(kriegeskorte92, "DOWNLOAD", offline)
    from dashboard import recordings

    with pytest.raises(InputError, match="Run python -m dashboard fetch kriegeskorte92"):
        recordings.load("kriegeskorte92")
    with pytest.raises(InputError, match="made here, there is nothing to fetch"):
        recordings.fetch("simulated-v1")


def test_the_real_urls_are_pinned_to_a_commit():
    assert "/f1f83cadb7243492a1aae7460466e0f0140b20ac/" in kriegeskorte92.DOWNLOAD.url
    assert kriegeskorte92.DOWNLOAD.n_bytes == 5144165
