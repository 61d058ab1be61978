"""Bringing files by the command line, limits and listed folders, and what check-server says."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dashboard import bringing, compute, exposure, kept, recordings
from dashboard.__main__ import main
from dashboard.errors import InputError
from dashboard.specs import AreaRdmSpec

VALUES = np.random.default_rng(0).normal(size=(12, 5))


@pytest.fixture
def responses(tmp_path) -> Path:
    path = tmp_path / "responses.npz"
    np.savez(path, r=VALUES, names=np.array([f"item-{i}x" for i in range(12)]))
    return path


def test_the_command_prints_the_reference_that_opens_it_everywhere(responses, capsys):
    assert main(["add", str(responses)]) == 0
    said = capsys.readouterr()
    reference = said.out.strip()
    assert "12 stimuli in all units." in said.err
    np.testing.assert_array_equal(recordings.load(reference).responses["all units"][0], VALUES)


def test_a_recipe_is_taken_and_a_wrong_one_is_refused_in_words(responses, tmp_path, capsys):
    recipe = tmp_path / "recipe.json"
    asked = {"kind": "recording", "version": 1, "values": ["r"], "axes": ["unit", "stimulus"]}
    recipe.write_text(json.dumps(asked))
    assert main(["add", str(responses), "--recipe", str(recipe)]) == 0
    assert "5 stimuli" in capsys.readouterr().err
    recipe.write_text(json.dumps({**asked, "axes": ["unit", "stimulus", "time"]}))
    assert main(["add", str(responses), "--recipe", str(recipe)]) == 2
    assert '"r" has 2 axes (12 × 5), and 3 are described.' in capsys.readouterr().err
    recipe.write_text('{"kind": "recording", "eval": "x"}')
    assert main(["add", str(responses), "--recipe", str(recipe)]) == 2
    assert 'no setting of a recipe "eval"' in capsys.readouterr().err


def test_one_changed_number_is_another_answer(tmp_path, monkeypatch):
    """A thousand changes of one element give a thousand answers (goal G5 of the safety figures)."""
    rng = np.random.default_rng(1)
    recipe = {"kind": "recording", "version": 1, "values": ["array"], "axes": ["stimulus", "unit"]}
    seen, matrices = set(), set()
    for k in range(1000):
        if k % 10 == 0:  # keeping a file looks through all that are kept
            monkeypatch.setenv("HOMOLOG_HOME", str(tmp_path / str(k)))
        changed, file = VALUES.copy(), io.BytesIO()
        changed[rng.integers(12), rng.integers(5)] += rng.normal()
        np.save(file, changed)
        spec = AreaRdmSpec(recording=kept.keep([("a.npy", file.getvalue())], "s", recipe).reference)
        seen.add(compute.key(spec))
        if k % 50 == 0:
            matrices.add(compute.compute(spec).rdm.to_numpy().tobytes())
    assert len(seen) == 1000
    assert len(matrices) == 20


def test_files_of_listed_folders_are_read_where_they_lie_and_no_others(responses, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMOLOG_ROOTS", str(tmp_path))
    upload = kept.keep([("responses.npz", responses)], "s")
    assert not list(upload.folder.glob("*.bin"))
    found = bringing.look("recording", upload.reference)
    recording = recordings.load(kept.with_recipe(upload.reference, found["recipe"]).reference)
    np.testing.assert_array_equal(recording.responses["all units"][0], VALUES)
    np.savez(responses, r=VALUES + 1)
    with pytest.raises(InputError, match="damaged on the disk"):
        bringing.look("recording", upload.reference)
    monkeypatch.setenv("HOMOLOG_ROOTS", "")
    with pytest.raises(InputError, match="does not open any more"):
        kept.opened(upload.reference)


def test_the_total_of_all_uploads_is_limited_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setenv("HOMOLOG_UPLOADS", "3MiB")
    first = kept.keep([("a.npy", bytes(2 * 2**20))], "s")
    kept.keep([("b.npy", bytes(2 * 2**20))], "s")
    with pytest.raises(InputError, match="not kept here"):
        kept.opened(first.reference)


@pytest.fixture
def streamlit(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in exposure._DEFAULTS:
        monkeypatch.delenv(exposure._variable(name), raising=False)
    return monkeypatch


def grades(url: str = "http://127.0.0.1:9") -> dict[str, str]:
    return {finding.name: finding.grade for finding in exposure.check(url)}


def test_check_server_finds_the_settings_of_the_repository_safe_on_loopback(streamlit, capsys):
    found = grades()
    assert "unsafe" not in found.values()
    assert found["running server"] == "look"
    assert main(["check-server", "--url", "http://127.0.0.1:9"]) == 0
    assert capsys.readouterr().out.endswith("Nothing makes it unsafe to expose.\n")


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("STREAMLIT_SERVER_ADDRESS", "0.0.0.0", "address"),
        ("STREAMLIT_SERVER_ADDRESS", "", "allowed hosts"),
        ("STREAMLIT_SERVER_MAX_UPLOAD_SIZE", "500", "upload size"),
        ("STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION", "false", "request forgery"),
        ("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full", "error details"),
        ("STREAMLIT_SERVER_ENABLE_STATIC_SERVING", "true", "static files"),
    ],
)
def test_check_server_names_what_is_unsafe(variable, value, name, streamlit, capsys):
    streamlit.setenv(variable, value)
    assert grades()[name] == "unsafe"
    assert main(["check-server", "--url", "http://127.0.0.1:9"]) == 2
    assert "unsafe to expose" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix rights")
def test_check_server_refuses_folders_of_code_that_others_may_change(streamlit, tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    streamlit.setenv("HOMOLOG_ARCHITECTURES", str(folder))
    assert grades()["folders"] == "safe"
    folder.chmod(0o777)
    assert grades()["folders"] == "unsafe"


@pytest.mark.parametrize("address", ["0.0.0.0", "", None, "::", "192.168.1.20", "lab.example"])
def test_the_app_does_not_start_where_strangers_reach_it(address, streamlit, monkeypatch):
    with pytest.raises(InputError, match="nobody has to sign in, and is not started. Set server.address"):
        exposure.allow_listening(address)
    streamlit.setenv("HOMOLOG_EXPOSED", "yes")
    exposure.allow_listening(address)
    streamlit.setenv("STREAMLIT_SERVER_ADDRESS", address or "")
    assert grades()["address"] == "look"
    streamlit.setenv("HOMOLOG_EXPOSED", "no")
    monkeypatch.setattr(exposure, "_sign_in", lambda: True)
    exposure.allow_listening(address)


@pytest.mark.parametrize("address", [*exposure.LOCAL, "unix:///run/homolog.sock"])
def test_the_app_starts_where_only_this_machine_reaches_it(address, streamlit):
    exposure.allow_listening(address)
    streamlit.setenv("HOMOLOG_EXPOSED", "perhaps")
    exposure.allow_listening(address)
    with pytest.raises(InputError, match='HOMOLOG_EXPOSED is "perhaps"'):
        exposure.allow_listening("0.0.0.0")


def test_make_app_on_every_interface_ends_with_a_sentence(tmp_path):
    root = Path(exposure.__file__).resolve().parents[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.address", "0.0.0.0"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [*command, "--server.headless", "true", "--server.port", "0"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert (
        "The server would listen on 0.0.0.0, where nobody has to sign in, and is not started." in done.stderr
    )
    assert "Traceback" not in done.stderr
