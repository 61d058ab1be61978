"""Open recordings from a local server in the layouts that their sources tell; first fetch and later ones."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading

import numpy as np
import pytest

from dashboard import recordings, stimuli
from dashboard.__main__ import main
from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import fetched, open_data
from dashboard.recordings.downloads import Download

RNG = np.random.default_rng(0)
CENTRES = np.arange(2.5, 180, 30)


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


TUNING = RNG.normal(size=(7, len(CENTRES))).astype(np.float32)
TRIALS, THETA = RNG.normal(size=(9, 5)).astype(np.float32), RNG.uniform(0, 360, 9)
KAY = {
    "stimuli": RNG.normal(size=(6, 8, 8)).astype(np.float32),
    "stimuli_test": RNG.normal(size=(4, 8, 8)).astype(np.float32),
    "responses": RNG.normal(size=(6, 10)).astype(np.float32),
    "responses_test": RNG.normal(size=(4, 10)).astype(np.float32),
    "roi": np.array([1, 1, 1, 2, 2, 2, 2, 1, 2, 2]),
    "roi_names": np.array(["Other", "V1", "LatOcc"]),
}
SPOSE = RNG.uniform(0, 2, (5, 3))
SERVED = {
    fetched.TUNING: npz(tuning_mean=TUNING, angle_bin_centers_deg=CENTRES),
    fetched.TRIALS: npz(X=TRIALS, theta_deg=THETA),
    "ymnjv/download": npz(**KAY),
    "4pgk8/download": "\n".join(" ".join(f"{v:.6f}" for v in row) for row in SPOSE).encode(),
    "2y463/download": b"aardvark\nabacus\naccordion\nacorn\nair conditioner\n",
}


@pytest.fixture
def server(monkeypatch):
    """Serve the files in the place of their sources; return what is served, by address."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HOMOLOG_DATA", raising=False)
    pages = dict(SERVED)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802, the name is given
            body = pages.get(self.path.lstrip("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}/"
        made = {name: Download(name, url, d.files) for name, d in fetched.DOWNLOADS.items()}
        monkeypatch.setattr(fetched, "DOWNLOADS", made)
        yield pages
        httpd.shutdown()
        thread.join()


def brought(name: str) -> recordings.Recording:
    with collect_cautions() as told:
        recordings.fetch(name)
    assert any(c.code == "no-checksum" for c in told)
    found = recordings.load(name)
    assert found.digest == recordings.identity(name)
    return found


def test_tuning_and_trials_of_stringer(server):
    found = brought("stringer-tuning")
    np.testing.assert_array_equal(found.responses["V1"][0], TUNING.T.astype(np.float64))
    assert found.stimulus_names[0] == "grating 002.5 deg"
    shown = stimuli.load("recording:stringer-tuning")
    np.testing.assert_array_equal(shown.columns["orientation"], CENTRES)
    assert shown.digest == stimuli.identity("recording:stringer-tuning")
    assert shown.picture(2).shape == (48, 64, 3)
    found = brought("stringer-trials")
    np.testing.assert_array_equal(found.responses["V1"][0], TRIALS.astype(np.float64))
    np.testing.assert_array_equal(found.stimuli.columns["angle"], THETA)


@pytest.mark.filterwarnings("ignore:No source tells")
def test_both_parts_of_kay_come_from_one_file(server):
    recordings.fetch("kay")
    for name, part, n in (("kay-training", "", 6), ("kay-validation", "_test", 4)):
        found = recordings.load(name)
        assert found.areas == ("V1", "LatOcc")
        expected = KAY[f"responses{part}"][:, KAY["roi"] == 1].astype(np.float64)
        np.testing.assert_array_equal(found.responses["V1"][0], expected)
        assert found.units["LatOcc"] == 6
        given = KAY[f"stimuli{part}"]
        low, high = given.min(), given.max()
        drawn = np.stack([found.stimuli.picture(i)[:, :, 0] for i in range(n)])
        assert (drawn.min(), drawn.max()) == (0, 255)
        assert np.abs(drawn / 255 - (given - low) / (high - low)).max() < 0.003
    assert recordings.identity("kay-training") != recordings.identity("kay-validation")


def test_voxels_without_numbers_are_left_out_and_told(server):
    responses = KAY["responses"].copy()
    responses[2, 0] = np.nan
    server["ymnjv/download"] = npz(**{**KAY, "responses": responses})
    with collect_cautions() as told:
        found = recordings.load("kay-training")
    assert found.units["V1"] == 3
    assert any("1 voxels without a response" in c.message for c in told)


def test_dimensions_of_things(server):
    found = brought("things-similarity")
    np.testing.assert_allclose(found.responses["similarity judgements"][0], SPOSE, atol=1e-6)
    assert found.stimulus_names[4] == "air conditioner"
    with pytest.raises(InputError, match="brings no pictures"):
        recordings.load_stimuli("things-similarity")


def test_before_the_first_fetch_nothing_is_known_and_after_it_other_bytes_are_refused(server, homolog_home):
    with pytest.raises(InputError, match="is not here yet, and its source tells no checksum"):
        recordings.identity("stringer-tuning")
    with collect_cautions() as told:
        recordings.fetch("stringer-tuning")
    digest = hashlib.sha256(SERVED[fetched.TUNING]).hexdigest()
    assert digest[:12] in told[0].message
    before = recordings.identity("stringer-tuning")
    with collect_cautions() as told:
        recordings.load("stringer-tuning")
    assert not told
    folder = homolog_home / "downloads" / "stringer-tuning"
    (folder / fetched.TUNING).unlink()
    server[fetched.TUNING] = npz(tuning_mean=TUNING + 1, angle_bin_centers_deg=CENTRES)
    with pytest.raises(InputError, match="has the wrong content: SHA-256"):
        recordings.fetch("stringer-tuning")
    assert not (folder / fetched.TUNING).exists()
    assert recordings.identity("stringer-tuning") == before
    server[fetched.TUNING] = SERVED[fetched.TUNING]
    recordings.fetch("stringer-tuning")
    (folder / fetched.TUNING).write_bytes(b"changed on the disk")
    np.testing.assert_array_equal(recordings.load("stringer-tuning").responses["V1"][0], TUNING.T)


TURNED = npz(tuning_mean=TUNING.T, angle_bin_centers_deg=CENTRES)
OBJECTS = npz(X=np.array([{}], dtype=object), theta_deg=THETA)


@pytest.mark.filterwarnings("ignore:No source tells")
@pytest.mark.parametrize(
    ("name", "place", "body", "words"),
    [
        ("stringer-tuning", fetched.TUNING, TURNED, "neurons ×"),
        ("stringer-trials", fetched.TRIALS, npz(X=TRIALS, theta_deg=THETA[:3]), "trials ×"),
        ("stringer-trials", fetched.TRIALS, OBJECTS, "can run code"),
        ("kay-training", "ymnjv/download", npz(**{**KAY, "roi": KAY["roi"] + 3}), "areas of voxels"),
        ("things-similarity", "2y463/download", b"one\ntwo\n", "each of the 2 concepts"),
        ("things-similarity", "4pgk8/download", b"a b\n", "a row of numbers"),
        ("things-similarity", "4pgk8/download", b"<!doctype html><p>Sign in", "is a web page"),
        ("things-similarity", "4pgk8/download", b"", "is empty"),
    ],
)
def test_other_layouts_are_refused(server, name, place, body, words):
    server[place] = body
    with pytest.raises(InputError, match=words):
        recordings.load(name)


@pytest.mark.filterwarnings("ignore:No source tells")
def test_a_file_that_somebody_put_into_the_data_folder_counts_as_the_first(tmp_path, monkeypatch):
    (tmp_path / "stringer-tuning").mkdir()
    (tmp_path / "stringer-tuning" / fetched.TUNING).write_bytes(SERVED[fetched.TUNING])
    monkeypatch.setenv("HOMOLOG_DATA", str(tmp_path))
    known = recordings.identity("stringer-tuning")
    assert recordings.load("stringer-tuning").digest == known


@pytest.mark.filterwarnings("ignore:No source tells")
def test_a_file_of_another_layout_does_not_stand_in_the_way_of_the_right_one(server):
    server[fetched.TUNING] = TURNED
    with pytest.raises(InputError, match="Fetch it again"):
        recordings.load("stringer-tuning")
    server[fetched.TUNING] = SERVED[fetched.TUNING]
    assert recordings.load("stringer-tuning").units == {"V1": len(TUNING)}


def test_the_list_names_every_recording_that_is_fetched_and_what_to_do_about_the_others():
    named = [name for entry in open_data.OPEN for name in entry.recordings]
    assert sorted(named) == sorted(n for n, reader in recordings.READERS.items() if reader.fetched)
    assert len({entry.name for entry in open_data.OPEN}) == len(open_data.OPEN)
    for entry in open_data.OPEN:
        assert bool(entry.why_not) != bool(entry.recordings)
        if entry.why_not:
            with pytest.raises(InputError) as caught:
                recordings.fetch(entry.name)
            assert caught.value.remedy
            assert entry.address in str(caught.value)
        else:
            reader = recordings.READERS[entry.recordings[0]]
            assert entry.name == reader.fetched
            told = {file.checksum[0] for file in reader.download.files.values()}
            assert told == {{"SHA-256 of each file": "sha256", "MD5": "md5"}.get(entry.checksum, "")}


@pytest.mark.filterwarnings("ignore:No source tells")
def test_the_command_fetches_with_a_bar_and_lists_without_a_name(server, capsys, homolog_home):
    assert main(["fetch", "things-similarity"]) == 0
    assert (homolog_home / "downloads" / "things-similarity" / fetched.CONCEPTS).is_file()
    assert "things-similarity is here" in capsys.readouterr().err
    assert main(["fetch"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(open_data.OPEN)
    assert main(["fetch", "nsd"]) == 2
