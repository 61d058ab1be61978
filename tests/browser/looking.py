"""What every test in a browser does: wait until a page stands still, and let axe look at it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

OTHERS = re.compile(
    r'brush_brush|^<g class="mark-[^>]*></g>$|data-testid="stFileUploaderDropzone"',
)
"""What libraries draw that axe objects to and that cannot be changed from outside.

Vega gives neither the marks of a brush nor an empty group of marks a name; the place where Streamlit takes
dropped files has a label and the role of a presentation.
"""


def settle(page: Page, timeout: float = 240_000) -> None:
    """Wait until everything that was asked for is there: what is about to change is faded."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("[data-test-script-state=notRunning]")).to_have_count(1, timeout=timeout)
    expect(page.get_by_text("…", exact=True)).to_have_count(0, timeout=timeout)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=timeout)
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=timeout)
    page.wait_for_timeout(1000)
    assert page.get_by_test_id("stException").count() == 0


def hindrances(page: Page) -> list[str]:
    """Return what axe finds that keeps people from using the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    nodes = [(v["id"], node["html"]) for v in found for node in v["nodes"] if not OTHERS.search(node["html"])]
    return [f"{kind}: {html[:160]}" for kind, html in nodes]
