"""The page Attributions in a real browser: chips of methods, axe."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser]

OBJECTS = "network=bundled:objects_cnn&stimuli=objects%3Fn%3D24&method=saliency,input-x-gradient"


def test_axe_finds_nothing_and_methods_are_chips(visitor):
    address = f"attributions?{OBJECTS}&about=Over%20the%20set&most=4"
    visitor.look(address, "of the attribution lies on the object")
    for name in ("Saliency", "Input × gradient"):
        expect(visitor.tab.get_by_test_id("stMultiSelect").get_by_text(name, exact=True)).to_be_visible()
