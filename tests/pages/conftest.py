"""One store for all tests of pages, as where others have been before; `cold` gives an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def warm_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("warm")


@pytest.fixture(autouse=True)
def homolog_home(warm_home, monkeypatch) -> Path:
    """Keep answers from test to test: what a page asks twice is computed once."""
    monkeypatch.setenv("HOMOLOG_HOME", str(warm_home))
    return warm_home


@pytest.fixture
def cold(tmp_path, monkeypatch) -> Path:
    """Give the test a store in which nothing has been computed."""
    home = tmp_path / "cold"
    home.mkdir()
    monkeypatch.setenv("HOMOLOG_HOME", str(home))
    return home
