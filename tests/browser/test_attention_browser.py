"""The Attention page in a real browser: a click on a patch and on a head goes into the address, and axe."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.looking import hindrances

pytestmark = [pytest.mark.browser]

PICTURES = "attention?network=bundled:objects_vit&stimuli=objects%3Fn%3D12"


def test_clicks_choose_patch_and_head_and_axe_finds_nothing(server, page):
    page.goto(f"{server.url}/{PICTURES}")
    patch = page.locator(".overlay-view canvas.map").first
    expect(patch).to_be_visible(timeout=240_000)
    expect(page.get_by_text("…", exact=True)).to_have_count(0, timeout=60_000)
    patch.click()
    page.wait_for_url(re.compile(r"query=\d"))
    page.locator(".heads-view canvas").first.click(position={"x": 200, "y": 100})
    page.wait_for_url(re.compile("at=blocks"))
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=60_000)
    page.wait_for_timeout(1000)
    assert page.get_by_test_id("stException").count() == 0
    assert hindrances(page) == []
