"""The cortical surface in a real browser: both hemispheres are drawn, told in words, and reachable."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.looking import hindrances, settle

pytestmark = [pytest.mark.browser]

LINK = (
    "brain?network=bundled:tilt_cnn&layers=fc&bootstrap=20&recording=simulated-v1?subjects=2%26cells=20"
    "&part=On+the+cortex"
)


def test_both_hemispheres_are_drawn_and_told_and_nothing_hinders(server, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{server.url}/{LINK}")
    expect(page.get_by_text("drawn at pericalcarine")).to_be_visible(timeout=240_000)
    settle(page)
    pictures = page.get_by_test_id("stVegaLiteChart").filter(has_text="hemisphere")
    expect(pictures).to_have_count(2)
    for name in ("left", "right"):
        one = pictures.filter(has_text=f"Simulated: {name} hemisphere")
        expect(one).to_be_visible()
        assert f"The {name} hemisphere of fsaverage5" in one.get_attribute("aria-label")
        assert "simulated V1 at pericalcarine" in one.get_attribute("aria-label")
    across = page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth")
    assert across == 0
    assert hindrances(page) == []
    context.close()
