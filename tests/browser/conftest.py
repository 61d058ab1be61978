"""A real server and a real Chromium for the few tests that need them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.looking import STILL, Visitor

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running app."""

    url: str
    process: subprocess.Popen[bytes]
    home: Path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Server]:
    """Run the app on a free port with a store of its own until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    options = ["--server.headless", "true", "--server.port", str(port)]
    environment = {**os.environ, "HOMOLOG_HOME": str(home)}
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/_stcore/health", process, home)
            yield Server(f"http://127.0.0.1:{port}", process, home)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(3)
            except (
                subprocess.TimeoutExpired
            ):  # workers that import torch end late; nobody waits for them here
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_up(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as reply:
            if reply.read() == b"ok":
                return
        time.sleep(0.1)
    pytest.fail("the server did not start:\n" + (home / "server.log").read_text()[-2000:])


@pytest.fixture
def fresh_server(tmp_path_factory) -> Iterator[Server]:
    """A server that nobody has asked anything yet."""
    with serving(tmp_path_factory.mktemp("fresh")) as server:
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """One server for all tests of this process, as on a machine that a lab shares."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def page(browser):
    """A page that collects the errors of its scripts."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(STILL)
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    yield tab
    context.close()


@pytest.fixture(scope="session")
def visitor(browser, server) -> Iterator[Visitor]:
    """One tab for all that only looks at pages: what a browser keeps of the app is loaded once."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(STILL)
    yield Visitor(context.new_page(), server.url)
    context.close()
