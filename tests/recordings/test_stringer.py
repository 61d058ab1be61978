"""The gratings of Stringer et al., from files of the same layout on a local server."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading

import numpy as np
import pytest

from dashboard import recordings, stimuli
from dashboard.errors import InputError
from dashboard.recordings import stringer
from dashboard.recordings.downloads import Download, File

RNG = np.random.default_rng(0)
ANGLES = np.arange(0.5, 360, 20)
VALUES = RNG.normal(size=(2, len(ANGLES), 7))


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


FILES = {
    "stringer-orientations": npz(resp=VALUES[0], stimuli=ANGLES),
    "stringer-halves": npz(resp_train=VALUES[0], resp_test=VALUES[1], stimuli=ANGLES),
}


@pytest.fixture
def server(monkeypatch):
    """Serve files as OSF does: the address says nothing of their names, and leads on to another one."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HOMOLOG_DATA", raising=False)

    class Handler(http.server.BaseHTTPRequestHandler):
        pages: dict[str, bytes] = {}

        def do_GET(self):  # noqa: N802, the name is given
            body = self.pages.get(self.path)
            self.send_response(302 if body is None else 200)
            if body is None:
                self.send_header("Location", f"/files{self.path}")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}/"

        def serve(name: str, served: bytes, known: bytes) -> None:
            Handler.pages = {"/files/abc/download": served}
            file = File(0, md5=hashlib.md5(known).hexdigest(), place="abc/download")
            made = {**stringer.DOWNLOADS, name: Download(name, url, {stringer._OF[name]: file})}
            monkeypatch.setattr(stringer, "DOWNLOADS", made)

        yield serve
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("name", list(FILES))
def test_a_file_is_fetched_checked_and_read(name, server, homolog_home):
    server(name, FILES[name], FILES[name])
    entry = next(e for e in recordings.catalogue() if e.reference == name)
    assert not entry.present
    assert "size not told, to be fetched" in entry.note
    found = recordings.load(name)
    expected = VALUES if name == "stringer-halves" else VALUES[0]
    np.testing.assert_array_equal(found.responses["V1"][0], expected)
    assert found.digest == recordings.identity(name)
    assert "here" in next(e for e in recordings.catalogue() if e.reference == name).note
    shown = stimuli.load(f"recording:{name}")
    assert shown.names == found.stimulus_names
    assert shown.names[0] == "grating 000.5 deg"
    np.testing.assert_array_equal(shown.columns["orientation"], ANGLES % 180)
    assert shown.digest == stimuli.identity(f"recording:{name}")
    assert shown.picture(3).shape == (48, 64, 3)


def test_another_file_is_refused_and_not_kept(server, homolog_home):
    server("stringer-orientations", FILES["stringer-halves"], FILES["stringer-orientations"])
    with pytest.raises(InputError, match="has the wrong content: MD5 ") as caught:
        recordings.load("stringer-orientations")
    assert "Run python -m dashboard fetch stringer-orientations when you are online" in str(caught.value)
    assert list((homolog_home / "downloads" / "stringer-orientations").iterdir()) == []


@pytest.mark.parametrize(
    "arrays", [{"resp": VALUES[0].T, "stimuli": ANGLES}, {"resp": VALUES, "stimuli": ANGLES}]
)
def test_another_layout_is_refused(arrays, server):
    data = npz(**arrays)
    server("stringer-orientations", data, data)
    with pytest.raises(InputError, match="does not hold stimuli × neurons"):
        recordings.load("stringer-orientations")


def test_the_checksums_are_those_that_the_source_tells():
    files = {name: next(iter(d.files.values())) for name, d in stringer.DOWNLOADS.items()}
    assert files["stringer-orientations"].md5 == "436599dfd8ebe6019f066c38aed20580"
    assert files["stringer-halves"].md5 == "b3f7245c6221234a676b71a1f43c3bb5"
    assert [file.place for file in files.values()] == ["683xc/download", "p3aeb/download"]
