"""Twelve figures as one web page, opened from the disk in a browser without a network."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from benchmarks.report import WANTED_BYTES, twelve
from dashboard import compute, errors
from dashboard.report import exporters, matter
from tests.browser.looking import hindrances

pytestmark = [pytest.mark.browser]
MATRICES = 3


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The page as a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        report = twelve()
        with errors.collect_cautions():
            answers = matter.gather(report, compute.compute, compute.stored)
            made = exporters.EXPORTERS["html"].write(report, answers, matter.Options())
    path = tmp_path_factory.mktemp("mail") / "report.html"
    path.write_bytes(made)
    return path


@pytest.fixture(scope="module")
def opened(browser, exported):
    """The page in a browser that has no network; it notes every request and every error."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.asked, page.problems = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda said: page.problems.append(said.text) if said.type == "error" else None)
    page.goto(exported.as_uri())
    yield page
    context.close()


def test_twelve_figures_are_one_file_below_eight_megabytes(exported):
    assert exported.stat().st_size < WANTED_BYTES


def test_all_figures_are_drawn_and_no_request_leaves(opened, exported):
    expect(opened.locator(".figure")).to_have_count(12)
    expect(opened.locator(".figure svg.marks")).to_have_count(12 - MATRICES, timeout=60_000)
    expect(opened.locator(".figure .matrix-view:has(canvas.cells)")).to_have_count(MATRICES)
    opened.get_by_role("button", name="Show in dark colours").click()
    expect(opened.locator("html[data-theme=dark] .figure svg.marks")).to_have_count(12 - MATRICES)
    outside = [url for url in opened.asked if not url.startswith(("data:", "blob:"))]
    assert outside == [exported.as_uri()]
    assert opened.problems == []


def test_cells_of_matrices_tell_their_values_under_the_cursor(opened):
    view = opened.locator(".figure .matrix-view").first
    cell = view.locator("canvas.cells").first
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    before = view.inner_text()
    cell.hover(position={"x": box["width"] * 0.8, "y": box["height"] * 0.2})
    expect(view).to_contain_text(re.compile(r"ori \d{3}\.\d"))
    assert view.inner_text() != before


def test_nothing_is_cut_on_a_telephone_and_axe_finds_nothing(opened):
    assert hindrances(opened) == []
    opened.set_viewport_size({"width": 390, "height": 800})
    opened.wait_for_timeout(500)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    cut = """() => [...document.querySelectorAll(".figure")].filter((box) => {
        const wide = box.querySelector("svg.marks, .matrix-view");
        return wide && wide.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "auto";
    }).length"""
    assert opened.evaluate(cut) == 0
