"""Shared fixtures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(autouse=True)
def homolog_home(tmp_path_factory, monkeypatch) -> Path:
    """Give every test a store of its own, so that no test sees another's answers or the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOMOLOG_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real data and weights; a test that needs it is skipped elsewhere."""
    folder = os.environ.get("HOMOLOG_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("HOMOLOG_DATA does not name a folder of real data")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def browser():
    """Chromium, or a skip with the reason; a failure where a browser is required."""
    executable = shutil.which("chromium")
    if executable is None:
        message = "chromium is not installed"
        if os.environ.get("HOMOLOG_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield running
        running.close()
