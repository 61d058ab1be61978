"""What every test in a browser does: wait until a page stands still, and let axe look at it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import Page, expect

HEADINGS = {
    "": "Homolog",
    "add": "What of your own",
    "network": r"\?",
    "predictions": r"\?",
    "attributions": r"\?",
    "attention": "Where does",
    "filters": "What do the filters",
    "tuning": "How are the units",
    "selectivity": "Which layers and units",
    "unit": r"\?",
    "rdms": "Which stimuli",
    "brain": "Which layer",
    "alignment": "Which layers of two networks",
    "decoding": "What can be read out",
    "encoding": "predicts each neuron best",
    "report": "What will you show",
    "jobs": "What is being computed",
}
"""Page, in the order of the sidebar -> its question."""

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


STILL = """document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "*, ::before, ::after { animation: none !important; transition: none !important }";
    document.head.append(style);
})"""
"""Stops what moves while a page waits: drawing it takes from the workers that the page waits for."""


@dataclass
class Visitor:
    """Somebody who goes from page to page in one tab, and notes what went wrong."""

    tab: Page
    home: str
    asked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tab.set_default_timeout(30_000)
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))

    def look(self, address: str, says: str = "", dark: bool = False) -> None:
        """Open a page and wait until it stands still; axe finds nothing, and nothing was asked elsewhere.

        Parameters
        ----------
        address : str
        says : str
            Pattern of words that stand on the page once its answer is there.
        dark : bool
            Look at it in dark colours, too.
        """
        title = re.compile(HEADINGS[address.partition("?")[0]])
        self.asked.clear()
        seen = set()
        for scheme in ("light", "dark") if dark else ("light",):
            self.tab.emulate_media(color_scheme=scheme)
            self.tab.goto(f"{self.home}/{address}")  # again: figures take their colours when a page is opened
            expect(self.tab.get_by_role("heading", name=title, level=1)).to_be_visible(timeout=60_000)
            if says:
                expect(self.tab.get_by_text(re.compile(says)).first).to_be_visible(timeout=240_000)
            settle(self.tab)
            seen.add(
                self.tab.get_by_test_id("stApp").evaluate("one => getComputedStyle(one).backgroundColor")
            )
            if hindrances(self.tab):  # perhaps of what came just now: only what stays counts
                self.tab.wait_for_timeout(2000)
                settle(self.tab)
                assert hindrances(self.tab) == []
        assert len(seen) == 1 + dark
        ours = (self.home, self.home.replace("http", "ws"), "data:", "blob:")
        assert self.asked
        assert [url for url in self.asked if not url.startswith(ours)] == []
        assert self.problems == []


def hindrances(page: Page) -> list[str]:
    """Return what axe finds that keeps people from using the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    nodes = [(v["id"], node["html"]) for v in found for node in v["nodes"] if not OTHERS.search(node["html"])]
    return [f"{kind}: {html[:160]}" for kind, html in nodes]
