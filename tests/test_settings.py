"""Settings: read at call time, and refused with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dashboard import settings
from dashboard.errors import InputError


def test_home_is_the_variable_and_is_made(tmp_path, monkeypatch):
    folder = tmp_path / "new" / "home"
    monkeypatch.setenv("HOMOLOG_HOME", str(folder))
    assert settings.home() == folder
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_home_without_the_variable_is_the_platforms_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("HOMOLOG_HOME")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / name)
    assert settings.home() == tmp_path / "homolog"


def test_home_that_is_a_file_is_refused_without_its_path(tmp_path, monkeypatch):
    file = tmp_path / "taken"
    file.write_text("")
    monkeypatch.setenv("HOMOLOG_HOME", str(file))
    with pytest.raises(InputError) as caught:
        settings.home()
    assert '"taken"' in str(caught.value)
    assert "HOMOLOG_HOME" in caught.value.remedy
    assert str(tmp_path) not in str(caught.value)


def test_roots_are_those_that_exist_in_order(tmp_path, monkeypatch):
    home, data = tmp_path / "home", tmp_path / "data"
    (data / "weights").mkdir(parents=True)
    monkeypatch.setenv("HOMOLOG_HOME", str(home))
    monkeypatch.setenv("HOMOLOG_DATA", str(data))
    assert settings.weights_roots() == [data / "weights"]
    assert settings.stimuli_roots() == [data]
    (home / "weights").mkdir(parents=True)
    (home / "stimuli").mkdir()
    assert settings.weights_roots() == [home / "weights", data / "weights"]
    assert settings.stimuli_roots() == [home / "stimuli", data]
    monkeypatch.setenv("HOMOLOG_DATA", str(tmp_path / "nowhere"))
    assert settings.data_folder() is None
    assert settings.stimuli_roots() == [home / "stimuli"]


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("20GB", 20 * 10**9), ("512 MiB", 512 * 2**20), ("1.5gb", 1_500_000_000), ("1000", 1000), ("7 B", 7)],
)
def test_amounts(text, bytes_, monkeypatch):
    monkeypatch.setenv("HOMOLOG_STORE_LIMIT", text)
    assert settings.store_limit_bytes() == bytes_


@pytest.mark.parametrize("text", ["much", "20 apples", "-3GB", "0", "nan", "1e9", "GB"])
def test_amounts_that_are_none(text, monkeypatch):
    monkeypatch.setenv("HOMOLOG_STORE_LIMIT", text)
    with pytest.raises(InputError, match="HOMOLOG_STORE_LIMIT"):
        settings.store_limit_bytes()


def test_defaults(monkeypatch):
    for name in ("STORE_LIMIT", "WORKER_MEMORY", "WORKER_THREADS", "SCHEDULER"):
        monkeypatch.delenv(f"HOMOLOG_{name}", raising=False)
    monkeypatch.setattr(settings, "_cores", lambda: 1)
    monkeypatch.setattr(settings, "_memory", lambda: 10 * 2**30)
    assert settings.store_limit_bytes() == 20 * 10**9
    assert settings.worker_memory_bytes() == 4 * 2**30
    assert settings.worker_threads() == 1
    monkeypatch.setattr(settings, "_cores", lambda: 8)
    assert settings.worker_threads() == 7
    assert settings.scheduler() is None


@pytest.mark.parametrize("text", ["0", "two", "1.5", "-1", "9999", "²"])
def test_worker_threads_that_are_none(text, monkeypatch):
    monkeypatch.setenv("HOMOLOG_WORKER_THREADS", text)
    with pytest.raises(InputError, match="HOMOLOG_WORKER_THREADS"):
        settings.worker_threads()


def test_scheduler_address(monkeypatch):
    monkeypatch.setenv("HOMOLOG_SCHEDULER", "tls://10.0.0.1:8786")
    assert settings.scheduler() == "tls://10.0.0.1:8786"
    monkeypatch.setenv("HOMOLOG_SCHEDULER", "our big machine")
    with pytest.raises(InputError, match="our big machine"):
        settings.scheduler()


def test_settings_import_nothing_heavy():
    code = (
        "import sys, dashboard.settings as s; s.home(); s.weights_roots(); s.store_limit_bytes();"
        "print(sorted({'torch', 'distributed', 'numpy', 'xarray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
