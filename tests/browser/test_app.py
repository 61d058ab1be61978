"""The app in a real browser: cold links, real answers, no torch in the server, nothing broken."""

from __future__ import annotations

import re
import time

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.looking import HEADINGS

expect.set_options(timeout=30_000)

pytestmark = [pytest.mark.browser]

TITLES = [
    "Home",
    "Add",
    "Network",
    "Predictions",
    "Attributions",
    "Attention",
    "Filters",
    "Tuning",
    "Selectivity",
    "Unit",
    "RDMs",
    "Brain",
    "Alignment",
    "Decoding",
    "Encoding",
    "Report",
    "Jobs",
]


def _heading(page, text):
    return page.get_by_role("heading", name=re.compile(text), level=1)


@pytest.mark.parametrize("path", ["brain", "rdms"])
def test_cold_deep_link_shows_the_page_with_the_right_sidebar(fresh_server, page, path):
    start = time.monotonic()
    page.goto(f"{fresh_server.url}/{path}")
    expect(_heading(page, HEADINGS[path])).to_be_visible()
    waited = time.monotonic() - start
    links = page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(links).to_have_count(len(HEADINGS))
    assert [text.split("\n")[-1] for text in links.all_inner_texts()] == TITLES
    expect(page.get_by_label("Network", exact=False).first).to_be_visible()
    print(f"first heading after {waited:.2f} s")


def test_from_the_first_click_to_the_layer_profile_and_the_server_never_imports_torch(server, page):
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{server.url}/brain?bootstrap=100")
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible(timeout=240_000)
    expect(page.get_by_text(re.compile("comes closest|cannot be said"))).to_be_visible()
    expect(page.get_by_text(re.compile("simulated", re.I)).first).to_be_visible()
    assert page.get_by_test_id("stException").count() == 0
    assert not problems
    main = psutil.Process(server.process.pid)
    loaded = {mapping.path for mapping in main.memory_maps()}
    assert any("numpy" in path for path in loaded)
    heavy = ("libtorch", "/torch/", "/torchvision/", "/shap/", "/captum/", "/transformers/")
    assert not [path for path in loaded if any(name in path for name in heavy)]
    workers = [child for child in main.children(recursive=True) if child.is_running()]
    assert any("libtorch" in m.path for child in workers for m in child.memory_maps())


def test_a_path_in_a_link_is_refused(server, page):
    page.goto(f"{server.url}/brain?network=torchvision:alexnet%3Fweights=/etc/hostname")
    expect(page.get_by_text("outside the folders that this server opens")).to_be_visible()


def test_a_cell_of_a_matrix_names_both_stimuli_and_can_be_pinned(server, page):
    page.goto(
        f"{server.url}/rdms?network=bundled:tilt_cnn&layers=fc&recording=simulated-v1?subjects=2%26cells=20"
    )
    canvas = page.locator("canvas[role=img]").first
    expect(canvas).to_be_visible(timeout=240_000)
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 0.8, "y": box["height"] * 0.2})
    readout = page.locator(".matrix-view")
    both = re.compile(r"ori \d{3}\.\d sf .*ori \d{3}\.\d sf", re.DOTALL)
    expect(readout).to_contain_text(both)
    expect(readout).to_contain_text("Click or press Enter to pin")
    canvas.click(position={"x": box["width"] * 0.8, "y": box["height"] * 0.2})
    page.mouse.move(0, 0)
    expect(readout).to_contain_text(both)
    expect(readout).to_contain_text("Pinned")
