from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.errors import InputError
from dashboard.figures import rdms, theme
from dashboard.ui.components import matrix
from tests.figures import samples

ROOT = Path(__file__).resolve().parents[2]

APP = """
import sys
import streamlit as st
from dashboard.figures import rdms
from dashboard.ui.components.matrix import matrix_view
from tests.figures import samples

layers = ["<img src=x onerror='window.hacked=1'>", "b"]
panels = rdms.matrices(samples.rdm(10, 2, names=layers), samples.area_rdm(10))
pair = matrix_view(panels, thumbnails=samples.pictures(10), names=samples.stimulus_names(10), key="matrix")
st.write(f"pinned: {pair}")
st.write("end of page")
"""


def unpacked(data: bytes) -> tuple[dict, dict[str, bytes]]:
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    body = data[4 + length :]
    return header, {name: body[start : start + size] for name, (start, size) in header["parts"].items()}


def packed(panels, **options):
    given = {"thumbnails": None, "names": (), "lut": "viridis", "widest": 520, "pinned": None} | options
    return unpacked(matrix.message(panels, **given))


def test_message_holds_exact_values_and_names():
    panels = rdms.matrices(samples.rdm(7, 2), samples.area_rdm(7))
    header, parts = packed(panels)
    assert header["labels"] == list(panels[0].labels)
    assert [p["title"] for p in header["panels"]] == ["features.0", "features.1", "human IT", "monkey IT"]
    assert [p["role"] for p in header["panels"]] == ["network", "network", "brain", "brain"]
    assert parts["lut"] == theme.lut("viridis").tobytes()
    for k, panel in enumerate(panels):
        upper = np.frombuffer(parts[f"values{k}"], dtype="<f4")
        assert np.array_equal(upper, panel.values[np.triu_indices(7)])
        assert header["panels"][k]["alt"] == rdms.matrix_alt(panel)
    assert len(header["scales"]) == 1
    assert header["note"] == ""


def test_matrix_that_is_not_symmetric_is_sent_whole():
    panel = dataclasses.replace(
        rdms.matrices(samples.rdm(4, 1))[0], values=np.arange(16, dtype=np.float32).reshape(4, 4)
    )
    header, parts = packed([panel])
    assert header["panels"][0]["symmetric"] is False
    assert np.array_equal(np.frombuffer(parts["values0"], dtype="<f4").reshape(4, 4), panel.values)


def test_pictures_are_matched_by_name():
    panels = rdms.matrices(samples.rdm(7, 1))
    names = samples.stimulus_names(7)[::-1]
    header, _ = packed(panels, thumbnails=samples.pictures(7)[::-1], names=names)
    assert [names[t] for t in header["sprite"]["tiles"]] == list(panels[0].labels)
    header, _ = packed(panels, thumbnails=samples.pictures(2), names=names[:2])
    assert header["sprite"]["tiles"].count(-1) == 5


def test_two_units_give_two_scales_and_a_sentence():
    header, _ = packed(rdms.matrices(samples.rdm(7, 1), samples.area_rdm(7, "Euclidean distance")))
    assert [s["unit"] for s in header["scales"]] == ["1 − Pearson r", "Euclidean distance"]
    assert "own colour scale" in header["note"]


def test_digest_tells_what_is_drawn_and_not_what_is_pinned():
    panels = rdms.matrices(samples.rdm(7, 1))
    one, _ = packed(panels)
    other, _ = packed(panels, pinned=("picture 0000", "picture 0001"))
    third, _ = packed(panels, lut="cividis")
    assert one["digest"] == other["digest"] != third["digest"]


def test_what_cannot_be_drawn_is_refused():
    panels = rdms.matrices(samples.rdm(7, 2))
    with pytest.raises(InputError, match="no matrix"):
        packed([])
    with pytest.raises(InputError, match="different stimuli or orders"):
        packed([panels[0], dataclasses.replace(panels[1], labels=panels[1].labels[::-1])])
    with pytest.raises(InputError, match="2 pictures but 7 names"):
        packed(panels, thumbnails=samples.pictures(2), names=samples.stimulus_names(7))


@pytest.mark.parametrize(
    "sent", [None, "ab", ["a"], ["a", "b", "a"], ["a", "x"], {"a": 1, "b": 2}, [1, None]]
)
def test_what_the_browser_sends_is_checked(sent):
    assert matrix._pair(sent, ("a", "b")) is None


def test_pair_of_known_names_is_returned():
    assert matrix._pair(["b", "a"], ("a", "b")) == ("b", "a")


def test_script_writes_names_as_text_and_asks_nobody():
    script = Path(matrix.__file__).with_name("matrix.js").read_text("utf-8")
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|https?://|fetch\(", script)


def test_view_runs_in_a_page():
    app = AppTest.from_string(APP, default_timeout=60).run()
    assert not app.exception
    assert "pinned: None" in [m.value for m in app.markdown]


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Address of a server that shows the matrices."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(folder / "app.py"), "--server.headless", "true"]
    server = subprocess.Popen(
        [*command, "--server.port", str(port)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(150):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health") as answer,
            ):
                if answer.read() == b"ok":
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def page(address, browser):
    found = browser.new_page(viewport={"width": 1280, "height": 900})
    found.problems = []
    found.on("pageerror", lambda error: found.problems.append(str(error)))
    found.goto(address)
    found.get_by_text("end of page").wait_for(timeout=60_000)
    found.locator("canvas.cells").nth(3).wait_for(timeout=30_000)
    yield found
    found.close()


@pytest.mark.browser
def test_pointer_shows_names_and_values_and_click_pins(page):
    panels = rdms.matrices(samples.rdm(10, 2), samples.area_rdm(10))
    row, column = 2, 7
    canvas = page.locator("canvas.cells").nth(1)
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * (column + 0.5) / 10, "y": box["height"] * (row + 0.5) / 10})
    names = (panels[0].labels[row], panels[0].labels[column])
    page.locator(".readout").get_by_text(names[0]).wait_for()
    page.locator(".readout").get_by_text(names[1]).wait_for()
    shown = page.locator("figcaption .value").all_inner_texts()
    assert shown == [theme.three_digits(p.values[row, column]) for p in panels]
    canvas.click(position={"x": box["width"] * (column + 0.5) / 10, "y": box["height"] * (row + 0.5) / 10})
    page.get_by_text(f"pinned: {names}").wait_for()
    assert page.locator("figcaption .title").first.inner_text().endswith("onerror='window.hacked=1'>")
    assert page.evaluate("window.hacked") is None
    assert page.problems == []


@pytest.mark.browser
def test_keyboard_moves_pins_and_unpins(page):
    labels = rdms.matrices(samples.rdm(10, 1))[0].labels
    page.locator("canvas.cells").first.focus()
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator("output").inner_text().startswith(f"{labels[2]} and {labels[1]}: ")
    page.keyboard.press("Enter")
    page.get_by_text(f"pinned: {(labels[2], labels[1])}").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("pinned: None").wait_for()
    assert page.locator("canvas.cells").first.get_attribute("role") == "img"
    assert "largest" in page.locator("canvas.cells").first.get_attribute("aria-label")
    assert page.problems == []
