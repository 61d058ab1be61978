"""Shared fixtures, and the order of the tests where several processes share them."""

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

TOGETHER = ("tests/browser/", "tests/pages/")
"""Folders whose tests share a server, workers and answers, so that one process should run them all."""

FIRST = (
    *TOGETHER,
    "tests/fuzz/test_mutations",
    "tests/report/test_guided_notebooks",
    "tests/test_jobs",
    "tests/report/test_exporters",
    "tests/analyses/",
    "tests/test_bringing",
    "tests/networks/",
    "tests/methods/attribution/",
)
"""What takes longest, in the order in which it is begun; short files at the end keep all processes busy."""


def pytest_collection_modifyitems(config, items) -> None:
    """Begin with what takes longest where several processes share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: next((k for k, start in enumerate(FIRST) if item.nodeid.startswith(start)), 99)
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process whole files (``--dist loadfile``) or, where they share much, whole folders."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Whole(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

    config.option.loadscopereorder = False  # our order, not that of the number of tests
    return Whole(config, log)


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
