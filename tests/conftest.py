"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
