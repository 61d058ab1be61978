"""The page Attributions in a real browser: chips of methods, axe."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.looking import hindrances

pytestmark = [pytest.mark.browser]

OBJECTS = "network=bundled:objects_cnn&stimuli=objects%3Fn%3D24&method=saliency,input-x-gradient"


@pytest.mark.parametrize("scheme", ["light"])
def test_axe_finds_nothing_and_methods_are_chips(server, browser, scheme):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server.url}/attributions?{OBJECTS}&about=Over%20the%20set&most=4")
    try:
        expect(page.get_by_text(re.compile("of the attribution lies on the object"))).to_be_visible(
            timeout=240_000
        )
        expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=60_000)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1000)
        for name in ("Saliency", "Input × gradient"):
            expect(page.get_by_test_id("stMultiSelect").get_by_text(name, exact=True)).to_be_visible()
        assert page.get_by_test_id("stException").count() == 0
        assert hindrances(page) == []
    finally:
        context.close()
