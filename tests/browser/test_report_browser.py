"""From an open figure to the slides in a real browser: pin, arrange, present with the keyboard, hover."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from dashboard import compute
from dashboard.specs import BrainSpec, NetworkSpec, RdmSpec, RecordingSpec, StimuliSpec
from tests.browser.looking import hindrances, settle

pytestmark = [pytest.mark.browser]

CHOSEN = {
    "network": "bundled:tilt_cnn",
    "stimuli": "gratings?phases=1",
    "recording": "simulated-v1?subjects=2&cells=20",
}
NETWORK, STIMULI, RECORDING = CHOSEN.values()
RDM = RdmSpec(network=NETWORK, stimuli=STIMULI, layers=("pool", "fc"))
BRAIN = BrainSpec(
    network=NETWORK,
    recording=RECORDING,
    layers=("pool", "fc"),
    measure="pearson",
    resample="stimuli",
    bootstrap=20,
)
SLOWEST_MS = 200

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module", autouse=True)
def stored(server):
    """The answers that the pages ask for: here it is pages that are tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(server.home))
        facts = (
            NetworkSpec(network=NETWORK),
            StimuliSpec(stimuli=STIMULI),
            RecordingSpec(recording=RECORDING),
        )
        for spec in (*facts, RDM, BRAIN):
            compute.compute(spec)


def _address(path, spec, **more):
    return f"{path}?{urlencode({**CHOSEN, **spec.to_query(), **more})}"


@pytest.fixture(scope="module")
def tab(browser, server):
    """A tab of somebody who has pinned matrices and a profile; the tests go on from each other in order."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.asked, page.problems = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    for path, name in ((_address("rdms", RDM, beside="nothing"), "rdm"), (_address("brain", BRAIN), "brain")):
        page.goto(f"{server.url}/{path}")
        button = page.locator(f".st-key-pin-{name}").get_by_role("button")
        expect(button).to_be_visible(timeout=240_000)
        button.click()
        expect(page.get_by_text(re.compile("Pinned to the report"))).to_be_visible()
    yield page
    context.close()


def _stage(page):
    return page.locator("section.hs-stage")


def _shown(page, number):
    """Wait until a slide is shown and return how many milliseconds the change took."""
    expect(_stage(page)).to_have_attribute("data-shown", str(number))
    return int(_stage(page).get_attribute("data-change-ms"))


def test_pinned_figures_stand_on_the_report_in_a_new_visit(server, tab):
    expect(tab.get_by_test_id("stSidebarNav").get_by_role("link", name="Report (2)")).to_be_visible()
    tab.goto(f"{server.url}/report")
    expect(tab.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    settle(tab)  # a key pressed while a button is being replaced goes to nobody
    tab.get_by_role("button", name=re.compile("Down$")).first.press("Enter")
    title = tab.locator("[class*=st-key-item-]").first
    expect(title).to_contain_text("Similarity with the brain")
    assert tab.problems == []


def test_what_is_being_typed_is_saved_before_the_field_is_left(server, tab):
    tab.get_by_role("button", name=re.compile("Edit$")).first.click()
    field = tab.get_by_role("textbox", name="Caption")
    field.press_sequentially("Half a caption")
    expect(tab.get_by_text(re.compile("^Saved at .*[0-9]"))).to_be_visible(timeout=30_000)
    field.press_sequentially(", and more")
    expect(field).to_have_value("Half a caption, and more")
    expect(field).to_be_focused()
    other = tab.context.new_page()  # as after a crash: what the server has is what is left
    other.goto(f"{server.url}/report")
    expect(other.get_by_text("Half a caption")).to_be_visible()
    other.close()
    field.blur()
    expect(tab.get_by_test_id("stMarkdown").get_by_text("Half a caption, and more")).to_be_visible()
    tab.keyboard.press("Escape")


def test_nobody_else_sees_them(server, page):
    page.goto(f"{server.url}/report")
    expect(page.get_by_text("Nothing is pinned yet")).to_be_visible()


def test_the_keyboard_moves_through_the_slides_and_back(server, tab):
    tab.get_by_role("link", name="Present").click()
    expect(_stage(tab)).to_have_attribute("data-ready", "yes", timeout=240_000)
    assert _stage(tab).bounding_box() == {"x": 0, "y": 0, "width": 1280, "height": 720}
    sidebar = tab.get_by_test_id("stSidebar")
    assert sidebar.count() == 0 or sidebar.evaluate("one => one.inert")
    _shown(tab, 1)
    taken = []
    for key, number in (("ArrowRight", 2), ("ArrowLeft", 1), ("End", 2), ("Home", 1), ("PageDown", 2)):
        tab.keyboard.press(key)
        taken.append(_shown(tab, number))
        assert f"slide={number}" in tab.url
    print(f"slide changes: {taken} ms")
    assert sorted(taken)[len(taken) // 2] < SLOWEST_MS
    tab.keyboard.press("l")
    expect(_stage(tab)).to_have_class(re.compile("hs-dark"))
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("heading", name="What will you show?")).to_be_visible()
    expect(_stage(tab)).to_have_count(0)
    assert not tab.get_by_test_id("stSidebar").evaluate("one => one.inert")


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160)])
def test_a_link_opens_at_a_slide_that_fills_the_screen(server, tab, size):
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    tab.goto(f"{server.url}/present?slide=2")
    expect(_stage(tab)).to_have_attribute("data-ready", "yes", timeout=240_000)
    assert _shown(tab, 2) >= 0
    cell = _stage(tab).locator("canvas.cells").first
    box = cell.bounding_box()
    assert box["width"] > size[1] * 0.3
    assert box["y"] + box["height"] < size[1]
    cell.hover(position={"x": box["width"] * 0.8, "y": box["height"] * 0.2})
    expect(_stage(tab).locator(".matrix-view")).to_contain_text(re.compile(r"ori \d{3}\.\d"))
    tab.keyboard.press("Home")
    figure = _stage(tab).locator("article:not([hidden]) svg.marks")
    expect(figure).to_be_visible()
    drawn = figure.bounding_box()
    assert drawn["height"] > size[1] * 0.5
    assert drawn["x"] >= 0
    assert drawn["x"] + drawn["width"] <= size[0]


def test_axe_finds_nothing_and_nothing_leaves_the_server(server, tab):
    tab.set_viewport_size({"width": 1280, "height": 720})
    for path, ready in (("report", "[class*=st-key-item-]"), ("present?slide=1", "[data-ready=yes]")):
        tab.goto(f"{server.url}/{path}")
        expect(tab.locator(ready).first).to_be_visible(timeout=240_000)
        settle(tab)
        assert hindrances(tab) == []
    home = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in tab.asked if not url.startswith(home)] == []
    assert tab.problems == []
